//! The targets of `windlass.toml`, and how one of them is opened.
//!
//! The built-in target `local` starts the embedded AWS Private CA inside this process, on a random loopback port, with
//! its state in `STATE/pca/`, and a rehearsal cluster for each role that is needed, in `STATE/kube/ROLE/`; the ordinary
//! clients talk to them. A target with `mesh` has both too, in `STATE/targets/NAME/`.
//!
//! # Layout
//!
//! - `config` reads the file: [`Targets`], and each [`Target`] with its programs (`exec`) and its Restate server
//!   (`substrate`);
//! - `serve`, `grants`, `oidc`, `notify` and `retention` are the tables for `windlass serve`;
//! - `open` opens a target, `rehearsal` starts its embedded servers;
//! - `folders` names the folders of a run, and refuses an output folder that is not safe.

mod config;
mod exec;
mod folders;
mod grants;
mod notify;
mod oidc;
mod open;
mod rehearsal;
mod retention;
mod serve;
mod substrate;

pub use config::{ConfigError, HttpTarget, LOCAL, Target, Targets};
pub use folders::{Folders, UnsafeOut};
pub use grants::{GROUP, GrantConfig, Pattern, Scope};
pub use notify::{
    Channel, EmailConfig, HookConfig, MailTls, NoticeKind, NotifyConfig, PagerdutyConfig,
    ReceiverConfig, SecretFile, UrlConfig, WebhookConfig,
};
pub use oidc::OidcConfig;
pub use open::{OpenError, OpenTarget};
pub use rehearsal::rehearsal_folder;
pub use retention::RetentionConfig;
pub use serve::{Role, ServeConfig, TokenConfig};
pub use substrate::SubstrateTarget;
