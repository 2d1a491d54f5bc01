use std::sync::Arc;

use super::{
    Done,
    args::{Http, HttpServe},
    exit,
    failure::Failure,
    logging,
    process::{interrupted, no_threads},
};
use crate::{
    compile::read_mock,
    mock::{Answer, OnAnswer, Request, Server, Site},
};

/// `windlass http …`.
pub fn http(command: &Http) -> Done {
    match command {
        Http::Serve(command) => serve(command),
    }
}

fn serve(command: &HttpServe) -> Done {
    // The server is for trying things out, so successful requests are not logged.
    logging::start(&command.logging, "warn")?;
    let site = Site::new(read_mock(&command.from)?);
    let runtime = tokio::runtime::Runtime::new().map_err(no_threads)?;
    let name = site.name().to_owned();
    let on_answer: OnAnswer = Arc::new(|request: &Request, answer: &Answer| {
        let answered = if answer.is_dropped {
            "no answer".to_owned()
        } else {
            answer.status.to_string()
        };
        say!("{} {} → {answered}", request.method, request.path);
    });
    runtime.block_on(async {
        let server = Server::listen(site, command.port, on_answer)
            .await
            .map_err(|e| {
                Failure::new(
                    "output",
                    format!("can't listen on port {}: {e}", command.port),
                )
                .hint("use --port 0 for a free port")
            })?;
        say!("{name} on {}; press Ctrl-C to stop", server.url());
        // The caller may stop this process as soon as it has read the line.
        let interrupted = interrupted();
        super::print(&format!("{}\n", server.url()))?;
        server.run_until(interrupted).await;
        Ok(exit::SUCCEEDED)
    })
}
