//! What listens on the ports of a cluster's pods.

use tokio::io::DuplexStream;

/// Connects to the ports of pods, for port-forward.
pub trait Ports: Send + Sync + std::fmt::Debug {
    /// Connects to a port of a pod, over the pod's loopback interface. `Err` is the text that a kubelet sends, for example
    /// [`nothing_listens`].
    fn connect(&self, namespace: &str, pod: &str, port: u16) -> Result<DuplexStream, String>;
}

/// Returns the kubelet's message for a port on which nothing listens, in the words of containerd.
pub fn nothing_listens(pod: &str, port: u16) -> String {
    format!(
        "error forwarding port {port} to pod {pod}, uid : failed to execute portforward: failed to connect to localhost:{port} inside the pod: dial tcp4 127.0.0.1:{port}: connect: connection refused"
    )
}
