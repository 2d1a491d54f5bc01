use console::Term;

use super::{
    Done,
    archive::Archive,
    args::{Args, Runs, Since},
    exit, print, print_text,
    process::now,
};
use crate::{
    compile::MAX_NAME,
    journal::RunRow,
    report::{self, Room, RunStanding, Table, column_time, cut, heading, line, runs_json},
    value::Command,
};

/// `windlass runs`.
pub fn runs(args: &Args, command: &Runs) -> Done {
    let archive = Archive::open_if_there(args)?;
    let listed = |archive| listed(archive, command);
    let runs = archive.as_ref().map_or(Ok(Vec::new()), listed)?;
    #[cfg(feature = "restate")]
    if let Some(Archive::Restate(server)) = &archive {
        server.warn_of_stuck()?;
    }
    if command.json {
        return print(&report::json_text(&runs_json(&runs)));
    }
    if runs.is_empty() && command.chooses() {
        say!("no run matches; remove these options to list all runs");
        return Ok(exit::SUCCEEDED);
    }
    if runs.is_empty() {
        let here = || format!("in {}", args.state.display());
        let place = archive.map_or_else(here, |archive| archive.place());
        let run = report::command(Command::new("run").arg("FILE"));
        say!("there are no runs {place} yet; to start one: {run}");
        return Ok(exit::SUCCEEDED);
    }
    let started = heading("STARTED");
    let headings = ["RUN", "WORKFLOW", "TARGET", "STATUS", &started];
    let mut table = Table::new(&headings).keeping(0);
    for run in &runs {
        table.row([
            run.id.to_string(),
            // Earlier versions took any name, and a longer one would widen every row.
            cut(&line(&run.workflow), MAX_NAME),
            run.target.clone(),
            run.status().into(),
            column_time(run.started_at),
        ]);
    }
    print_text(&table.render("", Room::of(&Term::stdout())))
}

impl Runs {
    /// Says whether the user asked for only some of the runs.
    fn chooses(&self) -> bool {
        let named = [&self.workflow, &self.target, &self.requester];
        named.into_iter().any(Option::is_some) || self.since.is_some() || !self.status.is_empty()
    }

    /// Says whether the user asked for a run, as far as its row shows.
    fn takes(&self, run: &RunRow) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
        };
        let is_new = |since: &Since| run.started_at >= since.first(now());
        is(&self.workflow, Some(&run.workflow))
            && is(&self.target, Some(&run.target))
            && is(&self.requester, run.requester.as_deref())
            && self.since.as_ref().is_none_or(is_new)
    }
}

/// Returns the runs that the user asked for; those that have not ended with what they wait for.
fn listed(archive: &Archive, command: &Runs) -> Result<Vec<RunRow>, super::Failure> {
    let limit = command.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut runs = archive.runs()?;
    runs.retain(|run| command.takes(run));
    if command.status.is_empty() {
        runs.truncate(limit);
    }
    // A server includes this in each run.
    if !matches!(archive, Archive::Server(_)) {
        show_standing(archive, &mut runs)?;
    }
    if !command.status.is_empty() {
        runs.retain(|run| command.status.iter().any(|status| status == run.status()));
        runs.truncate(limit);
    }
    Ok(runs)
}

/// Replaces the status of the runs that have not ended by what they wait for.
fn show_standing(archive: &Archive, runs: &mut [RunRow]) -> Result<(), super::Failure> {
    for run in runs.iter_mut().filter(|run| run.ended_at.is_none()) {
        match archive.is_owned(&run.id) {
            Ok(_) => {}
            // The list itself needs no worker. The next run would wait as long for an answer, and get none.
            Err(failure) if archive.asks_workers() => {
                say!(
                    "warning: the status of runs that have not ended may be out of date: {}",
                    report::lines(&failure.text())
                );
                return Ok(());
            }
            // Locks that can't be checked are an error of the whole list.
            Err(failure) => return Err(failure),
        }
        // A run that can't be read still belongs to the list.
        if let Ok((state, is_driven)) = archive.look_at(&run.id) {
            let status = match state.outcome {
                Some(outcome) => outcome.as_str(),
                None => RunStanding::of(&state, is_driven, now()).as_str(),
            };
            run.outcome = Some(status.into());
        }
    }
    Ok(())
}
