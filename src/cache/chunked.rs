//! Spreads a secret that is too long for one entry over several.
//!
//! Credential Manager accepts 2,560 bytes (`CRED_MAX_CREDENTIAL_BLOB_SIZE`), and the token of a user in many groups is longer. The
//! entry itself, the *head*, then holds the SHA-256 of the whole and the number of parts; each part is an entry whose key ends with the
//! start of that digest and a number. Parts are written first and the head last, in one write, so that a reader finds the old secret,
//! the new secret, or none: a digest mismatch reads as no entry. Orphaned parts are removed by the next long write or by the
//! deletion of the entry.

use super::store::{Lasts, Store, StoreError};
use std::time::Duration;
use zeroize::Zeroizing;

/// Separates the key of an entry from the name of a part.
const PART: &str = " part ";

/// The first byte of a head that holds the secret itself.
const INLINE: u8 = b'=';

/// The first byte of a head that holds a manifest.
const MANIFEST: u8 = b'+';

/// How often an operation starts again when another process writes or deletes the same entry.
const MAX_TRIES: usize = 5;

/// A store that accepts secrets longer than the store below.
#[derive(Debug)]
pub(super) struct Chunked<S> {
    store: S,
    max_bytes: usize,
}

/// What the head says of the parts.
struct Manifest {
    digest: [u8; ring::digest::SHA256_OUTPUT_LEN],
    count: u8,
}

impl Manifest {
    fn new(secret: &[u8], max_bytes: usize) -> Result<Self, StoreError> {
        let count = u8::try_from(secret.len().div_ceil(max_bytes));
        Ok(Self {
            digest: sha256(secret),
            count: count.map_err(|_| StoreError::TooLong)?,
        })
    }

    fn parse(head: &[u8]) -> Option<Self> {
        let [MANIFEST, digest @ .., count] = head else {
            return None;
        };
        Some(Self {
            digest: digest.try_into().ok()?,
            count: *count,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        [&[MANIFEST], self.digest.as_slice(), &[self.count]].concat()
    }

    /// Returns the keys of the parts. Eight bytes of the digest distinguish one write from another.
    fn part_keys(&self, key: &str) -> Vec<String> {
        let generation = hex::encode(&self.digest[..8]);
        let part = |number| format!("{key}{PART}{generation}.{number}");
        (0..self.count).map(part).collect()
    }
}

impl<S: Store> Chunked<S> {
    /// Wraps a store that accepts up to `max_bytes`, which must be more than a head with a manifest has.
    pub(super) fn new(store: S, max_bytes: usize) -> Self {
        Self { store, max_bytes }
    }

    /// Writes the parts, then the head. If that fails, the old head and its parts are unchanged.
    fn write(&self, key: &str, secret: &[u8], lifetime: Duration) -> Result<(), StoreError> {
        if secret.len() < self.max_bytes {
            let head = Zeroizing::new([&[INLINE], secret].concat());
            return self.store.set(key, &head, lifetime);
        }
        let manifest = Manifest::new(secret, self.max_bytes)?;
        let chunks = secret.chunks(self.max_bytes);
        for (part, chunk) in manifest.part_keys(key).iter().zip(chunks) {
            self.store.set(part, chunk, lifetime)?;
        }
        self.store.set(key, &manifest.to_bytes(), lifetime)
    }

    /// Deletes the parts of an entry that its head does not name.
    fn delete_orphans(&self, key: &str) -> Result<(), StoreError> {
        let head = self.store.get(key)?;
        let manifest = head.and_then(|head| Manifest::parse(&head));
        let in_use = manifest.map_or_else(Vec::new, |manifest| manifest.part_keys(key));
        let prefix = format!("{key}{PART}");
        let mut result = Ok(());
        for found in self.store.list()? {
            if found.starts_with(&prefix) && !in_use.contains(&found) {
                result = self.store.delete(&found).map(drop).and(result);
            }
        }
        result
    }

    /// Returns the whole if all parts are there.
    fn join(
        &self,
        key: &str,
        manifest: &Manifest,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let mut whole = Zeroizing::new(Vec::new());
        for part in manifest.part_keys(key) {
            match self.store.get(&part)? {
                Some(bytes) => whole.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
        Ok((sha256(&whole) == manifest.digest).then_some(whole))
    }
}

impl<S: Store> Store for Chunked<S> {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    fn lasts(&self) -> Lasts {
        self.store.lasts()
    }

    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        // Another process may replace the head while the parts are read.
        for _ in 0..MAX_TRIES {
            let Some(head) = self.store.get(key)? else {
                break;
            };
            if let [INLINE, secret @ ..] = head.as_slice() {
                return Ok(Some(Zeroizing::new(secret.to_owned())));
            }
            let Some(manifest) = Manifest::parse(&head) else {
                break;
            };
            if let Some(whole) = self.join(key, &manifest)? {
                return Ok(Some(whole));
            }
        }
        Ok(None)
    }

    /// Retries if a concurrent writer removed our parts; the last writer wins.
    fn set(&self, key: &str, secret: &[u8], lifetime: Duration) -> Result<(), StoreError> {
        for _ in 0..MAX_TRIES {
            let is_long = |head: &[u8]| Manifest::parse(head).is_some();
            let had_parts = matches!(self.store.get(key), Ok(Some(head)) if is_long(&head));
            let written = self.write(key, secret, lifetime);
            // Listing reads every entry of the user, and most tokens are short.
            if had_parts || secret.len() >= self.max_bytes {
                // Orphans that cannot be deleted do no harm.
                let _ = self.delete_orphans(key);
            }
            written?;
            if matches!(self.get(key), Ok(Some(_))) {
                return Ok(());
            }
        }
        Err(StoreError::Failed(
            "it does not keep what it accepts".into(),
        ))
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

fn sha256(bytes: &[u8]) -> [u8; ring::digest::SHA256_OUTPUT_LEN] {
    let mut digest = [0; ring::digest::SHA256_OUTPUT_LEN];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    digest
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

    /// Returns how many entries of the store below hold so many bytes.
    fn entries(length: usize) -> usize {
        if length < LIMIT {
            1
        } else {
            1 + length.div_ceil(LIMIT)
        }
    }

    fn lengths() -> impl Strategy<Value = usize> {
        prop_oneof![
            0..3 * LIMIT + 2,
            (0..4_usize, 0..3_usize)
                .prop_map(|(parts, off)| (parts * LIMIT + off).saturating_sub(1))
        ]
    }

    #[test]
    fn what_is_longer_than_an_entry_comes_back_whole_and_goes_whole() {
        for length in [
            0,
            1,
            LIMIT - 1,
            LIMIT,
            LIMIT + 1,
            2 * LIMIT,
            4 * LIMIT + 7,
            255 * LIMIT,
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
            set(&memory, &content(1, 255 * LIMIT + 1)),
            Err(StoreError::TooLong)
        );
        assert_eq!(memory.len(), 0);
    }

    #[test]
    fn a_part_that_is_missing_or_of_something_else_is_a_miss() {
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
        for head in [&b""[..], b"+", b"{}", &[MANIFEST; 35]] {
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
            for failing in 2..=4 {
                let memory = memory();
                if let Some(length) = before {
                    set(&memory, &content(1, length)).unwrap();
                }
                // The old head is read, three parts are written, then the new head.
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
        fn a_write_that_breaks_off_leaves_what_was_there_or_all_of_it(
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
            prop_assert!(memory.len() == entries(last) || last < LIMIT, "orphans go with the next long write");
            store(&memory).delete(KEY).unwrap();
            prop_assert_eq!(memory.len(), 0);
        }

        #[test]
        fn of_two_writes_at_one_moment_one_stays_whole(
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
        fn what_is_erased_during_a_write_is_whole_or_gone(one in lengths(), steps in 0..24_usize) {
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
    fn threads_that_write_and_read_at_once_never_meet_a_mixture() {
        let memory = memory();
        set(&memory, &content(0, 2 * LIMIT)).unwrap();
        std::thread::scope(|scope| {
            for seed in [10, 20] {
                let memory = &memory;
                // Two that never stop may remove each other's parts; the one that gives up reports it.
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
