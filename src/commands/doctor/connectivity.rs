//! The connection to the registry: addresses, TLS, the challenge of `/v2/`, and the clocks at both ends.

use super::{certificate, challenge, dns};
use crate::commands::report::Check;
use crate::config::Config;
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, ErrorKind, HINT_CLOCK, Stage};
use crate::exchange;
use crate::http::{HttpResponse, Network};
use crate::refusal::RegistryRequest;
use crate::registry::Registry;
use reqwest::header::DATE;
use reqwest::{Client, RequestBuilder};
use std::time::{Duration, Instant};

pub(super) const TLS: &str = "tls";
pub(super) const CLOCK: &str = "clock";

/// The limit for all requests of one [`RegistryClient`].
const REACH_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests to the registry's own host. They end within ten seconds, or within the setting `timeout` if that is shorter.
pub(super) struct RegistryClient<'a> {
    pub(super) registry: &'a Registry,
    pub(super) network: Network,
    pub(super) deadline: Deadline,
    pub(super) client: Client,
}

impl<'a> RegistryClient<'a> {
    /// Creates a client whose time limit begins now.
    ///
    /// # Errors
    ///
    /// The settings of the network cannot be used, or no CA certificate can be loaded.
    pub(super) fn new(
        config: &Config,
        registry: &'a Registry,
        clock: Clock,
    ) -> Result<Self, Error> {
        let deadline = Deadline::after(config.timeout).at_most(REACH_TIMEOUT);
        let network = Network::new(config, deadline, clock);
        Ok(Self {
            client: network.client(registry.host())?,
            registry,
            network,
            deadline,
        })
    }

    /// Sends a request and reads the answer. `what` names what the host returns, for the error.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        what: &str,
    ) -> Result<HttpResponse, Error> {
        let awaited = format!("{what} from {}", self.registry.host());
        let registry_request = RegistryRequest::other(self.registry, "the request", None);
        let response = exchange::fetch(&self.network, &self.client, &registry_request, request);
        let notes = self.network.proxy_and_ca_notes();
        self.deadline.timeout(awaited, notes, response).await
    }
}

/// Checks everything up to the challenge.
pub(super) async fn check(client: &RegistryClient<'_>) -> Vec<Check> {
    let (mut checks, is_public) = dns::check(client).await;
    if checks.iter().any(Check::is_bad) {
        return checks;
    }
    let (registry, network) = (client.registry, &client.network);
    let host = registry.host();
    let request = client.client.get(format!("https://{host}/v2/"));
    let started = Instant::now();
    let (response, certificate) = tokio::join!(
        client.send(request, "the challenge"),
        tokio::time::timeout(client.deadline.left(), network.server_certificate(host)),
    );
    let issuer = certificate.ok().flatten();
    let issuer = issuer.and_then(|der| certificate::issuer(&der));
    let signed_by = issuer.map(|issuer| format!("the certificate is signed by `{issuer}`"));
    match response {
        Ok(response) => {
            let tls = trusted(signed_by).with(network.proxy_and_ca_notes().to_vec());
            let challenge = challenge::check(registry, &response, is_public).since(started);
            checks.extend(check_clock(client, &response));
            checks.extend([tls, challenge]);
        }
        Err(error) => {
            // Of the name and the connection, only a failure of the proxy is found here.
            let failed = evaluate_failure(&error, signed_by);
            checks.retain(|check| failed.iter().all(|failed| failed.name != check.name));
            checks.extend(failed.into_iter().map(|check| check.since(started)));
        }
    }
    checks
}

fn trusted(signed_by: Option<String>) -> Check {
    Check::good(TLS, "the certificate is trusted").with(signed_by)
}

/// Returns the checks of a request that failed.
fn evaluate_failure(error: &Error, signed_by: Option<String>) -> Vec<Check> {
    let failed = |name| Check::failed(name, error);
    match error.kind() {
        ErrorKind::Unreachable(Stage::Name | Stage::Connection) => vec![failed(dns::TCP)],
        // TLS was established before the answer broke off.
        ErrorKind::Unreachable(Stage::Answer) => vec![trusted(signed_by), failed(challenge::NAME)],
        ErrorKind::Timeout => vec![failed(challenge::NAME)],
        _ => vec![failed(TLS).with(signed_by)],
    }
}

/// Compares the clocks at both ends, if the answer has a date.
fn check_clock(client: &RegistryClient<'_>, response: &HttpResponse) -> Option<Check> {
    let host = client.registry.host();
    if let Some(skew) = client.network.skew() {
        return Some(Check::warning(CLOCK, skew).hint(HINT_CLOCK));
    }
    let summary = format!("within five minutes of that of {host}");
    let has_date = response.headers.contains_key(DATE);
    has_date.then(|| Check::good(CLOCK, summary))
}
