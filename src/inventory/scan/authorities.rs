use serde::Deserialize;
use time::{OffsetDateTime, macros::format_description};

use super::Scanned;
use crate::place::Place;
use windlass_ground::{Timestamp, boxed};
use windlass_world::{outside::PcaClient, value::Failure, x509::holding::read};

/// The largest number of certificates that are read. AWS allows 75 GetCertificate requests a second, so more would take minutes.
const MOST: usize = 5_000;

/// A certificate in a CA's audit report in JSON. The format is on the page "Use audit reports with your private CA" of AWS's user guide.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    pub certificate_arn: String,
    not_after: Option<String>,
    revoked_at: Option<String>,
}

impl AuditRow {
    /// Returns whether it is neither revoked nor expired.
    fn is_valid(&self, now: Timestamp) -> bool {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second][offset_hour sign:mandatory][offset_minute]"
        );
        let until = self.not_after.as_deref();
        let until = until.and_then(|text| OffsetDateTime::parse(text, &format).ok());
        let is_over = until.is_some_and(|until| Timestamp::from(until) <= now);
        self.revoked_at.is_none() && !is_over
    }
}

/// Reads an audit report in JSON.
///
/// # Errors
/// Returns why the content is not such a report.
pub fn read_audit_report(content: &[u8]) -> Result<Vec<AuditRow>, String> {
    serde_json::from_slice(content)
        .map_err(|e| format!("is not an audit report of AWS Private CA in JSON: {e}"))
}

/// Reads the certificates of all CAs, and those certificates in the rows of audit reports that are neither revoked nor expired.
///
/// # Errors
/// Fails if the CAs can't be listed. A certificate that can't be read is added to the problems.
#[boxed]
pub async fn authorities(
    pca: &PcaClient,
    rows: &[AuditRow],
    now: Timestamp,
    scanned: &mut Scanned,
) -> Result<(), Failure> {
    for authority in pca.list().await? {
        // CAs in these states have no certificate, or can't sign.
        if ["CREATING", "PENDING_CERTIFICATE", "DELETED", "FAILED"].contains(&&*authority.status) {
            continue;
        }
        let arn = authority.arn;
        match pca.authority_certificate(&arn).await {
            Ok(signed) => {
                let place = Place::Authority { arn };
                scanned.add(&place, read(signed.certificate.as_bytes()));
            }
            Err(failure) => scanned.problem(format!("CA {arn}"), failure.to_string()),
        }
    }
    let valid: Vec<&AuditRow> = rows.iter().filter(|row| row.is_valid(now)).collect();
    if valid.len() > MOST {
        let why = format!(
            "has {} valid certificates; only the first {MOST} were read",
            valid.len()
        );
        scanned.problem("the audit report", why);
    }
    for row in valid.into_iter().take(MOST) {
        let arn = row.certificate_arn.clone();
        let Some((authority, _)) = arn.split_once("/certificate/") else {
            scanned.problem(arn, "is not the ARN of a certificate");
            continue;
        };
        match pca.certificate(authority, &arn).await {
            Ok(signed) => {
                scanned.add(&Place::Issued { arn }, read(signed.certificate.as_bytes()));
            }
            Err(failure) => scanned.problem(arn, failure.to_string()),
        }
    }
    Ok(())
}
