//! Finds how a script's `fn run` can end, as far as its text shows it, and what is wrong with the outputs there.

use rhai::{AST, ASTFlags, ASTNode, Expr, Position, Stmt, StmtBlock};

use super::{
    fault::{Fault, token_at},
    lint::check_map,
    signature::Signature,
};

/// Returns the mistakes in what `fn run` returns, at its end and at each `return`.
pub(super) fn check(ast: &AST, text: &str, outputs: &Signature) -> Vec<Fault> {
    let mut exits = Exits::default();
    let mut only = ast.clone();
    only.clear_statements();
    only.retain_functions(|_, _, name, params| name == "run" && params == 1);
    let mut last = None;
    only.walk(&mut |path: &[ASTNode]| {
        if let [ASTNode::Stmt(statement)] = path {
            last = Some((*statement).clone());
        }
        if let Some(ASTNode::Stmt(Stmt::Return(given, flags, position))) = path.last()
            && !flags.contains(ASTFlags::BREAK)
        {
            match given {
                Some(given) => exits.expression(given),
                None => exits.nothing.push(*position),
            }
        }
        true
    });
    if let Some(last) = &last {
        exits.statement(last);
    }
    let mut faults: Vec<_> = exits
        .maps
        .iter()
        .flat_map(|map| check_map(map, text, outputs))
        .collect();
    let mut required = outputs
        .fields
        .iter()
        .filter(|(_, field)| !field.ty.is_optional());
    if let Some((name, field)) = required.next() {
        faults.extend(exits.nothing.into_iter().map(|position| {
            let message =
                format!("`fn run` can end here without outputs, and `OUTPUTS` declares `{name}`");
            let fault = Fault::new("wrong-output", token_at(text, position), message);
            fault.help(format!(
                "end it with a map: `#{{ {name}: … }}` ({})",
                field.ty
            ))
        }));
    }
    faults
}

#[derive(Default)]
struct Exits {
    /// The literal maps that are returned.
    maps: Vec<Expr>,
    /// Where it ends with nothing.
    nothing: Vec<Position>,
}

impl Exits {
    /// Takes the last statement of a block whose value is returned.
    fn statement(&mut self, last: &Stmt) {
        match last {
            Stmt::Expr(expression) => self.expression(expression),
            Stmt::Block(block) => self.block(block),
            Stmt::If(flow, position) => {
                self.block(&flow.body);
                // Without `else`, a body that gives outputs is not meant to be left out.
                match flow.body.statements().last() {
                    Some(end) if flow.branch.is_empty() && gives_map(end) => {
                        self.nothing.push(*position);
                    }
                    _ if flow.branch.is_empty() => {}
                    _ => self.block(&flow.branch),
                }
            }
            // It may be left in its middle, with a value.
            Stmt::For(..) | Stmt::While(..) if leaves_early(last) => {}
            Stmt::Var(..) | Stmt::Assignment(..) | Stmt::For(..) | Stmt::While(..) => {
                self.nothing.push(last.position());
            }
            // What it gives is not known, or it does not end here.
            _ => {}
        }
    }

    fn block(&mut self, block: &StmtBlock) {
        match block.statements().last() {
            Some(last) => self.statement(last),
            None => self.nothing.push(block.position()),
        }
    }

    fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::Map(..) => self.maps.push(expression.clone()),
            Expr::Stmt(block) => self.block(block),
            _ => {}
        }
    }
}

fn gives_map(end: &Stmt) -> bool {
    matches!(end, Stmt::Expr(expression) if matches!(**expression, Expr::Map(..)))
}

/// Says whether a loop holds a `return`, a `throw`, or a `break` with a value.
fn leaves_early(statement: &Stmt) -> bool {
    let mut leaves = false;
    statement.walk(&mut Vec::new(), &mut |path| {
        leaves |= matches!(
            path.last(),
            Some(ASTNode::Stmt(
                Stmt::Return(..) | Stmt::BreakLoop(Some(_), ..)
            ))
        );
        true
    });
    leaves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreter::steps;

    fn found(body: &str) -> Vec<String> {
        let script = format!("const OUTPUTS = #{{ b: \"string\" }};\nfn run(inputs) {{ {body} }}");
        let ast = steps().compile(&script).expect("a script");
        let outputs = Signature::read(&ast, &script, "OUTPUTS").expect("outputs");
        let faults = check(&ast, &script, &outputs.expect("outputs"));
        faults.into_iter().map(|fault| fault.message).collect()
    }

    #[test]
    fn each_way_out_is_looked_at() {
        let wrong = "the output `b` does not fit: expected string, found int 5";
        let unknown = "`OUTPUTS` does not declare `c`";
        let lacks = "the result lacks `b`, which `OUTPUTS` declares";
        let nothing = "`fn run` can end here without outputs, and `OUTPUTS` declares `b`";
        for (body, expected) in [
            ("return #{ b: 5 };", vec![wrong]),
            (
                "if inputs.x { return #{ c: 1 }; } #{ b: \"y\" }",
                vec![unknown, lacks],
            ),
            (
                "if inputs.x { #{ b: 5 } } else { #{ b: \"y\" } }",
                vec![wrong],
            ),
            (
                "if inputs.x { #{ b: \"y\" } } else if inputs.y { #{ b: 5 } }",
                vec![wrong, nothing],
            ),
            ("if inputs.x { return; } #{ b: \"y\" }", vec![nothing]),
            ("let x = 1;", vec![nothing]),
            ("for i in [1] { log::info(`${i}`); }", vec![nothing]),
        ] {
            assert_eq!(found(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_not_certain_is_no_mistake() {
        for body in [
            "#{ b: \"y\" }",
            "throw \"no\"",
            "if inputs.x { throw \"no\" } #{ b: \"y\" }",
            "loop { return #{ b: \"y\" }; }",
            "loop { break #{ b: \"y\" }; }",
            "for i in [1] { break #{ b: \"y\" }; }",
            "for i in [1] { try { return #{ b: \"y\" }; } catch (e) { throw e; } }",
            "while true { return #{ b: \"y\" }; }",
            "if inputs.x { return #{ b: \"y\" } } else if !inputs.x { return #{ b: \"z\" } }",
            "if inputs.x { other(inputs) }",
            "other(inputs)",
            "let all = [1].map(|i| { return i; }); #{ b: `${all}` }",
            "switch inputs.x { 1 => #{ b: \"y\" }, _ => throw \"no\" }",
            "try { #{ b: \"y\" } } catch { #{ b: \"z\" } }",
        ] {
            assert!(found(body).is_empty(), "{body}: {:?}", found(body));
        }
    }
}
