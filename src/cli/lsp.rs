use std::{env, path::PathBuf};

use super::{Done, exit, failure::Failure};
use crate::{
    lsp::{Ended, Pages, serve},
    report::{Page, code_markdown, explain},
};

/// `windlass lsp`: serves an editor until it sends `exit`.
pub fn lsp() -> Done {
    let pages = Pages::new(cache(), code_markdown, pages_about);
    match serve(pages) {
        Ok(Ended::AsAgreed) => Ok(exit::SUCCEEDED),
        // The protocol specifies this for a client that exits without a `shutdown`.
        Ok(Ended::Abandoned) => Ok(exit::FAILED),
        Err(e) => Err(Failure::new("system", format!("the language server failed: {e}"))
            .hint("`windlass lsp` speaks the Language Server Protocol; an editor starts it: see docs/editors.md")),
    }
}

fn pages_about(word: &str) -> Vec<String> {
    let pages = explain(word).unwrap_or_default();
    pages
        .iter()
        .map(|page: &Page| page.to_markdown(3))
        .collect()
}

/// Returns the user's cache folder (XDG Base Directory Specification).
fn cache() -> Option<PathBuf> {
    let given = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")))?;
    Some(cache.join("windlass"))
}
