//! Makes an interpolated string with a secret in it a secret.
//!
//! Rhai itself joins the parts of an interpolated string, and the result is always a plain text. So the code that runs differs from the
//! code that is checked: `` `a ${b} c` `` becomes `` __joined([`a `,{b},` c`]) ``, and the value of a `switch` is checked first, because
//! Rhai takes the default case for a value that it can't hash. Line numbers do not change; [`position_in`] maps columns back.

use rhai::{AST, Engine, ParseError, Position, Scope, Token};

use super::{
    fault::{Lines, offset},
    secret::{JOINED, SWITCHED},
};

/// Replaces a range of a text, which may be empty.
struct Change {
    at: usize,
    length: usize,
    text: String,
}

/// Compiles a text, whose form for the checks is `checked`, in the form that runs.
///
/// # Errors
/// Nesting that is too deep, as an interpolated string takes two more levels. There are no other errors.
pub(super) fn compile_to_run(
    engine: &Engine,
    scope: &Scope,
    text: &str,
    checked: &AST,
) -> Result<AST, Box<ParseError>> {
    if !differs(text) {
        return Ok(checked.clone());
    }
    let with_switches = engine.compile_with_scope(scope, written(engine, text, true));
    // The start of a `switch` body is a guess: a block may come before it.
    let compiled =
        with_switches.or_else(|_| engine.compile_with_scope(scope, written(engine, text, false)));
    compiled.map_err(Box::new)
}

/// Returns the position in the author's text for a position in the code that runs.
pub(super) fn position_in(engine: &Engine, text: &str, position: Position) -> Position {
    let (Some(line), Some(column)) = (position.line(), position.position()) else {
        return position;
    };
    let start = offset(text, Position::new(line as u16, 1));
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let mut left = column - 1;
    let mut at = start;
    for change in changes(engine, text, true) {
        if change.at < start || change.at > end {
            continue;
        }
        let before = text[at..change.at].chars().count();
        if left < before {
            break;
        }
        left = (left - before).saturating_sub(change.text.chars().count());
        at = change.at + change.length;
    }
    let column = text[start..at].chars().count() + left + 1;
    u16::try_from(column).map_or(position, |column| Position::new(line as u16, column))
}

fn written(engine: &Engine, text: &str, with_switches: bool) -> String {
    let (mut written, mut at) = (String::with_capacity(text.len()), 0);
    for change in changes(engine, text, with_switches) {
        written.push_str(&text[at..change.at]);
        written.push_str(&change.text);
        at = change.at + change.length;
    }
    written.push_str(&text[at..]);
    written
}

/// Says whether the form that runs may differ from the one that is checked.
fn differs(text: &str) -> bool {
    text.contains("${") || text.contains("switch")
}

/// A construct that is open while tokens are read.
enum Open {
    Bracket,
    /// The code between `${` and `}`.
    Interpolation,
    /// The value of a `switch`.
    Switch,
}

/// Returns all changes, in the order of the text.
fn changes(engine: &Engine, text: &str, with_switches: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    if !differs(text) {
        return changes;
    }
    let mut change = |at: usize, length: usize, text: String| {
        changes.push(Change { at, length, text });
    };
    let lines = Lines::of(text);
    let inputs = [text];
    let (tokens, control) = engine.lex(&inputs);
    let mut open = Vec::new();
    // `interpolates`: the next `{` begins an interpolation. `ends_value`: the last token ends a value.
    let (mut interpolates, mut ends_value) = (false, false);
    for (token, position) in tokens {
        let at = lines.offset(position);
        let mut is_value = false;
        match token {
            Token::EOF | Token::LexError(_) => break,
            Token::InterpolatedString(_) => {
                // This is the first part of a string, not one that follows a `}`.
                if text[at..].starts_with('`') && !interpolates {
                    change(at, 0, format!("{JOINED}(["));
                }
                interpolates = true;
            }
            Token::LeftBrace if interpolates => {
                // Replaces `${`.
                change(at - 1, 2, "`,{".into());
                open.push(Open::Interpolation);
                interpolates = false;
            }
            Token::LeftBrace if ends_value && matches!(open.last(), Some(Open::Switch)) => {
                change(at, 0, ")".into());
                open.pop();
                open.push(Open::Bracket);
            }
            Token::LeftBrace
            | Token::MapStart
            | Token::LeftParen
            | Token::LeftBracket
            | Token::QuestionBracket => open.push(Open::Bracket),
            Token::RightBrace if matches!(open.last(), Some(Open::Interpolation)) => {
                open.pop();
                control.borrow_mut().is_within_text = true;
                // A line end right after a backtick is not part of the text.
                let rest = &text[at + 1..];
                let line_end = if rest.starts_with('\n') || rest.starts_with("\r\n") {
                    "\"\\n\","
                } else {
                    ""
                };
                change(at, 1, format!("}},{line_end}`"));
                if let Some(end) = end_of_string(rest) {
                    change(at + 1 + end, 0, "])".into());
                    is_value = true;
                }
                interpolates = !is_value;
            }
            Token::RightBrace | Token::RightParen | Token::RightBracket => {
                open.pop();
                is_value = true;
            }
            Token::Switch if with_switches => {
                change(at + "switch".len(), 0, format!(" {SWITCHED}("));
                open.push(Open::Switch);
            }
            Token::Identifier(_)
            | Token::StringConstant(_)
            | Token::IntegerConstant(_)
            | Token::FloatConstant(_)
            | Token::CharConstant(_)
            | Token::True
            | Token::False => is_value = true,
            _ => {}
        }
        ends_value = is_value;
    }
    changes.sort_by_key(|change| change.at);
    changes
}

/// Returns the end of a string in backticks, after the closing one; `None` if an interpolation comes first.
fn end_of_string(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        match (c, next) {
            ('`', Some('`')) => {
                chars.next();
            }
            ('`', _) => return Some(at + 1),
            ('$', Some('{')) => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreter;

    #[test]
    fn an_interpolated_string_is_a_call_on_the_same_lines() {
        let engine = interpreter::steps();
        for (text, expected) in [
            ("`a ${b} c`", "__joined([`a `,{b},` c`])"),
            ("`${a}${b}`", "__joined([``,{a},``,{b},``])"),
            (
                "`x${`y${z}`}`.len()",
                "__joined([`x`,{__joined([`y`,{z},``])},``]).len()",
            ),
            ("`a``b ${c}``d`", "__joined([`a``b `,{c},```d`])"),
            ("`a${b}\nc`", "__joined([`a`,{b},\"\\n\",`\nc`])"),
            (
                "`${#{ a: 1 }.a} ${if x { 1 } else { 2 }}`",
                "__joined([``,{#{ a: 1 }.a},` `,{if x { 1 } else { 2 }},``])",
            ),
            (
                "switch f(#{ x: 1 }) { 1 => `${a}` }",
                "switch __switched( f(#{ x: 1 }) ){ 1 => __joined([``,{a},``]) }",
            ),
            (
                "\"no ${interpolation}\" // `${x}`",
                "\"no ${interpolation}\" // `${x}`",
            ),
        ] {
            assert_eq!(written(engine, text, true), expected);
        }
    }

    #[test]
    fn what_is_rewritten_gives_the_same() {
        let engine = interpreter::steps();
        let scope = Scope::new();
        for text in [
            "let x = 3; `a${x}b${x + 1}\n\n c ${\"d\"}`",
            "let x = 3; `a``${x}``b`",
            "`\n first line goes ${1}\r\n second`",
            "`${[1, \"a\"]}${#{ b: 2.5 }}${'c'}${true}`",
            "switch 2 { 1 => \"one\", 2 if true => `t${\"wo\"}`, _ => \"many\" }",
            "fn f(a) { `<${a}>` } [1, 2].map(|v| f(`${v}!`)).len().to_string() + `${f(1)}`",
            "`$${1} $ {2} ${ let y = 2; y * 2 }`",
        ] {
            let plain = engine.eval::<rhai::Dynamic>(text).expect(text).to_string();
            let checked = engine.compile(text).expect(text);
            let ast = compile_to_run(engine, &scope, text, &checked).expect(text);
            let run = engine.eval_ast::<rhai::Dynamic>(&ast).expect(text);
            assert_eq!(run.to_string(), plain, "{text}");
        }
    }

    #[test]
    fn positions_are_those_of_what_was_written() {
        let engine = interpreter::steps();
        let text = "let a = 1;\nlet b = `x ${a} y ${a}`; boom + `é${a}` + wow";
        let run = written(engine, text, true);
        for word in ["boom", "wow", "y $"] {
            let line = run.lines().nth(1).expect("two lines");
            let word = word.trim_end_matches(" $");
            let at = line.rfind(&format!(" {word}")).expect(word) + 1;
            let column = line[..at].chars().count() + 1;
            let found = position_in(engine, text, Position::new(2, column as u16));
            let original = text.lines().nth(1).expect("two lines");
            let expected = original.rfind(&format!(" {word}")).expect(word) + 1;
            let expected = original[..expected].chars().count() + 1;
            assert_eq!(found.position(), Some(expected), "{word}");
        }
    }
}
