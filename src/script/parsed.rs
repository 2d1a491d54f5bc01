//! Caches parsed scripts, for a program that reads the same ones repeatedly.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{
    fault::Fault,
    frozen::FrozenScript,
    modules::KnownModules,
    places::Places,
    script::{ReadImport, Script},
};
use windlass_ground::lock;

/// Parses a script, and a module that several scripts import, once for each version of its text and of its imports.
#[derive(Default)]
pub struct ParsedScripts {
    /// By path: the last version of each script.
    scripts: Mutex<BTreeMap<String, Kept>>,
    modules: KnownModules,
}

#[derive(Clone)]
struct Kept {
    text: Arc<str>,
    /// The imports that were requested, and their texts.
    imports: Vec<Import>,
    script: Arc<Script>,
}

type Import = ((String, String), (String, Arc<str>));

impl ParsedScripts {
    /// Parses a script as [`Script::parse`] does. The imports of a cached script are read again: they may have changed, and the
    /// caller may record which files are read.
    ///
    /// # Errors
    /// The same as of [`Script::parse`]; a script with mistakes is not cached.
    pub fn parse(
        &self,
        path: &str,
        text: Arc<str>,
        read: &mut ReadImport,
    ) -> Result<Arc<Script>, Vec<Fault>> {
        // Without the lock while files are read.
        let kept = lock(&self.scripts).get(path).cloned();
        if let Some(kept) = kept
            && kept.text == text
            && kept.is_unchanged(read)
        {
            return Ok(kept.script);
        }
        let mut imports = Vec::new();
        let mut noting = |path: &str, written: &str| {
            let found = read(path, written)?;
            imports.push(((path.to_owned(), written.to_owned()), found.clone()));
            Ok(found)
        };
        let script = Script::parse_as(path, text.clone(), None, &self.modules, &mut noting)?;
        let script = Arc::new(script);
        let kept = Kept {
            text,
            imports,
            script: script.clone(),
        };
        lock(&self.scripts).insert(path.to_owned(), kept);
        Ok(script)
    }

    /// Parses an inline body (`run: |`), which sees `inputs` and whose last value is its outputs. Only what it imports is cached.
    ///
    /// `path` is the file that contains it, and `places` its places in that file.
    ///
    /// # Errors
    /// The same as of [`Script::parse`]; mistakes in the body have their place in that file, and name no file.
    pub fn parse_inline(
        &self,
        path: &str,
        text: Arc<str>,
        places: Places,
        read: &mut ReadImport,
    ) -> Result<Script, Vec<Fault>> {
        Script::parse_as(path, text, Some(places), &self.modules, read)
    }

    /// Parses a script that was frozen. Only what it imports is cached.
    ///
    /// # Errors
    /// The same as of [`Script::parse`]. They can only occur if another version of windlass froze the script.
    pub fn thaw(&self, frozen: &FrozenScript) -> Result<Script, Vec<Fault>> {
        Script::thaw(frozen, &self.modules)
    }
}

impl Kept {
    fn is_unchanged(&self, read: &mut ReadImport) -> bool {
        self.imports
            .iter()
            .all(|((path, written), found)| read(path, written).as_ref() == Ok(found))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::modules::Module, *};

    const SCRIPT: &str = "import \"lib\" as lib;\nfn run(inputs) { lib::a(); #{} }";

    /// Parses with a library of this text; returns how many files were read, and the script or the first mistake.
    fn parse(
        parsed: &ParsedScripts,
        script: &str,
        library: &str,
    ) -> (usize, Result<Arc<Script>, String>) {
        let mut reads = 0;
        let found = parsed.parse("s.rhai", script.into(), &mut |path, _| {
            reads += 1;
            Ok((path.to_owned(), library.into()))
        });
        let found = found.map_err(|faults| faults[0].message.clone());
        (reads, found)
    }

    #[test]
    fn a_script_is_parsed_again_only_if_a_text_has_changed() {
        let parsed = ParsedScripts::default();
        let of = |script: &str, library: &str| parse(&parsed, script, library);
        let (_, first) = of(SCRIPT, "fn a() { 1 }");
        let first = first.expect("a script");
        let (reads, again) = of(SCRIPT, "fn a() { 1 }");
        assert!(Arc::ptr_eq(&first, &again.expect("a script")));
        assert_eq!(reads, 1, "the import is looked at");
        let (_, other) = of(SCRIPT, "fn a() { 2 }");
        assert!(!Arc::ptr_eq(&first, &other.expect("a script")));
        let (_, wrong) = of(SCRIPT, "fn b() { 2 }");
        assert!(wrong.err().expect("a mistake").contains("lib::a"));
        let (_, longer) = of(&format!("{SCRIPT} "), "fn a() { 1 }");
        assert!(!Arc::ptr_eq(&first, &longer.expect("a script")));
    }

    /// Parses a script that imports `lib`, which imports `deep`. Returns the module `lib`.
    fn library_of(
        parsed: &ParsedScripts,
        script: &str,
        (lib, deep): (&str, &str),
    ) -> Result<Arc<Module>, String> {
        let text = "import \"lib\" as lib;\nfn run(inputs) { lib::a(); #{} }";
        let found = parsed.parse(script, text.into(), &mut |path, _| {
            let text = if path == "lib.rhai" { lib } else { deep };
            Ok((path.to_owned(), text.into()))
        });
        let script = found.map_err(|faults| faults[0].message.clone())?;
        Ok(script.imports.0["lib"].clone())
    }

    #[test]
    fn a_module_is_parsed_once_for_all_scripts_that_import_it() {
        let parsed = ParsedScripts::default();
        let of = |script, texts| library_of(&parsed, script, texts);
        let lib = "import \"deep\" as deep;\nfn a() { deep::b() }";
        let first = of("one.rhai", (lib, "fn b() { 1 }")).expect("a module");
        let same = of("two.rhai", (lib, "fn b() { 1 }")).expect("a module");
        assert!(Arc::ptr_eq(&first, &same));
        let deeper = of("two.rhai", (lib, "fn b() { 2 }")).expect("a module");
        assert!(!Arc::ptr_eq(&first, &deeper), "what it imports has changed");
        let wrong = of("three.rhai", (lib, "fn c() { 2 }")).err();
        assert!(wrong.expect("a mistake").contains("deep::b"));
        let again = of("four.rhai", (lib, "fn c() { 2 }")).err();
        assert!(again.expect("the same mistake").contains("deep::b"));
    }
}
