//! The credential of a registry: from the cache, by renewal, or by a sign-in and an exchange.
//!
//! Processes share two tokens: the refresh token of a registry, and the access token of an identity, which is valid at all registries. One
//! process fetches a token, and the others take it from the cache.
//!
//! # Rules of time
//!
//! - Half-life: a refresh token is used until half its life is spent ([`RefreshToken::is_fresh`]). Then one process renews it, for up to
//!   `RENEWAL_TIMEOUT`. If that fails while the token is valid, it is used for another `RETRY_DELAY`.
//! - Deadline: the setting `timeout` covers all that one `get` does ([`Deadline`]).
//! - Keyring: a process waits for a keyring up to `STORE_TIMEOUT` (`cache/timeout.rs`).
//! - HTTP retries: `http/retry_delay.rs`. kubelet's cache: `protocol/kubelet/cache_duration.rs`.

use crate::cache::{Cache, CachedToken, Key};
use crate::config::{CacheChoice, Config, OnError, Settings};
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, ErrorKind, HINT_CLOCK, NOT_FOUND};
use crate::exchange;
use crate::http::Network;
use crate::identity::{Identity, ServiceAccount};
use crate::registry::Registry;
use crate::runtime::{block_on_blocking_thread, run};
use crate::single_flight::{self, Acquire};
use crate::token::{AccessToken, RefreshToken};
use reqwest::Client;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tracing::{debug, info, warn};

/// How long a valid token is used after a failed renewal before the next try. It is at most the minute that [`RefreshToken::is_fresh`]
/// allows.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// The time limit of a renewal while the cached token is valid.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(10);

/// How many processes sign in at the same time if they cannot share a token.
const MAX_PARALLEL_SIGN_INS: u32 = 4;

/// Gives out the credentials of registries: from the cache, or by a sign-in and an exchange.
///
/// Cheap to construct: it holds no connection and no token. Keep the [`Settings`], in an `Arc` for several threads, and create a service for
/// each call. Its cache is the user's keyring, which all processes of the user share, the program `docker-credential-acrscoped` included.
///
/// ```no_run
/// use docker_credential_acrscoped::{Registry, Settings, TokenService};
/// use std::time::SystemTime;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = Settings::from_env()?;
/// let registry = Registry::parse("contoso.azurecr.io", settings.clouds()).ok_or("no registry")?;
/// let service = TokenService::new(&settings, SystemTime::now);
/// let credential = service.get(&registry)?;
/// // If the registry refuses it:
/// service.erase(&registry)?;
/// # let _ = credential;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TokenService<'a> {
    settings: &'a Settings,
    cache: Option<Cache>,
    clock: Clock,
    /// How long the client waits before it ends a call. Set only for a client with its own cache.
    client_timeout: Option<Duration>,
}

/// Holds the user name and password for a registry's basic authentication. Clients send them to `/oauth2/token`, which the registry's challenge
/// names, and get a token for one repository.
///
/// ```
/// use docker_credential_acrscoped::{Credential, ExposeSecret};
///
/// fn basic_auth(credential: &Credential) -> (&str, &str) {
///     (credential.username, credential.token.secret().expose_secret())
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Credential {
    /// The user name: the zero GUID (`00000000-0000-0000-0000-000000000000`), or `<token>` if the setting `username` is `token`. The registry
    /// reads the identity from the token.
    pub username: &'static str,
    /// The password, valid for at most three hours.
    pub token: RefreshToken,
}

/// A refresh token in the cache.
#[derive(Debug)]
pub(crate) struct CachedCredential {
    pub(crate) registry: Registry,
    /// The identity that it was issued to, if that is the current one.
    pub(crate) identity: Option<Identity>,
    /// The name of its keyring.
    pub(crate) store: String,
    /// The user name for it.
    pub(crate) username: &'static str,
    pub(crate) expires: Option<SystemTime>,
    /// When its renewal is due.
    pub(crate) renew: SystemTime,
}

impl<'a> TokenService<'a> {
    /// Returns a service with the keyrings that `settings` choose for each registry. `clock` is `SystemTime::now`, except in tests.
    pub fn new(settings: &'a Settings, clock: Clock) -> Self {
        Self {
            settings,
            cache: None,
            clock,
            client_timeout: None,
        }
    }

    /// Returns the credential of the registry for the identity that is configured for it.
    ///
    /// A cached token is used until half its life is spent. Then it is renewed. If that fails while the token is still valid, it is
    /// used anyway, and the next renewal is tried a minute later. Processes that call this at the same time share one sign-in.
    ///
    /// Blocks for at most the setting `timeout`, 30 seconds by default. A cached token takes about a millisecond, and a sign-in two HTTPS
    /// requests or a run of `az`. It works in an async runtime, too, but blocks the thread: call it with `tokio::task::spawn_blocking`.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Setting`] and [`ErrorKind::Untrusted`] if settings cannot be used.
    /// - [`ErrorKind::NoIdentity`] and others if sign-in fails: [`Error::is_failed_sign_in`] is true.
    /// - [`ErrorKind::Denied`], [`ErrorKind::InvalidToken`] and [`ErrorKind::NetworkRule`] if the registry refuses the identity.
    /// - Errors of the network.
    /// - [`ErrorKind::Anonymous`] if sign-in fails and `on_error` lets the client continue without a credential.
    pub fn get(&self, registry: &Registry) -> Result<Credential, Error> {
        block_on_blocking_thread(|| {
            let config = self.config(registry)?;
            let cache = self.cache(config.cache, config.timeout);
            let session = Session::new(&config, registry, cache, self.clock);
            credential(&config, session.and_then(|session| session.token()))
        })
    }

    /// Deletes every cached token of the registry, for all identities and from all keyrings, since `cache` may have changed. Does nothing if
    /// `cache` is `none`. The next [`TokenService::get`] signs in. Call it if the registry refuses a token.
    ///
    /// ```no_run
    /// # use docker_credential_acrscoped::{Registry, Settings, TokenService};
    /// # use std::time::SystemTime;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let settings = Settings::from_env()?;
    /// let registry = Registry::parse("contoso.azurecr.io", settings.clouds()).ok_or("no registry")?;
    /// TokenService::new(&settings, SystemTime::now).erase(&registry)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Keyring`] if a keyring does not delete a token, and [`ErrorKind::Setting`] if settings cannot be used.
    pub fn erase(&self, registry: &Registry) -> Result<(), Error> {
        let config = self.config(registry)?;
        let choice = match config.cache {
            CacheChoice::None => CacheChoice::None,
            _ => CacheChoice::Auto,
        };
        self.cache(choice, config.timeout)
            .erase(registry, (self.clock)())
    }
}

/// For the program itself.
impl<'a> TokenService<'a> {
    /// Returns a service with one cache for all registries.
    #[cfg(test)]
    pub(crate) fn with_cache(settings: &'a Settings, cache: Cache, clock: Clock) -> Self {
        Self {
            cache: Some(cache),
            ..Self::new(settings, clock)
        }
    }

    /// Limits `timeout` for a client that ends a call after `timeout`. The client has its own cache, so that nothing is cached here unless
    /// the setting `cache` names a keyring.
    pub(crate) fn for_client_with_cache(self, timeout: Duration) -> Self {
        Self {
            client_timeout: Some(timeout),
            ..self
        }
    }

    /// Returns the time of day.
    pub(crate) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    /// Returns the credential for a workload whose assertion is in the request. Bypasses the cache and the single flight: their key is the
    /// identity, and a request for it does not prove that the caller may use that identity's token.
    ///
    /// # Errors
    ///
    /// As [`TokenService::get`].
    pub(crate) fn get_for_service_account(
        &self,
        registry: &Registry,
        account: ServiceAccount,
    ) -> Result<Credential, Error> {
        let config = self.config(registry)?;
        let identity = Identity::of_service_account(account, &config, registry);
        let no_cache = Cache::new(vec![]);
        let session = Session::of_identity(identity, &config, registry, no_cache, self.clock);
        let deadline = Deadline::after(config.timeout);
        credential(&config, run(session.fetch_token(deadline)))
    }

    /// Returns the identity that would sign in to the registry.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoIdentity`] if no identity source is configured, and [`ErrorKind::Setting`] or [`ErrorKind::Untrusted`] for settings.
    pub(crate) fn identity(&self, registry: &Registry) -> Result<Identity, Error> {
        Identity::choose(&self.config(registry)?, registry)
    }

    /// Returns the keyrings that `choice` selects. Each has up to `timeout` to answer.
    pub(crate) fn cache(&self, choice: CacheChoice, timeout: Duration) -> Cache {
        self.cache
            .clone()
            .unwrap_or_else(|| Cache::open(choice, self.settings.session_bus(), timeout))
    }

    /// Returns the hosts with a valid cached token of the identity that would sign in, each with its user name.
    ///
    /// # Errors
    ///
    /// As [`TokenService::status`].
    pub(crate) fn list(&self) -> Result<BTreeMap<String, String>, Error> {
        let cached = self.status()?.into_iter();
        let usable = cached.filter(|cached| cached.identity.is_some());
        let entry = |it: CachedCredential| (it.registry.host().to_owned(), it.username.to_owned());
        Ok(usable.map(entry).collect())
    }

    /// Returns every valid cached token, in the order of hosts, those of the current identity first. Makes no connection.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Setting`] if settings cannot be used.
    pub(crate) fn status(&self) -> Result<Vec<CachedCredential>, Error> {
        let mut all = Vec::new();
        let timeout = self.settings.timeout()?;
        for choice in self.settings.caches()? {
            let cached = self.cache(choice, timeout).list(self.now());
            let described = cached.iter().filter_map(|it| self.describe(it, choice));
            all.extend(described);
        }
        all.sort_by_key(|cached| {
            let identity = cached.identity.as_ref().map(ToString::to_string);
            (cached.registry.host().to_owned(), Reverse(identity))
        });
        Ok(all)
    }

    /// Describes a cached token, if its registry uses this choice of keyrings.
    fn describe(&self, cached: &CachedToken, choice: CacheChoice) -> Option<CachedCredential> {
        let registry = Registry::parse(cached.key.host(), self.settings.clouds())?;
        let config = self.settings.for_registry(&registry).ok()?;
        if config.cache != choice {
            return None;
        }
        let identity = Identity::choose(&config, &registry).ok();
        let is_current = |it: &Identity| Key::new(&registry, &it.fingerprint()) == cached.key;
        Some(CachedCredential {
            identity: identity.filter(is_current),
            registry,
            store: cached.store.to_owned(),
            username: config.username,
            expires: cached.token.expires(),
            renew: cached.token.renew_at(),
        })
    }

    fn config(&self, registry: &Registry) -> Result<Config, Error> {
        let mut config = self.settings.for_registry(registry)?;
        if let Some(timeout) = self.client_timeout {
            config.timeout = config.timeout.min(timeout);
            if config.cache == CacheChoice::Auto {
                config.cache = CacheChoice::None;
            }
        }
        if self.settings.clouds().contains(registry.cloud()) {
            info!(
                "{registry} is trusted as a registry of `[cloud.{}]` in {}",
                registry.cloud().name,
                self.settings.file().display()
            );
        }
        if tracing::enabled!(tracing::Level::DEBUG) {
            for (name, set) in self.settings.explain(Some(registry))? {
                debug!("`{name}` is {} by {}", set.value, set.origin);
            }
        }
        Ok(config)
    }
}

/// Returns the credential. A failed sign-in becomes [`ErrorKind::Anonymous`] if `on_error` is `anonymous`.
fn credential(config: &Config, token: Result<RefreshToken, Error>) -> Result<Credential, Error> {
    match token {
        Ok(token) => Ok(Credential {
            username: config.username,
            token,
        }),
        Err(error) if config.on_error == OnError::Anonymous && error.is_failed_sign_in() => {
            warn!("{error}; the client goes on without a credential, as `on_error` says");
            Err(Error::new(ErrorKind::Anonymous, NOT_FOUND).with_source(error))
        }
        Err(error) => Err(error),
    }
}

/// One identity at one registry.
pub(crate) struct Session<'a> {
    registry: &'a Registry,
    config: &'a Config,
    cache: Cache,
    /// The stores of the Entra refresh tokens of `login`.
    logins: Cache,
    clock: Clock,
    identity: Identity,
    key: Key,
    access_key: Key,
}

impl<'a> Session<'a> {
    /// Returns a session of the identity that is configured for the registry.
    ///
    /// # Errors
    ///
    /// As [`TokenService::identity`].
    pub(crate) fn new(
        config: &'a Config,
        registry: &'a Registry,
        cache: Cache,
        clock: Clock,
    ) -> Result<Self, Error> {
        let identity = Identity::choose(config, registry)?;
        Ok(Self::of_identity(identity, config, registry, cache, clock))
    }

    /// Makes the session neither use nor store cached tokens, except those of `login`.
    pub(crate) fn without_cache(mut self) -> Self {
        self.cache = Cache::new(vec![]);
        self
    }

    fn of_identity(
        identity: Identity,
        config: &'a Config,
        registry: &'a Registry,
        cache: Cache,
        clock: Clock,
    ) -> Self {
        let fingerprint = identity.fingerprint();
        Self {
            registry,
            config,
            logins: cache.clone(),
            cache,
            clock,
            identity,
            key: Key::new(registry, &fingerprint),
            access_key: Key::access_token(&fingerprint),
        }
    }

    /// Returns the identity that signs in.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the refresh token: cached, renewed or new.
    fn token(&self) -> Result<RefreshToken, Error> {
        let deadline = Deadline::after(self.config.timeout);
        match self.cached() {
            Some(token) if token.is_fresh(self.now()) => {
                debug!(registry = %self.registry, identity = %self.identity, "found a fresh token");
                Ok(token)
            }
            Some(token) => self.renew(token, deadline.at_most(RENEWAL_TIMEOUT)),
            None => {
                let fetch = async || self.fetch_token(deadline).await;
                run(self.run_single_flight(&self.key, deadline, || self.cached(), fetch))
            }
        }
    }

    fn now(&self) -> SystemTime {
        (self.clock)()
    }

    fn cached(&self) -> Option<RefreshToken> {
        self.cache.get(&self.key, self.now())
    }

    /// Renews a token that is still valid, unless another process does.
    fn renew(&self, token: RefreshToken, deadline: Deadline) -> Result<RefreshToken, Error> {
        let acquired = single_flight::try_acquire(&self.config.lock_dirs, self.key.as_str());
        if matches!(acquired, Acquire::TimedOut | Acquire::Finished(_)) {
            return Ok(self.cached().unwrap_or(token));
        }
        // Another process may have renewed it between the look-up and the lock.
        if let Some(fresh) = self.cached().filter(|token| token.is_fresh(self.now())) {
            acquired.finish(None);
            return Ok(fresh);
        }
        let renewed =
            run(self.fetch_token(deadline)).or_else(|error| self.reuse_until_retry(token, error));
        acquired.finish(renewed.as_ref().err());
        renewed
    }

    /// Returns a token whose renewal failed, with a later time of renewal, if it is still valid. A signal ends the process anyway.
    fn reuse_until_retry(&self, token: RefreshToken, error: Error) -> Result<RefreshToken, Error> {
        let now = self.now();
        if !token.is_valid(now) || error.kind() == ErrorKind::Interrupted {
            return Err(error);
        }
        warn!("{error}; the token in the cache is still valid and was used");
        let token = token.with_renew_at(now + RETRY_DELAY);
        // A token that was erased meanwhile stays erased.
        if self.cached().is_some() {
            self.cache.put(&self.key, &token, now);
        }
        Ok(token)
    }

    /// Returns what another process caches under `key`, or fetches it. Waits for another process for half of the remaining time. Without a
    /// keyring processes cannot share a result, and at most [`MAX_PARALLEL_SIGN_INS`] of them sign in at the same time.
    ///
    /// # Errors
    ///
    /// The failure of `fetch`, or of the other process.
    async fn run_single_flight<T>(
        &self,
        key: &Key,
        deadline: Deadline,
        find: impl Fn() -> Option<T>,
        fetch: impl AsyncFn() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let shared = key.as_str();
        let parallel = format!("{shared} {}", std::process::id() % MAX_PARALLEL_SIGN_INS);
        let is_cached = !self.cache.is_empty();
        let mut name = if is_cached { shared } else { &parallel };
        let waiting = Deadline::after(deadline.left() / 2);
        loop {
            let acquired =
                single_flight::acquire(&self.config.lock_dirs, name, waiting.left()).await;
            if let Acquire::Finished(Some(failure)) = acquired {
                return Err(failure);
            }
            // The process that held the lock before may have filled the cache.
            if let Some(found) = find() {
                acquired.finish(None);
                return Ok(found);
            }
            if let Acquire::Finished(None) = acquired {
                name = &parallel;
                continue;
            }
            // If the wait timed out, the other process may have filled the cache meanwhile.
            let fetched = fetch().await.or_else(|error| find().ok_or(error));
            acquired.finish(fetched.as_ref().err());
            return fetched;
        }
    }

    /// Signs in, exchanges the access token, and caches the refresh token.
    async fn fetch_token(&self, deadline: Deadline) -> Result<RefreshToken, Error> {
        info!(registry = %self.registry, identity = %self.identity, "signing in");
        let network = Arc::new(Network::new(self.config, deadline, self.clock));
        network.warn();
        let token = self.sign_in_and_exchange(&network, deadline).await;
        let token = token.map_err(|error| with_clock_skew(error, &network))?;
        self.cache.put(&self.key, &token, self.now());
        Ok(token)
    }

    async fn sign_in_and_exchange(
        &self,
        network: &Arc<Network>,
        deadline: Deadline,
    ) -> Result<RefreshToken, Error> {
        let (client, preconnect) = network.preconnect(self.registry.login_server())?;
        preconnect
            .open(&client, &exchange::address(self.registry))
            .await;
        let (token, is_new) = self.access_token(network, deadline, None).await?;
        let refusal = match self.exchange(network, &client, deadline, &token).await {
            Err(error) if !is_new && is_unauthorized(&error) => error,
            result => return result,
        };
        // A cached access token may have been revoked, or may be older than the group membership that gives the role.
        info!(registry = %self.registry, "the registry refused the cached access token; signing in again");
        let (new, _) = self.access_token(network, deadline, Some(&token)).await?;
        if new.same_as(&token) {
            // The Azure CLI and metadata services have caches, too, and may return the same token again.
            return Err(refusal);
        }
        self.exchange(network, &client, deadline, &new).await
    }

    /// Exchanges an access token of this identity. `client` is for the login server.
    ///
    /// # Errors
    ///
    /// As [`exchange::refresh_token`], and [`ErrorKind::Timeout`] after the deadline.
    pub(crate) async fn exchange(
        &self,
        network: &Network,
        client: &Client,
        deadline: Deadline,
        token: &AccessToken,
    ) -> Result<RefreshToken, Error> {
        let started = Instant::now();
        let host = self.registry.login_server();
        let awaited = format!("a refresh token from {host}");
        let exchange = exchange::refresh_token(network, client, self.registry, token, self.clock);
        let refresh_token = deadline
            .timeout(awaited, network.proxy_and_ca_notes(), exchange)
            .await
            .map_err(|error| self.with_identity(error, token))?;
        debug!(registry = %self.registry, took = ?started.elapsed(), "got a refresh token");
        Ok(refresh_token)
    }

    /// Adds the identity to a registry's refusal. If the token is not valid there, adds its audience and the registry's cloud.
    fn with_identity(&self, error: Error, token: &AccessToken) -> Error {
        let mut details = self.identity.notes(token);
        match error.kind() {
            ErrorKind::Denied { .. } => (),
            ErrorKind::InvalidToken => details.push(format!(
                "the access token is for the audience `{}`, and the registry is in the cloud {}",
                self.identity.audience().as_str(),
                self.registry.cloud().name
            )),
            _ => return error,
        }
        error.with_first_details(details)
    }

    /// Returns an access token other than the `refused` one, and whether this process has just requested it.
    async fn access_token(
        &self,
        network: &Arc<Network>,
        deadline: Deadline,
        refused: Option<&AccessToken>,
    ) -> Result<(AccessToken, bool), Error> {
        let sign_in = async || Ok((self.sign_in(network, deadline).await?, true));
        if self.cache.is_empty() || !self.config.keep_access_token {
            return sign_in().await;
        }
        let find = || {
            let audience = self.identity.audience();
            self.cache
                .access_token(&self.access_key, audience, self.now())
                .filter(|token| refused.is_none_or(|refused| !token.same_as(refused)))
                .map(|token| (token, false))
        };
        if let Some(found) = find() {
            debug!(identity = %self.identity, "found an access token");
            return Ok(found);
        }
        self.run_single_flight(&self.access_key, deadline, find, sign_in)
            .await
    }

    /// Signs in, and caches the access token for further registries.
    ///
    /// # Errors
    ///
    /// Why the identity source did not return a token, marked as a failed sign-in, and [`ErrorKind::Timeout`] after the deadline.
    pub(crate) async fn sign_in(
        &self,
        network: &Arc<Network>,
        deadline: Deadline,
    ) -> Result<AccessToken, Error> {
        let started = Instant::now();
        let awaited = format!("an access token from {}", self.identity);
        let sign_in = self.identity.access_token(network, &self.logins);
        let token = deadline
            .timeout(awaited, network.proxy_and_ca_notes(), sign_in)
            .await
            .map_err(Error::during_sign_in)?;
        self.check_cli_account_unchanged()?;
        if let Some(account) = self.identity.login() {
            account.note(&self.identity.fingerprint());
        }
        debug!(identity = %self.identity, took = ?started.elapsed(), "got an access token");
        if self.config.keep_access_token {
            self.cache
                .put_access_token(&self.access_key, &token, self.now());
        }
        Ok(token)
    }

    /// Checks that the account of `az` or `azd` has not changed since it was chosen. They re-read their profile when they run, and a token of
    /// account B must not be cached under account A.
    fn check_cli_account_unchanged(&self) -> Result<(), Error> {
        if !self.identity.is_command_line() {
            return Ok(());
        }
        let problem = "the signed-in account changed during the request";
        let changed = Error::sign_in(&self.identity, problem).with_hint("try again");
        match Identity::choose(self.config, self.registry) {
            Ok(now) if Key::access_token(&now.fingerprint()) == self.access_key => Ok(()),
            Ok(_) => Err(changed),
            // The profile may be half written.
            Err(error) => Err(changed.with_detail(error.to_string())),
        }
    }
}

/// Returns whether the registry answered with 401.
fn is_unauthorized(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Denied { status: 401 } | ErrorKind::InvalidToken
    )
}

/// Adds the clock of this machine as a cause if it is far off.
pub(crate) fn with_clock_skew(error: Error, network: &Network) -> Error {
    match network.skew() {
        Some(skew) => error.with_detail(skew).with_hint(HINT_CLOCK),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    mod renewal;

    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn registry() -> Registry {
        Registry::parse("contoso.azurecr.io", &[]).unwrap()
    }

    #[test]
    fn the_timeout_is_limited_to_what_the_client_waits() {
        for (set, seconds) in [("600", 50), ("7", 7)] {
            let settings = Settings::from_variables(
                [("ACRSCOPED_TIMEOUT".to_owned(), set.into())].into(),
                None,
            );
            let service = TokenService::new(&settings, || START)
                .for_client_with_cache(Duration::from_secs(50));
            let config = service.config(&registry()).unwrap();
            assert_eq!(config.timeout.as_secs(), seconds);
        }
    }

    #[test]
    fn a_token_that_expires_while_its_renewal_fails_is_not_used() {
        let variables = [
            ("AZURE_TENANT_ID", "contoso.example"),
            ("AZURE_CLIENT_ID", "client"),
            ("AZURE_CLIENT_SECRET", "canary"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.into()));
        let settings = Settings::from_variables(variables.into(), None);
        let registry = registry();
        let config = settings.for_registry(&registry).unwrap();
        let payload = azure_core::base64::encode_url_safe(r#"{"exp":10800}"#);
        let token = format!("e30.{payload}.c2ln");
        let token = RefreshToken::received(token.into(), START).unwrap();
        for (clock, is_used) in [
            ((|| START + Duration::from_secs(10_000)) as Clock, true),
            (|| START + Duration::from_secs(10_801), false),
        ] {
            let session = Session::new(&config, &registry, Cache::new(vec![]), clock).unwrap();
            let failure = Error::new(ErrorKind::Timeout, "the renewal failed");
            let used = session.reuse_until_retry(token.clone(), failure);
            assert_eq!(used.is_ok(), is_used);
            let signal = session.reuse_until_retry(token.clone(), Error::interrupted());
            assert_eq!(signal.unwrap_err().kind(), ErrorKind::Interrupted);
        }
    }
}
