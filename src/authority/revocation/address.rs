//! Where revocations are found, in the form of AWS.

use aws_lc_rs::digest;
use serde_json::json;

use crate::authority::rule::arn;
use crate::authority::store::authority::Authority;

/// Into how many lists a partitioned CRL falls, by the last digit of the serial.
pub(super) const PARTITIONS: u8 = 16;

/// Whether the authority publishes lists.
pub(super) fn publishes(authority: &Authority) -> bool {
    authority.revocation["CrlConfiguration"]["Enabled"] == json!(true)
}

/// Whether the authority answers OCSP.
pub(super) fn responds(authority: &Authority) -> bool {
    authority.revocation["OcspConfiguration"]["Enabled"] == json!(true)
}

/// Whether the list falls into partitions.
pub(super) fn is_partitioned(authority: &Authority) -> bool {
    authority.revocation["CrlConfiguration"]["CrlType"] == json!("PARTITIONED")
}

/// The partition of a serial: always the same, so it is known before the certificate is signed.
pub(crate) fn partition(authority: &Authority, serial: &str) -> Option<String> {
    if !publishes(authority) || !is_partitioned(authority) {
        return None;
    }
    let digit = serial.chars().last()?.to_digit(16)?;
    Some(partition_name(authority, digit as u8))
}

/// A name of the form of a UUID for one of an authority's partitions.
pub(super) fn partition_name(authority: &Authority, number: u8) -> String {
    let seed = format!("{}/{number}", authority.arn);
    let digest = digest::digest(&digest::SHA256, seed.as_bytes());
    let hex = data_encoding::HEXLOWER.encode(&digest.as_ref()[..16]);
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

/// The CRL's address as certificates give it; `None` where it isn't to be given.
pub(crate) fn distribution_point(authority: &Authority, partition: Option<&str>) -> Option<String> {
    let crl = &authority.revocation["CrlConfiguration"];
    let omitted = crl["CrlDistributionPointExtensionConfiguration"]["OmitExtension"] == json!(true);
    (publishes(authority) && !omitted).then(|| url(authority, partition))
}

/// The CRL's address.
pub(super) fn url(authority: &Authority, partition: Option<&str>) -> String {
    let crl = &authority.revocation["CrlConfiguration"];
    let host = match crl["CustomCname"]
        .as_str()
        .filter(|cname| !cname.is_empty())
    {
        Some(cname) => cname.to_owned(),
        None => {
            let region = &authority.region;
            format!("{}.s3.{region}.{}", bucket(authority), domain(region))
        }
    };
    format!("http://{host}/{}", key(authority, partition))
}

/// The bucket of the CRL.
pub(super) fn bucket(authority: &Authority) -> &str {
    authority.revocation["CrlConfiguration"]["S3BucketName"]
        .as_str()
        .unwrap_or_default()
}

/// Where the CRL lies in its bucket.
pub(super) fn key(authority: &Authority, partition: Option<&str>) -> String {
    let path = authority.revocation["CrlConfiguration"]["CustomPath"]
        .as_str()
        .filter(|path| !path.is_empty());
    let id = arn::id(&authority.arn);
    match (path, partition) {
        (None, None) => format!("crl/{id}.crl"),
        (None, Some(partition)) => format!("crl/{id}/{partition}.crl"),
        (Some(path), None) => format!("{path}/{id}.crl"),
        (Some(path), Some(partition)) => format!("{path}/{partition}.crl"),
    }
}

/// The OCSP responder's address as certificates give it; `None` where OCSP is off.
pub(crate) fn responder(authority: &Authority) -> Option<String> {
    let ocsp = &authority.revocation["OcspConfiguration"];
    responds(authority).then(|| {
        match ocsp["OcspCustomCname"]
            .as_str()
            .filter(|cname| !cname.is_empty())
        {
            Some(cname) => format!("http://{cname}"),
            None => {
                let region = &authority.region;
                format!("http://ocsp.acm-pca.{region}.{}", domain(region))
            }
        }
    })
}

fn domain(region: &str) -> &'static str {
    if arn::partition(region) == "aws-cn" {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}
