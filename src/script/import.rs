use std::{
    collections::BTreeMap,
    path::{Component, Path},
    sync::Arc,
};

use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

/// Resolves imports to the modules that were read and parsed with a script, and to no others: no file is
/// opened while a script runs.
#[derive(Clone, Default)]
pub(super) struct Imports {
    /// The module's file, without `.rhai` → its parsed text.
    pub asts: Arc<BTreeMap<String, AST>>,
    /// The module's file, without `.rhai` → its text.
    pub texts: Arc<BTreeMap<String, Arc<str>>>,
}

impl ModuleResolver for Imports {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let resolved = join_path(source.unwrap_or_default(), path);
        let ast = resolved
            .and_then(|resolved| self.asts.get(&resolved))
            .or_else(|| self.asts.get(path))
            .ok_or_else(|| Box::new(EvalAltResult::ErrorModuleNotFound(path.into(), position)))?;
        Module::eval_ast_as_new(Scope::new(), ast, engine).map(Into::into)
    }
}

/// Resolves an import path, as written in the file `from`, to a path from the outermost workflow's folder. Returns `None`
/// if it leaves that folder.
pub fn join_path(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_folder() {
        let joined = |from, path| join_path(from, path);
        assert_eq!(
            joined("a.yaml", "steps/x.rhai").as_deref(),
            Some("steps/x.rhai")
        );
        assert_eq!(
            joined("sub/a.yaml", "../steps/x.rhai").as_deref(),
            Some("steps/x.rhai")
        );
        assert_eq!(joined("a.yaml", "../x.rhai"), None);
        assert_eq!(joined("a.yaml", "/etc/passwd"), None);
    }
}
