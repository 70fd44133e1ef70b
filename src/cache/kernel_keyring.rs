//! The kernel's user keyring as a store (keyrings(7), user-keyring(7)).
//!
//! Our keys lie in a keyring of our own inside the user keyring `@u`, so that listing never meets keys of others. Both the
//! keyring and the keys are made open to their owner by uid, not only by possession: a process whose session keyring does not link
//! `@u` (services, CI runners, `keyctl session`) reads them too. The kernel drops a key at the time set with it.

use super::{KERNEL_KEYRING, LIFETIME, SERVICE};
use keyring_core::api::{Credential, CredentialApi, CredentialPersistence, CredentialStoreApi};
use keyring_core::{Entry, Error, Result};
use keyutils::keytypes::User;
use keyutils::{Key, KeyType as _, Keyring, KeyringSerial, Permission, SpecialKeyring};
use keyutils_raw::{KEY_SPEC_USER_KEYRING, keyctl_describe, keyctl_read, keyctl_search};
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How often a key is written that others take away with its keyring.
const TRIES: usize = 10;

/// The store; it holds nothing, the kernel does.
#[derive(Debug)]
pub(super) struct Store;

impl CredentialStoreApi for Store {
    fn vendor(&self) -> String {
        KERNEL_KEYRING.into()
    }

    fn id(&self) -> String {
        "@u".into()
    }

    fn build(&self, service: &str, user: &str, _: Option<&HashMap<&str, &str>>) -> Result<Entry> {
        Ok(KernelKey::entry(service, user))
    }

    fn search(&self, spec: &HashMap<&str, &str>) -> Result<Vec<Entry>> {
        let service = spec.get("service").copied().unwrap_or(SERVICE);
        let users = own_keys()?.into_iter().filter_map(|key| {
            let description = describe(key)?;
            // `user;UID;GID;PERMISSIONS;DESCRIPTION` (keyctl_describe(3)).
            let [kind, _, _, _, description] = description
                .splitn(5, ';')
                .collect::<Vec<_>>()
                .try_into()
                .ok()?;
            let user = description.strip_prefix(service)?.strip_prefix(' ')?;
            (kind == User::name()).then(|| user.to_owned())
        });
        Ok(users.map(|user| KernelKey::entry(service, &user)).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn persistence(&self) -> CredentialPersistence {
        CredentialPersistence::UntilReboot
    }
}

/// One key, found by its description when it is needed.
#[derive(Debug)]
struct KernelKey {
    service: String,
    user: String,
}

impl KernelKey {
    fn entry(service: &str, user: &str) -> Entry {
        Entry::new_with_credential(Arc::new(Self {
            service: service.to_owned(),
            user: user.to_owned(),
        }))
    }

    fn description(&self) -> String {
        format!("{} {}", self.service, self.user)
    }

    fn write(&self, secret: &[u8]) -> Result<()> {
        let mut keyring = match own_keyring()? {
            Some(keyring) => keyring,
            None => make_own_keyring()?,
        };
        let mut key = keyring
            .add_key::<User, _, _>(self.description().as_str(), secret)
            .map_err(failure)?;
        key.set_permissions(owner_only()).map_err(failure)?;
        self.find().map(drop)
    }

    fn find(&self) -> Result<Key> {
        user_keyring()?
            .search_for_key::<User, _, _>(self.description().as_str(), None)
            .map_err(failure)
    }
}

impl CredentialApi for KernelKey {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        possess_user_keyring()?;
        // A keyring takes the place of one of the same name, and with it goes what was just written there: when several processes make
        // ours at one moment, all but the last begin again. None makes another once it is there.
        let mut written = self.write(secret);
        for _ in 1..TRIES {
            if !matches!(written, Err(Error::NoEntry | Error::NoStorageAccess(_))) {
                break;
            }
            written = self.write(secret);
        }
        written
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        self.find()?.read().map_err(failure)
    }

    fn update_attributes(&self, attributes: &HashMap<&str, &str>) -> Result<()> {
        let Some(left) = attributes
            .get(LIFETIME)
            .and_then(|seconds| seconds.parse().ok())
        else {
            return Ok(());
        };
        // Zero would mean "never"; the kernel takes 32 bits.
        let left = Duration::from_secs(left)
            .clamp(Duration::from_secs(1), Duration::from_secs(u32::MAX.into()));
        self.find()?.set_timeout(left).map_err(failure)
    }

    fn delete_credential(&self) -> Result<()> {
        self.find()?.invalidate().map_err(failure)
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        self.find().map(|_| None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        Some((self.service.clone(), self.user.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn user_keyring() -> Result<Keyring> {
    Keyring::attach_or_create(SpecialKeyring::User).map_err(failure)
}

/// Links the user keyring to the process keyring, which ends with us. A key is made open to its possessor alone, and who reached
/// it otherwise could not even change its permissions.
fn possess_user_keyring() -> Result<()> {
    let mut process = Keyring::attach_or_create(SpecialKeyring::Process).map_err(failure)?;
    process.link_keyring(&user_keyring()?).map_err(failure)
}

fn own_keyring() -> Result<Option<Keyring>> {
    match user_keyring()?
        .search_for_keyring(SERVICE, None)
        .map_err(failure)
    {
        Ok(keyring) => Ok(Some(keyring)),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whatever is in our keyring. `keyutils` reads the description of each, and panics where another program's has a `;` or is no UTF-8.
fn own_keys() -> Result<Vec<KeyringSerial>> {
    let found = keyctl_search(KEY_SPEC_USER_KEYRING, "keyring", SERVICE, None).map_err(failure);
    let keyring = match found {
        Ok(keyring) => keyring,
        Err(Error::NoEntry) => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let serials = fetch(|buffer| keyctl_read(keyring, Some(buffer.into()))).map_err(failure)?;
    let serials = serials
        .chunks_exact(size_of::<i32>())
        .filter_map(|serial| serial.try_into().ok());
    Ok(serials
        .filter_map(|serial| KeyringSerial::new(i32::from_ne_bytes(serial)))
        .collect())
}

/// What the kernel says of a key, without the zero at its end. A key that is gone by now, or whose description is no text, is not ours.
fn describe(key: KeyringSerial) -> Option<String> {
    let mut description = fetch(|buffer| keyctl_describe(key, Some(buffer.into()))).ok()?;
    description.pop();
    String::from_utf8(description).ok()
}

/// Bytes of the kernel, which says how many there are, also when it has written none or only some of them.
fn fetch(ask: impl Fn(&mut [u8]) -> keyutils::Result<usize>) -> keyutils::Result<Vec<u8>> {
    let mut buffer = vec![];
    loop {
        let size = ask(&mut buffer)?;
        let is_whole = size <= buffer.len();
        buffer.resize(size, 0);
        if is_whole {
            return Ok(buffer);
        }
    }
}

fn make_own_keyring() -> Result<Keyring> {
    let mut keyring = user_keyring()?.add_keyring(SERVICE).map_err(failure)?;
    keyring.set_permissions(owner_only()).map_err(failure)?;
    Ok(keyring)
}

/// Everything for the possessor and for processes of the same uid, nothing for the group and for others.
fn owner_only() -> Permission {
    Permission::POSSESSOR_ALL | Permission::USER_ALL
}

/// The kernel's answer in the terms of keyring-core (errno values of keyctl(2)).
fn failure(errno: keyutils::Error) -> Error {
    use rustix::io::Errno;
    match Errno::from_raw_os_error(errno.0) {
        Errno::NOKEY | Errno::KEYEXPIRED | Errno::KEYREVOKED => Error::NoEntry,
        Errno::ACCESS | Errno::PERM => Error::NoStorageAccess(errno.into()),
        _ => Error::PlatformFailure(errno.into()),
    }
}
