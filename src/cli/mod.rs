//! The command line: one file per command. The rules about runs are in [`runs`](crate::runs), the texts about them in
//! [`report`].
//!
//! Human output goes to stderr; stdout only carries the requested output.

/// Prints a line on stderr, as `eprintln!` does, and ignores a closed stderr.
macro_rules! say {
    ($($text:tt)*) => { $crate::report::say(&(format!($($text)*) + "\n")) };
}

mod account;
mod answer;
mod archive;
mod args;
mod audit;
mod beforehand;
mod cancel;
mod certs;
mod compare;
mod complete;
mod confirm;
mod definitions;
mod drive;
mod dry_run;
mod explain;
mod failure;
mod graph;
#[cfg(test)]
mod help;
mod http;
mod iam;
mod in_doubt;
mod keep;
mod kube;
mod load;
mod logging;
mod login;
mod logs;
mod look;
mod lsp;
mod man;
mod mcp;
mod mesh;
mod mutate;
mod new;
mod outputs;
mod params;
mod pca;
mod plan;
mod preflight;
mod process;
mod prune;
mod rbac;
mod remote;
#[cfg(feature = "restate")]
mod restate;
mod resume;
mod run;
mod runs;
mod schema;
mod serve;
mod server;
mod shell;
mod shipped;
mod show;
mod taken;
mod test;
mod trial;
mod triggers;
mod undo;
mod validate;
#[cfg(feature = "restate")]
mod watch;
#[cfg(feature = "restate")]
mod worker;

use std::process::ExitCode;

use clap::{
    Parser,
    error::{ContextKind, ContextValue},
};

use crate::{journal::Verdict, report};

use args::{Args, Command};
use failure::Failure;

/// The exit codes of every command.
mod exit {
    pub const SUCCEEDED: u8 = 0;
    pub const FAILED: u8 = 1;
    /// Nothing was started.
    pub const NOTHING_STARTED: u8 = 2;
    /// The run waits for a person.
    pub const WAITING: u8 = 3;
    pub const CANCELLED: u8 = 130;
}

/// Runs the command on the command line.
pub fn main() -> ExitCode {
    complete::answer();
    let args = Args::try_parse().unwrap_or_else(|error| without_dry_run(error).exit());
    if args.no_color {
        console::set_colors_enabled(false);
        console::set_colors_enabled_stderr(false);
    }
    if args.ascii {
        report::use_ascii();
    }
    if !args.utc && !args.command.serves() {
        report::use_local_zone();
    }
    for (option, value) in args.whereabouts() {
        report::repeat(option, value);
    }
    if let Err(failure) = server::refuse_what_stays_here(&args) {
        return failure.report();
    }
    let serves = matches!(
        args.command,
        Command::Serve(_) | Command::Mcp(_) | Command::Pca(_) | Command::Kube(_) | Command::Http(_)
    );
    #[cfg(feature = "restate")]
    let serves = serves || matches!(args.command, Command::Worker(_));
    if !serves && let Err(failure) = logging::start_if_asked() {
        return failure.report();
    }
    let done = match &args.command {
        Command::New(command) => new::new(command),
        Command::Try(command) => trial::try_script(&args, command),
        Command::Shell(command) => shell::shell(&args, command),
        Command::Run(command) => run::run(&args, command),
        Command::Resume(command) => resume::resume(&args, command),
        Command::Undo(command) => undo::undo(&args, command),
        Command::Cancel(command) => cancel::cancel(&args, command),
        Command::Approve(command) => answer::answer(&args, command, Verdict::Approved),
        Command::Reject(command) => answer::answer(&args, command, Verdict::Rejected),
        Command::Validate(command) => validate::validate(&args, command),
        Command::Plan(command) => plan::plan(&args, command),
        Command::Test(command) => test::test(&args, command),
        Command::PlayTest(command) => test::play(command),
        Command::Graph(command) => graph::graph(&args, command),
        Command::Iam(command) => iam::iam(command),
        Command::Rbac(command) => rbac::rbac(command),
        Command::Explain(command) => explain::explain(command),
        Command::Schema(command) => schema::schema(command),
        Command::Definitions(command) => definitions::definitions(command),
        Command::Lsp => lsp::lsp(),
        Command::Runs(command) => runs::runs(&args, command),
        Command::Mesh(command) => mesh::mesh(&args, command),
        Command::Show(command) => show::show(&args, command),
        Command::Compare(command) => compare::compare(&args, command),
        Command::Logs(command) => logs::logs(&args, command),
        Command::Outputs(command) => outputs::outputs(&args, command),
        Command::Certs(command) => certs::certs(&args, command),
        Command::Audit(command) => audit::audit(&args, command),
        #[cfg(feature = "restate")]
        Command::Worker(command) => worker::worker(&args, command),
        Command::Serve(command) => serve::serve(&args, command),
        Command::Mcp(command) => mcp::mcp(&args, command),
        Command::Triggers(command) => triggers::triggers(&args, command),
        Command::Prune(command) => prune::prune(&args, command),
        Command::Backup(command) => keep::backup(&args, command),
        Command::Restore(command) => keep::restore(&args, command),
        Command::Login(command) => login::login(&args, command),
        Command::Logout => login::logout(&args),
        Command::Pca(command) => pca::pca(&args, command),
        Command::Kube(command) => kube::kube(&args, command),
        Command::Http(command) => http::http(command),
        Command::Completions { shell } => complete::completions(shell),
        Command::Man { dir } => man::man(dir),
    };
    done.map_or_else(|failure| failure.report(), ExitCode::from)
}

/// The result of a command: its exit code, or the reason why it failed.
type Done = Result<u8, Failure>;

/// Prints a text for people, in characters that their terminal shows.
fn print_text(text: &str) -> Done {
    print(&report::for_people(text))
}

/// Prints a result on stdout. It is not a failure if the reader has closed the pipe (`| head`).
fn print(text: &str) -> Done {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            "output",
            format!("can't write to stdout: {e}"),
        )),
        _ => Ok(exit::SUCCEEDED),
    }
}

/// Suggests a plan to who asks for a dry run. By itself, clap suggests the similar `--no-dry-run`, with which a run would begin.
fn without_dry_run(mut error: clap::Error) -> clap::Error {
    let similar = error.get(ContextKind::SuggestedArg);
    if similar.is_some_and(|similar| similar.to_string() == "--no-dry-run") {
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::Usage);
        let tip = "to see what it would do: `windlass plan FILE`, `windlass resume --plan` or `windlass undo --plan`";
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
    }
    error
}
