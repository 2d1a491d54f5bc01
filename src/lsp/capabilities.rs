//! The capabilities of the client and of the server.

use std::path::PathBuf;

use gen_lsp_types::{
    CodeActionKind, CodeActionOptions, CompletionOptions, InitializeParams, PositionEncodingKind,
    RenameOptions, ServerCapabilities, TextDocumentSyncKind, TextDocumentSyncOptions,
    WorkspaceFolders,
};

use super::{text::Encoding, uri::path_of};

/// The capabilities of the client that matter here.
#[derive(Clone, Copy, Default)]
pub struct Client {
    /// Whether it can report changes of files that are not open.
    pub watches_files: bool,
}

/// Returns the unit of positions: UTF-8 if the client prefers it.
pub fn encoding(params: &InitializeParams) -> Encoding {
    let general = params.capabilities.general.as_ref();
    let offered = general.and_then(|general| general.position_encodings.as_deref());
    // The client lists the one that it prefers first.
    match offered.and_then(|offered| offered.first()) {
        Some(PositionEncodingKind::UTF8) => Encoding::Utf8,
        _ => Encoding::Utf16,
    }
}

pub fn client(params: &InitializeParams) -> Client {
    let workspace = params.capabilities.workspace.as_ref();
    let watched = workspace.and_then(|workspace| workspace.did_change_watched_files.as_ref());
    Client {
        watches_files: watched
            .and_then(|watched| watched.dynamic_registration)
            .unwrap_or_default(),
    }
}

/// Returns the folders that the client shows.
#[expect(deprecated, reason = "older clients name one folder, by its URI")]
pub fn folders(params: &InitializeParams) -> Vec<PathBuf> {
    let paths: Vec<_> = match &params.workspace_folders_initialize_params.workspace_folders {
        Some(WorkspaceFolders::WorkspaceFolderList(folders)) => folders
            .iter()
            .filter_map(|folder| path_of(&folder.uri))
            .collect(),
        _ => Vec::new(),
    };
    if paths.is_empty() {
        params.root_uri.iter().filter_map(path_of).collect()
    } else {
        paths
    }
}

pub fn capabilities(encoding: Encoding) -> ServerCapabilities {
    ServerCapabilities {
        position_encoding: Some(match encoding {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
        }),
        text_document_sync: Some(
            TextDocumentSyncOptions {
                open_close: Some(true),
                change: Some(TextDocumentSyncKind::Incremental),
                save: Some(true.into()),
                ..TextDocumentSyncOptions::default()
            }
            .into(),
        ),
        code_action_provider: Some(
            CodeActionOptions {
                code_action_kinds: Some(vec![CodeActionKind::QuickFix]),
                ..CodeActionOptions::default()
            }
            .into(),
        ),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(
                [".", ":", "{", "\"", " ", "/", "-"]
                    .map(str::to_owned)
                    .into(),
            ),
            ..CompletionOptions::default()
        }),
        hover_provider: Some(true.into()),
        definition_provider: Some(true.into()),
        references_provider: Some(true.into()),
        document_highlight_provider: Some(true.into()),
        document_symbol_provider: Some(true.into()),
        inlay_hint_provider: Some(true.into()),
        rename_provider: Some(
            RenameOptions {
                prepare_provider: Some(true),
                ..RenameOptions::default()
            }
            .into(),
        ),
        ..ServerCapabilities::default()
    }
}
