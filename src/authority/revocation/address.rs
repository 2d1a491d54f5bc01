//! The addresses of CRLs and OCSP responders, in the format of AWS.

use aws_lc_rs::digest;
use rusqlite::Connection;
use serde_json::json;
use uuid::Uuid;

use crate::failure::Failure;
use crate::rule::arn::{self, domain};
use crate::store::authority::Authority;
use crate::store::list;

/// Returns AWS's quota for an authority, of certificates and also of revocations; it is larger with partitions.
pub(crate) fn most_certificates(authority: &Authority) -> i64 {
    if publishes(authority) && is_partitioned(authority) {
        100_000_000
    } else {
        1_000_000
    }
}

/// How many certificates are bound to one partition. AWS keeps a CRL below 1 MB; with this many entries of 51 bytes, it is
/// smaller, including requests that are in progress when the partition becomes full.
pub(super) const LARGEST: i64 = 18_000;

/// Returns whether the authority publishes CRLs.
pub(crate) fn publishes(authority: &Authority) -> bool {
    authority.revocation["CrlConfiguration"]["Enabled"] == json!(true)
}

/// Returns whether the authority answers OCSP requests.
pub(super) fn responds(authority: &Authority) -> bool {
    authority.revocation["OcspConfiguration"]["Enabled"] == json!(true)
}

/// Returns whether new certificates are bound to partitions of the CRL.
pub(super) fn is_partitioned(authority: &Authority) -> bool {
    authority.revocation["CrlConfiguration"]["CrlType"] == json!("PARTITIONED")
}

/// Returns the partition that the next certificate is bound to, or `None` if the CRL is not partitioned.
///
/// The partition is determined before the certificate is signed, so simultaneous requests get the same one.
pub(crate) fn partition(
    connection: &Connection,
    authority: &Authority,
) -> Result<Option<String>, Failure> {
    if !publishes(authority) || !is_partitioned(authority) {
        return Ok(None);
    }
    if let Some(partition) = list::with_room(connection, &authority.arn, LARGEST)? {
        return Ok(Some(partition));
    }
    let number = list::all(connection, &authority.arn)?.len();
    Ok(Some(partition_name(authority, number)))
}

/// Returns the name of a partition of an authority, in the format of a UUID.
fn partition_name(authority: &Authority, number: usize) -> String {
    let seed = format!("{}/list/{number}", authority.arn);
    let digest = digest::digest(&digest::SHA256, seed.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    Uuid::from_bytes(bytes).to_string()
}

/// Returns the CRL's address for certificates, or `None` if certificates do not contain it.
pub(crate) fn distribution_point(authority: &Authority, partition: Option<&str>) -> Option<String> {
    let crl = &authority.revocation["CrlConfiguration"];
    let omitted = crl["CrlDistributionPointExtensionConfiguration"]["OmitExtension"] == json!(true);
    (publishes(authority) && !omitted).then(|| url(authority, partition))
}

/// Returns the CRL's address.
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

/// Returns the bucket of the CRL.
pub(super) fn bucket(authority: &Authority) -> &str {
    authority.revocation["CrlConfiguration"]["S3BucketName"]
        .as_str()
        .unwrap_or_default()
}

/// Returns the key of the CRL in its bucket.
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

/// Returns the OCSP responder's address for certificates, or `None` if OCSP is disabled.
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
