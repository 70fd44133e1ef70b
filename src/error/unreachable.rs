//! A host that could not be talked to.

use std::fmt;

/// A host that could not be talked to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unreachable {
    /// Host, or host and port.
    pub host: String,
    /// What it did not get past.
    pub stage: Stage,
    /// The innermost cause.
    pub cause: String,
    /// The proxy or CA file in play, as sentences.
    pub circumstances: Vec<String>,
}

/// How far a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Its name did not resolve.
    Name,
    /// No connection.
    Connection,
    /// TLS was not agreed on, or the certificate is not trusted.
    Tls,
    /// The connection broke before the answer was whole.
    Answer,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host, stage, cause, ..
        } = self;
        match stage {
            Stage::Name => write!(f, "the name {host} was not found"),
            Stage::Connection => write!(f, "no connection to {host}: {cause}"),
            Stage::Tls => write!(f, "no trusted TLS connection to {host}: {cause}"),
            Stage::Answer => write!(f, "no whole answer from {host}: {cause}"),
        }
    }
}

impl Unreachable {
    pub(super) fn hint(&self) -> String {
        match self.stage {
            Stage::Name => "check the spelling, the cloud's suffix, DNS and, with a private endpoint, its DNS zone".into(),
            Stage::Connection if self.cause.contains("proxy authorization required") => {
                "the proxy wants a user and a password: `HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`".into()
            }
            Stage::Connection => "check the name, the network, and `HTTPS_PROXY`, `NO_PROXY`".into(),
            Stage::Tls => {
                "if a proxy inspects TLS, put its CA certificate into the system's store or name its file in `ACRSCOPED_CA_FILE`"
                    .into()
            }
            Stage::Answer => "try again; a proxy or firewall may cut connections".into(),
        }
    }
}
