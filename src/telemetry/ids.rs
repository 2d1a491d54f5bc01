use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use windlass_engine::execute::CallId;
use windlass_journal::{InstanceId, RunId};
use windlass_world::value::Digest;

/// The ids of a run's spans.
///
/// Each id is a digest of the run's id and of what the span describes. So a process that resumes a run adds to the same trace, and a span
/// can name a parent that has not ended yet, even in another process.
#[derive(Clone, Debug)]
pub struct SpanIds(RunId);

impl SpanIds {
    pub fn of(run: &RunId) -> Self {
        Self(run.clone())
    }

    pub fn trace(&self) -> TraceId {
        let digest = self.digest(&[b"trace"]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        TraceId::from_bytes(bytes)
    }

    /// Returns the id of the run's span up to its next end. `ends` is how often the run had ended before.
    pub fn run(&self, ends: u32) -> SpanId {
        self.span(&[b"run", &ends.to_be_bytes()])
    }

    pub fn attempt(&self, step: &InstanceId, attempt: u32) -> SpanId {
        self.span(&[b"attempt", step.as_str().as_bytes(), &attempt.to_be_bytes()])
    }

    pub fn call(&self, call: &CallId) -> SpanId {
        self.span(&[
            b"call",
            call.step.as_str().as_bytes(),
            &call.round.to_be_bytes(),
            &call.attempt.to_be_bytes(),
            &call.position.0.to_be_bytes(),
        ])
    }

    /// Returns the context of a span of this trace.
    pub fn context(&self, span: SpanId) -> SpanContext {
        SpanContext::new(
            self.trace(),
            span,
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        )
    }

    /// Returns the value of the header `traceparent` for a span (W3C Trace Context, section 3.2).
    pub fn traceparent(&self, span: SpanId) -> String {
        format!("00-{}-{span}-01", self.trace())
    }

    fn span(&self, parts: &[&[u8]]) -> SpanId {
        let digest = self.digest(parts);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest.as_bytes()[..8]);
        SpanId::from_bytes(bytes)
    }

    fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut all: Vec<&[u8]> = vec![b"windlass span", self.0.as_str().as_bytes()];
        all.extend(parts);
        Digest::of(&all)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use windlass_journal::Position;

    #[test]
    fn ids_are_the_same_for_a_run_and_differ_within_it() {
        let ids = |run: &str| SpanIds::of(&RunId::stored(run.into()));
        let (one, again, other) = (ids("a"), ids("a"), ids("b"));
        assert_eq!(one.trace(), again.trace());
        assert_ne!(one.trace(), other.trace());
        let step = InstanceId::step(None, "sign");
        let call = |attempt, position| CallId {
            step: step.clone(),
            round: 0,
            attempt,
            position: Position(position),
        };
        let spans = [
            one.run(0),
            one.run(1),
            one.attempt(&step, 1),
            one.attempt(&step, 2),
            one.call(&call(1, 0)),
            one.call(&call(1, 1)),
            one.call(&call(2, 0)),
            other.run(0),
        ];
        let distinct: BTreeSet<_> = spans.iter().map(ToString::to_string).collect();
        assert_eq!(distinct.len(), spans.len());
        assert_eq!(one.call(&call(2, 0)), again.call(&call(2, 0)));
    }

    #[test]
    fn a_traceparent_has_the_form_of_w3c() {
        let ids = SpanIds::of(&RunId::stored("a".into()));
        let text = ids.traceparent(ids.run(0));
        let parts: Vec<_> = text.split('-').map(str::len).collect();
        assert_eq!(parts, [2, 32, 16, 2], "{text}");
    }
}
