use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;

use super::{
    form,
    http::{Failed, Post, post},
    mail::Mailer,
    notice::Notice,
    outbox::{Outbox, Queued},
};
use windlass_ground::Trouble;
use windlass_runs::{Runs, RunsError, SendTurn, now};
use windlass_targets::{Channel, ReceiverConfig};
use windlass_world::{
    outside::{backoff, jitter},
    value::Digest,
};

/// The pause after the first failure, and the longest one.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(600);
/// How long a notification is retried: long enough for a receiver that is down over a weekend.
const GIVES_UP: Duration = Duration::from_hours(72);
/// How often a notification is sent again to a receiver that rejects its contents: the later notifications wait meanwhile.
const REFUSALS: u32 = 8;
/// How often the outbox is read, even if nothing has signalled a new notification.
const LOOKS: Duration = Duration::from_secs(2);

/// How long one of several servers keeps its turn to send a notification: longer than an attempt may take.
const TURN: Duration = Duration::from_secs(90);
/// The shortest wait before asking again whether another server has sent a notification.
const SOON: Duration = Duration::from_millis(100);

/// Sends notifications to one receiver, one after another.
pub struct Courier {
    outbox: Arc<Outbox>,
    /// Gives access to what the servers share.
    runs: Arc<dyn Runs>,
    receiver: ReceiverConfig,
    /// The address at which people reach the server.
    base: Option<String>,
    mailer: Option<Mailer>,
}

impl Courier {
    /// # Errors
    /// A receiver that can't be used, as a sentence.
    pub fn new(
        outbox: Arc<Outbox>,
        runs: Arc<dyn Runs>,
        receiver: ReceiverConfig,
        base: Option<String>,
    ) -> Result<Self, String> {
        let mailer = match &receiver.channel {
            Channel::Email(email) => Some(Mailer::new(email)?),
            _ => None,
        };
        Ok(Self {
            outbox,
            runs,
            receiver,
            base,
            mailer,
        })
    }

    /// Sends until the process ends.
    pub async fn run(self) {
        let this = Arc::new(self);
        let mut trouble = Trouble::with("use the outbox of notifications");
        loop {
            let added = this.outbox.added.notified();
            let stepped = this.clone().step().await;
            trouble.note(&stepped);
            let pause = match stepped {
                Ok(pause) => pause,
                // The database can't be used at the moment.
                Err(_) => Some(LOOKS),
            };
            if let Some(pause) = pause {
                let _ = tokio::time::timeout(pause, added).await;
            }
        }
    }

    /// Tries to send the first notification. Returns how long to wait before the next call, `None` for no wait.
    async fn step(self: Arc<Self>) -> Result<Option<Duration>, RunsError> {
        let this = self.clone();
        let Some(queued) = blocking(move || this.outbox.next(&this.receiver.name)).await? else {
            return Ok(Some(LOOKS));
        };
        let at = now();
        if !at.has_reached(queued.next_at, LONGEST) {
            return Ok(Some(queued.next_at.since(at).min(LOOKS)));
        }
        let (this, asked) = (self.clone(), queued.clone());
        match blocking(move || this.turn(&asked)).await? {
            SendTurn::Ours => {}
            SendTurn::Theirs { until } => {
                return Ok(Some(until.since(now()).clamp(SOON, LOOKS)));
            }
            SendTurn::Over => return Ok(None),
        }
        let sent = self.send(&queued).await;
        blocking(move || self.note(&queued, sent)).await?;
        Ok(None)
    }

    /// Asks the other servers of the same runs whether this one may send the notification. Records one that another server has sent.
    fn turn(&self, queued: &Queued) -> Result<SendTurn, RunsError> {
        let Some(peers) = self.runs.peers() else {
            return Ok(SendTurn::Ours);
        };
        let (delivery, at) = (self.delivery(&queued.notice), now());
        let turn = peers.may_send(delivery, queued.notice.at, at, at + TURN)?;
        if turn == SendTurn::Over {
            self.outbox.sent(&self.receiver.name, queued.id, at)?;
        }
        Ok(turn)
    }

    /// Returns the id of this delivery, which is the same on every server.
    fn delivery(&self, notice: &Notice) -> Digest {
        Digest::of(&[self.receiver.name.as_bytes(), notice.key.as_bytes()])
    }

    fn note(&self, queued: &Queued, sent: Result<(), Failed>) -> Result<(), RunsError> {
        let (name, at) = (&self.receiver.name, now());
        let (peers, delivery) = (self.runs.peers(), self.delivery(&queued.notice));
        let is_over = || peers.map_or(Ok(()), |peers| peers.is_sent(delivery));
        let failed = match sent {
            Ok(()) => {
                tracing::debug!(receiver = %name, notice = queued.id, "sent a notification");
                is_over()?;
                return self.outbox.sent(name, queued.id, at);
            }
            Err(failed) => failed,
        };
        let (notice, attempt, why) = (queued.id, queued.attempts + 1, &failed.why);
        let is_old = queued
            .first_at
            .is_some_and(|first| at.since(first) > GIVES_UP);
        if is_old || (failed.is_refused && queued.attempts + 1 >= REFUSALS) {
            tracing::error!(receiver = %name, notice, attempt, %why, "gave up on a notification");
            is_over()?;
            return self.outbox.give_up(name, queued.id, &failed.why, at);
        }
        let pause = backoff(SHORTEST..=LONGEST, attempt, jitter());
        let pause = pause.max(failed.wait.unwrap_or_default().min(LONGEST));
        let next_at = at + pause;
        if let Some(peers) = peers {
            peers.not_sent(delivery, next_at)?;
        }
        tracing::warn!(receiver = %name, notice, attempt, %why, "failed to send a notification; it will be retried");
        self.outbox
            .failed(name, queued.id, &failed.why, at, next_at)
    }

    async fn send(&self, queued: &Queued) -> Result<(), Failed> {
        let notice = &queued.notice;
        let link = form::link(self.base.as_deref(), notice);
        let link = link.as_deref();
        // The id is the same for every attempt.
        let id = match self.runs.peers() {
            None => format!("windlass-{}-{}", notice.at.as_millis(), queued.id),
            Some(_) => format!("windlass-{}", self.delivery(notice).short(32)),
        };
        match &self.receiver.channel {
            Channel::Webhook(webhook) => {
                let body = form::webhook(&id, notice, link).to_string();
                let mut headers = marks(&id, notice);
                let mut secrets = Vec::new();
                if let Some(file) = &webhook.secret_file {
                    let secret = file.read().map_err(Failed::new)?;
                    headers.push(("X-Hub-Signature-256", signature(&secret, &body)));
                    secrets.push(secret);
                }
                post(Post {
                    url: &webhook.url,
                    headers,
                    body,
                    secrets,
                })
                .await
            }
            Channel::Slack(url) => self.card(url.url(), form::slack(notice, link)).await,
            Channel::Teams(url) => self.card(url.url(), form::teams(notice, link)).await,
            Channel::Pagerduty(pagerduty) => {
                let key = pagerduty.routing_key_file.read().map_err(Failed::new)?;
                post(Post {
                    url: &pagerduty.url,
                    headers: Vec::new(),
                    body: form::pagerduty(&key, notice, link).to_string(),
                    secrets: vec![key],
                })
                .await
            }
            Channel::Email(_) => {
                let (subject, text) = form::email(notice, link);
                match &self.mailer {
                    Some(mailer) => mailer.send(&id, &subject, text, queued.attempts).await,
                    None => Err(Failed::new("there is no e-mail server")),
                }
            }
        }
    }

    /// Posts to an address that is itself a secret.
    async fn card(
        &self,
        url: Result<String, String>,
        body: serde_json::Value,
    ) -> Result<(), Failed> {
        let url = url.map_err(Failed::new)?;
        post(Post {
            url: &url,
            headers: Vec::new(),
            body: body.to_string(),
            secrets: vec![url.clone()],
        })
        .await
    }
}

fn marks(id: &str, notice: &Notice) -> Vec<(&'static str, String)> {
    vec![
        ("X-Windlass-Delivery", id.to_owned()),
        ("X-Windlass-Event", notice.kind.as_str().to_owned()),
    ]
}

/// Signs a body as GitHub does: "Validating webhook deliveries" in its documentation.
fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body.as_bytes());
    format!("sha256={}", data_encoding::HEXLOWER.encode(tag.as_ref()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RunsError> + Send + 'static,
) -> Result<T, RunsError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(RunsError::broken("system", e.to_string())))
}
