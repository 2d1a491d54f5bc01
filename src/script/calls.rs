//! Finds calls to functions that don't exist, before a script runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use rhai::{AST, ASTNode, Engine, Expr, FnCallExpr, Position, Stmt};

use super::{
    fault::{Fault, token_at},
    given::{HostCall, Known},
    host, interpreter,
    literal::{self, Wrong},
};
use windlass_ground::{closest, did_you_mean};

/// The functions that an interpreter knows: namespace (empty for the global one) → name → arities.
type Catalogue = BTreeMap<String, BTreeMap<String, BTreeSet<usize>>>;

static STEPS: LazyLock<Catalogue> = LazyLock::new(|| catalogue(interpreter::steps()));
static EXPRESSIONS: LazyLock<Catalogue> = LazyLock::new(|| catalogue(interpreter::expressions()));

/// The usage of Rhai's own functions that beginners use first.
const BUILT_IN: [&str; 3] = ["print(text)", "debug(text)", "type_of(value)"];

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

/// The other functions that a script may call: its own and those of its imports.
#[derive(Default)]
pub(super) struct Own {
    /// Namespace (empty for the script's own) → name → arities.
    pub functions: Catalogue,
    /// Name with its namespace → usage.
    pub usages: BTreeMap<String, String>,
    /// The namespaces of imports that could not be read: that is a mistake by itself, and each call of their functions is not another one.
    pub unread: BTreeSet<String>,
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

/// One call, as written: `pca::describe(arn)` or `list.len()`.
pub(super) struct FoundCall {
    pub namespace: String,
    pub name: String,
    given: Vec<Known>,
    /// The mistakes in the arguments of a call to a host function.
    wrong: Vec<Wrong>,
    is_method: bool,
    position: Position,
}

/// Lists every call in a script, including those in its functions.
pub(super) fn list(ast: &AST) -> Vec<FoundCall> {
    list_knowing(ast, None)
}

/// Lists the calls to host functions in a script, with the arguments that its text shows. `inputs` is the variable that
/// holds the inputs, in `fn run` or in an inline body.
pub(super) fn host_calls(ast: &AST, inputs: Option<&str>, is_inline: bool) -> Vec<HostCall> {
    let (mut entry, mut rest) = (ast.clone(), ast.clone());
    if is_inline {
        entry.clear_functions();
        rest.clear_statements();
    } else {
        entry.clear_statements();
        entry.retain_functions(|_, _, name, _| name == "run");
        rest.retain_functions(|_, _, name, _| name != "run");
    }
    let of_entry = list_knowing(&entry, inputs);
    let calls = of_entry.into_iter().chain(list(&rest));
    calls.filter_map(FoundCall::into_host_call).collect()
}

/// Lists the calls to host functions in an AST. `inputs` is the variable that holds the inputs.
pub(super) fn host_calls_in(ast: &AST, inputs: Option<&str>) -> Vec<HostCall> {
    let calls = list_knowing(ast, inputs).into_iter();
    calls.filter_map(FoundCall::into_host_call).collect()
}

fn list_knowing(ast: &AST, inputs: Option<&str>) -> Vec<FoundCall> {
    let mut calls = Vec::new();
    let mut push = |call: &FnCallExpr, is_method, position| {
        if call.op_token.is_none() {
            calls.push(FoundCall::of(call, inputs, is_method, position));
        }
    };
    ast.walk(&mut |path: &[ASTNode]| {
        match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, position)))
            | Some(ASTNode::Stmt(Stmt::FnCall(call, position))) => push(call, false, *position),
            Some(ASTNode::Expr(Expr::MethodCall(call, position))) => push(call, true, *position),
            _ => {}
        }
        true
    });
    calls
}

impl FoundCall {
    fn of(call: &FnCallExpr, inputs: Option<&str>, is_method: bool, position: Position) -> Self {
        let namespace = call.namespace.path.iter();
        let namespace: Vec<_> = namespace.map(|part| part.name.as_str()).collect();
        let namespace = namespace.join("::");
        let row = host::function(&format!("{namespace}::{}", call.name));
        Self {
            name: call.name.to_string(),
            namespace,
            given: call
                .args
                .iter()
                .map(|argument| Known::of(argument, inputs))
                .collect(),
            wrong: row.map_or_else(Vec::new, |row| literal::check(row, call, position)),
            is_method,
            position,
        }
    }

    fn into_host_call(self) -> Option<HostCall> {
        let function = host::function(&format!("{}::{}", self.namespace, self.name))?;
        Some(HostCall::new(function, self.given))
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
            fault.help =
                Some("an expression can't call host modules: call them in a step script".into());
        }
    }
    faults
}

fn check(known: &Catalogue, ast: &AST, text: &str, own: &Own) -> Vec<Fault> {
    list(ast)
        .iter()
        .flat_map(|call| {
            let fault = check_call(known, own, text, call);
            let wrong = call.wrong.iter().filter(|wrong| !wrong.was_accepted);
            let wrong = wrong.map(|wrong| wrong.as_fault(text));
            fault.into_iter().chain(wrong)
        })
        .collect()
}

/// Returns the mistakes in literal arguments that earlier versions accepted.
pub(super) fn accepted_before(ast: &AST, text: &str) -> Vec<Fault> {
    let calls = list(ast);
    let wrong = calls.iter().flat_map(|call| &call.wrong);
    let wrong = wrong.filter(|wrong| wrong.was_accepted);
    wrong.map(|wrong| wrong.as_fault(text)).collect()
}

fn check_call(known: &Catalogue, own: &Own, text: &str, call: &FoundCall) -> Option<Fault> {
    let FoundCall {
        namespace, name, ..
    } = call;
    let span = token_at(text, call.position);
    if namespace.is_empty() && (KEYWORDS.contains(&name.as_str()) || name.starts_with("anon$")) {
        return None;
    }
    if own.unread.contains(namespace) {
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
    let with_this = call.given.len() + usize::from(call.is_method);
    let fits = native.is_some_and(|arities| arities.contains(&with_this))
        || scripted.is_some_and(|arities| arities.contains(&call.given.len()));
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
    let usage = own_usage
        .or_else(|| host::function(&full).map(host::Function::usage))
        .or_else(|| {
            BUILT_IN
                .iter()
                .find(|usage| usage.starts_with(&format!("{full}(")))
                .map(|usage| (*usage).to_owned())
        });
    Some(match usage {
        Some(usage) => fault.help(format!("write `{usage}`")),
        None => fault,
    })
}

fn with_suggestion<'a>(
    fault: Fault,
    wrong: &str,
    candidates: impl Iterator<Item = &'a String>,
) -> Fault {
    match closest(wrong, candidates.map(String::as_str)) {
        Some(name) => fault.help(did_you_mean(name)),
        None => fault,
    }
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
