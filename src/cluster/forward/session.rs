use std::sync::Arc;

use tokio::io::DuplexStream;

use crate::{object::uid, ports::nothing_listens, service::Service};

/// The pod of a port-forward.
#[derive(Clone)]
pub(super) struct Session {
    pub service: Arc<Service>,
    pub namespace: String,
    pub pod: String,
    /// Distinguishes the pod from a later pod of the same name.
    pub uid: String,
}

impl Session {
    /// Connects to a port of the pod.
    ///
    /// # Errors
    /// The message that a kubelet sends.
    pub fn connect(&self, port: u16) -> Result<DuplexStream, String> {
        match &self.service.options.ports {
            Some(ports) => ports.connect(&self.namespace, &self.pod, port),
            None => Err(nothing_listens(&self.pod, port)),
        }
    }

    /// Waits until the pod is deleted or the server stops.
    pub async fn ended(&self) {
        let mut changed = self.service.changes();
        loop {
            tokio::select! {
                () = self.service.stopping.cancelled() => return,
                told = changed.changed() => {
                    let session = self.clone();
                    let looked = tokio::task::spawn_blocking(move || session.is_there()).await;
                    if told.is_err() || !looked.unwrap_or(false) {
                        return;
                    }
                }
            }
        }
    }

    fn is_there(&self) -> bool {
        let found = self
            .service
            .store
            .read(|tx| tx.get("pods", &self.namespace, &self.pod));
        // If the database is busy, the pod is assumed to exist.
        found.is_ok_and(|pod| pod.is_some_and(|pod| uid(&pod) == self.uid))
    }
}
