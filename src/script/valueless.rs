//! Finds the use of what a method gives that only changes its variable, and gives nothing: `let sorted = list.sort();`.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, Stmt};

use super::fault::{Fault, token_at};

/// The methods of Rhai's own types that change their variable and give nothing, whatever the type is.
const METHODS: [&str; 13] = [
    "append",
    "chop",
    "clear",
    "crop",
    "dedup",
    "insert",
    "make_lower",
    "make_upper",
    "pad",
    "push",
    "reverse",
    "sort",
    "truncate",
];

/// Returns a mistake for each such use, unless the script has a function of its own with this name.
pub(super) fn check(ast: &AST, text: &str) -> Vec<Fault> {
    check_uses(ast, text, false)
}

/// Like [`check`], for an expression, whose value is used.
pub(super) fn check_expression(ast: &AST, text: &str) -> Vec<Fault> {
    check_uses(ast, text, true)
}

fn check_uses(ast: &AST, text: &str, is_expression: bool) -> Vec<Fault> {
    let own: BTreeSet<_> = ast.iter_functions().map(|function| function.name).collect();
    let mut faults = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Expr(Expr::MethodCall(call, position))) = path.last()
            && METHODS.contains(&call.name.as_str())
            && !own.contains(call.name.as_str())
            && is_used(path, ast.statements().last().filter(|_| is_expression))
        {
            let name = &call.name;
            let message =
                format!("`{name}` changes its variable and gives nothing, so this would be `()`");
            let help = if is_expression {
                "do it in the script of a step".to_owned()
            } else {
                format!("call it as a statement, `x.{name}(…);`, and then use `x`")
            };
            let span = token_at(text, *position);
            faults.push(Fault::new("syntax", span, message).help(help));
        }
        true
    });
    faults
}

/// Says whether something uses the value of the expression at the end of a path. The last statement of a block may be one whose value
/// nobody uses, but `value`, the last one of an expression, is what it gives.
fn is_used(path: &[ASTNode], value: Option<&Stmt>) -> bool {
    let mut inner = path;
    while let [before @ .., ASTNode::Expr(this)] = inner {
        match before.last() {
            // The end of a chain is its value; before that, the next method uses it.
            Some(ASTNode::Expr(Expr::Dot(pair, ..) | Expr::Index(pair, ..)))
                if std::ptr::eq(&raw const pair.rhs, *this) =>
            {
                inner = before;
            }
            // A block that is an expression gives the value of its last statement, such as that of an interpolation.
            Some(ASTNode::Stmt(statement @ Stmt::Expr(_))) => {
                let around = before.len().checked_sub(2).map(|at| &before[at]);
                let Some(ASTNode::Expr(Expr::Stmt(block))) = around else {
                    return value.is_some_and(|value| std::ptr::eq(value, *statement));
                };
                let last = block.statements().last();
                return last.is_some_and(|last| std::ptr::eq(last, *statement));
            }
            Some(ASTNode::Stmt(Stmt::Return(..))) | None => return false,
            Some(_) => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreter::steps;

    fn found(script: &str) -> usize {
        let ast = steps().compile(script).expect("a script");
        check(&ast, script).len()
    }

    #[test]
    fn only_a_use_of_the_value_counts() {
        for script in [
            "let x = [2, 1].sort();",
            "let x = []; let y = 1; y = x.push(1);",
            "let x = [2, 1]; print(x.filter(|i| i > 1).sort());",
            "let x = [2, 1]; #{ sorted: x.sort() }",
            "let x = [2, 1]; [x.reverse()]",
            "let x = [2, 1]; if x.sort() == () { 1 } else { 2 }",
            "let x = [2, 1]; x.sort().len()",
            "let x = [2, 1]; let y = `${x.sort()}`;",
            "let x = [2, 1]; let y = { x.push(1); x.sort() };",
        ] {
            assert_eq!(found(script), 1, "{script}");
        }
        for script in [
            "let x = [2, 1]; x.sort();",
            "let x = [2, 1]; x.sort()",
            "let x = #{ a: [] }; x.a.push(1); x.a[0]",
            "let x = [2, 1]; for i in x { x.push(i); }",
            "let x = [[1]]; for_all(x, |i| i.push(1)); fn for_all(a, b) {}",
            "let x = [2, 1]; let y = x.pop();",
            "let x = [2, 1]; let y = { x.sort(); x };",
            "let x = [2, 1]; let y = switch 1 { 1 => { x.sort(); x }, _ => x };",
            "let x = [2, 1]; let y = `${ x.sort(); x }`;",
            "let x = [2, 1]; let y = x ?? { x.push(1); x };",
            "let x = 1; let y = x.sort(); fn sort() { this }",
            "let x = \" a \"; let y = x.trim(); let z = x.replace(\"a\", \"b\");",
        ] {
            assert_eq!(found(script), 0, "{script}");
        }
        let ast = steps().compile("let x = []; x.sort()").expect("a script");
        assert_eq!(check_expression(&ast, "let x = []; x.sort()").len(), 1);
        let closure = "let x = []; x.map(|y| { let l = [y]; l.push(2); l })";
        let ast = steps().compile(closure).expect("a script");
        assert_eq!(check_expression(&ast, closure).len(), 0);
    }
}
