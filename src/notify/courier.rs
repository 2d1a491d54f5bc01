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
use windlass_runs::{Runs, RunsError, SendTurn, jitter, now};
use windlass_targets::{Channel, ReceiverConfig};
use windlass_world::value::Digest;

/// The pause after the first failure, and the longest one. A pause doubles, and up to half of it is taken off, so that what failed
/// together is not tried again together.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(600);
/// How long a notice is tried: over a weekend on which a receiver is down.
const GIVES_UP: Duration = Duration::from_hours(72);
/// How often a receiver is asked again that refuses what a notice says: those behind it wait meanwhile.
const REFUSALS: u32 = 8;
/// How often it is looked whether there is something to send, should nobody say so.
const LOOKS: Duration = Duration::from_secs(2);

/// How long a notice is one server's among several: longer than an attempt may take.
const TURN: Duration = Duration::from_secs(90);
/// How long it waits at least before it asks again whether another server has sent a notice.
const SOON: Duration = Duration::from_millis(100);

/// Sends to one receiver, one notice after another.
pub struct Courier {
    outbox: Arc<Outbox>,
    /// Says what the server shares with others.
    runs: Arc<dyn Runs>,
    receiver: ReceiverConfig,
    /// Where people reach the server.
    base: Option<String>,
    mailer: Option<Mailer>,
}

impl Courier {
    /// # Errors
    /// A receiver that can't be sent to, as a sentence.
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
        let mut trouble = Trouble::with("use the outbox of notices");
        loop {
            let added = this.outbox.added.notified();
            let stepped = this.clone().step().await;
            trouble.note(&stepped);
            let pause = match stepped {
                Ok(pause) => pause,
                // The database can't be used for now.
                Err(_) => Some(LOOKS),
            };
            if let Some(pause) = pause {
                let _ = tokio::time::timeout(pause, added).await;
            }
        }
    }

    /// Tries to send the first notice. Returns how long nothing is to be done.
    async fn step(self: Arc<Self>) -> Result<Option<Duration>, RunsError> {
        let this = self.clone();
        let Some(queued) = blocking(move || this.outbox.next(&this.receiver.name)).await? else {
            return Ok(Some(LOOKS));
        };
        let left = queued.next_at.since(now());
        if !left.is_zero() {
            return Ok(Some(left.min(LOOKS)));
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

    /// Asks the other servers over the same runs whose turn it is to send a notice. What one of them has sent is noted here as well.
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

    /// Names a notice for this receiver, the same on every server.
    fn delivery(&self, notice: &Notice) -> Digest {
        Digest::of(&[self.receiver.name.as_bytes(), notice.key.as_bytes()])
    }

    fn note(&self, queued: &Queued, sent: Result<(), Failed>) -> Result<(), RunsError> {
        let (name, at) = (&self.receiver.name, now());
        let (peers, delivery) = (self.runs.peers(), self.delivery(&queued.notice));
        let is_over = || peers.map_or(Ok(()), |peers| peers.is_sent(delivery));
        let failed = match sent {
            Ok(()) => {
                tracing::debug!(receiver = %name, notice = queued.id, "a notice was sent");
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
            tracing::error!(receiver = %name, notice, attempt, %why, "a notice was dropped");
            is_over()?;
            return self.outbox.give_up(name, queued.id, &failed.why, at);
        }
        let pause = SHORTEST
            .saturating_mul(1 << queued.attempts.min(20))
            .min(LONGEST);
        let pause = pause.mul_f64(1.0 - jitter() / 2.0);
        let pause = pause.max(failed.wait.unwrap_or_default().min(LONGEST));
        let next_at = at + pause;
        if let Some(peers) = peers {
            peers.not_sent(delivery, next_at)?;
        }
        tracing::warn!(receiver = %name, notice, attempt, %why, "a notice could not be sent; it is tried again");
        self.outbox
            .failed(name, queued.id, &failed.why, at, next_at)
    }

    async fn send(&self, queued: &Queued) -> Result<(), Failed> {
        let notice = &queued.notice;
        let link = form::link(self.base.as_deref(), notice);
        let link = link.as_deref();
        // The same for every attempt.
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
                    Some(mailer) => mailer.send(&id, &subject, text).await,
                    None => Err(Failed::new("there is no e-mail server")),
                }
            }
        }
    }

    /// Posts to an address that is a secret itself.
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

/// Signs a body as GitHub does: "Validating webhook deliveries" of its documentation.
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
