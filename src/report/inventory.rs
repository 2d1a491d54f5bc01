//! Shows the inventory of certificates: a tree by issuer for people, JSON, and metrics for Prometheus.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use console::style;
use serde_json::{Value as Json, json};

use super::{
    clock::local_day,
    plain::line,
    style::counted,
    summary::{View, relative, shorten},
    table::Table,
};
use windlass_ground::Timestamp;
use windlass_inventory::{Condition, Entry, Inventory, Origin, Place};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;
/// The default time before expiry at which a certificate is due, but at most a third of its lifetime.
const DUE: i64 = 30 * DAY;

/// Selects the certificates to show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pick {
    /// Only those in use that expire within this many seconds, or have expired.
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
            return entry.matters() && entry.left(now) <= within;
        }
        let is_missed = entry.condition() == Condition::Orphaned;
        self.is_all || entry.matters() || entry.is_revoked_in_use() || is_missed
    }

    fn is_due(&self, entry: &Entry, now: Timestamp) -> bool {
        entry.is_due(now, self.due.unwrap_or(DUE.min(entry.life() / 3)))
    }
}

/// Draws the certificates below their issuers, with the time that each is still valid and its place. Issuers of shown certificates are shown, too.
pub fn inventory_tree(inventory: &Inventory, pick: Pick, view: View) -> String {
    let tree = Tree::new(inventory, pick, view.now);
    let mut rows = Vec::new();
    let mut strangers = BTreeSet::new();
    for root in tree.children(None) {
        let issuer = tree.stranger(root);
        match issuer {
            // A heading for all certificates of this issuer.
            Some(issuer) => {
                strangers.insert(issuer);
            }
            None => tree.draw(root, "", "", &mut rows),
        }
    }
    for issuer in strangers {
        rows.push(Row {
            branch: String::new(),
            node: Node::Stranger(issuer),
        });
        let issued: Vec<usize> = tree
            .children(None)
            .into_iter()
            .filter(|root| tree.stranger(*root) == Some(issuer))
            .collect();
        tree.draw_all(&issued, "", &mut rows);
    }
    let notes: Vec<String> = rows.iter().map(|row| note(inventory, row)).collect();
    let has_notes = notes.iter().any(|note| !note.is_empty());
    let heading: &[&str] = match has_notes {
        true => &["CERTIFICATE", "LEFT", "EXPIRES", "NOTE", "WHERE"],
        false => &["CERTIFICATE", "LEFT", "EXPIRES", "WHERE"],
    };
    let place = heading.len() - 1;
    let mut table = Table::new(heading)
        .keeping(1)
        .keeping(2)
        .naming(&[0, place]);
    for (row, note) in rows.iter().zip(notes) {
        let mut cells = cells(inventory, &tree, row, view.folder);
        if has_notes {
            cells.insert(3, note);
        }
        table.row(cells);
    }
    let mut text = table.render("", view.room);
    text.push_str(&format!("\n{}", tally(inventory, pick, view.now)));
    text
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
        for place in &entry.places {
            let labels = [
                ("subject", facts.subject.as_str()),
                ("issuer", &facts.issuer),
                ("serial", &facts.serial),
                ("fingerprint", &facts.fingerprint),
                ("place", &place.to_string()),
                ("status", entry.condition().as_str()),
                ("workflow", workflow),
                ("step", step),
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
        let places: Vec<_> = entry.places.iter().map(ToString::to_string).collect();
        let renewed = match &entry.made_by {
            Some(origin) => format!("made by {} ({})", origin.file, origin.step),
            None => match &entry.renewed_at {
                Some(place) => {
                    format!("a controller should have renewed it with the key in {place}")
                }
                None => "nothing renews it".to_owned(),
            },
        };
        let (mark, when) = match entry.left(now) {
            left if left <= 0 => (
                style("✗").red(),
                format!("expired {}", days(-left) + " ago"),
            ),
            left if entry.is_revoked => (
                style("✗").red(),
                format!("is revoked, and expires in {}", days(left)),
            ),
            left => (style("!").yellow(), format!("expires in {}", days(left))),
        };
        let text = format!(
            "{} {when} ({}): {}; {renewed}",
            name(entry),
            entry.facts.not_after.rfc3339(),
            places.join(", "),
        );
        format!("{mark} {}", line(&text))
    })
    .collect()
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

/// Which certificate is below which.
struct Tree<'i> {
    inventory: &'i Inventory,
    pick: Pick,
    now: Timestamp,
    issuers: Vec<Option<usize>>,
    /// The certificates that are shown.
    shown: BTreeSet<usize>,
    /// The shown certificates below each shown one, and those without a shown issuer.
    below: BTreeMap<Option<usize>, Vec<usize>>,
}

struct Row<'i> {
    branch: String,
    node: Node<'i>,
}

enum Node<'i> {
    Certificate(usize),
    /// An issuer whose certificate is not known.
    Stranger(&'i str),
}

impl<'i> Tree<'i> {
    fn new(inventory: &'i Inventory, pick: Pick, now: Timestamp) -> Self {
        let issuers = inventory.issuers();
        let mut shown = BTreeSet::new();
        for (number, entry) in inventory.certificates.iter().enumerate() {
            let mut next = Some(number).filter(|_| pick.takes(entry, now));
            // Adds its issuers, up to the root; two CAs that certify each other end the loop.
            while let Some(number) = next.filter(|number| shown.insert(*number)) {
                next = issuers[number];
            }
        }
        let mut tree = Self {
            inventory,
            pick,
            now,
            issuers,
            shown,
            below: BTreeMap::new(),
        };
        for number in tree.shown.clone() {
            let above = tree.issuers[number].filter(|issuer| !tree.is_above(number, *issuer));
            tree.below.entry(above).or_default().push(number);
        }
        for numbers in tree.below.values_mut() {
            numbers.sort_by_key(|number| {
                let facts = &inventory.certificates[*number].facts;
                (natural(&facts.subject), facts.not_after)
            });
        }
        tree
    }

    /// Says whether going up from its issuer leads back to a certificate.
    fn is_above(&self, number: usize, issuer: usize) -> bool {
        let (mut next, mut steps) = (Some(issuer), 0);
        while let Some(at) = next {
            if at == number || steps > self.issuers.len() {
                return true;
            }
            (next, steps) = (self.issuers[at], steps + 1);
        }
        false
    }

    fn children(&self, of: Option<usize>) -> Vec<usize> {
        self.below.get(&of).cloned().unwrap_or_default()
    }

    /// Returns the name of an issuer whose certificate is not known.
    fn stranger(&self, number: usize) -> Option<&'i str> {
        let facts = &self.inventory.certificates[number].facts;
        let is_unknown = self.issuers[number].is_none() && !facts.is_self_issued();
        is_unknown.then_some(facts.issuer.as_str())
    }

    fn draw(&self, number: usize, branch: &str, trunk: &str, rows: &mut Vec<Row<'i>>) {
        rows.push(Row {
            branch: branch.to_owned(),
            node: Node::Certificate(number),
        });
        self.draw_all(&self.children(Some(number)), trunk, rows);
    }

    fn draw_all(&self, numbers: &[usize], trunk: &str, rows: &mut Vec<Row<'i>>) {
        for (at, number) in numbers.iter().enumerate() {
            let (branch, below) = match at + 1 == numbers.len() {
                true => ("╰─ ", "   "),
                false => ("├─ ", "│  "),
            };
            let (branch, below) = (format!("{trunk}{branch}"), format!("{trunk}{below}"));
            self.draw(*number, &branch, &below, rows);
        }
    }
}

fn cells(inventory: &Inventory, tree: &Tree, row: &Row, folder: &Path) -> Vec<String> {
    let number = match row.node {
        Node::Certificate(number) => number,
        Node::Stranger(issuer) => {
            let name = format!(
                "{}{} {}",
                row.branch,
                style("·").dim(),
                line(&common_name(issuer))
            );
            return vec![name, String::new(), String::new(), String::new()];
        }
    };
    let entry = &inventory.certificates[number];
    let left = entry.left(tree.now);
    let is_context = !tree.pick.takes(entry, tree.now);
    let is_refused = entry.is_revoked_in_use();
    let is_off = is_context
        || matches!(
            entry.condition(),
            Condition::Superseded | Condition::Deleted | Condition::Revoked | Condition::Seen
        ) && !entry.matters()
            && !is_refused;
    let remaining = match left {
        left if left <= 0 => format!("expired {}", days(-left)),
        left => days(left),
    };
    let (mark, remaining) = match () {
        () if is_off => (style("-").dim(), style(remaining).dim()),
        () if left <= 0 => (style("✗").red(), style(remaining).red()),
        () if is_refused => (style("✗").red(), style(remaining)),
        () if tree.pick.is_due(entry, tree.now) => (style("!").yellow(), style(remaining).yellow()),
        () if entry.condition() == Condition::Orphaned => (style("?").yellow(), style(remaining)),
        () => (style("✓").green(), style(remaining)),
    };
    let date = local_day(entry.facts.not_after);
    vec![
        format!("{}{mark} {}", row.branch, line(&name(entry))),
        remaining.to_string(),
        date,
        line(&places(entry, folder)).into_owned(),
    ]
}

fn note(inventory: &Inventory, row: &Row) -> String {
    let Node::Certificate(number) = row.node else {
        return "issuer not known".into();
    };
    let entry = &inventory.certificates[number];
    let condition = match entry.condition() {
        Condition::InUse | Condition::Seen => None,
        other => Some(other.as_str()),
    };
    let renewed = entry.renewed_at.is_some().then_some("renewed there");
    let unmanaged = entry.is_unmanaged().then_some("unmanaged");
    let notes: Vec<&str> = [condition, renewed, unmanaged]
        .into_iter()
        .flatten()
        .collect();
    notes.join(", ")
}

/// Counts what is shown, and what is not.
fn tally(inventory: &Inventory, pick: Pick, now: Timestamp) -> String {
    let all = &inventory.certificates;
    let picked: Vec<&Entry> = all.iter().filter(|entry| pick.takes(entry, now)).collect();
    let expired = picked.iter().filter(|e| e.matters() && e.left(now) <= 0);
    let expired = expired.count();
    let due = picked.iter().filter(|e| e.matters() && pick.is_due(e, now));
    let due = due.count() - expired;
    let mut text = counted(picked.len(), "certificate");
    let revoked = picked.iter().filter(|e| e.is_revoked_in_use()).count();
    let counts = [
        (expired, "expired"),
        (due, "due"),
        (revoked, "revoked and in use"),
    ];
    for (count, what) in counts {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text.push('\n');
    let is_whole = pick.due.is_none() && !pick.is_expired;
    let hidden = all.len() - picked.len();
    if is_whole && hidden > 0 {
        text.push_str(&format!(
            "{hidden} not shown because they are no longer used; to show them: --all\n"
        ));
    }
    if picked.iter().any(|entry| entry.renewed_at.is_some()) {
        text.push_str(
            "renewed there: the issuer's key is in a cluster, so a controller in that cluster should renew the certificate\n",
        );
    }
    if picked.iter().any(|entry| entry.is_unmanaged()) {
        text.push_str("unmanaged: no known run issued it, so Windlass does not renew it\n");
    }
    if revoked > 0 {
        text.push_str("revoked: its CA revoked it, but it is still in use\n");
    }
    if picked.iter().any(|e| e.condition() == Condition::Orphaned) {
        text.push_str("orphaned: it was issued, but it is not in any known place\n");
    }
    text
}

/// Returns the name of a certificate: its common name or subject, or its first alternative name if the subject is empty.
fn name(entry: &Entry) -> String {
    match (entry.facts.subject.as_str(), entry.facts.names.first()) {
        ("", Some(name)) => name.clone(),
        ("", None) => format!("serial {}", entry.facts.serial),
        (subject, _) => common_name(subject),
    }
}

/// Returns the common name of a distinguished name, if it has one that needs no escapes.
fn common_name(subject: &str) -> String {
    let plain = subject.split(',').find_map(|part| part.strip_prefix("CN="));
    match plain {
        Some(name) if !subject.contains('\\') => name.to_owned(),
        _ => shorten(subject),
    }
}

/// Returns the most important place, and the number of others: objects are used by running programs, files are copies.
fn places(entry: &Entry, folder: &Path) -> String {
    let rank = |place: &&Place| match place {
        Place::Server { .. } => 0,
        Place::Object { .. } => 1,
        Place::File { .. } => 2,
        Place::Authority { .. } => 3,
        Place::Issued { .. } => 4,
    };
    let Some(first) = entry.places.iter().min_by_key(rank) else {
        return String::new();
    };
    let text = match first {
        Place::File { path } => relative(path, folder),
        place => place.to_string(),
    };
    match entry.places.len() {
        1 => text,
        count => format!("{text} +{}", count - 1),
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

/// Returns a key that orders `cluster-2` before `cluster-10`.
fn natural(text: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (words, number) = rest.split_at(digits);
        let end = number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(number.len());
        let (number, tail) = number.split_at(end);
        parts.push((words.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = tail;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["CN=cluster-10", "CN=cluster-2", "CN=cluster-1", ""];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["", "CN=cluster-1", "CN=cluster-2", "CN=cluster-10"]);
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
