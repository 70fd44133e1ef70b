//! `token`: prints the credential of a registry for scripts.

use super::{Context, write_json};
use crate::error::Error;
use crate::files::private_file;
use crate::text::{shell_quoted, shell_word};
use azure_core::time::{OffsetDateTime, to_rfc3339};
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// `token REGISTRY [--format FORMAT] [--output FILE]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, such as contoso.azurecr.io.
    registry: String,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Format::Json, conflicts_with = "json")]
    format: Format,
    /// Write to this new file, which only you can read.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The formats of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// An object, as `az acr login --expose-token` prints.
    Json,
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

/// Prints the credential that a client gets, or writes it to a new file.
///
/// # Errors
///
/// If there is no credential, or it cannot be written.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let is_for_github = arguments.format == Format::GithubActions;
    if is_for_github && arguments.output.is_some() {
        let problem =
            "`--format github-actions` writes to the file of the job, and not to one of `--output`";
        return Err(Error::input(problem));
    }
    let registry = context.registry(&arguments.registry)?;
    let credential = context.service().get(&registry);
    let credential = credential.map_err(|error| context.suggest(error, &registry))?;
    let token = credential.token.secret().expose_secret();
    let values = [registry.host(), credential.username, token];
    let mut file;
    let output: &mut dyn Write = match &arguments.output {
        Some(path) => {
            file = create_private(path)?;
            &mut file
        }
        None => &mut output,
    };
    let written = match arguments.format {
        Format::Json => {
            let expires = credential.token.expires().map(OffsetDateTime::from);
            let answer = TokenOutput {
                login_server: registry.host(),
                username: credential.username,
                access_token: token,
                expires_on: expires.as_ref().map(to_rfc3339),
            };
            return write_json(&mut &mut *output, &answer);
        }
        Format::Env => output.write_all(variables(values, shell_quoted).as_bytes()),
        Format::GithubActions => {
            let mut file =
                github_env_file(context).map_err(|problem| Error::setting(GITHUB_ENV, problem))?;
            // The runner masks the token from this line on, so that the line must come first.
            let masked = writeln!(output, "::add-mask::{token}").and_then(|()| output.flush());
            // No value contains a line break, so that the simple form of the runner suffices.
            let variables = variables(values, str::to_owned);
            masked.and_then(|()| file.write_all(variables.as_bytes()))
        }
        Format::Raw => writeln!(output, "{token}"),
    };
    written.map_err(Error::output)
}

/// Creates a file with mode 0600. An existing file is refused: it may be readable for others, or a link.
fn create_private(path: &Path) -> Result<File, Error> {
    let opened = private_file().create_new(true).open(path);
    opened.map_err(|error| {
        let file = path.display().to_string();
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Error::input(format!("could not create {file}: {error}"));
        }
        let hint = format!("delete it first\n  rm {}", shell_word(&file));
        Error::input(format!("{file} exists already")).with_hint(hint)
    })
}

/// Returns the lines that set the variables of a shell or a job.
fn variables(values: [&str; 3], quote: fn(&str) -> String) -> Zeroizing<String> {
    let [host, username, token] = values.map(|value| Zeroizing::new(quote(value)));
    let [host, username, token] = [&*host, &*username, &*token];
    format!("ACR_LOGIN_SERVER={host}\nACR_USERNAME={username}\nACR_PASSWORD={token}\n").into()
}

/// The variable of the GitHub runner that names the file in which a step sets variables for later steps.
const GITHUB_ENV: &str = "GITHUB_ENV";

/// Opens the file of [`GITHUB_ENV`] to append to it, or returns what is wrong with it. The runner creates it before the step, so that a link or
/// a missing file is not the runner's. In a container job the runner may be another user than root.
fn github_env_file(context: &Context<'_>) -> Result<File, String> {
    let path = context.settings.variables().get(GITHUB_ENV);
    let path = path.filter(|path| !path.is_empty()).map(Path::new).ok_or(
        "is not set: `--format github-actions` works only in a step of a GitHub Actions job",
    )?;
    let is_plain = path.is_absolute() && !path.is_symlink();
    let opened = is_plain.then(|| private_file().append(true).open(path).ok());
    let is_of_runner = |file: &File| file.metadata().is_ok_and(|file| is_of_runner(&file));
    opened.flatten().filter(is_of_runner).ok_or_else(|| {
        let path = path.display();
        format!("is {path:?}, which is not the absolute path of a regular file of yours")
    })
}

fn is_of_runner(file: &Metadata) -> bool {
    #[cfg(unix)]
    {
        let user = rustix::process::geteuid();
        let owner = std::os::unix::fs::MetadataExt::uid(file);
        if !user.is_root() && owner != user.as_raw() {
            return false;
        }
    }
    file.is_file()
}
