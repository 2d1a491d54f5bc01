//! Plays the run of a test, in a separate process.

use std::{collections::BTreeSet, fs, io, path::Path, sync::Arc};

use super::{
    answers, coverage,
    mesh::{self, MeshError, Watch},
    setup,
    stage::{self, Outside, now},
};
use crate::{
    compile::{Before, Case, Expect, ParamErrors, Program, QuestionEnd, Suite, clusters},
    decide,
    execute::{self, Cancel, DriveError, Ended, Settings, Silent, Stage},
    journal::{
        Decision, Event, InstanceId, Journal, JournalError, NewRun, Outcome, RunId, RunJournal,
        RunStarted, State, Status, UndoStarted, Verdict, crash_points,
    },
    outside::{Clients, OutputFolder, SecretReader},
    script::STACK_BYTES,
    targets::{Folders, LOCAL, OpenError, OpenTarget},
    value::Value,
};
use windlass_ground::{Timestamp, random_bytes};

/// The names of the state folder and of the output folder within a test's folder.
pub const STATE: &str = ".windlass";
pub const OUT: &str = "out";
/// The file with the number of points at which the process could have been killed.
pub const MOMENTS: &str = "moments";
/// The file with the answers to questions that did not count.
pub const REFUSED: &str = "refused";
/// The file with the CAs of the embedded server at the end.
pub const AUTHORITIES: &str = "authorities.json";

/// The target's name in expressions if there is no target.
const NOWHERE: &str = "test";
/// How many steps of a test run at once.
const MAX_PARALLEL: usize = 16;
/// A script may need a thread of its own and one for an embedded server.
const THREADS: usize = 3 * MAX_PARALLEL + 16;

#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    #[error("there is no test named `{0}`")]
    NoTest(String),
    #[error("can't use the test's folder")]
    Folder(#[from] io::Error),
    #[error(transparent)]
    Clusters(#[from] crate::compile::ClustersError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Drive(#[from] DriveError),
    #[error(transparent)]
    Target(#[from] OpenError),
    #[error("can't use the params: {0}")]
    Params(ParamErrors),
    #[error(transparent)]
    Mesh(#[from] MeshError),
    #[error("the system could not provide random bytes")]
    NoRandomness,
}

/// Plays a test to its end in a folder, or continues what a killed process began there; or plays a run that comes before it, by its
/// number from 0.
///
/// # Errors
/// Only what prevents the run from being driven; its outcome is in the folder.
pub fn play(
    suite: &Suite,
    name: &str,
    folder: &Path,
    before: Option<usize>,
) -> Result<(), PlayError> {
    let case = suite.cases.iter().find(|case| case.name == name);
    let case = case.ok_or_else(|| PlayError::NoTest(name.into()))?;
    let (program, case) = match before {
        None => (&suite.program, case.clone()),
        Some(number) => {
            let before = case.before.get(number);
            let before = before.ok_or_else(|| PlayError::NoTest(name.into()))?;
            let program = suite.earlier.get(&before.workflow);
            let program = program.ok_or_else(|| PlayError::NoTest(name.into()))?;
            (program, alone(case, before))
        }
    };
    if let Some(clock) = case.clock {
        stage::set_clock(clock.into());
    }
    let journal = Journal::open(&folder.join(STATE))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(THREADS)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    let played = runtime.block_on(async {
        let play = Play {
            program,
            case: &case,
            folder,
            journal,
        };
        play.to_end().await
    });
    runtime.shutdown_background();
    fs::write(folder.join(MOMENTS), crash_points().to_string())?;
    played
}

/// Returns a run before a test in the form of a test without expectations.
fn alone(case: &Case, before: &Before) -> Case {
    Case {
        params: before.params.clone(),
        before: Vec::new(),
        given: Vec::new(),
        approvals: before.approvals.clone(),
        kill: None,
        undo: false,
        expect: Expect::default(),
        ..case.clone()
    }
}

struct Play<'a> {
    program: &'a Program,
    case: &'a Case,
    folder: &'a Path,
    journal: Journal,
}

impl Play<'_> {
    async fn to_end(&self) -> Result<(), PlayError> {
        let (mut run, mut state) = match self.journal.runs()?.first() {
            None => self.begin()?,
            Some(row) => self.journal.adopt(&row.id)?,
        };
        let open = self.open(&state).await?;
        let clients = match &open {
            Some(open) => Clients {
                secrets: SecretReader::nowhere(),
                ..open.clients.clone()
            },
            None => Clients {
                files: OutputFolder::new(self.folder.join(OUT)),
                ..Clients::nowhere()
            },
        };
        let records = self.journal.load(run.id())?.into_iter();
        let records: Vec<_> = records.collect();
        // The clock of an earlier process may have been ahead, and time must not go back.
        stage::catch_up(records.last().map_or(Timestamp::EPOCH, |record| record.at));
        let events: Vec<_> = records.into_iter().map(|record| record.event).collect();
        let outside = Arc::new(Outside::open(self.case, self.folder, &events)?);
        let clusters = self.folder.join(STATE).join("kube");
        let watch = (self.case.expect.handshakes.is_some())
            .then(|| Watch::start(clusters, &self.case.expect));
        while let Some(events) = self.next(&run, &mut state)? {
            let id = run.id().clone();
            let settings = self.settings(clients.clone(), outside.clone());
            let (ended, _) = execute::drive(run, self.program, state, events, settings).await?;
            (run, state) = self.journal.adopt(&id)?;
            if ended == Ended::Waiting && self.answers(&run, &state)?.is_empty() {
                // Nothing else is left to do, so the next question may expire.
                match self.expires(&state) {
                    Some(deadline) => stage::catch_up(deadline),
                    None => break,
                }
            }
        }
        coverage::write(self.folder, outside.lines().take())?;
        if let Some(watch) = watch {
            // It reads the clusters' databases, and may have to wait for a check that is in progress.
            tokio::task::block_in_place(|| watch.end(self.folder))?;
        }
        if let Some(open) = &open {
            self.list_authorities(&open.clients).await?;
        }
        if self.case.is_local {
            let clusters = self.folder.join(STATE).join("kube");
            let write = || mesh::write_secrets(self.folder, &clusters, &self.case.expect);
            tokio::task::block_in_place(write)?;
        }
        Ok(())
    }

    fn begin(&self) -> Result<(RunJournal, State), PlayError> {
        let outputs = setup::outputs(self.folder)?;
        let params = self.case.params.bind(&self.program.workflow, &outputs);
        let params = params.map_err(PlayError::Params)?;
        let event = Event::RunStarted(RunStarted {
            workflow: self.program.workflow.name.clone(),
            file: self.program.main.clone(),
            folder: String::new(),
            main: self.program.main.clone(),
            program: self.program.digest,
            target: if self.case.is_local { LOCAL } else { NOWHERE }.into(),
            kube: if self.case.has_kube {
                clusters(&self.program.workflow, &params)?
            } else {
                BTreeSet::new()
            },
            chosen: BTreeSet::new(),
            out: self.folder.join(OUT).display().to_string(),
            secrets: self.journal.digest_secrets(&params)?,
            params,
            requester: self.case.requester.clone(),
            via: None,
            version: env!("CARGO_PKG_VERSION").into(),
            is_strict: true,
        });
        let mut random = [0; 6];
        random_bytes(&mut random).map_err(|_| PlayError::NoRandomness)?;
        let new = NewRun {
            id: RunId::new(time::OffsetDateTime::now_utc(), random),
            event: event.clone(),
            files: &self.program.files,
            at: now(),
        };
        let run = self.journal.begin(new)?;
        let mut state = State::default();
        state.apply(&event, now()).map_err(DriveError::from)?;
        Ok((run, state))
    }

    /// Opens the embedded servers, if the test uses them.
    async fn open(&self, state: &State) -> Result<Option<OpenTarget>, PlayError> {
        if !self.case.is_local {
            return Ok(None);
        }
        let (out, state_folder) = (self.folder.join(OUT), self.folder.join(STATE));
        let config = self.folder.join("windlass.toml");
        let folders = Folders {
            out: &out,
            state: &state_folder,
            config: &config,
            workflow: None,
        };
        let kube = state.run.as_ref().map(|run| run.kube.clone());
        Ok(Some(
            OpenTarget::open(None, folders, kube.unwrap_or_default()).await?,
        ))
    }

    /// Returns the events with which the run continues; `None` if nothing is left to do.
    fn next(&self, run: &RunJournal, state: &mut State) -> Result<Option<Vec<Event>>, PlayError> {
        let undo = || {
            vec![Event::UndoStarted(UndoStarted {
                via: None,
                error: None,
                requester: self.case.requester.clone(),
            })]
        };
        let is_undone = matches!(state.outcome, Some(Outcome::Undone | Outcome::UndoFailed));
        if state.is_undoing || is_undone {
            return Ok((state.outcome.is_none()).then(undo));
        }
        if state.outcome.is_some() {
            return Ok(self.case.undo.then(undo));
        }
        if state.events == 1 {
            return Ok(Some(Vec::new()));
        }
        let mut events = decide::on_resume(&self.program.workflow, state, &self.case.requester);
        let answers = self.answers(run, state)?;
        if !answers.is_empty() {
            let at = now();
            run.append(answers.iter().map(|event| (event.clone(), at)).collect())?;
            for event in &answers {
                state.apply(event, at).map_err(DriveError::from)?;
            }
            events = decide::on_resume(&self.program.workflow, state, &self.case.requester);
        }
        Ok(Some(events))
    }

    /// Returns the test's answers to the current questions.
    fn answers(&self, run: &RunJournal, state: &State) -> Result<Vec<Event>, PlayError> {
        let waiting = state
            .steps
            .iter()
            .filter(|(_, instance)| instance.status == Status::Waiting);
        let mut events = Vec::new();
        for (id, instance) in waiting {
            let (Some(asked), Some(QuestionEnd::Answered(approver))) =
                (&instance.approval, self.end_of(id))
            else {
                continue;
            };
            let decision = Decision {
                step: id.clone(),
                verdict: if approver.approves {
                    Verdict::Approved
                } else {
                    Verdict::Rejected
                },
                approver: approver.name.clone(),
                comment: approver.comment.clone(),
                digest: asked.digest,
                via: None,
            };
            match decide::on_answer(
                &self.program.workflow,
                state,
                run.id().as_str(),
                &decision,
                now(),
            ) {
                Ok(event) => events.push(event),
                Err(refusal) => fs::write(self.folder.join(REFUSED), refusal.to_string())?,
            }
        }
        Ok(events)
    }

    /// Returns the next deadline of a question that nobody answers.
    fn expires(&self, state: &State) -> Option<Timestamp> {
        let waiting = state
            .steps
            .iter()
            .filter(|(_, instance)| instance.status == Status::Waiting);
        let expires =
            waiting.filter(|(id, _)| matches!(self.end_of(id), Some(QuestionEnd::Expires)));
        expires
            .filter_map(|(_, instance)| instance.approval.as_ref()?.deadline)
            .min()
    }

    fn end_of(&self, id: &InstanceId) -> Option<&QuestionEnd> {
        answers::end_of(&self.case.approvals, id)
    }

    fn settings(&self, clients: Clients, stage: Arc<dyn Stage>) -> Settings {
        Settings {
            clients,
            max_parallel: MAX_PARALLEL,
            observer: Arc::new(Silent),
            cancel: Cancel::default(),
            waits_for_people: false,
            lock_timeout: None,
            clock: now,
            jitter: || 0.0,
            stage: Some(stage),
        }
    }

    /// Writes the list of CAs to a file: a CA that the run does not know of is an orphan.
    async fn list_authorities(&self, clients: &Clients) -> Result<(), PlayError> {
        let found = clients.pca.list().await.unwrap_or_default();
        let mut kinds: Vec<_> = found
            .iter()
            .map(|found| format!("{} {}", found.kind, found.status))
            .collect();
        kinds.sort();
        let list = Value::List(kinds.into_iter().map(Value::from).collect());
        fs::write(self.folder.join(AUTHORITIES), list.to_json().to_string())?;
        Ok(())
    }
}
