//! A connection to the session bus.
//!
//! Everything that can be said before the first answer is sent with it: the sign-in, the greeting, and the first calls. The user
//! is not named, so that the bus takes whom the kernel names: in a user namespace the own uid is another than the one outside, which
//! the bus knows. `sd-bus` signs in the same way, so every bus understands it.

use super::address::Address;
use super::message::{self, Call, LONGEST, Message, PREFIX, Reply};
use super::wire::{Bytes, Writer};
use keyring_core::{Error, Result};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The sign-in (D-Bus specification, "Authentication Protocol"), from the first byte, which is zero, to the end of its last line.
const SIGN_IN: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

/// The longest line of the sign-in: it holds a word and a number of 32 digits.
const LONGEST_LINE: usize = 512;

/// All that is read for one question, so that a bus that talks without end costs no memory.
const MOST: usize = 8 * LONGEST;

/// An answer to come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending(u32);

pub(super) struct Connection {
    stream: UnixStream,
    guid: Option<Vec<u8>>,
    deadline: Instant,
    /// The answer to the greeting, before it has come.
    greeting: Option<Pending>,
    serial: u32,
    unsent: Bytes,
    unread: Bytes,
    /// How much may still be read.
    left: usize,
    awaited: Vec<Pending>,
    arrived: Vec<Reply>,
}

impl Connection {
    /// Connects to the first socket that takes us. Nothing that is done with the connection takes longer than until `deadline`.
    pub(super) fn open(addresses: &[Address], deadline: Instant) -> Result<Self> {
        let mut problem = Error::NotSupportedByStore("there is no session bus".into());
        for address in addresses {
            match connect(address, deadline) {
                Ok(stream) => return Self::greet(stream, address.guid.clone(), deadline),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(unanswered()),
                Err(error) => {
                    problem = Error::NotSupportedByStore(format!(
                        "the session bus cannot be reached: {error}"
                    ));
                }
            }
        }
        Err(problem)
    }

    /// Begins another question, which takes no longer than until `deadline`. Answers that nobody has asked for since are dropped.
    pub(super) fn give_until(&mut self, deadline: Instant) {
        (self.deadline, self.left) = (deadline, MOST);
        self.awaited
            .retain(|pending| self.greeting == Some(*pending));
        self.arrived.clear();
    }

    fn greet(stream: UnixStream, guid: Option<Vec<u8>>, deadline: Instant) -> Result<Self> {
        let (unread, awaited, arrived) = Default::default();
        let mut unsent = Bytes::default();
        unsent.extend(SIGN_IN);
        let mut this = Self {
            stream,
            guid,
            deadline,
            greeting: None,
            serial: 0,
            unsent,
            unread,
            left: MOST,
            awaited,
            arrived,
        };
        let hello = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            signature: "",
            body: Writer::default(),
        };
        this.greeting = Some(this.call(hello)?);
        Ok(this)
    }

    /// Makes a call ready, to be sent when the first answer is waited for.
    pub(super) fn call(&mut self, call: Call<'_>) -> Result<Pending> {
        self.serial += 1;
        self.unsent.extend(call.encode(self.serial)?.as_slice());
        let pending = Pending(self.serial);
        self.awaited.push(pending);
        Ok(pending)
    }

    /// Sends what is ready and waits for the answer to a call, which may be an error.
    pub(super) fn answer(&mut self, pending: Pending) -> Result<Reply> {
        self.send()?;
        if let Some(greeting) = self.greeting.take() {
            self.sign_in()?;
            let reply = self.receive(greeting)?;
            if let Some(error) = reply.error {
                return Err(Error::NotSupportedByStore(format!(
                    "the session bus refuses us: {error}"
                )));
            }
        }
        self.receive(pending)
    }

    /// Reads the bus's lines, as far as they are what [`SIGN_IN`] expects.
    fn sign_in(&mut self) -> Result<()> {
        let mut line = self.line()?;
        if line == b"DATA" {
            line = self.line()?;
        }
        let Some(guid) = line.strip_prefix(b"OK ") else {
            return Err(Error::NotSupportedByStore(
                "the session bus refuses us".into(),
            ));
        };
        match &self.guid {
            Some(expected) if expected != guid => Err(Error::NotSupportedByStore(
                "another bus has taken the place of the session bus".into(),
            )),
            _ => Ok(()),
        }
    }

    fn line(&mut self) -> Result<Vec<u8>> {
        loop {
            let unread = self.unread.as_slice();
            if let Some(end) = unread
                .windows(2)
                .take(LONGEST_LINE)
                .position(|pair| pair == b"\r\n")
            {
                let line = self.unread.take(end + 2);
                return Ok(line.as_slice()[..end].to_vec());
            }
            if unread.len() > LONGEST_LINE {
                return Err(garbled());
            }
            self.read()?;
        }
    }

    fn receive(&mut self, pending: Pending) -> Result<Reply> {
        loop {
            if let Some(place) = self.arrived.iter().position(|reply| reply.to == pending.0) {
                return Ok(self.arrived.swap_remove(place));
            }
            let message = Message::parse(self.message()?).ok_or_else(garbled)?;
            // Signals are not for us, and an answer that nobody waits for is none.
            if let Message::Reply(reply) = message
                && let Some(place) = self
                    .awaited
                    .iter()
                    .position(|awaited| awaited.0 == reply.to)
            {
                self.awaited.swap_remove(place);
                self.arrived.push(reply);
            }
        }
    }

    fn message(&mut self) -> Result<Bytes> {
        loop {
            if let Some(prefix) = self.unread.as_slice().get(..PREFIX) {
                let length = message::length(prefix).ok_or_else(garbled)?;
                if length <= self.unread.len() {
                    return Ok(self.unread.take(length));
                }
            }
            self.read()?;
        }
    }

    fn send(&mut self) -> Result<()> {
        let all = std::mem::take(&mut self.unsent);
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            self.stream
                .set_write_timeout(Some(self.patience()?))
                .map_err(broken)?;
            match self.stream.write(rest) {
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                result => rest = &rest[result.map_err(broken)?..],
            }
        }
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        self.stream
            .set_read_timeout(Some(self.patience()?))
            .map_err(broken)?;
        match self.unread.read(&self.stream) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            result => match result.map_err(broken)? {
                0 => Err(broken(ErrorKind::UnexpectedEof.into())),
                count => self
                    .left
                    .checked_sub(count)
                    .map(|left| self.left = left)
                    .ok_or_else(garbled),
            },
        }
    }

    fn patience(&self) -> Result<Duration> {
        patience(self.deadline).ok_or_else(unanswered)
    }
}

/// What is left until the deadline. The kernel takes zero, and what it rounds to it, for "without end".
fn patience(deadline: Instant) -> Option<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    (left > Duration::from_micros(1)).then_some(left)
}

/// Connects. Also this can take long: a bus that is stopped does not accept, and has room for so many only (unix(7), connect(2)).
fn connect(address: &Address, deadline: Instant) -> io::Result<UnixStream> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let left = patience(deadline).ok_or(ErrorKind::WouldBlock)?;
    set_socket_timeout(&socket, Timeout::Send, Some(left))?;
    rustix::net::connect(&socket, &address.socket)?;
    // `su` keeps the variables of who was there before: a bus of somebody else is no place for tokens. (rustix takes the process id that
    // the kernel tells along for one that is never zero, which it is for a process of another namespace.)
    let peer = nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::PeerCredentials)?;
    if peer.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(
            ErrorKind::PermissionDenied,
            "the session bus is another user's",
        ));
    }
    Ok(socket.into())
}

pub(super) fn unanswered() -> Error {
    Error::NoStorageAccess("the Secret Service does not answer".into())
}

pub(super) fn garbled() -> Error {
    Error::PlatformFailure("the answer on the session bus cannot be read".into())
}

/// A read or write that took too long ends as one that would block (socket(7), `SO_RCVTIMEO`).
fn broken(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => unanswered(),
        _ => Error::PlatformFailure(error.into()),
    }
}
