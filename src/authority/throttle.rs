//! AWS's rates for each operation, account and region (the quotas page of AWS Private CA).

use std::collections::HashMap;
use std::sync::Mutex;

use crate::clock::Moment;
use windlass_ground::lock;

/// Buckets that fill with time. They are kept in memory, so a restart forgets at most one second of requests.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<(String, &'static str), Bucket>>);

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Moment,
}

impl Throttle {
    /// Returns whether another request is within the operation's rate. `who` is the account and region.
    pub fn admits(&self, who: &str, operation: &'static str, now: Moment) -> bool {
        let rate = f64::from(per_second(operation));
        let mut buckets = lock(&self.0);
        let bucket = buckets
            .entry((who.to_owned(), operation))
            .or_insert(Bucket {
                left: rate,
                at: now,
            });
        let passed = (now - bucket.at).max(0) as f64 / 1000.0;
        bucket.left = (bucket.left + passed * rate).min(rate);
        bucket.at = now;
        let admitted = bucket.left >= 1.0;
        if admitted {
            bucket.left -= 1.0;
        }
        admitted
    }
}

/// Returns how many requests of an operation AWS accepts in a second, for one account in one region.
pub fn per_second(operation: &str) -> u8 {
    match operation {
        "GetCertificate" => 75,
        "IssueCertificate" => 25,
        "DescribeCertificateAuthority"
        | "DescribeCertificateAuthorityAuditReport"
        | "GetCertificateAuthorityCertificate"
        | "ListCertificateAuthorities"
        | "ListTags"
        | "RestoreCertificateAuthority"
        | "RevokeCertificate" => 20,
        "DeletePolicy" | "GetPolicy" | "PutPolicy" | "ListPermissions" => 5,
        "CreateCertificateAuthority"
        | "CreateCertificateAuthorityAuditReport"
        | "CreatePermission"
        | "DeletePermission" => 1,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_with_time() {
        let throttle = Throttle::default();
        let issues = |now| throttle.admits("a", "IssueCertificate", now);
        assert_eq!((0..30).filter(|_| issues(1000)).count(), 25);
        assert!(!issues(1039));
        assert!(issues(1080));
        assert!(throttle.admits("b", "IssueCertificate", 1000));
    }
}
