//! The functions of `kube`.
//!
//! The permissions of a function are those of its requests: an apply is a `patch` that may have to `create`, and a `get` of the
//! state before comes ahead of each change (Kubernetes, "Authorization Overview", "Request verbs").

use rhai::{Dynamic, Map, NativeCallContext};

use super::{forward, read, undo, wait, workload, write};
use crate::{
    effects::Class,
    host::function::{
        Changing, Doubt, Function, Gives,
        Impact::{Changes, Reads},
        Needs, On, Parameter, Reversible,
        ValueKind::{
            Any, Bool, Closure, Cluster, Duration, Either, Int, List, Manifest, Map as MapOf,
            Maybe, Namespace, Object, ObjectKind, Record, Secret, SecretName, Text, Word, Workload,
        },
        optional, preset, required, rule,
    },
};

pub(super) const CLUSTER: Parameter = required("cluster", Cluster, "its role in the target");
const NAMESPACE: Parameter = required(
    "namespace",
    Namespace,
    "empty for an object without a namespace",
);
const OBJECT: Parameter = required("object", Object, "`TYPE/NAME`, such as `deployment/istiod`");
const WORKLOAD: Parameter = required(
    "workload",
    Workload,
    "`TYPE/NAME`, such as `deployment/istiod`",
);
const TIMEOUT: Parameter = required("timeout", Duration, "the maximum time to wait");
const DATA: Parameter = required(
    "data",
    MapOf(&Either(&[
        Secret,
        Text,
        crate::host::function::ValueKind::Bytes,
    ])),
    "key → content, not base64",
);

const FORCE: Parameter = preset(
    "force",
    Bool,
    "false",
    "whether to take over fields that another manager owns",
);
const MANAGER: Parameter = optional("field_manager", Text, "by default `windlass`");
const RESTARTED: Parameter = optional(
    "restarted",
    Text,
    "the time that `kube::restart` returned; by default that of the workload's last restart in this step",
);

const DRY_RUN: Parameter = preset(
    "dry_run",
    Bool,
    "false",
    "a dry run: the API server checks the change and stores nothing; the call counts as a read",
);

const LIST: &[Parameter] = &[
    optional("labels", Text, "a label selector, as kubectl's `-l`"),
    optional(
        "fields",
        Text,
        "a field selector, as kubectl's `--field-selector`",
    ),
    optional(
        "pick",
        List(&Text),
        "returns and records only these fields of each object, such as `[\"metadata.name\", \"spec.containers.name\"]`; those of list items go through the list, and `\\.` is a dot within a key, as in `data.tls\\.crt`. A list of large objects needs it: a result may have 1 MiB",
    ),
];
const APPLY: &[Parameter] = &[FORCE, MANAGER, DRY_RUN];
const APPLY_SECRET: &[Parameter] = &[
    // The type that `kubectl create secret generic` sets.
    preset("type", Text, "\"Opaque\"", ""),
    optional("labels", MapOf(&Text), ""),
    FORCE,
    MANAGER,
    DRY_RUN,
];
const PATCH: &[Parameter] = &[
    preset(
        "type",
        Word(&["merge", "strategic", "json"]),
        "\"merge\"",
        "`json` takes a list of operations",
    ),
    DRY_RUN,
];
const DELETE: &[Parameter] = &[preset(
    "timeout",
    Duration,
    "\"5m\"",
    "how long its finalizers, or the containers of a pod, may take; `\"0s\"` does not wait",
)];
const RESTART: &[Parameter] = &[preset(
    "on_delete",
    Bool,
    "false",
    "allows the update strategy `OnDelete`; `kube::replace_pods` then replaces the pods",
)];
const WAIT: &[Parameter] = &[RESTARTED];
pub(super) const ROLLOUT: &[Parameter] = &[
    required("namespace", Text, ""),
    required("workload", Text, "such as `deployment/istiod`"),
    RESTARTED,
];

const POD: &[Parameter] = &[
    required("name", Text, ""),
    required("phase", Text, ""),
    required("ready", Bool, ""),
    optional("reason", Text, "why it is not ready"),
    optional("message", Text, ""),
    required("restarts", Int, "of its containers"),
    optional("node", Text, ""),
    optional("created", Text, "RFC 3339"),
];
const EVENT: &[Parameter] = &[
    required("type", Text, ""),
    required("reason", Text, ""),
    required("message", Text, ""),
    required("count", Int, ""),
    optional("last_seen", Text, "RFC 3339"),
];
const NAMED: &[Parameter] = &[
    required("namespace", Text, ""),
    required("workload", Text, "such as `deployment/istiod`"),
];

const SAME_TWICE: Doubt = Doubt::Decided(
    &[Class::Keyed, Class::Read],
    "repeated: a second call has no further effect",
);
const FIELDS_BACK: &str = "the object's fields get their earlier values, unless one of them has changed since then; a new object is deleted";

pub static TABLE: [Function; 18] = [
    Function {
        name: "kube::apply",
        about: "Applies an object server-side, as the manager `windlass`. A field that another manager owns is a conflict, and the error names the manager.",
        takes: &[
            CLUSTER,
            required(
                "manifest",
                Manifest,
                "the object, with `apiVersion`, `kind` and `metadata.name`",
            ),
            optional("options", Record(APPLY), ""),
        ],
        gives: Gives::new(MapOf(&Any), "the object"),
        does: Changes(Changing {
            unless: Some(DRY_RUN.name),
            ..Changing::new(SAME_TWICE, Reversible::By(FIELDS_BACK, undo::of_apply))
        }),
        needs: Needs::Kubernetes {
            // The same request creates an object that does not exist yet.
            run: &[rule(On::Argument, &["get", "create", "patch"])],
            // An undo deletes an object that did not exist before.
            undo: &[rule(On::Argument, &["delete"])],
        },
        example: "kube::apply(inputs.cluster, #{ apiVersion: \"v1\", kind: \"ConfigMap\", metadata: #{ name: \"a\", namespace: \"b\" }, data: #{ x: \"1\" } });",
        bind: |b| {
            b.with(write::apply)
                .with(|c: NativeCallContext, cluster: &str, manifest: Map| {
                    write::apply(c, cluster, manifest, Map::new())
                })
        },
    },
    Function {
        name: "kube::apply_secret",
        about: "Applies a Secret server-side, from texts, bytes and secrets.",
        takes: &[
            CLUSTER,
            NAMESPACE,
            required("name", SecretName, ""),
            DATA,
            optional("options", Record(APPLY_SECRET), ""),
        ],
        gives: Gives::new(MapOf(&Any), "the object"),
        does: Changes(Changing {
            unless: Some(DRY_RUN.name),
            ..Changing::new(SAME_TWICE, Reversible::By(FIELDS_BACK, undo::of_apply))
        }),
        needs: Needs::Kubernetes {
            run: &[rule(On::Secret, &["get", "create", "patch"])],
            undo: &[rule(On::Secret, &["delete"])],
        },
        example: "kube::apply_secret(inputs.cluster, \"istio-system\", \"cacerts\", #{ \"ca-key.pem\": inputs.key });",
        bind: |b| {
            b.with(write::apply_secret).with(
                |c: NativeCallContext, cluster: &str, ns: &str, name: &str, data: Map| {
                    write::apply_secret(c, cluster, ns, name, data, Map::new())
                },
            )
        },
    },
    Function {
        name: "kube::delete",
        about: "Deletes an object, and waits until it is gone, as `kubectl delete` does; it is not an error if the object does not exist.",
        takes: &[
            CLUSTER,
            NAMESPACE,
            OBJECT,
            optional("options", Record(DELETE), ""),
        ],
        gives: Gives::NOTHING,
        does: Changes(Changing::new(
            Doubt::Again("repeated for the same uid: a later object of the same name stays"),
            Reversible::By(
                "the object is created again, unless it exists by then; what was deleted with a namespace or a CustomResourceDefinition is lost",
                undo::of_delete,
            ),
        )),
        needs: Needs::Kubernetes {
            run: &[rule(On::Argument, &["get", "delete"])],
            // The owners of its fields are written after it is created.
            undo: &[rule(On::Argument, &["create", "patch"])],
        },
        example: "kube::delete(inputs.cluster, \"default\", \"secret/old\");",
        bind: |b| {
            b.with(write::delete).with(
                |c: NativeCallContext, cluster: &str, ns: &str, name: &str| {
                    write::delete(c, cluster, ns, name, Map::new())
                },
            )
        },
    },
    Function {
        name: "kube::events",
        about: "Lists the events of an object, the newest first.",
        takes: &[CLUSTER, NAMESPACE, OBJECT],
        gives: Gives::new(List(&Record(EVENT)), ""),
        does: Reads,
        needs: Needs::kubernetes(&[rule(On::All("events"), &["list"])]),
        example: "let events = kube::events(inputs.cluster, \"default\", \"pod/a\");",
        bind: |b| b.with(read::events),
    },
    Function {
        name: "kube::find",
        about: "Returns an object, or `()` if it does not exist.",
        takes: &[CLUSTER, NAMESPACE, OBJECT],
        gives: Gives::new(
            Maybe(&MapOf(&Any)),
            "the object; the data of a Secret are secrets",
        ),
        does: Reads,
        needs: Needs::kubernetes(&[rule(On::Argument, &["get"])]),
        example: "let secret = kube::find(inputs.cluster, \"istio-system\", \"secret/cacerts\");",
        bind: |b| b.with(read::find),
    },
    Function {
        name: "kube::get",
        about: "Returns an object, and fails with `NotFound` if it does not exist.",
        takes: &[CLUSTER, NAMESPACE, OBJECT],
        gives: Gives::new(MapOf(&Any), "the object; the data of a Secret are secrets"),
        does: Reads,
        needs: Needs::kubernetes(&[rule(On::Argument, &["get"])]),
        example: "let image = kube::get(inputs.cluster, \"istio-system\", \"deployment/istiod\").spec;",
        bind: |b| b.with(read::get),
    },
    forward::HTTP_GET,
    Function {
        name: "kube::list",
        about: "Lists objects of a type; an empty namespace means all namespaces.",
        takes: &[
            CLUSTER,
            NAMESPACE,
            required(
                "kind",
                ObjectKind,
                "such as `pods` or `roottrustpolicies.admin.gloo.solo.io`",
            ),
            optional("options", Record(LIST), ""),
        ],
        gives: Gives::new(List(&MapOf(&Any)), "the objects"),
        does: Reads,
        needs: Needs::kubernetes(&[rule(On::Argument, &["list"])]),
        example: "let pods = kube::list(inputs.cluster, \"default\", \"pods\", #{ labels: \"app=x\" });",
        bind: |b| {
            b.with(read::list).with(
                |c: NativeCallContext, cluster: &str, ns: &str, kind: &str| {
                    read::list(c, cluster, ns, kind, Map::new())
                },
            )
        },
    },
    Function {
        name: "kube::patch",
        about: "Patches an object.",
        takes: &[
            CLUSTER,
            NAMESPACE,
            OBJECT,
            required(
                "patch",
                Either(&[MapOf(&Any), List(&Any)]),
                "a map; for the type `json`, a list",
            ),
            optional("options", Record(PATCH), ""),
        ],
        gives: Gives::new(MapOf(&Any), "the object"),
        does: Changes(Changing {
            unless: Some(DRY_RUN.name),
            ..Changing::new(
                Doubt::Decided(
                    &[Class::Keyed, Class::Unsure, Class::Read],
                    "repeated, because a second call has no further effect; for a JSON patch that counts elements, or tests values, the run stops and asks",
                ),
                Reversible::By(
                    "the object's fields get their earlier values, unless one of them has changed since then",
                    undo::of_patch,
                ),
            )
        }),
        needs: Needs::kubernetes(&[rule(On::Argument, &["get", "patch"])]),
        example: "kube::patch(inputs.cluster, \"default\", \"configmap/a\", #{ data: #{ x: \"1\" } });",
        bind: |b| {
            b.with(write::patch).with(
                |c: NativeCallContext, cluster: &str, ns: &str, object: &str, patch: Dynamic| {
                    write::patch(c, cluster, ns, object, patch, Map::new())
                },
            )
        },
    },
    Function {
        name: "kube::pods",
        about: "Lists the pods that a workload selects.",
        takes: &[CLUSTER, NAMESPACE, WORKLOAD],
        gives: Gives::new(List(&Record(POD)), ""),
        does: Reads,
        needs: Needs::kubernetes(&[
            rule(On::Workload, &["get"]),
            rule(On::All("pods"), &["list"]),
        ]),
        example: "let pods = kube::pods(inputs.cluster, \"istio-system\", \"deployment/istiod\");",
        bind: |b| b.with(read::pods),
    },
    Function {
        name: "kube::replace_pods",
        about: "Evicts every pod of an `OnDelete` workload that is older than its restart, one at a time: each after the replacement of the one before is ready. It respects PodDisruptionBudgets.",
        takes: &[
            CLUSTER,
            NAMESPACE,
            WORKLOAD,
            required("timeout", Duration, "for each pod"),
            optional("options", Record(WAIT), ""),
        ],
        gives: Gives::new(Int, "how many pods it evicted"),
        does: Changes(Changing::new(
            Doubt::Again("repeated for the same uid: the replacement of a pod stays"),
            Reversible::Never("the replacement pods stay", undo::of_eviction),
        )),
        needs: Needs::kubernetes(&[
            rule(On::Workload, &["get"]),
            rule(On::All("pods"), &["list"]),
            rule(On::All("pods/eviction"), &["create"]),
            rule(On::All("events"), &["list"]),
        ]),
        example: "kube::replace_pods(inputs.cluster, \"istio-system\", \"daemonset/ztunnel\", \"10m\");",
        bind: |b| {
            b.with(workload::replace_pods).with(
                |c: NativeCallContext, cluster: &str, ns: &str, workload: &str, how_long: &str| {
                    workload::replace_pods(c, cluster, ns, workload, how_long, Map::new())
                },
            )
        },
    },
    Function {
        name: "kube::restart",
        about: "Restarts a workload by a rolling update, as `kubectl rollout restart` does; `kube::wait_rollout` waits for it. A workload that would keep old pods is rejected.",
        takes: &[
            CLUSTER,
            NAMESPACE,
            WORKLOAD,
            optional("options", Record(RESTART), ""),
        ],
        gives: Gives::new(Text, "the time of the restart, RFC 3339"),
        does: Changes(Changing::new(
            Doubt::Again("repeated with the same time, which does not restart anything again"),
            Reversible::Never("it stays restarted", undo::of_restart),
        )),
        needs: Needs::kubernetes(&[rule(On::Workload, &["get", "patch"])]),
        example: "let moment = kube::restart(inputs.cluster, \"istio-system\", \"deployment/istiod\");",
        bind: |b| {
            b.with(workload::restart).with(
                |c: NativeCallContext, cluster: &str, ns: &str, name: &str| {
                    workload::restart(c, cluster, ns, name, Map::new())
                },
            )
        },
    },
    Function {
        name: "kube::secret_differences",
        about: "Returns the keys of a Secret that are missing or have other values than these. A script can't compare secrets itself.",
        takes: &[CLUSTER, NAMESPACE, required("name", SecretName, ""), DATA],
        gives: Gives::new(List(&Text), "empty if all are equal"),
        does: Reads,
        needs: Needs::kubernetes(&[rule(On::Secret, &["get"])]),
        example: "let differs = kube::secret_differences(inputs.cluster, \"default\", \"a\", #{ \"tls.key\": inputs.key });",
        bind: |b| b.with(read::secret_differences),
    },
    forward::TLS_CHAIN,
    Function {
        name: "kube::wait_rollout",
        about: "Waits until every pod of a workload is new and available, and no old one is left. Fails if the rollout fails or times out, and names the pod that is not ready and the reason.",
        takes: &[
            CLUSTER,
            NAMESPACE,
            WORKLOAD,
            TIMEOUT,
            optional("options", Record(WAIT), ""),
        ],
        gives: Gives::NOTHING,
        does: Reads,
        needs: Needs::kubernetes(&[
            rule(On::Workload, &["get", "watch"]),
            rule(On::All("pods"), &["list"]),
            rule(On::All("events"), &["list"]),
        ]),
        example: "kube::wait_rollout(inputs.cluster, \"istio-system\", \"deployment/istiod\", \"10m\");",
        bind: |b| {
            b.with(wait::rollout).with(
                |c: NativeCallContext, cluster: &str, ns: &str, workload: &str, how_long: &str| {
                    wait::rollout(c, cluster, ns, workload, how_long, Map::new())
                },
            )
        },
    },
    Function {
        name: "kube::wait_rollouts",
        about: "Waits as `kube::wait_rollout` for each of these workloads. A namespace is read as a whole, so that a proof of many workloads sends a few requests.",
        takes: &[
            CLUSTER,
            required(
                "workloads",
                List(&Record(ROLLOUT)),
                "such as those of `kube::workloads`",
            ),
            required(
                "timeout",
                Duration,
                "the maximum time to wait for all of them",
            ),
        ],
        gives: Gives::NOTHING,
        does: Reads,
        needs: Needs::kubernetes(&[
            rule(On::All("deployments"), &["get", "list", "watch"]),
            rule(On::All("statefulsets"), &["get", "list", "watch"]),
            rule(On::All("daemonsets"), &["get", "list", "watch"]),
            rule(On::All("pods"), &["list"]),
            rule(On::All("events"), &["list"]),
        ]),
        example: "kube::wait_rollouts(inputs.cluster, kube::workloads(inputs.cluster, \"istio-system\", ()), \"10m\");",
        bind: |b| b.with(wait::rollouts),
    },
    Function {
        name: "kube::wait_until",
        about: "Waits until a function returns `true` for an object, and returns the object. The function gets `()` if the object does not exist.",
        takes: &[
            CLUSTER,
            NAMESPACE,
            OBJECT,
            required("condition", Closure("object"), "returns a bool"),
            TIMEOUT,
        ],
        gives: Gives::new(MapOf(&Any), "the object"),
        does: Reads,
        needs: Needs::kubernetes(&[rule(On::Argument, &["get", "watch"])]),
        example: "kube::wait_until(inputs.cluster, \"default\", \"job/a\", |object| object?.status?.succeeded == 1, \"10m\");",
        bind: |b| b.with(wait::until),
    },
    Function {
        name: "kube::workloads",
        about: "Lists Deployments, StatefulSets and DaemonSets; an empty namespace means all namespaces.",
        takes: &[
            CLUSTER,
            NAMESPACE,
            required("labels", Maybe(&Text), "a label selector; `()` for all"),
        ],
        gives: Gives::new(List(&Record(NAMED)), ""),
        does: Reads,
        needs: Needs::kubernetes(&[
            rule(On::All("deployments"), &["list"]),
            rule(On::All("statefulsets"), &["list"]),
            rule(On::All("daemonsets"), &["list"]),
        ]),
        example: "let workloads = kube::workloads(inputs.cluster, \"istio-system\", \"app=istiod\");",
        bind: |b| b.with(read::workloads),
    },
];
