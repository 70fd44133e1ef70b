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
#[derive(Debug)]
struct SignIn {
    cloud: String,
    principal: Principal,
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
}

/// An authorization code that was handed to a browser.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) scope: String,
}

/// How a device code stands.
#[derive(Debug)]
pub(super) enum Standing {
    Unknown,
    Expired,
    Pending,
    Approved(Device),
}

impl Sessions {
    pub(super) fn add_device(&self, device: Device) -> String {
        let code = random::text(64);
        lock(&self.devices).insert(code.clone(), device);
        code
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
        if device.pending > 0 {
            device.pending -= 1;
            return Standing::Pending;
        }
        devices.remove(code).map_or(Standing::Unknown, Standing::Approved)
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
    pub(crate) fn add_refresh_token(&self, cloud: &str, principal: Principal) -> String {
        let token = format!("1.{}", random::text(600));
        lock(&self.refresh_tokens).insert(token.clone(), SignIn { cloud: cloud.to_owned(), principal });
        token
    }

    /// Who got this Entra refresh token in this cloud, and in which tenant; it is good in every tenant of that user.
    pub(crate) fn signed_in(&self, cloud: &str, refresh_token: &str) -> Option<Principal> {
        let tokens = lock(&self.refresh_tokens);
        tokens.get(refresh_token).filter(|sign_in| sign_in.cloud == cloud).map(|sign_in| sign_in.principal.clone())
    }
}
