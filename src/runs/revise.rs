//! Resumes a run with other files, other params, or steps that run again.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    choice::refuse_edited_choice,
    doubt::{DoubtAnswer, after_answers},
    edited::{after_edit, edited, params_now},
    error::RunsError,
    events::{Revising, revision_events},
    library::Library,
    preflight::{Note, preflight},
    rules,
    sent::refuse_unknown,
    service::{Person, info, plan_changed},
};
use windlass_compile::Program;
use windlass_engine::decide::{self, Change, Plan, Unplannable};
use windlass_journal::{Event, InstanceId, RunEdited, RunId, RunInfo, State};
use windlass_report as report;
use windlass_targets::Targets;
use windlass_world::value::{Digest, Value};

/// The differences of a resume from a plain one.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Whether it continues with the current files of the workflow.
    pub takes_files: bool,
    /// Params that change; the others stay. Only valid with new files, as a run keeps its params otherwise.
    pub params: BTreeMap<String, Value>,
    /// Steps that run again from the start, with all steps that depend on them.
    pub redo: Vec<InstanceId>,
    /// The files with which it continues, if the caller has them: the run's files are not on this machine.
    pub sent: Option<SentFiles>,
    /// The answers about calls in doubt.
    pub answers: Vec<(InstanceId, DoubtAnswer)>,
}

/// Files of a workflow from a client.
#[derive(Clone)]
pub struct SentFiles {
    pub program: Arc<Program>,
    /// Whether they may differ from those of the workflows that may be started by name.
    pub may_differ: bool,
}

impl fmt::Debug for SentFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.program.files.keys();
        f.debug_list().entries(files).finish()
    }
}

/// The effect of a resume with changes.
pub struct Revision {
    pub plan: Plan,
    pub files: Vec<FileChange>,
    pub notes: Vec<Note>,
    /// The digest of the current run, the files, the params and the plan: a confirmation is bound to it.
    pub digest: Digest,
}

/// A file that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    pub path: String,
    /// `None` if there was no such file.
    pub before: Option<Arc<str>>,
    pub after: Option<Arc<str>>,
}

/// Lists the files that differ between two programs, by path.
pub fn file_changes(before: &Program, after: &Program) -> Vec<FileChange> {
    let mut paths: Vec<_> = before.files.keys().chain(after.files.keys()).collect();
    paths.sort();
    paths.dedup();
    let changes = paths.into_iter().map(|path| FileChange {
        path: path.clone(),
        before: before.files.get(path).cloned(),
        after: after.files.get(path).cloned(),
    });
    changes
        .filter(|change| change.before != change.after)
        .collect()
}

/// A revision, with the events that record it.
pub(crate) struct Revised {
    pub revision: Revision,
    pub edit: Option<Edit>,
}

/// The current files, and the params for them.
pub(crate) struct Edit {
    pub program: Arc<Program>,
    edited: RunEdited,
}

/// The sources of an edit: where its files are, and what seals its secrets.
pub(crate) struct Reviser<'a> {
    pub library: &'a Library,
    pub targets: Targets,
    pub digest_secrets: &'a dyn Fn(&Value) -> Result<Option<Digest>, RunsError>,
}

/// Rejects a plan that differs from the one that was shown.
fn refuse_other_plan(shown: Option<Digest>, revision: &Revision) -> Result<(), RunsError> {
    if shown.is_none_or(|shown| shown == revision.digest) {
        return Ok(());
    }
    Err(plan_changed(
        "the run or its files have changed since the plan was shown",
    ))
}

/// The events of a resume, and the files to freeze before, with the number of their edition.
pub(crate) type Resumption = (Vec<Event>, Option<(u32, Arc<Program>)>);

impl Revised {
    /// Returns the events of the resume, and the files to freeze before.
    ///
    /// # Errors
    /// Answers that do not fit what is in doubt.
    fn into_resumption(
        self,
        program: &Program,
        state: &State,
        changes: &Changes,
        who: &Person,
    ) -> Result<Resumption, RunsError> {
        let (edited, new) = match self.edit {
            Some(Edit { program, edited }) => {
                let new = (edited.edition, program);
                (Some(edited), Some(new))
            }
            None => (None, None),
        };
        let revising = Revising {
            redo: &changes.redo,
            edited,
            plan: self.revision.plan.events,
            answers: &changes.answers,
        };
        let next = new.as_ref().map_or(program, |(_, program)| program);
        let events = revision_events(&next.workflow, state, revising, who)?;
        Ok((events, new))
    }
}

impl Reviser<'_> {
    /// Returns the events of a resume with changes, and the files to freeze before, if it does what was shown.
    ///
    /// # Errors
    /// What [`Reviser::revised`] refuses, another plan than the one with the digest `shown`, and answers that do not fit what is in doubt.
    pub fn resumption(
        &self,
        id: &RunId,
        (program, state): (&Program, &State),
        changes: &Changes,
        shown: Option<Digest>,
        who: &Person,
    ) -> Result<Resumption, RunsError> {
        let revised = self.revised(id, program, state, changes)?;
        refuse_other_plan(shown, &revised.revision)?;
        revised.into_resumption(program, state, changes, who)
    }

    /// Returns what a resume with changes does.
    ///
    /// # Errors
    /// A run that can't be resumed in this way, files with mistakes, or invalid params.
    pub fn revised(
        &self,
        id: &RunId,
        old: &Program,
        state: &State,
        changes: &Changes,
    ) -> Result<Revised, RunsError> {
        rules::refuse_resume(id, &old.workflow, state, true)?;
        if !changes.takes_files && !changes.params.is_empty() {
            let message = "params can be changed only together with --edited";
            return Err(RunsError::wrong("params", message));
        }
        let (edit, notes) = if changes.takes_files {
            let (edit, notes) = self.edit(info(state)?, old, changes)?;
            (Some(edit), notes)
        } else {
            (None, Vec::new())
        };
        let with = after_edit(state, edit.as_ref().map(|edit| &edit.edited));
        let with = after_answers(with, &changes.answers)?;
        let new = edit.as_ref().map_or(old, |edit| &*edit.program);
        let plan = decide::plan(&Change {
            old: &old.workflow,
            new: &new.workflow,
            state: &with,
            run_id: id.as_str(),
            redo: &changes.redo,
            is_edited: edit.is_some(),
        });
        let plan = plan.map_err(unplannable)?;
        let (params, secrets) = match &edit {
            Some(edit) => (edit.edited.params.digest(), edit.edited.secrets),
            None => (Digest::ZERO, None),
        };
        let digest = Digest::of(&[
            id.as_str().as_bytes(),
            &state.events.to_le_bytes(),
            new.digest.as_bytes(),
            params.as_bytes(),
            secrets.unwrap_or(Digest::ZERO).as_bytes(),
            report::plan_json(&plan).to_string().as_bytes(),
        ]);
        let files = file_changes(old, new);
        Ok(Revised {
            revision: Revision {
                plan,
                files,
                notes,
                digest,
            },
            edit,
        })
    }

    /// Reads the current files of a run. Only from the library: a run that began in a terminal may name any path.
    fn edit(
        &self,
        run: &RunInfo,
        old: &Program,
        changes: &Changes,
    ) -> Result<(Edit, Vec<Note>), RunsError> {
        let (program, file) = self.files_now(run, changes.sent.as_ref())?;
        // Permissions for a run depend on the name of its workflow.
        if program.workflow.name != run.workflow {
            let message = format!(
                "{} is the workflow `{}` now, and the run is one of `{}`",
                file.display(),
                program.workflow.name,
                run.workflow
            );
            return Err(RunsError::conflict("unknown-workflow", message)
                .hint("start a new run, or change the workflow's name back"));
        }
        refuse_edited_choice(&program.workflow, &run.chosen)?;
        let params = params_now(run, &program.workflow, changes.params.clone())?;
        let (kube, notes) = preflight(&self.targets, &program.workflow, &params, &run.target)?;
        let secrets = (self.digest_secrets)(&params)?;
        let edit = Edit {
            edited: edited(run, &program, params, kube, secrets),
            program: Arc::new(Arc::unwrap_or_clone(program).replacing(old, run.edition)),
        };
        Ok((edit, notes))
    }
}

impl Reviser<'_> {
    /// Returns the files with which a run continues, and the name of the workflow's file.
    ///
    /// # Errors
    /// A file that may not be started by name, or files from a client that may not send them.
    fn files_now(
        &self,
        run: &RunInfo,
        sent: Option<&SentFiles>,
    ) -> Result<(Arc<Program>, PathBuf), RunsError> {
        if let Some(sent) = sent {
            refuse_unknown(self.library, sent, &run.target)?;
            return Ok((sent.program.clone(), PathBuf::from(&run.file)));
        }
        let file = Path::new(&run.folder).join(&run.file);
        let known = self.library.list()?;
        let known = known.into_iter().find(|(_, path)| is_same(path, &file));
        let (_, file) = known.ok_or_else(|| {
            let message = format!(
                "{} is not in a folder whose workflows this server may start",
                file.display()
            );
            RunsError::conflict("unknown-workflow", message).hint(
                "use `windlass resume --edited` at a terminal that has the file, or name its folder with --workflows",
            )
        })?;
        Ok((Arc::new(Library::compile(&file)?), file))
    }
}

/// Says whether two paths lead to the same file: a folder may be given through a link.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    one == other || real(one).is_some_and(|one| Some(one) == real(other))
}

fn unplannable(why: Unplannable) -> RunsError {
    match &why {
        Unplannable::NothingToRedo(_) | Unplannable::Gone(_) => {
            RunsError::wrong("unknown-step", why.to_string())
        }
        Unplannable::WouldFail { error, .. } => {
            let refused = RunsError::wrong("params", why.to_string());
            match &error.hint {
                Some(hint) => refused.hint(hint),
                None => refused,
            }
        }
        Unplannable::NotSelected(_) => {
            RunsError::wrong("bad-choice", why.to_string()).hint("start another run for it")
        }
        Unplannable::Unnamed { step, .. } => RunsError::conflict("unnamed-items", why.to_string())
            .hint(format!(
                "name the items (`key: ${{{{ item.name }}}}`), or run all of `{step}` again"
            )),
    }
}
