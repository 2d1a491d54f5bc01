//! All host functions.

use std::{collections::BTreeMap, sync::LazyLock};

use super::{
    aws, base64, csr, exec, file, formats,
    function::{Function, HostModule},
    hash, http, key, kube, log, pca, random, secret, time, tls, url, x509,
};

/// Every host module, by name.
pub static MODULES: [HostModule; 20] = [
    HostModule {
        name: "aws",
        about: "Any service of AWS.",
        leaves: true,
        functions: &aws::TABLE,
    },
    HostModule {
        name: "base64",
        about: "Base64. A result made from a secret is a secret.",
        leaves: false,
        functions: &base64::TABLE,
    },
    HostModule {
        name: "csr",
        about: "Certificate signing requests.",
        leaves: false,
        functions: &csr::TABLE,
    },
    HostModule {
        name: "exec",
        about: "Programs that the target allows by name.",
        leaves: true,
        functions: &exec::TABLE,
    },
    HostModule {
        name: "file",
        about: "Files of the run's output folder.",
        leaves: false,
        functions: &file::TABLE,
    },
    HostModule {
        name: "hash",
        about: "Digests, in lower-case hex. A result made from a secret is a secret.",
        leaves: false,
        functions: &hash::TABLE,
    },
    HostModule {
        name: "http",
        about: "Requests to web servers.",
        leaves: true,
        functions: &http::TABLE,
    },
    HostModule {
        name: "json",
        about: "JSON.",
        leaves: false,
        functions: &formats::JSON,
    },
    HostModule {
        name: "key",
        about: "Private keys, which are secrets.",
        leaves: false,
        functions: &key::TABLE,
    },
    HostModule {
        name: "kube",
        about: "Kubernetes.",
        leaves: true,
        functions: &kube::TABLE,
    },
    HostModule {
        name: "log",
        about: "Messages for people, recorded with the run.",
        leaves: false,
        functions: &log::TABLE,
    },
    HostModule {
        name: "pca",
        about: "AWS Private CA.",
        leaves: true,
        functions: &pca::TABLE,
    },
    HostModule {
        name: "random",
        about: "Random values, the same in every replay.",
        leaves: false,
        functions: &random::TABLE,
    },
    HostModule {
        name: "secret",
        about: "Secrets in other stores.",
        leaves: true,
        functions: &secret::TABLE,
    },
    HostModule {
        name: "time",
        about: "The time, the same in every replay.",
        leaves: false,
        functions: &time::TABLE,
    },
    HostModule {
        name: "tls",
        about: "The certificate chains of servers, and handshakes.",
        leaves: true,
        functions: &tls::TABLE,
    },
    HostModule {
        name: "toml",
        about: "TOML.",
        leaves: false,
        functions: &formats::TOML,
    },
    HostModule {
        name: "url",
        about: "Parts of addresses. A result made from a secret is a secret.",
        leaves: false,
        functions: &url::TABLE,
    },
    HostModule {
        name: "x509",
        about: "Certificates.",
        leaves: false,
        functions: &x509::TABLE,
    },
    HostModule {
        name: "yaml",
        about: "YAML.",
        leaves: false,
        functions: &formats::YAML,
    },
];

/// Changing calls that a function makes under the name of another function.
const MADE_BY: [(&str, &str); 1] = [("kube::evict", "kube::replace_pods")];

static BY_NAME: LazyLock<BTreeMap<&str, &Function>> =
    LazyLock::new(|| functions().map(|row| (row.name, row)).collect());

/// Returns every host function.
pub fn functions() -> impl Iterator<Item = &'static Function> {
    MODULES.iter().flat_map(|module| module.functions)
}

/// Returns a host function by its name, such as `pca::issue_certificate`.
pub fn function(name: &str) -> Option<&'static Function> {
    BY_NAME.get(name).copied()
}

/// Says whether a call, given by name, leaves this machine. The call of an undo is named after its module and has no row.
pub fn leaves(call: &str) -> bool {
    let name = call.split("::").next().unwrap_or_default();
    MODULES
        .iter()
        .any(|module| module.name == name && module.leaves)
}

/// Returns the function that made a recorded call.
pub(crate) fn caller(call: &str) -> Option<&'static Function> {
    let made_by = MADE_BY.iter().find(|(made, _)| *made == call);
    function(made_by.map_or(call, |(_, by)| by))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::{
        Class, Script,
        host::function::{Doubt, Need, Needs, On, Parameter, ValueKind},
        interpreter::steps,
    };
    use windlass_world::{outside::OPERATIONS, value::Value};

    #[test]
    fn rows_are_sorted_and_of_their_module() {
        assert!(MODULES.is_sorted_by_key(|module| module.name));
        for module in &MODULES {
            assert!(
                module.functions.is_sorted_by_key(|row| row.name),
                "{}",
                module.name
            );
            for row in module.functions {
                assert_eq!(row.module(), module.name, "{}", row.name);
            }
        }
        assert_eq!(BY_NAME.len(), functions().count(), "a name is there twice");
    }

    /// A workflow test answers calls that leave this machine, and really makes the others.
    #[test]
    fn what_needs_permissions_leaves_this_machine() {
        for row in functions() {
            if !matches!(row.needs, Needs::Nothing) {
                assert!(leaves(row.name), "{}", row.name);
            }
        }
        for call in ["aws::undo", "http::undo", "kube::evict", "secret::read"] {
            assert!(leaves(call), "{call}");
        }
        for call in ["file::write", "key::read", "time::sleep", "nonsense"] {
            assert!(!leaves(call), "{call}");
        }
    }

    /// Each function is registered for every number of arguments that its row allows.
    #[test]
    fn e8_a_row_says_how_many_arguments_there_are() {
        let registered = steps().collect_fn_metadata(
            None,
            |info| {
                let name = format!("{}::{}", info.namespace, info.metadata.name);
                let row = function(&name);
                let is_of_host = MODULES.iter().any(|module| module.name == info.namespace);
                assert_eq!(row.is_some(), is_of_host, "{name} has no row");
                row.map(|row| (row.name, info.metadata.num_params))
            },
            true,
        );
        let registered: BTreeSet<_> = registered.into_iter().collect();
        let described = functions().flat_map(|row| {
            (row.least_arguments()..=row.takes.len()).map(|count| (row.name, count))
        });
        assert_eq!(registered, described.collect());
    }

    #[test]
    fn what_may_be_left_out_comes_last() {
        for row in functions() {
            let optional = row
                .takes
                .iter()
                .map(|parameter| parameter.need != Need::Required);
            assert!(optional.is_sorted(), "{}", row.name);
        }
    }

    /// Returns every option of every row, including nested ones.
    fn parameters() -> Vec<(&'static str, &'static Parameter)> {
        fn inside(kind: ValueKind) -> Vec<&'static Parameter> {
            match kind {
                ValueKind::Record(fields) => fields
                    .iter()
                    .flat_map(|field| std::iter::once(field).chain(inside(field.kind)))
                    .collect(),
                ValueKind::List(kind) | ValueKind::Maybe(kind) => inside(*kind),
                ValueKind::Either(kinds) => kinds.iter().flat_map(|kind| inside(*kind)).collect(),
                _ => Vec::new(),
            }
        }
        let of_row = |row: &'static Function| {
            let own = row.takes.iter();
            own.flat_map(move |parameter| {
                std::iter::once(parameter)
                    .chain(inside(parameter.kind))
                    .map(move |parameter| (row.name, parameter))
            })
        };
        functions().flat_map(of_row).collect()
    }

    #[test]
    fn defaults_are_values() {
        for (row, parameter) in parameters() {
            let Need::Default(text) = parameter.need else {
                continue;
            };
            let value = parameter.default_value();
            let fits = match (parameter.kind, value) {
                (ValueKind::Bool, Some(Value::Bool(_))) | (ValueKind::Int, Some(Value::Int(_))) => {
                    true
                }
                (ValueKind::Between(first, last), Some(Value::Int(given))) => {
                    (first..=last).contains(&given)
                }
                (ValueKind::Either(kinds), Some(Value::Bool(_))) => {
                    kinds.iter().any(|kind| matches!(kind, ValueKind::Bool))
                }
                (ValueKind::Text | ValueKind::Template, Some(Value::String(_))) => true,
                (ValueKind::Word(words), Some(Value::String(text))) => words.contains(&&*text),
                (ValueKind::Duration, Some(Value::String(text))) => {
                    windlass_world::value::parse_duration(&text).is_ok()
                }
                _ => false,
            };
            assert!(fits, "{row}: the default {text} of `{}`", parameter.name);
        }
    }

    #[test]
    fn every_example_validates() {
        for row in functions() {
            assert!(
                row.example.contains(&format!("{}(", row.name)),
                "{}",
                row.name
            );
            let text: Arc<str> = row.example.into();
            let mut no_imports = |_: &str, _: &str| Err("no imports".to_owned());
            let parsed = Script::parse_inline("example", text, Default::default(), &mut no_imports);
            if let Err(faults) = parsed {
                panic!("{}: {} ({:?})", row.name, faults[0].message, faults[0].help);
            }
        }
    }

    #[test]
    fn every_row_is_documented() {
        for row in functions() {
            assert!(row.about.ends_with('.'), "{}: {}", row.name, row.about);
            let Some(change) = row.change() else { continue };
            assert!(!change.doubt.words().is_empty(), "{} in doubt", row.name);
            assert!(!change.undo.words().is_empty(), "{} undone", row.name);
            assert!(!change.classes().is_empty(), "{}", row.name);
        }
    }

    /// A class that repeats a call after a crash must be chosen explicitly, not by omission.
    #[test]
    fn a_change_is_no_read_unless_an_option_says_so() {
        for row in functions() {
            let Some(change) = row.change() else { continue };
            let may_read = change.classes().contains(&Class::Read);
            assert_eq!(may_read, change.unless.is_some(), "{}", row.name);
            if let Some(option) = change.unless {
                let (_, options) = row.options().expect("options");
                assert!(
                    options.iter().any(|known| known.name == option),
                    "{}",
                    row.name
                );
            }
            if let Doubt::AgainFor(lives, _) = change.doubt {
                assert!(!lives.is_zero(), "{}", row.name);
            }
        }
    }

    #[test]
    fn every_action_is_one_that_aws_knows() {
        for row in functions().filter(|row| row.module() == "pca") {
            let Needs::Aws { run, undo } = row.needs else {
                panic!("{} has no actions", row.name);
            };
            assert!(!run.is_empty(), "{}", row.name);
            for action in run.iter().chain(undo) {
                assert!(OPERATIONS.contains(action), "{}: {action}", row.name);
            }
        }
    }

    #[test]
    fn every_kube_row_has_its_verbs() {
        for row in functions().filter(|row| row.module() == "kube") {
            let Needs::Kubernetes { run, undo } = row.needs else {
                panic!("{} has no verbs", row.name);
            };
            assert!(!run.is_empty(), "{}", row.name);
            for rule in run.iter().chain(undo) {
                let names_it = |kind: ValueKind| match rule.on {
                    On::All(_) => true,
                    On::Secret => matches!(kind, ValueKind::SecretName),
                    On::Workload => matches!(kind, ValueKind::Workload),
                    On::Argument => matches!(
                        kind,
                        ValueKind::Object | ValueKind::ObjectKind | ValueKind::Manifest
                    ),
                };
                assert!(
                    row.takes.iter().any(|parameter| names_it(parameter.kind)),
                    "{}: no argument says what {:?} is",
                    row.name,
                    rule.on
                );
            }
        }
    }
}
