use std::{fmt, pin::Pin, time::Duration};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::host::{Function, table};
use windlass_world::value::{Failure, Redactor, Value};

/// Says what to do with an effect whose process died inside the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Changes nothing outside: do it again. Its intent is not even written.
    Read,
    /// The far side knows the effect's key, or the same call twice leaves the same thing: do it
    /// again with the same key.
    Keyed,
    /// The key is on the thing itself: look for it first.
    Found,
    /// It can't be found out: stop and ask.
    Unsure,
}

/// Names one effect of one run for ever: 32 hex digits, made from run, step instance and position.
///
/// AWS takes idempotency tokens of 36 characters at most.
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

/// What becomes of a call under way when its attempt is stopped.
#[derive(Clone, Debug, Default)]
pub enum OnStop {
    /// A cancel awaits its end; the step's timeout does not.
    #[default]
    Await,
    /// It is abandoned, and in doubt.
    Drop,
    /// It is asked to end, waited for, and in doubt.
    Ask(CancellationToken),
}

type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

/// Does the outside call. Called at most once for each [`Call`].
pub type Act = Box<dyn FnOnce(EffectKey) -> Doing<Value> + Send>;

/// Looks whether the call was done before, under this key.
pub type Look = Box<dyn FnOnce(EffectKey) -> Doing<Option<Value>> + Send>;

/// Looks at what is there before the call, as far as an undo needs it.
pub type Before = Box<dyn FnOnce() -> Doing<Value> + Send>;

/// One call from a script to the outside world, not made yet.
pub struct Call {
    /// As the script names it: `pca::issue_certificate`.
    pub function: &'static str,
    /// What it is called with. Secrets are masked where this is recorded.
    pub arguments: Value,
    pub class: Class,
    pub act: Act,
    /// Present for [`Class::Found`].
    pub look: Option<Look>,
    /// Recorded with the intent, so that an undo has it also after a crash inside the call.
    pub before: Option<Before>,
    /// What becomes of it if the attempt is stopped while it is under way.
    pub on_stop: OnStop,
    /// What is done in place of `act` when the call is in doubt, where that is not quite the same.
    pub again: Option<Act>,
    /// How long the far side knows the key of a [`Class::Keyed`] call; `None` for as long as need be. Later the call
    /// is as [`Class::Unsure`].
    pub key_lives: Option<Duration>,
}

impl Call {
    /// Makes a call of a host function, of the class that its row says.
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
        // Only its row says whether it is safe to make it again.
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
        // The other side may quote what it was sent, also what is too short for a run's redactor.
        let secrets = arguments.secrets();
        Self {
            function,
            arguments,
            class,
            act: Box::new(move |key| {
                let doing = act(key);
                Box::pin(async move {
                    let quoted = |failure| Redactor::of_call(&secrets).failure(failure);
                    doing.await.map_err(quoted)
                })
            }),
            look: None,
            before: None,
            on_stop: OnStop::Await,
            again: None,
            key_lives: None,
        }
    }

    /// Gives the call another one of the classes that its row allows.
    pub(super) fn classed(mut self, class: Class) -> Self {
        debug_assert!(is_allowed(self.function, class), "{}", self.function);
        self.class = class;
        self
    }

    /// Does something else when the call is in doubt: a DELETE that finds nothing then was done.
    pub fn or_again<F>(mut self, again: impl FnOnce(EffectKey) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        self.again = Some(Box::new(|key| Box::pin(again(key))));
        self
    }

    /// Gives a call of [`Class::Found`] what is asked first when it is in doubt.
    pub fn or_find<F>(mut self, look: impl FnOnce(EffectKey) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Option<Value>, Failure>> + Send + 'static,
    {
        self.look = Some(Box::new(|key| Box::pin(look(key))));
        self
    }

    /// Lets a cancel end the call in the middle: it may take as long as it likes.
    pub fn cancellable(mut self) -> Self {
        self.on_stop = OnStop::Drop;
        self
    }

    /// Lets a cancel, or the step's timeout, ask the call to end. It must end soon then, and is waited for.
    pub fn ending_on(mut self, token: CancellationToken) -> Self {
        self.on_stop = OnStop::Ask(token);
        self
    }

    /// Records what `before` gives ahead of the call, for an undo.
    pub fn remembering<F>(mut self, before: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        self.before = Some(Box::new(|| Box::pin(before())));
        self
    }
}

/// Whether a call of this name may have the class. Calls that are not host functions, such as those of an undo, may have any.
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

/// The gate between a script and the world.
///
/// Guarantees of an implementation: once [`Effects::perform`] has returned `Ok` or
/// [`Interruption::Failed`], the same call at the same place of a later attempt returns the same
/// without touching the world, also after a crash. A call that has side effects outside is
/// durably announced before it is made. Calls of one step attempt are made one after another.
pub trait Effects: Send + Sync {
    fn perform(&self, call: Call) -> Result<Value, Interruption>;

    /// Waits at least this long from the moment it was first asked, across restarts.
    fn sleep(&self, duration: Duration) -> Result<(), Interruption>;

    /// Whether the next effect was recorded by an earlier attempt.
    fn is_replaying(&self) -> bool;

    /// Records a message of the script for people. Lost at most when the process dies.
    fn note(&self, level: Level, message: String);
}

/// Why [`Effects::perform`] gave no value.
#[derive(Debug)]
pub enum Interruption {
    /// The call was made and failed; a script may catch this.
    Failed(Failure),
    /// The script must end here; no script can catch this.
    Stopped(Stop),
}

/// Why a script was stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The run was cancelled.
    Cancelled,
    /// The step's `timeout` passed.
    TimedOut(Duration),
    /// The script no longer makes the calls that the journal holds.
    Diverged {
        position: u32,
        recorded: String,
        made: String,
    },
    /// The process died inside this call before, or its answer was lost, and only a person can tell whether it was
    /// done.
    InDoubt {
        position: u32,
        call: String,
        /// It was done, and this is what was answered in place of what was expected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Failure>,
    },
    /// An effect's result is too large to be recorded.
    TooLarge { call: String, bytes: usize },
    /// With this effect's result, those of the step are too much together.
    TooMuch { call: String, step_bytes: usize },
    /// The journal could not be written; nothing may happen that it does not know.
    Journal(String),
}
