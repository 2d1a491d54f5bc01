use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    planted::Planted,
    service::{Lost, Triggers},
};
use windlass_compile::Occasion;
use windlass_journal::Via;
use windlass_runs::{Kind, MAX_KEY, Person, RunsError, StartWanted, now};
use windlass_world::value::{Digest, Value};

/// The prefix of GitHub's signatures: "Validating webhook deliveries" in its documentation.
const SCHEME: &str = "sha256=";
/// Headers that expressions can't read, because they may contain secrets.
const KEPT_BACK: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-hub-signature-256",
];
/// Headers that identify a delivery, so that a repeated one starts nothing twice.
const DELIVERIES: [&str; 4] = [
    "idempotency-key",
    "x-github-delivery",
    "x-gitea-delivery",
    "x-windlass-delivery",
];

/// The runs that a request to a hook started.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct HookAnswer {
    pub starts: Vec<HookStart>,
    /// Whether a start failed because the server is busy.
    #[serde(skip)]
    pub is_busy: bool,
    /// Whether the request identifies its delivery: then a repetition starts nothing twice.
    #[serde(skip)]
    pub is_named: bool,
}

/// The run that a request to a hook started in one workflow, or the reason why there is none.
#[derive(Debug, Serialize, ToSchema)]
pub struct HookStart {
    pub workflow: String,
    pub trigger: String,
    /// `None` if none was started, or if an earlier request with the same delivery started one with other params.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Whether an earlier request with the same delivery started it.
    pub is_repeated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What the sender should know although nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What is answered to a delivery that was sent before, and does not give the params of the run that it started then.
const OTHER_PARAMS: &str =
    "an earlier request with this delivery id started a run with other params; nothing was started";

impl HookStart {
    /// Describes a workflow that would have been started if its file could be read.
    fn lost(Lost { trigger, why }: Lost) -> Self {
        Self {
            workflow: trigger.key.workflow,
            trigger: trigger.key.trigger,
            run: None,
            is_repeated: false,
            problem: Some(format!("the workflow has mistakes: {why}")),
            note: None,
        }
    }
}

/// The reason why a request to a hook is rejected.
#[derive(Debug, PartialEq, Eq)]
pub enum HookRefused {
    /// There is no such hook, or the signature does not match its secret: the answer does not say which.
    Unsigned,
    /// The body can't be read.
    Body(String),
    /// No workflow has a trigger for it.
    Unused,
    /// The file of its trigger is away, perhaps while it is replaced.
    Away,
    /// The secret can't be read.
    Broken(String),
}

impl Triggers {
    /// Starts the runs for a signed request. The names of headers are lower case; `from` is the address of the sender.
    ///
    /// # Errors
    /// The reason why nothing was started. Starts that failed are in the answer.
    pub fn hook(
        &self,
        name: &str,
        headers: &BTreeMap<String, String>,
        body: &[u8],
        from: &str,
    ) -> Result<HookAnswer, HookRefused> {
        let secret = match self.hooks().get(name) {
            Some(hook) => hook.secret.read().map_err(HookRefused::Broken)?,
            None => return Err(HookRefused::Unsigned),
        };
        let signature = headers.get("x-hub-signature-256").map(String::as_str);
        if !is_signed(secret.as_bytes(), body, signature.unwrap_or_default()) {
            return Err(HookRefused::Unsigned);
        }
        if headers
            .get("x-github-event")
            .is_some_and(|event| event == "ping")
        {
            return Ok(HookAnswer::default());
        }
        let body = match body {
            [] => Value::Null,
            body => std::str::from_utf8(body)
                .map_err(|e| HookRefused::Body(e.to_string()))
                .and_then(|text| {
                    Value::parse_json(text).map_err(|e| HookRefused::Body(e.to_string()))
                })?,
        };
        let delivery = DELIVERIES.iter().find_map(|name| headers.get(*name));
        // An empty header names no delivery.
        let delivery = delivery.filter(|delivery| !delivery.trim().is_empty());
        let shown = headers
            .iter()
            .filter(|(name, _)| !KEPT_BACK.contains(&name.as_str()));
        let shown =
            Value::map(shown.map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
        self.refresh();
        let planted: Vec<_> = self
            .planted()
            .into_iter()
            .filter(|one| matches!(&one.trigger.occasion, Occasion::Webhook(hook) if hook == name))
            .collect();
        let lost = self.lost().into_iter();
        let lost: Vec<_> = lost
            .filter(|lost| lost.trigger.hook.as_deref() == Some(name))
            .collect();
        if planted.is_empty() && lost.is_empty() {
            return Err(match self.was_just_there(name) {
                Ok(false) => HookRefused::Unused,
                Ok(true) | Err(_) => HookRefused::Away,
            });
        }
        let via = Via {
            how: format!("signed request to hook {name}"),
            from: from.to_owned(),
            groups: Vec::new(),
        };
        let mut is_busy = false;
        let starts = planted.iter().map(|one| {
            let started = self.start_by_hook(one, &body, &shown, delivery, &via);
            let mut note = None;
            let (run, is_repeated, problem) = match started {
                Ok((run, is_repeated)) => (Some(run), is_repeated, None),
                // This delivery started a run before, with other params: its body or the trigger has changed. An error would make the sender
                // repeat it. A key that a person chose may have been used for something else, so there it is an error.
                Err(error)
                    if error.code == "idempotency-key"
                        && !headers.contains_key("idempotency-key") =>
                {
                    note = Some(OTHER_PARAMS.to_owned());
                    (None, true, None)
                }
                Err(error) => {
                    // A paused trigger is not an error.
                    if error.code != "trigger-paused" {
                        self.starter().hook_failed(one, now(), &error);
                    }
                    is_busy |= error.kind == Kind::Busy;
                    (None, false, Some(error.message))
                }
            };
            HookStart {
                workflow: one.workflow.to_string(),
                trigger: one.trigger.name.clone(),
                run,
                is_repeated,
                problem,
                note,
            }
        });
        let lost = lost.into_iter().map(HookStart::lost);
        let starts = starts.collect::<Vec<_>>().into_iter().chain(lost).collect();
        Ok(HookAnswer {
            starts,
            is_busy,
            is_named: delivery.is_some(),
        })
    }

    fn start_by_hook(
        &self,
        one: &Planted,
        body: &Value,
        headers: &Value,
        delivery: Option<&String>,
        via: &Via,
    ) -> Result<(String, bool), RunsError> {
        let key = one.key();
        let known = self.book().known(&key)?;
        if known.is_some_and(|known| known.paused.is_some()) {
            return Err(RunsError::conflict(
                "trigger-paused",
                format!("the trigger {key} is paused"),
            ));
        }
        let params = one.trigger.params(body.clone(), headers.clone());
        let wanted = StartWanted {
            workflow: one.workflow.clone(),
            target: one.trigger.target.clone(),
            params: params.map_err(|why| RunsError::wrong("params", why))?,
            plan: None,
        };
        let person = Person {
            name: one.requester(),
            via: Some(via.clone()),
        };
        let delivery = delivery.map(|delivery| start_key(delivery));
        let started = self.runs().start(&wanted, delivery.as_deref(), &person)?;
        let run = started.run.to_string();
        if !started.is_repeated {
            self.book().asked(&key, &run, now())?;
            self.starter().made(one);
        }
        Ok((run, started.is_repeated))
    }
}

/// Says whether a body was signed with a secret.
fn is_signed(secret: &[u8], body: &[u8], signature: &str) -> bool {
    let Some(hex) = signature.strip_prefix(SCHEME) else {
        return false;
    };
    let Ok(tag) = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    // Compares in constant time.
    hmac::verify(&key, body, &tag).is_ok()
}

fn start_key(delivery: &str) -> String {
    let key = format!("hook {delivery}");
    if key.len() <= MAX_KEY {
        key
    } else {
        format!("hook {}", Digest::of_content(key.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_checked_as_github_makes_it() {
        // The example of GitHub's page "Validating webhook deliveries".
        let (secret, body) = (b"It's a Secret to Everybody", b"Hello, World!");
        let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(is_signed(secret, body, good));
        assert!(is_signed(
            secret,
            body,
            &good.to_uppercase().replace("SHA256", "sha256")
        ));
        for bad in [
            "",
            "sha256=",
            "757107",
            &good[..good.len() - 2],
            &good.replace("sha256", "sha1"),
            &good.replace('7', "8"),
        ] {
            assert!(!is_signed(secret, body, bad), "{bad}");
        }
        assert!(!is_signed(secret, b"Hello, World", good));
        assert!(!is_signed(b"", body, good));
    }
}
