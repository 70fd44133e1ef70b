//! The way to the registry: addresses, TLS, the challenge of `/v2/`, and the clocks at both ends.

use super::address::{self, Found};
use super::certificate::Facts;
use super::challenge;
use super::report::day;
use crate::commands::report::Check;
use crate::config::Config;
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, ErrorKind, Stage};
use crate::exchange;
use crate::http::{HttpResponse, Network};
use crate::refusal::Asked;
use crate::registry::Registry;
use reqwest::header::DATE;
use reqwest::{Client, RequestBuilder};
use std::time::{Duration, Instant};

/// What to do about a certificate that has expired.
const EXPIRED: &str = "it has expired: the registry, or a proxy in between, must renew it; or the clock of this machine is wrong";

const TLS: &str = "tls";
pub(super) const CLOCK: &str = "clock";

/// The limit for each check of the way there.
const REACH_TIMEOUT: Duration = Duration::from_secs(10);

/// Checks everything up to the challenge. The network has its own deadline: see [`network()`].
pub(super) async fn look(config: &Config, registry: &Registry, clock: Clock) -> Vec<Check> {
    let (network, deadline) = network(config, clock);
    let (host, notes) = (registry.host(), network.circumstances());
    let Found {
        dns,
        mut tcp,
        is_public,
    } = address::look(host, network.proxy(host).as_deref(), notes, deadline).await;
    if dns.is_bad() || tcp.is_bad() {
        let reason = format!("there is no way to {host}");
        let rest = [TLS, challenge::NAME, CLOCK].map(|name| Check::skipped(name, &reason));
        return [dns, tcp].into_iter().chain(rest).collect();
    }
    let started = Instant::now();
    let (response, certificate) = tokio::join!(
        challenge(&network, registry, deadline),
        tokio::time::timeout(deadline.left(), network.shown_certificate(host)),
    );
    let certificate = certificate.ok().flatten().and_then(|der| Facts::of(&der));
    let clocks = compare_clocks(host, response.as_ref().ok(), &network);
    let (tls, challenge) = match &response {
        Ok(response) => (
            trusted(certificate.as_ref()).with(notes.to_vec()),
            challenge::judge(registry, response, is_public).since(started),
        ),
        Err(error) => {
            if let Some(Stage::Name | Stage::Connection) = stage(error) {
                tcp = Check::failed(address::TCP, error).since(started);
            }
            failed(error, certificate.as_ref(), clock, started)
        }
    };
    let issuer = certificate.map(|facts| facts.issuer);
    vec![dns, tcp, tls.naming(issuer), challenge, clocks]
}

fn stage(error: &Error) -> Option<Stage> {
    match error.kind() {
        ErrorKind::Unreachable(stage) => Some(stage),
        _ => None,
    }
}

/// Returns the checks of TLS and the challenge for a request that failed.
fn failed(
    error: &Error,
    certificate: Option<&Facts>,
    clock: Clock,
    started: Instant,
) -> (Check, Check) {
    let challenge = Check::failed(challenge::NAME, error).since(started);
    match (error.kind(), stage(error)) {
        (_, Some(Stage::Name | Stage::Connection)) => {
            let [tls, challenge] =
                [TLS, challenge::NAME].map(|name| Check::skipped(name, "there is no connection"));
            (tls, challenge)
        }
        // TLS was established before the answer could break off.
        (_, Some(Stage::Answer)) => (trusted(certificate), challenge),
        (ErrorKind::Timeout, _) => (Check::skipped(TLS, "no answer came"), challenge),
        _ => {
            let tls = Check::failed(TLS, error).since(started);
            let mut tls = tls.with(certificate.map(describe));
            if certificate.is_some_and(|facts| facts.ends < clock()) {
                tls = tls.hint(EXPIRED);
            }
            (tls, Check::skipped(challenge::NAME, "TLS is not trusted"))
        }
    }
}

fn trusted(certificate: Option<&Facts>) -> Check {
    let summary = certificate.map(describe);
    Check::good(
        TLS,
        summary.unwrap_or_else(|| "the certificate is trusted".into()),
    )
}

fn describe(facts: &Facts) -> String {
    format!(
        "the certificate of {} is signed by `{}` and ends {}",
        facts.subject,
        facts.issuer,
        day(facts.ends)
    )
}

/// Compares the clocks at both ends.
fn compare_clocks(host: &str, response: Option<&HttpResponse>, network: &Network) -> Check {
    match (response, network.skew()) {
        (Some(_), Some(skew)) => Check::warning(CLOCK, skew)
            .hint("set the clock of this machine, for example with `timedatectl set-ntp true`"),
        (Some(response), None) if response.headers.contains_key(DATE) => {
            Check::good(CLOCK, format!("within five minutes of that of {host}"))
        }
        (Some(_), None) => Check::skipped(CLOCK, "the answer has no date"),
        (None, _) => Check::skipped(CLOCK, "no answer came"),
    }
}

/// Returns the same checks when it is of no use to look.
pub(super) fn skipped(reason: &str) -> Vec<Check> {
    [address::DNS, address::TCP, TLS, challenge::NAME, CLOCK]
        .map(|name| Check::skipped(name, reason))
        .into()
}

/// Returns what is wrong with the settings of the network.
pub(super) fn problem(config: &Config, registry: &Registry, clock: Clock) -> Option<Error> {
    let client = network(config, clock).0.internet(registry.host());
    client
        .err()
        .filter(|error| error.kind() == ErrorKind::Setting)
}

/// Returns a network whose requests end within ten seconds, or within the configured time if that is shorter.
pub(super) fn network(config: &Config, clock: Clock) -> (Network, Deadline) {
    let deadline = Deadline::after(config.timeout).or_after(REACH_TIMEOUT);
    let network = Network::new(config.network.clone(), deadline, clock);
    (network, deadline)
}

async fn challenge(
    network: &Network,
    registry: &Registry,
    deadline: Deadline,
) -> Result<HttpResponse, Error> {
    let client = network.internet(registry.host())?;
    let request = client.get(format!("https://{}/v2/", registry.host()));
    let what = "was asked who may come in";
    send(network, &client, registry, request, deadline, what).await
}

/// Sends a request to the registry's own host and reads the answer. `what` is what the host is asked, for the error.
pub(super) async fn send(
    network: &Network,
    client: &Client,
    registry: &Registry,
    request: RequestBuilder,
    deadline: Deadline,
    what: &str,
) -> Result<HttpResponse, Error> {
    let during = format!("{} {what}", registry.host());
    let asked = Asked::other(registry, "the request", None);
    let response = exchange::fetch(network, client, &asked, request);
    deadline
        .timeout(during, network.circumstances(), response)
        .await
}
