//! A proxy on the way to AWS's own host names.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// An HTTP proxy that leads every host to one port of this machine, and notes who was asked for.
pub struct Tunnel {
    pub url: String,
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Tunnel {
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let noted = asked.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let noted = noted.clone();
                thread::spawn(move || connect(client, port, &noted));
            }
        });
        Self { url, asked }
    }

    /// The hosts that were asked for since the last time.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().expect("not poisoned");
        std::mem::take(&mut *asked).into_iter().collect()
    }
}

/// Answers `CONNECT host:443`. A client that is gone is no matter of the proxy's.
fn connect(client: TcpStream, port: u16, asked: &Mutex<BTreeSet<String>>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let host = head.strip_prefix("CONNECT ")?.split(' ').next()?;
    asked.lock().expect("not poisoned").insert(host.to_owned());
    let mut client = client;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let (from, to) = (server.try_clone().ok()?, client.try_clone().ok()?);
    thread::spawn(move || pump(from, to));
    pump(reader, server);
    Some(())
}

fn pump(mut from: impl Read, mut to: TcpStream) {
    // Either side may close first; the other learns of it by the end of the stream.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}
