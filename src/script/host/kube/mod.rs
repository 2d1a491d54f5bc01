//! `kube`: Kubernetes. Every call names its cluster, by the role that the target gives it.
//!
//! - `read` looks: get, find, list, pods, events, what differs in a Secret; `forward` looks into pods, by port-forward;
//! - `write` changes: apply, patch, delete;
//! - `workload` restarts and replaces pods, `wait` looks again until something is so, for the `restarts` of its step;
//! - `undo` is what reverses a call.
//!
//! Objects are named as kubectl names them: `deployment/istiod`, in a namespace, which is empty
//! for what lives in none.

mod forward;
mod read;
mod restarts;
mod undo;
mod wait;
mod workload;
mod write;

pub(super) use restarts::Restarts;
pub(super) use undo::reversal;

use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Dynamic, Map, Module, NativeCallContext};

use super::{FuncRegistration, Thrown, arguments::Arguments, host, perform};
use crate::{
    outside::{KubeClient, Named},
    script::effects::{Call, Class, Level},
    value::{Failure, Value},
};

pub(super) fn module() -> Module {
    let mut module = Module::new();
    let m = &mut module;
    let set = |name: &str| FuncRegistration::new(name);
    set("get").set_into_module(m, read::get);
    set("find").set_into_module(m, read::find);
    set("list").set_into_module(m, read::list);
    set("list").set_into_module(
        m,
        |c: NativeCallContext, cluster: &str, ns: &str, kind: &str| {
            read::list(c, cluster, ns, kind, Map::new())
        },
    );
    set("workloads").set_into_module(m, read::workloads);
    set("pods").set_into_module(m, read::pods);
    set("events").set_into_module(m, read::events);
    set("secret_differences").set_into_module(m, read::secret_differences);
    set("apply").set_into_module(m, write::apply);
    set("apply").set_into_module(m, |c: NativeCallContext, cluster: &str, manifest: Map| {
        write::apply(c, cluster, manifest, Map::new())
    });
    set("apply_secret").set_into_module(m, write::apply_secret);
    set("apply_secret").set_into_module(
        m,
        |c: NativeCallContext, cluster: &str, ns: &str, name: &str, data: Map| {
            write::apply_secret(c, cluster, ns, name, data, Map::new())
        },
    );
    set("patch").set_into_module(m, write::patch);
    set("patch").set_into_module(
        m,
        |c: NativeCallContext, cluster: &str, ns: &str, object: &str, patch: Dynamic| {
            write::patch(c, cluster, ns, object, patch, Map::new())
        },
    );
    set("delete").set_into_module(m, write::delete);
    set("restart").set_into_module(m, workload::restart);
    set("restart").set_into_module(
        m,
        |c: NativeCallContext, cluster: &str, ns: &str, workload: &str| {
            workload::restart(c, cluster, ns, workload, Map::new())
        },
    );
    set("replace_pods").set_into_module(m, workload::replace_pods);
    set("replace_pods").set_into_module(
        m,
        |c: NativeCallContext, cluster: &str, ns: &str, workload: &str, how_long: &str| {
            workload::replace_pods(c, cluster, ns, workload, how_long, Map::new())
        },
    );
    set("wait_rollout").set_into_module(m, wait::rollout);
    set("wait_rollout").set_into_module(
        m,
        |c: NativeCallContext, cluster: &str, ns: &str, workload: &str, how_long: &str| {
            wait::rollout(c, cluster, ns, workload, how_long, Map::new())
        },
    );
    set("wait_until").set_into_module(m, wait::until);
    set("tls_chain").set_into_module(m, forward::tls_chain);
    set("tls_chain").set_into_module(
        m,
        |c: NativeCallContext, cluster: &str, ns: &str, pod: &str, port: i64| {
            forward::tls_chain(c, cluster, ns, pod, port, Map::new())
        },
    );
    set("http_get").set_into_module(m, forward::http_get);
    module
}

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

/// A call to the client of a cluster, not made yet, and what will be heard of it.
fn call<F>(
    context: &NativeCallContext,
    function: &'static str,
    class: Class,
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
    let call = Call::new(function, class, record, move |_| async move {
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
    let (call, heard) = call(context, function, Class::Read, cluster, record, act)?;
    let answer = perform(context, call);
    heard.note(context, cluster)?;
    answer
}

/// Makes a call that changes an object, and remembers for an undo what it was and what it is sent.
fn change<F>(
    context: &NativeCallContext,
    function: &'static str,
    class: Class,
    about: &About,
    (record, sent): (Value, Value),
    act: impl FnOnce(KubeClient) -> F + Send + 'static,
) -> Result<Value, Thrown>
where
    F: Future<Output = Result<Value, Failure>> + Send + 'static,
{
    let clusters = host(context)?.clients.kube;
    let before = about.clone();
    let (call, heard) = call(context, function, class, &about.cluster, record, act)?;
    let call = call.remembering(move || async move { undo::before(&clusters, before, sent).await });
    let answer = perform(context, call);
    heard.note(context, &about.cluster)?;
    answer
}

/// The options of a function that takes some.
fn options(function: &'static str, map: Map) -> Result<Arguments, Thrown> {
    Arguments::new(function, map)
}
