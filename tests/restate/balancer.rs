//! A balancer before several workers, as a Kubernetes service is one: each new connection goes to the next
//! worker that is there.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

pub struct Balancer {
    pub address: String,
}

impl Balancer {
    pub fn start(workers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (workers, next) = (Arc::new(workers), AtomicUsize::new(0));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let first = next.fetch_add(1, Ordering::Relaxed);
                let workers = workers.clone();
                thread::spawn(move || {
                    let turn = (0..workers.len()).map(|i| &workers[(first + i) % workers.len()]);
                    let worker = turn.into_iter().find_map(|w| TcpStream::connect(w).ok());
                    if let Some(worker) = worker {
                        join(client, worker);
                    }
                });
            }
        });
        Self { address }
    }
}

/// Copies both ways until one side ends.
fn join(client: TcpStream, worker: TcpStream) {
    for stream in [&client, &worker] {
        let _ = stream.set_nodelay(true);
    }
    let copies = [
        (client.try_clone(), worker.try_clone()),
        (worker.try_clone(), client.try_clone()),
    ];
    for (from, to) in copies {
        let (Ok(mut from), Ok(mut to)) = (from, to) else {
            return;
        };
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
}
