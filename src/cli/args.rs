use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::{
    authority::{AccessKey, Fault, Idempotency, Quotas},
    report::GraphFormat,
    value::parse_duration,
};

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
        default_value = ".windlass",
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

    /// Print without colours
    #[arg(long, global = true, env = "NO_COLOR", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_color: bool,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run a workflow
    Run(Run),
    /// Go on with a run that failed, was cancelled, or lost its process
    Resume(Resume),
    /// Reverse what a run did
    Undo(Undo),
    /// Stop a run; it can be resumed
    Cancel(Cancel),
    /// Say yes to a step that waits for an approval
    Approve(Answer),
    /// Say no to a step that waits for an approval
    Reject(Answer),
    /// Check workflows, and show every mistake in them
    Validate(Validate),
    /// Show what a run would do, and change nothing
    Plan(Plan),
    /// Draw a workflow
    Graph(Graph),
    /// Print the least IAM policy that a workflow needs
    Iam(Iam),
    /// Print the ClusterRole that a workflow needs on Kubernetes
    Rbac(Rbac),
    /// List the runs, the newest first
    Runs(Runs),
    /// Show a run: its steps, certificates and errors
    Show(Show),
    /// Show what happened in a run, event by event
    Logs(Logs),
    /// Print what a run gave
    Outputs(Outputs),
    /// Check that nothing in a run's record was changed, and show what it proves
    Audit(Audit),
    /// Serve a Restate server: run the steps of its runs
    #[cfg(feature = "restate")]
    Worker(Worker),
    /// The embedded AWS Private CA
    #[command(subcommand)]
    Pca(Pca),
    /// The rehearsal cluster: a Kubernetes API server for rehearsals
    #[command(subcommand)]
    Kube(Kube),
}

#[derive(ClapArgs)]
pub struct Run {
    /// The workflow's YAML file
    pub file: PathBuf,

    #[command(flatten)]
    pub params: Params,

    /// Where to run: a target of windlass.toml, or the embedded servers
    #[arg(long, default_value = crate::targets::LOCAL, value_name = "NAME")]
    pub target: String,

    /// Where the files that scripts write go
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(ClapArgs)]
pub struct Params {
    /// Set a param; the value is YAML
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,

    /// Read params from a YAML or JSON file; -p goes before it
    #[arg(long = "params", value_name = "FILE")]
    pub params_file: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub struct Driving {
    /// How many steps may run at once
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub max_parallel: u16,

    /// Print the run as JSON on stdout when it has ended; with --plan, the plan
    #[arg(long)]
    pub json: bool,

    /// Stay while the run waits for an approval, rather than end with exit code 3
    #[arg(long)]
    pub wait: bool,
}

#[derive(ClapArgs)]
pub struct Resume {
    /// The run, by any part of its id [default: the newest that has not succeeded]
    pub run: Option<String>,

    /// Go on with the files as they are now; shows first what that changes
    #[arg(long)]
    pub edited: bool,

    #[command(flatten)]
    pub params: Params,

    /// Run this step again from the start, and all that depends on it; shows first what that is
    #[arg(long, value_name = "STEP")]
    pub redo: Vec<String>,

    /// Say what became of a call that is in doubt: STEP=done, STEP=done:VALUE or STEP=again
    #[arg(long = "answer", value_name = "ANSWER")]
    pub answers: Vec<String>,

    /// Only show what would happen to each step
    #[arg(long)]
    pub plan: bool,

    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(ClapArgs)]
pub struct Undo {
    /// The run, by any part of its id [default: the newest]
    pub run: Option<String>,

    /// Say what became of a call that is in doubt: STEP=done, STEP=done:VALUE or STEP=again
    #[arg(long = "answer", value_name = "ANSWER")]
    pub answers: Vec<String>,

    /// Only show what would be reversed, and what can't be
    #[arg(long)]
    pub plan: bool,

    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(ClapArgs)]
pub struct Cancel {
    /// The run, by any part of its id [default: the newest]
    pub run: Option<String>,

    #[command(flatten)]
    pub driving: Driving,
}

#[derive(ClapArgs)]
pub struct Answer {
    /// The run, by any part of its id
    pub run: String,

    /// The step that waits
    pub step: String,

    /// Why; it is kept in the journal
    #[arg(short = 'm', long, value_name = "TEXT")]
    pub comment: Option<String>,
}

#[derive(ClapArgs)]
pub struct Validate {
    /// The workflows' YAML files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,

    /// Also ask the clusters of this target whether they can be reached, and allow what is called
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,

    #[command(flatten)]
    pub params: Params,
}

#[derive(ClapArgs)]
pub struct Plan {
    /// The workflow's YAML file
    pub file: PathBuf,

    #[command(flatten)]
    pub params: Params,

    /// Where it would run
    #[arg(long, default_value = crate::targets::LOCAL, value_name = "NAME")]
    pub target: String,

    /// Print the steps as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Graph {
    /// The workflow's YAML file
    pub file: PathBuf,

    /// How to draw it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Clone, Copy, Default, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Mermaid,
    Dot,
}

impl From<Format> for GraphFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Mermaid => Self::Mermaid,
            Format::Dot => Self::Dot,
        }
    }
}

#[derive(ClapArgs)]
pub struct Iam {
    /// The workflow's YAML file
    pub file: PathBuf,

    /// Leave out what only an undo needs
    #[arg(long)]
    pub without_undo: bool,
}

#[derive(ClapArgs)]
pub struct Rbac {
    /// The workflow's YAML file
    pub file: PathBuf,

    /// Leave out what only an undo needs
    #[arg(long)]
    pub without_undo: bool,
}

#[derive(ClapArgs)]
pub struct Runs {
    /// Print the runs as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Show {
    /// The run, by any part of its id [default: the newest]
    pub run: Option<String>,

    /// Print the run as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Logs {
    /// The run, by any part of its id [default: the newest]
    pub run: Option<String>,

    /// Only this step and what runs inside it
    pub step: Option<String>,

    /// Go on printing until the run ends
    #[arg(short, long)]
    pub follow: bool,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Outputs {
    /// The run, by any part of its id [default: the newest]
    pub run: Option<String>,

    /// Only this output, as bare text
    pub name: Option<String>,

    /// Print the outputs as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
pub struct Audit {
    /// The run, by any part of its id [default: the newest]
    pub run: Option<String>,

    /// Write everything that proves it, without secrets, to a file
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,

    /// Check such a file instead of the journal
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "bundle"])]
    pub verify: Option<PathBuf>,

    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(feature = "restate")]
#[derive(ClapArgs)]
pub struct Worker {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9080", value_name = "ADDR")]
    pub listen: std::net::SocketAddr,

    /// Register with the server whose admin API is here
    #[arg(long, value_name = "URL")]
    pub register: Option<String>,

    /// The address at which the server dials this worker, or the balancer before all workers
    /// [default: the address it listens on]
    #[arg(long, value_name = "URL")]
    pub advertise: Option<String>,

    /// Register in place of another version at the same address; runs that wait there may get stuck
    #[arg(long, requires = "register")]
    pub force: bool,

    /// Where the files that scripts write go [default: where the run says]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// How many scripts may run at once
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub max_parallel: u16,

    /// Accept only requests that the server signed with one of these public keys
    #[arg(
        long = "identity-key",
        env = "WINDLASS_IDENTITY_KEYS",
        value_delimiter = ',',
        value_name = "KEY"
    )]
    pub identity_keys: Vec<String>,

    /// Speak TLS with this certificate chain (PEM)
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The key of --tls-cert (PEM)
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// How often the server tries what workers could not finish, before it pauses it
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub retries: u64,

    /// How long the server keeps the journals of invocations that are over
    #[arg(long, default_value = "1d", value_parser = parse_duration, value_name = "DURATION")]
    pub retention: Duration,
}

#[derive(Subcommand)]
pub enum Pca {
    /// Serve the AWS Private CA protocol on loopback, for the aws CLI, boto3 or Terraform
    Serve(PcaServe),
}

#[derive(ClapArgs)]
pub struct PcaServe {
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 5566)]
    pub port: u16,

    /// The address; off loopback only with --access-key
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "IP")]
    pub host: IpAddr,

    /// Where its state is kept [default: STATE/pca, which runs on the local target use]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// The region of requests that do not name one
    #[arg(long, default_value = "us-east-1")]
    pub region: String,

    /// The account that owns what is created
    #[arg(long, default_value = "123456789012", value_name = "12 DIGITS")]
    pub account: String,

    /// How long a new CA is CREATING
    #[arg(long, default_value = "0s", value_parser = parse_duration, value_name = "DURATION")]
    pub create_delay: Duration,

    /// How long an issued certificate is not ready
    #[arg(long, default_value = "0s", value_parser = parse_duration, value_name = "DURATION")]
    pub issue_delay: Duration,

    /// How long an imported CA does not issue yet
    #[arg(long, default_value = "0s", value_parser = parse_duration, value_name = "DURATION")]
    pub settle: Duration,

    /// What makes two requests with one idempotency token the same: parameters or token-only
    #[arg(long, default_value = "parameters", value_name = "RULE")]
    pub idempotency: Idempotency,

    /// Whether AWS's rates and counts hold: off or aws
    #[arg(long, default_value = "off")]
    pub quotas: Quotas,

    /// Make calls fail: OPERATION:ERROR:10%, or OPERATION:ERROR:10%:after for failing once it is done
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<Fault>,

    /// Accept only requests signed with this: ID:SECRET, or ID:SECRET:ACCOUNT
    #[arg(long = "access-key", value_name = "KEY")]
    pub access_keys: Vec<AccessKey>,
}

#[derive(Subcommand)]
pub enum Kube {
    /// Serve rehearsal clusters on loopback, for kubectl or any other client
    Serve(KubeServe),
}

#[derive(ClapArgs)]
pub struct KubeServe {
    /// The clusters, each with a context of its name; `mgmt` has the management plane
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "mgmt,cluster-1",
        value_name = "NAMES"
    )]
    pub clusters: Vec<String>,

    /// Where their state is kept [default: STATE/kube, which runs on the local target use]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// The first cluster's port, which the others' follow; 0 takes free ones
    #[arg(long, default_value_t = 0)]
    pub port: u16,

    /// How long a new pod takes to become ready
    #[arg(long, default_value = "20ms", value_parser = parse_duration, value_name = "DURATION")]
    pub pod_delay: Duration,

    /// Make requests fail: VERB:RESOURCE:STATUS:10%, or VERB:RESOURCE:STATUS:10%:after for losing the answer
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<crate::cluster::Fault>,

    /// Where to write the kubeconfig [default: DIR/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

impl Args {
    /// ` --on NAME` where this command was given it, for the commands that its hints name.
    pub fn on_again(&self) -> String {
        let name = self.on.as_ref();
        name.map_or(String::new(), |name| format!(" --on {name}"))
    }

    /// The configuration file, and whether the user named it.
    pub fn config(&self) -> (&Path, bool) {
        match &self.config {
            Some(path) => (path, true),
            None => (Path::new("windlass.toml"), false),
        }
    }
}
