//! Runs the tests on each mutant until one fails.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
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
    testing::suites::{self, Options, Setups, SuiteError, Tested},
};

/// A test of a mutant may take so many times what it takes without: what takes longer does not end.
const SLOWER: u32 = 10;
/// And at least this, since machines are busy at times.
const LEAST: Duration = Duration::from_secs(20);

/// Which mutants are made.
#[derive(Clone, Debug, Default)]
pub struct MutateOptions {
    /// Only so many, spread over all of them; all if it is left out.
    pub sample: Option<usize>,
    /// Only of files whose path holds one of these; of all files if it is empty.
    pub of: Vec<String>,
}

/// An altered file, and what became of it.
#[derive(Clone, Debug)]
pub struct Mutant {
    pub file: PathBuf,
    /// From 1.
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
    /// `validate` refuses it, so it says nothing of the tests.
    Refused,
}

/// What is about to be done.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    pub mutants: usize,
    pub files: usize,
    pub tests: usize,
}

/// What came of all mutants.
#[derive(Clone, Debug)]
pub struct Hunted {
    /// In the order of the files.
    pub mutants: Vec<Mutant>,
}

impl Hunted {
    /// How many were noticed, and how many could have been.
    pub fn score(&self) -> (usize, usize) {
        let is_noticed = |mutant: &&Mutant| matches!(mutant.fate, Fate::Noticed { .. });
        let noticed = self.mutants.iter().filter(is_noticed).count();
        let refused = self.mutants.iter().filter(|mutant| mutant.fate == Fate::Refused);
        (noticed, self.mutants.len() - refused.count())
    }
}

/// Why no mutant was made.
#[derive(Debug)]
pub enum HuntError {
    Suites(SuiteError),
    /// Tests that fail as it is.
    Failing(Vec<Tested>),
    Folder(io::Error),
}

/// Runs the tests of these files as they are, then on one mutant after another. Calls `begins` when the mutants are known,
/// and `ends` with each one.
///
/// # Errors
/// Mistakes in the files, or a test that fails without any mutant; no mutant was made then.
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
    let (tests, failing): (Vec<_>, Vec<_>) =
        (ran.tests.into_iter()).partition(|test| test.problems.is_empty());
    if !failing.is_empty() {
        return Err(HuntError::Failing(failing));
    }
    // They were read a moment ago.
    let read = files.iter().filter_map(|file| Some((file.as_path(), read_suite(file).ok()?)));
    let suites: Vec<_> = read.collect();
    let folders = Folders::of(&suites);
    let planned = planned(&folders, &suites, &tests, which);
    begins(Hunt {
        mutants: planned.len(),
        files: planned.iter().map(|one| &one.path).collect::<BTreeSet<_>>().len(),
        tests: tests.len(),
    });
    let (next, (sender, receiver)) = (AtomicUsize::new(0), mpsc::channel());
    let mut mutants = BTreeMap::new();
    let work = Work {
        suites: &suites,
        folders: &folders,
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
                let mut copies = Copies::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = work.planned.get(number) else {
                        return;
                    };
                    let fate = work.fate(one, &mut copies);
                    // The receiver is there until all senders are gone.
                    let _ = sender.send((number, fate));
                }
            });
            worker?;
        }
        drop(sender);
        for (number, fate) in receiver {
            let one = &planned[number];
            let mutant = Mutant {
                file: one.path.clone(),
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

/// The folders of workflows, with the files that their tests use.
struct Folders(BTreeMap<PathBuf, BTreeMap<String, Arc<str>>>);

impl Folders {
    fn of(suites: &[(&Path, Suite)]) -> Self {
        let mut folders = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (file, suite) in suites {
            let own = folders.entry(folder_of(file)).or_default();
            for program in suite.programs() {
                own.extend(program.files.clone());
            }
        }
        Self(folders)
    }
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).to_owned()
}

/// A mutant that is to be made.
struct Planned {
    folder: PathBuf,
    /// From there.
    file: String,
    /// For people.
    path: PathBuf,
    edit: Edit,
    /// The tests that may notice, by their numbers, the quickest first.
    tests: Vec<usize>,
}

fn planned(
    folders: &Folders,
    suites: &[(&Path, Suite)],
    tests: &[Tested],
    which: &MutateOptions,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (folder, files) in &folders.0 {
        for (file, text) in files {
            let path = folder.join(file);
            let name = path.display().to_string();
            let is_wanted = which.of.is_empty() || which.of.iter().any(|part| name.contains(part));
            let users = users(folder, file, suites);
            if !is_wanted || users.is_empty() {
                continue;
            }
            let edits = match file.ends_with(".rhai") {
                true => script::edits(text, 0..text.len(), false),
                false => workflow::edits(file, text),
            };
            for edit in edits {
                let reaches = |test: &Tested| {
                    let line = edit.reached_by;
                    users.contains(test.file.as_path())
                        && line.is_none_or(|line| test.covered.reaches(file, line))
                };
                let numbers = 0..tests.len();
                let mut those: Vec<_> = numbers.filter(|n| reaches(&tests[*n])).collect();
                those.sort_by_key(|number| tests[*number].took);
                planned.push(Planned {
                    folder: folder.clone(),
                    file: file.clone(),
                    path: path.clone(),
                    edit,
                    tests: those,
                });
            }
        }
    }
    match which.sample {
        Some(sample) if sample < planned.len() => {
            let all = planned.len();
            let mut number = 0;
            planned.retain(|_| {
                number += 1;
                number * sample / all != (number - 1) * sample / all
            });
            planned
        }
        _ => planned,
    }
}

/// The test files whose workflow uses a file; not those that only begin with a run of it.
fn users<'a>(folder: &Path, file: &str, suites: &[(&'a Path, Suite)]) -> BTreeSet<&'a Path> {
    let users = suites.iter().filter(|(test, suite)| {
        folder_of(test) == folder && suite.program.files.contains_key(file)
    });
    users.map(|(test, _)| *test).collect()
}

struct Work<'a> {
    suites: &'a [(&'a Path, Suite)],
    folders: &'a Folders,
    tests: &'a [Tested],
    planned: &'a [Planned],
    options: &'a Options,
    setups: &'a Setups,
}

/// The copies of workflows' folders that one worker alters, by folder.
type Copies = HashMap<PathBuf, TempDir>;

impl Work<'_> {
    fn fate(&self, one: &Planned, copies: &mut Copies) -> io::Result<Fate> {
        if one.tests.is_empty() {
            return Ok(Fate::NotReached);
        }
        let copy = match copies.get(&one.folder) {
            Some(copy) => copy,
            None => copies.entry(one.folder.clone()).or_insert(self.copy(&one.folder)?),
        };
        let text = &self.folders.0[&one.folder][&one.file];
        let mut altered = text.to_string();
        altered.replace_range(one.edit.span.clone(), &one.edit.new);
        let path = copy.path().join(&one.file);
        fs::write(&path, altered)?;
        let fate = self.judge(one, copy.path());
        fs::write(&path, &**text)?;
        Ok(fate)
    }

    fn judge(&self, one: &Planned, copy: &Path) -> Fate {
        let mut read = BTreeSet::new();
        for number in &one.tests {
            let test = &self.tests[*number];
            let played = copy.join(test.file.file_name().unwrap_or_default());
            if read.insert(played.clone()) && read_suite(&played).is_err() {
                return Fate::Refused;
            }
            let Some((file, suite)) = self.suites.iter().find(|(file, _)| *file == test.file) else {
                continue;
            };
            let Some(case) = suite.cases.iter().find(|case| case.name == test.name) else {
                continue;
            };
            let mut case = case.clone();
            case.timeout = (SLOWER * test.took).max(LEAST);
            let tested = suites::test((file, &played), suite, &case, self.options, self.setups);
            if !tested.problems.is_empty() {
                return Fate::Noticed {
                    by: format!("{}: {}", file.display(), case.name),
                };
            }
        }
        Fate::Survived {
            tests: one.tests.len(),
        }
    }

    /// Copies the files that tests of a folder use, and the tests.
    fn copy(&self, folder: &Path) -> io::Result<TempDir> {
        let copy = tempfile::Builder::new().prefix("windlass-mutant-").tempdir()?;
        for (file, text) in &self.folders.0[folder] {
            let path = copy.path().join(file);
            fs::create_dir_all(path.parent().unwrap_or(copy.path()))?;
            fs::write(path, &**text)?;
        }
        for (file, _) in self.suites.iter().filter(|(file, _)| folder_of(file) == folder) {
            fs::copy(file, copy.path().join(file.file_name().unwrap_or_default()))?;
        }
        Ok(copy)
    }
}
