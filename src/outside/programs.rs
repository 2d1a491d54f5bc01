use std::{
    collections::BTreeMap, env, ffi::OsString, os::unix::process::ExitStatusExt, path::PathBuf,
    process::Stdio, time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::answer::{Client, ENDED, NOT_STARTED, proof};
use crate::value::{Failure, FailureClass, Secret};

/// Output goes through the journal, which takes 1 MiB a call with all that is around it.
const MAX_OUTPUT_BYTES: usize = 448 << 10;
/// What a program finds of the environment beside what its call gives.
const KEPT_VARIABLES: [&str; 8] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "USER",
    "KUBECONFIG",
    "AWS_PROFILE",
];

/// The programs that the target allows scripts to start.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    allowed: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Invocation {
    pub program: String,
    pub arguments: Vec<String>,
    pub stdin: Option<Secret>,
    pub variables: BTreeMap<String, Secret>,
    pub timeout: Option<Duration>,
    /// The exit codes that are no failure.
    pub expected: Vec<i32>,
    pub folder: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exited {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Kills a process and all that it started, unless it has ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Programs {
    pub fn new(allowed: Vec<String>) -> Self {
        Self { allowed }
    }

    /// Starts a program, without a shell, and waits until it has ended. It has a process group of
    /// its own, which is killed when the future is dropped.
    ///
    /// # Errors
    /// A program that is not allowed or not there, an exit code that was not expected, a signal,
    /// a timeout, and more than 448 KiB of output.
    pub async fn run(&self, invocation: &Invocation) -> Result<Exited, Failure> {
        let name = &invocation.program;
        let failed = |class, code: &str, why: String| Failure::new(class, name.clone(), code, why);
        if !self.allowed.contains(name) {
            let why = format!("the target does not allow the program `{name}`");
            return Err(
                failed(FailureClass::Denied, "ProgramNotAllowed", why).with_hint(format!(
                    "add it to the target in windlass.toml: `exec = [\"{name}\"]`"
                )),
            );
        }
        let mut command = Command::new(name);
        command
            .args(&invocation.arguments)
            .current_dir(&invocation.folder)
            .env_clear()
            .envs(kept_variables())
            .envs(invocation.variables.iter().map(|(k, v)| (k, v.reveal())))
            .stdin(if invocation.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        std::fs::create_dir_all(&invocation.folder)
            .map_err(|e| failed(FailureClass::Rejected, "NoFolder", e.to_string()))?;
        let mut child = command.spawn().map_err(|e| {
            let why = format!("`{name}` can't be started: {e}");
            failed(FailureClass::Rejected, "CannotStart", why).proving(proof(
                Client::Program,
                name,
                NOT_STARTED,
            ))
        })?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let mut group = Group(pid);
        let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let talk = async {
            let write = async {
                if let (Some(mut pipe), Some(text)) = (stdin, &invocation.stdin) {
                    // A program that does not read to the end is no failure of ours.
                    let _ = pipe.write_all(text.reveal().as_bytes()).await;
                }
            };
            let ((), stdout, stderr) = tokio::join!(write, read(out), read(err));
            (stdout, stderr, child.wait().await)
        };
        let proving =
            |failure: Failure, answer| failure.proving(proof(Client::Program, name, answer));
        let unknown = |class, code, why| Err(proving(failed(class, code, why), ENDED));
        let (stdout, stderr, status) = match invocation.timeout {
            None => talk.await,
            Some(timeout) => match tokio::time::timeout(timeout, talk).await {
                Ok(talked) => talked,
                Err(_) => {
                    let why = "it took too long, and was killed".to_owned();
                    return unknown(FailureClass::Timeout, "Timeout", why);
                }
            },
        };
        group.0 = None;
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            let why = "it printed more than 448 KiB; let it write a file".to_owned();
            return unknown(FailureClass::Rejected, "TooMuchOutput", why);
        };
        let status = status.map_err(|e| {
            proving(
                failed(FailureClass::Unavailable, "Lost", e.to_string()),
                ENDED,
            )
        })?;
        let Some(code) = status.code() else {
            let signal = status.signal().unwrap_or_default();
            let why = format!("it was ended by signal {signal}");
            return unknown(FailureClass::Unavailable, "Signal", why);
        };
        match invocation.expected.contains(&code) {
            true => Ok(Exited {
                code,
                stdout,
                stderr,
            }),
            false => {
                let said = stderr
                    .trim()
                    .lines()
                    .last()
                    .unwrap_or("it printed no error")
                    .to_owned();
                unknown(FailureClass::Rejected, &format!("Exit{code}"), said)
            }
        }
    }
}

fn kept_variables() -> impl Iterator<Item = (&'static str, OsString)> {
    KEPT_VARIABLES
        .into_iter()
        .filter_map(|name| Some((name, env::var_os(name)?)))
}

/// Reads to the end; `None` if there is more than is taken.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Option<String> {
    let mut bytes = Vec::new();
    let Some(pipe) = pipe else {
        return Some(String::new());
    };
    let mut pipe = pipe.take(MAX_OUTPUT_BYTES as u64 + 1);
    let _ = pipe.read_to_end(&mut bytes).await;
    if bytes.len() > MAX_OUTPUT_BYTES {
        return None;
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
