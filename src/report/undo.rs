use console::style;
use serde_json::{Value as Json, json};

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
        text.push_str(&grouped(&stays));
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
        text.push_str(&format!("  {mark} {}: {}\n", item.step, item.what));
    }
    text
}

/// A line for each thing that stays; advice that is the same for several follows them once.
fn grouped(stays: &[&UndoItem]) -> String {
    let mut groups: Vec<(Option<&str>, Vec<String>)> = Vec::new();
    for item in stays {
        let (what, advice) = match item.what.split_once("; ") {
            Some((what, advice)) => (what, Some(advice)),
            None => (item.what.as_str(), None),
        };
        let line = format!("  {} {}: {what}\n", style("!").yellow(), item.step);
        match groups.iter_mut().find(|(known, _)| *known == advice) {
            Some((_, lines)) => lines.push(line),
            None => groups.push((advice, vec![line])),
        }
    }
    let texts = groups.into_iter().map(|(advice, lines)| {
        let advice = advice.map_or(String::new(), |advice| format!("    {advice}\n"));
        lines.concat() + advice.as_str()
    });
    texts.collect()
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
