//! Compares runs of a test: a run that was killed and resumed must end like one that was not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::{log::Answered, outcome::Outcome};
use crate::{script::Class, value::Digest};

/// The facts of a run that are compared, by name.
pub type Facts = BTreeMap<String, String>;

/// The facts in which two runs that were not killed agree, and all names in either of them: a random password, a serial number and the order
/// of parallel events are different each time, and show nothing about a third run.
pub struct Common {
    facts: Facts,
    names: BTreeSet<String>,
}

impl Common {
    pub fn of(one: &Outcome, other: &Outcome) -> Self {
        let (one, other) = (facts(one), facts(other));
        let names = one.keys().chain(other.keys()).cloned().collect();
        let facts = one
            .into_iter()
            .filter(|(name, fact)| other.get(name) == Some(fact));
        Self {
            facts: facts.collect(),
            names,
        }
    }

    /// Lists the differences of a run, one in each line; empty if there are none.
    pub fn differences(&self, outcome: &Outcome) -> Vec<String> {
        let found = facts(outcome);
        let mut differences = Vec::new();
        for (name, wanted) in &self.facts {
            match found.get(name) {
                Some(fact) if fact == wanted => {}
                Some(fact) => differences.push(format!("{name} is {fact}, not {wanted}")),
                None => differences.push(format!("{name} is missing ({wanted})")),
            }
        }
        let more = found.iter().filter(|(name, _)| !self.names.contains(*name));
        differences.extend(
            more.map(|(name, fact)| format!("{name} is {fact}, but exists in no other run")),
        );
        differences
    }
}

/// Returns a call's arguments without texts that the journal shortened: whether shortened texts with random parts are equal depends on their
/// lengths, so they can't be compared.
fn comparable(arguments: &Json) -> Json {
    match arguments {
        Json::String(text) if text.contains("… (") && text.ends_with(" bytes)") => "…".into(),
        Json::Array(items) => items.iter().map(comparable).collect(),
        Json::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), comparable(value)))
            .collect(),
        other => other.clone(),
    }
}

fn facts(outcome: &Outcome) -> Facts {
    let mut facts = Facts::new();
    let mut add = |name: String, fact: String| facts.insert(name, outcome.without_folder(&fact));
    add("the status of the run".into(), outcome.status().into());
    for (name, value) in outcome.outputs().as_map().into_iter().flatten() {
        add(format!("the output `{name}`"), value.to_string());
    }
    for (step, status) in outcome.steps() {
        add(format!("the status of `{step}`"), status.into());
    }
    let steps = outcome
        .state
        .steps
        .iter()
        .filter(|(id, _)| id.undone().is_none());
    for (id, step) in steps {
        let effects = step.rounds().flat_map(|round| round.effects);
        let done = effects.filter(|effect| effect.call.class != Class::Read && effect.is_done());
        for (number, effect) in done.enumerate() {
            let name = format!("change {number} of `{id}`");
            let arguments = &comparable(&effect.call.arguments);
            let whole = serde_json::to_vec(arguments).unwrap_or_default();
            add(
                format!("the arguments of {name}"),
                format!("{arguments} ({})", Digest::of_content(&whole)),
            );
            add(name, effect.call.function.clone());
        }
    }
    // A change that is repeated in doubt has the same key, and is one change to the other side.
    let mut changes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in &outcome.calls {
        if line.class != Class::Read && line.answer != Answered::Nobody {
            changes.entry(&line.function).or_default().insert(&line.key);
        }
    }
    for (function, keys) in changes {
        add(
            format!("the number of changes by `{function}`"),
            keys.len().to_string(),
        );
    }
    for (name, file) in &outcome.files {
        add(format!("the file `{name}`"), "there".into());
        add(
            format!("the content of the file `{name}`"),
            Digest::of_content(&file.content).to_string(),
        );
    }
    for step in &outcome.undone {
        add(format!("the undo of `{step}`"), "done".into());
    }
    add("the list of CAs".into(), outcome.authorities.to_string());
    facts
}
