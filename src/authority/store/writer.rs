//! Group commit: one thread owns the writing connection and combines all waiting writes into one transaction.

use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use windlass_ground::run_statement;

use crate::failure::{Code, Failure};

/// The largest number of writes in a transaction, so that the first of them does not wait too long under load.
const GROUP: usize = 128;

/// Runs a write with the connection, or with the reason why there is none, and returns the reply to send after the commit.
type Job = Box<dyn FnOnce(Result<&Connection, Failure>) -> Reply + Send>;
/// Sends the result to the waiting caller, after the commit.
type Reply = Box<dyn FnOnce(Result<(), Failure>) + Send>;

/// The writing side of the store. Dropping it waits for the writes in progress.
pub(crate) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(connection: Connection) -> Self {
        let (jobs, waiting) = channel();
        let thread = std::thread::spawn(move || run(&connection, &waiting));
        Self {
            jobs: Some(jobs),
            thread: Some(thread),
        }
    }

    /// Runs `work` in a transaction and returns after its commit.
    pub fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (answer, answered) = sync_channel(1);
        let job: Job = Box::new(move |connection| {
            let result = connection.and_then(|connection| alone(connection, work));
            // The caller may be gone; the write is committed all the same.
            Box::new(move |committed| drop(answer.send(result.and_then(|r| committed.map(|()| r)))))
        });
        let gone = || Code::InternalFailure.says("the writer of the state has stopped");
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn run(connection: &Connection, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let begun = run_statement(connection, "BEGIN IMMEDIATE").map_err(Failure::from);
        let open = || begun.clone().map(|()| connection);
        let mut replies = vec![first(open())];
        while replies.len() < GROUP
            && let Ok(job) = waiting.try_recv()
        {
            replies.push(job(open()));
        }
        let committed = match begun {
            Ok(()) => run_statement(connection, "COMMIT").map_err(|error| {
                drop(run_statement(connection, "ROLLBACK"));
                Failure::from(error)
            }),
            Err(_) => Ok(()),
        };
        for reply in replies {
            reply(committed.clone());
        }
    }
}

/// Runs one write among others. If it fails, only its own changes are undone.
fn alone<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    run_statement(connection, "SAVEPOINT job")?;
    let result = work(connection);
    if result.is_err() {
        run_statement(connection, "ROLLBACK TO job")?;
    }
    run_statement(connection, "RELEASE job")?;
    result
}
