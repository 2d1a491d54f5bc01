use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use super::{error::RunsError, service::Listed};
use windlass_compile as compile;
use windlass_compile::{MAX_NAME, Opened, Program, compile, is_test, open};

/// Names a workflow that may be started: the name of its file without `.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkflowName(String);

impl WorkflowName {
    /// Parses a requested name; returns `None` for anything else, such as a path.
    pub fn parse(text: &str) -> Option<Self> {
        let is_first = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_one = text.len() <= MAX_NAME
            && text.starts_with(is_first)
            && text
                .chars()
                .all(|c| is_first(c) || matches!(c, '-' | '.' | ' '));
        is_one.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkflowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folders whose workflows may be started.
///
/// A name is only compared with the files in the folders; no part of a request becomes part of a path.
#[derive(Clone, Debug)]
pub struct Library {
    folders: Vec<PathBuf>,
}

impl Library {
    /// `folders` are absolute.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Lists the workflows by name, each with its file. If two files have the same name, the first one takes precedence: that of
    /// the first folder, and within a folder `w.yaml` before `w.yml`.
    ///
    /// # Errors
    /// A folder that can't be read.
    pub fn list(&self) -> Result<Vec<(WorkflowName, PathBuf)>, RunsError> {
        let mut found: Vec<(WorkflowName, PathBuf)> = Vec::new();
        for (name, path) in self.files()? {
            if !found.iter().any(|(known, _)| *known == name) {
                found.push((name, path));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Lists the workflows that can't be started because another file has the same name: each file, and the one that takes precedence.
    ///
    /// # Errors
    /// The same as of [`Library::list`].
    pub fn hidden(&self) -> Result<Vec<(PathBuf, PathBuf)>, RunsError> {
        let listed = self.list()?;
        let files = self.files()?.into_iter();
        let hidden = files.filter_map(|(name, path)| {
            let (_, first) = listed.iter().find(|(known, _)| *known == name)?;
            (*first != path).then(|| (path, first.clone()))
        });
        Ok(hidden.collect())
    }

    /// Lists the files of all workflows, in the order of the folders.
    fn files(&self) -> Result<Vec<(WorkflowName, PathBuf)>, RunsError> {
        let mut files = Vec::new();
        for folder in &self.folders {
            let failed = |e: std::io::Error| {
                let message = format!("can't read the folder {}: {e}", folder.display());
                RunsError::broken("unreadable-file", message)
            };
            let mut paths = Vec::new();
            for entry in fs::read_dir(folder).map_err(failed)? {
                paths.push(entry.map_err(failed)?.path());
            }
            paths.sort();
            let named = paths
                .into_iter()
                .filter_map(|path| Some((name_of(&path)?, path)));
            files.extend(named.filter(|(_, path)| declares_workflow(path)));
        }
        Ok(files)
    }

    /// Compiles all workflows.
    ///
    /// # Errors
    /// A folder that can't be read. What is wrong with a workflow is said beside its name.
    pub fn compiled(&self) -> Result<Vec<Listed>, RunsError> {
        let all = self.list()?.into_iter();
        let all = all.map(|(name, file)| Listed {
            name,
            program: Self::compile(&file),
            file,
        });
        Ok(all.collect())
    }

    /// Finds the file of a workflow.
    ///
    /// # Errors
    /// There is no workflow of that name.
    pub fn find(&self, name: &WorkflowName) -> Result<PathBuf, RunsError> {
        let all = self.list()?;
        let file = all.into_iter().find(|(known, _)| known == name);
        file.map(|(_, path)| path)
            .ok_or_else(|| RunsError::missing("unknown-workflow", format!("no workflow `{name}`")))
    }

    /// Compiles the current file of a workflow.
    ///
    /// # Errors
    /// A file that can't be read, or every mistake in it.
    pub fn compile(file: &Path) -> Result<Program, RunsError> {
        let Opened { mut folder, main } = open(file).map_err(|why| {
            let message = format!("can't read {}: {why}", file.display());
            RunsError::broken("unreadable-file", message)
        })?;
        Ok(compile(&main, &mut folder)?)
    }
}

fn name_of(path: &Path) -> Option<WorkflowName> {
    let is_yaml = path
        .extension()
        .is_some_and(|end| end == "yaml" || end == "yml");
    let stem = path.file_stem()?.to_str()?;
    WorkflowName::parse(stem).filter(|_| is_yaml)
}

/// Says whether a YAML file declares itself a workflow, or can't be read and may be one: other YAML may be in the same folder. A test file does
/// not; its key `workflow` names the workflow that it tests.
pub fn declares_workflow(path: &Path) -> bool {
    !is_test(path) && compile::declares_workflow(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        for good in ["gloo-mesh", "restart_cluster", "v1.2", "a b"] {
            assert!(WorkflowName::parse(good).is_some(), "{good}");
        }
        for bad in [
            "", ".", "..", "../x", "a/b", "/etc/x", "a\\b", "a\0b", "%2e", "-x",
        ] {
            assert!(WorkflowName::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn only_workflows_are_listed_and_the_first_folder_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        for sub in ["a", "b"] {
            fs::create_dir(at(sub)).expect("made");
        }
        let text = "workflow: w\nsteps: { x: { run: \"1\" } }\n";
        fs::write(at("a/w.yaml"), text).expect("written");
        fs::write(at("b/w.yaml"), text).expect("written");
        let json = "{ \"workflow\": \"v\", \"steps\": {} }";
        fs::write(at("b/v.yml"), json).expect("written");
        fs::write(at("a/compose.yaml"), "services: {}\n").expect("written");
        fs::write(at("a/w.test.yaml"), "workflow: w.yaml\ntests: {}\n").expect("written");
        let library = Library::new(vec![at("a"), at("b")]);
        let listed = library.list().expect("listed");
        let listed: Vec<_> = listed
            .iter()
            .map(|(name, path)| (name.as_str(), path))
            .collect();
        assert_eq!(listed, [("v", &at("b/v.yml")), ("w", &at("a/w.yaml"))]);
        let hidden = library.hidden().expect("listed");
        assert_eq!(hidden, [(at("b/w.yaml"), at("a/w.yaml"))]);
        let missing = WorkflowName::parse("compose").expect("a name");
        assert_eq!(library.find(&missing).unwrap_err().code, "unknown-workflow");
    }
}
