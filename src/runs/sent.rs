//! Workflows whose files a client sends.

use std::path::PathBuf;

use super::{
    error::{Kind, RunsError},
    library::Library,
    revise::SentFiles,
    service::Sent,
};
use windlass_compile::Program;
use windlass_world::value::{Digest, Value};

/// Returns the workflow that may be started by name and has exactly the files that a client sends; `None` if there is none and the
/// caller may send other files.
///
/// # Errors
/// A library that can't be read, or files that differ without permission.
pub(crate) fn known_file(library: &Library, sent: &Sent) -> Result<Option<PathBuf>, RunsError> {
    let found = find(library, &sent.program)?;
    if found.is_some() || sent.may_differ {
        return Ok(found);
    }
    Err(denied(&sent.program, &sent.target))
}

/// Rejects files that differ from those of the workflows here, unless the caller may send such files.
///
/// # Errors
/// The same as of [`known_file`].
pub(crate) fn refuse_unknown(
    library: &Library,
    sent: &SentFiles,
    target: &str,
) -> Result<(), RunsError> {
    if sent.may_differ || find(library, &sent.program)?.is_some() {
        Ok(())
    } else {
        Err(denied(&sent.program, target))
    }
}

fn find(library: &Library, program: &Program) -> Result<Option<PathBuf>, RunsError> {
    let mut files = library.list()?.into_iter();
    let found = files.find(|(_, file)| {
        Library::compile(file)
            .is_ok_and(|known| known.digest == program.digest && known.main == program.main)
    });
    Ok(found.map(|(_, file)| file))
}

fn denied(program: &Program, target: &str) -> RunsError {
    let name = &program.workflow.name;
    let message = format!(
        "the files of `{name}` are not those of a workflow of this server; to run them anyway needs the role `admin` for all workflows on target `{target}`"
    );
    RunsError::new(Kind::Denied, "not-permitted", message)
        .hint("put the change into a --workflows folder of the server")
}

/// Digests the request of a start. Each secret is represented by its mask, because a weak secret could be guessed from
/// a digest.
pub(crate) fn digest(sent: &Sent) -> Digest {
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
