//! How an operation ends: at once, or when what it wrote is on the disk.

use serde_json::Value;
use tokio::sync::oneshot;

use crate::failure::{Code, Failure};

/// The end of an operation.
pub(crate) type Ending = Result<Value, Failure>;

/// Takes the end of an operation to the client.
pub(crate) struct Reply {
    sender: oneshot::Sender<Ending>,
    lost: Option<Code>,
}

impl Reply {
    /// A reply, and where it arrives.
    pub fn new() -> (Self, oneshot::Receiver<Ending>) {
        let (sender, receiver) = oneshot::channel();
        (Self { sender, lost: None }, receiver)
    }

    /// The client learns of this error in place of a success.
    pub fn losing(self, code: Code) -> Self {
        Self {
            lost: Some(code),
            ..self
        }
    }

    pub fn send(self, ending: Ending) {
        let ending = match self.lost {
            Some(code) => ending.and_then(|_| Err(injected(code))),
            None => ending,
        };
        // The client may be gone; what was done is done.
        drop(self.sender.send(ending));
    }
}

/// The error that a fault gives.
pub(crate) fn injected(code: Code) -> Failure {
    code.says(format!("Injected fault: {code}"))
}
