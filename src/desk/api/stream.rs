//! Server-sent events. A stream is admitted like any other request, and ends when the request would no longer be admitted.

use std::{convert::Infallible, pin::Pin, time::Duration};

use axum::{
    Extension,
    extract::{Path, State},
    response::sse::{Event, KeepAlive, KeepAliveStream, Sse},
};
use futures_util::{Stream, stream};
use http::HeaderMap;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::{act::Queried, look::run_id, run::event_item};
use crate::{admit::Pass, answer::Problem, server::Desk};
use windlass_journal::RunId;
use windlass_runs::{Cursor, RunsError};

/// How often a comment is sent while nothing happens, because many proxies close a connection that is silent for a minute.
const ALIVE: Duration = Duration::from_secs(15);
/// The shortest time between two batches of events, because the browser loads the page again after each: for a run, and for the list of
/// runs. An event after a pause is sent at once.
const COALESCE: Duration = Duration::from_millis(100);
const COALESCE_LIST: Duration = Duration::from_millis(500);
/// How often the journal is checked for events that another process wrote.
const ELSEWHERE: Duration = Duration::from_secs(1);

/// The data of an event that says nothing but its name: a client ignores events without data (WHATWG HTML, "Server-sent events").
const NOTHING: &str = "{}";
/// How many events are read at once, and kept in memory for each client. A long run is sent page by page, as fast as the client reads.
const PAGE: usize = 200;

/// How often a stream checks its client's session or token again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Events = Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>;

/// The query of a stream. A page gives the `seq` of the last event that it shows.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct StreamQuery {
    /// The `seq` of the last event that the client has.
    after: Option<u64>,
}

/// Streams the events of a run that follow Last-Event-ID.
pub async fn run(
    State(desk): State<Desk>,
    Extension(pass): Extension<Pass>,
    Path(run): Path<String>,
    Queried(query): Queried<StreamQuery>,
    headers: HeaderMap,
) -> Result<Sse<KeepAliveStream<Events>>, Problem> {
    let run = run_id(&run)?;
    // A run that does not exist is an error of the request, not of the stream.
    let asked = run.clone();
    let known = desk
        .ask(move |runs| Ok(runs.run(&asked)?.state.events))
        .await?;
    let last = headers.get("last-event-id").map(|id| {
        let text = id.to_str().ok();
        text.and_then(|text| text.trim().parse::<u64>().ok())
    });
    let (after, is_lost) = match last {
        None => (query.after.filter(|after| *after < known), false),
        Some(Some(last)) if last < known => (Some(last), false),
        Some(_) => (None, true),
    };
    let asked = run.clone();
    let cursor = desk.ask(move |runs| match after {
        Some(after) => runs.cursor(&asked, after + 1),
        None => Ok(Cursor::default()),
    });
    let following = Following {
        changes: desk.runs.changes(),
        cursor: cursor.await?,
        admitted: Admitted::new(&desk, pass),
        desk,
        run,
        after,
        is_lost,
        is_first: true,
        has_more: false,
        sent: Instant::now(),
        waiting: Vec::new().into_iter(),
    };
    Ok(sse(Box::pin(stream::unfold(following, Following::next))))
}

/// The state of a stream of a run's events.
struct Following {
    desk: Desk,
    admitted: Admitted,
    run: RunId,
    changes: watch::Receiver<u64>,
    cursor: Cursor,
    /// The last event that the client has.
    after: Option<u64>,
    /// Whether the client's Last-Event-ID is not an event of this run.
    is_lost: bool,
    is_first: bool,
    /// Whether more events follow those that have been read.
    has_more: bool,
    /// When events were last sent.
    sent: Instant,
    /// Events that have been read and not yet sent.
    waiting: std::vec::IntoIter<Event>,
}

impl Following {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if std::mem::take(&mut self.is_lost) {
            return Some((Ok(Event::default().event("reset").data(NOTHING)), self));
        }
        loop {
            if let Some(event) = self.waiting.next() {
                return Some((Ok(event), self));
            }
            let reads_on = std::mem::take(&mut self.has_more);
            if !std::mem::take(&mut self.is_first)
                && !reads_on
                && !woken(&self.desk, &mut self.changes, self.sent + COALESCE).await
            {
                return None;
            }
            self.changes.borrow_and_update();
            if self.desk.stop.is_cancelled() || !self.admitted.still().await {
                return None;
            }
            // The stream ends if the run can no longer be read.
            self.read().await.ok()?;
        }
    }

    async fn read(&mut self) -> Result<(), Problem> {
        let (run, mut cursor, after) = (self.run.clone(), self.cursor, self.after);
        let asked = self.desk.ask(move |runs| {
            let mut events = Vec::new();
            let has_more = runs.some_events(&run, &mut cursor, PAGE, &mut |record| {
                if after.is_none_or(|after| record.seq > after) {
                    let item = event_item(&record);
                    let text = serde_json::to_string(&item).unwrap_or_default();
                    let event = Event::default().id(record.seq.to_string());
                    events.push(event.event("event").data(text));
                }
            })?;
            Ok::<_, RunsError>((cursor, events, has_more))
        });
        let (cursor, events, has_more) = asked.await?;
        self.cursor = cursor;
        self.has_more = has_more;
        if !events.is_empty() {
            self.sent = Instant::now();
        }
        self.waiting = events.into_iter();
        Ok(())
    }
}

/// Streams an event for each change to any run.
pub async fn changes(
    State(desk): State<Desk>,
    Extension(pass): Extension<Pass>,
) -> Result<Sse<KeepAliveStream<Events>>, Problem> {
    let seen = version(&desk).await?;
    let changes = desk.runs.changes();
    let admitted = Admitted::new(&desk, pass);
    let stream = stream::unfold(
        (desk, admitted, changes, seen, Instant::now()),
        |(desk, mut admitted, mut changes, seen, sent)| async move {
            loop {
                if !woken(&desk, &mut changes, sent + COALESCE_LIST).await
                    || !admitted.still().await
                {
                    return None;
                }
                changes.borrow_and_update();
                let now = version(&desk).await.ok()?;
                if now != seen {
                    let event = Event::default().event("changed").data(NOTHING);
                    let next = (desk, admitted, changes, now, Instant::now());
                    return Some((Ok(event), next));
                }
            }
        },
    );
    Ok(sse(Box::pin(stream)))
}

/// The client of a stream, whose session or token may end before the stream does.
struct Admitted {
    desk: Desk,
    pass: Pass,
    looked: Instant,
}

impl Admitted {
    fn new(desk: &Desk, pass: Pass) -> Self {
        Self {
            desk: desk.clone(),
            pass,
            looked: Instant::now(),
        }
    }

    /// Returns whether the client is still admitted; checks at most once per [`LOOK_AGAIN`].
    async fn still(&mut self) -> bool {
        if self.looked.elapsed() < LOOK_AGAIN {
            return true;
        }
        self.looked = Instant::now();
        self.desk.still_admits(&self.pass).await
    }
}

/// Returns a number that changes when any run gets an event, even from another process.
async fn version(desk: &Desk) -> Result<i64, Problem> {
    desk.ask(|runs| runs.version()).await
}

/// Waits until something may have changed, and at least until `not_before`. Returns `false` when the server stops.
async fn woken(desk: &Desk, changes: &mut watch::Receiver<u64>, not_before: Instant) -> bool {
    tokio::select! {
        () = desk.stop.cancelled() => return false,
        changed = changes.changed() => if changed.is_err() { return false },
        () = sleep(ELSEWHERE) => return true,
    }
    tokio::select! {
        () = desk.stop.cancelled() => false,
        () = sleep_until(not_before) => true,
    }
}

fn sse(events: Events) -> Sse<KeepAliveStream<Events>> {
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE))
}
