use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use serde_json::Value as Json;

use super::{
    Done,
    args::{Args, Kube, KubeServe},
    exit,
    failure::Failure,
    logging,
    process::{create_state, interrupted, no_threads},
};
use crate::{
    cluster::{Options, Server, is_cluster_name, kubeconfig},
    disk, mesh,
    value::Value,
};

/// `windlass kube …`.
pub fn kube(args: &Args, command: &Kube) -> Done {
    match command {
        Kube::Serve(command) => serve(args, command),
    }
}

fn serve(args: &Args, command: &KubeServe) -> Done {
    // The server is for trying things out, so successful requests are not logged.
    logging::start(&command.logging, "warn")?;
    let folder = command
        .dir
        .clone()
        .unwrap_or_else(|| args.state.join("kube"));
    let config = command
        .kubeconfig
        .clone()
        .unwrap_or_else(|| folder.join("config"));
    refuse_other_kubeconfig(&config)?;
    if command.dir.is_none() {
        create_state(&args.state)?;
    }
    let runtime = tokio::runtime::Runtime::new().map_err(no_threads)?;
    runtime.block_on(async {
        let mut servers = Vec::new();
        for (name, offset) in command.clusters.iter().zip(0..) {
            servers.push(start(command, &folder, name, offset).await?);
        }
        let access: Vec<_> = servers.iter().map(Server::access).collect();
        disk::write_private(&config, kubeconfig(&access)).map_err(|e| {
            Failure::new("output", format!("can't write {}: {e}", config.display()))
        })?;
        for one in &access {
            say!("Kubernetes cluster {} on {}", one.name, one.endpoint);
        }
        say!("try: kubectl --kubeconfig {} get pods -A", config.display());
        // The caller may stop this process as soon as it has read the line.
        let interrupted = interrupted();
        super::print(&format!("{}\n", config.display()))?;
        interrupted.await;
        for server in servers {
            server.stop().await;
        }
        Ok(exit::SUCCEEDED)
    })
}

/// Refuses to replace a kubeconfig that has more than rehearsal clusters.
fn refuse_other_kubeconfig(path: &Path) -> Result<(), Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        let message = format!("can't write {}: {why}", path.display());
        Failure::new("output", message)
    };
    let Some(text) = disk::read_if_there(path).map_err(|e| failed(&e))? else {
        return Ok(());
    };
    if text.trim().is_empty() || is_of_rehearsal(&text) {
        Ok(())
    } else {
        Err(failed(&"it is not a kubeconfig of rehearsal clusters")
            .hint("name another file with --kubeconfig: this one would be replaced"))
    }
}

/// Says whether a kubeconfig has nothing but clusters on loopback and tokens, as `kube serve` writes it.
fn is_of_rehearsal(kubeconfig: &str) -> bool {
    let Ok(config) = Value::parse_yaml(kubeconfig) else {
        return false;
    };
    let config = config.to_json();
    let list = |key: &str| config[key].as_array().cloned().unwrap_or_default();
    let is_here = |cluster: &Json| {
        let server = cluster["cluster"]["server"].as_str();
        let url = server.and_then(|server| reqwest::Url::parse(server).ok());
        let host = url.as_ref().and_then(|url| url.host_str());
        let ip = host.and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        ip.is_some_and(|ip: IpAddr| ip.is_loopback())
    };
    let has_token_alone = |user: &Json| {
        let user = user["user"].as_object();
        user.is_some_and(|user| user.len() == 1 && user.contains_key("token"))
    };
    // Each of our contexts has the name of its cluster and of its user.
    let has_one_name = |context: &Json| {
        let of = &context["context"];
        of["cluster"] == context["name"] && of["user"] == context["name"]
    };
    config["kind"] == "Config"
        && list("clusters").iter().all(is_here)
        && list("users").iter().all(has_token_alone)
        && list("contexts").iter().all(has_one_name)
}

async fn start(
    command: &KubeServe,
    folder: &Path,
    name: &str,
    offset: u16,
) -> Result<Server, Failure> {
    if !is_cluster_name(name) {
        let message = format!("{name:?} is not a valid cluster name");
        return Err(Failure::new("target", message).hint("use letters, digits, '-', '_' and '.'"));
    }
    let port = match command.port {
        0 => 0,
        first => first.checked_add(offset).ok_or_else(|| {
            Failure::new("target", format!("no port is left for the cluster {name}"))
        })?,
    };
    let options = Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        pod_delay: command.pod_delay,
        faults: command.faults.clone(),
        client_timeout: command.client_timeout,
        ..mesh::member(folder, name, command.mesh.as_ref())
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
