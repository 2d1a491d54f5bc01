use std::{collections::BTreeSet, ops::Range, sync::Arc};

use rhai::{AST, LexError, ParseError, ParseErrorType, Scope};

use super::{
    beginner,
    calls::{self, Own},
    fault::{Fault, token_at},
    foreign,
    frozen::FrozenScript,
    given::HostCall,
    import::Imports,
    inputs::{self, InputRead},
    interpolation::compile_to_run,
    interpreter, lint,
    modules::{Imported, KnownModules, Modules},
    places::Places,
    reach::Reach,
    signature::Signature,
};
use windlass_ground::{closest, did_you_mean};
use windlass_world::value::Digest;

/// A step script that has been parsed and checked, with everything that it imports.
///
/// It has no unknown function, no invalid signature and no import outside the workflow's folder. It can
/// still fail when it runs.
pub struct Script {
    pub path: Arc<str>,
    pub text: Arc<str>,
    /// The `//!` lines at the start of the file.
    pub description: String,
    /// `None` for an inline body, which accepts any `with:`.
    pub inputs: Option<Signature>,
    /// `None` if it declares none: then any outputs may be read, and none are checked.
    pub outputs: Option<Signature>,
    /// The inputs that an inline body reads; it has exactly those of its step's `with:`.
    pub input_reads: Vec<InputRead>,
    /// The outputs of an inline body, if its text shows them.
    pub literal_outputs: Option<BTreeSet<String>>,
    /// The type, with an article, of the value with which an inline body always ends, if that is not a map.
    pub other_end: Option<&'static str>,
    /// The digest of its text and every imported text.
    pub digest: Digest,
    /// Whether it defines its own undo: `fn undo(inputs, outputs)`.
    pub has_undo: bool,
    /// Mistakes for which only new files are refused.
    pub discouraged: Vec<Fault>,
    /// The calls to host functions in it and in its imports.
    pub host_calls: BTreeSet<HostCall>,
    /// The calls that a run of it can make, without those of `fn undo`.
    pub run_calls: BTreeSet<HostCall>,
    /// The calls that its `fn undo` can make.
    pub undo_calls: BTreeSet<HostCall>,
    /// The code that runs, which differs from the code that is checked: see `interpolation`.
    pub(super) ast: AST,
    pub(super) imports: Imports,
    pub is_inline: bool,
    /// The places of an inline body in its file.
    pub(super) places: Places,
}

/// Reads an imported file, given its path from the workflow's folder and the path as written in the import.
/// Returns the path of the file that was found and its text, or the reason why it can't be read.
pub type ReadImport<'a> = dyn FnMut(&str, &str) -> Result<(String, Arc<str>), String> + 'a;

impl Script {
    /// Parses a script file, which must have `fn run(inputs)`.
    ///
    /// # Errors
    /// Every mistake in it and in what it imports, in the order of the text.
    pub fn parse(path: &str, text: Arc<str>, read: &mut ReadImport) -> Result<Self, Vec<Fault>> {
        Self::parse_as(path, text, None, &KnownModules::default(), read)
    }

    /// Parses an inline body without a cache of modules.
    #[cfg(test)]
    pub(super) fn parse_inline(
        path: &str,
        text: Arc<str>,
        places: Places,
        read: &mut ReadImport,
    ) -> Result<Self, Vec<Fault>> {
        Self::parse_as(path, text, Some(places), &KnownModules::default(), read)
    }

    /// Returns all that another process needs to parse the same script.
    pub fn frozen(&self) -> FrozenScript {
        FrozenScript::new(self)
    }

    /// Parses a script that was frozen, as [`ParsedScripts::thaw`](super::ParsedScripts::thaw) does.
    pub(super) fn thaw(frozen: &FrozenScript, known: &KnownModules) -> Result<Self, Vec<Fault>> {
        // Version 0.1 froze imports by their paths from the workflow's folder.
        let mut read = |file: &str, written: &str| {
            let found = [file, written].into_iter().find_map(|path| {
                let text = frozen.imports.get(path.strip_suffix(".rhai")?)?;
                Some((path.to_owned(), text.as_str().into()))
            });
            found.ok_or_else(|| "it was not frozen".to_owned())
        };
        let text = frozen.text.as_str().into();
        Self::parse_as(&frozen.path, text, frozen.places.clone(), known, &mut read)
    }

    /// Parses a script file, or an inline body if there are `places`.
    pub(super) fn parse_as(
        path: &str,
        text: Arc<str>,
        places: Option<Places>,
        known: &KnownModules,
        read: &mut ReadImport,
    ) -> Result<Self, Vec<Fault>> {
        let is_inline = places.is_some();
        let source = Source {
            path: path.into(),
            text,
            is_inline,
            places: places.unwrap_or_default(),
        };
        let ast = source.checked_ast()?;
        let (modules, own_imports, mut faults) = source.check_with_imports(&ast, known, read);
        let (accepted, outputs) = source.check_declarations(&ast, &mut faults);
        let run = compile_to_run(interpreter::steps(), &source.scope(), &source.text, &ast);
        let run = run.map_err(|e| faults.push(source.here(syntax_fault(&source.text, &e))));
        let (Ok(mut run), true) = (run, faults.is_empty()) else {
            return Err(faults);
        };
        run.set_source(&*source.path);
        let discouraged = source.discouraged(&ast, outputs.as_ref(), &modules);
        let body = is_inline.then_some(&ast);
        let unchanged = inputs::unchanged(&ast, &source.text, is_inline);
        let host_calls = calls::host_calls(&ast, unchanged.as_deref(), is_inline);
        let of_imports = modules.found.values();
        let of_imports = of_imports.flat_map(|module| module.host_calls.iter().cloned());
        let reach = Reach::new(&source.path, &ast, &own_imports, &modules);
        let entry = (!is_inline).then_some("run");
        let run_calls = reach.calls_of(entry, unchanged.as_deref());
        let has_undo = !is_inline && ast.iter_functions().any(|f| f.name == "undo");
        let undo_calls = if has_undo {
            let unchanged = inputs::unchanged_in(&ast, &source.text, "undo");
            reach.calls_of(Some("undo"), unchanged.as_deref())
        } else {
            BTreeSet::new()
        };
        Ok(Self {
            has_undo,
            description: description(&source.text),
            digest: source.digest(&modules),
            inputs: if is_inline {
                None
            } else {
                Some(accepted.unwrap_or_default())
            },
            outputs,
            input_reads: body.map_or_else(Vec::new, |ast| source.input_reads(ast)),
            discouraged,
            literal_outputs: body.and_then(inputs::outputs_of_body),
            other_end: body.and_then(inputs::other_end_of_body),
            host_calls: host_calls.into_iter().chain(of_imports).collect(),
            run_calls,
            undo_calls,
            imports: Imports(Arc::new(modules.found)),
            is_inline,
            places: source.places,
            ast: run,
            path: source.path,
            text: source.text,
        })
    }
}

/// A text that is parsed: a file, or an inline body within one.
struct Source {
    path: Arc<str>,
    text: Arc<str>,
    is_inline: bool,
    /// The places of an inline body in its file; empty for a file.
    places: Places,
}

impl Source {
    /// Returns a mistake in this text with its place in the file.
    fn here(&self, fault: Fault) -> Fault {
        if self.is_inline {
            fault.at(&self.places)
        } else {
            fault.in_file(&self.path, &self.text)
        }
    }

    /// Returns the variables that the text may use without declaring them.
    fn scope(&self) -> Scope<'static> {
        let mut scope = Scope::new();
        if self.is_inline {
            scope.push("inputs", rhai::Map::new());
        }
        scope
    }

    /// Parses the text into the form that is checked.
    fn checked_ast(&self) -> Result<AST, Vec<Fault>> {
        let Self {
            text, is_inline, ..
        } = self;
        if let Some(fault) = beginner::expression_mark(text, *is_inline) {
            return Err(vec![self.here(fault)]);
        }
        let parsed = interpreter::steps().compile_with_scope(&self.scope(), &**text);
        let mut ast = parsed.map_err(|e| {
            let fault = syntax_fault(text, &e);
            vec![self.here(beginner::helped(fault, text, &e, *is_inline))]
        })?;
        ast.set_source(&*self.path);
        Ok(ast)
    }

    /// Reads what the text imports, and finds mistakes there and calls of functions that do not exist.
    fn check_with_imports<'k>(
        &self,
        ast: &AST,
        known: &'k KnownModules,
        read: &mut ReadImport,
    ) -> (Modules<'k>, Vec<Imported>, Vec<Fault>) {
        let mut own = Own::default();
        own.add("", ast);
        let mut found = Vec::new();
        let itself = (ast, &self.path, &self.text);
        let (modules, imports) = Modules::of_script(known, itself, &mut own, read, &mut found);
        let placed = found.into_iter().map(|fault| {
            if fault.is_in(&self.path) {
                self.here(fault)
            } else {
                fault
            }
        });
        let calls = calls::check_script(ast, &self.text, &own).into_iter();
        let faults = placed.chain(calls.map(|fault| self.here(fault))).collect();
        (modules, imports, faults)
    }

    /// Reads the inputs and outputs that a file declares, and finds mistakes in them and in the functions that a step calls.
    fn check_declarations(
        &self,
        ast: &AST,
        faults: &mut Vec<Fault>,
    ) -> (Option<Signature>, Option<Signature>) {
        if self.is_inline {
            return (None, None);
        }
        let text = &self.text;
        let mut signature = |name| match Signature::read(ast, text, name) {
            Ok(signature) => signature,
            Err(found) => {
                faults.extend(found.into_iter().map(|fault| self.here(fault)));
                None
            }
        };
        let (accepted, outputs) = (signature("INPUTS"), signature("OUTPUTS"));
        let found = check_entry(ast, text).into_iter();
        let found =
            found
                .chain(check_undo(ast, text))
                .chain(check_inputs(ast, text, accepted.as_ref()));
        faults.extend(found.map(|fault| self.here(fault)));
        (accepted, outputs)
    }

    /// Finds mistakes for which only new files are refused, in the text and in what it imports.
    fn discouraged(&self, ast: &AST, outputs: Option<&Signature>, modules: &Modules) -> Vec<Fault> {
        let found = if self.is_inline {
            let mut found = lint::check_body(ast, &self.text);
            found.extend(lint::without_statements(ast, &self.text));
            found
        } else {
            lint::check(ast, &self.text, outputs)
        };
        let mut all: Vec<_> = found.into_iter().map(|fault| self.here(fault)).collect();
        let of_modules = modules.found.values();
        all.extend(of_modules.flat_map(|module| module.discouraged.clone()));
        all
    }

    /// Returns the inputs that an inline body reads, with their places in its file.
    fn input_reads(&self, ast: &AST) -> Vec<InputRead> {
        let reads = inputs::of_body(ast, &self.text).into_iter();
        let placed = reads.map(|read| InputRead {
            span: self.places.span_of(read.span),
            ..read
        });
        placed.collect()
    }

    /// Returns the digest of the text and of all that it imports.
    fn digest(&self, modules: &Modules) -> Digest {
        let imported = modules.found.iter();
        let imported = imported.flat_map(|(key, module)| [key.as_bytes(), module.text.as_bytes()]);
        let parts: Vec<&[u8]> = std::iter::once(self.text.as_bytes())
            .chain(imported)
            .collect();
        Digest::of(&parts)
    }
}

fn description(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

fn check_entry(ast: &AST, text: &str) -> Option<Fault> {
    let counts = parameter_counts(ast, "run");
    match counts.contains(&1) {
        true => None,
        false if !counts.is_empty() => Some(
            Fault::new(
                "no-run-function",
                definition_of(text, "fn run"),
                "`fn run` must have one parameter, the inputs",
            )
            .help("write `fn run(inputs) { … }`"),
        ),
        false => Some(
            Fault::new(
                "no-run-function",
                0..0,
                "the script has no `fn run(inputs)`",
            )
            .help("a step calls this function; its last value is a map of the outputs"),
        ),
    }
}

/// Returns the place of `fn NAME` where a line begins with it: comments mention it, too. Rhai does not tell the places of functions.
fn definition_of(text: &str, definition: &str) -> Range<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_start();
        let code = code.strip_prefix("private").map_or(code, str::trim_start);
        let is_it = code.strip_prefix(definition);
        if is_it.is_some_and(|rest| rest.trim_start().starts_with('(')) {
            let start = at + line.len() - code.len();
            return start..start + definition.len();
        }
        at += line.len();
    }
    text.find(definition)
        .map_or(0..0, |at| at..at + definition.len())
}

/// Returns how many parameters each function of a name has: Rhai tells them apart by that.
fn parameter_counts(ast: &AST, name: &str) -> Vec<usize> {
    let all = ast.iter_functions().filter(|f| f.name == name);
    all.map(|function| function.params.len()).collect()
}

fn check_undo(ast: &AST, text: &str) -> Option<Fault> {
    let counts = parameter_counts(ast, "undo");
    if counts.is_empty() || counts.contains(&2) {
        return None;
    }
    let message = "`fn undo` must have two parameters, the inputs and the outputs";
    Some(
        Fault::new("bad-undo-function", definition_of(text, "fn undo"), message)
            .help("write `fn undo(inputs, outputs) { … }`"),
    )
}

/// Finds inputs that a script reads and does not declare.
fn check_inputs(ast: &AST, text: &str, accepted: Option<&Signature>) -> Vec<Fault> {
    let names = || accepted.iter().flat_map(|known| known.fields.keys());
    ["run", "undo"]
        .into_iter()
        .flat_map(|function| inputs::of_function(ast, text, function))
        .filter(|read| !names().any(|name| *name == read.name))
        .map(|read| {
            let message = format!("the script has no input `{}`", read.name);
            let help = match closest(&read.name, names().map(String::as_str)) {
                Some(near) => did_you_mean(near),
                None => format!(
                    "declare it: `const INPUTS = #{{ {}: \"string\" }};`",
                    read.name
                ),
            };
            Fault::new("unknown-input", read.span, message).help(help)
        })
        .collect()
}

pub(super) fn syntax_fault(text: &str, error: &ParseError) -> Fault {
    let position = error.position();
    let span = if position.is_none() {
        text.len().saturating_sub(1)..text.len()
    } else {
        token_at(text, position)
    };
    if let ParseErrorType::ModuleUndefined(module) = error.err_type() {
        let fault = Fault::new(
            "unknown-module",
            span,
            format!("there is no module `{module}`"),
        );
        let names = super::host::modules().iter().map(|(name, _)| *name);
        return match closest(module, names) {
            Some(name) => fault.help(did_you_mean(name)),
            None => fault.help("use a host module, or import a module: `import \"lib/x\" as x;`"),
        };
    }
    let span_text = span.clone();
    let fault = Fault::new(
        "syntax",
        span,
        lowercase_first(&error.err_type().to_string()),
    );
    if let Some(hint) = foreign::hint(text, &span_text, error.err_type()) {
        return fault.help(hint);
    }
    match error.err_type() {
        ParseErrorType::BadInput(LexError::MalformedChar(_)) => {
            fault.help("write a string in double quotes or in backticks")
        }
        _ if text.get(span_text.clone()) == Some("curry") => fault.help(
            "`curry` is not available; a closure captures the variables that it uses: `|x| f.call(a, x)`",
        ),
        ParseErrorType::Reserved(_) => fault.help(RESERVED),
        _ => fault,
    }
}

/// The hint for a name that Rhai reserves.
const RESERVED: &str =
    "Rhai reserves this word: use another name, or read it in brackets, `inputs[\"name\"]`";

pub(super) fn lowercase_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // Leave acronyms and identifiers alone.
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.into(),
    }
}
