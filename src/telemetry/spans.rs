use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use opentelemetry::{
    KeyValue,
    trace::{Link, SpanId, SpanKind, Status},
};
use opentelemetry_sdk::trace::{SpanData, SpanLinks};

use super::{
    attributes::{error, kind_of, of_call, status_of},
    export::{Exporter, exporter},
    ids::SpanIds,
};
use windlass_engine::execute::{CallId, Called, Observer};
use windlass_ground::{Timestamp, lock};
use windlass_journal::{
    ApprovalAsked, ApprovalDecided, Event, InstanceId, Outcome, RunEnded, RunId, State, StepFailed,
    StepStarted, StepSucceeded, Verdict,
};
use windlass_report as report;

/// Wraps an observer of a run, so that the run's spans are sent, if traces are enabled.
pub fn observing(run: &RunId, inner: Arc<dyn Observer>) -> Arc<dyn Observer> {
    match exporter() {
        None => inner,
        Some(exporter) => Arc::new(Spans {
            inner,
            exporter,
            ids: SpanIds::of(run),
            run: run.clone(),
            begun: Mutex::default(),
        }),
    }
}

/// Creates a span when a run, an attempt of a step or a call ends.
struct Spans {
    inner: Arc<dyn Observer>,
    exporter: &'static Exporter,
    ids: SpanIds,
    run: RunId,
    /// The attempts that have started but not ended.
    begun: Mutex<HashMap<InstanceId, Begun>>,
}

#[derive(Clone, Copy)]
struct Begun {
    attempt: u32,
    at: Timestamp,
}

/// The contents of a span, without its ids.
struct About {
    name: Cow<'static, str>,
    kind: SpanKind,
    from: SystemTime,
    to: SystemTime,
    attributes: Vec<KeyValue>,
    status: Status,
    /// An earlier span that this one continues.
    after: Option<SpanId>,
}

impl Spans {
    fn begin(&self, step: &InstanceId, attempt: u32, at: Timestamp) {
        let mut begun = lock(&self.begun);
        begun.insert(step.clone(), Begun { attempt, at });
    }

    fn end(&self, step: &InstanceId, at: Timestamp, state: &State, (status, of_error): Failing) {
        let begun = {
            let mut begun = lock(&self.begun);
            begun.remove(step)
        };
        let instance = state.instance(step);
        // Another process started it: a step with other steps inside of it, or an approval.
        let begun = begun.unwrap_or_else(|| Begun {
            attempt: instance.map_or(1, |instance| instance.attempt),
            at: instance.and_then(|i| i.started_at).unwrap_or(at),
        });
        let mut attributes = vec![
            KeyValue::new("windlass.run", self.run.to_string()),
            KeyValue::new("windlass.step", step.to_string()),
            KeyValue::new("windlass.step.attempt", i64::from(begun.attempt)),
        ];
        attributes.extend(of_error.map(|code| KeyValue::new("error.type", code)));
        let parent = match step.parent() {
            Some(outer) => {
                let outer_attempt = state.instance(&outer).map_or(1, |outer| outer.attempt);
                self.ids.attempt(&outer, outer_attempt)
            }
            None => self.ids.run(ends_before(state)),
        };
        let before = begun.attempt.checked_sub(1).filter(|before| *before > 0);
        self.send(
            self.ids.attempt(step, begun.attempt),
            Some(parent),
            About {
                name: name_of(step).into(),
                kind: SpanKind::Internal,
                from: begun.at.into(),
                to: at.max(begun.at).into(),
                attributes,
                status,
                after: before.map(|before| self.ids.attempt(step, before)),
            },
        );
    }

    fn end_run(&self, outcome: Outcome, at: Timestamp, state: &State) {
        let Some(info) = &state.run else { return };
        let ends = ends_before(state);
        let began = match ends {
            0 => info.started_at,
            _ => state.continued_at.unwrap_or(at),
        };
        let status = match outcome {
            Outcome::Succeeded | Outcome::Undone => Status::Unset,
            outcome => {
                let errors = report::errors(state);
                let why = errors.first().map(|(_, why)| why);
                error(why.map_or(outcome.as_str(), |why| &why.message))
            }
        };
        let before = ends.checked_sub(1).map(|before| self.ids.run(before));
        self.send(
            self.ids.run(ends),
            (ends > 0).then(|| self.ids.run(0)),
            About {
                name: format!("run {}", info.workflow).into(),
                kind: SpanKind::Internal,
                from: began.into(),
                to: at.max(began).into(),
                attributes: vec![
                    KeyValue::new("windlass.run", self.run.to_string()),
                    KeyValue::new("windlass.workflow", info.workflow.clone()),
                    KeyValue::new("windlass.target", info.target.clone()),
                    KeyValue::new("windlass.requester", info.requester.clone()),
                    KeyValue::new("windlass.outcome", outcome.as_str()),
                ],
                status,
                after: before,
            },
        );
    }

    fn send(&self, id: SpanId, parent: Option<SpanId>, about: About) {
        let mut links = SpanLinks::default();
        let link = |span| Link::new(self.ids.context(span), Vec::new(), 0);
        links.links.extend(about.after.map(link));
        self.exporter.send(SpanData {
            span_context: self.ids.context(id),
            parent_span_id: parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: false,
            span_kind: about.kind,
            name: about.name,
            start_time: about.from,
            end_time: about.to,
            attributes: about.attributes,
            dropped_attributes_count: 0,
            events: Default::default(),
            links,
            status: about.status,
            instrumentation_scope: self.exporter.scope(),
        });
    }
}

/// A status, and the code of its error.
type Failing = (Status, Option<String>);

impl Observer for Spans {
    fn happened(&self, events: &[Event], state: &State) {
        self.inner.happened(events, state);
    }

    fn happened_at(&self, events: &[Event], moments: &[Timestamp], state: &State) {
        for (event, at) in events.iter().zip(moments) {
            match event {
                Event::StepStarted(StepStarted { step, attempt, .. })
                | Event::ApprovalAsked(ApprovalAsked { step, attempt, .. }) => {
                    self.begin(step, *attempt, *at)
                }
                Event::StepSucceeded(StepSucceeded { step, .. }) => {
                    self.end(step, *at, state, (Status::Unset, None));
                }
                Event::StepFailed(StepFailed {
                    step, error: why, ..
                }) => {
                    let failing = (error(&why.message), Some(why.code.clone()));
                    self.end(step, *at, state, failing);
                }
                Event::StepInterrupted { step } => {
                    let failing = (error("the step was cancelled"), Some("cancelled".into()));
                    self.end(step, *at, state, failing);
                }
                Event::ApprovalDecided(ApprovalDecided { step, verdict, .. }) => {
                    let failing = match verdict {
                        Verdict::Approved => (Status::Unset, None),
                        Verdict::Rejected => (error("rejected"), Some("rejected".into())),
                    };
                    self.end(step, *at, state, failing);
                }
                Event::RunEnded(RunEnded { outcome, .. }) => self.end_run(*outcome, *at, state),
                _ => {}
            }
        }
        self.inner.happened_at(events, moments, state);
    }

    fn doing(&self, step: &InstanceId, what: &str) {
        self.inner.doing(step, what);
    }

    fn waits_for(&self, lock: &str, holder: &str) {
        self.inner.waits_for(lock, holder);
    }

    fn held_up(&self, why: &str) {
        self.inner.held_up(why);
    }

    fn said(&self, step: &InstanceId, message: &str) {
        self.inner.said(step, message);
    }

    fn called(&self, called: &Called) {
        let from = SystemTime::from(called.began);
        self.send(
            self.ids.call(called.id),
            Some(self.ids.attempt(&called.id.step, called.id.attempt)),
            About {
                name: called.record.function.clone().into(),
                kind: kind_of(&called.record.function),
                from,
                to: from + called.took,
                attributes: of_call(called),
                status: status_of(called.outcome),
                after: None,
            },
        );
        self.inner.called(called);
    }

    fn traceparent(&self, call: &CallId) -> Option<String> {
        Some(self.ids.traceparent(self.ids.call(call)))
    }
}

/// Returns how often the run had ended before its current or last execution.
fn ends_before(state: &State) -> u32 {
    match state.outcome {
        Some(_) => state.ends.saturating_sub(1),
        None => state.ends,
    }
}

/// Returns the name of a step's span. The item is in an attribute instead, because collectors group spans by their names.
fn name_of(step: &InstanceId) -> String {
    let name = step.segments().last().map_or("", |segment| segment.name);
    match step.undone() {
        Some(_) => format!("undo {name}"),
        None => name.to_owned(),
    }
}
