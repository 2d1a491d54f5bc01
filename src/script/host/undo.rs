//! What reverses a call that was made: each host module knows it for its own.
//!
//! A [`WayBack`] looks at what is there, judges whether that is still what the run left, and acts only then. The plan of
//! an undo, the undo itself and every report of it rest on that one judgement.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{function::Function, table};
use crate::effects::{Call, Class, EffectKey, Look};
use windlass_world::{
    outside::Clients,
    value::{Failure, FailureClass, Value},
};

/// How often a way back looks again when another client writes at the same time.
const LOOKS: usize = 5;

/// An effect as the journal holds it.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    pub function: &'a str,
    /// Its own, where it may have been cut off; nothing in a plan.
    pub key: Option<&'a EffectKey>,
    /// For people: secrets masked, long texts cut.
    pub arguments: &'a serde_json::Value,
    /// What was there before, as the call recorded it.
    pub before: &'a Value,
    /// `None` if it is not known whether it was done, or what it gave.
    pub result: Option<&'a Value>,
}

/// What can be done about an effect.
pub enum Reversal {
    /// It left nothing outside.
    Nothing,
    By(WayBack),
    /// Says what stays.
    Never(String),
}

impl Reversal {
    pub(super) fn never(what: impl Into<String>) -> Self {
        Self::Never(what.into())
    }
}

/// How to find out what became of a call whose end is not known.
pub enum Finding {
    /// What was there before it is enough for its reversal.
    NotNeeded,
    By {
        look: Look,
        /// How long after the call the answer can be trusted; `None` for ever.
        within: Option<Duration>,
    },
    /// Its reversal needs its result, and too little was recorded to look for it.
    Impossible,
}

/// Says how to find out what became of a call, as far as its reversal needs that. Nothing new is done.
pub fn finding(function: &str, before: &Value, clients: &Clients) -> Finding {
    match table::caller(function).and_then(Function::change) {
        Some(change) => (change.find)(before, clients),
        None => Finding::NotNeeded,
    }
}

/// Finds what reverses an effect.
pub fn reversal(done: Done, clients: &Clients) -> Reversal {
    match table::caller(done.function) {
        Some(row) => match row.change() {
            Some(change) => (change.undo.way())(done, clients),
            None => Reversal::Nothing,
        },
        None => Reversal::Never(format!("{} can't be reversed", done.function)),
    }
}

/// What became of an effect, or would become of it, in an undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reversed {
    /// It is reversed.
    Done,
    /// There is nothing to reverse (any more); says why.
    Already(String),
    /// What is there is not what the run left, so it stays; says what is different.
    Left(String),
}

impl Reversed {
    /// As the journal keeps it.
    fn to_value(&self) -> Value {
        let entries = |undo: &str, why: Option<&String>| {
            let why = why.map(|why| ("why", why.as_str().into()));
            Value::map([("undo", undo.into())].into_iter().chain(why))
        };
        match self {
            Self::Done => entries("reversed", None),
            Self::Already(why) => entries("already", Some(why)),
            Self::Left(why) => entries("left", Some(why)),
        }
    }

    /// Reads what a [`WayBack`] gave. `None` for any other call's result.
    pub fn read(given: &Value) -> Option<Self> {
        let why = || given.field("why").map_or_else(String::new, Value::to_text);
        match given.field("undo")?.as_str()? {
            "reversed" => Some(Self::Done),
            "already" => Some(Self::Already(why())),
            "left" => Some(Self::Left(why())),
            _ => None,
        }
    }
}

type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;
type LookNow = Arc<dyn Fn() -> Doing<Value> + Send + Sync>;
type Judge = Arc<dyn Fn(&Value) -> Judgement + Send + Sync>;
type Tidy = Arc<dyn Fn() -> Doing<()> + Send + Sync>;
type Act = Arc<dyn Fn(Value, EffectKey) -> Doing<Reversed> + Send + Sync>;

/// What a look at what is there now means for an undo.
pub struct Judgement {
    pub verdict: Reversed,
    /// What is there once the verdict is carried out: what an earlier effect on the same thing is judged by.
    pub then: Value,
}

impl Judgement {
    /// It is as the run left it, and becomes `then`.
    pub(super) fn goes(then: Value) -> Self {
        Self {
            verdict: Reversed::Done,
            then,
        }
    }

    pub(super) fn already(why: impl Into<String>, now: &Value) -> Self {
        Self {
            verdict: Reversed::Already(why.into()),
            then: now.clone(),
        }
    }

    pub(super) fn left(why: impl Into<String>, now: &Value) -> Self {
        Self {
            verdict: Reversed::Left(why.into()),
            then: now.clone(),
        }
    }
}

/// Takes one effect back, if what is there is still what the run left.
#[derive(Clone)]
pub struct WayBack {
    /// For people: `delete secret/x in y of mgmt`.
    pub what: String,
    /// As the journal names the call.
    function: &'static str,
    about: Value,
    /// Names the thing outside, the same for every effect on it.
    pub subject: String,
    look: LookNow,
    judge: Judge,
    act: Act,
    /// Clears what a call that was cut off left behind, whatever is judged.
    tidy: Option<Tidy>,
    /// Ends the act when the attempt is stopped.
    ending: Option<CancellationToken>,
}

impl WayBack {
    /// Adds what is done first, whatever is judged.
    pub(super) fn after<F>(mut self, tidy: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        self.tidy = Some(Arc::new(move || Box::pin(tidy())));
        self
    }

    /// Ends the act by a token when the attempt is stopped: a program is asked to end.
    pub(super) fn ending_on(mut self, ending: CancellationToken) -> Self {
        self.ending = Some(ending);
        self
    }

    /// Returns a way back that does not look first: it does what its author gave, or what may safely be repeated.
    pub(super) fn blind<F>(
        what: String,
        function: &'static str,
        about: Value,
        act: impl Fn(EffectKey) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Reversed, Failure>> + Send + 'static,
    {
        Self {
            subject: what.clone(),
            what,
            function,
            about,
            look: Arc::new(|| Box::pin(async { Ok(Value::Null) })),
            judge: Arc::new(|_| Judgement::goes(Value::Null)),
            act: Arc::new(move |_, key| Box::pin(act(key))),
            tidy: None,
            ending: None,
        }
    }

    /// Returns a way back that acts on what `look` finds, if `judge` finds that it is what the run left. `act` fails with
    /// [`FailureClass::Conflict`] where that has changed since the look.
    pub(super) fn new<L, A>(
        what: String,
        (function, about): (&'static str, Value),
        subject: String,
        look: impl Fn() -> L + Send + Sync + 'static,
        judge: impl Fn(&Value) -> Judgement + Send + Sync + 'static,
        act: impl Fn(Value, EffectKey) -> A + Send + Sync + 'static,
    ) -> Self
    where
        L: Future<Output = Result<Value, Failure>> + Send + 'static,
        A: Future<Output = Result<Reversed, Failure>> + Send + 'static,
    {
        Self {
            what,
            function,
            about,
            subject,
            look: Arc::new(move || Box::pin(look())),
            judge: Arc::new(judge),
            act: Arc::new(move |now, key| Box::pin(act(now, key))),
            tidy: None,
            ending: None,
        }
    }

    /// Looks at what is there now. Changes nothing.
    pub async fn look(&self) -> Result<Value, Failure> {
        (self.look)().await
    }

    /// Judges what is there, or what later effects will have left there.
    pub fn judge(&self, now: &Value) -> Judgement {
        (self.judge)(now)
    }

    /// Returns the whole of it as one call, which may safely be made again. Its result is what [`Reversed::read`] reads.
    pub fn call(self) -> Call {
        let (function, about) = (self.function, self.about.clone());
        let ending = self.ending.clone();
        let call = Call::new(function, Class::Keyed, about, move |key| async move {
            if let Some(tidy) = &self.tidy {
                tidy().await?;
            }
            let mut looks = 1;
            loop {
                let now = self.look().await?;
                let verdict = match self.judge(&now).verdict {
                    Reversed::Done => (self.act)(now, key.clone()).await,
                    other => Ok(other),
                };
                match verdict {
                    Err(failure) if failure.class == FailureClass::Conflict && looks < LOOKS => {
                        looks += 1;
                    }
                    other => return other.map(|verdict| verdict.to_value()),
                }
            }
        });
        match ending {
            Some(ending) => call.ending_on(ending),
            None => call,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_as_it_was_written() {
        for verdict in [
            Reversed::Done,
            Reversed::Already("gone".into()),
            Reversed::Left("changed".into()),
        ] {
            assert_eq!(Reversed::read(&verdict.to_value()), Some(verdict));
        }
        // What undos of earlier versions recorded.
        assert_eq!(Reversed::read(&Value::Null), None);
    }
}
