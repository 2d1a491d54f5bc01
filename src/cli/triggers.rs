//! `windlass triggers`: lists, pauses and resumes triggers.

use std::{collections::BTreeMap, path::Path};

use console::Term;
use serde_json::json;

use super::{
    Done,
    archive::Archive,
    args::{Args, Triggers, TriggersCommand},
    exit,
    failure::Failure,
    print, print_text,
    process::{absolute, create_state, now, requester},
    server::{not_remote, server},
};
use crate::{
    inventory::Inventory,
    report::{self, Room, Table, column_time, heading},
    runs::{Library, SeenChange, SeenTrigger, There},
    targets::Targets,
    triggers::{
        Planted, TriggerBook, TriggerKey, TriggerStanding, TriggersThere, lacking, planted,
        refuse_unknown, set_paused_there, standings,
    },
    value::Command,
};

/// The default of `--workflows`.
const FOLDER: &str = ".";

/// `windlass triggers`, and pausing and resuming one.
pub fn triggers(args: &Args, command: &Triggers) -> Done {
    if let Some(there) = server(args)? {
        return of_server(&there, command);
    }
    let folders: Result<Vec<_>, _> = command
        .workflows
        .iter()
        .map(|path| absolute(path))
        .collect();
    let (planted, broken) = planted(Library::new(folders?).compiled()?);
    let mut problems: Vec<String> = broken
        .iter()
        .map(|one| format!("{}: {}", one.workflow, one.why))
        .collect();
    match &command.command {
        Some(TriggersCommand::Pause { trigger }) => {
            let key = key(trigger)?;
            refuse_unknown(&planted, &key)?;
            let (by, at) = (requester(), now());
            if !tell_servers(args, &key, || SeenChange::Paused { by: by.clone(), at })? {
                book(args)?.pause(&key, &by, at)?;
            }
            return Ok(said(&key, true));
        }
        Some(TriggersCommand::Resume { trigger }) => {
            let key = key(trigger)?;
            refuse_unknown(&planted, &key)?;
            let at = now();
            if !tell_servers(args, &key, || SeenChange::Resumed { at })? {
                book(args)?.resume(&key, at)?;
            }
            return Ok(said(&key, false));
        }
        None => {}
    }
    let standings = if planted.is_empty() {
        Vec::new()
    } else {
        let inventory = match Archive::open_if_there(args)? {
            Some(archive) => archive.inventory(&args.state)?,
            None => Inventory::default(),
        };
        let state = absolute(&args.state)?;
        // Listing triggers creates no folder.
        let seen = seen_by_servers(args)?;
        let book = if TriggerBook::is_in(&state) && seen.is_none() {
            TriggerBook::open(&state)?
        } else {
            TriggerBook::empty()?
        };
        let seen = seen.unwrap_or_default();
        for key in planted.iter().map(|one| one.key()) {
            if let Some(mark) = seen.get(&key.to_string()) {
                book.adopt(&key, mark)?;
            }
        }
        problems.extend(unmet(args, &planted)?);
        standings(&book, &planted, &inventory, now())?
    };
    list(command, &standings, &problems, &folders_text(command))
}

/// Lists the triggers that start nothing, because `windlass.toml` lacks their targets or hooks.
fn unmet(args: &Args, planted: &[Planted]) -> Result<Vec<String>, Failure> {
    let (config, was_asked_for) = args.config();
    let config = Targets::load(config, was_asked_for)?;
    let targets: Vec<_> = config.names().map(str::to_owned).collect();
    let unmet = planted.iter().filter_map(|one| {
        let why = lacking(one, &targets, &config.hooks)?;
        Some(format!("{} starts nothing: {why}", one.key()))
    });
    Ok(unmet.collect())
}

/// Lists the triggers of a server, and pauses and resumes one there.
fn of_server(there: &There, command: &Triggers) -> Done {
    if command.workflows != [Path::new(FOLDER)] {
        let why = "--workflows names folders of this machine, but a server uses its own";
        return Err(not_remote(why));
    }
    let (text, is_paused) = match &command.command {
        None => {
            let TriggersThere { triggers, problems } = TriggersThere::of(there)?;
            return list(command, &triggers, &problems, there.url());
        }
        Some(TriggersCommand::Pause { trigger }) => (trigger, true),
        Some(TriggersCommand::Resume { trigger }) => (trigger, false),
    };
    let key = key(text)?;
    set_paused_there(there, &key, is_paused)?;
    Ok(said(&key, is_paused))
}

fn list(
    command: &Triggers,
    standings: &[TriggerStanding],
    problems: &[String],
    place: &str,
) -> Done {
    for problem in problems {
        say!("warning: {}", report::line(problem));
    }
    if command.json {
        let both = json!({ "triggers": standings, "problems": problems });
        let json = serde_json::to_string_pretty(&both);
        let json = json.map_err(|e| Failure::new("output", e.to_string()))?;
        return print(&report::json_text(&json));
    }
    if standings.is_empty() {
        say!("no workflow in {place} has triggers");
        return Ok(exit::SUCCEEDED);
    }
    print_text(&table(standings).render("", Room::of(&Term::stdout())))
}

fn said(key: &TriggerKey, is_paused: bool) -> u8 {
    if is_paused {
        let resume = report::command(Command::new("triggers").arg("resume").arg(key));
        say!("{key} is paused; to resume it: {resume}")
    } else {
        say!("{key} is resumed; starts that were due while it was paused are skipped");
    }
    exit::SUCCEEDED
}

/// Passes the change on to the servers of the Restate server on the command line; returns `false` if it names none.
#[cfg(feature = "restate")]
fn tell_servers(
    args: &Args,
    key: &TriggerKey,
    change: impl FnOnce() -> SeenChange,
) -> Result<bool, Failure> {
    let Some(remote) = super::restate::served(args)? else {
        return Ok(false);
    };
    remote.mark_trigger(&key.to_string(), &change().into())?;
    Ok(true)
}

#[cfg(not(feature = "restate"))]
fn tell_servers(_: &Args, _: &TriggerKey, _: impl FnOnce() -> SeenChange) -> Result<bool, Failure> {
    Ok(false)
}

/// Returns what the servers of the Restate server on the command line know of triggers, by name; `None` if it names
/// none.
#[cfg(feature = "restate")]
fn seen_by_servers(args: &Args) -> Result<Option<BTreeMap<String, SeenTrigger>>, Failure> {
    let Some(remote) = super::restate::served(args)? else {
        return Ok(None);
    };
    let marks = remote.triggers()?.into_iter();
    let marks = marks.map(|(name, mark)| (name, mark.into()));
    Ok(Some(marks.collect()))
}

#[cfg(not(feature = "restate"))]
fn seen_by_servers(_: &Args) -> Result<Option<BTreeMap<String, SeenTrigger>>, Failure> {
    Ok(None)
}

fn table(standings: &[TriggerStanding]) -> Table {
    let (next, last) = (heading("NEXT"), heading("LAST"));
    let headings = ["TRIGGER", "WHEN", "TARGET", &next, &last, "RUN"];
    let mut table = Table::new(&headings).keeping(0);
    for one in standings {
        let next = match (&one.paused_by, &one.waits, one.next.first()) {
            (Some(by), ..) => format!("paused by {by}"),
            (None, Some(waits), _) => {
                let why = waits.why.as_deref().unwrap_or("being started");
                format!("due since {}: {why}", column_time(waits.due))
            }
            (None, None, Some(next)) => column_time(*next),
            (None, None, None) if one.covers == Some(0) => "covers no certificate in use".into(),
            (None, None, None) => "-".into(),
        };
        let last = one.last.as_ref();
        let made_up = |is_made_up| if is_made_up { ", late" } else { "" };
        table.row([
            format!("{}/{}", one.workflow, one.trigger),
            one.when.clone(),
            one.target.clone(),
            next,
            last.map_or_else(
                || "-".into(),
                |last| format!("{}{}", column_time(last.at), made_up(last.is_made_up)),
            ),
            last.and_then(|last| last.run.clone())
                .unwrap_or_else(|| "-".into()),
        ]);
    }
    table
}

/// Opens the server's database; a trigger may be paused before any server has run.
fn book(args: &Args) -> Result<TriggerBook, Failure> {
    let state = absolute(&args.state)?;
    create_state(&state)?;
    Ok(TriggerBook::open(&state)?)
}

fn key(text: &str) -> Result<TriggerKey, Failure> {
    TriggerKey::parse(text).ok_or_else(|| {
        let message = format!("`{text}` is not a valid trigger name");
        Failure::new("unknown-trigger", message)
            .hint("write WORKFLOW/TRIGGER, as `windlass triggers` lists them")
    })
}

fn folders_text(command: &Triggers) -> String {
    let folders: Vec<_> = command
        .workflows
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    folders.join(", ")
}
