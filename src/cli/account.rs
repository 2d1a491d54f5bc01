//! Whose AWS account a run is about to change, and where.

use super::{args::Args, failure::Failure};
use crate::{
    compile::Workflow,
    outside::{Identity, PcaClient},
    targets::{OpenError, Targets},
};

/// Connects to the AWS of a target, so that what is wrong with it is found before anything is
/// recorded. `None` where the workflow asks nothing of AWS, on the target `local`, and on an engine,
/// whose workers have credentials of their own and hold them to the target.
///
/// # Errors
/// A profile that does not exist, a CA bundle that can't be read, another account than the target's.
pub fn aws(args: &Args, workflow: &Workflow, target: &str) -> Result<Option<PcaClient>, Failure> {
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let Some(found) = targets.find(target)? else {
        return Ok(None);
    };
    if found.substrate.is_some() {
        return Ok(None);
    }
    let is_pinned = found.pca.account.is_some();
    if !is_pinned && !uses_aws(workflow) {
        return Ok(None);
    }
    let connected = block_on(PcaClient::connect(&found.pca))?;
    let client = connected.map_err(OpenError::from)?;
    Ok(Some(client))
}

/// As [`aws`], for people: `AWS account 123456789012 (arn:…), region us-east-1`.
///
/// # Errors
/// As [`aws`].
pub fn line(args: &Args, workflow: &Workflow, target: &str) -> Result<Option<String>, Failure> {
    match aws(args, workflow, target)? {
        Some(client) => block_on(line_of(&client)),
        None => Ok(None),
    }
}

/// Whether a workflow asks anything of AWS.
pub fn uses_aws(workflow: &Workflow) -> bool {
    let calls = workflow.host_calls();
    calls.iter().any(|call| call.function.starts_with("pca::"))
}

/// Whose account it is, and where; `None` on the embedded CA.
pub async fn line_of(client: &PcaClient) -> Option<String> {
    let region = client.region().unwrap_or("not named");
    Some(match client.identity().await? {
        Identity::Known { account, arn } => {
            format!("AWS account {account} ({arn}), region {region}")
        }
        Identity::Unknown { why } => format!("AWS account unknown ({why}), region {region}"),
    })
}

/// Waits for some work on this thread.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new("system", format!("can't start threads: {e}")))?;
    Ok(runtime.block_on(work))
}
