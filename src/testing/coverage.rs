//! Which steps, branches and lines the tests of a workflow reached.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use crate::{
    compile::{Action, Program, Workflow},
    journal::{ApprovalAsked, Event, InstanceId, StepSkipped, StepStarted},
};

/// Within a test's folder: the lines that ran.
const FILE: &str = "covered.json";

/// What the runs of tests reached.
#[derive(Clone, Debug, Default)]
pub struct Covered {
    /// Steps that began, by the workflow's file and name.
    steps: BTreeSet<(String, String)>,
    /// What conditions came to.
    branches: BTreeSet<(String, String, bool)>,
    /// By file.
    lines: BTreeSet<(String, usize)>,
}

/// What can be reached, and how much of it was.
#[derive(Clone, Debug)]
pub struct Coverage {
    pub steps: Part,
    pub branches: Part,
    pub lines: Part,
}

/// How much of something was reached.
#[derive(Clone, Debug, Default)]
pub struct Part {
    pub reached: usize,
    /// What was not, for people, in the order of the files.
    pub missed: Vec<String>,
}

impl Part {
    pub fn all(&self) -> usize {
        self.reached + self.missed.len()
    }

    fn count(&mut self, is_reached: bool, what: impl FnOnce() -> String) {
        match is_reached {
            true => self.reached += 1,
            false => self.missed.push(what()),
        }
    }
}

/// Keeps the lines that ran in a test's folder, with those of a process before.
pub fn write(folder: &Path, lines: BTreeSet<(String, usize)>) -> io::Result<()> {
    let mut all = read(folder)?;
    all.extend(lines);
    fs::write(folder.join(FILE), serde_json::to_string(&all)?)
}

fn read(folder: &Path) -> io::Result<BTreeSet<(String, usize)>> {
    match fs::read_to_string(folder.join(FILE)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        text => Ok(serde_json::from_str(&text?)?),
    }
}

impl Covered {
    /// Reads what the run in a folder reached.
    pub fn of(folder: &Path, workflow: &Workflow, events: &[Event]) -> io::Result<Self> {
        let mut covered = Self {
            lines: read(folder)?,
            ..Self::default()
        };
        for event in events {
            match event {
                Event::StepStarted(StepStarted { step, .. })
                | Event::ApprovalAsked(ApprovalAsked { step, .. }) => {
                    covered.begin(workflow, step);
                }
                Event::StepSkipped(StepSkipped { step, reason })
                    if reason.ends_with(" is false") =>
                {
                    if let Some((file, name)) = place_of(workflow, step) {
                        covered.branches.insert((file, name, false));
                    }
                }
                _ => {}
            }
        }
        Ok(covered)
    }

    fn begin(&mut self, workflow: &Workflow, step: &InstanceId) {
        if step.undone().is_some() {
            return;
        }
        if let Some((file, name)) = place_of(workflow, step) {
            self.branches.insert((file.clone(), name.clone(), true));
            self.steps.insert((file, name));
        }
    }

    /// Whether a line (from 1) of a script ran.
    pub fn reaches(&self, file: &str, line: usize) -> bool {
        self.lines.contains(&(file.to_owned(), line))
    }

    /// Adds what a run reached of files in a folder: their names here are whole.
    pub fn add(&mut self, folder: &Path, other: Self) {
        let steps = other.steps.into_iter();
        self.steps
            .extend(steps.map(|(file, step)| (at(folder, &file), step)));
        let branches = other.branches.into_iter();
        self.branches
            .extend(branches.map(|(file, step, side)| (at(folder, &file), step, side)));
        let lines = other.lines.into_iter();
        self.lines
            .extend(lines.map(|(file, line)| (at(folder, &file), line)));
    }

    /// Holds what was added against what there is in a folder.
    pub fn measure(&self, program: &Program, folder: &Path) -> Coverage {
        let mut coverage = Coverage {
            steps: Part::default(),
            branches: Part::default(),
            lines: Part::default(),
        };
        let mut lines: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        self.visit(
            (&program.workflow, folder),
            &mut coverage,
            &mut lines,
            &mut seen,
        );
        for (file, lines) in lines {
            for line in lines {
                let is_reached = self.lines.contains(&(at(folder, &file), line));
                coverage
                    .lines
                    .count(is_reached, || format!("{file}:{line}"));
            }
        }
        coverage
    }

    fn visit(
        &self,
        (workflow, folder): (&Workflow, &Path),
        coverage: &mut Coverage,
        lines: &mut BTreeMap<String, BTreeSet<usize>>,
        seen: &mut BTreeSet<String>,
    ) {
        if !seen.insert(workflow.path.to_string()) {
            return;
        }
        for (_, step) in workflow.steps() {
            let (file, name) = (workflow.path.to_string(), step.name.as_str().to_owned());
            let place = || format!("{file}: {name}");
            let whole = at(folder, &file);
            let is_reached = self.steps.contains(&(whole.clone(), name.clone()));
            coverage.steps.count(is_reached, place);
            if step.when.is_some() {
                for side in [true, false] {
                    let is_reached = self.branches.contains(&(whole.clone(), name.clone(), side));
                    coverage
                        .branches
                        .count(is_reached, || format!("{}: when {side}", place()));
                }
            }
            match &step.action {
                Action::Script(script) => {
                    for (file, found) in script.lines() {
                        lines.entry(file).or_default().extend(found);
                    }
                }
                Action::Workflow(inner) => self.visit((inner, folder), coverage, lines, seen),
                Action::Approval(_) => {}
            }
        }
    }
}

/// Returns a file of a folder, by its whole name: tests of a script and of a workflow reach the same lines.
fn at(folder: &Path, file: &str) -> String {
    folder.join(file).display().to_string()
}

/// Returns the file of the workflow that an instance's step stands in, and the step's name.
fn place_of(workflow: &Workflow, id: &InstanceId) -> Option<(String, String)> {
    let mut inner = workflow;
    let mut segments = id.segments().peekable();
    while let Some(segment) = segments.next() {
        let step = inner.step_named(segment.name)?;
        if segments.peek().is_none() {
            return Some((inner.path.to_string(), segment.name.to_owned()));
        }
        match &step.action {
            Action::Workflow(next) => inner = next,
            _ => return None,
        }
    }
    None
}
