use std::{io, net::SocketAddr, path::Path};

use super::{
    Done,
    args::{Args, Pca, PcaServe},
    exit,
    failure::Failure,
    logging,
    process::{create_state, interrupted, no_threads},
};
use crate::{
    authority::{AccessKey, Delays, Options, Server},
    disk,
};

/// `windlass pca …`.
pub fn pca(args: &Args, command: &Pca) -> Done {
    match command {
        Pca::Serve(command) => serve(args, command),
    }
}

fn serve(args: &Args, command: &PcaServe) -> Done {
    // The server is for trying things out, so successful requests are not logged.
    logging::start(&command.logging, "warn")?;
    let folder = command
        .dir
        .clone()
        .unwrap_or_else(|| args.state.join("pca"));
    if command.dir.is_none() {
        create_state(&args.state)?;
    }
    let credentials = folder.join("credentials");
    let is_kept = command.access_keys.is_empty() && !command.insecure;
    let access_keys = if is_kept {
        vec![kept_key(&credentials)?]
    } else {
        command.access_keys.clone()
    };
    let options = Options {
        listen: SocketAddr::from((command.host, command.port)),
        region: command.region.clone(),
        account: command.account.clone(),
        delays: Delays {
            create: command.create_delay,
            issue: command.issue_delay,
            settle: command.settle,
        },
        idempotency: command.idempotency,
        quotas: command.quotas,
        faults: command.faults.clone(),
        access_keys,
        client_timeout: command.client_timeout,
        ..Options::local(folder.clone())
    };
    let runtime = tokio::runtime::Runtime::new().map_err(no_threads)?;
    runtime.block_on(async {
        let server = Server::start(options).await.map_err(crate::targets::OpenError::from)?;
        let endpoint = server.endpoint();
        say!("AWS Private CA of {} on {endpoint}", folder.display());
        if is_kept {
            say!("export AWS_SHARED_CREDENTIALS_FILE={}", std::path::absolute(&credentials).unwrap_or(credentials).display());
        }
        say!("try: aws acm-pca list-certificate-authorities --endpoint-url {endpoint} --region us-east-1");
        // The caller may stop this process as soon as it has read the line.
        let interrupted = interrupted();
        super::print(&format!("{endpoint}\n"))?;
        server.run_until(interrupted).await;
        Ok(exit::SUCCEEDED)
    })
}

/// Reads the access key from a credentials file of the aws CLI. Creates the file, readable only by its owner, if it does not exist.
fn kept_key(path: &Path) -> Result<AccessKey, Failure> {
    if let Some(key) = read_key(path)? {
        return Ok(key);
    }
    let key = AccessKey::random().map_err(|e| Failure::new("system", e.to_string()))?;
    let text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        key.id, key.secret
    );
    if disk::write_new_private(path, text).map_err(|e| unusable(path, &e))? {
        Ok(key)
    } else {
        // Another server has created the file first, and its clients use that key.
        read_key(path)?.ok_or_else(|| unusable(path, &io::ErrorKind::NotFound.into()))
    }
}

fn unusable(path: &Path, e: &io::Error) -> Failure {
    Failure::new("output", format!("can't use {}: {e}", path.display()))
}

fn read_key(path: &Path) -> Result<Option<AccessKey>, Failure> {
    let text = disk::read_if_there(path).map_err(|e| unusable(path, &e))?;
    let Some(text) = text else {
        return Ok(None);
    };
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    };
    let found = field("aws_access_key_id").zip(field("aws_secret_access_key"));
    let (id, secret) = found.ok_or_else(|| {
        let message = format!("{} holds no access key", path.display());
        Failure::new("output", message).hint("remove it, and a new one is generated")
    })?;
    Ok(Some(AccessKey {
        id,
        secret,
        account: None,
    }))
}
