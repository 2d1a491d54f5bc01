use serde::{Deserialize, Serialize};

use windlass_ground::Timestamp;
use windlass_targets::NoticeKind;

/// The longest title and text, in characters: Slack cuts texts at 3,000, PagerDuty summaries at 1,024.
const LONGEST_TITLE: usize = 200;
const LONGEST_TEXT: usize = 1_000;

/// One thing that is told. It is stored as it is, so new fields have defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The same for the same thing: what is found twice is told once.
    pub key: String,
    pub kind: NoticeKind,
    /// When it happened.
    pub at: Timestamp,
    /// What other notices about the same trouble share.
    pub about: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    pub title: String,
    pub text: String,
    /// The page of the server that shows it.
    pub path: String,
}

impl Notice {
    /// Cleans what others wrote: signs that no terminal or page should act on are shown as such, and nothing is long.
    pub fn cleaned(self) -> Self {
        Self {
            title: clean(&self.title, LONGEST_TITLE).replace(['\n', '\t'], " "),
            text: clean(&self.text, LONGEST_TEXT),
            ..self
        }
    }
}

/// Control characters and marks that turn a text's direction become signs that can be seen.
fn clean(text: &str, most: usize) -> String {
    let seen = text.chars().map(|c| match c {
        '\n' | '\t' => c,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    });
    let text: String = seen.collect();
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
