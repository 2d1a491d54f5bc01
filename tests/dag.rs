//! Random graphs: what the scheduler decides is held against a small interpreter of the guide's
//! words, and against itself when it is cancelled and resumed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;
use windlass::{
    compile::{OnError, Sources, Workflow, compile},
    decide::{self, Moment},
    ground::Timestamp,
    journal::{
        Event, InstanceId, Outcome, RunCancelled, RunStarted, State, Status, StepFailed,
        StepStarted, StepSucceeded,
    },
    value::{Digest, StepError, Value},
};

const MOST_AT_ONCE: usize = 3;

/// One step of a random workflow; it may wait for any step before it.
#[derive(Clone, Debug)]
struct Random {
    needs: BTreeSet<usize>,
    is_finally: bool,
    runs: bool,
    continues: bool,
    /// `None` without `for_each`; otherwise how many items there are, and how many at once.
    items: Option<(usize, usize)>,
    /// Which executions fail: of the step (0), or of its items.
    failing: BTreeSet<usize>,
}

fn step(index: usize) -> impl Strategy<Value = Random> {
    (
        prop::collection::btree_set(0..index.max(1), 0..=3.min(index)),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.85),
        prop::bool::weighted(0.3),
        prop::option::weighted(0.3, (0_usize..4, 1_usize..3)),
        prop::collection::btree_set(0_usize..4, 0..=1),
        prop::bool::weighted(0.3),
    )
        .prop_map(
            |(needs, is_finally, runs, continues, items, failing, fails)| Random {
                needs,
                is_finally,
                runs,
                continues,
                items,
                failing: if fails { failing } else { BTreeSet::new() },
            },
        )
}

fn steps() -> impl Strategy<Value = Vec<Random>> {
    (1_usize..9).prop_flat_map(|count| {
        let mut steps: Vec<_> = (0..count).map(|index| step(index).boxed()).collect();
        // What stands under `finally` reads what it likes, but nothing before it reads that.
        steps.reverse();
        steps.reverse();
        steps.prop_map(|mut steps| {
            steps[0].is_finally = false;
            let finally: BTreeSet<_> = (0..steps.len()).filter(|i| steps[*i].is_finally).collect();
            for step in steps.iter_mut().filter(|step| !step.is_finally) {
                step.needs.retain(|other| !finally.contains(other));
            }
            steps
        })
    })
}

struct Text(String);

impl Sources for Text {
    fn read(&mut self, _: &str) -> Result<Arc<str>, String> {
        Ok(self.0.as_str().into())
    }
}

fn workflow(steps: &[Random]) -> Arc<Workflow> {
    let mut text = String::from("workflow: w\n");
    for (section, is_finally) in [("steps", false), ("finally", true)] {
        text.push_str(&format!("{section}:\n"));
        for (index, step) in steps
            .iter()
            .enumerate()
            .filter(|(_, s)| s.is_finally == is_finally)
        {
            let needs: Vec<_> = step.needs.iter().map(|other| format!("s{other}")).collect();
            text.push_str(&format!(
                "  s{index}:\n    run: '()'\n    needs: [{}]\n",
                needs.join(", ")
            ));
            if !step.runs {
                text.push_str("    when: ${{ 1 > 2 }}\n");
            }
            if step.continues {
                text.push_str("    on_error: continue\n");
            }
            if let Some((count, at_once)) = step.items {
                let items: Vec<_> = (0..count).map(|item| format!("i{item}")).collect();
                text.push_str(&format!(
                    "    for_each: [{}]\n    max_parallel: {at_once}\n",
                    items.join(", ")
                ));
            }
        }
    }
    compile("w.yaml", &mut Text(text))
        .expect("a workflow")
        .workflow
}

/// How each step ends, by the words of the guide; `None` for one that never runs.
fn interpret(steps: &[Random]) -> (BTreeMap<String, Option<Status>>, bool) {
    let mut ends: BTreeMap<usize, Option<Status>> = BTreeMap::new();
    let mut has_failed = false;
    for is_finally in [false, true] {
        for (index, step) in steps
            .iter()
            .enumerate()
            .filter(|(_, s)| s.is_finally == is_finally)
        {
            // What stands under `finally` runs however the others ended.
            let before: Vec<_> = step
                .needs
                .iter()
                .filter(|other| steps[**other].is_finally == is_finally)
                .map(|other| (ends[other], steps[*other].continues))
                .collect();
            let is_blocked = before.iter().any(|(end, continues)| {
                end.is_none() || (*end == Some(Status::Failed) && !continues)
            });
            let only_skipped =
                !before.is_empty() && before.iter().all(|(end, _)| *end == Some(Status::Skipped));
            let fails = match step.items {
                None => step.failing.contains(&0),
                Some((count, _)) => step.failing.iter().any(|item| *item < count),
            };
            let end = match () {
                () if is_blocked => None,
                () if only_skipped || !step.runs => Some(Status::Skipped),
                () if fails => Some(Status::Failed),
                () => Some(Status::Succeeded),
            };
            has_failed |= end.is_none() || (end == Some(Status::Failed) && !step.continues);
            ends.insert(index, end);
        }
    }
    let ends = ends
        .into_iter()
        .map(|(index, end)| (format!("s{index}"), end));
    (ends.collect(), has_failed)
}

/// Returns the first event of a run.
pub fn started() -> Event {
    Event::RunStarted(RunStarted {
        chosen: Default::default(),
        workflow: "w".into(),
        file: "w.yaml".into(),
        folder: String::new(),
        main: "w.yaml".into(),
        program: Digest::ZERO,
        kube: Default::default(),
        target: "t".into(),
        out: "out".into(),
        params: Value::map::<&str>([]),
        secrets: None,
        requester: "tester".into(),
        via: None,
        version: "0".into(),
        is_strict: true,
    })
}

/// Plays the driver, without threads: attempts end in the order that `choices` says.
struct Play<'a> {
    steps: &'a [Random],
    workflow: &'a Workflow,
    state: State,
    running: Vec<InstanceId>,
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl<'a> Play<'a> {
    fn new(steps: &'a [Random], workflow: &'a Workflow, choices: &'a [u8]) -> Self {
        let mut play = Self {
            steps,
            workflow,
            state: State::default(),
            running: Vec::new(),
            choices: choices.iter().cycle(),
        };
        play.happens(started());
        play
    }

    fn happens(&mut self, event: Event) {
        self.state
            .apply(&event, Timestamp::EPOCH)
            .expect("a legal event");
    }

    /// Goes on until the run has ended, or `cancel_after` attempts have.
    fn go(&mut self, cancel_after: Option<usize>) {
        let mut ended = 0;
        loop {
            loop {
                let moment = Moment {
                    run_id: "r",
                    now: Timestamp::EPOCH,
                    max_parallel: MOST_AT_ONCE,
                };
                let next = decide::next(self.workflow, &self.state, moment);
                let events = next.events;
                for start in &next.starts {
                    self.check_start(&start.instance);
                    self.running.push(start.instance.clone());
                }
                assert!(self.running.len() <= MOST_AT_ONCE);
                if events.is_empty() {
                    break;
                }
                events.into_iter().for_each(|event| self.happens(event));
            }
            if self.state.outcome.is_some() {
                assert!(self.running.is_empty());
                return;
            }
            assert!(
                !self.running.is_empty(),
                "nothing runs, and the run has not ended"
            );
            if cancel_after == Some(ended) && !self.state.is_cancelled {
                self.happens(Event::RunCancelled(RunCancelled {
                    requester: "tester".into(),
                    via: None,
                }));
            }
            let choice = usize::from(*self.choices.next().expect("a choice"));
            let step = self.running.remove(choice % self.running.len());
            self.end(step, choice);
            ended += 1;
        }
    }

    fn random(&self, id: &InstanceId) -> (&Random, usize) {
        let text = id.as_str();
        let (name, item) = text.split_once('[').unwrap_or((text, "i0]"));
        let index: usize = name[1..].parse().expect("a number");
        let item = item.trim_matches(['i', ']']).parse().expect("a number");
        (&self.steps[index], item)
    }

    fn end(&mut self, step: InstanceId, choice: usize) {
        let (random, item) = self.random(&step);
        let fails = random.failing.contains(&item);
        let is_stopped = self.state.is_cancelled && !random.is_finally && choice.is_multiple_of(2);
        self.happens(match (is_stopped, fails) {
            (true, _) => Event::StepInterrupted { step },
            (false, true) => Event::StepFailed(StepFailed {
                step,
                error: StepError::new("x", "x"),
                retry_at: None,
            }),
            (false, false) => Event::StepSucceeded(StepSucceeded {
                step,
                outputs: Value::map::<&str>([]),
            }),
        });
    }

    fn check_start(&self, id: &InstanceId) {
        let (random, _) = self.random(id);
        for other in &random.needs {
            let end = self
                .state
                .status(&InstanceId::step(None, &format!("s{other}")));
            let other = &self.steps[*other];
            let is_over = end.is_settled() || (random.is_finally && !other.is_finally);
            assert!(is_over, "{id} began before s{other:?} was over");
            let is_well = end != Status::Failed || other.continues || random.is_finally;
            assert!(is_well, "{id} began although what it needs has failed");
        }
        if let (Some((_, at_once)), Some(step)) = (random.items, id.parent()) {
            let siblings = self
                .running
                .iter()
                .filter(|other| other.parent().as_ref() == Some(&step));
            assert!(
                siblings.count() < at_once,
                "too many items of {step} at once"
            );
        }
    }

    #[track_caller]
    fn check_ends(&self) {
        let (wanted, has_failed) = interpret(self.steps);
        let ends: BTreeMap<_, _> = wanted
            .keys()
            .map(|name| {
                let end = self.state.status(&InstanceId::step(None, name));
                (name.clone(), (end != Status::Pending).then_some(end))
            })
            .collect();
        assert_eq!(ends, wanted);
        let outcome = if has_failed {
            Outcome::Failed
        } else {
            Outcome::Succeeded
        };
        assert_eq!(self.state.outcome, Some(outcome));
        for step in self.workflow.steps().map(|(_, step)| step) {
            assert!(step.on_error == OnError::Fail || step.on_error == OnError::Continue);
        }
    }
}

#[test]
fn a_clock_that_was_set_back_holds_up_no_retry() {
    let steps = [Random {
        needs: BTreeSet::new(),
        is_finally: false,
        runs: true,
        continues: false,
        items: None,
        failing: BTreeSet::new(),
    }];
    let workflow = workflow(&steps);
    let starts_at = |now: i64, retry_at: i64| {
        let mut play = Play::new(&steps, &workflow, &[0]);
        let step = InstanceId::step(None, "s0");
        play.happens(Event::StepStarted(StepStarted {
            step: step.clone(),
            attempt: 1,
            inputs: Some(Value::map::<&str>([])),
            items: None,
            is_scope: false,
            is_fresh: false,
            reads_again_from: None,
        }));
        play.happens(Event::StepFailed(StepFailed {
            step,
            error: StepError::new("x", "x"),
            retry_at: Some(Timestamp::from_millis(retry_at)),
        }));
        let moment = Moment {
            run_id: "r",
            now: Timestamp::from_millis(now),
            max_parallel: 1,
        };
        !decide::next(&workflow, &play.state, moment)
            .starts
            .is_empty()
    };
    assert!(!starts_at(1_000, 3_000), "it waits");
    assert!(starts_at(3_000, 3_000), "it is due");
    assert!(starts_at(9_000_000, 3_000), "the clock was set forward");
    assert!(starts_at(0, 3_600_000), "the clock was set back by an hour");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_end_as_the_guide_says(steps in steps(), choices in prop::collection::vec(any::<u8>(), 1..20)) {
        let workflow = workflow(&steps);
        let mut play = Play::new(&steps, &workflow, &choices);
        play.go(None);
        play.check_ends();
    }

    #[test]
    fn a_cancelled_and_resumed_graph_ends_as_an_uninterrupted_one(
        steps in steps(),
        choices in prop::collection::vec(any::<u8>(), 1..20),
        cancels in prop::collection::vec(0_usize..6, 1..4),
    ) {
        let workflow = workflow(&steps);
        let mut play = Play::new(&steps, &workflow, &choices);
        for cancel in cancels {
            play.go(Some(cancel));
            if play.state.outcome == Some(Outcome::Succeeded) {
                break;
            }
            for event in decide::on_resume(&workflow, &play.state, "tester") {
                play.happens(event);
            }
        }
        if play.state.outcome.is_none() {
            play.go(None);
        }
        play.check_ends();
    }
}

/// They resume as they began.
#[test]
fn runs_of_earlier_versions_read_a_missing_output_as_nothing() {
    let file = "workflow: w\nsteps:\n  a: { run: \"let m = #{ x: 1 }; m\" }\n  b: { when: \"${{ steps.a.y == true }}\", run: () }\n";
    let program = compile("w.yaml", &mut Text(file.into())).expect("a workflow");
    let workflow = program.workflow;
    for (is_strict, wanted) in [(true, Status::Failed), (false, Status::Skipped)] {
        let Event::RunStarted(begun) = started() else {
            panic!("a run begins with its start");
        };
        let mut state = State::default();
        let mut events = vec![Event::RunStarted(RunStarted { is_strict, ..begun })];
        while state.outcome.is_none() {
            for event in events {
                let applied = state.apply(&event, Timestamp::EPOCH);
                applied.expect("a legal event");
            }
            let moment = Moment {
                run_id: "r",
                now: Timestamp::EPOCH,
                max_parallel: MOST_AT_ONCE,
            };
            let next = decide::next(&workflow, &state, moment);
            let succeeded = next.starts.iter().map(|start| {
                Event::StepSucceeded(StepSucceeded {
                    step: start.instance.clone(),
                    outputs: Value::map([("x", Value::Int(1))]),
                })
            });
            events = next.events.iter().cloned().chain(succeeded).collect();
        }
        let ended = state.status(&InstanceId::step(None, "b"));
        assert_eq!(ended, wanted, "is_strict: {is_strict}");
    }
}
