use std::{collections::BTreeMap, sync::Arc};

use windlass_compile::{Frozen, Mistakes, Program, Workflow, compile};
use windlass_journal::RunInfo;

/// Compiles the files with which a run continues, and its earlier editions; `files` reads those of an edition.
///
/// # Errors
/// Files that can't be read, or mistakes in those with which it continues.
pub fn compile_editions<E: From<Mistakes>>(
    run: &RunInfo,
    mut files: impl FnMut(u32) -> Result<BTreeMap<String, Arc<str>>, E>,
) -> Result<Program, E> {
    let program = compile(&run.main, &mut Frozen(files(run.edition)?))?;
    let mut former = BTreeMap::new();
    for edition in &run.former {
        let workflow = former_edition(&edition.main, files(edition.edition)?);
        former.extend(workflow.map(|workflow| (edition.edition, workflow)));
    }
    Ok(program.following(former))
}

/// Compiles an earlier edition of a run's files. `None` if this version of windlass can't: nothing else needs it but an undo, for a script
/// that is gone.
pub fn former_edition(main: &str, files: BTreeMap<String, Arc<str>>) -> Option<Arc<Workflow>> {
    let program = compile(main, &mut Frozen(files)).ok()?;
    Some(program.workflow)
}
