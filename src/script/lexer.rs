//! Splits Rhai into tokens, even if it does not parse: a half-written script, or an expression without its end.
//!
//! Rhai's own tokenizer returns lines and columns, and stops at the first mistake; an editor needs bytes, and the tokens after the mistake
//! as well.

use std::ops::Range;

/// How quotes are written in a script that is part of a YAML scalar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quoting {
    /// Unchanged.
    #[default]
    None,
    /// Inside of `"…"`, where a double quote is `\"`.
    Double,
    /// Inside of `'…'`, where a single quote is `''`.
    Single,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    /// The range in the whole text, in bytes.
    pub span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Word,
    Number,
    /// A text; its span includes the quotes. Each part of a backtick text with `${…}` in it is a separate token.
    Text,
    Comment,
    Sign(char),
    /// `::`
    Path,
    /// `#{`
    OpenMap,
}

/// Splits a part of a text into tokens.
pub fn lex(text: &str, range: Range<usize>, quoting: Quoting) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: range.start,
        end: range.end.min(text.len()),
        quoting,
        tokens: Vec::new(),
        depth: 0,
    };
    lexer.run(None);
    lexer.tokens
}

/// Returns the `}}` after an expression that begins at `start`; `None` if there is none before `end`. Reads no further than that, since a
/// text may contain many expressions.
pub fn end_of_expression(text: &str, start: usize, end: usize, quoting: Quoting) -> Option<usize> {
    let mut lexer = Lexer {
        text,
        at: start,
        end: end.min(text.len()),
        quoting,
        tokens: Vec::new(),
        depth: 0,
    };
    lexer.run(Some('}'));
    lexer.rest().starts_with("}}").then_some(lexer.at)
}

/// How deeply texts may be nested by `${…}`; deeper ones are read as plain texts.
const MAX_DEPTH: usize = 32;

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    end: usize,
    quoting: Quoting,
    tokens: Vec<Token>,
    /// The number of open interpolations.
    depth: usize,
}

impl Lexer<'_> {
    /// Reads up to the end, or up to the character that closes an interpolation.
    fn run(&mut self, until: Option<char>) {
        let mut depth = 0_usize;
        while let Some(c) = self.peek() {
            let start = self.at;
            if let Some(quote) = self.quote() {
                self.string(quote);
                continue;
            }
            match c {
                c if c.is_whitespace() => self.at += c.len_utf8(),
                '/' if self.rest().starts_with("//") => {
                    let length = self.line_comment(until);
                    self.push(Kind::Comment, start + length);
                }
                '/' if self.rest().starts_with("/*") => {
                    let length = self
                        .rest()
                        .find("*/")
                        .map_or(self.rest().len(), |at| at + 2);
                    self.push(Kind::Comment, start + length);
                }
                ':' if self.rest().starts_with("::") => self.push(Kind::Path, start + 2),
                '#' if self.rest().starts_with("#{") => {
                    depth += 1;
                    self.push(Kind::OpenMap, start + 2);
                }
                c if is_word(c) => {
                    let length = self
                        .rest()
                        .find(|c| !is_word(c))
                        .unwrap_or(self.rest().len());
                    let kind = if c.is_ascii_digit() {
                        Kind::Number
                    } else {
                        Kind::Word
                    };
                    self.push(kind, start + length);
                }
                c => {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 && until == Some('}') => return,
                        '}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    self.push(Kind::Sign(c), start + c.len_utf8());
                }
            }
        }
    }

    /// Returns the length of a comment up to the end of its line. That of an expression ends before the `}}` of the
    /// expression, which may be on the same line.
    fn line_comment(&self, until: Option<char>) -> usize {
        let length = self.rest().find('\n').unwrap_or(self.rest().len());
        let line = &self.rest()[..length];
        match until {
            Some(_) if self.depth == 0 => line.find("}}").unwrap_or(length),
            _ => length,
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..self.end]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, kind: Kind, to: usize) {
        let span = self.at..to;
        self.tokens.push(Token { kind, span });
        self.at = to;
    }

    /// Returns the quote that begins here, and its form in the text.
    fn quote(&self) -> Option<(char, &'static str)> {
        let rest = self.rest();
        match self.quoting {
            Quoting::Double if rest.starts_with("\\\"") => Some(('"', "\\\"")),
            Quoting::Single if rest.starts_with("''") => Some(('\'', "''")),
            _ if rest.starts_with('"') => Some(('"', "\"")),
            _ if rest.starts_with('\'') => Some(('\'', "'")),
            _ if rest.starts_with('`') => Some(('`', "`")),
            _ => None,
        }
    }

    /// Reads a text in quotes. Without a closing quote it ends with its line, and a backtick text with the whole text.
    fn string(&mut self, (quote, written): (char, &'static str)) {
        let mut start = self.at;
        self.at += written.len();
        while let Some(c) = self.peek() {
            if self.rest().starts_with(written) {
                self.at += written.len();
                break;
            }
            match c {
                '\n' if quote != '`' => break,
                '\\' if quote != '`' => {
                    self.at += 1;
                    if let Some(c) = self.peek() {
                        self.at += c.len_utf8();
                    }
                }
                '$' if quote == '`' && self.rest().starts_with("${") && self.depth < MAX_DEPTH => {
                    self.at += 2;
                    let span = start..self.at;
                    self.tokens.push(Token {
                        kind: Kind::Text,
                        span,
                    });
                    self.depth += 1;
                    self.run(Some('}'));
                    self.depth -= 1;
                    start = self.at;
                }
                c => self.at += c.len_utf8(),
            }
        }
        self.at = self.at.min(self.end);
        let span = start..self.at;
        self.tokens.push(Token {
            kind: Kind::Text,
            span,
        });
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A path such as `a.b["c"]`, with the place of each part: for a text in brackets, without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub parts: Vec<(String, Range<usize>)>,
    /// Whether there is something that is not literal between the parts: `steps.relay[item].arn`, whose parts are `steps`, `relay`,
    /// `arn`.
    pub skips: bool,
    /// Whether that is directly behind the root: `inputs[name]`.
    pub skips_first: bool,
    /// How many parts come before the first of these brackets.
    pub skips_behind: Option<usize>,
    /// Whether it ends with a dot.
    pub is_open: bool,
    /// The end of the whole path.
    pub end: usize,
}

impl Chain {
    pub fn root(&self) -> &str {
        &self.parts[0].0
    }

    /// Returns the name of a part after the root.
    pub fn part(&self, at: usize) -> Option<&str> {
        self.parts.get(at).map(|(name, _)| name.as_str())
    }

    pub fn start(&self) -> usize {
        self.parts[0].1.start
    }
}

/// Lists the chains in tokens, including those inside of brackets.
pub fn chains(text: &str, tokens: &[Token]) -> Vec<Chain> {
    let tokens: Vec<_> = tokens
        .iter()
        .filter(|token| token.kind != Kind::Comment)
        .collect();
    let pairs = pairs(&tokens);
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| tokens[i].kind);
        let begins = !matches!(before, Some(Kind::Sign('.') | Kind::Path));
        if token.kind == Kind::Word && begins {
            found.push(chain(text, &tokens, &pairs, i));
        }
    }
    found
}

fn chain(text: &str, tokens: &[&Token], pairs: &[Option<usize>], start: usize) -> Chain {
    let name = |token: &Token| (text[token.span.clone()].to_owned(), token.span.clone());
    let mut chain = Chain {
        parts: vec![name(tokens[start])],
        skips: false,
        skips_first: false,
        skips_behind: None,
        is_open: false,
        end: tokens[start].span.end,
    };
    let mut at = start + 1;
    loop {
        let kind = |at: usize| tokens.get(at).map(|token| token.kind);
        // `a?.b` reads as `a.b`.
        let dot = match (kind(at), kind(at + 1)) {
            (Some(Kind::Sign('?')), Some(Kind::Sign('.'))) => Some(at + 1),
            (Some(Kind::Sign('.')), _) => Some(at),
            _ => None,
        };
        if let Some(dot) = dot {
            match tokens.get(dot + 1) {
                // The name of a called function does not belong to the path.
                Some(word) if word.kind == Kind::Word && kind(dot + 2) != Some(Kind::Sign('(')) => {
                    chain.parts.push(name(word));
                    chain.end = word.span.end;
                    at = dot + 2;
                }
                Some(word) if word.kind == Kind::Word => break,
                _ => {
                    chain.is_open = true;
                    chain.end = tokens[dot].span.end;
                    break;
                }
            }
        } else if kind(at) == Some(Kind::Sign('[')) {
            match (tokens.get(at + 1), kind(at + 2)) {
                (Some(word), Some(Kind::Sign(']'))) if word.kind == Kind::Text => {
                    let inside = unquoted(text, &word.span);
                    chain.parts.push((text[inside.clone()].to_owned(), inside));
                    chain.end = tokens[at + 2].span.end;
                    at += 3;
                }
                _ => match pairs[at] {
                    Some(close) => {
                        chain.skips = true;
                        chain.skips_first |= chain.parts.len() == 1;
                        chain.skips_behind.get_or_insert(chain.parts.len());
                        chain.end = tokens[close].span.end;
                        at = close + 1;
                    }
                    None => break,
                },
            }
        } else {
            break;
        }
    }
    chain
}

/// Returns the text between quotes, in any form; the closing quote may be missing.
pub fn unquoted(text: &str, span: &Range<usize>) -> Range<usize> {
    let quoted = &text[span.clone()];
    for quote in ["\\\"", "''", "\"", "'", "`"] {
        if quoted.len() >= 2 * quote.len() && quoted.starts_with(quote) && quoted.ends_with(quote) {
            return span.start + quote.len()..span.end - quote.len();
        }
    }
    let opening = quoted.starts_with(['"', '\'', '`']);
    span.start + usize::from(opening)..span.end
}

/// Returns, for each token that opens a bracket, the one that closes it.
pub fn pairs(tokens: &[&Token]) -> Vec<Option<usize>> {
    let (mut pairs, mut open) = (vec![None; tokens.len()], Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Sign('(' | '[' | '{') | Kind::OpenMap => open.push(at),
            Kind::Sign(')' | ']' | '}') => {
                if let Some(opened) = open.pop() {
                    pairs[opened] = Some(at);
                }
            }
            _ => {}
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, quoting: Quoting) -> Vec<String> {
        let tokens = lex(text, 0..text.len(), quoting);
        tokens
            .iter()
            .map(|token| text[token.span.clone()].to_owned())
            .collect()
    }

    #[test]
    fn tokens_have_their_places() {
        assert_eq!(
            words(
                "let x = pca::f(\"a // b\", #{ k: 'c' }); // end",
                Quoting::None
            ),
            [
                "let",
                "x",
                "=",
                "pca",
                "::",
                "f",
                "(",
                "\"a // b\"",
                ",",
                "#{",
                "k",
                ":",
                "'c'",
                "}",
                ")",
                ";",
                "// end"
            ]
        );
        assert_eq!(
            words("`a ${b.c} d`", Quoting::None),
            ["`a ${", "b", ".", "c", "} d`"]
        );
    }

    #[test]
    fn what_has_no_end_is_read_all_the_same() {
        assert_eq!(words("f(\"a\nb", Quoting::None), ["f", "(", "\"a", "b"]);
        assert_eq!(words("`a ${b", Quoting::None), ["`a ${", "b", ""]);
        assert_eq!(words("\"a\\", Quoting::None), ["\"a\\"]);
        assert_eq!(words("/* a", Quoting::None), ["/* a"]);
        // Any depth works.
        words(&"`${".repeat(100_000), Quoting::None);
    }

    #[test]
    fn quotes_are_as_yaml_writes_them() {
        assert_eq!(
            words(r#"\"a\" + b"#, Quoting::Double),
            [r#"\"a\""#, "+", "b"]
        );
        assert_eq!(words("''a'' + b", Quoting::Single), ["''a''", "+", "b"]);
    }

    #[test]
    fn an_expression_ends_where_its_braces_do() {
        let end = |text: &str| end_of_expression(text, 0, text.len(), Quoting::None);
        assert_eq!(end(" a }} b"), Some(3));
        assert_eq!(end(" #{ a: #{} } }} b"), Some(13));
        assert_eq!(end(" '}}' }}"), Some(6));
        assert_eq!(end(" a } }"), None);
        assert_eq!(end(" a"), None);
    }

    #[test]
    fn an_expression_does_not_end_in_its_texts_and_comments() {
        let end = |text: &str| end_of_expression(text, 0, text.len(), Quoting::None);
        // In a backtick text, `\` is a character like any other.
        assert_eq!(end(r" `C:\` }}"), Some(7));
        assert_eq!(end(r#" "\"}}" }}"#), Some(8));
        assert_eq!(end(" `}}${ `}}` }` }}"), Some(15));
        assert_eq!(end(" 1 /* don't }} */ }}"), Some(18));
        assert_eq!(end(" 1 // don't }}"), Some(12));
        assert_eq!(end(" 1 // don't\n + 2 }}"), Some(17));
        assert_eq!(end(" `${ 1 // }}\n }` }}"), Some(17));
    }

    fn found(text: &str) -> Vec<String> {
        let tokens = lex(text, 0..text.len(), Quoting::None);
        let show = |chain: Chain| {
            let parts: Vec<_> = chain.parts.iter().map(|(name, _)| name.as_str()).collect();
            format!(
                "{}{}",
                parts.join("/"),
                if chain.is_open { "/" } else { "" }
            )
        };
        chains(text, &tokens).into_iter().map(show).collect()
    }

    #[test]
    fn chains_are_found_wherever_they_stand() {
        assert_eq!(
            found("steps.a.b + params[\"c\"]"),
            ["steps/a/b", "params/c"]
        );
        assert_eq!(found("steps.relay[item].arn"), ["steps/relay/arn", "item"]);
        assert_eq!(found("params.c.len()"), ["params/c"]);
        assert_eq!(found("steps."), ["steps/"]);
        assert_eq!(found("steps?.a ?? ()"), ["steps/a"]);
        assert_eq!(found("`${inputs.name}`"), ["inputs/name"]);
    }
}
