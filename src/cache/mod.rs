//! What is remembered between calls: tokens in the stores of the operating system.
//!
//! A refresh token is kept for its registry and identity, an access token for its identity, so that another registry costs no sign-in,
//! and the Entra refresh token of a login for its account.
//! Stores are [`keyring_core`] stores. A [`Cache`] holds the ones that this system offers, in order: a token goes into the
//! first that takes it and is looked for in all. Whatever goes wrong in a store is a miss, told in the log, never a failure.

mod entry;
#[cfg(target_os = "linux")]
mod kernel_keyring;
#[cfg(any(target_os = "macos", test))]
mod keychain;
mod login;
#[cfg(any(target_os = "macos", windows, test))]
mod patient;
#[cfg(target_os = "linux")]
mod secret_service;
#[cfg(any(windows, test))]
mod split;
mod trial;

pub use entry::Key;
pub use login::{Lasts, Place};
pub use trial::Trial;

use crate::config::{CacheChoice, SessionBus};
use crate::error::ErrorKind;
use crate::registry::Registry;
use crate::token::{AccessToken, Audience, RefreshToken};
use entry::Stored;
use keyring_core::api::CredentialStore;
use keyring_core::{Entry, Error};
use secrecy::SecretString;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tracing::{debug, warn};
use zeroize::Zeroizing;

/// The name under which all entries stand in every store.
pub const SERVICE: &str = "docker-credential-acrscoped";

/// The name of the store that is the kernel's user keyring.
pub(crate) const KERNEL_KEYRING: &str = "kernel keyring";

/// How long all calls of one process together wait for a store that somebody else answers.
#[cfg_attr(
    not(any(target_os = "linux", target_os = "macos", windows)),
    expect(dead_code, reason = "there is no store")
)]
const PATIENCE: Duration = Duration::from_secs(2);

/// The stores in use, in order.
#[derive(Clone, Debug)]
pub struct Cache {
    stores: Vec<Arc<CredentialStore>>,
}

impl Cache {
    /// The stores that the user chose, or those of this system.
    ///
    /// On Linux the kernel's user keyring comes first: no daemon, no prompt, and the kernel itself drops a token that has
    /// expired. What does not fit there goes to the Secret Service. macOS and Windows have one store each.
    ///
    /// Together they keep the caller waiting no longer than `patience`.
    #[cfg(target_os = "linux")]
    pub fn open(choice: CacheChoice, bus: SessionBus, patience: Duration) -> Self {
        let kernel = || Arc::new(kernel_keyring::Store) as _;
        let service = |bus| Arc::new(secret_service::Store::new(bus, patience)) as _;
        Self::over(match choice {
            CacheChoice::Auto => vec![kernel(), service(bus)],
            CacheChoice::Keyutils => vec![kernel()],
            CacheChoice::SecretService => vec![service(bus)],
            CacheChoice::Keychain | CacheChoice::CredentialManager | CacheChoice::None => vec![],
        })
    }

    /// The same elsewhere.
    #[cfg(not(target_os = "linux"))]
    pub fn open(choice: CacheChoice, _: SessionBus, patience: Duration) -> Self {
        // Of the words for stores only that of this system passed as a setting.
        let is_none = choice == CacheChoice::None;
        Self::over(own(patience).filter(|_| !is_none).into_iter().collect())
    }

    /// A cache over the given stores.
    pub fn over(stores: Vec<Arc<CredentialStore>>) -> Self {
        Self { stores }
    }

    /// Whether nothing is kept at all.
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// The token under a key if some store has one that is still valid.
    pub fn get(&self, key: &Key, now: SystemTime) -> Option<RefreshToken> {
        self.find(key, |secret, renew| {
            RefreshToken::restored(secret, renew).filter(|token| token.is_valid(now))
        })
    }

    /// Remembers a token in the first store that takes it. A token that does not say when it ends is not kept.
    pub fn put(&self, key: &Key, token: &RefreshToken, now: SystemTime) {
        let ends = token.expires().filter(|_| token.is_valid(now));
        self.keep(
            key,
            &Stored::new(token.secret(), token.renew_at()),
            ends,
            now,
        );
    }

    /// The access token of an identity, while it can still be used for another registry.
    pub fn access_token(
        &self,
        key: &Key,
        audience: &Audience,
        now: SystemTime,
    ) -> Option<AccessToken> {
        self.find(key, |secret, usable_until| {
            let token = AccessToken::new(secret, audience).ok()?;
            // What is in the token counts as much as what was noted beside it.
            let usable_until = usable_until.min(token.usable_until()?);
            (now < usable_until).then_some(token)
        })
    }

    /// Remembers an access token for as long as it can be used.
    pub fn put_access_token(&self, key: &Key, token: &AccessToken, now: SystemTime) {
        let ends = token.usable_until().filter(|ends| now < *ends);
        self.keep(
            key,
            &Stored::new(token.secret(), ends.unwrap_or(now)),
            ends,
            now,
        );
    }

    fn find<T>(
        &self,
        key: &Key,
        accept: impl Fn(SecretString, SystemTime) -> Option<T>,
    ) -> Option<T> {
        self.stores.iter().find_map(|store| {
            let (secret, time) = told(store, "look-up", read(store, key))?;
            let accepted = accept(secret, time);
            if accepted.is_none() {
                debug!(
                    store = store.vendor(),
                    "the cached token has expired or is malformed"
                );
            }
            accepted
        })
    }

    fn keep(&self, key: &Key, stored: &Stored<'_>, ends: Option<SystemTime>, now: SystemTime) {
        let Some(left) = ends.and_then(|ends| ends.duration_since(now).ok()) else {
            debug!("the token cannot be kept: it is too short-lived or does not say when it ends");
            return;
        };
        for store in &self.stores {
            if told(store, "write", write(store, key, stored, left)).is_some() {
                debug!(store = store.vendor(), "kept the token");
                break;
            }
            // An older token there would be found before the new one in the next store.
            told(
                store,
                "clearing",
                entry(store, key).and_then(|entry| entry.delete_credential()),
            );
        }
    }

    /// Forgets every token of a registry, whoever it was issued to, and the access tokens of those who have no valid token of another
    /// registry. Errors when a store does not give one up: nobody must believe that it is gone. A store that cannot be searched
    /// is a warning, since most likely nothing of ours is in it.
    pub fn erase(&self, registry: &Registry, now: SystemTime) -> Result<(), crate::error::Error> {
        let unsearched = format!("a token of {registry} in it stays there");
        let entries = self.entries(&unsearched);
        let is_of = |key: &Key| key.host() == registry.host();
        let is_needed = |access: &Key| {
            let is_other =
                |key: &Key| key.is_of_registry() && !is_of(key) && key.is_of_same_identity(access);
            entries
                .iter()
                .any(|(_, key, entry)| is_other(key) && valid(entry, now).is_some())
        };
        let erased = delete(&entries, |key| {
            is_of(key) || (key.is_of_sign_in() && !is_needed(key))
        });
        let host = registry.host().to_owned();
        erased
            .map(drop)
            .map_err(|problem| {
                let message = format!("a cached token of {host} could not be erased: {problem}");
                crate::error::Error::new(ErrorKind::Keyring, message).with_hint(
                    "unlock or restart the keyring and try again; the token ends by itself within three hours",
                )
            })
    }

    /// Everything of ours in every store. Of one that cannot be searched a warning tells what that means.
    fn entries(&self, unsearched: &str) -> Vec<(&Arc<CredentialStore>, Key, Entry)> {
        let mut entries = Vec::new();
        for store in &self.stores {
            let found = keys(store).unwrap_or_else(|error| {
                warn!(
                    "{} cannot be searched: {}; {unsearched}",
                    store.vendor(),
                    reason(&error)
                );
                vec![]
            });
            entries.extend(found.into_iter().map(|(key, entry)| (store, key, entry)));
        }
        entries
    }

    /// The valid refresh tokens that are kept. Under each key there is one: that of the first store, which a look-up finds.
    pub fn list(&self, now: SystemTime) -> Vec<Kept> {
        let mut listed: Vec<Kept> = Vec::new();
        for store in &self.stores {
            for (key, entry) in told(store, "search", keys(store)).unwrap_or_default() {
                if !key.is_of_registry() || listed.iter().any(|kept| kept.key == key) {
                    continue;
                }
                listed.extend(valid(&entry, now).map(|token| Kept {
                    key,
                    store: store.vendor(),
                    token,
                }));
            }
        }
        listed
    }
}

/// The store of macOS.
#[cfg(target_os = "macos")]
fn own(patience: Duration) -> Option<Arc<CredentialStore>> {
    let store = keychain::Store::new()
        .inspect_err(|error| debug!(problem = reason(error), "there is no keychain"))
        .ok()?;
    Some(Arc::new(patient::Store::new(
        Arc::new(store),
        patience.min(PATIENCE),
    )))
}

/// The store of Windows. What is in it stays on this machine, and does not go with a roaming profile.
#[cfg(windows)]
fn own(patience: Duration) -> Option<Arc<CredentialStore>> {
    let below = windows_native_keyring_store::Store::new();
    let below = below
        .inspect_err(|error| debug!(problem = reason(error), "there is no Credential Manager"))
        .ok()?;
    let store = split::Store {
        name: "Credential Manager",
        below,
        limit: 2560,
        modifiers: HashMap::from([("persistence", "Local")]),
        // The names of its entries end with our service.
        search: HashMap::from([("pattern", r"\.docker-credential-acrscoped(-[a-z]+)*$")]),
    };
    Some(Arc::new(patient::Store::new(
        Arc::new(store),
        patience.min(PATIENCE),
    )))
}

/// A system of which no store is known.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn own(_: Duration) -> Option<Arc<CredentialStore>> {
    None
}

/// A refresh token that is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Whose token for which registry.
    pub key: Key,
    /// The name of the store.
    pub store: String,
    /// The token.
    pub token: RefreshToken,
}

/// Deletes the entries that are meant, and says how many there were, or what the last store that did not give one up said.
fn delete(
    entries: &[(&Arc<CredentialStore>, Key, Entry)],
    is_meant: impl Fn(&Key) -> bool,
) -> Result<usize, String> {
    let (mut count, mut problem) = (0, None);
    for (store, _, entry) in entries.iter().filter(|(_, key, _)| is_meant(key)) {
        match entry.delete_credential() {
            Ok(()) => count += 1,
            Err(Error::NoEntry) => (),
            Err(error) => problem = Some(format!("{}: {}", store.vendor(), reason(&error))),
        }
    }
    problem.map_or(Ok(count), Err)
}

/// The refresh token in an entry, while it is valid.
fn valid(entry: &Entry, now: SystemTime) -> Option<RefreshToken> {
    let (secret, renew) = entry::parse(&Zeroizing::new(entry.get_secret().ok()?)).ok()?;
    RefreshToken::restored(secret, renew).filter(|token| token.is_valid(now))
}

/// Our entries in a store, none when the store is not there.
fn keys(store: &Arc<CredentialStore>) -> keyring_core::Result<Vec<(Key, Entry)>> {
    let found = match store.search(&HashMap::from([("service", SERVICE)])) {
        Err(Error::NotSupportedByStore(_)) => vec![],
        found => found?,
    };
    Ok(found
        .into_iter()
        .filter_map(|entry| Some((Key::of(&entry)?, entry)))
        .collect())
}

fn entry(store: &Arc<CredentialStore>, key: &Key) -> keyring_core::Result<Entry> {
    store.build(SERVICE, &key.user(), None)
}

fn read(
    store: &Arc<CredentialStore>,
    key: &Key,
) -> keyring_core::Result<(SecretString, SystemTime)> {
    entry::parse(&Zeroizing::new(entry(store, key)?.get_secret()?))
}

fn write(
    store: &Arc<CredentialStore>,
    key: &Key,
    stored: &Stored<'_>,
    left: Duration,
) -> keyring_core::Result<()> {
    let entry = entry(store, key)?;
    entry.set_secret(&stored.bytes()?)?;
    match entry.update_attributes(&HashMap::from([(
        LIFETIME,
        left.as_secs().to_string().as_str(),
    )])) {
        // Not every store can end an entry by itself; `exp` in the token is what counts.
        Err(Error::NotSupportedByStore(_)) => Ok(()),
        result => result,
    }
}

/// The attribute by which a store learns how long an entry lives: seconds from now on.
const LIFETIME: &str = "lifetime";

/// The value, or `None` with a line in the log.
fn told<T>(store: &Arc<CredentialStore>, what: &str, result: keyring_core::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(Error::NoEntry) => None,
        Err(error) => {
            debug!(
                store = store.vendor(),
                problem = reason(&error),
                "{what} did not work"
            );
            None
        }
    }
}

/// A store's failure in words. Some variants carry the secret's bytes, which their own text may show: those are named only.
fn reason(error: &Error) -> String {
    match error {
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::Ambiguous(_) => {
            "unreadable entry".into()
        }
        Error::NotSupportedByStore(problem) => crate::error::printable(problem),
        other => crate::error::printable(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azure_core::base64::encode_url_safe;
    use keyring_core::mock;
    use secrecy::ExposeSecret;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn token(name: &str, seconds: u64) -> RefreshToken {
        let payload = encode_url_safe(format!(r#"{{"exp":{seconds},"jti":"{name}"}}"#));
        let jwt = format!("e30.{}.c2ln", payload.trim_end_matches('='));
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

    fn mock_store() -> Arc<CredentialStore> {
        mock::Store::new().unwrap()
    }

    #[test]
    fn what_was_put_is_found_with_its_time_of_renewal() {
        let cache = Cache::over(vec![mock_store()]);
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
        let cache = Cache::over(vec![mock_store()]);
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
    fn an_expired_or_endless_token_is_neither_kept_nor_listed() {
        let cache = Cache::over(vec![mock_store()]);
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
    fn erase_forgets_a_host_for_every_identity_and_no_other_host() {
        let cache = Cache::over(vec![mock_store(), mock_store()]);
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
    fn a_token_that_a_store_does_not_give_up_is_not_said_to_be_erased() {
        let stuck: Arc<mock::Store> = mock::Store::new().unwrap();
        let cache = Cache::over(vec![stuck.clone(), mock_store()]);
        let key = key("contoso.azurecr.io", "alice");
        cache.put(&key, &token("a", 10_800), NOW);
        let entry =
            keyring_core::api::CredentialStoreApi::build(&*stuck, SERVICE, &key.user(), None)
                .unwrap();
        let credential: &mock::Cred = entry.as_any().downcast_ref().unwrap();
        credential.set_error(Error::NoStorageAccess("locked".into()));
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
        let full: Arc<mock::Store> = mock::Store::new().unwrap();
        let cache = Cache::over(vec![full.clone(), mock_store()]);
        let key = key("contoso.azurecr.io", "alice");
        cache.put(&key, &token("old", 10_800), NOW);
        let entry =
            keyring_core::api::CredentialStoreApi::build(&*full, SERVICE, &key.user(), None)
                .unwrap();
        let credential: &mock::Cred = entry.as_any().downcast_ref().unwrap();
        credential.set_error(Error::TooLong("secret".into(), 0));
        let new = token("new", 10_800);
        cache.put(&key, &new, NOW);
        assert_eq!(secret(&cache.get(&key, NOW).unwrap()), secret(&new));
        assert!(matches!(entry.get_secret(), Err(Error::NoEntry)));
    }

    #[test]
    fn bytes_that_are_not_ours_are_a_miss() {
        let store = mock_store();
        let key = key("contoso.azurecr.io", "alice");
        let entry = |renew: u64, token: &str| {
            serde_json::json!({ "renew": renew, "token": token }).to_string()
        };
        let good = secret(&token("a", 10_800));
        let [quote, line, long] =
            ["'", "\n", &"x".repeat(16 * 1024)].map(|end| entry(5_400, &format!("{good}{end}")));
        let [far, late] = [u64::MAX, 253_402_300_800].map(|renew| entry(renew, &good));
        for bytes in
            ["canary", "{}", "\u{ff}", &quote, &line, &long, &far, &late].map(str::as_bytes)
        {
            store
                .build(SERVICE, &key.user(), None)
                .unwrap()
                .set_secret(bytes)
                .unwrap();
            let cache = Cache::over(vec![store.clone()]);
            assert!(cache.get(&key, NOW).is_none() && cache.list(NOW).is_empty());
        }
        store
            .build(SERVICE, &key.user(), None)
            .unwrap()
            .set_secret(entry(5_400, &good).as_bytes())
            .unwrap();
        assert!(Cache::over(vec![store]).get(&key, NOW).is_some());
    }

    fn access_token(name: &str, seconds: u64) -> AccessToken {
        let payload = encode_url_safe(format!(
            r#"{{"aud":"https://containerregistry.azure.net","exp":{seconds},"jti":"{name}"}}"#
        ));
        let jwt = format!("e30.{}.c2ln", payload.trim_end_matches('='));
        AccessToken::new(jwt.into(), &Audience::default()).unwrap()
    }

    #[test]
    fn an_access_token_is_kept_until_five_minutes_before_it_ends() {
        let cache = Cache::over(vec![mock_store()]);
        let (alice, bob) = (Key::of_sign_in("alice"), Key::of_sign_in("bob"));
        cache.put_access_token(&alice, &access_token("a", 3_600), NOW);
        let found = |key: &Key, seconds: u64| {
            cache.access_token(
                key,
                &Audience::default(),
                NOW + Duration::from_secs(seconds),
            )
        };
        assert!(found(&alice, 3_299).unwrap().is(&access_token("a", 3_600)));
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
    fn an_access_token_goes_with_the_last_registry_of_its_identity() {
        let cache = Cache::over(vec![mock_store(), mock_store()]);
        for identity in ["alice", "bob"] {
            cache.put_access_token(
                &Key::of_sign_in(identity),
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
                .access_token(&Key::of_sign_in(identity), &Audience::default(), NOW)
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
            &Key::of_sign_in("carol"),
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

    #[test]
    fn the_words_for_a_failing_store_hold_no_bytes_of_a_secret() {
        let error = Error::BadEncoding(b"canary".to_vec());
        assert!(!reason(&error).contains("canary"));
    }
}
