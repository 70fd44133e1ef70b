//! A token as Entra sends it, with what it adds to the standard.

use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// The fields that are looked at. The crate's own type takes any others too, and is ten times the code.
#[derive(Deserialize)]
pub(super) struct Answer {
    access_token: AccessToken,
    refresh_token: Option<RefreshToken>,
    /// Who it is.
    pub(super) id_token: Option<String>,
    /// Who it is at home.
    pub(super) client_info: Option<String>,
}

/// Without a token.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

/// Nobody writes one down.
impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl TokenResponse for Answer {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        // Entra knows no other.
        &BasicTokenType::Bearer
    }

    fn expires_in(&self) -> Option<Duration> {
        // The token itself says when it ends.
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}
