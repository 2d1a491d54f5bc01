//! Caches parsed scripts, for a program that reads the same ones repeatedly.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    fault::Fault,
    script::{ReadImport, Script},
};

/// Parses a script once for each version of its text and of its imports.
#[derive(Default)]
pub struct ParsedScripts(BTreeMap<String, Kept>);

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
        &mut self,
        path: &str,
        text: Arc<str>,
        read: &mut ReadImport,
    ) -> Result<Arc<Script>, Vec<Fault>> {
        if let Some(kept) = self.0.get(path)
            && kept.text == text
            && kept.is_unchanged(read)
        {
            return Ok(kept.script.clone());
        }
        let mut imports = Vec::new();
        let mut noting = |path: &str, written: &str| {
            let found = read(path, written)?;
            imports.push(((path.to_owned(), written.to_owned()), found.clone()));
            Ok(found)
        };
        let script = Arc::new(Script::parse(path, text.clone(), &mut noting)?);
        let kept = Kept {
            text,
            imports,
            script: script.clone(),
        };
        self.0.insert(path.to_owned(), kept);
        Ok(script)
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
    use super::*;

    const SCRIPT: &str = "import \"lib\" as lib;\nfn run(inputs) { lib::a(); #{} }";

    /// Parses with a library of this text; returns how many files were read, and the script or the first mistake.
    fn parse(
        parsed: &mut ParsedScripts,
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
        let mut parsed = ParsedScripts::default();
        let mut of = |script: &str, library: &str| parse(&mut parsed, script, library);
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
}
