use std::{sync::Arc, time::Duration};

use console::Term;
use similar::TextDiff;

use super::{
    Done,
    archive::Archive,
    args::{Args, Compare},
    failure::Failure,
    print, print_text,
    process::now,
    taken::frozen,
};
use crate::{
    desk::{Comparison, StepSide, ValueChange, comparison_json},
    journal::{Outcome, RunId},
    report::{self, Room, Table},
    runs::{FileChange, Shown},
    value::format_duration,
};

/// How many lines around a change are shown with it.
const AROUND: usize = 3;

/// `windlass compare [RUN] [WITH]`: what differs between two runs.
pub fn compare(args: &Args, command: &Compare) -> Done {
    let archive = Archive::open(args)?;
    let after = shown(&archive, archive.find(command.run.as_deref())?)?;
    let before = match &command.with {
        Some(with) => archive.find(Some(with))?,
        None => last_success(&archive, &after)?,
    };
    let compared = Comparison::new(shown(&archive, before)?, after);
    if command.json {
        return print(&report::json_text(&comparison_json(&compared)));
    }
    print_text(&text(&compared))
}

fn shown(archive: &Archive, id: RunId) -> Result<Shown, Failure> {
    let (state, is_driven) = archive.look_at(&id)?;
    let (info, program) = frozen(archive, &id, &state)?;
    Ok(Shown {
        is_driven,
        state: Arc::new(state),
        program: Arc::new(program),
        info,
        id,
        at: now(),
    })
}

/// Finds the newest run before this one of the same workflow and target that has succeeded.
fn last_success(archive: &Archive, shown: &Shown) -> Result<RunId, Failure> {
    let runs = archive.runs()?.into_iter();
    let earlier = runs.filter(|row| {
        row.workflow == shown.info.workflow
            && row.target == shown.info.target
            && row.id.as_str() < shown.id.as_str()
            && row.outcome.as_deref() == Some(Outcome::Succeeded.as_str())
    });
    let newest = earlier.map(|row| row.id).max();
    newest.ok_or_else(|| {
        let message = format!(
            "no run of {} on target {} before {} has succeeded",
            report::line(&shown.info.workflow),
            shown.info.target,
            shown.id
        );
        Failure::new("no-such-run", message)
            .hint("name the run to compare with: `windlass compare RUN WITH`")
    })
}

fn text(compared: &Comparison) -> String {
    let (before, after) = (&compared.before, &compared.after);
    let mut text = format!(
        "run {} of {} ({})\ncompared with {} ({})\n",
        after.id,
        report::line(&after.info.workflow),
        after.status(),
        before.id,
        before.status()
    );
    text.push_str(&values("params", &compared.params));
    for file in &compared.files {
        text.push_str(&difference(file));
    }
    text.push_str(&steps(compared));
    text.push_str(&values("outputs", &compared.outputs));
    if compared.params.is_empty()
        && compared.files.is_empty()
        && compared.steps.is_empty()
        && compared.outputs.is_empty()
    {
        text.push_str("\nno differences: the params, files, steps and outputs are the same\n");
    }
    text
}

fn values(title: &str, changes: &[ValueChange]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[&title.to_uppercase(), "BEFORE", "NOW"]);
    for change in changes {
        let cell = |json: &serde_json::Value| match json {
            serde_json::Value::Null => "-".to_owned(),
            json => report::line(&json.to_string()).into_owned(),
        };
        table.row([
            report::line(&change.name).into_owned(),
            cell(&change.before),
            cell(&change.after),
        ]);
    }
    format!("\n{}", table.render("", Room::of(&Term::stdout())))
}

/// A file's changes, as `diff -u` prints them.
fn difference(file: &FileChange) -> String {
    let (before, after) = (
        file.before.as_deref().unwrap_or_default(),
        file.after.as_deref().unwrap_or_default(),
    );
    let name = |side: &str, is_there: bool| {
        if is_there {
            format!("{side}/{}", file.path)
        } else {
            "/dev/null".into()
        }
    };
    let difference = TextDiff::from_lines(before, after);
    let unified = difference
        .unified_diff()
        .context_radius(AROUND)
        .header(
            &name("before", file.before.is_some()),
            &name("now", file.after.is_some()),
        )
        .to_string();
    format!("\n{}\n", report::lines(unified.trim_end()))
}

fn steps(compared: &Comparison) -> String {
    if compared.steps.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["STEP", "BEFORE", "NOW"]).naming(&[0]);
    for change in &compared.steps {
        let cell = |side: &Option<StepSide>| side.as_ref().map_or_else(|| "-".into(), one);
        table.row([
            change.step.to_string(),
            cell(&change.before),
            cell(&change.after),
        ]);
    }
    let verb = match compared.steps.len() {
        1 => "step differs",
        _ => "steps differ",
    };
    format!(
        "\n{}{} {verb}, {} are the same\n",
        table.render("", Room::of(&Term::stdout())),
        compared.steps.len(),
        compared.same
    )
}

/// Formats one side: `failed in 3s, attempt 2: no such thing`.
fn one(side: &StepSide) -> String {
    let worked = Duration::from_millis(side.worked_ms.max(0) as u64);
    let mut text = format!("{} in {}", side.status, format_duration(worked));
    if side.attempt > 1 {
        text.push_str(&format!(", attempt {}", side.attempt));
    }
    if let Some(error) = &side.error {
        text.push_str(&format!(": {}", report::line(error)));
    }
    text
}
