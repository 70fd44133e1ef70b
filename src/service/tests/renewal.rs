//! When a cached token is used, renewed, or used although it could not be renewed: decisions of the core, with the clock passed in.

use crate::cache::{Cache, Key, Persistence, Store, StoreError};
use crate::config::Settings;
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::registry::Registry;
use crate::service::TokenService;
use crate::token::RefreshToken;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// Where the tests' tokens begin to live.
const START: SystemTime = SystemTime::UNIX_EPOCH;

/// What a registry gives: three hours.
const LIFE: u64 = 10_800;

fn minutes(count: u64) -> SystemTime {
    START + Duration::from_secs(count * 60)
}

/// Returns the settings of a service principal whose authority cannot be reached: no process listens on port 1 of loopback.
fn settings(client: &str) -> Settings {
    let rows = [
        ("AZURE_TENANT_ID", "contoso.example"),
        ("AZURE_CLIENT_ID", client),
        ("AZURE_CLIENT_SECRET", "canary"),
        // No folder for locks, so that no other process or test shares a sign-in.
        ("TMPDIR", "/proc/nowhere"),
    ];
    let rows = rows
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    Settings::from_variables(rows, None)
        .with_text("authority = 'https://127.0.0.1:1'")
        .expect("a good file")
}

fn registry() -> Registry {
    Registry::parse("contoso.azurecr.io", &[]).expect("a registry")
}

fn token() -> RefreshToken {
    let payload = azure_core::base64::encode_url_safe(format!(r#"{{"exp":{LIFE}}}"#));
    RefreshToken::received(format!("e30.{payload}.c2ln").into(), START).expect("a token")
}

/// A store in memory.
#[derive(Debug, Default)]
struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Store for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn persistence(&self) -> Persistence {
        Persistence::UntilSessionEnds
    }

    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let secret = self.0.lock().expect("a store").get(key).cloned();
        Ok(secret.map(Zeroizing::new))
    }

    fn set(&self, key: &str, secret: &[u8], _: Duration) -> Result<(), StoreError> {
        let mut entries = self.0.lock().expect("a store");
        entries.insert(key.to_owned(), secret.to_owned());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.0.lock().expect("a store").remove(key).is_some())
    }

    fn list(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.0.lock().expect("a store").keys().cloned().collect())
    }
}

/// A store that holds one token of `owner`, received at the start.
fn store_of(owner: &str) -> Arc<Memory> {
    let store = Arc::new(Memory::default());
    let identity = Identity::choose(
        &settings(owner)
            .for_registry(&registry())
            .expect("good settings"),
        &registry(),
    )
    .expect("an identity");
    Cache::new(vec![store.clone()]).put(
        &Key::new(&registry(), &identity.fingerprint()),
        &token(),
        START,
    );
    store
}

fn get(
    store: &Arc<Memory>,
    client: &str,
    clock: fn() -> SystemTime,
) -> Result<RefreshToken, Error> {
    let settings = settings(client);
    let service = TokenService::with_cache(&settings, Cache::new(vec![store.clone()]), clock);
    service.get(&registry()).map(|credential| credential.token)
}

/// Returns whether the sign-in failed because the authority cannot be reached.
fn is_unreachable(error: &Error) -> bool {
    error.is_failed_sign_in() && matches!(error.kind(), ErrorKind::Unreachable(_))
}

#[test]
fn a_token_is_used_without_a_request_in_the_first_half_of_its_life() {
    let store = store_of("alice");
    for clock in [|| minutes(0), || minutes(89)] as [fn() -> SystemTime; 2] {
        let got = get(&store, "alice", clock).unwrap();
        assert_eq!(
            got.secret().expose_secret(),
            token().secret().expose_secret()
        );
        assert_eq!(got.renew_at(), minutes(90));
    }
}

#[test]
fn when_renewal_fails_a_valid_token_is_used_and_the_next_try_waits_a_minute() {
    let store = store_of("alice");
    let got = get(&store, "alice", || minutes(100)).unwrap();
    assert_eq!(
        got.secret().expose_secret(),
        token().secret().expose_secret()
    );
    assert_eq!(got.renew_at(), minutes(101));
    // Fresh again for that minute: nothing is tried, so the time of renewal stays.
    assert_eq!(
        get(&store, "alice", || minutes(100)).unwrap().renew_at(),
        minutes(101)
    );
    assert_eq!(
        get(&store, "alice", || minutes(150)).unwrap().renew_at(),
        minutes(151)
    );
}

#[test]
fn an_expired_token_is_never_used() {
    let store = store_of("alice");
    for clock in [|| minutes(179), || minutes(200)] as [fn() -> SystemTime; 2] {
        let error = get(&store, "alice", clock).unwrap_err();
        assert!(is_unreachable(&error), "{error}");
    }
}

#[test]
fn after_a_switch_the_token_of_the_earlier_account_is_not_used() {
    let store = store_of("alice");
    assert!(is_unreachable(
        &get(&store, "bob", || minutes(1)).unwrap_err()
    ));
    assert!(get(&store, "alice", || minutes(1)).is_ok());
}

#[test]
fn list_names_hosts_of_the_current_identity_with_a_valid_token() {
    let store = store_of("alice");
    let list = |client: &str, clock: fn() -> SystemTime| {
        let listed =
            TokenService::with_cache(&settings(client), Cache::new(vec![store.clone()]), clock)
                .list()
                .unwrap();
        listed.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(list("alice", || minutes(1)), ["contoso.azurecr.io"]);
    assert_eq!(list("alice", || minutes(120)), ["contoso.azurecr.io"]);
    assert!(list("alice", || minutes(180)).is_empty());
    assert!(list("bob", || minutes(1)).is_empty());
}

#[test]
fn after_erase_the_next_get_signs_in() {
    let store = store_of("alice");
    TokenService::with_cache(&settings("bob"), Cache::new(vec![store.clone()]), || {
        minutes(1)
    })
    .erase(&registry())
    .unwrap();
    assert!(get(&store, "alice", || minutes(1)).is_err());
}
