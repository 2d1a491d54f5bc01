//! `windlass backup` and `windlass restore`.

use std::{
    io::{IsTerminal, stdout},
    path::Path,
    time::Duration,
};

use super::{
    Done,
    args::{Args, Backup, Restore},
    exit,
    failure::Failure,
    process::{interrupted, runtime},
};
use crate::{
    journal::RunId,
    keep::{self, Destination, Restored},
    report::{ago, counted, utc_time},
    runs::{RunsError, now},
    value::Command,
};

/// How many damaged runs are named.
const NAMED: usize = 20;

/// How long interrupted work may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// `windlass backup FILE`.
pub fn backup(args: &Args, command: &Backup) -> Done {
    let is_stdout = command.file == Path::new("-");
    if is_stdout && stdout().is_terminal() {
        let message = "a backup is binary, and stdout is a terminal";
        return Err(Failure::new("output", message).hint("write it to a file"));
    }
    let (state, file) = (args.state.clone(), command.file.clone());
    let done = to_end(move || {
        if is_stdout {
            keep::back_up(&state, Destination::Writer(&mut stdout()))
        } else {
            keep::back_up(&state, Destination::File(&file))
        }
    })?;
    say!(
        "backed up {} and {} files ({}) of {}{}",
        counted(done.runs as usize, "run"),
        done.files,
        size(done.size),
        args.state.display(),
        if is_stdout {
            String::new()
        } else {
            let file = done.beside.as_ref().unwrap_or(&command.file);
            format!(" to {}", file.display())
        }
    );
    if args.on.is_some() {
        say!("the backup does not contain the runs on Restate: back up Restate's data as well");
    }
    if done.lacks_identity {
        say!(
            "the backup has no identity.txt, so the secrets of its runs can't be read with it alone: keep that of {} as well",
            args.state.display()
        )
    } else {
        say!(
            "the backup contains the keys to the secrets of its runs: protect it like a private key"
        )
    }
    if let Some(beside) = &done.beside {
        say!(
            "{} was not replaced: it may be the last backup from which all runs can be restored; the new one is {}",
            command.file.display(),
            beside.display()
        );
    }
    refuse_damaged("the backup", &done.damaged)
}

/// `windlass restore FILE`.
pub fn restore(args: &Args, command: &Restore) -> Done {
    if command.verify {
        let file = command.file.clone();
        let found = to_end(move || keep::check_backup(&file))?;
        say!(
            "{} is a {} backup: {}",
            command.file.display(),
            if found.damaged.is_empty() {
                "complete"
            } else {
                "readable"
            },
            contents(&found)
        );
        say_if_locked(&found, "STATE");
        return refuse_damaged(&command.file.display().to_string(), &found.damaged);
    }
    let (file, state) = (command.file.clone(), args.state.clone());
    let done = to_end(move || keep::restore(&file, &state))?;
    say!("restored {} to {}", contents(&done), args.state.display());
    say_if_locked(&done, &args.state.display().to_string());
    if let Some(run) = done.unfinished.first() {
        say!(
            "the backup does not contain what these runs did later: check each run before you resume it"
        );
        match done.suspect {
            0 => {}
            1 => say!(
                "1 attempt of a step was running: its later calls are not repeated, but looked up, or you are asked about them"
            ),
            count => say!(
                "{count} attempts of steps were running: their later calls are not repeated, but looked up, or you are asked about them"
            ),
        }
        say!("for example: {}", Command::new("show").arg(run));
    }
    if done.triggers > 0 {
        say!(
            "starts that were due since the backup are not made late; a certificate that has been renewed since then may be renewed again: see {} before you start the server",
            Command::new("triggers")
        );
    }
    refuse_damaged(&command.file.display().to_string(), &done.damaged)
}

/// Names the runs of a backup that can't be restored fully.
fn refuse_damaged(backup: &str, damaged: &[(RunId, String)]) -> Done {
    if damaged.is_empty() {
        return Ok(exit::SUCCEEDED);
    }
    let mut message = format!(
        "{backup}: {} can't be restored fully",
        counted(damaged.len(), "run")
    );
    for (run, why) in damaged.iter().take(NAMED) {
        message.push_str(&format!("\n  {run}: {why}"));
    }
    if damaged.len() > NAMED {
        message.push_str(&format!("\n  and {} more", damaged.len() - NAMED));
    }
    // The other runs are fine.
    Err(Failure::new("damaged-runs", message)
        .hint("the other runs are complete; keep an older backup in which these runs are, too")
        .of_a_run())
}

fn say_if_locked(found: &Restored, state: &str) {
    if found.lacks_identity {
        say!(
            "it has no identity.txt, without which the secrets of its runs can't be read: put yours into {state}"
        );
    }
}

/// Does some work with drafts; if a signal interrupts it, removes them.
fn to_end<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RunsError> + Send + 'static,
) -> Result<T, Failure> {
    let runtime = runtime(1)?;
    let done = runtime.block_on(async {
        let interrupted = interrupted();
        let mut working = tokio::task::spawn_blocking(work);
        tokio::select! {
            done = &mut working => return Some(done),
            () = interrupted => keep::stop(),
        }
        // It stops at the next file, unless it has just ended; a wait for a busy database takes longer.
        let ended = tokio::time::timeout(STOP_WITHIN, working).await.ok();
        keep::remove_drafts();
        ended
    });
    runtime.shutdown_background();
    let interrupted = || {
        let message = "interrupted before it was complete";
        Failure::new("output", message).of_a_signal()
    };
    match done {
        Some(Ok(Ok(done))) => Ok(done),
        Some(Ok(Err(_))) if keep::is_stopped() => Err(interrupted()),
        Some(Ok(Err(error))) => Err(error.into()),
        Some(Err(error)) => Err(Failure::new(
            "system",
            format!("the work could not be finished: {error}"),
        )),
        None => Err(interrupted()),
    }
}

fn contents(found: &Restored) -> String {
    let open = match found.unfinished.len() {
        0 => String::new(),
        1 => ", 1 of which had not ended".into(),
        open => format!(", {open} of which had not ended"),
    };
    format!(
        "{}{open}, as of {} UTC ({})",
        counted(found.runs, "run"),
        utc_time(found.at),
        ago(found.at, now()),
    )
}

/// Formats a number of bytes for people.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        0..MIB => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{:.1} MiB", bytes as f64 / MIB as f64),
    }
}
