use windlass_ground::Timestamp;

use super::{
    id::InstanceId,
    instance::{Approval, Instance, Status},
    message::Verdict,
    state::State,
};

/// The status of a run that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStanding {
    Running,
    /// It waits for an approval.
    Waiting,
    /// Its question has expired; its `on_timeout` takes effect when a process drives the run.
    Expired,
    /// Its question was answered, and it has not been resumed.
    Answered(Verdict),
    /// No process drives it.
    Interrupted,
}

impl RunStanding {
    /// Returns the status. `is_driven` says whether the run is being driven; `now` decides which questions have expired.
    pub fn of(state: &State, is_driven: bool, now: Timestamp) -> Self {
        let is_any = |wanted: fn(&Instance) -> bool| state.steps.values().any(wanted);
        if state.questions().any(|(_, asked)| !asked.has_expired(now)) {
            return Self::Waiting;
        }
        if is_driven {
            return Self::Running;
        }
        if state.questions().next().is_some() {
            return Self::Expired;
        }
        if is_any(|i| {
            !i.is_composite() && matches!(i.status, Status::Running | Status::Retrying { .. })
        }) || state.is_undoing
        {
            return Self::Interrupted;
        }
        let answers = state
            .steps
            .values()
            .filter_map(|i| i.approval.as_ref()?.answer.as_ref());
        let newest = answers.max_by_key(|answer| answer.at);
        newest.map_or(Self::Interrupted, |answer| Self::Answered(answer.verdict))
    }

    /// Returns the word that lists show.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Expired => "expired",
            Self::Answered(verdict) => verdict.as_str(),
            Self::Interrupted => "interrupted",
        }
    }
}

impl State {
    /// Lists the questions without an answer.
    pub fn questions(&self) -> impl Iterator<Item = (&InstanceId, &Approval)> {
        self.steps
            .iter()
            .filter(|(_, instance)| instance.status == Status::Waiting)
            .filter_map(|(step, instance)| Some((step, instance.approval.as_deref()?)))
    }
}
