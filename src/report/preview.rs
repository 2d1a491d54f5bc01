use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{
    replaced::{Replaced, Replacing, replaced, wrapped},
    table::{Room, Table},
};
use windlass_compile::Phase;
use windlass_engine::{
    decide::{Does, Foreseen, Preview},
    execute::Obstacle,
};
use windlass_journal::InstanceId;

/// How many clusters are listed.
const NAMED: usize = 4;

/// Formats what a run would do: a line for each step, with the calls that change something; a table for each phase, with what it replaces, as
/// far as that is known.
pub fn preview(phases: &[Replacing], steps: &[Preview], room: Room) -> String {
    let parts = steps.chunk_by(|a, b| a.phase == b.phase);
    let texts: Vec<_> = parts
        .map(|steps| {
            let named = steps.first().and_then(|step| step.phase);
            match phases
                .iter()
                .find(|(phase, _)| Some(phase.name.as_str()) == named)
            {
                Some((phase, replaces)) => in_phase(phase, replaces.as_deref(), steps, room),
                None => outside_of_phases(steps, room),
            }
        })
        .collect();
    texts.join("\n")
}

fn outside_of_phases(steps: &[Preview], room: Room) -> String {
    let mut table = Table::new(&["STEP", "DOES", "CHANGES"]);
    for step in steps {
        table.row([name(step), does(step), changes(step).join(", ")]);
    }
    table.render("  ", room)
}

/// Formats a phase: what it replaces, what each of its steps does in which clusters, what is true after it, and what its undo
/// requires.
fn in_phase(phase: &Phase, replaces: Option<&[Replaced]>, steps: &[Preview], room: Room) -> String {
    let mut heading = format!("Phase {}", phase.name);
    if let Some(description) = &phase.description {
        heading.push_str(&format!(": {}", description.trim()));
    }
    let mut text = wrapped("  ", &heading, 2, room);
    if steps.iter().all(|step| step.runs == Foreseen::Known(false)) {
        text.push_str("    No step of this phase runs.\n");
        return text;
    }
    text.push_str(&replaced(phase, replaces, room));
    let mut table = Table::new(&["STEP", "IN", "DOES", "CHANGES"]);
    for step in steps.iter().filter(|step| !is_in_skipped(step, steps)) {
        let does = match step.description {
            Some(description) if step.runs != Foreseen::Known(false) => description.trim().into(),
            _ => does(step),
        };
        table.row([name(step), clusters(step), does, changes(step).join(", ")]);
    }
    text.push_str(&table.render("    ", room));
    for (what, said) in [("After it", &phase.after), ("Undo", &phase.undo)] {
        if let Some(said) = said {
            text.push_str(&wrapped(
                "    ",
                &format!("{what}: {}", said.trim()),
                2,
                room,
            ));
        }
    }
    text
}

/// Says whether a step is within a nested workflow that is skipped, which is shown as one line.
fn is_in_skipped(step: &Preview, steps: &[Preview]) -> bool {
    let parent = step.step.parent();
    parent.is_some_and(|parent| {
        steps
            .iter()
            .any(|other| other.step == parent && other.runs == Foreseen::Known(false))
    })
}

fn name(step: &Preview) -> String {
    let indent = "  ".repeat(step.step.depth());
    format!("{indent}{}", step.step.last_part())
}

/// Returns the clusters of a step, or of its items.
fn clusters(step: &Preview) -> String {
    match (&step.cluster, step.names.as_slice(), step.items) {
        (Some(cluster), ..) => cluster.clone(),
        (None, [], Some(_)) => "not known yet".into(),
        (None, names, _) if names.len() > NAMED => {
            let more = names.len() - NAMED;
            format!("{} and {more} more", names[..NAMED].join(", "))
        }
        (None, names, _) => names.join(", "),
    }
}

fn does(step: &Preview) -> String {
    let mut text = match &step.does {
        Does::Script(path) | Does::Workflow(path) => (*path).to_owned(),
        Does::Asks(Some(question)) => format!("asks: {question}"),
        Does::Asks(None) => "asks".into(),
    };
    match step.items {
        None => {}
        Some(Foreseen::Known(n)) => text.push_str(&format!(" × {n}")),
        Some(Foreseen::Later) => text.push_str(" × number of items (not known yet)"),
    }
    match step.runs {
        Foreseen::Known(true) => text,
        Foreseen::Known(false) => format!("skipped ({text})"),
        Foreseen::Later => format!("{text}, if its `when` is true"),
    }
}

/// Lists the calls that change something outside.
fn changes(step: &Preview) -> Vec<String> {
    if step.runs == Foreseen::Known(false) {
        return Vec::new();
    }
    let changing = step.calls.iter().filter(|call| call.is_change());
    let texts: BTreeSet<_> = changing
        .map(|call| match (call.aws_operation(), call.about().kind) {
            (Some((Some(service), Some(operation))), _) => {
                format!("{} {service}:{operation}", call.function)
            }
            (_, Some(kind)) => format!("{} {}", call.function, kind.to_ascii_lowercase()),
            (_, None) => call.function.to_owned(),
        })
        .collect();
    texts.into_iter().collect()
}

/// Formats what the clusters would reject of a run; empty if they would reject nothing.
pub fn obstacles(found: &[Obstacle]) -> String {
    let mut text = String::new();
    let (sure, open): (Vec<_>, Vec<_>) = found.iter().partition(|obstacle| obstacle.is_sure);
    for (title, obstacles) in [
        ("these steps would fail", sure),
        (
            "these steps would fail now, but earlier steps may prevent that",
            open,
        ),
    ] {
        if !obstacles.is_empty() {
            text.push_str(&format!("\n{title}:\n"));
        }
        for Obstacle { step, error, .. } in obstacles {
            let place = error.place.as_ref();
            let place = place.map_or(String::new(), |place| format!(" ({place})"));
            text.push_str(&format!("  {step}{place}: {error}\n"));
            if let Some(hint) = &error.hint {
                text.push_str(&format!("    hint: {hint}\n"));
            }
        }
    }
    text
}

/// The same for programs. `refused` lists what the clusters would reject of a step.
pub fn preview_json(steps: &[Preview], obstacles: &[Obstacle]) -> Json {
    let foreseen = |runs: Foreseen<bool>| match runs {
        Foreseen::Known(runs) => json!(runs),
        Foreseen::Later => Json::Null,
    };
    let items = |items: Option<Foreseen<usize>>| match items {
        Some(Foreseen::Known(n)) => json!(n),
        _ => Json::Null,
    };
    steps
        .iter()
        .map(|step| {
            let (kind, what) = match &step.does {
                Does::Script(path) => ("script", Some((*path).to_owned())),
                Does::Workflow(path) => ("workflow", Some((*path).to_owned())),
                Does::Asks(question) => ("approval", question.clone()),
            };
            json!({
                "step": step.step, kind: what, "runs": foreseen(step.runs),
                "phase": step.phase, "description": step.description,
                "cluster": step.cluster, "names": step.names,
                "for_each": step.items.is_some(), "items": items(step.items),
                "changes": changes(step),
                "refused": refused(step, obstacles),
            })
        })
        .collect()
}

fn refused(step: &Preview, obstacles: &[Obstacle]) -> Vec<Json> {
    let steps_of = |id: &InstanceId| -> Vec<String> {
        let segments = id.segments();
        segments.map(|segment| segment.name.to_owned()).collect()
    };
    let own = steps_of(&step.step);
    let found = obstacles
        .iter()
        .filter(|found| steps_of(&found.step) == own);
    found
        .map(|Obstacle { step, error, is_sure }| {
            json!({
                "instance": step, "code": error.code, "message": error.message, "hint": error.hint,
                "place": error.place, "sure": is_sure,
            })
        })
        .collect()
}
