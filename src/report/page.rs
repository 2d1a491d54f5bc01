use console::style;

use super::plain::styled;

/// A page of documentation, for a terminal or as Markdown. Its texts are single lines of Markdown.
pub struct Page {
    pub title: String,
    pub blocks: Vec<Block>,
}

pub enum Block {
    Text(String),
    /// Code in a language.
    Code(&'static str, String),
    /// A heading, and terms with their meanings.
    Terms(String, Vec<Term>),
}

/// A term, its kind, and its meaning.
pub struct Term {
    pub name: String,
    pub kind: String,
    pub about: String,
}

impl Page {
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            blocks: Vec::new(),
        }
    }

    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    pub fn code(mut self, language: &'static str, code: impl Into<String>) -> Self {
        self.blocks.push(Block::Code(language, code.into()));
        self
    }

    /// Adds terms, if there are any.
    pub fn terms(mut self, heading: impl Into<String>, terms: Vec<Term>) -> Self {
        if !terms.is_empty() {
            self.blocks.push(Block::Terms(heading.into(), terms));
        }
        self
    }

    /// Reads a page in Markdown: a heading, paragraphs, lists and code.
    pub fn read(markdown: &str) -> Self {
        let mut page = Self::new("");
        let mut lines = markdown.lines().peekable();
        let mut paragraph: Vec<&str> = Vec::new();
        while let Some(line) = lines.next() {
            if let Some(title) = line.strip_prefix("# ") {
                page.title = title.to_owned();
            } else if let Some(language) = line.strip_prefix("```") {
                let code: Vec<_> = lines
                    .by_ref()
                    .take_while(|line| !line.starts_with("```"))
                    .collect();
                let language = if language == "rhai" { "rhai" } else { "" };
                page = page
                    .paragraph(&mut paragraph)
                    .code(language, code.join("\n"));
            } else if let Some(code) = line.strip_prefix("    ") {
                page = page.paragraph(&mut paragraph).code("", code);
            } else if line.trim().is_empty() {
                page = page.paragraph(&mut paragraph);
            } else {
                if line.starts_with("- ") || line.starts_with('|') {
                    page = page.paragraph(&mut paragraph);
                }
                paragraph.push(line.trim());
            }
        }
        page.paragraph(&mut paragraph)
    }

    fn paragraph(self, lines: &mut Vec<&str>) -> Self {
        match std::mem::take(lines).join(" ") {
            text if text.is_empty() => self,
            text => self.text(text),
        }
    }

    /// Returns the page as Markdown, under a heading of this level.
    pub fn to_markdown(&self, level: usize) -> String {
        let mut text = format!("{} {}\n", "#".repeat(level), self.title);
        for block in &self.blocks {
            text.push('\n');
            match block {
                Block::Text(line) => text.push_str(&format!("{line}\n")),
                Block::Code(language, code) => {
                    text.push_str(&format!("```{language}\n{code}\n```\n"));
                }
                Block::Terms(heading, terms) => {
                    text.push_str(&format!("| {heading} | | |\n|---|---|---|\n"));
                    for term in terms {
                        let cells = [&term.name, &term.kind, &term.about];
                        let cells = cells.map(|cell| cell.replace('|', "\\|"));
                        text.push_str(&format!("| {} | {} | {} |\n", cells[0], cells[1], cells[2]));
                    }
                }
            }
        }
        text
    }

    /// Returns the page for a terminal of this width.
    pub fn to_terminal(&self, width: usize) -> String {
        let mut text = format!("{}\n", style(plain(&self.title)).bold());
        for block in &self.blocks {
            text.push('\n');
            match block {
                Block::Text(line) => text.push_str(&wrapped(&plain(line), "", width)),
                Block::Code(_, code) => {
                    for line in code.lines() {
                        text.push_str(&format!("    {}\n", style(line).cyan()));
                    }
                }
                Block::Terms(heading, terms) => {
                    text.push_str(&format!("{}\n", style(plain(heading)).bold()));
                    for term in terms {
                        let kind = match term.kind.as_str() {
                            "" => String::new(),
                            kind => format!("  {}", style(plain(kind)).dim()),
                        };
                        text.push_str(&format!("  {}{kind}\n", plain(&term.name)));
                        if !term.about.is_empty() {
                            text.push_str(&wrapped(&plain(&term.about), "      ", width));
                        }
                    }
                }
            }
        }
        styled(&text, console::colors_enabled()).into_owned()
    }
}

/// Removes the marks of Markdown that have no meaning in a terminal.
fn plain(text: &str) -> String {
    text.replace("**", "")
}

fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let options = textwrap::Options::new(width.max(indent.len() + 20))
        .initial_indent(indent)
        .subsequent_indent(indent)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(text, options) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_what_it_writes() {
        let text =
            "# `x`: Title\n\nFirst.\n\n```rhai\nlet a = 1;\n```\n\n**What to do:** Second.\n";
        assert_eq!(Page::read(text).to_markdown(1), text);
    }

    #[test]
    fn no_line_is_longer_than_the_terminal() {
        let page =
            Page::read("# t\n\nOne `two` three four five six seven eight nine ten eleven.\n");
        let shown = page.to_terminal(30);
        assert!(shown.lines().all(|line| line.len() <= 30), "{shown}");
    }
}
