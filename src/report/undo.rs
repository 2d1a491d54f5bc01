use console::style;
use serde_json::{Value as Json, json};

use super::{object::call_line, plain::line};
use windlass_compile::Workflow;
use windlass_engine::execute::{self, UndoItem, UndoKind};
use windlass_journal::{RunId, State};
use windlass_script::Reversed;

const STAYS: &str = "can't be reversed, and stays:\n";
const LEFT: &str =
    "left as it is, because it has changed since the step ran, is in use, or was to be left:";

/// Formats what an undo would do: first what stays, then what is reversed, in order.
pub fn undo_plan(run: &RunId, items: &[UndoItem]) -> String {
    let part = |is_part: fn(&UndoKind) -> bool| -> Vec<&UndoItem> {
        items.iter().filter(|item| is_part(&item.kind)).collect()
    };
    let stays = part(|kind| matches!(kind, UndoKind::Stays));
    let left = part(|kind| matches!(kind, UndoKind::Left(_)));
    let already = part(|kind| matches!(kind, UndoKind::Already(_)));
    let goes = part(|kind| {
        matches!(
            kind,
            UndoKind::Reversed | UndoKind::Unknown | UndoKind::Unseen(_)
        )
    });
    let mut text = String::new();
    if !stays.is_empty() {
        text.push_str(STAYS);
        text.push_str(&grouped(&stays));
        text.push('\n');
    }
    text.push_str(&section(LEFT, &left));
    text.push_str(&section("nothing to reverse:", &already));
    if goes.is_empty() {
        text.push_str(&format!("nothing in run {run} can be reversed\n"))
    } else {
        let title = format!("to be reversed, in this order ({}):", goes.len());
        text.push_str(section(&title, &goes).trim_end());
        text.push('\n');
    }
    text
}

/// Lists what the undo of a run has not reversed.
pub fn not_reversed(workflow: &Workflow, state: &State) -> Vec<UndoItem> {
    let mut items = execute::stays(workflow, state);
    items.extend(found_changed(state));
    items
}

/// Formats what the undo of a run has not reversed, at most so many things of each kind; empty if there is nothing.
pub fn describe_not_reversed(workflow: &Workflow, state: &State, most: usize) -> String {
    let (stays, left): (Vec<_>, Vec<_>) = not_reversed(workflow, state)
        .into_iter()
        .partition(|item| item.kind == UndoKind::Stays);
    let first = |items: &[UndoItem], format: fn(&[&UndoItem]) -> String| {
        let shown: Vec<_> = items.iter().take(most).collect();
        let text = format(&shown);
        match items.len() - shown.len() {
            0 => text,
            more => format!("{}\n  … and {more} more\n", text.trim_end()),
        }
    };
    let mut text = String::new();
    if !stays.is_empty() {
        text.push_str(STAYS);
        text.push_str(&first(&stays, grouped));
        text.push('\n');
    }
    text.push_str(&first(&left, |left| section(LEFT, left)));
    text
}

/// Lists what the undo of a run found to be changed since the run, or in use.
fn found_changed(state: &State) -> impl Iterator<Item = UndoItem> {
    let undos = state.steps.iter();
    let undos = undos.filter_map(|(id, undo)| Some((id.undone()?, undo)));
    undos.flat_map(|(step, undo)| {
        let effects = undo.rounds().flat_map(|round| round.effects);
        let items = effects.filter_map(|effect| match Reversed::read(effect.result()?)? {
            Reversed::Left(why) => Some(UndoItem {
                step: step.clone(),
                what: call_line(&effect.call),
                kind: UndoKind::Left(why),
            }),
            _ => None,
        });
        items.collect::<Vec<_>>()
    })
}

fn section(title: &str, items: &[&UndoItem]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let mut text = format!("{title}\n");
    for item in items {
        let (mark, why) = match &item.kind {
            UndoKind::Reversed => (style("-").red(), None),
            UndoKind::Unknown => (style("?").yellow(), None),
            UndoKind::Unseen(why) => (style("?").yellow(), Some(why)),
            UndoKind::Stays => (style("!").yellow(), None),
            UndoKind::Left(why) => (style("!").yellow(), Some(why)),
            UndoKind::Already(why) => (style("=").dim(), Some(why)),
        };
        let why = why.map_or(String::new(), |why| format!(" ({})", line(why)));
        let (step, what) = (line(item.step.as_str()), line(&item.what));
        text.push_str(&format!("  {mark} {step}: {what}{why}\n"));
    }
    text.push('\n');
    text
}

/// Formats a line for each thing that stays; identical hints for several of them follow once.
fn grouped(stays: &[&UndoItem]) -> String {
    let mut groups: Vec<(Option<&str>, Vec<String>)> = Vec::new();
    for item in stays {
        let (what, advice) = match item.what.split_once("; ") {
            Some((what, advice)) => (what, Some(advice)),
            None => (item.what.as_str(), None),
        };
        let (step, what) = (line(item.step.as_str()), line(what));
        let line = format!("  {} {step}: {what}\n", style("!").yellow());
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

/// The same for programs.
pub fn undo_json(items: &[UndoItem]) -> Json {
    items
        .iter()
        .map(|item| {
            let (kind, why) = match &item.kind {
                UndoKind::Reversed => ("reversed", None),
                UndoKind::Already(why) => ("already", Some(why)),
                UndoKind::Left(why) => ("left", Some(why)),
                UndoKind::Unknown => ("unknown", None),
                UndoKind::Unseen(why) => ("unseen", Some(why)),
                UndoKind::Stays => ("stays", None),
            };
            json!({ "step": item.step, "what": item.what, "kind": kind, "why": why })
        })
        .collect()
}
