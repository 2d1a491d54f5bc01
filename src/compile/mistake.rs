use std::{fmt, ops::Range, sync::Arc};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use windlass_script::Fault;

/// One mistake in a file, with its place and a hint.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// The error code, which names a page in `docs/errors/`.
    pub code: &'static str,
    pub message: String,
    source: NamedSource<Arc<str>>,
    labels: Vec<LabeledSpan>,
    pub help: Option<String>,
}

impl Mistake {
    pub(super) fn new(
        code: &'static str,
        file: &Arc<str>,
        text: &Arc<str>,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        // The code that draws the excerpt needs both ends within the text.
        let span = text.floor_char_boundary(span.start)..text.ceil_char_boundary(span.end);
        Self {
            code,
            message: message.into(),
            source: NamedSource::new(file.as_ref(), text.clone()),
            labels: vec![LabeledSpan::new_primary_with_span(None, span)],
            help: None,
        }
    }

    pub(super) fn from_fault(fault: Fault, file: &Arc<str>, text: &Arc<str>) -> Self {
        let (file, text) = fault.file.unwrap_or_else(|| (file.clone(), text.clone()));
        let mut mistake = Self::new(fault.code, &file, &text, fault.span, fault.message);
        mistake.help = fault.help;
        mistake
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the help, if there is any.
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    pub(super) fn label(mut self, span: Range<usize>, text: impl Into<String>) -> Self {
        self.labels
            .push(LabeledSpan::new_with_span(Some(text.into()), span));
        self
    }

    /// Shows a mistake in this file in the text that its author wrote, of which the file is made. `place` finds a byte of the
    /// file in that text; a mistake of which a part is not there stays as it is.
    pub fn as_written(
        mut self,
        file: &str,
        text: &Arc<str>,
        place: impl Fn(usize) -> Option<usize>,
    ) -> Self {
        if self.source.name() != file {
            return self;
        }
        let labels = self.labels.iter().map(|label| {
            let at = place(label.offset())?;
            let length = label.len().min(text.len().saturating_sub(at));
            let said = label.label().map(str::to_owned);
            Some(if label.primary() {
                LabeledSpan::new_primary_with_span(said, (at, length))
            } else {
                LabeledSpan::new(said, at, length)
            })
        });
        if let Some(labels) = labels.collect() {
            self.labels = labels;
            self.source = NamedSource::new(file, text.clone());
        }
        self
    }

    /// Returns the file, by its path from the workflow's folder.
    pub fn file(&self) -> &str {
        self.source.name()
    }

    /// Lists the places of the mistake, the main one first: a range of its file, and a label.
    pub fn places(&self) -> impl Iterator<Item = (Range<usize>, &str)> {
        self.labels.iter().map(|label| {
            let span = label.offset()..label.offset() + label.len();
            (span, label.label().unwrap_or_default())
        })
    }

    /// Returns where it begins: line and column, both from 1, columns in characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let text = self.source.inner();
        let before = &text[..self.place().1.min(text.len())];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    /// Returns the file and the byte at which the mistake starts, to sort by.
    fn place(&self) -> (&str, usize) {
        (
            self.source.name(),
            self.labels.first().map_or(0, LabeledSpan::offset),
        )
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn code(&self) -> Option<Box<dyn fmt::Display + '_>> {
        Some(Box::new(self.code))
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// Every mistake of a workflow and of all files that it uses; at least one.
#[derive(Clone, Debug)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    pub(super) fn sorted(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|a, b| a.place().cmp(&b.place()));
        Self(mistakes)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 mistake found"),
            n => write!(f, "{n} mistakes found"),
        }
    }
}

impl std::error::Error for Mistakes {}
