//! What reverses a call to Kubernetes: an object's own fields, from what it was before.

use serde_json::Value as Json;

use super::{
    super::undo::{Done, Reversal},
    About,
};
use crate::{
    outside::{KubeClients, Named, from_object, to_object},
    script::effects::{Call, Class},
    value::{Failure, Value},
};

/// What an object was before a call, for [`reversal`]; `was` is nothing if it was not there.
pub(super) async fn before(clusters: &KubeClients, about: About) -> Result<Value, Failure> {
    let found = clusters
        .client(&about.cluster)
        .await?
        .find(&about.object)
        .await?;
    let was = found.map_or(Value::Null, |mut object| {
        if let Json::Object(fields) = &mut object {
            fields.remove("status");
        }
        from_object(&object)
    });
    Ok(Value::map([
        ("cluster", Value::from(about.cluster)),
        ("kind", about.object.kind.into()),
        ("namespace", about.object.namespace.into()),
        ("name", about.object.name.into()),
        ("was", was),
    ]))
}

pub fn reversal(function: &str, done: Done, clusters: &KubeClients) -> Reversal {
    let text = |key: &str| {
        done.before
            .field(key)
            .map_or_else(String::new, Value::to_text)
    };
    let about = About {
        cluster: text("cluster"),
        object: Named {
            kind: text("kind"),
            namespace: text("namespace"),
            name: text("name"),
        },
    };
    let was = done
        .before
        .field("was")
        .filter(|was| **was != Value::Null)
        .map(to_object);
    let argument = |key: &str| done.arguments[key].as_str().unwrap_or_default();
    let made = done.result.map(to_object);
    let of = format!("{} of {}", about.object, about.cluster);
    match (function, was) {
        ("apply" | "apply_secret", None) => withdraw(clusters, about, made),
        ("apply" | "apply_secret" | "patch", Some(was)) => restore(clusters, about, was, made),
        ("delete", Some(was)) => recreate(clusters, about, was),
        // A second restart would not bring the old pods back.
        ("restart", _) => Reversal::never(format!(
            "{} of {} stays restarted; restart it once more when what it reads is back (workflows/restart-mesh.yaml)",
            argument("object"),
            argument("cluster")
        )),
        ("patch" | "delete", None) => Reversal::never(format!("{of}: nobody knows what it was")),
        _ => Reversal::Nothing,
    }
}

fn by<F>(
    what: String,
    function: &'static str,
    about: &About,
    act: impl FnOnce() -> F + Send + 'static,
) -> Reversal
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let call = Call::new(function, Class::Keyed, about.record([]), move |_| act());
    Reversal::By { what, call }
}

/// Deletes what was created, unless another one has taken its place. Where nobody knows what was
/// created, it is what is there now.
fn withdraw(clusters: &KubeClients, about: About, made: Option<Json>) -> Reversal {
    let (clusters, own) = (clusters.clone(), about.clone());
    let what = format!("delete {} of {}", about.object, about.cluster);
    by(what, "kube::delete", &about, move || async move {
        let client = clusters.client(&own.cluster).await?;
        let made = match made {
            Some(made) => made,
            None => match client.find(&own.object).await? {
                Some(now) => now,
                None => return Ok(Value::Null),
            },
        };
        let uid = made["metadata"]["uid"].as_str().unwrap_or_default();
        client.delete(&own.object, uid).await.map(|()| Value::Null)
    })
}

/// Gives the fields back that were changed; what somebody changed since is left. Where nobody knows
/// what the object became, it is what it is now.
fn restore(clusters: &KubeClients, about: About, was: Json, made: Option<Json>) -> Reversal {
    let (clusters, own) = (clusters.clone(), about.clone());
    let what = format!(
        "put {} of {} back to what it was",
        about.object, about.cluster
    );
    by(what, "kube::restore", &about, move || async move {
        let client = clusters.client(&own.cluster).await?;
        let made = match made {
            Some(made) => made,
            None => match client.find(&own.object).await? {
                Some(now) => now,
                None => return Ok(Value::Null),
            },
        };
        let left = client.restore(&own.object, &was, &made).await?;
        Ok(match left.is_empty() {
            true => Value::Null,
            false => format!("left as changed since: {}", left.join(", ")).into(),
        })
    })
}

fn recreate(clusters: &KubeClients, about: About, was: Json) -> Reversal {
    let (clusters, own) = (clusters.clone(), about.clone());
    let what = format!("create {} of {} again", about.object, about.cluster);
    by(what, "kube::create", &about, move || async move {
        let client = clusters.client(&own.cluster).await?;
        client
            .recreate(&own.object, &was)
            .await
            .map(|()| Value::Null)
    })
}
