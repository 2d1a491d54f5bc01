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

/// Where runs are recorded unless somebody says so.
const STATE: &str = ".windlass";

/// How each shell loads its completions.
const COMPLETIONS: &str = "\
bash:        source <(windlass completions bash)                          in ~/.bashrc
zsh:         source <(windlass completions zsh)                           in ~/.zshrc, after compinit
fish:        windlass completions fish | source                           in ~/.config/fish/config.fish
powershell:  windlass completions powershell | Out-String | Invoke-Expression    in $PROFILE";

const SHELL: &str = "\
A session is one run with a step for each entry: `windlass show`, `logs` and `undo` know it.
Entries can also be piped in: echo 'hash::sha256(\"x\")' | windlass shell";

const ASSISTANTS: &str = "\
An assistant starts it by itself: docs/howto/assistants.md has the lines for common clients.
With --allow, runs that it starts are driven here, and continue with `windlass resume` once it has ended;
with --server, the server drives them.";

const EDITORS: &str = "An editor starts it by itself: docs/editors.md has the lines for VS Code, Neovim, Helix and Zed.";

/// Runs certificate rotations, and any other runbook, as a graph of small scripts that is never
/// done twice: a run that stops anywhere, even by kill -9, goes on from there.
#[derive(Parser)]
#[command(name = "windlass", version, propagate_version = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    /// Where runs are recorded
    #[arg(
        long,
        global = true,
        env = "WINDLASS_STATE",
        default_value = STATE,
        value_name = "DIR"
    )]
    pub state: PathBuf,

    /// Where targets are written [default: windlass.toml, if there is one]
    #[arg(long, global = true, env = "WINDLASS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where runs are driven: `restate` (at WINDLASS_RESTATE), or the engine of a target of that name
    /// [default: this process; for `run`, what the target says]
    #[arg(
        long,
        global = true,
        env = "WINDLASS_ON",
        value_name = "restate|TARGET"
    )]
    pub on: Option<String>,

    /// The server whose runs are meant, instead of those of this machine [default: `server` in windlass.toml]
    #[arg(
        long,
        global = true,
        env = "WINDLASS_SERVER",
        value_name = "URL",
        conflicts_with = "on"
    )]
    pub server: Option<String>,

    /// The CAs (PEM) that the server's certificate has to lead to [default: `server_ca` in windlass.toml,
    /// or those of the system]
    #[arg(long, global = true, env = "WINDLASS_SERVER_CA", value_name = "FILE")]
    pub server_ca: Option<PathBuf>,

    /// Print without colours
    #[arg(long, global = true, env = "NO_COLOR", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_color: bool,

    /// Show times in UTC instead of the zone of this machine (TZ)
    #[arg(long, global = true)]
    pub utc: bool,

    /// Print signs of ASCII alone, as where the locale is not UTF-8 (LANG=C) and with TERM=dumb
    #[arg(long, global = true, env = "NO_UNICODE", value_parser = clap::builder::FalseyValueParser::new())]
    pub ascii: bool,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write a new workflow with a step, its script and its test
    New(New),
    /// Run one script as a run of its own
    Try(Try),
    /// Type Rhai with the host functions, entry by entry
    #[command(after_help = SHELL)]
    Shell(Shell),
    /// Run a workflow
    Run(Run),
    /// Resume a run that failed, was cancelled or was interrupted
    Resume(Resume),
    /// Reverse what a run did
    Undo(Undo),
    /// Stop a run; it can be resumed
    Cancel(Cancel),
    /// Approve a step that waits for an approval
    Approve(Answer),
    /// Reject a step that waits for an approval
    Reject(Answer),
    /// Check workflows, and show every mistake in them
    Validate(Validate),
    /// Show what a run would do, and change nothing
    Plan(Plan),
    /// Run the tests of workflows: test files, `NAME.test.yaml`
    Test(Test),
    #[command(hide = true, name = "play-test")]
    PlayTest(PlayTest),
    /// Draw a workflow, or a run with its states
    Graph(Graph),
    /// Print the least IAM policy that a workflow needs
    Iam(Iam),
    /// Print the ClusterRole that a workflow needs on Kubernetes
    Rbac(Rbac),
    /// Explain an error code, a host function or a key of the workflow file
    Explain(Explain),
    /// Print the JSON Schema of a workflow file, for editors
    Schema(Schema),
    /// Write definition files of the host functions, for editors
    Definitions(Definitions),
    /// Serve an editor: a language server for workflows and scripts, over standard input and output
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
    /// List the certificates of all runs by issuer: how long each has left, and where it is
    Certs(Certs),
    /// Check that nothing in a run's record was changed, and show what it proves
    Audit(Audit),
    /// Show which players of a rehearsal mesh can talk to each other
    Mesh(MeshTable),
    /// Serve a Restate server: run the steps of its runs
    #[cfg(feature = "restate")]
    Worker(Worker),
    /// Serve the runs to a team: a page, an API and metrics
    Serve(Serve),
    /// Serve an assistant: runs as tools of the Model Context Protocol, over standard input and output
    #[command(after_help = ASSISTANTS)]
    Mcp(Mcp),
    /// List what starts workflows by itself where `windlass serve` runs, and when it does next
    Triggers(Triggers),
    /// Delete runs that ended long ago
    Prune(Prune),
    /// Write the state folder to one file, while runs go on
    Backup(Backup),
    /// Make a state folder of a backup, once all of it has been verified
    Restore(Restore),
    /// Log in to a server: with its OpenID Connect provider, or with a token
    Login(Login),
    /// Forget how to log in to a server
    Logout,
    /// The embedded AWS Private CA
    #[command(subcommand)]
    Pca(Pca),
    /// Print what a shell loads to complete commands, runs and targets
    #[command(after_help = COMPLETIONS)]
    Completions {
        #[arg(value_parser = ["bash", "zsh", "fish", "powershell", "elvish"])]
        shell: String,
    },
    /// Write the manual pages to a folder
    Man {
        /// The folder, such as ~/.local/share/man/man1
        dir: PathBuf,
    },
    /// The rehearsal cluster: a Kubernetes API server for rehearsals
    #[command(subcommand)]
    Kube(Kube),
    /// A small web server that answers as a file says, to try runbooks on
    #[command(subcommand)]
    Http(Http),
}

impl Command {
    /// Whether it writes for others than the person who typed it: what it shows is in UTC.
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
    /// The options that say where runs are, as they were given here or in the environment.
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

    /// The configuration file, and whether the user named it.
    pub fn config(&self) -> (&Path, bool) {
        match &self.config {
            Some(path) => (path, true),
            None => (Path::new("windlass.toml"), false),
        }
    }
}
