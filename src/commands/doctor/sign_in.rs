//! The sign-in, as `get` does it: the identity, the access token, the exchange and the refresh token.

use super::checks::Target;
use crate::commands::report::Check;
use crate::commands::status::until;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, HINT_CLOCK};
use crate::http::Network;
use crate::identity::Identity;
use crate::service::{Session, with_clock_skew};
use crate::text::Secrets;
use crate::token::{AccessToken, Claims, RefreshToken};
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

pub(super) const IDENTITY: &str = "identity";
pub(super) const ACCESS_TOKEN: &str = "access-token";
pub(super) const EXCHANGE: &str = "exchange";
pub(super) const REFRESH_TOKEN: &str = "refresh-token";

pub(super) const CHECKS: [&str; 4] = [IDENTITY, ACCESS_TOKEN, EXCHANGE, REFRESH_TOKEN];

/// One sign-in, with the time limit of one `get`. It uses and stores no token but those of `login`, which it renews.
pub(super) struct SignIn<'a> {
    target: &'a Target<'a>,
    session: Result<Session<'a>, Error>,
    network: Arc<Network>,
    deadline: Deadline,
    pub(super) identity: Check,
    pub(super) access_token: Option<AccessToken>,
    pub(super) refresh_token: Option<RefreshToken>,
}

impl<'a> SignIn<'a> {
    /// Chooses the identity.
    pub(super) fn new(target: &'a Target<'a>) -> Self {
        let (config, clock) = (target.config, target.context.clock);
        let deadline = Deadline::after(config.timeout);
        let started = Instant::now();
        let session = Session::new(config, target.registry, target.cache.clone(), clock);
        let session = session.map(Session::without_cache);
        let identity = match &session {
            Ok(session) => check_identity(session.identity()),
            Err(error) => Check::failed(IDENTITY, error),
        };
        Self {
            target,
            session,
            network: Arc::new(Network::new(config, deadline, clock)),
            deadline,
            identity: identity.since(started),
            access_token: None,
            refresh_token: None,
        }
    }

    /// Returns the list of secrets of the identity, with all tokens that are received: Entra may repeat one in a claim, and a registry a token.
    pub(super) fn secrets(&self) -> Secrets {
        let session = self.session.as_ref();
        session.map_or_else(|_| Secrets::default(), |it| it.identity().secrets().clone())
    }

    /// Signs in. If the sign-in shows that there is no identity, that is the failure of the first check.
    pub(super) async fn request_access_token(&mut self) -> Vec<Check> {
        let Ok(session) = &self.session else {
            return vec![self.identity.clone()];
        };
        let started = Instant::now();
        let check = match self.access_token().await {
            Ok(token) => {
                self.secrets().add(token.secret().expose_secret());
                let now = (self.target.context.clock)();
                let check = check_access_token(session.identity(), &token, now);
                self.access_token = Some(token);
                check.since(started)
            }
            Err(error) if error.kind() == ErrorKind::NoIdentity => {
                return vec![Check::failed(IDENTITY, &error).since(started)];
            }
            Err(error) => self.failed(ACCESS_TOKEN, error, started),
        };
        vec![self.identity.clone(), check]
    }

    /// Exchanges the access token, if there is one.
    pub(super) async fn exchange(&mut self) -> Vec<Check> {
        let Some(access_token) = &self.access_token else {
            return vec![];
        };
        let started = Instant::now();
        match self.refresh_token(access_token).await {
            Ok(token) => {
                self.secrets().add(token.secret().expose_secret());
                let host = self.target.registry.login_server();
                let exchange = Check::good(EXCHANGE, format!("{host} issued a refresh token"));
                let checks = vec![exchange.since(started), self.check_refresh_token(&token)];
                self.refresh_token = Some(token);
                checks
            }
            Err(error) => vec![self.failed(EXCHANGE, error, started)],
        }
    }

    /// Requests an access token.
    pub(super) async fn access_token(&self) -> Result<AccessToken, Error> {
        let session = self.session()?;
        session.sign_in(&self.network, self.deadline).await
    }

    /// Exchanges an access token.
    pub(super) async fn refresh_token(&self, token: &AccessToken) -> Result<RefreshToken, Error> {
        let client = self.network.client(self.target.registry.login_server())?;
        let session = self.session()?;
        session
            .exchange(&self.network, &client, self.deadline, token)
            .await
    }

    fn session(&self) -> Result<&Session<'a>, Error> {
        let session = self.session.as_ref();
        session.map_err(|error| Error::new(error.kind(), error.to_string()))
    }

    fn failed(&self, name: &'static str, error: Error, started: Instant) -> Check {
        Check::failed(name, &with_clock_skew(error, &self.network)).since(started)
    }

    /// Checks whether a refresh token can be used and cached.
    fn check_refresh_token(&self, token: &RefreshToken) -> Check {
        let (now, registry) = ((self.target.context.clock)(), self.target.registry);
        let host = registry.login_server();
        let claims = Claims::from_token(token.secret());
        let (Some(claims), Some(expires)) = (claims, token.expires()) else {
            let summary =
                "the refresh token has no expiry, so that it is not cached: each call signs in";
            return Check::warning(REFRESH_TOKEN, summary);
        };
        let is_ours = |audience: &String| [host, registry.host()].contains(&audience.as_str());
        if let Some(other) = claims.audience().filter(|audience| !is_ours(audience)) {
            return Check::bad(
                REFRESH_TOKEN,
                format!("the refresh token is for {other}, not for {host}"),
            );
        }
        if !token.is_valid(now) {
            return Check::bad(REFRESH_TOKEN, "the refresh token has already expired")
                .hint(HINT_CLOCK);
        }
        let summary = format!("for {host}, until {}", until(expires, now));
        let permissions = claims.permissions().join(", ");
        if !permissions.is_empty() {
            let permissions = format!("permissions: {permissions}");
            return Check::good(REFRESH_TOKEN, summary).with([permissions]);
        }
        let abac = "the refresh token has no permissions for the whole registry: in ABAC mode, each repository grants its own";
        if self.target.repository().is_some() {
            return Check::good(REFRESH_TOKEN, summary).with([abac.to_owned()]);
        }
        Check::warning(REFRESH_TOKEN, abac)
            .with([summary])
            .hint("name a repository with `--repository` to see what is granted there")
    }
}

/// Returns the identity, its authority, and why earlier sources are skipped.
fn check_identity(identity: &Identity) -> Check {
    let (authority, origin) = identity.authority();
    let host = authority.host_str().unwrap_or_default();
    let origin = origin.map(|origin| format!(", set by {origin}"));
    let skipped = identity.skipped().iter();
    Check::good(IDENTITY, format!("selected: {identity}"))
        .with([format!(
            "the authority is {host}{}",
            origin.unwrap_or_default()
        )])
        .with(skipped.map(|reason| format!("skipped: {reason}")))
}

/// Returns what an access token says.
fn check_access_token(identity: &Identity, token: &AccessToken, now: SystemTime) -> Check {
    let claims = Claims::from_token(token.secret()).unwrap_or_default();
    let claims = [
        ("audience", claims.audience()),
        ("tenant", claims.tenant()),
        ("identity", claims.identity()),
        ("until", claims.expires().map(|expires| until(expires, now))),
    ];
    let details = claims.into_iter();
    let details = details.filter_map(|(name, value)| Some(format!("{name} {}", value?)));
    Check::good(ACCESS_TOKEN, format!("{identity} signed in")).with(details)
}
