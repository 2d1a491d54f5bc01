//! Finds the interpolation of a variable in a string that is not interpolated: `"hello ${name}"`.
//!
//! Other tools write `${name}`, too. So a string counts only if all that it interpolates are variables of its function, and if it is not
//! an argument of a program.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, Stmt};

use super::fault::{Fault, Lines};

/// The module whose functions take the texts of other tools.
const PROGRAMS: &str = "exec";

/// Returns a mistake for each such string of a script. Those that read one of `names` with a path are left to another check.
pub(super) fn check(ast: &AST, text: &str, names: &[&str]) -> Vec<Fault> {
    if !text.contains("${") {
        return Vec::new();
    }
    let mut body = ast.clone();
    body.clear_functions();
    let functions = ast.iter_functions().map(|function| {
        let (name, arity) = (function.name, function.params.len());
        let mut only = ast.clone();
        only.clear_statements();
        only.retain_functions(|_, _, other, params| other == name && params == arity);
        let mut variables = declared(&only);
        variables.extend(function.params.iter().map(ToString::to_string));
        // A closure is a function of its own, with the variables of the one around it.
        (only, variables, name.starts_with("anon$"))
    });
    let mut functions: Vec<_> = functions.collect();
    let of_body = declared(&body);
    functions.push((body, of_body, false));
    let all: BTreeSet<_> = functions
        .iter()
        .flat_map(|(_, names, _)| names.clone())
        .collect();
    let lines = Lines::of(text);
    let found = functions.iter().flat_map(|(part, own, is_closure)| {
        let variables = if *is_closure { &all } else { own };
        check_part(part, (text, &lines), variables, names)
    });
    found.collect()
}

fn check_part(
    part: &AST,
    (text, lines): (&str, &Lines),
    variables: &BTreeSet<String>,
    names: &[&str],
) -> Vec<Fault> {
    let mut faults = Vec::new();
    part.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Expr(Expr::StringConstant(constant, position))) = path.last()
            && !path.iter().any(is_of_program)
            && super::interpolated(constant, names).is_none()
            && let Some(read) = interpolated(constant, variables)
        {
            let start = lines.offset(*position);
            faults.extend(text[start..].find(read).map(|at| {
                let at = start + at;
                uninterpolated(at..at + read.len(), read)
            }));
        }
        true
    });
    faults
}

/// Returns the mistake of an interpolation that is none.
pub(super) fn uninterpolated(span: std::ops::Range<usize>, read: &str) -> Fault {
    let message = format!("`{read}` is plain text in a string with these quotes");
    let rest = &read[1..];
    Fault::new("syntax", span, message).help(format!(
        "write the string in backticks (`…`), or `\"$\" + \"{rest}\"` for the text itself"
    ))
}

/// Returns the variables that a part of a script declares.
fn declared(ast: &AST) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode]| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Var(variable, ..))) => {
                names.insert(variable.0.name.to_string());
            }
            Some(ASTNode::Stmt(Stmt::For(each, _))) => {
                names.insert(each.0.name.to_string());
                names.extend(each.1.iter().map(|counter| counter.name.to_string()));
            }
            Some(ASTNode::Stmt(Stmt::TryCatch(flow, _))) => {
                if let Expr::Variable(caught, ..) = &flow.expr {
                    names.insert(caught.1.to_string());
                }
            }
            _ => {}
        }
        true
    });
    names
}

fn is_of_program(node: &ASTNode) -> bool {
    match node {
        ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) => {
            let mut namespace = call.namespace.path.iter();
            namespace.next().is_some_and(|first| first.name == PROGRAMS)
        }
        _ => false,
    }
}

/// Returns the first interpolation of a text whose interpolations all read variables: `${name}`, `${name.part}` or `${name[0]}`.
fn interpolated<'t>(text: &'t str, variables: &BTreeSet<String>) -> Option<&'t str> {
    let mut first = None;
    for (at, open) in text.match_indices("${") {
        let inside = &text[at + open.len()..];
        let end = inside.find('}')?;
        let inside = &inside[..end];
        let length = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = inside.split_at(length.unwrap_or(end));
        let is_read = rest.is_empty() || rest.starts_with(['.', '[']);
        if !is_read || !variables.contains(name) {
            return None;
        }
        first = first.or(Some(&text[at..at + open.len() + end + 1]));
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_count() {
        let names = ["name", "of"].map(str::to_owned).into();
        let found = |text| interpolated(text, &names);
        assert_eq!(found("hello ${name}"), Some("${name}"));
        assert_eq!(found("${name.x} ${of[0]}"), Some("${name.x}"));
        for text in [
            "${HOME}",
            "${HOME}/${name}",
            "${name:-x}",
            "${name",
            "$name {name}",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
