use std::{
    collections::BTreeMap,
    path::{Component, Path},
    sync::Arc,
};

use rhai::{Engine, EvalAltResult, ModuleResolver, Position, Scope, Shared};

use super::modules::Module;

/// Resolves imports to the modules that were read and parsed with a script, and to no others: no file is
/// opened while a script runs.
///
/// By the module's file, without `.rhai`.
#[derive(Clone)]
pub(super) struct Imports(pub Arc<BTreeMap<String, Arc<Module>>>);

impl ModuleResolver for Imports {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<rhai::Module>, Box<EvalAltResult>> {
        let resolved = join_path(source.unwrap_or_default(), path);
        let module = resolved
            .and_then(|resolved| self.0.get(&resolved))
            .or_else(|| self.0.get(path))
            .ok_or_else(|| Box::new(EvalAltResult::ErrorModuleNotFound(path.into(), position)))?;
        rhai::Module::eval_ast_as_new(Scope::new(), &module.run, engine).map(Into::into)
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
