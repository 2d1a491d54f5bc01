//! Loads the files that a workflow names.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use super::{
    assemble::assemble,
    document,
    draft::{self, ActionDraft, Spanned},
    fields::Report,
    graph::{Action, Program, Workflow},
    mistake::{Mistake, Mistakes},
    source::Sources,
};
use windlass_script::{Fault, ParsedScripts, ROOTS, Script, join_path};
use windlass_world::value::Digest;

/// How many workflows may be inside of each other. Reading, deciding and drawing recurse for each level.
const MAX_LEVELS: usize = 32;

/// Compiles a workflow file with every script and workflow that it names.
///
/// # Errors
/// Every mistake in all of these files.
pub fn compile(main: &str, sources: &mut dyn Sources) -> Result<Program, Mistakes> {
    let mut linker = Linker {
        parsed: sources.parsed().unwrap_or_default(),
        sources,
        files: BTreeMap::new(),
        scripts: HashMap::new(),
        workflows: HashMap::new(),
        open: Vec::new(),
        mistakes: Vec::new(),
    };
    let text = match linker.read(main) {
        Ok(text) => text,
        Err(why) => {
            let (file, empty) = (Arc::from(main), Arc::from(""));
            let message = format!("can't read `{main}`: {why}");
            return Err(Mistakes(vec![Mistake::new(
                "unreadable-file",
                &file,
                &empty,
                0..0,
                message,
            )]));
        }
    };
    let workflow = linker.workflow(main, text);
    let Linker {
        mut files,
        mistakes,
        ..
    } = linker;
    match workflow {
        Some(workflow) if mistakes.is_empty() => {
            files.retain(|path, _| path.len() < 4096);
            Ok(Program {
                digest: digest_of(&files),
                workflow,
                main: main.into(),
                files,
            })
        }
        _ => Err(Mistakes::sorted(mistakes)),
    }
}

/// Digests the files of a program.
pub fn digest_of<T: AsRef<str>>(files: &BTreeMap<String, T>) -> Digest {
    let parts: Vec<&[u8]> = files
        .iter()
        .flat_map(|(path, text)| [path.as_bytes(), text.as_ref().as_bytes()])
        .collect();
    Digest::of(&parts)
}

struct Linker<'a> {
    sources: &'a mut dyn Sources,
    parsed: Arc<ParsedScripts>,
    files: BTreeMap<String, Arc<str>>,
    /// `None` for a script with mistakes, which are reported once.
    scripts: HashMap<String, Option<Arc<Script>>>,
    workflows: HashMap<String, Option<Arc<Workflow>>>,
    /// The workflows that are being read, outermost first: a repetition is a cycle.
    open: Vec<String>,
    mistakes: Vec<Mistake>,
}

impl Linker<'_> {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        let text = self.sources.read(path)?;
        self.files.insert(path.into(), text.clone());
        Ok(text)
    }

    /// Returns `None` if there are mistakes; they have been reported.
    fn workflow(&mut self, path: &str, text: Arc<str>) -> Option<Arc<Workflow>> {
        let file: Arc<str> = path.into();
        let parsed = match Path::new(path).extension() {
            Some(extension) if extension == "rhai" => {
                let why = "this is a script, not a workflow";
                let help =
                    format!("`windlass try {path}` runs it alone, and `script: {path}` in a step");
                Err(Mistake::new("bad-yaml", &file, &text, 0..0, why).help(help))
            }
            _ => document::parse(&file, &text),
        };
        let root = match parsed {
            Ok(root) => root,
            Err(mistake) => {
                self.mistakes.push(mistake);
                return None;
            }
        };
        let before = self.mistakes.len();
        let mut report = Report {
            file: &file,
            text: &text,
            mistakes: &mut self.mistakes,
            roots: ROOTS,
            is_frozen: self.sources.is_frozen(),
        };
        let draft = draft::read(&mut report, &root);
        self.open.push(path.into());
        let actions: Vec<_> = draft
            .steps
            .iter()
            .map(|step| self.action(&file, &text, &step.action))
            .collect();
        self.open.pop();
        let mut report = Report {
            file: &file,
            text: &text,
            mistakes: &mut self.mistakes,
            roots: ROOTS,
            is_frozen: self.sources.is_frozen(),
        };
        let workflow = assemble(&mut report, &file, draft, actions);
        (self.mistakes.len() == before)
            .then_some(workflow?)
            .map(Arc::new)
    }

    fn action(&mut self, file: &Arc<str>, text: &Arc<str>, action: &ActionDraft) -> Option<Action> {
        match action {
            ActionDraft::Unreadable => None,
            ActionDraft::Approval(approval) => Some(Action::Approval(approval.clone())),
            ActionDraft::Inline(body, places) => {
                let (sources, files) = (&mut *self.sources, &mut self.files);
                let mut read = |path: &str, written: &str| {
                    let (path, text) = sources.read_import(path, written)?;
                    files.insert(path.clone(), text.clone());
                    Ok((path, text))
                };
                let (body, places) = (body.clone(), places.clone());
                match self.parsed.parse_inline(file, body, places, &mut read) {
                    Ok(script) => {
                        if !self.sources.is_frozen() {
                            self.report(script.discouraged.clone(), file, text);
                        }
                        Some(Action::Script(Arc::new(script)))
                    }
                    Err(faults) => {
                        self.report(faults, file, text);
                        None
                    }
                }
            }
            ActionDraft::Script(named) => {
                let path = self.resolve(file, text, named)?;
                if !self.scripts.contains_key(&path) {
                    let script = self.script(file, text, named, &path);
                    self.scripts.insert(path.clone(), script);
                }
                self.scripts.get(&path)?.clone().map(Action::Script)
            }
            ActionDraft::Workflow(named) => {
                let path = self.resolve(file, text, named)?;
                if self.open.contains(&path) {
                    let cycle: Vec<_> = self.open.iter().chain([&path]).cloned().collect();
                    let message = format!(
                        "workflows contain each other in a cycle: {}",
                        cycle.join(" → ")
                    );
                    self.mistakes.push(Mistake::new(
                        "cycle",
                        file,
                        text,
                        named.span.clone(),
                        message,
                    ));
                    return None;
                }
                if self.open.len() >= MAX_LEVELS {
                    self.nested_too_deeply(file, text, named);
                    return None;
                }
                if !self.workflows.contains_key(&path) {
                    let workflow = match self.read(&path) {
                        Ok(inner) => self.workflow(&path, inner),
                        Err(why) => {
                            self.unreadable(file, text, named, &path, &why);
                            None
                        }
                    };
                    self.workflows.insert(path.clone(), workflow);
                }
                let inner = self.workflows.get(&path)?.clone()?;
                // It may have been read for a step that is less deep.
                if self.open.len() + inner.levels > MAX_LEVELS {
                    self.nested_too_deeply(file, text, named);
                    return None;
                }
                Some(Action::Workflow(inner))
            }
        }
    }

    fn nested_too_deeply(&mut self, file: &Arc<str>, text: &Arc<str>, named: &Spanned) {
        let message = format!("more than {MAX_LEVELS} workflows are inside of each other");
        let mistake = Mistake::new("cycle", file, text, named.span.clone(), message)
            .help("put the steps into fewer workflows");
        self.mistakes.push(mistake);
    }

    fn script(
        &mut self,
        file: &Arc<str>,
        text: &Arc<str>,
        named: &Spanned,
        path: &str,
    ) -> Option<Arc<Script>> {
        let script_text = match self.read(path) {
            Ok(script_text) => script_text,
            Err(why) => {
                self.unreadable(file, text, named, path, &why);
                return None;
            }
        };
        let (sources, files) = (&mut *self.sources, &mut self.files);
        let mut read = |path: &str, written: &str| {
            let (path, text) = sources.read_import(path, written)?;
            files.insert(path.clone(), text.clone());
            Ok((path, text))
        };
        match self.parsed.parse(path, script_text, &mut read) {
            Ok(script) => {
                if !self.sources.is_frozen() {
                    self.report(script.discouraged.clone(), file, text);
                }
                Some(script)
            }
            Err(faults) => {
                self.report(faults, file, text);
                None
            }
        }
    }

    fn report(&mut self, faults: Vec<Fault>, file: &Arc<str>, text: &Arc<str>) {
        let mistakes = faults
            .into_iter()
            .map(|fault| Mistake::from_fault(fault, file, text));
        self.mistakes.extend(mistakes);
    }

    fn unreadable(
        &mut self,
        file: &Arc<str>,
        text: &Arc<str>,
        named: &Spanned,
        path: &str,
        why: &str,
    ) {
        let message = format!("can't read `{path}`: {why}");
        let mistake = Mistake::new("unreadable-file", file, text, named.span.clone(), message)
            .help("a path is relative to the file that contains it");
        self.mistakes.push(mistake);
    }

    fn resolve(&mut self, file: &Arc<str>, text: &Arc<str>, named: &Spanned) -> Option<String> {
        let path = join_path(file, &named.text);
        if path.is_none() {
            let message = format!("`{}` is outside the workflow's folder", named.text);
            self.mistakes.push(Mistake::new(
                "unreadable-file",
                file,
                text,
                named.span.clone(),
                message,
            ));
        }
        path
    }
}
