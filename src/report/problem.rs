use std::{collections::BTreeMap, fmt, sync::Arc};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
};

use super::plain::{block, same_length, styled};
use crate::value::StepError;

/// Draws a diagnostic for a terminal, or plainly where colours are not wanted.
pub fn render(diagnostic: &dyn Diagnostic) -> String {
    let theme = match console::colors_enabled_stderr() {
        true => GraphicalTheme::unicode(),
        false => GraphicalTheme::unicode_nocolor(),
    };
    let width = usize::from(console::Term::stderr().size().1).clamp(60, 120);
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_links(false);
    let mut text = String::new();
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => styled(&text).into_owned(),
        Err(fmt::Error) => format!("{diagnostic}\n"),
    }
}

/// Draws the error of a step, with the place in the script as the run froze it.
pub fn render_error(error: &StepError, files: &BTreeMap<String, Arc<str>>) -> String {
    render(&Problem::new(error, files))
}

struct Problem<'a> {
    error: &'a StepError,
    source: Option<(NamedSource<Arc<str>>, LabeledSpan)>,
    help: Option<String>,
}

impl<'a> Problem<'a> {
    fn new(error: &'a StepError, files: &BTreeMap<String, Arc<str>>) -> Self {
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
            help.push_str(&block(hint));
        }
        Self {
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
        f.write_str(&block(&self.error.message))
    }
}

impl std::error::Error for Problem<'_> {}

impl Diagnostic for Problem<'_> {
    fn code(&self) -> Option<Box<dyn fmt::Display + '_>> {
        Some(Box::new(&self.error.code))
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
