//! The docker credential-helper protocol: a verb in argv, one message on stdin, one on stdout.
//!
//! Facts: docker/docker-credential-helpers, `credentials/credentials.go`. Failures go to stdout, in one line, with exit code 1. Of
//! them, only [`crate::error::NOT_FOUND`] makes a client go on anonymously, so nothing but a foreign host gets that answer.

use crate::config::{IDENTITY_TOKEN, ZERO_GUID};
use crate::error::{Error, NO_SERVER_URL, printable};
use crate::helper::Helper;
use crate::registry::Registry;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use tracing::debug;
use zeroize::Zeroizing;

/// The longest message that is read: a host, or the JSON of `store` with the longest token seen (4 KB).
const INPUT_LIMIT: usize = 8 * 1024;

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

/// Carries out one verb. `helper` is called for a host that is ours and for `list`, so that the answer for any other host depends on
/// no setting.
pub fn serve(
    verb: Verb,
    helper: impl FnOnce() -> Result<Helper, Error>,
    input: impl Read,
    mut output: impl Write,
) -> Result<(), Error> {
    match verb {
        Verb::Get => {
            let server_url = server_url(input)?;
            let registry = Registry::parse(&server_url).ok_or(Error::NotOurs)?;
            let helper = helper()?;
            let token = helper.get(&registry)?;
            let credential =
                Credential { server_url: &server_url, username: helper.username(), secret: token.secret().expose_secret() };
            write(&mut output, &credential)
        }
        Verb::Store => store(&message(input)?),
        Verb::Erase => {
            let registry = Registry::parse(&server_url(input)?).ok_or(Error::NotOurs)?;
            helper()?.erase(&registry)
        }
        Verb::List => {
            let helper = helper()?;
            let username = helper.username();
            let hosts: BTreeMap<String, &str> = helper.list().into_iter().map(|host| (host, username)).collect();
            write(&mut output, &hosts)
        }
    }
}

/// `docker login` stores what it was given by `get`: that is taken and kept nowhere, because only what this helper obtained itself
/// is handed out. Anything else would be lost, so it is refused.
fn store(message: &[u8]) -> Result<(), Error> {
    let stored: Stored = serde_json::from_slice(message)
        .map_err(|_| Error::Input("stdin holds no JSON object with `ServerURL`, `Username` and `Secret`".into()))?;
    if stored.server_url.trim().is_empty() {
        return Err(Error::Input(NO_SERVER_URL.into()));
    }
    let host = printable(&stored.server_url);
    if Registry::parse(&stored.server_url).is_none() {
        return Err(Error::Input(format!(
            "`{host}` is no Azure Container Registry: give it another helper under `credHelpers` in docker's config.json"
        )));
    }
    match stored.username.as_str() {
        "" => Err(Error::Input("no credentials username".into())),
        ZERO_GUID | IDENTITY_TOKEN => {
            debug!(host, "nothing to keep: tokens of this host are obtained when they are asked for");
            Ok(())
        }
        username => Err(Error::Input(format!(
            "the password of `{}` is not kept: for `{host}` this helper signs in with an Entra identity; take the host out of \
             `credHelpers` to use a password",
            printable(username)
        ))),
    }
}

/// All of stdin, at most 8 KiB.
fn message(input: impl Read) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut message = Zeroizing::new(Vec::with_capacity(INPUT_LIMIT + 1));
    input
        .take(INPUT_LIMIT as u64 + 1)
        .read_to_end(&mut message)
        .map_err(|error| Error::Input(format!("stdin cannot be read: {error}")))?;
    if message.len() > INPUT_LIMIT {
        return Err(Error::Input(format!("stdin holds more than {INPUT_LIMIT} bytes")));
    }
    Ok(message)
}

/// The server URL on stdin, without the white space around it.
fn server_url(input: impl Read) -> Result<String, Error> {
    let message = message(input)?;
    let text = std::str::from_utf8(&message).map_err(|_| Error::Input("stdin holds no text".into()))?;
    match text.trim() {
        "" => Err(Error::Input(NO_SERVER_URL.into())),
        url => Ok(url.to_owned()),
    }
}

fn write(output: &mut impl Write, answer: &impl Serialize) -> Result<(), Error> {
    let mut line = Zeroizing::new(serde_json::to_vec(answer).map_err(|error| Error::Output(error.into()))?);
    line.push(b'\n');
    output.write_all(&line).and_then(|()| output.flush()).map_err(Error::Output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_helper() -> Result<Helper, Error> {
        panic!("a helper was made for a host that is not ours")
    }

    fn failure(verb: Verb, input: &[u8]) -> String {
        serve(verb, no_helper, input, Vec::new()).unwrap_err().to_string()
    }

    #[test]
    fn a_foreign_host_gets_the_clients_own_words_and_wakes_nothing() {
        for verb in [Verb::Get, Verb::Erase] {
            for host in ["docker.io", "contoso.azurecr.io.evil.example", "\u{feff}contoso.azurecr.io"] {
                assert_eq!(failure(verb, host.as_bytes()), "credentials not found in native keychain");
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
            let message = format!(r#"{{"ServerURL":"https://contoso.azurecr.io","Username":"{username}","Secret":"canary"}}"#);
            let mut output = Vec::new();
            serve(Verb::Store, no_helper, message.as_bytes(), &mut output).unwrap();
            assert!(output.is_empty());
        }
    }

    #[test]
    fn what_would_be_lost_is_not_taken() {
        for (message, sentence) in [
            (
                r#"{"ServerURL":"contoso.azurecr.io","Username":"alice","Secret":"canary"}"#,
                "the password of `alice` is not kept: for `contoso.azurecr.io` this helper signs in with an Entra identity; take the \
                 host out of `credHelpers` to use a password",
            ),
            (
                r#"{"ServerURL":"docker.io","Username":"alice","Secret":"canary"}"#,
                "`docker.io` is no Azure Container Registry: give it another helper under `credHelpers` in docker's config.json",
            ),
            (r#"{"ServerURL":"contoso.azurecr.io","Username":"","Secret":"canary"}"#, "no credentials username"),
            (r#"{"Username":"alice","Secret":"canary"}"#, "no credentials server URL"),
            ("canary", "stdin holds no JSON object with `ServerURL`, `Username` and `Secret`"),
            ("", "stdin holds no JSON object with `ServerURL`, `Username` and `Secret`"),
        ] {
            assert_eq!(failure(Verb::Store, message.as_bytes()), sentence);
        }
    }
}
