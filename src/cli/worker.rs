use std::{collections::BTreeSet, path::PathBuf, pin::Pin, sync::Arc};

use super::{
    Done,
    args::{Args, Worker},
    exit,
    failure::Failure,
    logging, print,
    process::{absolute, interrupted, now, runtime},
    restate::address,
};
use crate::{
    execute::Silent,
    outside,
    restate::{self, Listen, Opened, OpensTargets, Registered, Remote, RemoteError, WorkerOptions},
    targets::{Folders, OpenTarget, SubstrateTarget, Targets},
    telemetry,
};

/// `windlass worker`: serves a Restate server until it is stopped.
pub fn worker(args: &Args, command: &Worker) -> Done {
    logging::start(&command.logging, "info")?;
    check_reach(command)?;
    let opens = Configured {
        config: args.config().0.to_owned(),
        was_asked_for: args.config().1,
        state: args.state.clone(),
        out: absolute(&command.out)?,
    };
    // Each step would be refused, too, and tried again.
    opens.folders().check()?;
    let options = WorkerOptions {
        listen: Listen {
            address: command.listen,
            tls: command.tls_cert.clone().zip(command.tls_key.clone()),
            timeout: command.client_timeout,
        },
        state: args.state.clone(),
        max_parallel: command.max_parallel.into(),
        identity_keys: command.identity_keys.clone(),
        retries: command.retries,
        retention: command.retention,
        opens: Box::new(opens),
        observes: Box::new(|run| telemetry::observing(run, Arc::new(Silent))),
        clock: now,
    };
    let runtime = runtime(command.max_parallel)?;
    let worker = runtime.block_on(restate::Worker::open(options))?;
    let scheme = match command.tls_cert {
        Some(_) => "https",
        None => "http",
    };
    let listens_at = format!("{scheme}://{}", worker.address());
    if worker.has_new_identity {
        let identity = args.state.join("identity.txt");
        say!(
            "created {}, the identity that secrets are encrypted to; other workers, and machines that start runs, need the same file",
            identity.display()
        );
    }
    let stopping = worker.stopping();
    let serving = runtime.spawn(worker.serve());
    let interrupted = {
        let _guard = runtime.enter();
        interrupted()
    };
    // Programs that start workers wait for this line, and may stop the worker as soon as they have read it.
    print(&format!("{listens_at}\n"))?;
    if let Some(admin) = &command.register {
        let substrate = SubstrateTarget {
            admin: Some(admin.clone()),
            ..SubstrateTarget::at(admin)
        };
        let advertised = command.advertise.as_ref().unwrap_or(&listens_at);
        let remote = Remote::new(address(&substrate)?, &args.state)?;
        let registered = remote.register(advertised, command.force);
        let registered = registered.map_err(|error| match error {
            RemoteError::Unreachable { .. } => Failure::from(error).hint(format!(
                "--register names the admin API of the Restate server, as in http://HOST:9070; is it running at {admin}?"
            )),
            error => error.into(),
        })?;
        say!("{}", told(&registered, advertised, admin));
    }
    runtime.block_on(interrupted);
    stopping.begin();
    serving.abort();
    outside::end_programs(outside::DEFAULT_GRACE);
    // A call that began just before the stop may have started a program since.
    outside::kill_programs();
    telemetry::flush();
    // Another worker retries what is running here.
    runtime.shutdown_background();
    Ok(exit::SUCCEEDED)
}

/// Says what became of a registration, and what may surprise about it.
fn told(registered: &Registered, advertised: &str, admin: &str) -> String {
    match registered {
        Registered {
            newer: Some(newer), ..
        } => format!(
            "registered {advertised} with {admin} before, but new runs go to the workers at {newer}, which were registered later; if these \
             are to take them, after a rollback for example: --force"
        ),
        Registered {
            was_known: true, ..
        } => format!(
            "registered {advertised} with {admin} before: the --retries and --retention of that time stay in force (see --force)"
        ),
        Registered { .. } => format!("registered {advertised} with {admin}"),
    }
}

/// Refuses a worker that others could reach: a client that is accepted as its server can run any script.
fn check_reach(command: &Worker) -> Result<(), Failure> {
    let address = command.listen;
    if address.ip().is_loopback() {
        if command.identity_keys.is_empty() {
            say!(
                "warning: every user of this machine can run scripts through {address}; --identity-key lets \
                 only your server do so"
            );
        }
        return Ok(());
    }
    if command.identity_keys.is_empty() {
        let message = format!(
            "refusing to listen on {address}, which other machines can reach, without --identity-key"
        );
        return Err(Failure::new("worker", message).hint(
            "start the server with request-identity-private-key-pem-file; it prints the public key, publickeyv1_…",
        ));
    }
    if command.tls_cert.is_none() && !command.insecure {
        let message =
            format!("refusing to serve plain HTTP on {address}, which other machines can reach");
        return Err(Failure::new("worker", message)
            .hint("use --tls-cert and --tls-key, or --insecure if the network keeps others out"));
    }
    Ok(())
}

/// Opens targets according to this worker's own `windlass.toml`. The file is read each time, so a corrected file takes effect
/// without a restart.
struct Configured {
    config: PathBuf,
    was_asked_for: bool,
    state: PathBuf,
    out: PathBuf,
}

impl Configured {
    fn folders(&self) -> Folders<'_> {
        Folders {
            out: &self.out,
            state: &self.state,
            config: &self.config,
            workflow: None,
        }
    }
}

impl OpensTargets for Configured {
    fn open<'a>(
        &'a self,
        target: &'a str,
        kube: &'a BTreeSet<String>,
    ) -> Pin<Box<dyn Future<Output = Result<Opened, String>> + Send + 'a>> {
        Box::pin(async move {
            let open = async {
                let targets = Targets::load(&self.config, self.was_asked_for)?;
                let found = targets.find(target)?;
                Ok::<_, Failure>(OpenTarget::open(found, self.folders(), kube.clone()).await?)
            };
            let open = open.await.map_err(|failure| failure.to_string())?;
            // Files and variables on this machine do not belong to the person who started a run.
            let clients = outside::Clients {
                secrets: open.clients.secrets.clone().elsewhere(),
                ..open.clients.clone()
            };
            Ok(Opened {
                clients,
                keeps: Box::new(open),
            })
        })
    }
}
