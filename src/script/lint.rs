//! Mistakes that earlier versions accepted: a new script is refused for them, but not one with which a run began.

use rhai::{AST, ASTNode, Expr, Stmt};

use super::{
    calls::{closest, did_you_mean},
    fault::{Fault, token_at},
    signature::Signature,
};

/// Returns the mistakes of a script file, or of a file that it imports (`outputs` is `None`).
pub(super) fn check(ast: &AST, text: &str, outputs: Option<&Signature>) -> Vec<Fault> {
    let mut faults: Vec<_> = loose(ast, text).into_iter().collect();
    if let (Some(outputs), Some(last)) = (outputs, last_of_run(ast)) {
        faults.extend(check_map(&last, text, outputs));
    }
    faults
}

/// Finds a statement outside of functions: it would run before `fn run`, and once more before `fn undo`.
fn loose(ast: &AST, text: &str) -> Option<Fault> {
    let found = ast.statements().iter().find(|statement| match statement {
        Stmt::Var(variable, ..) => !is_plain(&variable.1),
        Stmt::Noop(_) | Stmt::Import(..) | Stmt::Export(..) => false,
        _ => true,
    })?;
    let span = token_at(text, found.position());
    let message = "this is outside of all functions, so it would run again before `fn undo`";
    Some(Fault::new("syntax", span, message).help("move it into a function"))
}

/// Says whether an expression does nothing but give a value: it may be a constant of the file.
fn is_plain(value: &Expr) -> bool {
    let mut is_plain = true;
    value.walk(&mut Vec::new(), &mut |path| {
        is_plain &= match path.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, _))) => call.op_token.is_some(),
            Some(ASTNode::Expr(Expr::MethodCall(..) | Expr::Stmt(..)) | ASTNode::Stmt(_)) => false,
            _ => true,
        };
        is_plain
    });
    is_plain
}

/// Returns the map with which `fn run` ends, if it does.
fn last_of_run(ast: &AST) -> Option<Expr> {
    let mut only = ast.clone();
    only.clear_statements();
    only.retain_functions(|_, _, name, params| name == "run" && params == 1);
    let mut last = None;
    only.walk(&mut |path: &[ASTNode]| {
        if let [ASTNode::Stmt(statement)] = path {
            last = match statement {
                Stmt::Expr(expression) if matches!(**expression, Expr::Map(..)) => {
                    Some((**expression).clone())
                }
                _ => None,
            };
        }
        true
    });
    last
}

fn check_map(map: &Expr, text: &str, outputs: &Signature) -> Vec<Fault> {
    let Expr::Map(entries, position) = map else {
        return Vec::new();
    };
    let names: Vec<_> = entries.0.iter().map(|(name, _)| name).collect();
    let mut faults = Vec::new();
    for name in &names {
        if !outputs.fields.contains_key(name.name.as_str()) {
            let declared = outputs.fields.keys().map(String::as_str);
            let help = match closest(&name.name, declared) {
                Some(near) => did_you_mean(near),
                None => "add it to `OUTPUTS`, or remove it".into(),
            };
            let message = format!("`OUTPUTS` does not declare `{}`", name.name);
            let span = token_at(text, name.pos);
            faults.push(Fault::new("wrong-output", span, message).help(help));
        }
    }
    let missing = outputs.fields.iter().filter(|(name, field)| {
        let is_there = names.iter().any(|given| given.name == name.as_str());
        !field.ty.is_optional() && !is_there
    });
    for (name, field) in missing {
        let message = format!("the result lacks `{name}`, which `OUTPUTS` declares");
        let fault = Fault::new("wrong-output", token_at(text, *position), message);
        faults.push(fault.help(format!("add `{name}: …` ({})", field.ty)));
    }
    faults
}
