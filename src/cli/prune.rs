//! `windlass prune`: deletes runs that ended long ago.

use std::time::Duration;

use console::Term;

use super::{
    Done,
    archive::Archive,
    args::{Args, Prune},
    confirm::confirm,
    exit,
    failure::Failure,
    print, print_text,
    process::{now, person},
    server::not_remote,
};
#[cfg(feature = "restate")]
use crate::runs::{prunable_on, prune_on};
use crate::{
    journal::RunRow,
    report::{Room, Table, counted, json_text, line, runs_json, utc_time},
    runs::{Pruning, Retention, Runs, compact, prunable, prune as delete},
    targets::{RetentionConfig, Targets},
};

/// `windlass prune`.
pub fn prune(args: &Args, command: &Prune) -> Done {
    let (config, was_asked_for) = args.config();
    let targets = Targets::load(config, was_asked_for)?;
    let wanted = wanted(command, targets.retention.as_ref())?;
    let Some(archive) = Archive::open_if_there(args)? else {
        if command.json && command.dry_run {
            print("[]\n")?;
        }
        say!("there are no runs in {} yet", args.state.display());
        return Ok(exit::SUCCEEDED);
    };
    let who = person();
    let bundles = command.bundles.as_deref();
    let runs = match &archive {
        Archive::Here(journal) => prunable(journal, &wanted)?,
        Archive::Server(there) if bundles.is_none() => there.prunable(&wanted)?,
        Archive::Server(_) => {
            let message =
                "--bundles does not work with a server, which writes evidence to its own folder";
            return Err(not_remote(message).hint("remove --bundles; `bundles` under [retention] in the server's windlass.toml names that folder"));
        }
        #[cfg(feature = "restate")]
        Archive::Restate(server) => prunable_on(&server.remote, &wanted)?,
    };
    if command.json && command.dry_run {
        print(&json_text(&runs_json(&runs)))?;
        return Ok(exit::SUCCEEDED);
    }
    if runs.is_empty() {
        say!("no run is old enough to be deleted");
        return Ok(exit::SUCCEEDED);
    }
    print_text(&table(&runs).render("", Room::of(&Term::stdout())))?;
    if command.dry_run {
        say!("{} would be deleted", counted(runs.len(), "run"));
        return Ok(exit::SUCCEEDED);
    }
    if !confirm(
        command.yes,
        &format!("Delete {}?", counted(runs.len(), "run")),
    )? {
        return Ok(exit::NOTHING_STARTED);
    }
    let done = match &archive {
        Archive::Here(journal) => {
            let mut done = delete(journal, &wanted, bundles, &who.name)?;
            if done.free > 0 && compact(journal)? {
                done.free = 0;
            }
            done
        }
        Archive::Server(there) => there.prune(&wanted, &who)?,
        #[cfg(feature = "restate")]
        Archive::Restate(server) => {
            prune_on(&server.remote, &args.state, &wanted, bundles, &who.name)?
        }
    };
    report(&done);
    Ok(if done.left.is_empty() {
        exit::SUCCEEDED
    } else {
        exit::FAILED
    })
}

fn report(done: &Pruning) {
    say!("deleted {}", counted(done.deleted.len(), "run"));
    for (run, why) in &done.left {
        say!("kept run {run}: {why}");
    }
    if done.free > 0 {
        say!(
            "the journal file has {} KiB of free space; to shrink it, run this again when no run or server uses it",
            done.free.div_ceil(1 << 10)
        );
    }
}

/// Returns which runs are deleted, according to the command line or else the configuration.
fn wanted(command: &Prune, config: Option<&RetentionConfig>) -> Result<Retention, Failure> {
    let keep: Option<Duration> = command.keep.or(config.map(|config| config.keep));
    let Some(keep) = keep else {
        let message = "how long runs are kept is not configured";
        return Err(Failure::new("config", message)
            .hint("use --keep 90d, or set `keep = \"90d\"` under `[retention]` in windlass.toml"));
    };
    let keep_last = command.keep_last;
    Ok(Retention {
        keep,
        keep_last: keep_last.unwrap_or_else(|| config.map_or(0, |config| config.keep_last)),
        workflow: command.workflow.clone(),
        failed: command.failed || config.is_some_and(|config| config.failed),
        at: now(),
    })
}

fn table(runs: &[RunRow]) -> Table {
    let heading = ["RUN", "WORKFLOW", "TARGET", "STATUS", "ENDED (UTC)"];
    let mut table = Table::new(&heading).keeping(0);
    for run in runs {
        table.row([
            run.id.to_string(),
            line(&run.workflow).into_owned(),
            run.target.clone(),
            run.status().into(),
            run.ended_at.map_or_else(|| "-".into(), utc_time),
        ]);
    }
    table
}
