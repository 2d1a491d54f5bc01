use std::{fs, path::PathBuf};

use gen_lsp_types::Uri;

use super::uri::uri_of;

/// The documentation in Windlass: the pages of error codes, as files that an editor can open, because they are embedded in the program; and
/// those about functions and keys.
pub struct Pages {
    folder: Option<PathBuf>,
    markdown: fn(&str) -> Option<&'static str>,
    explain: fn(&str) -> Vec<String>,
}

impl Pages {
    /// Keeps the pages of codes in a folder of `cache`; without one, no page is linked. `explain` returns the pages about a word, as
    /// `windlass explain` does.
    pub fn new(
        cache: Option<PathBuf>,
        markdown: fn(&str) -> Option<&'static str>,
        explain: fn(&str) -> Vec<String>,
    ) -> Self {
        Self {
            folder: cache.map(|cache| cache.join("errors")),
            markdown,
            explain,
        }
    }

    /// Returns all pages about a word: `pca::describe`, or a key with its map, `step.needs`.
    pub fn explain(&self, word: &str) -> Option<String> {
        let pages = (self.explain)(word);
        (!pages.is_empty()).then(|| pages.join("\n\n"))
    }

    /// Returns the first page about a word: that of a module, even if a key has the same name.
    pub fn explain_first(&self, word: &str) -> Option<String> {
        (self.explain)(word).into_iter().next()
    }

    /// Returns the address of a code's page, and writes the page if it does not exist yet.
    pub fn link(&self, code: &str) -> Option<Uri> {
        let (folder, markdown) = (self.folder.as_ref()?, (self.markdown)(code)?);
        let path = folder.join(format!("{code}.md"));
        // Another version may have written another page.
        if fs::read_to_string(&path).is_ok_and(|text| text == markdown) {
            return Some(uri_of(&path));
        }
        fs::create_dir_all(folder).ok()?;
        fs::write(&path, markdown).ok()?;
        Some(uri_of(&path))
    }
}
