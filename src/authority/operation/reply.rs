//! The reply of an operation: sent at once, or when its write is on the disk.

use serde_json::Value;
use tokio::sync::oneshot;

use crate::failure::{Code, Failure};

/// The result of an operation.
pub(crate) type Ending = Result<Value, Failure>;

/// Sends the result of an operation to the client.
pub(crate) struct Reply {
    sender: oneshot::Sender<Ending>,
    lost: Option<Code>,
}

impl Reply {
    /// Returns a reply and its receiver.
    pub fn new() -> (Self, oneshot::Receiver<Ending>) {
        let (sender, receiver) = oneshot::channel();
        (Self { sender, lost: None }, receiver)
    }

    /// Replaces a success by this error.
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
        // The client may have left; the operation is done in any case.
        let _ = self.sender.send(ending);
    }
}

/// Returns the error of an injected fault.
pub(crate) fn injected(code: Code) -> Failure {
    code.says(format!("Injected fault: {code}"))
}
