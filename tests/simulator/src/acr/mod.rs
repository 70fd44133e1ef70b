//! A registry's own pages: the challenge, the exchange, the token service.

mod access;
mod errors;
mod exchange;
mod limit;
mod token;

pub(crate) use errors::Problem;
use hyper::Method;
pub(crate) use limit::Buckets;
pub use limit::Limit;
use limit::Taken;

use crate::call::Call;
use crate::clock;
use crate::images::Route;
use crate::journal::Entry;
use crate::registries::Registry;
use crate::tokens;
use crate::wire::{self, Reply, with};
use crate::world::World;

/// A request to a registry, with what it is about.
pub(crate) struct Desk<'a> {
    pub(crate) world: &'a World,
    pub(crate) call: &'a Call,
    pub(crate) registry: &'a Registry,
    /// The correlation id of this request.
    pub(crate) correlation: String,
}

impl Desk<'_> {
    /// The answer to a request outside `/v2/`.
    pub(crate) fn answer(&self, entry: &mut Entry) -> Reply {
        let call = self.call;
        if let Some(refused) = self.firewall() {
            return self.with_headers(refused);
        }
        let left = match self.world.buckets.take(
            &self.registry.host,
            self.registry.limit.unwrap_or(Limit::STANDARD),
            clock::unix_ms(),
        ) {
            Taken::Refused(seconds) if self.registry.limit.is_some() => {
                return self.with_headers(Problem::Throttled(seconds).reply(self));
            }
            Taken::Refused(_) => 0.0,
            Taken::Left(left) => left,
        };
        let reply = match (&call.method, call.path.as_str()) {
            (&Method::POST, "/oauth2/exchange") => self.exchange(entry),
            (&Method::GET | &Method::POST, "/oauth2/token") => self.token(entry),
            _ => wire::reply(404, "text/plain; charset=utf-8", "404 page not found\n"),
        };
        let is_counted = [200, 401].contains(&reply.status().as_u16());
        let reply = self.with_headers(reply);
        if is_counted { with(reply, "x-ms-ratelimit-remaining-calls-per-second", &format!("{left:.6}")) } else { reply }
    }

    /// The refusal of a request to `/v2/`, unless it may pass.
    pub(crate) fn refusal(&self, route: &Route, entry: &mut Entry) -> Option<Reply> {
        let refused = match self.firewall() {
            Some(refused) => refused,
            None => self.check(route, entry).err()?.reply(self),
        };
        Some(self.with_headers(refused))
    }

    fn check(&self, route: &Route, entry: &mut Entry) -> Result<(), Problem> {
        let needed = access::Needed::of(&self.call.method, route);
        let challenge = |error| Problem::Challenge { scope: needed.scope(), detail: needed.detail(), error };
        let Some(token) = self.call.bearer() else {
            let has_basic = self.call.basic().is_some();
            return Err(if has_basic { Problem::Basic } else { challenge(None) });
        };
        entry.token = tokens::facts(token);
        let claims = tokens::verify_registry_access(self.world, self.call, self.registry, token)
            .map_err(|_| challenge(Some("invalid_token")))?;
        if needed.is_granted(&claims["access"]) { Ok(()) } else { Err(challenge(Some("insufficient_scope"))) }
    }

    fn firewall(&self) -> Option<Reply> {
        let address = self.registry.firewall.clone()?;
        Some(Problem::Firewall(address).reply(self))
    }
}
