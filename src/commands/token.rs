//! `token`: the credential of a registry for scripts.

use super::{Context, write_json};
use crate::error::Error;
use azure_core::time::{OffsetDateTime, to_rfc3339};
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::io::Write;

/// `token REGISTRY [--format FORMAT]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, such as contoso.azurecr.io.
    registry: String,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// The forms of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// An object, as `az acr login --expose-token` prints.
    Json,
    /// A line for a shell that signs docker in.
    DockerLogin,
    /// `ACR_LOGIN_SERVER`, `ACR_USERNAME`, `ACR_PASSWORD`.
    Env,
    /// The token and nothing else.
    Raw,
}

/// The names that `az acr login --expose-token` gives them (azure-cli 2.91, `acr/custom.py`), and when it ends (RFC 3339).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exposed<'a> {
    login_server: &'a str,
    username: &'a str,
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_on: Option<String>,
}

/// Prints the credential that a client would be given.
pub fn run(context: &Context<'_>, arguments: &Arguments, mut output: impl Write) -> Result<(), Error> {
    let registry = context.registry(&arguments.registry)?;
    let credential = context.helper().get(&registry)?;
    let (host, username, token) = (registry.host(), credential.username, credential.token.secret().expose_secret());
    // Neither holds a quote: the host was parsed, the user name is one of two, and a token is taken only as printable letters.
    let written = match arguments.format {
        Format::Json => {
            let expires_on = credential.token.expires().map(|time| to_rfc3339(&OffsetDateTime::from(time)));
            return write_json(&mut output, &Exposed { login_server: host, username, access_token: token, expires_on });
        }
        Format::DockerLogin => {
            writeln!(output, "printf %s '{token}' | docker login {host} --username '{username}' --password-stdin")
        }
        Format::Env => writeln!(output, "ACR_LOGIN_SERVER={host}\nACR_USERNAME={username}\nACR_PASSWORD={token}"),
        Format::Raw => writeln!(output, "{token}"),
    };
    written.map_err(Error::Output)
}
