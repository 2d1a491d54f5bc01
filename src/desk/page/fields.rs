//! The fields in which people enter params. A field that is left as it was shown keeps the exact value: browsers change line ends, and
//! YAML may read a text as something else.

use maud::{Markup, html};

use super::{act::Form, format::visible};
use windlass_compile::{Param, parse_value};
use windlass_world::value::{Type, Value};

/// The longest default that is shown in words.
const SHORT: usize = 60;
/// The fewest and the most lines that a field shows of a text.
const LINES: std::ops::RangeInclusive<usize> = 3..=14;

/// Returns the name of a param's field.
pub fn field(name: &str) -> String {
    format!("p.{name}")
}

/// Returns what a person entered for a param, with the line ends of a text: browsers send CRLF.
pub fn entered(form: &Form, name: &str) -> Option<String> {
    form.field(&field(name)).map(plain_lines)
}

/// Says whether a field has the text that it was shown with.
pub fn is_as_shown(entered: &str, shown: &str) -> bool {
    entered == plain_lines(shown)
}

fn plain_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Returns a value of a param as a person would type it: a text without quotes unless YAML would read it as something else, anything
/// else as JSON (which is valid YAML).
pub fn typed(ty: &Type, value: &Value) -> String {
    match (inner(ty), value) {
        (_, Value::Null) => String::new(),
        (Type::String | Type::Duration | Type::Secret, Value::String(text)) => text.clone(),
        (_, Value::String(text)) if parse_value(text).as_ref() == Ok(value) => text.clone(),
        (_, other) => other.to_json().to_string(),
    }
}

fn inner(ty: &Type) -> &Type {
    match ty {
        Type::Optional(inner) => inner,
        ty => ty,
    }
}

/// Says what it means to leave a field of the start form empty.
pub fn meaning_of_empty(param: &Param) -> Option<String> {
    let default = param.default.as_ref();
    match (&param.ty, default) {
        // The empty text.
        (Type::String, Some(_)) => None,
        (ty, Some(default)) => Some(match typed(ty, default) {
            text if text.is_empty() => "empty means no value".to_owned(),
            text if text.chars().count() <= SHORT => format!("empty means the default, {text}"),
            _ => "empty means the default".to_owned(),
        }),
        (Type::Optional(_), None) => Some("empty means no value".to_owned()),
        (_, None) => None,
    }
}

/// Returns the field of a param, with its current text.
pub fn input(
    name: &str,
    param: &Param,
    now: &str,
    is_required: bool,
    if_empty: Option<&str>,
) -> Markup {
    // No page contains a secret, whichever caller asks for it.
    let now = if param.ty.holds_secret() { "" } else { now };
    let id = field(name);
    let note = format!("{id}-note");
    let inner = inner(&param.ty);
    let limits = &param.limits;
    let number = |limit: &Option<Value>| limit.as_ref().map(|limit| typed(inner, limit));
    let is_of_many = !limits.one_of.is_empty() && !matches!(inner, Type::List(_) | Type::Map(_));
    let is_chosen = is_of_many || matches!(inner, Type::Bool);
    html! {
        div class="field" {
            label for=(id) { span class="name" { (name) @if is_required { span class="required" { " required" } } } }
            @match inner {
                _ if is_of_many => {
                    select id=(id) name=(id) aria-describedby=(note) required[is_required] {
                        @let choices: Vec<String> = limits.one_of.iter().map(|choice| typed(inner, choice)).collect();
                        @if has_blank(param, now, &choices) { option value="" { "" } }
                        @for choice in &choices {
                            // Without a value, a browser sends the text without its spaces.
                            option value=(choice) selected[choice == now] { (visible(choice)) }
                        }
                    }
                }
                Type::Bool => {
                    select id=(id) name=(id) aria-describedby=(note) required[is_required] {
                        @let choices = ["true", "false"];
                        @if has_blank(param, now, &choices) { option value="" { "" } }
                        @for choice in choices { option selected[choice == now] { (choice) } }
                    }
                }
                Type::Int | Type::Float => {
                    input id=(id) name=(id) type="number" value=(now) step=[matches!(inner, Type::Float).then_some("any")]
                        min=[number(&limits.min)] max=[number(&limits.max)] aria-describedby=(note) required[is_required];
                }
                Type::Secret => {
                    input id=(id) name=(id) type="password" autocomplete="off" aria-describedby=(note) required[is_required];
                }
                // What was entered is not sent back.
                inner if inner.holds_secret() => {
                    textarea id=(id) name=(id) rows=(LINES.start()) autocomplete="off" spellcheck="false" aria-describedby=(note) required[is_required] {}
                }
                Type::String | Type::Duration if !now.contains(['\n', '\r']) => {
                    input id=(id) name=(id) type="text" value=(now) autocomplete="off" aria-describedby=(note) required[is_required];
                }
                _ => {
                    textarea id=(id) name=(id) rows=(lines(now)) spellcheck="false" aria-describedby=(note) required[is_required] {
                        // A browser drops the first line end.
                        "\n" (now)
                    }
                }
            }
            p id=(note) class="note" {
                @if let Some(text) = &param.description { (visible(text)) " " }
                span class="type" { (param.ty) @if matches!(inner, Type::List(_) | Type::Map(_) | Type::Any) { ", in YAML" } }
                @if let Some(least) = number(&limits.min) { " · at least " (least) }
                @if let Some(most) = number(&limits.max) { " · at most " (most) }
                @if let Some(meaning) = if_empty.filter(|_| !is_chosen) { " · " (visible(meaning)) }
            }
        }
    }
}

/// Says whether the choices of a param begin with an empty one: it may be left out, or its value is not one of the choices, and a browser
/// would select the first one.
fn has_blank<C: AsRef<str>>(param: &Param, now: &str, choices: &[C]) -> bool {
    param.default.is_none() || choices.iter().all(|choice| choice.as_ref() != now)
}

fn lines(text: &str) -> usize {
    let lines = text.lines().count() + 1;
    lines.clamp(*LINES.start(), *LINES.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_yaml_reads_as_something_else_is_quoted() {
        let any = |text: &str| typed(&Type::Any, &Value::from(text));
        assert_eq!(any("plain"), "plain");
        for text in ["k: v\n", "123", "true", "null", " lead", "[1]", ""] {
            let shown = any(text);
            assert_eq!(parse_value(&shown), Ok(Value::from(text)), "{shown}");
        }
        assert_eq!(typed(&Type::String, &Value::from("123")), "123");
    }

    #[test]
    fn an_untouched_text_is_known_in_spite_of_its_line_ends() {
        let shown = "a\r\nb\nc\r";
        assert!(is_as_shown(&plain_lines("a\r\nb\r\nc\r\n"), shown));
        assert!(!is_as_shown("a b", shown));
    }
}
