use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use rhai::{AST, ASTNode, Expr, Position, Scope, Stmt};

use super::{
    calls::{self, Own},
    fault::{Fault, token_at},
    given::HostCall,
    import::join_path,
    interpolation::compile_to_run,
    interpreter, lint,
    script::{ReadImport, syntax_fault},
};
use windlass_ground::lock;

/// How many modules may import one another in a row. Reading and running them recurse for each.
const MAX_LEVELS: usize = 32;

/// A module that a script imports, directly or through another one, and what its text shows.
pub(super) struct Module {
    /// Its file in the workflow's folder.
    pub file: Arc<str>,
    pub text: Arc<str>,
    /// The code that is checked.
    pub checked: AST,
    /// The code that runs: see `interpolation`.
    pub run: AST,
    /// What it imports.
    pub imports: Vec<Imported>,
    /// The calls to host functions in it.
    pub host_calls: BTreeSet<HostCall>,
    /// Mistakes for which only new files are refused.
    pub discouraged: Vec<Fault>,
    /// How many modules are in the longest row of imports that begins with it.
    levels: usize,
    /// Whether it has no mistakes, nor has what it imports.
    is_sound: bool,
}

/// An import of a file, which was found.
pub(super) struct Imported {
    /// The import's path from the workflow's folder, and as it is written; both with `.rhai`.
    path: String,
    written: String,
    pub alias: Option<String>,
    pub module: Arc<Module>,
}

/// The modules without mistakes that were read for other scripts, by key: the last version of each.
#[derive(Default)]
pub(super) struct KnownModules(Mutex<BTreeMap<String, Arc<Module>>>);

/// The modules that a script imports, and those that they import.
pub(super) struct Modules<'a> {
    /// By key: the module's file, without `.rhai`.
    pub found: BTreeMap<String, Arc<Module>>,
    known: &'a KnownModules,
    /// The imports being read, outermost first: a repeat is a cycle.
    open: Vec<String>,
    /// The modules that could not be parsed, of which that was reported.
    broken: BTreeSet<String>,
}

/// The imports of a file.
#[derive(Default)]
struct Loaded {
    found: Vec<Imported>,
    /// The length of the longest row of imports.
    levels: usize,
    /// Whether all were found, and have no mistakes.
    are_sound: bool,
}

impl KnownModules {
    /// Returns a module with this text, if the texts of all that it imports are still those with which it was checked.
    fn unchanged(&self, key: &str, text: &str, read: &mut ReadImport) -> Option<Arc<Module>> {
        // Without the lock while files are read.
        let known = lock(&self.0).get(key).cloned();
        let known = known.filter(|module| *module.text == *text)?;
        let (mut open, mut seen) = (vec![&known], BTreeSet::new());
        while let Some(module) = open.pop() {
            if !seen.insert(Arc::as_ptr(module)) {
                continue;
            }
            for Imported {
                path,
                written,
                module,
                ..
            } in &module.imports
            {
                let (file, text) = read(path, written).ok()?;
                if *file != *module.file || text != module.text {
                    return None;
                }
                open.push(module);
            }
        }
        Some(known)
    }
}

impl Module {
    /// The key of its file in [`Modules::found`].
    fn key(&self) -> &str {
        key_of(&self.file)
    }
}

impl<'a> Modules<'a> {
    /// Reads what a script imports. Returns its own imports, too.
    pub fn of_script(
        known: &'a KnownModules,
        (ast, path, text): (&AST, &Arc<str>, &Arc<str>),
        own: &mut Own,
        read: &mut ReadImport,
        faults: &mut Vec<Fault>,
    ) -> (Self, Vec<Imported>) {
        let mut modules = Self {
            found: BTreeMap::new(),
            known,
            open: Vec::new(),
            broken: BTreeSet::new(),
        };
        let loaded = modules.load((ast, path, text), own, read, faults);
        (modules, loaded.found)
    }

    /// Reads the imports of a file.
    fn load(
        &mut self,
        (ast, path, text): (&AST, &Arc<str>, &Arc<str>),
        own: &mut Own,
        read: &mut ReadImport,
        faults: &mut Vec<Fault>,
    ) -> Loaded {
        let mut loaded = Loaded {
            are_sound: true,
            ..Loaded::default()
        };
        for import in imports_of(ast) {
            let Some(imported) = self.read(&import, path, text, read, faults) else {
                own.unread.extend(import.alias);
                loaded.are_sound = false;
                continue;
            };
            loaded.levels = loaded.levels.max(imported.module.levels);
            loaded.are_sound &= imported.module.is_sound;
            if let Some(alias) = &imported.alias {
                own.add(alias, &imported.module.checked);
            }
            loaded.found.push(imported);
        }
        loaded
    }

    /// Reads an import of a file, and what that imports. Returns `None` after a mistake because of which its functions are not
    /// known.
    fn read(
        &mut self,
        import: &FoundImport,
        path: &Arc<str>,
        text: &Arc<str>,
        read: &mut ReadImport,
        faults: &mut Vec<Fault>,
    ) -> Option<Imported> {
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
        let (asked, written) = (format!("{resolved}.rhai"), format!("{wanted}.rhai"));
        let (file, module_text) = match read(&asked, &written) {
            Ok(found) => found,
            Err(why) => {
                let help = if asked != written && read(&written, &written).is_ok() {
                    format!("{RULE}: `import \"{}{wanted}\"`", way_up(path))
                } else {
                    RULE.to_owned()
                };
                let message = format!("can't read `{asked}`: {why}");
                faults.push(fault("bad-import", message).help(help));
                return None;
            }
        };
        let key = key_of(&file);
        if self.open.iter().any(|open| open == key) {
            let open = self.open.iter().map(String::as_str);
            let cycle: Vec<_> = open.chain([key]).collect();
            faults.push(fault(
                "bad-import",
                format!("imports form a cycle: {}", cycle.join(" → ")),
            ));
            return None;
        }
        if !self.found.contains_key(key)
            && let Some(unchanged) = self.known.unchanged(key, &module_text, read)
        {
            self.add(&unchanged);
        }
        let found = self.found.get(key).cloned();
        let levels = found.as_ref().map_or(1, |module| module.levels);
        if self.open.len() + levels > MAX_LEVELS {
            let message = format!("more than {MAX_LEVELS} modules import one another in a row");
            faults.push(fault("bad-import", message).help("put the functions into fewer files"));
            return None;
        }
        let module = match found {
            Some(module) => module,
            None => self.parse(file.into(), module_text, read, faults)?,
        };
        Some(Imported {
            path: asked,
            written,
            alias: import.alias.clone(),
            module,
        })
    }

    /// Adds a module with all that it imports.
    fn add(&mut self, module: &Arc<Module>) {
        let mut open = vec![module];
        while let Some(module) = open.pop() {
            let key = module.key().to_owned();
            if self.found.insert(key, module.clone()).is_none() {
                open.extend(module.imports.iter().map(|import| &import.module));
            }
        }
    }

    /// Parses and checks a module, and reads what it imports. Returns `None` if it can't be parsed.
    fn parse(
        &mut self,
        file: Arc<str>,
        text: Arc<str>,
        read: &mut ReadImport,
        faults: &mut Vec<Fault>,
    ) -> Option<Arc<Module>> {
        let key = key_of(&file);
        let there = |fault: Fault| fault.in_file(&file, &text);
        let mut checked = match interpreter::steps().compile(&*text) {
            Ok(checked) => checked,
            Err(e) => {
                // Another import of it has the same mistake.
                if self.broken.insert(key.to_owned()) {
                    faults.push(there(syntax_fault(&text, &e)));
                }
                return None;
            }
        };
        checked.set_source(&*file);
        let mut own = Own::default();
        own.add("", &checked);
        self.open.push(key.to_owned());
        let loaded = self.load((&checked, &file, &text), &mut own, read, faults);
        self.open.pop();
        let mut found = calls::check_script(&checked, &text, &own);
        let run = compile_to_run(interpreter::steps(), &Scope::new(), &text, &checked);
        let mut run = run.unwrap_or_else(|e| {
            found.push(syntax_fault(&text, &e));
            checked.clone()
        });
        run.set_source(&*file);
        let is_sound = loaded.are_sound && found.is_empty();
        faults.extend(found.into_iter().map(there));
        let discouraged = lint::check(&checked, &text, None).into_iter();
        let key = key.to_owned();
        let module = Arc::new(Module {
            discouraged: discouraged.map(there).collect(),
            host_calls: calls::host_calls(&checked, None, false)
                .into_iter()
                .collect(),
            imports: loaded.found,
            levels: 1 + loaded.levels,
            is_sound,
            checked,
            run,
            file,
            text,
        });
        if is_sound {
            lock(&self.known.0).insert(key.clone(), module.clone());
        }
        self.found.insert(key, module.clone());
        Some(module)
    }
}

/// Returns the key of a file.
fn key_of(file: &str) -> &str {
    file.strip_suffix(".rhai").unwrap_or(file)
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
