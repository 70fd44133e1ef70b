//! The keyring timeout: a process waits up to two seconds for a store that a system service or a daemon answers.
//!
//! Each operation runs on its own thread. An operation that times out leaks its thread, and the secret that it holds, until the process exits.
//! All operations share one timeout, so that a store that hangs delays its caller once.

use super::store::{Persistence, Store, StoreError};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a process waits for such a store in total.
pub(super) const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// A store with a timeout.
#[derive(Debug)]
pub(super) struct Timeout {
    store: Arc<dyn Store>,
    remaining: Mutex<Duration>,
}

impl Timeout {
    /// Limits all operations of the store together to `timeout`, and never more than [`STORE_TIMEOUT`].
    pub(super) fn new(store: impl Store + 'static, timeout: Duration) -> Self {
        Self {
            store: Arc::new(store),
            remaining: Mutex::new(timeout.min(STORE_TIMEOUT)),
        }
    }

    fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let no_answer = || StoreError::Unavailable("it does not answer".into());
        let mut remaining = self.remaining.lock().map_err(|_| no_answer())?;
        if remaining.is_zero() {
            return Err(no_answer());
        }
        let started = Instant::now();
        let (sender, receiver) = mpsc::channel();
        let store = self.store.clone();
        thread::Builder::new()
            .spawn(move || drop(sender.send(operation(&*store))))
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        let result = receiver.recv_timeout(*remaining);
        *remaining = remaining.saturating_sub(started.elapsed());
        result.unwrap_or_else(|_| Err(no_answer()))
    }
}

impl Store for Timeout {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    fn persistence(&self) -> Persistence {
        self.run(|store| Ok(store.persistence()))
            .unwrap_or(Persistence::UntilSessionEnds)
    }

    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let key = key.to_owned();
        self.run(move |store| store.get(&key))
    }

    fn set(&self, key: &str, secret: &[u8], lifetime: Duration) -> Result<(), StoreError> {
        let (key, secret) = (key.to_owned(), Zeroizing::new(secret.to_owned()));
        self.run(move |store| store.set(&key, &secret, lifetime))
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        let key = key.to_owned();
        self.run(move |store| store.delete(&key))
    }

    fn list(&self) -> Result<Vec<String>, StoreError> {
        self.run(|store| store.list())
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::memory::{Event, Memory};
    use super::*;

    #[test]
    fn a_store_that_answers_behaves_as_without_a_timeout() {
        let memory = Memory::new();
        let store = Timeout::new(memory.clone(), Duration::from_secs(60));
        assert_eq!(store.get("k"), Ok(None));
        store.set("k", b"x", Duration::MAX).unwrap();
        assert_eq!(store.get("k").unwrap().unwrap().as_slice(), b"x");
        assert_eq!(store.list(), Ok(vec!["k".to_owned()]));
        assert_eq!(
            (store.name(), store.persistence()),
            (memory.name(), memory.persistence())
        );
        assert_eq!(
            (store.delete("k"), store.delete("k")),
            (Ok(true), Ok(false))
        );
    }

    #[test]
    fn a_store_that_hangs_is_called_once() {
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap();
        let memory = Memory::new();
        let (at, (sender, reached)) = (gate.clone(), mpsc::channel());
        let wait = move || {
            sender.send(()).unwrap();
            drop(at.lock());
        };
        memory.plan(0, Event::Meanwhile(Box::new(wait)));
        let store = Timeout::new(memory.clone(), Duration::from_millis(50));
        for _ in 0..50 {
            let error = store.list().unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
        reached.recv().unwrap();
        drop(closed);
        assert!(store.get("k").is_err(), "no time is left");
        assert!(reached.recv().is_err(), "it was called once");
    }
}
