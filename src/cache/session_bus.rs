//! Connects to the D-Bus session bus of this user.

use super::secret_service::failed;
use super::store::StoreError;
use crate::config::SessionBus;
use async_trait::async_trait;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use percent_encoding::percent_decode_str;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use zbus::Connection;
use zbus::connection::Builder;
use zbus::connection::socket::{BoxedSplit, ReadHalf, WriteHalf};

/// The longest message that is sent or read. zbus itself accepts 128 MiB.
pub(super) const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The handshake has two short lines, and the first messages may come with it.
const MAX_HANDSHAKE_BYTES: usize = 1 << 16;

/// The start of a message, which zbus reads on its own.
const HEADER_BYTES: usize = 16;

/// Connects to the first address of the bus that accepts.
pub(super) async fn connect(bus: &SessionBus) -> Result<Connection, StoreError> {
    let mut problem = StoreError::Missing("there is no session bus".into());
    for (socket, guid) in addresses(bus) {
        match open_socket(&socket) {
            Ok(stream) => return sign_in(stream, guid.as_deref()).await,
            Err(error) => problem = connect_error(&error),
        }
    }
    Err(problem)
}

/// Distinguishes a bus that does not run, or is another user's, from a process that has no file descriptor or memory left.
pub(super) fn connect_error(error: &io::Error) -> StoreError {
    let text = format!("the session bus cannot be reached: {error}");
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::PermissionDenied => {
            StoreError::Missing(text)
        }
        _ => StoreError::Failed(text),
    }
}

async fn sign_in(stream: UnixStream, guid: Option<&[u8]>) -> Result<Connection, StoreError> {
    let stream = tokio::net::UnixStream::from_std(stream).map_err(failed)?;
    let (reader, writer) = stream.into_split();
    let reader = Reader {
        stream: reader,
        remaining_bytes: MAX_HANDSHAKE_BYTES,
    };
    let socket = BoxedSplit::new(Box::new(reader), Box::new(Writer(writer)));
    let builder = Builder::socket(socket).user_id(outer_uid());
    let connection = builder.build().await.map_err(|error| match error {
        zbus::Error::Handshake(_) => {
            StoreError::Missing("the session bus refuses the connection".into())
        }
        error => failed(error),
    })?;
    // The address holds the GUID of the bus, so that another bus cannot replace one that has ended.
    if guid.is_some_and(|guid| guid != connection.server_guid().as_str().as_bytes()) {
        let text = "another bus has taken the place of the session bus";
        return Err(StoreError::Missing(text.into()));
    }
    Ok(connection)
}

/// An address of a bus, and its GUID (D-Bus specification, "Server Addresses").
type Address = (SocketAddr, Option<Vec<u8>>);

/// Returns the Unix sockets to try, in order. Skips other addresses: this helper neither starts a bus nor looks for one on a network.
fn addresses(bus: &SessionBus) -> Vec<Address> {
    match bus {
        SessionBus::Addresses(list) => list
            .to_str()
            .unwrap_or_default()
            .split(';')
            .filter_map(parse_address)
            .collect(),
        SessionBus::Socket(path) if is_own(path) => SocketAddr::from_pathname(path)
            .map(|socket| (socket, None))
            .into_iter()
            .collect(),
        SessionBus::Nowhere | SessionBus::Socket(_) => vec![],
    }
}

/// Returns whether the default socket is the user's own. Like libdbus, the helper ignores it otherwise.
fn is_own(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|file| file.st_uid == rustix::process::geteuid().as_raw())
}

/// Parses `unix:path=…` or `unix:abstract=…`, with any other options. zbus does not decode the percent signs of a path.
fn parse_address(address: &str) -> Option<Address> {
    let (mut socket, mut guid) = (None, None);
    for option in address.strip_prefix("unix:")?.split(',') {
        let (name, value) = option.split_once('=')?;
        let value: Vec<u8> = percent_decode_str(value).collect();
        match name {
            "path" | "abstract" if socket.is_some() => return None,
            "path" => socket = Some(SocketAddr::from_pathname(OsStr::from_bytes(&value))),
            "abstract" => socket = Some(SocketAddr::from_abstract_name(value)),
            "guid" => guid = Some(value),
            _ => {}
        }
    }
    Some((socket?.ok()?, guid))
}

/// Connects to a bus of this user. `su` keeps the variables of the previous user, whose bus must not receive tokens.
fn open_socket(address: &SocketAddr) -> io::Result<UnixStream> {
    let stream = UnixStream::connect_addr(address)?;
    // rustix assumes that the process id is never zero, but it is zero for a process in another namespace.
    let peer = getsockopt(&stream, PeerCredentials)?;
    if peer.uid() != rustix::process::geteuid().as_raw() {
        let text = "the session bus is another user's";
        return Err(io::Error::new(ErrorKind::PermissionDenied, text));
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Returns the uid of this user outside of the user namespace, which is the one that the bus sees.
///
/// In a user namespace within another one, the kernel shows only the uid in the outer one of the two. The bus refuses that uid, so that
/// there is no Secret Service for such a process.
fn outer_uid() -> u32 {
    let uid = rustix::process::geteuid().as_raw();
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map_uid(uid, &map).unwrap_or(uid)
}

/// Maps a uid by lines of `inside outside count` (`user_namespaces(7)`).
fn map_uid(uid: u32, map: &str) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse().ok());
        let (inside, outside, count): (u32, u32, u32) =
            (numbers.next()?, numbers.next()?, numbers.next()?);
        let offset = uid.checked_sub(inside).filter(|offset| *offset < count)?;
        outside.checked_add(offset)
    })
}

/// Reads from the bus, with limits that zbus does not have.
#[derive(Debug)]
struct Reader {
    stream: OwnedReadHalf,
    remaining_bytes: usize,
}

#[async_trait]
impl ReadHalf for Reader {
    /// Reads a part of the handshake, the header of a message, or the rest of a message, which has the length of the buffer.
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        if buffer.len() > MAX_MESSAGE_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        let is_first = self.remaining_bytes == MAX_HANDSHAKE_BYTES;
        if buffer.len() <= HEADER_BYTES {
            self.remaining_bytes = MAX_MESSAGE_BYTES;
        }
        let count = self.stream.read(buffer).await?;
        // zbus 6.2.1 panics when the handshake begins with an empty line.
        if count > self.remaining_bytes || (is_first && buffer.first() == Some(&b'\n')) {
            return Err(ErrorKind::InvalidData.into());
        }
        self.remaining_bytes -= count;
        Ok((count, vec![]))
    }
}

#[derive(Debug)]
struct Writer(OwnedWriteHalf);

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, buffer: &[u8], _: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.write(buffer).await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns paths as they are, abstract names after an `@`, and the GUIDs.
    fn parse(list: &str) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = |socket: &SocketAddr| match (socket.as_pathname(), socket.as_abstract_name()) {
            (Some(path), _) => path.display().to_string(),
            (_, Some(name)) => format!("@{}", text(name)),
            _ => panic!("a socket without a name"),
        };
        let found = addresses(&SessionBus::Addresses(list.into()));
        found
            .iter()
            .map(|(socket, guid)| (name(socket), guid.as_deref().map(text)))
            .collect()
    }

    #[test]
    fn sockets_are_found_in_order_and_other_addresses_skipped() {
        let found = |name: &str| vec![(name.to_owned(), None)];
        for (list, expected) in [
            ("unix:path=/run/user/1000/bus", found("/run/user/1000/bus")),
            ("unix:abstract=/tmp/dbus-a", found("@/tmp/dbus-a")),
            ("unix:path=/a%20b%2Fc%3b", found("/a b/c;")),
            ("unix:path=/a,runtime=no", found("/a")),
            (
                "unix:guid=12ab,path=/a",
                vec![("/a".into(), Some("12ab".into()))],
            ),
            (
                "unix:abstract=a,guid=1;tcp:host=h,port=1;unix:path=/b",
                vec![("@a".into(), Some("1".into())), ("/b".into(), None)],
            ),
            (";;unix:path=/a;", found("/a")),
            ("", vec![]),
            ("autolaunch:", vec![]),
            ("disabled:", vec![]),
            ("unix:runtime=yes", vec![]),
            ("unix:tmpdir=/tmp", vec![]),
            ("unix:path=/a,abstract=b", vec![]),
            ("unix:path", vec![]),
            ("unix:path=/a%00b", vec![]),
            ("unixexec:path=/bin/sh", vec![]),
            (
                "tcp:host=127.0.0.1,port=1;nonce-tcp:host=127.0.0.1,port=1;launchd:env=X",
                vec![],
            ),
        ] {
            assert_eq!(parse(list), expected, "{list}");
        }
        assert_eq!(parse(&format!("unix:path=/{}", "a".repeat(200))), []);
    }

    #[test]
    fn the_default_socket_must_be_the_users_own() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("bus");
        assert!(addresses(&SessionBus::Socket(socket.clone())).is_empty());
        std::fs::write(&socket, "").unwrap();
        assert_eq!(addresses(&SessionBus::Socket(socket.clone())).len(), 1);
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&socket, Some(1), None).unwrap();
            assert!(addresses(&SessionBus::Socket(socket)).is_empty());
        }
    }

    #[test]
    fn a_uid_is_mapped_to_the_one_outside() {
        for (map, own, expected) in [
            ("         0          0 4294967295\n", 1000, 1000),
            ("0 1000 1\n1 100000 65536\n", 0, 1000),
            ("0 1000 1\n1 100000 65536\n", 1000, 100_999),
            ("1234 1000 1\n", 1234, 1000),
            ("", 1000, 1000),
            ("0 1000\nx y z\n", 0, 0),
        ] {
            assert_eq!(map_uid(own, map).unwrap_or(own), expected, "{map:?} {own}");
        }
    }

    proptest! {
        #[test]
        fn any_address_is_read_to_its_end(list in "(unix:|path=|abstract=|guid=|[;,=%]|[0-9a-f]|/|\\PC){0,40}") {
            let _ = addresses(&SessionBus::Addresses(list.into()));
        }
    }
}
