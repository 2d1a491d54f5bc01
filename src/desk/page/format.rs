//! Formats times, statuses and values for all pages.

use std::time::Duration;

use maud::{Markup, html};

use windlass_ground::Timestamp;
use windlass_report as report;
pub use windlass_report::{cut, visible};
use windlass_world::value::format_duration;

/// Returns a point in time as its distance from now, with the exact time on hover. `live.js` keeps the distance up to date.
pub fn moment(at: Timestamp, now: Timestamp) -> Markup {
    let exact = format!("{} UTC", report::utc_time(at));
    html! {
        time datetime=(at.rfc3339()) data-at=(at.as_millis()) title=(exact) { (relative(at, now)) }
    }
}

/// Returns `3m ago` or `in 2h`: only the largest unit, in the same format as `tick` in `live.js`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.millis_since(at) / 1000;
    let size = match seconds.unsigned_abs() {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m", s / 60),
        s @ 3600..86_400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    };
    if seconds >= 0 {
        format!("{size} ago")
    } else {
        format!("in {size}")
    }
}

/// Returns a length of time in milliseconds: `12ms`, `3.2s`, `4m 2s`, `2h 5m`, `3d 4h`.
pub fn length(milliseconds: i64) -> String {
    let milliseconds = milliseconds.max(0);
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..60 => format!("{seconds}.{}s", milliseconds % 1000 / 100),
        _ => format_duration(Duration::from_millis(milliseconds.unsigned_abs())),
    }
}

/// Returns a length of time that grows, if it `is_running`, until `now` for the moment. `live.js` keeps it up to date.
pub fn running_length(milliseconds: i64, now: Timestamp, is_running: bool) -> Markup {
    html! {
        @if is_running {
            span data-since=(now.as_millis() - milliseconds) { (length(milliseconds)) }
        } @else {
            (length(milliseconds))
        }
    }
}

/// Returns a status as a mark, a colour and a word.
pub fn status(status: &str) -> Markup {
    html! {
        span class={ "status " (class(status)) } {
            span aria-hidden="true" { (mark(status)) } " " (status)
        }
    }
}

/// Returns the sign of a status, for people who can't distinguish its colour.
pub fn mark(status: &str) -> &'static str {
    match status {
        "succeeded" | "approved" | "done" | "in use" => "✓",
        "failed" | "rejected" | "undo failed" | "expired" | "revoked" => "✕",
        "running" | "undoing" => "▶",
        "waiting" => "?",
        "retrying" => "↻",
        "interrupted" | "cancelled" | "in_doubt" => "!",
        "undone" => "↩",
        "skipped" => "–",
        _ => "·",
    }
}

/// Returns the class of a status's colour.
pub fn class(status: &str) -> &'static str {
    match status {
        "succeeded" | "approved" | "done" | "in use" => "good",
        "failed" | "rejected" | "undo failed" | "expired" | "revoked" => "bad",
        "running" | "undoing" => "busy",
        "waiting" | "retrying" | "interrupted" | "cancelled" | "in_doubt" => "warn",
        _ => "idle",
    }
}

/// Returns a value as JSON over several lines; `None` for null and an empty map.
pub fn value(json: &serde_json::Value) -> Option<String> {
    let is_empty = match json {
        serde_json::Value::Null => true,
        serde_json::Value::Object(map) => map.is_empty(),
        _ => false,
    };
    (!is_empty).then(|| visible(&format!("{json:#}")))
}

/// Returns a value on one line, if it is short enough.
pub fn short(json: &serde_json::Value) -> Option<String> {
    const MOST: usize = 72;
    let text = match json {
        serde_json::Value::Null => "–".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    (text.len() <= MOST && !text.contains('\n')).then(|| visible(&text))
}

/// Makes visible what a page's texts hold that can't be seen, such as marks of the direction of writing in names. What a person may
/// send back stays as it is: attributes, and the content of a text field.
pub fn all_visible(html: String) -> String {
    if visible(&html) == html {
        return html;
    }
    let (mut seen, mut rest) = (String::with_capacity(html.len()), html.as_str());
    while let Some(start) = rest.find('<') {
        let (text, tag) = rest.split_at(start);
        seen.push_str(&visible(text));
        let end = if tag.starts_with("<textarea") {
            tag.find("</textarea")
        } else {
            tag.find('>')
        };
        let (tag, after) = tag.split_at(end.map_or(tag.len(), |end| end + 1));
        seen.push_str(tag);
        rest = after;
    }
    seen.push_str(&visible(rest));
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (at, wanted) in [
            (0, "10d ago"),
            (864_000_000 - 59_999, "59s ago"),
            (864_000_000 - 3_600_000, "1h ago"),
            (864_000_000 + 120_000, "in 2m"),
        ] {
            let (at, now) = (Timestamp::from_millis(at), Timestamp::from_secs(864_000));
            assert_eq!(relative(at, now), wanted);
        }
        assert_eq!(length(12), "12ms");
        assert_eq!(length(3_250), "3.2s");
        assert_eq!(length(62_400), "1m 2s");
        assert_eq!(length(7_500_000), "2h 5m");
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(
            visible("a\u{202e}b\u{1b}[0m\nc"),
            "a\u{fffd}b\u{fffd}[0m\nc"
        );
        let all = |html: &str| all_visible(html.to_owned());
        let page = |c: char| {
            format!("{c}<p title=\"\u{202e}\">a{c}</p><textarea a>\u{202e}</textarea>{c}")
        };
        assert_eq!(all(&page('\u{202e}')), page('\u{fffd}'));
        assert_eq!(all("\u{202e}<p"), "\u{fffd}<p");
    }
}
