use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::Here;
use crate::{
    aws::{AwsAsked, account_line, connect_to_aws},
    begin::{Beginning, Wanted, begin},
    book::MAX_KEY,
    clock::new_id,
    drivers::{Held, RunPlace},
    error::RunsError,
    library::Library,
    preflight::{Note, preflight},
    service::{Person, PlanDepth, Planned, Sent, StartWanted, Started},
};
use windlass_engine::{
    compile::{Program, Workflow, bind_params},
    journal::{NewRun, RunId},
};
use windlass_targets::{Folders, Target};
use windlass_world::value::{Digest, Secret, Value};

/// A workflow that has been checked, its run's first event, and the findings that do not prevent the run.
pub(crate) type Prepared = (Program, Beginning, Vec<Note>);

/// Prepares a run that writes to a folder.
pub(super) type Prepare<'a> = &'a dyn Fn(&Path) -> Result<Prepared, RunsError>;

/// The data of a new run besides its program.
pub(crate) struct About<'a> {
    /// The workflow's file, relative to `folder`.
    pub name: &'a Path,
    /// Empty if the file is not on this machine.
    pub folder: &'a Path,
    /// The path of the file, if it is on this machine.
    pub on_disk: Option<&'a Path>,
    pub target: &'a str,
    pub params: &'a BTreeMap<String, Value>,
    pub chosen: &'a BTreeSet<String>,
}

impl<'a> About<'a> {
    /// Describes a run of a workflow whose files a client sends. If a workflow here has the same files, the run is one of that workflow, under
    /// its name here: a resume with the current files reads them again.
    pub fn of_sent(sent: &'a Sent, known: Option<&'a Path>) -> Self {
        let (target, params, chosen) = (&sent.target, &sent.params, &sent.chosen);
        match known {
            Some(file) => Self::here(file, target, params, chosen),
            None => Self {
                name: Path::new(&sent.file),
                folder: Path::new(""),
                on_disk: None,
                target,
                params,
                chosen,
            },
        }
    }

    /// Describes a run of a workflow that may be started by name.
    pub fn of_file(file: &'a Path, wanted: &'a StartWanted, chosen: &'a BTreeSet<String>) -> Self {
        Self::here(file, &wanted.target, &wanted.params, chosen)
    }

    fn here(
        file: &'a Path,
        target: &'a str,
        params: &'a BTreeMap<String, Value>,
        chosen: &'a BTreeSet<String>,
    ) -> Self {
        Self {
            name: Path::new(file.file_name().unwrap_or_default()),
            folder: file.parent().unwrap_or(Path::new("/")),
            on_disk: Some(file),
            target,
            params,
            chosen,
        }
    }
}

impl Here {
    /// Starts a run, for each request a new one.
    pub(super) fn start_new(
        &self,
        wanted: &StartWanted,
        who: &Person,
    ) -> Result<Started, RunsError> {
        self.begin_new(&|out| self.prepare_as_shown(wanted, out, who))
    }

    /// Starts a run, unless a run was started with this key.
    pub(super) fn start_once(
        &self,
        wanted: &StartWanted,
        key: &str,
        who: &Person,
    ) -> Result<Started, RunsError> {
        let prepare = |out: &Path| self.prepare_as_shown(wanted, out, who);
        self.begin_once(digest(wanted), key, who, &prepare)
    }

    /// Begins the run that `prepare` returns for an output folder.
    pub(super) fn begin_new(&self, prepare: Prepare) -> Result<Started, RunsError> {
        let place = self.drivers.place()?;
        let id = new_id()?;
        let out = self.options.out.join(id.as_str());
        let (program, beginning, _) = prepare(&out)?;
        self.begin(&id, program, beginning, place)?;
        Ok(started(id))
    }

    /// Like [`Here::begin_new`], unless a run was started with this key; `request` is the digest of the request.
    pub(super) fn begin_once(
        &self,
        request: Digest,
        key: &str,
        who: &Person,
        prepare: Prepare,
    ) -> Result<Started, RunsError> {
        let key = key_of(key, who)?;
        let keyed = self.keyed(request)?;
        let _turn = self.turns.take(key);
        let known = self.drivers.book().known(key)?;
        if let Some(known) = &known {
            let exists = self.exists(&known.run)?;
            // Older versions stored the digest itself.
            if ![keyed, request].contains(&known.request) && exists {
                return Err(other_start());
            }
            // A run that has been deleted since was started, too.
            if exists || self.reader.refuse_pruned(&known.run)?.is_some() {
                return Ok(Started {
                    run: known.run.clone(),
                    is_repeated: true,
                });
            }
        }
        let place = self.drivers.place()?;
        // A process may have claimed the key and died before it began the run.
        let id = known.map_or_else(new_id, |known| Ok(known.run))?;
        let out = self.options.out.join(id.as_str());
        let (program, beginning, _) = prepare(&out)?;
        self.drivers.book().claim(key, keyed, &id)?;
        self.begin(&id, program, beginning, place)?;
        Ok(started(id))
    }

    /// Digests the digest of a request with the key of this journal's secrets: in a request, a secret is a text like any other, and a weak
    /// one could be guessed from a digest that is stored.
    fn keyed(&self, request: Digest) -> Result<Digest, RunsError> {
        let secret = Value::Secret(Secret::new(request.to_string()));
        let keyed = self.journal.digest_secrets(&secret)?;
        Ok(keyed.unwrap_or(request))
    }

    /// Works out what a start would do, given the result of `prepare`.
    pub(super) fn planned(&self, prepare: Prepare, depth: PlanDepth) -> Result<Planned, RunsError> {
        let out = self.options.out.join("RUN");
        let (program, beginning, notes) = prepare(&out)?;
        let mut planned = Planned::of(program, beginning, notes);
        let target = planned.state.run.as_ref().map(|run| run.target.clone());
        let targets = self.load_targets()?;
        let target = targets.find(&target.unwrap_or_default())?;
        let asked = self.connect_to_aws(target, &planned.program.workflow)?;
        if let Some(asked) = asked {
            planned.account = self.drivers.handle().block_on(account_line(&asked));
        }
        if depth == PlanDepth::Checks {
            return Ok(planned);
        }
        let folders = Folders {
            out: &out,
            state: &self.options.state,
            config: &self.options.config.0,
            workflow: None,
        };
        self.looks.complete(planned, target, folders)
    }

    /// Checks everything that a start needs, and makes its first event.
    pub(super) fn prepare(
        &self,
        wanted: &StartWanted,
        out: &Path,
        who: &Person,
    ) -> Result<Prepared, RunsError> {
        let file = self.options.library.find(&wanted.workflow)?;
        let all = BTreeSet::new();
        let about = About::of_file(&file, wanted, &all);
        self.prepare_program(Library::compile(&file)?, about, out, who)
    }

    /// Like [`Here::prepare`], for the plan that was shown to the person and no other.
    fn prepare_as_shown(
        &self,
        wanted: &StartWanted,
        out: &Path,
        who: &Person,
    ) -> Result<Prepared, RunsError> {
        let prepared = self.prepare(wanted, out, who)?;
        wanted.refuse_other_plan(&prepared.1.state)?;
        Ok(prepared)
    }

    /// Like [`Here::prepare`], for a workflow that has been compiled.
    pub(super) fn prepare_program(
        &self,
        program: Program,
        about: About,
        out: &Path,
        who: &Person,
    ) -> Result<Prepared, RunsError> {
        let params = Value::Map(bind_params(&program.workflow, about.params.clone())?);
        let targets = self.load_targets()?;
        let target = targets.find(about.target)?;
        if target.is_some_and(|target| target.substrate.is_some()) {
            let message = format!(
                "the runs of target `{}` are driven by Restate",
                about.target
            );
            return Err(RunsError::wrong("engine", message)
                .hint("start it with `windlass run --target`, or on a server that was started with `windlass serve --on TARGET`"));
        }
        let (kube, notes) = preflight(&targets, &program.workflow, &params, about.target)?;
        self.connect_to_aws(target, &program.workflow)?;
        Folders {
            out,
            state: &self.options.state,
            config: &self.options.config.0,
            workflow: about.on_disk,
        }
        .check()?;
        let beginning = begin(Wanted {
            program: &program,
            file: about.name,
            folder: about.folder,
            target: about.target,
            kube,
            chosen: about.chosen.clone(),
            out: out.display().to_string(),
            params,
            requester: who,
        })?;
        Ok((program, beginning, notes))
    }

    /// Finds problems with the AWS of a target before anything is recorded.
    fn connect_to_aws(
        &self,
        target: Option<&Target>,
        workflow: &Workflow,
    ) -> Result<Option<AwsAsked>, RunsError> {
        let Some(target) = target else {
            return Ok(None);
        };
        let connecting = connect_to_aws(target, workflow);
        Ok(self.drivers.handle().block_on(connecting)?)
    }

    /// Begins a run that has been prepared.
    fn begin(
        &self,
        id: &RunId,
        program: Program,
        beginning: Beginning,
        place: RunPlace,
    ) -> Result<(), RunsError> {
        let beginning = beginning.with_secrets(|params| self.journal.digest_secrets(params))?;
        self.drivers.book().drives(id)?;
        let run = self.journal.begin(NewRun {
            id: id.clone(),
            event: beginning.event,
            files: &program.files,
            at: beginning.at,
        })?;
        self.drivers.drive(
            Held {
                run,
                program: program.into(),
                state: beginning.state,
            },
            Some(place),
        );
        Ok(())
    }
}

/// Digests the idempotency key of a person.
///
/// # Errors
/// A key that is empty or too long.
pub(crate) fn key_of(key: &str, who: &Person) -> Result<Digest, RunsError> {
    if key.is_empty() || key.len() > MAX_KEY {
        let message = format!("an idempotency key has 1 to {MAX_KEY} bytes");
        return Err(RunsError::wrong("idempotency-key", message));
    }
    Ok(Digest::of(&[who.name.as_bytes(), key.as_bytes()]))
}

/// Returns the error for a key that was used for another request.
pub(crate) fn other_start() -> RunsError {
    let message = "this idempotency key was used for another start";
    let hint = "use a new key for each start, and repeat a key only to repeat that start";
    RunsError::conflict("idempotency-key", message).hint(hint)
}

fn started(run: RunId) -> Started {
    Started {
        run,
        is_repeated: false,
    }
}

/// Digests the request of a start. It may contain secrets as texts, so it is not stored as it is.
pub(crate) fn digest(wanted: &StartWanted) -> Digest {
    let params = Value::Map(wanted.params.clone()).digest();
    Digest::of(&[
        wanted.workflow.as_str().as_bytes(),
        wanted.target.as_bytes(),
        params.as_bytes(),
    ])
}
