//! `windlass triggers`: what starts by itself, and when; pausing and resuming it.

use console::Term;

use super::{
    Done,
    archive::Archive,
    args::{Args, Triggers, TriggersCommand},
    exit,
    failure::Failure,
    print, print_text,
    process::{absolute, now, requester},
};
use crate::{
    inventory::Inventory,
    report::{Room, Table, column_time, heading},
    runs::{Library, Listed, RunsError},
    triggers::{TriggerBook, TriggerKey, TriggerStanding, planted, refuse_unknown, standings},
};

/// `windlass triggers`, and pausing and resuming one.
pub fn triggers(args: &Args, command: &Triggers) -> Done {
    let folders: Result<Vec<_>, _> = command
        .workflows
        .iter()
        .map(|path| absolute(path))
        .collect();
    let (planted, broken) = planted(listed(&Library::new(folders?))?);
    for one in &broken {
        say!("warning: {}: {}", one.workflow, one.why);
    }
    match &command.command {
        Some(TriggersCommand::Pause { trigger }) => {
            let key = key(trigger)?;
            refuse_unknown(&planted, &key)?;
            book(args)?.pause(&key, &requester(), now())?;
            say!("{key} starts nothing; to resume it: windlass triggers resume {key}");
            return Ok(exit::SUCCEEDED);
        }
        Some(TriggersCommand::Resume { trigger }) => {
            let key = key(trigger)?;
            refuse_unknown(&planted, &key)?;
            book(args)?.resume(&key, now())?;
            say!("{key} starts its workflow again; what was due meanwhile is not made up for");
            return Ok(exit::SUCCEEDED);
        }
        None => {}
    }
    let standings = match planted.is_empty() {
        true => Vec::new(),
        false => {
            let inventory = match Archive::open_if_there(args)? {
                Some(archive) => archive.inventory(&args.state)?,
                None => Inventory::default(),
            };
            let state = absolute(&args.state)?;
            // A look makes no folder.
            let book = match TriggerBook::is_in(&state) {
                true => TriggerBook::open(&state)?,
                false => TriggerBook::empty()?,
            };
            standings(&book, &planted, &inventory, now())?
        }
    };
    if command.json {
        let json = serde_json::to_string_pretty(&standings);
        let json = json.map_err(|e| Failure::new("output", e.to_string()))?;
        return print(&format!("{json}\n"));
    }
    if standings.is_empty() {
        say!("no workflow in {} has triggers", folders_text(command));
        return Ok(exit::SUCCEEDED);
    }
    print_text(&table(&standings).render("", Room::of(&Term::stdout())))
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
            (None, None, None) => "-".into(),
        };
        let last = one.last.as_ref();
        let made_up = |is_made_up| if is_made_up { ", made up" } else { "" };
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

fn listed(library: &Library) -> Result<Vec<Listed>, RunsError> {
    let files = library.list()?.into_iter();
    let listed = files.map(|(name, file)| Listed {
        name,
        program: Library::compile(&file),
        file,
    });
    Ok(listed.collect())
}

/// Opens the server's database; a trigger may be paused before a server ever ran.
fn book(args: &Args) -> Result<TriggerBook, Failure> {
    let state = absolute(&args.state)?;
    crate::disk::create_folders(&state, 0o700)
        .map_err(|e| Failure::new("journal", format!("can't make {}: {e}", state.display())))?;
    Ok(TriggerBook::open(&state)?)
}

fn key(text: &str) -> Result<TriggerKey, Failure> {
    TriggerKey::parse(text).ok_or_else(|| {
        let message = format!("`{text}` is not the name of a trigger");
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
