use super::{
    super::{
        event::{CallRecord, EffectOutcome},
        id::Position,
        message::Verdict,
        payload::{ApprovalAsked, RunCancelled, RunStarted, UndoStarted},
    },
    *,
};
use windlass_script::Class;
use windlass_world::value::Digest;

const HOUR: i64 = 3_600_000;
const BEGIN: Timestamp = Timestamp::EPOCH;

fn started() -> State {
    let mut state = State::default();
    let event = Event::RunStarted(RunStarted {
        workflow: "w".into(),
        folder: String::new(),
        file: "w.yaml".into(),
        main: "w.yaml".into(),
        program: Digest::ZERO,
        target: "t".into(),
        kube: BTreeSet::new(),
        chosen: BTreeSet::new(),
        out: "out".into(),
        params: Value::Null,
        secrets: None,
        requester: "tester".into(),
        via: None,
        version: "0".into(),
        is_strict: true,
    });
    state.apply(&event, BEGIN).expect("legal");
    state
}

fn begins(step: &InstanceId, attempt: u32, is_scope: bool) -> Event {
    Event::StepStarted(StepStarted {
        step: step.clone(),
        attempt,
        inputs: None,
        items: None,
        is_scope,
        is_fresh: false,
        reads_again_from: None,
    })
}

#[test]
fn e2_times_leave_out_the_time_without_a_driver() {
    let (outer, asks) = (
        InstanceId::step(None, "outer"),
        InstanceId::step(None, "go"),
    );
    let inner = InstanceId::step(Some(&outer), "inner");
    let resumed = || {
        Event::RunResumed(RunResumed {
            requester: "tester".into(),
            via: None,
            keeps: Vec::new(),
            redo: Vec::new(),
        })
    };
    let done = |step: &InstanceId| {
        Event::StepSucceeded(StepSucceeded {
            step: step.clone(),
            outputs: Value::Null,
        })
    };
    let asked = Event::ApprovalAsked(ApprovalAsked {
        step: asks.clone(),
        attempt: 1,
        message: "Go?".into(),
        digest: Digest::ZERO,
        deadline: None,
    });
    let mut state = started();
    let story = [
        (begins(&outer, 1, true), 0),
        (begins(&inner, 1, false), 0),
        // The process dies one second later, and a day passes.
        (resumed(), 24 * HOUR),
        (begins(&inner, 2, false), 24 * HOUR),
        (done(&inner), 24 * HOUR + 2000),
        (asked, 24 * HOUR + 2000),
        // Another day until a resume.
        (Event::RunSuspended, 24 * HOUR + 2000),
        (resumed(), 48 * HOUR),
        (done(&outer), 48 * HOUR),
    ];
    for (event, at) in story {
        state
            .apply(&event, Timestamp::from_millis(at))
            .expect("legal");
    }
    assert_eq!(state.worked, 2000);
    for step in [&outer, &inner] {
        assert_eq!(state.instance(step).map(|i| i.worked), Some(2000), "{step}");
    }
}

/// Returns every kind of event, about one instance and about a run.
fn all_kinds(step: &InstanceId) -> Vec<Event> {
    let step = || step.clone();
    let call = || CallRecord {
        function: "x::y".into(),
        arguments: serde_json::Value::Null,
        digest: Digest::ZERO,
        class: Class::Keyed,
    };
    let outcome = || EffectOutcome::Done(Value::Null);
    let position = Position(0);
    let requester = || "tester".to_owned();
    let ended = |call| {
        Event::EffectEnded(EffectEnded {
            step: step(),
            position,
            call,
            outcome: outcome(),
        })
    };
    let failed = |retry_at| {
        Event::StepFailed(StepFailed {
            step: step(),
            error: StepError::new("script-error", "x"),
            retry_at,
        })
    };
    let lock = || "lock".to_owned();
    vec![
        begins(&step(), 1, false),
        begins(&step(), 2, false),
        Event::StepSucceeded(StepSucceeded {
            step: step(),
            outputs: Value::Null,
        }),
        failed(None),
        failed(Some(BEGIN)),
        Event::StepSkipped(StepSkipped {
            step: step(),
            reason: "no".into(),
        }),
        Event::StepInterrupted { step: step() },
        Event::StepReset { step: step() },
        Event::StepReopened { step: step() },
        Event::ApprovalAsked(ApprovalAsked {
            step: step(),
            attempt: 1,
            message: "Go?".into(),
            digest: Digest::ZERO,
            deadline: None,
        }),
        Event::ApprovalDecided(ApprovalDecided {
            step: step(),
            verdict: Verdict::Approved,
            approver: requester(),
            via: None,
            comment: None,
            digest: Digest::ZERO,
        }),
        Event::EffectIntended(EffectIntended {
            step: step(),
            position,
            call: call(),
            before: None,
        }),
        ended(Some(call())),
        ended(None),
        Event::EffectSettled(EffectSettled {
            step: step(),
            round: 0,
            position,
            outcome: outcome(),
        }),
        Event::EffectAnswered(EffectAnswered {
            step: step(),
            position,
            requester: "somebody else".into(),
            done: None,
        }),
        Event::AttemptAnswered(AttemptAnswered {
            step: step(),
            requester: "somebody else".into(),
        }),
        Event::LockTaken(LockTaken {
            lock: lock(),
            step: None,
        }),
        Event::LockReleased(LockReleased {
            lock: lock(),
            step: None,
        }),
        Event::RunCancelled(RunCancelled {
            requester: requester(),
            via: None,
        }),
        Event::UndoStarted(UndoStarted {
            requester: requester(),
            via: None,
            error: None,
        }),
        Event::RunResumed(RunResumed {
            requester: requester(),
            via: None,
            keeps: Vec::new(),
            redo: Vec::new(),
        }),
        Event::RunEnded(RunEnded {
            outcome: Outcome::Undone,
            outputs: Value::Null,
            error: None,
        }),
    ]
}

#[test]
fn an_illegal_event_changes_nothing() {
    let step = InstanceId::step(None, "a");
    let kinds = all_kinds(&step);
    // Applies up to three events in every combination, and then each event to every state that results.
    let (mut states, mut refused) = (vec![started()], 0);
    for depth in 0..4 {
        let mut reached = Vec::new();
        for state in &states {
            for event in &kinds {
                let (mut after, before) = (state.clone(), format!("{state:?}"));
                if let Err(why) = after.apply(event, BEGIN) {
                    refused += 1;
                    assert_eq!(format!("{after:?}"), before, "{why}: {event:?}");
                } else if depth < 3 {
                    reached.push(after);
                }
            }
        }
        states = reached;
    }
    assert!(refused > 1_000, "{refused}");
    let mut nothing = State::default();
    assert!(nothing.apply(&kinds[0], BEGIN).is_err());
    assert_eq!(format!("{nothing:?}"), format!("{:?}", State::default()));
}

#[test]
fn reads_that_are_forgotten_still_count_and_what_changed_something_stays() {
    let step = InstanceId::step(None, "a");
    let ended = |position, class| {
        Event::EffectEnded(EffectEnded {
            step: step.clone(),
            position: Position(position),
            call: Some(CallRecord {
                function: "x::y".into(),
                arguments: "asked".into(),
                digest: Digest::ZERO,
                class,
            }),
            outcome: EffectOutcome::Done("given".into()),
        })
    };
    let mut state = started();
    for event in [
        begins(&step, 1, false),
        ended(0, Class::Read),
        ended(1, Class::Keyed),
    ] {
        state.apply(&event, BEGIN).expect("legal");
    }
    state.forget_reads(&step);
    let effects = &state.instance(&step).expect("it began").effects;
    let of = |n: usize| {
        (
            effects[n].call.arguments.clone(),
            effects[n].result().cloned(),
        )
    };
    assert_eq!(of(0), (serde_json::Value::Null, Some(Value::Null)));
    assert_eq!(of(1), ("asked".into(), Some("given".into())));
}

#[test]
fn the_steps_of_a_workflow_leave_out_what_is_inside_of_them() {
    let mut state = State::default();
    for id in [
        "a", "a!undo", "a/x", "a/x/y", "a/x[1]", "a0", "a[1]", "a[1]/x", "a_b", "b/x", "c",
    ] {
        let id: InstanceId = id.parse().expect("an id");
        state.steps.insert(id, Instance::default());
    }
    let of = |inside: Option<&str>| -> Vec<String> {
        let inside = inside.map(|id| id.parse().expect("an id"));
        let ids = state.steps_of(inside.as_ref());
        ids.map(InstanceId::to_string).collect()
    };
    assert_eq!(of(None), ["a", "a!undo", "a0", "a_b", "c"]);
    assert_eq!(of(Some("a")), ["a/x"]);
    assert_eq!(of(Some("a[1]")), ["a[1]/x"]);
    assert!(of(Some("c")).is_empty());
}
