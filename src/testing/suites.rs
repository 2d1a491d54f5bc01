//! Runs the tests of files in parallel.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub use super::setup::Setups;
use super::{
    answers,
    compare::Common,
    conduct::{Part, Played, Player},
    coverage::{Coverage, Covered},
    judge::{Problem, judge},
    outcome::{Outcome, OutcomeError},
    play::MOMENTS,
    setup,
    snapshot::{self, Mode},
};
use crate::{
    compile::{Case, Kill, Library, Mistakes, Program, Suite, read_suite},
    value::causes,
};
use windlass_ground::lock;

/// The time limit of a run before a test.
const BEFORE: Duration = Duration::from_secs(300);

/// The options of a test run.
#[derive(Clone, Debug)]
pub struct Options {
    pub player: Player,
    /// The number of tests that run at once.
    pub jobs: usize,
    /// Only tests whose file or name contains one of these; all if it is empty.
    pub filters: Vec<String>,
    /// Whether to write snapshots that are missing or differ.
    pub accepts: bool,
    /// Whether to kill the runs of the tests that ask for it.
    pub kills: bool,
    /// The workflows that tests may name without having their files.
    pub library: Library,
}

/// The result of a test.
#[derive(Clone, Debug)]
pub struct Tested {
    pub file: PathBuf,
    pub name: String,
    /// The line of the test in its file, from 1.
    pub line: usize,
    pub took: Duration,
    /// Empty if it passed.
    pub problems: Vec<Problem>,
    /// How many times its run was killed.
    pub kills: usize,
    pub(super) covered: Covered,
}

impl Tested {
    /// Returns all problems as a text for people.
    pub fn said(&self) -> String {
        let problems = self.problems.iter().map(|problem| match &problem.detail {
            Some(detail) => format!("{}\n{}", problem.what, indented(detail)),
            None => problem.what.clone(),
        });
        problems.collect::<Vec<_>>().join("\n")
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("  {line}").trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// The results of all tests.
pub struct Ran {
    /// The tests, in the order of the files.
    pub tests: Vec<Tested>,
    /// How many tests the filters left out.
    pub filtered: usize,
    /// The coverage, by the file of the workflow or script; what any test reaches counts, whatever file the test is in.
    pub coverage: Vec<(PathBuf, Coverage)>,
}

/// The reason why no test was run.
#[derive(Debug)]
pub struct SuiteError {
    /// The mistakes of each file that has some.
    pub mistakes: Vec<Mistakes>,
}

/// Runs the tests of these files. Calls `begins` with the numbers of tests and files, and `ends` with each test when it ends.
///
/// # Errors
/// Mistakes in the files; then no test has been run.
pub fn run(
    files: &[PathBuf],
    options: &Options,
    begins: impl FnMut(usize, usize),
    ends: impl FnMut(&Tested),
) -> Result<Ran, SuiteError> {
    run_with(files, options, &Setups::default(), begins, ends)
}

/// Like [`run`], for tests that can continue with the setups of other tests.
pub(super) fn run_with(
    files: &[PathBuf],
    options: &Options,
    setups: &Setups,
    mut begins: impl FnMut(usize, usize),
    mut ends: impl FnMut(&Tested),
) -> Result<Ran, SuiteError> {
    let mut suites = Vec::new();
    let mut mistakes = Vec::new();
    for file in files {
        match read_suite(file, options.library) {
            Ok(suite) => suites.push((file.as_path(), suite)),
            Err(found) => mistakes.push(found),
        }
    }
    if !mistakes.is_empty() {
        return Err(SuiteError { mistakes });
    }
    let all = suites
        .iter()
        .flat_map(|(file, suite)| suite.cases.iter().map(move |case| (*file, suite, case)));
    let is_wanted = |file: &Path, case: &Case| {
        let path = file.display().to_string();
        options.filters.is_empty()
            || options
                .filters
                .iter()
                .any(|part| path.contains(part) || case.name.contains(part))
    };
    let (wanted, others): (Vec<_>, Vec<_>) = all.partition(|(file, _, case)| is_wanted(file, case));
    begins(wanted.len(), suites.len());
    let (next, (sender, receiver)) = (AtomicUsize::new(0), mpsc::channel());
    let mut tests = BTreeMap::new();
    thread::scope(|scope| {
        for _ in 0..options.jobs.min(wanted.len()) {
            let (sender, wanted, next) = (sender.clone(), &wanted, &next);
            scope.spawn(move || {
                while let Some((file, suite, case)) =
                    wanted.get(next.fetch_add(1, Ordering::Relaxed)).copied()
                {
                    let tested = test((file, file), suite, case, options, setups);
                    let number = next_number(wanted, file, case);
                    // The receiver exists until all senders are gone.
                    let _ = sender.send((number, tested));
                }
            });
        }
        drop(sender);
        for (number, tested) in receiver {
            ends(&tested);
            tests.insert(number, tested);
        }
    });
    let tests: Vec<_> = tests.into_values().collect();
    Ok(Ran {
        filtered: others.len(),
        coverage: coverage(&suites, &tests),
        tests,
    })
}

fn next_number(wanted: &[(&Path, &Suite, &Case)], file: &Path, case: &Case) -> usize {
    let is_it = |(other, _, one): &(&Path, &Suite, &Case)| *other == file && one.name == case.name;
    wanted.iter().position(is_it).unwrap_or_default()
}

fn coverage(suites: &[(&Path, Suite)], tests: &[Tested]) -> Vec<(PathBuf, Coverage)> {
    let mut workflows: BTreeMap<PathBuf, (&Program, PathBuf)> = BTreeMap::new();
    let mut covered = Covered::default();
    for (file, suite) in suites {
        let folder = folder_of(file, &suite.workflow);
        let workflow = file.with_file_name(&suite.workflow);
        workflows.insert(workflow, (&suite.program, folder.clone()));
        for test in tests.iter().filter(|test| test.file == *file) {
            covered.add(&folder, test.covered.clone());
        }
    }
    let measured = workflows
        .into_iter()
        .map(|(file, (program, folder))| (file, covered.measure(program, &folder)));
    measured.collect()
}

/// Returns the folder of a workflow, or of a script, that a test file names; the names of its files are relative to it.
pub(super) fn folder_of(test: &Path, workflow: &str) -> PathBuf {
    let named = test.with_file_name(workflow);
    let real = named.canonicalize().unwrap_or(named);
    real.parent().unwrap_or(Path::new("")).to_owned()
}

/// Runs a test of a file, or of a copy of that file.
pub(super) fn test(
    (file, played): (&Path, &Path),
    suite: &Suite,
    case: &Case,
    options: &Options,
    setups: &Setups,
) -> Tested {
    let began = Instant::now();
    let testing = Testing {
        file,
        played,
        suite,
        case,
        options,
        setups,
        until: Instant::now() + case.timeout,
    };
    let mut tested = Tested {
        file: file.to_owned(),
        name: case.name.clone(),
        line: case.line,
        took: Duration::ZERO,
        problems: Vec::new(),
        kills: 0,
        covered: Covered::default(),
    };
    if let Err(problem) = testing.go(&mut tested) {
        tested.problems.insert(0, problem);
    }
    tested.took = began.elapsed();
    tested
}

/// A test that is running.
struct Testing<'a> {
    file: &'a Path,
    played: &'a Path,
    suite: &'a Suite,
    case: &'a Case,
    options: &'a Options,
    setups: &'a Setups,
    until: Instant,
}

impl Testing<'_> {
    fn go(&self, tested: &mut Tested) -> Result<(), Problem> {
        let folder = self.folder()?;
        // Without a kill point, the points are counted.
        self.play(&folder, self.case.kill.map(|_| u64::MAX))?;
        let outcome = self.outcome(&folder)?;
        tested.problems = judge(self.case, &outcome);
        tested.covered = outcome.covered.clone();
        if let Some(name) = &self.case.expect.snapshot {
            let path = snapshot::path_of(self.file, name);
            let mode = match (self.options.accepts, tested.problems.is_empty()) {
                (false, _) => Mode::Compares,
                (true, true) => Mode::Accepts,
                (true, false) => Mode::Refuses,
            };
            let found = snapshot::check(&path, &outcome, mode).map_err(broken)?;
            tested.problems.extend(found);
        }
        // A run that fails its test is not killed.
        let kill = self.case.kill.filter(|_| self.options.kills);
        if let (Some(kill), true) = (kill, tested.problems.is_empty()) {
            let moments = moments(&folder);
            self.kill(kill, moments, &outcome, tested)?;
        }
        Ok(())
    }

    /// Kills the run at each of these points, resumes it and compares it with one that was not killed.
    fn kill(
        &self,
        kill: Kill,
        moments: u64,
        one: &Outcome,
        tested: &mut Tested,
    ) -> Result<(), Problem> {
        let other = self.folder()?;
        self.play(&other, None)?;
        let common = Common::of(one, &self.outcome(&other)?);
        let times = match kill {
            Kill::Everywhere => moments,
            Kill::Times(times) => moments.min(times.into()),
        };
        let (next, kills) = (AtomicU64::new(0), AtomicUsize::new(0));
        let problems = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..self.options.jobs {
                scope.spawn(|| {
                    loop {
                        let turn = next.fetch_add(1, Ordering::Relaxed);
                        let has_problem = !lock(&problems).is_empty();
                        if turn >= times || has_problem {
                            return;
                        }
                        let at = 1 + turn * moments / times;
                        match self.killed_at(at, &common) {
                            Ok(was_killed) => {
                                kills.fetch_add(usize::from(was_killed), Ordering::Relaxed)
                            }
                            Err(problem) => {
                                lock(&problems).push((at, problem));
                                return;
                            }
                        };
                    }
                });
            }
        });
        tested.kills = kills.into_inner();
        let mut problems = problems
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        problems.sort_by_key(|(at, _)| *at);
        tested
            .problems
            .extend(problems.into_iter().next().map(|(_, problem)| problem));
        Ok(())
    }

    fn killed_at(&self, at: u64, common: &Common) -> Result<bool, Problem> {
        let folder = self.folder()?;
        let was_killed = self.play(&folder, Some(at))?;
        let calls = super::log::read(folder.path()).map_err(broken)?;
        if was_killed {
            self.play(&folder, None)?;
        }
        let outcome = self.outcome(&folder)?;
        let differences = common.differences(&outcome);
        if differences.is_empty() {
            return Ok(was_killed);
        }
        let after = match calls.last() {
            Some(line) => format!("after `{}` of the step `{}`", line.function, line.step),
            None => "before its first call".into(),
        };
        let what = format!("killed at point {at}, {after}, and resumed, the run ends differently");
        Err(Problem::new(what).with(differences.join("\n")))
    }

    /// Returns a folder in which the test can begin.
    fn folder(&self) -> Result<TempDir, Problem> {
        let folder = folder()?;
        if let Some(last) = self.case.before.len().checked_sub(1) {
            let made = self.setup(last)?;
            setup::copy(made.path(), folder.path()).map_err(broken)?;
        }
        Ok(folder)
    }

    /// Returns what the runs before the test leave, up to and including this one.
    fn setup(&self, last: usize) -> Result<Arc<TempDir>, Problem> {
        let mut name = format!(
            "{} {}",
            self.file.parent().unwrap_or(self.file).display(),
            self.case.has_kube
        );
        for before in &self.case.before[..=last] {
            name.push_str(&format!(
                "; {} {} {:?}",
                before.workflow,
                before.params.name(),
                before.approvals
            ));
        }
        self.setups.find(&name, || {
            let folder = folder()?;
            if let Some(earlier) = last.checked_sub(1) {
                setup::copy(self.setup(earlier)?.path(), folder.path()).map_err(broken)?;
            }
            self.play_part(&folder, Some(last), None)?;
            let workflow = &self.case.before[last].workflow;
            let program = self
                .suite
                .earlier
                .get(workflow)
                .unwrap_or(&self.suite.program);
            let outcome = Outcome::read(folder.path(), &program.workflow).map_err(broken)?;
            if outcome.status() != "succeeded" {
                let errors = outcome.errors().into_iter();
                let why: Vec<_> = errors.map(|(_, error)| error.message.clone()).collect();
                let what = format!(
                    "the run of {workflow} before the test is {}",
                    outcome.status()
                );
                return Err(Problem::new(what).with(why.join("\n")));
            }
            let approvals = &self.case.before[last].approvals;
            if let Some(step) = answers::unasked(approvals, &outcome.state).first() {
                let what = format!(
                    "the answer for `{step}` in `approvals` of the run of {workflow} before the test was never used"
                );
                return Err(Problem::new(what));
            }
            setup::add_outputs(folder.path(), outcome.outputs()).map_err(broken)?;
            Ok(folder)
        })
    }

    /// Plays the test in a folder; returns whether it was killed.
    fn play(&self, folder: &TempDir, kill_at: Option<u64>) -> Result<bool, Problem> {
        self.play_part(folder, None, kill_at)
    }

    fn play_part(
        &self,
        folder: &TempDir,
        before: Option<usize>,
        kill_at: Option<u64>,
    ) -> Result<bool, Problem> {
        // The time for shared setups does not count for any test.
        let left = match before {
            Some(_) => BEFORE,
            None => self.until.saturating_duration_since(Instant::now()),
        };
        let player = &self.options.player;
        let part = Part {
            file: self.played,
            name: &self.case.name,
            before,
        };
        match player
            .play(part, folder.path(), kill_at, left)
            .map_err(broken)?
        {
            Played::ToItsEnd => Ok(false),
            Played::Killed => Ok(true),
            Played::TookTooLong => {
                let limit = crate::value::format_duration(match before {
                    Some(_) => BEFORE,
                    None => self.case.timeout,
                });
                Err(Problem::new(format!("the test took longer than {limit}"))
                    .with("to give it more time, set `timeout:` of the test"))
            }
            Played::Broke(why) => Err(Problem::new("the run could not be driven").with(why)),
        }
    }

    fn outcome(&self, folder: &TempDir) -> Result<Outcome, Problem> {
        Outcome::read(folder.path(), &self.suite.program.workflow)
            .map_err(|e: OutcomeError| broken(e))
    }
}

fn folder() -> Result<TempDir, Problem> {
    tempfile::Builder::new()
        .prefix("windlass-test-")
        .tempdir()
        .map_err(broken)
}

fn moments(folder: &TempDir) -> u64 {
    let text = std::fs::read_to_string(folder.path().join(MOMENTS)).unwrap_or_default();
    text.parse().unwrap_or_default()
}

fn broken(error: impl std::error::Error + 'static) -> Problem {
    Problem::new("the test could not be run").with(causes(&error))
}
