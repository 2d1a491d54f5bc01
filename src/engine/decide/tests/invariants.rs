//! What holds for every graph, and every order in which steps end.
//!
//! [`Story`] itself compares each decision of its agenda with one that looks at everything.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    Beginning, Story, id,
    random::{Fortune, INNER, Kind, Node, fortune, graph, text},
};
use windlass_journal::{Event, Outcome, Status};

/// Plays a run to its end.
fn play(graph: &[Node], fortune: &Fortune) -> Story {
    let mut run = Beginning::of(&text(graph), &[("inner.yaml", INNER)])
        .at_most(fortune.at_most)
        .go();
    let mut running = run.take_started();
    for ends in 0.. {
        if fortune.dies_after == Some(ends) && run.state.outcome.is_none() {
            run.dies();
            run.resumes();
            running = run.take_started();
        }
        if running.is_empty() {
            break;
        }
        assert!(running.len() <= fortune.at_most, "{running:?}");
        let choice = fortune.order.get(ends).copied().unwrap_or_default();
        let attempt = running.remove(usize::from(choice) % running.len());
        if fails(fortune, &attempt) {
            run.fails(&attempt);
        } else {
            run.succeeds(&attempt);
        }
        running.extend(run.take_started());
    }
    run
}

/// Whether an attempt fails depends on its name alone, so that each order meets the same failures.
fn fails(fortune: &Fortune, attempt: &str) -> bool {
    let sum = attempt
        .bytes()
        .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    fortune.failing.contains(&(sum % 20))
}

/// Returns how each execution ended.
fn ended(run: &Story) -> BTreeMap<String, Status> {
    let steps = run.state.steps.iter();
    steps
        .map(|(id, instance)| (id.to_string(), instance.status))
        .collect()
}

fn is_settled(run: &Story, rank: usize) -> bool {
    run.state.status(&id(&format!("s{rank}"))).is_settled()
}

/// Lists the steps of the graph in the order in which something of them began.
fn begun(run: &Story) -> Vec<(usize, &str, usize)> {
    let events = run.history.iter().enumerate();
    let started = events.filter_map(|(at, (event, _))| match event {
        Event::StepStarted(started) => Some((at, started.step.as_str())),
        _ => None,
    });
    started
        .map(|(at, step)| (at, step, usize::from(step.as_bytes()[1] - b'0')))
        .collect()
}

/// Returns when a step was over.
fn over_at(run: &Story, rank: usize) -> usize {
    let name = format!("s{rank}");
    let is_end = |event: &Event| {
        let ends = matches!(
            event,
            Event::StepSucceeded(_) | Event::StepFailed(_) | Event::StepSkipped(_)
        );
        ends && event.step().is_some_and(|step| step.as_str() == name)
    };
    let at = run.history.iter().position(|(event, _)| is_end(event));
    at.unwrap_or(usize::MAX)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn every_run_ends_and_no_step_begins_twice_or_before_what_it_needs(
        graph in graph(),
        fortune in fortune(4),
    ) {
        let run = play(&graph, &fortune);
        let told = || format!("{}{:#?}", text(&graph), ended(&run));
        prop_assert!(run.state.outcome.is_some(), "it never ended: {}", told());
        let begun = begun(&run);
        let names: BTreeSet<_> = begun.iter().map(|(_, step, _)| step).collect();
        prop_assert_eq!(names.len(), begun.len(), "twice: {}", told());
        let is_finally = |rank: &usize| graph[*rank].kind == Kind::Finally;
        for (at, step, rank) in begun {
            for need in &graph[rank].needs {
                // Steps under `finally` also begin if those before them never run.
                let never_runs = is_finally(&rank) && !is_finally(need) && !is_settled(&run, *need);
                let is_over = never_runs || over_at(&run, *need) < at;
                prop_assert!(is_over, "{} before s{}: {}", step, need, told());
            }
        }
        let mut own = (0..graph.len()).filter(|rank| !is_finally(rank));
        let is_blocked = |rank: usize| !is_settled(&run, rank);
        let has_failed = |rank: usize| {
            run.status(&format!("s{rank}")) == Status::Failed && !graph[rank].tolerated
        };
        let fails = own.any(has_failed) || (0..graph.len()).filter(is_finally).any(has_failed);
        prop_assert_eq!(run.state.outcome == Some(Outcome::Failed), fails, "{}", told());
        for (rank, step) in graph.iter().enumerate() {
            let mut needs = step.needs.iter().copied();
            let is_stopped = needs.any(|need| {
                is_finally(&need) == is_finally(&rank) && (has_failed(need) || is_blocked(need))
            });
            prop_assert_eq!(is_blocked(rank), is_stopped, "s{}: {}", rank, told());
        }
    }

    #[test]
    fn the_order_in_which_steps_end_changes_nothing_but_the_order(
        graph in graph(),
        one in fortune(0),
        other in fortune(0),
    ) {
        let (one, other) = (play(&graph, &one), play(&graph, &other));
        prop_assert_eq!(one.state.outcome, Some(Outcome::Succeeded), "{}", text(&graph));
        prop_assert_eq!(ended(&one), ended(&other), "{}", text(&graph));
    }

    #[test]
    fn a_failure_stops_the_same_steps_whenever_it_happens(
        graph in graph(),
        one in fortune(4),
        order in prop::collection::vec(any::<u8>(), 40),
        at_most in 1_usize..5,
    ) {
        let other = Fortune { order, at_most, ..one.clone() };
        let (one, other) = (play(&graph, &one), play(&graph, &other));
        prop_assert_eq!(one.state.outcome, other.state.outcome, "{}", text(&graph));
        prop_assert_eq!(ended(&one), ended(&other), "{}", text(&graph));
    }

    #[test]
    fn a_run_that_dies_in_the_middle_ends_as_if_it_had_not(
        graph in graph(),
        fortune in fortune(0),
        after in 0_usize..12,
    ) {
        let whole = play(&graph, &fortune);
        let dies = Fortune { dies_after: Some(after), ..fortune };
        let died = play(&graph, &dies);
        prop_assert_eq!(whole.state.outcome, died.state.outcome, "{}", text(&graph));
        prop_assert_eq!(ended(&whole), ended(&died), "{}", text(&graph));
    }
}
