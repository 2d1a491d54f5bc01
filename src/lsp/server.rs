//! The server loop: handles messages in order, and computes diagnostics when none waits.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
};

use gen_lsp_types::{
    CompletionParams, DefinitionParams, Diagnostic, DidChangeTextDocumentParams,
    DidChangeWorkspaceFoldersParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams,
    DocumentHighlightParams, HoverParams, InitializeParams, PrepareRenameParams,
    PublishDiagnosticsParams, ReferenceParams, RenameParams, TextDocumentContentChangeEvent, Uri,
    WorkspaceFolder,
};
use lsp_server::{
    Connection, ErrorCode, Message, Notification, ProtocolError, Request, RequestId, Response,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};

use super::{
    capabilities::{Client, capabilities, client, encoding, folders},
    diagnostics::{Checked, Found, check_script, check_workflow},
    files::{Document, Files},
    pages::Pages,
    text::Text,
    uri::{path_of, real},
};
use windlass_script::STACK_BYTES;

/// How a client ended the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With `shutdown` and `exit`.
    AsAgreed,
    Abandoned,
}

/// The server had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the client does not speak the protocol")]
    Protocol(#[from] ProtocolError),
    #[error("standard input or output failed")]
    Io(#[from] io::Error),
    #[error("the client's parameters are not valid")]
    Parameters(#[from] serde_json::Error),
}

/// Serves one client over standard input and output, until the client ends the session.
///
/// # Errors
/// An invalid message, or a broken stream.
pub fn serve(pages: Pages) -> Result<Ended, ServeError> {
    let (connection, threads) = Connection::stdio();
    // Parsing needs as much stack here as in a run.
    let server = thread::Builder::new()
        .name("lsp".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || Server::start(connection, pages)?.run())?;
    let ended = server
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    // A client that has closed one stream may leave the other one open, so the thread is not waited for.
    if ended == Ended::AsAgreed {
        threads.join()?;
    }
    Ok(ended)
}

pub(super) struct Server {
    connection: Connection,
    client: Client,
    pub(super) pages: Pages,
    pub(super) files: Files,
    waiting: VecDeque<Message>,
    /// The workflows, and scripts without one, that are checked, each with its mistakes.
    roots: BTreeMap<PathBuf, Checked>,
    /// For each open file, the workflows that lead to it, other than itself.
    users: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// The diagnostics that were last sent for each file.
    pub(super) published: BTreeMap<PathBuf, Vec<Found>>,
    /// Files that have changed since the last check.
    changed: BTreeSet<PathBuf>,
    is_shut_down: bool,
}

impl Server {
    fn start(connection: Connection, pages: Pages) -> Result<Self, ServeError> {
        let (id, params) = connection.initialize_start()?;
        let params: InitializeParams = serde_json::from_value(params)?;
        let encoding = encoding(&params);
        let answer = json!({
            "capabilities": capabilities(encoding),
            "serverInfo": { "name": "windlass", "version": env!("CARGO_PKG_VERSION") },
        });
        connection.initialize_finish(id, answer)?;
        Ok(Self {
            client: client(&params),
            files: Files::new(encoding, folders(&params)),
            connection,
            pages,
            waiting: VecDeque::new(),
            roots: BTreeMap::new(),
            users: BTreeMap::new(),
            published: BTreeMap::new(),
            changed: BTreeSet::new(),
            is_shut_down: false,
        })
    }

    fn run(mut self) -> Result<Ended, ServeError> {
        if self.client.watches_files {
            self.watch_files();
        }
        loop {
            while let Ok(message) = self.connection.receiver.try_recv() {
                self.waiting.push_back(message);
            }
            let message = match self.waiting.pop_front() {
                Some(message) => message,
                None => {
                    self.check();
                    match self.connection.receiver.recv() {
                        Ok(message) => message,
                        Err(_) => return Ok(Ended::Abandoned),
                    }
                }
            };
            match message {
                Message::Request(request) => self.request(request),
                Message::Notification(notification) if notification.method == "exit" => {
                    return Ok(if self.is_shut_down {
                        Ended::AsAgreed
                    } else {
                        Ended::Abandoned
                    });
                }
                Message::Notification(notification) => self.notification(notification),
                Message::Response(_) => {}
            }
        }
    }

    fn send(&self, message: impl Into<Message>) {
        // If the client has gone, the loop notices it.
        let _ = self.connection.sender.send(message.into());
    }

    /// Asks the client to report changes of files that are not open.
    fn watch_files(&self) {
        let watchers =
            ["**/*.yaml", "**/*.yml", "**/*.rhai"].map(|pattern| json!({ "globPattern": pattern }));
        let registration = json!({
            "id": "files",
            "method": "workspace/didChangeWatchedFiles",
            "registerOptions": { "watchers": watchers },
        });
        self.send(Request::new(
            RequestId::from("watch".to_owned()),
            "client/registerCapability".to_owned(),
            json!({ "registrations": [registration] }),
        ));
    }

    fn request(&mut self, request: Request) {
        let id = request.id.clone();
        if self.is_cancelled(&id) {
            let message = "cancelled by the client".to_owned();
            return self.send(Response::new_err(
                id,
                ErrorCode::RequestCanceled as i32,
                message,
            ));
        }
        let answered = catch_unwind(AssertUnwindSafe(|| self.answer(request)));
        let response = match answered {
            Ok(Ok(result)) => Response::new_ok(id, result),
            Ok(Err(refused)) => Response::new_err(id, refused.code as i32, refused.message),
            Err(_) => {
                let message = "this is a bug in windlass; please report it".to_owned();
                Response::new_err(id, ErrorCode::InternalError as i32, message)
            }
        };
        self.send(response);
    }

    /// Says whether the client has cancelled a request.
    fn is_cancelled(&self, id: &RequestId) -> bool {
        self.waiting.iter().any(|message| match message {
            Message::Notification(notification) if notification.method == "$/cancelRequest" => {
                let cancelled = notification.params.get("id").cloned();
                cancelled
                    .and_then(|id| serde_json::from_value::<RequestId>(id).ok())
                    .as_ref()
                    == Some(id)
            }
            _ => false,
        })
    }

    fn answer(&mut self, request: Request) -> Result<Json, Refused> {
        if self.is_shut_down {
            return Err(Refused::new(
                ErrorCode::InvalidRequest,
                "the server is shut down",
            ));
        }
        match request.method.as_str() {
            "shutdown" => {
                self.is_shut_down = true;
                Ok(Json::Null)
            }
            "textDocument/codeAction" => {
                // The answer must match the current text.
                self.check();
                given(request, |params| self.code_actions(params))
            }
            "textDocument/completion" => given(request, |params: CompletionParams| {
                self.completion(&params.text_document_position_params)
            }),
            "textDocument/hover" => given(request, |params: HoverParams| {
                self.hover(&params.text_document_position_params)
            }),
            "textDocument/definition" => given(request, |params: DefinitionParams| {
                self.definition(&params.text_document_position_params)
            }),
            "textDocument/references" => given(request, |params: ReferenceParams| {
                self.references(
                    &params.text_document_position_params,
                    params.context.include_declaration,
                )
            }),
            "textDocument/documentHighlight" => {
                given(request, |params: DocumentHighlightParams| {
                    self.highlights(&params.text_document_position_params)
                })
            }
            "textDocument/documentSymbol" => given(request, |params| self.symbols(&params)),
            "textDocument/inlayHint" => given(request, |params| self.inlay_hints(&params)),
            "textDocument/prepareRename" => tried(request, |params: PrepareRenameParams| {
                self.prepare_rename(&params.text_document_position_params)
            }),
            "textDocument/rename" => tried(request, |params: RenameParams| {
                self.rename(&params.text_document_position_params, &params.new_name)
            }),
            method => Err(Refused::new(
                ErrorCode::MethodNotFound,
                format!("unknown method `{method}`"),
            )),
        }
    }

    fn notification(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        // Unknown methods can't be answered.
        match method.as_str() {
            "textDocument/didOpen" => read(params).map(|params| self.did_open(params)),
            "textDocument/didChange" => read(params).map(|params| self.did_change(params)),
            "textDocument/didClose" => read(params).map(|params| self.did_close(&params)),
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" => {
                self.look_again();
                None
            }
            "workspace/didChangeWorkspaceFolders" => {
                read(params).map(|params| self.did_change_folders(&params))
            }
            _ => None,
        };
    }

    fn did_open(&mut self, params: DidOpenTextDocumentParams) {
        let item = params.text_document;
        let document = Document {
            uri: item.uri,
            version: item.version,
            language: String::from(item.language_id),
            text: Text::new(&item.text),
        };
        let path = self.files.open(document);
        self.changed.insert(path);
        self.find_users();
    }

    fn did_change(&mut self, params: DidChangeTextDocumentParams) {
        let encoding = self.files.encoding;
        let Some(path) = self
            .files
            .path(&params.text_document.text_document_identifier.uri)
        else {
            return;
        };
        let Some(document) = self.files.document_mut(&path) else {
            return;
        };
        document.version = params.text_document.version;
        for change in params.content_changes {
            match change {
                TextDocumentContentChangeEvent::TextDocumentContentChangePartial(part) => {
                    document.text.edit(Some(part.range), &part.text, encoding);
                }
                TextDocumentContentChangeEvent::TextDocumentContentChangeWholeDocument(whole) => {
                    document.text.edit(None, &whole.text, encoding);
                }
            }
        }
        self.changed.insert(path);
    }

    fn did_close(&mut self, params: &DidCloseTextDocumentParams) {
        let uri = &params.text_document.uri;
        if let Some(path) = self.files.close(uri) {
            // Diagnostics of a file that is no longer shown are removed, under the client's name for the file.
            if self
                .published
                .remove(&path)
                .is_some_and(|found| !found.is_empty())
            {
                self.publish(uri.clone(), None, Vec::new());
            }
            self.changed.insert(path);
            self.find_users();
        }
    }

    fn did_change_folders(&mut self, params: &DidChangeWorkspaceFoldersParams) {
        let paths = |folders: &[WorkspaceFolder]| {
            let paths = folders.iter().filter_map(|folder| path_of(&folder.uri));
            paths.map(|path| real(&path)).collect::<Vec<_>>()
        };
        let removed = paths(&params.event.removed);
        self.files
            .folders
            .retain(|folder| !removed.contains(folder));
        self.files.folders.extend(paths(&params.event.added));
        self.look_again();
    }

    /// Handles that any file may have changed.
    fn look_again(&mut self) {
        self.find_users();
        self.changed.extend(self.roots.keys().cloned());
        self.changed
            .extend(self.files.documents().map(|(path, _)| path.clone()));
    }

    fn find_users(&mut self) {
        let open: Vec<_> = self
            .files
            .documents()
            .map(|(path, _)| path.clone())
            .collect();
        self.users = self.files.users(&open);
    }

    /// Returns the files to check for the open ones: workflows, and those that lead to an open file.
    fn wanted_roots(&self) -> BTreeSet<PathBuf> {
        let mut wanted = BTreeSet::new();
        for (path, _) in self.files.documents() {
            let users = self.users.get(path).map_or(&[][..], Vec::as_slice);
            let is_outer = |user: &&PathBuf| user.parent() != path.parent() && is_below(path, user);
            if self.files.is_script(path) {
                match users {
                    [] => {
                        wanted.insert(path.clone());
                    }
                    users => wanted.extend(users.iter().cloned()),
                }
            } else if self.files.is_workflow(path) {
                // Its paths are relative to the folder of the workflow that uses it.
                if users.iter().any(|user| is_outer(&user)) {
                    wanted.extend(users.iter().filter(is_outer).cloned());
                } else {
                    wanted.insert(path.clone());
                }
            } else {
                // It has no `workflow:` yet, but another workflow names it.
                wanted.extend(users.iter().cloned());
            }
        }
        wanted
    }

    /// Checks what has changed, and sends diagnostics to the client.
    fn check(&mut self) {
        if self.changed.is_empty() {
            return;
        }
        let changed = std::mem::take(&mut self.changed);
        let wanted = self.wanted_roots();
        self.roots.retain(|path, _| wanted.contains(path));
        for path in wanted {
            let is_stale = self.roots.get(&path).is_none_or(|checked| {
                changed.contains(&path) || checked.files.iter().any(|file| changed.contains(file))
            });
            if is_stale {
                let files = &self.files;
                let checked = catch_unwind(AssertUnwindSafe(|| {
                    if files.is_script(&path) {
                        check_script(files, &path)
                    } else {
                        check_workflow(files, &path)
                    }
                }));
                self.roots.insert(path, checked.unwrap_or_default());
            }
        }
        let mut found: BTreeMap<PathBuf, Vec<Found>> = BTreeMap::new();
        for (path, of_root) in self.roots.values().flat_map(|checked| &checked.found) {
            let known = found.entry(path.clone()).or_default();
            for one in of_root {
                if !known.contains(one) {
                    known.push(one.clone());
                }
            }
        }
        let gone = self
            .published
            .keys()
            .filter(|path| !found.contains_key(*path));
        let paths: BTreeSet<_> = found.keys().chain(gone).chain(&changed).cloned().collect();
        for path in paths {
            let new = found.remove(&path).unwrap_or_default();
            let document = self.files.document(&path);
            let is_news = self
                .published
                .get(&path)
                .map_or(!new.is_empty(), |old| *old != new);
            if is_news || (document.is_some() && changed.contains(&path)) {
                let shown = new
                    .iter()
                    .filter_map(|found| self.diagnostic(found, &path))
                    .collect();
                self.publish(
                    self.files.uri(&path),
                    document.map(|document| document.version),
                    shown,
                );
            }
            if new.is_empty() {
                self.published.remove(&path)
            } else {
                self.published.insert(path, new)
            };
        }
    }

    pub(super) fn diagnostic(&self, found: &Found, path: &Path) -> Option<Diagnostic> {
        found.to_diagnostic(&self.files, &self.pages, path)
    }

    fn publish(&self, uri: Uri, version: Option<i32>, diagnostics: Vec<Diagnostic>) {
        let params = PublishDiagnosticsParams {
            uri,
            version,
            diagnostics,
        };
        self.send(Notification::new(
            "textDocument/publishDiagnostics".to_owned(),
            params,
        ));
    }
}

/// The reason why a request is not answered.
pub struct Refused {
    code: ErrorCode,
    message: String,
}

impl Refused {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

fn given<P: DeserializeOwned, R: Serialize>(
    request: Request,
    answer: impl FnOnce(P) -> R,
) -> Result<Json, Refused> {
    let params = serde_json::from_value(request.params);
    let params = params.map_err(|e| Refused::new(ErrorCode::InvalidParams, e.to_string()))?;
    serde_json::to_value(answer(params))
        .map_err(|e| Refused::new(ErrorCode::InternalError, e.to_string()))
}

/// Like [`given`], for requests that may be refused with a reason that the client shows.
fn tried<P: DeserializeOwned, R: Serialize>(
    request: Request,
    answer: impl FnOnce(P) -> Result<R, String>,
) -> Result<Json, Refused> {
    let params = serde_json::from_value(request.params);
    let params = params.map_err(|e| Refused::new(ErrorCode::InvalidParams, e.to_string()))?;
    let answer = answer(params).map_err(|why| Refused::new(ErrorCode::RequestFailed, why))?;
    serde_json::to_value(answer).map_err(|e| Refused::new(ErrorCode::InternalError, e.to_string()))
}

fn read<P: DeserializeOwned>(params: Json) -> Option<P> {
    serde_json::from_value(params).ok()
}

/// Says whether a file is in a folder below that of another file.
fn is_below(path: &Path, other: &Path) -> bool {
    other
        .parent()
        .is_some_and(|folder| path.starts_with(folder))
}
