//! Access reviews: questions about permissions, asked by creating an object that is not stored.

use serde_json::{Value as Json, json};

use super::{Call, body, intake::check_object};
use crate::{
    access::{Attributes, User, may, may_path, rules},
    object::{items, text},
    store::Transaction,
    wire::{Answer, Failure},
};

pub(super) fn create(call: &Call) -> Result<Answer, Failure> {
    let mut review = body::read(call)?;
    check_object(&review)?;
    let status = call.service.store.read(|tx| {
        Ok(match call.resource.kind.as_str() {
            "SelfSubjectReview" => who(&call.user),
            "SelfSubjectRulesReview" => all_rules(tx, &call.user, &review)?,
            "SubjectAccessReview" => access(tx, &subject(&review), &review)?,
            _ => access(tx, &call.user, &review)?,
        })
    })?;
    review["kind"] = call.resource.kind.as_str().into();
    review["apiVersion"] = call.resource.api_version().into();
    review["metadata"] = json!({});
    review["status"] = status;
    Ok(Answer::Object(201, review))
}

fn who(user: &User) -> Json {
    let mut info = json!({ "username": user.name, "groups": user.groups });
    if !user.uid.is_empty() {
        info["uid"] = user.uid.as_str().into();
    }
    json!({ "userInfo": info })
}

fn subject(review: &Json) -> User {
    let groups = items(review, "/spec/groups").iter();
    User {
        name: text(review, "/spec/user").unwrap_or_default().to_owned(),
        groups: groups.filter_map(Json::as_str).map(str::to_owned).collect(),
        uid: String::new(),
    }
}

fn access(tx: &Transaction, user: &User, review: &Json) -> Result<Json, Failure> {
    let spec = &review["spec"];
    let of = |pointer: &str| text(spec, pointer).unwrap_or_default();
    let allowed = if spec["nonResourceAttributes"].is_object() {
        may_path(
            tx,
            user,
            of("/nonResourceAttributes/verb"),
            of("/nonResourceAttributes/path"),
        )?
    } else {
        let resource = match of("/resourceAttributes/subresource") {
            "" => of("/resourceAttributes/resource").to_owned(),
            sub => format!("{}/{sub}", of("/resourceAttributes/resource")),
        };
        let wanted = Attributes {
            verb: of("/resourceAttributes/verb"),
            group: of("/resourceAttributes/group"),
            resource: &resource,
            namespace: of("/resourceAttributes/namespace"),
            name: of("/resourceAttributes/name"),
        };
        may(tx, user, &wanted)?
    };
    Ok(json!({ "allowed": allowed }))
}

fn all_rules(tx: &Transaction, user: &User, review: &Json) -> Result<Json, Failure> {
    let mut all = rules(
        tx,
        user,
        text(review, "/spec/namespace").unwrap_or_default(),
    )?;
    if user.is_master() {
        all.push(json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }));
        all.push(json!({ "verbs": ["*"], "nonResourceURLs": ["*"] }));
    }
    let (paths, resources): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|rule| rule["nonResourceURLs"].is_array());
    Ok(json!({
        "incomplete": false,
        "nonResourceRules": paths,
        "resourceRules": resources,
    }))
}
