//! The state behind the simulated services: keys, settings, journal, images, sign-ins under way.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::acr::Buckets;
use crate::arc;
use crate::entra::Sessions;
use crate::faults::{self, FaultAt, FaultKind};
use crate::images::Images;
use crate::journal::Journal;
use crate::jwt::SigningKey;
use crate::settings::Settings;
use crate::tls::Certificates;

/// Everything shared by the connections.
pub(crate) struct World {
    settings: Mutex<Settings>,
    pub(crate) journal: Journal,
    pub(crate) certificates: Arc<Certificates>,
    /// Signs the tokens of every registry.
    pub(crate) registry_key: SigningKey,
    /// Signs the assertions of the simulator's own issuer.
    pub(crate) federation_key: SigningKey,
    /// Entra's keys: one for each cloud, so that no cloud believes another's tokens.
    entra_keys: Mutex<HashMap<String, Arc<SigningKey>>>,
    stamps: Mutex<HashMap<String, Stamp>>,
    pub(crate) buckets: Buckets,
    pub(crate) images: Images,
    pub(crate) sessions: Sessions,
    pub(crate) arc_keys: arc::Keys,
}

/// The state a registry was in when it issued a refresh token; the token is good while nothing of it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) abac: bool,
    pub(crate) generation: u32,
}

impl World {
    /// A new world with new keys.
    pub(crate) fn new(settings: Settings) -> io::Result<Self> {
        Ok(Self {
            settings: Mutex::new(settings),
            journal: Journal::default(),
            certificates: Arc::new(Certificates::generate().map_err(io::Error::other)?),
            registry_key: SigningKey::generate(),
            federation_key: SigningKey::generate(),
            entra_keys: Mutex::default(),
            stamps: Mutex::default(),
            buckets: Buckets::default(),
            images: Images::default(),
            sessions: Sessions::default(),
            arc_keys: arc::Keys::default(),
        })
    }

    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    /// Changes the settings for all later requests.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Settings) -> T) -> T {
        change(&mut lock(&self.settings))
    }

    /// The key that signs a cloud's Entra tokens.
    pub(crate) fn entra_key(&self, cloud: &str) -> Arc<SigningKey> {
        let mut keys = lock(&self.entra_keys);
        let key = keys
            .entry(cloud.to_owned())
            .or_insert_with(|| Arc::new(SigningKey::generate()));
        Arc::clone(key)
    }

    /// The faults that befall a request at this place.
    pub(crate) fn take_faults(&self, place: &FaultAt) -> Vec<FaultKind> {
        faults::take(&mut lock(&self.settings).faults, place)
    }

    /// Notes the state under which a refresh token was issued.
    pub(crate) fn stamp(&self, id: &str, stamp: Stamp) {
        lock(&self.stamps).insert(id.to_owned(), stamp);
    }

    /// The state under which a refresh token was issued.
    pub(crate) fn stamp_of(&self, id: &str) -> Option<Stamp> {
        lock(&self.stamps).get(id).copied()
    }
}

/// A lock that a panic elsewhere does not spoil.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
