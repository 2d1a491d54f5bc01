use std::{collections::BTreeMap, sync::Arc};

use restate_sdk::prelude::*;

use super::{
    engine::{Engine, killed, page},
    stuck::HoldsUp,
    wire::{Done, Order, Pages},
    worker::Shared,
};
use crate::{
    compile::Program,
    execute::{
        driver::{Conduct, Driver},
        observer::Silent,
        substrate::Substrate,
    },
    journal::{Event, JournalError, Link, RunId, State, Status, fold, open_links},
    value::Digest,
};

/// Runs: one object each. Its state holds the run's events, in pages as they became durable together,
/// and its frozen files.
pub(super) struct Run {
    pub worker: Arc<Shared>,
}

const DRIVER: &str = "driver";

#[restate_sdk::object(
    name = "WindlassRun",
    client_visibility = "pub(super)",
    lazy_state = true
)]
impl Run {
    /// Drives the run as it is told, to its end. Exclusive: the engine lets one driver in at a time.
    #[handler]
    async fn drive(
        &self,
        ctx: ObjectContext<'_>,
        order: Json<Order>,
    ) -> Result<Json<Done>, HandlerError> {
        let Json(order) = order;
        let run = RunId::stored(ctx.key().to_owned());
        let vault = self.worker.vault.fresh();
        let (links, pages) = links(&ctx, 0).await?;
        if links.len() as u64 != order.expects {
            return Ok(Json(Done::Void));
        }
        let records = open_links(&run, 0, Digest::ZERO, links, |body, sealed| {
            vault.require(body)?;
            vault.open_event(sealed)
        })
        .holds_up(&run)?;
        let state = fold(&run, &records).holds_up(&run)?;
        let events = order.events.into_iter();
        let events = events
            .map(|event| vault.open_event(event))
            .collect::<Result<Vec<_>, JournalError>>()
            .holds_up(&run)?;
        let events = match order.is_only_record {
            true => events,
            false => lost_attempts(&state).chain(events).collect(),
        };
        let mut engine = Engine::new(&ctx, &vault, order.at);
        engine.remember(&records, pages);
        if let Some((edition, files)) = &order.files {
            ctx.set(&files_key(*edition), Json(files.clone()));
        }
        if order.is_only_record {
            let batch = events.into_iter().map(|event| (event, order.at)).collect();
            engine.append(batch).await.holds_up(&run)?;
            return Ok(Json(Done::Done));
        }
        ctx.set(DRIVER, ctx.invocation_id().to_owned());
        let (main, edition) = main_of(&state, &events);
        let files = match order.files {
            Some((_, files)) => files,
            None => frozen(&ctx, edition).await?,
        };
        let program = self.worker.program(&main, files).holds_up(&run)?;
        drive(&program, engine, state, events, order.max_parallel).await?;
        ctx.clear(DRIVER);
        Ok(Json(Done::Done))
    }

    /// Reads the run's events from one page of its state on. Its state comes with the call: a question for
    /// each page would cost the engine as much as the steps do.
    #[handler(lazy_state = false)]
    async fn events(
        &self,
        ctx: SharedObjectContext<'_>,
        from: u64,
    ) -> Result<Json<Pages>, HandlerError> {
        let driver = ctx.get::<String>(DRIVER).await?;
        let (links, next) = links(&ctx, from).await?;
        Ok(Json(Pages {
            links,
            next,
            driver,
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
    running.map(|(id, _)| Event::StepFailed {
        step: id.clone(),
        error: killed("the engine ended the attempt with its run"),
        retry_at: None,
    })
}

async fn drive(
    program: &Program,
    engine: impl Substrate,
    state: State,
    events: Vec<Event>,
    max_parallel: u16,
) -> Result<(), HandlerError> {
    let conduct = Conduct {
        max_parallel: max_parallel.into(),
        // A driver that waits costs nothing here.
        waits_for_people: true,
        observer: Arc::new(Silent),
    };
    let run = engine.run_id().clone();
    let driver = Driver::new(engine, program, state, conduct);
    driver.go(events).await.holds_up(&run)?;
    Ok(())
}

/// Reads JSON from the run's state: drivers and readers have contexts of different types.
trait Reads {
    async fn read<T>(&self, key: &str) -> Result<Option<T>, TerminalError>
    where
        T: for<'a> serde::Deserialize<'a> + 'static;
}

impl Reads for ObjectContext<'_> {
    async fn read<T>(&self, key: &str) -> Result<Option<T>, TerminalError>
    where
        T: for<'a> serde::Deserialize<'a> + 'static,
    {
        Ok(self.get::<Json<T>>(key).await?.map(Json::into_inner))
    }
}

impl Reads for SharedObjectContext<'_> {
    async fn read<T>(&self, key: &str) -> Result<Option<T>, TerminalError>
    where
        T: for<'a> serde::Deserialize<'a> + 'static,
    {
        Ok(self.get::<Json<T>>(key).await?.map(Json::into_inner))
    }
}

/// Reads pages until there is none; returns the events in them and the number of the next page.
async fn links(ctx: &impl Reads, from: u64) -> Result<(Vec<Link>, u64), TerminalError> {
    let (mut links, mut next) = (Vec::new(), from);
    while let Some(page) = ctx.read::<Vec<Link>>(&page(next)).await? {
        links.extend(page);
        next += 1;
    }
    Ok((links, next))
}

fn files_key(edition: u32) -> String {
    format!("files-{edition}")
}

async fn frozen(ctx: &impl Reads, edition: u32) -> Result<BTreeMap<String, String>, TerminalError> {
    Ok(ctx.read(&files_key(edition)).await?.unwrap_or_default())
}

/// The file that the run goes on with, and the edition of the files.
fn main_of(state: &State, events: &[Event]) -> (String, u32) {
    let told = events.iter().rev().find_map(|event| match event {
        Event::RunStarted { main, .. } => Some((main.clone(), 0)),
        Event::RunEdited { main, edition, .. } => Some((main.clone(), *edition)),
        _ => None,
    });
    let known = state
        .run
        .as_ref()
        .map(|run| (run.main.clone(), run.edition));
    told.or(known).unwrap_or_default()
}
