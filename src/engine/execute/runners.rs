//! The threads that the attempts of a run take.
//!
//! To wake a thread for each attempt costs more than a step that does nothing. So as many threads run attempts as there are
//! processors, one attempt after another, and a thread whose attempt waits for the outside lets another one run meanwhile.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use tokio::runtime::Handle;

use windlass_ground::lock;

/// A script that computes for long must not hold up all others.
const LEAST_THREADS: usize = 2;

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs in the order in which they come, as many at once as there are processors, and more while some of them wait.
#[derive(Clone)]
pub(super) struct Runners(Arc<Shared>);

struct Shared {
    runtime: Handle,
    /// How many threads may compute at once.
    most: usize,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    queue: VecDeque<Job>,
    /// How many threads run a job that does not wait.
    computing: usize,
}

impl Runners {
    /// Takes threads from the runtime that this is called in.
    pub fn new() -> Self {
        let processors = thread::available_parallelism().map_or(LEAST_THREADS, usize::from);
        Self(Arc::new(Shared {
            runtime: Handle::current(),
            most: processors.max(LEAST_THREADS),
            work: Mutex::default(),
        }))
    }

    /// Runs a job as soon as a thread is free.
    pub fn start(&self, job: impl FnOnce() + Send + 'static) {
        self.0
            .engage_after(|work| work.queue.push_back(Box::new(job)));
    }

    /// Waits within a job: others run meanwhile.
    pub fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        let _lent = Lent::of(&self.0);
        wait()
    }
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        lock(&self.work)
    }

    /// Changes the work, and takes one more thread if there is a job for it then.
    fn engage_after(self: &Arc<Self>, change: impl FnOnce(&mut Work)) {
        let mut work = self.work();
        change(&mut work);
        if work.queue.is_empty() || work.computing >= self.most {
            return;
        }
        work.computing += 1;
        // The thread would wake only to wait for this lock.
        drop(work);
        let shared = self.clone();
        // No code waits for the thread itself: each job reports its own result.
        drop(self.runtime.spawn_blocking(move || shared.run()));
    }

    /// Runs jobs until none is left, or enough other threads compute.
    fn run(&self) {
        loop {
            let job = {
                let mut work = self.work();
                let job = if work.computing > self.most {
                    None
                } else {
                    work.queue.pop_front()
                };
                let Some(job) = job else {
                    work.computing -= 1;
                    return;
                };
                job
            };
            // The runtime would take a panic for the end of the thread's work; it ends this job only.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }
}

/// The place of a thread that waits, which another one has until it is dropped.
struct Lent<'s>(&'s Arc<Shared>);

impl<'s> Lent<'s> {
    fn of(shared: &'s Arc<Shared>) -> Self {
        shared.engage_after(|work| work.computing -= 1);
        Self(shared)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.work().computing += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        time::{Duration, Instant},
    };

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap()
    }

    #[test]
    fn jobs_that_wait_for_each_other_all_run() {
        let runtime = runtime();
        let _inside = runtime.enter();
        let runners = Runners::new();
        let (done, all_done) = mpsc::channel();
        let barrier = Arc::new(std::sync::Barrier::new(40));
        for _ in 0..40 {
            let (inner, barrier, done) = (runners.clone(), barrier.clone(), done.clone());
            runners.start(move || {
                inner.waiting(|| barrier.wait());
                done.send(()).unwrap();
            });
        }
        drop(done);
        assert_eq!(all_done.iter().count(), 40);
        // The threads give their places back after the last job has reported.
        let end = Instant::now() + Duration::from_secs(30);
        while runners.0.work().computing > 0 {
            assert!(Instant::now() < end, "a place is lost");
            thread::yield_now();
        }
    }

    #[test]
    fn no_more_than_so_many_compute_at_once() {
        let runtime = runtime();
        let _inside = runtime.enter();
        let runners = Runners::new();
        let (computing, most) = (Arc::new(Mutex::new((0, 0))), runners.0.most);
        let (done, all_done) = mpsc::channel();
        for _ in 0..100 {
            let (computing, done) = (computing.clone(), done.clone());
            runners.start(move || {
                let change = |by: i32| {
                    let mut now = computing.lock().unwrap();
                    now.0 += by;
                    now.1 = now.1.max(now.0);
                };
                change(1);
                thread::yield_now();
                change(-1);
                done.send(()).unwrap();
            });
        }
        drop(done);
        assert_eq!(all_done.iter().count(), 100);
        assert!(computing.lock().unwrap().1 as usize <= most);
    }

    #[test]
    fn a_job_that_panics_takes_no_thread_with_it() {
        let runtime = runtime();
        let _inside = runtime.enter();
        let runners = Runners::new();
        let (done, all_done) = mpsc::channel();
        for i in 0..20 {
            let (inner, done) = (runners.clone(), done.clone());
            runners.start(move || match i % 2 {
                0 => inner.waiting(|| panic!("on purpose")),
                _ => done.send(()).unwrap(),
            });
        }
        drop(done);
        assert_eq!(all_done.iter().count(), 10);
    }
}
