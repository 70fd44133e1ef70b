//! HTTP: the clients, the bound on every body, and what a failed connection is called.
//!
//! One client speaks to authorities and registries: TLS only, through the proxies of the environment. Another speaks to
//! identity endpoints on this machine or its link: never through a proxy. Neither follows a redirect, since a redirect would take
//! a token to a host that nobody chose.

use crate::error::{Stage, Unreachable, printable};
use azure_core::http::{AsyncRawResponse, HttpClient, Request, Url};
use futures::TryStreamExt;
use reqwest::{Client, ClientBuilder, Response};
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

/// The longest body that is read of any answer.
const BODY_LIMIT: usize = 1024 * 1024;

/// How long a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("docker-credential-acrscoped/", env!("CARGO_PKG_VERSION"));

/// A client for authorities and registries. Errors when no CA certificate can be loaded, for example because
/// `SSL_CERT_FILE` names a file that is not there.
pub fn internet() -> Result<Client, reqwest::Error> {
    base().https_only(true).build()
}

/// A client for identity endpoints of the machine: IMDS refuses requests that came through a proxy, and a proxy cannot reach
/// the loopback of this machine.
pub fn link_local() -> Result<Client, reqwest::Error> {
    base().no_proxy().build()
}

fn base() -> ClientBuilder {
    // Fails only when a provider is installed already, which is then the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
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
pub async fn body(mut response: Response) -> Result<Vec<u8>, Box<dyn StdError + Send + Sync>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > BODY_LIMIT {
            return Err(TooLong.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A transport for the credentials of `azure_identity` that keeps the bound on bodies and can speak to another IMDS.
#[derive(Debug)]
pub struct Transport {
    client: Client,
    imds: Option<Url>,
}

impl Transport {
    /// Over `client`; requests to the well-known address of IMDS go to `imds` if that is given.
    pub fn over(client: Client, imds: Option<Url>) -> azure_core::http::Transport {
        azure_core::http::Transport::new(Arc::new(Self { client, imds }))
    }

    fn redirected(&self, request: &Request) -> Option<Request> {
        let other = self.imds.as_ref().filter(|_| request.url().host_str() == Some(IMDS_ADDRESS))?;
        let mut url = other.clone();
        url.set_path(request.url().path());
        url.set_query(request.url().query());
        let mut copy = request.clone();
        *copy.url_mut() = url;
        Some(copy)
    }
}

/// The address of the Azure Instance Metadata Service, the same on every virtual machine (Microsoft, "IMDS").
pub const IMDS_ADDRESS: &str = "169.254.169.254";

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        use azure_core::error::{Error, ErrorKind};
        let redirected = self.redirected(request);
        let answer = self.client.execute_request(redirected.as_ref().unwrap_or(request)).await?;
        let (status, headers, mut stream) = answer.deconstruct();
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.try_next().await? {
            if bytes.len() + chunk.len() > BODY_LIMIT {
                return Err(Error::new(ErrorKind::DataConversion, TooLong));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(AsyncRawResponse::from_bytes(status, headers, bytes))
    }
}

/// What stopped a connection to `host`, read from an error and its causes; `None` when the error is about something else.
pub fn unreachable(host: &str, error: &(dyn StdError + 'static), circumstances: &[String]) -> Option<Unreachable> {
    let causes: Vec<&(dyn StdError + 'static)> = chain(error).collect();
    let stage = causes.iter().find_map(|cause| stage(*cause))?;
    let innermost = causes.last().map(ToString::to_string).unwrap_or_default();
    Some(Unreachable {
        host: host.to_owned(),
        stage: causes.iter().fold(stage, |stage, cause| refine(stage, *cause)),
        cause: printable(&innermost),
        circumstances: circumstances.to_vec(),
    })
}

/// An error, its cause, the cause of that, and so on. The text of an error seldom shows its cause.
pub fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn stage(cause: &(dyn StdError + 'static)) -> Option<Stage> {
    if cause.is::<TooLong>() {
        return Some(Stage::Answer);
    }
    let error = cause.downcast_ref::<reqwest::Error>()?;
    Some(if error.is_builder() {
        Stage::Tls
    } else if error.is_connect() {
        Stage::Connection
    } else {
        Stage::Answer
    })
}

/// Name resolution and TLS fail while connecting; only the causes tell them apart.
fn refine(stage: Stage, cause: &(dyn StdError + 'static)) -> Stage {
    let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    if cause.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
        Stage::Tls
    } else if cause.to_string() == "dns error" {
        Stage::Name
    } else {
        stage
    }
}
