//! Blocking work outside the tasks of a runtime, and threads that wait for a task.

use std::pin::Pin;

use tokio::runtime::Runtime;

/// Runs work that may block, such as reading a file, on a separate thread. If the work panics, the caller panics, too.
///
/// If the runtime ends while the work still waits for a thread, the work is dropped, and this future never completes; the
/// task that awaits it is dropped by the same runtime.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

/// Runs a future to its end on this thread.
///
/// The runtime gets a trait object, so that its loop is not compiled again for each future.
pub fn block_on<T>(runtime: &Runtime, work: impl Future<Output = T>) -> T {
    let work: Pin<Box<dyn Future<Output = T> + '_>> = Box::pin(work);
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_ends_before_the_work_begins_does_not_panic() {
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
        // The only thread is busy, so this work never begins.
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
