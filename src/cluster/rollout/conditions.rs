use serde_json::{Value as Json, json};

use crate::object::{Moment, child, items, timestamp};

/// Sets a condition of an object. The transition time changes only with the status.
pub(super) fn set(
    object: &mut Json,
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
    now: Moment,
) {
    let status = if status { "True" } else { "False" };
    let mut all = items(object, "/status/conditions").to_vec();
    let found = all.iter_mut().find(|one| one["type"] == kind);
    match found {
        Some(one)
            if one["status"] == status && one["reason"] == reason && one["message"] == message =>
        {
            return;
        }
        Some(one) => {
            if one["status"] != status {
                one["lastTransitionTime"] = timestamp(now).into();
            }
            one["status"] = status.into();
            one["reason"] = reason.into();
            one["message"] = message.into();
            one["lastUpdateTime"] = timestamp(now).into();
        }
        None => all.push(json!({
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastUpdateTime": timestamp(now),
            "lastTransitionTime": timestamp(now),
        })),
    }
    child(object, "status").insert("conditions".into(), all.into());
}

/// Returns the condition of a type.
pub(super) fn find<'a>(object: &'a Json, kind: &str) -> Option<&'a Json> {
    let all = items(object, "/status/conditions").iter();
    all.into_iter().find(|one| one["type"] == kind)
}
