//! A connection to the D-Bus session bus of this user.

use super::store::StoreError;
use crate::config::SessionBus;
use async_trait::async_trait;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Runtime;
use zbus::connection::socket::{ReadHalf, Split, WriteHalf};
use zbus::{Connection, Message};

/// The longest message that is sent or read. zbus itself accepts 128 MiB.
pub(super) const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// The start of a message, which says how long it is.
const HEADER_BYTES: usize = 16;

/// The handshake has two short lines, and the first messages may come with it.
const MAX_HANDSHAKE_BYTES: usize = 1 << 16;

/// A connection and the runtime that drives it.
pub(super) struct Client {
    connection: Connection,
    runtime: Option<Runtime>,
}

impl Client {
    /// Connects to the first address of the bus that accepts.
    pub(super) fn connect(bus: &SessionBus) -> Result<Self, StoreError> {
        let mut result = Err(StoreError::Missing("there is no session bus".into()));
        for address in addresses(bus) {
            match open_socket(&address.socket) {
                Ok(stream) => return Self::sign_in(stream, address.guid.as_deref()),
                Err(error) => {
                    let text = format!("the session bus cannot be reached: {error}");
                    result = Err(StoreError::Missing(text));
                }
            }
        }
        result
    }

    fn sign_in(stream: UnixStream, guid: Option<&[u8]>) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let runtime = runtime.map_err(|error| StoreError::Failed(error.to_string()))?;
        let connection = runtime.block_on(async {
            let (reader, writer) = tokio::net::UnixStream::from_std(stream)?.into_split();
            let reader: Box<dyn ReadHalf> = Box::new(BoundedReader {
                reader: Reader(reader),
                handshake_bytes: MAX_HANDSHAKE_BYTES,
            });
            let writer: Box<dyn WriteHalf> = Box::new(Writer(writer));
            let builder = zbus::connection::Builder::socket(Split::new(reader, writer));
            builder.user_id(outer_uid()?).build().await
        });
        let connection = connection.map_err(|error| match error {
            zbus::Error::Handshake(_) => {
                StoreError::Missing("the session bus refuses the connection".into())
            }
            error => error.into(),
        })?;
        // Only the bus's own user knows its GUID, so that another bus cannot take the place of one that has ended.
        if guid.is_some_and(|guid| guid != connection.server_guid().as_str().as_bytes()) {
            let text = "another bus has taken the place of the session bus";
            return Err(StoreError::Missing(text.into()));
        }
        Ok(Self {
            connection,
            runtime: Some(runtime),
        })
    }

    /// Runs an operation to its end.
    pub(super) fn run<T>(
        &self,
        operation: impl AsyncFnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let runtime = self.runtime.as_ref().ok_or(StoreError::TooLong)?;
        runtime.block_on(operation(&self.connection))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Drop for Client {
    /// Tokio panics when a runtime is dropped inside another one, as the last owner of the store may do.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One address of a bus (D-Bus specification, "Server Addresses").
struct Address {
    socket: SocketAddr,
    /// How the bus identifies itself.
    guid: Option<Vec<u8>>,
}

/// Returns the Unix sockets to try, in order. Other kinds of addresses are skipped: a bus is neither started nor sought on a network.
fn addresses(bus: &SessionBus) -> Vec<Address> {
    match bus {
        SessionBus::Addresses(list) => list
            .to_str()
            .unwrap_or_default()
            .split(';')
            .filter_map(parse_address)
            .collect(),
        SessionBus::Socket(path) if is_own(path) => SocketAddr::from_pathname(path)
            .map(|socket| Address { socket, guid: None })
            .into_iter()
            .collect(),
        SessionBus::Nowhere | SessionBus::Socket(_) => vec![],
    }
}

/// Like libdbus, trusts the socket that no variable names only if it is the user's own.
fn is_own(path: &Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|file| file.st_uid == rustix::process::geteuid().as_raw())
}

/// Parses `unix:path=…` or `unix:abstract=…`, with any other options.
fn parse_address(address: &str) -> Option<Address> {
    let mut options = HashMap::new();
    for option in address.strip_prefix("unix:")?.split(',') {
        let (name, value) = option.split_once('=')?;
        options.insert(
            name,
            percent_encoding::percent_decode_str(value).collect::<Vec<u8>>(),
        );
    }
    let socket = match (options.get("path"), options.get("abstract")) {
        (Some(path), None) => SocketAddr::from_pathname(OsStr::from_bytes(path)),
        (None, Some(name)) => SocketAddr::from_abstract_name(name),
        _ => return None,
    };
    Some(Address {
        socket: socket.ok()?,
        guid: options.remove("guid"),
    })
}

/// Connects to a bus of this user. `su` keeps the variables of the user before, whose bus must not receive tokens.
fn open_socket(address: &SocketAddr) -> io::Result<UnixStream> {
    let stream = UnixStream::connect_addr(address)?;
    // rustix assumes that the process id beside the uid is never zero; of a process in another namespace it is.
    let peer = getsockopt(&stream, PeerCredentials)?;
    if peer.uid() != rustix::process::geteuid().as_raw() {
        let text = "the session bus is another user's";
        return Err(io::Error::new(ErrorKind::PermissionDenied, text));
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Returns the uid of this user outside of a user namespace (`user_namespaces(7)`), by which the bus knows it.
fn outer_uid() -> io::Result<u32> {
    let own = rustix::process::geteuid().as_raw();
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let outer = map.lines().find_map(|line| {
        let numbers: Vec<u32> = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let [inside, outside, count] = numbers[..] else {
            return None;
        };
        let offset = own.checked_sub(inside).filter(|offset| *offset < count)?;
        outside.checked_add(offset)
    });
    Ok(outer.unwrap_or(own))
}

#[derive(Debug)]
struct Reader(OwnedReadHalf);

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        Ok((self.0.read(buffer).await?, vec![]))
    }
}

/// Refuses messages and handshakes that are too long, before memory is allocated for them.
#[derive(Debug)]
struct BoundedReader {
    reader: Reader,
    /// How many bytes of the handshake may still come.
    handshake_bytes: usize,
}

#[async_trait]
impl ReadHalf for BoundedReader {
    async fn receive_message(
        &mut self,
        sequence: u64,
        received: &mut Vec<u8>,
        descriptors: &mut Vec<OwnedFd>,
    ) -> zbus::Result<Message> {
        while received.len() < HEADER_BYTES {
            let mut buffer = [0; HEADER_BYTES];
            let missing = &mut buffer[received.len()..];
            let (count, _) = self.reader.recvmsg(missing).await?;
            if count == 0 {
                return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
            }
            received.extend_from_slice(&missing[..count]);
        }
        if body_and_fields_bytes(received) > MAX_MESSAGE_BYTES {
            return Err(zbus::Error::ExcessData);
        }
        self.reader
            .receive_message(sequence, received, descriptors)
            .await
    }

    /// Receives a part of the handshake. Messages do not come this way.
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let (count, descriptors) = self.reader.recvmsg(buffer).await?;
        let is_first = self.handshake_bytes == MAX_HANDSHAKE_BYTES;
        let left = self.handshake_bytes.checked_sub(count);
        // zbus 6.2.1 panics on an empty first line.
        if is_first && buffer.first() == Some(&b'\n') || left.is_none() {
            return Err(ErrorKind::InvalidData.into());
        }
        self.handshake_bytes = left.unwrap_or_default();
        Ok((count, descriptors))
    }
}

/// Reads the two lengths in a header (D-Bus specification, "Message Format").
fn body_and_fields_bytes(header: &[u8]) -> usize {
    let number = |at: usize| {
        let bytes = header[at..at + 4].try_into().unwrap_or_default();
        let number = match header[0] {
            b'B' => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        };
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    number(4).saturating_add(number(12))
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
