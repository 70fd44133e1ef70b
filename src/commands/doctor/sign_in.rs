//! The sign-in: which source, the access token of Entra, the exchange, and the refresh token of the registry.

use crate::cache::Cache;
use crate::commands::report::{Check, list};
use crate::commands::status::until;
use crate::config::Config;
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, ErrorKind};
use crate::http::Network;
use crate::identity::Identity;
use crate::registry::Registry;
use crate::service::{Session, with_clock_skew};
use crate::text::Secrets;
use crate::token::{AccessToken, Claims, RefreshToken};
use std::sync::Arc;
use std::time::Instant;

pub(super) const IDENTITY: &str = "identity";
const ACCESS_TOKEN: &str = "access-token";
const EXCHANGE: &str = "exchange";
const REFRESH_TOKEN: &str = "refresh-token";

/// One sign-in, with a time of its own: that of one `get`.
pub(super) struct SignIn<'a> {
    registry: &'a Registry,
    clock: Clock,
    /// Whether somebody looks at a repository afterwards.
    has_repository: bool,
    /// Who signs in, if that is known.
    session: Option<Session<'a>>,
    deadline: Deadline,
    network: Arc<Network>,
}

impl<'a> SignIn<'a> {
    /// Finds out who signs in. No token of a registry, nor an access token, is used or kept; that of a login is renewed.
    pub(super) fn new(
        config: &'a Config,
        registry: &'a Registry,
        logins: Cache,
        clock: Clock,
        has_repository: bool,
    ) -> (Self, Check) {
        let deadline = Deadline::after(config.timeout);
        let network = Arc::new(Network::new(config.network.clone(), deadline, clock));
        let started = Instant::now();
        let (session, check) = match Session::new(config, registry, logins, clock) {
            Ok(session) => {
                let check = identity(session.identity());
                (Some(session.without_cache()), check)
            }
            Err(error) => (None, Check::failed(IDENTITY, &error)),
        };
        (
            Self {
                registry,
                clock,
                has_repository,
                session,
                deadline,
                network,
            },
            check.since(started),
        )
    }

    /// What the identity has proved itself with by now.
    pub(super) fn secrets(&self) -> Secrets {
        self.session
            .as_ref()
            .map(|session| session.identity().secrets().clone())
            .unwrap_or_default()
    }

    /// Signs in. That nobody can be is the first check's matter, which is then replaced.
    pub(super) async fn access_token(&self, chosen: Check) -> (Vec<Check>, Option<AccessToken>) {
        let Some(session) = &self.session else {
            return (
                vec![chosen, Check::skipped(ACCESS_TOKEN, "nobody signs in")],
                None,
            );
        };
        let started = Instant::now();
        match session.sign_in(&self.network, self.deadline).await {
            Ok(token) => (vec![chosen, self.told(&token).since(started)], Some(token)),
            Err(error) if error.kind() == ErrorKind::NoIdentity => (
                vec![
                    Check::failed(IDENTITY, &error).since(started),
                    Check::skipped(ACCESS_TOKEN, "nobody signs in"),
                ],
                None,
            ),
            Err(error) => {
                let check = Check::failed(ACCESS_TOKEN, &with_clock_skew(error, &self.network))
                    .since(started);
                (vec![chosen, check], None)
            }
        }
    }

    /// What an access token says of itself.
    fn told(&self, token: &AccessToken) -> Check {
        let Some(claims) = Claims::from_token(token.secret()) else {
            return Check::good(ACCESS_TOKEN, "the source gave one that cannot be read");
        };
        let unknown = || "unknown".to_owned();
        let expires = claims
            .expires()
            .map_or_else(unknown, |expires| until(expires, (self.clock)()));
        let check = Check::good(
            ACCESS_TOKEN,
            format!("for {}", claims.audience().unwrap_or_else(unknown)),
        )
        .with([
            format!("tenant: {}", claims.tenant().unwrap_or_else(unknown)),
            format!("identity: {}", claims.identity().unwrap_or_else(unknown)),
            format!("until {expires}"),
        ]);
        check.naming(claims.names())
    }

    /// Exchanges the access token.
    pub(super) async fn exchange(&self, token: &AccessToken) -> (Vec<Check>, Option<RefreshToken>) {
        let started = Instant::now();
        match self.exchanged(token).await {
            Ok(refresh_token) => {
                let host = self.registry.login_server();
                let check =
                    Check::good(EXCHANGE, format!("{host} gave a refresh token")).since(started);
                (
                    vec![check, self.judged(&refresh_token)],
                    Some(refresh_token),
                )
            }
            Err(error) => {
                let check =
                    Check::failed(EXCHANGE, &with_clock_skew(error, &self.network)).since(started);
                (
                    vec![check, Check::skipped(REFRESH_TOKEN, "there is none")],
                    None,
                )
            }
        }
    }

    async fn exchanged(&self, token: &AccessToken) -> Result<RefreshToken, Error> {
        let session = self
            .session
            .as_ref()
            .ok_or_else(|| Error::input("nobody signs in"))?;
        let client = self.network.internet(self.registry.login_server())?;
        session
            .exchange(&self.network, &client, self.deadline, token)
            .await
    }

    /// What a refresh token is good for.
    fn judged(&self, token: &RefreshToken) -> Check {
        let (now, host) = ((self.clock)(), self.registry.login_server());
        let Some(claims) = Claims::from_token(token.secret()) else {
            return Check::warning(
                REFRESH_TOKEN,
                "it cannot be read, and so is not kept: each call signs in",
            );
        };
        if let Some(other) = claims
            .audience()
            .as_ref()
            .filter(|audience| ![host, self.registry.host()].contains(&audience.as_str()))
        {
            return Check::bad(REFRESH_TOKEN, format!("it is for {other}, not for {host}"));
        }
        let Some(expires) = token.expires() else {
            return Check::warning(
                REFRESH_TOKEN,
                "it does not say when it ends, and so is not kept: each call signs in",
            );
        };
        if !token.is_valid(now) {
            return Check::bad(REFRESH_TOKEN, "it has ended already").hint(
                "set the clock of this machine, for example with `timedatectl set-ntp true`",
            );
        }
        let life = format!("for {host}, until {}", until(expires, now));
        if claims.permissions().is_empty() {
            let summary = "it carries no permissions for the whole registry: with ABAC they are granted by repository";
            return if self.has_repository {
                Check::good(REFRESH_TOKEN, life).with([summary.to_owned()])
            } else {
                Check::warning(REFRESH_TOKEN, summary)
                    .with([life])
                    .hint("name one with `--repository` to see what is granted there")
            };
        }
        Check::good(REFRESH_TOKEN, life)
            .with([format!("permissions: {}", list(claims.permissions()))])
    }
}

/// The checks of a sign-in when it is of no use to try one.
pub(super) fn skipped(reason: &str) -> Vec<Check> {
    [IDENTITY, ACCESS_TOKEN]
        .map(|name| Check::skipped(name, reason))
        .into_iter()
        .chain(not_exchanged(reason))
        .collect()
}

/// The checks that come after a sign-in, when there was none.
pub(super) fn not_exchanged(reason: &str) -> Vec<Check> {
    [EXCHANGE, REFRESH_TOKEN]
        .map(|name| Check::skipped(name, reason))
        .into()
}

/// Who signs in, and why nobody before that.
pub(super) fn identity(identity: &Identity) -> Check {
    let (authority, origin) = identity.authority();
    let host = authority.host_str().unwrap_or_default();
    let origin = origin
        .map(|origin| format!(", which was set by {origin}"))
        .unwrap_or_default();
    let passed = identity
        .skipped()
        .iter()
        .map(|reason| format!("passed over: {reason}"));
    Check::good(IDENTITY, format!("{identity} signs in"))
        .with([format!("the authority is {host}{origin}")])
        .with(passed)
}
