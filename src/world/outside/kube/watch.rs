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
};
use crate::value::{Failure, FailureClass};

/// The pause after a watch that ended at once: an API server is starting, or a proxy is in between.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// The time of the single look that a wait with no time left still makes.
const SHORTEST_LOOK: Duration = Duration::from_secs(5);

/// Says whether a failure is of the API server or of the connection, so that waiting may help.
pub fn is_passing(failure: &Failure) -> bool {
    matches!(
        failure.class,
        FailureClass::Unavailable | FailureClass::Timeout | FailureClass::Throttled
    )
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
        let deadline = Instant::now() + patience;
        let mut pauses = Pauses::new(patience);
        loop {
            let began = Instant::now();
            let found = match self.look(object, deadline).await {
                Ok(found) => found,
                Err(failure) if is_passing(&failure) => match pauses.next(None) {
                    Some(pause) => {
                        tokio::time::sleep(pause).await;
                        continue;
                    }
                    None => return Err(failure),
                },
                Err(failure) => return Err(failure),
            };
            if is_done(found.as_ref()) || Instant::now() >= deadline {
                return Ok(found);
            }
            let change = self.next_change(object, found.as_ref(), deadline, &is_done);
            match tokio::time::timeout_at(deadline, change).await {
                Ok(Ok(Some(found))) => return Ok(Some(found)),
                // The version is too old, or the connection ended: read the object again.
                Ok(Ok(None)) => {}
                Ok(Err(f)) if is_passing(&f) => {}
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

    /// Watches an object from a version on; returns it when `is_done`, and `None` when the watch has ended.
    async fn next_change(
        &self,
        object: &Named,
        from: Option<&Json>,
        deadline: Instant,
        is_done: impl Fn(Option<&Json>) -> bool,
    ) -> Result<Option<Json>, Failure> {
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
            lines.push(&part);
            while let Some(line) = lines.next() {
                let event = serde_json::from_slice::<WatchEvent<Json>>(&line);
                let event = event.map_err(|e| classify(&about, Error::SerdeError(e)))?;
                match event {
                    WatchEvent::Added(found) | WatchEvent::Modified(found)
                        if is_done(Some(&found)) =>
                    {
                        return Ok(Some(found));
                    }
                    WatchEvent::Deleted(_) => return Ok(None),
                    // 410: the version is too old.
                    WatchEvent::Error(status) if status.code == 410 => return Ok(None),
                    WatchEvent::Error(status) => return Err(of_status(&about, &status)),
                    _ => {}
                }
            }
        }
        Ok(None)
    }
}

/// Splits a stream into lines, wherever its parts end.
#[derive(Default)]
struct Lines {
    held: Vec<u8>,
}

impl Lines {
    fn push(&mut self, part: &[u8]) {
        self.held.extend_from_slice(part);
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let end = self.held.iter().position(|byte| *byte == b'\n')?;
        Some(self.held.drain(..=end).collect())
    }
}
