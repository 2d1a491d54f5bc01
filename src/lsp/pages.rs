use std::{fs, path::PathBuf};

use gen_lsp_types::Uri;

use super::uri::uri_of;

/// What Windlass knows to say: the pages of error codes, as files that an editor can open, since Windlass is one program
/// with its pages inside of it; and those about functions and keys.
pub struct Pages {
    folder: Option<PathBuf>,
    markdown: fn(&str) -> Option<&'static str>,
    explain: fn(&str) -> Vec<String>,
}

impl Pages {
    /// Keeps the pages of codes in a folder of `cache`; without one, no page is linked. `explain` gives the pages about a
    /// word, as `windlass explain` does.
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

    /// Returns all that is said about a word: `pca::describe`, or a key with its map, `step.needs`.
    pub fn explain(&self, word: &str) -> Option<String> {
        let pages = (self.explain)(word);
        (!pages.is_empty()).then(|| pages.join("\n\n"))
    }

    /// Returns the first page about a word: of a module, though a key may have the same name.
    pub fn explain_first(&self, word: &str) -> Option<String> {
        (self.explain)(word).into_iter().next()
    }

    /// Returns where the page of a code is, and writes it if it is not there yet.
    pub fn link(&self, code: &str) -> Option<Uri> {
        let (folder, markdown) = (self.folder.as_ref()?, (self.markdown)(code)?);
        let path = folder.join(format!("{code}.md"));
        // Another version may have left another page.
        if fs::read_to_string(&path).is_ok_and(|text| text == markdown) {
            return Some(uri_of(&path));
        }
        fs::create_dir_all(folder).ok()?;
        fs::write(&path, markdown).ok()?;
        Some(uri_of(&path))
    }
}
