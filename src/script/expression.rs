use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use rhai::{AST, ASTFlags, ASTNode, EvalAltResult, Expr, Scope};

use super::{
    absent, calls,
    dynamic::{from_dynamic, to_dynamic},
    fault::{Fault, offset, token_at},
    foreign,
    interpolation::compile_to_run,
    interpreter,
    limits::{self, EXPRESSION, Exceeded},
    lint,
    script::lowercase_first,
    secret::{REFERENCE, named, unread},
};
use windlass_world::value::{Place, Value};

/// The names that an expression of a workflow may read, in the order of its scope.
pub const ROOTS: &[&str] = &["params", "steps", "item", "run", "target"];

/// The expression between `${{` and `}}`: pure, parsed once, evaluated with [`Names`].
#[derive(Clone)]
pub struct Expression {
    text: String,
    ast: AST,
    reads: Vec<Read>,
    /// Whether it is nothing but one read, all of whose hops are known.
    is_plain: bool,
    /// The names that it may read; `reads` lists those that it does read.
    known: &'static [&'static str],
    roots: BTreeSet<&'static str>,
    /// Mistakes that earlier versions accepted: refused in new files, but not in those with which a run began.
    pub discouraged: Vec<Fault>,
}

/// One thing that an expression reads: `steps.root_ca.arn` is root `steps`, path `[root_ca, arn]`.
///
/// The path goes as far as it is written literally; `steps.relay[item].arn` is `[relay]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub root: &'static str,
    pub path: Vec<String>,
    /// Whether `path` is complete; false if an index or a method follows.
    pub is_whole: bool,
    /// As `path`, and further beyond an index: `steps.relay[item].arn` is `[relay, item, arn]`.
    pub hops: Vec<Hop>,
    /// The string literal with which the expression compares it.
    pub compared_with: Option<String>,
    /// Whether the expression compares its order, with `<` or `>`.
    pub is_ordered: bool,
    /// Whether the expression says what it makes of nothing here: it goes on with `?.` or `??`, or compares with `()`.
    pub tolerates_nothing: bool,
    /// The range in the expression's text, in bytes.
    pub span: Range<usize>,
}

/// One part of the way to a value that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hop {
    Name(String),
    /// The item for which the expression is evaluated.
    Item,
    /// An index that only the evaluation shows.
    Computed,
}

/// The values behind the names of an expression.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub params: Value,
    pub steps: Value,
    pub item: Value,
    pub run: Value,
    pub target: Value,
    /// The other names, for expressions outside of workflows.
    pub others: BTreeMap<&'static str, Value>,
    /// The entries of `steps` that are not there: to read one is an error.
    pub absent: Vec<Absent>,
    /// Whether a null within a text is the word `null`, instead of an error.
    pub writes_null: bool,
}

/// Stands for the name of an entry in the message of [`Absent`].
pub const MISSING_NAME: &str = "\0";

/// An entry that a map does not have.
#[derive(Clone, Debug)]
pub struct Absent {
    /// The way to the map.
    pub path: Vec<String>,
    /// `None` for every entry that the map does not have.
    pub name: Option<String>,
    /// The message of the error; a [`MISSING_NAME`] in it stands for the name of the entry.
    pub message: String,
}

impl Names {
    fn of(&self, root: &str) -> &Value {
        match root {
            "params" => &self.params,
            "steps" => &self.steps,
            "item" => &self.item,
            "run" => &self.run,
            "target" => &self.target,
            other => self.others.get(other).unwrap_or(&Value::Null),
        }
    }
}

/// An expression that could not be evaluated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`${{{{ {text} }}}}` could not be evaluated: {message}")]
pub struct ExpressionError {
    pub text: String,
    pub message: String,
    /// The position of the error in `text`, in bytes.
    pub at: usize,
    /// The place in the file, if the caller knows it.
    pub place: Option<Place>,
}

impl Expression {
    /// Parses and checks an expression.
    ///
    /// # Errors
    /// Every mistake in it, with spans of `text`: syntax, unknown names and functions, a bare
    /// `steps` (which would hide what is read).
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        Self::parse_over(text, ROOTS)
    }

    /// Parses and checks an expression over other names than [`ROOTS`].
    ///
    /// # Errors
    /// As [`Expression::parse`].
    pub fn parse_over(text: &str, known: &'static [&'static str]) -> Result<Self, Vec<Fault>> {
        let mut scope = Scope::new();
        for root in known {
            scope.push(*root, ());
        }
        let ast = interpreter::expressions()
            .compile_with_scope(&scope, in_double_quotes(text))
            .map_err(|e| {
                let span = if e.position().is_none() {
                    0..text.len()
                } else {
                    token_at(text, e.position())
                };
                let fault = Fault::new("syntax", span, lowercase_first(&e.err_type().to_string()));
                if let Some(hint) = foreign::hint(text, &fault.span, e.err_type()) {
                    return vec![fault.help(hint)];
                }
                vec![match e.err_type() {
                    rhai::ParseErrorType::ModuleUndefined(_) => fault
                        .help("an expression can't call host modules: call them in a step script"),
                    rhai::ParseErrorType::VariableUndefined(_) => {
                        let hyphened = with_hyphen(text, fault.span.clone());
                        fault.help(hyphened.unwrap_or_else(|| reads_of(known)))
                    }
                    _ => fault,
                }]
            })?;
        let (reads, mut faults) = find_reads(&ast, text, known);
        faults.extend(calls::check_expression(&ast, text));
        if ast.statements().len() != 1 {
            let message = match ast.statements().len() {
                0 => "the expression is empty",
                _ => "an expression must be one value, not several statements",
            };
            faults.push(Fault::new("syntax", 0..text.len(), message));
        }
        let run = compile_to_run(
            interpreter::expressions(),
            &scope,
            &in_double_quotes(text),
            &ast,
        );
        let run = run.map_err(|e| {
            let message = lowercase_first(&e.err_type().to_string());
            faults.push(Fault::new("syntax", 0..text.len(), message));
        });
        let structure = ast;
        let (Ok(ast), true) = (run, faults.is_empty()) else {
            return Err(faults);
        };
        let roots = reads.iter().map(|read| read.root).collect();
        let is_plain = is_one_read(&structure);
        let discouraged = lint::check_expression(&structure, text, known);
        Ok(Self {
            discouraged,
            text: text.into(),
            ast,
            reads,
            is_plain,
            known,
            roots,
        })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// Returns the path, if the expression is nothing but one path:
    /// `steps.root_ca.arn` but not `steps.root_ca.arn + "x"`.
    pub fn as_plain_read(&self) -> Option<&Read> {
        match self.reads.as_slice() {
            [read] if read.is_whole && read.span == (0..self.text.len()) => Some(read),
            _ => None,
        }
    }

    /// Returns the read, if the expression is nothing but one whose hops are all known: `steps.relay[item].arn`.
    pub fn as_hops(&self) -> Option<&Read> {
        self.reads.first().filter(|_| self.is_plain)
    }

    /// Returns the error for an expression that uses a secret which is not read yet.
    pub fn unread(&self, value: &Value) -> ExpressionError {
        self.unfit(unread(&value.to_text()))
    }

    /// Returns an error about the expression's value.
    pub fn unfit(&self, message: String) -> ExpressionError {
        ExpressionError {
            text: self.text.clone(),
            message,
            at: 0,
            place: None,
        }
    }

    /// Evaluates the expression.
    ///
    /// # Errors
    /// An [`ExpressionError`] with a message for the author and the byte of the mistake; the caller adds the file.
    pub fn evaluate(&self, names: &Names) -> Result<Value, ExpressionError> {
        let error_at = |at, message: String| ExpressionError {
            text: self.text.clone(),
            message,
            at,
            place: None,
        };
        let error = |message| error_at(0, message);
        let marks_absent = !names.absent.is_empty() && self.roots.contains("steps");
        let mut scope = Scope::new();
        for root in self.known {
            let value = match *root {
                "steps" if marks_absent => to_dynamic(&absent::mark(&names.steps, &names.absent)),
                root if self.roots.contains(root) => to_dynamic(names.of(root)),
                _ => rhai::Dynamic::UNIT,
            };
            scope.push_dynamic(*root, value);
        }
        let engine = if marks_absent {
            interpreter::strict_expressions()
        } else {
            interpreter::expressions()
        };
        let evaluate = || engine.eval_ast_with_scope::<rhai::Dynamic>(&mut scope, &self.ast);
        let evaluate = std::panic::AssertUnwindSafe(evaluate);
        let result = limits::within(EXPRESSION, || std::panic::catch_unwind(evaluate))
            .map_err(|_| error("the interpreter failed".into()))?
            .map_err(|mut e| {
                let position = e.take_position();
                error_at(offset(&self.text, position), explained(&e))
            })?;
        let value = from_dynamic(&result).map_err(|e| error(e.to_string()))?;
        Ok(if marks_absent {
            absent::without_marks(value)
        } else {
            value
        })
    }
}

/// Returns the advice for `params.a-b`, which Rhai reads as a difference, if the undefined name at `span` ends such a name.
fn with_hyphen(text: &str, span: Range<usize>) -> Option<String> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let before = text[..span.start].strip_suffix('-')?;
    let start = before.rfind(|c: char| !is_part(c) && c != '.');
    let path = &before[start.map_or(0, |at| at + 1)..];
    let (owner, begin) = path.rsplit_once('.')?;
    // A step has no such name.
    if owner.is_empty() || owner == "steps" {
        return None;
    }
    let rest = &text[span.start..];
    let end = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
    Some(format!(
        "`-` is a minus: read the name in brackets, `{owner}['{begin}-{end}']`"
    ))
}

/// Says whether an expression can read a name: it can't read `steps.go`, because `go` is a word that Rhai reserves
/// without using it.
pub fn is_readable(name: &str) -> bool {
    Expression::parse(&format!("params.{name}")).is_ok()
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${{{{ {} }}}}", self.text)
    }
}

fn explained(error: &EvalAltResult) -> String {
    match error.unwrap_inner() {
        EvalAltResult::ErrorTerminated(token, _) => match token.clone().try_cast::<Exceeded>() {
            Some(exceeded) => format!("the expression uses {exceeded}"),
            None => "the expression was stopped".into(),
        },
        // The thrown value may be nested too deeply for Rhai to print it.
        EvalAltResult::ErrorRuntime(thrown, _) => {
            from_dynamic(thrown).map_or_else(|e| e.to_string(), |value| value.to_text())
        }
        // Any other function, and a condition.
        EvalAltResult::ErrorFunctionNotFound(..) | EvalAltResult::ErrorMismatchDataType(..)
            if named(error).contains(REFERENCE) =>
        {
            unread("a secret")
        }
        _ => lowercase_first(&named(error)),
    }
}

/// Lists the names that an expression may read, for a message: `a`, `b` and `c`.
fn reads_of(known: &[&str]) -> String {
    let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    let (last, others) = names
        .split_last()
        .map_or(("", &[][..]), |(last, others)| (&**last, others));
    format!("an expression can read {} and {last}", others.join(", "))
}

fn find_reads(ast: &AST, text: &str, known: &'static [&'static str]) -> (Vec<Read>, Vec<Fault>) {
    let (mut reads, mut faults) = (Vec::new(), Vec::new());
    let knows_item = known.contains(&ITEM) && !has_own_names(ast);
    ast.walk(&mut |path: &[ASTNode]| {
        let Some(ASTNode::Expr(Expr::Variable(variable, _, position))) = path.last() else {
            return true;
        };
        let Some(root) = known.iter().copied().find(|root| *root == variable.1.as_str()) else {
            return true;
        };
        let parent = path.len().checked_sub(2).and_then(|i| path.get(i));
        let start = token_at(text, *position);
        let mut read = Read {
            root,
            path: Vec::new(),
            is_whole: true,
            hops: Vec::new(),
            compared_with: None,
            is_ordered: false,
            tolerates_nothing: tolerates_nothing(text, start.start),
            span: start.clone(),
        };
        match parent {
            Some(ASTNode::Expr(chain @ (Expr::Dot(pair, ..) | Expr::Index(pair, ..))))
                if matches!(&pair.lhs, Expr::Variable(_, _, at) if at == position) =>
            {
                follow(&pair.rhs, text, &mut read);
                hop(chain, knows_item, &mut read.hops);
                let around = path.len().checked_sub(3).and_then(|i| path.get(i));
                let whole = around.filter(|_| read.is_whole);
                read.compared_with = whole.and_then(literal_compared);
                read.is_ordered = whole.is_some_and(compares_order);
            }
            // A closure that captures `steps` is compiled to a curried call; its reads are in its body, which
            // is visited as well.
            Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(rhai::Stmt::FnCall(call, _)))
                if call.name == "curry" => return true,
            _ => {}
        }
        if root == "steps" && read.path.is_empty() {
            faults.push(
                Fault::new("bare-steps", start, "`steps` must be followed by the name of a step")
                    .help("write `steps.NAME.OUTPUT`, which shows the step that is read"),
            );
        }
        if !reads.contains(&read) {
            reads.push(read);
        }
        true
    });
    (reads, faults)
}

/// Says whether an expression says what it makes of nothing at the end of a chain, which begins at `start`: `steps.a?.b`, `steps.a.b ?? 1`,
/// `steps.a.b == ()`.
fn tolerates_nothing(text: &str, start: usize) -> bool {
    let before = text[..start].trim_end();
    let compared = before
        .strip_suffix("==")
        .or_else(|| before.strip_suffix("!="));
    if compared.is_some_and(|left| left.trim_end().ends_with("()")) {
        return true;
    }
    let mut rest = &text[start..];
    loop {
        rest = rest
            .trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
            .trim_start();
        if ["?.", "?[", "??"].iter().any(|mark| rest.starts_with(mark)) {
            return true;
        }
        let compared = rest.strip_prefix("==").or_else(|| rest.strip_prefix("!="));
        if let Some(right) = compared {
            return right.trim_start().starts_with("()");
        }
        // After the chain, only what is around it: `(steps.a.b) ?? 1`.
        let next = rest
            .strip_prefix(['.', ')'])
            .or_else(|| Some(rest.strip_prefix('[')?.split_once(']')?.1));
        let Some(next) = next else { return false };
        rest = next.trim_start();
    }
}

/// Returns the string literal that `==` or `!=` compares with something else.
fn literal_compared(node: &ASTNode) -> Option<String> {
    let (ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(rhai::Stmt::FnCall(call, _))) = node
    else {
        return None;
    };
    let literal = |arg: &Expr| match arg {
        Expr::StringConstant(text, _) => Some(text.to_string()),
        _ => None,
    };
    let compares = ["==", "!="].contains(&call.name.as_str());
    call.args.iter().find_map(literal).filter(|_| compares)
}

fn compares_order(node: &ASTNode) -> bool {
    match node {
        ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(rhai::Stmt::FnCall(call, _)) => {
            ["<", "<=", ">", ">="].contains(&call.name.as_str())
        }
        _ => false,
    }
}

/// The root that is the item of a `for_each`.
const ITEM: &str = "item";

/// Says whether an expression declares names, such as the parameters of a closure: one of them may be `item`.
fn has_own_names(ast: &AST) -> bool {
    let mut has = ast.iter_functions().next().is_some();
    ast.walk(&mut |path: &[ASTNode]| {
        has |= matches!(
            path.last(),
            Some(ASTNode::Stmt(rhai::Stmt::Var(..) | rhai::Stmt::For(..)))
        );
        !has
    });
    has
}

/// Says whether an expression is nothing but one read whose hops are all known.
fn is_one_read(ast: &AST) -> bool {
    let [rhai::Stmt::Expr(only)] = ast.statements() else {
        return false;
    };
    match only.as_ref() {
        Expr::Variable(..) => true,
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => {
            let mut hops = Vec::new();
            let is_way = matches!(pair.lhs, Expr::Variable(..)) && hop(only, true, &mut hops);
            is_way && !hops.contains(&Hop::Computed)
        }
        _ => false,
    }
}

/// Follows `.a["b"][item].c` after the head of a chain; returns `false` if something else follows.
fn hop(chain: &Expr, knows_item: bool, hops: &mut Vec<Hop>) -> bool {
    let (pair, ends, is_index) = match chain {
        Expr::Dot(pair, ..) => (pair, false, false),
        // In `a[b.c]`, the whole rest is the index; in `a[b].c`, it is the rest of the chain.
        Expr::Index(pair, flags, _) => (pair, flags.contains(ASTFlags::BREAK), true),
        _ => return false,
    };
    let (part, rest) = match &pair.rhs {
        rest @ (Expr::Dot(next, ..) | Expr::Index(next, ..)) if !ends => (&next.lhs, Some(rest)),
        last => (last, None),
    };
    hops.push(match part {
        Expr::Property(property, _) => Hop::Name(property.2.to_string()),
        Expr::StringConstant(name, _) => Hop::Name(name.to_string()),
        Expr::Variable(variable, ..) if knows_item && variable.1.as_str() == ITEM => Hop::Item,
        _ if is_index => Hop::Computed,
        _ => return false,
    });
    rest.is_none_or(|rest| hop(rest, knows_item, hops))
}

/// Allows strings in single quotes, which need no escape in YAML's double-quoted style. Rhai uses single
/// quotes for characters, which expressions do not need. Columns do not change.
fn in_double_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'', '`']) {
        let quote = rest[at..].chars().next().unwrap_or_default();
        let inside = &rest[at + 1..];
        let mut is_escaped = false;
        let end = inside.find(|c| {
            let ends = !is_escaped && c == quote;
            is_escaped = !is_escaped && c == '\\';
            ends
        });
        let Some(end) = end else { break };
        let literal = &inside[..end];
        let becomes = if quote == '\'' && !literal.contains('"') {
            '"'
        } else {
            quote
        };
        out.push_str(&rest[..at]);
        out.push(becomes);
        out.push_str(literal);
        out.push(becomes);
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    out
}

/// Follows `.a.b["c"]` as long as the parts are literal.
fn follow(rhs: &Expr, text: &str, read: &mut Read) {
    match rhs {
        Expr::Property(property, position) => {
            read.path.push(property.2.to_string());
            read.span.end = token_at(text, *position).end;
        }
        Expr::StringConstant(name, position) => {
            read.path.push(name.to_string());
            let start = token_at(text, *position).start;
            let rest = text[start..]
                .find(']')
                .map_or(text.len(), |i| start + i + 1);
            read.span.end = rest;
        }
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => {
            follow(&pair.lhs, text, read);
            if read.is_whole {
                follow(&pair.rhs, text, read);
            }
        }
        _ => read.is_whole = false,
    }
}

#[cfg(test)]
mod tests {
    use windlass_world::value::Reference;

    use super::*;

    /// The hops of an expression's only read, and whether it is nothing else.
    fn hops(text: &str) -> (String, bool) {
        let expression = Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        let read = expression.reads().iter().find(|read| read.root == "steps");
        let hops = read.map_or(&[][..], |read| &read.hops);
        let hops: Vec<_> = hops
            .iter()
            .map(|hop| match hop {
                Hop::Name(name) => name.as_str(),
                Hop::Item => "[]",
                Hop::Computed => "[…]",
            })
            .collect();
        (hops.join(" "), expression.as_hops().is_some())
    }

    #[test]
    fn a_comparison_with_a_literal_is_known() {
        for (text, wanted) in [
            ("run.status == 'failed'", Some("failed")),
            ("'failed' != run.status", Some("failed")),
            ("run.status == params.x", None),
            // Something is made of it first.
            ("run.status.to_upper() == 'FAILED'", None),
            ("run.status + 'x' == 'failedx'", None),
            ("run.status > 'failed'", None),
        ] {
            let expression = Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            let read = expression.reads().iter().find(|read| read.root == "run");
            let with = read.and_then(|read| read.compared_with.as_deref());
            assert_eq!(with, wanted, "{text}");
        }
    }

    /// Whatever the secret is, and however it is given.
    #[test]
    fn a_secret_that_is_not_read_yet_can_only_be_passed_on() {
        let reference = Reference::parse("env:PW");
        let reference = reference.expect("read").expect("a reference");
        let secret = Value::Reference(reference);
        let of = |entries: &[(&str, &Value)]| {
            let entries = entries.iter();
            Value::Map(
                entries
                    .map(|(k, v)| ((*k).to_owned(), (*v).clone()))
                    .collect(),
            )
        };
        let list = Value::List(vec![secret.clone()]);
        let names = Names {
            params: of(&[("s", &secret), ("t", &secret), ("all", &list)]),
            ..Names::default()
        };
        let evaluate = |text: &str| {
            let expression = Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            expression.evaluate(&names)
        };
        for text in [
            "params.s == 'x'",
            "'x' != params.s",
            "params.s == params.t",
            "params.s > 3",
            "3 <= params.s",
            "params.s in ['x']",
            "'x' in params.all",
            "params.all == ['x']",
            "switch params.s { 'x' => 1, _ => 2 }",
            "switch params.all { _ => 2 }",
            "params.s.to_string()",
            "params.s.to_debug()",
            "params.all.to_string()",
            "params.to_string()",
            "params.to_json()",
            "params.s + 'x'",
            "'x' + params.s",
            "`x ${params.s}`",
            "params.s.len()",
            "params.s.starts_with('x')",
            "params.s.contains('x')",
            "params.s.split(',')",
            "if params.s { 1 } else { 2 }",
            "!params.s",
            "params.s && true",
            "params.all.contains('x')",
            "params.all.index_of('x')",
            "[params.s].filter(|x| x == 'x')",
        ] {
            match evaluate(text) {
                Ok(value) => panic!("{text} is {value}"),
                Err(error) => assert!(
                    error.message.contains("can only pass it on"),
                    "{text}: {}",
                    error.message
                ),
            }
        }
        for (text, wanted) in [
            ("params.s", secret.clone()),
            ("params.all", list.clone()),
            ("[params.s]", list),
            ("params.s ?? 'x'", secret.clone()),
            ("if true { params.s } else { '' }", secret),
            ("params.s == ()", Value::Bool(false)),
            ("() != params.s", Value::Bool(true)),
            ("params.s != ''", Value::Bool(true)),
            ("params.all.len()", Value::Int(1)),
        ] {
            assert_eq!(evaluate(text).as_ref(), Ok(&wanted), "{text}");
        }
    }

    #[test]
    fn a_read_is_followed_over_the_item() {
        for (text, wanted, is_plain) in [
            ("steps.a.b", "a b", true),
            ("steps.a[item].b", "a [] b", true),
            ("steps.a.b[item]", "a b []", true),
            ("steps.a?[item]?.b", "a [] b", true),
            ("steps[\"a\"].b[item].c", "a b [] c", true),
            ("steps.a[item].b ?? []", "a [] b", false),
            ("steps.a[item].b.len()", "a [] b", false),
            ("steps.a.get(item).b", "a", false),
            ("steps.a[item + \"x\"].b", "a […] b", false),
            ("steps.a[0].b", "a […] b", false),
            ("steps.a[item.b].c", "a […] c", false),
            ("steps.a[item.b]", "a […]", false),
            ("steps.a[params.b].c.len()", "a […] c", false),
            ("steps.a.keys()", "a", false),
            ("steps.a[item][\"b\"].c[item]", "a [] b c []", true),
            ("steps.a.b + steps.a[item]", "a b", false),
            // Here, `item` is another one.
            ("params.all.map(|item| steps.a[item].b)", "a […] b", false),
            ("{ let item = 1; steps.a[item] }", "a […]", false),
        ] {
            assert_eq!(hops(text), (wanted.to_owned(), is_plain), "{text}");
        }
    }
}
