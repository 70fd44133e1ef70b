//! The proxy between this machine and a host.

use super::Network;
use super::error::chain;
use crate::error::{Error, ErrorKind, Stage, sanitize_line};
use crate::text::shell_word;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use secrecy::ExposeSecret;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::Service;
use url::Url;

/// The error of a proxy that was asked to connect to a host.
pub(super) type TunnelError = <Tunnel<HttpConnector> as Service<Uri>>::Error;

/// The time limit for asking a proxy again why it refused.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

impl Network {
    /// Returns the proxy for this host, without its user and password. The HTTP client uses the same rules.
    pub fn proxy(&self, host: &str) -> Option<String> {
        let proxy = self.intercept(host)?;
        // Not the whole URI: with two `@` in the variable, the end of the password is part of its authority.
        let uri = proxy.uri();
        let port = uri.port_u16().map(|port| format!(":{port}"));
        let (scheme, host) = (uri.scheme_str()?, uri.host()?);
        let port = port.unwrap_or_default();
        Some(sanitize_line(&format!("{scheme}://{host}{port}")))
    }

    fn intercept(&self, host: &str) -> Option<Intercept> {
        let matcher = Matcher::builder()
            .https(self.settings.proxy.expose_secret())
            .no(&*self.settings.no_proxy)
            .build();
        matcher.intercept(&format!("https://{host}/").parse().ok()?)
    }

    /// Returns the error of a request to `host` that the proxy refused.
    pub(super) async fn refused_by_proxy(
        &self,
        host: &str,
        error: &reqwest::Error,
    ) -> Option<Error> {
        let tunnel = chain(error).find(|cause| cause.is::<TunnelError>())?;
        // Only its text says what failed.
        let problem = tunnel.to_string();
        if problem.ends_with("underlying connection") {
            return None;
        }
        let proxy = self.proxy(host)?;
        let wants_password = problem.ends_with("authorization required");
        let answer = if wants_password {
            "answered 407".to_owned()
        } else if proxy.starts_with("https:") || self.intercept(host)?.basic_auth().is_some() {
            // A user and password are for the client's own connection to the proxy.
            "refused".to_owned()
        } else {
            let limit = STATUS_TIMEOUT.min(self.deadline.left() / 2);
            let status = tokio::time::timeout(limit, tunnel_status(&proxy, host)).await;
            let status = status.ok().flatten();
            status.map_or_else(
                || "gave no valid answer".into(),
                |it| format!("answered {it}"),
            )
        };
        let message = format!("the proxy {proxy} {answer} when asked to connect to {host}");
        let hint = if wants_password {
            let url = shell_word(&proxy.replace("://", "://USER:PASSWORD@"));
            format!("set the user and password of the proxy\n  export HTTPS_PROXY={url}")
        } else {
            format!("check the name {host}, and whether the proxy allows connections to it")
        };
        Some(self.proxy_error(message).with_hint(hint))
    }

    pub(super) fn proxy_error(&self, message: String) -> Error {
        let error = Error::new(ErrorKind::Unreachable(Stage::Connection), message);
        error.with_details(self.proxy_and_ca_notes().to_vec())
    }
}

/// Asks the proxy once more to connect to `host`, and returns the status of its answer, which the HTTP client does not expose.
async fn tunnel_status(proxy: &str, host: &str) -> Option<u16> {
    let proxy = Url::parse(proxy).ok()?;
    let address = format!("{}:{}", proxy.host_str()?, proxy.port_or_known_default()?);
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut status_line = [0; "HTTP/1.1 407".len()];
    stream.read_exact(&mut status_line).await.ok()?;
    let (_, status) = std::str::from_utf8(&status_line).ok()?.split_once(' ')?;
    status.parse().ok()
}
