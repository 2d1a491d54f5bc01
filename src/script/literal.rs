//! Checks the literal arguments of a call against the row of its function. Arguments that are only known at run time are
//! not checked, so every mistake that is reported is certain.

use rhai::{Expr, FnCallExpr, Position};

use super::{
    fault::{Fault, token_at},
    host::{Function, NAMED_BY_PEOPLE, Need, Needs, Parameter, ScriptType, ValueKind, aws_mistake},
};
use windlass_ground::{closest, did_you_mean};
use windlass_world::{
    outside::Named,
    value::{Reference, Source, parse_duration},
    x509::Subject,
};

/// A mistake in the arguments of a call, with its place in the script.
pub(super) struct Wrong {
    position: Position,
    code: &'static str,
    message: String,
    help: Option<String>,
    /// Whether earlier versions accepted it, so that a run may have begun with it.
    pub was_accepted: bool,
}

impl Wrong {
    fn new(position: Position, message: String) -> Self {
        Self {
            position,
            code: "wrong-arguments",
            message,
            help: None,
            was_accepted: false,
        }
    }

    /// Marks a mistake that earlier versions accepted.
    fn accepted_before(self) -> Self {
        Self {
            was_accepted: true,
            ..self
        }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    pub fn as_fault(&self, text: &str) -> Fault {
        let mut span = token_at(text, self.position);
        // Covers the whole of a string, up to its closing quote.
        if text[span.clone()] == *"\""
            && let Some(length) = text[span.end..].find(['"', '\n'])
        {
            span.end += length + usize::from(text[span.end + length..].starts_with('"'));
        }
        let fault = Fault::new(self.code, span, self.message.clone());
        match &self.help {
            Some(help) => fault.help(help),
            None => fault,
        }
    }
}

/// Checks the literal arguments of a call.
pub(super) fn check(row: &Function, call: &FnCallExpr, position: Position) -> Vec<Wrong> {
    let mut check = Check {
        function: row.name,
        position,
        wrong: Vec::new(),
    };
    for (parameter, argument) in row.takes.iter().zip(&call.args) {
        check.value(parameter.name, parameter.kind, argument);
    }
    if matches!(row.needs, Needs::AwsOperation) {
        check.operation(call);
    }
    check.wrong
}

struct Check {
    function: &'static str,
    /// The position of the call.
    position: Position,
    wrong: Vec<Wrong>,
}

impl Check {
    /// Checks the names of an AWS service and operation.
    fn operation(&mut self, call: &FnCallExpr) {
        let text = |at: usize| match call.args.get(at) {
            Some(Expr::StringConstant(text, _)) => Some(text.as_str()),
            _ => None,
        };
        let is_described = match call.args.get(3) {
            Some(Expr::Map(map, _)) => map.0.iter().any(|(key, _)| key.name == "protocol"),
            // Unknown options may include the description of a service.
            Some(_) => true,
            None => false,
        };
        let Some(service) = text(0) else { return };
        if let Some((at, message, help)) = aws_mistake(service, text(1), is_described) {
            let position = call.args[at].position();
            let message = format!("`{}`: {message}", self.function);
            self.add(Wrong::new(position, message).help(help));
        }
    }

    /// Checks one argument, option or item; `name` is its name in messages.
    fn value(&mut self, name: &str, kind: ValueKind, given: &Expr) {
        match (kind, given) {
            (ValueKind::Either(kinds), _) => self.either(name, kinds, given),
            (ValueKind::Record(fields), Expr::Map(map, _)) => {
                let entries: Vec<_> = map
                    .0
                    .iter()
                    .map(|(key, value)| (key.name.as_str(), key.pos, value))
                    .collect();
                self.record(fields, &entries, given.position());
            }
            (ValueKind::Subject, Expr::Map(map, _)) => {
                for (key, value) in &map.0 {
                    self.attribute(key.name.as_str(), key.pos, value);
                }
            }
            (ValueKind::Map(item), Expr::Map(map, _)) => {
                for (key, value) in &map.0 {
                    self.value(&format!("{name}.{}", key.name), *item, value);
                }
            }
            (ValueKind::Tags, Expr::Map(map, _)) => {
                for (key, value) in &map.0 {
                    self.value(&format!("{name}.{}", key.name), ValueKind::Text, value);
                }
            }
            (ValueKind::List(item), Expr::Array(items, _)) => {
                for one in items {
                    self.value(name, *item, one);
                }
            }
            (ValueKind::Maybe(kind), _) => self.value(name, *kind, given),
            (ValueKind::Word(words), Expr::StringConstant(text, position)) => {
                self.word(name, words, text, *position);
            }
            (ValueKind::Duration, Expr::StringConstant(text, position)) => {
                if let Err(e) = parse_duration(text) {
                    self.add(Wrong::new(
                        *position,
                        format!("`{}`: `{name}`: {e}", self.function),
                    ));
                }
            }
            (ValueKind::Form(check), Expr::StringConstant(text, position)) => {
                self.form(name, check(text), *position);
            }
            (ValueKind::SecretReference, Expr::StringConstant(text, position)) => {
                self.form(name, check_reference(text), *position);
            }
            (ValueKind::Between(first, last), Expr::IntegerConstant(given, position))
                if !(first..=last).contains(given) =>
            {
                let why = format!("{given} is not from {first} to {last}");
                self.form(name, Err(why), *position);
            }
            (ValueKind::Object | ValueKind::Workload, Expr::StringConstant(text, position)) => {
                if let Err(e) = Named::parse("", text) {
                    self.add(Wrong::new(*position, format!("`{}`: {e}", self.function)));
                }
            }
            _ => {
                if let Some(found) = type_of(given).filter(|found| !fits(kind, *found)) {
                    let message = format!(
                        "`{}`: `{name}` must be {}, not {}",
                        self.function,
                        in_words(kind),
                        found.a_value()
                    );
                    self.add(Wrong::new(given.position(), message));
                }
            }
        }
    }

    /// Reports a literal whose type is right, but which the function rejects.
    fn form(&mut self, name: &str, checked: Result<(), String>, position: Position) {
        if let Err(why) = checked {
            let message = format!("`{}`: `{name}`: {why}", self.function);
            self.add(Wrong::new(position, message).accepted_before());
        }
    }

    /// Reports details only for the one kind that the literal can be.
    fn either(&mut self, name: &str, kinds: &'static [ValueKind], given: &Expr) {
        let Some(found) = type_of(given) else {
            return;
        };
        let fitting: Vec<_> = kinds.iter().filter(|kind| fits(**kind, found)).collect();
        match fitting.as_slice() {
            [] => {
                let kinds: Vec<_> = kinds.iter().map(|kind| in_words(*kind)).collect();
                let message = format!(
                    "`{}`: `{name}` must be {}, not {}",
                    self.function,
                    kinds.join(" or "),
                    found.a_value()
                );
                self.add(Wrong::new(given.position(), message));
            }
            [one] => self.value(name, **one, given),
            _ => {}
        }
    }

    fn record(
        &mut self,
        fields: &'static [Parameter],
        entries: &[(&str, Position, &Expr)],
        position: Position,
    ) {
        for (key, at, value) in entries {
            match fields.iter().find(|field| field.name == *key) {
                // An option with the value `()` counts as not given.
                Some(_) if matches!(value, Expr::Unit(_)) => {}
                Some(field) => self.value(field.name, field.kind, value),
                None => self.unknown(fields, key, *at),
            }
        }
        let is_given = |name: &str| {
            let given = entries.iter().find(|(key, ..)| *key == name);
            given.is_some_and(|(.., value)| !matches!(value, Expr::Unit(_)))
        };
        // A misspelt option is not reported as missing too.
        let is_misspelt = |name: &str| {
            let mut unknown = entries
                .iter()
                .map(|(key, ..)| *key)
                .filter(|key| fields.iter().all(|field| field.name != *key));
            unknown.any(|key| closest(key, fields.iter().map(|field| field.name)) == Some(name))
        };
        let missing: Vec<_> = fields
            .iter()
            .filter(|field| {
                field.need == Need::Required && !is_given(field.name) && !is_misspelt(field.name)
            })
            .map(|field| format!("`{}`", field.name))
            .collect();
        if !missing.is_empty() {
            let position = if position.is_none() {
                self.position
            } else {
                position
            };
            let message = format!("`{}` needs {}", self.function, missing.join(", "));
            let names: Vec<_> = fields.iter().map(|field| field.name).collect();
            self.add(Wrong::new(position, message).help(format!("it takes {}", names.join(", "))));
        }
    }

    fn unknown(&mut self, fields: &'static [Parameter], key: &str, position: Position) {
        let names = || fields.iter().map(|field| field.name);
        let message = format!("`{}` has no option `{key}`", self.function);
        let help = match closest(key, names()) {
            Some(near) => did_you_mean(near),
            None => format!("it takes {}", names().collect::<Vec<_>>().join(", ")),
        };
        self.add(Wrong {
            code: "unknown-option",
            was_accepted: WITHDRAWN.contains(&(self.function, key)),
            ..Wrong::new(position, message).help(help)
        });
    }

    fn attribute(&mut self, name: &str, position: Position, value: &Expr) {
        if !Subject::has_attribute(name) {
            let message = format!("a subject has no attribute `{name}`");
            let wrong = Wrong::new(position, message);
            self.add(match closest(name, Subject::attributes()) {
                Some(near) => wrong.help(did_you_mean(near)),
                None => {
                    let names: Vec<_> = Subject::attributes().collect();
                    wrong.help(format!("it has {}", names.join(", ")))
                }
            });
            return;
        }
        match value {
            Expr::StringConstant(text, position) => {
                if let Err(e) = Subject::default().set(name, text.to_string()) {
                    self.add(Wrong::new(*position, e.to_string()));
                }
            }
            value => self.value(name, ValueKind::Text, value),
        }
    }

    fn word(&mut self, name: &str, words: &'static [&'static str], text: &str, position: Position) {
        if words.contains(&text) {
            return;
        }
        let message = format!("`{}`: `{text}` is not a valid `{name}`", self.function);
        let help = match closest(text, words.iter().copied()) {
            Some(near) => did_you_mean(near),
            None => format!("the allowed values are {}", words.join(", ")),
        };
        self.add(Wrong::new(position, message).help(help));
    }

    fn add(&mut self, wrong: Wrong) {
        self.wrong.push(wrong);
    }
}

/// Options that functions of earlier versions took, and ignored.
const WITHDRAWN: [(&str, &str); 3] = [
    ("http::get", "undo"),
    ("http::head", "undo"),
    ("http::options", "undo"),
];

fn check_reference(text: &str) -> Result<(), String> {
    match Reference::parse(text) {
        Ok(Some(reference)) => match reference.source() {
            Source::File { .. } | Source::Variable { .. } => Err(NAMED_BY_PEOPLE.to_owned()),
            _ => Ok(()),
        },
        Ok(None) => Err(format!(
            "`{text}` does not begin like a reference, such as `ssm:`"
        )),
        Err(e) => Err(e.to_string()),
    }
}

/// Returns the type of a literal; `None` for a value that is only known at run time.
fn type_of(expression: &Expr) -> Option<ScriptType> {
    match expression {
        Expr::BoolConstant(..) => Some(ScriptType::Bool),
        Expr::FloatConstant(..) => Some(ScriptType::Float),
        Expr::IntegerConstant(..) => Some(ScriptType::Int),
        Expr::Array(..) => Some(ScriptType::List),
        Expr::Map(..) => Some(ScriptType::Map),
        Expr::StringConstant(..) | Expr::InterpolatedString(..) => Some(ScriptType::Text),
        _ => None,
    }
}

fn fits(kind: ValueKind, literal: ScriptType) -> bool {
    match kind {
        ValueKind::Any => true,
        ValueKind::Maybe(kind) => fits(*kind, literal),
        ValueKind::Either(kinds) => kinds.iter().any(|kind| fits(*kind, literal)),
        ValueKind::Float if literal == ScriptType::Int => true,
        // No literal can be a secret, bytes, or a function.
        kind => kind.script_type() == literal,
    }
}

fn in_words(kind: ValueKind) -> String {
    match kind {
        ValueKind::Duration => "a duration, such as `30s`".to_owned(),
        ValueKind::Maybe(kind) => in_words(*kind),
        ValueKind::Either(_) => ScriptType::Text.a_value(),
        kind => kind.script_type().a_value(),
    }
}
