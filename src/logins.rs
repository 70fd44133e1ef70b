//! The index of saved sign-ins: a small file without secrets, so that listing accounts needs no keyring access.
//!
//! The Entra refresh tokens are in the keyring; see [`crate::cache::Cache::login`].

use crate::cache::{Key, LoginStore};
use crate::error::{Error, printable};
use crate::files::{self, read_private, write_atomic};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::time::Duration;

/// The largest file that is read, which is room for hundreds of logins.
const MAX_FILE_BYTES: usize = 256 * 1024;

/// How many fingerprints of a login are stored. Each is for a tenant or a cloud, and its tokens expire within hours.
const MAX_FINGERPRINTS: usize = 64;

/// How long the commands wait for another process that changes the file. `get` does not wait: it updates the file the next time.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A saved sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// The authority.
    pub(crate) authority: String,
    /// The tenant that was signed in to.
    pub(crate) tenant: String,
    /// The application that signed in.
    pub(crate) client_id: String,
    /// The home account id.
    pub(crate) home: String,
    /// The name to show.
    pub(crate) username: String,
    /// The names of the stores that hold its token, or may still hold it.
    #[serde(default)]
    pub(crate) stores: Vec<String>,
    /// The fingerprints under which its tokens were cached, the latest last.
    #[serde(default)]
    pub(crate) fingerprints: Vec<String>,
}

/// The content of the file.
#[derive(Default, Deserialize, Serialize)]
struct Index {
    logins: Vec<Login>,
}

impl Login {
    /// Returns the key of its Entra refresh token, which is valid in every tenant of the account.
    pub(crate) fn key(&self) -> Key {
        Key::of_login(&[&*self.authority, &*self.home, &*self.client_id].join("\0"))
    }

    /// Returns the host of the authority, to be shown.
    pub(crate) fn host(&self) -> String {
        let url = url::Url::parse(&self.authority).ok();
        url.and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| printable(&self.authority))
    }

    /// Records the store of its token and returns whether anything changed.
    pub(crate) fn set_store(&mut self, place: &LoginStore) -> bool {
        let mut stores = self.stores.clone();
        stores.retain(|store| *store != place.store && !place.cleared.contains(store));
        stores.insert(0, place.store.clone());
        std::mem::replace(&mut self.stores, stores) != self.stores
    }

    /// Records the fingerprint of an identity that uses the sign-in.
    pub(crate) fn add_fingerprint(&mut self, fingerprint: &str) {
        append(&mut self.fingerprints, vec![fingerprint.to_owned()]);
        let surplus = self.fingerprints.len().saturating_sub(MAX_FINGERPRINTS);
        self.fingerprints.drain(..surplus);
    }
}

/// Returns the saved sign-ins, the latest last; none if there is no file.
///
/// # Errors
///
/// Fails if the file cannot be read or other users can change it. No other identity is used instead of a saved one.
pub(crate) fn read(file: &Path) -> Result<Vec<Login>, Error> {
    let bytes = match read_private(file, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => {
            let problem = format!("cannot be read: {error}");
            return Err(Error::unreadable(file.display(), &problem, &error));
        }
    };
    let index: Result<Index, _> = serde_json::from_slice(&bytes);
    index.map(|index| index.logins).map_err(|error| {
        Error::setting(
            file.display(),
            format!("is not the file of logins: {error}"),
        )
    })
}

/// Checks that the file can be changed.
///
/// # Errors
///
/// Fails in the home of another user, and while another process holds the lock.
pub(crate) fn check_writable(file: &Path) -> Result<(), Error> {
    lock(file, LOCK_TIMEOUT).map(drop)
}

/// Saves a sign-in as the latest one, and replaces an earlier one of the account. Adds the stores and fingerprints of that one, since its
/// tokens may still be there.
pub(crate) fn save(file: &Path, login: &Login) -> Result<(), Error> {
    update(file, LOCK_TIMEOUT, |logins| {
        let mut login = login.clone();
        let key = login.key();
        for earlier in logins.extract_if(.., |other| other.key() == key) {
            append(&mut login.stores, earlier.stores);
            append(&mut login.fingerprints, earlier.fingerprints);
        }
        logins.push(login);
    })
}

/// Changes a saved sign-in, unless it was removed meanwhile. Waits up to `timeout` for the lock.
pub(crate) fn update_one(
    file: &Path,
    login: &Login,
    timeout: Duration,
    change: impl FnOnce(&mut Login),
) -> Result<(), Error> {
    let key = login.key();
    update(file, timeout, |logins| {
        if let Some(saved) = logins.iter_mut().find(|other| other.key() == key) {
            change(saved);
        }
    })
}

/// Removes a sign-in.
pub(crate) fn remove(file: &Path, login: &Login) -> Result<(), Error> {
    let key = login.key();
    update(file, LOCK_TIMEOUT, |logins| {
        logins.retain(|other| other.key() != key);
    })
}

/// Removes the file, whatever its content.
pub(crate) fn remove_all(file: &Path) -> Result<(), Error> {
    if !file.exists() {
        return Ok(());
    }
    let _lock = lock(file, LOCK_TIMEOUT)?;
    remove_file(file)
}

fn append(to: &mut Vec<String>, more: Vec<String>) {
    for text in more {
        if !to.contains(&text) {
            to.push(text);
        }
    }
}

/// Reads, changes and writes the file under its lock.
fn update(
    file: &Path,
    timeout: Duration,
    change: impl FnOnce(&mut Vec<Login>),
) -> Result<(), Error> {
    let _lock = lock(file, timeout)?;
    let before = read(file)?;
    let mut logins = before.clone();
    change(&mut logins);
    if logins == before {
        return Ok(());
    }
    if logins.is_empty() {
        return remove_file(file);
    }
    serde_json::to_vec_pretty(&Index { logins })
        .map_err(io::Error::from)
        .and_then(|bytes| write_atomic(file, &bytes, None, || Ok(())))
        .map_err(|error| unwritable(file, &error))
}

/// Locks a file beside it, since the file itself is replaced.
fn lock(file: &Path, timeout: Duration) -> Result<std::fs::File, Error> {
    files::lock(&file.with_extension("lock"), timeout).map_err(|error| unwritable(file, &error))
}

fn remove_file(file: &Path) -> Result<(), Error> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(file, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn unwritable(file: &Path, error: &io::Error) -> Error {
    Error::setting(file.display(), format!("cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Lasts;

    fn login(home: &str, tenant: &str) -> Login {
        Login {
            home: home.into(),
            tenant: tenant.into(),
            ..Login::default()
        }
    }

    #[test]
    fn an_account_is_saved_once_and_the_latest_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/logins.json");
        assert_eq!(read(&file).unwrap(), []);
        for next in [
            login("alice", "one"),
            login("bob", "one"),
            login("alice", "two"),
        ] {
            save(&file, &next).unwrap();
        }
        assert_eq!(
            read(&file).unwrap(),
            [login("bob", "one"), login("alice", "two")]
        );
        remove(&file, &login("bob", "")).unwrap();
        assert_eq!(read(&file).unwrap(), [login("alice", "two")]);
        remove(&file, &login("alice", "")).unwrap();
        assert!(!file.exists());
        remove_all(&file).unwrap();
    }

    #[test]
    fn logins_that_are_saved_at_the_same_time_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/logins.json");
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                let file = &file;
                scope.spawn(move || save(file, &login(name, "one")).unwrap());
            }
        });
        assert_eq!(read(&file).unwrap().len(), 8);
    }

    #[test]
    fn stores_and_fingerprints_of_a_login_survive_the_next_login_of_the_account() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logins.json");
        let place = |store: &str, cleared: &[&str]| LoginStore {
            store: store.into(),
            lasts: Lasts::UntilDeleted,
            cleared: cleared.iter().map(|&name| name.into()).collect(),
        };
        let alice = login("alice", "one");
        let add = |fingerprint: &str| {
            update_one(&file, &alice, LOCK_TIMEOUT, |saved| {
                saved.add_fingerprint(fingerprint);
            })
            .unwrap();
        };
        let set_store = |place: LoginStore| {
            update_one(&file, &alice, LOCK_TIMEOUT, |saved| {
                saved.set_store(&place);
            })
            .unwrap();
        };
        add("removed");
        assert!(!file.exists(), "a removed login stays removed");
        save(&file, &alice).unwrap();
        set_store(place("Secret Service", &[]));
        for at in 0..=MAX_FINGERPRINTS {
            add(&format!("{at}"));
        }
        save(&file, &login("alice", "two")).unwrap();
        set_store(place("kernel keyring", &[]));
        let kept = read(&file).unwrap().remove(0);
        assert_eq!(
            (kept.stores, kept.tenant.as_str()),
            (
                vec!["kernel keyring".into(), "Secret Service".to_owned()],
                "two"
            )
        );
        assert!(
            kept.fingerprints.len() == MAX_FINGERPRINTS && kept.fingerprints[0] == "1",
            "{:?}",
            kept.fingerprints
        );
        set_store(place("Secret Service", &["kernel keyring"]));
        assert_eq!(read(&file).unwrap()[0].stores, ["Secret Service"]);
    }

    #[test]
    fn a_file_in_another_format_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logins.json");
        std::fs::write(&file, "[]").unwrap();
        assert!(
            read(&file)
                .unwrap_err()
                .to_string()
                .contains("is not the file of logins: ")
        );
    }
}
