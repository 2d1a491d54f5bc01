use std::{
    io,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use windlass_ground::private::check_secret_file;

use super::{
    Done,
    args::{Args, Serve},
    exit,
    failure::Failure,
    logging, print,
    process::{absolute, interrupted, no_threads, requester},
};
#[cfg(feature = "restate")]
use crate::runs::{OnRestate, OnRestateOptions};
use crate::{
    desk::{DeskOptions, Refused, Secured, Server},
    disk,
    notify::{Notifier, Outbox},
    outside,
    runs::{Driving, Here, HereOptions, Library, Pruning, Runs, RunsError, keep_retention, now},
    targets::Targets,
    telemetry,
    triggers::Triggers,
};

/// The file in the state folder with the token of the user who started the server.
const TOKEN: &str = "serve.token";

/// `windlass serve`: the page and the API, until a signal ends it.
pub fn serve(args: &Args, command: &Serve) -> Done {
    logging::start(&command.logging, "info")?;
    // The output is shown in browsers, so it has no colours.
    console::set_colors_enabled_stderr(false);
    let (config, was_asked_for) = args.config();
    let config = absolute(config)?;
    let targets = Targets::load(&config, was_asked_for)?;
    refuse_unusable(&targets)
        .map_err(|why| Failure::new("config", format!("{}: {why}", config.display())))?;
    let state = absolute(&args.state)?;
    let folders: Result<Vec<_>, _> = command
        .workflows
        .iter()
        .map(|path| absolute(path))
        .collect();
    let library = Library::new(folders?);
    for (file, first) in library.hidden()? {
        let (file, first) = (file.display(), first.display());
        tracing::warn!(%file, "this workflow can't be started: {first} has the same name");
    }
    let options = HereOptions {
        state: state.clone(),
        config: (config, was_asked_for),
        out: absolute(&command.out)?,
        library,
        driving: Driving {
            max_parallel: command.max_parallel,
            max_runs: command.max_runs.into(),
        },
    };
    let runs = open(args, options)?;
    // It must not be dropped on a thread of the runtime below.
    let kept = runs.clone();
    let token = state.join(TOKEN);
    let owner = if command.listen.ip().is_loopback() {
        Some(Secured {
            name: requester(),
            token: kept_token(&token)?,
        })
    } else {
        None
    };
    let is_loopback = owner.is_some();
    let outbox = Arc::new(Outbox::open(&state, targets.notify.receivers.clone())?);
    let notifier = Notifier::new(runs.clone(), outbox.clone(), &targets.notify)?;
    let triggers = Triggers::open(&state, runs.clone(), outbox.clone(), targets.hooks)?;
    let triggers = Arc::new(triggers);
    let runtime = tokio::runtime::Runtime::new().map_err(no_threads)?;
    runtime.block_on(async {
        let server = Server::start(DeskOptions {
            listen: command.listen,
            tls: command.tls_cert.clone().zip(command.tls_key.clone()),
            config: targets.serve,
            state,
            owner,
            runs,
            triggers: triggers.clone(),
            outbox,
        })
        .await?;
        notifier.keep(now).map_err(no_threads)?;
        if let Some(retention) = targets.retention {
            keep_retention(kept.clone(), retention, pruned).map_err(no_threads)?;
        }
        triggers.keep(now).map_err(no_threads)?;
        // The caller may stop this process as soon as it has read the line.
        let interrupted = interrupted();
        if is_loopback {
            say!("open this address in a browser (it works once; later, log in with the token)");
            say!("the token for programs is in {}", token.display());
        }
        let address = server.address();
        tracing::info!(%address, "listening");
        print(&format!("{}\n", server.url()))?;
        interrupted.await;
        tracing::info!("stopping");
        match args.on {
            None => say!("stopping; the runs continue when the server starts again"),
            Some(_) => say!("stopping; Restate drives the runs on"),
        }
        server.stop().await;
        // As after a crash, the current calls of the runs are repeated, or looked up, when the runs continue: nothing waits for scripts, and no
        // script sees its program end.
        outside::kill_programs();
        telemetry::flush();
        std::process::exit(exit::SUCCEEDED.into())
    })
}

/// How often to look for runs whose journal could not be written.
const UNWRITTEN: Duration = Duration::from_secs(5);

/// Opens the runs of this machine, or those of the Restate server on the command line.
fn open(args: &Args, options: HereOptions) -> Result<Arc<dyn Runs>, Failure> {
    #[cfg(feature = "restate")]
    if let Some(remote) = super::restate::served(args)? {
        return Ok(Arc::new(OnRestate::open(OnRestateOptions {
            remote,
            state: options.state,
            config: options.config,
            out: options.out,
            library: options.library,
            max_parallel: options.driving.max_parallel,
        })?));
    }
    #[cfg(not(feature = "restate"))]
    if args.on.is_some() {
        let message = "this windlass was built without support for Restate";
        return Err(Failure::new("engine", message).hint("build it with the feature `restate`"));
    }
    let here = Arc::new(Here::open(options)?);
    continue_unwritten(Arc::downgrade(&here))?;
    Ok(here)
}

/// Looks regularly for runs whose journal could not be written for a while, and continues them.
fn continue_unwritten(here: Weak<Here>) -> Result<(), Failure> {
    let looks = move || loop {
        std::thread::sleep(UNWRITTEN);
        let Some(here) = here.upgrade() else {
            return;
        };
        if let Err(error) = here.continue_unwritten() {
            tracing::error!(code = error.code, %error, "runs can't be continued");
        }
    };
    let thread = std::thread::Builder::new().name("unwritten".into());
    thread.spawn(looks).map_err(no_threads)?;
    Ok(())
}

/// Prints what the retention has deleted.
fn pruned(done: Result<Pruning, RunsError>) {
    match done {
        Ok(done) => {
            if !done.deleted.is_empty() {
                say!(
                    "deleted {} old runs, as [retention] says",
                    done.deleted.len()
                );
            }
            for (run, why) in &done.left {
                say!("kept the old run {run}: {why}");
            }
        }
        Err(why) => say!("warning: old runs can't be deleted: {why}"),
    }
}

/// Checks the parts of the configuration that would only fail later: secrets that can't be read.
fn refuse_unusable(targets: &Targets) -> Result<(), String> {
    let notify = targets.notify.check();
    notify.map_err(|why| format!("[notify]: {why}"))?;
    for (name, hook) in &targets.hooks {
        let secret = hook.secret.read();
        secret.map_err(|why| format!("[hooks.{name}]: {why}"))?;
    }
    Ok(())
}

/// Reads the token in a file. Creates the file, readable only by its owner, if it does not exist.
fn kept_token(path: &Path) -> Result<String, Failure> {
    let failed =
        |e: io::Error| Failure::new("output", format!("can't use {}: {e}", path.display()));
    check_secret_file(path).map_err(|e| Failure::new("output", e.to_string()).hint(e.hint()))?;
    match disk::read_if_there(path).map_err(failed)? {
        None => {}
        Some(text) if text.trim().len() >= 32 => return Ok(text.trim().to_owned()),
        Some(_) => {
            let message = format!("{} holds no token", path.display());
            return Err(
                Failure::new("output", message).hint("remove it, and a new one is generated")
            );
        }
    }
    let token = crate::desk::random_token().ok_or(Refused::NoRandomness)?;
    disk::write_private(path, format!("{token}\n")).map_err(failed)?;
    Ok(token)
}
