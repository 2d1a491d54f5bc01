//! Explains a resume plan: why a step has its fate.

use super::shape::Shape;
use windlass_compile::{Step, Template, Workflow};
use windlass_journal::{EffectState, Instance};
use windlass_script::{Class, Script};

pub(super) fn script_change(old: &Script, new: &Script) -> Option<String> {
    if old.digest == new.digest {
        return None;
    }
    Some(match (old.is_inline, old.text == new.text) {
        (false, true) => format!("an import of {} has changed", new.path),
        _ => format!("its script ({}) has changed", new.path),
    })
}

/// Says whether a step ran once and now runs for each item, or the other way round: then neither its effects nor its outputs
/// fit any more.
pub(super) fn other_shape(step: &Step, was: &Shape) -> Option<&'static str> {
    match (step.for_each.is_some(), was) {
        (true, Shape::Once | Shape::Scope) => Some("it now runs once for each item"),
        (false, Shape::Each(_)) => Some("it now runs only once, not for each item"),
        _ => None,
    }
}

/// Says whether two editions of a workflow have the same outputs from the same steps.
pub(super) fn gives_the_same(old: &Workflow, new: &Workflow) -> bool {
    let (old, new) = (&old.outputs, &new.outputs);
    old.len() == new.len()
        && old
            .iter()
            .zip(new)
            .all(|((name, was), (other, is))| name == other && is.says_the_same(was))
}

/// Describes how much of an unfinished step is replayed.
pub(super) fn going_on(instance: &Instance) -> String {
    let read_again = instance.reads_again_from();
    let kept = read_again.map_or(instance.effects.len(), |first| first.0 as usize);
    let effects = instance.effects.iter().take(kept);
    let done = effects.filter(|e| e.result().is_some()).count();
    let after = match done {
        1 => "continues after 1 recorded call".to_owned(),
        n => format!("continues after {n} recorded calls"),
    };
    let replayed = match (done, read_again) {
        (0, None) => "begins".to_owned(),
        (0, Some(_)) => "reads again".to_owned(),
        (_, None) => after,
        (_, Some(_)) => format!("{after}, and reads again"),
    };
    match instance.effects.last().filter(|effect| effect.is_open()) {
        Some(effect) => format!("{replayed}; {}", in_doubt(effect)),
        None => replayed,
    }
}

/// Describes a call that a step which starts over may make a second time.
pub(super) fn lost_doubt(instance: &Instance) -> Option<String> {
    let last = instance.effects.last();
    let last = last.filter(|effect| effect.is_open() && effect.call.class != Class::Read)?;
    let function = &last.call.function;
    Some(format!(
        "{function} is in doubt: it may have been made, and would be made another time"
    ))
}

fn in_doubt(effect: &EffectState) -> String {
    let function = &effect.call.function;
    match effect.call.class {
        Class::Read => format!("{function} is repeated"),
        Class::Keyed => format!("{function} is in doubt, and is repeated under its key"),
        Class::Found => format!("{function} is in doubt, and is looked up first"),
        Class::Unsure => format!("{function} is in doubt: it needs --answer"),
    }
}

/// Lists what a template reads: `params.region`, `steps.root_ca.arn`.
pub(super) fn sources(template: &Template) -> Vec<String> {
    let mut found: Vec<_> = template
        .expressions()
        .iter()
        .flat_map(|placed| placed.expression.reads())
        .map(|read| {
            let path = read.path.iter().map(String::as_str);
            std::iter::once(read.root)
                .chain(path)
                .collect::<Vec<_>>()
                .join(".")
        })
        .collect();
    found.dedup();
    found
}
