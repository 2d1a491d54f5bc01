use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use windlass_script::ParsedScripts;

use super::{
    document::{self, Node},
    mistake::{Mistake, Mistakes},
};

/// The source of the texts of a workflow: a folder, or the copies that a run keeps.
///
/// Paths are relative to the workflow's folder, with `/` between their parts.
pub trait Sources {
    /// # Errors
    /// The reason why the file can't be read, as a sentence without its name.
    fn read(&mut self, path: &str) -> Result<Arc<str>, String>;

    /// Reads an imported file: `path` is the path `written` in an import, resolved against the importing file. Returns
    /// the path that was read.
    ///
    /// # Errors
    /// The same as of [`Sources::read`].
    fn read_import(&mut self, path: &str, _written: &str) -> Result<(String, Arc<str>), String> {
        self.read(path).map(|text| (path.to_owned(), text))
    }

    /// Returns the cache of parsed scripts, if the same files are compiled repeatedly; `None` if they are compiled
    /// once.
    fn parsed(&self) -> Option<Arc<ParsedScripts>> {
        None
    }

    /// Says whether the files are those of a run, which an earlier version may have accepted.
    fn is_frozen(&self) -> bool {
        false
    }
}

/// Reads from a folder, and keeps the texts: a run freezes them.
pub struct Folder {
    root: PathBuf,
    read: BTreeMap<String, Arc<str>>,
}

/// Workflow files and scripts are small; a larger file must be a wrong path.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// The place of a workflow file.
pub struct Opened {
    /// The folder against which its paths are resolved.
    pub folder: Folder,
    /// Its path in that folder.
    pub main: String,
}

/// The name of a workflow that has no file.
pub const STDIN: &str = "stdin";

/// Opens a workflow file: a regular file, also through a link, or `-` and `/dev/stdin`, whose scripts are
/// looked for in the current folder.
///
/// # Errors
/// The reason why it can't be read, as a sentence without its name.
pub fn open(file: &Path) -> Result<Opened, String> {
    if is_stdin(file) {
        let text = read_text(io::stdin().lock())?;
        let mut folder = Folder::new(".");
        let text = without_mark(&text).into();
        folder.read.insert(STDIN.into(), text);
        return Ok(Opened {
            folder,
            main: STDIN.into(),
        });
    }
    let real = file.canonicalize().map_err(sentence)?;
    if !real.is_file() {
        return Err("it is not a file".into());
    }
    // A link stands for its target, with the scripts next to the target.
    let folder = folder_of(&real).to_owned();
    let name = real.file_name().and_then(|name| name.to_str());
    let main = name.ok_or("its name is not UTF-8 text")?.to_owned();
    Ok(Opened {
        folder: Folder::new(folder),
        main,
    })
}

/// A YAML file that a user named, parsed.
pub(super) struct Document {
    /// The name under which the user gave it.
    pub file: Arc<str>,
    pub text: Arc<str>,
    pub root: Node,
}

impl Document {
    /// # Errors
    /// A file that can't be read, YAML that can't be parsed.
    pub fn read(path: &Path) -> Result<Self, Mistakes> {
        let file: Arc<str> = path.display().to_string().into();
        let text = read_named(path).map_err(|why| {
            let message = format!("can't read `{file}`: {why}");
            Mistakes(vec![Mistake::new(
                "unreadable-file",
                &file,
                &"".into(),
                0..0,
                message,
            )])
        });
        let text: Arc<str> = text?.into();
        let root = document::parse(&file, &text).map_err(|mistake| Mistakes(vec![mistake]))?;
        Ok(Self { file, text, root })
    }
}

/// Reads a text from a file, a pipe or stdin that a user named.
///
/// # Errors
/// The reason why it can't be read, as a sentence without its name.
pub fn read_named(file: &Path) -> Result<String, String> {
    let text = if is_stdin(file) {
        read_text(io::stdin().lock())?
    } else {
        let opened = fs::File::open(file).map_err(sentence)?;
        read_text(opened)?
    };
    Ok(without_mark(&text).to_owned())
}

/// Says whether a path is a name of stdin.
pub fn is_stdin(file: &Path) -> bool {
    ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"]
        .iter()
        .any(|name| file == Path::new(name))
}

fn folder_of(file: &Path) -> &Path {
    let parent = file.parent().filter(|folder| *folder != Path::new(""));
    parent.unwrap_or(Path::new("."))
}

fn read_text(from: impl io::Read) -> Result<String, String> {
    let mut text = String::new();
    let mut limited = from.take(MAX_FILE_BYTES as u64 + 1);
    limited.read_to_string(&mut text).map_err(sentence)?;
    if text.len() > MAX_FILE_BYTES {
        Err("it is larger than 1 MiB".into())
    } else {
        Ok(text)
    }
}

/// Returns a text without the byte order mark that some editors write.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn sentence(e: io::Error) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => e.to_string(),
    }
}

impl Folder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            read: BTreeMap::new(),
        }
    }
}

impl Sources for Folder {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        if let Some(text) = self.read.get(path) {
            return Ok(text.clone());
        }
        let text: Arc<str> = without_mark(&read_within(&self.root, path)?).into();
        self.read.insert(path.into(), text.clone());
        Ok(text)
    }
}

/// Reads files that are in memory: those that a client sends, or a draft.
pub struct InMemory(pub BTreeMap<String, Arc<str>>);

impl Sources for InMemory {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| "it is not among the files".into())
    }
}

/// Reads the copies that a run keeps.
pub struct Frozen(pub BTreeMap<String, Arc<str>>);

impl Sources for Frozen {
    fn is_frozen(&self) -> bool {
        true
    }

    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| "the run holds no copy of it".into())
    }

    /// Runs of windlass 0.1 hold imports by their paths from the workflow's folder.
    fn read_import(&mut self, path: &str, written: &str) -> Result<(String, Arc<str>), String> {
        let found = [path, written].into_iter().find_map(|path| {
            let text = self.0.get(path)?;
            Some((path.to_owned(), text.clone()))
        });
        found.ok_or_else(|| "the run holds no copy of it".into())
    }
}

fn read_within(root: &Path, path: &str) -> Result<String, String> {
    let real = root.join(path).canonicalize().map_err(sentence)?;
    if !real.starts_with(root.canonicalize().map_err(sentence)?) {
        return Err("it is outside the workflow's folder".into());
    }
    let metadata = fs::metadata(&real).map_err(sentence)?;
    if metadata.is_dir() {
        return Err("it is a folder".into());
    }
    // Reading a pipe would block, and a device never ends.
    if !metadata.is_file() {
        return Err("it is not a regular file".into());
    }
    read_text(fs::File::open(real).map_err(sentence)?)
}
