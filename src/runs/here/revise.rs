//! Resumes a run with other files, other params, or steps that run again; and answers calls in doubt.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Here, info, on::goes_on_answered, sent::refuse_unknown};
use crate::{
    doubt::{DoubtAnswers, after_answers, all_answered},
    edited::{after_edit, edited, params_now},
    error::RunsError,
    library::Library,
    preflight::{Note, preflight},
    revise::{Changes, Revision, SentFiles, file_changes},
    rules,
    service::{Person, plan_changed},
};
use windlass_engine::{
    compile::Program,
    decide::{self, Change, Unplannable},
    journal::{Event, RunEdited, RunId, RunInfo, RunResumed, State},
};
use windlass_report as report;
use windlass_targets::Targets;
use windlass_world::value::{Digest, Value};

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

impl Here {
    /// Returns what a resume with changes would do.
    pub(super) fn revision_of(&self, id: &RunId, changes: &Changes) -> Result<Revision, RunsError> {
        let state = self.folds.state_of(&self.reader, id)?;
        let program = self.program(id, info(&state)?)?;
        let digest = |params: &Value| self.digest(params);
        Ok(self
            .reviser(&digest)?
            .revised(id, &program, &state, changes)?
            .revision)
    }

    /// Resumes a run with changes, if their effect is still the one that was shown.
    pub(super) fn resume_revised(
        &self,
        id: &RunId,
        changes: &Changes,
        shown: Option<Digest>,
        who: &Person,
    ) -> Result<(), RunsError> {
        let mut held = self.take_idle(id, "it is running: cancel it first")?;
        let digest = |params: &Value| self.digest(params);
        let reviser = self.reviser(&digest)?;
        let Revised { revision, edit } =
            reviser.revised(id, &held.program, &held.state, changes)?;
        refuse_other_plan(shown, &revision)?;
        let (events, new) = resumes_with(&held.program, &held.state, changes, revision, edit, who)?;
        if let Some((edition, program)) = new {
            held.run.freeze(edition, &program.files)?;
            held.program = program;
        }
        self.go(held, events)
    }

    /// Records the answers about calls in doubt, and resumes the run.
    pub(super) fn resume_answered(
        &self,
        id: &RunId,
        answers: &DoubtAnswers,
        who: &Person,
    ) -> Result<(), RunsError> {
        let held = self.take_idle(id, "it is running: nothing is in doubt")?;
        let events = goes_on_answered(&held.program.workflow, &held.state, answers, who)?;
        self.go(held, events)
    }

    fn reviser<'a>(
        &'a self,
        digest_secrets: &'a dyn Fn(&Value) -> Result<Option<Digest>, RunsError>,
    ) -> Result<Reviser<'a>, RunsError> {
        Ok(Reviser {
            library: &self.options.library,
            targets: self.load_targets()?,
            digest_secrets,
        })
    }

    fn digest(&self, params: &Value) -> Result<Option<Digest>, RunsError> {
        Ok(self.journal.digest_secrets(params)?)
    }
}

/// Rejects a plan that differs from the one that was shown.
pub(crate) fn refuse_other_plan(
    shown: Option<Digest>,
    revision: &Revision,
) -> Result<(), RunsError> {
    if shown.is_none_or(|shown| shown == revision.digest) {
        return Ok(());
    }
    Err(plan_changed(
        "the run or its files have changed since the plan was shown",
    ))
}

/// The events of a resume, and the files to freeze before, with the number of their edition.
pub(crate) type Resumption = (Vec<Event>, Option<(u32, Arc<Program>)>);

/// Returns the events of a resume, and the files to freeze before.
pub(crate) fn resumes_with(
    program: &Program,
    state: &State,
    changes: &Changes,
    revision: Revision,
    edit: Option<Edit>,
    who: &Person,
) -> Result<Resumption, RunsError> {
    let mut resumed = decide::resumed(&program.workflow, state, &who.name, &changes.redo);
    if let Event::RunResumed(RunResumed { via, .. }) = &mut resumed {
        via.clone_from(&who.via);
    }
    let (mut events, mut new) = (vec![resumed], None);
    if let Some(edit) = edit {
        let edition = edit.edited.edition;
        events.push(Event::RunEdited(RunEdited {
            requester: who.name.clone(),
            ..edit.edited
        }));
        new = Some((edition, edit.program));
    }
    events.extend(all_answered(state, &events, &changes.answers, who)?);
    events.extend(revision.plan.events);
    Ok((events, new))
}

impl Reviser<'_> {
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
        let (edit, notes) = match changes.takes_files {
            true => {
                let (edit, notes) = self.edit(info(state)?, changes)?;
                (Some(edit), notes)
            }
            false => (None, Vec::new()),
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
    fn edit(&self, run: &RunInfo, changes: &Changes) -> Result<(Edit, Vec<Note>), RunsError> {
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
        let params = params_now(run, &program.workflow, changes.params.clone())?;
        let (kube, notes) = preflight(&self.targets, &program.workflow, &params, &run.target)?;
        let secrets = (self.digest_secrets)(&params)?;
        let edit = Edit {
            edited: edited(run, &program, params, kube, secrets),
            program,
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
        Unplannable::NothingToRedo(_) => RunsError::wrong("unknown-step", why.to_string()),
        Unplannable::Unnamed { step, .. } => RunsError::conflict("unnamed-items", why.to_string())
            .hint(format!(
                "name the items (`key: ${{{{ item.name }}}}`), or run all of `{step}` again"
            )),
    }
}
