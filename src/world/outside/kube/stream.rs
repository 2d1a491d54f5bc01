//! Watches that waits share: one for each kind of workload and namespace of a cluster.
//!
//! A wait joins the watch before it reads its object, so it misses no change after that. Changes from before are told by their
//! resource versions, which are numbers that grow: the Kubernetes documentation ("API Concepts", "Resource versions") allows
//! comparing them since 1.35, and those of built-in kinds were never anything else.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::TryStreamExt;
use http::Method;
use http_body_util::BodyExt;
use kube::{client::Body, core::WatchEvent};
use serde_json::Value as Json;
use tokio::{sync::broadcast, time::Instant};

use super::{
    client::KubeClient,
    failure::{About, classify},
    request::request,
    watch::Lines,
};
use crate::value::{Failure, FailureClass};
use windlass_ground::lock;

/// How long a watch stays open that no wait follows: a script restarts the next workload within this time.
const IDLE: Duration = Duration::from_secs(5);
/// How often that is checked.
const TICK: Duration = Duration::from_secs(1);
/// How many changes a wait may be behind; one that is further behind reads its object again.
const BEHIND: usize = 256;
/// For how many seconds an API server is asked to keep a watch open; client-go asks for 300 to 600.
const OPEN_FOR: &str = "300";

/// A change of one of the objects that are watched.
#[derive(Clone)]
pub(super) struct Change {
    object: Arc<Json>,
    version: u64,
    is_gone: bool,
}

/// The receiving end of a shared watch. It is closed when the watch has ended.
pub(super) type Changes = broadcast::Receiver<Change>;

/// The shared watches of one cluster, by the path of what they watch.
#[derive(Default)]
pub(super) struct Streams {
    open: Mutex<BTreeMap<String, Stream>>,
}

enum Stream {
    Open {
        sender: broadcast::Sender<Change>,
        /// By name, the objects that a wait is expected to ask for: the newest state that a change wrote or the watch saw.
        expected: BTreeMap<String, Option<Json>>,
    },
    /// The login may not watch all objects there: each wait watches its own.
    Refused,
}

/// What a wait finds when it wants to share a watch.
pub(super) enum Joined {
    /// The watch, and the state of the object before what the watch will tell, if it was expected.
    Open(Changes, Option<Json>),
    NotOpen,
    Refused,
}

/// The version of an object, if it is a number.
pub(super) fn version(object: &Json) -> Option<u64> {
    object["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

/// Waits for a change of the named object after a version that is as wanted. `None` means that the object is gone, or that this
/// wait has missed something: it must read the object again.
pub(super) async fn wanted(
    mut changes: Changes,
    name: &str,
    after: u64,
    is_wanted: impl Fn(Option<&Json>) -> bool,
) -> Option<Json> {
    loop {
        let change = changes.recv().await.ok()?;
        if change.version <= after || change.object["metadata"]["name"] != name {
            continue;
        }
        if change.is_gone {
            return None;
        }
        if is_wanted(Some(&change.object)) {
            return Some(Arc::unwrap_or_clone(change.object));
        }
    }
}

/// Replaces the state of an object that is expected by a newer one.
fn keep(expected: &mut BTreeMap<String, Option<Json>>, object: &Json) {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if let Some(kept) = expected.get_mut(name) {
        let is_newer = kept.as_ref().and_then(version) < version(object);
        if is_newer {
            *kept = Some(object.clone());
        }
    }
}

impl Streams {
    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Stream>> {
        lock(&self.open)
    }

    /// Joins the watch on a path if it is open, in order to wait for this object.
    pub fn join(&self, path: &str, name: &str) -> Joined {
        match self.open().get_mut(path) {
            Some(Stream::Open { sender, expected }) => {
                Joined::Open(sender.subscribe(), expected.remove(name).flatten())
            }
            Some(Stream::Refused) => Joined::Refused,
            None => Joined::NotOpen,
        }
    }

    /// Keeps the state of an object from now on, if there is a watch that sees it: it is about to be changed and waited for.
    pub fn expect(&self, path: &str, name: &str) {
        if let Some(Stream::Open { expected, .. }) = self.open().get_mut(path) {
            expected.insert(name.to_owned(), None);
        }
    }

    /// Keeps what a change has stored, unless the watch has seen more.
    pub fn stored(&self, path: &str, object: &Json) {
        if let Some(Stream::Open { expected, .. }) = self.open().get_mut(path) {
            keep(expected, object);
        }
    }

    /// Keeps a change for the wait that is expected, and hands it to those that wait.
    fn tell(&self, path: &str, sender: &broadcast::Sender<Change>, change: Change) {
        let mut open = self.open();
        match open.get_mut(path) {
            Some(Stream::Open { expected, .. }) if change.is_gone => {
                let name = change.object["metadata"]["name"].as_str();
                expected.remove(name.unwrap_or_default());
            }
            Some(Stream::Open { expected, .. }) => keep(expected, &change.object),
            _ => {}
        }
        // No wait may be there to receive it. Under the lock: a wait that joins has either the state or the change.
        let _ = sender.send(change);
    }

    /// Removes a watch that no wait follows, so that none joins it any more; returns `false` if one follows it.
    fn leave(&self, path: &str, sender: &broadcast::Sender<Change>) -> bool {
        let mut open = self.open();
        if sender.receiver_count() > 0 {
            return false;
        }
        Self::remove_from(&mut open, path, sender);
        true
    }

    /// Removes a watch that has ended, and not the one that was opened after it.
    fn remove(&self, path: &str, sender: &broadcast::Sender<Change>) {
        Self::remove_from(&mut self.open(), path, sender);
    }

    fn remove_from(
        open: &mut BTreeMap<String, Stream>,
        path: &str,
        sender: &broadcast::Sender<Change>,
    ) {
        if matches!(open.get(path), Some(Stream::Open { sender: one, .. }) if one.same_channel(sender))
        {
            open.remove(path);
        }
    }
}

impl KubeClient {
    /// Opens the watch on a path from a version on, and follows it. `None` if another wait has opened it meanwhile, or if
    /// the login may not watch all objects there.
    pub(super) async fn open_stream(
        &self,
        about: &About,
        path: &str,
        from: u64,
    ) -> Result<Option<Changes>, Failure> {
        // The warnings of a watch belong to no call.
        let client = self.listening();
        let body = match client.open_watch(about, path, Some(from)).await {
            Ok(body) => body,
            Err(failure) if failure.class == FailureClass::Denied => {
                self.streams.open().insert(path.to_owned(), Stream::Refused);
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        let (sender, changes) = broadcast::channel(BEHIND);
        {
            let mut open = self.streams.open();
            if open.contains_key(path) {
                return Ok(None);
            }
            let stream = Stream::Open {
                sender: sender.clone(),
                expected: BTreeMap::new(),
            };
            open.insert(path.to_owned(), stream);
        }
        let (about, path) = (about.clone(), path.to_owned());
        tokio::spawn(async move {
            client.pump(&about, &path, body, &sender).await;
            client.streams.remove(&path, &sender);
        });
        Ok(Some(changes))
    }

    async fn open_watch(
        &self,
        about: &About,
        path: &str,
        from: Option<u64>,
    ) -> Result<Body, Failure> {
        let from = from.map(|version| version.to_string());
        let mut query = vec![
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", OPEN_FOR),
        ];
        query.extend(from.as_deref().map(|version| ("resourceVersion", version)));
        let request = request(&Method::GET, path, &query, None).map_err(|e| classify(about, e))?;
        let answer = self.open(about, request).await;
        Ok(answer.map_err(|refused| refused.failure)?.into_body())
    }

    /// Hands over what a watch sees until the watch ends, or until no wait has followed it for a while.
    async fn pump(
        &self,
        about: &About,
        path: &str,
        body: Body,
        sender: &broadcast::Sender<Change>,
    ) {
        let (mut body, mut is_old) = (body.into_data_stream(), true);
        let (mut lines, mut idle_since) = (Lines::default(), None);
        loop {
            if sender.receiver_count() > 0 {
                idle_since = None;
            } else if idle_since.get_or_insert_with(Instant::now).elapsed() >= IDLE
                && self.streams.leave(path, sender)
            {
                return;
            }
            let part = match tokio::time::timeout(TICK, body.try_next()).await {
                Err(_) => continue,
                Ok(Ok(Some(part))) => part,
                // The waits read their objects again, and meet the reason if there is one.
                Ok(_) => return,
            };
            if !lines.push(&part) {
                return;
            }
            while let Some(line) = lines.next() {
                let (object, is_gone) = match serde_json::from_slice::<WatchEvent<Json>>(&line) {
                    Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => (object, false),
                    Ok(WatchEvent::Deleted(object)) => (object, true),
                    Ok(WatchEvent::Bookmark(_)) => continue,
                    // The version is too old: the API server begins with what is there now.
                    Ok(WatchEvent::Error(status)) if status.code == 410 && is_old => {
                        let Ok(again) = self.open_watch(about, path, None).await else {
                            return;
                        };
                        (body, is_old) = (again.into_data_stream(), false);
                        lines = Lines::default();
                        break;
                    }
                    Ok(WatchEvent::Error(_)) | Err(_) => return,
                };
                let Some(version) = version(&object) else {
                    return;
                };
                let change = Change {
                    object: Arc::new(object),
                    version,
                    is_gone,
                };
                self.streams.tell(path, sender, change);
            }
        }
    }
}
