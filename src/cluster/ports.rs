//! What listens in the pods of a cluster.

use tokio::io::DuplexStream;

/// What listens on the ports of pods, for port-forward.
pub trait Ports: Send + Sync + std::fmt::Debug {
    /// Connects to a port of a pod, as the pod's loopback does; `Err` is the text that a kubelet would send (for
    /// example that nothing listens there, [`nothing_listens`]).
    fn connect(&self, namespace: &str, pod: &str, port: u16) -> Result<DuplexStream, String>;
}

/// Returns what a kubelet says of a port on which nothing listens, in the words of containerd.
pub fn nothing_listens(pod: &str, port: u16) -> String {
    format!(
        "error forwarding port {port} to pod {pod}, uid : failed to execute portforward: failed to connect to localhost:{port} inside the pod: dial tcp4 127.0.0.1:{port}: connect: connection refused"
    )
}
