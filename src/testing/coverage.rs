//! Measures which steps, branches and lines of a workflow the tests reached.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use crate::{
    compile::{Action, Program, Workflow},
    disk,
    journal::{ApprovalAsked, Event, InstanceId, StepSkipped, StepStarted},
};

/// The file with the lines that ran, within a test's folder.
const FILE: &str = "covered.json";

/// What the runs of tests have reached.
#[derive(Clone, Debug, Default)]
pub struct Covered {
    /// Steps that began, by the workflow's file and name.
    steps: BTreeSet<(String, String)>,
    /// The values of conditions.
    branches: BTreeSet<(String, String, bool)>,
    /// Lines, by file.
    lines: BTreeSet<(String, usize)>,
}

/// What can be reached, and how much of it has been.
#[derive(Clone, Debug)]
pub struct Coverage {
    pub steps: Part,
    pub branches: Part,
    pub lines: Part,
}

/// How much of one kind has been reached.
#[derive(Clone, Debug, Default)]
pub struct Part {
    pub reached: usize,
    /// What has not been reached, for people, in the order of the files.
    pub missed: Vec<String>,
}

impl Part {
    pub fn all(&self) -> usize {
        self.reached + self.missed.len()
    }

    fn count(&mut self, is_reached: bool, what: impl FnOnce() -> String) {
        if is_reached {
            self.reached += 1
        } else {
            self.missed.push(what())
        }
    }
}

/// Writes the lines that ran to a test's folder, with those of earlier processes.
pub fn write(folder: &Path, lines: BTreeSet<(String, usize)>) -> io::Result<()> {
    let mut all = read(folder)?;
    all.extend(lines);
    fs::write(folder.join(FILE), serde_json::to_string(&all)?)
}

fn read(folder: &Path) -> io::Result<BTreeSet<(String, usize)>> {
    match disk::read_if_there(&folder.join(FILE))? {
        None => Ok(BTreeSet::new()),
        Some(text) => Ok(serde_json::from_str(&text)?),
    }
}

impl Covered {
    /// Reads what the run in a folder has reached.
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

    /// Says whether a line (from 1) of a script ran.
    pub fn reaches(&self, file: &str, line: usize) -> bool {
        self.lines.contains(&(file.to_owned(), line))
    }

    /// Adds what a run in a folder has reached, with absolute file names.
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

    /// Compares what was reached with everything in a folder.
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

/// Returns the absolute name of a file in a folder, because tests of a script and of a workflow reach the same lines.
fn at(folder: &Path, file: &str) -> String {
    folder.join(file).display().to_string()
}

/// Returns the workflow file that contains an instance's step, and the step's name.
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
