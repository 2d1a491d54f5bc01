//! Asks people questions, and decides whether an answer counts.

use super::{
    decision::{Decision, View},
    scope::Scope,
};
use windlass_compile::{
    Action, Approval, GROUP, MAX_QUESTION, OnTimeout, Step, Template, Workflow, is_nobody,
};
use windlass_ground::Timestamp;
use windlass_journal as journal;
use windlass_journal::{
    ApprovalAsked, ApprovalDecided, Event, Instance, InstanceId, Outcome, State, Status, Verdict,
};
use windlass_world::value::{Digest, StepError, Value};

/// The reason why an answer does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("`{step}` does not wait for an approval ({why})")]
    NotAsked { step: String, why: String },
    #[error("`{step}` no longer waits for an approval: {why}")]
    Over { step: String, why: &'static str },
    #[error("the question of `{0}` has changed since it was shown")]
    Changed(String),
    #[error("{approver} may not approve or reject `{step}`: its approvers are {approvers}")]
    NotApprover {
        step: String,
        approver: String,
        approvers: String,
    },
    #[error("cannot determine who may approve or reject `{step}`: {why}")]
    UnknownApprovers { step: String, why: String },
    #[error(
        "`{step}` must be approved by someone else: {approver} started the run or changed what it does"
    )]
    IsRequester { step: String, approver: String },
    #[error("`{step}` has expired: it was not answered within its timeout")]
    Expired {
        step: String,
        deadline: Timestamp,
        /// The verdict of its `on_timeout`.
        verdict: Verdict,
    },
}

impl<'w> Scope<'_, 'w> {
    /// Asks the question, once.
    pub(super) fn ask(
        &self,
        decision: &mut Decision<'_, 'w>,
        id: &InstanceId,
        approval: &Approval,
        attempt: u32,
        item: &Value,
    ) {
        let view = decision.view();
        let asked = self.text(view, &approval.question, item, "approval");
        // The approvers are evaluated now as well, so that a mistake there is reported at once.
        let asked = asked.and_then(|text| {
            self.can_be_answered(view, approval, item)?;
            Ok(shown(text))
        });
        match asked {
            Err(error) => decision.fail(id, error),
            Ok(message) => {
                let timeout = approval.timeout;
                let round = decision
                    .state
                    .instance(id)
                    .map_or(0, |instance| instance.round);
                decision
                    .next
                    .events
                    .push(Event::ApprovalAsked(ApprovalAsked {
                        step: id.clone(),
                        attempt,
                        digest: digest(decision.state, id, (round, attempt), &message),
                        message,
                        deadline: timeout.map(|timeout| decision.moment.now + timeout),
                    }));
            }
        }
    }

    /// Continues to wait, or applies the answer of the timeout.
    pub(super) fn wait(
        &self,
        decision: &mut Decision,
        id: &InstanceId,
        instance: &Instance,
        step: &Step,
    ) {
        let (Some(asked), Action::Approval(approval)) = (&instance.approval, &step.action) else {
            return;
        };
        match asked.deadline {
            _ if asked.has_expired(decision.moment.now) => {
                decision
                    .next
                    .events
                    .push(Event::ApprovalDecided(ApprovalDecided {
                        step: id.clone(),
                        verdict: on_timeout(approval),
                        approver: "timeout".into(),
                        via: None,
                        comment: Some("no answer within the timeout".into()),
                        digest: asked.digest,
                    }));
            }
            deadline => {
                decision.seen.asks += 1;
                if let Some(deadline) = deadline {
                    decision.wake_at(deadline);
                }
            }
        }
    }

    /// Checks what is known of a question before its run begins: its text, and who may answer.
    pub(super) fn can_be_asked(
        &self,
        view: View,
        approval: &Approval,
        item: &Value,
    ) -> Result<(), StepError> {
        if self.knows(view, &approval.question, item) {
            self.text(view, &approval.question, item, "approval")?;
        }
        let approvers = approval.approvers.as_ref();
        if approvers.is_some_and(|approvers| self.knows(view, approvers, item)) {
            self.can_be_answered(view, approval, item)?;
        }
        Ok(())
    }

    /// Checks who may answer. A question that was asked by an earlier version may have an empty name beside others, which may answer it.
    fn can_be_answered(
        &self,
        view: View,
        approval: &Approval,
        item: &Value,
    ) -> Result<(), StepError> {
        let approvers = self.approvers(view, approval, item)?;
        if approvers.is_some_and(|names| names.iter().any(|name| is_nobody(name))) {
            let error = StepError::new("wrong-type", "`approvers` contains an empty name");
            let place = approval.approvers.as_ref().and_then(Template::place);
            return Err(error.at(place));
        }
        Ok(())
    }

    /// Returns the approvers; `None` for anyone.
    fn approvers(
        &self,
        view: View,
        approval: &Approval,
        item: &Value,
    ) -> Result<Option<Vec<String>>, StepError> {
        let Some(template) = &approval.approvers else {
            return Ok(None);
        };
        match self.evaluate(view, template, item, None)? {
            Value::List(names) if !names.is_empty() => {
                Ok(Some(names.iter().map(Value::to_text).collect()))
            }
            other => {
                let message = match other {
                    Value::List(_) => "`approvers` is empty, so nobody could answer".to_owned(),
                    other => {
                        let kind = other.a_kind();
                        format!("`approvers` must be a list of names, not {kind}")
                    }
                };
                Err(StepError::new("wrong-type", message).at(template.place()))
            }
        }
    }
}

/// Returns a question as people see it: cut if it is too long, which its last line says. What is asked, recorded and approved is this text, so nobody
/// approves words that were not shown. A text that grows with the number of clusters must not stop a run that has changed half of them, so
/// it is not refused.
pub(super) fn shown(text: String) -> String {
    let count = text.chars().count();
    if count <= MAX_QUESTION {
        return text;
    }
    let cut: String = text.chars().take(MAX_QUESTION).collect();
    format!(
        "{cut}…\n({} more characters are not shown, and not approved)",
        count - MAX_QUESTION
    )
}

fn on_timeout(approval: &Approval) -> Verdict {
    match approval.on_timeout {
        OnTimeout::Approve => Verdict::Approved,
        OnTimeout::Reject => Verdict::Rejected,
    }
}

/// Returns the digest that an approval is bound to: the question, which time it is asked (by the round and the attempt of the step), the files
/// that the run uses, and their params. So an answer from before counts no more when the question is asked again. Secrets in
/// the params count by a keyed digest, which the process that sets the params records with them; the digest of the params alone
/// represents each secret by its mask.
fn digest(state: &State, id: &InstanceId, (round, attempt): (u32, u32), message: &str) -> Digest {
    let run = state.run.as_ref();
    let params = run.map_or(Digest::ZERO, |run| run.params.digest());
    let program = run.map_or(Digest::ZERO, |run| run.program);
    let secrets = run.and_then(|run| run.secrets);
    let times = match (round, attempt) {
        (0, 1) => Vec::new(),
        (round, attempt) => [round.to_le_bytes(), attempt.to_le_bytes()].concat(),
    };
    let mut parts: Vec<&[u8]> = vec![
        id.as_str().as_bytes(),
        message.as_bytes(),
        program.as_bytes(),
        params.as_bytes(),
    ];
    parts.extend(secrets.as_ref().map(|digest| &digest.as_bytes()[..]));
    parts.extend((!times.is_empty()).then_some(&times[..]));
    Digest::of(&parts)
}

/// Says whether a question, which the instance asked, would be asked now with the same message about the same things.
pub(super) fn still_holds(state: &State, id: &InstanceId, instance: &Instance) -> bool {
    let Some(asked) = &instance.approval else {
        return false;
    };
    let of = |times| digest(state, id, times, &asked.message) == asked.digest;
    // Earlier versions asked every time the same.
    of((instance.round, instance.attempt)) || of((0, 1))
}

/// Says whether the person who answers is one of these, by name or by group.
fn is_among(approvers: &[String], answer: &journal::Decision) -> bool {
    let groups = answer.via.as_ref().map_or(&[][..], |via| &via.groups);
    approvers.iter().any(|name| match name.strip_prefix(GROUP) {
        Some(group) => groups.iter().any(|known| known == group),
        None => *name == answer.approver,
    })
}

/// Returns the refusal of an answer for a step that asks nothing now.
pub fn not_asked(state: &State, step: &InstanceId) -> Refusal {
    let why = state.instance(step).map_or_else(
        || "the run has not reached it, or has no such step".to_owned(),
        |instance| format!("it is {}", instance.status.as_str()),
    );
    Refusal::NotAsked {
        step: step.to_string(),
        why,
    }
}

/// Decides whether an answer that was given at `at` counts, and returns its event. A question whose deadline had passed
/// then is already answered by the timeout, even if that is not recorded yet.
///
/// # Errors
/// The reason why it does not count.
pub fn on_answer(
    workflow: &Workflow,
    state: &State,
    run_id: &str,
    answer: &journal::Decision,
    at: Timestamp,
) -> Result<Event, Refusal> {
    let id = &answer.step;
    let name = || id.to_string();
    let over = match (state.outcome, state.is_undoing) {
        (Some(Outcome::Undone | Outcome::UndoFailed), _) => Some("the run was undone"),
        (Some(_), _) => Some("the run has ended"),
        (None, true) => Some("the run is being undone"),
        (None, false) => None,
    };
    if let Some(why) = over {
        return Err(Refusal::Over { step: name(), why });
    }
    let asked = state
        .instance(id)
        .filter(|instance| instance.status == Status::Waiting)
        .and_then(|instance| instance.approval.as_deref())
        .ok_or_else(|| not_asked(state, id))?;
    if asked.digest != answer.digest {
        return Err(Refusal::Changed(name()));
    }
    if let Some((scope, step, item)) = Scope::around(workflow, state, id)
        && let Action::Approval(approval) = &step.action
    {
        if let Some(deadline) = asked.deadline.filter(|_| asked.has_expired(at)) {
            return Err(Refusal::Expired {
                step: name(),
                deadline,
                verdict: on_timeout(approval),
            });
        }
        if approval.not_requester && state.requesters.contains(&answer.approver) {
            return Err(Refusal::IsRequester {
                step: name(),
                approver: answer.approver.clone(),
            });
        }
        let view = View { state, run_id };
        // If the approvers can't be evaluated, nobody may approve.
        let approvers = scope.approvers(view, approval, &item).map_err(|why| {
            let (step, why) = (name(), why.to_string());
            Refusal::UnknownApprovers { step, why }
        })?;
        if let Some(approvers) = approvers.filter(|names| !is_among(names, answer)) {
            return Err(Refusal::NotApprover {
                step: name(),
                approver: answer.approver.clone(),
                approvers: approvers.join(", "),
            });
        }
    }
    Ok(Event::ApprovalDecided(ApprovalDecided {
        step: id.clone(),
        verdict: answer.verdict,
        approver: answer.approver.clone(),
        via: answer.via.clone(),
        comment: answer.comment.clone(),
        digest: answer.digest,
    }))
}
