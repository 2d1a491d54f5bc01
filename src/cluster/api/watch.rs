use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::{
    Call,
    read::{in_version, partial},
    select::Selectors,
};
use crate::{
    object::{namespace, now},
    resource::Resource,
    service::Service,
    store::{Change, ChangeKind},
    wire::{Answer, Failure, Shape, table},
};

/// How long a watch without `timeoutSeconds` lasts; the API server chooses between 30 and 60 minutes.
const LONGEST: Duration = Duration::from_secs(45 * 60);
/// How often a watch without events sends a bookmark.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How often a watch checks for writes of other processes to the folder. It sees writes of its own process at once.
const LOOK: Duration = Duration::from_millis(100);

/// A watch of one resource.
pub(crate) struct Watch {
    service: Arc<Service>,
    resource: Resource,
    namespace: Option<String>,
    selectors: Selectors,
    shape: Shape,
    bookmarks: bool,
    /// The resource version up to which events have been sent.
    version: u64,
    /// Lines that are ready to be sent.
    ready: VecDeque<Json>,
    has_columns: bool,
    until: Instant,
    bookmark_at: Instant,
    is_over: bool,
}

pub(super) fn start(call: &Call) -> Result<Answer, Failure> {
    let mut selectors = Selectors::read(&call.query, &call.resource)?;
    if let Some(name) = &call.target.name {
        selectors = selectors.with_name(name);
    }
    let timeout = call
        .query
        .number("timeoutSeconds")
        .filter(|seconds| *seconds > 0);
    let timeout = timeout.map_or(LONGEST, Duration::from_secs).min(LONGEST);
    let started = Instant::now();
    let mut watch = Watch {
        service: Arc::clone(call.service),
        resource: call.resource.clone(),
        namespace: call.target.namespace.clone(),
        selectors,
        shape: call.accept.shape,
        bookmarks: call.query.flag("allowWatchBookmarks"),
        version: 0,
        ready: VecDeque::new(),
        has_columns: false,
        until: started + timeout,
        bookmark_at: started + BOOKMARKS,
        is_over: false,
    };
    let asked = call.query.get("resourceVersion");
    let initial = match call.query.get("sendInitialEvents") {
        Some("true") => true,
        Some(_) => false,
        None => matches!(asked, None | Some("0")),
    };
    match (asked, initial) {
        (_, true) => watch.begin_with_what_is_there(call.query.flag("sendInitialEvents"))?,
        (None, false) => watch.version = call.service.store.read(|tx| tx.version())?,
        (Some(asked), false) => {
            watch.version = asked.parse().map_err(|_| {
                Failure::bad_request(format!("invalid resource version: {asked:?}"))
            })?;
        }
    }
    Ok(Answer::Watch(Box::new(watch)))
}

impl Watch {
    /// Returns the lines of the response as they become available.
    pub fn events(self) -> impl Stream<Item = Result<Vec<u8>, std::io::Error>> + Send {
        futures_util::stream::unfold(self, |mut watch| async move {
            let lines = watch.next_lines().await?;
            Some((Ok(lines), watch))
        })
    }

    async fn next_lines(&mut self) -> Option<Vec<u8>> {
        let mut changed = self.service.changes();
        loop {
            if !self.ready.is_empty() {
                let lines = self.ready.drain(..);
                let lines: Vec<_> = lines.map(|line| format!("{line}\n")).collect();
                return Some(lines.concat().into_bytes());
            }
            if self.is_over || self.service.stopping.is_cancelled() || Instant::now() >= self.until
            {
                return None;
            }
            changed.mark_unchanged();
            let wake = self.look().await?;
            if !self.ready.is_empty() {
                continue;
            }
            // Checked only now, so that even the shortest watch reads once.
            if Instant::now() >= self.until {
                return None;
            }
            let pause = wake.map_or(LOOK, |wake| LOOK.min(wake));
            tokio::select! {
                _ = changed.changed() => {}
                () = self.service.stopping.cancelled() => return None,
                () = tokio::time::sleep_until(self.until.min(Instant::now() + pause)) => {}
            }
        }
    }

    /// Reads the changes since the last look. Returns how long it takes until a controller has work.
    async fn look(&mut self) -> Option<Option<Duration>> {
        let service = Arc::clone(&self.service);
        let (key, after) = (self.resource.key(), self.version);
        let looked = tokio::task::spawn_blocking(move || {
            service.catch_up()?;
            service.store.read(|tx| {
                if after < tx.compacted()? {
                    return Ok((None, tx.version()?, None));
                }
                Ok((
                    Some(tx.changes(&key, after)?),
                    tx.version()?,
                    tx.next_wake()?,
                ))
            })
        });
        let (changes, version, wake) = match looked.await.ok()? {
            Ok(looked) => looked,
            Err(failure) => {
                self.fail(&failure);
                return Some(None);
            }
        };
        let Some(changes) = changes else {
            let text = format!("too old resource version: {after} ({version})");
            self.fail(&Failure::expired(&text));
            return Some(None);
        };
        for change in changes {
            self.see(change);
        }
        // A client may ask for a version that does not exist yet.
        self.version = self.version.max(version);
        if self.bookmarks && Instant::now() >= self.bookmark_at {
            self.bookmark(false);
        }
        let wait = wake.map(|wake| Duration::from_millis((wake - now()).max(0).unsigned_abs()));
        Some(wait)
    }

    fn fail(&mut self, failure: &Failure) {
        let line = json!({ "type": "ERROR", "object": failure.status() });
        self.ready.push_back(line);
        self.is_over = true;
    }

    fn begin_with_what_is_there(&mut self, then_bookmark: bool) -> Result<(), Failure> {
        let (key, namespace) = (self.resource.key(), self.namespace.clone());
        let (objects, version) = self
            .service
            .store
            .read(|tx| Ok((tx.list(&key, namespace.as_deref())?, tx.version()?)))?;
        self.version = version;
        for object in objects {
            if self.selectors.matches(&object) {
                self.push("ADDED", object);
            }
        }
        if then_bookmark && self.bookmarks {
            self.bookmark(true);
        }
        Ok(())
    }

    /// Adds a change as this watch sees it: an object that begins to match is added, one that stops matching is deleted.
    fn see(&mut self, change: Change) {
        if change.version <= self.version {
            return;
        }
        if self
            .namespace
            .as_deref()
            .is_some_and(|wanted| wanted != namespace(&change.object))
        {
            return;
        }
        let matched = change
            .before
            .as_ref()
            .is_some_and(|before| self.selectors.matches(before));
        let matches = change.kind != ChangeKind::Deleted && self.selectors.matches(&change.object);
        match (matched, matches) {
            (false, false) => {}
            (false, true) => self.push("ADDED", change.object),
            (true, true) => self.push(change.kind.as_str(), change.object),
            (true, false) => self.push("DELETED", change.object),
        }
    }

    fn push(&mut self, kind: &str, object: Json) {
        let object = match self.shape {
            Shape::Whole => in_version(&self.resource, object),
            Shape::Metadata => partial(object),
            Shape::Table => {
                let meta = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
                let with_columns = !std::mem::replace(&mut self.has_columns, true);
                table(&self.resource, &[object], with_columns, meta)
            }
        };
        self.ready
            .push_back(json!({ "type": kind, "object": object }));
    }

    fn bookmark(&mut self, initial: bool) {
        let mut metadata = json!({ "resourceVersion": self.version.to_string() });
        if initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({
            "kind": self.resource.kind,
            "apiVersion": self.resource.api_version(),
            "metadata": metadata,
        });
        self.ready
            .push_back(json!({ "type": "BOOKMARK", "object": object }));
        self.bookmark_at = Instant::now() + BOOKMARKS;
    }
}
