use std::{io, sync::Arc, thread, time::Duration};

use super::{collector::Collector, courier::Courier, outbox::Outbox};
use windlass_ground::{Every, Timestamp, Trouble};
use windlass_runs::{Runs, RunsError};
use windlass_targets::{NoticeKind, NotifyConfig};

/// How often runs are checked for new events.
const LOOKS: Duration = Duration::from_millis(300);
/// How often expiring questions, certificates and old notifications are checked, even if no run has new events.
const QUESTIONS: Duration = Duration::from_secs(30);
/// How often runs are checked that can't continue: no event says so.
const STUCK: Duration = Duration::from_secs(10);
const CERTIFICATES: Duration = Duration::from_mins(10);
const OLD: Duration = Duration::from_hours(24);

/// The notifications of a server.
pub struct Notifier {
    collector: Collector,
    couriers: Vec<Courier>,
    outbox: Arc<Outbox>,
    runs: Arc<dyn Runs>,
    tells_due: bool,
    tells_failed: bool,
}

impl Notifier {
    /// Creates the collector, the outbox and a courier for each receiver of the configuration.
    ///
    /// # Errors
    /// The first setting that can't be used.
    pub fn new(
        runs: Arc<dyn Runs>,
        outbox: Arc<Outbox>,
        config: &NotifyConfig,
    ) -> Result<Self, RunsError> {
        let couriers = config.receivers.iter().map(|receiver| {
            let courier = Courier::new(
                outbox.clone(),
                runs.clone(),
                receiver.clone(),
                config.url.clone(),
            );
            courier.map_err(|why| {
                let message = format!("[notify]: the receiver `{}`: {why}", receiver.name);
                RunsError::broken("config", message)
            })
        });
        let kinds = config.receivers.iter().map(|receiver| &receiver.on);
        let tells = |kind| kinds.clone().any(|on| on.contains(&kind));
        Ok(Self {
            couriers: couriers.collect::<Result<_, _>>()?,
            tells_due: tells(NoticeKind::Due),
            tells_failed: tells(NoticeKind::Failed),
            collector: Collector::new(runs.clone(), outbox.clone(), config)?,
            outbox,
            runs,
        })
    }

    /// Sends notifications until the process ends; `clock` returns the current time. Must be called on a runtime.
    pub fn keep(self, clock: impl Fn() -> Timestamp + Send + 'static) -> io::Result<()> {
        for courier in self.couriers {
            tokio::spawn(courier.run());
        }
        let Self {
            collector,
            outbox,
            runs,
            tells_due,
            tells_failed,
            ..
        } = self;
        let thread = thread::Builder::new().name("notices".into());
        thread.spawn(move || {
            let mut seen = None;
            let (mut questions, mut certificates) =
                (Every::new(QUESTIONS), Every::new(CERTIFICATES));
            let (mut old, mut stuck) = (Every::new(OLD), Every::new(STUCK));
            let mut troubles = Troubles::default();
            loop {
                let now = clock();
                // What can't be read now is read the next time: the positions do not move.
                let version = runs.version();
                troubles.version.note(&version);
                let version = version.ok();
                let asks = questions.is_due(now);
                if version != seen || asks {
                    let read = collector.read_runs(now);
                    troubles.runs.note(&read);
                    seen = read.ok().and(version);
                }
                if tells_failed
                    && let Some(looked) = stuck.when_due(now, || collector.look_at_stuck(now))
                {
                    troubles.stuck.note(&looked);
                }
                if tells_due {
                    let looked = certificates.when_due(now, || collector.look_at_certificates(now));
                    if let Some(looked) = looked {
                        troubles.certificates.note(&looked);
                    }
                }
                if let Some(pruned) = old.when_due(now, || outbox.prune(now)) {
                    troubles.old.note(&pruned);
                }
                thread::sleep(LOOKS);
            }
        })?;
        Ok(())
    }
}

/// The kinds of trouble, each of which is logged when it begins and ends.
struct Troubles {
    version: Trouble,
    runs: Trouble,
    stuck: Trouble,
    certificates: Trouble,
    old: Trouble,
}

impl Default for Troubles {
    fn default() -> Self {
        Self {
            version: Trouble::with("check runs for new events"),
            runs: Trouble::with("read the events of runs for notifications"),
            stuck: Trouble::with("check for runs that can't continue"),
            certificates: Trouble::with("check for certificates that are due"),
            old: Trouble::with("remove old notifications"),
        }
    }
}
