//! Finds the servers of AWS.

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

/// A partition of AWS: the prefix of its regions, its domains (AWS's `partitions.json`), and the region of its global
/// services.
struct Partition {
    begins: &'static str,
    domain: &'static str,
    dual_stack: &'static str,
    /// For IAM and Route 53.
    global_region: &'static str,
}

const PARTITIONS: [Partition; 6] = [
    Partition {
        begins: "cn-",
        domain: "amazonaws.com.cn",
        dual_stack: "api.amazonwebservices.com.cn",
        global_region: "cn-north-1",
    },
    Partition {
        begins: "us-gov-",
        domain: "amazonaws.com",
        dual_stack: "api.aws",
        global_region: "us-gov-west-1",
    },
    Partition {
        begins: "us-isob-",
        domain: "sc2s.sgov.gov",
        dual_stack: "api.aws.scloud",
        global_region: "us-isob-east-1",
    },
    Partition {
        begins: "us-iso-",
        domain: "c2s.ic.gov",
        dual_stack: "api.aws.ic.gov",
        global_region: "us-iso-east-1",
    },
    Partition {
        begins: "eusc-",
        domain: "amazonaws.eu",
        dual_stack: "api.amazonwebservices.eu",
        global_region: "eusc-de-east-1",
    },
    Partition {
        begins: "",
        domain: "amazonaws.com",
        dual_stack: "api.aws",
        global_region: "us-east-1",
    },
];

/// Services with one server for a whole partition. STS and S3 have one for each region, which is used.
const GLOBAL: [&str; 2] = ["iam", "route53"];

/// Returns AWS's server for a service in a region.
pub fn of_aws(service: &Service, operation: &Operation, region: &str, variant: Variant) -> Place {
    let partition = PARTITIONS
        .iter()
        .find(|partition| region.starts_with(partition.begins))
        .unwrap_or(&PARTITIONS[5]);
    let prefix = operation.host_prefix.as_deref().unwrap_or_default();
    let name = service.endpoint.as_str();
    if GLOBAL.contains(&service.name.as_str()) {
        let host = match partition.begins {
            "" => format!("{name}.{}", partition.domain),
            "us-gov-" => format!("{name}.us-gov.{}", partition.domain),
            _ if name == "route53" => format!("{name}.{}", partition.domain),
            _ => format!("{name}.{}.{}", partition.global_region, partition.domain),
        };
        return Place {
            endpoint: format!("https://{host}"),
            region: partition.global_region.into(),
        };
    }
    let fips = if variant.fips { "-fips" } else { "" };
    let host = match (variant.dual_stack, service.name.as_str()) {
        // Amazon S3 User Guide, "Using Amazon S3 dual-stack endpoints".
        (true, "s3") => format!("{name}{fips}.dualstack.{region}.{}", partition.domain),
        (true, _) => format!("{name}{fips}.{region}.{}", partition.dual_stack),
        (false, _) => format!("{name}{fips}.{region}.{}", partition.domain),
    };
    Place {
        endpoint: format!("https://{prefix}{host}"),
        region: region.into(),
    }
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
                "stepfunctions",
                "StartSyncExecution",
                "us-east-2",
                plain,
                "sync-states.us-east-2.amazonaws.com",
                "us-east-2",
            ),
        ] {
            let service = service(name).expect("a model");
            let found = of_aws(service, &service.operations[operation], region, variant);
            assert_eq!(found.endpoint, format!("https://{host}"), "{name}");
            assert_eq!(found.region, signed, "{name}");
        }
    }
}
