//! Records which lines of a script run.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rhai::{AST, ASTNode, Engine, Position, debugger::DebuggerCommand};

use super::script::Script;

/// Receives the lines of scripts that run. Must not block.
pub trait Trace: Send + Sync {
    /// Reports that a statement begins on this line (from 1) of a file in the workflow's folder.
    fn reached(&self, file: &str, line: usize);
}

/// Reports the lines of this script while the interpreter runs it.
pub(super) fn watch(engine: &mut Engine, script: &Script, trace: Arc<dyn Trace>) {
    let (path, text, places) = (
        script.path.clone(),
        script.text.clone(),
        script.places.clone(),
    );
    #[expect(deprecated, reason = "it is not: Rhai marks what may change")]
    engine.register_debugger(
        |_, debugger| debugger,
        move |_, _, _, source, position| {
            let is_own = source.is_none_or(|source| source == &*path);
            let line = if is_own {
                places
                    .line_and_column(&text, position)
                    .map(|(line, _)| line)
            } else {
                position.line()
            };
            if let Some(line) = line {
                trace.reached(source.unwrap_or(&path), line);
            }
            Ok(DebuggerCommand::StepInto)
        },
    );
}

impl Script {
    /// Returns the lines (from 1) that a run of it may reach, by file: those on which a statement of a function, or of an
    /// inline body, begins.
    pub fn lines(&self) -> BTreeMap<String, BTreeSet<usize>> {
        let own = |position| {
            self.places
                .line_and_column(&self.text, position)
                .map(|(line, _)| line)
        };
        let mut all = BTreeMap::new();
        all.insert(
            self.path.to_string(),
            lines_of(&self.ast, self.is_inline, own),
        );
        for module in self.imports.0.values() {
            all.insert(
                module.file.to_string(),
                lines_of(&module.run, false, |position| position.line()),
            );
        }
        all
    }
}

fn lines_of(
    ast: &AST,
    is_inline: bool,
    line: impl Fn(Position) -> Option<usize>,
) -> BTreeSet<usize> {
    let mut ast = ast.clone();
    if !is_inline {
        // Removes the constants of the file, whose lines every run passes.
        ast.clear_statements();
    }
    let mut lines = BTreeSet::new();
    ast.walk(&mut |path: &[ASTNode]| {
        if let Some(ASTNode::Stmt(statement)) = path.last()
            && !matches!(statement, rhai::Stmt::Noop(_) | rhai::Stmt::Block(_))
        {
            lines.extend(line(statement.position()));
        }
        true
    });
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<BTreeSet<usize>>);

    impl Trace for Seen {
        fn reached(&self, _: &str, line: usize) {
            self.0.lock().expect("unpoisoned").insert(line);
        }
    }

    #[test]
    fn the_lines_of_a_branch_that_is_not_taken_are_not_reached() {
        let text = "const X = 1;\nfn run(inputs) {\n    if 1 > 2 {\n        return #{ a: 1 };\n    }\n    let b = [1, 2]\n        .map(|x| x + 1);\n    helped(b)\n}\nfn helped(b) {\n    #{ b: b }\n}\n";
        let script = Script::parse("a.rhai", text.into(), &mut |_, _| Err("none".into()));
        let script = script.unwrap_or_else(|_| panic!("a script"));
        assert_eq!(
            script.lines()["a.rhai"],
            BTreeSet::from([3, 4, 6, 7, 8, 11])
        );
        let seen = Arc::new(Seen::default());
        let mut engine = super::super::interpreter::step_interpreter();
        watch(&mut engine, &script, seen.clone());
        let options = rhai::CallFnOptions::new().eval_ast(true);
        let called = engine.call_fn_with_options::<rhai::Dynamic>(
            options,
            &mut rhai::Scope::new(),
            &script.ast,
            "run",
            (rhai::Map::new(),),
        );
        assert!(called.is_ok(), "it runs");
        let reached = seen.0.lock().expect("unpoisoned").clone();
        let all = &script.lines()["a.rhai"];
        assert_eq!(all.difference(&reached).copied().collect::<Vec<_>>(), [4]);
    }
}
