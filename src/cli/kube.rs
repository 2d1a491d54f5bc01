use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{
    Done,
    args::{Args, Kube, KubeServe},
    exit,
    failure::Failure,
    process::interrupted,
};
use crate::cluster::{Options, Server, kubeconfig};

/// `windlass kube …`.
pub fn kube(args: &Args, command: &Kube) -> Done {
    match command {
        Kube::Serve(command) => serve(args, command),
    }
}

fn serve(args: &Args, command: &KubeServe) -> Done {
    let folder = command
        .dir
        .clone()
        .unwrap_or_else(|| args.state.join("kube"));
    let config = command
        .kubeconfig
        .clone()
        .unwrap_or_else(|| folder.join("config"));
    let failed = |e: std::io::Error| Failure::new("system", format!("can't start threads: {e}"));
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    runtime.block_on(async {
        let mut servers = Vec::new();
        for (name, offset) in command.clusters.iter().zip(0..) {
            servers.push(start(command, &folder, name, offset).await?);
        }
        let access: Vec<_> = servers.iter().map(Server::access).collect();
        write(&config, &kubeconfig(&access)).map_err(|e| {
            Failure::new("output", format!("can't write {}: {e}", config.display()))
        })?;
        for one in &access {
            say!("Kubernetes cluster {} on {}", one.name, one.endpoint);
        }
        say!("try: kubectl --kubeconfig {} get pods -A", config.display());
        super::print(&format!("{}\n", config.display()))?;
        interrupted().await;
        for server in servers {
            server.stop().await;
        }
        Ok(exit::SUCCEEDED)
    })
}

async fn start(
    command: &KubeServe,
    folder: &Path,
    name: &str,
    offset: u16,
) -> Result<Server, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.starts_with('.') || name.is_empty() || !name.chars().all(is_plain) {
        let message = format!("{name:?} can't be the name of a cluster");
        return Err(Failure::new("target", message).hint("letters, digits, '-', '_' and '.'"));
    }
    let port = match command.port {
        0 => 0,
        first => first.checked_add(offset).ok_or_else(|| {
            Failure::new("target", format!("there is no port for the cluster {name}"))
        })?,
    };
    let options = Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        pod_delay: command.pod_delay,
        faults: command.faults.clone(),
        ..Options::local(folder.join(name), name)
    };
    Server::start(options).await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let cause = cause.unwrap_or_default();
        Failure::new(
            "target",
            format!("the rehearsal cluster {name} could not be started: {error}{cause}"),
        )
    })
}

/// Writes a file that only its owner may read, whole or not at all.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    fs::rename(draft, path)
}
