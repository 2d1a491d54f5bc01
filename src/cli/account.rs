//! Whose AWS account a run is about to change, and where.

use super::{args::Args, failure::Failure};
use crate::{
    compile::Workflow,
    outside::{AwsClient, Clients, Identity, PcaClient},
    targets::{OpenError, Targets},
};

/// Connects to the AWS of a target, so that what is wrong with it is found before anything is
/// recorded. `None` where the workflow asks nothing of AWS, on the target `local`, and on an engine,
/// whose workers have credentials of their own and hold them to the target.
///
/// # Errors
/// A profile that does not exist, a CA bundle that can't be read, another account than the target's.
pub fn aws(args: &Args, workflow: &Workflow, target: &str) -> Result<Option<Asked>, Failure> {
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let Some(found) = targets.find(target)? else {
        return Ok(None);
    };
    if found.substrate.is_some() {
        return Ok(None);
    }
    let is_pinned = found.pca.account.is_some();
    let of_pca = uses_aws(workflow) && !found.has_embedded_pca();
    let of_others = calls(workflow, "aws::");
    let others = found.aws();
    if of_others && (!of_pca || others.account.is_some()) {
        let client = AwsClient::new(others);
        block_on(client.connect())?.map_err(OpenError::from)?;
        if !of_pca {
            return Ok(Some(Asked::Any(client)));
        }
    }
    if !is_pinned && !of_pca {
        return Ok(None);
    }
    let connected = block_on(PcaClient::connect(&found.pca))?;
    let client = connected.map_err(OpenError::from)?;
    Ok(Some(Asked::Pca(client)))
}

/// The client whose account counts: that of Private CA, or else of the other services.
pub enum Asked {
    Pca(PcaClient),
    Any(AwsClient),
}

/// As [`aws`], for people: `AWS account 123456789012 (arn:…), region us-east-1`.
///
/// # Errors
/// As [`aws`].
pub fn line(args: &Args, workflow: &Workflow, target: &str) -> Result<Option<String>, Failure> {
    match aws(args, workflow, target)? {
        Some(Asked::Pca(client)) => block_on(line_of(&client)),
        Some(Asked::Any(client)) => block_on(line_of_any(&client)),
        None => Ok(None),
    }
}

/// The line of the clients that a workflow asks something of.
pub async fn line_of_run(workflow: &Workflow, clients: &Clients) -> Option<String> {
    match (uses_aws(workflow), calls(workflow, "aws::")) {
        (true, _) => line_of(&clients.pca).await,
        (false, true) => line_of_any(&clients.aws).await,
        (false, false) => None,
    }
}

async fn line_of_any(client: &AwsClient) -> Option<String> {
    // What keeps it from connecting is the failure of the call that needs it.
    let (identity, region) = client.identity().await.ok()??;
    Some(said(identity, region))
}

/// Whether a workflow asks anything of AWS Private CA.
pub fn uses_aws(workflow: &Workflow) -> bool {
    calls(workflow, "pca::")
}

fn calls(workflow: &Workflow, module: &str) -> bool {
    let calls = workflow.host_calls();
    calls.iter().any(|call| call.function.starts_with(module))
}

/// Whose account it is, and where; `None` on the embedded CA.
pub async fn line_of(client: &PcaClient) -> Option<String> {
    let identity = client.identity().await?;
    Some(said(identity, client.region()))
}

fn said(identity: &Identity, region: Option<&str>) -> String {
    let region = region.unwrap_or("not named");
    match identity {
        Identity::Known { account, arn } => {
            format!("AWS account {account} ({arn}), region {region}")
        }
        Identity::Unknown { why } => format!("AWS account unknown ({why}), region {region}"),
    }
}

/// Waits for some work on this thread.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new("system", format!("can't start threads: {e}")))?;
    Ok(runtime.block_on(work))
}
