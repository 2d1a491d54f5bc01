use std::{error::Error, fmt};

use windlass_compile::{ClustersError, Mistakes, ParamError, ParamErrors};
use windlass_engine::{decide::Refusal, execute::DriveError};
use windlass_journal::{JournalError, RunId};
#[cfg(feature = "restate")]
use windlass_restate::RemoteError;
use windlass_targets::{ConfigError, OpenError, UnsafeOut};
use windlass_world::value::causes;

/// The reason why a request about runs failed.
#[derive(Debug)]
pub struct RunsError {
    pub kind: Kind,
    /// The error code, which names a page in `docs/errors/`.
    pub code: &'static str,
    pub message: String,
    /// What the user can do about it.
    pub hint: Option<String>,
    /// The mistakes of a workflow that can't be compiled.
    pub mistakes: Option<Mistakes>,
    /// The problem of each param, by name.
    pub params: Vec<(String, String)>,
    /// Whether the request was sent to a server whose answer is not known: what was asked for may have been done.
    pub is_in_doubt: bool,
}

/// The kind of error, for the status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The requested thing does not exist.
    Missing,
    /// The request does not fit the current state.
    Conflict,
    /// The request itself is wrong.
    Wrong,
    /// The person does not have permission.
    Denied,
    /// The request can't be handled at the moment.
    Busy,
    /// An internal error.
    Broken,
}

impl RunsError {
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            hint: None,
            mistakes: None,
            params: Vec::new(),
            is_in_doubt: false,
        }
    }

    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, code, message)
    }

    pub fn wrong(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Wrong, code, message)
    }

    pub fn missing(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Missing, code, message)
    }

    /// The error for the id of a run that does not exist, or that its reader may not see.
    pub fn no_run(id: &RunId) -> Self {
        Self::missing("no-such-run", format!("no run `{id}`"))
    }

    pub fn broken(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Kind::Broken, code, message)
    }

    pub fn no_threads(error: std::io::Error) -> Self {
        Self::broken("system", format!("can't start threads: {error}"))
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn of(
        kind: Kind,
        code: &'static str,
        error: &(dyn Error + 'static),
        hint: Option<String>,
    ) -> Self {
        Self {
            hint,
            ..Self::new(kind, code, causes(error))
        }
    }
}

impl fmt::Display for RunsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RunsError {}

impl From<JournalError> for RunsError {
    fn from(error: JournalError) -> Self {
        let (kind, code) = match error {
            JournalError::NoRun(_) | JournalError::Pruned { .. } => (Kind::Missing, "no-such-run"),
            JournalError::Ambiguous(..) => (Kind::Wrong, "no-such-run"),
            JournalError::Owned { .. } => (Kind::Conflict, "run-owned"),
            // The disk is full, or another process writes: this may pass.
            JournalError::Database(_) | JournalError::Broken | JournalError::Moved(_) => {
                (Kind::Busy, "journal")
            }
            _ => (Kind::Broken, "journal"),
        };
        Self::of(kind, code, &error, error.hint())
    }
}

impl From<rusqlite::Error> for RunsError {
    fn from(error: rusqlite::Error) -> Self {
        Self::of(Kind::Broken, "journal", &error, None)
    }
}

#[cfg(feature = "restate")]
impl From<RemoteError> for RunsError {
    fn from(error: RemoteError) -> Self {
        let kind = match &error {
            RemoteError::Journal(_) => Kind::Broken,
            error if error.passes() || matches!(error, RemoteError::NoWorker) => Kind::Busy,
            _ => Kind::Broken,
        };
        match error {
            RemoteError::Journal(error) => error.into(),
            error => Self::of(kind, "engine", &error, error.hint()),
        }
    }
}

impl From<DriveError> for RunsError {
    fn from(error: DriveError) -> Self {
        match error {
            DriveError::Journal(error) => error.into(),
            error @ DriveError::Panicked { .. } => {
                Self::of(Kind::Broken, "engine-broke", &error, None)
            }
            // The journal could not be written, as above.
            error @ DriveError::Gate(_) => Self::of(Kind::Busy, "journal", &error, None),
            error => Self::of(Kind::Broken, "journal", &error, None),
        }
    }
}

impl From<Mistakes> for RunsError {
    fn from(mistakes: Mistakes) -> Self {
        Self {
            mistakes: Some(mistakes.clone()),
            ..Self::wrong("invalid-workflow", mistakes.to_string())
        }
    }
}

impl From<ParamErrors> for RunsError {
    fn from(errors: ParamErrors) -> Self {
        let named = errors.0.iter().filter_map(|error| {
            let why = match error {
                ParamError::Missing { ty, .. } => format!("a value is required ({ty})"),
                ParamError::Wrong { why, .. } | ParamError::NotYaml { why, .. } => why.clone(),
                ParamError::Unknown { .. } => "the workflow has no such param".into(),
                ParamError::NoPair(_) => return None,
            };
            Some((error.param()?.to_owned(), why))
        });
        let hints: Vec<_> = errors.0.iter().filter_map(ParamError::hint).collect();
        Self {
            hint: (!hints.is_empty()).then(|| hints.join("; ")),
            params: named.collect(),
            ..Self::wrong("params", errors.to_string())
        }
    }
}

impl From<ConfigError> for RunsError {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint();
        let kind = match error {
            ConfigError::Unknown { .. } => Kind::Wrong,
            _ => Kind::Broken,
        };
        Self::of(kind, "config", &error, hint)
    }
}

impl From<OpenError> for RunsError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Out(error) => error.into(),
            error => Self::of(
                Kind::Broken,
                "target",
                &error,
                error.hint().map(str::to_owned),
            ),
        }
    }
}

impl From<UnsafeOut> for RunsError {
    fn from(error: UnsafeOut) -> Self {
        let hint = error.hint();
        Self::of(Kind::Broken, "unsafe-out", &error, Some(hint))
    }
}

impl From<ClustersError> for RunsError {
    fn from(error: ClustersError) -> Self {
        Self::of(Kind::Wrong, "clusters", &error, None)
    }
}

impl From<Refusal> for RunsError {
    fn from(refusal: Refusal) -> Self {
        let (kind, code) = match &refusal {
            Refusal::NotAsked { .. } | Refusal::Over { .. } | Refusal::Changed(_) => {
                (Kind::Conflict, "not-waiting")
            }
            Refusal::Expired { .. } => (Kind::Conflict, "approval-expired"),
            _ => (Kind::Denied, "not-approver"),
        };
        Self::new(kind, code, refusal.to_string())
    }
}
