//! `kube`: Kubernetes. Every call names its cluster, by the role that the target gives it.
//!
//! - `read` looks: get, find, list, pods, events, what differs in a Secret; `forward` looks into pods, by port-forward;
//! - `write` changes: apply, patch, delete;
//! - `workload` restarts and replaces pods, `wait` looks again until something is so, for the `restarts` of its step;
//! - `undo` is what reverses a call;
//! - `table` describes the functions.
//!
//! Objects are named as kubectl names them: `deployment/istiod`, in a namespace, which is empty
//! for what lives in none.

mod forward;
mod read;
mod restarts;
mod table;
mod undo;
mod wait;
mod workload;
mod write;

pub(super) use restarts::Restarts;
pub(super) use table::TABLE;

use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Map, NativeCallContext};

use super::{Thrown, arguments::Arguments, host, perform};
use crate::effects::{Call, Class, Level};
use windlass_world::{
    outside::{KubeClient, Named},
    value::{Failure, Value},
};

/// What a call is about: an object of a cluster.
#[derive(Clone, Debug)]
struct About {
    cluster: String,
    object: Named,
}

impl About {
    fn new(function: &str, cluster: &str, namespace: &str, object: &str) -> Result<Self, Thrown> {
        let object = Named::parse(namespace, object).map_err(|e| format!("{function}: {e}"))?;
        Ok(Self {
            cluster: cluster.into(),
            object,
        })
    }

    /// For the record, with whatever else was given.
    fn record<const N: usize>(&self, more: [(&str, Value); N]) -> Value {
        let own = [
            ("cluster", Value::from(self.cluster.as_str())),
            ("object", self.object.to_string().into()),
        ];
        Value::map(own.into_iter().chain(more))
    }
}

/// What an API server warned of while a call was made.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// Shows it, as kubectl does. A replayed call heard nothing.
    fn note(&self, context: &NativeCallContext, cluster: &str) -> Result<(), Thrown> {
        let texts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if texts.is_empty() {
            return Ok(());
        }
        let host = host(context)?;
        for text in texts {
            let text = format!("warning of the API server of {cluster}: {text}");
            host.effects.note(Level::Warn, text);
        }
        Ok(())
    }
}

/// Returns a call to the client of a cluster, not made yet, and what will be heard of it.
fn call<F>(
    context: &NativeCallContext,
    function: &'static str,
    cluster: &str,
    record: Value,
    act: impl FnOnce(KubeClient) -> F + Send + 'static,
) -> Result<(Call, Heard), Thrown>
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let (clusters, cluster) = (host(context)?.clients.kube, cluster.to_owned());
    let heard = Heard::default();
    let ear = heard.clone();
    let call = Call::of(function, record, move |_| async move {
        let client = clusters.client(&cluster).await?.listening();
        let answer = act(client.clone()).await;
        let mut heard = ear.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend(client.take_warnings());
        answer
    });
    Ok((call, heard))
}

/// Makes a call that changes nothing.
fn look<F>(
    context: &NativeCallContext,
    function: &'static str,
    cluster: &str,
    record: Value,
    act: impl FnOnce(KubeClient) -> F + Send + 'static,
) -> Result<Value, Thrown>
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let (call, heard) = call(context, function, cluster, record, act)?;
    let answer = perform(context, call);
    heard.note(context, cluster)?;
    answer
}

/// Makes a call that changes an object, and remembers for an undo what it was and what it is sent. `class` is that of a
/// call whose arguments decide it.
fn change<F>(
    context: &NativeCallContext,
    function: &'static str,
    class: Option<Class>,
    about: &About,
    (record, sent): (Value, Value),
    act: impl FnOnce(KubeClient) -> F + Send + 'static,
) -> Result<Value, Thrown>
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let clusters = host(context)?.clients.kube;
    let before = about.clone();
    let (mut call, heard) = call(context, function, &about.cluster, record, act)?;
    if let Some(class) = class {
        call = call.classed(class);
    }
    let call = call.remembering(move || async move { undo::before(&clusters, before, sent).await });
    let answer = perform(context, call);
    heard.note(context, &about.cluster)?;
    answer
}

/// Asks the API server what would come of a change, which is not made.
fn try_out<F>(
    context: &NativeCallContext,
    function: &'static str,
    about: &About,
    record: Value,
    act: impl FnOnce(KubeClient) -> F + Send + 'static,
) -> Result<Value, Thrown>
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let record = match record {
        // Another call than the change itself, for a replay.
        Value::Map(mut fields) => {
            fields.insert("dry_run".to_owned(), true.into());
            Value::Map(fields)
        }
        other => other,
    };
    let act = |kube: KubeClient| act(kube.dry());
    let (call, heard) = call(context, function, &about.cluster, record, act)?;
    let answer = perform(context, call.classed(Class::Read));
    heard.note(context, &about.cluster)?;
    answer
}

/// Returns the options of a function that takes some.
fn options(function: &'static str, map: Map) -> Result<Arguments, Thrown> {
    Arguments::new(function, map)
}
