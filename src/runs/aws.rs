use windlass_compile::Workflow;
use windlass_ground::boxed;
use windlass_targets::{OpenError, Target};
use windlass_world::outside::{AwsClient, Identity, PcaClient};

/// The client whose account is checked: that of Private CA, or else that of the other services.
pub enum AwsAsked {
    Pca(PcaClient),
    Any(AwsClient),
}

/// Connects to the target's AWS with every client that a workflow needs, so that problems are found before anything is
/// recorded. Returns `None` if the workflow does not call AWS and the target names no account.
///
/// # Errors
/// A profile that does not exist, a CA bundle that can't be read, or another account than the target's.
#[boxed]
pub async fn connect_to_aws(
    target: &Target,
    workflow: &Workflow,
) -> Result<Option<AwsAsked>, OpenError> {
    let of_pca = calls(workflow, "pca::") && !target.has_embedded_pca();
    let of_others = calls(workflow, "aws::");
    let others = target.aws();
    if of_others && (!of_pca || others.account.is_some()) {
        let client = AwsClient::new(others);
        client.connect().await?;
        if !of_pca {
            return Ok(Some(AwsAsked::Any(client)));
        }
    }
    if target.pca.account.is_none() && !of_pca {
        return Ok(None);
    }
    let client = PcaClient::connect(&target.pca).await?;
    Ok(Some(AwsAsked::Pca(client)))
}

/// Says whether a workflow calls functions whose names begin with `prefix`.
pub fn calls(workflow: &Workflow, prefix: &str) -> bool {
    let calls = workflow.host_calls();
    calls.iter().any(|call| call.function.starts_with(prefix))
}

/// Describes the account and region for people: `AWS account 123456789012 (arn:…), region us-east-1`. `None` on the
/// embedded CA, and if AWS can't be asked: then the call that needs AWS reports the failure.
#[boxed]
pub async fn account_line(asked: &AwsAsked) -> Option<String> {
    match asked {
        AwsAsked::Pca(client) => Some(said_of(client.identity().await?, client.region())),
        AwsAsked::Any(client) => {
            let (identity, region) = client.identity().await.ok()??;
            Some(said_of(identity, region))
        }
    }
}

/// Writes the line of [`account_line`].
pub fn said_of(identity: &Identity, region: Option<&str>) -> String {
    let region = region.unwrap_or("not named");
    match identity {
        Identity::Known { account, arn } => {
            format!("AWS account {account} ({arn}), region {region}")
        }
        Identity::Unknown { why } => format!("AWS account unknown ({why}), region {region}"),
    }
}
