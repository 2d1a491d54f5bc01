use std::collections::BTreeMap;

use windlass_ground::Timestamp;
use windlass_journal::{EffectOutcome, InstanceId, State};
use windlass_world::value::Value;

/// A certificate that a run wrote to a file.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenCertificate {
    pub subject: String,
    pub issuer: String,
    pub serial: String,
    /// RFC 3339.
    pub not_after: String,
    /// The file whose first certificate it is.
    pub file: String,
    pub step: InstanceId,
}

/// Lists the certificates that a run wrote, in the order in which they were written; each once, with its own file (a chain file
/// begins with the certificate of the issuer).
pub fn certificates(state: &State) -> Vec<WrittenCertificate> {
    let mut found: BTreeMap<(Timestamp, String), WrittenCertificate> = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for (step, instance) in &state.steps {
        for effect in &instance.effects {
            let Some(EffectOutcome::Done(result)) = &effect.outcome else {
                continue;
            };
            let (Some(file), Some(Value::List(certificates))) =
                (result.field("path"), result.field("certificates"))
            else {
                continue;
            };
            let Some(first) = certificates.first() else {
                continue;
            };
            let text = |key: &str| first.field(key).map(Value::to_text).unwrap_or_default();
            let (fingerprint, file) = (text("fingerprint"), file.to_text());
            // A file with only this certificate is preferred.
            let rank = (certificates.len(), file.len(), file.clone());
            match seen.get(&fingerprint) {
                Some((best, _)) if *best <= rank => continue,
                Some((_, key)) => {
                    found.remove(key);
                }
                None => {}
            }
            let key = (effect.at, file.clone());
            seen.insert(fingerprint, (rank, key.clone()));
            let certificate = WrittenCertificate {
                subject: text("subject"),
                issuer: text("issuer"),
                serial: text("serial"),
                not_after: text("not_after"),
                file,
                step: step.clone(),
            };
            found.insert(key, certificate);
        }
    }
    found.into_values().collect()
}
