//! Reverses calls that were made. Each host module defines how for its own calls.
//!
//! A [`WayBack`] reads the current state, judges whether it is still what the run left, and acts only then. The plan of
//! an undo, the undo itself and all reports of it use the same judgement.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    function::{Changing, Function, Reversible},
    in_use::InUse,
    table,
};
use crate::effects::{Call, Class, EffectKey, Look};
use windlass_world::{
    outside::Clients,
    value::{Failure, FailureClass, Value},
};

/// How often a way back reads the state again when another client writes at the same time.
const LOOKS: usize = 5;
/// The pause before the second look; the later ones are longer.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// An effect as it is in the journal.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    pub function: &'a str,
    /// The call's own key, if the call may have been interrupted; `None` in a plan.
    pub key: Option<&'a EffectKey>,
    /// The arguments for people: secrets masked, long texts cut.
    pub arguments: &'a serde_json::Value,
    /// The state before the call, as the call recorded it.
    pub before: &'a Value,
    /// `None` if it is not known whether the call was made, or what it returned.
    pub result: Option<&'a Value>,
}

/// How an effect can be reversed.
pub enum Reversal {
    /// The effect left nothing outside.
    Nothing,
    By(WayBack),
    /// It can't be reversed; says what stays.
    Never(String),
}

impl Reversal {
    pub(super) fn never(what: impl Into<String>) -> Self {
        Self::Never(what.into())
    }
}

/// How to find out whether a call in doubt was made.
pub enum Finding {
    /// The reversal needs only the state before the call.
    NotNeeded,
    By {
        look: Look,
        /// How long after the call the answer is reliable; `None` for no limit.
        within: Option<Duration>,
    },
    /// The reversal needs the result, and too little was recorded to look for it.
    Impossible,
}

/// Returns how to find out whether a call was made, as far as its reversal needs that. Makes no new change.
pub fn finding(function: &str, before: &Value, clients: &Clients) -> Finding {
    match table::caller(function).and_then(Function::change) {
        Some(change) => (change.find)(before, clients),
        None => Finding::NotNeeded,
    }
}

/// Says whether a call is reversed by what its script gave as `undo`.
fn has_own_undo(function: &str, before: &Value) -> bool {
    let change = table::caller(function).and_then(Function::change);
    let is_given = |change: &Changing| matches!(change.undo, Reversible::IfGiven(..));
    change.is_some_and(is_given) && *before != Value::Null
}

/// Says whether an author's undo may be sent only if its call was made: otherwise it could delete what is someone else's. A PUT that is undone
/// by a PUT to the same URL is not one: what it puts back is right in both cases.
pub fn needs_its_call(function: &str, arguments: &serde_json::Value, before: &Value) -> bool {
    let text = |name: &str| before.field(name).and_then(Value::as_str);
    let is_put = text("method").is_some_and(|method| method.eq_ignore_ascii_case("PUT"));
    let is_same = text("url").is_some_and(|url| arguments["url"] == url);
    let puts_back = function == "http::put" && is_put && is_same;
    has_own_undo(function, before) && !puts_back
}

/// Returns how an effect is reversed.
pub fn reversal(done: Done, clients: &Clients) -> Reversal {
    match table::caller(done.function) {
        Some(row) => match row.change() {
            Some(change) => (change.undo.way())(done, clients),
            None => Reversal::Nothing,
        },
        None => Reversal::Never(format!("{} can't be reversed", done.function)),
    }
}

/// What an undo does, or would do, with an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reversed {
    /// It is reversed.
    Done,
    /// There is nothing to reverse (any more); says why.
    Already(String),
    /// The current state is not what the run left, so it stays; says what is different.
    Left(String),
}

impl Reversed {
    /// Returns the form that is stored in the journal.
    pub(super) fn to_value(&self) -> Value {
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

    /// Reads the result of a [`WayBack`]. Returns `None` for the result of any other call.
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
type Uses = Arc<dyn Fn(Value) -> Doing<Vec<String>> + Send + Sync>;
type Tidy = Arc<dyn Fn() -> Doing<()> + Send + Sync>;
type Act = Arc<dyn Fn(Value, EffectKey) -> Doing<Reversed> + Send + Sync>;

/// What the current state means for an undo.
pub struct Judgement {
    pub verdict: Reversed,
    /// The state after the verdict is carried out. An earlier effect on the same thing is judged by it.
    pub then: Value,
}

impl Judgement {
    /// The state is as the run left it, and becomes `then`.
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

/// Reverses one effect, if the current state is still what the run left.
#[derive(Clone)]
pub struct WayBack {
    /// The action, for people: `delete secret/x in y of mgmt`.
    pub what: String,
    /// The name of the call in the journal.
    function: &'static str,
    /// What becomes of it in doubt.
    class: Class,
    about: Value,
    /// Identifies the thing outside; equal for all effects on it.
    pub subject: String,
    /// The certificates and CAs that this takes away, as [`InUse`] knows them.
    takes: Vec<String>,
    /// Returns the certificates and CAs that the thing uses in a state.
    uses: Option<Uses>,
    look: LookNow,
    judge: Judge,
    act: Act,
    /// Removes what an interrupted call left behind, regardless of the judgement.
    tidy: Option<Tidy>,
    /// Ends the act when the attempt is stopped.
    ending: Option<CancellationToken>,
    /// Whether it reads the state first: only then, a conflict means that another client wrote since, and it looks again.
    looks: bool,
}

impl WayBack {
    /// Adds an action that is done first, regardless of the judgement.
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

    /// Sets what becomes of it in doubt; otherwise it is made again under its key.
    pub(super) fn in_doubt(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Names the thing outside, for a way back that reads no state.
    pub(super) fn about(mut self, subject: String) -> Self {
        self.subject = subject;
        self
    }

    /// Names the certificates (by their serial numbers) and CAs (by their ARNs) that it takes away.
    pub(super) fn taking(mut self, taken: impl IntoIterator<Item = String>) -> Self {
        self.takes.extend(taken);
        self
    }

    /// Says which certificates and CAs the thing uses in the state that was read: if it is left as it is, they are, too.
    pub(super) fn using<F>(mut self, uses: impl Fn(Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<String>, Failure>> + Send + 'static,
    {
        self.uses = Some(Arc::new(move |now| Box::pin(uses(now))));
        self
    }

    /// Leaves what it would take away if something else that is left uses it.
    pub fn sparing(mut self, in_use: &InUse) -> Self {
        let user = self.takes.iter().find_map(|it| in_use.user_of(it));
        if let Some(user) = user {
            let why = format!("{user}, which is left as it is, uses it");
            self.judge = Arc::new(move |now| Judgement::left(why.clone(), now));
        }
        self
    }

    /// Adds what the thing uses in this state.
    ///
    /// # Errors
    /// A failure of the look.
    pub async fn note_uses(&self, now: &Value, in_use: &mut InUse) -> Result<(), Failure> {
        in_use.add(&self.subject, self.used(now).await?);
        Ok(())
    }

    async fn used(&self, now: &Value) -> Result<Vec<String>, Failure> {
        match &self.uses {
            Some(uses) => uses(now.clone()).await,
            None => Ok(Vec::new()),
        }
    }

    /// Creates a way back that does not read the state first: it does what the author gave, or what may safely be repeated.
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
            class: Class::Keyed,
            about,
            look: Arc::new(|| Box::pin(async { Ok(Value::Null) })),
            judge: Arc::new(|_| Judgement::goes(Value::Null)),
            act: Arc::new(move |_, key| Box::pin(act(key))),
            takes: Vec::new(),
            uses: None,
            tidy: None,
            ending: None,
            looks: false,
        }
    }

    /// Creates a way back that reads the state with `look` and acts if `judge` finds that it is what the run left. `act` fails
    /// with [`FailureClass::Conflict`] if the state has changed since the look.
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
            class: Class::Keyed,
            about,
            subject,
            look: Arc::new(move || Box::pin(look())),
            judge: Arc::new(judge),
            act: Arc::new(move |now, key| Box::pin(act(now, key))),
            takes: Vec::new(),
            uses: None,
            tidy: None,
            ending: None,
            looks: true,
        }
    }

    /// Says whether it restores a file.
    pub fn is_of_file(&self) -> bool {
        self.function == super::file::RESTORE
    }

    /// Reads the current state. Changes nothing.
    pub async fn look(&self) -> Result<Value, Failure> {
        (self.look)().await
    }

    /// Judges the current state, or the state that later effects will have left.
    pub fn judge(&self, now: &Value) -> Judgement {
        (self.judge)(now)
    }

    /// Returns the whole reversal as one call. [`Reversed::read`] reads its result.
    pub fn call(self) -> Call {
        let (function, about) = (self.function, self.about.clone());
        let ending = self.ending.clone();
        let call = Call::new(function, self.class, about, move |key| async move {
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
                    Ok(Reversed::Left(why)) => {
                        let now = self.look().await?;
                        return Ok(left(why, &self.subject, self.used(&now).await?));
                    }
                    Err(failure)
                        if failure.class == FailureClass::Conflict
                            && self.looks
                            && looks < LOOKS =>
                    {
                        tokio::time::sleep(LOOK_AGAIN * looks as u32).await;
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

/// Returns the result of a reversal that left a thing as it is, with what the thing uses.
fn left(why: String, subject: &str, used: Vec<String>) -> Value {
    let mut value = Reversed::Left(why).to_value();
    if let (false, Value::Map(map)) = (used.is_empty(), &mut value) {
        let used = used.into_iter().map(Value::from).collect();
        map.insert("subject".into(), subject.into());
        map.insert("uses".into(), Value::List(used));
    }
    value
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
        // Undos of earlier versions recorded this.
        assert_eq!(Reversed::read(&Value::Null), None);
    }

    #[test]
    fn only_what_a_put_puts_back_is_right_in_both_cases() {
        let arguments = serde_json::json!({ "url": "https://a/x" });
        let undo = |method: &str, url: &str| {
            Value::map([("method", Value::from(method)), ("url", url.into())])
        };
        let needs = |function, before| needs_its_call(function, &arguments, &before);
        assert!(!needs("http::put", undo("PUT", "https://a/x")));
        assert!(!needs("http::put", undo("put", "https://a/x")));
        assert!(needs("http::put", undo("PUT", "https://a/y")));
        assert!(needs("http::put", undo("DELETE", "https://a/x")));
        assert!(needs("http::post", undo("PUT", "https://a/x")));
        assert!(!needs("http::put", Value::Null));
        assert!(needs("exec::run", Value::List(vec!["rm".into()])));
    }
}
