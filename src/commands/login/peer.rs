//! Checks which user's program is at the other end of a loopback connection (Linux, `proc_net_tcp.rst`).
//!
//! The address of a sign-in is an argument of the program that opens the browser, and every user of the machine can read the `state` in it.
//! A private file that redirects to the address, as Jupyter opens it, would hide `state`, but fails too often: a browser in a snap reads
//! neither `/tmp` nor hidden folders, and with `BROWSER` of an editor's remote terminal or `wslview` the browser has other files.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use tokio::net::TcpStream;

/// The state of an established connection.
const ESTABLISHED: &str = "01";

/// Returns whether the program at the other end belongs to another user, or has ended: a browser waits for its page.
pub(super) fn is_other_user(stream: &TcpStream) -> bool {
    let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else {
        return true;
    };
    let user = rustix::process::geteuid().as_raw();
    is_owned_by_other(&connections(), user, local, peer)
}

/// Reads the connections of the kernel. Empty if it shows none.
fn connections() -> String {
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .map(|file| std::fs::read_to_string(file).unwrap_or_default())
        .concat()
}

/// Unknown owners are accepted, because a browser may be in another network namespace, or on Windows under WSL. So is root, which can read
/// everything anyway, and relays the connections of such browsers.
fn is_owned_by_other(connections: &str, user: u32, local: SocketAddr, peer: SocketAddr) -> bool {
    match find_socket(connections, peer, local) {
        // Once no program holds the socket, the kernel shows no owner.
        Some([_, _, "0"]) => true,
        Some([_, owner, _]) => !["0", &user.to_string()].contains(&owner),
        None if connections.is_empty() => false,
        // Without the other end, the connection is open only if this end says so.
        None => {
            find_socket(connections, local, peer).is_none_or(|[state, ..]| state != ESTABLISHED)
        }
    }
}

/// Returns the state, the owner and the inode of one end of a connection.
fn find_socket(connections: &str, local: SocketAddr, peer: SocketAddr) -> Option<[&str; 3]> {
    connections.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, from, to, state, _, _, _, owner, _, inode, ..] = fields[..] else {
            return None;
        };
        let is_it = parse_address(from)? == local && parse_address(to)? == peer;
        is_it.then_some([state, owner, inode])
    })
}

/// Parses an address in words of four bytes, each in the byte order of this machine. IPv4 may be written as IPv6.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| {
        let word = u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = if ip.len() == 8 {
        IpAddr::from(word(0)?)
    } else {
        let bytes = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        Ipv6Addr::from(bytes).to_canonical()
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(target_endian = "little")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    /// Returns one row of the table.
    fn row(from: &str, to: &str, state: &str, user: u32, inode: u32) -> String {
        format!(
            "   1: {from} {to} {state} 00000000:00000000 00:00000000 00000000 {user:5}        0 {inode} 1 0 20 4 30 10 -1\n"
        )
    }

    #[test]
    fn a_program_of_another_user_is_known_and_an_unknown_owner_is_accepted() {
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
        for (rows, is_other) in [
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
            // The program has ended, and the kernel no longer shows its owner.
            (
                row(own, peer, "08", 1000, 7) + &row(peer, own, "05", 0, 0),
                true,
            ),
            (row(own, peer, "08", 1000, 7), true),
            (String::new(), true),
            // The kernel does not show the other end.
            (accepted.clone(), false),
            (accepted + &row("0100007F:C351", own, "01", 1001, 8), false),
        ] {
            assert_eq!(
                is_owned_by_other(&(HEAD.to_owned() + &rows), 1000, ours, theirs),
                is_other,
                "{rows}"
            );
        }
        assert!(!is_owned_by_other("", 1000, ours, theirs));
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
        assert!(is_owned_by_other(&rows, 1000, six.0, six.1));
    }

    #[test]
    fn the_kernel_shows_the_owner_while_the_program_runs() {
        let user = rustix::process::geteuid().as_raw();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                continue;
            };
            let is_other = |stream: &TcpStream, user| {
                let (ours, theirs) = (stream.local_addr(), stream.peer_addr());
                is_owned_by_other(&connections(), user, ours.unwrap(), theirs.unwrap())
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().unwrap();
            assert!(!is_other(&stream, user), "{address}");
            assert_eq!(is_other(&stream, user + 1), user != 0, "{address}");
            drop(client);
            assert!(is_other(&stream, user), "{address}");
        }
    }
}
