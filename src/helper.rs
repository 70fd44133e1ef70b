//! The core: one question, "the credential for this registry", and what clients may forget and list.

use crate::cache::Cache;
use crate::config::{CacheChoice, Config, OnError, Settings};
use crate::deadline::Clock;
use crate::error::Error;
use crate::identity::{Identity, Workload};
use crate::registry::Registry;
use crate::runtime::block_on_blocking_thread;
use crate::session::Session;
use crate::token::RefreshToken;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use tracing::{debug, info, warn};

/// Answers for registries: from the cache, or by a sign-in and an exchange.
///
/// It holds no connection and no token, and costs nothing to make: keep the [`Settings`], in an `Arc` for several threads, and make one
/// where it is needed. Its cache is the user's keyring, which it shares with the program `docker-credential-acrscoped` and with every
/// other process of the user.
#[derive(Debug)]
pub struct Helper<'a> {
    settings: &'a Settings,
    cache: Option<Cache>,
    clock: Clock,
    /// No call takes longer, whatever is configured.
    longest: Duration,
    /// What `auto` stands for.
    auto: CacheChoice,
}

/// What a client presents to a registry: the two halves of basic authentication. A registry takes them at `/oauth2/token`, where clients
/// are sent by its challenge, and gives a token for one repository there.
#[derive(Debug)]
#[non_exhaustive]
pub struct Credential {
    /// The user name: the zero GUID (`00000000-0000-0000-0000-000000000000`), or `<token>` where the setting `username` says so. It names
    /// nobody: who signed in, the registry reads from the token.
    pub username: &'static str,
    /// The password, good for at most three hours.
    pub token: RefreshToken,
}

/// A refresh token in the cache.
#[derive(Debug)]
pub struct Cached {
    /// Its registry.
    pub registry: Registry,
    /// Who signed in for it, if that is who would sign in now.
    pub identity: Option<String>,
    /// The store it lies in.
    pub store: String,
    /// The user name that goes with it.
    pub username: &'static str,
    /// When it ends.
    pub expires: Option<SystemTime>,
    /// From when on it is renewed.
    pub renew: SystemTime,
}

impl<'a> Helper<'a> {
    /// A helper with the stores that `settings` choose for each registry. `clock` is `SystemTime::now`, except in tests.
    pub fn new(settings: &'a Settings, clock: Clock) -> Self {
        Self {
            settings,
            cache: None,
            clock,
            longest: Duration::MAX,
            auto: CacheChoice::Auto,
        }
    }

    /// The credential of the registry for the identity that is configured for it.
    ///
    /// A cached token is used until half its life is spent. Then it is renewed; if that fails and the token is still valid, it is
    /// used all the same and the next renewal is tried a minute later. Processes that ask at the same time share one sign-in.
    ///
    /// Blocks for at most the setting `timeout`, 30 seconds unless set: a cached answer takes about a millisecond, a sign-in two HTTPS
    /// requests or a run of `az`. It works within an async runtime, too, but stops its thread: call it by
    /// `tokio::task::spawn_blocking` there.
    ///
    /// Errors: [`Error::Setting`] and [`Error::File`] for settings that cannot be used, [`Error::NoIdentity`] and
    /// [`Error::NotSignedIn`] when nobody could be signed in, [`Error::Exchange`] when the registry refused who was, and those of the
    /// network. [`Error::Anonymous`] is the wish of the user that the client goes on without a credential.
    pub fn get(&self, registry: &Registry) -> Result<Credential, Error> {
        block_on_blocking_thread(|| self.answer(registry))
    }

    fn answer(&self, registry: &Registry) -> Result<Credential, Error> {
        let config = self.config(registry)?;
        let cache = self.cache(config.cache, config.timeout);
        let token =
            Session::new(&config, registry, cache, self.clock).and_then(|session| session.token());
        credential(&config, token)
    }

    /// Forgets every token of the registry, whoever it was issued to, in every store of this system: the setting may have been another
    /// when it was kept. Only where nothing is to be kept at all no store is touched. The next [`Helper::get`] asks anew: for a token
    /// that the registry has begun to refuse.
    ///
    /// Errors: [`Error::NotErased`] when a store does not give a token up, and those of settings that cannot be used.
    pub fn erase(&self, registry: &Registry) -> Result<(), Error> {
        self.every_store(&self.config(registry)?)
            .erase(registry, (self.clock)())
    }
}

/// What the program asks besides.
#[cfg_attr(not(internals), doc(hidden))]
impl<'a> Helper<'a> {
    /// A helper over a given cache for all registries.
    pub fn with_cache(settings: &'a Settings, cache: Cache, clock: Clock) -> Self {
        Self {
            cache: Some(cache),
            ..Self::new(settings, clock)
        }
    }

    /// The same for a client that waits no longer than this.
    pub fn within(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    /// The same for a client that remembers what it is given: nothing is kept, unless a store is named by the setting.
    pub fn for_client_that_remembers(self) -> Self {
        Self {
            auto: CacheChoice::None,
            ..self
        }
    }

    /// The time of day.
    pub fn now(&self) -> SystemTime {
        (self.clock)()
    }

    /// The credential of the registry for a workload that brought its own assertion along. It is read from no cache and kept in none, and
    /// no other process is waited for: whoever else is served on this machine never comes near it.
    pub fn get_for(&self, registry: &Registry, workload: Workload) -> Result<Credential, Error> {
        let config = self.config(registry)?;
        let token = Session::of_workload(&config, registry, workload, self.clock).token_alone();
        credential(&config, token)
    }

    /// Who would sign in to the registry.
    pub fn identity(&self, registry: &Registry) -> Result<Identity, Error> {
        Identity::choose(&self.config(registry)?, registry)
    }

    /// The identities of those whose valid tokens are cached, as far as they are who would sign in now.
    pub(crate) fn identities(&self) -> Result<Vec<Identity>, Error> {
        let cached = self
            .status()?
            .into_iter()
            .filter(|cached| cached.identity.is_some());
        cached
            .map(|cached| self.identity(&cached.registry))
            .collect()
    }

    /// The stores that a setting chooses.
    pub(crate) fn stores(&self, config: &Config) -> Cache {
        self.cache(config.cache, config.timeout)
    }

    /// Every store of this system, unless none is to be touched.
    pub(crate) fn every_store(&self, config: &Config) -> Cache {
        let stores = match config.cache {
            CacheChoice::None => CacheChoice::None,
            CacheChoice::Auto
            | CacheChoice::Keyutils
            | CacheChoice::SecretService
            | CacheChoice::Keychain
            | CacheChoice::CredentialManager => CacheChoice::Auto,
        };
        self.cache(stores, config.timeout)
    }

    /// Every store of this system, whatever is set: what is to be forgotten may have been kept under another setting.
    pub(crate) fn all_stores(&self, config: &Config) -> Cache {
        self.cache(CacheChoice::Auto, config.timeout)
    }

    /// The hosts with a valid cached token of who would sign in there, each with its user name.
    pub fn list(&self) -> Result<BTreeMap<String, &'static str>, Error> {
        let cached = self
            .status()?
            .into_iter()
            .filter(|cached| cached.identity.is_some());
        Ok(cached
            .map(|cached| (cached.registry.host().to_owned(), cached.username))
            .collect())
    }

    /// Every valid cached token, in the order of hosts. Nothing leaves the machine.
    pub fn status(&self) -> Result<Vec<Cached>, Error> {
        let mut all = Vec::new();
        let patience = self.settings.timeout()?;
        for choice in self.settings.caches()? {
            let cache = self.cache(choice, patience);
            for kept in cache.list((self.clock)()) {
                let Some(registry) = Registry::parse(kept.key.host(), self.settings.clouds())
                else {
                    continue;
                };
                let Ok(config) = self.settings.for_registry(&registry) else {
                    continue;
                };
                if config.cache != choice {
                    continue;
                }
                let own = Session::new(&config, &registry, cache.clone(), self.clock).ok();
                let identity = own
                    .filter(|own| *own.key() == kept.key)
                    .map(|own| own.identity().to_string());
                let (store, username) = (kept.store, config.username);
                all.push(Cached {
                    registry,
                    identity,
                    store,
                    username,
                    expires: kept.token.expires(),
                    renew: kept.token.renew_at(),
                });
            }
        }
        all.sort_by(|one, other| {
            one.registry
                .host()
                .cmp(other.registry.host())
                .then(other.identity.cmp(&one.identity))
        });
        Ok(all)
    }

    fn config(&self, registry: &Registry) -> Result<Config, Error> {
        let mut config = self.settings.for_registry(registry)?;
        config.timeout = config.timeout.min(self.longest);
        if config.cache == CacheChoice::Auto {
            config.cache = self.auto;
        }
        if self.settings.clouds().contains(registry.cloud()) {
            info!(
                "{registry} is trusted as a registry of `[cloud.{}]` in {}",
                registry.cloud().name,
                self.settings.file().display()
            );
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            for set in self.settings.explain(Some(registry))? {
                debug!("`{}` is {} by {}", set.name, set.value, set.origin);
            }
        }
        Ok(config)
    }

    /// The stores of a choice, which keep their caller waiting no longer than `patience`.
    pub(crate) fn cache(&self, choice: CacheChoice, patience: Duration) -> Cache {
        self.cache
            .clone()
            .unwrap_or_else(|| Cache::open(choice, self.settings.session_bus(), patience))
    }
}

/// What a client is given for what was obtained, or not.
fn credential(config: &Config, token: Result<RefreshToken, Error>) -> Result<Credential, Error> {
    match token {
        Ok(token) => Ok(Credential {
            username: config.username,
            token,
        }),
        Err(error) if config.on_error == OnError::Anonymous && error.is_failed_sign_in() => {
            warn!("{error}; the client goes on without a credential, as `on_error` says");
            Err(Error::Anonymous(Box::new(error)))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_longer_than_their_client_does() {
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        for (set, seconds) in [("600", 50), ("7", 7)] {
            let settings =
                Settings::of([("ACRSCOPED_TIMEOUT".to_owned(), set.into())].into(), None);
            let helper =
                Helper::new(&settings, || SystemTime::UNIX_EPOCH).within(Duration::from_secs(50));
            assert_eq!(helper.config(&registry).unwrap().timeout.as_secs(), seconds);
        }
    }
}
