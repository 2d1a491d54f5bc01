//! The files as the editor sees them: open documents, and the disk for all others.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use gen_lsp_types::{Location, Range as Span, Uri};

use super::{
    script::Script,
    text::{Encoding, Text},
    uri::{path_of, real, uri_of},
    workflow::Workflow,
};
use windlass_compile::{Folder, Sources, is_test};
use windlass_script::{ParsedScripts, join_path, lexer::Quoting};

pub struct Document {
    /// The client's name for it.
    pub uri: Uri,
    pub version: i32,
    pub language: String,
    pub text: Text,
}

pub struct Files {
    pub encoding: Encoding,
    /// The folders that the editor shows.
    pub folders: Vec<PathBuf>,
    open: BTreeMap<PathBuf, Document>,
    paths: HashMap<String, PathBuf>,
    outlines: RefCell<HashMap<PathBuf, (Stamp, Outline)>>,
    /// A workflow is compiled at every edit, but most of its scripts do not change.
    pub(super) parsed: Arc<ParsedScripts>,
}

/// The kind of a file, and what is known of it without compiling it.
#[derive(Clone)]
pub enum Outline {
    Workflow(Arc<str>, Arc<Workflow>),
    Script(Arc<str>, Arc<Script>),
    /// Some other file.
    None,
}

/// Identifies the version of a file that was read.
#[derive(PartialEq, Eq)]
enum Stamp {
    /// A document in the editor; the address of its text, which changes with each edit.
    Open(i32, usize),
    Disk(Option<SystemTime>, u64),
}

/// Folders that contain no files of the user.
const SKIPPED: [&str; 3] = ["node_modules", "target", "out"];
/// The most files that are searched for those that use another one.
const MAX_FILES: usize = 2_000;
/// The most names of files and folders that a search visits: a home folder that is opened as a whole has more.
const MAX_ENTRIES: usize = 50_000;
const MAX_DEPTH: usize = 8;
/// Larger files are not workflows: `compile` refuses them, too.
const MAX_BYTES: u64 = 1 << 20;

impl Files {
    pub fn new(encoding: Encoding, folders: Vec<PathBuf>) -> Self {
        Self {
            encoding,
            folders: folders.iter().map(|folder| real(folder)).collect(),
            open: BTreeMap::new(),
            paths: HashMap::new(),
            outlines: RefCell::default(),
            parsed: Arc::default(),
        }
    }

    pub fn open(&mut self, document: Document) -> PathBuf {
        let path = match path_of(&document.uri) {
            Some(path) => real(&path),
            // A document without a file belongs to the open folder, and may name files there.
            None => self.untitled(&document.uri),
        };
        self.paths.insert(document.uri.0.clone(), path.clone());
        self.open.insert(path.clone(), document);
        path
    }

    fn untitled(&self, uri: &Uri) -> PathBuf {
        let name: String = uri
            .0
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect();
        let folder = self.folders.first().cloned();
        folder
            .or_else(|| std::env::current_dir().ok())
            .unwrap_or_default()
            .join(name)
    }

    pub fn close(&mut self, uri: &Uri) -> Option<PathBuf> {
        let path = self.paths.remove(&uri.0)?;
        self.open.remove(&path);
        self.outlines.borrow_mut().remove(&path);
        Some(path)
    }

    /// Finds the path under which a document was opened.
    pub fn path(&self, uri: &Uri) -> Option<PathBuf> {
        self.paths.get(&uri.0).cloned()
    }

    pub fn document(&self, path: &Path) -> Option<&Document> {
        self.open.get(path)
    }

    pub fn document_mut(&mut self, path: &Path) -> Option<&mut Document> {
        self.open.get_mut(path)
    }

    pub fn documents(&self) -> impl Iterator<Item = (&PathBuf, &Document)> {
        self.open.iter()
    }

    pub fn uri(&self, path: &Path) -> Uri {
        match self.open.get(path) {
            Some(document) => document.uri.clone(),
            None => uri_of(path),
        }
    }

    /// Reads the current text of a file, with its line positions.
    pub fn text(&self, path: &Path) -> Option<Text> {
        match self.open.get(path) {
            Some(document) => Some(document.text.clone()),
            None => fs::read_to_string(path).ok().map(|text| Text::new(&text)),
        }
    }

    pub fn location(&self, path: &Path, range: &std::ops::Range<usize>) -> Location {
        let span = self
            .text(path)
            .map_or_else(Span::default, |text| text.span(range, self.encoding));
        Location {
            uri: self.uri(path),
            range: span,
        }
    }

    /// Returns what is known of a file without compiling it.
    pub fn outline(&self, path: &Path) -> Outline {
        let Some(stamp) = self.stamp(path) else {
            return Outline::None;
        };
        if let Some((known, outline)) = self.outlines.borrow().get(path)
            && *known == stamp
        {
            return outline.clone();
        }
        let outline = self.read_outline(path);
        let mut outlines = self.outlines.borrow_mut();
        outlines.insert(path.to_owned(), (stamp, outline.clone()));
        outline
    }

    pub fn workflow(&self, path: &Path) -> Option<(Arc<str>, Arc<Workflow>)> {
        match self.outline(path) {
            Outline::Workflow(text, workflow) => Some((text, workflow)),
            _ => None,
        }
    }

    pub fn script(&self, path: &Path) -> Option<(Arc<str>, Arc<Script>)> {
        match self.outline(path) {
            Outline::Script(text, script) => Some((text, script)),
            _ => None,
        }
    }

    fn stamp(&self, path: &Path) -> Option<Stamp> {
        if let Some(document) = self.open.get(path) {
            let address = document.text.content().as_ptr() as usize;
            return Some(Stamp::Open(document.version, address));
        }
        let metadata = fs::metadata(path).ok()?;
        let fits = metadata.is_file() && metadata.len() <= MAX_BYTES;
        fits.then(|| Stamp::Disk(metadata.modified().ok(), metadata.len()))
    }

    fn read_outline(&self, path: &Path) -> Outline {
        let Some(text) = self.text(path) else {
            return Outline::None;
        };
        let text = text.content().clone();
        // Most YAML files in a folder are not workflows, and need not be read completely.
        if !self.open.contains_key(path) && !self.is_script(path) && !text.contains("workflow") {
            return Outline::None;
        }
        if self.is_script(path) {
            let script = Script::read(&text, 0..text.len(), Quoting::None);
            Outline::Script(text, Arc::new(script))
        } else {
            let workflow = Workflow::read(&text);
            Outline::Workflow(text, Arc::new(workflow))
        }
    }

    pub fn is_script(&self, path: &Path) -> bool {
        let language = self
            .open
            .get(path)
            .map(|document| document.language.as_str());
        language == Some("rhai")
            || path
                .extension()
                .is_some_and(|extension| extension == "rhai")
    }

    /// Says whether a file is a workflow: by its key, or because the user opened it as one. A file of tests has that key, too.
    pub fn is_workflow(&self, path: &Path) -> bool {
        if is_test(path) {
            return false;
        }
        let language = self
            .open
            .get(path)
            .map(|document| document.language.as_str());
        let Some((text, workflow)) = self.workflow(path) else {
            return false;
        };
        language == Some("windlass") || workflow.is_one(&text)
    }

    /// Returns the files that a file names, as `compile` would find them.
    pub fn named_by(&self, path: &Path) -> Vec<PathBuf> {
        let (folder, mut found) = (path.parent().unwrap_or(Path::new("")), Vec::new());
        let mut add = |written: &str| found.push(real(&folder.join(written)));
        match self.outline(path) {
            Outline::Workflow(text, workflow) => {
                for step in &workflow.steps {
                    use super::workflow::Action;
                    match &step.action {
                        Action::Script(path) | Action::Workflow(path) => add(&path.text),
                        Action::Inline { span, quoting } => {
                            let body = Script::read(&text, span.clone(), *quoting);
                            body.imports
                                .iter()
                                .for_each(|import| add(&format!("{}.rhai", import.path.text)));
                        }
                        Action::Approval | Action::None => {}
                    }
                }
            }
            Outline::Script(_, script) => {
                script
                    .imports
                    .iter()
                    .for_each(|import| add(&format!("{}.rhai", import.path.text)));
            }
            Outline::None => {}
        }
        found
    }

    /// Returns every file that a file names, directly or indirectly, including itself.
    pub fn reached_from(&self, path: &Path) -> BTreeSet<PathBuf> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![path.to_owned()]);
        while let Some(path) = open.pop() {
            if seen.len() < MAX_FILES && seen.insert(path.clone()) {
                open.extend(self.named_by(&path));
            }
        }
        seen
    }

    /// Returns the workflows that lead to a file: open ones, and those in the folders around it.
    pub fn users_of(&self, path: &Path) -> Vec<PathBuf> {
        self.users(&[path.to_owned()])
            .remove(path)
            .unwrap_or_default()
    }

    /// Returns the workflows that lead to each of these files, other than the file itself.
    pub fn users(&self, paths: &[PathBuf]) -> BTreeMap<PathBuf, Vec<PathBuf>> {
        let folders: BTreeSet<_> = paths
            .iter()
            .flat_map(|path| self.folders_around(path))
            .collect();
        let mut search = Search {
            found: self.open.keys().cloned().collect(),
            entries: 0,
        };
        for folder in folders {
            search.look_into(&folder, 0);
        }
        let mut users: BTreeMap<_, Vec<_>> = paths
            .iter()
            .map(|path| (path.clone(), Vec::new()))
            .collect();
        for workflow in search.found {
            if self.is_script(&workflow) || !self.is_workflow(&workflow) {
                continue;
            }
            let reached = self.reached_from(&workflow);
            for (path, users) in &mut users {
                if *path != workflow && reached.contains(path) {
                    users.push(workflow.clone());
                }
            }
        }
        users
    }

    /// Returns the folders of the editor that contain a file; if there are none, its own folder and the one above.
    fn folders_around(&self, path: &Path) -> Vec<PathBuf> {
        let folders = self
            .folders
            .iter()
            .filter(|folder| path.starts_with(folder));
        let folders: Vec<_> = folders.cloned().collect();
        match (folders.is_empty(), path.parent()) {
            (true, Some(own)) => {
                let above = own.parent().filter(|above| above.parent().is_some());
                vec![above.unwrap_or(own).to_owned()]
            }
            _ => folders,
        }
    }
}

/// A search for YAML files, which ends if a folder is too large to be one of workflows.
struct Search {
    found: BTreeSet<PathBuf>,
    entries: usize,
}

impl Search {
    fn look_into(&mut self, folder: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            self.entries += 1;
            if self.found.len() >= MAX_FILES || self.entries > MAX_ENTRIES {
                return;
            }
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            match entry.file_type() {
                _ if name.starts_with('.') => {}
                Ok(kind) if kind.is_dir() && (depth == MAX_DEPTH || SKIPPED.contains(&&*name)) => {}
                Ok(kind) if kind.is_dir() => self.look_into(&path, depth + 1),
                Ok(_) if name.ends_with(".yaml") || name.ends_with(".yml") => {
                    self.found.insert(real(&path));
                }
                _ => {}
            }
        }
    }
}

/// Reads the files of a workflow's folder for `compile`, with open documents in place of saved files.
pub struct Overlay<'f> {
    files: &'f Files,
    root: PathBuf,
    folder: Folder,
    /// Every file that was requested.
    pub asked: BTreeMap<String, PathBuf>,
}

impl<'f> Overlay<'f> {
    pub fn new(files: &'f Files, root: &Path) -> Self {
        Self {
            files,
            root: root.to_owned(),
            folder: Folder::new(root),
            asked: BTreeMap::new(),
        }
    }
}

impl Sources for Overlay<'_> {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        let real = real(&self.root.join(path));
        self.asked.insert(path.to_owned(), real.clone());
        match self
            .files
            .document(&real)
            .filter(|_| real.starts_with(&self.root))
        {
            Some(document) if document.text.content().len() as u64 > MAX_BYTES => {
                Err("it is larger than 1 MiB".into())
            }
            Some(document) => Ok(document.text.content().clone()),
            None => self.folder.read(path),
        }
    }

    fn parsed(&self) -> Option<Arc<ParsedScripts>> {
        Some(self.files.parsed.clone())
    }
}

/// Resolves a path in a file as `compile` does within the folder of that file.
pub fn resolve(file: &Path, written: &str) -> Option<PathBuf> {
    let folder = file.parent()?;
    // A path that leads out of the folder can still be opened by a person.
    let inside = join_path("", written).unwrap_or_else(|| written.to_owned());
    Some(real(&folder.join(inside)))
}
