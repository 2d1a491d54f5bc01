//! The clients for the outside: AWS Private CA and other AWS services, Kubernetes, HTTP servers, programs, and the run's
//! output folder. They use real protocols and files, and know no Rhai, journal or workflow.
//!
//! Every call returns a value or a [`crate::value::Failure`], which is classified here and nowhere else.

mod answer;
pub mod aws;
mod backoff;
mod body;
mod clients;
mod files;
mod http;
mod kube;
mod pca;
mod programs;
mod proxy;
mod secrets;
mod tls;
mod trace;
mod transport;

pub use aws::{AwsCall, AwsClient, AwsTarget};
pub use backoff::{backoff, jitter};
pub use body::{BodyError, read_answer};
pub use clients::Clients;
pub use files::{MAX_SNAPSHOT_BYTES, OutputFolder, Snapshot, Written, check_output_name};
pub use http::{
    HttpClient, HttpRequest, HttpResponse, authorities_in, by_proxy, check_header, check_url,
    has_credentials, is_own_name, judge, must_be_secure, read_authorities, shown_secret_url,
    shown_url, too_large,
};
pub use kube::{
    Access, Apply, ClusterRule, Clusters, Hindrance, KubeClient, KubeClients, KubeTarget, Named,
    Next, Opening, Owners, Part, Patch, PatchKind, Permit, PodState, Progress, Resource, Rollout,
    Selection, Trouble, changed_since, covers, embedded_cluster, expected, from_object, has_taken,
    is_passing, is_same_object, is_terminating, restoring, rules, secret_manifest, to_object,
};
pub use pca::{
    AccountId, AuditReport, Authority, ConnectError, CrlPublication, EFFECT_TAG, Extension,
    Identity, Issue, NewAuthority, OPERATIONS, OcspPublication, OperationName, Passthrough,
    PcaClient, PcaTarget, Permission, Rate, Revocation, SignedCertificate, Validity,
    is_account_wide, template_arn,
};
pub use programs::{
    Again, DEFAULT_GRACE, Exited, Invocation, KEY_VARIABLE, ProgramTarget, Programs, check_name,
    end_programs, kill_programs, left_running, unexpected_exit,
};
pub use proxy::Proxies;
pub use secrets::{SecretReader, resolve};
pub use tls::{Handshake, Met, Probe, Served, Side, TlsVersion};
pub use trace::traced;
