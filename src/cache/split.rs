//! A store that takes more than the one below it: what is too long for an entry there is spread over several.
//!
//! Credential Manager takes 2,560 bytes (`CRED_MAX_CREDENTIAL_BLOB_SIZE`), and a token of somebody who is in many groups is longer. The
//! entry itself, the *head*, then holds the SHA-256 of the whole and the number of its parts; each part is an entry under another service
//! whose user ends with the beginning of that digest and a number. Parts are written first and the head last, by one write of the store,
//! so that a reader finds what was there before, the whole of what is there now, or nothing: whatever does not give the digest is
//! nothing. Of parts that no head names, those of one entry go with its next long write or with itself.

use keyring_core::api::{
    Credential, CredentialApi, CredentialPersistence, CredentialStore, CredentialStoreApi,
};
use keyring_core::{Entry, Error, Result};
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What is added to the service for parts.
const PART: &str = "-part";

/// The first byte of a head that holds the whole.
const WHOLE: u8 = b'=';

/// The first byte of a head that holds digest and number of parts.
const PARTS: u8 = b'+';

/// A head that names parts: the mark, the digest, and their number in one byte.
const HEAD: usize = 1 + ring::digest::SHA256_OUTPUT_LEN + 1;

/// How often one begins anew when another process writes or clears at the same moment.
const TRIES: usize = 5;

/// See the module. Entries below are made with these modifiers, and searched for with this specification.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) name: &'static str,
    pub(super) below: Arc<CredentialStore>,
    /// The most bytes that an entry below takes; more than those of a head that names parts.
    pub(super) limit: usize,
    pub(super) modifiers: HashMap<&'static str, &'static str>,
    pub(super) search: HashMap<&'static str, &'static str>,
}

impl Store {
    fn entry(&self, service: &str, user: &str) -> Result<Entry> {
        self.below.build(service, user, Some(&self.modifiers))
    }

    /// Service and user of everything below.
    fn all(&self) -> Result<Vec<(String, String)>> {
        Ok(self
            .below
            .search(&self.search)?
            .iter()
            .filter_map(Entry::get_specifiers)
            .collect())
    }
}

impl CredentialStoreApi for Store {
    fn vendor(&self) -> String {
        self.name.to_owned()
    }

    fn id(&self) -> String {
        self.below.id()
    }

    fn build(&self, service: &str, user: &str, _: Option<&HashMap<&str, &str>>) -> Result<Entry> {
        let split = Split {
            store: self.clone(),
            service: service.to_owned(),
            user: user.to_owned(),
        };
        Ok(Entry::new_with_credential(Arc::new(split)))
    }

    /// The entries of a service, also those of which parts are left alone.
    fn search(&self, spec: &HashMap<&str, &str>) -> Result<Vec<Entry>> {
        let service = spec.get("service").copied().unwrap_or(super::SERVICE);
        let parts = format!("{service}{PART}");
        let users =
            self.all()?
                .into_iter()
                .filter_map(|(found, user)| match user.rsplit_once(' ') {
                    _ if found == service => Some(user),
                    Some((whole, _)) if found == parts => Some(whole.to_owned()),
                    _ => None,
                });
        let mut users: Vec<String> = users.collect();
        users.sort();
        users.dedup();
        users
            .iter()
            .map(|user| self.build(service, user, None))
            .collect()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn persistence(&self) -> CredentialPersistence {
        self.below.persistence()
    }
}

/// An entry of any length.
#[derive(Debug)]
struct Split {
    store: Store,
    service: String,
    user: String,
}

/// What a head names.
#[derive(PartialEq, Eq)]
struct Parts {
    digest: Vec<u8>,
    count: u8,
}

impl Parts {
    fn of(secret: &[u8], limit: usize) -> Result<Self> {
        let count = u8::try_from(secret.len().div_ceil(limit));
        let too_long = |_| {
            Error::TooLong(
                "secret".into(),
                u32::try_from(limit).unwrap_or(u32::MAX).saturating_mul(255),
            )
        };
        Ok(Self {
            digest: digest(secret),
            count: count.map_err(too_long)?,
        })
    }

    fn named_by(head: &[u8]) -> Option<Self> {
        let [PARTS, digest @ .., count] = head else {
            return None;
        };
        (head.len() == HEAD).then(|| Self {
            digest: digest.to_owned(),
            count: *count,
        })
    }

    fn head(&self) -> Vec<u8> {
        [&[PARTS], self.digest.as_slice(), &[self.count]].concat()
    }

    /// What the last word of the user of one part is: eight bytes of the digest tell one write from another.
    fn word(&self, number: u8) -> String {
        let generation = self.digest[..8]
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        format!("{generation}.{number}")
    }

    fn words(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.count).map(|number| self.word(number))
    }
}

impl Split {
    fn head(&self) -> Result<Entry> {
        self.store.entry(&self.service, &self.user)
    }

    fn part(&self, word: &str) -> Result<Entry> {
        self.store.entry(
            &format!("{}{PART}", self.service),
            &format!("{} {word}", self.user),
        )
    }

    /// Writes parts, then the head. When that fails, what the head named before is as it was.
    fn write(&self, secret: &[u8]) -> Result<Option<Parts>> {
        if secret.len() < self.store.limit {
            let whole = Zeroizing::new([&[WHOLE], secret].concat());
            return self.head()?.set_secret(&whole).map(|()| None);
        }
        let parts = Parts::of(secret, self.store.limit)?;
        for (word, bytes) in parts.words().zip(secret.chunks(self.store.limit)) {
            self.part(&word)?.set_secret(bytes)?;
        }
        self.head()?.set_secret(&parts.head())?;
        Ok(Some(parts))
    }

    /// Deletes all parts of this entry but those that are to stay.
    fn clear(&self, stay: Option<&Parts>) -> Result<()> {
        let service = format!("{}{PART}", self.service);
        let mut result = Ok(());
        for (found, user) in self.store.all()? {
            let word = user
                .rsplit_once(' ')
                .filter(|(whole, _)| found == service && *whole == self.user)
                .map(|(_, word)| word);
            let Some(word) = word
                .filter(|word| stay.is_none_or(|parts| parts.words().all(|kept| kept != *word)))
            else {
                continue;
            };
            match self.part(word)?.delete_credential() {
                Ok(()) | Err(Error::NoEntry) => (),
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Deletes the parts that came so far, which no head names.
    fn take_back(&self) {
        let cleared = match self
            .head()
            .and_then(|head| head.get_secret())
            .map(Zeroizing::new)
        {
            Ok(head) => self.clear(Parts::named_by(&head).as_ref()),
            Err(Error::NoEntry) => self.clear(None),
            // Those that are in use cannot be told from them.
            Err(error) => Err(error),
        };
        // It is the failure before that is told, and the next write clears, too.
        drop(cleared);
    }

    /// The whole that the parts make, if they do.
    fn join(&self, parts: &Parts) -> Result<Option<Vec<u8>>> {
        let mut whole = Zeroizing::new(Vec::new());
        for word in parts.words() {
            match self.part(&word)?.get_secret().map(Zeroizing::new) {
                Ok(bytes) => whole.extend_from_slice(&bytes),
                Err(Error::NoEntry) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok((digest(&whole) == parts.digest).then(|| std::mem::take(&mut *whole)))
    }
}

impl CredentialApi for Split {
    /// What another process that writes at the same moment clears away is written again: in the end there is the whole of one of the two.
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        for _ in 0..TRIES {
            let before = self.head()?.get_secret().map(Zeroizing::new);
            let written = self.write(secret).inspect_err(|_| self.take_back())?;
            // To search takes everything there is of everybody, and most tokens are short.
            if written.is_some() || before.is_ok_and(|head| Parts::named_by(&head).is_some()) {
                // What cannot be cleared is in nobody's way.
                let _ = self.clear(written.as_ref());
            }
            // What was cleared may have been another's that was just written.
            if self.get_secret().map(Zeroizing::new).is_ok() {
                return Ok(());
            }
        }
        Err(Error::BadStoreFormat(
            "it does not keep what it took".into(),
        ))
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        let mut before = None;
        for _ in 0..TRIES {
            let head = Zeroizing::new(self.head()?.get_secret()?);
            if let [WHOLE, whole @ ..] = head.as_slice() {
                return Ok(whole.to_owned());
            }
            let Some(parts) = Parts::named_by(&head) else {
                break;
            };
            if let Some(whole) = self.join(&parts)? {
                return Ok(whole);
            }
            // Unless another process has just put a new head in its place, they are gone.
            if before.as_ref() == Some(&parts) {
                break;
            }
            before = Some(parts);
        }
        Err(Error::BadStoreFormat(
            "a part of the entry is missing or not of it".into(),
        ))
    }

    fn delete_credential(&self) -> Result<()> {
        let head = self.head()?.delete_credential();
        match &head {
            Ok(()) | Err(Error::NoEntry) => self.clear(None).and(head),
            Err(_) => head,
        }
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        self.head()?.get_credential().map(|_| None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        Some((self.service.clone(), self.user.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes)
        .as_ref()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    const SERVICE: &str = "service";

    const LIMIT: usize = 2560;

    type Action = Box<dyn FnOnce() + Send>;

    /// What happens at one step of the store below.
    enum Event {
        /// This step does not work.
        Fails,
        /// Nothing works from this step on: the process is ended, or the store is.
        Ends,
        /// Somebody else does something just before it.
        Meanwhile(Action),
    }

    /// A store like Credential Manager in memory, every step of which can be seen and disturbed.
    #[derive(Default)]
    struct Memory {
        entries: Mutex<BTreeMap<(String, String), Vec<u8>>>,
        event: Mutex<Option<(usize, Event)>>,
    }

    impl Memory {
        /// After this many steps the event happens.
        fn plan(&self, steps: usize, event: Event) {
            *self.event.lock().unwrap() = Some((steps, event));
        }

        /// Whether what was planned has happened; nothing is planned then.
        fn end_plan(&self) -> bool {
            let event = self.event.lock().unwrap().take();
            !matches!(
                event,
                Some((_, Event::Fails | Event::Meanwhile(_)) | (1.., Event::Ends))
            )
        }

        fn step(&self) -> Result<()> {
            let mut planned = self.event.lock().unwrap();
            let failure = || Err(Error::PlatformFailure("it broke".into()));
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

        fn len(&self) -> usize {
            self.entries.lock().unwrap().len()
        }
    }

    struct Below(Arc<Memory>);

    struct Cell(Arc<Memory>, (String, String));

    impl CredentialStoreApi for Below {
        fn vendor(&self) -> String {
            "memory".into()
        }

        fn id(&self) -> String {
            String::new()
        }

        fn build(
            &self,
            service: &str,
            user: &str,
            _: Option<&HashMap<&str, &str>>,
        ) -> Result<Entry> {
            Ok(Entry::new_with_credential(Arc::new(Cell(
                self.0.clone(),
                (service.into(), user.into()),
            ))))
        }

        fn search(&self, _: &HashMap<&str, &str>) -> Result<Vec<Entry>> {
            self.0.step()?;
            let keys: Vec<_> = self.0.entries.lock().unwrap().keys().cloned().collect();
            keys.iter()
                .map(|(service, user)| self.build(service, user, None))
                .collect()
        }

        fn as_any(&self) -> &dyn Any {
            self
        }

        fn debug_fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Below")
        }
    }

    impl CredentialApi for Cell {
        fn set_secret(&self, secret: &[u8]) -> Result<()> {
            self.0.step()?;
            assert!(secret.len() <= LIMIT, "Credential Manager does not take it");
            self.0
                .entries
                .lock()
                .unwrap()
                .insert(self.1.clone(), secret.to_owned());
            Ok(())
        }

        fn get_secret(&self) -> Result<Vec<u8>> {
            self.0.step()?;
            self.0
                .entries
                .lock()
                .unwrap()
                .get(&self.1)
                .cloned()
                .ok_or(Error::NoEntry)
        }

        fn delete_credential(&self) -> Result<()> {
            self.0.step()?;
            self.0
                .entries
                .lock()
                .unwrap()
                .remove(&self.1)
                .map(drop)
                .ok_or(Error::NoEntry)
        }

        fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
            Ok(None)
        }

        fn get_specifiers(&self) -> Option<(String, String)> {
            Some(self.1.clone())
        }

        fn as_any(&self) -> &dyn Any {
            self
        }

        fn debug_fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Cell")
        }
    }

    fn store(memory: &Arc<Memory>) -> Store {
        let below = Arc::new(Below(memory.clone()));
        Store {
            name: "split",
            below,
            limit: LIMIT,
            modifiers: HashMap::new(),
            search: HashMap::new(),
        }
    }

    fn entry(memory: &Arc<Memory>) -> Entry {
        store(memory)
            .build(SERVICE, "contoso.azurecr.io alice", None)
            .unwrap()
    }

    /// Bytes that no other write has in the same place.
    fn content(seed: u8, length: usize) -> Vec<u8> {
        (0..length)
            .map(|at| u8::try_from(at % 251).unwrap() ^ seed)
            .collect()
    }

    /// How many entries below hold so many bytes.
    fn cells(length: usize) -> usize {
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
            let memory = Arc::new(Memory::default());
            entry(&memory).set_secret(&content(1, length)).unwrap();
            assert_eq!(
                (entry(&memory).get_secret().unwrap(), memory.len()),
                (content(1, length), cells(length)),
                "{length}"
            );
            entry(&memory).delete_credential().unwrap();
            assert_eq!(memory.len(), 0);
            assert!(matches!(entry(&memory).get_secret(), Err(Error::NoEntry)));
        }
        let memory = Arc::new(Memory::default());
        assert!(matches!(
            entry(&memory).set_secret(&content(1, 255 * LIMIT + 1)),
            Err(Error::TooLong(..))
        ));
        assert_eq!(memory.len(), 0);
    }

    #[test]
    fn a_part_that_is_missing_or_of_something_else_is_a_miss() {
        for spoil in [
            |part: &mut Vec<u8>| part[7] ^= 1,
            |part: &mut Vec<u8>| part.truncate(9),
            |part: &mut Vec<u8>| part.extend_from_slice(b"more"),
        ] {
            let memory = Arc::new(Memory::default());
            entry(&memory).set_secret(&content(1, 2 * LIMIT)).unwrap();
            let name = (
                format!("{SERVICE}{PART}"),
                entries_of_parts(&memory)[1].clone(),
            );
            spoil(memory.entries.lock().unwrap().get_mut(&name).unwrap());
            assert!(matches!(
                entry(&memory).get_secret(),
                Err(Error::BadStoreFormat(_))
            ));
            memory.entries.lock().unwrap().remove(&name);
            assert!(matches!(
                entry(&memory).get_secret(),
                Err(Error::BadStoreFormat(_))
            ));
        }
        let memory = Arc::new(Memory::default());
        for head in [&b""[..], b"+", b"{}", &[PARTS; HEAD + 1]] {
            memory.entries.lock().unwrap().insert(
                (SERVICE.into(), "contoso.azurecr.io alice".into()),
                head.to_owned(),
            );
            assert!(
                matches!(entry(&memory).get_secret(), Err(Error::BadStoreFormat(_))),
                "{head:?}"
            );
        }
    }

    fn entries_of_parts(memory: &Arc<Memory>) -> Vec<String> {
        let all = store(memory).all().unwrap().into_iter();
        all.filter(|(service, _)| service.ends_with(PART))
            .map(|(_, user)| user)
            .collect()
    }

    #[test]
    fn a_part_that_cannot_be_deleted_is_told_and_found_again() {
        let memory = Arc::new(Memory::default());
        entry(&memory).set_secret(&content(1, 2 * LIMIT)).unwrap();
        // The head and the search come before it.
        memory.plan(2, Event::Fails);
        entry(&memory).delete_credential().unwrap_err();
        assert_eq!(memory.len(), 1);
        let found = store(&memory)
            .search(&HashMap::from([("service", SERVICE)]))
            .unwrap();
        assert_eq!(found.len(), 1);
        assert!(matches!(found[0].get_secret(), Err(Error::NoEntry)));
        assert!(matches!(found[0].delete_credential(), Err(Error::NoEntry)));
        assert_eq!(memory.len(), 0);
    }

    #[test]
    fn a_write_that_fails_takes_back_what_it_wrote() {
        for (before, whole) in [(None, 0), (Some(9), 1), (Some(2 * LIMIT), 3)] {
            for failing in 2..=4 {
                let memory = Arc::new(Memory::default());
                if let Some(length) = before {
                    entry(&memory).set_secret(&content(1, length)).unwrap();
                }
                // The old head is read, three parts are written, then the new head.
                memory.plan(failing, Event::Fails);
                entry(&memory)
                    .set_secret(&content(2, 3 * LIMIT))
                    .unwrap_err();
                assert_eq!(memory.len(), whole, "{before:?} {failing}");
            }
        }
    }

    #[test]
    fn an_entry_is_found_once_and_no_other_service_is() {
        let memory = Arc::new(Memory::default());
        let store = store(&memory);
        for (service, user, length) in [
            (SERVICE, "a 1", 3 * LIMIT),
            (SERVICE, "b 2", 9),
            ("trial", "c 3", 2 * LIMIT),
        ] {
            store
                .build(service, user, None)
                .unwrap()
                .set_secret(&content(1, length))
                .unwrap();
        }
        let found = store
            .search(&HashMap::from([("service", SERVICE)]))
            .unwrap();
        let users: Vec<String> = found
            .iter()
            .filter_map(|entry| Some(entry.get_specifiers()?.1))
            .collect();
        assert_eq!(users, ["a 1", "b 2"]);
        found[0].delete_credential().unwrap();
        assert_eq!(memory.len(), 1 + 3, "what is of others stays");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_write_that_breaks_off_leaves_what_was_there_or_all_of_it(
            before in proptest::option::of(lengths()), after in lengths(), last in lengths(), steps in 0..24_usize, ends in any::<bool>()
        ) {
            let memory = Arc::new(Memory::default());
            let entry = entry(&memory);
            let old = before.map(|length| content(1, length));
            if let Some(old) = &old {
                entry.set_secret(old).unwrap();
            }
            let new = content(2, after);
            memory.plan(steps, if ends { Event::Ends } else { Event::Fails });
            let written = entry.set_secret(&new);
            let happened = memory.end_plan();
            match entry.get_secret() {
                Ok(found) => prop_assert!(found == new || (written.is_err() && Some(&found) == old.as_ref())),
                Err(Error::NoEntry) => prop_assert!(written.is_err() && old.is_none()),
                Err(error) => prop_assert!(false, "{error}"),
            }
            prop_assert!(written.is_ok() || happened);
            let next = content(3, last);
            entry.set_secret(&next).unwrap();
            prop_assert!(entry.get_secret().unwrap() == next);
            prop_assert!(memory.len() == cells(last) || last < LIMIT, "what was left behind goes with the next long write");
            entry.delete_credential().unwrap();
            prop_assert_eq!(memory.len(), 0);
        }

        #[test]
        fn of_two_writes_at_one_moment_one_stays_whole(
            before in lengths(), one in lengths(), other in lengths(), steps in 0..24_usize
        ) {
            let memory = Arc::new(Memory::default());
            entry(&memory).set_secret(&content(1, before)).unwrap();
            let (theirs, at) = (content(3, other), memory.clone());
            memory.plan(steps, Event::Meanwhile(Box::new(move || entry(&at).set_secret(&theirs).unwrap())));
            entry(&memory).set_secret(&content(2, one)).unwrap();
            memory.end_plan();
            let found = entry(&memory).get_secret().unwrap();
            prop_assert!(found == content(2, one) || found == content(3, other));
        }

        #[test]
        fn a_reader_finds_what_was_there_before_or_after_a_write(before in lengths(), after in lengths(), steps in 0..12_usize) {
            let memory = Arc::new(Memory::default());
            entry(&memory).set_secret(&content(1, before)).unwrap();
            let (new, at) = (content(2, after), memory.clone());
            memory.plan(steps, Event::Meanwhile(Box::new(move || entry(&at).set_secret(&new).unwrap())));
            let found = entry(&memory).get_secret().unwrap();
            prop_assert!(found == content(1, before) || found == content(2, after));
        }

        #[test]
        fn what_is_erased_during_a_write_is_whole_or_gone(one in lengths(), steps in 0..24_usize) {
            let memory = Arc::new(Memory::default());
            let at = memory.clone();
            memory.plan(steps, Event::Meanwhile(Box::new(move || drop(entry(&at).delete_credential()))));
            entry(&memory).set_secret(&content(2, one)).unwrap();
            memory.end_plan();
            match entry(&memory).get_secret() {
                Ok(found) => prop_assert_eq!(found, content(2, one)),
                Err(error) => prop_assert!(matches!(error, Error::NoEntry) && memory.len() == 0),
            }
        }
    }

    #[test]
    fn threads_that_write_and_read_at_once_never_meet_a_mixture() {
        let memory = Arc::new(Memory::default());
        entry(&memory).set_secret(&content(0, 2 * LIMIT)).unwrap();
        std::thread::scope(|scope| {
            for seed in [10, 20] {
                let memory = &memory;
                // Two that never stop may drive each other out; whoever gives up says so.
                scope.spawn(move || {
                    (seed..seed + 10)
                        .for_each(|seed| drop(entry(memory).set_secret(&content(seed, 3 * LIMIT))));
                });
            }
            for _ in 0..200 {
                if let Ok(found) = entry(&memory).get_secret() {
                    assert!((0..30).any(|seed| found == content(seed, 2 * LIMIT)
                        || found == content(seed, 3 * LIMIT)));
                }
            }
        });
    }
}
