//! The work that the benchmarks measure, and doing it embedded.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use time::OffsetDateTime;
use windlass::{
    compile::{Folder, Program, bind_params, compile},
    decide,
    execute::{Cancel, Ended, Observer, Settings, drive},
    ground::Timestamp,
    journal::{Event, InstanceId, Journal, NewRun, Outcome, RunId, RunJournal, RunStarted, State},
    outside::{Clients, HttpClient},
    value::Value,
};

pub const CHAIN: usize = 200;
pub const FAN_OUT: usize = 1000;
pub const EFFECTS: usize = 200;
pub const NAMES: [&str; 3] = ["chain", "fan-out", "effects"];

/// Programs by name.
pub struct Workload(BTreeMap<&'static str, Program>);

impl Workload {
    pub fn new(folder: &Path) -> Self {
        let mut programs = BTreeMap::new();
        for (name, text) in [
            ("chain", chain_file(CHAIN)),
            ("fan-out", fan_out_file(FAN_OUT)),
            ("effects", effects_file()),
        ] {
            programs.insert(name, program(folder, name, &text));
        }
        Self(programs)
    }

    pub fn programs(&self) -> impl Iterator<Item = (&'static str, &Program)> {
        self.0.iter().map(|(name, program)| (*name, program))
    }

    pub fn named(&self, name: &str) -> &Program {
        &self.0[name]
    }
}

/// A chain of steps that do nothing.
pub fn chain_file(steps: usize) -> String {
    let mut text = String::from("workflow: chain\nsteps:\n  s0: { run: \"()\" }\n");
    for i in 1..steps {
        let _ = writeln!(text, "  s{i}: {{ run: \"()\", needs: [s{}] }}", i - 1);
    }
    text
}

/// A step that does nothing, for each of so many items.
pub fn fan_out_file(items: usize) -> String {
    let items: Vec<String> = (0..items).map(|i| i.to_string()).collect();
    format!(
        "workflow: fan-out\nsteps:\n  all: {{ run: \"()\", for_each: [{}] }}\n",
        items.join(", ")
    )
}

fn effects_file() -> String {
    format!(
        "workflow: effects\nsteps:\n  all:\n    run: |\n      for i in 0..{EFFECTS} {{ time::now(); }}\n"
    )
}

/// A script with one call of a server, which may be made again with the same key. It is a file, so that a long chain of steps
/// that run it stays a small one.
pub fn calling_script(folder: &Path, url: &str) -> &'static str {
    let text = format!("fn run(inputs) {{ http::put(`{url}/1`); #{{}} }}\n");
    fs::write(folder.join("call.rhai"), text).expect("written");
    "call.rhai"
}

/// A chain of steps that run a script.
pub fn chain_of(steps: usize, script: &str) -> String {
    let mut text = format!("workflow: chain\nsteps:\n  s0: {{ script: {script} }}\n");
    for i in 1..steps {
        let _ = writeln!(text, "  s{i}: {{ script: {script}, needs: [s{}] }}", i - 1);
    }
    text
}

/// A step that runs a script for each of so many items.
pub fn fan_out_of(items: usize, script: &str) -> String {
    let items: Vec<String> = (0..items).map(|i| i.to_string()).collect();
    format!(
        "workflow: fan-out\nsteps:\n  all: {{ script: {script}, for_each: [{}] }}\n",
        items.join(", ")
    )
}

/// Compiles a workflow that is written to a file of this name.
pub fn program(folder: &Path, name: &str, text: &str) -> Program {
    let file = format!("{name}.yaml");
    fs::write(folder.join(&file), text).expect("written");
    compile(&file, &mut Folder::new(folder)).unwrap_or_else(|e| panic!("{e}: {:?}", e.0))
}

/// What a new run of a program begins with.
pub fn started(program: &Program) -> (RunId, Event, Timestamp) {
    let mut random = [0; 6];
    aws_lc_rs::rand::fill(&mut random).expect("randomness");
    let event = Event::RunStarted(RunStarted {
        chosen: Default::default(),
        workflow: program.workflow.name.clone(),
        file: program.main.clone(),
        main: program.main.clone(),
        program: program.digest,
        target: "local".into(),
        kube: BTreeSet::new(),
        folder: String::new(),
        out: "out".into(),
        params: Value::Map(bind_params(&program.workflow, BTreeMap::new()).expect("no params")),
        secrets: None,
        requester: "bench".into(),
        via: None,
        version: "bench".into(),
        is_strict: true,
    });
    (RunId::new(OffsetDateTime::now_utc(), random), event, now())
}

/// Runs a program embedded.
pub async fn run(journal: &Journal, program: &Program) {
    let ended = run_until(journal, program, usize::MAX).await.1;
    assert_eq!(ended, Ended::Over(Outcome::Succeeded));
}

/// Runs a program embedded, and cancels it after so many steps.
pub async fn run_until(journal: &Journal, program: &Program, most: usize) -> (RunId, Ended) {
    let (id, event, at) = started(program);
    let mut state = State::default();
    state.apply(&event, at).expect("legal");
    let run = journal
        .begin(NewRun {
            id: id.clone(),
            event,
            files: &program.files,
            at,
        })
        .expect("begun");
    let counter = Counter {
        left: AtomicUsize::new(most),
        cancel: Cancel::default(),
    };
    (id, go(run, program, state, Vec::new(), counter).await)
}

/// Resumes a run that was cancelled.
pub async fn resume(journal: &Journal, program: &Program, id: &RunId) {
    let (run, state) = journal.adopt(id).expect("adopted");
    let events = decide::on_resume(&program.workflow, &state, "bench");
    let counter = Counter {
        left: AtomicUsize::new(usize::MAX),
        cancel: Cancel::default(),
    };
    let ended = go(run, program, state, events, counter).await;
    assert_eq!(ended, Ended::Over(Outcome::Succeeded));
}

/// Cancels a run after so many steps.
struct Counter {
    left: AtomicUsize,
    cancel: Cancel,
}

impl Observer for Counter {
    fn happened(&self, events: &[Event], _: &State) {
        let done = events
            .iter()
            .filter(|event| matches!(event, Event::StepSucceeded(_)));
        let done = done.count();
        if self.left.fetch_sub(done, Ordering::Relaxed) <= done {
            self.cancel.cancel();
            self.left.store(usize::MAX, Ordering::Relaxed);
        }
    }

    fn doing(&self, _: &InstanceId, _: &str) {}
    fn waits_for(&self, _: &str, _: &str) {}
    fn held_up(&self, _: &str) {}
    fn said(&self, _: &InstanceId, _: &str) {}
}

async fn go(
    run: RunJournal,
    program: &Program,
    state: State,
    events: Vec<Event>,
    counter: Counter,
) -> Ended {
    let clients = Clients {
        http: HttpClient::new(None),
        ..Clients::nowhere()
    };
    let settings = Settings {
        stage: None,
        clients,
        max_parallel: 64,
        cancel: counter.cancel.clone(),
        observer: Arc::new(counter),
        waits_for_people: false,
        lock_timeout: None,
        clock: now,
        jitter: || 0.5,
    };
    let driven = drive(run, program, state, events, settings).await;
    driven.expect("driven").0
}

fn now() -> Timestamp {
    OffsetDateTime::now_utc().into()
}
