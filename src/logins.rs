//! Who is signed in here, by name: a small file without secrets, so that a look-up of who would sign in asks no keyring.
//!
//! The Entra refresh tokens lie in the keyring; see [`crate::cache::Cache::login`].

use crate::cache::Key;
use crate::error::Error;
use crate::files::{read_protected, replace_private};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// A login has some hundred bytes; this is room for hundreds.
const FILE_LIMIT: usize = 256 * 1024;

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
}

/// The file.
#[derive(Default, Deserialize, Serialize)]
struct Logins {
    logins: Vec<Login>,
}

impl Login {
    /// Under which key its Entra refresh token is kept: that is good in every tenant of the account.
    pub(crate) fn key(&self) -> Key {
        Key::of_login(&[&self.authority, &self.home, &self.client_id].map(String::as_str).join("\0"))
    }

    /// Whether both are of the same account, whatever the tenant.
    fn is_of_same_account(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

/// Everybody who is signed in, the latest last. Nobody is where there is no file. One that is there and cannot be read, or that others can
/// change, is an [`Error::Setting`]: whoever is signed in must not be passed over for somebody else.
pub(crate) fn read(file: &Path) -> Result<Vec<Login>, Error> {
    let unusable = |problem: String| Error::Setting { name: file.display().to_string(), problem };
    match read_protected(file, FILE_LIMIT) {
        Ok(bytes) => {
            let logins: Result<Logins, _> = serde_json::from_slice(&bytes);
            logins.map(|it| it.logins).map_err(|error| unusable(format!("is not the file of logins: {error}")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(unusable(format!("cannot be read: {error}"))),
    }
}

/// Writes a login down as the latest one, in place of an earlier one of the account.
pub(crate) fn remember(file: &Path, login: &Login) -> Result<(), Error> {
    let mut logins = read(file)?;
    logins.retain(|other| !other.is_of_same_account(login));
    logins.push(login.clone());
    write(file, logins)
}

/// Leaves a login out from now on.
pub(crate) fn forget(file: &Path, login: &Login) -> Result<(), Error> {
    let mut logins = read(file)?;
    logins.retain(|other| !other.is_of_same_account(login));
    write(file, logins)
}

/// Removes the file, whatever is in it.
pub(crate) fn forget_all(file: &Path) -> Result<(), Error> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritten(file, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(file: &Path, logins: Vec<Login>) -> Result<(), Error> {
    if logins.is_empty() {
        return forget_all(file);
    }
    let bytes = serde_json::to_vec_pretty(&Logins { logins }).map_err(|error| unwritten(file, &error.into()))?;
    replace_private(file, &bytes).map_err(|error| unwritten(file, &error))
}

fn unwritten(file: &Path, error: &io::Error) -> Error {
    Error::Setting { name: file.display().to_string(), problem: format!("cannot be written: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(home: &str, tenant: &str) -> Login {
        Login { home: home.into(), tenant: tenant.into(), ..Login::default() }
    }

    #[test]
    fn an_account_is_written_down_once_and_the_latest_last() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/logins.json");
        assert_eq!(read(&file).unwrap(), []);
        for next in [login("alice", "one"), login("bob", "one"), login("alice", "two")] {
            remember(&file, &next).unwrap();
        }
        assert_eq!(read(&file).unwrap(), [login("bob", "one"), login("alice", "two")]);
        forget(&file, &login("bob", "")).unwrap();
        assert_eq!(read(&file).unwrap(), [login("alice", "two")]);
        forget(&file, &login("alice", "")).unwrap();
        assert!(!file.exists());
        forget_all(&file).unwrap();
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_not_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logins.json");
        std::fs::write(&file, "[]").unwrap();
        assert!(read(&file).unwrap_err().to_string().contains("is not the file of logins: "));
    }
}
