//! `token`: prints the credential of a registry for scripts.

use super::{Context, write_json};
use crate::error::Error;
use crate::text::shell_quoted;
use azure_core::time::{OffsetDateTime, to_rfc3339};
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// `token REGISTRY [--format FORMAT]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, such as contoso.azurecr.io.
    registry: String,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Json, conflicts_with = "json")]
    format: Format,
}

/// The formats of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// An object, as `az acr login --expose-token` prints.
    Json,
    /// A shell command that signs Docker in.
    DockerLogin,
    /// `ACR_LOGIN_SERVER`, `ACR_USERNAME`, `ACR_PASSWORD` for a shell.
    Env,
    /// Set the same variables for later steps of a GitHub Actions job, and mask the token in its log.
    GithubActions,
    /// The token and nothing else.
    Raw,
}

/// The names of `az acr login --expose-token` (azure-cli 2.91, `acr/custom.py`), and the expiry (RFC 3339).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenOutput<'a> {
    login_server: &'a str,
    username: &'a str,
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_on: Option<String>,
}

/// Prints the credential that a client gets.
///
/// # Errors
///
/// If there is no credential, or it cannot be written.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let registry = context.registry(&arguments.registry)?;
    let credential = context.service().get(&registry)?;
    let token = credential.token.secret().expose_secret();
    let values = [registry.host(), credential.username, token];
    let [host, username, _] = values;
    let written = match arguments.format {
        Format::Json => {
            let expires = credential.token.expires().map(OffsetDateTime::from);
            let answer = TokenOutput {
                login_server: host,
                username,
                access_token: token,
                expires_on: expires.as_ref().map(to_rfc3339),
            };
            return write_json(&mut output, &answer);
        }
        Format::DockerLogin => {
            let [host, username, token] = values.map(shell_quoted);
            writeln!(
                output,
                "printf %s {token} | docker login {host} --username {username} --password-stdin"
            )
        }
        Format::Env => output.write_all(variables(values.map(shell_quoted)).as_bytes()),
        Format::GithubActions => {
            let mut file =
                github_env_file(context).map_err(|problem| Error::setting(GITHUB_ENV, problem))?;
            // The runner masks the token from this line on, so that the line must come first.
            let masked = writeln!(output, "::add-mask::{token}").and_then(|()| output.flush());
            // No value contains a line break, so that the simple form of the runner suffices.
            masked.and_then(|()| file.write_all(variables(values.map(str::to_owned)).as_bytes()))
        }
        Format::Raw => writeln!(output, "{token}"),
    };
    written.map_err(Error::output)
}

fn variables([host, username, token]: [String; 3]) -> String {
    format!("ACR_LOGIN_SERVER={host}\nACR_USERNAME={username}\nACR_PASSWORD={token}\n")
}

/// The variable of the GitHub runner that names the file in which a step sets variables for later steps.
const GITHUB_ENV: &str = "GITHUB_ENV";

/// Opens the file of [`GITHUB_ENV`] to append to it, or returns what is wrong with it. The runner creates it before the step, so that a link or
/// a missing file is not the runner's.
fn github_env_file(context: &Context<'_>) -> Result<File, String> {
    let file = context.settings.variables().get(GITHUB_ENV);
    let file = file.filter(|file| !file.is_empty()).map(Path::new).ok_or(
        "is not set: `--format github-actions` works only in a step of a GitHub Actions job",
    )?;
    if !file.is_absolute() || !fs::symlink_metadata(file).is_ok_and(|metadata| metadata.is_file()) {
        return Err(format!(
            "is {:?}, which is not the absolute path of a regular file",
            file.display()
        ));
    }
    let opened = OpenOptions::new().append(true).open(file);
    opened.map_err(|error| format!("is {:?}, which cannot be opened: {error}", file.display()))
}
