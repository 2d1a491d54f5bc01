use std::{collections::BTreeSet, path::Path};

use super::Here;
use crate::{
    aws::{AwsAsked, account_line, connect_to_aws},
    begin::{About, Beginning, Prepared, checked, key_of, other_start, start_digest},
    clock::new_id,
    drivers::{Held, RunPlace},
    error::RunsError,
    library::Library,
    sent::{self, known_file},
    service::{Person, PlanDepth, Planned, Sent, StartWanted, Started},
};
use windlass_compile::{Program, Workflow};
use windlass_journal::{NewRun, RunId};
use windlass_targets::{Folders, Target};
use windlass_world::value::{Digest, Secret, Value};

/// Prepares a run that writes to a folder.
pub(super) type Prepare<'a> = &'a dyn Fn(&Path) -> Result<Prepared, RunsError>;

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
        self.begin_once(start_digest(wanted), key, who, &prepare)
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

    /// Starts a run of files from a client. If they are equal to those of a workflow here, the run is one of that workflow. Scripts may do
    /// anything that the target allows, so other files are rejected unless the caller has the permission to send them.
    pub(super) fn start_sent(
        &self,
        sent: &Sent,
        key: Option<&str>,
        who: &Person,
    ) -> Result<Started, RunsError> {
        let prepare = |out: &Path| self.prepare_sent(sent, out, who);
        match key {
            Some(key) => self.begin_once(sent::digest(sent), key, who, &prepare),
            None => self.begin_new(&prepare),
        }
    }

    /// Makes all checks for a start with files from a client, and returns its first event.
    pub(super) fn prepare_sent(
        &self,
        sent: &Sent,
        out: &Path,
        who: &Person,
    ) -> Result<Prepared, RunsError> {
        let known = known_file(&self.options.library, sent)?;
        let about = About::of_sent(sent, known.as_deref());
        self.prepare_program(sent.program.clone(), about, out, who)
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
        let prepared = checked(program, &about, &targets, out, who)?;
        self.connect_to_aws(target, &prepared.0.workflow)?;
        Folders {
            out,
            state: &self.options.state,
            config: &self.options.config.0,
            workflow: about.on_disk,
        }
        .check()?;
        Ok(prepared)
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

fn started(run: RunId) -> Started {
    Started {
        run,
        is_repeated: false,
    }
}
