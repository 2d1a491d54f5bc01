//! `kube`: Kubernetes. Every call names its cluster by its role in the target.
//!
//! - `read` reads: get, find, list, pods, events, the differences of a Secret; `forward` reads from pods, through a port-forward;
//! - `write` changes: apply, patch, delete;
//! - `workload` restarts and replaces pods, `wait` waits for a condition, for the `restarts` of its step;
//! - `fields` picks what a result has of large objects;
//! - `undo` reverses calls;
//! - `table` describes the functions.
//!
//! Objects have the names that kubectl uses: `deployment/istiod`, in a namespace, which is empty for objects
//! that are not in one.

mod fields;
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

use std::sync::{Arc, Mutex};

use rhai::{Map, NativeCallContext};

use super::{Thrown, arguments::Arguments, host, perform};
use crate::effects::{Call, Class, Level};
use windlass_ground::lock;
use windlass_world::{
    outside::{KubeClient, Named},
    value::{Failure, Value},
};

/// The object of a cluster that a call is about.
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

    /// Returns the arguments for the record, with the additional ones that are given.
    fn record<'a>(&self, more: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
        let own = [
            ("cluster", Value::from(self.cluster.as_str())),
            ("object", self.object.to_string().into()),
        ];
        Value::map(own.into_iter().chain(more))
    }
}

/// The warnings that an API server sent during a call.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// Shows the warnings, as kubectl does. A replayed call has none.
    fn note(&self, context: &NativeCallContext, cluster: &str) -> Result<(), Thrown> {
        let texts = std::mem::take(&mut *lock(&self.0));
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

/// Returns a call to the client of a cluster, not made yet, and the warnings that it will receive.
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
        let mut heard = lock(&ear.0);
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

/// Makes a call that reads an object, or what belongs to it.
fn look_at<F>(
    context: &NativeCallContext,
    function: &'static str,
    about: &About,
    act: impl FnOnce(KubeClient, Named) -> F + Send + 'static,
) -> Result<Value, Thrown>
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let (named, record) = (about.object.clone(), about.record([]));
    look(context, function, &about.cluster, record, |kube| {
        act(kube, named)
    })
}

/// Makes a call that changes an object, and records the object's state before and what is sent, for an undo. `class` is given if the
/// arguments decide it; `refusal`, if the call is not made although earlier versions made it.
fn change<F>(
    context: &NativeCallContext,
    function: &'static str,
    class: Option<Class>,
    about: &About,
    (record, sent, refusal): (Value, Value, Result<(), String>),
    act: impl FnOnce(KubeClient) -> F + Send + 'static,
) -> Result<Value, Thrown>
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let clusters = host(context)?.clients.kube;
    let before = about.clone();
    let manager = record
        .field("field_manager")
        .map_or_else(String::new, Value::to_text);
    let (mut call, heard) = call(context, function, &about.cluster, record, act)?;
    if let Some(class) = class {
        call = call.classed(class);
    }
    let call = call
        .remembering(move || async move { undo::before(&clusters, before, sent).await })
        .replaced_if(move |first, again| undo::replaces(function, &manager, first, again));
    let answer = perform(context, call.refusing(refusal));
    heard.note(context, &about.cluster)?;
    answer
}

/// Asks the API server for the result of a change, without making it.
fn try_out<F>(
    context: &NativeCallContext,
    function: &'static str,
    about: &About,
    (record, refusal): (Value, Result<(), String>),
    act: impl FnOnce(KubeClient) -> F + Send + 'static,
) -> Result<Value, Thrown>
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let record = match record {
        // The record differs from that of the change itself, so that a replay tells them apart.
        Value::Map(mut fields) => {
            fields.insert("dry_run".to_owned(), true.into());
            Value::Map(fields)
        }
        other => other,
    };
    let act = |kube: KubeClient| act(kube.dry());
    let (call, heard) = call(context, function, &about.cluster, record, act)?;
    let call = call.classed(Class::Read).refusing(refusal);
    let answer = perform(context, call);
    heard.note(context, &about.cluster)?;
    answer
}

/// Reads the options of a function.
fn options(function: &'static str, map: Map) -> Result<Arguments, Thrown> {
    Arguments::new(function, map)
}
