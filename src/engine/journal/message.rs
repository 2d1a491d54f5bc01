use serde::{Deserialize, Serialize};

use windlass_world::value::Digest;

/// What another process asks of the one that drives a run.
///
/// It waits in the journal's database, and becomes an event when the driver reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    Cancel { requester: String },
    Decide(Decision),
}

/// An answer to a step that waits for approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The step instance, as it prints.
    pub step: String,
    pub verdict: Verdict,
    pub approver: String,
    pub comment: Option<String>,
    /// Of what was shown to the approver; an answer to something else does not count.
    pub digest: Digest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Approved,
    Rejected,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}
