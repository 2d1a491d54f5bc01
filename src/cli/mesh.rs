use std::{collections::BTreeSet, sync::Arc, thread, time::Duration};

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
    mesh::{HANDSHAKES, Handshakes, Matrix},
    outside::{KubeClient, KubeClients},
    report::{Room, Table},
    runs::{Runs, There},
    targets::{Target, Targets, rehearsal_folder},
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
        let text = match command.json {
            true => format!("{:#}\n", seen.to_json()),
            false => table(&seen),
        };
        // With `--watch`, prints only a table that differs from the last one.
        if shown.as_ref() != Some(&text) {
            match command.json {
                true => print(&text)?,
                false => print_text(&text)?,
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
    There(tokio::runtime::Runtime, KubeClient),
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
            let matrix = Matrix::open(&folder.join("kube")).map_err(unreadable)?;
            return Ok(Self::Here(matrix));
        }
        let kube = target.map(Target::kube).unwrap_or_default();
        let roles: BTreeSet<_> = kube.contexts.keys().cloned().collect();
        let role = match roles.contains("mgmt") {
            true => "mgmt".to_owned(),
            false => roles.first().cloned().ok_or_else(|| {
                let message = format!("the target {} names no Kubernetes cluster", command.target);
                Failure::new("target", message)
            })?,
        };
        let runtime = tokio::runtime::Runtime::new().map_err(no_threads)?;
        let clients = KubeClients::new(kube, roles);
        let client = runtime
            .block_on(clients.client(&role))
            .map_err(|e| Failure::new("target", e.to_string()))?;
        Ok(Self::There(runtime, client))
    }

    fn look(&mut self) -> Result<Handshakes, Failure> {
        match self {
            Self::Here(matrix) => matrix.look().map_err(unreadable),
            Self::There(runtime, client) => {
                let asked = client.read_path("try the handshakes", HANDSHAKES);
                let document = runtime.block_on(asked).map_err(|failure| {
                    Failure::new("target", failure.to_string()).hint(
                        "only rehearsal clusters (windlass kube serve) report their handshakes",
                    )
                })?;
                Ok(Handshakes::of_json(&document))
            }
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

fn unreadable(error: crate::cluster::StateError) -> Failure {
    Failure::new(
        "target",
        format!("can't read the state of the mesh: {error}"),
    )
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
