//! Finds the inputs that a script reads, so that a misspelt name is reported before the script runs: at run time, its
//! value would be `()`.

use std::{collections::BTreeSet, ops::Range};

use rhai::{AST, ASTNode, Expr, FnCallExpr, FnPtr, Stmt};

use super::fault::token_at;

/// One read of an input by its name: `inputs.name` or `inputs["name"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRead {
    pub name: String,
    /// The range in the inline body's file, or in the script file.
    pub span: Range<usize>,
}

/// Functions that add names to a map which the text does not show.
const ADDING: [&str; 4] = ["+=", "fill_with", "mixin", "set"];

/// Lists the reads of `inputs` in an inline body.
pub(super) fn of_body(ast: &AST, text: &str) -> Vec<InputRead> {
    Finder::new("inputs", ast, text).find(Finder::look_at_body)
}

/// Lists the reads of the first parameter, the inputs, in a function of a script.
pub(super) fn of_function(ast: &AST, text: &str, name: &str) -> Vec<InputRead> {
    of_parameter(ast, text, name, 0)
}

/// Lists the reads of the outputs in a script's `fn undo`.
pub(super) fn of_outputs(ast: &AST, text: &str) -> Vec<InputRead> {
    of_parameter(ast, text, "undo", 1)
}

fn of_parameter(ast: &AST, text: &str, name: &str, at: usize) -> Vec<InputRead> {
    let function = ast.iter_functions().find(|f| f.name == name);
    let Some(parameter) = function.and_then(|f| f.params.get(at).copied()) else {
        return Vec::new();
    };
    Finder::new(parameter, ast, text).find(|finder| finder.look_into(name))
}

/// Returns the variable that holds the inputs of a script's `fn run`, or of an inline body, unless the script changes it.
pub(super) fn unchanged(ast: &AST, text: &str, is_inline: bool) -> Option<String> {
    if !is_inline {
        return unchanged_in(ast, text, "run");
    }
    let finder = Finder::new("inputs", ast, text);
    let is_unchanged = finder.leaves_it(Finder::look_at_body);
    is_unchanged.then(|| "inputs".to_owned())
}

/// Returns the first parameter of a function of a script, unless the function changes it.
pub(super) fn unchanged_in(ast: &AST, text: &str, function: &str) -> Option<String> {
    let found = ast.iter_functions().find(|f| f.name == function)?;
    let variable = found.params.first()?;
    let finder = Finder::new(variable, ast, text);
    let is_unchanged = finder.leaves_it(|finder| finder.look_into(function));
    is_unchanged.then(|| (*variable).to_owned())
}

/// Returns the outputs of an inline body whose only exit is a map at its end.
pub(super) fn outputs_of_body(ast: &AST) -> Option<BTreeSet<String>> {
    let Some(Stmt::Expr(last)) = ast.statements().last() else {
        return None;
    };
    let Expr::Map(map, _) = &**last else {
        return None;
    };
    let names = map.0.iter().map(|(name, _)| name.name.to_string());
    (!ends_early(ast)).then(|| names.collect())
}

/// Returns the type, with an article, of the value with which an inline body always ends, if its text shows that this is not a map of
/// outputs.
pub(super) fn other_end_of_body(ast: &AST) -> Option<&'static str> {
    let Some(Stmt::Expr(last)) = ast.statements().last() else {
        return None;
    };
    let kind = match &**last {
        Expr::Array(..) => "a list",
        Expr::StringConstant(..) | Expr::InterpolatedString(..) => "a string",
        Expr::IntegerConstant(..) => "an int",
        Expr::FloatConstant(..) => "a float",
        Expr::BoolConstant(..) => "a bool",
        Expr::DynamicConstant(value, _) if value.is_array() => "a list",
        _ => return None,
    };
    (!ends_early(ast)).then_some(kind)
}

/// Says whether a body may end before its last statement.
fn ends_early(ast: &AST) -> bool {
    let mut ends_early = false;
    for statement in ast.statements() {
        statement.walk(&mut Vec::new(), &mut |path| {
            ends_early |= match path.last() {
                Some(ASTNode::Stmt(Stmt::Return(..))) => true,
                Some(
                    ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _)),
                ) => call.name == "exit",
                _ => false,
            };
            true
        });
    }
    ends_early
}

struct Finder<'a> {
    variable: &'a str,
    ast: &'a AST,
    text: &'a str,
    own_functions: BTreeSet<&'a str>,
    reads: Vec<InputRead>,
    /// The entries that the script itself writes to the map.
    written: BTreeSet<String>,
    /// The closures that capture the variable.
    closures: Vec<String>,
    /// Whether the variable may have other entries, or another value was assigned to it.
    is_lost: bool,
}

impl<'a> Finder<'a> {
    fn new(variable: &'a str, ast: &'a AST, text: &'a str) -> Self {
        Self {
            variable,
            ast,
            text,
            own_functions: ast.iter_functions().map(|f| f.name).collect(),
            reads: Vec::new(),
            written: BTreeSet::new(),
            closures: Vec::new(),
            is_lost: false,
        }
    }

    fn find(mut self, look: impl FnOnce(&mut Self)) -> Vec<InputRead> {
        self.look_with_closures(look);
        let written = self.written;
        self.reads.retain(|read| !written.contains(&read.name));
        self.reads.sort_by_key(|read| read.span.start);
        if self.is_lost { Vec::new() } else { self.reads }
    }

    /// Says whether the variable and its entries stay unchanged.
    fn leaves_it(mut self, look: impl FnOnce(&mut Self)) -> bool {
        self.look_with_closures(look);
        !self.is_lost && self.written.is_empty()
    }

    fn look_with_closures(&mut self, look: impl FnOnce(&mut Self)) {
        look(self);
        let mut seen = BTreeSet::new();
        while let Some(closure) = self.closures.pop() {
            if seen.insert(closure.clone()) {
                self.look_into(&closure);
            }
        }
    }

    fn look_at_body(&mut self) {
        let ast = self.ast;
        let path = &mut Vec::new();
        for statement in ast.statements() {
            statement.walk(path, &mut |path| self.look(path));
        }
    }

    fn look_into(&mut self, function: &str) {
        let mut only = self.ast.clone();
        only.clear_statements();
        only.retain_functions(|_, _, name, _| name == function);
        only.walk(&mut |path| self.look(path));
    }

    fn is_it(&self, expression: &Expr) -> bool {
        matches!(expression, Expr::Variable(variable, ..) if variable.1 == self.variable)
    }

    /// Visits one node; always continues.
    fn look(&mut self, path: &[ASTNode]) -> bool {
        match path.last() {
            Some(ASTNode::Stmt(statement)) => self.look_at_statement(statement),
            Some(ASTNode::Expr(Expr::FnCall(call, _))) => self.look_at_call(call),
            Some(ASTNode::Expr(Expr::Dot(pair, ..) | Expr::Index(pair, ..)))
                if self.is_it(&pair.lhs) =>
            {
                match first_of(&pair.rhs) {
                    Expr::MethodCall(call, _) => self.is_lost |= self.may_add(call),
                    part => self.reads.extend(self.read(part)),
                }
            }
            _ => {}
        }
        true
    }

    fn look_at_statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Var(declared, ..) => self.is_lost |= declared.0.name == self.variable,
            Stmt::For(declared, _) => {
                let names = [Some(&declared.0), declared.1.as_ref()];
                let mut names = names.into_iter().flatten();
                self.is_lost |= names.any(|name| name.name == self.variable);
            }
            Stmt::TryCatch(flow, _) => self.is_lost |= self.is_it(&flow.expr),
            Stmt::FnCall(call, _) => self.look_at_call(call),
            Stmt::Assignment(assignment) => match &assignment.1.lhs {
                Expr::Dot(pair, ..) | Expr::Index(pair, ..) if self.is_it(&pair.lhs) => {
                    match self.read(first_of(&pair.rhs)) {
                        Some(written) => {
                            self.written.insert(written.name);
                        }
                        None => self.is_lost = true,
                    }
                }
                changed => self.is_lost |= self.is_it(changed),
            },
            _ => {}
        }
    }

    fn look_at_call(&mut self, call: &FnCallExpr) {
        if !call.args.iter().any(|argument| self.is_it(argument)) {
            return;
        }
        match (call.name.as_str(), call.args.first()) {
            // Rhai compiles a closure that captures variables to this.
            ("curry", Some(Expr::DynamicConstant(closure, _))) => {
                let name = closure.read_lock::<FnPtr>().map(|f| f.fn_name().to_owned());
                self.closures.extend(name);
            }
            _ => self.is_lost |= ADDING.contains(&call.name.as_str()),
        }
    }

    fn may_add(&self, method: &FnCallExpr) -> bool {
        let name = method.name.as_str();
        // One of the script's own functions may change `this`.
        ADDING.contains(&name) || self.own_functions.contains(name)
    }

    fn read(&self, part: &Expr) -> Option<InputRead> {
        let (name, span) = match part {
            Expr::Property(property, position) => {
                (property.2.to_string(), token_at(self.text, *position))
            }
            Expr::StringConstant(name, position) => {
                let quote = token_at(self.text, *position);
                let end = quote.end + name.len() + 1;
                (name.to_string(), quote.start..end.min(self.text.len()))
            }
            _ => return None,
        };
        Some(InputRead { name, span })
    }
}

/// Returns the first part of `.a.b` or `["a"].b`.
fn first_of(chain: &Expr) -> &Expr {
    match chain {
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => first_of(&pair.lhs),
        part => part,
    }
}
