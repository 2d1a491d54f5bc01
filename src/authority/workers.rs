//! Threads for requests that need only the processor: as many as there are cores, however many requests there are.
//!
//! A thread for each request, as tokio's `spawn_blocking` gives, costs as many switches between threads as requests.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use windlass_ground::lock;

/// Of one core, one thread may wait for the disk while the other works.
const FEWEST: usize = 2;

type Job = Box<dyn FnOnce() + Send>;

/// The threads; dropping them waits for the requests that they are at, and forgets the others.
pub(crate) struct Workers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait and have not been woken: a wake-up costs the system's time, whether or not anybody waits.
    idle: usize,
    closed: bool,
}

impl Workers {
    pub fn start() -> Self {
        let queue = Arc::new(Queue::default());
        let count = thread::available_parallelism().map_or(FEWEST, NonZero::get);
        let threads = (0..count.max(FEWEST))
            .map(|_| {
                let own = Arc::clone(&queue);
                thread::spawn(move || {
                    while let Some(job) = own.next() {
                        // The panic has been printed. The job's reply is dropped with it, so the client gets an error.
                        let _ = catch_unwind(AssertUnwindSafe(job));
                    }
                })
            })
            .collect();
        Self { queue, threads }
    }

    /// Runs a job when its turn comes.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.queue.lock();
        state.jobs.push_back(Box::new(job));
        let is_needed = state.idle > 0;
        if is_needed {
            state.idle -= 1;
        }
        drop(state);
        if is_needed {
            self.queue.changed.notify_one();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
        self.queue.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic has been printed by its thread.
            let _ = thread.join();
        }
    }
}

impl Queue {
    /// The next job; `None` once there will be none.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            state.idle += 1;
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_panic_ends_its_job_alone() {
        let workers = Workers::start();
        let (answer, answers) = channel();
        for number in 0..100 {
            let answer = answer.clone();
            workers.run(move || {
                assert!(number % 10 > 0, "a panic of this test");
                answer.send(number).unwrap();
            });
        }
        drop(answer);
        assert_eq!(answers.iter().count(), 90);
    }
}
