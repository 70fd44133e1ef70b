//! The way to the registry: addresses, TLS, the challenge of `/v2/`, and the clocks at both ends.

use super::address::{self, Found};
use super::certificate::Facts;
use super::challenge;
use super::check::Check;
use super::report::day;
use crate::config::Config;
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, ErrorKind, Stage};
use crate::network::{self, Network, answer};
use crate::refusal::Asked;
use crate::registry::Registry;
use reqwest::header::{DATE, HeaderMap};
use reqwest::{Client, StatusCode};
use std::time::{Duration, Instant};

/// What to do about a certificate that has ended.
const EXPIRED: &str = "it has expired: the registry, or a proxy in between, must renew it; or the clock of this machine is wrong";

const TLS: &str = "tls";
pub(super) const CLOCK: &str = "clock";

/// No check of the way there waits longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer, read to its end.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Looks at everything up to the challenge. The network has its own deadline: see [`network()`].
pub(super) async fn look(config: &Config, registry: &Registry, clock: Clock) -> Vec<Check> {
    let (network, deadline) = network(config, clock);
    let host = registry.host();
    let proxy = network.proxy(host);
    let Found {
        dns,
        mut tcp,
        is_public,
    } = address::look(host, proxy.as_deref(), network.circumstances(), deadline).await;
    if dns.is_bad() || tcp.is_bad() {
        let reason = format!("there is no way to {host}");
        return vec![
            dns,
            tcp,
            Check::skipped(TLS, &reason),
            Check::skipped(challenge::NAME, &reason),
            Check::skipped(CLOCK, &reason),
        ];
    }
    let started = Instant::now();
    let shown_certificate = tokio::time::timeout(deadline.left(), network.shown_certificate(host));
    let (answered, certificate) =
        tokio::join!(ask(&network, registry, deadline), shown_certificate);
    let certificate = certificate.ok().flatten().and_then(|der| Facts::of(&der));
    let has_expired = certificate
        .as_ref()
        .is_some_and(|facts| facts.ends < clock());
    let names = certificate
        .iter()
        .map(|facts| facts.issuer.clone())
        .collect::<Vec<_>>();
    let certificate = certificate.as_ref().map(shown);
    let (tls, challenge) = match &answered {
        Ok(answered) => {
            let tls = Check::good(
                TLS,
                certificate.unwrap_or_else(|| "the certificate is trusted".into()),
            );
            (
                tls.with(network.circumstances().to_vec()),
                challenge::judge(registry, answered, is_public).since(started),
            )
        }
        Err(error) => {
            if is_no_connection(error) {
                tcp = Check::failed(address::TCP, error).since(started);
            }
            let (tls, challenge) = lost(error, certificate, started);
            (
                if tls.is_bad() && has_expired {
                    tls.hint(EXPIRED)
                } else {
                    tls
                },
                challenge,
            )
        }
    };
    let clock = compared(host, answered.ok().as_ref(), &network);
    vec![dns, tcp, tls.naming(names), challenge, clock]
}

fn is_no_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unreachable(Stage::Name | Stage::Connection)
    )
}

/// TLS and the challenge, when no answer came.
fn lost(error: &Error, certificate: Option<String>, started: Instant) -> (Check, Check) {
    match error.kind() {
        ErrorKind::Unreachable(Stage::Name | Stage::Connection) => (
            Check::skipped(TLS, "there is no connection"),
            Check::skipped(challenge::NAME, "there is no connection"),
        ),
        ErrorKind::Unreachable(Stage::Answer) => {
            // TLS stood before the answer could break off.
            let tls = Check::good(
                TLS,
                certificate.unwrap_or_else(|| "the certificate is trusted".into()),
            );
            (tls, Check::failed(challenge::NAME, error).since(started))
        }
        ErrorKind::Timeout => (
            Check::skipped(TLS, "no answer came"),
            Check::failed(challenge::NAME, error).since(started),
        ),
        _ => {
            let tls = Check::failed(TLS, error).with(certificate).since(started);
            (tls, Check::skipped(challenge::NAME, "TLS is not trusted"))
        }
    }
}

/// The clocks at both ends.
fn compared(host: &str, answered: Option<&Answered>, network: &Network) -> Check {
    match (answered, network.skew()) {
        (Some(_), Some(skew)) => Check::warning(CLOCK, skew)
            .hint("set the clock of this machine, for example with `timedatectl set-ntp true`"),
        (Some(answered), None) if answered.headers.contains_key(DATE) => {
            Check::good(CLOCK, format!("within five minutes of that of {host}"))
        }
        (Some(_), None) => Check::skipped(CLOCK, "the answer has no date"),
        (None, _) => Check::skipped(CLOCK, "no answer came"),
    }
}

/// The same checks when it is of no use to look.
pub(super) fn skipped(reason: &str) -> Vec<Check> {
    [address::DNS, address::TCP, TLS, challenge::NAME, CLOCK]
        .map(|name| Check::skipped(name, reason))
        .into()
}

/// What is wrong with the settings of the network.
pub(super) fn problem(config: &Config, registry: &Registry, clock: Clock) -> Option<Error> {
    let built = network(config, clock).0.internet(registry.host());
    built
        .err()
        .filter(|error| error.kind() == ErrorKind::Setting)
}

/// A network whose requests end within ten seconds, or within the configured time if that is shorter.
pub(super) fn network(config: &Config, clock: Clock) -> (Network, Deadline) {
    let deadline = Deadline::after(config.timeout).or_after(PATIENCE);
    (
        Network::new(config.network.clone(), deadline, clock),
        deadline,
    )
}

async fn ask(
    network: &Network,
    registry: &Registry,
    deadline: Deadline,
) -> Result<Answered, Error> {
    let host = registry.host();
    let client = network.internet(host)?;
    let request = client.get(format!("https://{host}/v2/"));
    send(
        network,
        &client,
        registry,
        request,
        deadline,
        "was asked who may come in",
    )
    .await
}

/// Sends a request to the registry's own host and reads the answer. `what` is what the host is asked, for the error.
pub(super) async fn send(
    network: &Network,
    client: &Client,
    registry: &Registry,
    request: reqwest::RequestBuilder,
    deadline: Deadline,
    what: &str,
) -> Result<Answered, Error> {
    let host = registry.host();
    let lost = |error: &(dyn std::error::Error + 'static)| {
        let unreadable =
            || Asked::other(registry, "the request", None).unexpected("something unreadable");
        network.unreachable(host, error).unwrap_or_else(unreadable)
    };
    let answered = async {
        let request = request.build().map_err(|error| lost(&error))?;
        let response = network
            .send(client, request)
            .await
            .map_err(|error| lost(&error.without_url()))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = network::body(response)
            .await
            .map_err(|error| lost(&*error))?;
        Ok(Answered {
            status,
            headers,
            body,
        })
    };
    deadline
        .keep(format!("{host} {what}"), network.circumstances(), answered)
        .await
}

fn shown(facts: &Facts) -> String {
    format!(
        "the certificate of {} is signed by `{}` and ends {}",
        facts.subject,
        facts.issuer,
        day(facts.ends)
    )
}

/// Whether the answer is HTML.
pub(super) fn is_web_page(answered: &Answered) -> bool {
    answer::is_web_page(&answered.body)
}
