//! Splits a secret that is too long for one entry.
//!
//! Credential Manager accepts 2,560 bytes (`CRED_MAX_CREDENTIAL_BLOB_SIZE`), and the token of a user in many groups is longer. The entry
//! itself, the *head*, holds the SHA-256 of the secret, the number of parts, and the start of the secret. Each part is an entry of its own,
//! whose key ends with the start of that digest and a number. A short secret has no parts.
//!
//! Parts are written first, and the head last in one write. So a reader finds the old secret, the new secret, or none: a digest mismatch
//! reads as no entry. The next write or the deletion of the entry removes orphaned parts.

use super::store::{Persistence, Store, StoreError};
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use std::time::Duration;
use zeroize::Zeroizing;

/// Separates the key of an entry from the name of a part.
const PART: &str = " part ";

/// What a head holds before the start of the secret: the digest and the number of parts.
const HEADER_BYTES: usize = SHA256_OUTPUT_LEN + 1;

/// How often an operation is tried when another process writes or deletes the same entry.
const MAX_TRIES: usize = 5;

/// A store that accepts secrets longer than the store below.
#[derive(Debug)]
pub(super) struct Chunked<S> {
    store: S,
    max_bytes: usize,
}

impl<S: Store> Chunked<S> {
    /// Wraps a store that accepts up to `max_bytes`, which must be more than [`HEADER_BYTES`].
    pub(super) fn new(store: S, max_bytes: usize) -> Self {
        Self { store, max_bytes }
    }

    /// Writes the parts, then the head. If that fails, the old head and its parts are unchanged.
    fn write(&self, key: &str, secret: &[u8], lifetime: Duration) -> Result<(), StoreError> {
        let (start, rest) = secret.split_at(secret.len().min(self.max_bytes - HEADER_BYTES));
        let chunks = rest.chunks(self.max_bytes);
        let count = u8::try_from(chunks.len()).map_err(|_| StoreError::TooLong)?;
        let digest = digest(&SHA256, secret);
        let head = Zeroizing::new([digest.as_ref(), &[count], start].concat());
        for (part, chunk) in part_keys(key, &head).iter().zip(chunks) {
            self.store.set(part, chunk, lifetime)?;
        }
        self.store.set(key, &head, lifetime)
    }

    /// Deletes the parts of an entry that its head does not name.
    fn delete_orphans(&self, key: &str) -> Result<(), StoreError> {
        let head = self.store.get(key)?;
        let in_use = head.map_or_else(Vec::new, |head| part_keys(key, &head));
        let prefix = format!("{key}{PART}");
        let mut result = Ok(());
        for found in self.store.list()? {
            if found.starts_with(&prefix) && !in_use.contains(&found) {
                result = self.store.delete(&found).map(drop).and(result);
            }
        }
        result
    }

    /// Returns the secret if all parts that the head names are there.
    fn join(&self, key: &str, head: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some((header, start)) = head.split_at_checked(HEADER_BYTES) else {
            return Ok(None);
        };
        let parts = part_keys(key, head);
        // A vector that grows would leave copies behind.
        let mut secret = Zeroizing::new(Vec::with_capacity((parts.len() + 1) * self.max_bytes));
        secret.extend_from_slice(start);
        for part in parts {
            secret.extend_from_slice(&self.store.get(&part)?.unwrap_or_default());
        }
        let is_whole = header.starts_with(digest(&SHA256, &secret).as_ref());
        Ok(is_whole.then_some(secret))
    }
}

/// Returns the keys of the parts that a head names, and none for an entry that is not a head. Eight bytes of the digest distinguish one write
/// from another.
fn part_keys(key: &str, head: &[u8]) -> Vec<String> {
    let Some([digest @ .., count]) = head.get(..HEADER_BYTES) else {
        return vec![];
    };
    let write = hex::encode(&digest[..8]);
    let part = |number| format!("{key}{PART}{write}.{number}");
    (0..*count).map(part).collect()
}

impl<S: Store> Store for Chunked<S> {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    fn persistence(&self) -> Persistence {
        self.store.persistence()
    }

    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        // Another process may replace the head while the parts are read.
        for _ in 0..MAX_TRIES {
            let Some(head) = self.store.get(key)? else {
                break;
            };
            if let Some(secret) = self.join(key, &head)? {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }

    /// Retries if a concurrent writer removed our parts. The last writer wins.
    fn set(&self, key: &str, secret: &[u8], lifetime: Duration) -> Result<(), StoreError> {
        for _ in 0..MAX_TRIES {
            let written = self.write(key, secret, lifetime);
            // Orphans that cannot be deleted do no harm.
            let _ = self.delete_orphans(key);
            written?;
            if matches!(self.get(key), Ok(Some(_))) {
                return Ok(());
            }
        }
        let problem = "it does not keep what it accepts";
        Err(StoreError::Failed(problem.into()))
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        let existed = self.store.delete(key)?;
        self.delete_orphans(key)?;
        Ok(existed)
    }

    /// Returns also the keys of which only parts are left.
    fn list(&self) -> Result<Vec<String>, StoreError> {
        let found = self.store.list()?;
        let head = |key: &String| key.split(PART).next().map(str::to_owned);
        let mut keys: Vec<String> = found.iter().filter_map(head).collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::memory::{Event, Memory};
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    const KEY: &str = "contoso.azurecr.io alice";

    const LIMIT: usize = 2560;

    const DAY: Duration = Duration::from_secs(86_400);

    fn memory() -> Arc<Memory> {
        Arc::new(Memory {
            limit: Some(LIMIT),
            ..Memory::default()
        })
    }

    fn store(memory: &Arc<Memory>) -> Chunked<Arc<Memory>> {
        Chunked::new(memory.clone(), LIMIT)
    }

    fn set(memory: &Arc<Memory>, secret: &[u8]) -> Result<(), StoreError> {
        store(memory).set(KEY, secret, DAY)
    }

    fn get(memory: &Arc<Memory>) -> Option<Vec<u8>> {
        store(memory)
            .get(KEY)
            .unwrap()
            .map(|secret| secret.to_vec())
    }

    /// Returns bytes that no other write has in the same place.
    fn content(seed: u8, length: usize) -> Vec<u8> {
        (0..length)
            .map(|at| u8::try_from(at % 251).unwrap() ^ seed)
            .collect()
    }

    /// The longest secret without parts.
    const SHORT: usize = LIMIT - HEADER_BYTES;

    /// Returns how many entries of the store below hold so many bytes.
    fn entries(length: usize) -> usize {
        1 + length.saturating_sub(SHORT).div_ceil(LIMIT)
    }

    fn lengths() -> impl Strategy<Value = usize> {
        prop_oneof![
            0..3 * LIMIT + 2,
            (0..4_usize, 0..3_usize).prop_map(|(parts, off)| SHORT + parts * LIMIT + off - 1)
        ]
    }

    #[test]
    fn a_secret_longer_than_an_entry_is_read_and_deleted_as_a_whole() {
        for length in [
            0,
            1,
            SHORT,
            SHORT + 1,
            LIMIT,
            LIMIT + SHORT,
            LIMIT + SHORT + 1,
            4 * LIMIT + 7,
            255 * LIMIT + SHORT,
        ] {
            let memory = memory();
            set(&memory, &content(1, length)).unwrap();
            assert_eq!(
                (get(&memory).unwrap(), memory.len()),
                (content(1, length), entries(length)),
                "{length}"
            );
            assert_eq!(store(&memory).delete(KEY), Ok(true));
            assert_eq!(memory.len(), 0);
            assert_eq!(get(&memory), None);
        }
        let memory = memory();
        assert_eq!(
            set(&memory, &content(1, 255 * LIMIT + SHORT + 1)),
            Err(StoreError::TooLong)
        );
        assert_eq!(memory.len(), 0);
    }

    #[test]
    fn a_part_that_is_missing_or_damaged_is_a_miss() {
        for spoil in [
            |part: &mut Vec<u8>| part[7] ^= 1,
            |part: &mut Vec<u8>| part.truncate(9),
            |part: &mut Vec<u8>| part.extend_from_slice(b"more"),
        ] {
            let memory = memory();
            set(&memory, &content(1, 2 * LIMIT)).unwrap();
            let keys = memory.list().unwrap();
            let part = keys.iter().rfind(|key| key.contains(PART)).unwrap();
            spoil(memory.entries.lock().unwrap().get_mut(part).unwrap());
            assert_eq!(get(&memory), None);
            memory.delete(part).unwrap();
            assert_eq!(get(&memory), None);
        }
        let memory = memory();
        for head in [&b""[..], b"+", &[b'+'; 32], &[b'+'; 33], &[b'+'; 99]] {
            memory.set(KEY, head, DAY).unwrap();
            assert_eq!(get(&memory), None, "{head:?}");
        }
    }

    #[test]
    fn a_part_that_cannot_be_deleted_is_reported_and_found_again() {
        let memory = memory();
        set(&memory, &content(1, 2 * LIMIT)).unwrap();
        // The head is deleted and read, and the entries are listed before it.
        memory.plan(3, Event::Fails);
        store(&memory).delete(KEY).unwrap_err();
        assert_eq!(memory.len(), 1);
        assert_eq!(store(&memory).list(), Ok(vec![KEY.to_owned()]));
        assert_eq!(get(&memory), None);
        assert_eq!(store(&memory).delete(KEY), Ok(false));
        assert_eq!(memory.len(), 0);
    }

    #[test]
    fn a_write_that_fails_deletes_what_it_wrote() {
        for (before, whole) in [(None, 0), (Some(9), 1), (Some(2 * LIMIT), 3)] {
            for failing in 1..=3 {
                let memory = memory();
                if let Some(length) = before {
                    set(&memory, &content(1, length)).unwrap();
                }
                // Three parts are written, then the new head.
                memory.plan(failing, Event::Fails);
                set(&memory, &content(2, 3 * LIMIT)).unwrap_err();
                assert_eq!(memory.len(), whole, "{before:?} {failing}");
            }
        }
    }

    #[test]
    fn an_entry_is_listed_once_and_deleted_alone() {
        let memory = memory();
        let store = store(&memory);
        for (key, length) in [("a 1", 3 * LIMIT), ("b 2", 9), ("a 12", 2 * LIMIT)] {
            store.set(key, &content(1, length), DAY).unwrap();
        }
        assert_eq!(store.list().unwrap(), ["a 1", "a 12", "b 2"]);
        store.delete("a 1").unwrap();
        assert_eq!(memory.len(), 1 + 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_interrupted_write_leaves_the_old_secret_or_the_new_one(
            before in proptest::option::of(lengths()), after in lengths(), last in lengths(), steps in 0..24_usize, ends in any::<bool>()
        ) {
            let memory = memory();
            let old = before.map(|length| content(1, length));
            if let Some(old) = &old {
                set(&memory, old).unwrap();
            }
            let new = content(2, after);
            memory.plan(steps, if ends { Event::Ends } else { Event::Fails });
            let written = set(&memory, &new);
            let happened = memory.end_plan();
            match get(&memory) {
                Some(found) => prop_assert!(found == new || (written.is_err() && Some(&found) == old.as_ref())),
                None => prop_assert!(written.is_err() && old.is_none()),
            }
            prop_assert!(written.is_ok() || happened);
            let next = content(3, last);
            set(&memory, &next).unwrap();
            prop_assert_eq!(get(&memory), Some(next));
            prop_assert_eq!(memory.len(), entries(last), "orphans go with the next write");
            store(&memory).delete(KEY).unwrap();
            prop_assert_eq!(memory.len(), 0);
        }

        #[test]
        fn of_two_concurrent_writes_one_stays_whole(
            before in lengths(), one in lengths(), other in lengths(), steps in 0..24_usize
        ) {
            let memory = memory();
            set(&memory, &content(1, before)).unwrap();
            let (theirs, at) = (content(3, other), memory.clone());
            memory.plan(steps, Event::Meanwhile(Box::new(move || set(&at, &theirs).unwrap())));
            set(&memory, &content(2, one)).unwrap();
            memory.end_plan();
            let found = get(&memory).unwrap();
            prop_assert!(found == content(2, one) || found == content(3, other));
        }

        #[test]
        fn a_reader_finds_what_was_there_before_or_after_a_write(before in lengths(), after in lengths(), steps in 0..12_usize) {
            let memory = memory();
            set(&memory, &content(1, before)).unwrap();
            let (new, at) = (content(2, after), memory.clone());
            memory.plan(steps, Event::Meanwhile(Box::new(move || set(&at, &new).unwrap())));
            let found = get(&memory).unwrap();
            prop_assert!(found == content(1, before) || found == content(2, after));
        }

        #[test]
        fn an_entry_that_is_deleted_during_a_write_is_whole_or_gone(one in lengths(), steps in 0..24_usize) {
            let memory = memory();
            let at = memory.clone();
            memory.plan(steps, Event::Meanwhile(Box::new(move || drop(store(&at).delete(KEY)))));
            set(&memory, &content(2, one)).unwrap();
            memory.end_plan();
            let found = get(&memory);
            prop_assert!(found.is_some() || memory.len() == 0);
            prop_assert!(found.is_none_or(|found| found == content(2, one)));
        }
    }

    #[test]
    fn concurrent_readers_never_see_a_mixture() {
        let memory = memory();
        set(&memory, &content(0, 2 * LIMIT)).unwrap();
        std::thread::scope(|scope| {
            for seed in [10, 20] {
                let memory = &memory;
                // Two writers may remove each other's parts until one of them fails.
                scope.spawn(move || {
                    (seed..seed + 10).for_each(|seed| drop(set(memory, &content(seed, 3 * LIMIT))));
                });
            }
            for _ in 0..200 {
                if let Ok(Some(found)) = store(&memory).get(KEY) {
                    assert!((0..30).any(|seed| *found == content(seed, 2 * LIMIT)
                        || *found == content(seed, 3 * LIMIT)));
                }
            }
        });
    }
}
