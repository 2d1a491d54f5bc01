//! Certificate revocation lists (CRLs), written to the bucket's folder.
//!
//! AWS takes up to half an hour; here a CRL is written when something changes, and signed again for each client that
//! downloads it. The database is authoritative: a CRL that could not be written because of a crash is written at the next
//! start.

use crate::bucket;
use crate::clock::Moment;
use crate::failure::{Code, Failure};
use crate::revocation::address;
use crate::rule::status::Status;
use crate::service::Service;
use crate::store::authority::{self, Authority};
use crate::store::certificate::{self, Revocation};
use crate::store::list;
use crate::x509::certificate::facts;
use crate::x509::crl::{Entry, List};
use crate::x509::key::SigningAlgorithm;
use windlass_ground::lock;

const DAY: Moment = 24 * 60 * 60 * 1000;

/// Writes the CRLs of an authority.
///
/// As on AWS, the request succeeds even if the bucket can't be written. The CRL is written again after the next change and
/// at the next start, and a client that downloads it over HTTP gets a new one in any case.
pub(crate) fn publish(service: &Service, arn: &str) {
    let _ = write(service, arn, |_| true);
}

/// Writes the CRLs that contain the revocation of a certificate: that of its partition, and the complete one.
pub(crate) fn publish_revocation(service: &Service, arn: &str, partition: Option<&str>) {
    // As above.
    let _ = write(service, arn, |list| list.is_none() || list == partition);
}

/// Writes the CRLs, if the authority publishes any and has a certificate.
fn write(
    service: &Service,
    arn: &str,
    wanted: impl Fn(Option<&str>) -> bool,
) -> Result<(), Failure> {
    let _alone = lock(&service.publishing);
    let now = service.options.clock.now();
    let authority = service
        .store
        .read(|connection| authority::find(connection, arn, now))?;
    if !is_published(&authority, now) {
        return Ok(());
    }
    let mut lists = lists(service, &authority)?;
    lists.retain(|list| wanted(list.as_deref()));
    for partition in lists {
        let list = make(service, &authority, partition.as_deref(), now)?;
        let key = address::key(&authority, partition.as_deref());
        bucket::put(
            &service.options.folder,
            address::bucket(&authority),
            &key,
            &list,
        )
        .map_err(|error| {
            Code::InternalFailure.says(format!("the CRL can't be written: {error}"))
        })?;
    }
    Ok(())
}

/// Writes the CRLs of all authorities.
pub(crate) fn publish_all(service: &Service) {
    let now = service.options.clock.now();
    let all = service
        .store
        .read(|connection| authority::all(connection, now));
    for authority in all.unwrap_or_default() {
        publish(service, &authority.arn);
    }
}

/// Returns the CRL at the path of a URL, signed now, or `None` if no authority publishes one there.
pub(crate) fn serve(service: &Service, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    let now = service.options.clock.now();
    let path = path.trim_start_matches('/');
    let all = service
        .store
        .read(|connection| authority::all(connection, now))?;
    for authority in all.iter().filter(|authority| is_published(authority, now)) {
        for partition in lists(service, authority)? {
            let key = address::key(authority, partition.as_deref());
            // S3 has two styles of addresses: with the bucket as host, or as the first part of the path.
            let with_bucket = format!("{}/{key}", address::bucket(authority));
            if path == key || path == with_bucket {
                return make(service, authority, partition.as_deref(), now).map(Some);
            }
        }
    }
    Ok(None)
}

fn is_published(authority: &Authority, now: Moment) -> bool {
    address::publishes(authority)
        && matches!(authority.status(now), Status::Active | Status::Disabled)
}

/// Returns every CRL that certificates refer to, so that none becomes outdated when the configuration changes, and the
/// complete CRL if there are no partitions. `None` is the complete CRL.
fn lists(service: &Service, authority: &Authority) -> Result<Vec<Option<String>>, Failure> {
    let mut lists = service
        .store
        .read(|connection| list::all(connection, &authority.arn))?;
    if !address::is_partitioned(authority) && !lists.contains(&None) {
        lists.push(None);
    }
    Ok(lists)
}

fn make(
    service: &Service,
    authority: &Authority,
    partition: Option<&str>,
    now: Moment,
) -> Result<Vec<u8>, Failure> {
    let broken = || Code::InternalFailure.says("the authority has no certificate that can be read");
    let identity = authority.identity.as_ref().ok_or_else(broken)?;
    let issuer = facts(&identity.certificate).ok_or_else(broken)?;
    let days = authority.revocation["CrlConfiguration"]["ExpirationInDays"]
        .as_i64()
        .unwrap_or(1);
    let lifetime = days * DAY;
    let (key, revoked) = service.store.read(|connection| {
        let key = service.key(connection, authority)?;
        // An entry remains until it was in a CRL that was issued after the certificate's expiry (RFC 5280, 3.3).
        let since = now - lifetime;
        let revoked = certificate::revoked(connection, &authority.arn, partition, since)?;
        Ok((key, revoked))
    })?;
    let entries = revoked.into_iter().map(entry).collect::<Vec<_>>();
    let url = partition.map(|partition| address::url(authority, Some(partition)));
    let algorithm = authority
        .configured("SigningAlgorithm")
        .and_then(SigningAlgorithm::named)
        .ok_or_else(broken)?;
    let list = List {
        issuer: &issuer.subject,
        issuer_key_identifier: &issuer.subject_key_identifier,
        // Milliseconds increase from one CRL to the next, also across several servers with the same folder.
        number: u64::try_from(now).unwrap_or_default(),
        this_update: now,
        next_update: now + lifetime,
        entries: &entries,
        part: url.as_deref(),
    };
    Ok(list.sign(&key, algorithm)?)
}

fn entry(revocation: Revocation) -> Entry {
    Entry {
        serial: data_encoding::HEXLOWER
            .decode(revocation.serial.as_bytes())
            .unwrap_or_default(),
        revoked_at: revocation.revoked_at,
        reason: revocation.reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::key::{KeyAlgorithm, SigningKey};

    /// Uses the longest entries and the longest signature, and as many requests in progress as possible.
    #[test]
    fn a_full_partition_is_smaller_than_1_mb() {
        let longest = || Entry {
            serial: vec![0x7f; 16],
            revoked_at: 4_000_000_000_000,
            reason: "KEY_COMPROMISE".to_owned(),
        };
        let under_way = 1000;
        let entries: Vec<Entry> = (0..address::LARGEST + under_way)
            .map(|_| longest())
            .collect();
        let url = "x".repeat(700);
        let list = List {
            issuer: &[0x30, 0],
            issuer_key_identifier: &[7; 20],
            number: u64::MAX,
            this_update: 0,
            next_update: 0,
            entries: &entries,
            part: Some(&url),
        };
        let (key, _) = SigningKey::generate(KeyAlgorithm::MlDsa87).unwrap();
        let bytes = list.sign(&key, SigningAlgorithm::MlDsa87).unwrap();
        let each = bytes.len() / entries.len();
        assert!(bytes.len() < 1_000_000, "{} bytes", bytes.len());
        assert!(each >= 50, "entries of {each} bytes are not the longest");
    }
}
