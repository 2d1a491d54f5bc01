//! Mistakes that earlier versions accepted: a new script is refused for them, but not one with which a run began.

use rhai::{AST, ASTNode, Expr, Ident, Position, Stmt};

use super::{
    calls, exits,
    fault::{Fault, offset, token_at},
    inputs::{self, InputRead},
    signature::Signature,
    uninterpolated::{self, uninterpolated},
    valueless,
};
use windlass_ground::{closest, did_you_mean};
use windlass_world::value::Value;

/// The names that a script may read.
const INPUTS: &[&str] = &["inputs", "outputs"];

/// Returns the mistakes of a script file, or of a file that it imports (`outputs` is `None`).
pub(super) fn check(ast: &AST, text: &str, outputs: Option<&Signature>) -> Vec<Fault> {
    let mut faults: Vec<_> = loose(ast, text).into_iter().collect();
    faults.extend(check_body(ast, text));
    if let Some(outputs) = outputs {
        faults.extend(exits::check(ast, text, outputs));
        faults.extend(check_reads_of_outputs(ast, text, outputs));
    }
    faults
}

/// Finds outputs that a `fn undo` reads and the script does not declare: each would be `()`.
fn check_reads_of_outputs(ast: &AST, text: &str, outputs: &Signature) -> Vec<Fault> {
    let reads = inputs::of_outputs(ast, text).into_iter();
    // Who writes `?.` expects that it may not be there.
    let expects = |read: &InputRead| {
        let before = text[..read.span.start].trim_end();
        !before.ends_with("?.") && !before.ends_with("?[")
    };
    let unknown = reads.filter(|read| !outputs.fields.contains_key(&read.name) && expects(read));
    let faults = unknown.map(|read| {
        let message = format!("`OUTPUTS` does not declare `{}`", read.name);
        let declared = outputs.fields.keys().map(String::as_str);
        let help = match closest(&read.name, declared) {
            Some(near) => did_you_mean(near),
            None => "`fn undo` gets the outputs that `fn run` has returned".into(),
        };
        Fault::new("unknown-output", read.span, message).help(help)
    });
    faults.collect()
}

/// Returns the mistakes of an expression.
pub(super) fn check_expression(ast: &AST, text: &str, names: &[&str]) -> Vec<Fault> {
    let mut faults = check_constants(ast, text, names);
    faults.extend(valueless::check_expression(ast, text));
    if let [assignment @ Stmt::Assignment(_)] = ast.statements() {
        let span = token_at(text, assignment.position());
        let message = "`=` changes something, and an expression only gives a value";
        faults.push(Fault::new("syntax", span, message).help("`==` compares"));
    }
    faults
}

/// Returns the mistakes of an inline body, or of the functions of a script.
pub(super) fn check_body(ast: &AST, text: &str) -> Vec<Fault> {
    let mut faults = check_constants(ast, text, INPUTS);
    faults.extend(uninterpolated::check(ast, text, INPUTS));
    faults.extend(calls::accepted_before(ast, text));
    faults.extend(valueless::check(ast, text));
    faults
}

/// Finds a body that only defines functions, such as a whole script: none of them is called.
pub(super) fn without_statements(ast: &AST, text: &str) -> Option<Fault> {
    let does_nothing = |statement: &Stmt| match statement {
        Stmt::Var(variable, ..) => is_plain(&variable.1),
        Stmt::Noop(_) | Stmt::Import(..) | Stmt::Export(..) => true,
        _ => false,
    };
    if !ast.statements().iter().all(does_nothing) || ast.iter_functions().next().is_none() {
        return None;
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        if code.starts_with("fn ") || code.starts_with("private fn ") {
            start += line.len() - code.len();
            break;
        }
        start += line.len();
    }
    let end = text[start..]
        .find(['(', '\n'])
        .map_or(text.len(), |at| start + at);
    let message = "the body only defines functions, and calls none: the step would do nothing";
    let help = "write the statements themselves, which see `inputs`; a script with `fn run` is a file of its own: `script: steps/NAME.rhai`";
    Some(Fault::new("syntax", start..end, message).help(help))
}

/// Returns the constants of a script or an expression that are not what they look like: an integer of more than 64 bits, which Rhai
/// makes a float, and the interpolation of one of `names` in a string that is not interpolated.
pub(super) fn check_constants(ast: &AST, text: &str, names: &[&str]) -> Vec<Fault> {
    let mut faults = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        faults.extend(match path.last() {
            Some(ASTNode::Expr(Expr::FloatConstant(_, position))) => too_large(text, *position),
            Some(ASTNode::Expr(Expr::StringConstant(constant, position))) => {
                plain_interpolation(text, *position, constant, names)
            }
            _ => None,
        });
        true
    });
    faults
}

/// Finds an integer of more than 64 bits at the position of a float.
fn too_large(text: &str, position: Position) -> Option<Fault> {
    // The position of a negative number is that of its sign.
    let unsigned = text[offset(text, position)..].trim_start_matches(['-', ' ']);
    let start = text.len() - unsigned.len();
    let end = unsigned.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.');
    let number = &unsigned[..end.unwrap_or(unsigned.len())];
    let digits = number.replace('_', "");
    let is_integer = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_integer || digits.parse::<i64>().is_ok() {
        return None;
    }
    let message = format!("{digits} does not fit into 64 bits, so it would become a float");
    let fault = Fault::new("wrong-type", start..start + number.len(), message);
    Some(fault.help("put it in quotes, or write it as a float, such as `1e20`"))
}

/// Finds the interpolation of one of `names` in a string constant.
fn plain_interpolation(
    text: &str,
    position: Position,
    constant: &str,
    names: &[&str],
) -> Option<Fault> {
    let read = interpolated(constant, names)?;
    let start = offset(text, position);
    let at = text[start..].find(read).map_or(start, |at| start + at);
    Some(uninterpolated(at..at + read.len(), read))
}

/// Finds the first interpolation that reads one of `names`, such as `${inputs.name}`, in a text that is not interpolated.
pub fn interpolated<'t>(text: &'t str, names: &[&str]) -> Option<&'t str> {
    text.match_indices("${").find_map(|(at, open)| {
        let inside = &text[at + open.len()..];
        let name = names.iter().find(|name| inside.starts_with(**name))?;
        let is_read = inside[name.len()..].starts_with(['.', '[']);
        let end = inside.find('}').filter(|_| is_read)?;
        Some(&text[at..at + open.len() + end + 1])
    })
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

/// Finds literal outputs of another type than the declared one.
fn wrong_outputs(entries: &[(Ident, Expr)], text: &str, outputs: &Signature) -> Vec<Fault> {
    let wrong = entries.iter().filter_map(|(name, value)| {
        let field = outputs.fields.get(name.name.as_str())?;
        let mismatch = field.ty.check(&constant(value)?).err()?;
        let message = format!("the output `{}` does not fit: {mismatch}", name.name);
        Some(Fault::new(
            "wrong-output",
            token_at(text, name.pos),
            message,
        ))
    });
    wrong.collect()
}

/// Returns the value of a literal that has no parts.
fn constant(expression: &Expr) -> Option<Value> {
    Some(match expression {
        Expr::StringConstant(text, _) => Value::String(text.to_string()),
        Expr::IntegerConstant(number, _) => Value::Int(*number),
        Expr::FloatConstant(number, _) => Value::Float(**number),
        Expr::BoolConstant(is_true, _) => Value::Bool(*is_true),
        _ => return None,
    })
}

/// Finds what is wrong with a literal map as the outputs of a script.
pub(super) fn check_map(map: &Expr, text: &str, outputs: &Signature) -> Vec<Fault> {
    let Expr::Map(entries, position) = map else {
        return Vec::new();
    };
    let names: Vec<_> = entries.0.iter().map(|(name, _)| name).collect();
    let mut faults = wrong_outputs(&entries.0, text, outputs);
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
