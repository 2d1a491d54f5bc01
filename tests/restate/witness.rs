//! Stands before the certificate authority, counts what it is asked, and does something at each request.

use std::{
    collections::BTreeMap,
    io::{BufReader, Write},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::lost::{forward, read_request};

/// Called with the number of a request, from 1, once the authority has acted and before anybody is told.
pub type Hook = Arc<Mutex<dyn FnMut(usize) + Send>>;

pub struct Witness {
    pub address: String,
    counts: Arc<Mutex<BTreeMap<String, usize>>>,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl Witness {
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let witness = Self {
            address: listener.local_addr().expect("an address").to_string(),
            counts: Arc::default(),
            hook: Arc::default(),
        };
        let (server, number) = (server.to_owned(), Arc::new(AtomicUsize::new(0)));
        let (counts, hook) = (witness.counts.clone(), witness.hook.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, number) = (server.clone(), number.clone());
                let (counts, hook) = (counts.clone(), hook.clone());
                thread::spawn(move || {
                    let mut reader = BufReader::new(client);
                    while let Some(request) = read_request(&mut reader) {
                        *counts
                            .lock()
                            .expect("no panic")
                            .entry(operation(&request))
                            .or_default() += 1;
                        let answer = forward(&server, &request);
                        let hook = hook.lock().expect("no panic").clone();
                        if let Some(hook) = hook {
                            let number = number.fetch_add(1, Ordering::SeqCst) + 1;
                            (hook.lock().expect("no panic"))(number);
                        }
                        if reader.get_mut().write_all(&answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        witness
    }

    /// From now on, calls `act` at these requests, counted from 1, with the number of the turn from 0.
    /// Returns how often that was.
    pub fn at_some(
        &self,
        requests: &'static [usize],
        mut act: impl FnMut(usize) + Send + 'static,
    ) -> Arc<AtomicUsize> {
        let acted = Arc::new(AtomicUsize::new(0));
        let count = acted.clone();
        let hook = move |request: usize| {
            if requests.contains(&request) {
                act(count.fetch_add(1, Ordering::SeqCst));
            }
        };
        *self.hook.lock().expect("no panic") = Some(Arc::new(Mutex::new(hook)));
        acted
    }

    /// How often each operation was asked for since the last time.
    pub fn take_counts(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.counts.lock().expect("no panic"))
    }
}

/// The operation that a request names.
fn operation(request: &[u8]) -> String {
    let head = String::from_utf8_lossy(request);
    let line = head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("x-amz-target:"));
    line.and_then(|line| line.rsplit('.').next())
        .unwrap_or("?")
        .trim()
        .to_owned()
}

/// Whether an operation changes nothing.
pub fn is_read(operation: &str) -> bool {
    ["Describe", "Get", "List"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}
