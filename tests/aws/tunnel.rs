//! A proxy on the way to AWS's own host names, with TLS at its end.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use super::caller::Caller;

/// Ends TLS before a server, as a company's proxy does.
const TERMINATOR: &str = "
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
host, port = sys.argv[3].split(':')
def pump(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError: pass
def serve(client):
    try: client = context.wrap_socket(client, server_side=True)
    except OSError: return
    server = socket.create_connection((host, int(port)))
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
";

/// TLS in front of a server; it ends with the test.
pub struct Terminator {
    child: Child,
    pub port: u16,
}

impl Terminator {
    /// Has a certificate for `names` made, whose root is `out/root-ca.pem`, and listens with it.
    pub fn start(caller: &Caller, names: &[&str], server: &str) -> Self {
        let test = &caller.test;
        let names = format!("server_dns_names=[{}]", names.join(", "));
        test.windlass(&["run", "workflows/gloo-mesh.yaml", "-p", &names])
            .expect(0);
        let parts =
            ["", "-chain"].map(|part| test.read(&format!("out/relay-server-tls{part}.pem")));
        test.write("server.pem", &parts.concat());
        let key = "out/relay-server-tls.key";
        let mut child = Command::new("python3")
            .args(["-c", TERMINATOR, "server.pem", key, server])
            .current_dir(test.path("."))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is installed");
        let mut port = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut port).expect("a port");
        let port = port.trim().parse().expect("a port");
        Self { child, port }
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
