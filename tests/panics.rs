//! An attempt that panics outside of its script stops its run, which can be resumed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use windlass::{
    compile::{Folder, compile},
    decide,
    execute::{Cancel, DriveError, Ended, Settings, Silent, Stage, drive},
    journal::{Event, InstanceId, Journal, NewRun, Outcome, RunId, RunStarted, State},
    outside::Clients,
    runs,
    script::{Call, Trace},
    value::Value,
};

/// Panics when the step `broken` starts, once.
#[derive(Default)]
struct Breaking(AtomicBool);

impl Stage for Breaking {
    fn set(&self, _: &InstanceId, call: Call) -> Call {
        call
    }

    fn passes(&self, _: Option<&InstanceId>, _: Duration) -> bool {
        false
    }

    fn trace(&self) -> Option<Arc<dyn Trace>> {
        assert!(self.0.swap(true, Ordering::Relaxed), "broken on purpose");
        None
    }
}

fn settings(stage: &Arc<Breaking>) -> Settings {
    Settings {
        clients: Clients::nowhere(),
        max_parallel: 4,
        observer: Arc::new(Silent),
        cancel: Cancel::default(),
        waits_for_people: false,
        lock_timeout: None,
        clock: runs::now,
        jitter: || 0.0,
        stage: Some(stage.clone()),
    }
}

#[tokio::test]
async fn an_attempt_that_panics_stops_the_run_and_a_resume_continues_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = "workflow: panics\nsteps:\n  broken: { run: \"#{ x: 1 }\" }\n";
    std::fs::write(folder.path().join("panics.yaml"), file).expect("written");
    let program = compile("panics.yaml", &mut Folder::new(folder.path())).expect("a workflow");
    let event = Event::RunStarted(RunStarted {
        workflow: program.workflow.name.clone(),
        file: program.main.clone(),
        folder: String::new(),
        main: program.main.clone(),
        program: program.digest,
        target: "local".into(),
        kube: BTreeSet::new(),
        chosen: BTreeSet::new(),
        out: "out".into(),
        params: Value::Map(BTreeMap::new()),
        secrets: None,
        requester: "tester".into(),
        via: None,
        version: "test".into(),
        is_strict: true,
    });
    let journal = Journal::open(&folder.path().join("state")).expect("a journal");
    let (id, at) = (
        RunId::new(time::OffsetDateTime::UNIX_EPOCH, [7; 6]),
        runs::now(),
    );
    let mut state = State::default();
    state.apply(&event, at).expect("a first event");
    let new = NewRun {
        id: id.clone(),
        event,
        files: &program.files,
        at,
    };
    let run = journal.begin(new).expect("begun");
    let stage = Arc::new(Breaking::default());

    let driven = drive(run, &program, state, Vec::new(), settings(&stage)).await;
    let Err(DriveError::Panicked { step }) = driven else {
        panic!("the run was driven to its end");
    };
    assert_eq!(step.as_str(), "broken");

    let (run, state) = journal.adopt(&id).expect("no process drives it");
    let events = decide::on_resume(&program.workflow, &state, "tester");
    let driven = drive(run, &program, state, events, settings(&stage)).await;
    assert_eq!(driven.expect("driven").0, Ended::Over(Outcome::Succeeded));
}
