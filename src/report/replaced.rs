//! Shows what a phase replaces: the current and the future state of an object in a cluster.

use console::style;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use textwrap::{WordSeparator, WordSplitter};

use super::{
    plain::{cut, line},
    table::Room,
};
use windlass_compile::{Phase, Workflow};
use windlass_engine::decide;
use windlass_journal::State;
use windlass_world::value::Value;

/// How many clusters are listed in a line.
const NAMED: usize = 6;
/// How many digits of a serial number are shown to people; JSON contains all of them.
const SERIAL: usize = 8;

/// What a phase does to a part of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Removed,
    Added,
    Kept,
}

/// An object that a phase changes in the same way in one or more clusters, in words.
#[derive(Debug)]
pub struct ReplacedObject<'r> {
    /// Empty where the object says it all.
    pub clusters: Vec<&'r str>,
    pub object: &'r str,
    pub parts: Vec<(Fate, String)>,
    /// The workloads that restart, so that they read it.
    pub restarts: &'r [String],
}

/// A phase, and what it replaces; `None` is what is not known before the run has begun.
pub type Replacing<'w> = (&'w Phase, Option<Vec<Replaced>>);

/// One object that a phase changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replaced {
    /// A cluster's role, or another container of the object; `None` if `object` is enough.
    #[serde(default)]
    cluster: Option<String>,
    object: String,
    #[serde(default)]
    now: Vec<Json>,
    #[serde(default)]
    then: Vec<Json>,
    /// The workloads that restart, so that they read it.
    #[serde(default)]
    restarts: Vec<String>,
}

/// A certificate that exists or will be issued; a future one has no known serial number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificate {
    subject: String,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    serial: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    not_after: Option<String>,
    /// How long it will be valid.
    #[serde(default)]
    validity: Option<String>,
}

impl Replaced {
    /// Reads the result of a phase's `replaces`.
    ///
    /// # Errors
    /// The mistake, and its place.
    pub fn read(phase: &str, value: &Value) -> Result<Vec<Self>, String> {
        let about = format!("`replaces` of the phase {phase}");
        let Json::Array(rows) = value.to_json() else {
            return Err(format!(
                "{about}: expected a list of maps, found {}",
                value.a_kind()
            ));
        };
        let rows = rows.into_iter().enumerate().map(|(at, row)| {
            let wrong = |why: String| format!("{about}, row {}: {why}", at + 1);
            let row: Self = serde_json::from_value(row).map_err(|e| wrong(e.to_string()))?;
            for part in row.now.iter().chain(&row.then) {
                in_words(part).map_err(wrong)?;
            }
            Ok(row)
        });
        rows.collect()
    }

    /// Returns each part with its fate: first the current parts, then the new ones.
    fn parts(&self) -> Vec<(Fate, String)> {
        let now = self.now.iter().map(|part| {
            if self.then.contains(part) {
                (Fate::Kept, part)
            } else {
                (Fate::Removed, part)
            }
        });
        let comes = self.then.iter().filter(|part| !self.now.contains(part));
        let parts = now.chain(comes.map(|part| (Fate::Added, part)));
        // Every part was read before.
        let parts = parts.map(|(fate, part)| (fate, in_words(part).unwrap_or_default()));
        parts.collect()
    }

    /// Whether it differs from another one in the cluster alone.
    fn is_alike(&self, other: &Self) -> bool {
        (&self.object, &self.now, &self.then, &self.restarts)
            == (&other.object, &other.now, &other.then, &other.restarts)
    }
}

/// Formats what a phase replaces: each object with what is removed (`-`), added (`+`) and unchanged. Objects that change in the same
/// way in several clusters are shown once. `None` if that is not known before the run.
pub fn replaced(phase: &Phase, rows: Option<&[Replaced]>, room: Room) -> String {
    let indent = "    ";
    if phase.replaces.is_none() {
        return String::new();
    }
    let Some(rows) = rows else {
        return format!("{indent}Replaces: not known until the run has read the current state\n");
    };
    if rows.is_empty() {
        return format!("{indent}Replaces: nothing\n");
    }
    let mut text = format!("{indent}Replaces:\n");
    for object in replaced_objects(rows) {
        text.push_str(&of_object(&object, room));
    }
    text
}

/// Groups what a phase replaces: objects that change in the same way in several clusters become one.
pub fn replaced_objects(rows: &[Replaced]) -> Vec<ReplacedObject<'_>> {
    let mut groups: Vec<Vec<&Replaced>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| group[0].is_alike(row)) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    let objects = groups.into_iter().map(|group| ReplacedObject {
        clusters: group
            .iter()
            .filter_map(|row| row.cluster.as_deref())
            .collect(),
        object: &group[0].object,
        parts: group[0].parts(),
        restarts: &group[0].restarts,
    });
    objects.collect()
}

/// Works out what each phase of a workflow replaces, as far as that is known in the current state of a run.
///
/// # Errors
/// The mistake in the result of a phase's `replaces`.
pub fn replacing<'w>(
    workflow: &'w Workflow,
    state: &State,
    run: &str,
) -> Result<Vec<Replacing<'w>>, String> {
    let replaced = decide::replaced(workflow, state, run);
    let phases = workflow.phases.iter().map(|phase| {
        let rows = replaced.get(&phase.name);
        let rows = rows.map(|value| Replaced::read(&phase.name, value));
        Ok((phase, rows.transpose()?))
    });
    phases.collect()
}

/// The same for programs; `null` if that is not known before the run.
pub fn replaced_json(phases: &[Replacing]) -> Json {
    let phases = phases.iter().map(|(phase, rows)| {
        json!({
            "name": phase.name, "description": phase.description, "replaces": rows,
            "after": phase.after, "undo": phase.undo,
        })
    });
    phases.collect()
}

fn of_object(found: &ReplacedObject, room: Room) -> String {
    let clusters = &found.clusters;
    let places = match clusters.len() {
        0 => String::new(),
        count if count > NAMED => {
            let more = count - NAMED;
            format!("{} and {more} more: ", clusters[..NAMED].join(", "))
        }
        _ => format!("{}: ", clusters.join(", ")),
    };
    let mut text = wrapped("      ", &format!("{places}{}", found.object), 2, room);
    for (fate, words) in &found.parts {
        let marked = |mark: char| wrapped("        ", &format!("{mark} {words}"), 2, room);
        let part = match fate {
            Fate::Kept => wrapped("          ", words, 0, room),
            Fate::Removed => style(marked('-')).red().to_string(),
            Fate::Added => style(marked('+')).green().to_string(),
        };
        text.push_str(&part);
    }
    if !found.restarts.is_empty() {
        let restarts = format!("restarts {}", found.restarts.join(", "));
        text.push_str(&wrapped("        ", &restarts, 2, room));
    }
    text
}

/// A text in lines of the room's width; those after the first are indented further. A word that is longer, such as an
/// ARN, stays in one piece, so that it can be copied.
pub(super) fn wrapped(indent: &str, text: &str, further: usize, room: Room) -> String {
    let text = line(text);
    let Some(width) = room.width else {
        return format!("{indent}{}\n", text.trim_end());
    };
    let next = format!("{indent}{}", " ".repeat(further));
    let options = textwrap::Options::new(width)
        .initial_indent(indent)
        .subsequent_indent(&next)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    let lines = textwrap::wrap(&text, options);
    lines
        .iter()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// Formats a part of an object for people.
fn in_words(part: &Json) -> Result<String, String> {
    if let Json::String(text) = part {
        return Ok(text.clone());
    }
    let found: Certificate = serde_json::from_value(part.clone())
        .map_err(|e| format!("expected a string or a certificate: {e}"))?;
    let mut text = common_name(&found.subject).to_owned();
    match &found.serial {
        Some(serial) => text.push_str(&format!(", serial {}", short(serial))),
        None => text.push_str(", new"),
    }
    if let Some(end) = &found.not_after {
        let day = end.split('T').next().unwrap_or_default();
        text.push_str(&format!(", until {day}"));
    }
    if let Some(validity) = &found.validity {
        text.push_str(&format!(", valid for {validity}"));
    }
    match &found.issuer {
        Some(issuer) if *issuer == found.subject => text.push_str(", self-signed"),
        Some(issuer) => text.push_str(&format!(", issued by {}", common_name(issuer))),
        None => {}
    }
    Ok(text)
}

/// Returns `CN=x` of a name that has one, or else the whole name.
fn common_name(subject: &str) -> &str {
    let mut parts = subject.split(',').map(str::trim);
    parts
        .find(|part| part.starts_with("CN="))
        .unwrap_or(subject)
}

fn short(serial: &str) -> String {
    cut(&serial.replace(':', ""), SERIAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(json: Json) -> Result<Vec<Replaced>, String> {
        Replaced::read("trust", &Value::from_json(json))
    }

    fn phase() -> Phase {
        Phase {
            name: "trust".into(),
            description: None,
            replaces: Some(windlass_compile::Template::Literal(Value::Null)),
            after: None,
            undo: None,
            span: 0..0,
        }
    }

    fn narrow() -> Room {
        Room {
            width: Some(60),
            repeats: false,
        }
    }

    #[test]
    fn what_stays_goes_and_comes_has_its_own_mark_and_clusters_are_named_together() {
        let old = json!({ "subject": "CN=Root,O=A", "issuer": "CN=Root,O=A", "serial": "00:11:22:33:44:55", "not_after": "2036-11-25T00:00:00Z" });
        let new =
            json!({ "subject": "CN=Root G2,O=A", "issuer": "CN=Root G2,O=A", "validity": "3650d" });
        let of = |cluster: &str| json!({ "cluster": cluster, "object": "secret/ca", "now": [old], "then": [old, new], "restarts": ["deployment/agent"] });
        let leaf = json!({ "cluster": "mgmt", "object": "secret/leaf", "now": ["gone"], "then": ["come"] });
        let rows = rows(json!([of("a"), of("b"), leaf])).expect("rows");
        let text = replaced(&phase(), Some(&rows), narrow());
        let expected = [
            "    Replaces:",
            "      a, b: secret/ca",
            "          CN=Root, serial 00112233…, until 2036-11-25,",
            "          self-signed",
            "        + CN=Root G2, new, valid for 3650d, self-signed",
            "        restarts deployment/agent",
            "      mgmt: secret/leaf",
            "        - gone",
            "        + come",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_not_known_and_what_is_nothing_are_said() {
        let unknown = replaced(&phase(), None, narrow());
        assert!(
            unknown.contains("not known until the run has read"),
            "{unknown}"
        );
        let nothing = replaced(&phase(), Some(&[]), narrow());
        assert_eq!(nothing, "    Replaces: nothing\n");
    }

    #[test]
    fn a_row_that_is_none_is_refused_with_its_place() {
        let wrong = rows(json!([{ "object": "x" }, { "object": "y", "then": [{ "name": "z" }] }]));
        let why = wrong.expect_err("refused");
        assert!(
            why.starts_with(
                "`replaces` of the phase trust, row 2: expected a string or a certificate"
            ),
            "{why}"
        );
        let why = rows(json!({ "object": "x" })).expect_err("refused");
        assert_eq!(
            why,
            "`replaces` of the phase trust: expected a list of maps, found a map"
        );
    }
}
