use std::{collections::BTreeMap, sync::Arc};

use rhai::{AST, ASTNode, Expr, Position, Scope, Stmt};

use super::{
    calls::{self, Own},
    engine,
    fault::{Fault, token_at},
    interpolation::compile_to_run,
    script::{ReadImport, syntax_fault},
};

/// The modules that a script imports, and those that they import.
#[derive(Default)]
pub(super) struct Modules {
    pub texts: BTreeMap<String, Arc<str>>,
    pub asts: BTreeMap<String, AST>,
    /// The same as they run.
    pub runs: BTreeMap<String, AST>,
    /// The imports being read, outermost first: a repeat is a cycle.
    open: Vec<String>,
}

impl Modules {
    pub fn load(
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
                match compile_to_run(engine::steps(), &Scope::new(), &module_text) {
                    Ok(mut run) => {
                        run.set_source(&*module_path);
                        self.runs.insert(wanted.clone(), run);
                    }
                    Err(e) => faults
                        .push(syntax_fault(&module_text, &e).in_file(&module_path, &module_text)),
                }
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
