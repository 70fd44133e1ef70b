//! `token`: the credential of a registry for scripts.

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
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
}

/// The forms of a credential.
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
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let registry = context.registry(&arguments.registry)?;
    let credential = context.service().get(&registry)?;
    let (host, username, token) = (
        registry.host(),
        credential.username,
        credential.token.secret().expose_secret(),
    );
    let written = match arguments.format {
        Format::Json => {
            let expires_on = credential
                .token
                .expires()
                .map(|time| to_rfc3339(&OffsetDateTime::from(time)));
            return write_json(
                &mut output,
                &Exposed {
                    login_server: host,
                    username,
                    access_token: token,
                    expires_on,
                },
            );
        }
        Format::DockerLogin => {
            let [host, username, token] = [host, username, token].map(shell_quoted);
            writeln!(
                output,
                "printf %s {token} | docker login {host} --username {username} --password-stdin"
            )
        }
        Format::Env => {
            output.write_all(variables([host, username, token].map(shell_quoted)).as_bytes())
        }
        Format::GithubActions => {
            let mut file =
                job_file(context).map_err(|problem| Error::setting(JOB_FILE, problem))?;
            // The runner masks from this line on, so nothing that shows the token may come before it.
            let masked = writeln!(output, "::add-mask::{token}").and_then(|()| output.flush());
            // No value has a line break, so each line is one variable. The runner's form with a delimiter adds nothing to that.
            masked.and_then(|()| {
                file.write_all(variables([host, username, token].map(str::to_owned)).as_bytes())
            })
        }
        Format::Raw => writeln!(output, "{token}"),
    };
    written.map_err(Error::output)
}

fn variables([host, username, token]: [String; 3]) -> String {
    format!("ACR_LOGIN_SERVER={host}\nACR_USERNAME={username}\nACR_PASSWORD={token}\n")
}

/// The variable of GitHub's runner that names the file by which a step sets variables for later steps.
const JOB_FILE: &str = "GITHUB_ENV";

/// The file of the job, to append to. The runner makes it before the step starts: a link, or a file that is not there, is not the runner's.
/// The error says what is wrong with it.
fn job_file(context: &Context<'_>) -> Result<File, String> {
    let file = context
        .settings
        .variables()
        .get(JOB_FILE)
        .filter(|file| !file.is_empty())
        .map(Path::new);
    let file = file.ok_or(
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
