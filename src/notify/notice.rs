use serde::{Deserialize, Serialize};

use windlass_ground::Timestamp;
use windlass_report::{cut, visible};
use windlass_targets::NoticeKind;

/// The longest title and text, in characters: Slack cuts texts at 3,000, PagerDuty summaries at 1,024.
const LONGEST_TITLE: usize = 200;
const LONGEST_TEXT: usize = 1_000;

/// One notification. It is stored in this form, so new fields need defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Identifies the cause: a cause that is found again causes no second notification.
    pub key: String,
    pub kind: NoticeKind,
    /// When it happened.
    pub at: Timestamp,
    /// Shared by all notifications about the same trouble.
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
    /// The path of the server's page that shows it.
    pub path: String,
    /// Whether it only ends the alert about the same trouble: it is for receivers that keep alerts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resolves: bool,
}

impl Notice {
    /// Says whether it is about the end of a run that leaves no trouble.
    pub(super) fn ends_run(&self) -> bool {
        let is_end = self.resolves || self.kind == NoticeKind::Succeeded;
        is_end && self.run.is_some() && self.step.is_none()
    }

    /// Makes text of others safe to show: replaces control characters with visible ones, and truncates long texts.
    pub fn cleaned(self) -> Self {
        Self {
            title: clean(&self.title, LONGEST_TITLE).replace(['\n', '\t'], " "),
            text: clean(&self.text, LONGEST_TEXT),
            ..self
        }
    }
}

fn clean(text: &str, most: usize) -> String {
    cut(&visible(text), most)
}
