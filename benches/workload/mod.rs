//! The work that the benchmarks measure, and doing it embedded.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
    sync::Arc,
};

use time::OffsetDateTime;
use windlass::{
    compile::{Folder, Program, bind_params, compile},
    execute::{Cancel, Ended, Settings, Silent, drive},
    journal::{Event, Journal, NewRun, Outcome, RunId, State, milliseconds},
    outside::{Clients, HttpClient, KubeClients, OutputFolder, PcaClient, Programs},
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
            ("chain", chain_file()),
            ("fan-out", fan_out_file()),
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

fn chain_file() -> String {
    let mut text = String::from("workflow: chain\nsteps:\n  s0: { run: \"()\" }\n");
    for i in 1..CHAIN {
        let _ = writeln!(text, "  s{i}: {{ run: \"()\", needs: [s{}] }}", i - 1);
    }
    text
}

fn fan_out_file() -> String {
    let items: Vec<String> = (0..FAN_OUT).map(|i| i.to_string()).collect();
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

fn program(folder: &Path, name: &str, text: &str) -> Program {
    let file = format!("{name}.yaml");
    fs::write(folder.join(&file), text).expect("written");
    compile(&file, &mut Folder::new(folder)).unwrap_or_else(|e| panic!("{e}: {:?}", e.0))
}

/// What a new run of a program begins with.
pub fn started(program: &Program) -> (RunId, Event, i64) {
    let mut random = [0; 6];
    aws_lc_rs::rand::fill(&mut random).expect("randomness");
    let event = Event::RunStarted {
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
        version: "bench".into(),
    };
    (RunId::new(OffsetDateTime::now_utc(), random), event, now())
}

/// Runs a program embedded.
pub async fn run(journal: &Journal, program: &Program) {
    let (id, event, at) = started(program);
    let mut state = State::default();
    state.apply(&event, at).expect("legal");
    let run = journal
        .begin(NewRun {
            id,
            event,
            files: &program.files,
            at,
        })
        .expect("begun");
    let clients = Clients {
        pca: PcaClient::embedded("http://127.0.0.1:9", "us-east-1", ("none", "none")),
        files: OutputFolder::new("out"),
        http: HttpClient::default(),
        kube: KubeClients::default(),
        programs: Programs::default(),
    };
    let settings = Settings {
        clients,
        max_parallel: 64,
        observer: Arc::new(Silent),
        cancel: Cancel::default(),
        waits_for_people: false,
        lock_timeout: None,
        clock: now,
        jitter: || 0.5,
    };
    let (outcome, _) = drive(run, program, state, Vec::new(), settings)
        .await
        .expect("driven");
    assert_eq!(outcome, Ended::Over(Outcome::Succeeded));
}

fn now() -> i64 {
    milliseconds(OffsetDateTime::now_utc())
}
