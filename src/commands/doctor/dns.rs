//! The addresses of the registry's name, whether they are private, and the first connection.

use super::connectivity::RegistryClient;
use crate::commands::report::Check;
use crate::error::{Error, Stage, sanitize_line};
use crate::http::notes_on;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

pub(super) const DNS: &str = "dns";
pub(super) const TCP: &str = "tcp";

/// The limit for one address, since there may be others.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the name and the connection, and returns whether the name has a public address. A proxy does both by itself.
pub(super) async fn check(client: &RegistryClient<'_>) -> (Vec<Check>, bool) {
    let host = client.registry.host();
    if let Some(proxy) = client.network.proxy(host) {
        let dns = Check::good(DNS, format!("resolved by the proxy {proxy}"));
        let tcp = Check::good(TCP, format!("through the proxy {proxy}"));
        return (vec![dns, tcp], false);
    }
    let started = Instant::now();
    let addresses = match resolve(client).await {
        Ok(addresses) => addresses,
        Err(error) => return (vec![Check::failed(DNS, &error).since(started)], false),
    };
    let described: Vec<String> = addresses.iter().map(describe).collect();
    let dns = Check::good(DNS, described.join(", ")).since(started);
    let started = Instant::now();
    let tcp = connect(client, &addresses).await.since(started);
    let is_public = addresses.iter().any(|address| !is_private(address.ip()));
    (vec![dns, tcp], is_public)
}

async fn resolve(client: &RegistryClient<'_>) -> Result<Vec<SocketAddr>, Error> {
    let host = client.registry.host();
    let awaited = format!("the address of {host}");
    let look_up = async {
        let addresses = lookup_host((host, 443)).await;
        let addresses = addresses.map_err(|error| {
            Error::unreachable(host, Stage::Name, &sanitize_line(&error.to_string()), &[])
        })?;
        Ok(addresses.collect())
    };
    let notes = client.network.proxy_and_ca_notes();
    client.deadline.timeout(awaited, notes, look_up).await
}

fn describe(address: &SocketAddr) -> String {
    let address = address.ip();
    let kind = match address {
        address if address.is_loopback() => "this machine",
        address if is_private(address) => "private: a private endpoint",
        _ => "public",
    };
    format!("{address} ({kind})")
}

/// Returns whether the internet does not route an address: RFC 1918, carriers' (RFC 6598), RFC 4193, link-local and loopback.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let is_carriers = matches!(v4.octets(), [100, 64..=127, ..]);
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_carriers
        }
        IpAddr::V6(v6) => {
            v6.is_unique_local() || v6.is_unicast_link_local() || v6 == Ipv6Addr::LOCALHOST
        }
    }
}

/// Connects to one address after the other, as the HTTP client does.
async fn connect(client: &RegistryClient<'_>, addresses: &[SocketAddr]) -> Check {
    let mut failures = Vec::new();
    for address in addresses {
        let limit = client.deadline.left().min(CONNECT_TIMEOUT);
        let failure = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Check::good(TCP, format!("connected to {address}")).with(failures),
            Ok(Err(error)) => sanitize_line(&error.to_string()),
            Err(_) => "no answer".to_owned(),
        };
        failures.push(format!("{address}: {failure}"));
    }
    let (host, cause) = (client.registry.host(), "no address accepts connections");
    let error = Error::unreachable(host, Stage::Connection, cause, &[]);
    let check = Check::failed(TCP, &error).with(failures);
    let notes = notes_on(Stage::Connection, client.network.proxy_and_ca_notes());
    let check = check.with(notes);
    let mut ips = addresses.iter().map(SocketAddr::ip);
    if ips.all(|ip| is_private(ip) && !ip.is_loopback()) {
        return check
            .hint("connect from the virtual network of the private endpoint, or through its VPN");
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_not_public() {
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
            assert_eq!(is_private(address), expected, "{address}");
        }
    }
}
