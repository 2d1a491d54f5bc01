//! `[notify]` and `[hooks]` of `windlass.toml`: which receivers get which notifications, and which signed requests start runs.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use strum::{IntoStaticStr, VariantArray};

use windlass_ground::private::check_secret_file;
use windlass_world::value::parse_duration;

/// The longest secret, in bytes.
const LONGEST_SECRET: usize = 4096;
/// PagerDuty's Events API v2.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// The `[notify]` table of `windlass.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { url = \"https://windlass.example.com\" }"
)]
pub struct NotifyConfig {
    /// The address at which people reach the server: links begin with it.
    #[serde(default)]
    pub url: Option<String>,
    /// How long before a certificate in use expires its notification is sent.
    #[serde(default = "thirty_days", deserialize_with = "duration")]
    pub due: Duration,
    /// How long before a question expires its notification is sent.
    #[serde(default = "one_hour", deserialize_with = "duration")]
    pub expiring_approval: Duration,
    #[serde(default)]
    pub receivers: Vec<ReceiverConfig>,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            url: None,
            due: thirty_days(),
            expiring_approval: one_hour(),
            receivers: Vec::new(),
        }
    }
}

fn thirty_days() -> Duration {
    Duration::from_secs(30 * 86_400)
}

fn one_hour() -> Duration {
    Duration::from_secs(3600)
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(D::Error::custom)
}

/// A kind of notification.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NoticeKind {
    /// A run asks a question.
    Waiting,
    /// A run failed, or one could not be started by its trigger.
    Failed,
    Succeeded,
    /// A call that may or may not have happened needs a person's answer.
    Doubt,
    /// A certificate in use expires soon.
    Due,
    /// A question expires soon.
    ExpiringApproval,
}

impl NoticeKind {
    pub const ALL: &[Self] = Self::VARIANTS;

    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A receiver of notifications.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct ReceiverConfig {
    /// Names it in the outbox.
    pub name: String,
    /// The kinds of notification that it receives.
    pub on: BTreeSet<NoticeKind>,
    /// The workflows whose notifications it receives; empty for all.
    pub workflows: BTreeSet<String>,
    pub channel: Channel,
}

/// How a receiver is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    Webhook(WebhookConfig),
    Slack(UrlConfig),
    Teams(UrlConfig),
    Pagerduty(PagerdutyConfig),
    Email(EmailConfig),
}

impl Channel {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Slack(_) => "slack",
            Self::Teams(_) => "teams",
            Self::Pagerduty(_) => "pagerduty",
            Self::Email(_) => "email",
        }
    }
}

/// A receiver as it is written in the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    on: Option<BTreeSet<NoticeKind>>,
    #[serde(default)]
    workflows: BTreeSet<String>,
    webhook: Option<WebhookConfig>,
    slack: Option<UrlConfig>,
    teams: Option<UrlConfig>,
    pagerduty: Option<PagerdutyConfig>,
    email: Option<EmailConfig>,
}

impl TryFrom<Written> for ReceiverConfig {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let name = written.name;
        let channels = [
            written.webhook.map(Channel::Webhook),
            written.slack.map(Channel::Slack),
            written.teams.map(Channel::Teams),
            written.pagerduty.map(Channel::Pagerduty),
            written.email.map(Channel::Email),
        ];
        let mut channels = channels.into_iter().flatten();
        let (Some(channel), None) = (channels.next(), channels.next()) else {
            return Err(format!(
                "the receiver `{name}` needs one of webhook, slack, teams, pagerduty and email"
            ));
        };
        // By default a receiver gets no notification of runs that succeed.
        let usual = || {
            let all = NoticeKind::ALL.iter().copied();
            all.filter(|kind| *kind != NoticeKind::Succeeded).collect()
        };
        Ok(Self {
            name,
            on: written.on.unwrap_or_else(usual),
            workflows: written.workflows,
            channel,
        })
    }
}

/// A webhook: a server that accepts any JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { url = \"https://…\", secret_file = \"…\" }"
)]
pub struct WebhookConfig {
    pub url: String,
    /// The file with the key that signs the bodies.
    pub secret_file: Option<SecretFile>,
}

/// An address that is itself a secret.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { url_file = \"…\" }"
)]
pub struct UrlConfig {
    url: Option<String>,
    url_file: Option<SecretFile>,
}

impl UrlConfig {
    /// Returns the address.
    ///
    /// # Errors
    /// No address, or a file that can't be read.
    pub fn url(&self) -> Result<String, String> {
        match (&self.url, &self.url_file) {
            (Some(url), None) => Ok(url.clone()),
            (None, Some(file)) => file.read(),
            _ => Err("it needs `url` or `url_file`".into()),
        }
    }
}

/// Hides the address, which is a secret.
impl fmt::Debug for UrlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UrlConfig").finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { routing_key_file = \"…\" }"
)]
pub struct PagerdutyConfig {
    pub routing_key_file: SecretFile,
    /// Set for another service region, such as the EU.
    #[serde(default = "pagerduty")]
    pub url: String,
}

fn pagerduty() -> String {
    PAGERDUTY.into()
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { host = \"smtp.example.com\", from = \"…\", to = [\"…\"] }"
)]
pub struct EmailConfig {
    pub host: String,
    /// 587, 465 with `tls = "always"`, 25 with `tls = "never"`, if it is left out.
    pub port: Option<u16>,
    #[serde(default)]
    pub tls: MailTls,
    /// CA certificates to trust for the server, in addition to those of the system.
    pub ca_file: Option<PathBuf>,
    pub user: Option<String>,
    pub password_file: Option<SecretFile>,
    pub from: String,
    pub to: Vec<String>,
}

/// When the connection to an e-mail server uses TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// Starts unencrypted and switches with STARTTLS; fails if the server does not offer it.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Always,
    /// Never uses TLS: for a server on the same machine.
    Never,
}

/// A hook: a signed request to it starts runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { secret_file = \"…\" }"
)]
pub struct HookConfig {
    #[serde(rename = "secret_file")]
    pub secret: SecretFile,
}

/// A file that holds a secret. It is read each time the secret is needed, so the secret may be changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

impl SecretFile {
    /// Resolves a relative path against a folder.
    pub(super) fn within(&mut self, folder: &Path) {
        if self.0.is_relative() {
            self.0 = folder.join(&self.0);
        }
    }

    /// Reads the secret, without the line end that editors add.
    ///
    /// # Errors
    /// A file that can't be read, that others may read, that is empty or holds no text, as a sentence with its path.
    pub fn read(&self) -> Result<String, String> {
        let path = self.0.display();
        check_secret_file(&self.0).map_err(|e| format!("{e} ({})", e.hint()))?;
        let text = fs::read_to_string(&self.0).map_err(|e| format!("can't read {path}: {e}"))?;
        let text = text.trim_end_matches(['\r', '\n']);
        match text.len() {
            0 => Err(format!("{path} is empty")),
            length if length > LONGEST_SECRET => Err(format!("{path} is too large for a secret")),
            _ => Ok(text.to_owned()),
        }
    }
}

impl NotifyConfig {
    /// Resolves relative paths against a folder.
    pub(super) fn within(&mut self, folder: &Path) {
        for receiver in &mut self.receivers {
            match &mut receiver.channel {
                Channel::Webhook(webhook) => {
                    webhook
                        .secret_file
                        .iter_mut()
                        .for_each(|file| file.within(folder));
                }
                Channel::Slack(url) | Channel::Teams(url) => {
                    url.url_file.iter_mut().for_each(|file| file.within(folder));
                }
                Channel::Pagerduty(pagerduty) => pagerduty.routing_key_file.within(folder),
                Channel::Email(email) => {
                    email
                        .password_file
                        .iter_mut()
                        .for_each(|file| file.within(folder));
                    email.ca_file = email.ca_file.take().map(|path| folder.join(path));
                }
            }
        }
    }

    /// Checks for names that are used twice and secrets that can't be read.
    ///
    /// # Errors
    /// The first problem, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for receiver in &self.receivers {
            let name = &receiver.name;
            if !names.insert(name) {
                return Err(format!("two receivers are named `{name}`"));
            }
            let read = match &receiver.channel {
                Channel::Webhook(webhook) => webhook.secret_file.as_ref().map(SecretFile::read),
                Channel::Slack(url) | Channel::Teams(url) => Some(url.url()),
                Channel::Pagerduty(pagerduty) => Some(pagerduty.routing_key_file.read()),
                Channel::Email(email) => {
                    if email.to.is_empty() {
                        return Err(format!("the receiver `{name}` has no address in `to`"));
                    }
                    email.password_file.as_ref().map(SecretFile::read)
                }
            };
            if let Some(Err(why)) = read {
                return Err(format!("the receiver `{name}`: {why}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NotifyConfig, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn a_receiver_has_one_channel() {
        let none = read("[[receivers]]\nname = \"ops\"").unwrap_err();
        assert!(none.contains("needs one of webhook"), "{none}");
        let two = "[[receivers]]\nname = \"ops\"\nslack = { url = \"x\" }\nteams = { url = \"x\" }";
        assert!(read(two).unwrap_err().contains("`ops` needs one of"));
        let wrong = "[[receivers]]\nname = \"ops\"\non = [\"fail\"]\nslack = { url = \"x\" }";
        assert!(read(wrong).unwrap_err().contains("unknown variant `fail`"));
        let good = read("due = \"7d\"\n[[receivers]]\nname = \"ops\"\nslack = { url = \"x\" }")
            .expect("read");
        assert_eq!(good.due, Duration::from_secs(7 * 86_400));
        let on = &good.receivers[0].on;
        assert!(on.contains(&NoticeKind::Failed) && !on.contains(&NoticeKind::Succeeded));
    }

    #[test]
    fn what_could_not_work_is_refused_at_the_start() {
        let twice = "[[receivers]]\nname = \"a\"\nslack = { url = \"x\" }\n";
        let why = read(&twice.repeat(2)).expect("read").check().unwrap_err();
        assert_eq!(why, "two receivers are named `a`");
        let missing = "[[receivers]]\nname = \"a\"\nslack = { url_file = \"/nowhere/url\" }";
        let why = read(missing).expect("read").check().unwrap_err();
        assert!(
            why.starts_with("the receiver `a`: can't read /nowhere/url"),
            "{why}"
        );
    }
}
