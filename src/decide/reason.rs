//! The words of a resume plan: why a step has the fate that it has.

use crate::{
    compile::Template,
    journal::{EffectState, Instance},
    script::{Class, Script},
};

pub(super) fn script_change(old: &Script, new: &Script) -> Option<String> {
    if old.digest == new.digest {
        return None;
    }
    Some(match (old.is_inline, old.text == new.text) {
        (false, true) => format!("something that {} imports has changed", new.path),
        _ => format!("its script ({}) has changed", new.path),
    })
}

/// What an unfinished step goes on with.
pub(super) fn going_on(instance: &Instance) -> String {
    let done = instance
        .effects
        .iter()
        .filter(|e| e.result().is_some())
        .count();
    let replayed = match done {
        0 => "begins".to_owned(),
        1 => "goes on after 1 recorded call".to_owned(),
        n => format!("goes on after {n} recorded calls"),
    };
    match instance.effects.last().filter(|effect| effect.is_unknown()) {
        Some(effect) => format!("{replayed}; {}", in_doubt(effect)),
        None => replayed,
    }
}

fn in_doubt(effect: &EffectState) -> String {
    let function = &effect.call.function;
    match effect.call.class {
        Class::Read => format!("{function} is made again"),
        Class::Keyed => format!("{function} is in doubt, and is made again under its key"),
        Class::Found => format!("{function} is in doubt, and is looked for first"),
        Class::Unsure => format!("{function} is in doubt: it needs --answer"),
    }
}

/// What a template reads: `params.region`, `steps.root_ca.arn`.
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
