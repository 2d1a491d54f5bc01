use std::{collections::BTreeMap, ops::Range};

use rhai::{AST, Expr, Position, Stmt};

use super::{
    dynamic::from_dynamic,
    fault::{Fault, token_at},
};
use windlass_world::value::{ParseTypeError, StepError, Type, Value};

/// The inputs (`const INPUTS`) or outputs (`const OUTPUTS`) that a script declares.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    pub fields: BTreeMap<String, Field>,
}

/// One input or output. Without a default it is required, unless its type is optional.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub ty: Type,
    pub default: Option<Value>,
}

impl Field {
    pub fn is_required(&self) -> bool {
        self.default.is_none() && !self.ty.is_optional()
    }
}

impl Signature {
    /// Reads the constant `name` of a script, without running anything. Returns `Ok(None)` if there is
    /// no such constant.
    ///
    /// # Errors
    /// One fault for each entry that is not a valid declaration.
    pub(super) fn read(ast: &AST, text: &str, name: &str) -> Result<Option<Self>, Vec<Fault>> {
        let Some((.., value)) = ast
            .iter_literal_variables(true, true)
            .find(|(found, ..)| *found == name)
        else {
            return match span_of(text, &format!("const {name}")) {
                Some(span) => Err(vec![not_literal(name, span)]),
                None => Ok(None),
            };
        };
        let places = Declared::of(ast, name);
        let span = places.constant.map_or(0..0, |at| token_at(text, at));
        let Ok(Value::Map(map)) = from_dynamic(&value) else {
            return Err(vec![not_literal(name, span)]);
        };
        let mut signature = Self::default();
        let mut faults = Vec::new();
        for (field, declared) in map {
            let place = places.fields.get(&field);
            let place = place.map_or(span.clone(), |at| token_at(text, *at));
            match declared.as_str().map(parse_field) {
                Some(Ok(parsed)) => {
                    signature.fields.insert(field, parsed);
                }
                Some(Err((message, meant))) => {
                    let fault = Fault::new("bad-signature", place, message);
                    faults.push(match meant {
                        Some(ty) => fault.help(format!("write `{ty}`")),
                        None => fault,
                    });
                }
                None => faults.push(
                    Fault::new(
                        "bad-signature",
                        place,
                        format!(
                            "`{field}` must be declared by a string, not by a {}",
                            declared.kind()
                        ),
                    )
                    .help(
                        "write a type and, if it is optional, a default: `\"string = RSA_2048\"`",
                    ),
                ),
            }
        }
        if faults.is_empty() {
            Ok(Some(signature))
        } else {
            Err(faults)
        }
    }

    /// Adds defaults to the given values and checks every value; `widens` makes ints floats where floats are declared.
    ///
    /// # Errors
    /// The first value that is unknown, missing or of the wrong type.
    pub fn bind(
        &self,
        mut given: BTreeMap<String, Value>,
        widens: bool,
    ) -> Result<Value, StepError> {
        if let Some(name) = given.keys().find(|name| !self.fields.contains_key(*name)) {
            return Err(StepError::new(
                "unknown-input",
                format!("the script has no input `{name}`"),
            ));
        }
        self.complete(&mut given);
        for (name, field) in &self.fields {
            let value = given.entry(name.clone()).or_insert(Value::Null);
            if *value == Value::Null && field.is_required() {
                return Err(StepError::new(
                    "missing-input",
                    format!("the input `{name}` has no value"),
                )
                .with_hint(
                    "its expression is `()`: check whether the step that it reads was skipped",
                ));
            }
            field.ty.check(value).map_err(|e| {
                StepError::new(
                    "wrong-type",
                    format!("the input `{name}` does not fit: {e}"),
                )
            })?;
        }
        if widens {
            self.widen(&mut given);
        }
        Ok(Value::Map(given))
    }

    /// Makes ints floats where floats are declared.
    pub fn widen(&self, values: &mut BTreeMap<String, Value>) {
        for (name, value) in values {
            if let Some(field) = self.fields.get(name) {
                *value = field.ty.widen(std::mem::take(value));
            }
        }
    }

    /// Adds the default of each value that is missing.
    pub fn complete(&self, given: &mut BTreeMap<String, Value>) {
        for (name, field) in &self.fields {
            let value = given.entry(name.clone()).or_insert(Value::Null);
            if *value == Value::Null
                && let Some(default) = &field.default
            {
                *value = default.clone();
            }
        }
    }

    /// Checks the outputs that a script returned; `widens` makes ints floats where floats are declared.
    ///
    /// # Errors
    /// The first output that is missing, undeclared or of the wrong type.
    pub fn fit_outputs(
        &self,
        mut returned: BTreeMap<String, Value>,
        widens: bool,
    ) -> Result<BTreeMap<String, Value>, StepError> {
        for (name, field) in &self.fields {
            let value = returned.get(name).unwrap_or(&Value::Null);
            field.ty.check(value).map_err(|e| {
                StepError::new(
                    "wrong-output",
                    format!("the script's output `{name}` does not fit its OUTPUTS: {e}"),
                )
            })?;
        }
        if let Some(name) = returned
            .keys()
            .find(|name| !self.fields.contains_key(*name))
        {
            return Err(StepError::new(
                "wrong-output",
                format!("the script returned `{name}`, but its OUTPUTS do not declare it"),
            ));
        }
        if widens {
            self.widen(&mut returned);
        }
        Ok(returned)
    }
}

fn not_literal(name: &str, span: Range<usize>) -> Fault {
    Fault::new(
        "bad-signature",
        span,
        format!("`{name}` must be a literal map of strings"),
    )
    .help(format!(
        "it is read without running the script, so write `const {name} = #{{ name: \"string\" }};`"
    ))
}

/// Reads a declaration. The error is a message and the type that was probably meant.
fn parse_field(text: &str) -> Result<Field, (String, Option<String>)> {
    let (ty, default) = match text.split_once('=') {
        Some((ty, default)) => (ty.trim(), Some(default.trim())),
        None => (text.trim(), None),
    };
    let ty: Type = ty
        .parse()
        .map_err(|e: ParseTypeError| (e.to_string(), e.meant()))?;
    let Some(default) = default else {
        return Ok(Field { ty, default: None });
    };
    // `string = RSA_2048` needs no quotes; all other defaults are JSON.
    let value = match serde_json::from_str(default) {
        Ok(json) => Value::from_json(json),
        Err(_) => Value::from(default),
    };
    ty.check(&value)
        .map_err(|e| (format!("the default does not fit: {e}"), None))?;
    Ok(Field {
        ty,
        default: Some(value),
    })
}

/// Where a constant and the entries of its map stand in the text.
#[derive(Default)]
struct Declared {
    constant: Option<Position>,
    fields: BTreeMap<String, Position>,
}

impl Declared {
    fn of(ast: &AST, name: &str) -> Self {
        let mut places = Self::default();
        for statement in ast.statements() {
            let Stmt::Var(variable, ..) = statement else {
                continue;
            };
            let (ident, value, _) = &**variable;
            if ident.name != name {
                continue;
            }
            places.constant = Some(ident.pos);
            if let Expr::Map(map, _) = value {
                let entries = map.0.iter();
                let entries = entries.map(|(key, _)| (key.name.to_string(), key.pos));
                places.fields.extend(entries);
            }
        }
        places
    }
}

fn span_of(text: &str, word: &str) -> Option<Range<usize>> {
    text.find(word).map(|at| at..at + word.len())
}
