//! Work that blocks, beside the tasks of a runtime.

/// Runs work that may block, such as a look at a file, on a thread of its own. A panic of the work is one of the caller's.
///
/// A runtime that ends while the work waits for a thread drops it: the task that waits for it is dropped as well, and
/// hears of nothing.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_ends_before_the_work_began_makes_no_panic() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let (begun, is_begun) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        runtime.spawn(blocking(move || {
            begun.send(()).unwrap();
            let _ = ends.recv();
        }));
        is_begun.recv().unwrap();
        // The only thread is taken, so this one never begins.
        let second = runtime.spawn(blocking(|| ()));
        runtime.shutdown_background();
        drop(end);
        let ended = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(second);
        assert!(ended.unwrap_err().is_cancelled());
    }
}
