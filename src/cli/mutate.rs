//! `windlass test --mutate`: shows which changes of a line no test notices.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};

use super::{
    Done,
    args::Test,
    exit,
    failure::Failure,
    print,
    test::{Tone, no_tests, refused, show_failures, tag},
};
use crate::{
    report::{counted, json_text},
    testing::{self, Fate, Hunt, HuntError, Hunted, Mutant, MutateOptions, Options},
};

pub fn mutate(files: &[PathBuf], options: &Options, command: &Test) -> Done {
    let which = MutateOptions {
        sample: command.sample.map(|sample| sample as usize),
        seed: command.seed,
        of: command.of.clone(),
    };
    let began = Instant::now();
    say!(
        "{} {} without mutants",
        tag("Testing", Tone::Good),
        counted(files.len(), "file")
    );
    let begins = |hunt: Hunt| {
        say!(
            "{} {} of {}, {}",
            tag("Starting", Tone::Good),
            counted(hunt.mutants, "mutant"),
            counted(hunt.files, "file"),
            counted(hunt.tests, "test")
        );
    };
    let hunted = testing::hunt(files, options, &which, begins, show)
        .map_err(|error| failed(error, command))?;
    if hunted.mutants.is_empty() {
        let why = if command.of.is_empty() {
            "nothing in these files can be altered"
        } else {
            "`--of` matches no file in which something can be altered"
        };
        return Err(Failure::new("no-tests", why));
    }
    summarise(&hunted, began.elapsed());
    if command.json {
        print(&json_text(&as_json(&hunted)))?;
    }
    let (noticed, all) = hunted.score();
    let wanted = usize::from(command.score.unwrap_or(100));
    Ok(if 100 * noticed >= wanted * all {
        exit::SUCCEEDED
    } else {
        exit::FAILED
    })
}

fn failed(error: HuntError, command: &Test) -> Failure {
    match error {
        HuntError::NoTests => no_tests(command),
        HuntError::Suites(mistakes) => refused(mistakes),
        HuntError::Failing(tests) => {
            show_failures(tests.iter());
            let message = format!("{} failed without any mutant", counted(tests.len(), "test"));
            Failure::new("failing-tests", message)
                .hint("make all tests pass first: `--mutate` shows which of them notice a change")
        }
        HuntError::Folder(e) => Failure::of("output", &e, None),
    }
}

fn show(mutant: &Mutant) {
    let (word, tone, why) = match &mutant.fate {
        Fate::Noticed { by } => ("NOTICED", Tone::Good, format!("by {by}")),
        Fate::Survived { tests } => (
            "SURVIVED",
            Tone::Bad,
            format!("{} passed", counted(*tests, "test")),
        ),
        Fate::NotReached => ("SURVIVED", Tone::Bad, "no test reaches it".into()),
        // A refused mutant shows nothing about the tests.
        Fate::Refused => return,
    };
    say!(
        "{} {}:{}: {} ({why})",
        tag(word, tone),
        mutant.file.display(),
        mutant.line,
        mutant.what
    );
}

fn summarise(hunted: &Hunted, took: Duration) {
    let count_of = |is_it: fn(&Fate) -> bool| {
        hunted
            .mutants
            .iter()
            .filter(|mutant| is_it(&mutant.fate))
            .count()
    };
    let (noticed, all) = hunted.score();
    let refused = match count_of(|fate| *fate == Fate::Refused) {
        0 => String::new(),
        n => format!(", {n} rejected by validate"),
    };
    say!(
        "\n{} [{:>8.3}s] {}: {noticed} noticed, {} survived, {} not reached{refused}",
        tag(
            "Summary",
            if noticed == all {
                Tone::Good
            } else {
                Tone::Bad
            }
        ),
        took.as_secs_f64(),
        counted(hunted.mutants.len(), "mutant"),
        count_of(|fate| matches!(fate, Fate::Survived { .. })),
        count_of(|fate| *fate == Fate::NotReached),
    );
    let scores = hunted.scores();
    let is_listed = scores.len() > 1;
    for (file, score) in scores.iter().filter(|_| is_listed) {
        let percent = 100 * score.noticed / score.all;
        let of = format!("{}/{}", score.noticed, score.all);
        say!("    {percent:>3} % {of:>9}  {}", file.display());
    }
    if let Some(score) = (100 * noticed).checked_div(all) {
        let (refused, made) = (hunted.mutants.len() - all, hunted.mutants.len());
        let caught = match refused {
            0 => String::new(),
            refused => format!(
                "; including those that validate rejects: {} % ({} of {made})",
                100 * (noticed + refused) / made,
                noticed + refused
            ),
        };
        say!(
            "{} {score} % ({noticed} of {all}){caught}",
            tag("Score", Tone::Good)
        );
    }
}

fn as_json(hunted: &Hunted) -> Json {
    let (noticed, all) = hunted.score();
    let mutants = hunted.mutants.iter().map(|mutant| {
        let (fate, by) = match &mutant.fate {
            Fate::Noticed { by } => ("noticed", Some(by)),
            Fate::Survived { .. } => ("survived", None),
            Fate::NotReached => ("not reached", None),
            Fate::Refused => ("refused", None),
        };
        json!({
            "file": mutant.file, "line": mutant.line, "what": mutant.what,
            "fate": fate, "noticed_by": by,
        })
    });
    let scores = hunted.scores().into_iter();
    let files = scores
        .map(|(file, score)| json!({ "file": file, "noticed": score.noticed, "all": score.all }));
    json!({
        "mutants": mutants.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
        "noticed": noticed,
        "all": all,
        "refused": hunted.mutants.len() - all,
    })
}
