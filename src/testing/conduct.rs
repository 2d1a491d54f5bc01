//! Starts the processes that play tests.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How often a process is checked.
const LOOK: Duration = Duration::from_millis(5);

/// Starts processes that play a test of a file in a folder.
#[derive(Clone, Debug)]
pub struct Player {
    /// The program, with the arguments before its last three: the test file, the test's name, the folder.
    pub program: PathBuf,
    pub command: &'static str,
}

/// The part of a test that a process plays.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The test file.
    pub file: &'a Path,
    pub name: &'a str,
    /// A run that comes before the test, by its number from 0.
    pub before: Option<usize>,
}

/// How a process ended.
#[derive(Debug)]
pub enum Played {
    ToItsEnd,
    /// It was killed at the given point.
    Killed,
    TookTooLong,
    /// It could not play the test, for this reason.
    Broke(String),
}

/// The file for the output of a test's processes.
const PRINTED: &str = "printed";

impl Player {
    /// Plays a test until it has ended, or until the point at which the process kills itself.
    pub fn play(
        &self,
        part: Part,
        folder: &Path,
        kill_at: Option<u64>,
        timeout: Duration,
    ) -> io::Result<Played> {
        let printed = folder.join(PRINTED);
        let output = File::create(&printed)?;
        let mut command = Command::new(&self.program);
        command
            .arg(self.command)
            .args([
                part.file.as_os_str(),
                part.name.as_ref(),
                folder.as_os_str(),
            ])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .env("NO_COLOR", "1")
            .env_remove("WINDLASS_CRASH_AT");
        if let Some(number) = part.before {
            command.args(["--before", &number.to_string()]);
        }
        if let Some(at) = kill_at {
            command.env("WINDLASS_CRASH_AT", at.to_string());
        }
        let mut child = command.spawn()?;
        let until = Instant::now() + timeout;
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() >= until => {
                    child.kill()?;
                    child.wait()?;
                    return Ok(Played::TookTooLong);
                }
                None => thread::sleep(LOOK),
            }
        };
        Ok(match () {
            () if status.success() => Played::ToItsEnd,
            () if kill_at.is_some() && is_aborted(status) => Played::Killed,
            () => Played::Broke(std::fs::read_to_string(&printed)?.trim().to_owned()),
        })
    }
}

fn is_aborted(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal().is_some()
}
