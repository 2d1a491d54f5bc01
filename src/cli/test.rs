use std::{
    env, fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use console::style;
use serde_json::{Value as Json, json};

use super::{
    Done,
    archive::Archive,
    args::{Args, PlayTest, Test},
    exit,
    failure::Failure,
    load::Source,
    print, print_text, shipped,
    taken::frozen,
};
use crate::{
    compile::{Mistakes, read_played, read_suite},
    journal::{RunId, RunInfo},
    report::{self, counted},
    testing::{self, Coverage, Earlier, Options, Part, Player, Ran, SuiteError, Tested},
};

/// The hidden command that plays one test.
pub const PLAY: &str = "play-test";

/// `windlass test [PATH…]`: runs test files.
pub fn test(args: &Args, command: &Test) -> Done {
    if let Some(run) = &command.record {
        return record(args, run);
    }
    let here = [PathBuf::from(".")];
    let paths = match command.paths.as_slice() {
        [] => &here[..],
        paths => paths,
    };
    let files = testing::find(paths).map_err(|(path, e)| unreadable(&path, &e))?;
    if files.is_empty() {
        let message = "no test files found; their names end with `.test.yaml`";
        return Err(Failure::new("no-tests", message).hint(
            "`windlass new NAME` writes a workflow with its test, `windlass test --record RUN` a test of a run",
        ));
    }
    let program = env::current_exe()
        .map_err(|e| Failure::new("system", format!("can't find this program: {e}")))?;
    let options = Options {
        player: Player {
            program,
            command: PLAY,
        },
        jobs: command.jobs.map_or_else(processors, usize::from),
        filters: command.filter.clone(),
        accepts: command.accept,
        kills: true,
        library: shipped::library,
    };
    if command.mutate {
        return super::mutate::mutate(&files, &options, command);
    }
    if let Some(path) = &command.junit {
        remove_earlier_report(path, command)?;
    }
    let began = Instant::now();
    let begins = |tests: usize, files: usize| {
        say!(
            "{} {} in {}",
            tag("Starting", Tone::Good),
            counted(tests, "test"),
            counted(files, "file")
        );
    };
    let ran = testing::run(&files, &options, begins, show).map_err(refused)?;
    let took = began.elapsed();
    if ran.tests.is_empty() {
        return Err(no_tests(command));
    }
    match command.junit.as_deref() {
        Some(path) if is_stdout(path) => {
            print_text(&testing::junit(&ran.tests))?;
        }
        Some(path) => fs::write(path, testing::junit(&ran.tests)).map_err(unwritable(path))?,
        None => {}
    }
    summarise(&ran, took);
    let has_passed = ran.tests.iter().all(|test| test.problems.is_empty());
    if command.accept && !has_passed {
        say!(
            "`--accept` writes only the snapshots of tests that pass otherwise; change other expectations in the test file"
        );
    }
    if command.coverage {
        ran.coverage
            .iter()
            .for_each(|(file, coverage)| show_coverage(file, coverage));
    }
    if command.json {
        print(&report::json_text(&as_json(&ran, took, command.coverage)))?;
    }
    Ok(if has_passed {
        exit::SUCCEEDED
    } else {
        exit::FAILED
    })
}

/// Says why no test was run.
pub(super) fn no_tests(command: &Test) -> Failure {
    let why = if command.filter.is_empty() {
        "the files have no tests"
    } else {
        "no test matches `--filter`"
    };
    Failure::new("no-tests", why)
}

/// `windlass test --record RUN`: prints a test file.
fn record(args: &Args, run: &str) -> Done {
    let archive = Archive::open(args)?;
    let id = archive.find(Some(run))?;
    let state = archive.state_of(&id)?;
    if state.outcome.is_none() {
        let message = format!("run {id} has not ended");
        return Err(Failure::new("not-ended", message)
            .hint(format!("to continue it: `windlass resume {id}`")));
    }
    let (info, program) = frozen(&archive, &id, &state)?;
    let earlier = if testing::uses_servers(&info, &state) {
        earlier(&archive, &id, &info)?
    } else {
        Vec::new()
    };
    let name = format!(
        "{} {}",
        info.workflow,
        state.outcome.map_or("waits", |outcome| outcome.as_str())
    );
    let run = (&id, &info, &state);
    let recorded = testing::record(
        &name,
        &beside(&info, &info),
        &program.workflow,
        run,
        &earlier,
    );
    if !recorded.replaced.is_empty() {
        say!("replaced: {}", recorded.replaced.join(", "));
    }
    print(&recorded.text)
}

/// Returns the runs that succeeded on the same target before a run began, the oldest first.
fn earlier(archive: &Archive, id: &RunId, info: &RunInfo) -> Result<Vec<Earlier>, Failure> {
    let mut rows = archive.runs()?;
    rows.retain(|row| {
        let is_before = row.ended_at.is_some_and(|ended| ended <= info.started_at);
        row.id != *id && is_before && row.target == info.target && row.status() == "succeeded"
    });
    rows.sort_by_key(|row| row.started_at);
    let mut earlier = Vec::new();
    for row in rows {
        let state = archive.state_of(&row.id)?;
        if let Some(run) = state.run.clone() {
            earlier.push(Earlier {
                file: beside(&run, info),
                info: run,
                state,
            });
        }
    }
    Ok(earlier)
}

/// Returns the workflow's file of a run, from the folder of another run's file, beside which its tests are; the name of a
/// shipped workflow as it is.
fn beside(run: &RunInfo, other: &RunInfo) -> String {
    if Source::of_run(run).path().is_none() {
        return run.file.clone();
    }
    let parts = |run: &RunInfo| {
        let folder = Path::new(&run.folder).join(&run.file);
        let parts = folder.components().map(|part| part.as_os_str().to_owned());
        parts.collect::<Vec<_>>()
    };
    let (run, other) = (parts(run), parts(other));
    let folders = other.len().saturating_sub(1);
    let shared = (run.iter().take(run.len().saturating_sub(1)))
        .zip(&other[..folders])
        .take_while(|(one, other)| one == other)
        .count();
    let up = (shared..folders).map(|_| "..".into());
    let path: PathBuf = up.chain(run[shared..].iter().cloned()).collect();
    path.to_string_lossy().into_owned()
}

/// `windlass play-test FILE NAME FOLDER`: plays one test in a folder.
pub fn play(command: &PlayTest) -> Done {
    let suite = match command.before {
        None => read_played(&command.file, shipped::library)?,
        Some(_) => read_suite(&command.file, shipped::library)?,
    };
    testing::play(&suite, &command.name, &command.folder, command.before)
        .map_err(|e| Failure::of("test-broke", &e, None))?;
    Ok(exit::SUCCEEDED)
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Removes the report of an earlier run: if this run stops before it writes its own, the old one would be taken for it.
fn remove_earlier_report(junit: &Path, command: &Test) -> Result<(), Failure> {
    if is_stdout(junit) && command.json {
        let message = "--json and `--junit -` both print to stdout";
        return Err(Failure::new("output", message).hint("write one of them to a file"));
    }
    // Does not follow links such as /dev/stdout.
    match fs::symlink_metadata(junit) {
        Ok(found) if found.is_file() => fs::remove_file(junit).map_err(unwritable(junit)),
        _ => Ok(()),
    }
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |e| Failure::new("output", format!("can't write {}: {e}", path.display()))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        "unreadable-file",
        format!("can't read {}: {error}", path.display()),
    )
}

/// Reports mistakes in test files; nothing was run.
pub(super) fn refused(SuiteError { mistakes }: SuiteError) -> Failure {
    let all = mistakes.into_iter().flat_map(|Mistakes(mistakes)| mistakes);
    Failure::from(Mistakes(all.collect())).before_a_run()
}

pub(super) enum Tone {
    Good,
    Bad,
}

/// Returns a word before a line, in the style of cargo.
pub(super) fn tag(word: &str, tone: Tone) -> String {
    let word = style(format!("{word:>12}")).for_stderr().bold();
    match tone {
        Tone::Good => word.green(),
        Tone::Bad => word.red(),
    }
    .to_string()
}

pub(super) fn show(test: &Tested) {
    let (word, tone) = if test.problems.is_empty() {
        ("PASS", Tone::Good)
    } else {
        ("FAIL", Tone::Bad)
    };
    let kills = match test.kills {
        0 => String::new(),
        kills => format!(" (killed {kills}×)"),
    };
    say!(
        "{} [{:>8.3}s] {}: {}{kills}",
        tag(word, tone),
        test.took.as_secs_f64(),
        test.file.display(),
        test.name
    );
}

fn summarise(ran: &Ran, took: Duration) {
    let failed: Vec<_> = ran
        .tests
        .iter()
        .filter(|test| !test.problems.is_empty())
        .collect();
    show_failures(failed.iter().copied());
    let passed = ran.tests.len() - failed.len();
    let tone = if failed.is_empty() {
        Tone::Good
    } else {
        Tone::Bad
    };
    let skipped = match ran.filtered {
        0 => String::new(),
        n => format!(", {n} filtered out"),
    };
    let failures = match failed.len() {
        0 => String::new(),
        n => format!(", {n} failed"),
    };
    say!(
        "\n{} [{:>8.3}s] {} run: {passed} passed{failures}{skipped}",
        tag("Summary", tone),
        took.as_secs_f64(),
        counted(ran.tests.len(), "test")
    );
}

/// Shows the problems of failed tests.
pub(super) fn show_failures<'a>(failed: impl Iterator<Item = &'a Tested>) {
    for test in failed {
        say!(
            "\n{} {}:{}: {}",
            tag("FAIL", Tone::Bad),
            test.file.display(),
            test.line,
            test.name
        );
        say!("{}", indented(&report::for_people(&test.said())));
    }
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = format!("    {line}");
        let shown = match line.trim_start().chars().next() {
            Some('+') => style(line).for_stderr().green().to_string(),
            Some('-') => style(line).for_stderr().red().to_string(),
            _ => line,
        };
        shown.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn show_coverage(file: &Path, coverage: &Coverage) {
    say!("\n{} {}", tag("Coverage", Tone::Good), file.display());
    for (name, part) in parts(coverage) {
        if part.all() == 0 {
            continue;
        }
        let percent = 100 * part.reached / part.all();
        say!(
            "    {name:<8} {}/{} ({percent} %)",
            part.reached,
            part.all()
        );
        part.missed
            .iter()
            .for_each(|missed| say!("      not reached: {missed}"));
    }
}

fn parts(coverage: &Coverage) -> [(&'static str, &Part); 3] {
    [
        ("steps", &coverage.steps),
        ("branches", &coverage.branches),
        ("lines", &coverage.lines),
    ]
}

fn as_json(ran: &Ran, took: Duration, with_coverage: bool) -> Json {
    let tests = ran.tests.iter().map(|test| {
        let problems = test
            .problems
            .iter()
            .map(|problem| json!({ "what": problem.what, "detail": problem.detail }));
        json!({
            "file": test.file, "name": test.name, "line": test.line,
            "passed": test.problems.is_empty(), "seconds": test.took.as_secs_f64(),
            "kills": test.kills, "problems": problems.collect::<Vec<_>>(),
        })
    });
    let mut json = json!({
        "tests": tests.collect::<Vec<_>>(),
        "filtered": ran.filtered,
        "seconds": took.as_secs_f64(),
    });
    if with_coverage {
        let coverage = ran.coverage.iter().map(|(file, coverage)| {
            let mut entry = json!({ "workflow": file });
            for (name, part) in parts(coverage) {
                entry[name] =
                    json!({ "reached": part.reached, "all": part.all(), "missed": part.missed });
            }
            entry
        });
        json["coverage"] = coverage.collect();
    }
    json
}
