use std::{collections::BTreeSet, sync::Arc};

use super::{
    Done,
    args::{Args, Mcp},
    exit,
    failure::Failure,
    logging,
    process::{absolute, interrupted, no_threads, requester},
    server::server,
};
use crate::{
    journal::Via,
    mcp::Assistant,
    outside,
    runs::{Driving, Here, HereOptions, Library, Person, Runs},
    telemetry,
};

/// The number of runs at once: an assistant starts few.
const MAX_RUNS: usize = 50;

/// `windlass mcp`: the runs as tools for an assistant, until it closes standard input.
pub fn mcp(args: &Args, command: &Mcp) -> Done {
    if args.on.is_some() {
        let message = "`windlass mcp` does not support --on: it works with the runs of this machine or of a server";
        return Err(Failure::new("engine", message).hint("remove --on, or unset WINDLASS_ON"));
    }
    logging::start(&command.logging, "warn")?;
    // Standard output carries the protocol, and an assistant reads no colours.
    console::set_colors_enabled(false);
    console::set_colors_enabled_stderr(false);
    let allowed: BTreeSet<_> = command.allow.iter().copied().collect();
    let runs: Arc<dyn Runs> = match server(args)? {
        Some(there) => {
            there.is_for_assistant();
            there
        }
        None => here(args, command, allowed.is_empty())?,
    };
    let person = Person {
        name: requester(),
        via: Some(Via {
            how: "assistant".into(),
            from: "windlass mcp".into(),
            groups: Vec::new(),
        }),
    };
    let runtime = tokio::runtime::Runtime::new().map_err(no_threads)?;
    // The client of a server has threads of its own, and must not end on this runtime's.
    let _kept = Arc::clone(&runs);
    let served = runtime.block_on(async {
        tokio::select! {
            served = Assistant::new(runs, person, allowed).serve() => served,
            () = interrupted() => Ok(()),
        }
    });
    // As at the end of `windlass serve`: runs that are driven here continue when they are resumed.
    outside::kill_programs();
    telemetry::flush();
    match served {
        // A thread may still be reading standard input, and only the end of the process stops it.
        Ok(()) => std::process::exit(exit::SUCCEEDED.into()),
        Err(why) => Err(Failure::new(
            "mcp",
            format!("the client does not speak the Model Context Protocol: {why}"),
        )
        .hint("an assistant starts this command; `windlass help mcp` shows how")),
    }
}

fn here(args: &Args, command: &Mcp, only_looks: bool) -> Result<Arc<Here>, Failure> {
    let (config, was_asked_for) = args.config();
    let folders = command.workflows.iter();
    let folders: Result<Vec<_>, _> = folders.map(|path| absolute(path)).collect();
    let options = HereOptions {
        state: absolute(&args.state)?,
        config: (absolute(config)?, was_asked_for),
        out: absolute(&command.out)?,
        library: Library::new(folders?),
        driving: Driving {
            max_parallel: command.max_parallel,
            max_runs: MAX_RUNS,
        },
    };
    let opened = if only_looks {
        Here::look(options)
    } else {
        Here::open_alone(options)
    };
    Ok(Arc::new(opened?))
}
