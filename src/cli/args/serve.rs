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

    /// Register with the Restate server whose admin API has this address
    #[arg(long, value_name = "URL")]
    pub register: Option<String>,

    /// The address at which the server reaches this worker, or the load balancer in front of all workers
    /// [default: the address of --listen]
    #[arg(long, value_name = "URL")]
    pub advertise: Option<String>,

    /// Replace another version that is registered at the same address; runs that wait there may get stuck
    #[arg(long, requires = "register")]
    pub force: bool,

    /// The folder for files that scripts write, regardless of what a run says
    #[arg(long, default_value = "out", value_name = "DIR")]
    pub out: PathBuf,

    /// The maximum number of scripts that run at once
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

    /// Serve plain HTTP on an address that other machines reach; --identity-key is still required
    #[arg(long)]
    pub insecure: bool,

    /// Serve TLS with the certificate chain in this file (PEM)
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM)
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// How often the server retries an invocation that fails before it pauses it
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub retries: u64,

    /// How long the server keeps the journals of completed invocations
    #[arg(long, default_value = "1d", value_parser = parse_duration, value_name = "DURATION")]
    pub retention: Duration,

    /// How long to wait for a client during the TLS handshake, for its HTTP/2 preface and for the answer to a ping,
    /// before the connection is closed
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
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 5566)]
    pub port: u16,

    /// The address to listen on; --insecure requires a loopback address
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "IP")]
    pub host: IpAddr,

    /// The folder for its state [default: STATE/pca, which runs on the target `local` use]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// The region of requests that do not name one
    #[arg(long, default_value = "us-east-1")]
    pub region: String,

    /// The account that owns what is created
    #[arg(long, default_value = "123456789012", value_name = "12 DIGITS")]
    pub account: String,

    /// How long a new CA stays CREATING
    #[arg(long, default_value = "0s", value_parser = parse_duration, value_name = "DURATION")]
    pub create_delay: Duration,

    /// How long it takes until an issued certificate is ready
    #[arg(long, default_value = "0s", value_parser = parse_duration, value_name = "DURATION")]
    pub issue_delay: Duration,

    /// How long it takes until a CA issues after its certificate was imported
    #[arg(long, default_value = "0s", value_parser = parse_duration, value_name = "DURATION")]
    pub settle: Duration,

    /// Which requests count as the same: those with one token and the same `parameters`, or with one token (`token-only`)
    #[arg(long, default_value = "parameters", value_name = "RULE")]
    pub idempotency: Idempotency,

    /// Whether the quotas of AWS are enforced: `off` or `aws`
    #[arg(long, default_value = "off")]
    pub quotas: Quotas,

    /// Make calls fail: OPERATION:ERROR:10%, or OPERATION:ERROR:10%:after to fail after the call was done. Can be
    /// given several times
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<Fault>,

    /// Accept only requests that are signed with this key: ID:SECRET, or ID:SECRET:ACCOUNT [default: a key that is
    /// generated once and stored in DIR/credentials]
    #[arg(
        long = "access-key",
        env = "WINDLASS_PCA_ACCESS_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub access_keys: Vec<AccessKey>,

    /// Accept any credentials, from any user of this machine
    #[arg(long, conflicts_with = "access_keys")]
    pub insecure: bool,

    /// How long to wait for the head of a request, and for its body, before the connection is closed
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

    /// The folder for their state [default: STATE/kube, which runs on the target `local` use]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// The port of the first cluster; the others use the ports after it. 0 takes free ones
    #[arg(long, default_value_t = 0)]
    pub port: u16,

    /// How long it takes until a new pod is ready
    #[arg(long, default_value = "20ms", value_parser = parse_duration, value_name = "DURATION")]
    pub pod_delay: Duration,

    /// The versions, flags and delays of the mesh: istio=1.29,ztunnel=1.29,gloo=2.6,
    /// revision=1-29,multi-root=off,xds-agent=off, mount=100ms,renew=2s,stream=2s,issue=100ms [default: those of existing
    /// clusters; the newest for new ones]
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub mesh: Option<crate::mesh::MeshOptions>,

    /// Make requests fail: VERB:RESOURCE:STATUS:10%, or VERB:RESOURCE:STATUS:10%:after to lose the answer of a request
    /// that was done. Can be given several times
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<crate::cluster::Fault>,

    /// The kubeconfig file to write, which may replace one of rehearsal clusters only [default: DIR/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// How long to wait for the head of a request, and for its body, before the connection is closed
    #[arg(long, default_value = "60s", value_parser = parse_duration, value_name = "DURATION")]
    pub client_timeout: Duration,

    #[command(flatten)]
    pub logging: Logging,
}

#[derive(Subcommand)]
pub enum Http {
    /// Serve on loopback until Ctrl-C; the address is printed on stdout
    Serve(HttpServe),
}

#[derive(ClapArgs)]
pub struct HttpServe {
    /// The file that describes the answers
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,

    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,

    #[command(flatten)]
    pub logging: Logging,
}
