use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use windlass_journal::crash_point;
use windlass_script::{OnStop, Stop};
use windlass_world::value::{Failure, Value};

/// Ends an attempt from outside.
#[derive(Clone, Default)]
pub struct Stops {
    pub cancelled: Arc<AtomicBool>,
    pub cancellation: CancellationToken,
    /// The time at which the step's timeout passes, and the timeout.
    pub deadline: Option<(Instant, Duration)>,
    /// The timeout has passed by the clock of a test.
    pub expired: CancellationToken,
}

impl Stops {
    /// Says whether the attempt may continue: an error if it may start no further call.
    pub fn check(&self) -> Result<(), Stop> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Stop::Cancelled);
        }
        match self.deadline {
            Some((at, timeout)) if Instant::now() >= at || self.expired.is_cancelled() => {
                Err(Stop::TimedOut(timeout))
            }
            _ => Ok(()),
        }
    }

    /// Makes a call; `on_stop` decides how a cancel and the step's timeout affect it.
    pub async fn act(
        &self,
        call: impl Future<Output = Result<Value, Failure>>,
        on_stop: OnStop,
    ) -> Result<Result<Value, Failure>, Stop> {
        crash_point();
        let times_out = async {
            match self.deadline {
                Some((at, timeout)) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at.into()) => {}
                        () = self.expired.cancelled() => {}
                    }
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
            // Its own answer does not say whether it was made completely, so the call stays in doubt.
            let _ = call.await;
        }
        // The other side has acted, but the answer is not recorded yet.
        crash_point();
        done
    }

    /// Waits; a cancel or the step's timeout ends the wait.
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
