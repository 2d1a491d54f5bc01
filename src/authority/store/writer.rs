//! Group commit: one thread owns the writing connection and puts whatever waits into one transaction.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use windlass_ground::{lock, run_statement};

use crate::failure::{Code, Failure};

/// The largest number of writes in a transaction, so that the first of them does not wait too long under load.
const GROUP: usize = 256;

/// How long a write waits for others that are known to come: an estimate, not a measurement. A commit costs the
/// processor as much as many writes, whatever is in it.
const LINGER: Duration = Duration::from_millis(5);

/// Runs a write with the connection, or with the reason why there is none, and returns the reply to send after the commit.
type Job = Box<dyn FnOnce(Result<&Connection, Failure>) -> Done + Send>;
/// Passes the result to the caller, after the commit.
type Reply = Box<dyn FnOnce(Result<(), Failure>)>;

/// What a write left behind.
struct Done {
    reply: Reply,
    /// Why the whole transaction must be given up.
    doomed: Option<Failure>,
}

/// How much of a transaction a write that fails takes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Only its own changes.
    Own,
    /// If it has changed anything, the whole group. It saves a savepoint, which copies each page that the write changes.
    Group,
}

/// The writing side of the store. Dropping it waits for the writes in progress.
pub(crate) struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    /// Writes that are being prepared.
    coming: usize,
    closed: bool,
}

/// Drops the waiting writes when the writer's thread ends, also by a panic, so that no caller waits for them.
struct Ends(Arc<Queue>);

/// Announces to the writer, until it is dropped, that a write is being prepared, for which others may wait a little.
pub(crate) struct Coming(Arc<Queue>);

impl Writer {
    pub fn start(connection: Connection) -> Self {
        let queue = Arc::new(Queue::default());
        let own = Ends(Arc::clone(&queue));
        let thread = thread::spawn(move || {
            while let Some(jobs) = own.0.next_group() {
                commit(&connection, jobs);
            }
        });
        Self {
            queue,
            thread: Some(thread),
        }
    }

    /// Runs `work` in a transaction and returns after its commit.
    pub fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, answered) = sync_channel(1);
        // The caller may be gone; the write counts all the same.
        self.push(Scope::Own, work, move |result| {
            let _ = answer.send(result);
        });
        answered.recv().map_err(|_| gone())?
    }

    /// Runs `work` in a transaction and calls `done` after its commit, on the writer's thread: it must not wait for anything.
    ///
    /// `work` should check before it changes anything. If it fails after that, the other writes of its transaction fail, too.
    pub fn submit<T: 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
        done: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) {
        self.push(Scope::Group, work, done);
    }

    pub fn coming(&self) -> Coming {
        self.queue.lock().coming += 1;
        Coming(Arc::clone(&self.queue))
    }

    fn push<T: 'static>(
        &self,
        scope: Scope,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
        done: impl FnOnce(Result<T, Failure>) + Send + 'static,
    ) {
        let job: Job = Box::new(move |connection| {
            let result = connection.and_then(|connection| run(connection, scope, work));
            let (result, doomed) = match result {
                Ok(result) => (result, None),
                Err(failure) => (Err(failure.clone()), Some(failure)),
            };
            let reply = move |committed: Result<(), Failure>| {
                done(result.and_then(|value| committed.map(|()| value)));
            };
            Done {
                reply: Box::new(reply),
                doomed,
            }
        });
        self.queue.push(job);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
        // The writer itself may have been the last that knew of the store.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // A panic has been printed by its thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.coming -= 1;
        if state.coming == 0 && !state.jobs.is_empty() {
            self.0.changed.notify_one();
        }
    }
}

impl Queue {
    fn push(&self, job: Job) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.jobs.push(job);
        // The first one wakes the writer, which then waits for the others: they need not wake it again.
        if state.jobs.len() == 1 || state.is_group() {
            self.changed.notify_one();
        }
    }

    /// The writes of the next transaction; `None` once there will be none.
    fn next_group(&self) -> Option<Vec<Job>> {
        let mut state = self
            .changed
            .wait_while(self.lock(), |state| state.jobs.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if state.jobs.is_empty() {
            return None;
        }
        let end = Instant::now() + LINGER;
        while !state.is_group() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let count = state.jobs.len().min(GROUP);
        let later = state.jobs.split_off(count);
        Some(std::mem::replace(&mut state.jobs, later))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Whether what waits is to be written without waiting for more.
    fn is_group(&self) -> bool {
        self.coming == 0 || self.closed || self.jobs.len() >= GROUP
    }
}

fn gone() -> Failure {
    Code::InternalFailure.says("the writer of the state has stopped")
}

fn commit(connection: &Connection, jobs: Vec<Job>) {
    let mut open = run_statement(connection, "BEGIN IMMEDIATE").map_err(Failure::from);
    let has_begun = open.is_ok();
    let mut replies = Vec::with_capacity(jobs.len());
    for job in jobs {
        let done = job(open.clone().map(|()| connection));
        replies.push(done.reply);
        if let Some(failure) = done.doomed {
            open = Err(failure);
        } else if open.is_ok() && connection.is_autocommit() {
            open = Err(Code::InternalFailure.says("the transaction was rolled back"));
        }
    }
    let committed = open.and_then(|()| Ok(run_statement(connection, "COMMIT")?));
    if has_begun && committed.is_err() {
        // SQLite may have rolled it back by itself.
        let _ = run_statement(connection, "ROLLBACK");
    }
    for reply in replies {
        reply(committed.clone());
    }
}

/// Runs one write among others. The outer error is of the transaction, which is then given up.
fn run<T>(
    connection: &Connection,
    scope: Scope,
    work: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<Result<T, Failure>, Failure> {
    if scope == Scope::Group {
        let before = connection.total_changes();
        let result = work(connection);
        return match result {
            Err(failure) if connection.total_changes() != before => Err(failure),
            result => Ok(result),
        };
    }
    run_statement(connection, "SAVEPOINT job")?;
    let result = work(connection);
    if result.is_err() {
        run_statement(connection, "ROLLBACK TO job")?;
    }
    run_statement(connection, "RELEASE job")?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn writer() -> (tempfile::TempDir, Writer, impl Fn() -> i64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x INTEGER UNIQUE)")
            .unwrap();
        let count = move || {
            let connection = Connection::open(&path).unwrap();
            let count = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0));
            count.unwrap()
        };
        (folder, Writer::start(connection), count)
    }

    /// A write of one number.
    type Write = fn(&Connection, i64) -> Result<(), Failure>;

    fn insert(connection: &Connection, x: i64) -> Result<(), Failure> {
        connection.execute("INSERT INTO t VALUES (?1)", [x])?;
        Ok(())
    }

    type Answers = Receiver<(i64, Result<(), Failure>)>;

    /// Submits writes that share a transaction: they wait until one before them is over.
    fn together(writer: &Writer, writes: &[Write]) -> Answers {
        let (begin, begun) = channel();
        let (end, ended) = channel::<()>();
        let wait = move |_: &Connection| {
            begin.send(()).unwrap();
            // An error is an end, too.
            let _ = ended.recv();
            Ok(())
        };
        writer.submit(wait, drop);
        begun.recv().unwrap();
        let (answer, answers) = channel();
        for (number, write) in (1..).zip(writes) {
            let (write, answer) = (*write, answer.clone());
            let done = move |result| answer.send((number, result)).unwrap();
            writer.submit(move |connection| write(connection, number), done);
        }
        drop(end);
        answers
    }

    #[test]
    fn a_write_that_fails_without_a_change_leaves_the_others() {
        let (_folder, writer, count) = writer();
        let refused = |_: &Connection, _| Err(Code::InvalidState.says("no"));
        let answers = together(&writer, &[insert, refused, insert]);
        let results: Vec<bool> = answers.iter().map(|(_, result)| result.is_ok()).collect();
        assert_eq!(results, [true, false, true]);
        assert_eq!(count(), 2);
    }

    #[test]
    fn a_write_that_fails_after_a_change_takes_its_group_along_and_no_other() {
        let (_folder, writer, count) = writer();
        let half = |connection: &Connection, x| {
            insert(connection, x)?;
            insert(connection, x)
        };
        let answers = together(&writer, &[insert, half, insert]);
        assert!(answers.iter().all(|(_, result)| result.is_err()));
        assert_eq!(count(), 0);
        writer.write(|connection| insert(connection, 7)).unwrap();
        assert_eq!(count(), 1);
    }

    #[test]
    fn a_blocking_write_that_fails_takes_only_its_own_changes_along() {
        let (_folder, writer, count) = writer();
        let failed = writer.write(|connection| {
            insert(connection, 1)?;
            Err::<(), _>(Code::LimitExceeded.says("no"))
        });
        assert_eq!(failed.unwrap_err().code, Code::LimitExceeded);
        assert_eq!(count(), 0);
    }

    #[test]
    fn what_is_announced_and_never_comes_holds_up_nothing_for_long() {
        let (_folder, writer, count) = writer();
        let _never = writer.coming();
        writer.write(|connection| insert(connection, 1)).unwrap();
        assert_eq!(count(), 1);
    }
}
