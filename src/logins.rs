//! The index of saved sign-ins: a small file without secrets, so that listing accounts needs no keyring access.
//!
//! The Entra refresh tokens are in the keyring; see [`crate::cache::Cache::login`].

use crate::cache::{Key, LoginStore};
use crate::config::Config;
use crate::error::{Error, sanitize, sanitize_line};
use crate::files::{self, read_named, write_atomic};
use crate::registry::{CLOUDS, Cloud};
use crate::text::shell_word;
use serde::{Deserialize, Deserializer, Serialize};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The largest file that is read, which is room for hundreds of logins.
const MAX_FILE_BYTES: usize = 256 * 1024;

/// How many fingerprints of a login are stored. Each is for a tenant or a cloud, and its tokens expire within hours.
const MAX_FINGERPRINTS: usize = 64;

/// How long a command waits for another process that changes the file, unless `timeout` is shorter.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A saved sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// The authority.
    pub(crate) authority: String,
    /// The tenant that was signed in to.
    #[serde(deserialize_with = "visible")]
    pub(crate) tenant: String,
    /// The application that signed in.
    pub(crate) client_id: String,
    /// The home account id.
    pub(crate) home: String,
    /// The name to show.
    #[serde(deserialize_with = "visible")]
    pub(crate) username: String,
    /// Whether a browser of this machine signed in. It keeps a session of its own.
    #[serde(default)]
    pub(crate) browser: bool,
    /// The names of the stores that hold its token, or may still hold it.
    #[serde(default)]
    pub(crate) stores: Vec<String>,
    /// The fingerprints under which its tokens were cached, the latest last.
    #[serde(default)]
    pub(crate) fingerprints: Vec<String>,
}

/// Reads a text to show: a variable can name the folder of the file.
fn visible<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| sanitize(&text))
}

/// The content of the file. The last sign-in of an authority is the active one.
#[derive(Default, Deserialize, Serialize)]
struct Content {
    logins: Vec<Login>,
}

impl Login {
    /// Returns the key of its Entra refresh token, which is valid in every tenant of the account.
    pub(crate) fn key(&self) -> Key {
        Key::of_login(&[&*self.authority, &*self.home, &*self.client_id].join("\0"))
    }

    /// Returns the name of its cloud, to be shown: the cloud of its authority, or the host of an authority of no known cloud.
    pub(crate) fn cloud_name(&self, private_clouds: &[Cloud]) -> String {
        let Ok(authority) = Url::parse(&self.authority) else {
            return sanitize_line(&self.authority);
        };
        let mut clouds = CLOUDS.iter().chain(private_clouds);
        let cloud = clouds.find(|cloud| cloud.is_authority(&authority));
        let host = || authority.host_str().unwrap_or_default().to_owned();
        cloud.map_or_else(host, |cloud| cloud.name.to_string())
    }

    /// Returns the account, its cloud and its tenant, to be shown.
    pub(crate) fn describe(&self, private_clouds: &[Cloud]) -> String {
        let (username, tenant) = (sanitize_line(&self.username), sanitize_line(&self.tenant));
        format!(
            "{username} ({}, tenant {tenant})",
            self.cloud_name(private_clouds)
        )
    }

    /// Returns whether this text is its user name or its tenant.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        [&self.username, &self.tenant]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(text))
    }

    /// Records the store of its token.
    pub(crate) fn set_store(&mut self, place: &LoginStore) {
        self.stores
            .retain(|store| *store != place.store && !place.cleared.contains(store));
        self.stores.insert(0, place.store.clone());
    }

    /// Records the fingerprint of an identity that uses the sign-in.
    pub(crate) fn add_fingerprint(&mut self, fingerprint: &str) {
        append(&mut self.fingerprints, vec![fingerprint.to_owned()]);
        let surplus = self.fingerprints.len().saturating_sub(MAX_FINGERPRINTS);
        self.fingerprints.drain(..surplus);
    }
}

/// The file of saved sign-ins.
#[derive(Clone, Debug)]
pub(crate) struct Logins {
    file: PathBuf,
    lock_timeout: Duration,
}

impl Logins {
    /// Returns the file of the settings, if there is a folder for it.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        let file = config.sources.logins.clone()?;
        let lock_timeout = config.timeout.min(LOCK_TIMEOUT);
        Some(Self { file, lock_timeout })
    }

    /// Returns the saved sign-ins, the latest last; none if there is no file. Takes no lock.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read or other users can change it. No other identity is used instead of a saved one.
    pub(crate) fn read(&self) -> Result<Vec<Login>, Error> {
        let file = self.file.display();
        let bytes = match read_named(&self.file, None, MAX_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => {
                let problem = format!("cannot be read: {error}");
                return Err(Error::unreadable(file, &problem, &error));
            }
        };
        let content: Result<Content, _> = serde_json::from_slice(&bytes);
        content.map(|content| content.logins).map_err(|error| {
            let rm = shell_word(&self.file.display().to_string());
            Error::setting(file, format!("is not a list of sign-ins: {error}"))
                .with_hint(format!("delete it and sign in again\n  rm {rm}"))
        })
    }

    /// Returns the saved sign-ins of the settings; none if there is no folder for the file.
    ///
    /// # Errors
    ///
    /// As [`Logins::read`].
    pub(crate) fn of(config: &Config) -> Result<Vec<Login>, Error> {
        Self::new(config).map_or(Ok(vec![]), |file| file.read())
    }

    /// Checks that the file can be changed.
    ///
    /// # Errors
    ///
    /// Fails in the home of another user, and while another process holds the lock.
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        self.lock(self.lock_timeout).map(drop)
    }

    /// Saves a sign-in as the active one, and replaces an earlier one of the account. Adds the stores and fingerprints of that one, since its
    /// tokens may still be there. `place` is where its token was stored just now.
    ///
    /// # Errors
    ///
    /// As [`Logins::read`] and [`Logins::check_writable`].
    pub(crate) fn save(&self, mut login: Login, place: Option<&LoginStore>) -> Result<(), Error> {
        let key = login.key();
        self.update(self.lock_timeout, |logins| {
            for earlier in logins.extract_if(.., |other| other.key() == key) {
                append(&mut login.stores, earlier.stores);
                append(&mut login.fingerprints, earlier.fingerprints);
                login.browser |= earlier.browser;
            }
            if let Some(place) = place {
                login.set_store(place);
            }
            logins.push(login);
        })
    }

    /// Changes a saved sign-in, unless it was removed meanwhile or another process holds the lock: a `get` does not wait for it.
    ///
    /// # Errors
    ///
    /// As [`Logins::save`].
    pub(crate) fn try_update(
        &self,
        login: &Login,
        change: impl FnOnce(&mut Login),
    ) -> Result<(), Error> {
        let key = login.key();
        self.update(Duration::ZERO, |logins| {
            if let Some(saved) = logins.iter_mut().find(|other| other.key() == key) {
                change(saved);
            }
        })
    }

    /// Removes a sign-in.
    ///
    /// # Errors
    ///
    /// As [`Logins::save`].
    pub(crate) fn remove(&self, login: &Login) -> Result<(), Error> {
        let key = login.key();
        self.update(self.lock_timeout, |logins| {
            logins.retain(|other| other.key() != key);
        })
    }

    /// Removes the file, whatever its content.
    ///
    /// # Errors
    ///
    /// As [`Logins::check_writable`].
    pub(crate) fn remove_all(&self) -> Result<(), Error> {
        if !self.file.exists() {
            return Ok(());
        }
        let _lock = self.lock(self.lock_timeout)?;
        self.remove_file()
    }

    /// Reads, changes and writes the file under its lock.
    fn update(&self, timeout: Duration, change: impl FnOnce(&mut Vec<Login>)) -> Result<(), Error> {
        let _lock = self.lock(timeout)?;
        let before = self.read()?;
        let mut logins = before.clone();
        change(&mut logins);
        if logins == before {
            return Ok(());
        }
        if logins.is_empty() {
            return self.remove_file();
        }
        serde_json::to_vec_pretty(&Content { logins })
            .map_err(io::Error::from)
            .and_then(|bytes| write_atomic(&self.file, &bytes, None, || Ok(())))
            .map_err(|error| self.unwritable(&error))
    }

    /// Locks a file next to it, since the file itself is replaced.
    fn lock(&self, timeout: Duration) -> Result<File, Error> {
        let lock = files::lock(&self.file.with_extension("lock"), timeout);
        lock.map_err(|error| self.unwritable(&error))
    }

    fn remove_file(&self) -> Result<(), Error> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.unwritable(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn unwritable(&self, error: &io::Error) -> Error {
        Error::setting(self.file.display(), format!("cannot be written: {error}"))
    }
}

fn append(to: &mut Vec<String>, more: Vec<String>) {
    for text in more {
        if !to.contains(&text) {
            to.push(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Persistence;

    /// Returns a file that does not exist yet, in a folder that does not exist yet.
    fn logins() -> (Logins, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/logins.json");
        let lock_timeout = LOCK_TIMEOUT;
        (Logins { file, lock_timeout }, folder)
    }

    fn login(home: &str, tenant: &str) -> Login {
        Login {
            home: home.into(),
            tenant: tenant.into(),
            ..Login::default()
        }
    }

    #[test]
    fn an_account_is_saved_once_and_the_latest_last() {
        let (logins, _folder) = logins();
        assert_eq!(logins.read().unwrap(), []);
        for next in [
            login("alice", "one"),
            login("bob", "one"),
            login("alice", "two"),
        ] {
            logins.save(next, None).unwrap();
        }
        assert_eq!(
            logins.read().unwrap(),
            [login("bob", "one"), login("alice", "two")]
        );
        logins.save(login("bob", "one"), None).unwrap();
        assert_eq!(
            logins.read().unwrap(),
            [login("alice", "two"), login("bob", "one")]
        );
        logins.remove(&login("bob", "")).unwrap();
        assert_eq!(logins.read().unwrap(), [login("alice", "two")]);
        logins.remove(&login("alice", "")).unwrap();
        assert!(!logins.file.exists());
        logins.remove_all().unwrap();
    }

    #[test]
    fn sign_ins_that_are_saved_at_the_same_time_are_all_saved() {
        let (logins, _folder) = logins();
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                let logins = &logins;
                scope.spawn(move || logins.save(login(name, "one"), None).unwrap());
            }
        });
        assert_eq!(logins.read().unwrap().len(), 8);
    }

    #[test]
    fn stores_and_fingerprints_of_a_login_survive_the_next_login_of_the_account() {
        let (logins, _folder) = logins();
        let place = |store: &str, cleared: &[&str]| LoginStore {
            store: store.into(),
            persistence: Persistence::UntilDeleted,
            cleared: cleared.iter().map(|&name| name.into()).collect(),
        };
        let alice = login("alice", "one");
        let add = |fingerprint: &str| {
            let change = |saved: &mut Login| saved.add_fingerprint(fingerprint);
            // A program that another test starts holds the lock between fork and exec.
            let is_added = |_| {
                std::thread::yield_now();
                logins.try_update(&alice, change).is_ok()
            };
            assert!((0..10_000).any(is_added));
        };
        let save = |tenant: &str, place: LoginStore| {
            logins.save(login("alice", tenant), Some(&place)).unwrap();
        };
        add("removed");
        assert!(!logins.file.exists(), "a removed login stays removed");
        save("one", place("Secret Service", &[]));
        for at in 0..=MAX_FINGERPRINTS {
            add(&format!("{at}"));
        }
        save("two", place("kernel keyring", &[]));
        let kept = logins.read().unwrap().remove(0);
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
        save("two", place("Secret Service", &["kernel keyring"]));
        assert_eq!(logins.read().unwrap()[0].stores, ["Secret Service"]);
    }

    #[test]
    fn a_file_in_another_format_is_an_error() {
        let (logins, folder) = logins();
        std::fs::create_dir(folder.path().join("new")).unwrap();
        std::fs::write(&logins.file, "[]").unwrap();
        let error = logins.read().unwrap_err();
        assert!(error.to_string().contains("is not a list of sign-ins: "));
    }

    #[test]
    fn a_lock_of_another_process_costs_a_command_its_timeout_and_a_get_nothing() {
        let (logins, _folder) = logins();
        logins.save(login("alice", "one"), None).unwrap();
        let config = |seconds: &str| {
            let variables = [("ACRSCOPED_TIMEOUT", seconds), ("XDG_STATE_HOME", "/state")];
            let variables = variables.map(|(name, value)| (name.to_owned(), value.into()));
            let settings = crate::Settings::from_variables(variables.into(), None);
            settings.for_cloud(&CLOUDS[0]).unwrap()
        };
        for (seconds, expected) in [("1", 1), ("600", 5)] {
            let logins = Logins::new(&config(seconds)).unwrap();
            assert_eq!(logins.lock_timeout, Duration::from_secs(expected));
        }
        let _lock = logins.lock(Duration::ZERO).unwrap();
        let begun = std::time::Instant::now();
        let change = |saved: &mut Login| saved.add_fingerprint("new");
        assert!(logins.try_update(&login("alice", "one"), change).is_err());
        assert_eq!(logins.read().unwrap().len(), 1);
        assert!(begun.elapsed() < LOCK_TIMEOUT);
    }

    #[test]
    fn a_sign_in_is_shown_with_its_cloud() {
        for (authority, name) in [
            ("https://login.microsoftonline.com/", "Azure public"),
            ("https://login.microsoftonline.us/", "Azure Government"),
            ("https://login.stack.example/", "login.stack.example"),
        ] {
            let authority = authority.into();
            let login = Login {
                authority,
                ..login("alice", "one")
            };
            assert_eq!(login.cloud_name(&[]), name);
        }
    }

    #[test]
    fn no_name_in_the_file_controls_a_terminal() {
        let json = r#"{"authority":"a","tenant":"t\u001b[2J","client_id":"c","home":"h","username":"alice\n\u001b]0;x\u0007"}"#;
        let login: Login = serde_json::from_str(json).unwrap();
        assert_eq!((&*login.tenant, &*login.username), ("t[2J", "alice ]0;x"));
    }
}
