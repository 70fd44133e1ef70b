//! Caches tokens in the keyrings of the operating system.
//!
//! Three kinds of tokens are stored. The refresh token of a registry is stored for the registry and the identity. The access token is stored
//! for the identity, so that another registry needs no sign-in. The Entra refresh token of `login` is stored for the account.
//!
//! A [`Cache`] holds the keyrings of this system in order, each as a [`Store`]. A token goes into the first store that accepts it, and a
//! look-up tries all of them. A failure of a store is logged and counts as a miss, so that it never fails a `get`.
//!
//! `CONTRIBUTING.md` says how to add a keyring.

#[cfg(any(windows, test))]
mod chunked;
mod entry;
#[cfg(target_os = "linux")]
mod kernel_keyring;
mod login;
#[cfg(any(target_os = "macos", windows, test))]
mod native;
#[cfg(target_os = "linux")]
mod secret_service;
mod self_test;
#[cfg(target_os = "linux")]
mod session_bus;
mod store;
#[cfg(any(target_os = "linux", target_os = "macos", windows))]
mod timeout;

pub use entry::Key;
pub use login::LoginStore;
pub use self_test::SelfTest;
pub use store::{Persistence, Store, StoreError};

use crate::config::{CacheChoice, SessionBus};
use crate::error::{Error, ErrorKind};
use crate::registry::Registry;
use crate::token::{AccessToken, Audience, RefreshToken};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tracing::{debug, warn};

/// The name that all entries have in common.
const SERVICE: &str = "docker-credential-acrscoped";

/// The name of the store that is the kernel's user keyring.
pub(crate) const KERNEL_KEYRING: &str = "kernel keyring";

/// The stores in use, in order.
#[derive(Clone, Debug)]
pub struct Cache {
    stores: Vec<Arc<dyn Store>>,
}

impl Cache {
    /// Opens the stores that the user chose, or those of this system.
    ///
    /// On Linux the kernel's user keyring comes first: it needs no daemon and no prompt, and the kernel deletes an expired token. The
    /// Secret Service gets what the kernel keyring does not accept. macOS and Windows have one store each.
    ///
    /// The caller waits for a store up to `timeout` or `STORE_TIMEOUT`, if that is shorter.
    pub fn open(choice: CacheChoice, bus: SessionBus, timeout: Duration) -> Self {
        Self::new(system_stores(choice, bus, timeout))
    }

    /// Returns a cache with the given stores.
    pub fn new(stores: Vec<Arc<dyn Store>>) -> Self {
        Self { stores }
    }

    /// Returns whether nothing is cached at all.
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// Returns the valid token under a key, if a store has one.
    pub fn get(&self, key: &Key, now: SystemTime) -> Option<RefreshToken> {
        let started = Instant::now();
        let (store, token) = self
            .stores()
            .find_map(|store| Some((store.name(), refresh_token(store, key, now)?)))?;
        debug!(store, took = ?started.elapsed(), "found a cached token");
        Some(token)
    }

    /// Caches a token in the first store that accepts it. A token without an expiry is not cached.
    pub fn put(&self, key: &Key, token: &RefreshToken, now: SystemTime) {
        let expires = token.expires().filter(|_| token.is_valid(now));
        self.insert(key, token.secret(), token.renew_at(), expires, now);
    }

    /// Returns the access token of an identity while it can still be used for another registry.
    pub fn access_token(
        &self,
        key: &Key,
        audience: &Audience,
        now: SystemTime,
    ) -> Option<AccessToken> {
        self.stores().find_map(|store| {
            let (secret, usable_until) = read(store, key)?;
            let token = AccessToken::new(secret, audience).ok()?;
            // The expiry in the token counts as well as the stored one.
            let usable_until = usable_until.min(token.usable_until()?);
            (now < usable_until).then_some(token)
        })
    }

    /// Caches an access token for as long as it can be used.
    pub fn put_access_token(&self, key: &Key, token: &AccessToken, now: SystemTime) {
        let expires = token.usable_until();
        self.insert(key, token.secret(), expires.unwrap_or(now), expires, now);
    }

    fn stores(&self) -> impl Iterator<Item = &dyn Store> {
        self.stores.iter().map(|store| &**store)
    }

    fn insert(
        &self,
        key: &Key,
        token: &SecretString,
        time: SystemTime,
        expires: Option<SystemTime>,
        now: SystemTime,
    ) {
        let lifetime = expires.and_then(|expires| expires.duration_since(now).ok());
        let Some(lifetime) = lifetime.filter(|lifetime| !lifetime.is_zero()) else {
            debug!("the token is not cached: it expires too soon, or its expiry is unknown");
            return;
        };
        for store in self.stores() {
            let written = write(store, key, token, time, lifetime);
            if log_failure(store, "write", written).is_some() {
                debug!(store = store.name(), "cached the token");
                break;
            }
            // An older token here would be found before the new one in the next store.
            log_failure(store, "deletion", store.delete(key.as_str()));
        }
    }

    /// Deletes the tokens of a registry for all identities, and the access tokens of identities that have no valid token of another
    /// registry. A store that cannot be searched causes a warning only, since most likely it holds none of our entries.
    ///
    /// # Errors
    ///
    /// Fails if a store does not delete an entry.
    pub fn erase(&self, registry: &Registry, now: SystemTime) -> Result<(), Error> {
        let entries = self.entries(&format!("a token of {registry} in it stays there"));
        let is_of_registry = |key: &Key| key.host() == registry.host();
        let is_needed = |identity: &str| {
            entries.iter().any(|(store, key)| {
                let is_of_other = key.is_of_registry() && !is_of_registry(key);
                is_of_other && key.is_of(identity) && refresh_token(*store, key, now).is_some()
            })
        };
        let is_obsolete = |key: &Key| {
            is_of_registry(key) || (key.is_access_token() && !is_needed(key.identity()))
        };
        delete(&entries, is_obsolete).map_err(|problem| {
            let host = registry.host();
            let message = format!("a cached token of {host} could not be erased: {problem}");
            Error::new(ErrorKind::Keyring, message).with_hint(
                "unlock or restart the keyring and try again; the token ends by itself within three hours",
            )
        })
    }

    /// Returns our entries in all stores. Warns of a store that cannot be searched; `consequence` ends the warning.
    fn entries(&self, consequence: &str) -> Vec<(&dyn Store, Key)> {
        let mut entries: Vec<(&dyn Store, Key)> = vec![];
        for store in self.stores() {
            let name = store.name();
            match store.list() {
                Ok(keys) => {
                    let keys = keys.into_iter().filter_map(Key::parse);
                    entries.extend(keys.map(|key| (store, key)));
                }
                Err(StoreError::Missing(problem)) => debug!(store = name, problem, "no such store"),
                Err(error) => warn!("{name} cannot be searched: {error}; {consequence}"),
            }
        }
        entries
    }

    /// Returns the valid cached refresh tokens, one for each key: the one that [`Cache::get`] finds.
    pub fn list(&self, now: SystemTime) -> Vec<CachedToken> {
        let mut tokens: Vec<CachedToken> = vec![];
        for (store, key) in self.entries("its tokens are not listed") {
            if !key.is_of_registry() || tokens.iter().any(|found| found.key == key) {
                continue;
            }
            if let Some(token) = refresh_token(store, &key, now) {
                let store = store.name();
                tokens.push(CachedToken { key, store, token });
            }
        }
        tokens
    }
}

#[cfg(target_os = "linux")]
fn system_stores(choice: CacheChoice, bus: SessionBus, timeout: Duration) -> Vec<Arc<dyn Store>> {
    let mut stores: Vec<Arc<dyn Store>> = vec![];
    if matches!(choice, CacheChoice::Auto | CacheChoice::Keyutils) {
        stores.push(Arc::new(kernel_keyring::KernelKeyring));
    }
    if matches!(choice, CacheChoice::Auto | CacheChoice::SecretService) {
        let service = secret_service::SecretService::new(bus);
        stores.push(Arc::new(timeout::Timeout::new(service, timeout)));
    }
    stores
}

#[cfg(any(target_os = "macos", windows))]
fn system_stores(choice: CacheChoice, _: SessionBus, timeout: Duration) -> Vec<Arc<dyn Store>> {
    // The other choices belong to other systems. The settings have refused them.
    if choice == CacheChoice::None {
        return vec![];
    }
    match native::open() {
        Ok(store) => vec![Arc::new(timeout::Timeout::new(store, timeout))],
        Err(error) => {
            debug!(problem = %error, "the system's store cannot be opened");
            vec![]
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn system_stores(_: CacheChoice, _: SessionBus, _: Duration) -> Vec<Arc<dyn Store>> {
    vec![]
}

/// A cached refresh token.
#[derive(Clone, Debug)]
pub struct CachedToken {
    /// The registry and the identity.
    pub key: Key,
    /// The name of the store.
    pub store: &'static str,
    /// The token.
    pub token: RefreshToken,
}

/// Deletes the entries with these keys. If several stores fail, returns the error of the last one.
fn delete(entries: &[(&dyn Store, Key)], is_obsolete: impl Fn(&Key) -> bool) -> Result<(), String> {
    let mut result = Ok(());
    for (store, key) in entries.iter().filter(|(_, key)| is_obsolete(key)) {
        if let Err(error) = store.delete(key.as_str()) {
            result = Err(format!("{}: {error}", store.name()));
        }
    }
    result
}

/// Returns the refresh token under a key while it is valid.
fn refresh_token(store: &dyn Store, key: &Key, now: SystemTime) -> Option<RefreshToken> {
    let (secret, renew_at) = read(store, key)?;
    RefreshToken::restored(secret, renew_at).filter(|token| token.is_valid(now))
}

/// Returns the token under a key and the time that is stored with it. A failure is logged and counts as a miss.
fn read(store: &dyn Store, key: &Key) -> Option<(SecretString, SystemTime)> {
    let entry = log_failure(store, "look-up", store.get(key.as_str())).flatten()?;
    let decoded = entry::decode(&entry).ok_or(StoreError::Unreadable);
    log_failure(store, "look-up", decoded)
}

fn write(
    store: &dyn Store,
    key: &Key,
    token: &SecretString,
    time: SystemTime,
    lifetime: Duration,
) -> Result<(), StoreError> {
    store.set(key.as_str(), &entry::encode(token, time), lifetime)
}

/// Returns the value, or logs the failure.
fn log_failure<T>(store: &dyn Store, what: &str, result: Result<T, StoreError>) -> Option<T> {
    result
        .inspect_err(|error| debug!(store = store.name(), problem = %error, "{what} failed"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::store::memory::{Event, Memory};
    use super::*;
    use azure_core::base64::encode_url_safe;
    use secrecy::ExposeSecret;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn token(name: &str, seconds: u64) -> RefreshToken {
        let payload = encode_url_safe(format!(r#"{{"exp":{seconds},"jti":"{name}"}}"#));
        let jwt = format!("e30.{payload}.c2ln");
        RefreshToken::received(jwt.into(), NOW).unwrap()
    }

    fn key(host: &str, identity: &str) -> Key {
        Key::new(&Registry::parse(host, &[]).unwrap(), identity)
    }

    fn secret(token: &RefreshToken) -> String {
        token.secret().expose_secret().to_owned()
    }

    fn keys_of(cache: &Cache) -> Vec<Key> {
        cache.list(NOW).into_iter().map(|kept| kept.key).collect()
    }

    #[test]
    fn what_was_put_is_found_with_its_time_of_renewal() {
        let cache = Cache::new(vec![Memory::new()]);
        let put = token("a", 10_800);
        cache.put(&key("contoso.azurecr.io", "alice"), &put, NOW);
        let got = cache.get(&key("contoso.azurecr.io", "alice"), NOW).unwrap();
        assert_eq!(
            (secret(&got), got.renew_at()),
            (secret(&put), put.renew_at())
        );
    }

    #[test]
    fn an_identity_never_sees_another_identitys_token() {
        let cache = Cache::new(vec![Memory::new()]);
        cache.put(
            &key("contoso.azurecr.io", "alice"),
            &token("a", 10_800),
            NOW,
        );
        assert!(cache.get(&key("contoso.azurecr.io", "bob"), NOW).is_none());
        assert!(
            cache
                .get(&key("fabrikam.azurecr.io", "alice"), NOW)
                .is_none()
        );
    }

    #[test]
    fn an_expired_token_or_one_without_expiry_is_not_cached() {
        let cache = Cache::new(vec![Memory::new()]);
        let key = key("contoso.azurecr.io", "alice");
        cache.put(
            &key,
            &RefreshToken::received("opaque".into(), NOW).unwrap(),
            NOW,
        );
        assert!(cache.get(&key, NOW).is_none());
        cache.put(&key, &token("a", 200), NOW);
        let later = NOW + Duration::from_secs(200);
        assert_eq!(keys_of(&cache), std::slice::from_ref(&key));
        assert!(cache.list(later).is_empty() && cache.get(&key, later).is_none());
    }

    #[test]
    fn erase_deletes_the_tokens_of_a_host_for_every_identity_and_no_other_host() {
        let cache = Cache::new(vec![Memory::new(), Memory::new()]);
        for identity in ["alice", "bob"] {
            cache.put(
                &key("contoso.azurecr.io", identity),
                &token(identity, 10_800),
                NOW,
            );
        }
        cache.put(
            &key("fabrikam.azurecr.io", "alice"),
            &token("f", 10_800),
            NOW,
        );
        cache
            .erase(&Registry::parse("contoso.azurecr.io", &[]).unwrap(), NOW)
            .unwrap();
        assert_eq!(keys_of(&cache), [key("fabrikam.azurecr.io", "alice")]);
    }

    #[test]
    fn a_token_that_a_store_does_not_delete_is_not_reported_as_erased() {
        let stuck = Memory::new();
        let cache = Cache::new(vec![stuck.clone(), Memory::new()]);
        let key = key("contoso.azurecr.io", "alice");
        cache.put(&key, &token("a", 10_800), NOW);
        // The entries are listed before it.
        stuck.plan(1, Event::Fails);
        let error = cache
            .erase(&Registry::parse("contoso.azurecr.io", &[]).unwrap(), NOW)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("a cached token of contoso.azurecr.io could not be erased: "),
            "{error}"
        );
    }

    #[test]
    fn a_store_that_refuses_passes_the_token_on_and_keeps_no_older_one() {
        let full = Memory::new();
        let cache = Cache::new(vec![full.clone(), Memory::new()]);
        let key = key("contoso.azurecr.io", "alice");
        cache.put(&key, &token("old", 10_800), NOW);
        full.plan(0, Event::Fails);
        let new = token("new", 10_800);
        cache.put(&key, &new, NOW);
        assert_eq!(secret(&cache.get(&key, NOW).unwrap()), secret(&new));
        assert_eq!(full.len(), 0);
    }

    #[test]
    fn bytes_that_are_not_ours_are_a_miss() {
        let store = Memory::new();
        let key = key("contoso.azurecr.io", "alice");
        let set = |bytes: &[u8]| store.set(key.as_str(), bytes, Duration::MAX).unwrap();
        let entry = |renew: u64, token: &str| format!("{renew} {token}");
        let good = secret(&token("a", 10_800));
        let [quote, line, long] =
            ["'", "\n", &"x".repeat(16 * 1024)].map(|end| entry(5_400, &format!("{good}{end}")));
        let [far, late] = [u64::MAX, 253_402_300_800].map(|renew| entry(renew, &good));
        for bytes in [
            "canary", "{}", " ", "x y", "\u{ff}", &quote, &line, &long, &far, &late,
        ]
        .map(str::as_bytes)
        {
            set(bytes);
            let cache = Cache::new(vec![store.clone()]);
            assert!(cache.get(&key, NOW).is_none() && cache.list(NOW).is_empty());
        }
        set(entry(5_400, &good).as_bytes());
        assert!(Cache::new(vec![store]).get(&key, NOW).is_some());
    }

    fn access_token(name: &str, seconds: u64) -> AccessToken {
        let payload = encode_url_safe(format!(
            r#"{{"aud":"https://containerregistry.azure.net","exp":{seconds},"jti":"{name}"}}"#
        ));
        let jwt = format!("e30.{payload}.c2ln");
        AccessToken::new(jwt.into(), &Audience::default()).unwrap()
    }

    #[test]
    fn an_access_token_is_cached_until_five_minutes_before_it_expires() {
        let cache = Cache::new(vec![Memory::new()]);
        let (alice, bob) = (Key::access_token("alice"), Key::access_token("bob"));
        cache.put_access_token(&alice, &access_token("a", 3_600), NOW);
        let found = |key: &Key, seconds: u64| {
            cache.access_token(
                key,
                &Audience::default(),
                NOW + Duration::from_secs(seconds),
            )
        };
        assert!(
            found(&alice, 3_299)
                .unwrap()
                .same_as(&access_token("a", 3_600))
        );
        assert!(found(&alice, 3_300).is_none() && found(&bob, 0).is_none());
        let other = Audience::parse("https://registries.fabrikam.example").unwrap();
        assert!(cache.access_token(&alice, &other, NOW).is_none());
        assert!(cache.list(NOW).is_empty());
        cache.put_access_token(
            &bob,
            &AccessToken::new("opaque".into(), &Audience::default()).unwrap(),
            NOW,
        );
        assert!(found(&bob, 0).is_none());
    }

    #[test]
    fn an_access_token_is_deleted_with_the_last_registry_of_its_identity() {
        let cache = Cache::new(vec![Memory::new(), Memory::new()]);
        for identity in ["alice", "bob"] {
            cache.put_access_token(
                &Key::access_token(identity),
                &access_token(identity, 3_600),
                NOW,
            );
            cache.put(
                &key("contoso.azurecr.io", identity),
                &token(identity, 10_800),
                NOW,
            );
        }
        cache.put(
            &key("fabrikam.azurecr.io", "alice"),
            &token("f", 10_800),
            NOW,
        );
        let is_kept = |identity: &str| {
            cache
                .access_token(&Key::access_token(identity), &Audience::default(), NOW)
                .is_some()
        };
        cache
            .erase(&Registry::parse("contoso.azurecr.io", &[]).unwrap(), NOW)
            .unwrap();
        assert!(is_kept("alice") && !is_kept("bob"));
        cache
            .erase(&Registry::parse("other.azurecr.io", &[]).unwrap(), NOW)
            .unwrap();
        assert!(is_kept("alice"));
        cache.put_access_token(
            &Key::access_token("carol"),
            &access_token("carol", 3_600),
            NOW,
        );
        cache
            .erase(&Registry::parse("other.azurecr.io", &[]).unwrap(), NOW)
            .unwrap();
        assert!(
            !is_kept("carol"),
            "whose exchange was refused has no registry at all"
        );
        cache
            .erase(&Registry::parse("fabrikam.azurecr.io", &[]).unwrap(), NOW)
            .unwrap();
        assert!(!is_kept("alice"));
    }
}
