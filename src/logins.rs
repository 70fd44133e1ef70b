//! Who is signed in here, by name: a small file without secrets, so that a look-up of who would sign in asks no keyring.
//!
//! The Entra refresh tokens lie in the keyring; see [`crate::cache::Cache::login`].

use crate::cache::{Key, Place};
use crate::error::{Error, printable};
use crate::files::{self, read_private, write_atomic};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::time::Duration;

/// A login has some hundred bytes; this is room for hundreds.
const FILE_LIMIT: usize = 256 * 1024;

/// How many fingerprints are noted of one login: each stands for a tenant or a cloud, and their tokens end within hours.
const FINGERPRINTS: usize = 64;

/// How long commands for people wait for another process that changes the file. It does so for moments. A `get` does not wait: what it has to
/// note it notes the next time.
pub(crate) const LOCKED: Duration = Duration::from_secs(5);

/// Somebody who signed in at an authority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// Where.
    pub(crate) authority: String,
    /// To which tenant.
    pub(crate) tenant: String,
    /// With which application.
    pub(crate) client_id: String,
    /// The account at home.
    pub(crate) home: String,
    /// The name to show.
    pub(crate) username: String,
    /// The names of the stores that its token lies in, or may still lie in.
    #[serde(default)]
    pub(crate) stores: Vec<String>,
    /// The fingerprints under which tokens that came of it were cached, the latest last.
    #[serde(default)]
    pub(crate) fingerprints: Vec<String>,
}

/// The file.
#[derive(Default, Deserialize, Serialize)]
struct Logins {
    logins: Vec<Login>,
}

impl Login {
    /// Under which key its Entra refresh token is kept: that is good in every tenant of the account.
    pub(crate) fn key(&self) -> Key {
        Key::of_login(
            &[&self.authority, &self.home, &self.client_id]
                .map(String::as_str)
                .join("\0"),
        )
    }

    /// The authority by its host, as it is told.
    pub(crate) fn host(&self) -> String {
        let url = url::Url::parse(&self.authority).ok();
        url.and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_else(|| printable(&self.authority))
    }

    /// Notes where its token went: it is there, and no longer where it was cleared. Returns whether that is news.
    pub(crate) fn moved(&mut self, place: &Place) -> bool {
        let mut stores = self.stores.clone();
        stores.retain(|store| *store != place.store && !place.cleared.contains(store));
        stores.insert(0, place.store.clone());
        let is_news = stores != self.stores;
        self.stores = stores;
        is_news
    }

    /// Whether both are of the same account, whatever the tenant.
    fn is_of_same_account(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

/// Everybody who is signed in, the latest last. Nobody is where there is no file. One that is there and cannot be read, or that others can
/// change, is an error: whoever is signed in must not be passed over for somebody else.
pub(crate) fn read(file: &Path) -> Result<Vec<Login>, Error> {
    let unusable = |problem: String| Error::setting(file.display(), problem);
    match read_private(file, FILE_LIMIT) {
        Ok(bytes) => {
            let logins: Result<Logins, _> = serde_json::from_slice(&bytes);
            logins
                .map(|it| it.logins)
                .map_err(|error| unusable(format!("is not the file of logins: {error}")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(error) => {
            let problem = format!("cannot be read: {error}");
            Err(Error::unreadable(file.display(), &problem, &error))
        }
    }
}

/// Errors when nothing can be written down: in the home of another user, or while another process does not let go of the file.
pub(crate) fn writable(file: &Path) -> Result<(), Error> {
    lock(file, LOCKED).map(drop)
}

/// Writes a login down as the latest one, in place of an earlier one of the account. What was noted of that stays noted: its tokens may
/// still be there.
pub(crate) fn remember(file: &Path, login: &Login) -> Result<(), Error> {
    update(file, LOCKED, |logins| {
        let mut login = login.clone();
        for earlier in logins
            .extract_if(.., |other| other.is_of_same_account(&login))
            .collect::<Vec<_>>()
        {
            append(&mut login.stores, earlier.stores);
            append(&mut login.fingerprints, earlier.fingerprints);
        }
        logins.push(login);
    })
}

/// Notes where the token of a login went, unless the login was forgotten meanwhile. Waits for as long as `patience` for other processes.
pub(crate) fn moved(
    file: &Path,
    login: &Login,
    place: &Place,
    patience: Duration,
) -> Result<(), Error> {
    change(file, login, patience, |kept| {
        kept.moved(place);
    })
}

/// Notes the fingerprint of an identity that signs in by a login, unless the login was forgotten meanwhile. Errors while another process
/// changes the file.
pub(crate) fn note(file: &Path, login: &Login, fingerprint: &str) -> Result<(), Error> {
    change(file, login, Duration::ZERO, |kept| {
        append(&mut kept.fingerprints, vec![fingerprint.to_owned()]);
        let surplus = kept.fingerprints.len().saturating_sub(FINGERPRINTS);
        kept.fingerprints.drain(..surplus);
    })
}

/// Leaves a login out from now on.
pub(crate) fn forget(file: &Path, login: &Login) -> Result<(), Error> {
    update(file, LOCKED, |logins| {
        logins.retain(|other| !other.is_of_same_account(login));
    })
}

/// Removes the file, whatever is in it.
pub(crate) fn forget_all(file: &Path) -> Result<(), Error> {
    if !file.exists() {
        return Ok(());
    }
    let _lock = lock(file, LOCKED)?;
    remove(file)
}

fn append(to: &mut Vec<String>, more: Vec<String>) {
    for text in more {
        if !to.contains(&text) {
            to.push(text);
        }
    }
}

fn change(
    file: &Path,
    login: &Login,
    patience: Duration,
    change: impl FnOnce(&mut Login),
) -> Result<(), Error> {
    update(file, patience, |logins| {
        if let Some(kept) = logins
            .iter_mut()
            .find(|other| other.is_of_same_account(login))
        {
            change(kept);
        }
    })
}

/// Reads, changes and writes the file, while no other process does.
fn update(
    file: &Path,
    patience: Duration,
    change: impl FnOnce(&mut Vec<Login>),
) -> Result<(), Error> {
    let _lock = lock(file, patience)?;
    let before = read(file)?;
    let mut logins = before.clone();
    change(&mut logins);
    if logins == before {
        Ok(())
    } else {
        write(file, logins)
    }
}

/// The file itself is replaced, so that the lock is on one beside it.
fn lock(file: &Path, patience: Duration) -> Result<std::fs::File, Error> {
    files::lock(&file.with_extension("lock"), patience).map_err(|error| unwritten(file, &error))
}

fn remove(file: &Path) -> Result<(), Error> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritten(file, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(file: &Path, logins: Vec<Login>) -> Result<(), Error> {
    if logins.is_empty() {
        return remove(file);
    }
    let bytes = serde_json::to_vec_pretty(&Logins { logins })
        .map_err(|error| unwritten(file, &error.into()))?;
    write_atomic(file, &bytes, None, || Ok(())).map_err(|error| unwritten(file, &error))
}

fn unwritten(file: &Path, error: &io::Error) -> Error {
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
    fn an_account_is_written_down_once_and_the_latest_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/logins.json");
        assert_eq!(read(&file).unwrap(), []);
        for next in [
            login("alice", "one"),
            login("bob", "one"),
            login("alice", "two"),
        ] {
            remember(&file, &next).unwrap();
        }
        assert_eq!(
            read(&file).unwrap(),
            [login("bob", "one"), login("alice", "two")]
        );
        forget(&file, &login("bob", "")).unwrap();
        assert_eq!(read(&file).unwrap(), [login("alice", "two")]);
        forget(&file, &login("alice", "")).unwrap();
        assert!(!file.exists());
        forget_all(&file).unwrap();
    }

    #[test]
    fn logins_that_are_written_at_one_moment_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/logins.json");
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                let file = &file;
                scope.spawn(move || remember(file, &login(name, "one")).unwrap());
            }
        });
        assert_eq!(read(&file).unwrap().len(), 8);
    }

    #[test]
    fn what_is_noted_of_a_login_outlives_the_next_one_of_the_account() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logins.json");
        let place = |store: &str, cleared: &[&str]| Place {
            store: store.into(),
            lasts: Lasts::UntilDeleted,
            cleared: cleared.iter().map(|&name| name.into()).collect(),
        };
        let alice = login("alice", "one");
        note(&file, &alice, "nobody's").unwrap();
        assert!(!file.exists(), "what was forgotten stays forgotten");
        remember(&file, &alice).unwrap();
        moved(&file, &alice, &place("Secret Service", &[]), LOCKED).unwrap();
        for at in 0..=FINGERPRINTS {
            note(&file, &alice, &format!("{at}")).unwrap();
        }
        remember(&file, &login("alice", "two")).unwrap();
        moved(&file, &alice, &place("kernel keyring", &[]), LOCKED).unwrap();
        let kept = read(&file).unwrap().remove(0);
        assert_eq!(
            (kept.stores, kept.tenant.as_str()),
            (
                vec!["kernel keyring".into(), "Secret Service".to_owned()],
                "two"
            )
        );
        assert!(
            kept.fingerprints.len() == FINGERPRINTS && kept.fingerprints[0] == "1",
            "{:?}",
            kept.fingerprints
        );
        moved(
            &file,
            &alice,
            &place("Secret Service", &["kernel keyring"]),
            LOCKED,
        )
        .unwrap();
        assert_eq!(read(&file).unwrap()[0].stores, ["Secret Service"]);
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_not_nobody() {
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
