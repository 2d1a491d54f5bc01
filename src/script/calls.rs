//! Finds calls to functions that don't exist, before a script runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, Position, Stmt};

use super::{
    engine,
    fault::{Fault, token_at},
    host::usage,
};

/// The functions that an engine knows: namespace (empty for the global one) → name → arities.
type Catalogue = BTreeMap<String, BTreeMap<String, BTreeSet<usize>>>;

static STEPS: LazyLock<Catalogue> = LazyLock::new(|| catalogue(engine::steps()));
static EXPRESSIONS: LazyLock<Catalogue> = LazyLock::new(|| catalogue(engine::expressions()));

/// Rhai resolves these itself.
const KEYWORDS: [&str; 10] = [
    "call",
    "curry",
    "Fn",
    "is_def_var",
    "is_def_fn",
    "is_shared",
    "print",
    "debug",
    "type_of",
    "throw",
];

/// What else a script may call: functions of its own and of what it imports.
#[derive(Default)]
pub(super) struct Own {
    /// Namespace (empty for the script's own) → name → arities.
    pub functions: Catalogue,
    /// Name with its namespace → how it is called.
    pub usages: BTreeMap<String, String>,
}

impl Own {
    pub fn add(&mut self, namespace: &str, ast: &AST) {
        let functions = self.functions.entry(namespace.into()).or_default();
        for function in ast.iter_functions() {
            functions
                .entry(function.name.into())
                .or_default()
                .insert(function.params.len());
            let full = match namespace {
                "" => function.name.to_owned(),
                namespace => format!("{namespace}::{}", function.name),
            };
            let usage = format!("{full}({})", function.params.join(", "));
            self.usages.insert(full, usage);
        }
    }
}

/// A call to a host function, as far as the script's text tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostCall {
    /// `pca::issue_certificate`.
    pub function: String,
    /// The kind of Kubernetes objects that its arguments name, where they name it literally.
    pub kind: Option<String>,
}

/// The host functions that change something outside, whatever they are called with. `exec::run`,
/// `http::request` and the like are not among them: their arguments decide.
const CHANGES: [&str; 28] = [
    "file::remove",
    "file::write",
    "file::write_secret",
    "file::write_template",
    "http::delete",
    "http::patch",
    "http::post",
    "http::put",
    "kube::apply",
    "kube::apply_secret",
    "kube::create",
    "kube::delete",
    "kube::patch",
    "kube::restart",
    "pca::create_audit_report",
    "pca::create_certificate_authority",
    "pca::create_permission",
    "pca::delete_certificate_authority",
    "pca::delete_permission",
    "pca::delete_policy",
    "pca::disable_certificate_authority",
    "pca::enable_certificate_authority",
    "pca::import_certificate_authority_certificate",
    "pca::issue_certificate",
    "pca::put_policy",
    "pca::restore_certificate_authority",
    "pca::revoke_certificate",
    "pca::update_certificate_authority",
];

impl HostCall {
    /// Whether it is sure to change something outside.
    pub fn is_change(&self) -> bool {
        CHANGES.contains(&self.function.as_str())
            || self.function.starts_with("pca::tag_")
            || self.function.starts_with("pca::untag_")
    }
}

/// One call, as written: `pca::describe(arn)` or `list.len()`.
pub(super) struct FoundCall {
    pub namespace: String,
    pub name: String,
    kind: Option<String>,
    arguments: usize,
    /// The keys of the arguments that are literal maps, with the argument's number.
    keys: Vec<(usize, String, Position)>,
    is_method: bool,
    position: Position,
}

/// Lists every call in a script, its functions' bodies included.
pub(super) fn list(ast: &AST) -> Vec<FoundCall> {
    let mut calls = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, position)))
            | Some(ASTNode::Stmt(Stmt::FnCall(call, position))) => {
                push(&mut calls, call, false, *position);
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, position))) => {
                push(&mut calls, call, true, *position);
            }
            _ => {}
        }
        true
    });
    calls
}

fn push(calls: &mut Vec<FoundCall>, call: &FnCallExpr, is_method: bool, position: Position) {
    if call.op_token.is_none() {
        calls.push(FoundCall {
            namespace: call
                .namespace
                .path
                .iter()
                .map(|part| part.name.as_str())
                .collect::<Vec<_>>()
                .join("::"),
            name: call.name.to_string(),
            kind: kind_of(call),
            arguments: call.args.len(),
            keys: literal_keys(call),
            is_method,
            position,
        });
    }
}

/// The keys of literal maps among the arguments of a call.
fn literal_keys(call: &FnCallExpr) -> Vec<(usize, String, Position)> {
    let maps = call
        .args
        .iter()
        .enumerate()
        .filter_map(|(i, argument)| match argument {
            Expr::Map(map, _) => Some((i, map)),
            _ => None,
        });
    maps.flat_map(|(i, map)| {
        let keys = map.0.iter();
        keys.map(move |(key, _)| (i, key.name.to_string(), key.pos))
    })
    .collect()
}

impl FoundCall {
    pub fn as_host_call(&self) -> HostCall {
        HostCall {
            function: format!("{}::{}", self.namespace, self.name),
            // Only there is a text with a slash the name of an object.
            kind: self.kind.clone().filter(|_| self.namespace == "kube"),
        }
    }
}

/// The kind that a call to a `kube` function names: the first argument is the cluster.
fn kind_of(call: &FnCallExpr) -> Option<String> {
    match (call.name.as_str(), call.args.get(2)) {
        ("list", Some(Expr::StringConstant(kind, _))) => Some(kind.to_string()),
        ("list", _) => None,
        _ => call.args.iter().skip(1).find_map(kind_in),
    }
}

/// The kind in one argument: of `TYPE/NAME`, or of a manifest.
fn kind_in(argument: &Expr) -> Option<String> {
    let word = |text: &str| text.split_once('/').map(|(kind, _)| kind.to_owned());
    match argument {
        Expr::StringConstant(text, _) => word(text),
        // `deployment/${name}`.
        Expr::InterpolatedString(parts, _) => match parts.first() {
            Some(Expr::StringConstant(text, _)) => word(text),
            _ => None,
        },
        Expr::Map(map, _) => {
            let text = |key: &str| {
                let (_, value) = map.0.iter().find(|(name, _)| name.name == key)?;
                match value {
                    Expr::StringConstant(text, _) => Some(text.to_string()),
                    _ => None,
                }
            };
            let kind = text("kind")?.to_ascii_lowercase();
            Some(match text("apiVersion")?.split_once('/') {
                Some((group, _)) => format!("{kind}.{group}"),
                None => kind,
            })
        }
        _ => None,
    }
}

/// Checks the calls of a step script.
pub(super) fn check_script(ast: &AST, text: &str, own: &Own) -> Vec<Fault> {
    check(&STEPS, ast, text, own)
}

/// Checks the calls of an expression, which has no host modules.
pub(super) fn check_expression(ast: &AST, text: &str) -> Vec<Fault> {
    let mut own = Own::default();
    own.add("", ast);
    let mut faults = check(&EXPRESSIONS, ast, text, &own);
    for fault in &mut faults {
        if fault.code == "unknown-module" {
            fault.help = Some("expressions are pure: host modules are for step scripts".into());
        }
    }
    faults
}

fn check(known: &Catalogue, ast: &AST, text: &str, own: &Own) -> Vec<Fault> {
    list(ast)
        .iter()
        .flat_map(|call| {
            let fault = check_call(known, own, text, call);
            fault.into_iter().chain(unknown_options(text, call))
        })
        .collect()
}

/// Finds the options that a host function does not have.
fn unknown_options(text: &str, call: &FoundCall) -> Vec<Fault> {
    let function = format!("{}::{}", call.namespace, call.name);
    let Some((at, options)) = usage::options(&function) else {
        return Vec::new();
    };
    let unknown = call
        .keys
        .iter()
        .filter(|(i, key, _)| *i == at && !options.contains(&key.as_str()));
    unknown
        .map(|(_, key, position)| {
            let message = format!("`{function}` has no option `{key}`");
            let help = match closest(key, options.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it takes {}", options.join(", ")),
            };
            Fault::new("unknown-option", token_at(text, *position), message).help(help)
        })
        .collect()
}

fn check_call(known: &Catalogue, own: &Own, text: &str, call: &FoundCall) -> Option<Fault> {
    let FoundCall {
        namespace, name, ..
    } = call;
    let span = token_at(text, call.position);
    if namespace.is_empty() && (KEYWORDS.contains(&name.as_str()) || name.starts_with("anon$")) {
        return None;
    }
    let full = if namespace.is_empty() {
        name.clone()
    } else {
        format!("{namespace}::{name}")
    };
    let (native, scripted) = (known.get(namespace), own.functions.get(namespace));
    if native.is_none() && scripted.is_none() {
        let modules = known
            .keys()
            .chain(own.functions.keys())
            .filter(|name| !name.is_empty());
        return Some(with_suggestion(
            Fault::new(
                "unknown-module",
                span,
                format!("there is no module `{namespace}`"),
            ),
            namespace,
            modules,
        ));
    }
    let native = native.and_then(|functions| functions.get(name));
    let scripted = scripted.and_then(|functions| functions.get(name));
    if native.is_none() && scripted.is_none() {
        let names = [known, &own.functions]
            .into_iter()
            .filter_map(|catalogue| catalogue.get(namespace))
            .flat_map(|functions| functions.keys());
        return Some(with_suggestion(
            Fault::new(
                "unknown-function",
                span,
                format!("there is no function `{full}`"),
            ),
            name,
            names.filter(|name| name.starts_with(char::is_alphabetic)),
        ));
    }
    let with_this = call.arguments + usize::from(call.is_method);
    let fits = native.is_some_and(|arities| arities.contains(&with_this))
        || scripted.is_some_and(|arities| arities.contains(&call.arguments));
    if fits {
        return None;
    }
    let arities: BTreeSet<_> = native.into_iter().chain(scripted).flatten().collect();
    let arities: Vec<_> = arities.iter().map(ToString::to_string).collect();
    let plural = if arities.len() == 1 && arities[0] == "1" {
        ""
    } else {
        "s"
    };
    let message = format!(
        "`{full}` takes {} argument{plural}, not {with_this}",
        arities.join(" or ")
    );
    let fault = Fault::new("wrong-arguments", span, message);
    let own_usage = own.usages.get(&full).cloned();
    let usage = own_usage.or_else(|| usage::usage(&full).map(str::to_owned));
    Some(match usage {
        Some(usage) => fault.help(format!("it is called as `{usage}`")),
        None => fault,
    })
}

fn with_suggestion<'a>(
    fault: Fault,
    wrong: &str,
    candidates: impl Iterator<Item = &'a String>,
) -> Fault {
    match closest(wrong, candidates.map(String::as_str)) {
        Some(name) => fault.help(format!("did you mean `{name}`?")),
        None => fault,
    }
}

/// Finds the name that was probably meant, if one is near. Between names of one letter anything is.
pub fn closest<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| {
            let shorter = name.len().min(wrong.len());
            *distance < shorter && *distance <= 1 + shorter / 4
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn catalogue(engine: &Engine) -> Catalogue {
    let mut catalogue = Catalogue::new();
    let functions = engine.collect_fn_metadata(
        None,
        |info| {
            Some((
                info.namespace.to_string(),
                info.metadata.name.to_string(),
                info.metadata.num_params,
            ))
        },
        true,
    );
    for (namespace, name, arity) in functions {
        catalogue
            .entry(namespace)
            .or_default()
            .entry(name)
            .or_default()
            .insert(arity);
    }
    catalogue
}
