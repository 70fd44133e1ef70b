//! Addresses: the name look-up in both families, whether they are private, and the first connection.

use crate::commands::report::{Check, list};
use crate::deadline::Deadline;
use crate::error::{Error, Stage, printable};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

pub(super) const DNS: &str = "dns";
pub(super) const TCP: &str = "tcp";

/// How long one address may keep us, when there are others.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found of the way to a host.
pub(super) struct Found {
    pub(super) dns: Check,
    pub(super) tcp: Check,
    /// Whether the name has an address of the internet.
    pub(super) is_public: bool,
}

/// Looks the name up and connects. Where a proxy is in play both are its business.
pub(super) async fn look(
    host: &str,
    proxy: Option<&str>,
    circumstances: &[String],
    deadline: Deadline,
) -> Found {
    if let Some(proxy) = proxy {
        let [dns, tcp] = [
            format!("left to the proxy {proxy}"),
            format!("through the proxy {proxy}"),
        ];
        return Found {
            dns: Check::good(DNS, dns),
            tcp: Check::good(TCP, tcp),
            is_public: false,
        };
    }
    let started = Instant::now();
    let during = format!("the name {host} was looked up");
    let look_up = async {
        let found = lookup_host((host, 443))
            .await
            .map_err(|error| unreachable(host, Stage::Name, &error.to_string()))?;
        Ok(found.collect::<Vec<SocketAddr>>())
    };
    let found = match deadline.timeout(during, circumstances, look_up).await {
        Ok(found) => found,
        Err(error) => {
            return Found {
                dns: Check::failed(DNS, &error).since(started),
                tcp: skipped(),
                is_public: false,
            };
        }
    };
    let dns = told(&found).since(started);
    let started = Instant::now();
    let tcp = connect(host, &found, deadline, circumstances)
        .await
        .since(started);
    Found {
        dns,
        tcp,
        is_public: found.iter().any(|address| is_public(address.ip())),
    }
}

fn skipped() -> Check {
    Check::skipped(TCP, "the name has no address")
}

fn unreachable(host: &str, stage: Stage, cause: &str) -> Error {
    Error::unreachable(host, stage, &printable(cause), &[])
}

/// The addresses of a name, in words.
fn told(found: &[SocketAddr]) -> Check {
    let family = |is_wanted: fn(&IpAddr) -> bool, name: &str| {
        let addresses: Vec<String> = found
            .iter()
            .map(SocketAddr::ip)
            .filter(is_wanted)
            .map(describe)
            .collect();
        if addresses.is_empty() {
            format!("no {name}")
        } else {
            list(addresses)
        }
    };
    let summary = format!(
        "{}; {}",
        family(IpAddr::is_ipv4, "IPv4"),
        family(IpAddr::is_ipv6, "IPv6")
    );
    Check::good(DNS, summary)
}

fn describe(address: IpAddr) -> String {
    let kind = match address {
        address if address.is_loopback() => "this machine",
        address if is_private(address) => "private: a private endpoint",
        _ => "public",
    };
    format!("{address} ({kind})")
}

fn is_public(address: IpAddr) -> bool {
    !address.is_loopback() && !is_private(address)
}

/// Addresses that the internet does not route: RFC 1918, carriers' (RFC 6598), RFC 4193, and those of the link and this machine.
fn is_private(address: IpAddr) -> bool {
    const CARRIERS: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 0);
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let is_carriers = v4.to_bits() >> 22 == CARRIERS.to_bits() >> 22;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_carriers
        }
        IpAddr::V6(v6) => {
            v6.is_unique_local() || v6.is_unicast_link_local() || v6 == Ipv6Addr::LOCALHOST
        }
    }
}

/// Connects to one address after the other, as the HTTP client does.
async fn connect(
    host: &str,
    found: &[SocketAddr],
    deadline: Deadline,
    circumstances: &[String],
) -> Check {
    let mut failures = Vec::new();
    for address in found {
        let connected = timeout(deadline.left().min(PATIENCE), TcpStream::connect(address)).await;
        let failure = match connected {
            Ok(Ok(_)) => return Check::good(TCP, format!("connected to {address}")).with(failures),
            Ok(Err(error)) => printable(&error.to_string()),
            Err(_) => "no answer".to_owned(),
        };
        failures.push(format!("{address}: {failure}"));
    }
    let check = Check::failed(
        TCP,
        &unreachable(host, Stage::Connection, "no address takes connections"),
    );
    let check = check.with(failures).with(circumstances.to_vec());
    if found
        .iter()
        .all(|address| is_private(address.ip()) && !address.ip().is_loopback())
    {
        return check.hint("the address is a private one: it is reached from its virtual network, or by VPN, alone");
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for (address, expected) in [
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.7.7", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.1", false),
            ("fd00::1", true),
            ("::ffff:10.0.0.1", true),
            ("2603:1030::1", false),
            ("20.42.66.1", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(
                (is_private(address), is_public(address)),
                (expected, !expected),
                "{address}"
            );
        }
    }
}
