//! An editor, as far as a language server can tell.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use crate::harness::{Ends, Test};

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Client {
    child: Ends,
    stdin: ChildStdin,
    messages: Receiver<Json>,
    next_id: i32,
    folder: String,
    /// What was published last, by file and version.
    published: BTreeMap<String, (Option<i64>, Vec<Json>)>,
    versions: BTreeMap<String, i64>,
    pub capabilities: Json,
    /// By their sections.
    settings: Json,
}

impl Client {
    pub fn start(test: &Test) -> Self {
        Self::start_with(
            test,
            json!({ "general": { "positionEncodings": ["utf-16"] } }),
        )
    }

    pub fn start_with(test: &Test, capabilities: Json) -> Self {
        let mut command = test.command(&["lsp"]);
        command.env("XDG_CACHE_HOME", test.path(".cache"));
        Self::of(command, test, capabilities, Json::Null)
    }

    /// Starts a server, which may ask for settings.
    pub fn of(mut command: Command, test: &Test, capabilities: Json, settings: Json) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdin = child.stdin.take().expect("piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, messages) = channel();
        thread::spawn(move || {
            while let Some(message) = read(&mut stdout) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let folder = test.path("").canonicalize().expect("a folder");
        let mut client = Self {
            child: Ends(child),
            stdin,
            messages,
            next_id: 0,
            folder: format!("file://{}", folder.display()),
            published: BTreeMap::new(),
            versions: BTreeMap::new(),
            capabilities: Json::Null,
            settings,
        };
        let folders = json!([{ "uri": client.folder, "name": "test" }]);
        let params = json!({ "processId": null, "rootUri": client.folder, "workspaceFolders": folders, "capabilities": capabilities });
        client.capabilities = client.request("initialize", params)["capabilities"].clone();
        client.notify("initialized", json!({}));
        client
    }

    pub fn uri(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }

    pub fn notify(&mut self, method: &str, params: Json) {
        self.write(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Asks, and returns the result.
    #[track_caller]
    pub fn request(&mut self, method: &str, params: Json) -> Json {
        self.ask(method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Asks, and returns the result or the error.
    pub fn ask(&mut self, method: &str, params: Json) -> Result<Json, Json> {
        self.next_id += 1;
        let id = self.next_id;
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.receive();
            if message["id"] == id && message.get("method").is_none() {
                return match message.get("error") {
                    Some(error) => Err(error.clone()),
                    None => Ok(message["result"].clone()),
                };
            }
        }
    }

    pub fn open(&mut self, file: &str, text: &str) {
        let language = if file.ends_with(".rhai") {
            "rhai"
        } else {
            "yaml"
        };
        self.open_as(file, language, text);
    }

    pub fn open_as(&mut self, file: &str, language: &str, text: &str) {
        self.versions.insert(file.to_owned(), 1);
        let item =
            json!({ "uri": self.uri(file), "languageId": language, "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": item }));
    }

    pub fn close(&mut self, file: &str) {
        self.notify(
            "textDocument/didClose",
            json!({ "textDocument": { "uri": self.uri(file) } }),
        );
    }

    /// Replaces all of a document.
    pub fn change(&mut self, file: &str, text: &str) {
        self.edit(file, json!({ "text": text }));
    }

    /// Replaces what is between two places, each a line and a character.
    pub fn replace(&mut self, file: &str, from: (usize, usize), to: (usize, usize), text: &str) {
        let range = json!({ "start": position(from), "end": position(to) });
        self.edit(file, json!({ "range": range, "text": text }));
    }

    fn edit(&mut self, file: &str, change: Json) {
        let version = self.versions.entry(file.to_owned()).or_default();
        *version += 1;
        let document = json!({ "version": *version, "uri": format!("{}/{file}", self.folder) });
        self.notify(
            "textDocument/didChange",
            json!({ "textDocument": document, "contentChanges": [change] }),
        );
    }

    /// Waits for the diagnostics of the version that was sent last.
    pub fn diagnostics(&mut self, file: &str) -> Vec<Json> {
        let wanted = self.versions.get(file).copied();
        loop {
            if let Some((version, found)) = self.published.get(file)
                && *version == wanted
            {
                return found.clone();
            }
            self.receive();
        }
    }

    /// Waits until something is published of a file, in whatever version.
    pub fn heard_of(&mut self, file: &str) -> Vec<Json> {
        self.published.remove(file);
        while !self.published.contains_key(file) {
            self.receive();
        }
        self.known(file)
    }

    /// Waits until all that has been sent is checked, and what that gave is published.
    pub fn settle(&mut self, file: &str) {
        let nowhere = json!({ "start": position((0, 0)), "end": position((0, 0)) });
        let document = json!({ "uri": self.uri(file) });
        let params =
            json!({ "textDocument": document, "range": nowhere, "context": { "diagnostics": [] } });
        self.request("textDocument/codeAction", params);
    }

    /// Types a letter at a place and takes it away, again and again; gives how long the mistake took to come and go, sorted.
    pub fn timed(
        &mut self,
        file: &str,
        (line, column): (usize, usize),
        times: usize,
    ) -> Vec<Duration> {
        let mut took = Vec::new();
        for _ in 0..times {
            for (to, new) in [(column, "x"), (column + 1, "")] {
                let start = Instant::now();
                self.replace(file, (line, column), (line, to), new);
                let found = self.diagnostics(file);
                took.push(start.elapsed());
                assert_eq!(found.len(), new.len(), "{found:?}");
            }
        }
        took.sort();
        took
    }

    /// What has been published of a file by now, open or not.
    pub fn known(&self, file: &str) -> Vec<Json> {
        self.published
            .get(file)
            .map_or_else(Vec::new, |(_, found)| found.clone())
    }

    /// Everything that has been published by now.
    pub fn all_known(&self) -> impl Iterator<Item = (&str, &Json)> {
        let files = self.published.iter();
        files.flat_map(|(file, (_, found))| found.iter().map(move |found| (file.as_str(), found)))
    }

    /// Asks about a place.
    #[track_caller]
    pub fn at(&mut self, method: &str, file: &str, place: (usize, usize)) -> Json {
        self.request(&format!("textDocument/{method}"), self.place(file, place))
    }

    pub fn place(&self, file: &str, place: (usize, usize)) -> Json {
        json!({ "textDocument": { "uri": self.uri(file) }, "position": position(place) })
    }

    /// Ends the server as the protocol has it, and returns its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.request("shutdown", Json::Null);
        self.notify("exit", Json::Null);
        self.child.0.wait().expect("it ends").code()
    }

    fn write(&mut self, message: &Json) {
        let text = message.to_string();
        write!(self.stdin, "Content-Length: {}\r\n\r\n{text}", text.len())
            .expect("the server listens");
        self.stdin.flush().expect("the server listens");
    }

    fn receive(&mut self) -> Json {
        let message = self
            .messages
            .recv_timeout(PATIENCE)
            .expect("the server answers");
        if message["method"] == "textDocument/publishDiagnostics" {
            let params = &message["params"];
            let uri = params["uri"].as_str().expect("a URI");
            let file = uri
                .strip_prefix(&self.folder)
                .unwrap_or(uri)
                .trim_start_matches('/')
                .to_owned();
            let found = params["diagnostics"].as_array().expect("a list").clone();
            self.published
                .insert(file, (params["version"].as_i64(), found));
        }
        if let (Some(id), Some(method)) = (message.get("id"), message.get("method")) {
            // What a server asks for: its settings, or something that needs no more than a yes.
            let items = message["params"]["items"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let sections = items
                .iter()
                .map(|item| self.settings[item["section"].as_str().unwrap_or_default()].clone());
            let result = if method == "workspace/configuration" {
                sections.collect()
            } else {
                Json::Null
            };
            self.write(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
        }
        message
    }
}

fn position((line, character): (usize, usize)) -> Json {
    json!({ "line": line, "character": character })
}

fn read(from: &mut impl BufRead) -> Option<Json> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(": ") {
            Some(("Content-Length", number)) => length = number.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
