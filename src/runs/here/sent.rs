//! Runs of workflows that a client sends.

use std::path::{Path, PathBuf};

use super::{Here, start::About};
use crate::{
    compile::Program,
    runs::{
        error::{Kind, RunsError},
        library::Library,
        service::{Person, Sent, Started},
    },
    value::{Digest, Value},
};

impl Here {
    /// Starts a run of files that a client has. Files that are those of a workflow here are that workflow; scripts may do
    /// whatever the target lets them, so any others are refused unless the caller may send them.
    pub(super) fn start_sent(
        &self,
        sent: &Sent,
        key: Option<&str>,
        who: &Person,
    ) -> Result<Started, RunsError> {
        let known = self.known(&sent.program)?;
        if !sent.may_differ && known.is_none() {
            let name = &sent.program.workflow.name;
            let message = format!(
                "the files of `{name}` are not those of a workflow of this server; to run them anyway needs the role `admin` for all workflows on target `{}`",
                sent.target
            );
            return Err(RunsError::new(Kind::Denied, "not-permitted", message)
                .hint("have the change put into the server's --workflows folder"));
        }
        // What the client calls the file counts for files of its own only: a resume with the files as they are now reads it again.
        let about = || match &known {
            Some(file) => About::of_file(file, &sent.target, &sent.params, &sent.chosen),
            None => About {
                name: Path::new(&sent.file),
                folder: Path::new(""),
                on_disk: None,
                target: &sent.target,
                params: &sent.params,
                chosen: &sent.chosen,
            },
        };
        let prepare = |out: &Path| self.prepare_program(copy(&sent.program), about(), out, who);
        match key {
            Some(key) => self.begin_once(digest(sent), key, who, &prepare),
            None => self.begin_new(&prepare),
        }
    }

    /// Finds the workflow that may be started by name and is made of exactly these files.
    fn known(&self, program: &Program) -> Result<Option<PathBuf>, RunsError> {
        let mut files = self.options.library.list()?.into_iter();
        let found = files.find(|(_, file)| {
            Library::compile(file)
                .is_ok_and(|known| known.digest == program.digest && known.main == program.main)
        });
        Ok(found.map(|(_, file)| file))
    }
}

fn copy(program: &Program) -> Program {
    Program {
        workflow: program.workflow.clone(),
        files: program.files.clone(),
        main: program.main.clone(),
        digest: program.digest,
    }
}

/// Says what a start asks for. A secret counts by its mask: a digest of a weak one could be guessed.
fn digest(sent: &Sent) -> Digest {
    let params = Value::Map(sent.params.clone()).digest();
    let chosen: Vec<_> = sent.chosen.iter().map(String::as_str).collect();
    Digest::of(&[
        b"files",
        sent.program.digest.as_bytes(),
        sent.program.main.as_bytes(),
        sent.file.as_bytes(),
        sent.target.as_bytes(),
        params.as_bytes(),
        chosen.join("\n").as_bytes(),
    ])
}
