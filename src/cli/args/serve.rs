//! Commands that serve until they are stopped.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args as ClapArgs, Subcommand};

use super::logging::Logging;
use crate::{
    authority::{AccessKey, Fault, Idempotency, Quotas},
    value::parse_duration,
};

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

    /// Where the files that scripts write go, whatever a run says
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

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

    /// Speak plain HTTP on an address that other machines reach; --identity-key is needed all the same
    #[arg(long)]
    pub insecure: bool,

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

    /// How long a client may take for the TLS handshake, to begin to speak HTTP/2 and, later, to answer a ping,
    /// before it is cut off
    #[arg(long, default_value = "20s", value_parser = parse_duration, value_name = "DURATION")]
    pub client_timeout: Duration,

    #[command(flatten)]
    pub logging: Logging,
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

    /// The address; --insecure is for loopback only
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

    /// Accept only requests signed with this: ID:SECRET, or ID:SECRET:ACCOUNT [default: a key that
    /// is made once and kept in DIR/credentials]
    #[arg(
        long = "access-key",
        env = "WINDLASS_PCA_ACCESS_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub access_keys: Vec<AccessKey>,

    /// Accept any credentials, from every user of this machine
    #[arg(long, conflicts_with = "access_keys")]
    pub insecure: bool,

    /// How long a client may take for the head of a request, and again for its body, before it is cut off
    #[arg(long, default_value = "60s", value_parser = parse_duration, value_name = "DURATION")]
    pub client_timeout: Duration,

    #[command(flatten)]
    pub logging: Logging,
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

    /// The versions, flags and delays of the mesh: istio=1.29,ztunnel=1.29,gloo=2.6,multi-root=off,xds-agent=off,
    /// mount=100ms,renew=2s,stream=2s,issue=100ms [default: those of the clusters that are there; the newest for others]
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub mesh: Option<crate::mesh::MeshOptions>,

    /// Make requests fail: VERB:RESOURCE:STATUS:10%, or VERB:RESOURCE:STATUS:10%:after for losing the answer
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<crate::cluster::Fault>,

    /// Where to write the kubeconfig [default: DIR/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// How long a client may take for the head of a request, and again for its body, before it is cut off
    #[arg(long, default_value = "60s", value_parser = parse_duration, value_name = "DURATION")]
    pub client_timeout: Duration,

    #[command(flatten)]
    pub logging: Logging,
}

#[derive(Subcommand)]
pub enum Http {
    /// Serve on loopback until Ctrl-C; prints the address on stdout
    Serve(HttpServe),
}

#[derive(ClapArgs)]
pub struct HttpServe {
    /// The file that says what is answered
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,

    /// The port; 0 takes any that is free
    #[arg(long, default_value_t = 8080)]
    pub port: u16,

    #[command(flatten)]
    pub logging: Logging,
}
