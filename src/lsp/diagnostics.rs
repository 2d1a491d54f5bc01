//! Reports the mistakes that `validate` finds in the open files, at their places in the editor.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use gen_lsp_types::{
    Code, CodeDescription, Diagnostic, DiagnosticRelatedInformation, DiagnosticSeverity, Message,
};

use super::{
    files::{Files, Overlay},
    pages::Pages,
};
use windlass_compile::{Mistake, Sources, compile};

/// A mistake in a file of the editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    /// The range in the file, in bytes.
    pub span: Range<usize>,
    /// Related places in the same file, with labels.
    pub related: Vec<(Range<usize>, String)>,
}

/// The mistakes in a workflow and in all files that it uses.
#[derive(Default)]
pub struct Checked {
    /// Every file that was read or could not be read, including those without mistakes.
    pub files: BTreeSet<PathBuf>,
    pub found: BTreeMap<PathBuf, Vec<Found>>,
}

/// Compiles a workflow with the texts in the editor.
pub fn check_workflow(files: &Files, path: &Path) -> Checked {
    let (Some(folder), Some(name)) = (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
    ) else {
        return Checked::default();
    };
    let mut overlay = Overlay::new(files, folder);
    let compiled = compile(name, &mut overlay);
    let mistakes = compiled.err().map_or_else(Vec::new, |mistakes| mistakes.0);
    let mut checked = Checked::default();
    for mistake in &mistakes {
        let path = overlay.asked.get(mistake.file());
        let path = path.cloned().unwrap_or_else(|| folder.join(mistake.file()));
        checked
            .found
            .entry(path)
            .or_default()
            .push(Found::of(mistake));
    }
    checked.files.extend(overlay.asked.into_values());
    checked
}

/// Checks a script that no workflow uses on its own. A script without `fn run` may be a library.
pub fn check_script(files: &Files, path: &Path) -> Checked {
    let mut checked = Checked::default();
    let Some((text, outline)) = files.script(path) else {
        return checked;
    };
    if outline.function("run").is_none() {
        return checked;
    }
    let around = files.folders.iter().find(|folder| path.starts_with(folder));
    let Some(folder) = around.map(PathBuf::as_path).or_else(|| path.parent()) else {
        return checked;
    };
    let Some(name) = path.strip_prefix(folder).ok().and_then(Path::to_str) else {
        return checked;
    };
    let mut overlay = Overlay::new(files, folder);
    let mut read = |path: &str, written: &str| overlay.read_import(path, written);
    let faults = files
        .parsed
        .parse(name, text, &mut read)
        .err()
        .unwrap_or_default();
    overlay.asked.insert(name.to_owned(), path.to_owned());
    for fault in faults {
        let file = fault.file.as_ref().map_or(name, |(file, _)| file);
        let path = overlay
            .asked
            .get(file)
            .cloned()
            .unwrap_or_else(|| path.to_owned());
        checked.found.entry(path).or_default().push(Found {
            code: fault.code,
            message: fault.message,
            hint: fault.help,
            span: fault.span,
            related: Vec::new(),
        });
    }
    checked.files.extend(overlay.asked.into_values());
    checked
}

impl Found {
    fn of(mistake: &Mistake) -> Self {
        let mut places = mistake.places();
        let (span, _) = places.next().unwrap_or_default();
        Self {
            code: mistake.code,
            message: mistake.message.clone(),
            hint: mistake.help.clone(),
            span,
            related: places.map(|(span, text)| (span, text.to_owned())).collect(),
        }
    }

    /// Converts it to a diagnostic of the editor.
    pub fn to_diagnostic(&self, files: &Files, pages: &Pages, path: &Path) -> Option<Diagnostic> {
        let text = files.text(path)?;
        let content = text.content();
        let related = self
            .related
            .iter()
            .map(|(span, message)| DiagnosticRelatedInformation {
                location: files.location(path, span),
                message: message.clone(),
            });
        let related: Vec<_> = related.collect();
        let message = match &self.hint {
            Some(hint) => format!("{}\nhint: {hint}", self.message),
            None => self.message.clone(),
        };
        Some(Diagnostic {
            range: text.span(&shown(content, &self.span), files.encoding),
            severity: Some(DiagnosticSeverity::Error),
            code: Some(Code::String(self.code.to_owned())),
            code_description: pages.link(self.code).map(|href| CodeDescription { href }),
            source: Some("windlass".to_owned()),
            message: Message::String(message),
            tags: None,
            related_information: (!related.is_empty()).then_some(related),
            data: None,
        })
    }
}

/// Returns the range to underline: at most the first line, and at least one character if there is one.
fn shown(text: &Arc<str>, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end).max(start);
    let line = text[start..]
        .find(['\n', '\r'])
        .map_or(text.len(), |at| start + at);
    let end = end.min(line);
    match text[start..line].chars().next() {
        Some(c) if end == start => start..start + c.len_utf8(),
        _ => start..end,
    }
}
