//! The format that each kind of receiver expects.

use serde_json::{Value as Json, json};

use super::notice::Notice;
use windlass_ground::Timestamp;
use windlass_report as report;
use windlass_targets::NoticeKind;
use windlass_world::value::Digest;

/// PagerDuty truncates summaries to this length, in characters.
const PAGERDUTY_SUMMARY: usize = 1024;

/// Returns the address of the page that shows a notification, if the address of the server is known.
pub fn link(base: Option<&str>, notice: &Notice) -> Option<String> {
    let base = base?.trim_end_matches('/');
    Some(format!("{base}{}", notice.path))
}

/// Builds the body for a generic webhook: the notification with an id by which the receiver recognises a repeated delivery.
pub fn webhook(id: &str, notice: &Notice, link: Option<&str>) -> Json {
    json!({
        "id": id,
        "kind": notice.kind,
        "at": notice.at,
        "run": notice.run,
        "workflow": notice.workflow,
        "target": notice.target,
        "step": notice.step,
        "title": notice.title,
        "text": notice.text,
        "url": link,
    })
}

/// Builds the body for Slack: "Sending messages using incoming webhooks" and "Block Kit".
pub fn slack(notice: &Notice, link: Option<&str>) -> Json {
    let title = slack_text(&notice.title);
    let headline = match link {
        Some(link) => format!("{} *<{}|{title}>*", mark(notice.kind), slack_text(link)),
        None => format!("{} *{title}*", mark(notice.kind)),
    };
    let mut blocks = vec![section(&headline)];
    if !notice.text.is_empty() {
        blocks.push(section(&slack_text(&notice.text)));
    }
    let context = format!("{} UTC{}", report::utc_time(notice.at), context(notice));
    blocks.push(json!({
        "type": "context",
        "elements": [{ "type": "plain_text", "text": context }],
    }));
    json!({ "text": title, "blocks": blocks })
}

/// Returns a section of a message, shortened to what Slack accepts: it refuses a message with a longer one.
fn section(text: &str) -> Json {
    /// The longest text of a section, in characters, escaped ("Section block" in Slack's documentation).
    const MOST: usize = 3_000;
    let text = if text.chars().count() > MOST {
        shortened(text, MOST - 1)
    } else {
        text.to_owned()
    };
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// Shortens an escaped text to `most` characters, and never within an escape.
fn shortened(text: &str, most: usize) -> String {
    let mut kept: String = text.chars().take(most).collect();
    if let Some(at) = kept.rfind('&')
        && !kept[at..].contains(';')
    {
        kept.truncate(at);
    }
    kept + "…"
}

/// Escapes Slack's three control characters ("Formatting text for app surfaces", Escaping text). A mention or a link needs one of them;
/// the other marks only make text bold or the like.
fn slack_text(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// Builds the body for Microsoft Teams: a workflow "Post to a channel when a webhook request is received", with an Adaptive Card.
pub fn teams(notice: &Notice, link: Option<&str>) -> Json {
    let mut body = vec![json!({
        "type": "TextBlock", "size": "medium", "weight": "bolder", "wrap": true,
        "text": format!("{} {}", mark(notice.kind), card_text(&notice.title)),
    })];
    if !notice.text.is_empty() {
        body.push(json!({ "type": "TextBlock", "wrap": true, "text": card_text(&notice.text) }));
    }
    let facts = [
        ("Run", &notice.run),
        ("Workflow", &notice.workflow),
        ("Target", &notice.target),
        ("Step", &notice.step),
    ];
    let facts = facts.into_iter().filter_map(|(name, value)| {
        let value = value.as_ref()?;
        Some(json!({ "title": name, "value": card_text(value) }))
    });
    body.push(json!({ "type": "FactSet", "facts": facts.collect::<Vec<_>>() }));
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    });
    if let Some(link) = link {
        card["actions"] =
            json!([{ "type": "Action.OpenUrl", "title": "Open in Windlass", "url": link }]);
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}

/// Escapes the Markdown that cards understand ("Text features"), so that no text of a run becomes a link or a list.
fn card_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '[' | ']' | '*' | '_' | '`' | '#' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
        // Cards show a single line end as a space.
        if c == '\n' {
            escaped.push('\n');
        }
    }
    escaped
}

/// Builds the body for PagerDuty ("Events API v2", "Send an alert event"). Notifications about the same trouble share a `dedup_key`, and a
/// run that succeeds resolves its alert.
pub fn pagerduty(key: &str, notice: &Notice, link: Option<&str>) -> Json {
    let summary: String = notice.title.chars().take(PAGERDUTY_SUMMARY).collect();
    let mut event = json!({
        "routing_key": key,
        "event_action": "trigger",
        "dedup_key": dedup_key(&notice.about),
        "client": "Windlass",
        "payload": {
            "summary": summary,
            "source": notice.target.as_deref().unwrap_or("windlass"),
            "severity": severity(notice.kind),
            "timestamp": rfc3339(notice.at),
            "component": notice.workflow,
            "class": notice.kind,
            "custom_details": {
                "text": notice.text, "run": notice.run, "step": notice.step,
            },
        },
    });
    if let Some(link) = link {
        event["client_url"] = json!(link);
        event["links"] = json!([{ "href": link, "text": "Open in Windlass" }]);
    }
    if notice.resolves || notice.kind == NoticeKind::Succeeded {
        event["event_action"] = json!("resolve");
    }
    event
}

/// Returns the key of the alert about something. A long one ends in its digest.
fn dedup_key(about: &str) -> String {
    /// PagerDuty rejects an event with a longer key, in characters ("Send an alert event").
    const MOST: usize = 255;
    let key = format!("windlass {about}");
    if key.chars().count() <= MOST {
        return key;
    }
    let digest = Digest::of_content(key.as_bytes()).to_string();
    let kept = MOST - digest.len() - 1;
    let kept: String = key.chars().take(kept).collect();
    format!("{kept} {digest}")
}

/// Returns the subject and the text of an e-mail.
pub fn email(notice: &Notice, link: Option<&str>) -> (String, String) {
    let mut text = format!("{}\n\n", notice.title);
    if !notice.text.is_empty() {
        text.push_str(&format!("{}\n\n", notice.text));
    }
    text.push_str(&format!(
        "{} UTC{}\n",
        report::utc_time(notice.at),
        context(notice)
    ));
    if let Some(link) = link {
        text.push_str(&format!("{link}\n"));
    }
    (format!("[windlass] {}", notice.title), text)
}

fn context(notice: &Notice) -> String {
    let run = notice.run.as_ref().map(|run| format!(", run {run}"));
    run.unwrap_or_default()
}

fn mark(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Waiting | NoticeKind::ExpiringApproval => "❓",
        NoticeKind::Failed => "❌",
        NoticeKind::Succeeded => "✅",
        NoticeKind::Doubt => "⚠️",
        NoticeKind::Due => "⏳",
    }
}

fn severity(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Failed | NoticeKind::Doubt => "error",
        NoticeKind::Due | NoticeKind::ExpiringApproval => "warning",
        NoticeKind::Waiting | NoticeKind::Succeeded => "info",
    }
}

fn rfc3339(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis());
    at.map(|at| at.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice {
            key: "run r 7".into(),
            kind: NoticeKind::Failed,
            at: Timestamp::from_millis(1_795_780_800_000),
            about: "run r".into(),
            run: Some("r".into()),
            workflow: Some("gloo-mesh".into()),
            target: Some("prod".into()),
            step: None,
            title: "gloo-mesh on prod failed".into(),
            text: "sign: <!channel> [x](http://evil.example) & *more*".into(),
            path: "/runs/r".into(),
            resolves: false,
        }
    }

    #[test]
    fn what_a_run_says_is_no_format_of_slack_or_teams() {
        let slack = slack(&notice(), Some("https://w.example/runs/r"));
        let text = slack["blocks"][1]["text"]["text"].as_str().expect("text");
        assert_eq!(
            text,
            "sign: &lt;!channel&gt; [x](http://evil.example) &amp; *more*"
        );
        assert_eq!(
            slack["blocks"][0]["text"]["text"],
            "❌ *<https://w.example/runs/r|gloo-mesh on prod failed>*"
        );
        let teams = teams(&notice(), None);
        let body = &teams["attachments"][0]["content"]["body"];
        assert_eq!(
            body[1]["text"],
            "sign: <!channel> \\[x\\](http://evil.example) & \\*more\\*"
        );
    }

    #[test]
    fn a_section_of_slack_is_short_enough_once_it_is_escaped() {
        let mut long = notice();
        long.text = "<".repeat(1_000);
        let slack = slack(&long, None);
        let text = slack["blocks"][1]["text"]["text"].as_str().expect("text");
        assert!(text.chars().count() <= 3_000 && text.ends_with("&lt;…"));
    }

    #[test]
    fn pagerduty_resolves_what_went_well_after_all() {
        let mut notice = notice();
        let failed = pagerduty("key", &notice, None);
        notice.kind = NoticeKind::Succeeded;
        let succeeded = pagerduty("key", &notice, None);
        assert_eq!(failed["event_action"], "trigger");
        assert_eq!(succeeded["event_action"], "resolve");
        assert_eq!(failed["dedup_key"], succeeded["dedup_key"]);
        assert_eq!(failed["payload"]["severity"], "error");
        assert_eq!(failed["payload"]["timestamp"], "2026-11-27T12:00:00Z");
    }

    #[test]
    fn the_key_of_an_alert_is_short_enough_for_pagerduty() {
        let mut notice = notice();
        let key = |notice: &Notice| {
            let event = pagerduty("key", notice, None);
            event["dedup_key"].as_str().expect("text").to_owned()
        };
        notice.about = format!("run r {}", "ü".repeat(240));
        assert_eq!(key(&notice), format!("windlass {}", notice.about));
        notice.about.push('x');
        let (long, mut other) = (key(&notice), notice.clone());
        assert_eq!(long.chars().count(), 255, "{long}");
        assert!(long.starts_with("windlass run r ü"), "{long}");
        other.about.push('y');
        assert_ne!(long, key(&other));
        assert_eq!(long, key(&notice));
    }

    #[test]
    fn a_notice_is_one_line_of_a_subject() {
        let mut notice = notice();
        notice.title = "a\r\nBcc: eve@evil.example\u{202e}".into();
        let (subject, _) = email(&notice.cleaned(), None);
        assert_eq!(
            subject,
            "[windlass] a\u{fffd} Bcc: eve@evil.example\u{fffd}"
        );
    }
}
