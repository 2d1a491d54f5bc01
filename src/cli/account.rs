//! Whose AWS account a run is about to change, and where.

use super::{args::Args, failure::Failure};
use crate::{
    compile::Workflow,
    outside::{AwsClient, Clients, PcaClient},
    runs::{AwsAsked, account_line, calls, connect_to_aws, said_of},
    targets::Targets,
};

/// Connects to the AWS of a target, so that what is wrong with it is found before anything is
/// recorded. `None` where the workflow asks nothing of AWS, on the target `local`, and on an engine,
/// whose workers have credentials of their own and hold them to the target.
///
/// # Errors
/// A profile that does not exist, a CA bundle that can't be read, another account than the target's.
pub fn aws(args: &Args, workflow: &Workflow, target: &str) -> Result<Option<AwsAsked>, Failure> {
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let Some(found) = targets.find(target)? else {
        return Ok(None);
    };
    if found.substrate.is_some() {
        return Ok(None);
    }
    Ok(block_on(connect_to_aws(found, workflow))??)
}

/// As [`aws`], for people: `AWS account 123456789012 (arn:…), region us-east-1`.
///
/// # Errors
/// As [`aws`].
pub fn line(args: &Args, workflow: &Workflow, target: &str) -> Result<Option<String>, Failure> {
    match aws(args, workflow, target)? {
        Some(asked) => block_on(account_line(&asked)),
        None => Ok(None),
    }
}

/// Returns the line of the clients that a workflow asks something of.
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
    Some(said_of(identity, region))
}

/// Whether a workflow asks anything of AWS Private CA.
pub fn uses_aws(workflow: &Workflow) -> bool {
    calls(workflow, "pca::")
}

/// Whose account it is, and where; `None` on the embedded CA.
pub async fn line_of(client: &PcaClient) -> Option<String> {
    let identity = client.identity().await?;
    Some(said_of(identity, client.region()))
}

/// Waits for some work on this thread.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new("system", format!("can't start threads: {e}")))?;
    Ok(runtime.block_on(work))
}
