use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    journal::crash_point,
    script::Stop,
    value::{Failure, Value},
};

/// What ends an attempt from outside.
#[derive(Clone, Default)]
pub(super) struct Stops {
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

    /// Makes a call; a cancel lets it end unless it is cancellable, the step's timeout does not.
    pub async fn act(
        &self,
        call: impl Future<Output = Result<Value, Failure>>,
        is_cancellable: bool,
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
        let done = tokio::select! {
            biased;
            outcome = call => Ok(outcome),
            stop = times_out => Err(stop),
            () = self.cancellation.cancelled(), if is_cancellable => Err(Stop::Cancelled),
        };
        // The other side has acted, and nobody here knows it yet.
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
