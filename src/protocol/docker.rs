//! The docker credential-helper protocol: a verb in argv, one message on stdin, one on stdout.
//!
//! Facts: docker/docker-credential-helpers, `credentials/credentials.go`. Failures go to stdout, in one line, with exit code 1. Only
//! [`crate::error::NOT_FOUND`] makes a client continue anonymously, so that only a foreign host gets that answer.

use super::delegate::DelegateHelper;
use super::{read_message, write_json};
use crate::config::{IDENTITY_TOKEN, Settings, ZERO_GUID};
use crate::error::{
    Error, ErrorKind, HINT_STDIN, NO_SERVER_URL, NOT_FOUND, config_file, sanitize, sanitize_line,
};
use crate::registry::Registry;
use crate::service::TokenService;
use crate::text::first_sentence;
use clap::Subcommand;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::ExitCode;
use tracing::{debug, warn};

/// The limit on a message with a host.
const MAX_HOST_BYTES: usize = 8 * 1024;

/// The limit on the message of `store`: passwords for other registries can be whole keys.
const MAX_STORE_BYTES: usize = 64 * 1024;

/// What the client asks for. The comments are the help text of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Verb {
    /// Print the credential of the registry named on stdin.
    #[command(after_help = include_str!("../commands/help/get.txt"))]
    Get,
    /// Accept and ignore a credential from `docker login`.
    #[command(after_help = include_str!("../commands/help/store.txt"))]
    Store,
    /// Delete the cached tokens of the registry named on stdin.
    #[command(after_help = include_str!("../commands/help/erase.txt"))]
    Erase,
    /// Print the registries with a valid cached token.
    #[command(after_help = include_str!("../commands/help/list.txt"))]
    List,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 4] = [Self::Get, Self::Store, Self::Erase, Self::List];

    /// Returns its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Store => "store",
            Self::Erase => "erase",
            Self::List => "list",
        }
    }
}

/// The answer to `get`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Credential<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

/// The message of `store`. Its secret is not parsed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoreMessage {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    #[serde(default)]
    username: String,
}

/// Answers one request. `settings` are read first. `service` is called only for Azure's registries and for `list`, so that the answer for
/// another host depends on the config file and on no variable but the delegate's.
///
/// The exit code is 0, that of the delegate, or 1 after the line that makes the client continue without a credential.
///
/// # Errors
///
/// Fails for any other reason. Its line has been written to `output`, unless that is a terminal: a person reads it on stderr, and there also
/// why a client goes on without a credential.
pub fn serve(
    verb: Verb,
    settings: impl FnOnce() -> Result<Settings, Error>,
    service: impl for<'a> FnOnce(&'a Settings) -> Result<TokenService<'a>, Error>,
    input: impl Read,
    mut output: impl Write,
    is_terminal: bool,
) -> Result<ExitCode, Error> {
    settings()
        .and_then(|settings| run(verb, &settings, service, input, &mut output))
        .or_else(|error| {
            // Settings and names of files are part of messages, and may hold any character.
            let message = sanitize(&error.to_string());
            let line = first_sentence(&message);
            let kind = error.kind();
            let goes_on = matches!(kind, ErrorKind::NotAcrRegistry | ErrorKind::Anonymous);
            let is_forged = line == NOT_FOUND && !goes_on;
            let line = if is_forged { "it failed" } else { line };
            if goes_on || !is_terminal {
                write_failure(line, output);
            }
            match error.hint() {
                Some(reason) if goes_on && is_terminal => Err(Error::new(kind, reason)),
                _ if goes_on => Ok(ExitCode::FAILURE),
                _ => Err(error),
            }
        })
}

/// Writes the line of a failure to stdout, as the protocol requires. Nothing can be done if the client has closed it.
pub fn write_failure(line: &str, mut output: impl Write) {
    drop(writeln!(output, "{line}"));
}

fn run<'a>(
    verb: Verb,
    settings: &'a Settings,
    service: impl FnOnce(&'a Settings) -> Result<TokenService<'a>, Error>,
    input: impl Read,
    output: impl Write,
) -> Result<ExitCode, Error> {
    let limit = match verb {
        Verb::Get | Verb::Erase => MAX_HOST_BYTES,
        Verb::Store => MAX_STORE_BYTES,
        Verb::List => return write_json(output, &list(settings, &service(settings)?)?),
    };
    let message = read_message(input, limit)?;
    let StoreMessage {
        server_url,
        username,
    } = parse(verb, &message)?;
    let Some(registry) = Registry::parse(&server_url, settings.clouds()) else {
        return match (DelegateHelper::from_settings(settings)?, verb) {
            (Some(delegate), _) => delegate.forward(verb, &message, output),
            (None, Verb::Store) => Err(no_delegate(&server_url, settings)),
            (None, _) => {
                let host = sanitize_line(&server_url);
                let reason =
                    "is not an Azure Container Registry: a client goes on without a credential";
                let error = Error::new(ErrorKind::NotAcrRegistry, NOT_FOUND);
                Err(error.with_hint(format!("`{host}` {reason}")))
            }
        };
    };
    match verb {
        Verb::Store => check_username(&server_url, &username)?,
        Verb::Erase => service(settings)?.erase(&registry)?,
        Verb::Get | Verb::List => {
            let credential = service(settings)?.get(&registry)?;
            let answer = Credential {
                server_url: &server_url,
                username: credential.username,
                secret: credential.token.secret().expose_secret(),
            };
            return write_json(output, &answer);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Parses the JSON of `store`, or the server URL that is the message of the other verbs, without the white space around it.
fn parse(verb: Verb, message: &[u8]) -> Result<StoreMessage, Error> {
    let stored = if verb == Verb::Store {
        serde_json::from_slice(message).map_err(|_| {
            Error::input("stdin holds no JSON object with `ServerURL`, `Username` and `Secret`")
        })?
    } else {
        let text = std::str::from_utf8(message).map_err(|_| Error::input("stdin holds no text"))?;
        StoreMessage {
            server_url: text.trim().to_owned(),
            username: String::new(),
        }
    };
    if stored.server_url.trim().is_empty() {
        return Err(Error::input(NO_SERVER_URL).with_hint(HINT_STDIN));
    }
    Ok(stored)
}

/// Returns the hosts of Azure and of the delegate. If the delegate fails, Azure's hosts are listed anyway: a build asks for all hosts, and
/// may need only these.
fn list(
    settings: &Settings,
    service: &TokenService<'_>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut hosts = service.list()?;
    let delegate = DelegateHelper::from_settings(settings);
    let others = delegate.and_then(|delegate| delegate.map(|it| it.list()).transpose());
    let others = others.unwrap_or_else(|error| {
        warn!("{error}; only Azure's registries are listed");
        None
    });
    // `get` never returns what the delegate has for a registry of Azure.
    let is_foreign = |host: &str| Registry::parse(host, settings.clouds()).is_none();
    hosts.extend(
        others
            .into_iter()
            .flatten()
            .filter(|(host, _)| is_foreign(host)),
    );
    Ok(hosts)
}

/// Accepts the credential that `docker login` got from `get`, and stores nothing: only tokens that this helper requested itself are given
/// out. Refuses other credentials, which would be lost.
fn check_username(server_url: &str, username: &str) -> Result<(), Error> {
    let host = sanitize_line(server_url);
    match username {
        "" => Err(Error::input("no credentials username")),
        ZERO_GUID | IDENTITY_TOKEN => {
            debug!(host, "nothing to store: `get` requests the token");
            Ok(())
        }
        username => Err(Error::input(format!(
            "the helper does not store the password of `{}`, because it signs in to `{host}` with an Entra identity",
            sanitize_line(username)
        ))
        .with_hint("to use a password, name another helper for the host under `credHelpers`")),
    }
}

fn no_delegate(server_url: &str, settings: &Settings) -> Error {
    let host = sanitize_line(server_url);
    let message =
        format!("`{host}` is not an Azure Container Registry, and no `delegate` is configured");
    let file = config_file(settings.file());
    Error::new(ErrorKind::Delegate, message).with_hint(format!(
        "name another helper for the host under `credHelpers` in Docker's config.json, or for all other hosts in {file}, \
         such as `delegate = \"secretservice\"`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn no_service(_: &Settings) -> Result<TokenService<'_>, Error> {
        panic!("a service was made for a host that is not ours")
    }

    fn answer(verb: Verb, input: &[u8], output: &mut Vec<u8>) -> Result<ExitCode, Error> {
        run(
            verb,
            &Settings::from_variables(HashMap::new(), None),
            no_service,
            input,
            output,
        )
    }

    fn failure(verb: Verb, input: &[u8]) -> String {
        answer(verb, input, &mut Vec::new())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_foreign_host_gets_the_clients_own_words_and_starts_nothing() {
        for verb in [Verb::Get, Verb::Erase] {
            for host in [
                "docker.io",
                "contoso.azurecr.io.evil.example",
                "\u{feff}contoso.azurecr.io",
            ] {
                assert_eq!(
                    failure(verb, host.as_bytes()),
                    "credentials not found in native keychain"
                );
            }
        }
    }

    #[test]
    fn input_that_cannot_be_used_is_an_error() {
        let long = vec![b'a'; 8 * 1024 + 1];
        for (input, sentence) in [
            (&b""[..], "no credentials server URL"),
            (b" \r\n\t", "no credentials server URL"),
            (b"\xff\xfe", "stdin holds no text"),
            (&long, "stdin holds more than 8192 bytes"),
        ] {
            assert_eq!(failure(Verb::Get, input), sentence);
            assert_eq!(failure(Verb::Erase, input), sentence);
        }
    }

    #[test]
    fn what_docker_login_stores_is_accepted_and_not_stored() {
        for username in [ZERO_GUID, IDENTITY_TOKEN] {
            let message = format!(
                r#"{{"ServerURL":"https://contoso.azurecr.io","Username":"{username}","Secret":"canary"}}"#
            );
            let mut output = Vec::new();
            answer(Verb::Store, message.as_bytes(), &mut output).unwrap();
            assert!(output.is_empty());
        }
    }

    #[test]
    fn a_credential_that_would_be_lost_is_refused() {
        for (message, sentence) in [
            (
                r#"{"ServerURL":"contoso.azurecr.io","Username":"alice","Secret":"canary"}"#,
                "the helper does not store the password of `alice`, because it signs in to `contoso.azurecr.io` with an Entra identity",
            ),
            (
                r#"{"ServerURL":"docker.io","Username":"alice","Secret":"canary"}"#,
                "`docker.io` is not an Azure Container Registry, and no `delegate` is configured",
            ),
            (
                r#"{"ServerURL":"contoso.azurecr.io","Username":"","Secret":"canary"}"#,
                "no credentials username",
            ),
            (
                r#"{"Username":"alice","Secret":"canary"}"#,
                "no credentials server URL",
            ),
            (
                "canary",
                "stdin holds no JSON object with `ServerURL`, `Username` and `Secret`",
            ),
            (
                "",
                "stdin holds no JSON object with `ServerURL`, `Username` and `Secret`",
            ),
        ] {
            assert_eq!(failure(Verb::Store, message.as_bytes()), sentence);
        }
    }

    #[test]
    fn only_two_kinds_of_failure_make_a_client_continue_anonymously() {
        for (kind, expected) in [
            (ErrorKind::NotAcrRegistry, Some(NOT_FOUND)),
            (ErrorKind::Anonymous, Some(NOT_FOUND)),
            (ErrorKind::SignIn, None),
            (ErrorKind::Setting, None),
        ] {
            for end in ["", ". x", "\u{200b}. x", " . x", "\n"] {
                let mut output = Vec::new();
                let settings = || Err(Error::new(kind, format!("{NOT_FOUND}{end}")));
                let _ = serve(
                    Verb::Get,
                    settings,
                    no_service,
                    &b""[..],
                    &mut output,
                    false,
                );
                let line = String::from_utf8(output).unwrap();
                assert_eq!(
                    expected.is_some(),
                    line.trim() == NOT_FOUND,
                    "{kind:?} {end:?}"
                );
            }
        }
    }
}
