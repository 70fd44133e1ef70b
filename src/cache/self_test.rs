//! Tests whether the stores work: a temporary entry is written, read and deleted in each.

use super::Cache;
use super::store::{Store, StoreError};
use std::time::Duration;

/// The length of the entry: a token of a user in many groups.
const ENTRY_BYTES: usize = 2 * 1024;

/// How long a store keeps the entry if this process ends before it deletes it.
const LIFETIME: Duration = Duration::from_secs(60);

/// The result for one store.
#[derive(Debug)]
pub struct SelfTest {
    /// The name of the store.
    pub store: String,
    /// What failed, in words.
    pub outcome: Result<(), String>,
}

impl Cache {
    /// Tests every store in order: the first that works is the one that receives tokens.
    pub fn self_test(&self) -> Vec<SelfTest> {
        self.stores().map(self_test).collect()
    }
}

/// Tests one store.
pub(super) fn self_test(store: &dyn Store) -> SelfTest {
    SelfTest {
        store: store.name().to_owned(),
        outcome: round_trip(store).map_err(|error| error.to_string()),
    }
}

/// Writes, reads and deletes an entry, another one for each process. Its key is not that of a token, so that it is never listed or used.
fn round_trip(store: &dyn Store) -> Result<(), StoreError> {
    let key = format!("self-test {}", std::process::id());
    let written = vec![b'x'; ENTRY_BYTES];
    store.set(&key, &written, LIFETIME)?;
    let read = store.get(&key);
    store.delete(&key)?;
    if read?.is_some_and(|read| *read == written) {
        return Ok(());
    }
    Err(StoreError::Failed(
        "it returned something else than was written".into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::store::memory::{Event, Memory};
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_self_test_leaves_nothing_behind_and_is_never_listed() {
        let memory = Memory::new();
        let cache = Cache::new(vec![memory.clone()]);
        let (at, seen) = (cache.clone(), memory.clone());
        let look = move || {
            assert_eq!(seen.len(), 1);
            assert!(at.list(SystemTime::UNIX_EPOCH).is_empty());
        };
        memory.plan(1, Event::Meanwhile(Box::new(look)));
        let results = cache.self_test();
        assert!(
            results.len() == 1 && results[0].outcome.is_ok(),
            "{results:?}"
        );
        assert!(memory.end_plan());
        assert_eq!(memory.len(), 0);
    }
}
