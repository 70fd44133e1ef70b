//! Where the session bus is (D-Bus specification, "Server Addresses").

use crate::config::SessionBus;
use rustix::net::SocketAddrUnix;
use std::os::unix::ffi::OsStrExt;

/// One socket to try.
pub(super) struct Address {
    pub(super) socket: SocketAddrUnix,
    /// What the bus behind it says of itself if it is the right one. It is told to nobody but the bus's user, so that nobody else can
    /// take the place of a bus that has ended.
    pub(super) guid: Option<Vec<u8>>,
}

/// The sockets to try, in order. Addresses of other kinds are passed over: a bus is neither started nor sought on a network.
pub(super) fn addresses(bus: &SessionBus) -> Vec<Address> {
    match bus {
        SessionBus::Addresses(list) => list
            .as_bytes()
            .split(|byte| *byte == b';')
            .filter_map(parse)
            .collect(),
        SessionBus::Socket(path) if is_ours(path) => SocketAddrUnix::new(path)
            .map(|socket| Address { socket, guid: None })
            .into_iter()
            .collect(),
        SessionBus::Nowhere | SessionBus::Socket(_) => vec![],
    }
}

/// As in libdbus, the socket that nobody has named is trusted only if it is the user's own.
fn is_ours(path: &std::path::Path) -> bool {
    rustix::fs::stat(path).is_ok_and(|file| file.st_uid == rustix::process::geteuid().as_raw())
}

/// `unix:path=…` or `unix:abstract=…`, with any other keys.
fn parse(address: &[u8]) -> Option<Address> {
    let (mut sockets, mut guid) = (vec![], None);
    for pair in address.strip_prefix(b"unix:")?.split(|byte| *byte == b',') {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let value = unescape(&pair[equals + 1..])?;
        match &pair[..equals] {
            b"path" => sockets.push(SocketAddrUnix::new(value).ok()?),
            b"abstract" => sockets.push(SocketAddrUnix::new_abstract_name(&value).ok()?),
            b"guid" => guid = Some(value),
            _ => (),
        }
    }
    let socket = sockets.pop().filter(|_| sockets.is_empty())?;
    Some(Address { socket, guid })
}

/// Resolves `%2f` and the like.
fn unescape(value: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value.iter();
    while let Some(byte) = rest.next() {
        plain.push(match byte {
            b'%' => digit(rest.next())? << 4 | digit(rest.next())?,
            byte => *byte,
        });
    }
    Some(plain)
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    char::from(*byte?)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Paths as they are, abstract names after an `@`, and the guid.
    fn read(list: &str) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let name = |socket: &SocketAddrUnix| match (socket.path_bytes(), socket.abstract_name()) {
            (Some(path), _) => text(path),
            (_, Some(name)) => format!("@{}", text(name)),
            _ => panic!("a socket without a name"),
        };
        let found = addresses(&SessionBus::Addresses(list.into()));
        found
            .iter()
            .map(|address| (name(&address.socket), address.guid.as_deref().map(text)))
            .collect()
    }

    #[test]
    fn sockets_are_found_in_order_and_other_addresses_passed_over() {
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
            ("unix:path=/a%", vec![]),
            ("unix:path=/a%2", vec![]),
            ("unix:path=/a%zz", vec![]),
            ("unix:path=/a%00b", vec![]),
            ("unixexec:path=/bin/sh", vec![]),
            (
                "tcp:host=127.0.0.1,port=1;nonce-tcp:host=127.0.0.1,port=1;launchd:env=X",
                vec![],
            ),
        ] {
            assert_eq!(read(list), expected, "{list}");
        }
        assert_eq!(read(&format!("unix:path=/{}", "a".repeat(200))), []);
    }

    #[test]
    fn the_socket_of_the_session_must_be_the_users_own() {
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

    proptest! {
        #[test]
        fn any_address_is_read_to_its_end(list in "(unix:|path=|abstract=|guid=|[;,=%]|[0-9a-f]|/|\\PC){0,40}") {
            let _ = addresses(&SessionBus::Addresses(list.into()));
        }
    }
}
