//! Finds the calls to host functions that a function of a script can make: those in its own body, and in the bodies of all
//! functions that it reaches, including those of imports.
//!
//! Only the text is analysed, so a function that is named (a closure, `Fn("name")`, a callback) counts as called.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, FnCallExpr, FnPtr, Stmt};

use super::{
    calls,
    given::HostCall,
    modules::{Imported, Modules},
};

/// A file and a function in it; `None` for the statements outside of functions.
type Place<'a> = (&'a str, Option<String>);

/// A script with its imports.
pub(super) struct Reach<'a> {
    path: &'a str,
    /// The files by path, including the script's own.
    files: BTreeMap<&'a str, &'a AST>,
    /// By file: the files that each import name of the file may stand for.
    aliases: BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<&'a str>>>,
}

impl<'a> Reach<'a> {
    /// `imports` are those of the script itself.
    pub fn new(path: &'a str, ast: &'a AST, imports: &'a [Imported], modules: &'a Modules) -> Self {
        let imported = || modules.found.values();
        let files = imported().map(|module| (&*module.file, &module.checked));
        let mut reach = Self {
            path,
            files: files.chain([(path, ast)]).collect(),
            aliases: BTreeMap::new(),
        };
        let of_modules = imported().map(|module| (&*module.file, &*module.imports));
        for (file, imports) in of_modules.chain([(path, imports)]) {
            let aliases = reach.aliases.entry(file).or_default();
            for import in imports {
                if let Some(alias) = &import.alias {
                    let files = aliases.entry(alias).or_default();
                    files.insert(&import.module.file);
                }
            }
        }
        reach
    }

    /// Lists the calls that a function of the script can make, or an inline body if `function` is `None`. `inputs` is
    /// the variable that holds the inputs.
    pub fn calls_of(&self, function: Option<&str>, inputs: Option<&str>) -> BTreeSet<HostCall> {
        let entry: Place = (self.path, function.map(str::to_owned));
        let (mut open, mut seen) = (vec![entry.clone()], BTreeSet::new());
        let mut found = BTreeSet::new();
        while let Some(place) = open.pop() {
            if !seen.insert(place.clone()) {
                continue;
            }
            let file = place.0;
            let Some(ast) = self.files.get(file) else {
                continue;
            };
            let body = body(ast, place.1.as_deref());
            let inputs = inputs.filter(|_| place == entry);
            found.extend(calls::host_calls_in(&body, inputs));
            open.extend(self.named_in(file, &body));
            // The statements of a file run when it is loaded.
            open.push((file, None));
        }
        found
    }

    /// Lists the functions that a body calls or names.
    fn named_in(&self, file: &'a str, body: &AST) -> Vec<Place<'a>> {
        let own: BTreeSet<_> = self.files[file].iter_functions().map(|f| f.name).collect();
        let mut found = Vec::new();
        let mut name = |name: &str| {
            if own.contains(name) {
                found.push((file, Some(name.to_owned())));
            }
        };
        let mut imported = Vec::new();
        body.walk(&mut |path: &[ASTNode]| {
            match path.last() {
                Some(
                    ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))
                    | ASTNode::Stmt(Stmt::FnCall(call, _)),
                ) => {
                    if call.namespace.path.is_empty() {
                        name(&call.name)
                    } else {
                        imported.extend(self.imported(file, call))
                    }
                    // The name is computed, so it may be any function.
                    if call.name == "Fn" && !is_constant(call) {
                        own.iter().for_each(|own| name(own));
                    }
                }
                Some(ASTNode::Expr(Expr::StringConstant(text, _))) => name(text),
                Some(ASTNode::Expr(Expr::DynamicConstant(value, _))) => {
                    if let Some(pointer) = value.read_lock::<FnPtr>() {
                        name(pointer.fn_name());
                    }
                }
                _ => {}
            }
            true
        });
        found.extend(imported);
        found
    }

    /// Lists the functions that `module::name(…)` may stand for in a file.
    fn imported(&self, file: &'a str, call: &FnCallExpr) -> Vec<Place<'a>> {
        let mut files = BTreeSet::from([file]);
        for alias in &*call.namespace.path {
            let next = files.iter().filter_map(|file| self.aliases.get(*file));
            let next = next.filter_map(|aliases| aliases.get(alias.name.as_str()));
            files = next.flatten().copied().collect();
        }
        let files = files.into_iter();
        files
            .filter_map(|file| self.files.get_key_value(file))
            .map(|(file, _)| (*file, Some(call.name.to_string())))
            .collect()
    }
}

fn is_constant(call: &FnCallExpr) -> bool {
    matches!(call.args.first(), Some(Expr::StringConstant(..)))
}

/// Returns the AST with only one function, or with only the statements outside of functions.
fn body(ast: &AST, function: Option<&str>) -> AST {
    let mut body = ast.clone();
    match function {
        Some(function) => {
            body.clear_statements();
            body.retain_functions(|_, _, name, _| name == function);
        }
        None => {
            body.clear_functions();
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{HostCall, Script};

    const LIBRARY: &str = r#"
        import "deeper" as deeper;
        fn writes() { deeper::put(1) }
        fn unused() { file::remove("x") }
        fn applies(f) { f.call() }
    "#;
    const DEEPER: &str = r#"fn put(n) { http::put("https://a.example") }"#;

    fn parsed(text: &str) -> Script {
        let mut read = |path: &str, _: &str| match path {
            "library.rhai" => Ok((path.to_owned(), Arc::from(LIBRARY))),
            "deeper.rhai" => Ok((path.to_owned(), Arc::from(DEEPER))),
            _ => Err("it is not there".to_owned()),
        };
        Script::parse("s.rhai", text.into(), &mut read).unwrap_or_else(|e| panic!("{e:?}"))
    }

    fn names<'a>(calls: impl IntoIterator<Item = &'a HostCall>) -> Vec<&'static str> {
        calls.into_iter().map(|call| call.function).collect()
    }

    #[track_caller]
    fn run_reaches(run: &str, rest: &str, expected: &[&str]) {
        let text =
            format!("import \"library\" as library;\nfn run(inputs) {{ {run} #{{}} }}\n{rest}");
        assert_eq!(names(&parsed(&text).run_calls), expected, "{run}");
    }

    #[test]
    fn a_call_counts_for_the_functions_that_reach_it() {
        let text = r#"
            const INPUTS = #{ name: "string" };
            import "library" as library;
            fn run(inputs) { both(); http::get(`https://a.example/`); library::writes(); #{} }
            fn undo(inputs, outputs) { both(); kube::delete("a", "b", inputs.name); }
            fn both() { log::info("x"); hash::sha256("x"); time::sleep("1s") }
            fn nobody() { exec::run("ls", []) }
        "#;
        let script = parsed(text);
        let run = names(&script.run_calls);
        assert!(
            run.contains(&"time::sleep")
                && run.contains(&"http::get")
                && run.contains(&"http::put")
        );
        assert!(
            !run.contains(&"kube::delete")
                && !run.contains(&"file::remove")
                && !run.contains(&"exec::run")
        );
        let undo = names(&script.undo_calls);
        assert!(undo.contains(&"time::sleep") && undo.contains(&"kube::delete"));
        assert!(!undo.contains(&"http::get") && !undo.contains(&"http::put"));
        // The permissions cover all of them.
        assert!(names(&script.host_calls).contains(&"exec::run"));
    }

    #[test]
    fn a_function_that_is_only_named_counts() {
        let one = "fn one() { file::remove(\"x\") }";
        for run in [
            "library::applies(|| file::remove(\"x\"));",
            "let n = \"x\"; [1].map(|i| file::remove(n));",
            "library::applies(Fn(\"one\"));",
            "let name = \"o\" + \"ne\"; library::applies(Fn(name));",
            "library::applies(\"one\");",
            "#{}.one();",
            "if true { one() }",
        ] {
            run_reaches(run, one, &["file::remove"]);
        }
        run_reaches("let three = 3;", one, &[]);
        run_reaches("one(1);", "fn one(n) { two() } fn two() { one(1) }", &[]);
    }

    #[test]
    fn an_undo_knows_its_inputs() {
        let text = "const INPUTS = #{ p: \"string\" };\nfn run(inputs) { #{} }\nfn undo(inputs, outputs) { file::remove(inputs.p) }";
        let calls = parsed(text).undo_calls;
        let given = [("p".to_owned(), "a.txt".into())].into();
        let known = calls.iter().map(|call| call.with_inputs(&given));
        let shown: Vec<_> = known.map(|call| format!("{call:?}")).collect();
        assert!(shown[0].contains("a.txt"), "{shown:?}");
    }
}
