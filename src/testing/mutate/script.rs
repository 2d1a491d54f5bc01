//! Finds the alterations of a script that still parse.

use std::{collections::BTreeMap, ops::Range};

use super::Edit;
use crate::{
    report::cut,
    script::lexer::{Kind, Quoting, Token, lex},
};

/// Lists the edits of the functions in a part of a text, or of the whole part if it is the body of a step.
///
/// It removes statements (calls, assignments, `throw`, `return`, `break`, `continue`, loops) and options of calls. It alters conditions (to
/// `true` and to `false`), comparisons, `&&` and `||`, `!`, whole numbers, `true` and `false`, and results of functions. Texts and calls of
/// `log` are for people and stay; so do `let`, `const` and `import`, without which nothing would
/// parse.
pub fn edits(text: &str, part: Range<usize>, is_body: bool) -> Vec<Edit> {
    let tokens: Vec<_> = lex(text, part, Quoting::None)
        .into_iter()
        .filter(|token| token.kind != Kind::Comment)
        .collect();
    let Some(closers) = closers(text, &tokens) else {
        return Vec::new();
    };
    let mut editor = Editor {
        text,
        tokens: &tokens,
        closers,
        statements: Vec::new(),
        edits: Vec::new(),
    };
    if is_body {
        editor.function(0, tokens.len())
    } else {
        for (open, close) in editor.bodies() {
            editor.function(open + 1, close);
        }
    }
    editor.edits.sort_by_key(|edit| edit.span.start);
    editor.edits
}

/// Returns the closing token of each opening one; `None` if they do not match.
fn closers(text: &str, tokens: &[Token]) -> Option<BTreeMap<usize, usize>> {
    let mut open = Vec::new();
    let mut pairs = BTreeMap::new();
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::OpenMap | Kind::Sign('(' | '[' | '{') => open.push(at),
            // The part of a text after `${…}` begins with the `}` of the interpolation.
            Kind::Text if text[token.span.clone()].starts_with('}') => {
                pairs.insert(open.pop()?, at);
                if text[token.span.clone()].ends_with("${") {
                    open.push(at);
                }
            }
            Kind::Text if text[token.span.clone()].ends_with("${") => open.push(at),
            Kind::Sign(')' | ']' | '}') => {
                pairs.insert(open.pop()?, at);
            }
            _ => {}
        }
    }
    open.is_empty().then_some(pairs)
}

struct Editor<'a> {
    text: &'a str,
    tokens: &'a [Token],
    closers: BTreeMap<usize, usize>,
    /// The statements as ranges of tokens, including nested ones.
    statements: Vec<Range<usize>>,
    edits: Vec<Edit>,
}

impl Editor<'_> {
    fn said(&self, at: usize) -> &str {
        let token = self.tokens.get(at);
        token.map_or("", |token| &self.text[token.span.clone()])
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        let is_word = |token: &Token| token.kind == Kind::Word;
        self.tokens.get(at).is_some_and(is_word) && self.said(at) == word
    }

    fn is_sign(&self, at: usize, sign: char) -> bool {
        let token = self.tokens.get(at);
        token.is_some_and(|token| token.kind == Kind::Sign(sign))
    }

    /// Says whether an operator of two characters begins here.
    fn is_pair(&self, at: usize, pair: &str) -> bool {
        let (Some(one), Some(two)) = (self.tokens.get(at), self.tokens.get(at + 1)) else {
            return false;
        };
        let is_sign = |token: &Token| matches!(token.kind, Kind::Sign(_));
        is_sign(one)
            && is_sign(two)
            && one.span.end == two.span.start
            && &self.text[one.span.start..two.span.end] == pair
    }

    /// Returns the braces of all functions.
    fn bodies(&self) -> Vec<(usize, usize)> {
        let functions = (0..self.tokens.len()).filter(|at| self.is_word(*at, "fn"));
        let bodies = functions.filter_map(|at| {
            let parameters = (at..at + 4).find(|at| self.is_sign(*at, '('))?;
            let open = self.closers.get(&parameters)? + 1;
            Some((open, *self.closers.get(&open)?))
        });
        bodies.collect()
    }

    /// Edits the code between the braces of a function.
    fn function(&mut self, from: usize, to: usize) {
        self.block(from, to, true);
        for at in from..to {
            self.condition(at, to);
            self.sign(at);
            self.literal(at);
            self.options(at);
        }
    }

    fn block(&mut self, from: usize, to: usize, is_function: bool) {
        let mut at = from;
        while at < to {
            let (start, number) = (at, self.statements.len());
            self.statements.push(start..to);
            at = match self.said(at) {
                "if" | "while" | "for" | "loop" | "try" | "switch" => self.compound(start, to),
                _ => self.simple(start, to, is_function),
            };
            self.statements[number].end = at;
        }
    }

    /// Edits a statement with blocks, and returns the start of the next one.
    fn compound(&mut self, start: usize, to: usize) -> usize {
        let is_loop = matches!(self.said(start), "for" | "loop");
        let mut at = start;
        let end = loop {
            let Some(open) = self.next_block(at, to) else {
                break to;
            };
            let close = self.closers.get(&open).copied().unwrap_or(to);
            self.block(open + 1, close, false);
            at = close + 1;
            if self.is_word(at, "else") {
                // Coverage counts a nested condition as a statement.
                if self.is_word(at + 1, "if") {
                    let open = self.next_block(at + 1, to).unwrap_or(to);
                    self.statements.push(at + 1..open);
                }
                continue;
            }
            if self.is_word(at, "catch") || self.is_word(at, "until") {
                continue;
            }
            break at;
        };
        if is_loop {
            self.remove(start, end, "the loop");
        }
        if self.is_sign(end, ';') { end + 1 } else { end }
    }

    /// Returns the brace that opens the next block outside of any brackets.
    fn next_block(&self, from: usize, to: usize) -> Option<usize> {
        let mut at = from;
        while at < to {
            if self.is_sign(at, '{') {
                return Some(at);
            }
            at = self.after(at);
        }
        None
    }

    /// Returns the token after this one, or after the bracket that it opens. A part of a text may close one `${…}` and open another.
    fn after(&self, at: usize) -> usize {
        match self.closers.get(&at) {
            None => at + 1,
            Some(close) if self.closers.contains_key(close) => *close,
            Some(close) => close + 1,
        }
    }

    /// Edits a statement up to its `;`, and returns the start of the next one.
    fn simple(&mut self, start: usize, to: usize, is_function: bool) -> usize {
        let mut at = start;
        while at < to && !self.is_sign(at, ';') {
            if let Some(close) = self.closers.get(&at).copied() {
                self.within(at, close);
            }
            at = self.after(at);
        }
        let is_kept = matches!(self.said(start), "let" | "const" | "import" | "fn");
        let is_said = self.is_word(start, "log") || at == start;
        match at < to {
            true if !is_kept && !is_said => self.remove(start, at + 1, "the statement"),
            // An empty map has the same effect as no result.
            false if is_function && at > start + 2 && !is_said => {
                let span = self.span(start, at);
                let what = format!("`{}` became `()`", shown(&self.text[span.clone()]));
                self.add(start, span, "()", what);
            }
            _ => {}
        }
        at + 1
    }

    /// Edits the blocks within brackets: of closures, and of `if` as a value.
    fn within(&mut self, open: usize, close: usize) {
        if self.is_sign(open, '{') {
            return self.block(open + 1, close, false);
        }
        let mut at = open + 1;
        while at < close {
            if let Some(end) = self.closers.get(&at).copied() {
                self.within(at, end);
            }
            at = self.after(at);
        }
    }

    fn remove(&mut self, start: usize, end: usize, what: &str) {
        let span = self.span(start, end);
        let what = format!("{what} `{}` was removed", shown(&self.text[span.clone()]));
        self.add(start, span, "", what);
    }

    fn condition(&mut self, at: usize, to: usize) {
        let is_if = self.is_word(at, "if");
        if !is_if && !self.is_word(at, "while") {
            return;
        }
        let Some(open) = self.next_block(at + 1, to) else {
            return;
        };
        let span = self.span(at + 1, open);
        let written = shown(&self.text[span.clone()]);
        let values: &[&str] = if is_if {
            &["true", "false"]
        } else {
            &["false"]
        };
        for value in values.iter().filter(|value| **value != written) {
            let what = format!("the condition `{written}` became `{value}`");
            self.add(at, span.clone(), value, what);
        }
    }

    fn sign(&mut self, at: usize) {
        const PAIRS: [(&str, &str); 6] = [
            ("==", "!="),
            ("!=", "=="),
            ("<=", "<"),
            (">=", ">"),
            ("&&", "||"),
            ("||", "&&"),
        ];
        let pair = PAIRS.into_iter().find(|(pair, _)| self.is_pair(at, pair));
        // A closure without parameters.
        let is_closure = pair.is_some_and(|(pair, _)| pair == "||") && self.is_before_value(at);
        if let Some((old, new)) = pair.filter(|_| !is_closure) {
            let span = self.span(at, at + 2);
            return self.add(at, span, new, format!("`{old}` became `{new}`"));
        }
        let is_alone = at > 0 && !self.is_pair(at - 1, "=>") && !self.is_pair(at - 1, "->");
        for (old, new) in [('<', "<="), ('>', ">=")] {
            if self.is_sign(at, old) && is_alone && !self.is_sign(at + 1, '=') {
                let span = self.span(at, at + 1);
                self.add(at, span, new, format!("`{old}` became `{new}`"));
            }
        }
        if self.is_sign(at, '!') && !self.is_sign(at + 1, '=') {
            let span = self.span(at, at + 1);
            let behind = self.said(at + 1).to_owned();
            self.add(at, span, "", format!("`!` before `{behind}` was removed"));
        }
    }

    /// Says whether a value begins here, so that there can't be an operator.
    fn is_before_value(&self, at: usize) -> bool {
        let before = at.checked_sub(1).map(|before| self.tokens[before].kind);
        before.is_none_or(|kind| matches!(kind, Kind::Sign('(' | ',' | '=' | ':' | '{' | ';')))
    }

    fn literal(&mut self, at: usize) {
        let token = &self.tokens[at];
        let written = self.said(at).to_owned();
        let is_field = at > 0 && self.is_sign(at - 1, '.');
        // `true:` would be a key of a map.
        let is_key = self.is_sign(at + 1, ':');
        let new = match (token.kind, &*written) {
            (Kind::Word, "true") if !is_key => "false".to_owned(),
            (Kind::Word, "false") if !is_key => "true".to_owned(),
            (Kind::Number, number) if !is_field && !self.is_sign(at + 1, '.') => {
                match number.parse::<i64>() {
                    Ok(number) => number.saturating_add(1).to_string(),
                    Err(_) => return,
                }
            }
            _ => return,
        };
        let what = format!("`{written}` became `{new}`");
        self.add(at, token.span.clone(), &new, what);
    }

    /// Removes each entry of a map that is an argument of a call.
    fn options(&mut self, at: usize) {
        let is_map = self.tokens[at].kind == Kind::OpenMap;
        let is_argument = at > 0 && (self.is_sign(at - 1, '(') || self.is_sign(at - 1, ','));
        let mut around = self.closers.iter().rev();
        let around = around.find(|(open, close)| **open < at && at < **close);
        let is_of_call = is_argument && around.is_some_and(|(open, _)| self.is_sign(*open, '('));
        let (true, Some(close)) = (is_map && is_of_call, self.closers.get(&at).copied()) else {
            return;
        };
        let mut start = at + 1;
        while start < close {
            let mut end = start;
            while end < close && !self.is_sign(end, ',') {
                end = self.after(end);
            }
            let whole = end + usize::from(end < close);
            let span = self.span(start, whole);
            let written = shown(&self.text[self.span(start, end)]);
            let what = format!("the option `{written}` was removed");
            self.add(start, span, "", what);
            start = whole;
        }
    }

    fn span(&self, from: usize, to: usize) -> Range<usize> {
        let end = self.tokens[to.clamp(from + 1, self.tokens.len()) - 1]
            .span
            .end;
        self.tokens[from].span.start..end
    }

    fn add(&mut self, at: usize, span: Range<usize>, new: &str, what: String) {
        let line = |byte: usize| 1 + self.text[..byte].matches('\n').count();
        // The innermost statement that contains it.
        let around = self.statements.iter().filter(|one| one.contains(&at));
        let statement = around.map(|one| one.start).max().unwrap_or(at);
        self.edits.push(Edit {
            line: line(span.start),
            reached_by: Some(line(self.tokens[statement].span.start)),
            span,
            new: new.to_owned(),
            what,
        });
    }
}

/// Returns a part of a text as one line.
fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&text, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = r#"import "lib/a" as a;
const INPUTS = #{ n: "int = 1" };
fn run(inputs) {
    let all = kube::list(inputs.cluster, "", "pods", #{ labels: "a=b", fields: `x=${inputs.n}${inputs.n}` });
    for one in all {
        if one.ready && !helped(one) {
            log::info(`${one} is ready`);
            throw "no";
        } else if one.n >= 2 {
            continue;
        }
    }
    all.filter(|one| one.n == 1);
    #{ n: all.len() }
}
fn helped(one) { one != () }
"#;

    fn script_edits(text: &str) -> Vec<Edit> {
        edits(text, 0..text.len(), false)
    }

    fn made() -> Vec<String> {
        let edits = edits(SCRIPT, 0..SCRIPT.len(), false);
        edits
            .iter()
            .map(|edit| format!("{}: {}", edit.line, edit.what))
            .collect()
    }

    #[test]
    fn each_line_is_altered_and_still_parses() {
        insta::assert_snapshot!(made().join("\n"));
        for edit in edits(SCRIPT, 0..SCRIPT.len(), false) {
            let mut text = SCRIPT.to_owned();
            text.replace_range(edit.span.clone(), &edit.new);
            let parsed = crate::script::Script::parse(
                "a.rhai",
                text.replace("import \"lib/a\" as a;", "").into(),
                &mut |_, _| Err("none".into()),
            );
            // A cluster that is not a declared input is refused with or without the edit.
            let faults = parsed.err().unwrap_or_default();
            assert!(
                faults.iter().all(|fault| fault.code != "syntax"),
                "{}: {faults:?}\n{text}",
                edit.what
            );
        }
    }

    #[test]
    fn an_edit_belongs_to_the_statement_that_is_traced() {
        let edits = edits(SCRIPT, 0..SCRIPT.len(), false);
        let line_of = |what: &str| {
            let edit = edits.iter().find(|edit| edit.what.contains(what));
            edit.unwrap_or_else(|| panic!("{what}: {:?}", made()))
                .reached_by
        };
        assert_eq!(line_of("the option `labels"), Some(4));
        assert_eq!(line_of("the statement `throw"), Some(8));
        assert_eq!(line_of("the condition `one.n >= 2` became `true`"), Some(9));
        // The last condition belongs to the statement that begins before it, not to the one in the block before it.
        let text = "fn run(inputs) {\n    let found = if inputs.a {\n        1\n    } else if inputs.b {\n        2\n    };\n}\n";
        let edits = script_edits(text);
        let edit = edits
            .iter()
            .find(|edit| edit.what.contains("`inputs.b` became"));
        assert_eq!(edit.and_then(|edit| edit.reached_by), Some(2));
    }

    #[test]
    fn what_does_not_match_is_left_alone() {
        assert!(edits("fn run(a) { (", 0..13, false).is_empty());
    }
}
