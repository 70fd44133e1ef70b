//! The core: one question, "the refresh token for this registry", and one deadline for its answer.
//!
//! A cached answer needs neither network nor async runtime; both are made only when a token has to be obtained.

use crate::cache::{Cache, Key};
use crate::config::Config;
use crate::deadline::{Clock, Deadline};
use crate::error::Error;
use crate::exchange;
use crate::flight::{self, Turn};
use crate::identity::Identity;
use crate::network::Network;
use crate::registry::Registry;
use crate::token::RefreshToken;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// After a renewal that failed, the token that is still valid is used for this long before the next try. Not more than a minute, which
/// is what [`RefreshToken::is_fresh`] tolerates as the time of a renewal that was put off.
const NEXT_RENEWAL: Duration = Duration::from_secs(60);

/// While a valid token is at hand, its renewal may take this long and no longer.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(10);

/// How many processes obtain a token for the same registry at a time when they cannot share one.
const LANES: u32 = 4;

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
        let cache = Cache::open(config.cache, config.timeout);
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
    /// used all the same and the next renewal is tried a minute later. Processes that ask at the same time share one sign-in.
    /// Nothing here takes longer than the configured time.
    pub fn get(&self, registry: &Registry) -> Result<RefreshToken, Error> {
        let deadline = Deadline::after(self.config.timeout);
        let (identity, key) = self.identify(registry)?;
        let cached = self.cache.get(&key, (self.clock)());
        if let Some(token) = cached.as_ref().filter(|token| token.is_fresh((self.clock)())) {
            debug!(%registry, %identity, "found a fresh token");
            return Ok(token.clone());
        }
        let call = Call { registry, identity: &identity, key: &key, deadline };
        match cached {
            Some(token) => self.renew(&call, token),
            None => self.obtain_together(&call),
        }
    }

    /// Who signs in to the registry, and under which key the token is kept.
    fn identify(&self, registry: &Registry) -> Result<(Identity, Key), Error> {
        let identity = Identity::choose(&self.config, registry)?;
        let key = Key::new(registry, &identity.fingerprint());
        Ok((identity, key))
    }

    /// Renews a token that is still valid, unless somebody else is at it.
    fn renew(&self, call: &Call<'_>, token: RefreshToken) -> Result<RefreshToken, Error> {
        let call = Call { deadline: call.deadline.or_after(RENEWAL_PATIENCE), ..*call };
        let turn = flight::take_turn(&self.config.meeting_folders, &call.key.file_name(), Duration::ZERO);
        match turn {
            Turn::Busy => return Ok(token),
            Turn::Landed(_) => return Ok(self.cache.get(call.key, (self.clock)()).unwrap_or(token)),
            Turn::Lead(_) | Turn::Alone => (),
        }
        // Another process may have renewed it between our look-up and our turn.
        if let Some(fresh) = self.cache.get(call.key, (self.clock)()).filter(|token| token.is_fresh((self.clock)())) {
            land(turn, None);
            return Ok(fresh);
        }
        let renewed = self.obtain(&call).or_else(|error| {
            let now = (self.clock)();
            if !token.is_valid(now) {
                return Err(error);
            }
            warn!("{error}; the token in the cache is still valid and was used");
            let token = token.renewed_later(now + NEXT_RENEWAL);
            // What was erased meanwhile stays erased.
            if self.cache.get(call.key, now).is_some() {
                self.cache.put(call.key, &token, now);
            }
            Ok(token)
        });
        land(turn, renewed.as_ref().err());
        renewed
    }

    /// Obtains a token, or waits for the process that does. Where nothing can be handed on, because there is no store or it did
    /// not take the token, a few at a time obtain their own.
    fn obtain_together(&self, call: &Call<'_>) -> Result<RefreshToken, Error> {
        let whole = call.key.file_name();
        let lane = format!("{whole} {}", std::process::id() % LANES);
        let mut flight = if self.cache.is_empty() { &lane } else { &whole };
        let patience = Deadline::after(call.deadline.left() / 2);
        loop {
            let turn = flight::take_turn(&self.config.meeting_folders, flight, patience.left());
            if let Turn::Landed(Some(account)) = turn {
                return Err(Error::Relayed(account));
            }
            // Whoever had the turn before us may have filled the cache.
            if let Some(token) = self.cache.get(call.key, (self.clock)()) {
                land(turn, None);
                return Ok(token);
            }
            if let Turn::Landed(None) = turn {
                flight = &lane;
                continue;
            }
            // A leader that was too slow to be waited for may have filled the cache before we gave up.
            let obtained = self.obtain(call).or_else(|error| self.cache.get(call.key, (self.clock)()).ok_or(error));
            land(turn, obtained.as_ref().err());
            return obtained;
        }
    }

    /// Forgets every token of the registry, whoever it was issued to.
    pub fn erase(&self, registry: &Registry) -> Result<(), Error> {
        self.cache.erase(registry)
    }

    /// The hosts with a valid cached token of who would sign in there.
    pub fn list(&self) -> Vec<String> {
        self.cache
            .list((self.clock)())
            .into_iter()
            .filter(|key| {
                let own = Registry::parse(key.host()).and_then(|registry| self.identify(&registry).ok());
                own.is_some_and(|(_, own)| own == *key)
            })
            .map(|key| key.host().to_owned())
            .collect()
    }

    /// Signs in, exchanges and fills the cache, on a runtime of its own.
    fn obtain(&self, call: &Call<'_>) -> Result<RefreshToken, Error> {
        info!(registry = %call.registry, identity = %call.identity, "signing in");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Input(format!("no async runtime: {error}")))?;
        let network = Arc::new(Network::new(self.config.network.clone(), call.deadline, self.clock));
        let secret = runtime.block_on(unless_interrupted(sign_in_and_exchange(&network, call)));
        // A name look-up that hangs must not keep us.
        runtime.shutdown_background();
        let secret = secret.map_err(|error| match network.skew() {
            Some(skew) => Error::Skewed { error: Box::new(error), skew },
            None => error,
        })?;
        let now = (self.clock)();
        let token = RefreshToken::received(secret, now);
        self.cache.put(call.key, &token, now);
        Ok(token)
    }
}

/// One question and the time for it.
#[derive(Clone, Copy)]
struct Call<'a> {
    registry: &'a Registry,
    identity: &'a Identity,
    key: &'a Key,
    deadline: Deadline,
}

/// Gives the turn back, if it was one to lead. That somebody ended this process, or that its own time was up, is no failure of the
/// others': one of them leads then.
fn land(turn: Turn, failure: Option<&Error>) {
    match (turn, failure) {
        (Turn::Lead(leader), Some(Error::Interrupted | Error::Deadline { .. })) => drop(leader),
        (Turn::Lead(leader), failure) => leader.land(failure.map(Error::relayed).as_ref()),
        (Turn::Landed(_) | Turn::Busy | Turn::Alone, _) => (),
    }
}

/// Ends the work in order when somebody ends the program, so that an Azure CLI that was started ends with it.
async fn unless_interrupted<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        if let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals {
            return tokio::select! {
                result = work => result,
                _ = interrupt.recv() => Err(Error::Interrupted),
                _ = terminate.recv() => Err(Error::Interrupted),
                _ = hangup.recv() => Err(Error::Interrupted),
            };
        }
    }
    work.await
}

async fn sign_in_and_exchange(network: &Arc<Network>, call: &Call<'_>) -> Result<SecretString, Error> {
    let Call { registry, identity, deadline, .. } = call;
    let (client, early) = network.early(registry.login_server())?;
    early.open(&client, &exchange::address(registry)).await;
    let started = Instant::now();
    let during = format!("{identity} was asked for an access token");
    let access_token = deadline.keep(during, network.circumstances(), identity.access_token(network)).await?;
    debug!(%identity, took = ?started.elapsed(), "got an access token");
    let started = Instant::now();
    let during = format!("{} was asked for a refresh token", registry.login_server());
    let exchange = exchange::refresh_token(network, &client, registry, &access_token);
    let refresh_token = deadline.keep(during, network.circumstances(), exchange).await?;
    debug!(%registry, took = ?started.elapsed(), "got a refresh token");
    Ok(refresh_token)
}
