//! The docker credential-helper protocol: a verb in argv, one message on stdin, one on stdout.
//!
//! Facts: docker/docker-credential-helpers, `credentials/credentials.go`. Failures go to stdout, in one line, with exit code 1. Of
//! them, only [`crate::error::NOT_FOUND`] makes a client go on anonymously, so nothing but a foreign host gets that answer.

use super::delegate::Other;
use super::{message, write};
use crate::config::{IDENTITY_TOKEN, Settings, ZERO_GUID};
use crate::error::{Error, NO_SERVER_URL, printable, visible};
use crate::helper::Helper;
use crate::registry::Registry;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::ExitCode;
use tracing::{debug, warn};

/// The longest host that is read.
const HOST_LIMIT: usize = 8 * 1024;

/// The longest message of `store` that is read: passwords for other registries can be whole keys.
const STORE_LIMIT: usize = 64 * 1024;

/// What the client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The credential of a host.
    Get,
    /// Keep a credential.
    Store,
    /// Forget the credential of a host.
    Erase,
    /// The hosts with a credential.
    List,
}

impl Verb {
    /// The word for it on the command line.
    pub fn word(self) -> &'static str {
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

/// The message of `store`, without its secret, which is not even read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    #[serde(default)]
    username: String,
}

/// Carries out one verb. `settings` are read first; `helper` is called for a host that is ours and for `list`, so that the answer for any
/// other host depends on the config file and on no variable but the delegate's.
///
/// The exit code is 0, that of the delegate, or 1 with the line after which the client goes on without a credential. Any other failure is
/// the error, whose line the client has been told by then.
pub fn serve(
    verb: Verb,
    settings: impl FnOnce() -> Result<Settings, Error>,
    helper: impl for<'a> FnOnce(&'a Settings) -> Result<Helper<'a>, Error>,
    input: impl Read,
    mut output: impl Write,
) -> Result<ExitCode, Error> {
    let done =
        settings().and_then(|settings| carry_out(verb, &settings, helper, input, &mut output));
    done.or_else(|error| {
        // Settings and names of files are part of messages, and may hold anything.
        fail(&visible(&error.to_string()), output);
        if matches!(error, Error::NotOurs | Error::Anonymous(_)) {
            Ok(ExitCode::FAILURE)
        } else {
            Err(error)
        }
    })
}

/// Tells the client why it gets nothing, in a line where the protocol wants it. One that has closed the stream cannot be told.
pub fn fail(line: &str, mut output: impl Write) {
    drop(writeln!(output, "{line}"));
}

fn carry_out<'a>(
    verb: Verb,
    settings: &'a Settings,
    helper: impl FnOnce(&'a Settings) -> Result<Helper<'a>, Error>,
    input: impl Read,
    mut output: impl Write,
) -> Result<ExitCode, Error> {
    match verb {
        Verb::Get => {
            let message = message(input, HOST_LIMIT)?;
            let server_url = server_url(&message)?;
            let Some(registry) = Registry::parse(server_url, settings.clouds()) else {
                return not_ours(verb, settings, &message, output);
            };
            let credential = helper(settings)?.get(&registry)?;
            let secret = credential.token.secret().expose_secret();
            return write(
                &mut output,
                &Credential {
                    server_url,
                    username: credential.username,
                    secret,
                },
            );
        }
        Verb::Store => {
            let message = message(input, STORE_LIMIT)?;
            let stored = stored(&message)?;
            if Registry::parse(&stored.server_url, settings.clouds()).is_none() {
                return match Other::of(settings)? {
                    Some(other) => other.pass(verb, &message, output),
                    None => Err(nowhere_to_store(&stored.server_url, settings)),
                };
            }
            store(&stored)?;
        }
        Verb::Erase => {
            let message = message(input, HOST_LIMIT)?;
            let Some(registry) = Registry::parse(server_url(&message)?, settings.clouds()) else {
                return not_ours(verb, settings, &message, output);
            };
            helper(settings)?.erase(&registry)?;
        }
        Verb::List => return write(&mut output, &list(settings, &helper(settings)?)?),
    }
    Ok(ExitCode::SUCCESS)
}

/// Passes the message to the helper for other hosts; without one, the client goes on without a credential.
fn not_ours(
    verb: Verb,
    settings: &Settings,
    message: &[u8],
    output: impl Write,
) -> Result<ExitCode, Error> {
    match Other::of(settings)? {
        Some(other) => other.pass(verb, message, output),
        None => Err(Error::NotOurs),
    }
}

/// Our hosts and those of the helper for other hosts. Should that one fail, ours are listed all the same: a build asks for all of them,
/// and needs perhaps only these.
fn list(settings: &Settings, helper: &Helper<'_>) -> Result<BTreeMap<String, String>, Error> {
    let mut hosts: BTreeMap<String, String> = helper
        .list()?
        .into_iter()
        .map(|(host, name)| (host, name.to_owned()))
        .collect();
    let others = Other::of(settings).and_then(|other| other.map(|other| other.list()).transpose());
    let others = others.unwrap_or_else(|error| {
        warn!("{error}; only Azure's registries are listed");
        None
    });
    let others = others.unwrap_or_default();
    // What it kept of ours before is not what we would give out.
    hosts.extend(
        others
            .into_iter()
            .filter(|(host, _)| Registry::parse(host, settings.clouds()).is_none()),
    );
    Ok(hosts)
}

/// The message of `store`, as far as it is needed here.
fn stored(message: &[u8]) -> Result<Stored, Error> {
    let stored: Stored = serde_json::from_slice(message).map_err(|_| {
        Error::Input("stdin holds no JSON object with `ServerURL`, `Username` and `Secret`".into())
    })?;
    if stored.server_url.trim().is_empty() {
        return Err(Error::Input(NO_SERVER_URL.into()));
    }
    Ok(stored)
}

fn nowhere_to_store(server_url: &str, settings: &Settings) -> Error {
    Error::NowhereToStore {
        host: printable(server_url),
        file: settings.file().to_owned(),
    }
}

/// `docker login` stores what it was given by `get`: that is taken and kept nowhere, because only what this helper obtained itself
/// is handed out. Anything else would be lost, so it is refused.
fn store(stored: &Stored) -> Result<(), Error> {
    let host = printable(&stored.server_url);
    match stored.username.as_str() {
        "" => Err(Error::Input("no credentials username".into())),
        ZERO_GUID | IDENTITY_TOKEN => {
            debug!(
                host,
                "nothing to keep: tokens of this host are obtained when they are asked for"
            );
            Ok(())
        }
        username => Err(Error::Input(format!(
            "the password of `{}` is not kept: for `{host}` this helper signs in with an Entra identity; name another helper for the \
             host under `credHelpers` to use a password",
            printable(username)
        ))),
    }
}

/// The server URL in a message, without the white space around it.
fn server_url(message: &[u8]) -> Result<&str, Error> {
    let text =
        std::str::from_utf8(message).map_err(|_| Error::Input("stdin holds no text".into()))?;
    match text.trim() {
        "" => Err(Error::Input(NO_SERVER_URL.into())),
        url => Ok(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn no_helper(_: &Settings) -> Result<Helper<'_>, Error> {
        panic!("a helper was made for a host that is not ours")
    }

    fn answer(verb: Verb, input: &[u8], output: &mut Vec<u8>) -> Result<ExitCode, Error> {
        carry_out(
            verb,
            &Settings::of(HashMap::new(), None),
            no_helper,
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
    fn a_foreign_host_gets_the_clients_own_words_and_wakes_nothing() {
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
    fn input_that_cannot_be_used_is_said_to_be_so() {
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
    fn what_docker_login_stores_is_taken_and_kept_nowhere() {
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
    fn what_would_be_lost_is_not_taken() {
        for (message, sentence) in [
            (
                r#"{"ServerURL":"contoso.azurecr.io","Username":"alice","Secret":"canary"}"#,
                "the password of `alice` is not kept: for `contoso.azurecr.io` this helper signs in with an Entra identity; name \
                 another helper for the host under `credHelpers` to use a password",
            ),
            (
                r#"{"ServerURL":"docker.io","Username":"alice","Secret":"canary"}"#,
                "`docker.io` is no Azure Container Registry, and no `delegate` is set for other hosts",
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
}
