//! The outside of a test: answers the calls of its run.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::Future,
    io,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use super::{
    answers::{lost_in, most, unrecorded, used},
    log::{Answered, Line, Log},
    matching::matches,
    named::{also_known, named, request_of},
};
use crate::{
    compile::{Case, Given, Reply},
    execute::{CancellationToken, Stage},
    journal::{Event, InstanceId},
    outside::{
        Again, HttpRequest, HttpResponse, Resource, check_url, judge, shown_url, unexpected_exit,
    },
    script::{
        Act, Before, Call, Class, EffectKey, OnStop, Trace, function, judged_undo, leaves,
        sealed_answer,
    },
    value::{Failure, FailureClass, MASK, Value},
};
use time::OffsetDateTime;

use windlass_ground::{Timestamp, lock};

/// The modules whose calls the embedded servers answer.
const EMBEDDED: [&str; 2] = ["kube", "pca"];
/// The only AWS service of the embedded servers.
const EMBEDDED_SERVICE: &str = "acm-pca";

/// How far the clock of this process is ahead of the machine's, in milliseconds: one process plays one test.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// Returns the current time of a test's clock, which jumps over waits.
pub fn now() -> Timestamp {
    let now = Timestamp::from(OffsetDateTime::now_utc()).as_millis();
    Timestamp::from_millis(now + AHEAD.load(Ordering::Relaxed))
}

/// Sets the clock.
pub fn set_clock(moment: Timestamp) {
    AHEAD.fetch_add(moment.millis_since(now()), Ordering::Relaxed);
}

/// Advances the clock to a time, unless it is later already.
pub fn catch_up(moment: Timestamp) {
    let behind = moment.millis_since(now());
    AHEAD.fetch_add(behind.max(0), Ordering::Relaxed);
}

/// Returns the current time of a test's clock in the form for calls.
fn moment() -> OffsetDateTime {
    let ahead = time::Duration::milliseconds(AHEAD.load(Ordering::Relaxed));
    OffsetDateTime::now_utc() + ahead
}

/// Answers the calls of a test's run.
pub struct Outside {
    shared: Arc<Shared>,
    is_local: bool,
    lines: Arc<Reached>,
}

/// The time that an attempt has left by the test's clock.
struct Left {
    /// `None` for any.
    time: Option<Duration>,
    expired: CancellationToken,
}

struct Shared {
    given: Vec<Given>,
    is_local: bool,
    log: Mutex<Log>,
    /// The attempts that run, by their steps.
    left: Mutex<BTreeMap<String, Left>>,
    /// The answers that a killed process got and did not record, by the keys of their calls.
    unrecorded: Mutex<BTreeMap<String, VecDeque<usize>>>,
}

impl Shared {
    /// Advances the clock while a step waits; says whether its timeout passes first. Other steps run at the same time, so what they wait is not
    /// counted.
    fn passes(&self, step: &str, wait: Duration) -> bool {
        let mut left = lock(&self.left);
        let left = left.get_mut(step);
        let time = left.as_ref().and_then(|left| left.time);
        let passed = time.map_or(wait, |time| time.min(wait));
        AHEAD.fetch_add(passed.as_millis() as i64, Ordering::Relaxed);
        let is_over = time.is_some_and(|time| wait >= time);
        if let Some(left) = left {
            left.time = time.map(|time| time - passed);
            if is_over {
                left.expired.cancel();
            }
        }
        is_over
    }
}

/// The lines of scripts that ran: file and line.
#[derive(Default)]
pub struct Reached(Mutex<BTreeSet<(String, usize)>>);

impl Reached {
    pub fn take(&self) -> BTreeSet<(String, usize)> {
        std::mem::take(&mut *lock(&self.0))
    }
}

impl Trace for Reached {
    fn reached(&self, file: &str, line: usize) {
        let mut lines = lock(&self.0);
        if !lines.contains(&(file.to_owned(), line)) {
            lines.insert((file.to_owned(), line));
        }
    }
}

impl Outside {
    /// Sets up the outside of a test, with the answers that were given before its process was killed.
    pub fn open(case: &Case, folder: &Path, events: &[Event]) -> io::Result<Self> {
        let log = Log::open(folder)?;
        let shared = Shared {
            unrecorded: Mutex::new(unrecorded(&log.lines, events)),
            given: case.given.clone(),
            is_local: case.is_local,
            log: Mutex::new(log),
            left: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            is_local: case.is_local,
            lines: Arc::default(),
        })
    }

    pub fn lines(&self) -> &Reached {
        &self.lines
    }
}

/// Whether the embedded servers answer a call, given what it records of its arguments.
pub fn is_embedded(function: &str, arguments: &Value) -> bool {
    match module_of(function) {
        "aws" => {
            let request = request_of(function, arguments);
            let arguments = request.unwrap_or_else(|| named(function, arguments));
            let service = arguments.get("service").and_then(Value::as_str);
            service == Some(EMBEDDED_SERVICE)
        }
        module => EMBEDDED.contains(&module),
    }
}

fn module_of(function: &str) -> &str {
    function.split("::").next().unwrap_or_default()
}

impl Stage for Outside {
    fn set(&self, step: &InstanceId, mut call: Call) -> Call {
        let asked = Arc::new(Asked {
            step: step.to_string(),
            function: call.function,
            arguments: call.arguments.clone(),
            class: call.class,
            ending: match &call.on_stop {
                OnStop::Ask(token) => Some(token.clone()),
                OnStop::Await | OnStop::Drop => None,
            },
            shared: self.shared.clone(),
        });
        // The embedded servers use the machine's clock.
        if let Some(clock) = call.clock.as_ref().filter(|_| !self.is_local) {
            clock.set(moment);
        }
        call.act = asked.answered(call.act);
        call.again = call.again.map(|again| asked.answered(again));
        if !self.is_local && leaves(call.function) {
            // The state before the call can't be read, so an undo must work without it.
            call.before = call.before.map(|before| -> Before {
                Box::new(move || Box::pin(async move { Ok(before().await.unwrap_or_default()) }))
            });
            if call.look.is_some() {
                let asked = asked.clone();
                call.look = Some(Box::new(move |key| {
                    Box::pin(async move { Ok(asked.lost(&key)) })
                }));
            }
        }
        call
    }

    fn begins(&self, step: &InstanceId, timeout: Option<Duration>, expired: CancellationToken) {
        let left = Left {
            time: timeout,
            expired,
        };
        lock(&self.shared.left).insert(step.to_string(), left);
    }

    fn passes(&self, step: Option<&InstanceId>, wait: Duration) -> bool {
        // The embedded servers use the machine's clock.
        if self.is_local {
            return false;
        }
        match step {
            Some(step) => {
                self.shared.passes(step.as_str(), wait);
            }
            None => {
                AHEAD.fetch_add(wait.as_millis() as i64, Ordering::Relaxed);
            }
        }
        true
    }

    fn trace(&self) -> Option<Arc<dyn Trace>> {
        Some(self.lines.clone())
    }
}

/// A call that is made.
struct Asked {
    step: String,
    function: &'static str,
    arguments: Value,
    class: Class,
    /// Asks the call to end.
    ending: Option<CancellationToken>,
    shared: Arc<Shared>,
}

/// The arguments of a call by their names.
type ByName = BTreeMap<String, Value>;

type Answering = Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send>>;

impl Asked {
    /// Gives an answer instead of making the call.
    fn answered(self: &Arc<Self>, act: Act) -> Act {
        let asked = self.clone();
        Box::new(move |key| Box::pin(asked.answer(key, act)))
    }

    async fn answer(self: Arc<Self>, key: EffectKey, act: Act) -> Result<Value, Failure> {
        let next = self.next(&key, act).map_err(|e| {
            Failure::new(
                FailureClass::Rejected,
                self.function,
                "NoLog",
                format!("can't write the log of the test: {e}"),
            )
        })?;
        next.await
    }

    /// Chooses the answer, and logs which one it is before it is given.
    fn next(&self, key: &EffectKey, act: Act) -> io::Result<Answering> {
        let mut log = lock(&self.shared.log);
        if let Some(value) = lost_in(&log, key) {
            let line = self.line(&log, key, Answered::Again);
            log.add(line)?;
            return Ok(done(self.again(value, &self.named(&log))));
        }
        // The other side has not changed since, so it returns the same.
        let repeated = self.repeated(key);
        let Some(number) = repeated.or_else(|| self.pick(&log)) else {
            let is_answered = !leaves(self.function) || self.is_embedded();
            let (answered, answer): (_, Answering) = if is_answered {
                (Answered::Target, act(key.clone()))
            } else {
                (Answered::Nobody, done(Err(self.unanswered())))
            };
            let line = self.line(&log, key, answered);
            log.add(line)?;
            return Ok(answer);
        };
        let is_too_late = self
            .shared
            .passes(&self.step, self.shared.given[number].takes);
        let given = match repeated {
            Some(_) => Answered::Again,
            None => Answered::Given { number },
        };
        let (answered, answer): (_, Answering) = match &self.shared.given[number].reply {
            Reply::Fails(failure) => (given, done(Err(failure.clone()))),
            Reply::Gives(value) => (given, done(self.finished(value, &self.named(&log)))),
            Reply::Loses(value) => match value {
                Some(value) if !self.is_embedded() => {
                    let value = value.reveal_json().unwrap_or_else(|_| value.to_json());
                    (
                        Answered::Lost { number, value },
                        done(Err(self.lost_answer())),
                    )
                }
                _ => {
                    let (failure, doing) = (self.lost_answer(), act(key.clone()));
                    let losing = async move {
                        doing.await?;
                        Err(failure)
                    };
                    (given, Box::pin(losing))
                }
            },
        };
        let line = self.line(&log, key, answered);
        log.add(line)?;
        Ok(if is_too_late { self.never() } else { answer })
    }

    /// Waits until the attempt, whose timeout has passed, gives the call up.
    fn never(&self) -> Answering {
        let (ending, failure) = (self.ending.clone(), self.lost_answer());
        Box::pin(async move {
            match ending {
                Some(ending) => ending.cancelled().await,
                None => std::future::pending().await,
            }
            Err(failure)
        })
    }

    fn repeated(&self, key: &EffectKey) -> Option<usize> {
        let mut unrecorded = lock(&self.shared.unrecorded);
        unrecorded.get_mut(key.as_str())?.pop_front()
    }

    fn is_embedded(&self) -> bool {
        self.shared.is_local && is_embedded(self.function, &self.arguments)
    }

    /// Returns the number of the next answer.
    fn pick(&self, log: &Log) -> Option<usize> {
        let arguments = self.named(log);
        let other = also_known(self.function, &arguments);
        let arguments = Value::Map(arguments);
        let given = &self.shared.given;
        let mut numbers = 0..given.len();
        numbers.find(|number| {
            let one = &given[*number];
            let is_asked = one.function == self.function || other.as_ref() == Some(&one.function);
            is_asked
                && matches(&one.arguments, &arguments)
                && used(log, *number) < most(given, *number)
        })
    }

    /// Returns the arguments by their names; for an undo's request, also those from the call that it reverses.
    fn named(&self, log: &Log) -> BTreeMap<String, Value> {
        let Some(mut request) = request_of(self.function, &self.arguments) else {
            return named(self.function, &self.arguments);
        };
        let said = log
            .lines
            .iter()
            .rev()
            .filter(|line| self.step == format!("{}!undo", line.step));
        let said = said
            .map(|line| Value::parse_json(&line.arguments["undo"].to_string()).unwrap_or_default());
        let is_it = |undo: &Value| {
            ["method", "url", "operation"]
                .iter()
                .filter(|key| request.contains_key(**key))
                .all(|key| undo.field(key) == request.get(*key))
        };
        if let Some(Value::Map(undo)) = said.into_iter().find(is_it) {
            request.extend(undo);
        }
        request
    }

    fn line(&self, log: &Log, key: &EffectKey, answer: Answered) -> Line {
        Line {
            step: self.step.clone(),
            function: self.function.to_owned(),
            arguments: Value::Map(self.named(log)).to_json(),
            class: self.class,
            key: key.to_string(),
            answer,
        }
    }

    /// Returns the result of a lost call if the other side would recognise its key.
    fn lost(&self, key: &EffectKey) -> Option<Value> {
        let log = lock(&self.shared.log);
        lost_in(&log, key).map(|value| self.sealed(value))
    }

    fn lost_answer(&self) -> Failure {
        let failure = Failure::new(
            FailureClass::Unavailable,
            self.function,
            "AnswerLost",
            "the test lost the answer",
        );
        match self.class {
            Class::Read => failure,
            _ => failure.or_done(),
        }
    }

    fn unanswered(&self) -> Failure {
        let message = "no answer of the test matches this call";
        Failure::new(FailureClass::Rejected, self.function, "NotGiven", message)
    }

    /// Returns the answer that a call got before, when it is repeated.
    fn again(&self, value: Value, arguments: &ByName) -> Result<Value, Failure> {
        match function(self.function) {
            Some(_) => Ok(self.sealed(value)),
            None => self.finished(&value, arguments),
        }
    }

    /// Returns the answer in the form in which the module's client returns it.
    fn finished(&self, value: &Value, arguments: &ByName) -> Result<Value, Failure> {
        let none = BTreeMap::new();
        let fields = value.as_map().unwrap_or(&none);
        let judged = match module_of(self.function) {
            "http" => self.judge_http(arguments, fields),
            "exec" => self.judge_exit(arguments, fields),
            "kube" => self.judge_kind(),
            _ => Ok(()),
        };
        if function(self.function).is_none() {
            return judged_undo(self.function, &method_of(arguments), judged);
        }
        judged?;
        Ok(self.sealed(value.clone()))
    }

    fn sealed(&self, value: Value) -> Value {
        sealed_answer(self.function, &self.arguments, value)
    }

    /// Fails as the HTTP client does for an unexpected status.
    fn judge_http(
        &self,
        arguments: &ByName,
        fields: &BTreeMap<String, Value>,
    ) -> Result<(), Failure> {
        let url = match arguments.get("url") {
            Some(Value::Secret(secret)) => secret.reveal().to_owned(),
            Some(url) => url.to_text(),
            None => String::new(),
        };
        // The client refuses it before it sends anything. That of an undo was checked when it was given, and is masked here.
        if self.function != "http::undo" {
            check_url(&url).map_err(|why| self.rejected("BadUrl", why))?;
        }
        let status = |value: &Value| match value {
            Value::Int(status) => u16::try_from(*status).ok(),
            _ => None,
        };
        let expected = match arguments.get("expect") {
            Some(Value::List(items)) => items.iter().filter_map(status).collect(),
            Some(one) => status(one).into_iter().collect(),
            None => Vec::new(),
        };
        let method = match self.function {
            "http::undo" => method_of(arguments),
            function => function.replace("http::", ""),
        };
        let request = HttpRequest {
            expected,
            hides_answer: hides_answer(arguments),
            only_reads: arguments.get("read") == Some(&Value::Bool(true)),
            ..HttpRequest::new(&method.to_ascii_uppercase(), &shown_url(&url), url)
        };
        let body = fields.get("body").map_or_else(String::new, Value::to_text);
        let response = HttpResponse {
            status: fields.get("status").and_then(status).unwrap_or(200),
            headers: BTreeMap::new(),
            body: body.into_bytes(),
        };
        judge(&request, response).map(|_| ())
    }

    /// Fails as the client does for a kind that it could not look up.
    fn judge_kind(&self) -> Result<(), Failure> {
        let text = |key: &str| self.arguments.field(key).and_then(Value::as_str);
        let object = text("object").and_then(|object| object.split('/').next());
        match text("kind").or(object) {
            Some(kind) if Resource::known(kind).is_none() && !kind.contains('.') => {
                let why = format!("`{kind}` is not a kind that every cluster has");
                Err(self.rejected("UnknownKind", why))
            }
            _ => Ok(()),
        }
    }

    fn rejected(&self, code: &str, why: String) -> Failure {
        Failure::new(FailureClass::Rejected, self.function, code, why)
    }

    /// Fails as the client of programs does for an unexpected exit code.
    fn judge_exit(
        &self,
        arguments: &ByName,
        fields: &BTreeMap<String, Value>,
    ) -> Result<(), Failure> {
        let code = match fields.get("code") {
            Some(Value::Int(code)) => *code,
            _ => 0,
        };
        let is_expected = match arguments.get("expect") {
            Some(Value::List(codes)) => codes.contains(&Value::Int(code)),
            Some(one @ Value::Int(_)) => *one == Value::Int(code),
            _ => code == 0,
        };
        if is_expected {
            return Ok(());
        }
        let program = match self.function {
            // It is recorded as `run PROGRAM ARGUMENTS`.
            "exec::undo" => self
                .arguments
                .to_text()
                .split(' ')
                .nth(1)
                .map(str::to_owned),
            _ => arguments.get("program").map(Value::to_text),
        };
        let text = |stream: &str| fields.get(stream).map_or_else(String::new, Value::to_text);
        let printed = if hides_answer(arguments) {
            MASK.to_owned()
        } else {
            format!("{}{}", text("stderr"), text("stdout"))
        };
        let code = i32::try_from(code).unwrap_or(i32::MAX);
        let says = |key: &str| arguments.get(key) == Some(&Value::Bool(true));
        let again = match (says("read"), says("idempotent")) {
            (true, _) => Again::Reads,
            (false, true) => Again::Idempotent,
            (false, false) => Again::Unsure,
        };
        Err(unexpected_exit(
            &program.unwrap_or_default(),
            code,
            printed,
            again,
        ))
    }
}

/// Returns the method of an undo's request; empty for other calls.
fn method_of(arguments: &ByName) -> String {
    let method = arguments.get("method");
    method.map_or_else(String::new, Value::to_text)
}

fn hides_answer(arguments: &ByName) -> bool {
    let given = arguments.get("secret_output");
    !matches!(given, None | Some(Value::Null | Value::Bool(false)))
}

fn done(answer: Result<Value, Failure>) -> Answering {
    Box::pin(async move { answer })
}
