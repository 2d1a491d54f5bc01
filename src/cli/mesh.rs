use std::{sync::Arc, thread, time::Duration};

use console::Term;

use super::{
    Done,
    args::{Args, MeshTable},
    exit,
    failure::Failure,
    print, print_text,
    process::no_threads,
    server::server,
};
use crate::{
    mesh::{Handshakes, Matrix},
    report::{Room, Table, json_text},
    runs::{Asking, Runs, There, unreadable_mesh},
    targets::{Targets, rehearsal_folder},
};

/// How often `--watch` checks the handshakes.
const LOOK: Duration = Duration::from_millis(500);

/// `windlass mesh`: shows which components can talk to each other. Fails if some can't, and if there are none.
pub fn mesh(args: &Args, command: &MeshTable) -> Done {
    let mut source = Source::open(args, command)?;
    let mut shown = None;
    loop {
        let seen = source.look()?;
        if seen.all.is_empty() && !command.watch {
            return Err(no_mesh(&command.target));
        }
        let text = if command.json {
            json_text(&seen.to_json())
        } else {
            table(&seen)
        };
        // With `--watch`, prints only a table that differs from the last one.
        if shown.as_ref() != Some(&text) {
            if command.json {
                print(&text)?
            } else {
                print_text(&text)?
            };
            shown = Some(text);
        }
        if command.watch {
            thread::sleep(LOOK);
            continue;
        }
        return Ok(match seen.failed().next() {
            None => exit::SUCCEEDED,
            Some(_) => exit::FAILED,
        });
    }
}

/// The place where the handshakes are tried.
enum Source {
    /// In this process, on the folder of a target whose clusters are embedded.
    Here(Matrix),
    /// By the rehearsal clusters of another target.
    There(tokio::runtime::Runtime, Asking),
    /// By a Windlass server, for a target of its own.
    Server(Arc<There>, String),
}

impl Source {
    fn open(args: &Args, command: &MeshTable) -> Result<Self, Failure> {
        if let Some(there) = server(args)? {
            return Ok(Self::Server(there, command.target.clone()));
        }
        let (config, was_asked_for) = args.config();
        let targets = Targets::load(config, was_asked_for)?;
        let target = targets.find(&command.target)?;
        if let Some(folder) = rehearsal_folder(target, &args.state) {
            let matrix = Matrix::open(&folder.join("kube")).map_err(unreadable_mesh)?;
            return Ok(Self::Here(matrix));
        }
        // The built-in target has such a folder.
        let target = target.cloned().unwrap_or_default();
        let runtime = tokio::runtime::Runtime::new().map_err(no_threads)?;
        let asking = runtime.block_on(Asking::open(&command.target, &target))?;
        Ok(Self::There(runtime, asking))
    }

    fn look(&mut self) -> Result<Handshakes, Failure> {
        match self {
            Self::Here(matrix) => Ok(matrix.look().map_err(unreadable_mesh)?),
            Self::There(runtime, asking) => Ok(runtime.block_on(asking.look())?),
            Self::Server(there, target) => Ok(there.handshakes(target)?),
        }
    }
}

fn no_mesh(target: &str) -> Failure {
    let message = format!("the target {target} has no rehearsal clusters with a mesh yet");
    Failure::new("target", message).hint(format!(
        "a run on the target {target} that uses Kubernetes creates them; for those of another folder, use --state DIR"
    ))
}

fn table(seen: &Handshakes) -> String {
    if seen.all.is_empty() {
        return "no rehearsal clusters found; a run on the target local, or windlass kube serve, creates them\n"
            .into();
    }
    let mut table = Table::new(&["FROM", "TO", "PORT", "HANDSHAKE"]).keeping(0);
    for one in &seen.all {
        table.row([
            one.from.clone(),
            one.to.clone(),
            one.port.to_string(),
            one.error.clone().unwrap_or_else(|| "ok".into()),
        ]);
    }
    let failed = seen.failed().count();
    format!(
        "{}\n{} handshakes, {failed} failed\n",
        table.render("", Room::of(&Term::stdout())).trim_end(),
        seen.all.len()
    )
}
