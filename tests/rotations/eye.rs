//! Who looks at the mesh after each effect.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use windlass::{
    execute::{Cancel, Stage},
    journal::InstanceId,
    mesh::Matrix,
    script::{Act, Call, Class, Trace},
};

/// How far ahead a cluster's plans count as what an effect set off. Delays of the meshes here are far below it, and
/// what a mesh plans without being asked (a renewal after hours) is far beyond.
const HORIZON: Duration = Duration::from_secs(2);
/// How long a mesh may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(15);

/// What was seen of a mesh.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Calls that changed something, each looked at before the run went on.
    pub effects: usize,
    pub looks: usize,
    /// Handshakes that were judged.
    pub handshakes: usize,
    /// Those that failed, after which effect, and why.
    pub failed: BTreeMap<String, usize>,
}

/// Stands between the run and the outside: every call that changes something passes it.
#[derive(Clone)]
pub struct Eye(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    state: Mutex<State>,
    /// After how many effects the run is cancelled.
    stop: Option<(usize, Cancel)>,
    is_asleep: bool,
}

struct State {
    matrix: Matrix,
    plans: BTreeMap<PathBuf, Connection>,
    /// A cluster that is not a part of the mesh yet, or any more: what has it as an end is not judged.
    outsider: Option<String>,
    seen: Seen,
}

impl Eye {
    /// Looks at the clusters of a folder.
    pub fn on(folder: &Path) -> Self {
        Self::new(folder, None, false)
    }

    /// As [`on`](Self::on), and cancels the run after so many effects.
    pub fn stopping(folder: &Path, after: usize, cancel: &Cancel) -> Self {
        Self::new(folder, Some((after, cancel.clone())), false)
    }

    /// Looks only at the end.
    pub fn asleep(folder: &Path) -> Self {
        Self::new(folder, None, true)
    }

    fn new(folder: &Path, stop: Option<(usize, Cancel)>, is_asleep: bool) -> Self {
        let state = State {
            matrix: Matrix::open(folder).expect("the clusters' folder"),
            plans: BTreeMap::new(),
            outsider: None,
            seen: Seen::default(),
        };
        Self(Arc::new(Inner {
            folder: folder.to_owned(),
            state: Mutex::new(state),
            stop,
            is_asleep,
        }))
    }

    /// Leaves out what has this cluster as an end.
    pub fn without(self, cluster: &str) -> Self {
        self.0.state.lock().unwrap().outsider = Some(cluster.to_owned());
        self
    }

    /// Looks until the mesh is at rest, and gives what was seen so far.
    pub fn finish(&self, what: &str) -> Seen {
        self.look_until_rest(what);
        self.0.state.lock().unwrap().seen.clone()
    }

    /// Looks at once, and again until all that is under way has happened.
    pub fn look_until_rest(&self, what: &str) {
        let mut state = self.0.state.lock().unwrap();
        let since = Instant::now();
        loop {
            state.look(what);
            // A look lets the clusters do what is due, so it comes before the question and after the last answer.
            if state.is_at_rest(&self.0.folder) {
                state.look(what);
                return;
            }
            assert!(since.elapsed() < PATIENCE, "no rest after {what}");
            thread::sleep(PAUSE);
        }
    }

    fn after(&self, what: &str) {
        let effects = {
            let mut state = self.0.state.lock().unwrap();
            state.seen.effects += 1;
            state.seen.effects
        };
        self.look_until_rest(what);
        if let Some((at, cancel)) = &self.0.stop
            && effects >= *at
        {
            cancel.cancel();
        }
    }

    fn looking(&self, what: String, act: Act) -> Act {
        let eye = self.clone();
        Box::new(move |key| {
            Box::pin(async move {
                let done = act(key).await;
                let looked = tokio::task::spawn_blocking(move || eye.after(&what)).await;
                looked.expect("the look");
                done
            })
        })
    }
}

impl Stage for Eye {
    fn set(&self, step: &InstanceId, mut call: Call) -> Call {
        if self.0.is_asleep || call.class == Class::Read {
            return call;
        }
        let what = format!("{step} {}", call.function);
        call.act = self.looking(what.clone(), call.act);
        call.again = call.again.map(|again| self.looking(what, again));
        call
    }

    fn passes(&self, _: Option<&InstanceId>, _: Duration) -> bool {
        false
    }

    fn trace(&self) -> Option<Arc<dyn Trace>> {
        None
    }
}

impl State {
    fn look(&mut self, what: &str) {
        let now = self.matrix.look().expect("the clusters");
        self.seen.looks += 1;
        let outside = self.outsider.as_ref().map(|name| format!("{name}/"));
        let is_judged = |end: &str| outside.as_ref().is_none_or(|name| !end.starts_with(name));
        for one in &now.all {
            if !is_judged(&one.from) || !is_judged(&one.to) {
                continue;
            }
            self.seen.handshakes += 1;
            if let Some(why) = &one.error {
                let line = format!(
                    "after {what}: {} -> {}:{}: {why}",
                    one.from, one.to, one.port
                );
                *self.seen.failed.entry(line).or_default() += 1;
            }
        }
    }

    /// Whether no cluster has anything to do soon.
    fn is_at_rest(&mut self, folder: &Path) -> bool {
        for entry in folder.read_dir().expect("the clusters' folder") {
            let path = entry.unwrap().path().join("cluster.db");
            if path.exists() {
                self.plans.entry(path.clone()).or_insert_with(|| {
                    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
                    let opened = Connection::open_with_flags(&path, flags).expect("a cluster");
                    opened.busy_timeout(Duration::from_secs(10)).unwrap();
                    opened
                });
            }
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let until = (now.unwrap() + HORIZON).as_millis() as i64;
        let soon = "SELECT count(*) FROM wake WHERE at < ?";
        self.plans.values().all(|plans| {
            let count: i64 = plans.query_row(soon, [until], |row| row.get(0)).unwrap();
            count == 0
        })
    }
}

impl Seen {
    /// Fails where a handshake has.
    #[track_caller]
    pub fn expect_whole(self, about: &str) -> Self {
        let failed: usize = self.failed.values().sum();
        assert_eq!(failed, 0, "{about}: {:#?}", self.failed);
        self
    }

    /// Adds what was seen elsewhere.
    pub fn and(mut self, other: Self) -> Self {
        self.effects += other.effects;
        self.looks += other.looks;
        self.handshakes += other.handshakes;
        for (line, count) in other.failed {
            *self.failed.entry(line).or_default() += count;
        }
        self
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let failed: usize = self.failed.values().sum();
        write!(
            f,
            "{} effects, {} looks, {} handshakes, {failed} failed",
            self.effects, self.looks, self.handshakes
        )
    }
}
