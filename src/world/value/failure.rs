use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// The kind of failure of an outside call, which decides whether a retry may help.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FailureClass {
    /// The other side asked for fewer calls.
    Throttled,
    /// No answer came in time.
    Timeout,
    /// The other side could not be reached, or had an internal error.
    Unavailable,
    /// The thing is temporarily in another state than the call needs.
    Conflict,
    /// Credentials or permissions are missing.
    Denied,
    /// The call itself is wrong; a retry would fail as well.
    Rejected,
}

impl FailureClass {
    /// The names of all classes.
    pub const NAMES: &[&str] = Self::VARIANTS;

    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns what an HTTP status says about a request that failed.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 | 407 => Self::Denied,
            408 | 504 => Self::Timeout,
            409 | 412 | 423 | 425 => Self::Conflict,
            429 => Self::Throttled,
            500.. => Self::Unavailable,
            _ => Self::Rejected,
        }
    }
}

/// The failure of an outside call.
///
/// It is a result like any other: it is journaled and replayed, and a script may catch it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub class: FailureClass,
    /// The operation, in the other side's terms: `IssueCertificate`, `write relay.key`.
    pub operation: String,
    /// The other side's name for the error: `ThrottlingException`, `ENOSPC`.
    pub code: String,
    /// The other side's message.
    pub message: String,
    /// AWS's request id, for a support case.
    pub request_id: Option<String>,
    /// What the user can do about it.
    pub hint: Option<String>,
    /// Whether the call may have been made even so: the answer was lost, or proves nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unknown: bool,
    /// Whether the call was made even so: the answer shows that, but is not as expected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_done: bool,
    /// After how many seconds the other side asks to be called again (RFC 9110, `Retry-After`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// The longest pause that the other side may ask for. A step that asked in vain for longer would seem to hang.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What an answer proves about a call that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing was done.
    NotDone,
    /// It was done.
    Done,
    /// It may have been done or not.
    Unknown,
}

impl Failure {
    pub fn new(
        class: FailureClass,
        operation: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            class,
            operation: operation.into(),
            code: code.into(),
            message: message.into(),
            request_id: None,
            hint: None,
            is_unknown: false,
            is_done: false,
            retry_after: None,
        }
    }

    /// Records what the answer proves about the call.
    pub fn proving(mut self, proof: Proof) -> Self {
        self.is_unknown = proof == Proof::Unknown;
        self.is_done = proof == Proof::Done;
        self
    }

    /// Says whether making the call again could do it twice.
    pub fn may_be_done(&self) -> bool {
        self.is_unknown || self.is_done
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks that the call may have been made even so.
    pub fn or_done(mut self) -> Self {
        self.is_unknown = true;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.operation, self.code, self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// A place in one of the run's files; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The reason why an attempt of a step failed, complete enough to be shown later from the journal alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepError {
    /// The error code, which names a page in `docs/errors/`.
    pub code: String,
    pub message: String,
    /// Where in the script it happened: the innermost place.
    pub place: Option<Place>,
    /// The calls that led there, innermost first.
    pub chain: Vec<String>,
    /// The outside failure that caused it, if there was one.
    pub failure: Option<Failure>,
    pub hint: Option<String>,
}

impl StepError {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            place: None,
            chain: Vec::new(),
            failure: None,
            hint: None,
        }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the place in the script, if it is known.
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.place = place.or(self.place);
        self
    }

    /// Returns the pause that the other side asked for, of an hour at most.
    pub fn asked_pause(&self) -> Option<Duration> {
        let seconds = self.failure.as_ref()?.retry_after?;
        Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
    }

    /// Returns the message in one line: its first line, and its last one if there are more.
    pub fn headline(&self) -> String {
        one_line(&self.message)
    }
}

/// Shows it briefly: the message may contain all output of a program.
impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&brief(&self.message))
    }
}

/// Returns a text in one line: its first line, and its last one if there are more.
pub fn one_line(text: &str) -> String {
    let text = brief(text);
    let mut lines = text.lines();
    match (lines.next(), lines.next_back()) {
        (Some(first), Some(last)) => format!("{first} … {last}"),
        (first, _) => first.unwrap_or_default().to_owned(),
    }
}

/// Returns a long text in the form in which people see it first: its first line and its last ten, no line longer than 600 characters.
/// Short texts are unchanged. Only for display; the whole text is stored.
pub fn brief(text: &str) -> Cow<'_, str> {
    const LAST_LINES: usize = 10;
    const LINE: usize = 600;
    const LINE_END: usize = 160;
    let shorten = |line: &str| {
        let characters = line.chars().count();
        if characters <= LINE {
            return line.to_owned();
        }
        let head: String = line.chars().take(LINE - LINE_END).collect();
        let end: String = line.chars().skip(characters - LINE_END).collect();
        format!("{head} … {end}")
    };
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= LAST_LINES + 2 && lines.iter().all(|line| line.chars().count() <= LINE) {
        return Cow::Borrowed(text);
    }
    let mut shown: Vec<String> = Vec::new();
    if lines.len() <= LAST_LINES + 2 {
        shown.extend(lines.iter().map(|line| shorten(line)));
    } else {
        let left_out = lines.len() - 1 - LAST_LINES;
        shown.push(shorten(lines[0]));
        shown.push(format!(
            "… {left_out} lines left out; `windlass logs --full` shows them"
        ));
        shown.extend(
            lines[lines.len() - LAST_LINES..]
                .iter()
                .map(|line| shorten(line)),
        );
    }
    Cow::Owned(shown.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d4_a_long_text_shows_its_end() {
        assert_eq!(brief("a\nb\n"), "a\nb\n");
        assert_eq!(one_line("a\nb\nc\n"), "a … c");
        assert_eq!((one_line("a\n").as_str(), one_line("").as_str()), ("a", ""));
        let long: String = (0..100).map(|i| format!("line {i}\n")).collect();
        let shown = brief(&long);
        assert!(shown.starts_with("line 0\n… 89 lines left out"), "{shown}");
        assert!(shown.ends_with("\nline 90\nline 91\nline 92\nline 93\nline 94\nline 95\nline 96\nline 97\nline 98\nline 99"));
        let wide = format!("{}end", "é".repeat(1000));
        assert!(brief(&wide).chars().count() < 610 && brief(&wide).ends_with("end"));
    }
}
