//! The three kinds of token: minted and verified.

mod entra;
mod registry;

use serde_json::Value;

use crate::journal::TokenFacts;
use crate::jwt::{Invalid, Parts, SigningKey};
pub(crate) use entra::{is_arm, mint_access, verify_access, verify_arm_access};
pub(crate) use registry::subject_of;
pub(crate) use registry::{
    ISSUER as REGISTRY_ISSUER, mint_refresh, mint_registry_access, verify_refresh,
    verify_registry_access,
};

/// Somebody who has signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) tenant: String,
    pub(crate) object_id: String,
    /// The client id of the app; of a user's sign-in, that of the program signed in with.
    pub(crate) app_id: String,
    /// The user principal name, of users only.
    pub(crate) upn: Option<String>,
    /// The name shown, of users only.
    pub(crate) name: Option<String>,
}

/// A token and what may be journaled of it.
pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) facts: TokenFacts,
}

/// What is wrong with a token presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not signed by whom it should be.
    Forged,
    /// Expired, or not valid yet.
    Time,
    /// For somebody else.
    Audience,
    /// For Azure Resource Manager, which this registry does not accept.
    Arm,
    /// Of another tenant.
    Tenant,
    /// Another kind of token, or one that was revoked.
    Kind,
}

impl From<Invalid> for Refusal {
    fn from(_: Invalid) -> Self {
        Self::Forged
    }
}

/// What can be told of a token, believed or not.
pub(crate) fn facts(token: &str) -> Option<TokenFacts> {
    Parts::read(token).map(|parts| facts_of(&parts.claims))
}

fn facts_of(claims: &Value) -> TokenFacts {
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    TokenFacts {
        audience: text("aud").unwrap_or_default(),
        subject: text("sub").unwrap_or_default(),
        app_id: text("appid"),
        tenant: text("tid").or_else(|| text("tenant")),
    }
}

fn issue(key: &SigningKey, claims: &Value) -> Issued {
    Issued {
        token: key.sign(claims),
        facts: facts_of(claims),
    }
}

fn check_times(claims: &Value, now: i64) -> Result<(), Refusal> {
    let at = |name: &str| claims[name].as_i64().ok_or(Refusal::Time);
    if at("nbf")? <= now && now < at("exp")? {
        Ok(())
    } else {
        Err(Refusal::Time)
    }
}
