//! Says why a connection failed, at which stage, and what to do.

use super::Network;
use super::proxy::TunnelError;
use super::response::BodyTooLong;
use crate::error::{Error, ErrorKind, Stage, sanitize_line};
use crate::registry::Registry;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::CertificateError;
use std::error::Error as StdError;
use std::io;
use tower::Service;

/// The error of a name look-up or a TCP connection, to the host or to its proxy.
pub(super) type ConnectError = <HttpConnector as Service<Uri>>::Error;

const RENEW_HINT: &str = "check the clock of this machine; if it is right, the certificate must be renewed at the registry, or at the \
                          proxy that inspects TLS";

impl Network {
    /// Returns what stopped a connection to `host`, or `None` if the error is about something else.
    pub fn unreachable(&self, host: &str, error: &(dyn StdError + 'static)) -> Option<Error> {
        if let Some(known) = chain(error).find_map(|cause| cause.downcast_ref::<Error>()) {
            return Some(known.clone());
        }
        // Name resolution and TLS fail while connecting. Only the inner causes tell them apart.
        let stage = chain(error).filter_map(stage).last()?;
        Some(self.connect_error(stage, host, error))
    }

    pub(super) fn connect_error(
        &self,
        stage: Stage,
        host: &str,
        error: &(dyn StdError + 'static),
    ) -> Error {
        let notes = self.proxy_and_ca_notes();
        if let Some((problem, hint)) = chain(error).find_map(certificate_problem) {
            return Error::unreachable(host, Stage::Tls, problem, notes).with_hint(hint);
        }
        let cause = innermost_cause(error);
        let is_of_proxy = |cause: &(dyn StdError + 'static)| {
            cause.is::<ConnectError>() || cause.is::<TunnelError>()
        };
        match self.proxy(host) {
            Some(proxy) if chain(error).any(is_of_proxy) => {
                let message = format!("cannot connect to the proxy {proxy}: {cause}");
                self.proxy_error(message).with_hint(format!(
                    "correct `HTTPS_PROXY`, or add {host} to `NO_PROXY` to connect without the proxy"
                ))
            }
            _ => Error::unreachable(host, stage, &cause, notes),
        }
    }
}

impl Error {
    /// Reports a host that cannot be reached. `notes` are the proxy and CA settings in force, as sentences.
    pub(crate) fn unreachable(host: &str, stage: Stage, cause: &str, notes: &[String]) -> Self {
        let name_hint = match Registry::parse(host, &[]) {
            Some(_) => {
                "check the spelling, the cloud's suffix, DNS and, with a private endpoint, its DNS zone"
            }
            None => "check DNS; if this network needs a proxy, set `HTTPS_PROXY`",
        };
        let (message, hint) = match stage {
            Stage::Name => (format!("the name {host} was not found"), name_hint),
            Stage::Connection => (
                format!("no connection to {host}: {cause}"),
                "check the name, the network, and `HTTPS_PROXY`, `NO_PROXY`",
            ),
            Stage::Tls => (
                format!("no trusted TLS connection to {host}: {cause}"),
                "check whether a proxy or firewall changes TLS connections",
            ),
            Stage::Answer => (
                format!("incomplete response from {host}: {cause}"),
                "try again; a proxy or firewall may cut connections",
            ),
        };
        Self::new(ErrorKind::Unreachable(stage), message)
            .with_details(notes_on(stage, notes))
            .with_hint(hint)
    }
}

/// Returns the notes that matter at a stage: certificates do not before TLS, nor after it.
pub(crate) fn notes_on(stage: Stage, notes: &[String]) -> Vec<String> {
    let is_of_proxy = |note: &&String| note.split('`').nth(1).is_some_and(is_proxy_variable);
    let notes = notes.iter();
    let notes = notes.filter(|note| stage == Stage::Tls || is_of_proxy(note));
    notes.cloned().collect()
}

fn is_proxy_variable(name: &str) -> bool {
    name.to_ascii_uppercase().ends_with("_PROXY")
}

/// Returns an error and all its causes. The text of an error rarely shows its cause.
pub fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    anyhow::Chain::new(error)
}

/// Returns the text of the innermost cause, without the number of an error of the system.
fn innermost_cause(error: &(dyn StdError + 'static)) -> String {
    let innermost = chain(error).last().map(ToString::to_string);
    let cause = sanitize_line(&innermost.unwrap_or_default());
    let (text, _) = cause.split_once(" (os error").unwrap_or((&cause, ""));
    text.to_owned()
}

/// Returns whether a retry may succeed: the connection broke, or a name server asked for another try.
pub(super) fn is_transient(error: &reqwest::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    chain(error).any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let hyper_error = cause.downcast_ref::<hyper::Error>();
        // TLS errors have the kind `InvalidData`, so they are never retried.
        matches!(
            kind,
            Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        ) || is_try_again(cause)
            || hyper_error.is_some_and(hyper::Error::is_incomplete_message)
    })
}

/// Returns whether a name server asked for another try (getaddrinfo(3), `EAI_AGAIN`). The standard library keeps only the text, which is
/// glibc's or, in the static program, musl's.
fn is_try_again(cause: &(dyn StdError + 'static)) -> bool {
    let text = cause.to_string();
    let text = text.strip_prefix("failed to lookup address information: ");
    matches!(
        text,
        Some("Temporary failure in name resolution" | "Try again")
    )
}

fn stage(cause: &(dyn StdError + 'static)) -> Option<Stage> {
    match cause.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_connect() => Some(Stage::Connection),
        Some(_) => Some(Stage::Answer),
        None if tls_error(cause).is_some() => Some(Stage::Tls),
        None if cause.is::<BodyTooLong>() => Some(Stage::Answer),
        None => {
            // hyper has one type for a failed look-up and a failed connection. Only their texts differ.
            let is_look_up = cause.is::<ConnectError>() && cause.to_string() == "dns error";
            is_look_up.then_some(Stage::Name)
        }
    }
}

/// Returns the TLS error that a cause is, or that it wraps without naming it as its source.
fn tls_error<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let inner = || cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref();
    cause.downcast_ref().or_else(inner)
}

/// Returns what is wrong with a certificate, and what to do about it.
fn certificate_problem(cause: &(dyn StdError + 'static)) -> Option<(&'static str, &'static str)> {
    use CertificateError as Problem;
    let rustls::Error::InvalidCertificate(problem) = tls_error(cause)? else {
        return None;
    };
    Some(match problem {
        Problem::NotValidForName | Problem::NotValidForNameContext { .. } => (
            "its certificate is for another name",
            "another server is answering for this name: check the name, DNS, `/etc/hosts` and `HTTPS_PROXY`",
        ),
        Problem::Expired | Problem::ExpiredContext { .. } => {
            ("its certificate has expired", RENEW_HINT)
        }
        Problem::NotValidYet | Problem::NotValidYetContext { .. } => {
            ("its certificate is not valid yet", RENEW_HINT)
        }
        Problem::UnknownIssuer => (
            "this machine does not trust the issuer of its certificate",
            "if a proxy inspects TLS, add its CA certificate to the system's store, or name its file in `ACRSCOPED_CA_FILE`",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_that_asks_for_another_try_is_recognised_by_the_text_of_both_libraries() {
        let look_up = |words: &str| {
            io::Error::other(format!("failed to lookup address information: {words}"))
        };
        for (error, expected) in [
            (look_up("Temporary failure in name resolution"), true),
            (look_up("Try again"), true),
            (look_up("Name or service not known"), false),
            (look_up("Name does not resolve"), false),
            (io::Error::other("Try again"), false),
        ] {
            assert_eq!(is_try_again(&error), expected, "{error}");
        }
    }

    #[test]
    fn every_problem_of_a_certificate_has_its_sentence_and_hint() {
        let now = rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::ZERO);
        for (problem, sentence, hint) in [
            (
                CertificateError::NotValidForNameContext {
                    expected: "R.example".try_into().unwrap(),
                    presented: vec![],
                },
                "for another name",
                "DNS",
            ),
            (
                CertificateError::ExpiredContext {
                    time: now,
                    not_after: now,
                },
                "has expired",
                "clock",
            ),
            (CertificateError::NotValidYet, "not valid yet", "clock"),
            (
                CertificateError::UnknownIssuer,
                "does not trust the issuer",
                "`ACRSCOPED_CA_FILE`",
            ),
        ] {
            let error = io::Error::other(rustls::Error::InvalidCertificate(problem));
            let (shown, advice) = certificate_problem(&error).unwrap();
            assert!(shown.contains(sentence), "{shown}");
            assert!(advice.contains(hint), "{advice}");
        }
        let other = io::Error::other(rustls::Error::DecryptError);
        assert_eq!(certificate_problem(&other), None);
    }

    #[test]
    fn every_stage_of_a_connection_has_its_sentence_and_hint() {
        for (stage, sentence, hint) in [
            (Stage::Name, "the name R was not found", "set `HTTPS_PROXY`"),
            (
                Stage::Connection,
                "no connection to R: reason",
                "`NO_PROXY`",
            ),
            (
                Stage::Tls,
                "no trusted TLS connection to R: reason",
                "changes TLS connections",
            ),
            (
                Stage::Answer,
                "incomplete response from R: reason",
                "try again; a proxy or firewall may cut connections",
            ),
        ] {
            let notes = ["`https_proxy` is set", "`SSL_CERT_FILE` is set"].map(str::to_owned);
            let error = Error::unreachable("R", stage, "reason", &notes);
            assert_eq!(error.to_string(), sentence);
            assert!(error.hint().unwrap().ends_with(hint), "{error:?}");
            let matter = if stage == Stage::Tls { 2 } else { 1 };
            assert_eq!(error.details(), &notes[..matter]);
        }
        let error = Error::unreachable("contoso.azurecr.io", Stage::Name, "", &[]);
        assert!(error.hint().unwrap().ends_with("DNS zone"), "{error:?}");
    }
}
