//! HTTP: the clients, the bound on every body, retries, and what a failed connection is called.
//!
//! Clients for authorities and registries speak TLS only, through the proxies of the environment. Another speaks to identity
//! endpoints on this machine or its link: never through a proxy. None follows a redirect, since a redirect would take a token to a
//! host that nobody chose.

pub mod answer;
mod early;
mod failure;
mod transport;
mod witness;

pub use early::EarlyConnection;
pub use failure::chain;
pub use transport::Transport;

use crate::config::{NetworkSettings, Value};
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, Stage, Unreachable, printable};
use crate::files::read_small;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::DATE;
use reqwest::{Certificate, Client, ClientBuilder, Request, Response, StatusCode};
use secrecy::ExposeSecret;
use std::error::Error as StdError;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tracing::debug;
use witness::Witness;

/// The longest body that is read of any answer.
const BODY_LIMIT: usize = 1024 * 1024;

/// How long a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How often one request is sent at most.
const TRIES: u32 = 3;

/// A server that asks for more patience than this is told of instead: the client waits for us.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// A clock that is off by more makes tokens look expired or not yet valid.
const SKEW: Duration = Duration::from_secs(5 * 60);

const USER_AGENT: &str = concat!("docker-credential-acrscoped/", env!("CARGO_PKG_VERSION"));

/// What the requests of one `get` share.
#[derive(Debug)]
pub struct Network {
    settings: NetworkSettings,
    deadline: Deadline,
    clock: Clock,
    skew: Mutex<Option<String>>,
}

impl Network {
    /// For requests that end by `deadline`; `clock` is compared with the servers' clocks.
    pub fn new(settings: NetworkSettings, deadline: Deadline, clock: Clock) -> Self {
        // Fails only when a provider is installed already, which is then the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut settings = settings;
        if let Some(error) = settings.system_ca_file.as_ref().and_then(|file| std::fs::metadata(file).err()) {
            settings.circumstances.push(format!("the file of `SSL_CERT_FILE` cannot be read: {error}"));
        }
        Self { settings, deadline, clock, skew: Mutex::new(None) }
    }

    /// A client for one authority or registry. Errors when no CA certificate can be loaded, for example because `SSL_CERT_FILE`
    /// names a file that is not there.
    pub fn internet(&self, host: &str) -> Result<Client, Error> {
        self.build(host, self.internet_builder()?)
    }

    /// A client for one registry, and what opens its connection early.
    pub fn early(&self, host: &str) -> Result<(Client, EarlyConnection), Error> {
        let early = EarlyConnection::default();
        let client = self.build(host, self.internet_builder()?.connector_layer(early.clone()))?;
        Ok((client, early))
    }

    /// The certificate (DER) that a host shows, whoever signed it. The connection ends when it has been shown, before anything is sent
    /// by it.
    pub async fn shown_certificate(&self, host: &str) -> Option<Vec<u8>> {
        let witness = Arc::new(Witness::default());
        let client = base().https_only(true).tls_backend_preconfigured(witness.tls()).build().ok()?;
        // It fails always: nobody is trusted.
        drop(client.head(format!("https://{host}/")).send().await);
        witness.seen()
    }

    /// The proxy that a request to this host goes through, without its user and password. The HTTP client goes by the same rules.
    pub fn proxy(&self, host: &str) -> Option<String> {
        let matcher = Matcher::builder().https(self.settings.proxy.expose_secret()).no(&*self.settings.no_proxy).build();
        let proxy = matcher.intercept(&format!("https://{host}/").parse().ok()?)?;
        let uri = proxy.uri();
        let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        Some(printable(&format!("{}://{}{port}", uri.scheme_str()?, uri.host()?)))
    }

    /// A client for identity endpoints of the machine: IMDS refuses requests that came through a proxy, and a proxy cannot reach
    /// the loopback of this machine.
    pub fn link_local() -> Result<Client, reqwest::Error> {
        base().no_proxy().build()
    }

    fn internet_builder(&self) -> Result<ClientBuilder, Error> {
        // The HTTP client would wait for a pipe, and read a device for ever.
        if let Some(file) = self.settings.system_ca_file.as_ref().filter(|file| file.exists() && !file.is_file()) {
            let problem = format!("names {}, which is not a regular file", file.display());
            return Err(Error::Setting { name: "SSL_CERT_FILE".into(), problem });
        }
        let builder = base().https_only(true).tls_version_min(reqwest::tls::Version::TLS_1_2);
        let besides =
            self.settings.ca_file.as_ref().map(|Value { value, origin }| certificates(value, &origin.setting("ca_file")));
        let besides = besides.transpose()?;
        // Windows and macOS judge certificates themselves, and know nothing of this variable.
        let only = self.settings.system_ca_file.as_ref().filter(|_| cfg!(any(windows, target_os = "macos")));
        if let Some(file) = only {
            let only = certificates(file, "SSL_CERT_FILE")?;
            return Ok(builder.tls_certs_only(only.into_iter().chain(besides.unwrap_or_default())));
        }
        Ok(match besides {
            Some(besides) => builder.tls_certs_merge(besides),
            None => builder,
        })
    }

    fn build(&self, host: &str, builder: ClientBuilder) -> Result<Client, Error> {
        builder.build().map_err(|error| {
            Error::Unreachable(Unreachable {
                host: host.to_owned(),
                stage: Stage::Tls,
                cause: printable(&chain(&error).last().map(ToString::to_string).unwrap_or_default()),
                circumstances: self.settings.circumstances.clone(),
            })
        })
    }

    /// The clock of this machine.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The proxy and CA variables in force, as sentences.
    pub fn circumstances(&self) -> &[String] {
        &self.settings.circumstances
    }

    /// What stopped a connection to `host`, or `None` when the error is about something else.
    pub fn unreachable(&self, host: &str, error: &(dyn StdError + 'static)) -> Option<Error> {
        failure::unreachable(host, error, &self.settings.circumstances).map(Error::Unreachable)
    }

    /// Sends a request, again if the server is busy or the connection breaks, for as long as the deadline allows. The last
    /// answer or failure is returned as it is.
    pub async fn send(&self, client: &Client, request: Request) -> Result<Response, reqwest::Error> {
        for tried in 1.. {
            let Some(again) = request.try_clone() else { break };
            let result = client.execute(again).await;
            if let Ok(response) = &result {
                self.compare_clocks(response);
            }
            let Some(wait) = wait_before_retry(&result, tried) else { return result };
            if tried == TRIES || wait > LONGEST_WAIT || wait >= self.deadline.left() {
                return result;
            }
            debug!(host = request.url().host_str(), ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
        client.execute(request).await
    }

    /// How far this machine's clock is from a server's, if that is too far.
    pub fn skew(&self) -> Option<String> {
        self.skew.lock().ok()?.clone()
    }

    fn compare_clocks(&self, response: &Response) {
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let Some(theirs) = date.and_then(|date| azure_core::time::parse_rfc7231(date).ok()) else { return };
        let (theirs, ours) = (SystemTime::from(theirs), (self.clock)());
        let (off, word) = match ours.duration_since(theirs) {
            Ok(ahead) => (ahead, "ahead of"),
            Err(behind) => (behind.duration(), "behind"),
        };
        if off > SKEW
            && let Ok(mut skew) = self.skew.lock()
        {
            let host = response.url().host_str().unwrap_or_default();
            *skew = Some(format!("the clock of this machine is {} min {word} that of {host}", off.as_secs() / 60));
        }
    }
}

fn base() -> ClientBuilder {
    Client::builder().user_agent(USER_AGENT).redirect(reqwest::redirect::Policy::none()).connect_timeout(CONNECT_TIMEOUT)
}

/// The certificates of a PEM file that a setting names.
fn certificates(file: &Path, setting: &str) -> Result<Vec<Certificate>, Error> {
    let wrong = |problem: String| Error::Setting { name: setting.to_owned(), problem };
    let pem = read_small(file, BODY_LIMIT).map_err(|error| wrong(format!("names {}: {error}", file.display())))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(wrong(format!("names {}, which holds no PEM certificate", file.display()))),
    }
}

/// How long to wait before the next try, or `None` when another would not help. What is tried again is what Azure's SDKs try
/// again, a connection that was reset, and a name server that asks for another try. The wait is a little longer than a server asked
/// for, so that those who were told the same do not return at one moment.
fn wait_before_retry(result: &Result<Response, reqwest::Error>, tried: u32) -> Option<Duration> {
    match result {
        Ok(response) => match response.status() {
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let asked = answer::retry_after(response.headers());
                Some(asked.map_or_else(|| backoff(tried), |seconds| Duration::from_secs(seconds) + backoff(1) / 2))
            }
            _ => None,
        },
        Err(error) => failure::is_passing(error).then(|| backoff(tried)),
    }
}

/// 200 ms, 400 ms, … , each between half and one and a half of it, so that many callers do not return at one moment.
fn backoff(tried: u32) -> Duration {
    let mut byte = [128];
    // Without randomness the middle is as good.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut byte);
    Duration::from_millis(100 * 2_u64.pow(tried)).mul_f64(0.5 + f64::from(byte[0]) / 256.0)
}

/// A body that is longer than anything a token service sends.
#[derive(Debug)]
struct TooLong;

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the answer is longer than {BODY_LIMIT} bytes")
    }
}

impl StdError for TooLong {}

/// The whole body, or an error once it passes 1 MiB, whatever `Content-Length` said.
pub async fn body(mut response: Response) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > BODY_LIMIT {
            return Err(TooLong.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
