//! Reverses calls to Kubernetes: restores an object's own fields from its state before.

use std::time::Duration;

use serde_json::Value as Json;
use time::OffsetDateTime;

use super::{
    super::in_use::serials,
    super::undo::{Done, Judgement, Reversal, Reversed, WayBack},
    About,
};
use windlass_world::{
    outside::{
        Clients, KubeClients, Named, Owners, PatchKind, changed_since, covers, expected,
        from_object, has_taken, is_same_object, is_terminating, restoring, to_object,
    },
    value::{Failure, FailureClass, Value},
    x509::holding::{expired, of_object},
};

/// Returns an object's state before a call, for its reversal, and what the call sends; `was` is `null` if the object did not exist.
pub(super) async fn before(
    clusters: &KubeClients,
    about: About,
    sent: Value,
) -> Result<Value, Failure> {
    let client = clusters.client(&about.cluster).await?;
    let found = client.find(&about.object).await?;
    let owners = found.as_ref().map(Owners::of);
    let list = |entries: Option<Json>| entries.map_or(Value::Null, Value::from_json);
    let was = found.map_or(Value::Null, without_status);
    Ok(Value::map([
        ("cluster", Value::from(about.cluster)),
        ("kind", about.object.kind.into()),
        ("version", about.object.version.into()),
        ("namespace", about.object.namespace.into()),
        ("name", about.object.name.into()),
        ("was", was),
        ("owners", list(owners.as_ref().map(|o| o.others.clone()))),
        ("own", list(owners.and_then(|o| o.own))),
        ("sent", sent),
    ]))
}

/// Says whether a look before the repetition of a call in doubt replaces the look before the call: the call, made under the name of
/// `manager`, has certainly not changed the object, because it would own fields of it.
pub(super) fn replaces(function: &str, manager: &str, first: &Value, again: &Value) -> bool {
    let was = |of: &Value| of.field("was").map_or(Json::Null, Value::to_json);
    let (first_was, now) = (was(first), was(again));
    if function == "kube::delete" {
        let is_same = !now.is_null() && now["metadata"]["uid"] == first_was["metadata"]["uid"];
        return is_same && !is_terminating(&now) && first_was != now;
    }
    // Earlier versions did not record what `windlass` owned.
    let is_known = first.field("own").is_some();
    let written = |of: &Value| {
        let list = |key: &str| of.field(key).map_or(Json::Null, Value::to_json);
        let by_name = |entry: &Json| entry["manager"] == manager;
        let (own, others) = (list("own"), list("owners"));
        let others = others.as_array().cloned().unwrap_or_default();
        let own = own.as_array().cloned().unwrap_or_default().into_iter();
        own.chain(others.into_iter().filter(by_name))
            .collect::<Vec<_>>()
    };
    first_was != now && (now.is_null() || is_known && written(first) == written(again))
}

/// Returns an object's current state with the owners of its fields, without its status; `null` if it does not exist.
async fn look(clusters: &KubeClients, about: &About) -> Result<Value, Failure> {
    let client = clusters.client(&about.cluster).await?;
    let Some(found) = client.find(&about.object).await? else {
        return Ok(Value::Null);
    };
    let mut state = with_owners(&found);
    if let Value::Map(fields) = &mut state {
        fields.remove("status");
    }
    Ok(state)
}

/// Returns an object with the owners of its fields, as [`look`] does: a state that an undo leads to is looked at by the one before it.
fn with_owners(object: &Json) -> Value {
    let mut state = from_object(object);
    let owners = &object["metadata"]["managedFields"];
    if let Value::Map(fields) = &mut state
        && let Some(Value::Map(metadata)) = fields.get_mut("metadata")
        && !owners.is_null()
    {
        metadata.insert("managedFields".to_owned(), Value::from_json(owners.clone()));
    }
    state
}

fn without_status(mut object: Json) -> Value {
    if let Json::Object(fields) = &mut object {
        fields.remove("status");
    }
    from_object(&object)
}

pub fn of_apply(done: Done, clients: &Clients) -> Reversal {
    let seen = Seen::of(done, None);
    match seen.was.clone() {
        None => withdraw(&clients.kube, seen),
        Some(was) => restore(&clients.kube, seen, was),
    }
}

pub fn of_patch(done: Done, clients: &Clients) -> Reversal {
    let seen = Seen::of(done, PatchKind::parse(argument(done, "type")));
    match seen.was.clone() {
        None => unknown(&seen.about),
        Some(was) => restore(&clients.kube, seen, was),
    }
}

pub fn of_delete(done: Done, clients: &Clients) -> Reversal {
    let seen = Seen::of(done, None);
    match seen.was {
        None => unknown(&seen.about),
        Some(was) => recreate(&clients.kube, seen.about, was, seen.owners),
    }
}

/// A second restart would not restore the old pods.
pub fn of_restart(done: Done, _: &Clients) -> Reversal {
    Reversal::never(format!(
        "{} of {} stays restarted; restart it once more after the undo, if it has read what is undone (a whole mesh: `windlass run restart-mesh`)",
        argument(done, "object"),
        argument(done, "cluster")
    ))
}

pub fn of_eviction(_: Done, _: &Clients) -> Reversal {
    Reversal::Nothing
}

fn unknown(about: &About) -> Reversal {
    Reversal::never(format!(
        "{} of {}: its earlier state is not known",
        about.object, about.cluster
    ))
}

fn argument<'a>(done: Done<'a>, key: &str) -> &'a str {
    done.arguments[key].as_str().unwrap_or_default()
}

/// The record of a call.
struct Seen {
    about: About,
    /// `None` if there was no such object.
    was: Option<Json>,
    owners: Owners,
    made: Option<Made>,
    /// The name under which it was changed, if it is not ours.
    manager: String,
}

impl Seen {
    /// `kind` is the kind of a patch.
    fn of(done: Done, kind: Option<PatchKind>) -> Self {
        let given = |key: &str| {
            done.before
                .field(key)
                .filter(|value| **value != Value::Null)
        };
        let text = |key: &str| given(key).map_or_else(String::new, Value::to_text);
        Self {
            about: About {
                cluster: text("cluster"),
                object: Named {
                    kind: text("kind"),
                    version: version(done),
                    namespace: text("namespace"),
                    name: text("name"),
                },
            },
            was: given("was").map(to_object),
            owners: Owners {
                others: given("owners").map_or(Json::Null, Value::to_json),
                own: given("own").map(Value::to_json),
            },
            manager: argument(done, "field_manager").to_owned(),
            made: match (done.result, given("sent").map(to_object)) {
                (Some(made), _) => Some(Made::Seen(to_object(made))),
                (None, Some(body)) => Some(Made::Sent { kind, body }),
                (None, None) => None,
            },
        }
    }
}

/// Returns the version in which a call wrote an object. Earlier versions did not record it.
fn version(done: Done) -> Option<String> {
    let text = |of: &Value| of.as_str().map(str::to_owned);
    if let Some(version) = done.before.field("version") {
        return text(version);
    }
    let is_new = done.before.field("was") == Some(&Value::Null);
    let made = done.result.or(done.before.field("sent")).filter(|_| is_new);
    let api_version = text(made?.field("apiVersion")?)?;
    let (_, version) = api_version.split_once('/')?;
    Some(version.to_owned())
}

/// The object as a call left it.
#[derive(Clone)]
enum Made {
    /// The API server's answer.
    Seen(Json),
    /// There was no answer; this was sent.
    Sent { kind: Option<PatchKind>, body: Json },
}

/// How long an undo waits for an object that is being deleted.
const GONE_WITHIN: Duration = Duration::from_secs(300);
const UNKNOWN: &str = "how the run changed it is not known";
const OF_OTHERS: &str = "others have written it, too";
const CHANGED: &str = "it has been changed since the step ran";

/// Names the fields that differ from what the run left.
fn changed(fields: &[String]) -> String {
    match fields {
        [] => CHANGED.to_owned(),
        fields => format!("{CHANGED}: {}", fields.join(", ")),
    }
}

fn way_back<F>(
    (what, function): (String, &'static str),
    clusters: &KubeClients,
    about: About,
    judge: impl Fn(&Json) -> Judgement + Send + Sync + 'static,
    act: impl Fn(KubeClients, About, Json) -> F + Clone + Send + Sync + 'static,
) -> Reversal
where
    F: Future<Output = Result<Reversed, Failure>> + Send + 'static,
{
    let subject = format!("{} of {}", about.object, about.cluster);
    let record = about.record([]);
    let (looker, looked_at) = (clusters.clone(), about.clone());
    let clusters = clusters.clone();
    let way = WayBack::new(
        what,
        (function, record),
        subject,
        move || {
            let (clusters, about) = (looker.clone(), looked_at.clone());
            async move { look(&clusters, &about).await }
        },
        move |now| judge(&to_object(now)),
        move |now, _| act(clusters.clone(), about.clone(), to_object(&now)),
    );
    Reversal::By(way.using(|now| async move { Ok(serials(&of_object(&now))) }))
}

/// Says whether other objects are deleted with an object: everything in a namespace, all objects of a custom type.
fn contains_others(about: &About) -> bool {
    let kind = about.object.kind.to_lowercase();
    let (kind, _) = kind.split_once('.').unwrap_or((&kind, ""));
    let kind = kind.strip_suffix('s').unwrap_or(kind);
    ["namespace", "ns", "n", "customresourcedefinition", "crd"].contains(&kind)
}

/// Deletes an object that was created, if it is still as the run left it.
fn withdraw(clusters: &KubeClients, seen: Seen) -> Reversal {
    let Seen {
        about,
        made,
        manager,
        ..
    } = seen;
    if contains_others(&about) {
        return Reversal::never(format!(
            "{} of {} stays, because whatever is in it would be deleted with it; if nothing is, delete it by hand",
            about.object, about.cluster
        ));
    }
    let what = format!("delete {} of {}", about.object, about.cluster);
    let judge = move |now: &Json| {
        let found = with_owners(now);
        if now.is_null() {
            return Judgement::already("it no longer exists", &found);
        }
        if is_terminating(now) {
            return Judgement::already("it is being deleted already", &found);
        }
        match &made {
            Some(Made::Seen(made)) if !is_same_object(made, now) => {
                Judgement::left("another object has its name now", &found)
            }
            Some(Made::Seen(made)) => match changed_since(made, now) {
                fields if !fields.is_empty() => Judgement::left(changed(&fields), &found),
                _ if Owners::has_content_of_others(made, now, &manager) => {
                    Judgement::left(OF_OTHERS, &found)
                }
                _ => Judgement::goes(Value::Null),
            },
            Some(Made::Sent { .. }) if !Owners::has_written(now, &manager) => {
                Judgement::left("the run has not written it", &found)
            }
            Some(Made::Sent { .. }) if Owners::has_content_of_others(now, now, &manager) => {
                Judgement::left(OF_OTHERS, &found)
            }
            Some(Made::Sent { body, .. }) => {
                let sent = expected(&Json::Object(Default::default()), None, body);
                if sent.is_some_and(|sent| covers(now, &sent)) {
                    Judgement::goes(Value::Null)
                } else {
                    Judgement::left("it differs from what the run sent", &found)
                }
            }
            None => Judgement::left(UNKNOWN, &found),
        }
    };
    way_back(
        (what, "kube::delete"),
        clusters,
        about,
        judge,
        |clusters, about, now| async move {
            let client = clusters.client(&about.cluster).await?;
            client.delete_version(&about.object, &now).await?;
            Ok(Reversed::Done)
        },
    )
}

/// Says what must not be put back, because it would cut off what works: certificates that have expired meanwhile.
fn has_expired(then: &Json, now: &Json) -> Option<String> {
    let [then, now] = [then, now].map(|object| of_object(&from_object(object)));
    let (key, certificate) = expired(&then, &now, OffsetDateTime::now_utc())?;
    Some(format!(
        "what it had in {key} expired on {}: {}",
        certificate.not_after.date(),
        certificate.subject
    ))
}

/// Restores changed fields and their owners, if all of them are still as the run left them.
fn restore(clusters: &KubeClients, seen: Seen, was: Json) -> Reversal {
    let Seen {
        about,
        owners,
        made,
        manager,
        ..
    } = seen;
    let what = format!("restore {} of {}", about.object, about.cluster);
    let sent = match &made {
        Some(Made::Sent { kind, body }) => Some((*kind, body.clone())),
        _ => None,
    };
    let is_exact = sent
        .as_ref()
        .is_none_or(|(kind, _)| matches!(kind, Some(PatchKind::Merge | PatchKind::Json)));
    let (writers, writer, first) = (owners.clone(), manager.clone(), was.clone());
    // Without an answer, the API server's own record says who has written the object since.
    let left = move |now: &Json| match (&made, &sent) {
        (Some(Made::Seen(made)), _) => Some(made.clone()),
        (_, Some((kind, body))) => {
            let sent = expected(&Json::Object(Default::default()), None, body);
            let planned = expected(&first, *kind, body);
            let fits = |planned: &Json| restoring(&first, planned, now).1.is_empty();
            // The API server merges lists by key and adds defaults, so only its own record shows that all changes are of the run.
            let is_of_run = || {
                !writers.is_unchanged_by(&writer, now)
                    && writers.only_changed_by(&writer, now)
                    && sent.is_some_and(|sent| has_taken(now, &sent))
            };
            if !is_exact && !planned.as_ref().is_some_and(fits) && is_of_run() {
                Some(now.clone())
            } else {
                planned
            }
        }
        _ => None,
    };
    let patch = {
        let was = was.clone();
        move |now: &Json| left(now).map(|after| restoring(&was, &after, now))
    };
    let (judged, given_up, taker) = (patch.clone(), owners.clone(), manager.clone());
    let judge = move |now: &Json| {
        let found = with_owners(now);
        match judged(now) {
            _ if now.is_null() => Judgement::left("it no longer exists", &found),
            _ if is_terminating(now) => Judgement::left("it is being deleted", &found),
            None => Judgement::left(UNKNOWN, &found),
            Some((_, fields)) if !fields.is_empty() && is_exact => {
                Judgement::left(changed(&fields), &found)
            }
            Some((_, fields)) if !fields.is_empty() => Judgement::left(UNKNOWN, &found),
            Some((patch, _)) if patch == serde_json::json!({}) => {
                match given_up.returned(now, &taker) {
                    Some(returned) => Judgement::goes(with_owners(&returned)),
                    None => Judgement::already("it is already as before the run", &found),
                }
            }
            Some((patch, _)) => {
                let then = expected(now, None, &patch);
                match then.as_ref().and_then(|then| has_expired(then, now)) {
                    Some(why) => Judgement::left(why, &found),
                    None => Judgement::goes(then.map_or(found, |then| {
                        let returned = given_up.returned(&then, &taker);
                        with_owners(returned.as_ref().unwrap_or(&then))
                    })),
                }
            }
        }
    };
    way_back(
        (what, "kube::restore"),
        clusters,
        about,
        judge,
        move |clusters, about, now| {
            let (patch, owners, manager) = (patch(&now), owners.clone(), manager.clone());
            async move {
                let client = clusters.client(&about.cluster).await?;
                if let Some((patch, _)) = patch {
                    if patch != serde_json::json!({}) {
                        client.patch_version(&about.object, &now, &patch).await?;
                    }
                    client.give_back(&about.object, &owners, &manager).await?;
                }
                Ok(Reversed::Done)
            }
        },
    )
}

/// Creates an object that was deleted, unless there is a new one.
fn recreate(clusters: &KubeClients, about: About, was: Json, owners: Owners) -> Reversal {
    let is_shell = contains_others(&about);
    let mut what = format!("create {} of {} again", about.object, about.cluster);
    if is_shell {
        what.push_str(", without the objects that were deleted with it");
    }
    let then = from_object(&was);
    let (again, given_up) = (was.clone(), owners.clone());
    let judge = move |now: &Json| match now {
        Json::Null => Judgement::goes(then.clone()),
        // It is created again when it is gone.
        now if is_terminating(now) && is_same_object(&was, now) => Judgement::goes(then.clone()),
        now if changed_since(&was, now).is_empty() => match given_up.returned(now, "") {
            Some(returned) => Judgement::goes(with_owners(&returned)),
            None => Judgement::already("it already exists as before the run", &with_owners(now)),
        },
        now => Judgement::left("another object has its name now", &with_owners(now)),
    };
    way_back(
        (what, "kube::create"),
        clusters,
        about,
        judge,
        move |clusters, about, now| {
            let (was, owners) = (again.clone(), owners.clone());
            async move {
                let client = clusters.client(&about.cluster).await?;
                if let Some(uid) = now["metadata"]["uid"].as_str()
                    && is_terminating(&now)
                {
                    let gone = client.wait_until_gone(&about.object, uid, GONE_WITHIN);
                    gone.await.map_err(|failure| match failure.class {
                        // It has been waited for; after a conflict, it would be looked at again at once.
                        FailureClass::Conflict => Failure {
                            class: FailureClass::Timeout,
                            ..failure
                        },
                        _ => failure,
                    })?;
                }
                // What an earlier undo created again lacks only its owners.
                if now.is_null() || is_terminating(&now) {
                    match client.recreate(&about.object, &was).await {
                        Err(failure) if failure.code == "AlreadyExists" => {
                            return Ok(Reversed::Left(
                                "another object has its name now".to_owned(),
                            ));
                        }
                        other => other?,
                    }
                }
                client.give_back(&about.object, &owners, "").await?;
                if is_shell {
                    let why =
                        "it is created again, but the objects that were deleted with it are lost";
                    return Ok(Reversed::Left(why.to_owned()));
                }
                Ok(Reversed::Done)
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_the_call_has_not_written_is_looked_at_again() {
        let seen = |was: Json, own: Json| {
            Value::from_json(serde_json::json!({ "was": was, "own": own, "owners": [] }))
        };
        let object = |uid: &str| serde_json::json!({ "metadata": { "uid": uid } });
        let ours = || serde_json::json!([{ "manager": "windlass", "time": "1" }]);
        let none = seen(Json::Null, Json::Null);
        let is_replaced =
            |function, first: &Value, again: &Value| replaces(function, "", first, again);
        let apply = "kube::apply";
        assert!(is_replaced(
            apply,
            &none,
            &seen(object("1"), serde_json::json!([]))
        ));
        assert!(!is_replaced(apply, &none, &seen(object("1"), ours())));
        assert!(!is_replaced(apply, &none, &none));
        assert!(is_replaced(apply, &seen(object("1"), ours()), &none));
        // Earlier versions did not record who owned it.
        let old = Value::map([("was", Value::Null)]);
        assert!(!is_replaced(apply, &old, &seen(object("1"), ours())));
        let delete = "kube::delete";
        let edited = serde_json::json!({ "metadata": { "uid": "1" }, "data": {} });
        let first = seen(object("1"), ours());
        assert!(is_replaced(delete, &first, &seen(edited, ours())));
        assert!(!is_replaced(delete, &first, &none));
        assert!(!is_replaced(delete, &first, &seen(object("2"), ours())));
    }
}
