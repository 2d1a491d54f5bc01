use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use windlass_world::value::Digest;

use super::id::InstanceId;

/// A request of another process to the one that drives a run.
///
/// It is stored in the journal's database, and becomes an event when the driver reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    Cancel {
        requester: String,
        /// How the requester was authenticated, if a server did that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
    },
    Decide(Decision),
}

/// An answer to a step that waits for approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub step: InstanceId,
    pub verdict: Verdict,
    pub approver: String,
    /// How the approver was authenticated, if a server did that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    pub comment: Option<String>,
    /// The digest of what was shown to the approver; an answer to something else does not count.
    pub digest: Digest,
}

/// How a server authenticated a user, for the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    /// The means of authentication, such as `token ci`.
    pub how: String,
    /// The address of the client.
    pub from: String,
    /// The groups of the user: `group:NAME` among approvers refers to these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    Approved,
    Rejected,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
