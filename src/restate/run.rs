use std::{collections::BTreeMap, sync::Arc, time::Duration};

use restate_sdk::prelude::*;

use super::{
    book::page,
    index::{ALL, IndexClient},
    mail::MailClient,
    pruned::{PrunedRun, PrunedRunsClient},
    stuck::HoldsUp,
    substrate::{RunSubstrate, WAITS, killed},
    wire::{Done, Driving, GaveUp, Order, Pages},
    worker::{Edition, Shared},
};
use windlass_compile::Program;
use windlass_engine::execute::{Conduct, DriveError, Driver, Substrate};
use windlass_journal::{
    Event, JournalError, Link, RunEdited, RunId, RunStarted, State, Status, StepFailed, fold,
    open_links,
};
use windlass_world::value::Digest;

/// Runs: one object for each. Its state holds the run's events, in pages of events that became durable together,
/// and its frozen files.
pub(super) struct Run {
    pub worker: Arc<Shared>,
}

const DRIVER: &str = "driver";
const GAVE_UP: &str = "gave_up";
/// The size of the events in one answer, in bytes; Restate accepts 32 MiB.
const MAX_ANSWER: usize = 8 << 20;
/// How many pages are requested at once: few at first, since a follower of a run has read the earlier ones.
const FIRST_BATCH: u64 = 4;
const LARGEST_BATCH: u64 = 64;

#[restate_sdk::object(
    name = "WindlassRun",
    client_visibility = "pub(super)",
    lazy_state = true
)]
impl Run {
    /// Carries out an order and drives the run to its end. Exclusive: Restate runs one driver at a time.
    #[handler]
    async fn drive(
        &self,
        ctx: ObjectContext<'_>,
        order: Json<Order>,
    ) -> Result<Json<Done>, HandlerError> {
        let Json(order) = order;
        let run = RunId::stored(ctx.key().to_owned());
        let vault = self.worker.vault.fresh();
        let batch = match order.expects {
            0 => 1,
            _ => LARGEST_BATCH,
        };
        let Pages { links, next, .. } = pages(&ctx, 0, batch, usize::MAX).await?;
        if links.len() as u64 != order.expects {
            return Ok(Json(Done::Void));
        }
        let records = open_links(&run, 0, Digest::ZERO, links, |body, sealed| {
            vault.require(body)?;
            vault.open_event(sealed)
        })
        .holds_up(&run)?;
        let state = fold(&run, &records).holds_up(&run)?;
        let mut substrate = RunSubstrate::new(&ctx, &vault, &order, self.worker.clock);
        let events = order.events.into_iter();
        let events = events
            .map(|event| vault.open_event(event))
            .collect::<Result<Vec<_>, JournalError>>()
            .holds_up(&run)?;
        let events = if order.is_only_record {
            events
        } else {
            lost_attempts(&state).chain(events).collect()
        };
        substrate.remember(&records, next);
        if let Some((edition, files)) = &order.files {
            ctx.set(&files_key(*edition), Json(files.clone()));
        }
        if order.is_only_record {
            let batch = events.into_iter().map(|event| (event, order.at)).collect();
            substrate.append(batch).await.holds_up(&run)?;
            return Ok(Json(Done::Done));
        }
        ctx.set(DRIVER, ctx.invocation_id().to_owned());
        ctx.clear(WAITS);
        ctx.clear(GAVE_UP);
        let (main, number) = main_of(&state, &events);
        let files = match order.files {
            Some((_, files)) => files,
            None => frozen(&ctx, number).await?,
        };
        let mut former = Vec::new();
        for (number, main) in former_of(&state, number) {
            let files = frozen(&ctx, number).await?;
            former.push(Edition {
                number,
                main,
                files,
            });
        }
        let edition = Edition {
            number,
            main,
            files,
        };
        let program = self.worker.program(edition, former).holds_up(&run)?;
        let conduct = Conduct {
            max_parallel: order.max_parallel.into(),
            // A waiting driver costs nothing on Restate.
            waits_for_people: true,
            lock_timeout: order.lock_timeout.map(Duration::from_millis),
            observer: (self.worker.observes)(&run),
        };
        if let Some(gave_up) = drive(&program, substrate, state, events, conduct).await? {
            ctx.set(GAVE_UP, Json(gave_up));
        }
        ctx.clear(DRIVER);
        Ok(Json(Done::Done))
    }

    /// Deletes the run, if its events have not changed since they were checked: its remains are stored before anything is deleted.
    #[handler]
    async fn forget(
        &self,
        ctx: ObjectContext<'_>,
        pruned: Json<PrunedRun>,
    ) -> Result<Json<Done>, HandlerError> {
        let Json(pruned) = pruned;
        let Pages { links, .. } = pages(&ctx, 0, LARGEST_BATCH, usize::MAX).await?;
        let head = links.last().map(|last| last.digest);
        if head != Some(pruned.head) || links.len() as u64 != pruned.events {
            return Ok(Json(Done::Void));
        }
        let run = ctx.key().to_owned();
        let kept = ctx.object_client::<PrunedRunsClient>(ALL).put(Json(pruned));
        kept.call().await?;
        let listed = ctx.object_client::<IndexClient>(ALL).remove(run.clone());
        listed.call().await?;
        ctx.object_client::<MailClient>(run).forget().send();
        ctx.clear_all();
        Ok(Json(Done::Done))
    }

    /// Reads the run's events, starting with one page of its state, as many as fit in one answer.
    #[handler]
    async fn events(
        &self,
        ctx: SharedObjectContext<'_>,
        from: u64,
    ) -> Result<Json<Pages>, HandlerError> {
        Ok(Json(pages(&ctx, from, FIRST_BATCH, MAX_ANSWER).await?))
    }

    /// Returns the driver of the run, and what it waits for.
    #[handler]
    async fn driver(&self, ctx: SharedObjectContext<'_>) -> Result<Json<Driving>, HandlerError> {
        let driver = ctx.get::<String>(DRIVER).await?;
        let waits = ctx.read(WAITS).await?;
        let gave_up = ctx.read(GAVE_UP).await?;
        Ok(Json(Driving {
            driver,
            waits: waits.map(Json::into_inner).unwrap_or_default(),
            gave_up: gave_up.map(Json::into_inner),
        }))
    }

    /// Reads the files that an edition of the run froze.
    #[handler]
    async fn files(
        &self,
        ctx: SharedObjectContext<'_>,
        edition: u32,
    ) -> Result<Json<BTreeMap<String, String>>, HandlerError> {
        Ok(Json(frozen(&ctx, edition).await?))
    }
}

/// Returns the attempts that are running according to the events: the driver was killed in Restate, and its attempts with it.
fn lost_attempts(state: &State) -> impl Iterator<Item = Event> {
    let running = state
        .steps
        .iter()
        .filter(|(_, instance)| instance.status == Status::Running && !instance.is_composite());
    running.map(|(id, _)| {
        Event::StepFailed(StepFailed {
            step: id.clone(),
            error: killed("Restate ended the attempt with its run"),
            retry_at: None,
        })
    })
}

/// Drives the run to its end, or until it has waited too long for a lock.
async fn drive(
    program: &Program,
    substrate: impl Substrate,
    state: State,
    events: Vec<Event>,
    conduct: Conduct,
) -> Result<Option<GaveUp>, HandlerError> {
    let run = substrate.run_id().clone();
    let driver = Driver::new(substrate, program, state, conduct);
    match driver.go(events).await {
        Err(DriveError::Locked { lock, run, .. }) => Ok(Some(GaveUp { lock, run })),
        ended => ended.holds_up(&run).map(|_| None),
    }
}

/// Reads JSON from the run's state; drivers and readers have contexts of different types.
trait Reads {
    /// Sends the request at once, and returns a future of the answer.
    fn read<'a, T>(
        &'a self,
        key: &'a str,
    ) -> impl Future<Output = Result<Option<Json<T>>, TerminalError>> + Send + 'a
    where
        T: for<'b> serde::Deserialize<'b> + 'static;
}

impl Reads for ObjectContext<'_> {
    fn read<'a, T>(
        &'a self,
        key: &'a str,
    ) -> impl Future<Output = Result<Option<Json<T>>, TerminalError>> + Send + 'a
    where
        T: for<'b> serde::Deserialize<'b> + 'static,
    {
        self.get::<Json<T>>(key)
    }
}

impl Reads for SharedObjectContext<'_> {
    fn read<'a, T>(
        &'a self,
        key: &'a str,
    ) -> impl Future<Output = Result<Option<Json<T>>, TerminalError>> + Send + 'a
    where
        T: for<'b> serde::Deserialize<'b> + 'static,
    {
        self.get::<Json<T>>(key)
    }
}

/// Reads pages until there are no more, or until they have this many bytes together.
async fn pages(
    ctx: &impl Reads,
    from: u64,
    mut batch: u64,
    most: usize,
) -> Result<Pages, TerminalError> {
    let mut read = Pages {
        links: Vec::new(),
        next: from,
        is_last: false,
    };
    let mut bytes = 0;
    loop {
        // Requested together, they cost one round trip.
        let keys: Vec<_> = (read.next..read.next + batch).map(page).collect();
        let asked: Vec<_> = keys.iter().map(|key| ctx.read::<Vec<Link>>(key)).collect();
        for asked in asked {
            let answer = asked.await?;
            // Every request must be awaited, even for pages after the last one.
            if read.is_last || bytes > most {
                continue;
            }
            match answer {
                None => read.is_last = true,
                Some(Json(page)) => {
                    bytes += page.iter().map(|link| link.body.len()).sum::<usize>();
                    read.links.extend(page);
                    read.next += 1;
                }
            }
        }
        if read.is_last || bytes > most {
            return Ok(read);
        }
        batch = (batch * 2).min(LARGEST_BATCH);
    }
}

fn files_key(edition: u32) -> String {
    format!("files-{edition}")
}

async fn frozen(ctx: &impl Reads, edition: u32) -> Result<BTreeMap<String, String>, TerminalError> {
    let files = ctx.read(&files_key(edition)).await?;
    Ok(files.map(Json::into_inner).unwrap_or_default())
}

/// Lists the editions of the files before this one, with the paths of their workflow files.
fn former_of(state: &State, edition: u32) -> Vec<(u32, String)> {
    let Some(run) = &state.run else {
        return Vec::new();
    };
    let former = run.former.iter();
    let former = former.map(|former| (former.edition, former.main.clone()));
    let newest = (run.edition < edition).then(|| (run.edition, run.main.clone()));
    former.chain(newest).collect()
}

/// Returns the path of the run's workflow file, and the edition of the files.
fn main_of(state: &State, events: &[Event]) -> (String, u32) {
    let told = events.iter().rev().find_map(|event| match event {
        Event::RunStarted(RunStarted { main, .. }) => Some((main.clone(), 0)),
        Event::RunEdited(RunEdited { main, edition, .. }) => Some((main.clone(), *edition)),
        _ => None,
    });
    let known = state
        .run
        .as_ref()
        .map(|run| (run.main.clone(), run.edition));
    told.or(known).unwrap_or_default()
}
