//! Runs the programs that scripts start.
//!
//! - [`group`]: the process group of a program, and how it ends;
//! - [`left`]: what an earlier process left running;
//! - [`output`]: what a program prints, and how much of it is kept;
//! - [`variables`]: the environment of a program.

mod group;
mod left;
mod output;
mod variables;

use std::{
    collections::BTreeMap,
    env, io,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use tokio::{io::AsyncWriteExt, process::Command};
use tokio_util::sync::CancellationToken;

use crate::value::{Failure, FailureClass, MASK, Secret, format_duration};
use group::{Group, Started, Talk};
use output::{Output, keep_last, said};
use windlass_ground::{boxed, disk};

use super::answer::{Client, ENDED, NOT_STARTED, proof};
pub use group::{end_programs, kill_programs};
pub use left::{KEY_VARIABLE, left_running};
pub use variables::check_name;
use variables::check_variable;

/// The time between SIGTERM and SIGKILL; the same as the default of `docker stop`.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);
/// How long the output of a program that has ended is read if a child of it keeps the pipe open. The program's own output is in
/// the pipe by then, and is read in a few milliseconds; the rest of the time is for a child that is about to end,
/// too.
const LINGER: Duration = Duration::from_millis(500);

/// The settings of a program in a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { path = \"/opt/bin/istioctl\", env = [\"SSH_AUTH_SOCK\"] }"
)]
pub struct ProgramTarget {
    /// The file to start; looked up in `PATH` if it is left out.
    pub path: Option<PathBuf>,
    /// Variables of this process that are passed to the program.
    #[serde(default)]
    pub env: Vec<String>,
    /// The variables that scripts may set for the program, with `*` for any characters; if it is left out, all that do not change what code
    /// programs run, as far as these are known.
    pub set: Option<Vec<String>>,
}

/// The programs that a target allows scripts to start.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    allowed: Arc<BTreeMap<String, Allowed>>,
}

#[derive(Debug)]
struct Allowed {
    /// `None` if the file was not found when the target was opened.
    path: Option<PathBuf>,
    variables: Vec<String>,
    settable: Option<Vec<String>>,
}

/// What a script says about a second run of the same program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// It may do its work twice.
    #[default]
    Unsure,
    /// It has no further effect.
    Idempotent,
    /// The program changes nothing.
    Reads,
}

#[derive(Clone, Debug)]
pub struct Invocation {
    pub program: String,
    pub arguments: Vec<String>,
    pub stdin: Option<Secret>,
    pub variables: BTreeMap<String, Secret>,
    pub timeout: Option<Duration>,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The exit codes that are not a failure.
    pub expected: Vec<i32>,
    pub folder: PathBuf,
    /// Whether a failure must not quote the program's output.
    pub hides_output: bool,
    pub again: Again,
    /// Asks the program to end.
    pub ending: CancellationToken,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exited {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Whether a stream had more, and only its end is here.
    pub is_cut: bool,
}

impl Exited {
    /// Keeps only the last `most` bytes of each stream.
    pub fn keep_last(&mut self, most: usize) {
        self.is_cut |= self.stdout.len() > most || self.stderr.len() > most;
        keep_last(&mut self.stdout, most);
        keep_last(&mut self.stderr, most);
    }
}

/// How a program ended.
enum Ended {
    ByItself(io::Result<ExitStatus>),
    TimedOut { was_killed: bool },
    Asked,
}

impl Programs {
    /// Looks up each program once, so that neither a script nor a later change of `PATH` decides what is started.
    pub fn new(targets: &BTreeMap<String, ProgramTarget>) -> Self {
        let allowed = targets.iter().map(|(name, target)| {
            let path = match &target.path {
                Some(path) => Some(path.clone()).filter(|path| is_program(path)),
                None => find(name),
            };
            let allowed = Allowed {
                path,
                variables: target.env.clone(),
                settable: target.set.clone(),
            };
            (name.clone(), allowed)
        });
        Self {
            allowed: Arc::new(allowed.collect()),
        }
    }

    /// Rejects a program that scripts may not start, or that was not found.
    ///
    /// # Errors
    /// The failure that a call would have.
    pub fn check_program(&self, name: &str) -> Result<(), Failure> {
        self.found(name).map(|_| ())
    }

    /// Rejects a variable that a script may not set for a program.
    ///
    /// # Errors
    /// The reason, and what to do instead.
    pub fn check_variable(&self, program: &str, variable: &str) -> Result<(), String> {
        let allowed = self.allowed.get(program);
        let settable = allowed.and_then(|allowed| allowed.settable.as_deref());
        check_variable(program, variable, settable)
    }

    /// Starts a program, without a shell, and waits until it has ended. It has its own process group, which is killed when the
    /// future is dropped. A child that keeps running after the program does not delay the
    /// result.
    ///
    /// On a timeout, or when the token is cancelled, the group gets SIGTERM, and SIGKILL after the grace period.
    ///
    /// Of each stream, the last 448 KiB are returned.
    ///
    /// # Errors
    /// A program that is not allowed or does not exist, an unexpected exit code, a signal, or a timeout. Failures of a program that was
    /// started contain the end of its output.
    #[boxed]
    pub async fn run(&self, invocation: &Invocation) -> Result<Exited, Failure> {
        let name = &invocation.program;
        let failed = |class, code: &str, why: String| Failure::new(class, name.clone(), code, why);
        let child = self.command(invocation)?.spawn().map_err(|e| {
            let why = format!("`{name}` can't be started: {e}");
            failed(FailureClass::Rejected, "CannotStart", why).proving(proof(
                Client::Program,
                name,
                NOT_STARTED,
            ))
        })?;
        // The group is dropped first: it kills its processes, and then the program is waited for.
        let mut started = Started::new(child);
        let child = started.child();
        let mut group = Group::of(child);
        let (mut out, mut err) = (Output::default(), Output::default());
        let (stdin, pipes) = (
            child.stdin.take(),
            (child.stdout.take(), child.stderr.take()),
        );
        let ended = {
            let write = async {
                if let (Some(mut pipe), Some(text)) = (stdin, &invocation.stdin) {
                    // It is not an error if a program does not read all of its input.
                    let _ = pipe.write_all(text.reveal_bytes()).await;
                }
            };
            let talk = async { tokio::join!(write, out.read(pipes.0), err.read(pipes.1)) };
            tokio::pin!(talk);
            let mut talk = Talk::new(talk);
            let ended = supervise(child, &mut talk, invocation, &group).await;
            let _ = tokio::time::timeout(LINGER, talk.finish()).await;
            ended
        };
        group.let_go();
        let words = || {
            if invocation.hides_output {
                MASK.to_owned()
            } else {
                said(&out, &err)
            }
        };
        let proving = |failure: Failure| failure.proving(proof(Client::Program, name, ENDED));
        let unknown = |class, code, why: String| {
            let why = format!("{why}\n{}", words());
            Err(proving(failed(class, code, why.trim_end().to_owned())))
        };
        let status = match ended {
            Ended::ByItself(status) => status
                .map_err(|e| proving(failed(FailureClass::Unavailable, "Lost", e.to_string())))?,
            Ended::TimedOut { was_killed } => {
                let timeout = format_duration(invocation.timeout.unwrap_or_default());
                let why = if !was_killed {
                    format!("it took longer than {timeout}, and was ended by SIGTERM")
                } else {
                    format!(
                        "it took longer than {timeout}, and was killed: SIGTERM did not end it within {}",
                        format_duration(invocation.grace)
                    )
                };
                return unknown(FailureClass::Timeout, "Timeout", why);
            }
            Ended::Asked => {
                let why = "it was asked to end".to_owned();
                return unknown(FailureClass::Unavailable, "Signal", why);
            }
        };
        let Some(code) = status.code() else {
            let signal = status.signal().unwrap_or_default();
            let why = format!("it was ended by signal {signal}");
            return unknown(FailureClass::Unavailable, "Signal", why);
        };
        if !invocation.expected.contains(&code) {
            return Err(unexpected_exit(name, code, words(), invocation.again));
        }
        // It has done its work, however much it printed.
        let ((stdout, is_all_out), (stderr, is_all_err)) = (out.kept(), err.kept());
        Ok(Exited {
            code,
            stdout,
            stderr,
            is_cut: !(is_all_out && is_all_err),
        })
    }

    /// Returns what the target says about a program, and its file.
    fn found(&self, name: &str) -> Result<(&Allowed, &Path), Failure> {
        let failed = |class, code: &str, why: String| Failure::new(class, name, code, why);
        let Some(allowed) = self.allowed.get(name) else {
            let why = format!("the target does not allow the program `{name}`");
            return Err(
                failed(FailureClass::Denied, "ProgramNotAllowed", why).with_hint(format!(
                    "add it to the target in windlass.toml: `exec = [\"{name}\"]`"
                )),
            );
        };
        let Some(path) = &allowed.path else {
            let why = format!("`{name}` can't be started: no such program was found");
            return Err(failed(FailureClass::Rejected, "CannotStart", why).with_hint(format!(
                "install it in a folder of PATH, or name the file in windlass.toml: `exec = {{ {name} = {{ path = \"/…/{name}\" }} }}`"
            )));
        };
        Ok((allowed, path))
    }

    /// Returns the command for an invocation.
    fn command(&self, invocation: &Invocation) -> Result<Command, Failure> {
        let name = &invocation.program;
        let failed = |class, code: &str, why: String| Failure::new(class, name.clone(), code, why);
        let (allowed, path) = self.found(name)?;
        disk::create_folders(&invocation.folder, 0o777)
            .map_err(|e| failed(FailureClass::Rejected, "NoFolder", e.to_string()))?;
        let mut command = Command::new(path);
        command
            .args(&invocation.arguments)
            .current_dir(&invocation.folder)
            .env_clear()
            .envs(variables::kept(&allowed.variables))
            .envs(invocation.variables.iter().map(|(k, v)| (k, v.reveal())))
            .stdin(match invocation.stdin {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }
}

/// Returns the failure for an exit code that does not mean success, with what the program printed.
///
/// An exit code does not say whether the next run will fail as well, so a program that may be run again is retried.
pub fn unexpected_exit(program: &str, code: i32, printed: String, again: Again) -> Failure {
    let failure = |class| Failure::new(class, program, format!("Exit{code}"), printed);
    let proof = proof(Client::Program, program, ENDED);
    match again {
        Again::Reads => failure(FailureClass::Unavailable),
        Again::Idempotent => failure(FailureClass::Unavailable).proving(proof),
        Again::Unsure => failure(FailureClass::Rejected).proving(proof).with_hint(
            "a program that may be run again says `idempotent: true`: then `retry` and a resume run it again; \
             without that, a resume asks whether its work was done",
        ),
    }
}

/// Waits until a program has ended, or its timeout has passed.
async fn supervise(
    child: &mut tokio::process::Child,
    talk: &mut Talk<'_, impl Future>,
    invocation: &Invocation,
    group: &Group,
) -> Ended {
    let times_out = async {
        match invocation.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let is_asked = tokio::select! {
        biased;
        status = talk.until_ended(child) => return Ended::ByItself(status),
        () = times_out => false,
        () = invocation.ending.cancelled() => true,
    };
    let was_killed = group.end(child, talk, invocation.grace).await;
    if is_asked {
        Ended::Asked
    } else {
        Ended::TimedOut { was_killed }
    }
}

/// Finds a program as a shell does, but only in absolute folders: `.` would be the output folder, to which scripts
/// write.
fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_absolute() && is_program(path));
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g6_a_program_is_found_once_and_never_in_a_relative_folder() {
        assert!(find("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(find("./sh"), None);
        assert_eq!(find("bin/sh"), None);
        assert_eq!(find("/bin/sh"), Some("/bin/sh".into()));
        assert_eq!(find("/etc/passwd"), None, "it can't be executed");
    }

    /// Says whether a process is in the process table, alive or not.
    fn is_there(pid: &str) -> bool {
        Path::new("/proc").join(pid).exists()
    }

    /// A runtime with nothing else to do never handles tokio's orphans.
    #[test]
    fn a_program_that_is_given_up_leaves_no_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let allowed = BTreeMap::from([("sh".to_owned(), ProgramTarget::default())]);
        let programs = Programs::new(&allowed);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads");
        for n in 0..5 {
            let pid = folder.path().join(format!("pid{n}"));
            let invocation = Invocation {
                program: "sh".into(),
                arguments: ["-c".into(), format!("echo $$ > pid{n}; exec sleep 600")].into(),
                stdin: None,
                variables: BTreeMap::new(),
                timeout: None,
                grace: DEFAULT_GRACE,
                expected: vec![0],
                folder: folder.path().to_owned(),
                hides_output: false,
                again: Again::Unsure,
                ending: CancellationToken::new(),
            };
            let programs = programs.clone();
            let task = runtime.spawn(async move { programs.run(&invocation).await });
            let since = std::time::Instant::now();
            let until = |what: &str, is_so: &dyn Fn() -> bool| {
                while !is_so() {
                    assert!(since.elapsed() < Duration::from_secs(20), "{what}");
                    std::thread::sleep(Duration::from_millis(5));
                }
            };
            let read = || std::fs::read_to_string(&pid).unwrap_or_default();
            until("it runs", &|| read().ends_with('\n'));
            let pid = read().trim().to_owned();
            assert!(is_there(&pid));
            task.abort();
            until("it is gone", &|| !is_there(&pid));
        }
    }
}
