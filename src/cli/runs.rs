use console::Term;

use super::{
    Done,
    archive::Archive,
    args::{Args, Runs},
    exit, print, print_text,
    process::now,
};
use crate::{
    journal::RunRow,
    report::{Room, Standing, Table, runs_json, utc_time},
};

/// `windlass runs`.
pub fn runs(args: &Args, command: &Runs) -> Done {
    let archive = Archive::open_if_there(args)?;
    let runs = archive.as_ref().map_or(Ok(Vec::new()), listed)?;
    if command.json {
        return print(&format!("{:#}\n", runs_json(&runs)));
    }
    if runs.is_empty() {
        let here = || format!("in {}", args.state.display());
        let place = archive.map_or_else(here, |archive| archive.place());
        say!("there are no runs {place} yet; to start one: windlass run FILE");
        return Ok(exit::SUCCEEDED);
    }
    let heading = ["RUN", "WORKFLOW", "TARGET", "STATUS", "STARTED (UTC)"];
    let mut table = Table::new(&heading).keeping(0);
    for run in &runs {
        table.row([
            run.id.to_string(),
            run.workflow.clone(),
            run.target.clone(),
            run.status().into(),
            utc_time(run.started_at),
        ]);
    }
    print_text(&table.render("", Room::of(&Term::stdout())))
}

/// The runs; of those that have not ended, what they wait for now.
fn listed(archive: &Archive) -> Result<Vec<RunRow>, super::Failure> {
    let mut runs = archive.runs()?;
    // A server says it with each.
    if matches!(archive, Archive::Server(_)) {
        return Ok(runs);
    }
    for run in runs.iter_mut().filter(|run| run.ended_at.is_none()) {
        // A run that can't be read is still one of the list.
        if let Ok(state) = archive.state_of(&run.id) {
            let is_driven = archive.is_owned(&run.id)?;
            let status = match state.outcome {
                Some(outcome) => outcome.as_str(),
                None => Standing::of(&state, is_driven, now()).as_str(),
            };
            run.outcome = Some(status.into());
        }
    }
    Ok(runs)
}
