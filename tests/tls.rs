//! Servers that speak TLS, with certificates of our own making.

use crate::harness::{Ends, Test};

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
    _server: Ends,
    pub port: u16,
}

/// Has a certificate for `names` made: `server.pem`, whose key is `out/relay-server-tls.key` and whose root is
/// `out/root-ca.pem`.
pub fn make_certificate(test: &Test, names: &[&str]) {
    // Agents know the server by the last name, and have to connect.
    let names = format!("server_dns_names=[{}, '*.gloo-mesh']", names.join(", "));
    let run = [
        "run",
        "workflows/gloo-mesh.yaml",
        "-p",
        &names,
        "-p",
        "istio_ca=cacerts",
    ];
    test.windlass(&run).expect(0);
    let parts = ["", "-chain"].map(|part| test.read(&format!("out/relay-server-tls{part}.pem")));
    test.write("server.pem", &parts.concat());
}

impl Terminator {
    /// Listens with the certificate that was made.
    pub fn start(test: &Test, server: &str) -> Self {
        let arguments = ["server.pem", "out/relay-server-tls.key", server];
        let (python, port) = Ends::python(test, TERMINATOR, &arguments);
        Self {
            _server: python,
            port,
        }
    }
}
