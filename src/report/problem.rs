use std::{collections::BTreeMap, fmt, sync::Arc};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};
use textwrap::{WordSeparator, WordSplitter, core::Word};

use super::{
    commands::completed,
    plain::{block, same_length, styled},
    safe::Safe,
};
use windlass_journal::{InstanceId, RunId};
use windlass_world::value::{StepError, brief};

/// Draws a diagnostic for a terminal, without colours if they are turned off.
pub fn render(diagnostic: &dyn Diagnostic) -> String {
    let theme = if console::colors_enabled_stderr() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let width = usize::from(console::Term::stderr().size().1).clamp(60, 120);
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        // A command in a hint is never broken, however long it is.
        .with_break_words(false)
        .with_word_splitter(WordSplitter::NoHyphenation)
        .with_word_separator(WordSeparator::Custom(words))
        .with_links(false);
    let safe = Safe::of(diagnostic);
    let without = WithoutExcerpt(&safe);
    let shown: &dyn Diagnostic = if has_short_excerpt(&safe) {
        &safe
    } else {
        &without
    };
    let mut text = String::new();
    match handler.render_report(&mut text, shown) {
        Ok(()) => styled(&text, console::colors_enabled_stderr()).into_owned(),
        Err(fmt::Error) => format!("{shown}\n"),
    }
}

/// The longest excerpt, in bytes, with the lines above and below. Lines are drawn whole, so a longer one is left out.
const LONGEST_EXCERPT: usize = 16 << 10;

fn has_short_excerpt(diagnostic: &dyn Diagnostic) -> bool {
    let Some(source) = diagnostic.source_code() else {
        return true;
    };
    let mut labels = diagnostic.labels().into_iter().flatten();
    labels.all(|label| {
        let excerpt = source.read_span(label.inner(), 1, 1);
        excerpt.is_ok_and(|excerpt| excerpt.data().len() <= LONGEST_EXCERPT)
    })
}

/// A diagnostic that names its place, and does not show it.
#[derive(Debug)]
struct WithoutExcerpt<'a>(&'a dyn Diagnostic);

impl fmt::Display for WithoutExcerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        let label = self.0.labels().and_then(|mut labels| labels.next());
        let (Some(source), Some(label)) = (self.0.source_code(), label) else {
            return Ok(());
        };
        match source.read_span(label.inner(), 0, 0) {
            Ok(found) => write!(
                f,
                " ({}:{}:{})",
                found.name().unwrap_or_default(),
                found.line() + 1,
                found.column() + 1
            ),
            Err(_) => Ok(()),
        }
    }
}

impl std::error::Error for WithoutExcerpt<'_> {}

impl Diagnostic for WithoutExcerpt<'_> {
    fn code(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.0.code()
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.0.help()
    }
}

/// Draws an error of a run, with its place in the script that the run froze. `step` is the step of the error, unless it is the run's
/// own.
pub fn render_error(
    run: &RunId,
    step: Option<&InstanceId>,
    error: &StepError,
    files: &BTreeMap<String, Arc<str>>,
) -> String {
    render(&Problem::new(run, step, error, files))
}

/// Splits a text at its blanks, except within backticks.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let (mut start, mut is_quoted, mut is_blank) = (0, false, false);
    let mut ends: Vec<usize> = Vec::new();
    for (i, c) in line.char_indices() {
        if is_blank && c != ' ' {
            ends.push(i);
        }
        is_quoted ^= c == '`';
        is_blank = c == ' ' && !is_quoted;
    }
    ends.push(line.len());
    Box::new(ends.into_iter().map(move |end| {
        let word = Word::from(&line[start..end]);
        start = end;
        word
    }))
}

struct Problem<'a> {
    step: Option<&'a InstanceId>,
    error: &'a StepError,
    source: Option<(NamedSource<Arc<str>>, LabeledSpan)>,
    help: Option<String>,
}

impl<'a> Problem<'a> {
    fn new(
        run: &RunId,
        step: Option<&'a InstanceId>,
        error: &'a StepError,
        files: &BTreeMap<String, Arc<str>>,
    ) -> Self {
        let source = error.place.as_ref().and_then(|place| {
            let text = files.get(&place.file)?;
            let text: Arc<str> = same_length(text).into();
            let line_start: usize = text
                .split_inclusive('\n')
                .take(place.line - 1)
                .map(str::len)
                .sum();
            let line = text[line_start..].lines().next().unwrap_or_default();
            let offset = line
                .char_indices()
                .nth(place.column - 1)
                .map_or(line.len(), |(i, _)| i);
            let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let length = line[offset..]
                .find(|c| !word(c))
                .unwrap_or(line.len() - offset)
                .max(1);
            let label = LabeledSpan::underline((line_start + offset, length));
            Some((NamedSource::new(&place.file, text.clone()), label))
        });
        let mut help = block(&error.chain.join("\n"));
        if let Some(hint) = &error.hint {
            if !help.is_empty() {
                help.push('\n');
            }
            help.push_str(&block(&completed(hint, Some(run))));
        }
        Self {
            step,
            error,
            source,
            help: Some(help).filter(|help| !help.is_empty()),
        }
    }
}

impl fmt::Debug for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.error, f)
    }
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&block(&brief(&self.error.message)))
    }
}

impl std::error::Error for Problem<'_> {}

impl Diagnostic for Problem<'_> {
    fn code(&self) -> Option<Box<dyn fmt::Display + '_>> {
        let code = &self.error.code;
        Some(match self.step {
            Some(step) => Box::new(format!("{code} in step {step}")),
            None => Box::new(code),
        })
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source
            .as_ref()
            .map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, label) = self.source.as_ref()?;
        Some(Box::new(std::iter::once(label.clone())))
    }
}
