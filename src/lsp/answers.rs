//! Answers a client's requests about a place from outlines; and offers quick fixes for mistakes.

use std::{collections::HashMap, path::PathBuf};

use gen_lsp_types::{
    CodeAction, CodeActionKind, CodeActionParams, CodeActionResponse, CompletionItem,
    DocumentHighlight, DocumentSymbol, DocumentSymbolParams, Hover, InlayHint, InlayHintParams,
    Location, MarkupContent, MarkupKind, TextDocumentPositionParams, TextEdit, Uri, WorkspaceEdit,
};
use serde_json::{Value as Json, json};

use super::{
    complete::complete,
    files::Outline,
    fixes::fixes,
    hover::hover,
    marks::{Symbol, mark_at, marks, occurrences},
    rename::{renamable, rename},
    server::Server,
    symbols::{Part, edges, of_script, of_workflow},
    text::{Encoding, Text},
};

impl Server {
    pub(super) fn code_actions(&self, params: CodeActionParams) -> Option<Vec<CodeActionResponse>> {
        let path = self.files.path(&params.text_document.uri)?;
        let text = &self.files.document(&path)?.text;
        let wanted = text.range(params.range, self.files.encoding);
        let mut actions = Vec::new();
        for found in self.published.get(&path).into_iter().flatten() {
            if found.span.end < wanted.start || wanted.end < found.span.start {
                continue;
            }
            for fix in fixes(text.content(), found) {
                let edit = TextEdit {
                    range: text.span(&fix.span, self.files.encoding),
                    new_text: fix.new_text,
                };
                actions.push(CodeActionResponse::CodeAction(CodeAction {
                    title: fix.title,
                    kind: Some(CodeActionKind::QuickFix),
                    diagnostics: self
                        .diagnostic(found, &path)
                        .map(|diagnostic| vec![diagnostic]),
                    is_preferred: Some(true),
                    edit: Some(WorkspaceEdit {
                        changes: Some([(params.text_document.uri.clone(), vec![edit])].into()),
                        ..WorkspaceEdit::default()
                    }),
                    ..CodeAction::default()
                }));
            }
        }
        Some(actions)
    }

    fn at(&self, params: &TextDocumentPositionParams) -> Option<(PathBuf, &Text, usize)> {
        let path = self.files.path(&params.text_document.uri)?;
        let text = &self.files.document(&path)?.text;
        let offset = text.offset(params.position, self.files.encoding);
        Some((path, text, offset))
    }

    pub(super) fn completion(
        &self,
        params: &TextDocumentPositionParams,
    ) -> Option<Vec<CompletionItem>> {
        let (path, text, offset) = self.at(params)?;
        let found = complete(&self.files, &self.pages, &path, offset);
        let items = found.into_iter().map(|found| CompletionItem {
            sort_text: Some(format!("{}{}", found.rank, found.label)),
            filter_text: Some(found.label.clone()),
            kind: Some(found.kind),
            detail: Some(found.detail).filter(|detail| !detail.is_empty()),
            documentation: Some(found.about)
                .filter(|about| !about.is_empty())
                .map(|about| markdown(about).into()),
            text_edit: Some(
                TextEdit {
                    range: text.span(&found.replaces, self.files.encoding),
                    new_text: found.inserts,
                }
                .into(),
            ),
            label: found.label,
            ..CompletionItem::default()
        });
        Some(items.collect())
    }

    pub(super) fn hover(&self, params: &TextDocumentPositionParams) -> Option<Hover> {
        let (path, text, offset) = self.at(params)?;
        let (span, about) = hover(&self.files, &self.pages, &path, offset)?;
        Some(Hover {
            contents: markdown(about).into(),
            range: Some(text.span(&span, self.files.encoding)),
        })
    }

    pub(super) fn definition(&self, params: &TextDocumentPositionParams) -> Option<Vec<Location>> {
        let (path, _, offset) = self.at(params)?;
        let mark = mark_at(&self.files, &path, offset)?;
        if let Symbol::File(file) = &mark.symbol {
            return file
                .is_file()
                .then(|| vec![self.files.location(file, &(0..0))]);
        }
        let home = mark.symbol.file()?;
        let marks = marks(&self.files, home);
        let places = marks
            .iter()
            .filter(|other| other.is_definition && other.symbol == mark.symbol);
        Some(
            places
                .map(|place| self.files.location(home, &place.span))
                .collect(),
        )
    }

    pub(super) fn references(
        &self,
        params: &TextDocumentPositionParams,
        with_definition: bool,
    ) -> Option<Vec<Location>> {
        let (path, _, offset) = self.at(params)?;
        let mark = mark_at(&self.files, &path, offset)?;
        let places = occurrences(&self.files, &mark.symbol, &path);
        let places = places
            .iter()
            .filter(|place| with_definition || !place.is_definition);
        Some(
            places
                .map(|place| self.files.location(&place.file, &place.span))
                .collect(),
        )
    }

    pub(super) fn highlights(
        &self,
        params: &TextDocumentPositionParams,
    ) -> Option<Vec<DocumentHighlight>> {
        let (path, text, offset) = self.at(params)?;
        let mark = mark_at(&self.files, &path, offset)?;
        let marks = marks(&self.files, &path);
        let places = marks.iter().filter(|other| other.symbol == mark.symbol);
        let highlights = places.map(|place| DocumentHighlight {
            range: text.span(&place.span, self.files.encoding),
            kind: None,
        });
        Some(highlights.collect())
    }

    pub(super) fn symbols(&self, params: &DocumentSymbolParams) -> Option<Vec<DocumentSymbol>> {
        let path = self.files.path(&params.text_document.uri)?;
        let text = &self.files.document(&path)?.text;
        let parts = match self.files.outline(&path) {
            Outline::Workflow(text, workflow) if self.files.is_workflow(&path) => {
                of_workflow(&text, &workflow)
            }
            Outline::Script(text, script) => of_script(&text, &script),
            _ => return None,
        };
        Some(
            parts
                .into_iter()
                .map(|part| symbol(text, self.files.encoding, part))
                .collect(),
        )
    }

    pub(super) fn inlay_hints(&self, params: &InlayHintParams) -> Option<Vec<InlayHint>> {
        let path = self.files.path(&params.text_document.uri)?;
        let text = &self.files.document(&path)?.text;
        let (_, workflow) = self
            .files
            .workflow(&path)
            .filter(|_| self.files.is_workflow(&path))?;
        let wanted = text.range(params.range, self.files.encoding);
        let edges = edges(&workflow)
            .into_iter()
            .filter(|(at, _)| wanted.start <= *at && *at <= wanted.end);
        let hints = edges.map(|(at, label)| InlayHint {
            // After the colon of the step's name.
            position: text.position(at + 1, self.files.encoding),
            label: label.into(),
            kind: None,
            text_edits: None,
            tooltip: Some(
                "The step reads outputs of these steps, so it runs after them."
                    .to_owned()
                    .into(),
            ),
            padding_left: Some(true),
            padding_right: None,
            data: None,
        });
        Some(hints.collect())
    }

    pub(super) fn prepare_rename(
        &self,
        params: &TextDocumentPositionParams,
    ) -> Result<Json, String> {
        let Some((path, text, offset)) = self.at(params) else {
            return Ok(Json::Null);
        };
        let mark = renamable(&self.files, &path, offset)?;
        let range = text.span(&mark.span, self.files.encoding);
        Ok(json!({ "range": range, "placeholder": &text.content()[mark.span] }))
    }

    pub(super) fn rename(
        &self,
        params: &TextDocumentPositionParams,
        new: &str,
    ) -> Result<Option<WorkspaceEdit>, String> {
        let Some((path, _, offset)) = self.at(params) else {
            return Ok(None);
        };
        let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
        for place in rename(&self.files, &path, offset, new)? {
            let Location { uri, range } = self.files.location(&place.file, &place.span);
            changes.entry(uri).or_default().push(TextEdit {
                range,
                new_text: new.to_owned(),
            });
        }
        Ok(Some(WorkspaceEdit {
            changes: Some(changes),
            ..WorkspaceEdit::default()
        }))
    }
}

fn markdown(value: String) -> MarkupContent {
    MarkupContent {
        kind: MarkupKind::Markdown,
        value,
    }
}

#[expect(deprecated, reason = "the field is there, and left out")]
fn symbol(text: &Text, encoding: Encoding, part: Part) -> DocumentSymbol {
    let parts: Vec<_> = part
        .parts
        .into_iter()
        .map(|part| symbol(text, encoding, part))
        .collect();
    DocumentSymbol {
        name: part.name,
        detail: Some(part.detail).filter(|detail| !detail.is_empty()),
        kind: part.kind,
        tags: None,
        deprecated: None,
        range: text.span(&part.span, encoding),
        selection_range: text.span(&part.name_span, encoding),
        children: (!parts.is_empty()).then_some(parts),
    }
}
