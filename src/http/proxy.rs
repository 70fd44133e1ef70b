//! The proxy between this machine and a host.

use super::{Network, error};
use crate::error::printable;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use secrecy::ExposeSecret;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The time limit for asking a proxy again why it refused.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// A proxy that answered, but did not connect to the host.
#[derive(Debug)]
pub(super) struct TunnelRefused {
    /// The status of its answer, if it has one.
    pub(super) status: Option<u16>,
    source: reqwest::Error,
}

impl std::fmt::Display for TunnelRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the proxy did not connect")
    }
}

impl std::error::Error for TunnelRefused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Network {
    /// Returns the proxy for this host, without its user and password. The HTTP client uses the same rules.
    pub fn proxy(&self, host: &str) -> Option<String> {
        let proxy = self.intercept(host)?;
        // Not the whole URI: with two `@` in the variable, the end of the password is part of its authority.
        let uri = proxy.uri();
        let port = uri.port_u16().map(|port| format!(":{port}"));
        let (scheme, host) = (uri.scheme_str()?, uri.host()?);
        let port = port.unwrap_or_default();
        Some(printable(&format!("{scheme}://{host}{port}")))
    }

    fn intercept(&self, host: &str) -> Option<Intercept> {
        let matcher = Matcher::builder()
            .https(self.settings.proxy.expose_secret())
            .no(&*self.settings.no_proxy)
            .build();
        matcher.intercept(&format!("https://{host}/").parse().ok()?)
    }

    /// Adds the status of the proxy's answer to the error of a request to `host`, if the proxy refused it.
    pub(super) async fn with_proxy_status(
        &self,
        host: &str,
        source: reqwest::Error,
    ) -> anyhow::Error {
        if !error::is_refused_tunnel(&source) {
            return source.into();
        }
        let limit = STATUS_TIMEOUT.min(self.deadline.left() / 2);
        let status = tokio::time::timeout(limit, self.tunnel_status(host)).await;
        let status = status.ok().flatten();
        TunnelRefused { status, source }.into()
    }

    /// Asks the proxy once more to connect to `host`, and returns the status of its answer, which the HTTP client does not tell.
    async fn tunnel_status(&self, host: &str) -> Option<u16> {
        let proxy = self.intercept(host)?;
        let port = proxy.uri().port_u16().unwrap_or(80);
        let mut stream = TcpStream::connect((proxy.uri().host()?, port)).await.ok()?;
        let mut request = format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n");
        if let Some(credential) = proxy.basic_auth() {
            request += &format!("Proxy-Authorization: {}\r\n", credential.to_str().ok()?);
        }
        request += "\r\n";
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut status_line = [0; "HTTP/1.1 407".len()];
        stream.read_exact(&mut status_line).await.ok()?;
        let (_, status) = std::str::from_utf8(&status_line).ok()?.split_once(' ')?;
        status.parse().ok()
    }
}
