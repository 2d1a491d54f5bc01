//! Links of a page, and the anchors that they may lead to.

use std::{collections::BTreeMap, path::Path};

/// The targets of all links of a page, but for those in code.
pub fn links(page: &str) -> Vec<String> {
    let text = without_code(page);
    let mut found = Vec::new();
    for (at, _) in text.match_indices("](") {
        let rest = &text[at + 2..];
        let end = rest.find(')').unwrap_or(rest.len());
        found.push(rest[..end].to_owned());
    }
    found
}

/// Whether a link of a page leads somewhere: to a file of the repository, and there to a heading. Addresses elsewhere are not asked.
pub fn check(page: &Path, text: &str, link: &str) -> Result<(), String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let file = match path {
        "" => page.to_owned(),
        path => page.parent().expect("a folder").join(path),
    };
    if !file.exists() {
        return Err("there is no such file".into());
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let text = match path {
        "" => text.to_owned(),
        _ => std::fs::read_to_string(&file).map_err(|e| e.to_string())?,
    };
    if anchors(&text).contains(&anchor.to_owned()) {
        Ok(())
    } else {
        Err("there is no such heading".into())
    }
}

/// The anchors of all headings, as GitHub and mdBook make them: lower case, blanks as hyphens, no other signs; the second of a name has
/// `-1` behind it.
fn anchors(page: &str) -> Vec<String> {
    let mut is_code = false;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        let title = line.trim_start_matches('#');
        if is_code || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let slug: String = title
            .trim()
            .to_lowercase()
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect();
        let count = seen.entry(slug.clone()).or_default();
        found.push(match *count {
            0 => slug,
            count => format!("{slug}-{count}"),
        });
        *count += 1;
    }
    found
}

/// The page with code blanked out, between fences and between backticks, and indented blocks.
fn without_code(page: &str) -> String {
    let mut is_code = false;
    let mut text = String::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        if is_code || line.starts_with("    ") {
            continue;
        }
        for (at, part) in line.split('`').enumerate() {
            // A link's own text may be code: what is behind it counts.
            text.push_str(if at % 2 == 0 { part } else { "code" });
        }
        text.push('\n');
    }
    text
}

#[test]
fn anchors_are_those_of_github() {
    let page = "# A `b::c`, and d!\n```sh\n# no heading\n```\n## Same\n## Same\n";
    assert_eq!(anchors(page), ["a-bc-and-d", "same", "same-1"]);
}

#[test]
fn links_in_code_do_not_count() {
    let page = "[a](b.md) `[c](d)` [`e`](f.md#g)\n```\n[h](i)\n```\n";
    assert_eq!(links(page), ["b.md", "f.md#g"]);
}
