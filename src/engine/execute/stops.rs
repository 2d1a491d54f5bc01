use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::journal::crash_point;
use windlass_script::{OnStop, Stop};
use windlass_world::value::{Failure, Value};

/// What ends an attempt from outside.
#[derive(Clone, Default)]
pub struct Stops {
    pub cancelled: Arc<AtomicBool>,
    pub cancellation: CancellationToken,
    /// When the step's timeout passes, and how long it is.
    pub deadline: Option<(Instant, Duration)>,
}

impl Stops {
    /// Whether nothing more may begin.
    pub fn check(&self) -> Result<(), Stop> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Stop::Cancelled);
        }
        match self.deadline {
            Some((at, timeout)) if Instant::now() >= at => Err(Stop::TimedOut(timeout)),
            _ => Ok(()),
        }
    }

    /// Makes a call; `on_stop` says what a cancel and the step's timeout do to it.
    pub async fn act(
        &self,
        call: impl Future<Output = Result<Value, Failure>>,
        on_stop: OnStop,
    ) -> Result<Result<Value, Failure>, Stop> {
        crash_point();
        let times_out = async {
            match self.deadline {
                Some((at, timeout)) => {
                    tokio::time::sleep_until(at.into()).await;
                    Stop::TimedOut(timeout)
                }
                None => pending().await,
            }
        };
        tokio::pin!(call);
        let hears_cancel = !matches!(on_stop, OnStop::Await);
        let done = tokio::select! {
            biased;
            outcome = &mut call => Ok(outcome),
            stop = times_out => Err(stop),
            () = self.cancellation.cancelled(), if hears_cancel => Err(Stop::Cancelled),
        };
        if let (Err(_), OnStop::Ask(token)) = (&done, on_stop) {
            token.cancel();
            // Its own answer does not say how far it came, so the call stays in doubt.
            let _ = call.await;
        }
        // The other side has acted, but its answer is not here yet.
        crash_point();
        done
    }

    /// Waits; a cancel and the step's timeout end that.
    pub async fn wait(&self, duration: Duration) -> Result<(), Stop> {
        self.check()?;
        let until = Instant::now() + duration;
        let (wake, times_out) = match self.deadline {
            Some((at, timeout)) if at < until => (at, Some(timeout)),
            _ => (until, None),
        };
        tokio::select! {
            () = self.cancellation.cancelled() => Err(Stop::Cancelled),
            () = tokio::time::sleep_until(wake.into()) => match times_out {
                Some(timeout) => Err(Stop::TimedOut(timeout)),
                None => Ok(()),
            },
        }
    }
}
