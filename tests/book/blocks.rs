//! The fenced blocks of a page.

/// A block of code between fences.
pub struct Block {
    /// The line of its first fence, from 1.
    pub line: usize,
    pub language: String,
    /// `NAME=VALUE` behind the language.
    attributes: Vec<(String, String)>,
    pub text: String,
    /// Why no test runs it: the comment `<!-- not run: WHY -->` before it.
    pub not_run: Option<String>,
}

impl Block {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads all blocks of a page. A fence is closed by one of its own length and indentation.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(Block, usize)> = None;
    let mut not_run = None;
    for (at, line) in page.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim_start();
        match &mut open {
            Some((_, _)) if trimmed == "```" => {
                let (block, _) = open.take().expect("it is open");
                found.push(block);
            }
            Some((block, indent)) => {
                let text = line.get(*indent..).unwrap_or_default();
                block.text.push_str(&format!("{text}\n"));
            }
            None if trimmed.starts_with("```") => {
                let mut words = trimmed[3..].split_whitespace();
                let language = words.next().unwrap_or_default().to_owned();
                let attributes = words.filter_map(|word| {
                    let (name, value) = word.split_once('=')?;
                    Some((name.to_owned(), value.to_owned()))
                });
                let block = Block {
                    line: at + 1,
                    language,
                    attributes: attributes.collect(),
                    text: String::new(),
                    not_run: not_run.take(),
                };
                open = Some((block, indent));
            }
            None => {
                let why = trimmed.strip_prefix("<!-- not run:");
                let why = why.and_then(|rest| rest.strip_suffix("-->"));
                not_run = match why {
                    Some(why) => Some(why.trim().to_owned()),
                    None if trimmed.is_empty() => not_run,
                    None => None,
                };
            }
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// Whether lines were printed as they are shown: `…` stands for any text, and alone on a line for any lines.
pub fn fits(shown: &[&str], printed: &[&str]) -> bool {
    match shown {
        [] => printed.is_empty(),
        ["…", rest @ ..] => (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..])),
        [line, rest @ ..] => match printed {
            [first, others @ ..] => line_fits(line, first) && fits(rest, others),
            [] => false,
        },
    }
}

fn line_fits(shown: &str, printed: &str) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (shown, printed) = (squeezed(shown), squeezed(printed));
    let mut parts = shown.split('…').map(str::trim);
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut is_exact = true;
    let mut last = "";
    for part in parts {
        is_exact = false;
        last = part;
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty() || (!is_exact && (last.is_empty() || printed.ends_with(last)))
}

#[test]
fn a_transcript_fits_only_what_it_shows() {
    assert!(fits(&["a", "…", "c"], &["a", "b", "b", "c"]));
    assert!(fits(&["a … c", "…"], &["a   bbb   c"]));
    assert!(fits(&["…1 passed"], &["Summary 1 run: 1 passed"]));
    assert!(fits(&["a…"], &["abc"]));
    assert!(!fits(&["a"], &["a", "b"]));
    assert!(!fits(&["a", "…", "c"], &["a", "b"]));
    assert!(!fits(&["a … c"], &["a b d"]));
    assert!(!fits(&["a"], &["ab"]));
}

#[test]
fn blocks_have_language_attributes_and_reasons() {
    let page =
        "x\n<!-- not run: it is far away -->\n```sh\nls\n```\n\n```yaml file=a.yaml\na: 1\n```\n";
    let found = blocks(page);
    assert_eq!(found[0].not_run.as_deref(), Some("it is far away"));
    assert_eq!(found[0].text, "ls\n");
    assert_eq!(found[1].attribute("file"), Some("a.yaml"));
    assert_eq!((found[1].line, found[1].not_run.as_deref()), (7, None));
}
