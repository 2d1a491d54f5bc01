//! Common mistakes of people who know other tools: expressions in a script, names of the workflow, shell commands.

use rhai::{ParseError, ParseErrorType};

use super::{fault::Fault, foreign};

/// The words that may begin a statement of a script. Text that begins otherwise and does not parse may be a shell command.
const KEYWORDS: [&str; 22] = [
    "break", "const", "continue", "do", "else", "export", "false", "fn", "for", "if", "import",
    "let", "loop", "private", "return", "switch", "throw", "true", "try", "until", "while", "this",
];

/// Finds a `${{` in the code or the strings of a script, where it is not evaluated.
pub(super) fn expression_mark(text: &str, is_inline: bool) -> Option<Fault> {
    let at = outside_of_comments(text, "${{")?;
    let inside = text[at + 3..].split("}}").next().unwrap_or_default().trim();
    let help = match (is_inline, inside) {
        (true, inside) if !inside.is_empty() && !inside.contains('\n') => format!(
            "pass it to the step, `with: {{ x: \"${{{{ {inside} }}}}\" }}`, and read `inputs.x`"
        ),
        (true, _) => "pass it to the step under `with:`, and read `inputs.NAME`".to_owned(),
        (false, _) => {
            "declare an input, pass it under the step's `with:`, and read `inputs.NAME`".to_owned()
        }
    };
    let message = "`${{ }}` is not evaluated in a script";
    Some(Fault::new("misplaced-expression", at..at + 3, message).help(help))
}

/// Adds a hint to a syntax error that looks like another language.
pub(super) fn helped(fault: Fault, text: &str, error: &ParseError, is_inline: bool) -> Fault {
    let unknown = match error.err_type() {
        ParseErrorType::VariableUndefined(name) => Some(name.as_str()),
        _ => None,
    };
    if foreign::hint(text, &fault.span, error.err_type()).is_some() {
        return fault;
    }
    match unknown {
        Some(name @ ("params" | "steps" | "item" | "run" | "target")) if is_inline => fault.help(format!(
            "a script can read only its inputs: pass it `with: {{ x: \"${{{{ {name}… }}}}\" }}`, and read `inputs.x`"
        )),
        Some(name @ ("params" | "steps" | "item" | "run" | "target")) => fault.help(format!(
            "a script can read only its inputs: declare one, and pass it `\"${{{{ {name}… }}}}\"` under the step's `with:`"
        )),
        Some(name) if has_constant(text, name) => fault.help(format!(
            "a function can't read the constants of its file: write `fn {}() {{ … }}` instead, and call that",
            name.to_lowercase()
        )),
        _ if is_inline && looks_like_shell(text) => fault.help(format!(
            "`run:` takes Rhai, not a shell command; if the target allows the program: `exec::run({})`",
            as_call(text)
        )),
        _ => fault,
    }
}

/// Says whether a script has a constant or a variable of this name at the beginning of a line.
fn has_constant(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let rest = line.strip_prefix("const ").or(line.strip_prefix("let "));
        let rest = rest.and_then(|rest| rest.trim_start().strip_prefix(name));
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}

/// Says whether the first line looks like a command: a program's name, alone or followed by words.
fn looks_like_shell(text: &str) -> bool {
    let line = text.trim_start().lines().next().unwrap_or_default();
    let mut words = line.split_whitespace();
    let is_program = |word: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        word.starts_with(|c: char| c.is_ascii_alphabetic() || "./".contains(c))
            && word.chars().all(plain)
            && !word.starts_with("//")
    };
    let begins = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphanumeric() || "\"'$-./~_".contains(c))
    };
    match words.next() {
        Some(first) => {
            is_program(first) && !KEYWORDS.contains(&first) && words.next().is_none_or(begins)
        }
        None => false,
    }
}

/// Returns `echo hello` as `"echo", ["hello"]`.
fn as_call(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let words = shlex::split(line).unwrap_or_default();
    let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_first() {
        Some((program, arguments)) => format!("{program}, [{}]", arguments.join(", ")),
        None => "\"PROGRAM\", []".to_owned(),
    }
}

/// Finds a text outside of comments.
fn outside_of_comments(text: &str, wanted: &str) -> Option<usize> {
    let (mut at, mut quote) = (0, None);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with(wanted) {
            return Some(at);
        }
        at += match (quote, c) {
            (Some(_), '\\') => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (Some(open), c) => {
                if c == open {
                    quote = None;
                }
                c.len_utf8()
            }
            (None, '/') if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            (None, '/') if rest.starts_with("/*") => {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            }
            (None, c) => {
                if matches!(c, '"' | '`' | '\'') {
                    quote = Some(c);
                }
                c.len_utf8()
            }
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a8_only_comments_may_show_an_expression() {
        let found = |text| expression_mark(text, true).map(|fault| fault.span.start);
        assert_eq!(found("log::info(\"${{ params.x }}\")"), Some(11));
        assert_eq!(found("let x = ${{ params.x }};"), Some(8));
        assert_eq!(
            found("// see ${{ x }}\n/* ${{ x }} */ log::info(`it's ${1}`)"),
            None
        );
    }

    #[test]
    fn e8_a_shell_command_is_known_by_its_first_word() {
        for text in [
            "echo hello",
            "ls",
            "kubectl get pods -A",
            "./run.sh now",
            "helm upgrade \"x\"",
        ] {
            assert!(looks_like_shell(text), "{text}");
        }
        for text in [
            "let x = ;",
            "log::info(1",
            "x = 1 +",
            "foo(1",
            "#{ a: }",
            "inputs.x +",
        ] {
            assert!(!looks_like_shell(text), "{text}");
        }
    }
}
