//! The Entra refresh tokens of saved sign-ins.
//!
//! Such a token goes to the store that keeps it longest, since a person had to sign in for it. The Secret Service, which outlives a reboot,
//! comes before the kernel keyring, unless it keeps everything in memory. If no store accepts the token, `login` fails.

use super::self_test::self_test;
use super::store::{Persistence, Store, StoreError};
use super::{Cache, Key, SelfTest, delete, log_failure, read, write};
use crate::error::{Error, ErrorKind};
use secrecy::SecretString;
use std::time::{Duration, SystemTime};

/// Entra revokes a refresh token that was not used for 90 days (Microsoft, "Refresh tokens in the Microsoft identity platform").
pub(crate) const MAX_UNUSED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The store of a saved sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginStore {
    /// Its name.
    pub store: String,
    /// How long it keeps the token.
    pub persistence: Persistence,
    /// The names of the other stores, which hold no token of the sign-in any more.
    pub cleared: Vec<String>,
}

impl Cache {
    /// Returns the Entra refresh token of a saved sign-in. The newest counts: a store that was locked may still hold an older one.
    pub fn login(&self, key: &Key, now: SystemTime) -> Option<SecretString> {
        let found = self.stores().filter_map(|store| read(store, key));
        let newest = found.max_by_key(|(_, expires)| *expires)?;
        (now < newest.1).then_some(newest.0)
    }

    /// Stores the Entra refresh token of a saved sign-in.
    ///
    /// # Errors
    ///
    /// Returns the failure of each store if none accepts it. An older token stays where it was, and may still be valid.
    pub fn put_login(
        &self,
        key: &Key,
        token: &SecretString,
        now: SystemTime,
    ) -> Result<LoginStore, Vec<String>> {
        let stores = self.stores().map(|store| (store.persistence(), store));
        let mut stores: Vec<(Persistence, &dyn Store)> = stores.collect();
        stores.sort_by_key(|(persistence, _)| *persistence);
        let mut problems = vec![];
        for &(persistence, store) in &stores {
            if let Err(error) = write(store, key, token, now + MAX_UNUSED, MAX_UNUSED) {
                problems.push(format!("{}: {error}", store.name()));
                continue;
            }
            let others = stores.iter().map(|(_, other)| *other);
            let others = others.filter(|other| other.name() != store.name());
            let cleared = others.filter(|other| clear(*other, key).is_ok());
            return Ok(LoginStore {
                store: store.name().to_owned(),
                persistence,
                cleared: cleared.map(|other| other.name().to_owned()).collect(),
            });
        }
        Err(problems)
    }

    /// Tests which store accepts tokens, and returns the name of the first that does. The others are not touched.
    ///
    /// # Errors
    ///
    /// Returns the failure of each store if none works.
    pub fn working_store(&self) -> Result<String, Vec<String>> {
        let mut problems = vec![];
        for SelfTest { store, outcome } in self.stores().map(self_test) {
            match outcome {
                Ok(()) => return Ok(store),
                Err(problem) => problems.push(format!("{store}: {problem}")),
            }
        }
        Err(problems)
    }

    /// Deletes the Entra refresh token of a saved sign-in in every store.
    ///
    /// # Errors
    ///
    /// Fails if one of the named stores, which hold the token, does not confirm that it is deleted.
    pub fn delete_login(&self, key: &Key, stores: &[String]) -> Result<(), Error> {
        let cleared = self.stores().map(|store| (store.name(), clear(store, key)));
        let cleared: Vec<_> = cleared.collect();
        for name in stores {
            let problem = match cleared.iter().find(|(store, _)| store == name) {
                Some((_, Ok(()))) => continue,
                Some((_, Err(error))) => error.to_string(),
                None => "this system has none".to_owned(),
            };
            return Err(logout_error(&format!("{name}: {problem}")));
        }
        Ok(())
    }

    /// Deletes the entries with these keys in every store, those of saved sign-ins too.
    ///
    /// # Errors
    ///
    /// Fails if a store does not delete an entry.
    pub fn delete_entries(&self, is_obsolete: impl Fn(&Key) -> bool) -> Result<(), Error> {
        delete(&self.entries("what is in it stays there"), is_obsolete)
            .map_err(|problem| logout_error(&problem))
    }
}

/// Deletes an entry. Fails also if the store cannot be searched: a locked store may not find its entries by their keys.
fn clear(store: &dyn Store, key: &Key) -> Result<(), StoreError> {
    let cleared = match store.delete(key.as_str()) {
        Ok(false) => store.list().map(drop),
        deleted => deleted.map(drop),
    };
    log_failure(store, "deletion", cleared.clone());
    cleared
}

fn logout_error(problem: &str) -> Error {
    let message = format!("could not delete a saved token: {problem}");
    Error::new(ErrorKind::Keyring, message).with_hint("unlock or restart the keyring and try again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::store::memory::{Event, Memory};
    use secrecy::ExposeSecret;
    use std::sync::Arc;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_login_is_stored_for_ninety_days_and_is_no_registry() {
        let cache = Cache::new(vec![Memory::new()]);
        let (alice, bob) = (Key::of_login("alice"), Key::of_login("bob"));
        cache
            .put_login(&alice, &"entra refresh token".into(), NOW)
            .unwrap();
        assert_eq!(
            cache.login(&alice, NOW).unwrap().expose_secret(),
            "entra refresh token"
        );
        assert!(
            cache.login(&bob, NOW).is_none() && cache.login(&alice, NOW + MAX_UNUSED).is_none()
        );
        assert!(cache.list(NOW).is_empty());
        cache
            .erase(
                &crate::registry::Registry::parse("contoso.azurecr.io", &[]).unwrap(),
                NOW,
            )
            .unwrap();
        assert!(
            cache.login(&alice, NOW).is_some(),
            "a registry is not a login"
        );
        cache.delete_entries(|key| *key == alice).unwrap();
        assert!(cache.login(&alice, NOW).is_none());
    }

    #[test]
    fn the_newest_token_of_a_login_is_used() {
        let (one, two) = (Memory::new(), Memory::new());
        let key = Key::of_login("alice");
        // The first store was locked when the second token came.
        Cache::new(vec![one.clone()])
            .put_login(&key, &"old".into(), NOW)
            .unwrap();
        Cache::new(vec![two.clone()])
            .put_login(&key, &"new".into(), NOW + Duration::from_secs(60))
            .unwrap();
        assert_eq!(
            Cache::new(vec![one, two])
                .login(&key, NOW)
                .unwrap()
                .expose_secret(),
            "new"
        );
    }

    #[test]
    fn a_login_goes_to_the_store_that_lasts_longest() {
        let store = |persistence| -> Arc<dyn Store> {
            Arc::new(Memory {
                persistence: Some(persistence),
                ..Memory::default()
            })
        };
        let (deleted, restart, session) = (
            Persistence::UntilDeleted,
            Persistence::UntilRestart,
            Persistence::UntilSessionEnds,
        );
        for (order, expected, name) in [
            (vec![restart, deleted], deleted, "until deleted"),
            (vec![restart, session], restart, "until restart"),
            (vec![session, restart], restart, "until restart"),
            (vec![session], session, "until session ends"),
        ] {
            let stores = order.into_iter().map(store).collect();
            let place = Cache::new(stores)
                .put_login(&Key::of_login("alice"), &"token".into(), NOW)
                .unwrap();
            assert_eq!(
                (place.persistence, place.store),
                (expected, name.to_owned())
            );
        }
    }

    #[test]
    fn a_login_that_no_store_accepts_has_the_failure_of_each_store() {
        let store = Memory::new();
        let cache = Cache::new(vec![store.clone()]);
        cache.working_store().unwrap();
        assert_eq!(store.len(), 0, "the self-test leaves nothing behind");
        store.plan(0, Event::Fails);
        let problems = cache.working_store().unwrap_err();
        assert!(
            problems.len() == 1 && problems[0].contains("locked"),
            "{problems:?}"
        );
        assert!(Cache::new(vec![]).working_store().unwrap_err().is_empty());
    }

    #[test]
    fn a_login_survives_a_keyring_that_is_full_for_a_moment() {
        let store = Memory::new();
        let cache = Cache::new(vec![store.clone()]);
        let key = Key::of_login("alice");
        cache.put_login(&key, &"old".into(), NOW).unwrap();
        store.plan(0, Event::Fails);
        cache.put_login(&key, &"new".into(), NOW).unwrap_err();
        assert_eq!(cache.login(&key, NOW).unwrap().expose_secret(), "old");
    }

    #[test]
    fn a_login_is_forgotten_only_if_its_store_confirms_it() {
        let store = Memory::new();
        let cache = Cache::new(vec![store.clone()]);
        let key = Key::of_login("alice");
        let place = cache.put_login(&key, &"token".into(), NOW).unwrap();
        let kept_in = [place.store];
        let problem = |cache: &Cache| cache.delete_login(&key, &kept_in).unwrap_err().to_string();
        store.plan(0, Event::Fails);
        assert!(problem(&cache).starts_with("could not delete a saved token: "));
        assert!(problem(&Cache::new(vec![])).ends_with(": this system has none"));
        cache.delete_login(&key, &kept_in).unwrap();
        assert!(cache.login(&key, NOW).is_none());
        // Deleting it again, or where it never was, succeeds.
        cache.delete_login(&key, &kept_in).unwrap();
        Cache::new(vec![]).delete_login(&key, &[]).unwrap();
    }
}
