use std::io::{IsTerminal, stdin};

use super::{failure::Failure, process::now};
use crate::{
    journal::{RunId, State},
    report::{self, RunStanding},
};

/// Asks for confirmation, unless `--yes` was given. Without a terminal `--yes` is required.
pub fn confirm(is_sure: bool, question: &str) -> Result<bool, Failure> {
    if is_sure {
        return Ok(true);
    }
    if !stdin().is_terminal() {
        return Err(Failure::new(
            "not-confirmed",
            "confirmation required, but stdin is not a terminal",
        )
        .hint("read what is shown above, then use --yes"));
    }
    report::say(&format!("\n{question} [y/N] "));
    let mut answer = String::new();
    stdin()
        .read_line(&mut answer)
        .map_err(|e| Failure::new("not-confirmed", format!("can't read the answer: {e}")))?;
    let says_yes = matches!(answer.trim(), "y" | "Y" | "yes");
    if !says_yes {
        say!("nothing was changed");
    }
    Ok(says_yes)
}

/// Describes a run for a question: `run ID (gloo-mesh on target prod, succeeded 5m 2s ago)`.
pub fn which(id: &RunId, state: &State) -> String {
    let Some(run) = &state.run else {
        return format!("run {id}");
    };
    let status = match state.outcome {
        Some(outcome) => outcome.as_str(),
        None => RunStanding::of(state, false, now()).as_str(),
    };
    let when = match state.ended_at.filter(|_| state.outcome.is_some()) {
        Some(at) => report::ago(at, now()),
        None => format!("started {}", report::ago(run.started_at, now())),
    };
    format!(
        "run {id} ({} on target {}, {status}, {when})",
        report::line(&run.workflow),
        run.target
    )
}
