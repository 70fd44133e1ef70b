//! The core: one question, "the refresh token for this registry", and one deadline for its answer.
//!
//! A cached answer needs neither network nor async runtime; both are made only when a token has to be obtained.

use crate::cache::{Cache, Key};
use crate::config::Config;
use crate::error::{Error, Stage, Unreachable, printable};
use crate::exchange;
use crate::identity::Identity;
use crate::network;
use crate::registry::Registry;
use crate::token::RefreshToken;
use secrecy::SecretString;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// After a renewal that failed, the token that is still valid is used for this long before the next try.
const NEXT_RENEWAL: Duration = Duration::from_secs(60);

/// While a valid token is at hand, its renewal may take this long and no longer.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(10);

/// Tells the time; tests tell another one.
pub type Clock = fn() -> SystemTime;

/// Answers for registries: from the cache, or by a sign-in and an exchange.
#[derive(Debug)]
pub struct Helper {
    config: Config,
    cache: Cache,
    clock: Clock,
}

impl Helper {
    /// A helper with the stores that `config` chooses.
    pub fn new(config: Config, clock: Clock) -> Self {
        let cache = Cache::open(config.cache);
        Self::with_cache(config, cache, clock)
    }

    /// A helper over a given cache.
    pub fn with_cache(config: Config, cache: Cache, clock: Clock) -> Self {
        Self { config, cache, clock }
    }

    /// The user name that goes with the tokens.
    pub fn username(&self) -> &'static str {
        self.config.username
    }

    /// A refresh token of the registry for the configured identity.
    ///
    /// A cached token is used until half its life is spent. Then it is renewed; if that fails and the token is still valid, it is
    /// used all the same and the next renewal is tried a minute later. Nothing here takes longer than the configured time.
    pub fn get(&self, registry: &Registry) -> Result<RefreshToken, Error> {
        let identity = Identity::choose(&self.config, registry)?;
        let key = Key::new(registry, &identity.fingerprint());
        let now = (self.clock)();
        let cached = self.cache.get(&key, now);
        if let Some(token) = cached.as_ref().filter(|token| token.is_fresh(now)) {
            debug!(%registry, %identity, "found a fresh token");
            return Ok(token.clone());
        }
        let limit = match cached {
            Some(_) => self.config.timeout.min(RENEWAL_PATIENCE),
            None => self.config.timeout,
        };
        info!(%registry, %identity, "signing in");
        let received = self.obtain(&identity, registry, limit);
        let now = (self.clock)();
        match (received, cached) {
            (Ok(secret), _) => {
                let token = RefreshToken::received(secret, now);
                self.cache.put(&key, &token, now);
                Ok(token)
            }
            (Err(error), Some(token)) if token.is_valid(now) => {
                warn!("{error}; the token in the cache is still valid and was used");
                let token = token.renewed_later(now + NEXT_RENEWAL);
                self.cache.put(&key, &token, now);
                Ok(token)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Forgets every token of the registry.
    pub fn erase(&self, registry: &Registry) {
        self.cache.erase(registry);
    }

    /// The hosts whose `get` would be answered from the cache: those with a valid token of who would sign in there.
    pub fn list(&self) -> Vec<String> {
        self.cache
            .list((self.clock)())
            .into_iter()
            .filter(|key| {
                let registry = Registry::parse(key.host());
                let identity = registry.and_then(|registry| {
                    let identity = Identity::choose(&self.config, &registry).ok()?;
                    Some(Key::new(&registry, &identity.fingerprint()))
                });
                identity.as_ref() == Some(key)
            })
            .map(|key| key.host().to_owned())
            .collect()
    }

    /// Signs in and exchanges, on a runtime of its own.
    fn obtain(&self, identity: &Identity, registry: &Registry, limit: Duration) -> Result<SecretString, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Input(format!("no async runtime: {error}")))?;
        let secret = runtime.block_on(self.sign_in_and_exchange(identity, registry, limit));
        // A name look-up that hangs must not keep us.
        runtime.shutdown_background();
        secret
    }

    async fn sign_in_and_exchange(
        &self,
        identity: &Identity,
        registry: &Registry,
        limit: Duration,
    ) -> Result<SecretString, Error> {
        let circumstances = &self.config.network;
        let deadline = Deadline { at: Instant::now() + limit, limit };
        let client = network::internet().map_err(|error| {
            Error::Unreachable(Unreachable {
                host: registry.login_server().to_owned(),
                stage: Stage::Tls,
                cause: printable(&network::chain(&error).last().map(ToString::to_string).unwrap_or_default()),
                circumstances: circumstances.clone(),
            })
        })?;
        let started = Instant::now();
        let during = format!("{identity} was asked for an access token");
        let access_token = deadline.keep(during, identity.access_token(&client, circumstances)).await?;
        debug!(%identity, took = ?started.elapsed(), "got an access token");
        let started = Instant::now();
        let during = format!("{} was asked for a refresh token", registry.login_server());
        let exchange = exchange::refresh_token(&client, registry, &access_token, circumstances);
        let refresh_token = deadline.keep(during, exchange).await?;
        debug!(%registry, took = ?started.elapsed(), "got a refresh token");
        Ok(refresh_token)
    }
}

/// The end of everything that one `get` may do.
struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    async fn keep<T>(&self, during: String, step: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let limit = self.limit;
        tokio::time::timeout_at(self.at, step).await.unwrap_or(Err(Error::Deadline { limit, during }))
    }
}
