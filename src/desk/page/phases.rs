//! The phases of a run: the status of each, and what it replaces.

use maud::{Markup, html};

use super::{
    format::{class, mark, visible},
    steps::{Node, ORDER},
};
use windlass_compile::{Phase, Workflow};
use windlass_journal::{InstanceId, Outcome, State};
use windlass_report::{self as report, Fate, Replaced, Replacing};

/// The largest number of clusters that are named with an object.
const NAMED: usize = 6;

/// Returns the status of each phase of a run. `nodes` are the steps of its workflow.
pub fn phase_statuses<'w>(
    workflow: &'w Workflow,
    nodes: &[Node],
    state: &State,
) -> Vec<(&'w Phase, &'static str)> {
    let steps: Vec<_> = workflow.steps().map(|(_, step)| step).zip(nodes).collect();
    let phases = workflow.phases.iter().map(|phase| {
        let own = steps
            .iter()
            .filter(|(step, _)| step.phase.as_deref() == Some(&*phase.name));
        let own: Vec<_> = own.map(|(_, node)| *node).collect();
        let statuses: Vec<_> = own.iter().map(|node| node.status.as_str()).collect();
        let reversals = own.iter().flat_map(|node| reversals(state, &node.id));
        (phase, of_steps(&statuses, state), reversals.collect())
    });
    undone(phases.collect(), state)
}

/// Returns the statuses of the undos of a step and of everything inside of it.
fn reversals(state: &State, step: &InstanceId) -> Vec<&'static str> {
    let own = state.instance(&step.undo()).map(|it| it.status.as_str());
    let inside = state.inside(step);
    let inside = inside.filter(|(id, _)| id.undone().is_some());
    let inside = inside.map(|(_, it)| it.status.as_str());
    own.into_iter().chain(inside).collect()
}

/// Returns the status of a phase from the statuses of its steps.
fn of_steps(statuses: &[&str], state: &State) -> &'static str {
    let has = |wanted: &str| statuses.contains(&wanted);
    let over = ["skipped", "succeeded"];
    if statuses.iter().all(|status| over.contains(status)) {
        return if has("succeeded") {
            "succeeded"
        } else {
            "skipped"
        };
    }
    let at_work = ORDER.iter().take_while(|status| **status != "pending");
    let mut at_work = at_work.copied().filter(|status| has(status));
    match at_work.next() {
        Some(status) => status,
        // The run is between two steps of the phase.
        None if has("succeeded") && state.outcome.is_none() => "running",
        None if has("succeeded") => "interrupted",
        None => "pending",
    }
}

/// Replaces the statuses of phases that an undo has reached. It goes through the phases backwards, so the earliest phase with a reversal
/// is being undone, and the later ones are undone.
fn undone<'w>(
    phases: Vec<(&'w Phase, &'static str, Vec<&'static str>)>,
    state: &State,
) -> Vec<(&'w Phase, &'static str)> {
    let at = phases
        .iter()
        .position(|(.., reversals)| !reversals.is_empty());
    let is_over = state.outcome == Some(Outcome::Undone);
    let phases = phases.into_iter().enumerate();
    let phases = phases.map(|(number, (phase, status, reversals))| {
        let status = match reversals.is_empty() {
            true => status,
            false if reversals.contains(&"failed") => "undo failed",
            false if is_over || Some(number) != at => "undone",
            false => "undoing",
        };
        (phase, status)
    });
    phases.collect()
}

/// Draws the progress through the phases, with the description of the current phase and what holds since the last one ended.
pub fn stepper(phases: &[(&Phase, &'static str)]) -> Markup {
    let is_at_work = |status: &str| !matches!(status, "pending" | "skipped" | "succeeded");
    let current = phases.iter().find(|(_, status)| is_at_work(status));
    let ended = phases
        .iter()
        .rev()
        .find(|(_, status)| *status == "succeeded");
    html! {
        ol class="phases" {
            @for (phase, status) in phases {
                @let is_current = current.is_some_and(|(other, _)| other.name == phase.name);
                li class=(class(status)) data-phase=(phase.name) data-status=(status) aria-current=[is_current.then_some("step")] {
                    b { (title(&phase.name)) }
                    span { span aria-hidden="true" { (mark(status)) } " " (status) }
                }
            }
        }
        @if let Some((phase, _)) = current {
            @if let Some(text) = &phase.description { p { b { (title(&phase.name)) ": " } (text) } }
        }
        @if let Some((Phase { after: Some(text), name, .. }, _)) = ended {
            p class="quiet" { "Since the end of " (words(name)) ": " (text) }
        }
    }
}

/// Shows what phases replace, except for phases without `replaces`. The first `unfolded` phases are open.
pub fn replaced(phases: &[Replacing], unfolded: usize) -> Markup {
    let shown = phases.iter().filter(|(phase, _)| phase.replaces.is_some());
    html! {
        @for (number, (phase, rows)) in shown.enumerate() {
            details class="phase" data-phase=(phase.name) open[number < unfolded] {
                summary { b { (title(&phase.name)) } @if let Some(text) = &phase.description { ": " (text) } }
                (objects(rows.as_deref()))
                @if let Some(text) = &phase.after { p class="quiet" { b { "After it: " } (text) } }
                @if let Some(text) = &phase.undo { p class="quiet" { b { "To undo it: " } (text) } }
            }
        }
    }
}

fn objects(rows: Option<&[Replaced]>) -> Markup {
    let Some(rows) = rows else {
        return html! { p class="quiet" { "Not known yet: the run has to read the current state first." } };
    };
    html! {
        @if rows.is_empty() { p class="quiet" { "It replaces nothing." } }
        ul class="replaced" {
            @for object in report::replaced_objects(rows) {
                li {
                    p {
                        @if !object.clusters.is_empty() { b { (clusters(&object.clusters)) ": " } }
                        (visible(object.object))
                        @if !object.restarts.is_empty() {
                            span class="quiet" { ", restarts " (visible(&object.restarts.join(", "))) }
                        }
                    }
                    ul class="parts" {
                        @for (fate, words) in &object.parts {
                            @match fate {
                                Fate::Removed => li class="del" { span aria-hidden="true" { "− " } span class="unseen" { "removed: " } (visible(words)) },
                                Fate::Added => li class="ins" { span aria-hidden="true" { "+ " } span class="unseen" { "added: " } (visible(words)) },
                                Fate::Kept => li { span aria-hidden="true" { "  " } span class="unseen" { "stays: " } (visible(words)) },
                            }
                        }
                    }
                }
            }
        }
    }
}

fn clusters(all: &[&str]) -> String {
    match all.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{} and {more} more", visible(&all[..NAMED].join(", "))),
        _ => visible(&all.join(", ")),
    }
}

/// Returns the name of a phase as a title: `Issue server` for `issue_server`.
fn title(name: &str) -> String {
    let words = words(name);
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// Returns the name of a phase in words: `issue server` for `issue_server`.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_has_the_status_of_its_most_urgent_step() {
        let mut state = State::default();
        for (statuses, wanted) in [
            (vec!["pending", "pending"], "pending"),
            (vec!["skipped", "pending"], "pending"),
            (vec!["succeeded", "running", "pending"], "running"),
            (vec!["succeeded", "pending"], "running"),
            (vec!["running", "failed"], "failed"),
            (vec!["retrying", "running"], "retrying"),
            (vec!["succeeded", "skipped"], "succeeded"),
            (vec!["skipped", "skipped"], "skipped"),
        ] {
            assert_eq!(of_steps(&statuses, &state), wanted, "{statuses:?}");
        }
        state.outcome = Some(Outcome::Cancelled);
        assert_eq!(of_steps(&["succeeded", "pending"], &state), "interrupted");
    }

    #[test]
    fn an_undo_goes_through_the_phases_backwards() {
        let phase = |name: &str| Phase {
            name: name.into(),
            description: None,
            replaces: None,
            after: None,
            undo: None,
            span: 0..0,
        };
        let (a, b, c) = (phase("a"), phase("b"), phase("c"));
        let seen = |of_b: &[&'static str], of_c: &[&'static str], outcome| {
            let mut state = State::default();
            state.outcome = outcome;
            let all = vec![
                (&a, "succeeded", vec![]),
                (&b, "succeeded", of_b.to_vec()),
                (&c, "failed", of_c.to_vec()),
            ];
            let all = undone(all, &state).into_iter();
            all.map(|(_, status)| status).collect::<Vec<_>>()
        };
        assert_eq!(seen(&[], &[], None), ["succeeded", "succeeded", "failed"]);
        assert_eq!(
            seen(&[], &["running"], None),
            ["succeeded", "succeeded", "undoing"]
        );
        assert_eq!(
            seen(&["running"], &["succeeded"], None),
            ["succeeded", "undoing", "undone"]
        );
        let over = Some(Outcome::Undone);
        assert_eq!(
            seen(&["succeeded"], &["succeeded"], over),
            ["succeeded", "undone", "undone"]
        );
    }
}
