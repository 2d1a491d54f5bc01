//! Finds the argument or option of a host function at a place in a script.

use windlass_script::{
    Function, Parameter, ValueKind, function,
    lexer::{Kind, Token, unquoted},
};

pub struct Spot {
    pub function: &'static Function,
    pub slot: Slot,
}

pub enum Slot {
    /// The name of an option, in a map with these.
    Key {
        fields: &'static [Parameter],
        given: Vec<String>,
    },
    /// An attribute of a distinguished name.
    Attribute { given: Vec<String> },
    /// The value of an argument or an option.
    Value(&'static Parameter),
}

/// Returns the spot after these tokens, none of which is a comment. `None` outside of a call to a host function.
pub fn spot(text: &str, tokens: &[&Token]) -> Option<Spot> {
    let mut open = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Sign('(' | '[' | '{') | Kind::OpenMap => open.push(at),
            Kind::Sign(')' | ']' | '}') => {
                open.pop();
            }
            _ => {}
        }
    }
    let call = open
        .iter()
        .rposition(|at| called(text, tokens, *at).is_some())?;
    let function = called(text, tokens, open[call])?;
    let ends = open[call + 1..].iter().copied().chain([tokens.len()]);
    let starts = open[call..].iter().copied();
    let mut parameter: Option<&'static Parameter> = None;
    let mut slot = None;
    for (start, end) in starts.zip(ends) {
        let entry = entry(&tokens[start + 1..end]);
        let inside = &tokens[start + 1 + entry.start..end];
        match tokens[start].kind {
            Kind::Sign('(') if start == open[call] => {
                parameter = Some(function.takes.get(entry.number)?)
            }
            Kind::Sign('[') => {}
            Kind::OpenMap => {
                let kind = parameter?.kind;
                let given = keys(text, &tokens[start + 1..]);
                let key = key(text, inside);
                let is_subject = matches!(kind, ValueKind::Subject);
                match (kind.fields(), key) {
                    (Some(fields), None) => slot = Some(Slot::Key { fields, given }),
                    (Some(fields), Some(key)) => {
                        slot = None;
                        parameter = Some(fields.iter().find(|field| field.name == key)?);
                    }
                    (None, None) if is_subject => slot = Some(Slot::Attribute { given }),
                    (None, _) => return None,
                }
            }
            _ => return None,
        }
    }
    let slot = slot.or_else(|| parameter.map(Slot::Value))?;
    Some(Spot { function, slot })
}

/// Returns the host function whose arguments begin at a bracket.
fn called(text: &str, tokens: &[&Token], open: usize) -> Option<&'static Function> {
    if tokens[open].kind != Kind::Sign('(') || open < 3 || tokens[open - 2].kind != Kind::Path {
        return None;
    }
    let word = |at: usize| &text[tokens[at].span.clone()];
    function(&format!("{}::{}", word(open - 3), word(open - 1)))
}

struct Entry {
    /// Its number between the brackets, from 0.
    number: usize,
    /// Its start among the tokens after the bracket.
    start: usize,
}

/// Returns the last entry of a list of arguments, items or options.
fn entry(tokens: &[&Token]) -> Entry {
    let (mut depth, mut entry) = (
        0_usize,
        Entry {
            number: 0,
            start: 0,
        },
    );
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Sign('(' | '[' | '{') | Kind::OpenMap => depth += 1,
            Kind::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Kind::Sign(',') if depth == 0 => {
                entry = Entry {
                    number: entry.number + 1,
                    start: at + 1,
                }
            }
            _ => {}
        }
    }
    entry
}

/// Returns the key of an entry whose colon has been typed.
fn key<'t>(text: &'t str, entry: &[&Token]) -> Option<&'t str> {
    let [name, colon, ..] = entry else {
        return None;
    };
    let is_key = matches!(name.kind, Kind::Word | Kind::Text) && colon.kind == Kind::Sign(':');
    is_key.then(|| &text[unquoted(text, &name.span)])
}

/// Returns the keys of a map in these tokens.
fn keys(text: &str, tokens: &[&Token]) -> Vec<String> {
    let (mut depth, mut found) = (0_i32, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Sign('(' | '[' | '{') | Kind::OpenMap => depth += 1,
            Kind::Sign(')' | ']' | '}') => depth -= 1,
            _ if depth == 0 => found.extend(key(text, &tokens[at..]).map(str::to_owned)),
            _ => {}
        }
        if depth < 0 {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_script::lexer::{Quoting, lex};

    fn shown(text: &str) -> String {
        let tokens = lex(text, 0..text.len(), Quoting::None);
        let tokens: Vec<_> = tokens.iter().collect();
        match spot(text, &tokens) {
            None => "nothing".into(),
            Some(Spot { function, slot }) => match slot {
                Slot::Key { fields, given } => format!(
                    "{} options, {} given, of {}",
                    fields.len(),
                    given.len(),
                    function.name
                ),
                Slot::Attribute { given } => format!("an attribute, {} given", given.len()),
                Slot::Value(parameter) => format!("{} of {}", parameter.name, function.name),
            },
        }
    }

    #[test]
    fn a_place_in_a_call_is_an_argument_or_an_option() {
        let call = "let x = pca::issue_certificate(";
        let shown = |rest: &str| shown(&format!("{call}{rest}"));
        assert_eq!(shown(""), "ca of pca::issue_certificate");
        assert!(
            shown("ca, #{ csr: [1, 2], ").ends_with("options, 1 given, of pca::issue_certificate")
        );
        assert_eq!(
            shown("ca, #{ template: "),
            "template of pca::issue_certificate"
        );
        assert_eq!(
            shown("ca, #{ api_passthrough: #{ subject: #{ country: \"x\", "),
            "an attribute, 1 given"
        );
        assert_eq!(
            shown("ca, #{ api_passthrough: #{ custom_extensions: [#{ oid: 1 }, #{ oid: "),
            "oid of pca::issue_certificate"
        );
        assert_eq!(shown("f(1), #{}); let y = "), "nothing");
        assert_eq!(shown("f("), "nothing");
        assert_eq!(shown("|x| { "), "nothing");
        assert_eq!(shown("a, b, c, "), "nothing");
    }
}
