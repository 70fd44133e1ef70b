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

/// Notes the grant and the service of a request for a token, before anything goes wrong with it.
pub(crate) fn note(call: &Call, entry: &mut Entry) {
    let form = if call.method == Method::GET {
        None
    } else {
        call.form()
    };
    entry.service = form
        .as_ref()
        .unwrap_or(&call.query)
        .get("service")
        .map(str::to_owned);
    entry.grant = match form {
        Some(form) => form.get("grant_type").map(str::to_owned),
        None if call.basic().is_some() => Some("basic".to_owned()),
        None => Some("anonymous".to_owned()),
    };
}

impl Desk<'_> {
    /// The answer to a request outside `/v2/`.
    pub(crate) fn answer(&self, entry: &mut Entry) -> Reply {
        let call = self.call;
        if let Some(refused) = self.firewall() {
            return self.with_headers(refused);
        }
        let limit = self.limit();
        let global = self.registry.global_host();
        let left = match self.world.buckets.take(
            &global,
            limit.unwrap_or(Limit::STANDARD),
            clock::unix_ms(),
        ) {
            Taken::Refused(seconds) if limit.is_some() => {
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
        // As recorded: 166.65, 166.633333.
        let left = format!("{left:.6}");
        let left = left.trim_end_matches('0').trim_end_matches('.');
        if is_counted {
            with(reply, "x-ms-ratelimit-remaining-calls-per-second", left)
        } else {
            reply
        }
    }

    /// The limit of the registry, whichever of its endpoints is asked.
    fn limit(&self) -> Option<Limit> {
        let global = self.call.settings.registry(&self.registry.global_host());
        self.registry.limit.or_else(|| global?.limit)
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
        let challenge = |error| Problem::Challenge {
            scope: needed.scope(),
            detail: needed.detail(),
            error,
        };
        let Some(token) = self.call.bearer() else {
            let has_basic = self.call.basic().is_some();
            return Err(if has_basic {
                Problem::Basic
            } else {
                challenge(None)
            });
        };
        entry.token = tokens::facts(token);
        let claims = tokens::verify_registry_access(self.world, self.call, self.registry, token)
            .map_err(|_| challenge(Some("invalid_token")))?;
        if needed.is_granted(&claims["access"]) {
            Ok(())
        } else {
            Err(challenge(Some("insufficient_scope")))
        }
    }

    fn firewall(&self) -> Option<Reply> {
        let address = self.registry.firewall.clone()?;
        Some(Problem::Firewall(address).reply(self))
    }
}
