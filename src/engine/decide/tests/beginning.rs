//! What a run is started with.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::Story;
use windlass_compile::{Program, Sources, bind_params, compile};
use windlass_ground::Timestamp;
use windlass_journal::{Event, RunStarted, State};
use windlass_world::value::Value;

/// The person who starts runs.
pub const REQUESTER: &str = "rita";

/// The files of a workflow, by path.
struct Texts(BTreeMap<String, Arc<str>>);

impl Sources for Texts {
    fn read(&mut self, path: &str) -> Result<Arc<str>, String> {
        let text = self.0.get(path).cloned();
        text.ok_or_else(|| "there is no such file".to_owned())
    }
}

/// Compiles a workflow without its name; `files` are its scripts and nested workflows.
pub fn program(text: &str, files: &[(&str, &str)]) -> Program {
    let own = format!("workflow: test\n{text}");
    let files = files.iter().copied().chain([("test.yaml", &*own)]);
    let texts = files.map(|(path, text)| (path.to_owned(), text.into()));
    let compiled = compile("test.yaml", &mut Texts(texts.collect()));
    compiled.unwrap_or_else(|mistakes| panic!("{:?}\n{own}", mistakes.0))
}

/// Reads a value as people write it.
pub fn yaml(text: &str) -> Value {
    Value::parse_yaml(text).expect("YAML")
}

/// What a run is started with.
pub struct Beginning {
    pub program: Program,
    params: Value,
    chosen: BTreeSet<String>,
    max_parallel: usize,
    /// The locks that other runs hold.
    pub elsewhere: BTreeSet<String>,
}

impl Beginning {
    pub fn of(text: &str, files: &[(&str, &str)]) -> Self {
        Self {
            program: program(text, files),
            params: yaml("{}"),
            chosen: BTreeSet::new(),
            max_parallel: 100,
            elsewhere: BTreeSet::new(),
        }
    }

    /// Sets the params, as YAML.
    pub fn params(mut self, params: &str) -> Self {
        self.params = yaml(params);
        self
    }

    /// Limits the run to these steps.
    pub fn chosen(mut self, steps: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.chosen = steps.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how many attempts run at once.
    pub fn at_most(mut self, attempts: usize) -> Self {
        self.max_parallel = attempts;
        self
    }

    /// Returns the first event of the run.
    fn event(&self) -> Event {
        let params = self.params.as_map().cloned().unwrap_or_default();
        let params = bind_params(&self.program.workflow, params).expect("valid params");
        Event::RunStarted(RunStarted {
            workflow: "test".into(),
            folder: String::new(),
            file: "test.yaml".into(),
            main: "test.yaml".into(),
            program: self.program.digest,
            target: "rehearsal".into(),
            kube: BTreeSet::new(),
            chosen: self.chosen.clone(),
            out: "out".into(),
            params: Value::Map(params),
            secrets: None,
            requester: REQUESTER.into(),
            via: None,
            version: "0".into(),
            is_strict: true,
        })
    }

    /// Returns the state with nothing but the run's start.
    pub fn state(&self) -> State {
        let mut state = State::default();
        state.apply(&self.event(), Timestamp::EPOCH).expect("legal");
        state
    }

    /// Starts the run.
    pub fn go(self) -> Story {
        let event = self.event();
        Story::begin(self.program, self.max_parallel, self.elsewhere, event)
    }
}
