use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also after a panic of another thread that held it.
///
/// A panic ends one request, one step or one run, and must not end the others that share the mutex. So whoever holds a mutex leaves what
/// it guards valid before each call that may panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn a_panic_of_another_thread_does_not_keep_the_mutex() {
        let mutex = Arc::new(Mutex::new(1));
        let other = mutex.clone();
        let panicked = thread::spawn(move || {
            let _held = lock(&other);
            panic!("on purpose");
        });
        panicked.join().unwrap_err();
        assert!(mutex.is_poisoned());
        assert_eq!(*lock(&mutex), 1);
    }
}
