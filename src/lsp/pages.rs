use std::{fs, path::PathBuf};

use gen_lsp_types::Uri;

use super::uri::uri_of;

/// The pages of error codes, as files that an editor can open: Windlass is one program, whose pages are inside of it.
pub struct Pages {
    folder: Option<PathBuf>,
    markdown: fn(&str) -> Option<&'static str>,
}

impl Pages {
    /// Keeps the pages in a folder of `cache`; without one, no page is linked.
    pub fn new(cache: Option<PathBuf>, markdown: fn(&str) -> Option<&'static str>) -> Self {
        Self { folder: cache.map(|cache| cache.join("errors")), markdown }
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
