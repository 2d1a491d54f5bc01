use std::{
    fmt,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::host::{Function, WRONG_ARGUMENTS, rejected, table};
use windlass_world::value::{Failure, Redactor, Secret, Value};

/// How an effect is settled if its process died inside the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The call changes nothing outside: repeat it. Its intent is not even written.
    Read,
    /// The other side knows the effect's key, or repeating the call leaves the same state: repeat it with the
    /// same key.
    Keyed,
    /// The created object carries the key: look for it first.
    Found,
    /// There is no way to find out whether the call was made: stop and ask.
    Unsure,
}

/// Identifies one effect of one run permanently: 32 hex digits, derived from run, step instance and position.
///
/// The length fits AWS, whose idempotency tokens have at most 36 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EffectKey(String);

impl EffectKey {
    pub fn new(hex: String) -> Self {
        Self(hex)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happens to a call in progress when its attempt is stopped.
#[derive(Clone, Debug, Default)]
pub enum OnStop {
    /// A cancel waits for the call to end; the step's timeout does not.
    #[default]
    Await,
    /// The call is abandoned, and is in doubt.
    Drop,
    /// The call is asked to end and waited for, and is in doubt.
    Ask(CancellationToken),
}

type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// Makes the outside call. Called at most once for each [`Call`].
pub type Act = Box<dyn FnOnce(EffectKey) -> Doing<Value> + Send>;

/// Looks for the result of an earlier call with this key.
pub type Look = Box<dyn FnOnce(EffectKey) -> Doing<Option<Value>> + Send>;

/// Reads the state before the call, as far as an undo needs it.
pub type Before = Box<dyn FnOnce() -> Doing<Value> + Send>;

/// Finds what an earlier process started for a call and is still at work.
pub type Left = Box<dyn Fn(&EffectKey) -> Option<String> + Send + Sync>;

/// Compares the state that was recorded before a call in doubt with the state before its repetition.
pub type Replaces = Box<dyn FnOnce(&Value, &Value) -> bool + Send>;

/// The clock that a call reads while it is made: that of the machine, unless a test has set another one.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<OnceLock<fn() -> OffsetDateTime>>);

impl Clock {
    pub fn now(&self) -> OffsetDateTime {
        self.0
            .get()
            .map_or_else(OffsetDateTime::now_utc, |now| now())
    }

    /// Sets another clock; only the first one counts.
    pub fn set(&self, now: fn() -> OffsetDateTime) {
        // A call passes one stage.
        let _ = self.0.set(now);
    }
}

/// One call from a script to the outside, not made yet.
pub struct Call {
    /// The function's name in scripts: `pca::issue_certificate`.
    pub function: &'static str,
    /// The arguments. Secrets are masked in the journal.
    pub arguments: Value,
    pub class: Class,
    pub act: Act,
    /// Present for [`Class::Found`].
    pub look: Option<Look>,
    /// Recorded with the intent, so that an undo can use it even after a crash inside the call.
    pub before: Option<Before>,
    /// Says whether the state before the repetition of a call in doubt replaces the one that was recorded: others have changed it
    /// since, and the repetition would destroy what they made.
    pub replaces: Option<Replaces>,
    /// What happens to the call if the attempt is stopped while the call is in progress.
    pub on_stop: OnStop,
    /// Replaces `act` when the call is in doubt, if repeating it needs a different action.
    pub again: Option<Act>,
    /// How long the other side remembers the key of a [`Class::Keyed`] call; `None` for no limit. After that time, the
    /// call is treated as [`Class::Unsure`].
    pub key_lives: Option<Duration>,
    /// Says what an earlier process started for the call and is still at work. It is waited for before a call in doubt is repeated, or
    /// asked about.
    pub left: Option<Left>,
    /// The clock of a call that reads the time.
    pub clock: Option<Clock>,
    /// The reason why the call is not made. Earlier versions made it, so one that is recorded is replayed.
    pub refusal: Option<Failure>,
}

impl Call {
    /// Creates a call of a host function, with the class from the function's row.
    pub(super) fn of<F>(
        function: &'static str,
        arguments: Value,
        act: impl FnOnce(EffectKey) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        let row = table::caller(function);
        debug_assert!(row.is_some(), "{function} has no row");
        // Only the row says whether repeating the call is safe.
        let class = row.and_then(|row| row.classes().first().copied());
        Self {
            key_lives: row.and_then(Function::key_lives),
            ..Self::new(function, class.unwrap_or(Class::Unsure), arguments, act)
        }
    }

    pub fn new<F>(
        function: &'static str,
        class: Class,
        arguments: Value,
        act: impl FnOnce(EffectKey) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        debug_assert!(is_allowed(function, class), "{function}");
        // The other side may quote its input, including secrets too short for a run's redactor.
        let secrets = arguments.secrets();
        Self {
            function,
            arguments,
            class,
            act: Box::new(move |key| without_secrets(Box::pin(act(key)), secrets)),
            look: None,
            before: None,
            replaces: None,
            on_stop: OnStop::Await,
            again: None,
            key_lives: None,
            left: None,
            clock: None,
            refusal: None,
        }
    }

    /// Sets the class to another one that the function's row allows.
    pub(super) fn classed(mut self, class: Class) -> Self {
        debug_assert!(is_allowed(self.function, class), "{}", self.function);
        self.class = class;
        self
    }

    /// Sets the action for a call in doubt: for example, a DELETE that then finds nothing has succeeded.
    pub fn or_again<F>(mut self, again: impl FnOnce(EffectKey) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        self.again = Some(Box::new(|key| Box::pin(again(key))));
        self
    }

    /// Sets what a call of [`Class::Found`] looks for when it is in doubt.
    pub fn or_find<F>(mut self, look: impl FnOnce(EffectKey) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Option<Value>, Failure>> + Send + 'static,
    {
        self.look = Some(Box::new(|key| Box::pin(look(key))));
        self
    }

    /// Sets how to find what an earlier process started for the call.
    pub(super) fn leaving(
        mut self,
        left: impl Fn(&EffectKey) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.left = Some(Box::new(left));
        self
    }

    /// Lets a test set the clock that the call reads.
    pub(super) fn reading(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Refuses a call that earlier versions made.
    pub(super) fn refusing(mut self, why: Result<(), String>) -> Self {
        self.refusal = why
            .err()
            .map(|why| rejected(self.function, WRONG_ARGUMENTS, why));
        self
    }

    /// Lets a cancel interrupt the call, which may take any time.
    pub fn cancellable(mut self) -> Self {
        self.on_stop = OnStop::Drop;
        self
    }

    /// Lets a cancel, or the step's timeout, ask the call to end by this token. The call must then end soon; it is waited for.
    pub fn ending_on(mut self, token: CancellationToken) -> Self {
        self.on_stop = OnStop::Ask(token);
        self
    }

    /// Records the result of `before` ahead of the call, for an undo.
    pub fn remembering<F>(mut self, before: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        self.before = Some(Box::new(|| Box::pin(before())));
        self
    }

    /// Looks again before a call in doubt is repeated, and records that look if this says so, given the recorded state and the new
    /// one: an undo then restores what others made since.
    pub(super) fn replaced_if(
        mut self,
        replaces: impl FnOnce(&Value, &Value) -> bool + Send + 'static,
    ) -> Self {
        self.replaces = Some(Box::new(replaces));
        self
    }
}

/// Takes the secrets of a call's arguments out of its failure.
fn without_secrets(doing: Doing<Value>, secrets: Vec<Secret>) -> Doing<Value> {
    Box::pin(async move {
        let quoted = |failure| Redactor::of_call(&secrets).failure(failure);
        doing.await.map_err(quoted)
    })
}

/// Says whether a call of this name may have the class. Calls that are not host functions, such as those of an undo, may have any.
fn is_allowed(function: &str, class: Class) -> bool {
    table::caller(function).is_none_or(|row| row.classes().contains(&class))
}

/// The level of a script's own message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Warn,
}

/// The gate between a script and the outside.
///
/// An implementation guarantees: once [`Effects::perform`] has returned `Ok` or
/// [`Interruption::Failed`], the same call at the same position of a later attempt returns the same
/// result without a call to the outside, even after a crash. A call with side effects is durably
/// announced before it is made. The calls of one step attempt are made one after another.
pub trait Effects: Send + Sync {
    fn perform(&self, call: Call) -> Result<Value, Interruption>;

    /// Waits at least this long from the first time that it was called, across restarts.
    fn sleep(&self, duration: Duration) -> Result<(), Interruption>;

    /// Says whether the next effect was recorded by an earlier attempt.
    fn is_replaying(&self) -> bool;

    /// Records a message of the script for people. The last messages may be lost when the process dies.
    fn note(&self, level: Level, message: String);
}

/// The reason why [`Effects::perform`] returned no value.
#[derive(Debug)]
pub enum Interruption {
    /// The call was made and failed; a script may catch this.
    Failed(Failure),
    /// The script must end here; no script can catch this.
    Stopped(Stop),
}

/// The reason why a script was stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The run was cancelled.
    Cancelled,
    /// The step's `timeout` passed.
    TimedOut(Duration),
    /// The script no longer makes the calls that are in the journal.
    Diverged {
        position: u32,
        recorded: String,
        made: String,
    },
    /// The process died inside this call, or its answer was lost, and only a person can find out whether it
    /// was made.
    InDoubt {
        position: u32,
        call: String,
        /// What the other side answered instead of a result: it may show that the call was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Failure>,
    },
    /// An effect's result is too large to be recorded.
    TooLarge { call: String, bytes: usize },
    /// With this effect's result, the results of the step are too large together.
    TooMuch { call: String, step_bytes: usize },
    /// The journal could not be written; without it, no effect is allowed.
    Journal(String),
}
