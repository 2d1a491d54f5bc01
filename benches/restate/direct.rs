//! The same work, written directly against the SDK.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use restate_sdk::{context::DurableFuturesUnordered, hyper::HyperEndpoint, prelude::*};

use crate::workload::{CHAIN, EFFECTS, FAN_OUT};

/// As many as Windlass starts at once.
const WINDOW: usize = 64;
/// About as long as the two events that Windlass records of a step.
const RECORD: usize = 400;

struct Step;

#[restate_sdk::service(name = "DirectStep")]
impl Step {
    #[handler]
    async fn nothing(&self, _: Context<'_>, number: u64) -> Result<u64, HandlerError> {
        Ok(number)
    }

    #[handler]
    async fn effects(&self, ctx: Context<'_>) -> Result<(), HandlerError> {
        for _ in 0..EFFECTS {
            ctx.run(|| async { Ok("2026-11-24T00:00:00Z".to_owned()) })
                .name("now")
                .await?;
        }
        Ok(())
    }
}

struct Run;

#[restate_sdk::object(name = "DirectRun")]
impl Run {
    #[handler]
    async fn chain(&self, ctx: ObjectContext<'_>) -> Result<(), HandlerError> {
        for number in 0..CHAIN as u64 {
            let client = ctx.service_client::<StepClient>();
            let done = client.nothing(number).call().await?;
            ctx.set(&format!("step-{done}"), "x".repeat(RECORD));
        }
        Ok(())
    }

    #[handler]
    async fn fan_out(&self, ctx: ObjectContext<'_>) -> Result<(), HandlerError> {
        let client = ctx.service_client::<StepClient>();
        let mut running = DurableFuturesUnordered::new();
        let mut started = 0;
        loop {
            while started < FAN_OUT as u64 && running.len() < WINDOW {
                running.push(client.nothing(started).call());
                started += 1;
            }
            match running.next().await? {
                None => return Ok(()),
                Some((_, done)) => ctx.set(&format!("step-{}", done?), "x".repeat(RECORD)),
            }
        }
    }

    #[handler]
    async fn effects(&self, ctx: ObjectContext<'_>) -> Result<(), HandlerError> {
        ctx.service_client::<StepClient>().effects().call().await?;
        Ok(())
    }
}

/// Serves the work, and prints where.
pub fn serve() {
    serve_on(
        "127.0.0.1:0",
        Endpoint::builder().bind(Step).bind(Run).build(),
    );
}

/// Serves an endpoint at an address, and prints it.
pub fn serve_on(address: &str, endpoint: Endpoint) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.expect("a port");
        println!("http://{}", listener.local_addr().expect("an address"));
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            // The SDK's own server leaves this out, and each action then waits some 40 ms for an acknowledgement.
            stream.set_nodelay(true).expect("set");
            let service = HyperEndpoint::new(endpoint.clone());
            tokio::spawn(
                http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
}

/// Has the work done, and waits for it.
pub fn run(ingress: &str, name: &str) {
    let address = ingress.trim_start_matches("http://");
    let name = name.replace('-', "_");
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).expect("randomness");
    let key = u64::from_le_bytes(random);
    let mut connection = TcpStream::connect(address).expect("the server");
    let request = format!(
        "POST /DirectRun/{key}/{name} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
