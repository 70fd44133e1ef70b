//! One identity at one registry: its refresh token, from the cache, by renewal, or by a sign-in and an exchange.
//!
//! Two things are shared among processes: the refresh token of a registry, and the access token of an identity, which is good at all
//! registries. For each, one process obtains it and the others take it from the cache.

use crate::cache::{Cache, Key};
use crate::config::Config;
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, Refusal, SignIn};
use crate::exchange;
use crate::http::Network;
use crate::identity::{Identity, Workload};
use crate::registry::Registry;
use crate::runtime::run;
use crate::single_flight::{self, Acquire};
use crate::token::{AccessToken, RefreshToken};
use reqwest::Client;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tracing::{debug, info, warn};

/// After a renewal that failed, the token that is still valid is used for this long before the next try. Not more than a minute, which
/// is what [`RefreshToken::is_fresh`] tolerates as the time of a renewal that was put off.
const NEXT_RENEWAL: Duration = Duration::from_secs(60);

/// While a valid token is at hand, its renewal may take this long and no longer.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(10);

/// How many processes obtain the same thing at a time when they cannot share one.
const LANES: u32 = 4;

/// One question: the refresh token of a registry for an identity.
pub(crate) struct Session<'a> {
    registry: &'a Registry,
    config: &'a Config,
    cache: Cache,
    /// Where the tokens of those who signed in with `login` are.
    logins: Cache,
    clock: Clock,
    identity: Identity,
    key: Key,
    access_key: Key,
}

impl<'a> Session<'a> {
    /// Finds out who signs in to the registry.
    pub(crate) fn new(
        config: &'a Config,
        registry: &'a Registry,
        cache: Cache,
        clock: Clock,
    ) -> Result<Self, Error> {
        Ok(Self::of(
            Identity::choose(config, registry)?,
            config,
            registry,
            cache,
            clock,
        ))
    }

    fn of(
        identity: Identity,
        config: &'a Config,
        registry: &'a Registry,
        cache: Cache,
        clock: Clock,
    ) -> Self {
        let fingerprint = identity.fingerprint();
        let (key, access_key) = (
            Key::new(registry, &fingerprint),
            Key::of_sign_in(&fingerprint),
        );
        Self {
            registry,
            config,
            logins: cache.clone(),
            cache,
            clock,
            identity,
            key,
            access_key,
        }
    }

    /// The same, but no token that was kept is used, and none is kept.
    pub(crate) fn anew(
        config: &'a Config,
        registry: &'a Registry,
        logins: Cache,
        clock: Clock,
    ) -> Result<Self, Error> {
        Ok(Self {
            cache: Cache::over(vec![]),
            ..Self::new(config, registry, logins, clock)?
        })
    }

    /// One for a workload that brought its assertion along: it has no cache.
    pub(crate) fn of_workload(
        config: &'a Config,
        registry: &'a Registry,
        workload: Workload,
        clock: Clock,
    ) -> Self {
        Self::of(
            Identity::of_workload(workload, config, registry),
            config,
            registry,
            Cache::over(vec![]),
            clock,
        )
    }

    /// Under which key the refresh token is kept.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Who signs in.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The refresh token.
    pub(crate) fn token(&self) -> Result<RefreshToken, Error> {
        let deadline = Deadline::after(self.config.timeout);
        match self.cached() {
            Some(token) if token.is_fresh(self.now()) => {
                debug!(registry = %self.registry, identity = %self.identity, "found a fresh token");
                Ok(token)
            }
            Some(token) => self.renew(token, deadline.or_after(RENEWAL_PATIENCE)),
            None => run(self.obtain_together(deadline)),
        }
    }

    /// The refresh token, obtained without a look at what other processes do, and without a word to them: the keys by which they meet tell
    /// identities apart, and not who claims to be one.
    pub(crate) fn token_alone(&self) -> Result<RefreshToken, Error> {
        run(self.obtain(Deadline::after(self.config.timeout)))
    }

    fn now(&self) -> SystemTime {
        (self.clock)()
    }

    fn cached(&self) -> Option<RefreshToken> {
        self.cache.get(&self.key, self.now())
    }

    /// Renews a token that is still valid, unless somebody else is at it.
    fn renew(&self, token: RefreshToken, deadline: Deadline) -> Result<RefreshToken, Error> {
        let turn = single_flight::try_acquire(&self.config.lock_dirs, &self.key.file_name());
        match turn {
            Acquire::TimedOut => return Ok(token),
            Acquire::Finished(_) => return Ok(self.cached().unwrap_or(token)),
            Acquire::Leader(_) | Acquire::Unavailable => (),
        }
        // Another process may have renewed it between our look-up and our turn.
        if let Some(fresh) = self.cached().filter(|token| token.is_fresh(self.now())) {
            land(turn, None);
            return Ok(fresh);
        }
        let renewed = run(self.obtain(deadline)).or_else(|error| self.put_off(token, error));
        land(turn, renewed.as_ref().err());
        renewed
    }

    /// Goes on with a token whose renewal failed, while it is valid.
    fn put_off(&self, token: RefreshToken, error: Error) -> Result<RefreshToken, Error> {
        let now = self.now();
        if !token.is_valid(now) {
            return Err(error);
        }
        warn!("{error}; the token in the cache is still valid and was used");
        let token = token.with_renew_at(now + NEXT_RENEWAL);
        // What was erased meanwhile stays erased.
        if self.cached().is_some() {
            self.cache.put(&self.key, &token, now);
        }
        Ok(token)
    }

    async fn obtain_together(&self, deadline: Deadline) -> Result<RefreshToken, Error> {
        let obtain = async || self.obtain(deadline).await;
        self.share(&self.key, deadline.left() / 2, || self.cached(), obtain)
            .await
    }

    /// Obtains something that is kept under a key, or waits for the process that does, for as long as `patience`. Where nothing can be
    /// handed on, because there is no store or it did not take the token, a few at a time obtain their own.
    async fn share<T>(
        &self,
        key: &Key,
        patience: Duration,
        find: impl Fn() -> Option<T>,
        obtain: impl AsyncFn() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let whole = key.file_name();
        let lane = format!("{whole} {}", std::process::id() % LANES);
        let mut flight = if self.cache.is_empty() { &lane } else { &whole };
        let patience = Deadline::after(patience);
        loop {
            let turn =
                single_flight::acquire(&self.config.lock_dirs, flight, patience.left()).await;
            if let Acquire::Finished(Some(account)) = turn {
                return Err(Error::Relayed(account));
            }
            // Whoever had the turn before us may have filled the cache.
            if let Some(found) = find() {
                land(turn, None);
                return Ok(found);
            }
            if let Acquire::Finished(None) = turn {
                flight = &lane;
                continue;
            }
            // A leader that was too slow to be waited for may have filled the cache before we gave up.
            let obtained = obtain().await.or_else(|error| find().ok_or(error));
            land(turn, obtained.as_ref().err());
            return obtained;
        }
    }

    /// Gets an access token, exchanges it and fills the cache.
    async fn obtain(&self, deadline: Deadline) -> Result<RefreshToken, Error> {
        info!(registry = %self.registry, identity = %self.identity, "signing in");
        let network = Arc::new(Network::new(
            self.config.network.clone(),
            deadline,
            self.clock,
        ));
        network.warn();
        let token = self
            .sign_in_and_exchange(&network, deadline)
            .await
            .map_err(|error| skewed(error, &network))?;
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
        match self.exchange(network, &client, deadline, &token).await {
            // It may have been revoked, or the role may have come with a group since.
            Err(
                refusal @ Error::Exchange {
                    refusal: Refusal::Denied { status: 401, .. } | Refusal::InvalidToken { .. },
                    ..
                },
            ) if !is_new => {
                info!(registry = %self.registry, "the kept access token was refused; signing in anew");
                let (new, _) = self.access_token(network, deadline, Some(&token)).await?;
                if new.is(&token) {
                    // The Azure CLI and metadata services keep tokens, too, and give the same one again.
                    return Err(refusal);
                }
                self.exchange(network, &client, deadline, &new).await
            }
            result => result,
        }
    }

    /// Exchanges an access token of this identity, by a client for the login server.
    pub(crate) async fn exchange(
        &self,
        network: &Network,
        client: &Client,
        deadline: Deadline,
        token: &AccessToken,
    ) -> Result<RefreshToken, Error> {
        let started = Instant::now();
        let during = format!(
            "{} was asked for a refresh token",
            self.registry.login_server()
        );
        let exchange = exchange::refresh_token(network, client, self.registry, token, self.clock);
        let refresh_token = deadline
            .timeout(during, network.circumstances(), exchange)
            .await;
        let refresh_token = refresh_token.map_err(|error| match error {
            Error::Exchange {
                registry,
                refusal: refusal @ (Refusal::Denied { .. } | Refusal::InvalidToken { .. }),
                details,
            } => {
                let about =
                    matches!(refusal, Refusal::InvalidToken { .. }).then(|| self.about_the_token());
                let details = [
                    self.identity.notes(token),
                    about.into_iter().collect(),
                    details,
                ]
                .concat();
                Error::Exchange {
                    registry,
                    refusal,
                    details,
                }
            }
            other => other,
        })?;
        debug!(registry = %self.registry, took = ?started.elapsed(), "got a refresh token");
        Ok(refresh_token)
    }

    /// For whom an access token was requested, where a registry says that it is not valid there.
    fn about_the_token(&self) -> String {
        let (audience, cloud) = (
            self.identity.audience().as_str(),
            &self.registry.cloud().name,
        );
        format!(
            "the access token is for the audience `{audience}`, and the registry is in the cloud {cloud}"
        )
    }

    /// An access token, and whether it is new: one that was kept, or that another process is just getting, unless it is the `refused`
    /// one.
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
            let kept =
                self.cache
                    .access_token(&self.access_key, self.identity.audience(), self.now());
            kept.filter(|kept| refused.is_none_or(|refused| !kept.is(refused)))
                .map(|kept| (kept, false))
        };
        if let Some(found) = find() {
            debug!(identity = %self.identity, "found an access token");
            return Ok(found);
        }
        self.share(&self.access_key, deadline.left() / 2, find, sign_in)
            .await
    }

    /// Signs in, and keeps the access token for further registries.
    pub(crate) async fn sign_in(
        &self,
        network: &Arc<Network>,
        deadline: Deadline,
    ) -> Result<AccessToken, Error> {
        let started = Instant::now();
        let during = format!("{} was asked for an access token", self.identity);
        let token = deadline
            .timeout(
                during,
                network.circumstances(),
                self.identity.access_token(network, &self.logins),
            )
            .await;
        let token = token.map_err(|error| Error::NotSignedIn(Box::new(error)))?;
        self.is_still_the_same()?;
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

    /// A command line reads by itself who is signed in to it, a while after we have. Whose token it gave then, nobody can tell.
    fn is_still_the_same(&self) -> Result<(), Error> {
        if !self.identity.is_of_command_line() {
            return Ok(());
        }
        let details = match Identity::choose(self.config, self.registry) {
            Ok(now) if Key::of_sign_in(&now.fingerprint()) == self.access_key => return Ok(()),
            Ok(_) => vec![],
            // Its file may be half written at that moment.
            Err(error) => vec![error.to_string()],
        };
        Err(Error::SignIn(SignIn {
            source: self.identity.to_string(),
            said: "somebody else signed in to it at that moment".into(),
            details,
            hint: Some("try again".into()),
        }))
    }
}

/// The failure, with the clock of this machine as a reason if that is far off.
pub(crate) fn skewed(error: Error, network: &Network) -> Error {
    match network.skew() {
        Some(skew) => Error::Skewed {
            error: Box::new(error),
            skew,
        },
        None => error,
    }
}

/// Gives the turn back, if it was one to lead. That somebody ended this process, or that its own time was up, is no failure of the
/// others': one of them leads then.
fn land(turn: Acquire, failure: Option<&Error>) {
    match (turn, failure) {
        (Acquire::Leader(leader), Some(error)) if error.is_of_this_process() => drop(leader),
        (Acquire::Leader(leader), failure) => leader.publish(failure.map(Error::relayed).as_ref()),
        (Acquire::Finished(_) | Acquire::TimedOut | Acquire::Unavailable, _) => (),
    }
}
