use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use restate_sdk::prelude::*;
use tokio::sync::mpsc;

use super::{
    ledger::{Actions, Ask},
    stuck::{Hindrance, HoldsUp},
    wire::{EntryParcel, OtherIdentity, Parcel, Report},
    worker::{Shared, Stopping},
};
use windlass_engine::execute::{Attempt, Finished, Making, Trouble};
use windlass_ground::{Timestamp, lock};
use windlass_journal::{Vault, crash_point};
use windlass_script::Limits;
use windlass_world::outside::{AwsClient, Clients, SecretReader};

/// Attempts of steps: one invocation each.
pub(super) struct Step {
    pub worker: Arc<Shared>,
}

#[restate_sdk::service(name = "WindlassStep", client_visibility = "pub(super)")]
impl Step {
    /// Returns the public key of this worker's identity, which all workers share.
    #[handler]
    async fn identity(&self, _: Context<'_>) -> Result<Json<String>, HandlerError> {
        let recipient = self.worker.vault.recipient();
        Ok(Json(
            recipient.map_err(|e| HandlerError::from(e.to_string()))?,
        ))
    }

    /// Makes one attempt. A failed script is a result; an error is a problem of this worker, after which Restate tries
    /// again, on this or another worker.
    #[handler]
    async fn attempt(
        &self,
        ctx: Context<'_>,
        parcel: Json<Parcel>,
    ) -> Result<Json<Report>, HandlerError> {
        let Json(parcel) = parcel;
        let worker = &self.worker;
        let part = format!("step {}", parcel.instance);
        let vault = Arc::new(worker.vault.fresh());
        // Without these, an attempt makes no new calls, but still reports its records if it is cancelled.
        let (clients, hindrance) = match self.means(&parcel, &vault).await {
            Ok(clients) => (clients, None),
            Err(error) => {
                // An attempt whose inputs can't be read could not report its records.
                let clients = Clients {
                    secrets: SecretReader::new(AwsClient::nowhere()).elsewhere(),
                    ..Clients::nowhere()
                };
                (clients, Some(Hindrance::of(&part, &*error)))
            }
        };
        let _room = worker.room().await;
        let life = worker.life();
        let (asks, mut asked) = mpsc::unbounded_channel();
        let (at, run) = (parcel.at, parcel.run.clone());
        let task = parcel.unpack(&vault, |frozen| worker.script(frozen));
        let task = task.holds_up(&part)?;
        let (observer, ends) = ((worker.observes)(&run), EndsScript::default());
        let sent = (at, task.timeout);
        let attempt = Attempt {
            stage: None,
            run,
            task,
            ledger: Arc::new(Actions::new(
                asks.clone(),
                vault.clone(),
                life,
                sent,
                worker.clock,
            )),
            clients,
            limits: Limits {
                cancelled: ends.flag.clone(),
                // When a timeout passes, the position of the script differs from life to life; its next entry checks whether the timeout
                // has passed.
                timeout: None,
            },
            observer,
        };
        tokio::task::spawn_blocking(move || {
            let _ = asks.send(Ask::Finished(attempt.run()));
        });
        let (mut last, mut is_cancelled) = (at, false);
        while let Some(ask) = asked.recv().await {
            match ask {
                Ask::Enter {
                    name,
                    making,
                    answer,
                } => {
                    if is_cancelled {
                        let _ = answer.send(None);
                        continue;
                    }
                    let entering = Entering {
                        part: part.clone(),
                        stopping: worker.stopping.clone(),
                        vault: vault.clone(),
                        life,
                        clock: worker.clock,
                        hindrance: hindrance.clone(),
                        made: Arc::default(),
                    };
                    let entry;
                    (entry, is_cancelled) = entering.enter(&ctx, name, making).await;
                    last = entry.as_ref().map_or(last, |entry| last.max(entry.at));
                    let _ = answer.send(entry);
                }
                Ask::Wait { duration, answer } => {
                    is_cancelled = is_cancelled || ctx.sleep(duration).await.is_err();
                    // A wait that was cut off has not passed: the driver knows when it was.
                    if !is_cancelled {
                        last += duration;
                    }
                    let _ = answer.send(!is_cancelled);
                }
                Ask::Finished(finished) => {
                    let is_cancelled = matches!(finished.result, Err(Trouble::Cancelled));
                    return match hindrance {
                        Some(hindrance) if !is_cancelled => Err(hindrance.into()),
                        _ => report(&ctx, &vault, last, finished).await,
                    };
                }
            }
        }
        Err(HandlerError::from("the script's thread is gone"))
    }
}

impl Step {
    /// Returns what an attempt needs: the clients of its target, and the identity for which the run's secrets are sealed.
    async fn means(
        &self,
        parcel: &Parcel,
        vault: &Vault,
    ) -> Result<Clients, Box<dyn std::error::Error + Send + Sync>> {
        OtherIdentity::refuse(vault.recipient()?, &parcel.sealed_to)?;
        Ok(self.worker.open(&parcel.place).await?)
    }
}

/// Makes an entry that a script asks for.
struct Entering {
    /// The part of the run that it belongs to, for errors.
    part: String,
    stopping: Stopping,
    vault: Arc<Vault>,
    life: u64,
    clock: fn() -> Timestamp,
    /// The reason why this worker can't do anything.
    hindrance: Option<Hindrance>,
    /// The entries of this life.
    made: Arc<Mutex<Option<EntryParcel>>>,
}

impl Entering {
    /// Makes the entry as one action; also returns whether the attempt was cancelled. A call in progress has ended by then,
    /// and its entry counts, although Restate would drop it.
    async fn enter(
        self,
        ctx: &Context<'_>,
        name: String,
        making: Making,
    ) -> (Option<EntryParcel>, bool) {
        let made = self.made.clone();
        let entry = ctx.run(|| self.make(making)).name(name).await;
        crash_point();
        match entry {
            Ok(Json(entry)) => (Some(entry), false),
            Err(_) => (lock(&made).take(), true),
        }
    }

    async fn make(self, making: Making) -> Result<Json<EntryParcel>, HandlerError> {
        self.stopping.unless_begun().await;
        if let Some(hindrance) = self.hindrance {
            return Err(hindrance.into());
        }
        let made = making.await;
        self.stopping.unless_begun().await;
        let events = made.events.into_iter();
        let events = events
            .map(|event| self.vault.close_event(event))
            .collect::<Result<_, _>>()
            .holds_up(&self.part)?;
        let entry = EntryParcel {
            at: (self.clock)(),
            life: self.life,
            events,
            stop: made.stop,
        };
        *lock(&self.made) = Some(entry.clone());
        Ok(Json(entry))
    }
}

/// Packs the report. Secrets that the script derived from others have no ciphertext yet, and get one in an action, so that
/// it is the same in every life.
async fn report(
    ctx: &Context<'_>,
    vault: &Arc<Vault>,
    at: Timestamp,
    finished: Finished,
) -> Result<Json<Report>, HandlerError> {
    let is_known = match &finished.result {
        Ok(outputs) => outputs.values().all(|value| vault.knows(value)),
        Err(_) => true,
    };
    if is_known {
        return Ok(Json(Report::pack(at, finished, vault)?));
    }
    let made: Arc<Mutex<Option<Report>>> = Arc::default();
    let (kept, vault) = (made.clone(), vault.clone());
    let pack = || async move {
        let report = Report::pack(at, finished, &vault)?;
        *lock(&kept) = Some(report.clone());
        Ok(Json(report))
    };
    let packed = ctx.run(pack).name("report").await;
    packed.or_else(|error| {
        // A cancel that comes this late does not change that the attempt has ended.
        let report = lock(&made).take();
        report.map(Json).ok_or_else(|| error.into())
    })
}

/// Ends the script of an attempt that is over or was replaced: two attempts of a step never overlap.
#[derive(Default)]
struct EndsScript {
    flag: Arc<AtomicBool>,
}

impl Drop for EndsScript {
    fn drop(&mut self) {
        self.flag.store(true, Ordering::Relaxed);
    }
}
