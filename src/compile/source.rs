use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// Where the texts of a workflow come from: a folder, or the copies that a run keeps.
///
/// Paths are relative to the workflow's folder, with `/` between their parts.
pub trait Sources {
    /// # Errors
    /// Why the file can't be read, as a sentence without its name.
    fn read(&mut self, path: &str) -> Result<Arc<str>, String>;
}

/// Reads from a folder, and keeps what was read: that is what a run freezes.
pub struct Folder {
    root: PathBuf,
    read: BTreeMap<String, Arc<str>>,
}

/// Workflow files and scripts are small; a larger file is a mistaken path.
const MAX_FILE_BYTES: u64 = 1 << 20;

impl Folder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            read: BTreeMap::new(),
        }
    }

    /// Everything that was read so far, by its path.
    pub fn into_frozen(self) -> BTreeMap<String, Arc<str>> {
        self.read
    }
}

impl Sources for Folder {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        if let Some(text) = self.read.get(path) {
            return Ok(text.clone());
        }
        let text: Arc<str> = read_within(&self.root, path)?.into();
        self.read.insert(path.into(), text.clone());
        Ok(text)
    }
}

/// Reads the copies that a run began with.
pub struct Frozen(pub BTreeMap<String, Arc<str>>);

impl Sources for Frozen {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| "the run holds no copy of it".into())
    }
}

fn read_within(root: &Path, path: &str) -> Result<String, String> {
    let sentence = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        _ => e.to_string(),
    };
    let real = root.join(path).canonicalize().map_err(sentence)?;
    if !real.starts_with(root.canonicalize().map_err(sentence)?) {
        return Err("it lies outside the workflow's folder".into());
    }
    let metadata = fs::metadata(&real).map_err(sentence)?;
    if metadata.is_dir() {
        return Err("it is a folder".into());
    }
    if !metadata.is_file() {
        return Err("it is not a regular file".into());
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err("it is larger than 1 MiB".into());
    }
    fs::read_to_string(real).map_err(sentence)
}

/// Joins a path written in `from` to the workflow's folder. `None` if it leaves the folder.
pub(super) fn join(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for component in Path::new(path).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_folder() {
        assert_eq!(
            join("a.yaml", "steps/x.rhai").as_deref(),
            Some("steps/x.rhai")
        );
        assert_eq!(
            join("sub/a.yaml", "../steps/x.rhai").as_deref(),
            Some("steps/x.rhai")
        );
        assert_eq!(join("a.yaml", "../x.rhai"), None);
        assert_eq!(join("a.yaml", "/etc/passwd"), None);
    }
}
