//! What every store of the operating system offers.

use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// Stores secrets under keys that are made of a few words.
pub trait Store: fmt::Debug + Send + Sync {
    /// Returns the name that users see.
    fn name(&self) -> &'static str;

    /// Returns how long an entry survives if it is not deleted.
    fn persistence(&self) -> Persistence;

    /// Returns the secret under a key, or `None` if there is none. Never prompts, like the other methods.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if the system has no such keyring, as for the other methods; else why the entry cannot be read.
    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError>;

    /// Stores a secret in place of an older one. A store that supports it deletes the entry after `lifetime`.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLong`] if the secret is too long, or why it cannot be stored.
    fn set(&self, key: &str, secret: &[u8], lifetime: Duration) -> Result<(), StoreError>;

    /// Deletes an entry and returns whether there was one.
    ///
    /// # Errors
    ///
    /// Why the entry may still be there.
    fn delete(&self, key: &str) -> Result<bool, StoreError>;

    /// Returns the keys of all our entries.
    ///
    /// # Errors
    ///
    /// Why the entries cannot be listed.
    fn list(&self) -> Result<Vec<String>, StoreError>;
}

/// How long a store keeps an entry, the longest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Persistence {
    /// Until it is deleted.
    UntilDeleted,
    /// Until the machine restarts.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "the kernel keyring is of Linux")
    )]
    UntilRestart,
    /// Until the user's desktop session ends.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "the Secret Service is of Linux")
    )]
    UntilSessionEnds,
}

/// Why a store failed. The text never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The system has no such store.
    Missing(String),
    /// The store is locked, unreachable, or does not answer.
    Unavailable(String),
    /// An operation failed.
    Failed(String),
    /// The secret is too long for the store.
    TooLong,
    /// The entry is not one of ours, or is damaged.
    Unreadable,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(text) | Self::Unavailable(text) | Self::Failed(text) => f.write_str(text),
            Self::TooLong => f.write_str("the secret is too long for it"),
            Self::Unreadable => f.write_str("unreadable entry"),
        }
    }
}

impl std::error::Error for StoreError {}

/// A store in memory, for tests.
#[cfg(test)]
pub(super) mod memory {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    type Action = Box<dyn FnOnce() + Send>;

    /// What happens at one step of the store.
    pub(crate) enum Event {
        /// This step fails.
        Fails,
        /// This step and all later ones fail: the process or the store has ended.
        Ends,
        /// Another process does something just before it.
        Meanwhile(Action),
    }

    #[derive(Default)]
    pub(crate) struct Memory {
        pub(crate) entries: Mutex<BTreeMap<String, Vec<u8>>>,
        pub(crate) event: Mutex<Option<(usize, Event)>>,
        /// The longest secret that it takes, if there is a limit.
        pub(crate) limit: Option<usize>,
        pub(crate) persistence: Option<Persistence>,
    }

    impl fmt::Debug for Memory {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Memory")
        }
    }

    impl Memory {
        pub(crate) fn new() -> Arc<Self> {
            Arc::default()
        }

        /// Plans an event after this many steps.
        pub(crate) fn plan(&self, steps: usize, event: Event) {
            *self.event.lock().unwrap() = Some((steps, event));
        }

        /// Removes the plan and returns whether its event has happened.
        pub(crate) fn end_plan(&self) -> bool {
            let event = self.event.lock().unwrap().take();
            !matches!(
                event,
                Some((_, Event::Fails | Event::Meanwhile(_)) | (1.., Event::Ends))
            )
        }

        fn step(&self) -> Result<(), StoreError> {
            let mut planned = self.event.lock().unwrap();
            let failure = || Err(StoreError::Unavailable("locked".into()));
            match planned.take() {
                None => Ok(()),
                Some((0, Event::Fails)) => failure(),
                Some((0, Event::Ends)) => {
                    *planned = Some((0, Event::Ends));
                    failure()
                }
                Some((0, Event::Meanwhile(action))) => {
                    drop(planned);
                    action();
                    Ok(())
                }
                Some((steps, event)) => {
                    *planned = Some((steps - 1, event));
                    Ok(())
                }
            }
        }

        pub(crate) fn len(&self) -> usize {
            self.entries.lock().unwrap().len()
        }
    }

    impl Store for Memory {
        fn name(&self) -> &'static str {
            match self.persistence {
                None => "memory",
                Some(Persistence::UntilDeleted) => "until deleted",
                Some(Persistence::UntilRestart) => "until restart",
                Some(Persistence::UntilSessionEnds) => "until session ends",
            }
        }

        fn persistence(&self) -> Persistence {
            self.persistence.unwrap_or(Persistence::UntilSessionEnds)
        }

        fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
            self.step()?;
            let entries = self.entries.lock().unwrap();
            Ok(entries.get(key).cloned().map(Zeroizing::new))
        }

        fn set(&self, key: &str, secret: &[u8], _: Duration) -> Result<(), StoreError> {
            self.step()?;
            if self.limit.is_some_and(|limit| secret.len() > limit) {
                return Err(StoreError::TooLong);
            }
            let mut entries = self.entries.lock().unwrap();
            entries.insert(key.to_owned(), secret.to_owned());
            Ok(())
        }

        fn delete(&self, key: &str) -> Result<bool, StoreError> {
            self.step()?;
            Ok(self.entries.lock().unwrap().remove(key).is_some())
        }

        fn list(&self) -> Result<Vec<String>, StoreError> {
            self.step()?;
            Ok(self.entries.lock().unwrap().keys().cloned().collect())
        }
    }

    impl<S: Store + ?Sized> Store for Arc<S> {
        fn name(&self) -> &'static str {
            (**self).name()
        }

        fn persistence(&self) -> Persistence {
            (**self).persistence()
        }

        fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
            (**self).get(key)
        }

        fn set(&self, key: &str, secret: &[u8], lifetime: Duration) -> Result<(), StoreError> {
            (**self).set(key, secret, lifetime)
        }

        fn delete(&self, key: &str) -> Result<bool, StoreError> {
            (**self).delete(key)
        }

        fn list(&self) -> Result<Vec<String>, StoreError> {
            (**self).list()
        }
    }
}
