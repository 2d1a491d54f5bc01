use std::cmp::Ordering;

use super::{
    document::Node,
    fields::{Fields, Report},
    template::Template,
};
use windlass_world::value::{Type, Value, parse_duration};

/// Restricts a param's value in addition to its type. For a list or a map, it applies to every item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// The allowed values; empty for any.
    pub one_of: Vec<Value>,
    pub none_of: Vec<Value>,
    pub min: Option<Value>,
    pub max: Option<Value>,
}

impl Limits {
    /// Checks a value of the param's type.
    ///
    /// # Errors
    /// The violated limit, such as `0 is less than 1`.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        match value {
            Value::Null => return Ok(()),
            Value::List(items) => return items.iter().try_for_each(|item| self.check(item)),
            Value::Map(map) => return map.values().try_for_each(|item| self.check(item)),
            _ => {}
        }
        if !self.one_of.is_empty() && !self.one_of.contains(value) {
            return Err(format!("{value} is not one of {}", listed(&self.one_of)));
        }
        if self.none_of.contains(value) {
            return Err(format!("it must not be {value}"));
        }
        let is_beyond = |limit: &Option<Value>, beyond: Ordering| {
            let limit = limit.as_ref()?;
            (compare(value, limit)? == beyond).then(|| limit.clone())
        };
        if let Some(min) = is_beyond(&self.min, Ordering::Less) {
            return Err(format!("{value} is less than {min}"));
        }
        match is_beyond(&self.max, Ordering::Greater) {
            Some(max) => Err(format!("{value} is more than {max}")),
            None => Ok(()),
        }
    }

    /// Reads the keys of a param that limit its value.
    pub(super) fn read(report: &mut Report, fields: &mut Fields, ty: Option<&Type>) -> Self {
        let place_of_max = fields.peek("max").map(|node| node.span.clone());
        let mut list = |report: &mut Report, key| {
            let node = fields.take(key)?;
            match Template::read(report, node) {
                Template::List(items) if items.is_empty() && key == "one_of" => {
                    let message = "`one_of` is empty, so it has no effect";
                    let mistake = report.at("wrong-type", node.span.clone(), message);
                    report.add_in_new(mistake.help("remove `one_of` for any value"));
                    None
                }
                Template::List(items) => items
                    .iter()
                    .map(|item| fitting(report, node, ty?, key, item.constant()?))
                    .collect(),
                _ => {
                    report.wrong_type(node, &format!("`{key}`"), "a list of values");
                    None
                }
            }
        };
        let one_of: Option<Vec<_>> = list(report, "one_of");
        let none_of: Option<Vec<_>> = list(report, "none_of");
        let mut end = |report: &mut Report, key| {
            let node = fields.take(key)?;
            let value = Template::read(report, node).constant()?;
            if !matches!(leaf(ty?), Type::Int | Type::Float | Type::Duration) {
                let message = format!("`{key}` is for numbers and durations");
                let mistake = report.at("wrong-type", node.span.clone(), message);
                report.add(mistake.help("for a string, list the values: `one_of: [a, b]`"));
                return None;
            }
            fitting(report, node, ty?, key, value)
        };
        let (min, max) = (end(report, "min"), end(report, "max"));
        if let (Some(min), Some(max)) = (&min, &max)
            && compare(min, max) == Some(Ordering::Greater)
            && let Some(span) = place_of_max
        {
            let message = format!("`max` is less than `min`, {min}, so no value would fit");
            let mistake = report.at("wrong-type", span, message);
            report.add_in_new(mistake);
        }
        Self {
            one_of: one_of.unwrap_or_default(),
            none_of: none_of.unwrap_or_default(),
            min,
            max,
        }
    }
}

/// Reports a limit that no value meets, or that every value meets: it must be a mistake.
fn fitting(report: &mut Report, node: &Node, ty: &Type, key: &str, value: Value) -> Option<Value> {
    match leaf(ty).check(&value) {
        Ok(()) => Some(value),
        Err(e) => {
            let message = format!("`{key}` does not fit the param's type: {e}");
            let mistake = report.at("wrong-type", node.span.clone(), message);
            report.add(mistake);
            None
        }
    }
}

/// Returns the innermost type of lists and maps.
fn leaf(ty: &Type) -> &Type {
    match ty {
        Type::Optional(inner) | Type::List(inner) | Type::Map(inner) => leaf(inner),
        ty => ty,
    }
}

/// Compares two numbers, or two durations. Integers are compared as such: a float does not hold all of them.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (one, other) => measure(one)?.partial_cmp(&measure(other)?),
    }
}

/// Returns a value that can be compared: a number, or the seconds of a duration.
fn measure(value: &Value) -> Option<f64> {
    match value {
        Value::Int(i) => Some(*i as f64),
        Value::Float(x) => Some(*x),
        Value::String(text) => parse_duration(text).ok().map(|d| d.as_secs_f64()),
        _ => None,
    }
}

fn listed(values: &[Value]) -> String {
    let texts: Vec<_> = values.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_for_every_item() {
        let limits = Limits {
            min: Some("1h".into()),
            max: Some("2d".into()),
            ..Limits::default()
        };
        assert_eq!(limits.check(&"90m".into()), Ok(()));
        let texts = Value::List(vec!["2h".into(), "49h".into()]);
        assert_eq!(limits.check(&texts), Err("49h is more than 2d".into()));
        assert_eq!(limits.check(&"5s".into()), Err("5s is less than 1h".into()));
        assert_eq!(limits.check(&Value::Null), Ok(()));
    }

    #[test]
    fn integers_that_no_float_holds_are_compared() {
        let limits = Limits {
            min: Some(Value::Int((1 << 53) + 1)),
            ..Limits::default()
        };
        assert!(limits.check(&Value::Int(1 << 53)).is_err());
        assert_eq!(limits.check(&Value::Int((1 << 53) + 1)), Ok(()));
    }
}
