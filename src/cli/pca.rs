use std::net::SocketAddr;

use super::{
    Done,
    args::{Args, Pca, PcaServe},
    exit,
    failure::Failure,
    process::interrupted,
};
use crate::authority::{Delays, Options, Server};

/// `windlass pca …`.
pub fn pca(args: &Args, command: &Pca) -> Done {
    match command {
        Pca::Serve(command) => serve(args, command),
    }
}

fn serve(args: &Args, command: &PcaServe) -> Done {
    let folder = command
        .dir
        .clone()
        .unwrap_or_else(|| args.state.join("pca"));
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
        access_keys: command.access_keys.clone(),
        ..Options::local(folder.clone())
    };
    let failed = |e: std::io::Error| Failure::new("system", format!("can't start threads: {e}"));
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    runtime.block_on(async {
        let server = Server::start(options).await.map_err(crate::targets::OpenError::from)?;
        let endpoint = server.endpoint();
        say!("AWS Private CA of {} on {endpoint}", folder.display());
        say!("try: aws acm-pca list-certificate-authorities --endpoint-url {endpoint} --region us-east-1");
        super::print(&format!("{endpoint}\n"))?;
        server.run_until(interrupted()).await;
        Ok(exit::SUCCEEDED)
    })
}
