//! The stores of the keyring crates: the login keychain of macOS and the Credential Manager of Windows.

use super::SERVICE;
#[cfg(windows)]
use super::chunked::Chunked;
use super::store::{Persistence, Store, StoreError};
use crate::error::sanitize_line;
use keyring_core::api::CredentialStore;
use keyring_core::{Entry, Error};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// A store of the keyring crates.
#[derive(Debug)]
pub(super) struct NativeStore {
    name: &'static str,
    store: Arc<CredentialStore>,
    /// What each entry is created with.
    modifiers: HashMap<&'static str, &'static str>,
    /// How our entries are found.
    filter: HashMap<&'static str, &'static str>,
}

/// Opens the login keychain.
///
/// It never prompts. An item belongs to the program that created it, by its code signature or, without one, by its very bytes. For another
/// build macOS would ask the user for the keychain's password. Without user interaction such an item, like a locked keychain, is an error
/// (`errSecAuthFailed`, `errSecInteractionNotAllowed`).
#[cfg(target_os = "macos")]
pub(super) fn open() -> Result<impl Store, StoreError> {
    use security_framework::os::macos::keychain::SecKeychain;
    let no_interaction = SecKeychain::disable_user_interaction()
        .map_err(|error| StoreError::Failed(error.to_string()))?;
    // Dropping the guard would allow interaction again.
    std::mem::forget(no_interaction);
    let store = apple_native_keyring_store::keychain::Store::new().map_err(store_error)?;
    Ok(NativeStore {
        name: "Keychain",
        store,
        modifiers: HashMap::new(),
        filter: HashMap::from([("service", SERVICE)]),
    })
}

/// Opens the Credential Manager. Entries stay on this machine and do not roam with the user's profile.
#[cfg(windows)]
pub(super) fn open() -> Result<impl Store, StoreError> {
    const MAX_CREDENTIAL_BYTES: usize = 2560;
    let store = windows_native_keyring_store::Store::new().map_err(store_error)?;
    let store = NativeStore {
        name: "Credential Manager",
        store,
        modifiers: HashMap::from([("persistence", "Local")]),
        // The names of its entries end with our service.
        filter: HashMap::from([("pattern", r"\.docker-credential-acrscoped$")]),
    };
    Ok(Chunked::new(store, MAX_CREDENTIAL_BYTES))
}

impl NativeStore {
    fn entry(&self, key: &str) -> Result<Entry, StoreError> {
        self.store
            .build(SERVICE, key, Some(&self.modifiers))
            .map_err(store_error)
    }
}

impl Store for NativeStore {
    fn name(&self) -> &'static str {
        self.name
    }

    fn persistence(&self) -> Persistence {
        Persistence::UntilDeleted
    }

    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let secret = found(self.entry(key)?.get_secret())?;
        Ok(secret.map(Zeroizing::new))
    }

    fn set(&self, key: &str, secret: &[u8], _: Duration) -> Result<(), StoreError> {
        let entry = self.entry(key)?;
        let Err(error) = entry.set_secret(secret) else {
            return Ok(());
        };
        // macOS allows another build of this program to delete an item but not to read or replace it. An item that can be read is kept:
        // then access is not the problem, and the old secret may still be valid. A locked keychain refuses the deletion as well.
        let is_of_another_build = self.get(key).is_err();
        if is_of_another_build && entry.delete_credential().is_ok() {
            return entry.set_secret(secret).map_err(store_error);
        }
        Err(store_error(error))
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        let deleted = found(self.entry(key)?.delete_credential())?;
        Ok(deleted.is_some())
    }

    fn list(&self) -> Result<Vec<String>, StoreError> {
        let found = self.store.search(&self.filter).map_err(store_error)?;
        let specifiers = found.iter().filter_map(Entry::get_specifiers);
        Ok(specifiers
            .filter(|(service, _)| service == SERVICE)
            .map(|(_, key)| key)
            .collect())
    }
}

fn found<T>(result: keyring_core::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(store_error(error)),
    }
}

/// Converts an error. The text of some variants shows the bytes of the secret, so that it is left out.
fn store_error(error: Error) -> StoreError {
    let text = sanitize_line(&error.to_string());
    match error {
        Error::NotSupportedByStore(problem) => StoreError::Missing(sanitize_line(&problem)),
        Error::NoStorageAccess(_) => StoreError::Unavailable(text),
        Error::TooLong(..) => StoreError::TooLong,
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::Ambiguous(_) => {
            StoreError::Unreadable
        }
        _ => StoreError::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyring_core::api::{Credential, CredentialApi, CredentialStoreApi};
    use keyring_core::mock;
    use std::any::Any;
    use std::sync::Mutex;

    const HOUR: Duration = Duration::from_secs(3600);

    fn native(store: Arc<CredentialStore>) -> NativeStore {
        NativeStore {
            name: "native",
            store,
            modifiers: HashMap::new(),
            filter: HashMap::from([("service", SERVICE)]),
        }
    }

    #[test]
    fn what_is_stored_is_found_listed_and_deleted() {
        let mock = mock::Store::new().unwrap();
        let store = native(mock.clone());
        assert_eq!((store.get("k"), store.delete("k")), (Ok(None), Ok(false)));
        store.set("k", b"x", HOUR).unwrap();
        mock.build("another", "j", None).unwrap();
        assert_eq!(store.get("k").unwrap().unwrap().as_slice(), b"x");
        assert_eq!(store.list(), Ok(vec!["k".to_owned()]));
        assert_eq!(store.delete("k"), Ok(true));
    }

    #[test]
    fn the_text_of_an_error_holds_no_bytes_of_a_secret() {
        let canary = || b"canary".to_vec();
        for error in [
            Error::BadEncoding(canary()),
            Error::BadDataFormat(canary(), "broken".into()),
        ] {
            assert_eq!(store_error(error), StoreError::Unreadable);
        }
        let unavailable = store_error(Error::NoStorageAccess("locked".into()));
        assert!(unavailable.to_string().ends_with("locked"), "{unavailable}");
    }

    #[test]
    fn a_failed_write_keeps_an_entry_that_can_be_read() {
        let mock = mock::Store::new().unwrap();
        let store = native(mock);
        store.set("k", b"old", HOUR).unwrap();
        let entry = store.entry("k").unwrap();
        let credential: &mock::Cred = entry.as_any().downcast_ref().unwrap();
        credential.set_error(Error::TooLong("secret".into(), 2));
        assert_eq!(store.set("k", b"new", HOUR), Err(StoreError::TooLong));
        assert_eq!(store.get("k").unwrap().unwrap().as_slice(), b"old");
    }

    /// A keychain with room for one item: the build that created it, and its secret.
    #[derive(Debug, Default)]
    struct Chain {
        item: Mutex<Option<(&'static str, Vec<u8>)>>,
        is_locked: Mutex<bool>,
    }

    /// That keychain as a build of this program sees it.
    #[derive(Clone, Debug)]
    struct Build(Arc<Chain>, &'static str);

    impl Build {
        fn check(&self, is_delete: bool) -> keyring_core::Result<()> {
            let item = self.0.item.lock().unwrap();
            let is_own = item.as_ref().is_none_or(|(build, _)| *build == self.1);
            let refused = |name: &str| Err(Error::PlatformFailure(name.into()));
            match *self.0.is_locked.lock().unwrap() {
                true => refused("errSecInteractionNotAllowed"),
                false if is_own || is_delete => Ok(()),
                false => refused("errSecAuthFailed"),
            }
        }
    }

    impl CredentialStoreApi for Build {
        fn vendor(&self) -> String {
            String::new()
        }

        fn id(&self) -> String {
            String::new()
        }

        fn build(
            &self,
            _: &str,
            _: &str,
            _: Option<&HashMap<&str, &str>>,
        ) -> keyring_core::Result<Entry> {
            Ok(Entry::new_with_credential(Arc::new(self.clone())))
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    impl CredentialApi for Build {
        fn set_secret(&self, secret: &[u8]) -> keyring_core::Result<()> {
            self.check(false)?;
            *self.0.item.lock().unwrap() = Some((self.1, secret.to_owned()));
            Ok(())
        }

        fn get_secret(&self) -> keyring_core::Result<Vec<u8>> {
            self.check(false)?;
            let item = self.0.item.lock().unwrap();
            let secret = item.as_ref().map(|(_, secret)| secret.clone());
            secret.ok_or(Error::NoEntry)
        }

        fn delete_credential(&self) -> keyring_core::Result<()> {
            self.check(true)?;
            let item = self.0.item.lock().unwrap().take();
            item.map(drop).ok_or(Error::NoEntry)
        }

        fn get_credential(&self) -> keyring_core::Result<Option<Arc<Credential>>> {
            Ok(None)
        }

        fn get_specifiers(&self) -> Option<(String, String)> {
            None
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    #[test]
    fn an_item_of_another_build_is_replaced() {
        let chain = Arc::new(Chain::default());
        let build = |name| native(Arc::new(Build(chain.clone(), name)));
        build("old").set("k", b"one", HOUR).unwrap();
        assert!(build("new").get("k").is_err());
        build("new").set("k", b"two", HOUR).unwrap();
        assert_eq!(build("new").get("k").unwrap().unwrap().as_slice(), b"two");
        assert_eq!(build("old").delete("k"), Ok(true));
    }

    #[test]
    fn a_locked_keychain_keeps_what_it_has() {
        let chain = Arc::new(Chain::default());
        let store = native(Arc::new(Build(chain.clone(), "one")));
        store.set("k", b"one", HOUR).unwrap();
        *chain.is_locked.lock().unwrap() = true;
        let error = store.set("k", b"two", HOUR).unwrap_err().to_string();
        assert!(error.contains("errSecInteractionNotAllowed"), "{error}");
        *chain.is_locked.lock().unwrap() = false;
        assert_eq!(store.get("k").unwrap().unwrap().as_slice(), b"one");
    }
}
