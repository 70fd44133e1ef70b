//! The Entra refresh tokens of those who signed in with us.
//!
//! One goes to the store that lasts longest: the helper gets a registry's token again in a second, a login costs a person's time. So the
//! Secret Service, which outlives a reboot, comes before the kernel's keyring, which is quicker, and after it where it keeps everything in
//! memory. There is no third place: a login that no store takes is none.

use super::{Cache, Key, SERVICE, Stored, delete, entry, read, reason, told, trial, write};
use keyring_core::Error;
use keyring_core::api::{CredentialPersistence, CredentialStore};
use secrecy::SecretString;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tracing::debug;

/// Entra ends a refresh token that nobody has used for 90 days (Microsoft, "Refresh tokens in the Microsoft identity platform").
pub(crate) const UNUSED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// How long a store keeps a login, the longest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lasts {
    /// Until it is deleted.
    UntilDeleted,
    /// Until the machine restarts.
    UntilRestart,
    /// Until the user's desktop session ends.
    UntilSessionEnds,
}

/// Where a login is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the store.
    pub store: String,
    /// For how long.
    pub lasts: Lasts,
    /// The names of the other stores, as far as nothing of the login is in them.
    pub cleared: Vec<String>,
}

impl Cache {
    /// The Entra refresh token of a login: the newest, since a store that is locked keeps an older one unseen.
    pub fn login(&self, key: &Key, now: SystemTime) -> Option<SecretString> {
        let kept = self
            .stores
            .iter()
            .filter_map(|store| told(store, "look-up", read(store, key)));
        kept.filter(|(_, ends)| now < *ends)
            .max_by_key(|(_, ends)| *ends)
            .map(|(secret, _)| secret)
    }

    /// Keeps the Entra refresh token of a login, and says in which store. The error is what each store said; an older one is still where it
    /// was then, and may be good.
    pub fn put_login(
        &self,
        key: &Key,
        token: &SecretString,
        now: SystemTime,
    ) -> Result<Place, Vec<String>> {
        let stores = self.longest_first();
        let mut problems = vec![];
        for (lasts, store) in &stores {
            match write(store, key, &Stored::new(token, now + UNUSED), UNUSED) {
                Ok(()) => {
                    // An older one is of no use elsewhere.
                    let others = stores
                        .iter()
                        .map(|(_, other)| other)
                        .filter(|other| !Arc::ptr_eq(other, store));
                    let cleared = others
                        .filter(|other| clear(other, key).is_ok())
                        .map(|other| other.vendor())
                        .collect();
                    return Ok(Place {
                        store: store.vendor(),
                        lasts: *lasts,
                        cleared,
                    });
                }
                Err(error) => problems.push(format!("{}: {}", store.vendor(), reason(&error))),
            }
        }
        Err(problems)
    }

    /// Whether some store would keep a login, by keeping something else for a moment. The error is what each store said.
    pub fn takes_logins(&self) -> Result<(), Vec<String>> {
        let mut problems = vec![];
        for store in &self.stores {
            match trial::try_out(store).outcome {
                Ok(()) => return Ok(()),
                Err(problem) => problems.push(format!("{}: {problem}", store.vendor())),
            }
        }
        Err(problems)
    }

    /// Forgets the Entra refresh token of a login in every store. Errors when a store in which it was kept, by its name, does not say that it
    /// is gone: it may still be there.
    pub fn forget_login(&self, key: &Key, kept_in: &[String]) -> Result<(), crate::error::Error> {
        let mut problem = None;
        for store in &self.stores {
            if let Err(error) = clear(store, key)
                && kept_in.contains(&store.vendor())
            {
                problem = Some(format!("{}: {}", store.vendor(), reason(&error)));
            }
        }
        let is_here = |name: &String| self.stores.iter().any(|store| store.vendor() == *name);
        if let Some(name) = kept_in.iter().find(|name| !is_here(name)) {
            problem = Some(format!("{name}: this system has none"));
        }
        problem.map_or(Ok(()), |problem| Err(logout_error(&problem)))
    }

    /// Forgets what is kept under keys that are meant, logins among them, in every store. Returns how many entries there were. Errors when a
    /// store does not give one up.
    pub fn forget(&self, is_meant: impl Fn(&Key) -> bool) -> Result<usize, crate::error::Error> {
        let deleted = delete(&self.entries("what is in it stays there"), is_meant);
        deleted.map_err(|problem| logout_error(&problem))
    }

    /// The same stores, the one that keeps a login longest first.
    fn longest_first(&self) -> Vec<(Lasts, Arc<CredentialStore>)> {
        let mut stores: Vec<_> = self
            .stores
            .iter()
            .map(|store| (lasts(&store.persistence()), store.clone()))
            .collect();
        stores.sort_by_key(|(lasts, _)| *lasts);
        stores
    }
}

/// Deletes what a store has under a key. It is an error also when the store cannot tell whether it has something.
fn clear(store: &Arc<CredentialStore>, key: &Key) -> keyring_core::Result<()> {
    let cleared = match entry(store, key).and_then(|entry| entry.delete_credential()) {
        // Of what is locked, not everything need be found by its name.
        Err(Error::NoEntry) => store
            .search(&HashMap::from([("service", SERVICE)]))
            .map(drop),
        deleted => deleted,
    };
    cleared.inspect_err(|error| {
        debug!(
            store = store.vendor(),
            problem = reason(error),
            "clearing did not work"
        );
    })
}

fn lasts(persistence: &CredentialPersistence) -> Lasts {
    match persistence {
        CredentialPersistence::UntilDelete => Lasts::UntilDeleted,
        CredentialPersistence::UntilReboot => Lasts::UntilRestart,
        _ => Lasts::UntilSessionEnds,
    }
}

/// A login that a store did not delete.
fn logout_error(problem: &str) -> crate::error::Error {
    let message = format!("the login could not be forgotten: {problem}");
    crate::error::Error::new(crate::error::ErrorKind::Keyring, message)
        .with_hint("unlock or restart the keyring and try again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyring_core::api::CredentialStoreApi;
    use keyring_core::{Entry, mock};
    use secrecy::ExposeSecret;
    use std::any::Any;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_login_is_kept_for_ninety_days_and_is_no_registry() {
        let cache = Cache::over(vec![mock::Store::new().unwrap()]);
        let (alice, bob) = (Key::of_login("alice"), Key::of_login("bob"));
        cache
            .put_login(&alice, &"entra refresh token".into(), NOW)
            .unwrap();
        assert_eq!(
            cache.login(&alice, NOW).unwrap().expose_secret(),
            "entra refresh token"
        );
        assert!(cache.login(&bob, NOW).is_none() && cache.login(&alice, NOW + UNUSED).is_none());
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
        assert_eq!(cache.forget(|key| *key == alice).unwrap(), 1);
        assert!(cache.login(&alice, NOW).is_none());
    }

    #[test]
    fn the_newest_token_of_a_login_is_the_one() {
        let (one, two): (Arc<CredentialStore>, Arc<CredentialStore>) =
            (mock::Store::new().unwrap(), mock::Store::new().unwrap());
        let key = Key::of_login("alice");
        // The first store was locked when the second token came.
        Cache::over(vec![one.clone()])
            .put_login(&key, &"old".into(), NOW)
            .unwrap();
        Cache::over(vec![two.clone()])
            .put_login(&key, &"new".into(), NOW + Duration::from_secs(60))
            .unwrap();
        assert_eq!(
            Cache::over(vec![one, two])
                .login(&key, NOW)
                .unwrap()
                .expose_secret(),
            "new"
        );
    }

    /// A store that says of itself how long it keeps things.
    fn lasting(persistence: fn() -> CredentialPersistence) -> Arc<CredentialStore> {
        Arc::new(Lasting {
            below: mock::Store::new().unwrap(),
            persistence,
        })
    }

    #[derive(Debug)]
    struct Lasting {
        below: Arc<CredentialStore>,
        persistence: fn() -> CredentialPersistence,
    }

    impl CredentialStoreApi for Lasting {
        fn vendor(&self) -> String {
            format!("{:?}", lasts(&(self.persistence)()))
        }

        fn id(&self) -> String {
            self.below.id()
        }

        fn build(
            &self,
            service: &str,
            user: &str,
            _: Option<&HashMap<&str, &str>>,
        ) -> keyring_core::Result<Entry> {
            self.below.build(service, user, None)
        }

        fn as_any(&self) -> &dyn Any {
            self
        }

        fn persistence(&self) -> CredentialPersistence {
            (self.persistence)()
        }
    }

    #[test]
    fn a_login_goes_to_the_store_that_lasts_longest() {
        let until_logout = || lasting(|| CredentialPersistence::UntilLogout);
        let until_reboot = || lasting(|| CredentialPersistence::UntilReboot);
        let until_delete = || lasting(|| CredentialPersistence::UntilDelete);
        let silent = || lasting(|| CredentialPersistence::Unspecified);
        for (stores, expected) in [
            (vec![until_reboot(), until_delete()], Lasts::UntilDeleted),
            (vec![until_reboot(), until_logout()], Lasts::UntilRestart),
            (vec![until_logout(), until_reboot()], Lasts::UntilRestart),
            (vec![silent(), until_reboot()], Lasts::UntilRestart),
            (vec![until_logout()], Lasts::UntilSessionEnds),
            (vec![silent()], Lasts::UntilSessionEnds),
        ] {
            let place = Cache::over(stores)
                .put_login(&Key::of_login("alice"), &"token".into(), NOW)
                .unwrap();
            assert_eq!(
                (place.lasts, place.store),
                (expected, format!("{expected:?}"))
            );
        }
    }

    #[test]
    fn a_login_that_no_store_takes_is_told_with_each_stores_reason() {
        let store: Arc<CredentialStore> = mock::Store::new().unwrap();
        let cache = Cache::over(vec![store.clone()]);
        cache.takes_logins().unwrap();
        let entry = trial::entry(&store).unwrap();
        assert!(
            matches!(entry.get_secret(), Err(Error::NoEntry)),
            "the trial is not left behind"
        );
        fails_once(&entry);
        let problems = cache.takes_logins().unwrap_err();
        assert!(
            problems.len() == 1 && problems[0].contains("locked"),
            "{problems:?}"
        );
        assert!(Cache::over(vec![]).takes_logins().unwrap_err().is_empty());
    }

    /// The next thing that is asked of it goes wrong.
    fn fails_once(entry: &keyring_core::Entry) {
        let credential: &mock::Cred = entry.as_any().downcast_ref().unwrap();
        credential.set_error(Error::NoStorageAccess("locked".into()));
    }

    #[test]
    fn a_login_outlives_a_keyring_that_is_full_for_a_moment() {
        let store: Arc<CredentialStore> = mock::Store::new().unwrap();
        let cache = Cache::over(vec![store.clone()]);
        let key = Key::of_login("alice");
        cache.put_login(&key, &"old".into(), NOW).unwrap();
        fails_once(&entry(&store, &key).unwrap());
        cache.put_login(&key, &"new".into(), NOW).unwrap_err();
        assert_eq!(cache.login(&key, NOW).unwrap().expose_secret(), "old");
    }

    #[test]
    fn a_login_is_forgotten_only_when_the_store_that_kept_it_says_so() {
        let store: Arc<CredentialStore> = mock::Store::new().unwrap();
        let cache = Cache::over(vec![store.clone()]);
        let key = Key::of_login("alice");
        let place = cache.put_login(&key, &"token".into(), NOW).unwrap();
        let kept_in = [place.store];
        let problem = |cache: &Cache| cache.forget_login(&key, &kept_in).unwrap_err().to_string();
        fails_once(&entry(&store, &key).unwrap());
        assert!(problem(&cache).starts_with("the login could not be forgotten: "));
        assert!(problem(&Cache::over(vec![])).ends_with(": this system has none"));
        cache.forget_login(&key, &kept_in).unwrap();
        assert!(cache.login(&key, NOW).is_none());
        // It is gone already, and where it never was nothing is demanded.
        cache.forget_login(&key, &kept_in).unwrap();
        Cache::over(vec![]).forget_login(&key, &[]).unwrap();
    }
}
