//! Draws the inventory of certificates as a tree by issuer.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use console::style;

use super::{
    clock::local_day,
    inventory::{Pick, common_name, days, name},
    plain::line,
    style::counted,
    summary::{View, relative},
    table::Table,
};
use windlass_ground::Timestamp;
use windlass_inventory::{Condition, Entry, Inventory, Place};

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
    let heading: &[&str] = if has_notes {
        &["CERTIFICATE", "LEFT", "EXPIRES", "NOTE", "WHERE"]
    } else {
        &["CERTIFICATE", "LEFT", "EXPIRES", "WHERE"]
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
            let (branch, below) = if at + 1 == numbers.len() {
                ("╰─ ", "   ")
            } else {
                ("├─ ", "│  ")
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
    let wait = entry.starts_in(tree.now);
    let remaining = match (left, wait) {
        (_, Some(wait)) => format!("valid in {}", days(wait)),
        (left, _) if left <= 0 => format!("expired {}", days(-left)),
        (left, _) => days(left),
    };
    let (mark, remaining) = match () {
        () if is_off => (style("-").dim(), style(remaining).dim()),
        () if left <= 0 || wait.is_some() => (style("✗").red(), style(remaining).red()),
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
    let early = picked
        .iter()
        .filter(|e| e.matters() && e.starts_in(now).is_some());
    let early = early.count();
    let due = due.count() - expired - early;
    let mut text = counted(picked.len(), "certificate");
    let revoked = picked.iter().filter(|e| e.is_revoked_in_use()).count();
    let counts = [
        (expired, "expired"),
        (early, "not valid yet"),
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
}
