//! Sign-ins of users that are under way or can be continued.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::random;
use crate::tokens::Principal;
use crate::world::lock;

/// Device codes, authorization codes and Entra's refresh tokens.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    devices: Mutex<HashMap<String, Device>>,
    codes: Mutex<HashMap<String, Code>>,
    refresh_tokens: Mutex<HashMap<String, SignIn>>,
}

/// Who got a refresh token, and in which cloud: no other cloud knows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignIn {
    cloud: String,
    pub(crate) principal: Principal,
    /// The claims challenge that was answered, as JSON.
    pub(crate) claims: Option<String>,
    /// How often it was used.
    pub(crate) uses: u32,
    /// Whether it was taken back.
    pub(crate) is_revoked: bool,
}

/// A device code that somebody is to approve.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) client_id: String,
    pub(super) scope: String,
    /// How often it is still answered "pending".
    pub(super) pending: u32,
    /// Seconds since 1970.
    pub(super) expires: i64,
    /// What somebody types.
    pub(super) user_code: String,
    /// Whether it waits for somebody who does, and what that one said.
    pub(super) waits: bool,
    pub(super) is_declined: bool,
    pub(super) claims: Option<String>,
}

/// An authorization code that was handed to a browser.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) scope: String,
    pub(super) claims: Option<String>,
}

/// How a device code stands.
#[derive(Debug)]
pub(super) enum Standing {
    Unknown,
    Expired,
    Pending,
    Declined,
    Approved(Device),
}

impl Sessions {
    pub(super) fn add_device(&self, device: Device) -> String {
        let code = random::text(64);
        lock(&self.devices).insert(code.clone(), device);
        code
    }

    /// What a device code was asked for.
    pub(super) fn scope_of_device(&self, code: &str) -> Option<String> {
        lock(&self.devices)
            .get(code)
            .map(|device| device.scope.clone())
    }

    /// Asks for a device code once; what is approved can be redeemed once.
    pub(super) fn poll_device(&self, code: &str, now: i64) -> Standing {
        let mut devices = lock(&self.devices);
        let Some(device) = devices.get_mut(code) else {
            return Standing::Unknown;
        };
        if device.expires <= now {
            return Standing::Expired;
        }
        if device.is_declined {
            return Standing::Declined;
        }
        if device.waits {
            return Standing::Pending;
        }
        if device.pending > 0 {
            device.pending -= 1;
            return Standing::Pending;
        }
        devices
            .remove(code)
            .map_or(Standing::Unknown, Standing::Approved)
    }

    /// What somebody says who has typed a code; false for a code that is not known.
    pub(super) fn answer_device(&self, user_code: &str, approves: bool) -> bool {
        let mut devices = lock(&self.devices);
        let Some(device) = devices
            .values_mut()
            .find(|device| device.waits && device.user_code == user_code)
        else {
            return false;
        };
        device.waits = false;
        device.is_declined = !approves;
        true
    }

    pub(super) fn add_code(&self, session: Code) -> String {
        let code = random::text(64);
        lock(&self.codes).insert(code.clone(), session);
        code
    }

    pub(super) fn take_code(&self, code: &str) -> Option<Code> {
        lock(&self.codes).remove(code)
    }

    /// A refresh token of somebody who signed in.
    pub(crate) fn add_refresh_token(
        &self,
        cloud: &str,
        principal: Principal,
        claims: Option<String>,
    ) -> String {
        let token = format!("1.{}", random::text(600));
        let sign_in = SignIn {
            cloud: cloud.to_owned(),
            principal,
            claims,
            ..SignIn::default()
        };
        lock(&self.refresh_tokens).insert(token.clone(), sign_in);
        token
    }

    /// Takes every refresh token back, as when somebody changes the password.
    pub(crate) fn revoke(&self) {
        for sign_in in lock(&self.refresh_tokens).values_mut() {
            sign_in.is_revoked = true;
        }
    }

    /// Who got this Entra refresh token in this cloud, and in which tenant; it is good in every tenant of that user. This is one use.
    pub(crate) fn use_refresh_token(&self, cloud: &str, refresh_token: &str) -> Option<SignIn> {
        let mut tokens = lock(&self.refresh_tokens);
        let sign_in = tokens
            .get_mut(refresh_token)
            .filter(|sign_in| sign_in.cloud == cloud)?;
        sign_in.uses += 1;
        Some(sign_in.clone())
    }
}
