use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    align::places_of,
    document::{Kind, Node, Style},
    fields::Report,
    mistake::Mistake,
};
use windlass_script::{
    Expression, ExpressionError, Fault, Names, Places, Read, interpolated,
    lexer::{Quoting, end_of_expression},
};
use windlass_world::value::{Place, Secret, Value};

/// A value of a workflow file that may hold expressions.
///
/// A text that is a single `${{ expression }}` keeps the expression's type; in a longer text, the value is
/// interpolated.
#[derive(Clone, Debug)]
pub enum Template {
    Literal(Value),
    Expression(Placed),
    Text(Vec<Part>),
    List(Vec<Template>),
    Map(BTreeMap<String, Template>),
}

#[derive(Clone, Debug)]
pub enum Part {
    Text(String),
    Expression(Placed),
}

/// An expression and its place in its file.
#[derive(Clone, Debug)]
pub struct Placed {
    pub expression: Arc<Expression>,
    file: Arc<str>,
    /// The whole text that contains it.
    text: Arc<str>,
    /// The places of that text.
    places: Arc<Places>,
    /// Its start in that text.
    start: usize,
}

impl Placed {
    /// Returns its place in the file.
    pub fn place(&self) -> Option<Place> {
        self.place_of(0)
    }

    /// Evaluates it; an error contains the place in the file.
    fn evaluate(&self, names: &Names) -> Result<Value, ExpressionError> {
        self.expression.evaluate(names).map_err(|error| {
            let place = self.place_of(error.at);
            ExpressionError { place, ..error }
        })
    }

    /// Returns the error for a text with a secret that is not text.
    fn not_text(&self, why: impl ToString) -> ExpressionError {
        ExpressionError {
            place: self.place(),
            ..self.expression.unfit(why.to_string())
        }
    }

    /// Returns the error for a text with a value that is not there.
    fn nothing(&self) -> ExpressionError {
        self.not_text(
            "it is null, which can't be a part of a text; say what to write instead: `… ?? \"\"`",
        )
    }

    /// Returns the error for a text with a secret that is not read yet.
    fn unread(&self, value: &Value) -> ExpressionError {
        ExpressionError {
            place: self.place(),
            ..self.expression.unread(value)
        }
    }

    fn place_of(&self, at: usize) -> Option<Place> {
        self.places
            .place_of(&self.file, &self.text, self.start + at)
    }

    /// Returns the range in the file of one of the expression's reads.
    pub fn span_of(&self, read: &Read) -> Range<usize> {
        let span = self.start + read.span.start..self.start + read.span.end;
        self.places.span_of(span)
    }
}

impl Template {
    /// Returns its value, if it has no expressions.
    pub fn constant(&self) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value.clone()),
            Self::List(items) => {
                let items = items.iter().map(Self::constant);
                items.collect::<Option<_>>().map(Value::List)
            }
            Self::Map(map) => {
                let items = map.iter();
                let items = items.map(|(key, item)| Some((key.clone(), item.constant()?)));
                items.collect::<Option<_>>().map(Value::Map)
            }
            Self::Expression(_) | Self::Text(_) => None,
        }
    }

    /// Returns the type of its value with an article, as in "a list"; an expression may return any type.
    pub fn a_kind(&self) -> Option<&'static str> {
        match self {
            Self::Literal(value) => Some(value.a_kind()),
            Self::Expression(_) => None,
            Self::Text(_) => Some("a string"),
            Self::List(_) => Some("a list"),
            Self::Map(_) => Some("a map"),
        }
    }

    /// Says whether it equals another template, regardless of their places.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let same = |a: &Placed, b: &Placed| a.expression.text() == b.expression.text();
        match (self, other) {
            (Self::Literal(a), Self::Literal(b)) => a == b,
            (Self::Expression(a), Self::Expression(b)) => same(a, b),
            (Self::Text(a), Self::Text(b)) => {
                let same = |(a, b): (&Part, &Part)| match (a, b) {
                    (Part::Text(a), Part::Text(b)) => a == b,
                    (Part::Expression(a), Part::Expression(b)) => same(a, b),
                    _ => false,
                };
                a.len() == b.len() && a.iter().zip(b).all(same)
            }
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says_the_same(b))
            }
            (Self::Map(a), Self::Map(b)) => {
                let same = |((name, a), (other, b)): ((&String, &Self), (&String, &Self))| {
                    name == other && a.says_the_same(b)
                };
                a.len() == b.len() && a.iter().zip(b).all(same)
            }
            _ => false,
        }
    }

    /// Evaluates every expression in it.
    ///
    /// # Errors
    /// The first expression that could not be evaluated.
    pub fn evaluate(&self, names: &Names) -> Result<Value, ExpressionError> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Expression(placed) => placed.evaluate(names)?,
            Self::Text(parts) => interpolate(parts, names)?,
            Self::List(items) => Value::List(
                items
                    .iter()
                    .map(|item| item.evaluate(names))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(key, item)| Ok((key.clone(), item.evaluate(names)?)))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }

    /// Lists the expressions in it, in the order of the text.
    pub fn expressions(&self) -> Vec<&Placed> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Expression(placed) => vec![placed],
            Self::Text(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Expression(placed) => Some(placed),
                    Part::Text(_) => None,
                })
                .collect(),
            Self::List(items) => items.iter().flat_map(Self::expressions).collect(),
            Self::Map(entries) => entries.values().flat_map(Self::expressions).collect(),
        }
    }

    /// Returns the place of its first expression.
    pub fn place(&self) -> Option<Place> {
        self.expressions().first()?.place()
    }

    /// Reads a node; expressions that do not parse are reported and replaced by empty text.
    pub(super) fn read(report: &mut Report, node: &Node) -> Self {
        match &node.kind {
            Kind::List(items) => {
                Self::List(items.iter().map(|item| Self::read(report, item)).collect())
            }
            Kind::Map(entries) => Self::Map(
                entries
                    .iter()
                    .map(|(key, item)| (key.name.clone(), Self::read(report, item)))
                    .collect(),
            ),
            Kind::Scalar {
                value: Value::String(text),
                style,
                ..
            } if text.contains("${{") => read_text(report, node, text, *style),
            Kind::Scalar { value, .. } => {
                if let Value::String(text) = value {
                    check_plain(report, &places_of(report.text, node), text, 0);
                }
                Self::Literal(value.clone())
            }
        }
    }
}

/// A text that contains a secret is a secret.
fn interpolate(parts: &[Part], names: &Names) -> Result<Value, ExpressionError> {
    let (mut text, mut is_secret) = (String::new(), false);
    for part in parts {
        match part {
            Part::Text(literal) => text.push_str(literal),
            Part::Expression(placed) => match placed.evaluate(names)? {
                value if value.holds_reference() => return Err(placed.unread(&value)),
                Value::Null if !names.writes_null => return Err(placed.nothing()),
                Value::Secret(secret) => {
                    is_secret = true;
                    text.push_str(secret.text().map_err(|why| placed.not_text(why))?);
                }
                value => {
                    if value.holds_secret() {
                        is_secret = true;
                        let sayable = value.check_sayable("a text");
                        sayable.map_err(|why| placed.not_text(why))?;
                    }
                    text.push_str(&value.revealed().to_text());
                }
            },
        }
    }
    Ok(if is_secret {
        Value::Secret(Secret::new(text))
    } else {
        Value::String(text)
    })
}

fn read_text(report: &mut Report, node: &Node, text: &str, style: Style) -> Template {
    let places = Arc::new(places_of(report.text, node));
    let whole: Arc<str> = text.into();
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(open) = rest.find("${{") {
        if open > 0 {
            let start = text.len() - rest.len();
            check_plain(report, &places, &rest[..open], start);
            parts.push(Part::Text(rest[..open].into()));
        }
        let inside = &rest[open + 3..];
        let start = text.len() - inside.len();
        let Some(close) = end_of_expression(inside, 0, inside.len(), Quoting::None) else {
            let mark = places.span_of(start - 3..start);
            let help = if style == Style::Plain && ends_in_comment(report.text, node) {
                "for YAML, ` #` starts a comment: put the whole value in quotes, `'${{ #{ … } }}'`"
            } else {
                "write an expression between `${{` and `}}`"
            };
            let mistake = report.at("syntax", mark, "the expression has no `}}`");
            report.add(mistake.help(help));
            return Template::Literal(Value::Null);
        };
        rest = &inside[close + 2..];
        let trimmed = inside[..close].trim();
        let start = start + (inside.len() - inside.trim_start().len());
        match Expression::parse_over(trimmed, report.roots) {
            Ok(expression) => {
                for fault in expression.discouraged.clone() {
                    report.add_in_new(placed(fault, start, &places, report));
                }
                parts.push(Part::Expression(Placed {
                    expression: Arc::new(expression),
                    file: report.file.clone(),
                    text: whole.clone(),
                    places: places.clone(),
                    start,
                }));
            }
            Err(faults) => {
                for fault in faults {
                    report.add(placed(fault, start, &places, report));
                }
                parts.push(Part::Text(String::new()));
            }
        }
    }
    check_plain(report, &places, rest, text.len() - rest.len());
    let rest = match style {
        // A block scalar ends with a line end that its author did not intend.
        Style::Block if matches!(parts.as_slice(), [Part::Expression(_)]) => rest.trim_end(),
        _ => rest,
    };
    match (parts.as_slice(), rest) {
        ([Part::Expression(placed)], "") => Template::Expression(placed.clone()),
        _ => {
            if !rest.is_empty() {
                parts.push(Part::Text(rest.into()));
            }
            Template::Text(parts)
        }
    }
}

/// Returns the mistake of an expression that begins at `start` in its text.
fn placed(mut fault: Fault, start: usize, places: &Places, report: &Report) -> Mistake {
    let span = start + fault.span.start..start + fault.span.end;
    fault.span = places.span_of(span);
    Mistake::from_fault(fault, report.file, report.text)
}

/// Refuses a part of a text, from `start`, that looks like an expression and is none: `${params.name}`.
fn check_plain(report: &mut Report, places: &Places, part: &str, start: usize) {
    check_braces(report, places, part, start);
    let Some(read) = interpolated(part, report.roots) else {
        return;
    };
    let at = start + part.find(read).unwrap_or_default();
    let span = places.span_of(at..at + read.len());
    let (inside, rest) = (&read[2..read.len() - 1], &read[1..]);
    let mistake = report.at("syntax", span, format!("`{read}` is plain text"));
    report.add_in_new(mistake.help(format!(
        "write `${{{{ {inside} }}}}` for the expression, or `${{{{ '$' }}}}{rest}` for the text"
    )));
}

/// Reports an expression in the braces of other tools: `{{ params.name }}`.
fn check_braces(report: &mut Report, places: &Places, part: &str, start: usize) {
    let found = part.match_indices("{{").find_map(|(at, open)| {
        let inside = &part[at + open.len()..];
        let inside = &inside[..inside.find("}}")?];
        let text = inside.trim();
        let root = report.roots.iter().find(|root| text.starts_with(**root))?;
        let is_read = text[root.len()..].starts_with(['.', '[']) || text == "item";
        is_read.then(|| (at..at + 2 * open.len() + inside.len(), text))
    });
    let Some((span, text)) = found else {
        return;
    };
    let written = &part[span.clone()];
    let span = places.span_of(start + span.start..start + span.end);
    let mistake = report.at("syntax", span, format!("`{written}` is plain text"));
    report.add_in_new(mistake.help(format!(
        "write `${{{{ {text} }}}}` for the expression, or `${{{{ '{{{{' }}}}{}` for the text",
        &written[2..]
    )));
}

/// Says whether the line of a plain scalar contains what YAML takes for a comment.
fn ends_in_comment(file: &str, node: &Node) -> bool {
    let after = file.get(node.span.start..).unwrap_or_default();
    let line = after.lines().next().unwrap_or_default();
    line.contains(" #")
}
