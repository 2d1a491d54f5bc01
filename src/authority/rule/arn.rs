//! The ARNs of authorities, certificates and templates.

use uuid::Uuid;

use crate::failure::{Code, Failure};

/// The partitions other than `aws`: the prefix of their regions, their names and their domains, from AWS's
/// `partitions.json`.
const PARTITIONS: [(&str, &str, &str); 7] = [
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov"),
];

/// Returns the partition of a region.
pub(crate) fn partition(region: &str) -> &'static str {
    of_region(region).0
}

/// Returns the domain of AWS's hosts in a region.
pub(crate) fn domain(region: &str) -> &'static str {
    of_region(region).1
}

fn of_region(region: &str) -> (&'static str, &'static str) {
    PARTITIONS
        .iter()
        .find(|(prefix, ..)| region.starts_with(prefix))
        .map_or(("aws", "amazonaws.com"), |(_, name, domain)| (name, domain))
}

/// Returns the ARN of an authority.
pub(crate) fn authority(region: &str, account: &str, id: &str) -> String {
    let partition = partition(region);
    format!("arn:{partition}:acm-pca:{region}:{account}:certificate-authority/{id}")
}

/// Returns the ARN of a certificate; its serial number has 32 hexadecimal digits.
pub(crate) fn certificate(authority: &str, serial: &str) -> String {
    format!("{authority}/certificate/{serial}")
}

/// Refuses a text that is not an authority's ARN.
pub(crate) fn check_authority(arn: &str) -> Result<(), Failure> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let well_formed = matches!(parts.as_slice(),
        ["arn", partition, "acm-pca", region, account, resource]
            if partition_is_of(partition, region)
                && account.len() == 12
                && resource.strip_prefix("certificate-authority/").is_some_and(is_uuid));
    if well_formed {
        Ok(())
    } else {
        Err(Code::InvalidArn.says(format!("Invalid ARN: {arn}")))
    }
}

/// Returns the account in an authority's ARN.
pub(crate) fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// Returns the region in an authority's ARN.
pub(crate) fn region(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

/// Returns the identifier at the end of an authority's ARN.
pub(crate) fn id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

/// Returns the serial number in a certificate's ARN. The certificate must be one of this authority's.
pub(crate) fn serial<'a>(authority: &str, certificate: &'a str) -> Result<&'a str, Failure> {
    certificate
        .strip_prefix(authority)
        .and_then(|rest| rest.strip_prefix("/certificate/"))
        .filter(|serial| serial.len() == 32 && serial.bytes().all(|b| b.is_ascii_hexdigit()))
        .ok_or_else(|| Code::InvalidArn.says(format!("Invalid certificate ARN: {certificate}")))
}

fn partition_is_of(named: &str, region: &str) -> bool {
    !region.is_empty() && named == partition(region)
}

fn is_uuid(text: &str) -> bool {
    // An ARN contains the UUID in lower case, with hyphens.
    Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == text)
}
