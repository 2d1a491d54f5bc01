use std::{collections::BTreeMap, sync::Arc};

use rhai::{AST, Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

/// Gives a script the modules that were read and parsed with it, and no others: no file is
/// opened while a script runs.
#[derive(Clone, Default)]
pub(super) struct Imports {
    /// The path as the script writes it → the module's parsed text.
    pub asts: Arc<BTreeMap<String, AST>>,
    /// The path as the script writes it → the module's text.
    pub texts: Arc<BTreeMap<String, Arc<str>>>,
}

impl ModuleResolver for Imports {
    fn resolve(
        &self,
        engine: &Engine,
        _source: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let ast = self
            .asts
            .get(path)
            .ok_or_else(|| Box::new(EvalAltResult::ErrorModuleNotFound(path.into(), position)))?;
        Module::eval_ast_as_new(Scope::new(), ast, engine).map(Into::into)
    }
}
