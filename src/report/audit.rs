use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{
    certificates::certificates,
    clock::local_time,
    history::{HistoryEntry, history},
    object::{call_line, object},
    plain::{line, short_line},
    style::counted,
};
use windlass_ground::Timestamp;
use windlass_journal::{
    AnswerRefused, ApprovalAsked, ApprovalDecided, CallRecord, EffectAnswered, EffectEnded,
    EffectIntended, EffectOutcome, EffectSettled, Event, InstanceId, Record, RunId, State, Status,
};
use windlass_script::{Class, Reversed};
use windlass_world::{
    value::{Digest, Value},
    x509::Stamped,
};

/// What a bundle proves in addition to its chain.
pub struct Proof {
    /// The format of the chain.
    pub chain: u32,
    /// The digests of the keys whose signatures are valid.
    pub signers: Vec<String>,
    /// The times at which authorities have seen it.
    pub timestamps: Vec<Stamped>,
}

/// Formats the result of an audit for people. If this is printed at all, the chain is intact.
pub fn audit(run: &RunId, state: &State, records: &[Record], proof: &Proof) -> String {
    let mut text = format!("run {run}: {} events, unbroken\n", records.len());
    text.push_str(&format!("head      sha256 {}\n", head(records)));
    for signer in &proof.signers {
        text.push_str(&format!("signed    by the key with {signer}\n"));
    }
    for Stamped {
        at,
        authority,
        is_trusted,
    } in &proof.timestamps
    {
        let authority = line(authority);
        let mut doubts = String::new();
        if !is_trusted {
            doubts.push_str(", not verified against a CA (--timestamp-ca)");
        }
        if is_early(*at, records) {
            doubts.push_str(", earlier than the run's last event: one of the clocks is wrong");
        }
        let at = local_time(*at);
        text.push_str(&format!("stamped   {at} by {authority}{doubts}\n"));
    }
    if let Some(seq) = went_back(records) {
        text.push_str(&format!(
            "clock     went back before event {seq}: the times after it, or before it, are wrong\n"
        ));
    }
    if let Some(info) = &state.run {
        // The newest files are not those that the requester started.
        let program = first_program(records).unwrap_or(info.program);
        text.push_str(&format!(
            "workflow  {} ({}), sha256 {program}\n",
            line(&info.workflow),
            line(&info.file),
        ));
        text.push_str(&format!(
            "started   {} by {} on target {}\n",
            local_time(info.started_at),
            line(&info.requester),
            line(&info.target)
        ));
    }
    let status = state
        .outcome
        .map_or("unfinished", |outcome| outcome.as_str());
    match state.ended_at {
        Some(at) => text.push_str(&format!("ended     {}: {status}\n", local_time(at))),
        None => text.push_str(&format!("ended     {status}\n")),
    }
    if let Some(info) = state.run.as_ref().filter(|info| info.edition > 0) {
        let others = &state.requesters;
        let who: Vec<_> = others.iter().map(|who| line(who)).collect();
        text.push_str(&format!(
            "changed   {}; now sha256 {}; started or changed by {}\n",
            counted(info.edition as usize, "time"),
            info.program,
            who.join(", ")
        ));
    }
    let section = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            String::new()
        } else {
            format!("\n{title}\n  {}\n", lines.join("\n  "))
        }
    };
    let deeds = history(records);
    if deeds.iter().any(HistoryEntry::is_notable) {
        text.push_str(&section(
            "history",
            deeds.iter().map(HistoryEntry::line).collect(),
        ));
    }
    text.push_str(&section(
        "approvals",
        questions(records)
            .iter()
            .map(|question| line(&question.line()).into_owned())
            .collect(),
    ));
    let skipped = skipped(state);
    let skipped = skipped.map(|(step, why)| line(&format!("{step}: {why}")).into_owned());
    text.push_str(&section("skipped", skipped.collect()));
    let calls = calls(records);
    let counted = counts(&calls);
    let counted = counted
        .iter()
        .map(|(function, n)| format!("{n:5}  {function}"));
    text.push_str(&section("calls that changed something", counted.collect()));
    text.push_str(&section("in order", calls.iter().map(Made::line).collect()));
    let made = certificates(state)
        .into_iter()
        .map(|c| format!("{}  {}  until {}", c.serial, line(&c.subject), c.not_after))
        .collect();
    text.push_str(&section("certificates", made));
    text
}

/// The same for programs.
pub fn audit_json(run: &RunId, state: &State, records: &[Record], proof: &Proof) -> Json {
    let info = state.run.as_ref();
    let calls = calls(records);
    let timestamps = proof.timestamps.iter().map(|stamped| {
        json!({
            "at": stamped.at, "authority": stamped.authority, "trusted": stamped.is_trusted,
            "early": is_early(stamped.at, records),
        })
    });
    let timestamps: Vec<Json> = timestamps.collect();
    let skipped = skipped(state).map(|(step, why)| json!({ "step": step, "reason": why }));
    let skipped: Vec<Json> = skipped.collect();
    let asked: Vec<Json> = questions(records).iter().map(Question::json).collect();
    json!({
        "run": run,
        "chain": proof.chain,
        "events": records.len(),
        "head": head(records),
        "signers": proof.signers,
        "timestamps": timestamps,
        "program": info.map(|info| info.program),
        "requester": info.map(|info| &info.requester),
        "history": history(records).iter().map(HistoryEntry::json).collect::<Vec<_>>(),
        "status": state.outcome.map_or("unfinished", |outcome| outcome.as_str()),
        "clock_went_back": went_back(records),
        "approvals": asked,
        "skipped": skipped,
        "calls": counts(&calls),
        "objects": objects(&calls),
        "changes": calls.iter().map(Made::json).collect::<Vec<_>>(),
    })
}

/// Returns the digest of the files with which the run began.
fn first_program(records: &[Record]) -> Option<Digest> {
    records.iter().find_map(|record| match &record.event {
        Event::RunStarted(started) => Some(started.program),
        _ => None,
    })
}

fn head(records: &[Record]) -> Digest {
    records.last().map_or(Digest::ZERO, |last| last.digest)
}

/// How far clocks may differ: those of several machines, or one that is set right.
const SKEW_MS: i64 = 60_000;

/// Says whether a time is before the last event, which cannot have been seen then.
fn is_early(at: Timestamp, records: &[Record]) -> bool {
    let last = records.last();
    last.is_some_and(|last| last.at.millis_since(at) > SKEW_MS)
}

/// Returns the number of the first event that is earlier than one before it.
fn went_back(records: &[Record]) -> Option<u64> {
    let mut latest = records.first()?.at;
    for record in records {
        if latest.millis_since(record.at) > SKEW_MS {
            return Some(record.seq);
        }
        latest = latest.max(record.at);
    }
    None
}

/// Lists the steps and questions that the run left out, with the reasons.
fn skipped(state: &State) -> impl Iterator<Item = (&InstanceId, &str)> {
    let steps = state.steps.iter();
    // An undo that is skipped was answered: `history` has it.
    let steps = steps.filter(|(step, _)| step.undone().is_none());
    let skipped = steps.filter(|(_, instance)| instance.status == Status::Skipped);
    skipped.map(|(step, instance)| (step, instance.skip_reason.as_deref().unwrap_or_default()))
}

/// A question that the run asked, or an answer that did not count.
struct Question<'a> {
    step: &'a InstanceId,
    message: &'a str,
    digest: Option<Digest>,
    asked_at: Timestamp,
    deadline: Option<Timestamp>,
    answer: Option<Given<'a>>,
    /// The reason why the answer did not count.
    refused: Option<&'a str>,
}

struct Given<'a> {
    verdict: &'static str,
    approver: &'a str,
    comment: Option<&'a str>,
    at: Timestamp,
}

/// Lists every question and every answer, including questions that were repeated and answers that did not count.
fn questions(records: &[Record]) -> Vec<Question<'_>> {
    let mut found: Vec<Question> = Vec::new();
    for record in records {
        match &record.event {
            Event::ApprovalAsked(ApprovalAsked {
                step,
                message,
                digest,
                deadline,
                ..
            }) => found.push(Question {
                step,
                message,
                digest: Some(*digest),
                asked_at: record.at,
                deadline: *deadline,
                answer: None,
                refused: None,
            }),
            Event::ApprovalDecided(ApprovalDecided {
                step,
                verdict,
                approver,
                comment,
                ..
            }) => {
                let of_step =
                    |question: &&mut Question| question.step == step && question.refused.is_none();
                if let Some(question) = found.iter_mut().rev().find(of_step) {
                    question.answer = Some(Given {
                        verdict: verdict.as_str(),
                        approver,
                        comment: comment.as_deref(),
                        at: question.deadline.map_or(record.at, |at| at.min(record.at)),
                    });
                }
            }
            Event::AnswerRefused(AnswerRefused {
                step,
                verdict,
                approver,
                comment,
                why,
                ..
            }) => found.push(Question {
                step,
                message: "",
                digest: None,
                asked_at: record.at,
                deadline: None,
                answer: Some(Given {
                    verdict: verdict.as_str(),
                    approver,
                    comment: comment.as_deref(),
                    at: record.at,
                }),
                refused: Some(why),
            }),
            _ => {}
        }
    }
    found
}

impl Question<'_> {
    fn line(&self) -> String {
        let answer = match &self.answer {
            None => format!("asked {}", local_time(self.asked_at)),
            Some(given) => {
                let comment = given
                    .comment
                    .map_or(String::new(), |text| format!(": {text}"));
                format!(
                    "{} by {} {}{comment}",
                    given.verdict,
                    given.approver,
                    local_time(given.at)
                )
            }
        };
        match self.refused {
            Some(why) => format!("{}: {answer}; ignored: {why}", self.step),
            None => format!("{}: {} ({answer})", self.step, self.message),
        }
    }

    fn json(&self) -> Json {
        let answer = self.answer.as_ref();
        json!({
            "step": self.step,
            "question": self.digest.map(|_| self.message),
            "digest": self.digest,
            "asked_at": self.digest.map(|_| self.asked_at),
            "deadline": self.deadline,
            "verdict": answer.map(|a| a.verdict),
            "approver": answer.map(|a| a.approver),
            "comment": answer.and_then(|a| a.comment),
            "answered_at": answer.map(|a| a.at),
            "refused": self.refused,
        })
    }
}

/// A call that changes something outside, and its outcome.
struct Made<'a> {
    step: &'a InstanceId,
    position: u32,
    at: Timestamp,
    call: &'a CallRecord,
    became: Became<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Became<'a> {
    Done,
    /// An undo found that it had been reversed already.
    NotNeeded,
    /// An undo left what had been changed since the run.
    Left,
    Failed,
    NotDone,
    InDoubt,
    /// This person stated that it was made.
    SaidDone(&'a str),
    SaidNotDone(&'a str),
}

/// Lists every call that may have changed something, in order: announced, recorded with its result, or confirmed by a
/// person.
fn calls(records: &[Record]) -> Vec<Made<'_>> {
    let mut calls: Vec<Made> = Vec::new();
    let mut newest: BTreeMap<(&InstanceId, u32), usize> = BTreeMap::new();
    for record in records {
        let (step, position, call, became) = match &record.event {
            Event::EffectIntended(EffectIntended {
                step,
                position,
                call,
                ..
            }) => (step, position, Some(call), Became::InDoubt),
            Event::EffectEnded(EffectEnded {
                step,
                position,
                call,
                outcome,
            }) => (step, position, call.as_ref(), became(outcome)),
            Event::EffectSettled(EffectSettled {
                step,
                position,
                outcome,
                ..
            }) => (step, position, None, became(outcome)),
            Event::EffectAnswered(EffectAnswered {
                step,
                position,
                requester,
                done,
            }) => {
                let said = match done {
                    Some(_) => Became::SaidDone(requester),
                    None => Became::SaidNotDone(requester),
                };
                (step, position, None, said)
            }
            Event::StepReset { step } | Event::StepReopened { step } => {
                newest.retain(|(of, _), _| of != &step);
                continue;
            }
            _ => continue,
        };
        let key = (step, position.0);
        let is_announced = |known: &usize| {
            let known = &calls[*known];
            matches!(known.became, Became::InDoubt)
                && call.is_some_and(|call| call.digest == known.call.digest)
        };
        match (call, newest.get(&key)) {
            // The state before it was read again.
            (Some(_), Some(known)) if is_announced(known) => {
                calls[*known].end(became, &record.event);
            }
            (Some(call), _) if call.class != Class::Read => {
                newest.insert(key, calls.len());
                let mut made = Made {
                    step,
                    position: position.0,
                    at: record.at,
                    call,
                    became,
                };
                made.end(became, &record.event);
                calls.push(made);
            }
            // The position now belongs to a read.
            (Some(_), _) => {
                newest.remove(&key);
            }
            (None, Some(known)) => calls[*known].end(became, &record.event),
            (None, None) => {}
        }
    }
    calls
}

fn became(outcome: &EffectOutcome) -> Became<'_> {
    match outcome {
        EffectOutcome::Done(_) => Became::Done,
        EffectOutcome::Failed(failure) if failure.is_unknown => Became::InDoubt,
        EffectOutcome::Failed(failure) if failure.is_done => Became::Done,
        EffectOutcome::Failed(_) => Became::Failed,
        EffectOutcome::NotDone => Became::NotDone,
    }
}

impl<'a> Made<'a> {
    fn end(&mut self, became: Became<'a>, event: &Event) {
        let given = match event {
            Event::EffectEnded(EffectEnded {
                outcome: EffectOutcome::Done(given),
                ..
            }) => given,
            _ => {
                self.became = became;
                return;
            }
        };
        self.became = match Reversed::read(given) {
            Some(Reversed::Already(_)) => Became::NotNeeded,
            Some(Reversed::Left(_)) => Became::Left,
            // Undos of earlier versions recorded the reason here if there was nothing to revoke.
            None if self.call.function == "pca::revoke_certificate"
                && matches!(given, Value::String(_)) =>
            {
                Became::NotNeeded
            }
            _ => became,
        };
    }

    fn line(&self) -> String {
        let text = format!(
            "{}  {} #{}  {}  {}",
            local_time(self.at),
            self.step,
            self.position,
            call_line(self.call),
            self.became.text()
        );
        short_line(&text)
    }

    fn json(&self) -> Json {
        json!({
            "step": self.step,
            "position": self.position,
            "at": self.at,
            "function": self.call.function,
            "arguments": self.call.arguments,
            "became": self.became.code(),
            "said_by": self.became.said_by(),
        })
    }
}

impl<'a> Became<'a> {
    fn text(self) -> String {
        match self.said_by() {
            Some(who) => format!("{}, says {who}", self.code()),
            None => self.code().into(),
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Done | Self::SaidDone(_) => "done",
            Self::NotNeeded => "not needed",
            Self::Left => "left as it is",
            Self::Failed => "failed",
            Self::NotDone | Self::SaidNotDone(_) => "not done",
            Self::InDoubt => "in doubt",
        }
    }

    /// Returns who stated it, if it is not recorded.
    fn said_by(self) -> Option<&'a str> {
        match self {
            Self::SaidDone(who) | Self::SaidNotDone(who) => Some(who),
            _ => None,
        }
    }

    fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::SaidDone(_))
    }
}

/// Counts how often each changing call was made.
fn counts(calls: &[Made]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for made in calls.iter().filter(|made| made.became.is_done()) {
        *counts.entry(made.call.function.clone()).or_default() += 1;
    }
    counts
}

/// Like [`counts`], grouped by the objects of the calls.
fn objects(calls: &[Made]) -> Vec<Json> {
    let mut counts: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for made in calls.iter().filter(|made| made.became.is_done()) {
        let about = object(made.call).unwrap_or_default();
        *counts.entry((&made.call.function, about)).or_default() += 1;
    }
    counts
        .into_iter()
        .map(
            |((function, object), n)| json!({ "function": function, "object": object, "count": n }),
        )
        .collect()
}
