use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::table::{Room, Table};
use crate::decide::{Does, Foreseen, Preview};

/// What a run would do, for people: a line a step, with the calls that change something.
pub fn preview(steps: &[Preview], room: Room) -> String {
    let mut table = Table::new(&["STEP", "DOES", "CHANGES"]);
    for step in steps {
        let indent = "  ".repeat(step.step.depth());
        let name = step.step.last_part();
        table.row([
            format!("{indent}{name}"),
            does(step),
            changes(step).join(", "),
        ]);
    }
    table.render("  ", room)
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
        Some(Foreseen::Later) => text.push_str(" × as many as there will be"),
    }
    match step.runs {
        Foreseen::Known(true) => text,
        Foreseen::Known(false) => format!("skipped ({text})"),
        Foreseen::Later => format!("{text}, if its `when` says so"),
    }
}

/// The calls that change something outside.
fn changes(step: &Preview) -> Vec<String> {
    if step.runs == Foreseen::Known(false) {
        return Vec::new();
    }
    let changing = step.calls.iter().filter(|call| call.is_change());
    let texts: BTreeSet<_> = changing
        .map(|call| match call.about().kind {
            Some(kind) => format!("{} {kind}", call.function),
            None => call.function.to_owned(),
        })
        .collect();
    texts.into_iter().collect()
}

/// The same for machines.
pub fn preview_json(steps: &[Preview]) -> Json {
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
                "for_each": step.items.is_some(), "items": items(step.items),
                "changes": changes(step),
            })
        })
        .collect()
}
