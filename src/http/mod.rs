//! HTTP: clients and their TLS, requests with retries and limits, and the errors of connections.
//!
//! Clients for authorities and registries use TLS only, and the proxies of the environment. The client for identity endpoints on this
//! machine or its link never uses a proxy. No client follows redirects: a redirect could send a token to a host that was not checked.

mod error;
mod fetch;
mod peer_certificate;
mod preconnect;
mod proxy;
pub mod response;
mod retry_delay;
mod tls;
mod transport;

pub(crate) use error::notes_on;
pub use preconnect::Preconnect;
pub(crate) use response::PROXY_HINT;
pub use response::{HttpResponse, ResponseError};
pub use transport::Transport;

use crate::config::{Config, NetworkSettings};
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, Stage};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::ClientConfig;
use std::sync::OnceLock;
use std::time::Duration;
use tower::util::MapFutureLayer;
use tracing::warn;

/// The time limit for a connection, including TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("docker-credential-acrscoped/", env!("CARGO_PKG_VERSION"));

/// The state that all requests of one `get` share.
#[derive(Debug)]
pub struct Network {
    settings: NetworkSettings,
    /// Why `SSL_CERT_FILE` and `SSL_CERT_DIR` are ignored, if they are set and not trusted.
    ignored_ca_variables: Vec<String>,
    deadline: Deadline,
    clock: Clock,
    skew: OnceLock<String>,
}

impl Network {
    /// Creates a network whose retries end by `deadline`, and which compares `clock` with the clocks of servers.
    pub fn new(config: &Config, deadline: Deadline, clock: Clock) -> Self {
        let mut settings = config.network.clone();
        let ignored_ca_variables = tls::untrusted_ca_variables(&settings);
        if !ignored_ca_variables.is_empty() {
            settings.system_ca_file = None;
            settings.system_ca_dirs = vec![];
        }
        settings.notes.extend(ignored_ca_variables.clone());
        Self {
            settings,
            ignored_ca_variables,
            deadline,
            clock,
            skew: OnceLock::new(),
        }
    }

    /// Warns of CA variables that are ignored.
    pub fn warn(&self) {
        for sentence in &self.ignored_ca_variables {
            warn!("{sentence}; the helper uses the system's certificates instead");
        }
    }

    /// Returns a client for one authority or registry.
    ///
    /// # Errors
    ///
    /// No CA certificate can be loaded, or `ca_file` or `SSL_CERT_FILE` names a file that cannot be used.
    pub fn client(&self, host: &str) -> Result<Client, Error> {
        self.build(host, |builder| builder)
    }

    /// Returns a client for one registry, and its [`Preconnect`].
    ///
    /// # Errors
    ///
    /// As [`Network::client`].
    pub fn preconnect(&self, host: &str) -> Result<(Client, Preconnect), Error> {
        let preconnect = Preconnect::default();
        let connector = preconnect.clone();
        let layer = MapFutureLayer::new(move |connect| connector.connection(connect));
        let client = self.build(host, |builder| builder.connector_layer(layer))?;
        Ok((client, preconnect))
    }

    /// Returns a client for identity endpoints of this machine. It uses no proxy: IMDS refuses requests through one, and a proxy cannot reach
    /// the loopback interface of this machine.
    ///
    /// # Errors
    ///
    /// The CA certificates of the system cannot be loaded.
    pub fn local_client() -> anyhow::Result<Client> {
        Ok(base(tls::config(None, vec![])?).no_proxy().build()?)
    }

    fn build(
        &self,
        host: &str,
        adapt: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, Error> {
        adapt(base(self.tls_config(host)?).https_only(true))
            .build()
            .map_err(|error| self.connect_error(Stage::Tls, host, &error))
    }

    /// Returns the clock of this machine.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Returns the proxy and CA variables in force, as sentences.
    pub fn proxy_and_ca_notes(&self) -> &[String] {
        &self.settings.notes
    }
}

fn base(tls: ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
}
