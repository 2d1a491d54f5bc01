//! The book as a reader gets it: `mdbook build`.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use super::{root, walk};
use crate::harness::installed;

#[test]
fn the_book_is_built_with_every_page_and_link() {
    let how = "pip install -r tests/requirements.txt";
    let Some(mdbook) = installed("mdbook", "target/venv/bin", how) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let ran = Command::new(mdbook)
        .args(["build", "-d"])
        .arg(folder.path())
        .current_dir(root())
        .output()
        .expect("mdbook starts");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}");
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
    let mut pages = Vec::new();
    walk(&root().join("docs"), &mut pages);
    for page in pages {
        let page = page.strip_prefix(root().join("docs")).expect("inside");
        if page == Path::new("SUMMARY.md") {
            continue;
        }
        let built = if page.file_name().is_some_and(|name| name == "README.md") {
            page.with_file_name("index.html")
        } else {
            page.with_extension("html")
        };
        let built = folder.path().join(built);
        let html = fs::read_to_string(&built)
            .unwrap_or_else(|e| panic!("docs/SUMMARY.md lacks {}: {e}", page.display()));
        for link in links(&html) {
            follow(&built, &html, link)
                .unwrap_or_else(|why| panic!("{}: {link}: {why}", page.display()));
        }
    }
}

/// Where the links of a page's own text lead; the pages of a book share all others.
fn links(html: &str) -> BTreeSet<&str> {
    let begins = html.find("<main>").unwrap_or(0);
    let ends = html[begins..]
        .find("</main>")
        .map_or(html.len(), |at| begins + at);
    let parts = html[begins..ends].split("href=\"").skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

/// Follows a link of a page. Addresses elsewhere are not asked.
fn follow(page: &Path, html: &str, link: &str) -> Result<(), String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let text = match path {
        "" => html.to_owned(),
        path => {
            let target = page.parent().expect("a folder").join(path);
            match path.ends_with(".html") {
                true => fs::read_to_string(target).map_err(|e| e.to_string())?,
                false if target.exists() => return Ok(()),
                false => return Err("it is not in the book".into()),
            }
        }
    };
    if anchor.is_empty() || text.contains(&format!("id=\"{anchor}\"")) {
        Ok(())
    } else {
        Err("there is no such heading".into())
    }
}
