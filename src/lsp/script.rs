//! The outline of a Rhai script, or of an inline body: its declarations, imports, reads and calls, with their places.

use std::ops::Range;

use super::workflow::Name;
use windlass_script::lexer::{Chain, Kind, Quoting, Token, chains, lex, pairs, unquoted};

#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The `//!` lines at the start of the file.
    pub description: String,
    /// `None` if there is no `INPUTS`.
    pub inputs: Option<Vec<Field>>,
    pub outputs: Option<Vec<Field>>,
    pub functions: Vec<Function>,
    pub imports: Vec<Import>,
    pub calls: Vec<Call>,
    pub chains: Vec<Chain>,
    /// Variables, constants, parameters: a name may occur more than once.
    pub variables: Vec<Name>,
    /// The keys of the map at the end of `run`, or of an inline body, if there is one: its outputs.
    pub given: Vec<Name>,
    pub tokens: Vec<Token>,
}

/// An entry of `INPUTS` or `OUTPUTS`.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: Name,
    /// The declaration as it is written: `string = RSA_2048`.
    pub declared: String,
    /// The comment after it.
    pub about: String,
}

#[derive(Clone, Debug)]
pub struct Function {
    pub name: Name,
    pub parameters: Vec<Name>,
    /// The comment above it.
    pub about: String,
    /// The range including the body.
    pub span: Range<usize>,
}

impl Function {
    /// Returns its parameters as they are written: `(ca, days)`.
    pub fn takes(&self) -> String {
        let names = self.parameters.iter().map(|name| name.text.as_str());
        format!("({})", names.collect::<Vec<_>>().join(", "))
    }
}

#[derive(Clone, Debug)]
pub struct Import {
    /// The path as it is written, without `.rhai`.
    pub path: Name,
    pub alias: Option<Name>,
}

/// A call: `pca::describe(arn)`.
#[derive(Clone, Debug)]
pub struct Call {
    /// `None` for a function of the script itself.
    pub module: Option<Name>,
    pub function: Name,
}

impl Call {
    pub fn full_name(&self) -> String {
        match &self.module {
            Some(module) => format!("{}::{}", module.text, self.function.text),
            None => self.function.text.clone(),
        }
    }
}

impl Field {
    pub fn is_required(&self) -> bool {
        !self.declared.contains('=') && !self.ty().ends_with('?') && self.ty() != "any"
    }

    pub fn ty(&self) -> &str {
        self.declared.split('=').next().unwrap_or_default().trim()
    }

    pub fn default(&self) -> Option<&str> {
        self.declared
            .split_once('=')
            .map(|(_, default)| default.trim())
    }
}

impl Script {
    pub fn read(text: &str, range: Range<usize>, quoting: Quoting) -> Self {
        let all = lex(text, range, quoting);
        let tokens: Vec<&Token> = all
            .iter()
            .filter(|token| token.kind != Kind::Comment)
            .collect();
        let pairs = pairs(&tokens);
        let reader = Reader {
            text,
            tokens: &tokens,
            pairs: &pairs,
            all: &all,
        };
        let mut script = Self {
            description: head(text, &all),
            inputs: reader.fields("INPUTS"),
            outputs: reader.fields("OUTPUTS"),
            chains: chains(text, &all),
            ..Self::default()
        };
        for at in 0..tokens.len() {
            match reader.word(at) {
                "fn" => script.functions.extend(reader.function(at)),
                "import" => script.imports.extend(reader.import(at)),
                "let" | "const" | "for" => script.variables.extend(reader.name(at + 1)),
                "catch" => script.variables.extend(reader.name(at + 2)),
                _ => {}
            }
            script.calls.extend(reader.call(at));
            if reader.is_sign(at, '|') {
                script.variables.extend(reader.closure(at));
            }
        }
        let end = match script.function("run") {
            // Without the closing brace of its body.
            Some(run) => tokens.partition_point(|token| token.span.end < run.span.end),
            None => tokens.len(),
        };
        script.given = Reader {
            tokens: &tokens[..end],
            ..reader
        }
        .last_map();
        let parameters = script
            .functions
            .iter()
            .flat_map(|function| &function.parameters);
        script
            .variables
            .extend(parameters.cloned().collect::<Vec<_>>());
        drop(tokens);
        script.tokens = all;
        script
    }

    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions
            .iter()
            .find(|function| function.name.text == name)
    }

    /// Returns the names of the inputs at a byte: `inputs` in an inline body, otherwise the parameter of `run` and the first one of
    /// `undo`, within these functions.
    pub fn inputs_at(&self, offset: usize, is_inline: bool) -> Option<&str> {
        if is_inline {
            return Some("inputs");
        }
        let entry = |function: &&Function| matches!(&*function.name.text, "run" | "undo");
        let mut around = self.functions.iter().filter(entry);
        let function = around
            .find(|function| function.span.contains(&offset) || function.span.end == offset)?;
        function.parameters.first().map(|name| name.text.as_str())
    }

    /// Says whether inputs are read in a way that their names don't show: all of them are passed on, or a name is computed.
    pub fn hides_reads(&self, text: &str, is_inline: bool) -> bool {
        let is_computed = self.chains.iter().any(|chain| {
            let variable = self.inputs_at(chain.start(), is_inline);
            variable == Some(chain.root()) && chain.skips_first
        });
        let is_parameter = |span: &Range<usize>| {
            let mut functions = self.functions.iter();
            functions.any(|f| f.parameters.iter().any(|name| name.span == *span))
        };
        let tokens = self
            .tokens
            .iter()
            .filter(|token| token.kind != Kind::Comment);
        let tokens: Vec<_> = tokens.collect();
        let is_sign = |at: Option<usize>, signs: &[char]| {
            let token = at.and_then(|at| tokens.get(at));
            token.is_some_and(|token| signs.iter().any(|c| token.kind == Kind::Sign(*c)))
        };
        let is_whole = |at: usize| {
            let span = &tokens[at].span;
            tokens[at].kind == Kind::Word
                && self.inputs_at(span.start, is_inline) == text.get(span.clone())
                && !is_parameter(span)
                // `x.inputs` and `#{ inputs: … }` are other names.
                && !is_sign(at.checked_sub(1), &['.'])
                && !is_sign(Some(at + 1), &['.', '[', '?', ':'])
        };
        is_computed || (0..tokens.len()).any(is_whole)
    }

    /// Says whether `run`, or an inline body, may end before its last map.
    pub fn returns_early(&self, text: &str, is_inline: bool) -> bool {
        let run = self.function("run").map(|function| function.span.clone());
        let is_return = |span: &Range<usize>| text.get(span.clone()) == Some("return");
        let mut words = self.tokens.iter().filter(|token| token.kind == Kind::Word);
        words.any(|word| {
            let is_inside = run
                .as_ref()
                .is_some_and(|run| run.contains(&word.span.start));
            (is_inline || is_inside) && is_return(&word.span)
        })
    }

    /// Returns the reads of inputs, each with its name and place.
    pub fn input_reads(&self, is_inline: bool) -> impl Iterator<Item = &(String, Range<usize>)> {
        self.chains.iter().filter_map(move |chain| {
            let variable = self.inputs_at(chain.start(), is_inline)?;
            (chain.root() == variable && !chain.skips_first).then(|| chain.parts.get(1))?
        })
    }
}

/// Returns the `//!` lines at the beginning of a script.
fn head(text: &str, tokens: &[Token]) -> String {
    let comments = tokens.iter().map_while(|token| {
        let comment = text[token.span.clone()].strip_prefix("//!");
        comment.filter(|_| token.kind == Kind::Comment)
    });
    comments.map(str::trim).collect::<Vec<_>>().join(" ")
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a str,
    /// The tokens, without comments.
    tokens: &'a [&'a Token],
    /// For each opening bracket, the closing one.
    pairs: &'a [Option<usize>],
    all: &'a [Token],
}

impl<'a> Reader<'a> {
    fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    /// Returns the bracket that closes the one at this place.
    fn close(&self, open: usize) -> Option<usize> {
        self.pairs[open].filter(|close| *close < self.tokens.len())
    }

    fn is_sign(&self, at: usize, sign: char) -> bool {
        self.kind(at) == Some(Kind::Sign(sign))
    }

    /// Returns the word at this place; empty if there is another token.
    fn word(&self, at: usize) -> &'a str {
        match self.tokens.get(at) {
            Some(token) if token.kind == Kind::Word => &self.text[token.span.clone()],
            _ => "",
        }
    }

    fn name(&self, at: usize) -> Option<Name> {
        let token = self
            .tokens
            .get(at)
            .filter(|token| token.kind == Kind::Word)?;
        let span = token.span.clone();
        Some(Name {
            text: self.text[span.clone()].to_owned(),
            span,
        })
    }

    /// Returns the declarations in a constant that is a map of texts.
    fn fields(&self, constant: &str) -> Option<Vec<Field>> {
        let at = (0..self.tokens.len())
            .find(|at| self.word(*at) == "const" && self.word(at + 1) == constant)?;
        let open = at + 3;
        if self.kind(open) != Some(Kind::OpenMap) {
            return Some(Vec::new());
        }
        let close = self.close(open).unwrap_or(self.tokens.len());
        let mut fields = Vec::new();
        for at in open + 1..close {
            let (Some(name), true) = (
                self.name(at).or_else(|| self.quoted(at)),
                self.is_sign(at + 1, ':'),
            ) else {
                continue;
            };
            let declared = self
                .quoted(at + 2)
                .map_or_else(String::new, |text| text.text);
            fields.push(Field {
                about: self.remark(name.span.end),
                name,
                declared,
            });
        }
        Some(fields)
    }

    fn quoted(&self, at: usize) -> Option<Name> {
        let token = self
            .tokens
            .get(at)
            .filter(|token| token.kind == Kind::Text)?;
        let span = unquoted(self.text, &token.span);
        Some(Name {
            text: self.text[span.clone()].to_owned(),
            span,
        })
    }

    /// Returns the comment at the end of a line.
    fn remark(&self, offset: usize) -> String {
        let end = self.text[offset..]
            .find('\n')
            .map_or(self.text.len(), |at| offset + at);
        let from = self.all.partition_point(|token| token.span.start < offset);
        let mut line = self.all[from..]
            .iter()
            .take_while(|token| token.span.start < end);
        let comment = line.find(|token| token.kind == Kind::Comment);
        comment.map_or_else(String::new, |token| {
            comment_text(&self.text[token.span.clone()])
        })
    }

    fn function(&self, at: usize) -> Option<Function> {
        let name = self.name(at + 1)?;
        let mut parameters = Vec::new();
        let mut next = at + 3;
        while self.is_sign(at + 2, '(') && !self.is_sign(next, ')') && next < self.tokens.len() {
            // If its closing bracket is missing, a list of parameters ends at the next other token.
            match self.kind(next) {
                Some(Kind::Word) => parameters.extend(self.name(next)),
                Some(Kind::Sign(',')) => {}
                _ => break,
            }
            next += 1;
        }
        // After the closing bracket of the parameters, if it exists.
        let body = (next..next + 2).find(|at| self.is_sign(*at, '{'));
        let end = match body.and_then(|open| self.close(open)) {
            Some(close) => self.tokens[close].span.end,
            None => self
                .tokens
                .last()
                .map_or(name.span.end, |token| token.span.end),
        };
        let start = match at.checked_sub(1).map(|at| self.word(at)) {
            Some("private") => self.tokens[at - 1].span.start,
            _ => self.tokens[at].span.start,
        };
        Some(Function {
            about: self.above(start),
            span: start..end,
            name,
            parameters,
        })
    }

    /// Returns the comments directly above a place.
    fn above(&self, offset: usize) -> String {
        let before = self.all.partition_point(|token| token.span.start < offset);
        let (mut lines, mut start) = (Vec::new(), offset);
        for token in self.all[..before].iter().rev() {
            let between = &self.text[token.span.end..start];
            let comment = &self.text[token.span.clone()];
            let is_above = between.trim().is_empty() && between.matches('\n').count() == 1;
            if token.kind != Kind::Comment || !is_above || comment.starts_with("//!") {
                break;
            }
            lines.push(comment_text(comment));
            start = token.span.start;
        }
        lines.reverse();
        lines.join(" ")
    }

    fn import(&self, at: usize) -> Option<Import> {
        let path = self.quoted(at + 1)?;
        let alias = (self.word(at + 2) == "as")
            .then(|| self.name(at + 3))
            .flatten();
        Some(Import { path, alias })
    }

    fn call(&self, at: usize) -> Option<Call> {
        let function = self.name(at)?;
        if !self.is_sign(at + 1, '(') || matches!(self.word(at.wrapping_sub(1)), "fn") {
            return None;
        }
        let is_of_module = at >= 2 && self.kind(at - 1) == Some(Kind::Path);
        let is_method = at >= 1 && self.is_sign(at - 1, '.');
        if is_method {
            return None;
        }
        Some(Call {
            module: if is_of_module {
                self.name(at - 2)
            } else {
                None
            },
            function,
        })
    }

    /// Returns the parameters of a closure that begins here.
    fn closure(&self, at: usize) -> Vec<Name> {
        let before = at.checked_sub(1).and_then(|at| self.kind(at));
        let begins = matches!(before, Some(Kind::Sign('(' | ',' | '=' | ':')) | None);
        let close = (at + 1..self.tokens.len().min(at + 12)).find(|at| self.is_sign(*at, '|'));
        match close.filter(|_| begins) {
            Some(close) => (at + 1..close).filter_map(|at| self.name(at)).collect(),
            None => Vec::new(),
        }
    }

    /// Returns the keys of a map at the end of the tokens.
    fn last_map(&self) -> Vec<Name> {
        let Some(last) = self.tokens.len().checked_sub(1) else {
            return Vec::new();
        };
        let mut opens = (0..=last)
            .rev()
            .filter(|at| self.kind(*at) == Some(Kind::OpenMap));
        let Some(open) = opens.find(|at| self.close(*at).is_none_or(|close| close == last)) else {
            return Vec::new();
        };
        let (mut depth, mut names) = (0, Vec::new());
        for at in open + 1..=last {
            match self.kind(at) {
                Some(Kind::Sign('(' | '[' | '{') | Kind::OpenMap) => depth += 1,
                Some(Kind::Sign(')' | ']' | '}')) => depth -= 1,
                Some(Kind::Word | Kind::Text) if depth == 0 && self.is_sign(at + 1, ':') => {
                    let before = at - 1 == open || self.is_sign(at - 1, ',');
                    names.extend(self.name(at).or_else(|| self.quoted(at)).filter(|_| before));
                }
                _ => {}
            }
        }
        names
    }
}

fn comment_text(comment: &str) -> String {
    let inside = comment
        .trim_start_matches(['/', '*', '!'])
        .trim_end_matches("*/");
    inside.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "//! Signs a request.\n//! It waits.\n\nimport \"lib/naming\" as naming;\n\nconst INPUTS = #{\n    ca: \"string\",      // the ARN\n    template: \"string = X/V1\",\n};\nconst OUTPUTS = #{ arn: \"string\", chain: \"string?\" };\n\n/// Makes a name.\n// Of two parts.\nfn name(a, b) { `${a}-${b}` }\n\nfn run(given) {\n    let arn = pca::issue_certificate(given.ca, #{ template: given.template });\n    [1].map(|n| n + 1);\n    #{ arn: arn, chain: naming::of(given[\"ca\"], [#{ x: 1 }]) }\n}\n";

    fn read(text: &str) -> Script {
        Script::read(text, 0..text.len(), Quoting::None)
    }

    #[test]
    fn a_script_has_its_parts() {
        let script = read(TEXT);
        assert_eq!(script.description, "Signs a request. It waits.");
        let inputs = script.inputs.as_ref().expect("declared");
        assert_eq!(
            (inputs[0].ty(), &*inputs[0].about, inputs[0].is_required()),
            ("string", "the ARN", true)
        );
        assert_eq!(
            (inputs[1].ty(), inputs[1].default()),
            ("string", Some("X/V1"))
        );
        let outputs = script.outputs.as_ref().expect("declared");
        assert_eq!(outputs[1].declared, "string?");
        let name = script.function("name").expect("a function");
        assert_eq!(
            (&*name.about, name.parameters.len()),
            ("Makes a name. Of two parts.", 2)
        );
        assert_eq!(&TEXT[name.span.clone()], "fn name(a, b) { `${a}-${b}` }");
        assert_eq!(script.imports[0].path.text, "lib/naming");
        assert_eq!(
            script.imports[0].alias.as_ref().map(|name| &*name.text),
            Some("naming")
        );
        let calls: Vec<_> = script.calls.iter().map(Call::full_name).collect();
        assert_eq!(calls, ["pca::issue_certificate", "naming::of"]);
        let reads: Vec<_> = script.input_reads(false).map(|(name, _)| &**name).collect();
        assert_eq!(reads, ["ca", "template", "ca"]);
        assert!(script.variables.iter().any(|name| name.text == "n"));
    }

    #[test]
    fn the_map_that_ends_it_is_what_it_gives() {
        let names = |text: &str| {
            let script = read(text);
            script
                .given
                .iter()
                .map(|name| name.text.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            names("let x = #{ a: 1 }; #{ path: #{ b: f(2, 3) }, \"more\": 2 }"),
            ["path", "more"]
        );
        assert_eq!(names("f(#{ a: 1 });"), [""; 0]);
        assert_eq!(names(TEXT), ["arn", "chain"]);
    }

    #[test]
    fn half_a_script_is_read() {
        for text in [
            "fn run(",
            "fn",
            "const INPUTS = #{ a:",
            "import \"x",
            "let x = pca::f(#{ a: 1, ",
            "|",
            "#{",
            "fn run(a { b",
        ] {
            read(text);
        }
        for part in ["a[", "#{", "fn f(", "f(|x| "] {
            read(&part.repeat(5_000));
        }
        let text = "fn run(inputs) {\n    pca::issue_certificate(inputs.";
        let script = read(text);
        assert_eq!(script.calls[0].full_name(), "pca::issue_certificate");
        assert_eq!(script.inputs_at(text.len(), false), Some("inputs"));
    }
}
