use std::path::{Component, Path, PathBuf};

/// The folders and files that a run uses.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// Where scripts read and write.
    pub out: &'a Path,
    pub state: &'a Path,
    /// `windlass.toml`, which need not exist.
    pub config: &'a Path,
    /// The workflow's file, if it is known.
    pub workflow: Option<&'a Path>,
}

/// An output folder that would give scripts access to more than their own files.
#[derive(Debug, thiserror::Error)]
#[error("the output folder {out} {why}")]
pub struct UnsafeOut {
    out: String,
    why: String,
}

impl UnsafeOut {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> String {
        "scripts can read and write everything in the output folder, so use a separate folder, such as --out out".into()
    }
}

impl Folders<'_> {
    /// Refuses an output folder through which a script could read the journal's identity, change
    /// the journal, or rewrite the configuration or the workflow. Symbolic links are followed.
    ///
    /// # Errors
    /// An output folder that holds, or is inside, one of these.
    pub fn check(&self) -> Result<(), UnsafeOut> {
        let unsafe_out = |why: String| UnsafeOut {
            out: self.out.display().to_string(),
            why,
        };
        let (out, state) = (real(self.out), real(self.state));
        if out.starts_with(&state) {
            return Err(unsafe_out(format!(
                "is inside the state folder {}",
                self.state.display()
            )));
        }
        let held = [
            (Some(self.state), "the state folder"),
            (Some(self.config), "the configuration"),
            (self.workflow, "the workflow"),
        ];
        for (path, what) in held {
            if let Some(path) = path
                && real(path).starts_with(&out)
            {
                return Err(unsafe_out(format!("holds {what}, {}", path.display())));
            }
        }
        Ok(())
    }
}

/// Returns the path with links followed; the part that does not exist yet stays as it is.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let found = path
        .ancestors()
        .find_map(|part| Some((part, part.canonicalize().ok()?)));
    let Some((existing, mut real)) = found else {
        return path;
    };
    for part in path.strip_prefix(existing).unwrap_or(&path).components() {
        match part {
            Component::ParentDir => {
                real.pop();
            }
            part => real.push(part),
        }
    }
    real
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g7_an_output_folder_holds_nothing_but_outputs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("state")).expect("made");
        std::fs::create_dir_all(at("flows")).expect("made");
        std::os::unix::fs::symlink(at("state"), at("link")).expect("linked");
        let why = |out: &str| {
            let (out, state) = (at(out), at("state"));
            let (config, workflow) = (at("conf/windlass.toml"), at("flows/w.yaml"));
            let folders = Folders {
                out: &out,
                state: &state,
                config: &config,
                workflow: Some(&workflow),
            };
            folders.check().map_err(|e| e.why)
        };
        assert_eq!(why("out"), Ok(()));
        assert_eq!(why("stated"), Ok(()));
        assert_eq!(why("flows/out"), Ok(()));
        for (out, wanted) in [
            ("", "holds the state folder"),
            ("state", "is inside the state folder"),
            ("state/out", "is inside the state folder"),
            ("link/out", "is inside the state folder"),
            ("out/../state", "is inside the state folder"),
            ("conf", "holds the configuration"),
            ("flows", "holds the workflow"),
        ] {
            let why = why(out).unwrap_err();
            assert!(why.starts_with(wanted), "{out}: {why}");
        }
    }
}
