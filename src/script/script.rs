use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rhai::{AST, ASTNode, Expr, ParseError, Position, Scope, Stmt};

use super::{
    calls::{self, HostCall, Own},
    engine,
    fault::{Fault, token_at},
    frozen::FrozenScript,
    import::Imports,
    signature::Signature,
};
use crate::value::Digest;

/// A step script that has been parsed and checked, with all it imports.
///
/// It holds no unknown function, no unreadable signature and no import outside the workflow's
/// folder; what it does is still its own affair.
pub struct Script {
    pub path: Arc<str>,
    pub text: Arc<str>,
    /// The `//!` lines at its head.
    pub description: String,
    /// `None` for an inline body, which takes whatever `with:` gives.
    pub inputs: Option<Signature>,
    /// `None` if it declares none: then any outputs may be read, and nothing is checked.
    pub outputs: Option<Signature>,
    /// Digests its text and every imported text.
    pub digest: Digest,
    /// Whether it says itself how it is undone: `fn undo(inputs, outputs)`.
    pub has_undo: bool,
    /// The host functions that it or its imports call.
    pub host_calls: BTreeSet<HostCall>,
    pub(super) ast: AST,
    pub(super) imports: Imports,
    pub is_inline: bool,
}

/// Reads an imported file by its path from the workflow's folder, or says why it can't.
pub type ReadImport<'a> = dyn FnMut(&str) -> Result<Arc<str>, String> + 'a;

impl Script {
    /// Parses a script file, which must have `fn run(inputs)`.
    ///
    /// # Errors
    /// Every mistake in it and in what it imports, in the order of the text.
    pub fn parse(path: &str, text: Arc<str>, read: &mut ReadImport) -> Result<Self, Vec<Fault>> {
        Self::parse_as(path, text, false, read)
    }

    /// Parses an inline body (`run: |`), which sees `inputs` and whose last value is its outputs.
    ///
    /// `text` has the length and lines of the whole file that it stands in, blank outside the
    /// body, so that places in it are places in that file.
    ///
    /// # Errors
    /// As [`Script::parse`].
    pub fn parse_inline(
        path: &str,
        text: Arc<str>,
        read: &mut ReadImport,
    ) -> Result<Self, Vec<Fault>> {
        Self::parse_as(path, text, true, read)
    }

    /// What it takes to parse the same script elsewhere.
    pub fn frozen(&self) -> FrozenScript {
        FrozenScript::new(self)
    }

    /// Parses a script that was frozen.
    ///
    /// # Errors
    /// As [`Script::parse`]; only another version of windlass can find a mistake in it.
    pub fn thaw(frozen: &FrozenScript) -> Result<Self, Vec<Fault>> {
        let mut read = |file: &str| {
            let text = file
                .strip_suffix(".rhai")
                .and_then(|p| frozen.imports.get(p));
            text.map(|text| text.as_str().into())
                .ok_or_else(|| "it was not frozen".to_owned())
        };
        Self::parse_as(&frozen.path, frozen.text(), frozen.is_inline, &mut read)
    }

    fn parse_as(
        path: &str,
        text: Arc<str>,
        is_inline: bool,
        read: &mut ReadImport,
    ) -> Result<Self, Vec<Fault>> {
        let path: Arc<str> = path.into();
        let here = |fault: Fault| fault.in_file(&path, &text);
        let mut scope = Scope::new();
        if is_inline {
            scope.push("inputs", rhai::Map::new());
        }
        let mut ast = engine::steps()
            .compile_with_scope(&scope, &*text)
            .map_err(|e| vec![here(syntax_fault(&text, &e))])?;
        ast.set_source(&*path);

        let mut faults = Vec::new();
        let mut modules = Modules::default();
        let mut own = Own::default();
        own.add("", &ast);
        modules.load(&ast, &path, &text, &mut own, read, &mut faults);
        faults.extend(calls::check_script(&ast, &text, &own).into_iter().map(here));

        let mut signature = |name| match Signature::read(&ast, &text, name) {
            Ok(signature) => signature,
            Err(found) => {
                faults.extend(found.into_iter().map(here));
                None
            }
        };
        let (inputs, outputs) = match is_inline {
            true => (None, None),
            false => (signature("INPUTS"), signature("OUTPUTS")),
        };
        if !is_inline {
            faults.extend(check_entry(&ast, &text).map(here));
            faults.extend(check_undo(&ast, &text).map(here));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let host_calls = std::iter::once(&ast)
            .chain(modules.asts.values())
            .flat_map(calls::list)
            .filter(|call| engine_has_module(&call.namespace))
            .map(|call| call.as_host_call())
            .collect();
        // Where an inline body stands in its file is no part of it.
        let own_text = if is_inline { text.trim() } else { &*text };
        let parts: Vec<&[u8]> = std::iter::once(own_text.as_bytes())
            .chain(
                modules
                    .texts
                    .iter()
                    .flat_map(|(k, v)| [k.as_bytes(), v.as_bytes()]),
            )
            .collect();
        Ok(Self {
            has_undo: !is_inline && ast.iter_functions().any(|f| f.name == "undo"),
            description: description(&text),
            digest: Digest::of(&parts),
            inputs: if is_inline {
                None
            } else {
                Some(inputs.unwrap_or_default())
            },
            outputs,
            host_calls,
            imports: Imports {
                asts: Arc::new(modules.asts),
                texts: Arc::new(modules.texts),
            },
            is_inline,
            ast,
            path,
            text,
        })
    }
}

fn engine_has_module(namespace: &str) -> bool {
    super::host::modules()
        .iter()
        .any(|(name, _)| *name == namespace)
}

fn description(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

fn check_entry(ast: &AST, text: &str) -> Option<Fault> {
    match ast.iter_functions().find(|function| function.name == "run") {
        Some(function) if function.params.len() == 1 => None,
        Some(function) => {
            let at = text.find("fn run").unwrap_or(0);
            Some(
                Fault::new(
                    "no-run-function",
                    at..at + "fn run".len(),
                    format!("`fn run` takes {} parameters, not 1", function.params.len()),
                )
                .help("write `fn run(inputs) { … }`"),
            )
        }
        None => Some(
            Fault::new(
                "no-run-function",
                0..0,
                "the script has no `fn run(inputs)`",
            )
            .help("a step starts there; its last value is a map of the outputs"),
        ),
    }
}

fn check_undo(ast: &AST, text: &str) -> Option<Fault> {
    let function = ast.iter_functions().find(|f| f.name == "undo")?;
    if function.params.len() == 2 {
        return None;
    }
    let at = text.find("fn undo").unwrap_or(0);
    let message = format!(
        "`fn undo` takes {} parameters, not 2",
        function.params.len()
    );
    Some(
        Fault::new("bad-undo-function", at..at + "fn undo".len(), message)
            .help("write `fn undo(inputs, outputs) { … }`"),
    )
}

fn syntax_fault(text: &str, error: &ParseError) -> Fault {
    let position = error.position();
    let span = match position.is_none() {
        true => text.len().saturating_sub(1)..text.len(),
        false => token_at(text, position),
    };
    if let rhai::ParseErrorType::ModuleUndefined(module) = error.err_type() {
        let fault = Fault::new(
            "unknown-module",
            span,
            format!("there is no module `{module}`"),
        );
        let names = super::host::modules().iter().map(|(name, _)| *name);
        return match calls::closest(module, names) {
            Some(name) => fault.help(format!("did you mean `{name}`?")),
            None => {
                fault.help("a module is a host module, or is imported: `import \"lib/x\" as x;`")
            }
        };
    }
    Fault::new(
        "syntax",
        span,
        lowercase_first(&error.err_type().to_string()),
    )
}

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

/// The modules that a script imports, and those that they import.
#[derive(Default)]
struct Modules {
    texts: BTreeMap<String, Arc<str>>,
    asts: BTreeMap<String, AST>,
    /// The imports being read, outermost first: a repeat is a cycle.
    open: Vec<String>,
}

impl Modules {
    fn load(
        &mut self,
        ast: &AST,
        path: &Arc<str>,
        text: &Arc<str>,
        own: &mut Own,
        read: &mut ReadImport,
        faults: &mut Vec<Fault>,
    ) {
        for import in imports_of(ast) {
            let fault = |code, message: String| {
                Fault::new(code, token_at(text, import.position), message).in_file(path, text)
            };
            let Some(wanted) = import.path else {
                faults.push(
                    fault(
                        "bad-import",
                        "an import's path must be a plain string".into(),
                    )
                    .help("imports are read before the script runs"),
                );
                continue;
            };
            if self.open.contains(&wanted) {
                let cycle = self
                    .open
                    .iter()
                    .chain([&wanted])
                    .cloned()
                    .collect::<Vec<_>>();
                faults.push(fault(
                    "bad-import",
                    format!("imports run in a circle: {}", cycle.join(" → ")),
                ));
                continue;
            }
            if !self.asts.contains_key(&wanted) {
                let file = format!("{wanted}.rhai");
                let module_text = match read(&file) {
                    Ok(module_text) => module_text,
                    Err(why) => {
                        faults.push(
                            fault("bad-import", format!("can't read `{file}`: {why}")).help(
                                "imports are paths from the workflow's folder, without `.rhai`",
                            ),
                        );
                        continue;
                    }
                };
                let module_path: Arc<str> = file.into();
                let mut module = match engine::steps().compile(&*module_text) {
                    Ok(module) => module,
                    Err(e) => {
                        faults.push(
                            syntax_fault(&module_text, &e).in_file(&module_path, &module_text),
                        );
                        continue;
                    }
                };
                module.set_source(&*module_path);
                let mut module_own = Own::default();
                module_own.add("", &module);
                self.open.push(wanted.clone());
                self.load(
                    &module,
                    &module_path,
                    &module_text,
                    &mut module_own,
                    read,
                    faults,
                );
                self.open.pop();
                let found = calls::check_script(&module, &module_text, &module_own);
                faults.extend(
                    found
                        .into_iter()
                        .map(|f| f.in_file(&module_path, &module_text)),
                );
                self.texts.insert(wanted.clone(), module_text);
                self.asts.insert(wanted.clone(), module);
            }
            if let (Some(alias), Some(module)) = (&import.alias, self.asts.get(&wanted)) {
                own.add(alias, module);
            }
        }
    }
}

struct FoundImport {
    /// `None` if it is computed.
    path: Option<String>,
    alias: Option<String>,
    position: Position,
}

fn imports_of(ast: &AST) -> Vec<FoundImport> {
    let mut imports = Vec::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, position))) = path.last() {
            let (expression, alias) = &**import;
            imports.push(FoundImport {
                path: match expression {
                    Expr::StringConstant(text, _) => Some(text.to_string()),
                    _ => None,
                },
                alias: Some(alias.name.to_string()).filter(|name| !name.is_empty()),
                position: *position,
            });
        }
        true
    });
    imports
}
