//! A decision that looks at what changed is the decision that looks at everything: at every batch of random runs
//! with lists, nested workflows, conditions, questions, locks, retries, cancels, resumes and undos.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use windlass::{
    compile::{Sources, Workflow, compile},
    decide::{self, Agenda, Moment, Next},
    ground::Timestamp,
    journal::{
        ApprovalDecided, CallRecord, EffectEnded, EffectOutcome, Event, InstanceId, LockTaken,
        Outcome, Position, RunCancelled, State, Status, StepFailed, StepSucceeded, UndoStarted,
        Verdict,
    },
    script::Class,
    value::{Digest, StepError, Value},
};

use crate::dag::started;

/// One step of a random workflow; it may wait for any step before it.
#[derive(Clone, Debug)]
struct Random {
    needs: Vec<usize>,
    is_finally: bool,
    does: Does,
    runs: bool,
    continues: bool,
    /// How many items there are, and how many at once.
    items: Option<(usize, Option<usize>)>,
    fails_fast: bool,
    lock: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Script,
    Asks { expires: bool },
    Inner,
}

fn step(index: usize, can_nest: bool) -> impl Strategy<Value = Random> {
    let does = prop_oneof![
        5 => Just(Does::Script),
        1 => any::<bool>().prop_map(|expires| Does::Asks { expires }),
        2 => Just(if can_nest { Does::Inner } else { Does::Script }),
    ];
    let lock = prop_oneof![
        6 => Just(None),
        1 => Just(Some("one")),
        1 => Just(Some("two")),
        1 => Just(Some("${{ item ?? 'whole' }}")),
    ];
    (
        prop::collection::vec(0..index.max(1), 0..=2.min(index)),
        prop::bool::weighted(0.2),
        does,
        prop::bool::weighted(0.85),
        prop::bool::weighted(0.25),
        prop::option::weighted(0.4, (0_usize..5, prop::option::of(1_usize..3))),
        any::<bool>(),
        lock,
    )
        .prop_map(
            |(needs, is_finally, does, runs, continues, items, fails_fast, lock)| Random {
                needs,
                is_finally,
                does,
                runs,
                continues,
                items,
                fails_fast,
                lock: lock.filter(|lock| items.is_some() || !lock.contains("item")),
            },
        )
}

fn steps(most: usize, can_nest: bool) -> impl Strategy<Value = Vec<Random>> {
    (1..=most).prop_flat_map(move |count| {
        let steps: Vec<_> = (0..count).map(|i| step(i, can_nest).boxed()).collect();
        steps.prop_map(|mut steps| {
            steps[0].is_finally = false;
            // Nothing before it may read what stands under `finally`.
            let finally: Vec<bool> = steps.iter().map(|step| step.is_finally).collect();
            for step in steps.iter_mut().filter(|step| !step.is_finally) {
                step.needs.retain(|other| !finally[*other]);
            }
            steps
        })
    })
}

fn text(name: &str, lock: Option<&str>, undoes: bool, inner: &str, steps: &[Random]) -> String {
    let mut text = format!("workflow: {name}\n");
    if let Some(lock) = lock {
        text.push_str(&format!("lock: {lock}\n"));
    }
    if undoes {
        text.push_str("on_failure: undo\n");
    }
    for (section, is_finally) in [("steps", false), ("finally", true)] {
        if !steps.iter().any(|step| step.is_finally == is_finally) {
            continue;
        }
        text.push_str(&format!("{section}:\n"));
        let of_section = steps.iter().enumerate();
        for (index, step) in of_section.filter(|(_, step)| step.is_finally == is_finally) {
            text.push_str(&format!("  s{index}:\n"));
            text.push_str(&match step.does {
                Does::Script if is_finally => {
                    "    run: '()'\n    with: { how: \"${{ run.status }}\" }\n".to_owned()
                }
                Does::Script => "    run: '()'\n".to_owned(),
                Does::Asks { expires: true } => "    approval: Go?\n    timeout: 3s\n".to_owned(),
                Does::Asks { expires: false } => "    approval: Go?\n".to_owned(),
                Does::Inner => format!("    workflow: {inner}\n"),
            });
            let needs: Vec<_> = step.needs.iter().map(|other| format!("s{other}")).collect();
            text.push_str(&format!("    needs: [{}]\n", needs.join(", ")));
            if !step.runs {
                text.push_str("    when: ${{ 1 > 2 }}\n");
            }
            if step.continues {
                text.push_str("    on_error: continue\n");
            }
            if let Some(lock) = step.lock {
                text.push_str(&format!("    lock: \"{lock}\"\n"));
            }
            if let Some((count, at_once)) = step.items {
                let items: Vec<_> = (0..count).map(|item| format!("i{item}")).collect();
                text.push_str(&format!("    for_each: [{}]\n", items.join(", ")));
                if let Some(at_once) = at_once {
                    text.push_str(&format!("    max_parallel: {at_once}\n"));
                }
                if step.fails_fast {
                    text.push_str("    fail_fast: true\n");
                }
            }
        }
    }
    text
}

struct Texts(BTreeMap<String, String>);

impl Sources for Texts {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        let found = self.0.get(path).map(|text| text.as_str().into());
        found.ok_or_else(|| "it is not there".to_owned())
    }
}

#[derive(Clone, Debug)]
struct Case {
    outer: Vec<Random>,
    middle: Vec<Random>,
    inner: Vec<Random>,
    outer_lock: bool,
    middle_lock: bool,
    undoes: bool,
    at_once: usize,
    choices: Vec<u8>,
}

fn case() -> impl Strategy<Value = Case> {
    (
        steps(6, true),
        steps(4, true),
        steps(3, false),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.2),
        1_usize..5,
        prop::collection::vec(any::<u8>(), 60..240),
    )
        .prop_map(
            |(outer, middle, inner, outer_lock, middle_lock, undoes, at_once, choices)| Case {
                outer,
                middle,
                inner,
                outer_lock,
                middle_lock,
                undoes,
                at_once,
                choices,
            },
        )
}

impl Case {
    fn workflow(&self) -> Arc<Workflow> {
        let outer_lock = self.outer_lock.then_some("one");
        let middle_lock = self.middle_lock.then_some("two");
        let texts = [
            (
                "w.yaml",
                text("w", outer_lock, self.undoes, "m.yaml", &self.outer),
            ),
            (
                "m.yaml",
                text("m", middle_lock, false, "n.yaml", &self.middle),
            ),
            ("n.yaml", text("n", None, false, "", &self.inner)),
        ];
        let texts = texts.map(|(path, text)| (path.to_owned(), text));
        let mut sources = Texts(texts.into_iter().collect());
        compile("w.yaml", &mut sources)
            .unwrap_or_else(|e| panic!("{:?}\n{:?}", e.0, sources.0))
            .workflow
    }
}

/// Plays the driver and the world, as the choices say.
struct Play<'a> {
    workflow: &'a Workflow,
    state: State,
    agenda: Agenda,
    now: Timestamp,
    at_once: usize,
    running: Vec<InstanceId>,
    choices: std::slice::Iter<'a, u8>,
    /// What of it all happened, so that the test can't become one of nothing.
    seen: BTreeMap<&'static str, usize>,
}

/// All that a decision says.
fn told(next: &Next) -> String {
    let starts = next.starts.iter().map(|start| {
        let step = start.step.map(|step| step.name.as_str());
        (
            &start.instance,
            step,
            start.attempt,
            &start.inputs,
            start.is_finally,
        )
    });
    format!(
        "{:?}\n{:?}\nwake {:?}\nwants {:?}\nasks {}, retries {}",
        next.events,
        starts.collect::<Vec<_>>(),
        next.wake_at,
        next.wants,
        next.asks,
        next.retries
    )
}

impl<'a> Play<'a> {
    fn new(case: &'a Case, workflow: &'a Workflow) -> Self {
        let mut play = Self {
            workflow,
            state: State::default(),
            agenda: Agenda::default(),
            now: Timestamp::from_millis(1_000_000),
            at_once: case.at_once,
            running: Vec::new(),
            choices: case.choices.iter(),
            seen: BTreeMap::new(),
        };
        play.happens(started());
        play
    }

    fn happens(&mut self, event: Event) {
        self.state.apply(&event, self.now).expect("a legal event");
        self.agenda.note(self.workflow, &event, &self.state);
    }

    fn choice(&mut self) -> Option<usize> {
        self.choices.next().map(|choice| usize::from(*choice))
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn go(&mut self) {
        while self.decide_and_act().is_some() {}
    }

    /// `None` when there are no more choices.
    fn decide_and_act(&mut self) -> Option<()> {
        let next = loop {
            let moment = Moment {
                run_id: "r",
                now: self.now,
                max_parallel: self.at_once,
            };
            let whole = decide::next(self.workflow, &self.state, moment);
            let next = self.agenda.next(self.workflow, &self.state, moment);
            let (next_told, whole_told) = (told(&next), told(&whole));
            assert!(
                next_told == whole_told,
                "what changed:\n{next_told}\neverything:\n{whole_told}"
            );
            self.running
                .extend(next.starts.iter().map(|start| start.instance.clone()));
            let events = next.events.clone();
            if events.is_empty() {
                break next;
            }
            events.into_iter().for_each(|event| self.happens(event));
        };
        let choice = self.choice()?;
        if self.state.outcome.is_some() {
            self.saw("ended");
            assert!(self.running.is_empty());
            if self.state.is_undoing && self.state.outcome == Some(Outcome::Undone) {
                return None;
            }
            if self.state.is_undoing || choice < 80 {
                self.undo()
            } else {
                self.resume()
            }
            return Some(());
        }
        for want in &next.wants {
            let lock = &want.any_of[0];
            if choice % 3 != 0 && !self.state.locks.contains_key(lock) {
                self.saw("locks");
                self.happens(Event::LockTaken(LockTaken {
                    lock: lock.clone(),
                    step: want.step.clone(),
                }));
                return Some(());
            }
        }
        match choice % 16 {
            0 => self.now += Duration::from_secs(1),
            1 => self.now += Duration::from_secs(7),
            2 if choice > 200 => self.now -= Duration::from_secs(5),
            3 if choice > 200 => self.die(),
            4 if choice > 200 && !self.state.is_cancelled => {
                self.saw("cancels");
                self.happens(Event::RunCancelled(RunCancelled {
                    requester: "tester".into(),
                    via: None,
                }));
            }
            5..=7 => self.answer(choice)?,
            _ => self.end_one(choice)?,
        }
        Some(())
    }

    fn resume(&mut self) {
        self.saw("resumes");
        for event in decide::on_resume(self.workflow, &self.state, "tester") {
            self.happens(event);
        }
    }

    fn undo(&mut self) {
        self.saw("undos");
        self.happens(Event::UndoStarted(UndoStarted {
            requester: "tester".into(),
            via: None,
            error: None,
        }));
    }

    /// The process dies; another one goes on.
    fn die(&mut self) {
        self.saw("deaths");
        self.running.clear();
        if self.state.is_undoing {
            self.undo()
        } else {
            self.resume()
        }
    }

    fn answer(&mut self, choice: usize) -> Option<()> {
        let asked = self.state.steps.iter();
        let asked: Vec<_> = asked
            .filter(|(_, instance)| instance.status == Status::Waiting)
            .filter_map(|(id, instance)| Some((id.clone(), instance.approval.as_ref()?.digest)))
            .collect();
        let Some((step, digest)) = asked.get(choice % asked.len().max(1)).cloned() else {
            return self.end_one(choice);
        };
        self.saw("answers");
        self.happens(Event::ApprovalDecided(ApprovalDecided {
            step,
            verdict: match choice % 4 {
                0 => Verdict::Rejected,
                _ => Verdict::Approved,
            },
            approver: "somebody".into(),
            via: None,
            comment: None,
            digest,
        }));
        Some(())
    }

    fn end_one(&mut self, choice: usize) -> Option<()> {
        if self.running.is_empty() {
            self.now += Duration::from_millis(500);
            return Some(());
        }
        let step = self.running.remove(choice % self.running.len());
        let how = self.choice()?;
        let effects = self.state.instance(&step).map_or(0, |i| i.effects.len());
        if how % 3 == 0 && step.undone().is_none() {
            self.happens(Event::EffectEnded(EffectEnded {
                step: step.clone(),
                position: Position(effects as u32),
                call: Some(CallRecord {
                    function: "x::y".into(),
                    arguments: serde_json::Value::Null,
                    digest: Digest::ZERO,
                    class: Class::Keyed,
                }),
                outcome: EffectOutcome::Done(Value::Null),
            }));
        }
        let fails = |retry_at| {
            Event::StepFailed(StepFailed {
                step: step.clone(),
                error: StepError::new("x", "x"),
                retry_at,
            })
        };
        let event = match how {
            0..=20 if self.state.is_cancelled => Event::StepInterrupted { step },
            21..=50 => fails(Some(self.now + Duration::from_secs(2))),
            51..=70 => fails(None),
            _ => Event::StepSucceeded(StepSucceeded {
                step,
                outputs: Value::map::<&str>([]),
            }),
        };
        self.happens(event);
        Some(())
    }
}

#[test]
fn looking_at_what_changed_is_looking_at_everything() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let seen = std::cell::RefCell::new(BTreeMap::<&str, usize>::new());
    let outcome = runner.run(&case(), |case| {
        let workflow = case.workflow();
        let mut play = Play::new(&case, &workflow);
        play.go();
        for (what, count) in play.seen {
            *seen.borrow_mut().entry(what).or_default() += count;
        }
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{e}"));
    let seen = seen.into_inner();
    println!("{seen:?}");
    for what in [
        "answers", "cancels", "deaths", "ended", "locks", "resumes", "undos",
    ] {
        assert!(
            seen.get(what).is_some_and(|count| *count >= 20),
            "{what}: {seen:?}"
        );
    }
}
