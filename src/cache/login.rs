//! The Entra refresh tokens of those who signed in with us.
//!
//! One lies in the store that lasts longest: a registry's token is had again in a second, a login costs somebody's time. So the
//! Secret Service, which outlives a reboot, comes before the kernel's keyring, which is quicker. There is no third place: a login that no store
//! takes is none.

use super::{Cache, Key, Stored, delete, entry, read, reason, told, write};
use keyring_core::api::{CredentialPersistence, CredentialStore};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Entra ends a refresh token that nobody has used for 90 days (Microsoft, "Refresh tokens in the Microsoft identity platform").
pub(crate) const UNUSED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Where a login is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of the store.
    pub store: String,
    /// Whether it is still there when the machine was restarted.
    pub outlives_reboot: bool,
}

impl Cache {
    /// The Entra refresh token of a login: the newest, since a store that is locked keeps an older one unseen.
    pub fn login(&self, key: &Key, now: SystemTime) -> Option<SecretString> {
        let kept = self.stores.iter().filter_map(|store| told(store, "look-up", read(store, key)));
        kept.filter(|(_, ends)| now < *ends).max_by_key(|(_, ends)| *ends).map(|(secret, _)| secret)
    }

    /// Keeps the Entra refresh token of a login, and says in which store. The error is what each store said.
    pub fn put_login(&self, key: &Key, token: &SecretString, now: SystemTime) -> Result<Place, Vec<String>> {
        let lasting = self.lasting();
        let mut problems = vec![];
        let mut kept = None;
        for store in &lasting.stores {
            if kept.is_none() {
                match write(store, key, &Stored::new(token, now + UNUSED), UNUSED) {
                    Ok(()) => {
                        kept = Some(Place { store: store.vendor(), outlives_reboot: outlives_reboot(store) });
                        continue;
                    }
                    Err(error) => problems.push(format!("{}: {}", store.vendor(), reason(&error))),
                }
            }
            // An older one is of no use there.
            told(store, "clearing", entry(store, key).and_then(|entry| entry.delete_credential()));
        }
        kept.ok_or(problems)
    }

    /// Whether some store would keep a login, by keeping something else for a moment. The error is what each store said.
    pub fn takes_logins(&self, now: SystemTime) -> Result<(), Vec<String>> {
        let key = Key::of_login("");
        self.put_login(&key, &"nothing".into(), now)?;
        drop(delete(&self.entries("nothing of ours is in it"), |found| *found == key));
        Ok(())
    }

    /// Forgets what is kept under keys that are meant, logins among them, in every store. Returns how many entries there were. Errors when a
    /// store does not give one up.
    pub fn forget(&self, is_meant: impl Fn(&Key) -> bool) -> Result<usize, crate::error::Error> {
        let deleted = delete(&self.entries("what is in it stays there"), is_meant);
        deleted.map_err(|problem| crate::error::Error::NotForgotten { problem })
    }

    /// The same stores, the one that lasts longest first.
    fn lasting(&self) -> Self {
        let mut stores = self.stores.clone();
        stores.sort_by_key(|store| !outlives_reboot(store));
        Self::over(stores)
    }
}

fn outlives_reboot(store: &Arc<CredentialStore>) -> bool {
    matches!(store.persistence(), CredentialPersistence::UntilDelete)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::SERVICE;
    use keyring_core::{Error, mock};
    use secrecy::ExposeSecret;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_login_is_kept_for_ninety_days_and_is_no_registry() {
        let cache = Cache::over(vec![mock::Store::new().unwrap()]);
        let (alice, bob) = (Key::of_login("alice"), Key::of_login("bob"));
        cache.put_login(&alice, &"entra refresh token".into(), NOW).unwrap();
        assert_eq!(cache.login(&alice, NOW).unwrap().expose_secret(), "entra refresh token");
        assert!(cache.login(&bob, NOW).is_none() && cache.login(&alice, NOW + UNUSED).is_none());
        assert!(cache.list(NOW).is_empty());
        cache.erase(&crate::registry::Registry::parse("contoso.azurecr.io", &[]).unwrap(), NOW).unwrap();
        assert!(cache.login(&alice, NOW).is_some(), "a registry is not a login");
        assert_eq!(cache.forget(|key| *key == alice).unwrap(), 1);
        assert!(cache.login(&alice, NOW).is_none());
    }

    #[test]
    fn the_newest_token_of_a_login_is_the_one() {
        let (one, two): (Arc<CredentialStore>, Arc<CredentialStore>) = (mock::Store::new().unwrap(), mock::Store::new().unwrap());
        let key = Key::of_login("alice");
        // The first store was locked when the second token came.
        Cache::over(vec![one.clone()]).put_login(&key, &"old".into(), NOW).unwrap();
        Cache::over(vec![two.clone()]).put_login(&key, &"new".into(), NOW + Duration::from_secs(60)).unwrap();
        assert_eq!(Cache::over(vec![one, two]).login(&key, NOW).unwrap().expose_secret(), "new");
    }

    #[test]
    fn a_login_that_no_store_takes_is_told_with_each_stores_reason() {
        let key = Key::of_login("");
        let store = mock::Store::new().unwrap();
        let cache = Cache::over(vec![store.clone()]);
        cache.takes_logins(NOW).unwrap();
        let entry = keyring_core::api::CredentialStoreApi::build(&*store, SERVICE, &key.user(), None).unwrap();
        assert!(matches!(entry.get_secret(), Err(Error::NoEntry)), "the trial is not left behind");
        let credential: &mock::Cred = entry.as_any().downcast_ref().unwrap();
        credential.set_error(Error::NoStorageAccess("locked".into()));
        let problems = cache.takes_logins(NOW).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains("locked"), "{problems:?}");
        assert!(Cache::over(vec![]).takes_logins(NOW).unwrap_err().is_empty());
    }
}
