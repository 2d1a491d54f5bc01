//! Finds the servers of AWS.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use super::model::{Operation, Service};

/// The server of a request, and the region of its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address without a trailing slash.
    pub endpoint: String,
    pub region: String,
}

/// The variant of AWS's servers to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    pub fips: bool,
    pub dual_stack: bool,
}

/// The name of a service in `endpoints` of a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct EndpointName(pub String);

impl TryFrom<String> for EndpointName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if is_name {
            Ok(Self(name))
        } else {
            Err(format!(
                "`{name}` is not a service's name as the AWS CLI writes it, such as `secretsmanager`"
            ))
        }
    }
}

/// Where AWS's services are: `models/generate.py` describes the file.
#[derive(Deserialize)]
struct Hosts {
    partitions: Vec<Partition>,
    services: BTreeMap<String, BTreeMap<String, BTreeMap<String, Option<String>>>>,
}

/// A partition of AWS: the prefix of its regions, and its domains.
#[derive(Deserialize)]
struct Partition {
    id: String,
    begins: String,
    domain: String,
    dual_stack: String,
}

static HOSTS: LazyLock<Hosts> = LazyLock::new(|| {
    serde_json::from_str(include_str!("models/hosts.json")).expect("a test reads this file")
});

impl Variant {
    /// Returns its name in the table.
    fn name(self) -> &'static str {
        match (self.fips, self.dual_stack) {
            (false, false) => "plain",
            (true, false) => "fips",
            (false, true) => "dual",
            (true, true) => "fips-dual",
        }
    }
}

/// Returns AWS's server for a service in a region; its address is `None` if AWS has no such server.
pub fn of_aws(
    service: &Service,
    operation: &Operation,
    region: &str,
    variant: Variant,
) -> (Option<String>, String) {
    let partitions = &HOSTS.partitions;
    let partition = partitions
        .iter()
        .find(|partition| region.starts_with(&partition.begins))
        .unwrap_or(&partitions[partitions.len() - 1]);
    let unusual = HOSTS.services.get(&service.name);
    let unusual = unusual.and_then(|table| table.get(&partition.id));
    let entry = unusual.and_then(|table| {
        let of_region = table.get(&format!("{} {region}", variant.name()));
        of_region.or_else(|| table.get(variant.name()))
    });
    let usual = || {
        let fips = if variant.fips { "-fips" } else { "" };
        let domain = if variant.dual_stack {
            &partition.dual_stack
        } else {
            &partition.domain
        };
        format!("{}{fips}.{{region}}.{domain}", service.endpoint)
    };
    let Some(template) = entry.cloned().unwrap_or_else(|| Some(usual())) else {
        return (None, region.to_owned());
    };
    let (host, signed) = template.split_once(' ').unwrap_or((&template, region));
    let prefix = operation.host_prefix.as_deref().unwrap_or_default();
    let host = host.replace("{region}", region);
    (Some(format!("https://{prefix}{host}")), signed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::model::service, *};

    #[test]
    fn servers_are_those_of_aws() {
        let fips = Variant {
            fips: true,
            dual_stack: false,
        };
        let dual = Variant {
            fips: false,
            dual_stack: true,
        };
        let plain = Variant::default();
        for (name, operation, region, variant, host, signed) in [
            (
                "secretsmanager",
                "GetSecretValue",
                "eu-west-1",
                plain,
                "secretsmanager.eu-west-1.amazonaws.com",
                "eu-west-1",
            ),
            (
                "elbv2",
                "DescribeLoadBalancers",
                "us-east-1",
                plain,
                "elasticloadbalancing.us-east-1.amazonaws.com",
                "us-east-1",
            ),
            (
                "ecr",
                "ListImages",
                "us-east-1",
                plain,
                "api.ecr.us-east-1.amazonaws.com",
                "us-east-1",
            ),
            (
                "sts",
                "GetCallerIdentity",
                "eu-central-1",
                plain,
                "sts.eu-central-1.amazonaws.com",
                "eu-central-1",
            ),
            (
                "iam",
                "ListUsers",
                "eu-west-1",
                plain,
                "iam.amazonaws.com",
                "us-east-1",
            ),
            (
                "route53",
                "ListHostedZones",
                "us-gov-east-1",
                plain,
                "route53.us-gov.amazonaws.com",
                "us-gov-west-1",
            ),
            (
                "iam",
                "ListUsers",
                "cn-northwest-1",
                plain,
                "iam.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            (
                "kms",
                "ListKeys",
                "cn-north-1",
                plain,
                "kms.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            (
                "kms",
                "ListKeys",
                "us-east-2",
                fips,
                "kms-fips.us-east-2.amazonaws.com",
                "us-east-2",
            ),
            (
                "kms",
                "ListKeys",
                "us-east-2",
                dual,
                "kms.us-east-2.api.aws",
                "us-east-2",
            ),
            (
                "s3",
                "ListBuckets",
                "us-east-2",
                dual,
                "s3.dualstack.us-east-2.amazonaws.com",
                "us-east-2",
            ),
            (
                "iam",
                "ListUsers",
                "eu-west-1",
                fips,
                "iam-fips.amazonaws.com",
                "us-east-1",
            ),
            (
                "ec2",
                "DescribeInstances",
                "us-gov-west-1",
                fips,
                "ec2.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
            ),
            (
                "eks",
                "ListClusters",
                "us-east-1",
                fips,
                "fips.eks.us-east-1.amazonaws.com",
                "us-east-1",
            ),
            (
                "stepfunctions",
                "ListActivities",
                "us-gov-east-1",
                fips,
                "states-fips.us-gov-east-1.amazonaws.com",
                "us-gov-east-1",
            ),
            (
                "route53",
                "ListHostedZones",
                "cn-north-1",
                plain,
                "route53.amazonaws.com.cn",
                "cn-northwest-1",
            ),
            (
                "kms",
                "ListKeys",
                "eu-isoe-west-1",
                plain,
                "kms.eu-isoe-west-1.cloud.adc-e.uk",
                "eu-isoe-west-1",
            ),
            (
                "stepfunctions",
                "StartSyncExecution",
                "us-east-2",
                plain,
                "sync-states.us-east-2.amazonaws.com",
                "us-east-2",
            ),
        ] {
            let service = service(name).expect("a model");
            let (endpoint, region) =
                of_aws(service, &service.operations[operation], region, variant);
            assert_eq!(endpoint, Some(format!("https://{host}")), "{name}");
            assert_eq!(region, signed, "{name}");
        }
        let s3 = service("s3").expect("a model");
        let none = of_aws(s3, &s3.operations["ListBuckets"], "cn-north-1", fips);
        assert_eq!(none, (None, "cn-north-1".to_owned()));
    }
}
