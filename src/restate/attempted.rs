use std::pin::Pin;

use restate_sdk::{
    context::{CallFuture, DurableFuture},
    prelude::*,
};

use super::wire::Report;
use windlass_journal::InstanceId;

/// An attempt that is running on a worker.
pub(super) trait Attempted:
    DurableFuture<Output = Result<Json<Report>, TerminalError>> + Send
{
    /// Asks it to stop; a call in progress ends first.
    fn cancel<'a>(&'a self) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

impl<C: CallFuture<Response = Json<Report>> + Send> Attempted for C {
    fn cancel<'a>(&'a self) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let handle = self.invocation_handle();
        Box::pin(async move {
            // An attempt that can't be asked ends without it.
            if let Ok(handle) = handle.await {
                handle.cancel();
            }
        })
    }
}

/// An attempt that the driver waits for.
pub(super) struct Running<'ctx> {
    pub instance: InstanceId,
    pub is_finally: bool,
    pub report: Pin<Box<dyn Attempted + 'ctx>>,
}
