use std::{collections::BTreeMap, sync::Arc, time::Duration};

use restate_sdk::prelude::*;

use super::{
    book::page,
    engine::{Engine, WAITS, killed},
    stuck::HoldsUp,
    wire::{Done, Driving, GaveUp, Order, Pages},
    worker::Shared,
};
use windlass_engine::{
    compile::Program,
    execute::{Conduct, DriveError, Driver, Substrate},
    journal::{
        Event, JournalError, Link, RunEdited, RunId, RunStarted, State, Status, StepFailed, fold,
        open_links,
    },
};
use windlass_world::value::Digest;

/// Runs: one object each. Its state holds the run's events, in pages as they became durable together,
/// and its frozen files.
pub(super) struct Run {
    pub worker: Arc<Shared>,
}

const DRIVER: &str = "driver";
const GAVE_UP: &str = "gave_up";
/// Bytes of events in one answer; the engine takes 32 MiB.
const MAX_ANSWER: usize = 8 << 20;
/// How many pages are asked for at once: few at first, since a follower of a run has read the others.
const FIRST_BATCH: u64 = 4;
const LARGEST_BATCH: u64 = 64;

#[restate_sdk::object(
    name = "WindlassRun",
    client_visibility = "pub(super)",
    lazy_state = true
)]
impl Run {
    /// Drives the run by an order, to its end. Exclusive: Restate lets one driver in at a time.
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
        let mut engine = Engine::new(&ctx, &vault, &order);
        let events = order.events.into_iter();
        let events = events
            .map(|event| vault.open_event(event))
            .collect::<Result<Vec<_>, JournalError>>()
            .holds_up(&run)?;
        let events = match order.is_only_record {
            true => events,
            false => lost_attempts(&state).chain(events).collect(),
        };
        engine.remember(&records, next);
        if let Some((edition, files)) = &order.files {
            ctx.set(&files_key(*edition), Json(files.clone()));
        }
        if order.is_only_record {
            let batch = events.into_iter().map(|event| (event, order.at)).collect();
            engine.append(batch).await.holds_up(&run)?;
            return Ok(Json(Done::Done));
        }
        ctx.set(DRIVER, ctx.invocation_id().to_owned());
        ctx.clear(WAITS);
        ctx.clear(GAVE_UP);
        let (main, edition) = main_of(&state, &events);
        let files = match order.files {
            Some((_, files)) => files,
            None => frozen(&ctx, edition).await?,
        };
        let program = self.worker.program(&main, files).holds_up(&run)?;
        let conduct = Conduct {
            max_parallel: order.max_parallel.into(),
            // A driver that waits costs nothing here.
            waits_for_people: true,
            lock_timeout: order.lock_timeout.map(Duration::from_millis),
            observer: (self.worker.observes)(&run),
        };
        if let Some(gave_up) = drive(&program, engine, state, events, conduct).await? {
            ctx.set(GAVE_UP, Json(gave_up));
        }
        ctx.clear(DRIVER);
        Ok(Json(Done::Done))
    }

    /// Reads the run's events from one page of its state on, as many as fit one answer.
    #[handler]
    async fn events(
        &self,
        ctx: SharedObjectContext<'_>,
        from: u64,
    ) -> Result<Json<Pages>, HandlerError> {
        Ok(Json(pages(&ctx, from, FIRST_BATCH, MAX_ANSWER).await?))
    }

    /// What drives the run, and what that waits for.
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

/// What runs as far as the events tell: its driver was killed in the engine, and its attempts with it.
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
    engine: impl Substrate,
    state: State,
    events: Vec<Event>,
    conduct: Conduct,
) -> Result<Option<GaveUp>, HandlerError> {
    let run = engine.run_id().clone();
    let driver = Driver::new(engine, program, state, conduct);
    match driver.go(events).await {
        Err(DriveError::Locked { lock, run }) => Ok(Some(GaveUp { lock, run })),
        ended => ended.holds_up(&run).map(|_| None),
    }
}

/// Reads JSON from the run's state: drivers and readers have contexts of different types.
trait Reads {
    /// Asks at once, and gives what the answer is waited for with.
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

/// Reads pages until there is none, or until they have this many bytes together.
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
        // Asked for together: they cost one way there and back.
        let keys: Vec<_> = (read.next..read.next + batch).map(page).collect();
        let asked: Vec<_> = keys.iter().map(|key| ctx.read::<Vec<Link>>(key)).collect();
        for asked in asked {
            let answer = asked.await?;
            // Every question has to be heard out, also what comes after the last page.
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

/// The file that the run uses, and the edition of the files.
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
