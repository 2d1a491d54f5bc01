use console::style;
use serde_json::{Value as Json, json};

use super::plain::line;
use crate::{
    execute::{UndoItem, UndoKind},
    journal::RunId,
};

/// What an undo would do, for people: first what stays, then what is reversed, in its order.
pub fn undo_plan(run: &RunId, items: &[UndoItem]) -> String {
    let (stays, goes): (Vec<_>, Vec<_>) =
        items.iter().partition(|item| item.kind == UndoKind::Stays);
    let mut text = String::new();
    if !stays.is_empty() {
        text.push_str("can't be reversed, and stays:\n");
        for item in &stays {
            text.push_str(&format!(
                "  {} {}: {}\n",
                style("!").yellow(),
                line(item.step.as_str()),
                line(&item.what)
            ));
        }
        text.push('\n');
    }
    match goes.is_empty() {
        true => text.push_str(&format!("run {run} left nothing to reverse\n")),
        false => text.push_str(&format!(
            "to be reversed, in this order ({}):\n",
            goes.len()
        )),
    }
    for item in goes {
        let mark = match item.kind {
            UndoKind::Unknown => style("?").yellow(),
            _ => style("-").red(),
        };
        let (step, what) = (line(item.step.as_str()), line(&item.what));
        text.push_str(&format!("  {mark} {step}: {what}\n"));
    }
    text
}

/// The same for machines.
pub fn undo_json(items: &[UndoItem]) -> Json {
    items
        .iter()
        .map(|item| {
            let kind = match item.kind {
                UndoKind::Reversed => "reversed",
                UndoKind::Unknown => "unknown",
                UndoKind::Stays => "stays",
            };
            json!({ "step": item.step, "what": item.what, "kind": kind })
        })
        .collect()
}
