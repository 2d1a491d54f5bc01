use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

#[cfg(feature = "restate")]
use super::serve::Worker;
use super::{
    certs::Certs,
    check::{Definitions, Explain, Graph, Iam, Plan, Rbac, Schema, Validate},
    desk::{Login, Serve, Triggers},
    drive::{Answer, Cancel, Resume, Run, Undo},
    keep::{Backup, Prune, Restore},
    look::{Audit, Compare, Logs, MeshTable, Outputs, Runs, Show},
    mcp::Mcp,
    new::{New, Shell, Try},
    serve::{Http, Kube, Pca},
    test::{PlayTest, Test},
};

/// The default of `--state`.
const STATE: &str = ".windlass";

/// How each shell loads its completions.
const COMPLETIONS: &str = "\
To load the completions, add a line to the start-up file of the shell.

bash, in ~/.bashrc:
  source <(windlass completions bash)
zsh, in ~/.zshrc after compinit:
  source <(windlass completions zsh)
fish, in ~/.config/fish/config.fish:
  windlass completions fish | source
PowerShell, in $PROFILE:
  windlass completions powershell | Out-String | Invoke-Expression";

const SHELL: &str = "\
A session is a run with one step for each entry, so `windlass show`, `logs` and `undo` work on it.

Entries can also be piped in:
  echo 'hash::sha256(\"x\")' | windlass shell";

const ASSISTANTS: &str = "\
The assistant starts this command: docs/howto/assistants.md shows how to configure common clients.

With --allow, this process drives the runs that the assistant starts; once it has ended, continue them with \
`windlass resume`. With --server, the server drives them.";

const EDITORS: &str = "The editor starts this command: docs/editors.md shows how to configure VS Code, Neovim, Helix and Zed.";

/// Runs certificate rotations, and any other runbook, as a graph of small scripts. A run that stops anywhere, even by
/// kill -9, continues from there, and nothing is done twice.
#[derive(Parser)]
#[command(name = "windlass", version, propagate_version = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    /// The folder in which runs are recorded
    #[arg(
        long,
        global = true,
        env = "WINDLASS_STATE",
        default_value = STATE,
        value_name = "DIR"
    )]
    pub state: PathBuf,

    /// The configuration file [default: windlass.toml, if it exists]
    #[arg(long, global = true, env = "WINDLASS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What drives the runs: `restate` (the server at WINDLASS_RESTATE), or the Restate server of this target
    /// [default: this process; for `run`, what the target says]
    #[arg(
        long,
        global = true,
        env = "WINDLASS_ON",
        value_name = "restate|TARGET"
    )]
    pub on: Option<String>,

    /// Use the runs of this Windlass server instead of those of this machine [default: `server` in windlass.toml]
    #[arg(
        long,
        global = true,
        env = "WINDLASS_SERVER",
        value_name = "URL",
        conflicts_with = "on"
    )]
    pub server: Option<String>,

    /// The CA certificates (PEM) with which the server's certificate is verified [default: `server_ca` in
    /// windlass.toml, or those of the system]
    #[arg(long, global = true, env = "WINDLASS_SERVER_CA", value_name = "FILE")]
    pub server_ca: Option<PathBuf>,

    /// Print without colours
    #[arg(long, global = true, env = "NO_COLOR", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_color: bool,

    /// Show times in UTC instead of the time zone of this machine (TZ)
    #[arg(long, global = true)]
    pub utc: bool,

    /// Print ASCII only; this is the default if the locale is not UTF-8 (LANG=C) or with TERM=dumb
    #[arg(long, global = true, env = "NO_UNICODE", value_parser = clap::builder::FalseyValueParser::new())]
    pub ascii: bool,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write a new workflow with a step, its script and its test
    New(New),
    /// Run one script
    Try(Try),
    /// Start an interactive shell for Rhai and the host functions
    #[command(after_help = SHELL)]
    Shell(Shell),
    /// Run a workflow
    Run(Run),
    /// Resume a run that failed, was cancelled or was interrupted
    Resume(Resume),
    /// Reverse what a run did
    Undo(Undo),
    /// Stop a run; it can be resumed later
    ///
    /// If another process drives the run, or a server, it is asked to stop, and the options about a run that is driven have no effect. If none
    /// does, this process drives what a cancelled run still does, its `finally`, and --max-parallel, --wait, --lock-timeout and --json
    /// apply to that.
    Cancel(Cancel),
    /// Approve a step that waits for an approval
    Approve(Answer),
    /// Reject a step that waits for an approval
    Reject(Answer),
    /// Check workflows and show every mistake in them
    Validate(Validate),
    /// Show what a run would do without changing anything
    Plan(Plan),
    /// Run the tests of workflows: test files, `NAME.test.yaml`
    Test(Test),
    #[command(hide = true, name = "play-test")]
    PlayTest(PlayTest),
    /// Draw the steps of a workflow, or of a run with their states
    Graph(Graph),
    /// Print the minimal IAM policy that a workflow needs
    Iam(Iam),
    /// Print the minimal ClusterRole that a workflow needs on Kubernetes
    Rbac(Rbac),
    /// Explain an error code, a host function or a key of the workflow file
    Explain(Explain),
    /// Print the JSON Schema of a workflow file, for editors
    Schema(Schema),
    /// Write definition files of the host functions, for editors
    Definitions(Definitions),
    /// Start the language server for workflows and scripts, on standard input and output
    #[command(after_help = EDITORS)]
    Lsp,
    /// List the runs, the newest first
    Runs(Runs),
    /// Show a run: its steps, certificates and errors
    Show(Show),
    /// Show what differs between a run and an earlier one: params, files, steps and outputs
    Compare(Compare),
    /// Show what happened in a run, event by event
    Logs(Logs),
    /// Print the outputs of a run
    Outputs(Outputs),
    /// List the certificates of all runs: when each expires, and where it is
    Certs(Certs),
    /// Verify that the journal of a run was not changed, and show what it proves
    Audit(Audit),
    /// Show which components of a rehearsal mesh can talk to each other
    Mesh(MeshTable),
    /// Start a worker that runs the steps of the runs on a Restate server
    #[cfg(feature = "restate")]
    Worker(Worker),
    /// Start a server for a team: a web page, an API and metrics
    Serve(Serve),
    /// Start a server of the Model Context Protocol for an assistant, on standard input and output
    #[command(after_help = ASSISTANTS)]
    Mcp(Mcp),
    /// List the triggers that `windlass serve` watches, and when each starts its workflow next
    Triggers(Triggers),
    /// Delete runs that ended long ago
    Prune(Prune),
    /// Write the state folder to one file, also while runs are in progress
    Backup(Backup),
    /// Verify a backup, and restore the state folder from it
    Restore(Restore),
    /// Log in to a server, with its OpenID Connect provider or with a token
    Login(Login),
    /// Log out of a server: remove the stored token
    Logout,
    /// Work with the embedded AWS Private CA
    #[command(subcommand)]
    Pca(Pca),
    /// Print the completion script for a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// The shell to complete for
        #[arg(value_parser = ["bash", "zsh", "fish", "powershell", "elvish"])]
        shell: String,
    },
    /// Write the manual pages to a folder
    Man {
        /// The folder to write to, such as ~/.local/share/man/man1
        dir: PathBuf,
    },
    /// Work with rehearsal clusters: Kubernetes API servers for rehearsals
    #[command(subcommand)]
    Kube(Kube),
    /// Work with the mock web server, which answers as a file says
    #[command(subcommand)]
    Http(Http),
}

impl Command {
    /// Whether its output is for people other than the one who started it: then times are in UTC.
    pub fn serves(&self) -> bool {
        match self {
            #[cfg(feature = "restate")]
            Self::Worker(_) => true,
            Self::Serve(_) => true,
            _ => false,
        }
    }
}

impl Args {
    /// Returns the options that say where runs are, as they were given here or in the environment.
    pub fn whereabouts(&self) -> impl Iterator<Item = (&'static str, String)> {
        let state = self.state != Path::new(STATE);
        let state = state.then(|| ("--state", self.state.display().to_string()));
        let config = self.config.as_ref();
        let config = config.map(|path| ("--config", path.display().to_string()));
        let on = self.on.clone().map(|name| ("--on", name));
        let server = self.server.clone().map(|url| ("--server", url));
        let ca = self.server_ca.as_ref();
        let ca = ca.map(|path| ("--server-ca", path.display().to_string()));
        [state, config, on, server, ca].into_iter().flatten()
    }

    /// Returns the configuration file, and whether the user named it.
    pub fn config(&self) -> (&Path, bool) {
        match &self.config {
            Some(path) => (path, true),
            None => (Path::new("windlass.toml"), false),
        }
    }
}
