//! The names in a file and the symbols that they stand for: used for definitions, references, renames and hovers.

use std::{
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    files::{Files, Outline, resolve},
    script::Script,
    workflow::{Action, Name, Step, Workflow},
};
use windlass_script::{MODULES, function, lexer::Chain};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Symbol {
    Step {
        file: PathBuf,
        name: String,
    },
    /// A param of a workflow, or an input of a script.
    Input {
        file: PathBuf,
        name: String,
    },
    /// An output of a workflow or a script.
    Output {
        file: PathBuf,
        name: String,
    },
    /// An input of a step with an inline body, which declares none.
    BodyInput {
        file: PathBuf,
        step: String,
        name: String,
    },
    BodyOutput {
        file: PathBuf,
        step: String,
        name: String,
    },
    /// A function of a script.
    Function {
        file: PathBuf,
        name: String,
    },
    File(PathBuf),
    HostFunction(&'static str),
    HostModule(&'static str),
}

/// A name in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub span: Range<usize>,
    pub symbol: Symbol,
    pub is_definition: bool,
}

/// A place of a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    pub file: PathBuf,
    pub span: Range<usize>,
    pub is_definition: bool,
}

impl Symbol {
    /// Returns the file that defines it.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Step { file, .. }
            | Self::Input { file, .. }
            | Self::Output { file, .. }
            | Self::BodyInput { file, .. }
            | Self::BodyOutput { file, .. }
            | Self::Function { file, .. }
            | Self::File(file) => Some(file),
            Self::HostFunction(_) | Self::HostModule(_) => None,
        }
    }
}

/// Returns the name at a byte of a file.
pub fn mark_at(files: &Files, path: &Path, offset: usize) -> Option<Mark> {
    let marks = marks(files, path);
    // The position after the last letter still belongs to the word.
    let around = marks
        .into_iter()
        .filter(|mark| mark.span.start <= offset && offset <= mark.span.end);
    around.min_by_key(|mark| (mark.span.end == offset, mark.span.len()))
}

/// Lists all places of a symbol: in the file that defines it, in files that use that file, and in open files.
pub fn occurrences(files: &Files, symbol: &Symbol, from: &Path) -> Vec<Occurrence> {
    let home = symbol.file().unwrap_or(from);
    let mut places = BTreeSet::from([home.to_owned(), from.to_owned()]);
    let is_local = matches!(
        symbol,
        Symbol::Step { .. } | Symbol::BodyInput { .. } | Symbol::BodyOutput { .. }
    );
    if !is_local {
        places.extend(files.documents().map(|(path, _)| path.clone()));
        for user in files.users_of(home) {
            places.extend(files.reached_from(&user));
        }
    }
    let mut found = Vec::new();
    for file in places {
        for mark in marks(files, &file)
            .into_iter()
            .filter(|mark| mark.symbol == *symbol)
        {
            found.push(Occurrence {
                file: file.clone(),
                span: mark.span,
                is_definition: mark.is_definition,
            });
        }
    }
    found.dedup();
    found
}

/// Lists the names of a file.
pub fn marks(files: &Files, path: &Path) -> Vec<Mark> {
    let mut marks = match files.outline(path) {
        Outline::Workflow(text, workflow) => OfWorkflow {
            path,
            text: &text,
            workflow: &workflow,
            marks: Vec::new(),
        }
        .marks(),
        Outline::Script(_, script) => of_script(path, &script),
        Outline::None => Vec::new(),
    };
    marks.sort_by_key(|mark| mark.span.start);
    marks
}

struct OfWorkflow<'a> {
    path: &'a Path,
    text: &'a str,
    workflow: &'a Workflow,
    marks: Vec<Mark>,
}

impl OfWorkflow<'_> {
    fn marks(mut self) -> Vec<Mark> {
        for param in &self.workflow.params {
            self.add(&param.name, self.param(&param.name.text), true);
        }
        for name in &self.workflow.triggered {
            self.add(name, self.param(&name.text), false);
        }
        for step in &self.workflow.steps {
            self.step(step);
        }
        for output in &self.workflow.outputs {
            let name = output.name.text.clone();
            self.add(
                &output.name,
                Symbol::Output {
                    file: self.path.to_owned(),
                    name,
                },
                true,
            );
        }
        for chain in self
            .workflow
            .expressions
            .iter()
            .flat_map(|expression| &expression.chains)
        {
            self.read(chain);
        }
        self.marks
    }

    fn add(&mut self, name: &Name, symbol: Symbol, is_definition: bool) {
        self.marks.push(Mark {
            span: name.span.clone(),
            symbol,
            is_definition,
        });
    }

    fn param(&self, name: &str) -> Symbol {
        Symbol::Input {
            file: self.path.to_owned(),
            name: name.to_owned(),
        }
    }

    fn step_named(&self, name: &str) -> Symbol {
        Symbol::Step {
            file: self.path.to_owned(),
            name: name.to_owned(),
        }
    }

    fn step(&mut self, step: &Step) {
        self.add(&step.name, self.step_named(&step.name.text), true);
        if let Action::Script(path) | Action::Workflow(path) = &step.action
            && let Some(file) = resolve(self.path, &path.text)
        {
            self.add(path, Symbol::File(file), false);
        }
        for name in &step.with {
            if let Some(symbol) = input(self.path, step, &name.text) {
                let is_definition = matches!(symbol, Symbol::BodyInput { .. });
                self.add(name, symbol, is_definition);
            }
        }
        for name in &step.needs {
            self.add(name, self.step_named(&name.text), false);
        }
        if let Action::Inline { span, quoting } = &step.action {
            let body = Script::read(self.text, span.clone(), *quoting);
            let (file, of) = (self.path.to_owned(), step.name.text.clone());
            for name in &body.given {
                let symbol = Symbol::BodyOutput {
                    file: file.clone(),
                    step: of.clone(),
                    name: name.text.clone(),
                };
                self.add(name, symbol, true);
            }
            for (name, span) in body.input_reads(true) {
                let symbol = Symbol::BodyInput {
                    file: file.clone(),
                    step: of.clone(),
                    name: name.clone(),
                };
                self.marks.push(Mark {
                    span: span.clone(),
                    symbol,
                    is_definition: false,
                });
            }
            let calls = calls(self.path, &body, None);
            self.marks.extend(calls);
        }
    }

    fn read(&mut self, chain: &Chain) {
        let mut add = |at: usize, symbol: Option<Symbol>| {
            if let (Some((_, span)), Some(symbol)) = (chain.parts.get(at), symbol) {
                self.marks.push(Mark {
                    span: span.clone(),
                    symbol,
                    is_definition: false,
                });
            }
        };
        let Some(name) = chain.part(1) else { return };
        match chain.root() {
            "params" => add(
                1,
                Some(Symbol::Input {
                    file: self.path.to_owned(),
                    name: name.to_owned(),
                }),
            ),
            "steps" => {
                add(
                    1,
                    Some(Symbol::Step {
                        file: self.path.to_owned(),
                        name: name.to_owned(),
                    }),
                );
                let step = self.workflow.step(name);
                // An item of a step comes before its output: by name, or as what brackets compute.
                let at = match (step.is_some_and(|step| step.has_items), chain.skips_behind) {
                    (true, Some(2)) => 2,
                    (true, behind) if behind.is_none_or(|behind| behind > 3) => 3,
                    (false, behind) if behind.is_none_or(|behind| behind > 2) => 2,
                    _ => return,
                };
                if let (Some(step), Some(name)) = (step, chain.part(at)) {
                    add(at, output(self.path, step, name));
                }
            }
            _ => {}
        }
    }
}

/// Returns the symbol of a name in a step's `with`.
pub fn input(path: &Path, step: &Step, name: &str) -> Option<Symbol> {
    let name = name.to_owned();
    match &step.action {
        Action::Script(file) | Action::Workflow(file) => Some(Symbol::Input {
            file: resolve(path, &file.text)?,
            name,
        }),
        Action::Inline { .. } => Some(Symbol::BodyInput {
            file: path.to_owned(),
            step: step.name.text.clone(),
            name,
        }),
        Action::Approval | Action::None => None,
    }
}

fn output(path: &Path, step: &Step, name: &str) -> Option<Symbol> {
    let name = name.to_owned();
    match &step.action {
        Action::Script(file) | Action::Workflow(file) => Some(Symbol::Output {
            file: resolve(path, &file.text)?,
            name,
        }),
        Action::Inline { .. } => Some(Symbol::BodyOutput {
            file: path.to_owned(),
            step: step.name.text.clone(),
            name,
        }),
        Action::Approval | Action::None => None,
    }
}

fn of_script(path: &Path, script: &Script) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut add = |span: &Range<usize>, symbol, is_definition| {
        marks.push(Mark {
            span: span.clone(),
            symbol,
            is_definition,
        });
    };
    let input = |name: &str| Symbol::Input {
        file: path.to_owned(),
        name: name.to_owned(),
    };
    let output = |name: &str| Symbol::Output {
        file: path.to_owned(),
        name: name.to_owned(),
    };
    for field in script.inputs.iter().flatten() {
        add(&field.name.span, input(&field.name.text), true);
    }
    for field in script.outputs.iter().flatten() {
        add(&field.name.span, output(&field.name.text), true);
    }
    for (name, span) in script.input_reads(false) {
        add(span, input(name), false);
    }
    for name in &script.given {
        add(&name.span, output(&name.text), script.outputs.is_none());
    }
    for function in &script.functions {
        let name = function.name.text.clone();
        add(
            &function.name.span,
            Symbol::Function {
                file: path.to_owned(),
                name,
            },
            true,
        );
    }
    marks.extend(calls(path, script, Some(path)));
    marks
}

/// Returns the calls and imports of a script; `own` is the file whose functions it calls without a module.
fn calls(path: &Path, script: &Script, own: Option<&Path>) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut add = |span: &Range<usize>, symbol| {
        marks.push(Mark {
            span: span.clone(),
            symbol,
            is_definition: false,
        })
    };
    let imported = |alias: &str| {
        let mut imports = script.imports.iter();
        let import =
            imports.find(|import| import.alias.as_ref().is_some_and(|name| name.text == alias))?;
        resolve(path, &format!("{}.rhai", import.path.text))
    };
    for import in &script.imports {
        if let Some(file) = resolve(path, &format!("{}.rhai", import.path.text)) {
            add(&import.path.span, Symbol::File(file.clone()));
            if let Some(alias) = &import.alias {
                add(&alias.span, Symbol::File(file));
            }
        }
    }
    for call in &script.calls {
        let name = &call.function;
        match &call.module {
            None => {
                if let Some(file) = own.filter(|_| script.function(&name.text).is_some()) {
                    add(
                        &name.span,
                        Symbol::Function {
                            file: file.to_owned(),
                            name: name.text.clone(),
                        },
                    );
                }
            }
            Some(module) => {
                if let Some(file) = imported(&module.text) {
                    add(&module.span, Symbol::File(file.clone()));
                    add(
                        &name.span,
                        Symbol::Function {
                            file,
                            name: name.text.clone(),
                        },
                    );
                } else {
                    if let Some(row) = function(&call.full_name()) {
                        add(&name.span, Symbol::HostFunction(row.name));
                    }
                    if let Some(module_row) = MODULES.iter().find(|row| row.name == module.text) {
                        add(&module.span, Symbol::HostModule(module_row.name));
                    }
                }
            }
        }
    }
    marks
}
