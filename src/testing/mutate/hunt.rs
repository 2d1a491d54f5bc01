//! Runs the tests on each mutant until one fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::{Edit, script, workflow};
use crate::{
    compile::{Suite, read_suite},
    script::STACK_BYTES,
    testing::suites::{self, Options, Setups, SuiteError, Tested, folder_of},
};

/// How many times longer a test may take with a mutant than without: a test that takes longer probably never ends.
const SLOWER: u32 = 10;
/// The shortest time limit, because machines are busy at times.
const LEAST: Duration = Duration::from_secs(20);

/// Selects the mutants.
#[derive(Clone, Debug, Default)]
pub struct MutateOptions {
    /// How many mutants, spread over all of them; all if it is left out.
    pub sample: Option<usize>,
    /// The seed with which the sample is drawn instead: the same seed draws the same mutants.
    pub seed: Option<u64>,
    /// Only mutants of files whose path contains one of these; of all files if it is empty.
    pub of: Vec<String>,
}

/// An altered file, and the result of its tests.
#[derive(Clone, Debug)]
pub struct Mutant {
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What was altered, in one sentence.
    pub what: String,
    pub fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A test failed: its file and name.
    Noticed { by: String },
    /// All of so many tests passed.
    Survived { tests: usize },
    /// No test reaches the line.
    NotReached,
    /// `validate` refuses the file, so it shows nothing about the tests.
    Refused,
}

/// The work that is about to be done.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    pub mutants: usize,
    pub files: usize,
    pub tests: usize,
}

/// The results of all mutants.
#[derive(Clone, Debug)]
pub struct Hunted {
    /// The mutants, in the order of the files.
    pub mutants: Vec<Mutant>,
}

impl Hunted {
    /// Returns how many were noticed, and how many could have been.
    pub fn score(&self) -> (usize, usize) {
        let is_noticed = |mutant: &&Mutant| matches!(mutant.fate, Fate::Noticed { .. });
        let noticed = self.mutants.iter().filter(is_noticed).count();
        let refused = self
            .mutants
            .iter()
            .filter(|mutant| mutant.fate == Fate::Refused);
        (noticed, self.mutants.len() - refused.count())
    }

    /// Returns the score of each file, in the order of their names. A file whose mutants were all refused has none.
    pub fn scores(&self) -> BTreeMap<&Path, Score> {
        let mut scores: BTreeMap<_, Score> = BTreeMap::new();
        for mutant in &self.mutants {
            if mutant.fate == Fate::Refused {
                continue;
            }
            let score = scores.entry(mutant.file.as_path()).or_default();
            score.all += 1;
            score.noticed += usize::from(matches!(mutant.fate, Fate::Noticed { .. }));
        }
        scores
    }
}

/// How many mutants of a file were noticed, out of those that could have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub noticed: usize,
    pub all: usize,
}

/// The reason why no mutant was made.
#[derive(Debug)]
pub enum HuntError {
    Suites(SuiteError),
    /// There are no tests, or the filters left all of them out.
    NoTests,
    /// Tests that already fail without a mutant.
    Failing(Vec<Tested>),
    Folder(io::Error),
}

/// Runs the tests of these files without changes, then with one mutant after another. Calls `begins` when the mutants are known, and
/// `ends` with each one.
///
/// # Errors
/// Mistakes in the files, or a test that fails without a mutant; then no mutant was made.
pub fn hunt(
    files: &[PathBuf],
    options: &Options,
    which: &MutateOptions,
    begins: impl FnOnce(Hunt),
    mut ends: impl FnMut(&Mutant),
) -> Result<Hunted, HuntError> {
    let setups = Setups::default();
    let plain = Options {
        kills: false,
        ..options.clone()
    };
    let ran = suites::run_with(files, &plain, &setups, |_, _| {}, |_| {});
    let ran = ran.map_err(HuntError::Suites)?;
    if ran.tests.is_empty() {
        return Err(HuntError::NoTests);
    }
    let (tests, failing): (Vec<_>, Vec<_>) =
        (ran.tests.into_iter()).partition(|test| test.problems.is_empty());
    if !failing.is_empty() {
        return Err(HuntError::Failing(failing));
    }
    // They have just been read.
    let read = files
        .iter()
        .filter_map(|file| Some((file.as_path(), read_suite(file, options.library).ok()?)));
    let suites: Vec<_> = read.collect();
    let tree = Tree::of(&suites);
    let planned = planned(&tree, &suites, &tests, which);
    begins(Hunt {
        mutants: planned.len(),
        files: planned
            .iter()
            .map(|one| &one.file)
            .collect::<BTreeSet<_>>()
            .len(),
        tests: tests.len(),
    });
    let (next, (sender, receiver)) = (AtomicUsize::new(0), mpsc::channel());
    let mut mutants = BTreeMap::new();
    let work = Work {
        suites: &suites,
        tree: &tree,
        tests: &tests,
        planned: &planned,
        options: &plain,
        setups: &setups,
    };
    thread::scope(|scope| {
        for _ in 0..options.jobs.min(planned.len()) {
            let (sender, work, next) = (sender.clone(), &work, &next);
            let worker = thread::Builder::new().stack_size(STACK_BYTES);
            let worker = worker.spawn_scoped(scope, move || {
                let mut copy = None;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = work.planned.get(number) else {
                        return;
                    };
                    let fate = work.fate(one, &mut copy);
                    // The receiver exists until all senders are gone.
                    let _ = sender.send((number, fate));
                }
            });
            if let Err(e) = worker {
                // This makes the other workers stop, too.
                next.store(planned.len(), Ordering::Relaxed);
                return Err(e);
            }
        }
        drop(sender);
        for (number, fate) in receiver {
            let one = &planned[number];
            let mutant = Mutant {
                file: shown(&one.file),
                line: one.edit.line,
                what: one.edit.what.clone(),
                fate: fate?,
            };
            ends(&mutant);
            mutants.insert(number, mutant);
        }
        Ok(())
    })
    .map_err(HuntError::Folder)?;
    Ok(Hunted {
        mutants: mutants.into_values().collect(),
    })
}

/// All files that the tests use, by absolute name.
struct Tree(BTreeMap<PathBuf, Arc<str>>);

impl Tree {
    fn of(suites: &[(&Path, Suite)]) -> Self {
        let mut files = BTreeMap::new();
        for (test, suite) in suites {
            for (name, program) in suite.programs() {
                let folder = folder_of(test, name);
                let own = program.files.iter();
                let own = own.map(|(file, text)| (folder.join(file), text.clone()));
                // The generated workflow around a script has no file.
                files.extend(own.filter(|(path, _)| path.is_file()));
            }
        }
        Self(files)
    }
}

/// A mutant that will be made.
struct Planned {
    file: PathBuf,
    edit: Edit,
    /// The numbers of the tests that may notice it, quickest first.
    tests: Vec<usize>,
}

fn planned(
    tree: &Tree,
    suites: &[(&Path, Suite)],
    tests: &[Tested],
    which: &MutateOptions,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (path, text) in &tree.0 {
        let name = shown(path).display().to_string();
        let is_wanted = which.of.is_empty() || which.of.iter().any(|part| name.contains(part));
        let users = users(path, suites);
        if !is_wanted || users.is_empty() {
            continue;
        }
        let edits = if name.ends_with(".rhai") {
            script::edits(text, 0..text.len(), false)
        } else {
            workflow::edits(&name, text)
        };
        for edit in edits {
            let reaches = |test: &Tested| {
                let file = users.get(test.file.as_path());
                let line = edit.reached_by;
                file.is_some_and(|file| line.is_none_or(|line| test.covered.reaches(file, line)))
            };
            let numbers = 0..tests.len();
            let mut those: Vec<_> = numbers.filter(|n| reaches(&tests[*n])).collect();
            those.sort_by_key(|number| tests[*number].took);
            planned.push(Planned {
                file: path.clone(),
                edit,
                tests: those,
            });
        }
    }
    match which.sample {
        Some(sample) if sample < planned.len() => {
            let chosen = match which.seed {
                Some(seed) => drawn(planned.len(), sample, seed),
                None => spread(planned.len(), sample),
            };
            let mut number = 0;
            planned.retain(|_| {
                number += 1;
                chosen.contains(&(number - 1))
            });
            planned
        }
        _ => planned,
    }
}

/// Returns numbers below `all`, with distances as large as possible.
fn spread(all: usize, sample: usize) -> BTreeSet<usize> {
    let is_chosen = |number: &usize| (number + 1) * sample / all != number * sample / all;
    (0..all).filter(is_chosen).collect()
}

/// Returns numbers below `all`, drawn with a seed.
fn drawn(all: usize, sample: usize, seed: u64) -> BTreeSet<usize> {
    let mut numbers: Vec<_> = (0..all).collect();
    numbers.sort_by_cached_key(|number| {
        let text = format!("{seed} {number}");
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes())
            .as_ref()
            .to_vec()
    });
    numbers.into_iter().take(sample).collect()
}

/// Returns the test files whose workflow uses a file, with the file's name in them; without those that only use it in a run before a test.
fn users<'a>(path: &Path, suites: &[(&'a Path, Suite)]) -> BTreeMap<&'a Path, String> {
    let users = suites.iter().filter_map(|(test, suite)| {
        let folder = folder_of(test, &suite.workflow);
        let file = path.strip_prefix(&folder).ok()?.to_str()?.to_owned();
        suite
            .program
            .files
            .contains_key(&file)
            .then_some((*test, file))
    });
    users.collect()
}

/// Returns a file's name for people: relative to the current folder, if it is below that.
fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let below = here
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    below.unwrap_or_else(|| path.to_owned())
}

struct Work<'a> {
    suites: &'a [(&'a Path, Suite)],
    tree: &'a Tree,
    tests: &'a [Tested],
    planned: &'a [Planned],
    options: &'a Options,
    setups: &'a Setups,
}

impl Work<'_> {
    /// Makes a mutant in the worker's copy of the files, and runs the tests that reach it.
    fn fate(&self, one: &Planned, copy: &mut Option<TempDir>) -> io::Result<Fate> {
        if one.tests.is_empty() {
            return Ok(Fate::NotReached);
        }
        let copy = match copy {
            Some(copy) => copy,
            None => copy.insert(self.copy()?),
        };
        let text = &self.tree.0[&one.file];
        let mut altered = text.to_string();
        altered.replace_range(one.edit.span.clone(), &one.edit.new);
        let path = below(copy.path(), &one.file);
        fs::write(&path, altered)?;
        let fate = self.judge(one, copy.path());
        fs::write(&path, &**text)?;
        fate
    }

    fn judge(&self, one: &Planned, copy: &Path) -> io::Result<Fate> {
        let mut read = BTreeSet::new();
        for number in &one.tests {
            let test = &self.tests[*number];
            let played = below(copy, &test.file.canonicalize()?);
            if read.insert(played.clone()) && read_suite(&played, self.options.library).is_err() {
                return Ok(Fate::Refused);
            }
            let Some((file, suite)) = self.suites.iter().find(|(file, _)| *file == test.file)
            else {
                continue;
            };
            let Some(case) = suite.cases.iter().find(|case| case.name == test.name) else {
                continue;
            };
            let mut case = case.clone();
            case.timeout = (SLOWER * test.took).max(LEAST);
            let tested = suites::test((file, &played), suite, &case, self.options, self.setups);
            if !tested.problems.is_empty() {
                return Ok(Fate::Noticed {
                    by: format!("{}: {}", file.display(), case.name),
                });
            }
        }
        Ok(Fate::Survived {
            tests: one.tests.len(),
        })
    }

    /// Copies the files that tests use, and the tests, each to its place below a folder.
    fn copy(&self) -> io::Result<TempDir> {
        let copy = tempfile::Builder::new()
            .prefix("windlass-mutant-")
            .tempdir()?;
        for (file, text) in &self.tree.0 {
            let path = below(copy.path(), file);
            fs::create_dir_all(path.parent().unwrap_or(copy.path()))?;
            fs::write(path, &**text)?;
        }
        for (test, _) in self.suites {
            let test = test.canonicalize()?;
            let path = below(copy.path(), &test);
            fs::create_dir_all(path.parent().unwrap_or(copy.path()))?;
            fs::copy(test, path)?;
        }
        Ok(copy)
    }
}

/// Returns the place of an absolute name below a folder.
fn below(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_as_many_as_it_should() {
        assert_eq!(spread(10, 3), BTreeSet::from([3, 6, 9]));
        for seed in 0..20 {
            let numbers = drawn(100, 7, seed);
            assert_eq!(numbers.len(), 7);
            assert!(numbers.iter().all(|number| *number < 100));
            assert_eq!(
                numbers,
                drawn(100, 7, seed),
                "the same seed, the same mutants"
            );
        }
        assert_ne!(drawn(100, 7, 1), drawn(100, 7, 2));
    }

    #[test]
    fn each_file_has_a_score_of_its_own() {
        let mutant = |file: &str, fate: Fate| Mutant {
            file: file.into(),
            line: 1,
            what: String::new(),
            fate,
        };
        let noticed = Fate::Noticed { by: "a".into() };
        let hunted = Hunted {
            mutants: vec![
                mutant("b", noticed.clone()),
                mutant("a", Fate::NotReached),
                mutant("b", Fate::Survived { tests: 1 }),
                mutant("a", noticed),
                mutant("b", Fate::Refused),
                mutant("c", Fate::Refused),
            ],
        };
        let half = Score { noticed: 1, all: 2 };
        let scores: Vec<_> = hunted.scores().into_iter().collect();
        assert_eq!(scores, [(Path::new("a"), half), (Path::new("b"), half)]);
        assert_eq!(hunted.score(), (2, 4));
    }
}
