//! Waits until an object meets a condition, without polling.

use std::time::Duration;

use futures_util::TryStreamExt;
use http::Method;
use http_body_util::BodyExt;
use kube::{Error, core::WatchEvent};
use serde_json::Value as Json;
use tokio::time::Instant;

use super::{
    client::KubeClient,
    failure::{About, classify, of_status},
    request::request,
    resource::Named,
    retry::Pauses,
    stream::{Joined, version, wanted},
};
use crate::value::{Failure, FailureClass};

/// The pause after a watch that ended at once: an API server is starting, or a proxy is in between.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// The time of the single look that a wait with no time left still makes.
const SHORTEST_LOOK: Duration = Duration::from_secs(5);

/// The code of a failure of a login plugin, or of another login that can't be made.
const NO_LOGIN: &str = "Unauthenticated";

/// Says whether a failure is of the API server or of the connection, so that waiting may help.
pub fn is_passing(failure: &Failure) -> bool {
    matches!(
        failure.class,
        FailureClass::Unavailable | FailureClass::Timeout | FailureClass::Throttled
    )
}

/// How the watch on an object ended.
enum Seen {
    /// With the object as it was waited for.
    Wanted(Json),
    /// Otherwise: the object must be read again.
    Over,
    /// The version is too old to watch from.
    TooOld,
}

/// With what an object is watched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Watching {
    /// A watch of its own: the login needs no right to watch others.
    Alone,
    /// The watch that all waits for its kind and namespace share.
    Together,
}

impl KubeClient {
    /// Watches an object until `is_done`, or until this much time has passed; returns its last state, `None` if it does not exist. While
    /// an API server can't be reached, it waits.
    pub async fn watch_until(
        &self,
        object: &Named,
        patience: Duration,
        is_done: impl Fn(Option<&Json>) -> bool,
    ) -> Result<Option<Json>, Failure> {
        self.watch_with(Watching::Alone, object, patience, is_done)
            .await
    }

    /// As [`watch_until`](Self::watch_until), with either kind of watch.
    pub(super) async fn watch_with(
        &self,
        watching: Watching,
        object: &Named,
        patience: Duration,
        is_done: impl Fn(Option<&Json>) -> bool,
    ) -> Result<Option<Json>, Failure> {
        let deadline = Instant::now() + patience;
        let mut pauses = Pauses::new(patience);
        let path = match watching {
            Watching::Alone => String::new(),
            Watching::Together => self.resource(&object.kind).await?.path(&object.namespace),
        };
        let (mut is_too_old, mut has_looked) = (false, false);
        loop {
            let began = Instant::now();
            // Before the look: what changes after it is seen then.
            let mut joined = match watching {
                Watching::Alone => Joined::Refused,
                Watching::Together => self.streams.join(&path, &object.name),
            };
            let known = match &mut joined {
                Joined::Open(_, known) => known.take(),
                _ => None,
            };
            let looked = match known {
                Some(known) => Ok(Some(known)),
                None => self.look(object, deadline).await,
            };
            let found = match looked {
                Ok(found) => found,
                // A login that is renewed during the wait fails as an API server does.
                Err(failure) if is_passing(&failure) || has_looked && failure.code == NO_LOGIN => {
                    match pauses.next(None) {
                        Some(pause) => {
                            tokio::time::sleep(pause).await;
                            continue;
                        }
                        None => return Err(failure),
                    }
                }
                Err(failure) => return Err(failure),
            };
            has_looked = true;
            if is_done(found.as_ref()) || Instant::now() >= deadline {
                return Ok(found);
            }
            let from = found.as_ref().filter(|_| !is_too_old);
            let change = async {
                let about = self.about("watch", object, false);
                let version = found.as_ref().and_then(version);
                let changes = match (joined, version) {
                    (Joined::Open(changes, _), Some(version)) => Some((changes, version)),
                    (Joined::NotOpen, Some(version)) => {
                        let opened = self.open_stream(&about, &path, version).await?;
                        opened.map(|changes| (changes, version))
                    }
                    _ => None,
                };
                match changes {
                    Some((changes, after)) => {
                        let seen = wanted(changes, &object.name, after, &is_done).await;
                        Ok(seen.map_or(Seen::Over, Seen::Wanted))
                    }
                    None => self.next_change(object, from, deadline, &is_done).await,
                }
            };
            match tokio::time::timeout_at(deadline, change).await {
                Ok(Ok(Seen::Wanted(found))) => return Ok(Some(found)),
                Ok(Ok(Seen::Over)) => is_too_old = false,
                Ok(Ok(Seen::TooOld)) => is_too_old = true,
                Ok(Err(f)) if is_passing(&f) || f.code == NO_LOGIN => {}
                Ok(Err(failure)) => return Err(failure),
                Err(_) => continue,
            }
            if began.elapsed() < PAUSE {
                tokio::time::sleep_until((began + PAUSE).min(deadline)).await;
            }
        }
    }

    /// Reads the object once. A connection that hangs must not extend the wait beyond its deadline.
    async fn look(&self, object: &Named, deadline: Instant) -> Result<Option<Json>, Failure> {
        let client = self.with_patience(Duration::ZERO);
        let until = deadline.max(Instant::now() + SHORTEST_LOOK);
        match tokio::time::timeout_at(until, client.find(object)).await {
            Ok(found) => found,
            Err(_) => {
                let about = self.about("get", object, false);
                Err(about.failure(FailureClass::Timeout, "Timeout", "no answer came in time"))
            }
        }
    }

    /// Watches an object from a version on, or from what is there now, until it is as waited for or the watch ends.
    async fn next_change(
        &self,
        object: &Named,
        from: Option<&Json>,
        deadline: Instant,
        is_done: impl Fn(Option<&Json>) -> bool,
    ) -> Result<Seen, Failure> {
        let about: About = self.about("watch", object, false);
        let resource = self.resource(&object.kind).await?;
        let fields = format!("metadata.name={}", object.name);
        let seconds = (deadline - Instant::now()).as_secs().max(1).to_string();
        let mut query = vec![
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("fieldSelector", fields.as_str()),
            ("timeoutSeconds", seconds.as_str()),
        ];
        let version = from.and_then(|found| found.pointer("/metadata/resourceVersion"));
        if let Some(version) = version.and_then(Json::as_str) {
            query.push(("resourceVersion", version));
        }
        let path = resource.path(&object.namespace);
        let request =
            request(&Method::GET, &path, &query, None).map_err(|e| classify(&about, e))?;
        let answer = self.open(&about, request).await;
        let answer = answer.map_err(|refused| refused.failure)?;
        let mut body = answer.into_body().into_data_stream();
        let mut lines = Lines::default();
        while let Some(part) = body.try_next().await.map_err(|e| classify(&about, e))? {
            if !lines.push(&part) {
                let why = "an event of the watch is larger than 16 MiB";
                return Err(about.failure(FailureClass::Rejected, "TooLarge", why));
            }
            while let Some(line) = lines.next() {
                let event = serde_json::from_slice::<WatchEvent<Json>>(&line);
                let event = event.map_err(|e| classify(&about, Error::SerdeError(e)))?;
                match event {
                    WatchEvent::Added(found) | WatchEvent::Modified(found)
                        if is_done(Some(&found)) =>
                    {
                        return Ok(Seen::Wanted(found));
                    }
                    WatchEvent::Deleted(_) => return Ok(Seen::Over),
                    WatchEvent::Error(status) if status.code == 410 => return Ok(Seen::TooOld),
                    WatchEvent::Error(status) => return Err(of_status(&about, &status)),
                    _ => {}
                }
            }
        }
        Ok(Seen::Over)
    }
}

/// The longest line in bytes: etcd takes objects of 1.5 MiB.
const LONGEST_LINE: usize = 16 << 20;

/// Splits a stream into lines, wherever its parts end.
#[derive(Default)]
pub(super) struct Lines {
    held: Vec<u8>,
}

impl Lines {
    /// Adds a part; returns false if the line that has begun is too long.
    pub fn push(&mut self, part: &[u8]) -> bool {
        self.held.extend_from_slice(part);
        self.held.len() <= LONGEST_LINE || self.held.contains(&b'\n')
    }

    pub fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.held.iter().position(|byte| *byte == b'\n')?;
        Some(self.held.drain(..=end).collect())
    }
}
