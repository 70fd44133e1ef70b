//! Whose program is at the other end of a connection of this machine.
//!
//! The state of a sign-in stands among the arguments of the program that opens the browser, where every user of the machine can read it.
//! So it does not prove that it is brought by the one who signs in, and the kernel is asked (`proc_net_tcp.rst` of Linux).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// An established connection, in the table of the kernel.
const ESTABLISHED: &str = "01";

/// Whether somebody else than `user` is at the other end of a connection, or nobody any more: a browser waits for its page. Nobody is
/// taken for somebody else where the kernel does not say who it is: a browser may be outside of what it sees, as that of Windows is to
/// Linux in it. The superuser may do everything anyway, and relays such browsers.
pub(super) fn is_stranger(
    tables: &[String],
    user: u32,
    ours: SocketAddr,
    theirs: SocketAddr,
) -> bool {
    if tables.is_empty() {
        return false;
    }
    let (ours, theirs) = (names(ours), names(theirs));
    if let Some(end) = tables.iter().find_map(|table| find(table, &theirs, &ours)) {
        return !end.is_open || (end.user != user && end.user != 0);
    }
    let own = tables.iter().find_map(|table| find(table, &ours, &theirs));
    own.is_none_or(|own| !own.is_established)
}

/// The tables of the kernel, if it has some.
pub(super) fn tables() -> Vec<String> {
    let files = if cfg!(target_os = "linux") {
        &["/proc/self/net/tcp", "/proc/self/net/tcp6"][..]
    } else {
        &[]
    };
    files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .collect()
}

/// One end of a connection.
struct End {
    user: u32,
    is_established: bool,
    /// Whether a program still holds it: afterwards its user is not told.
    is_open: bool,
}

/// The end of a connection at the first of two addresses.
fn find(table: &str, here: &[String], there: &[String]) -> Option<End> {
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, local, remote, state, _, _, _, user, _, inode, ..] = fields[..] else {
            return None;
        };
        let is_it =
            here.iter().any(|name| name == local) && there.iter().any(|name| name == remote);
        let end = End {
            user: user.parse().ok()?,
            is_established: state == ESTABLISHED,
            is_open: inode != "0",
        };
        is_it.then_some(end)
    })
}

/// An address as the tables write it: words of four bytes as they lie in memory. One of IPv4 may be written as one of IPv6.
fn names(address: SocketAddr) -> Vec<String> {
    let name = |bytes: &[u8]| {
        let words = bytes
            .chunks_exact(4)
            .filter_map(|word| Some(u32::from_ne_bytes(word.try_into().ok()?)));
        let mut name = String::new();
        for word in words {
            // A text takes everything.
            let _ = write!(name, "{word:08X}");
        }
        format!("{name}:{:04X}", address.port())
    };
    match address.ip() {
        IpAddr::V4(ip) => vec![name(&ip.octets()), name(&ip.to_ipv6_mapped().octets())],
        IpAddr::V6(ip) => vec![name(&ip.octets())],
    }
}

#[cfg(all(test, target_os = "linux", target_endian = "little"))]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    /// One row: who is where, in which state, and which inode.
    fn row(from: &str, to: &str, state: &str, user: u32, inode: u32) -> String {
        format!(
            "   1: {from} {to} {state} 00000000:00000000 00:00000000 00000000 {user:5}        0 {inode} 1 0 20 4 30 10 -1\n"
        )
    }

    #[test]
    fn a_program_of_another_user_is_a_stranger_and_one_that_is_not_seen_is_not() {
        let (ours, theirs) = (
            "127.0.0.1:8080".parse().unwrap(),
            "127.0.0.1:50000".parse().unwrap(),
        );
        let (own, peer, mapped) = (
            "0100007F:1F90",
            "0100007F:C350",
            "0000000000000000FFFF00000100007F:C350",
        );
        let accepted = row(own, peer, "01", 1000, 7);
        for (rows, is_stranger) in [
            (accepted.clone() + &row(peer, own, "01", 1000, 8), false),
            (accepted.clone() + &row(peer, own, "01", 0, 8), false),
            (accepted.clone() + &row(peer, own, "01", 1001, 8), true),
            (
                accepted.clone()
                    + &row(
                        mapped,
                        "0000000000000000FFFF00000100007F:1F90",
                        "01",
                        1001,
                        8,
                    ),
                true,
            ),
            // It has ended, and the kernel no longer tells whose it was.
            (
                row(own, peer, "08", 1000, 7) + &row(peer, own, "05", 0, 0),
                true,
            ),
            (row(own, peer, "08", 1000, 7), true),
            (String::new(), true),
            // Nobody knows who it is.
            (accepted.clone(), false),
            (accepted + &row("0100007F:C351", own, "01", 1001, 8), false),
        ] {
            assert_eq!(
                super::is_stranger(&[HEAD.to_owned() + &rows], 1000, ours, theirs),
                is_stranger,
                "{rows}"
            );
        }
        assert!(!super::is_stranger(&[], 1000, ours, theirs));
        let six = (
            "[::1]:8080".parse().unwrap(),
            "[::1]:50000".parse().unwrap(),
        );
        let one = "00000000000000000000000001000000";
        let rows = row(
            &format!("{one}:C350"),
            &format!("{one}:1F90"),
            "01",
            1001,
            8,
        );
        assert!(super::is_stranger(
            &[String::new(), rows],
            1000,
            six.0,
            six.1
        ));
    }

    #[test]
    fn the_kernel_tells_who_is_there_for_as_long_as_somebody_is() {
        let user = rustix::process::geteuid().as_raw();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let is_stranger = |stream: &TcpStream, user| {
                super::is_stranger(
                    &tables(),
                    user,
                    stream.local_addr().unwrap(),
                    stream.peer_addr().unwrap(),
                )
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            assert!(!is_stranger(&stream, user), "{address}");
            assert_eq!(is_stranger(&stream, user + 1), user != 0, "{address}");
            drop(client);
            assert!(is_stranger(&stream, user), "{address}");
        }
    }
}
