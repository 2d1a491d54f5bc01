use std::{error::Error, process::ExitCode};

use super::exit;
#[cfg(feature = "restate")]
use crate::restate::{RemoteError, ServeError};
use crate::{
    compile::{ClustersError, Mistakes, ParamError, ParamErrors},
    desk::Refused,
    execute::{DriveError, HolderStands},
    journal::{JournalError, RunId},
    report,
    runs::RunsError,
    targets::{ConfigError, OpenError, UnsafeOut},
    value::causes,
};

/// The reason why a command failed, for the person who ran it.
#[derive(Debug)]
pub struct Failure {
    /// The error code, which names a page in `docs/errors/`.
    code: &'static str,
    message: String,
    hint: Option<String>,
    mistakes: Option<Mistakes>,
    exit: u8,
}

impl Failure {
    /// Says whether it has this code.
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }

    /// Returns the message with its hint, where only one text is shown.
    pub fn text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message.clone(),
        }
    }

    pub fn has_hint(&self) -> bool {
        self.hint.is_some()
    }

    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            mistakes: None,
            exit: exit::NOTHING_STARTED,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Records that a signal ended the command.
    pub fn of_a_signal(mut self) -> Self {
        self.exit = exit::CANCELLED;
        self
    }

    /// Records that the run had begun, so it may have made changes.
    pub fn of_a_run(mut self) -> Self {
        self.exit = exit::FAILED;
        self
    }

    pub(super) fn of(
        code: &'static str,
        error: &(dyn Error + 'static),
        hint: Option<String>,
    ) -> Self {
        Self {
            hint,
            ..Self::new(code, causes(error))
        }
    }

    /// Records that the mistakes were found before the run began.
    pub fn before_a_run(mut self) -> Self {
        if self.mistakes.is_some() {
            self.message.push_str("; nothing was started");
        }
        self
    }

    /// Shows the failure on stderr.
    pub fn report(self) -> ExitCode {
        if let Some(mistakes) = &self.mistakes {
            for mistake in &mistakes.0 {
                say!("{}", report::render(mistake));
            }
        }
        let code = console::style(format!("[{}]", self.code)).dim();
        say!(
            "{} {} {code}",
            console::style("error:").red().bold(),
            report::lines(&self.message)
        );
        if let Some(hint) = &self.hint {
            let hint = report::completed(hint, None);
            let hint = report::lines(&hint);
            say!(" {} {hint}", console::style("hint:").cyan());
        }
        ExitCode::from(self.exit)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<RunsError> for Failure {
    fn from(error: RunsError) -> Self {
        let failure = Self {
            hint: error.hint,
            mistakes: error.mistakes,
            ..Self::new(error.code, error.message)
        };
        if error.is_in_doubt {
            failure.of_a_run()
        } else {
            failure
        }
    }
}

/// Makes a command fail with an error as a request about runs does: code, message and hint are in [`RunsError`].
macro_rules! as_a_request {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                RunsError::from(error).into()
            }
        })+
    };
}

as_a_request!(
    ClustersError,
    ConfigError,
    JournalError,
    Mistakes,
    OpenError,
    UnsafeOut
);
#[cfg(feature = "restate")]
as_a_request!(RemoteError);

#[cfg(feature = "restate")]
impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let hint = match &error {
            ServeError::Journal(error) => error.hint(),
            _ => None,
        };
        Self::of("worker", &error, hint)
    }
}

impl From<Refused> for Failure {
    fn from(error: Refused) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self::of("serve", &error, hint)
    }
}

impl From<ParamErrors> for Failure {
    fn from(ParamErrors(errors): ParamErrors) -> Self {
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let (mut hints, mut missing) = (Vec::new(), Vec::new());
        for error in &errors {
            match error {
                ParamError::Missing { name, ty } => missing.push(format!("-p {name}=… ({ty})")),
                error => hints.extend(error.hint()),
            }
        }
        if !missing.is_empty() {
            let them = if missing.len() == 1 { "it" } else { "them" };
            hints.push(format!("give {them} with {}", missing.join(" ")));
        }
        let failure = Self::new("params", texts.join("\n  "));
        if hints.is_empty() {
            failure
        } else {
            failure.hint(hints.join("\n       "))
        }
    }
}

/// Returns the ways to a lock that `run` holds.
fn how_to_get_the_lock(run: &RunId, holder: HolderStands) -> String {
    let first = match holder {
        HolderStands::Driven => {
            "the run that holds it is being driven, so wait until it ends".to_owned()
        }
        HolderStands::Asking => {
            format!("the run that holds it waits for an approval: `windlass show {run}`")
        }
        HolderStands::Stopped => {
            format!("to continue the run that holds it: `windlass resume {run}`")
        }
    };
    format!("{first}; to cancel it: `windlass cancel {run}`")
}

impl From<DriveError> for Failure {
    fn from(error: DriveError) -> Self {
        if let DriveError::Locked { run, holder, .. } = &error {
            let hint = how_to_get_the_lock(run, *holder);
            return Self {
                exit: exit::WAITING,
                ..Self::of("lock-timeout", &error, Some(hint))
            };
        }
        if let DriveError::Panicked { .. } = &error {
            let hint = "please report it with the message above, then run `windlass resume`";
            return Self {
                exit: exit::FAILED,
                ..Self::of("engine-broke", &error, Some(hint.into()))
            };
        }
        let hint = match &error {
            DriveError::Journal(e) => e.hint(),
            _ => None,
        };
        let hint = hint.unwrap_or_else(|| "fix this, then run `windlass resume`".into());
        Self {
            exit: exit::FAILED,
            ..Self::of("journal", &error, Some(hint))
        }
    }
}
