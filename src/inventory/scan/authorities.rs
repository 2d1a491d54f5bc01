use serde::Deserialize;
use time::{OffsetDateTime, macros::format_description};

use super::Scanned;
use crate::{place::Place, read::read};
use windlass_ground::Timestamp;
use windlass_world::{outside::PcaClient, value::Failure};

/// AWS answers 75 requests for certificates a second; more than this would take minutes.
const MOST: usize = 5_000;

/// A certificate of a CA's audit report (JSON), as the user guide's page "Use audit reports with your private CA" writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    pub certificate_arn: String,
    not_after: Option<String>,
    revoked_at: Option<String>,
}

impl AuditRow {
    /// Whether it is neither revoked nor expired at a moment.
    fn is_alive(&self, now: Timestamp) -> bool {
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
/// What is no such report.
pub fn read_audit_report(content: &[u8]) -> Result<Vec<AuditRow>, String> {
    serde_json::from_slice(content)
        .map_err(|e| format!("is not an audit report of AWS Private CA in JSON: {e}"))
}

/// Reads the certificates of all CAs that have one, and those that the rows of audit reports say are alive at a moment.
///
/// # Errors
/// CAs that can't be listed. What can't be read of one is a problem.
pub async fn authorities(
    pca: &PcaClient,
    rows: &[AuditRow],
    now: Timestamp,
    scanned: &mut Scanned,
) -> Result<(), Failure> {
    for authority in pca.list().await? {
        // Those have no certificate, or can't sign.
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
    let alive: Vec<&AuditRow> = rows.iter().filter(|row| row.is_alive(now)).collect();
    if alive.len() > MOST {
        let why = format!(
            "names {} certificates that are alive; the first {MOST} were read",
            alive.len()
        );
        scanned.problem("the audit report", why);
    }
    for row in alive.into_iter().take(MOST) {
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
