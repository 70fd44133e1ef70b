//! Whether the stores work: a throw-away entry is written, read and deleted in each.

use super::{Cache, LIFETIME, reason};
use keyring_core::api::CredentialStore;
use keyring_core::{Entry, Error};
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The name under which the entry stands. It is not the one of tokens, so that no entry of a trial is ever listed or handed out.
const SERVICE: &str = "docker-credential-acrscoped-trial";

/// The bytes of the entry: a token of a user who is in many groups, with what is noted beside it.
const BYTES: usize = 2 * 1024;

/// A store that is asked to drop an entry by itself does so, should we be ended before we delete it.
const LIFE: &str = "60";

/// How one store did.
#[derive(Debug)]
pub struct Trial {
    /// The name of the store.
    pub store: String,
    /// What it could not do, in words.
    pub outcome: Result<(), String>,
}

impl Cache {
    /// Tries every store, in their order: the first that works is the one that tokens go to.
    pub fn try_out(&self) -> Vec<Trial> {
        self.stores.iter().map(try_out).collect()
    }
}

/// Tries one store.
pub(super) fn try_out(store: &Arc<CredentialStore>) -> Trial {
    let outcome = round_trip(store).map_err(|error| reason(&error));
    Trial {
        store: store.vendor(),
        outcome,
    }
}

/// The throw-away entry, another one for each process.
pub(super) fn entry(store: &Arc<CredentialStore>) -> keyring_core::Result<Entry> {
    store.build(SERVICE, &std::process::id().to_string(), None)
}

fn round_trip(store: &Arc<CredentialStore>) -> keyring_core::Result<()> {
    let entry = entry(store)?;
    let written = vec![b'x'; BYTES];
    entry.set_secret(&written)?;
    let lives = entry.update_attributes(&HashMap::from([(LIFETIME, LIFE)]));
    let read = entry.get_secret().map(Zeroizing::new);
    entry.delete_credential()?;
    match lives {
        Ok(()) | Err(Error::NotSupportedByStore(_)) => (),
        Err(error) => return Err(error),
    }
    if *read? == written {
        Ok(())
    } else {
        Err(Error::BadStoreFormat(
            "what was read is not what was written".into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyring_core::mock;

    #[test]
    fn a_trial_leaves_nothing_behind_and_is_never_listed() {
        let store: Arc<CredentialStore> = mock::Store::new().unwrap();
        let trials = Cache::over(vec![store.clone()]).try_out();
        assert!(
            matches!(
                &trials[..],
                [Trial {
                    outcome: Ok(()),
                    ..
                }]
            ),
            "{trials:?}"
        );
        let left = entry(&store).unwrap();
        assert!(matches!(left.get_secret(), Err(Error::NoEntry)));
        assert_ne!(SERVICE, super::super::SERVICE);
    }
}
