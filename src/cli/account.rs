//! Shows in which AWS account and region a run makes changes.

use super::{args::Args, failure::Failure, process::no_threads};
use crate::{
    compile::Workflow,
    ground,
    outside::{AwsClient, Clients, PcaClient},
    runs::{AwsAsked, account_line, calls, connect_to_aws, said_of},
    targets::Targets,
};

/// Connects to the AWS of a target, so that problems are found before anything is recorded. Returns `None` if the workflow
/// does not call AWS, on the target `local`, and on Restate, whose workers have their own credentials and check them against
/// the target.
///
/// # Errors
/// A profile that does not exist, a CA bundle that can't be read, or another account than the target's.
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

/// Like [`aws`], formatted for people: `AWS account 123456789012 (arn:…), region us-east-1`.
///
/// # Errors
/// The same as of [`aws`].
pub fn line(args: &Args, workflow: &Workflow, target: &str) -> Result<Option<String>, Failure> {
    match aws(args, workflow, target)? {
        Some(asked) => block_on(account_line(&asked)),
        None => Ok(None),
    }
}

/// Returns the line for the clients that a workflow uses.
pub async fn line_of_run(workflow: &Workflow, clients: &Clients) -> Option<String> {
    match (uses_aws(workflow), calls(workflow, "aws::")) {
        (true, _) => line_of(&clients.pca).await,
        (false, true) => line_of_any(&clients.aws).await,
        (false, false) => None,
    }
}

async fn line_of_any(client: &AwsClient) -> Option<String> {
    // A problem with the connection is reported by the call that needs it.
    let (identity, region) = client.identity().await.ok()??;
    Some(said_of(identity, region))
}

/// Says whether a workflow calls AWS Private CA.
fn uses_aws(workflow: &Workflow) -> bool {
    calls(workflow, "pca::")
}

/// Returns the account and region; `None` for the embedded CA.
pub async fn line_of(client: &PcaClient) -> Option<String> {
    let identity = client.identity().await?;
    Some(said_of(identity, client.region()))
}

/// Waits for some work on this thread.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(no_threads)?;
    Ok(ground::block_on(&runtime, work))
}
