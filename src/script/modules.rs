use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rhai::{AST, ASTNode, Expr, Position, Scope, Stmt};

use super::{
    calls::{self, Own},
    fault::{Fault, token_at},
    import::join_path,
    interpolation::compile_to_run,
    interpreter,
    script::{ReadImport, syntax_fault},
};

/// How many modules may import one another in a row. Reading and running them recurse for each.
const MAX_LEVELS: usize = 32;

/// The modules that a script imports, and those that they import.
#[derive(Default)]
pub(super) struct Modules {
    pub texts: BTreeMap<String, Arc<str>>,
    pub asts: BTreeMap<String, AST>,
    /// The same modules, in the form that runs.
    pub runs: BTreeMap<String, AST>,
    /// By file path: the files that each import name of the file may stand for.
    pub aliases: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// The imports being read, outermost first: a repeat is a cycle.
    open: Vec<String>,
    /// How many modules are in the longest row of imports that begins with each, itself included.
    levels: BTreeMap<String, usize>,
    /// The modules that could not be parsed, of which that was reported.
    broken: BTreeSet<String>,
}

impl Modules {
    /// Reads the imports of a file. Returns the length of the longest row of imports.
    pub fn load(
        &mut self,
        ast: &AST,
        path: &Arc<str>,
        text: &Arc<str>,
        own: &mut Own,
        read: &mut ReadImport,
        faults: &mut Vec<Fault>,
    ) -> usize {
        let mut deepest = 0;
        for import in imports_of(ast) {
            let Some(key) = self.read(&import, path, text, read, faults) else {
                own.unread.extend(import.alias);
                continue;
            };
            deepest = deepest.max(self.levels.get(&key).copied().unwrap_or(0));
            if let (Some(alias), Some(module)) = (&import.alias, self.asts.get(&key)) {
                own.add(alias, module);
                let aliases = self.aliases.entry(path.to_string()).or_default();
                let files = aliases.entry(alias.clone()).or_default();
                files.extend(module.source().map(str::to_owned));
            }
        }
        deepest
    }

    /// Reads an import of a file, and what that imports. Returns its key in [`Modules::asts`], or `None` after a mistake because of
    /// which its functions are not known.
    fn read(
        &mut self,
        import: &FoundImport,
        path: &Arc<str>,
        text: &Arc<str>,
        read: &mut ReadImport,
        faults: &mut Vec<Fault>,
    ) -> Option<String> {
        let fault = |code, message: String| {
            Fault::new(code, token_at(text, import.position), message).in_file(path, text)
        };
        let Some(wanted) = &import.path else {
            let found = fault(
                "bad-import",
                "an import's path must be a plain string".into(),
            );
            faults.push(found.help("imports are read before the script runs"));
            return None;
        };
        let Some(resolved) = join_path(path, wanted) else {
            let message = format!("`{wanted}` is outside the workflow's folder");
            faults.push(fault("bad-import", message).help(RULE));
            return None;
        };
        let (file, written) = (format!("{resolved}.rhai"), format!("{wanted}.rhai"));
        let (file, module_text) = match read(&file, &written) {
            Ok(found) => found,
            Err(why) => {
                let help = if file != written && read(&written, &written).is_ok() {
                    format!("{RULE}: `import \"{}{wanted}\"`", way_up(path))
                } else {
                    RULE.to_owned()
                };
                let message = format!("can't read `{file}`: {why}");
                faults.push(fault("bad-import", message).help(help));
                return None;
            }
        };
        let key = file.strip_suffix(".rhai").unwrap_or(&file).to_owned();
        if self.open.contains(&key) {
            let cycle: Vec<_> = self.open.iter().chain([&key]).cloned().collect();
            faults.push(fault(
                "bad-import",
                format!("imports form a cycle: {}", cycle.join(" → ")),
            ));
            return None;
        }
        let levels = self.levels.get(&key).copied().unwrap_or(1);
        if self.open.len() + levels > MAX_LEVELS {
            let message = format!("more than {MAX_LEVELS} modules import one another in a row");
            faults.push(fault("bad-import", message).help("put the functions into fewer files"));
            return None;
        }
        if self.asts.contains_key(&key) {
            return Some(key);
        }
        let module_path: Arc<str> = file.into();
        let there = |fault: Fault| fault.in_file(&module_path, &module_text);
        let mut module = match interpreter::steps().compile(&*module_text) {
            Ok(module) => module,
            Err(e) => {
                // Another import of it has the same mistake.
                if self.broken.insert(key) {
                    faults.push(there(syntax_fault(&module_text, &e)));
                }
                return None;
            }
        };
        module.set_source(&*module_path);
        let mut own = Own::default();
        own.add("", &module);
        self.open.push(key.clone());
        let deepest = self.load(&module, &module_path, &module_text, &mut own, read, faults);
        self.open.pop();
        self.levels.insert(key.clone(), 1 + deepest);
        let found = calls::check_script(&module, &module_text, &own);
        faults.extend(found.into_iter().map(there));
        match compile_to_run(interpreter::steps(), &Scope::new(), &module_text) {
            Ok(mut run) => {
                run.set_source(&*module_path);
                self.runs.insert(key.clone(), run);
            }
            Err(e) => faults.push(there(syntax_fault(&module_text, &e))),
        }
        self.texts.insert(key.clone(), module_text);
        self.asts.insert(key.clone(), module);
        Some(key)
    }
}

/// The rule by which imports are found.
const RULE: &str = "an import is a path relative to the file that contains it, without `.rhai`";

/// Returns the relative path from a file's folder to the workflow's folder.
fn way_up(file: &str) -> String {
    "../".repeat(file.matches('/').count())
}

struct FoundImport {
    /// `None` if the path is computed.
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
