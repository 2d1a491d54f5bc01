//! Shows the inventory of certificates: JSON, metrics for Prometheus, and what is due. `certificate_tree` draws it for people.

use console::style;
use serde_json::{Value as Json, json};

use super::{plain::line, style::counted, summary::shorten};
use windlass_ground::Timestamp;
use windlass_inventory::{Condition, Entry, Inventory, Origin, Place};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
/// The default time before expiry at which a certificate is due, but at most a third of its lifetime.
const DUE: i64 = 30 * DAY;

/// Selects the certificates to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pick {
    /// Only those in use that expire within this many seconds, have expired, or are not valid yet.
    pub due: Option<i64>,
    /// Only those in use that have expired.
    pub is_expired: bool,
    /// Also those that are used nowhere: superseded, revoked, only seen. A revoked one that is in use is always shown.
    pub is_all: bool,
}

impl Pick {
    /// Says whether a certificate is selected at this time.
    pub fn takes(&self, entry: &Entry, now: Timestamp) -> bool {
        if self.is_expired && (entry.left(now) > 0 || !entry.matters()) {
            return false;
        }
        if let Some(within) = self.due {
            let is_early = entry.starts_in(now).is_some();
            return entry.matters() && (entry.left(now) <= within || is_early);
        }
        let is_missed = entry.condition() == Condition::Orphaned;
        self.is_all || entry.matters() || entry.is_revoked_in_use() || is_missed
    }

    pub(super) fn is_due(&self, entry: &Entry, now: Timestamp) -> bool {
        entry.is_due(now, self.due.unwrap_or(DUE.min(entry.life() / 3)))
    }
}

/// Returns the certificates of an inventory as JSON, ordered by expiry. Times are RFC 3339, those of runs milliseconds since 1970.
pub fn inventory_json(inventory: &Inventory, pick: Pick, now: Timestamp) -> Json {
    let issuers = inventory.issuers();
    let picked = inventory.certificates.iter().zip(&issuers);
    let picked = picked.filter(|(entry, _)| pick.takes(entry, now));
    let certificates = picked.map(|(entry, issuer)| {
        let facts = &entry.facts;
        let issuer = issuer.map(|number| &inventory.certificates[number].facts.fingerprint);
        let superseded_by = entry.superseded_by.as_ref().map(|by| {
            json!({
                "fingerprint": by.fingerprint, "serial": by.serial,
                "run": by.by.run, "step": by.by.step, "at": by.by.at,
            })
        });
        json!({
            "subject": facts.subject,
            "names": facts.names,
            "serial": facts.serial,
            "issuer": facts.issuer,
            "issuer_fingerprint": issuer,
            "authority_key_id": facts.authority_key_id,
            "subject_key_id": facts.subject_key_id,
            "public_key_sha256": facts.key_digest,
            "fingerprint": facts.fingerprint,
            "is_ca": facts.is_ca,
            "not_before": facts.not_before.rfc3339(),
            "not_after": facts.not_after.rfc3339(),
            "days_left": entry.left(now) / DAY,
            "status": entry.condition().as_str(),
            "is_expired": entry.left(now) <= 0,
            "is_valid_yet": entry.starts_in(now).is_none(),
            "is_managed": entry.made_by.is_some(),
            "made_by": entry.made_by.as_ref().map(origin_json),
            "renewed_at": entry.renewed_at,
            "first_seen": entry.first_seen.as_ref().map(origin_json),
            "superseded_by": superseded_by,
            "places": entry.places,
        })
    });
    let problems = inventory
        .problems
        .iter()
        .map(|problem| json!({ "place": problem.place, "why": problem.why }));
    json!({
        "certificates": certificates.collect::<Vec<_>>(),
        "problems": problems.collect::<Vec<_>>(),
    })
}

/// Returns metrics in the text format of Prometheus: when each certificate in use expires, one line for each place.
pub fn inventory_metrics(inventory: &Inventory, pick: Pick, now: Timestamp) -> String {
    const EXPIRY: &str = "windlass_certificate_expiry_timestamp_seconds";
    let mut text = format!(
        "# HELP {EXPIRY} When a certificate expires, in seconds since 1970.\n# TYPE {EXPIRY} gauge\n"
    );
    let used = inventory.certificates.iter().filter(|e| e.matters());
    for entry in used.filter(|entry| pick.takes(entry, now)) {
        let facts = &entry.facts;
        let made_by = entry.made_by.as_ref();
        let workflow = made_by.map_or("", |origin| &origin.workflow);
        let step = made_by.map_or("", |origin| &origin.step);
        let renewed_by = match (made_by, &entry.renewed_at) {
            (Some(_), _) => "workflow",
            (None, Some(_)) => "controller",
            (None, None) => "",
        };
        for place in &entry.places {
            let labels = [
                ("subject", facts.subject.as_str()),
                ("issuer", &facts.issuer),
                ("serial", &facts.serial),
                ("fingerprint", &facts.fingerprint),
                ("place", &place.to_string()),
                // The same role of two targets is two places.
                ("target", place.target().unwrap_or_default()),
                ("status", entry.condition().as_str()),
                ("workflow", workflow),
                ("step", step),
                ("renewed_by", renewed_by),
            ]
            .map(|(name, value)| format!("{name}=\"{}\"", label(value)));
            let labels = labels.join(",");
            text.push_str(&format!(
                "{EXPIRY}{{{labels}}} {}\n",
                facts.not_after.as_secs()
            ));
        }
    }
    text.push_str(
        "# HELP windlass_certificates How many certificates are known, by status.\n# TYPE windlass_certificates gauge\n",
    );
    let all = [
        Condition::InUse,
        Condition::Superseded,
        Condition::Deleted,
        Condition::Orphaned,
        Condition::Revoked,
        Condition::Seen,
    ];
    for condition in all {
        let same = |entry: &&Entry| entry.condition() == condition;
        let count = inventory.certificates.iter().filter(same).count();
        let status = condition.as_str();
        text.push_str(&format!(
            "windlass_certificates{{status=\"{status}\"}} {count}\n"
        ));
    }
    text.push_str(&format!(
        "# HELP windlass_certificate_problems How many places could not be read.\n# TYPE windlass_certificate_problems gauge\nwindlass_certificate_problems {}\n",
        inventory.problems.len()
    ));
    text
}

/// A line for each certificate in use that is due within some seconds, or that is revoked: what, when, where, and what renews it.
/// One that a controller renews is due when the controller is late.
pub fn due_lines(inventory: &Inventory, within: i64, now: Timestamp) -> Vec<String> {
    let due = inventory
        .certificates
        .iter()
        .filter(|entry| entry.matters() && entry.is_due(now, within) || entry.is_revoked_in_use());
    due.map(|entry| {
        let places = distinct(&entry.places);
        let renewed = match &entry.made_by {
            Some(origin) => format!("made by {} ({})", origin.file, origin.step),
            None => match &entry.renewed_at {
                Some(place) => {
                    format!("a controller should have renewed it with the key in {place}")
                }
                None => "nothing renews it".to_owned(),
            },
        };
        let mut day = &entry.facts.not_after;
        let (mark, when) = match (entry.left(now), entry.starts_in(now)) {
            (_, Some(_)) if entry.facts.not_after <= entry.facts.not_before => (
                style("✗").red(),
                "is never valid: it ends before it begins".to_owned(),
            ),
            (_, Some(wait)) => {
                day = &entry.facts.not_before;
                (
                    style("✗").red(),
                    format!("is not valid for another {}", days(wait)),
                )
            }
            (left, _) if left <= 0 => (
                style("✗").red(),
                format!("expired {}", days(-left) + " ago"),
            ),
            (left, _) if entry.is_revoked => (
                style("✗").red(),
                format!("is revoked, and expires in {}", days(left)),
            ),
            (left, _) => (style("!").yellow(), format!("expires in {}", days(left))),
        };
        let text = format!(
            "{} {when} ({}): {}; {renewed}",
            name(entry),
            day.rfc3339(),
            places.join(", "),
        );
        format!("{mark} {}", line(&text))
    })
    .collect()
}

/// Describes places; those that differ only in their target, with it.
fn distinct(places: &[Place]) -> Vec<String> {
    let texts: Vec<_> = places.iter().map(ToString::to_string).collect();
    let is_twice = |text: &String| texts.iter().filter(|other| *other == text).count() > 1;
    let described = places.iter().zip(&texts);
    let described = described.map(|(place, text)| match place.target() {
        Some(target) if is_twice(text) => format!("{text} of the target {target}"),
        _ => text.clone(),
    });
    described.collect()
}

/// Describes what a check has covered if nothing is due within some seconds: the certificates in use, and those that
/// expire by then but that a controller still has time to renew.
pub fn nothing_due(inventory: &Inventory, within: i64, now: Timestamp) -> String {
    let used = || inventory.certificates.iter().filter(|e| e.matters());
    let period = days(within);
    let renewed: Vec<i64> = used()
        .filter(|entry| entry.renewed_at.is_some())
        .map(|entry| entry.left(now))
        .filter(|left| *left <= within)
        .collect();
    let sentence = format!(
        "no certificate in use expires within {period} ({} checked)",
        used().count()
    );
    match renewed.iter().min() {
        None => sentence,
        Some(next) => format!(
            "{sentence}, apart from {} that a controller renews, the next in {}",
            renewed.len(),
            days(*next)
        ),
    }
}

/// Returns the name of a certificate: its common name or subject, or its first alternative name if the subject is empty.
pub(super) fn name(entry: &Entry) -> String {
    match (entry.facts.subject.as_str(), entry.facts.names.first()) {
        ("", Some(name)) => name.clone(),
        ("", None) => format!("serial {}", entry.facts.serial),
        (subject, _) => common_name(subject),
    }
}

/// Returns the common name of a distinguished name, if it has one that needs no escapes.
pub(super) fn common_name(subject: &str) -> String {
    let plain = subject.split(',').find_map(|part| part.strip_prefix("CN="));
    match plain {
        Some(name) if !subject.contains('\\') => name.to_owned(),
        _ => shorten(subject),
    }
}

fn origin_json(origin: &Origin) -> Json {
    json!({
        "run": origin.run, "workflow": origin.workflow, "file": origin.file,
        "target": origin.target, "step": origin.step, "at": origin.at,
    })
}

/// Escapes the value of a label, as Prometheus's text format specifies.
pub fn label(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Formats seconds as days, or as hours for the last two days.
pub fn days(seconds: i64) -> String {
    match seconds {
        0..HOUR => counted((seconds / 60) as usize, "minute"),
        HOUR..172_800 => counted((seconds / HOUR) as usize, "hour"),
        _ => counted((seconds / DAY) as usize, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_inventory::Facts;

    /// Returns an inventory with a certificate that is valid from one day after 1970 to another.
    fn inventory(valid: (i64, i64), places: Vec<Place>) -> Inventory {
        let facts = Facts {
            fingerprint: "a".into(),
            subject: "CN=a".into(),
            issuer: "CN=root".into(),
            serial: "1".into(),
            not_before: Timestamp::from_secs(valid.0 * DAY),
            not_after: Timestamp::from_secs(valid.1 * DAY),
            names: Vec::new(),
            is_ca: true,
            key_digest: None,
            subject_key_id: None,
            authority_key_id: None,
        };
        let entry = Entry {
            places,
            ..Entry::new(facts)
        };
        Inventory {
            certificates: vec![entry],
            ..Inventory::default()
        }
    }

    fn trusted_by(target: &str) -> Place {
        Place::Object {
            target: Some(target.into()),
            cluster: "east".into(),
            namespace: "default".into(),
            object: "configmap/ca".into(),
            key: "ca.crt".into(),
        }
    }

    #[test]
    fn the_same_object_of_two_targets_is_two_series_and_two_places() {
        let places = vec![trusted_by("prod"), trusted_by("staging")];
        let found = inventory((0, 10), places);
        let metrics = inventory_metrics(&found, Pick::default(), Timestamp::EPOCH);
        let expiries = metrics.lines().filter(|line| line.contains("place="));
        let mut expiries: Vec<_> = expiries.collect();
        assert!(expiries[0].contains(",target=\"prod\","), "{expiries:?}");
        expiries.dedup();
        assert_eq!(expiries.len(), 2);
        let due = due_lines(&found, 30 * DAY, Timestamp::EPOCH);
        assert!(
            due[0].contains(
                "east: default configmap/ca ca.crt of the target prod, east: default configmap/ca ca.crt of the target staging;"
            ),
            "{due:?}"
        );
    }

    #[test]
    fn labels_are_escaped_as_prometheus_reads_them() {
        assert_eq!(label("O=\"A\\, B\"\n"), "O=\\\"A\\\\, B\\\"\\n");
    }

    #[test]
    fn time_left_is_in_days_until_it_is_short() {
        let day = |count: i64| days(count * DAY);
        assert_eq!(
            [day(3650), day(2), days(DAY), days(90), days(0)],
            ["3650 days", "2 days", "24 hours", "1 minute", "0 minutes"]
        );
    }
}
