//! The kernel's user keyring as a store (keyrings(7), user-keyring(7)).
//!
//! Our keys are in a keyring of our own inside the user keyring `@u`, so that listing never meets keys of other programs. Both the keyring
//! and the keys are open to their owner by uid, not only by possession: a process whose session keyring does not link `@u` (services, CI
//! runners, `keyctl session`) can read them too. The kernel deletes a key when its lifetime ends.

use super::store::{Persistence, Store, StoreError};
use super::{KERNEL_KEYRING, SERVICE};
use keyutils_raw::{
    KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_USER_KEYRING, KeyPermissions, KeyringSerial, add_key,
    keyctl_describe, keyctl_invalidate, keyctl_link, keyctl_read, keyctl_search,
    keyctl_set_timeout, keyctl_setperm, keyctl_unlink,
};
use rustix::io::Errno;
use std::time::Duration;
use zeroize::Zeroizing;

/// How often a key is written when other processes replace its keyring.
const MAX_TRIES: usize = 10;

/// Most tokens are shorter, and are read by one system call.
const USUAL_BYTES: usize = 4096;

/// Everything for the possessor and for processes of the same uid, nothing for the group and for others (`keyctl_setperm(3)`).
const OWNER_ONLY: KeyPermissions = 0x3f3f_0000;

/// The result of a system call.
type CallResult<T> = Result<T, errno::Errno>;

/// The store; the kernel holds its state.
#[derive(Debug)]
pub(super) struct KernelKeyring;

impl Store for KernelKeyring {
    fn name(&self) -> &'static str {
        KERNEL_KEYRING
    }

    fn persistence(&self) -> Persistence {
        Persistence::UntilRestart
    }

    fn get(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let read = |serial| read_all(|buffer| keyctl_read(serial, Some(buffer.into())));
        found(find_key(key).and_then(read))
    }

    fn set(&self, key: &str, secret: &[u8], lifetime: Duration) -> Result<(), StoreError> {
        // When several processes create our keyring at the same time, the last one wins, and the keys in the other ones are lost. Once it
        // exists, no process creates another.
        let mut result = write(key, secret, lifetime);
        for _ in 1..MAX_TRIES {
            if result.is_err() {
                result = write(key, secret, lifetime);
            }
        }
        result
    }

    fn delete(&self, key: &str) -> Result<bool, StoreError> {
        Ok(found(find_key(key).and_then(keyctl_invalidate))?.is_some())
    }

    fn list(&self) -> Result<Vec<String>, StoreError> {
        let Some(keyring) = found(find_keyring())? else {
            return Ok(vec![]);
        };
        let serials = read_all(|buffer| keyctl_read(keyring, Some(buffer.into())))?;
        let (serials, _) = serials.as_chunks();
        let serials = serials.iter().map(|bytes| i32::from_ne_bytes(*bytes));
        let serials = serials.filter_map(KeyringSerial::new);
        Ok(serials.filter_map(key_of).collect())
    }
}

fn description(key: &str) -> String {
    format!("{SERVICE} {key}")
}

fn find_key(key: &str) -> CallResult<KeyringSerial> {
    keyctl_search(KEY_SPEC_USER_KEYRING, "user", &description(key), None)
}

fn find_keyring() -> CallResult<KeyringSerial> {
    keyctl_search(KEY_SPEC_USER_KEYRING, "keyring", SERVICE, None)
}

fn write(key: &str, secret: &[u8], lifetime: Duration) -> Result<(), StoreError> {
    let keyring = match found(find_keyring())? {
        Some(keyring) => keyring,
        None => create("keyring", SERVICE, &[], None, KEY_SPEC_USER_KEYRING)?,
    };
    // Zero would mean "never".
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).max(1);
    create("user", &description(key), secret, Some(seconds), keyring)?;
    // Fails if another process has just replaced the keyring.
    find_key(key)?;
    Ok(())
}

/// Creates a key or keyring in place of one with the same description.
///
/// It is complete, with its lifetime, before it is linked, so that a crash leaves no key without one. Until then the process keyring, which
/// ends with the process, holds it: only the possessor of a new key can change its permissions.
fn create(
    kind: &str,
    description: &str,
    payload: &[u8],
    seconds: Option<u32>,
    keyring: KeyringSerial,
) -> CallResult<KeyringSerial> {
    let serial = add_key(kind, description, payload, KEY_SPEC_PROCESS_KEYRING)?;
    let linked = keyctl_setperm(serial, OWNER_ONLY)
        .and_then(|()| seconds.map_or(Ok(()), |seconds| keyctl_set_timeout(serial, seconds)))
        .and_then(|()| keyctl_link(serial, keyring));
    // If it stayed there, the next write of this process would remove its lifetime for a moment.
    let unlinked = keyctl_unlink(serial, KEY_SPEC_PROCESS_KEYRING);
    linked.and(unlinked).map(|()| serial)
}

/// Returns the key of an entry in our keyring, or `None` for an entry of another program or one that was just deleted.
fn key_of(serial: KeyringSerial) -> Option<String> {
    let description = read_all(|buffer| keyctl_describe(serial, Some(buffer.into()))).ok()?;
    let description = std::str::from_utf8(description.strip_suffix(b"\0")?).ok()?;
    // `user;UID;GID;PERMISSIONS;DESCRIPTION` (`keyctl_describe(3)`).
    let mut fields = description.splitn(5, ';');
    let is_key = fields.next() == Some("user");
    let key = fields.nth(3)?.strip_prefix(SERVICE)?.strip_prefix(' ')?;
    is_key.then(|| key.to_owned())
}

/// Reads bytes from the kernel, which returns their number also if the buffer is too small.
fn read_all(read: impl Fn(&mut [u8]) -> CallResult<usize>) -> CallResult<Zeroizing<Vec<u8>>> {
    let mut size = USUAL_BYTES;
    loop {
        // Not the same vector: one that grows leaves a copy of its bytes behind.
        let mut buffer = Zeroizing::new(vec![0; size]);
        size = read(&mut buffer)?;
        if size <= buffer.len() {
            buffer.truncate(size);
            return Ok(buffer);
        }
    }
}

/// Returns `None` if there is no such key.
fn found<T>(result: CallResult<T>) -> Result<Option<T>, StoreError> {
    match result.map_err(|error| (error, Errno::from_raw_os_error(error.0))) {
        Ok(value) => Ok(Some(value)),
        Err((_, Errno::NOKEY | Errno::KEYEXPIRED | Errno::KEYREVOKED)) => Ok(None),
        Err((error, _)) => Err(error.into()),
    }
}

impl From<errno::Errno> for StoreError {
    fn from(error: errno::Errno) -> Self {
        Self::Failed(error.to_string())
    }
}
