//! HTTP: the clients, the bound on every body, retries, and what a failed connection is called.
//!
//! Clients for authorities and registries speak TLS only, through the proxies of the environment. Another speaks to identity
//! endpoints on this machine or its link: never through a proxy. None follows a redirect, since a redirect would take a token to a
//! host that nobody chose.

pub mod answer;
mod early;
mod failure;
pub mod retry;
mod tls;
mod transport;
mod witness;

pub use early::EarlyConnection;
pub use failure::chain;
pub use transport::Transport;

use crate::config::{NetworkSettings, Origin, Value};
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, Stage, printable};
use crate::files::read_small;
use crate::trust::{self, Refusal};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Client, ClientBuilder, Request, Response, StatusCode};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tracing::{debug, warn};
use witness::Witness;

/// The longest body that is read of any answer.
const BODY_LIMIT: usize = 1024 * 1024;

/// How long a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A clock that is off by more makes tokens look expired or not yet valid.
const SKEW: Duration = Duration::from_secs(5 * 60);

const USER_AGENT: &str = concat!("docker-credential-acrscoped/", env!("CARGO_PKG_VERSION"));

/// An HTTP answer that was read to its end.
#[derive(Debug)]
pub struct HttpResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, of at most 1 MiB.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// What an answer says that is not the one that was expected, in words.
    pub fn words(&self) -> String {
        answer::words(self.status, &self.headers, &self.body)
    }
}

/// What the requests of one `get` share.
#[derive(Debug)]
pub struct Network {
    settings: NetworkSettings,
    /// Why `SSL_CERT_FILE` and `SSL_CERT_DIR` are not used, if they are set and not trusted.
    refused: Vec<String>,
    deadline: Deadline,
    clock: Clock,
    skew: Mutex<Option<String>>,
}

impl Network {
    /// For requests that end by `deadline`; `clock` is compared with the servers' clocks.
    pub fn new(settings: NetworkSettings, deadline: Deadline, clock: Clock) -> Self {
        let mut settings = settings;
        let refused = refused_ca_variables(&settings);
        if !refused.is_empty() {
            settings.system_ca_file = None;
            settings.system_ca_dirs = vec![];
        }
        settings.circumstances.extend(refused.clone());
        Self {
            settings,
            refused,
            deadline,
            clock,
            skew: Mutex::new(None),
        }
    }

    /// Warns of variables that are set and not used.
    pub fn warn(&self) {
        for sentence in &self.refused {
            warn!("{sentence}; the helper uses the system's certificates instead");
        }
    }

    /// A client for one authority or registry. Errors when no CA certificate can be loaded, for example because `SSL_CERT_FILE`
    /// names a file that is not there.
    pub fn internet(&self, host: &str) -> Result<Client, Error> {
        self.build(host, |builder| builder)
    }

    /// A client for one registry, and what opens its connection early.
    pub fn early(&self, host: &str) -> Result<(Client, EarlyConnection), Error> {
        let early = EarlyConnection::default();
        let client = self.build(host, |builder| builder.connector_layer(early.clone()))?;
        Ok((client, early))
    }

    /// The certificate (DER) that a host shows, whoever signed it. The connection ends when it has been shown, before anything is sent
    /// by it.
    pub async fn shown_certificate(&self, host: &str) -> Option<Vec<u8>> {
        let witness = Arc::new(Witness::default());
        let client = base(tls::trusting(witness.clone()).ok()?)
            .https_only(true)
            .build()
            .ok()?;
        // It fails always: nobody is trusted.
        drop(client.head(format!("https://{host}/")).send().await);
        witness.seen()
    }

    /// The proxy that a request to this host goes through, without its user and password. The HTTP client goes by the same rules.
    pub fn proxy(&self, host: &str) -> Option<String> {
        let matcher = Matcher::builder()
            .https(self.settings.proxy.expose_secret())
            .no(&*self.settings.no_proxy)
            .build();
        let proxy = matcher.intercept(&format!("https://{host}/").parse().ok()?)?;
        let uri = proxy.uri();
        let port = uri
            .port_u16()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        Some(printable(&format!(
            "{}://{}{port}",
            uri.scheme_str()?,
            uri.host()?
        )))
    }

    /// A client for identity endpoints of the machine: IMDS refuses requests that came through a proxy, and a proxy cannot reach
    /// the loopback of this machine.
    pub fn link_local() -> anyhow::Result<Client> {
        Ok(base(tls::system(vec![])?).no_proxy().build()?)
    }

    fn build(
        &self,
        host: &str,
        adapt: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, Error> {
        // The HTTP client would wait for a pipe, and read a device for ever.
        if let Some(file) = self
            .settings
            .system_ca_file
            .as_ref()
            .filter(|file| file.exists() && !file.is_file())
        {
            let problem = format!("names {}, which is not a regular file", file.display());
            return Err(Error::setting("SSL_CERT_FILE", problem));
        }
        let besides = self.settings.ca_file.as_ref();
        let besides = besides
            .map(|file| self.ca_file(file))
            .transpose()?
            .unwrap_or_default();
        // Windows and macOS judge certificates themselves, and know nothing of this variable.
        let only = self
            .settings
            .system_ca_file
            .as_ref()
            .filter(|_| cfg!(any(windows, target_os = "macos")));
        let tls = match only {
            Some(file) => tls::only(
                certificates(file, "SSL_CERT_FILE")?
                    .into_iter()
                    .chain(besides),
            ),
            None if !self.refused.is_empty() => tls::system_without_variables(besides),
            None => tls::system(besides),
        };
        let tls = tls.map_err(|error| self.untrusting(host, &error))?;
        adapt(base(tls).https_only(true))
            .build()
            .map_err(|error| self.untrusting(host, &error))
    }

    /// The certificates of the setting `ca_file`, if the file is protected.
    fn ca_file(&self, file: &Value<PathBuf>) -> Result<Vec<CertificateDer<'static>>, Error> {
        let Value {
            value: path,
            origin,
        } = file;
        let name = origin.setting("ca_file");
        let resolved = match origin {
            Origin::Variable(_) => {
                trust::resolve_named(path, self.settings.working_directory.as_deref())
            }
            Origin::Profile { .. } | Origin::Top { .. } | Origin::Annotation(_) => {
                trust::resolve_protected(path)
            }
        };
        match resolved {
            Ok(real) => certificates(&real, &name),
            Err(error) => match Refusal::from_io(&error) {
                Some(refusal) => {
                    let problem =
                        format!("names {}, which is not trusted: {refusal}", path.display());
                    Err(Error::untrusted(name, problem, refusal.fix.clone()))
                }
                None => Err(Error::setting(
                    name,
                    format!("names {}: {error}", path.display()),
                )),
            },
        }
    }

    fn untrusting(&self, host: &str, error: &(dyn StdError + 'static)) -> Error {
        let cause = failure::root_cause(error);
        Error::unreachable(host, Stage::Tls, &cause, &self.settings.circumstances)
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
        failure::unreachable(host, error, &self.settings.circumstances)
    }

    /// Sends a request, again if the server is busy or the connection breaks, for as long as the deadline allows. The last
    /// answer or failure is returned as it is.
    pub async fn send(
        &self,
        client: &Client,
        request: Request,
    ) -> Result<Response, reqwest::Error> {
        for tried in 1.. {
            let Some(again) = request.try_clone() else {
                break;
            };
            let result = client.execute(again).await;
            if let Ok(response) = &result {
                self.compare_clocks(response);
            }
            let wait = is_passing(&result)
                .then(|| retry::wait(tried, asked(&result), self.deadline.left(), retry::random()));
            let Some(wait) = wait.flatten() else {
                return result;
            };
            debug!(host = request.url().host_str(), ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
        client.execute(request).await
    }

    /// Sends a request as [`Network::send`] does, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// The request's own failure, without its URL, or a body of more than 1 MiB.
    pub async fn fetch(&self, client: &Client, request: Request) -> anyhow::Result<HttpResponse> {
        let response = self
            .send(client, request)
            .await
            .map_err(reqwest::Error::without_url)?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(HttpResponse {
            status,
            headers,
            body: body(response).await?,
        })
    }

    /// How far this machine's clock is from a server's, if that is too far.
    pub fn skew(&self) -> Option<String> {
        self.skew.lock().ok()?.clone()
    }

    fn compare_clocks(&self, response: &Response) {
        let date = response
            .headers()
            .get(DATE)
            .and_then(|date| date.to_str().ok());
        let Some(theirs) = date.and_then(|date| azure_core::time::parse_rfc7231(date).ok()) else {
            return;
        };
        let (theirs, ours) = (SystemTime::from(theirs), (self.clock)());
        let (off, word) = match ours.duration_since(theirs) {
            Ok(ahead) => (ahead, "ahead of"),
            Err(behind) => (behind.duration(), "behind"),
        };
        if off > SKEW
            && let Ok(mut skew) = self.skew.lock()
        {
            let host = response.url().host_str().unwrap_or_default();
            *skew = Some(format!(
                "the clock of this machine is {} min {word} that of {host}",
                off.as_secs() / 60
            ));
        }
    }
}

fn base(tls: ClientConfig) -> ClientBuilder {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT);
    builder
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
}

/// Why the helper ignores `SSL_CERT_FILE` and `SSL_CERT_DIR`, a sentence each. What is not there is not used either: others could make it
/// before it is read.
fn refused_ca_variables(settings: &NetworkSettings) -> Vec<String> {
    let files = settings
        .system_ca_file
        .iter()
        .map(|file| ("SSL_CERT_FILE", file));
    let named = files.chain(
        settings
            .system_ca_dirs
            .iter()
            .map(|folder| ("SSL_CERT_DIR", folder)),
    );
    // What is neither file nor folder is an error of its own.
    let named = named.filter(|(_, path)| !path.exists() || path.is_file() || path.is_dir());
    let refusal = |path: &Path| {
        trust::resolve_certificates(path, settings.working_directory.as_deref()).err()
    };
    named
        .filter_map(|(name, path)| {
            let (error, path) = (refusal(path)?, path.display());
            Some(match Refusal::from_io(&error) {
                Some(refusal) => {
                    format!("the helper ignores `{name}`, because {path} is not trusted: {refusal} (to fix it: {})", refusal.fix)
                }
                None => format!("the helper ignores `{name}`: {path} cannot be read: {error}"),
            })
        })
        .collect()
}

/// The certificates of a PEM file that a setting names.
fn certificates(file: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wrong = |problem: String| Error::setting(setting, problem);
    let pem = read_small(file, BODY_LIMIT)
        .map_err(|error| wrong(format!("names {}: {error}", file.display())))?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(wrong(format!(
            "names {}, which holds no PEM certificate",
            file.display()
        ))),
    }
}

/// Whether another try may help: what is tried again is what Azure's SDKs try again, a connection that was reset, and a name server that
/// asks for another try.
fn is_passing(result: &Result<Response, reqwest::Error>) -> bool {
    match result {
        Ok(response) => matches!(
            response.status(),
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::INTERNAL_SERVER_ERROR
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
        Err(error) => failure::is_passing(error),
    }
}

/// Seconds that a server asked to wait.
fn asked(result: &Result<Response, reqwest::Error>) -> Option<u64> {
    answer::retry_after(result.as_ref().ok()?.headers())
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
