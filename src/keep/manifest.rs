use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{runs::RunsError, value::Digest};
use windlass_ground::Timestamp;

/// Increases when the format of a backup changes.
pub const FORMAT: &str = "windlass-backup/1";
/// The name of the manifest within the tar file.
pub const MANIFEST: &str = "manifest.json";
/// The folder of the state folder's files within the tar file.
pub const STATE: &str = "state";
/// The largest manifest that is read, in bytes: enough for some 100,000 files.
pub const MOST: u64 = 16 << 20;

/// Describes the contents of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: String,
    /// The version of the program that wrote it.
    pub windlass: String,
    /// When it was taken.
    pub at: Timestamp,
    /// How many runs its journal has.
    pub runs: u64,
    /// The files, by their paths within the state folder, with `/` between the parts.
    pub files: BTreeMap<String, Kept>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// In bytes.
    pub size: u64,
    pub sha256: Digest,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Returns the problem: another format, or a path that leads out of the state folder.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: String,
        }
        let unreadable = |e: serde_json::Error| format!("its manifest can't be read: {e}");
        let Format { format } = serde_json::from_slice(text).map_err(unreadable)?;
        if format != FORMAT {
            return Err(format!("its format is `{format}`, not {FORMAT}"));
        }
        let manifest: Self = serde_json::from_slice(text).map_err(unreadable)?;
        match manifest.files.keys().find(|path| !is_within(path)) {
            None => Ok(manifest),
            Some(path) => Err(format!("the path `{path}` leads out of the state folder")),
        }
    }
}

/// Returns the error for a backup that is not valid.
pub fn bad_backup(file: &Path, why: impl std::fmt::Display) -> RunsError {
    RunsError::wrong("bad-backup", format!("{}: {why}", file.display()))
}

/// Returns a path of the state folder in the form of the manifest; `None` if it is not text.
pub fn path_text(path: &Path) -> Option<String> {
    let parts: Option<Vec<_>> = path
        .components()
        .map(|part| part.as_os_str().to_str())
        .collect();
    Some(parts?.join("/"))
}

fn is_within(path: &str) -> bool {
    let path = PathBuf::from(path);
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_no_path_outside_of_the_state_folder() {
        let with = |path: &str| {
            let kept = Kept {
                size: 0,
                sha256: Digest::ZERO,
            };
            let manifest = Manifest {
                format: FORMAT.into(),
                windlass: "0".into(),
                at: Timestamp::EPOCH,
                runs: 0,
                files: [(path.to_owned(), kept)].into(),
            };
            Manifest::read(&serde_json::to_vec(&manifest).expect("JSON"))
        };
        assert!(with("kube/mgmt/cluster.db").is_ok());
        for path in ["../x", "/etc/passwd", "a/../../b", ""] {
            let why = with(path).expect_err("refused");
            assert!(why.contains("leads out of the state folder"), "{why}");
        }
        let other = br#"{"format": "windlass-backup/9"}"#;
        let why = Manifest::read(other).expect_err("refused");
        assert!(why.contains("windlass-backup/9"), "{why}");
    }
}
