//! The error type of the crate: what went wrong and what to do about it.
//!
//! An [`Error`] has an [`ErrorKind`] for programs and three parts for people: the message ([`std::fmt::Display`]), one sentence that
//! fits on one line; the details, such as causes and the correlation id; and the hint, a command or a setting to try. Text that came
//! from the network or another program enters only through [`printable`].

pub use crate::text::{printable, visible};

use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

/// The sentence after which a docker client continues without credentials (docker-credential-helpers, `credentials/error.go`).
pub const NOT_FOUND: &str = "credentials not found in native keychain";

/// The sentence about a missing registry (docker-credential-helpers, `credentials/error.go`).
pub const NO_SERVER_URL: &str = "no credentials server URL";

/// The hint on how to name a registry.
pub const HINT_STDIN: &str =
    "the registry is read from stdin: `echo contoso.azurecr.io | docker-credential-acrscoped get`";

/// The hint if the clock of this machine is wrong.
pub(crate) const HINT_CLOCK: &str =
    "set the clock of this machine, for example with `timedatectl set-ntp true`";

/// Says why there is no credential, or why a command failed.
///
/// No part of it holds a secret. Names of files, and values from the config file, may be part of it as they are.
///
/// ```no_run
/// use docker_credential_acrscoped::{Registry, Settings, TokenService};
/// use std::time::SystemTime;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = Settings::from_env()?;
/// let registry = Registry::parse("contoso.azurecr.io", settings.clouds()).ok_or("no registry")?;
/// if let Err(error) = TokenService::new(&settings, SystemTime::now).get(&registry) {
///     eprintln!("error: {error}");
///     for detail in error.details() {
///         eprintln!("  {detail}");
///     }
///     eprintln!("hint: {}", error.hint().unwrap_or("none"));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Error {
    failure: SharedFailure,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Says what failed, for a program that reacts to it.
///
/// ```
/// use docker_credential_acrscoped::ErrorKind;
///
/// fn can_retry(kind: ErrorKind) -> bool {
///     matches!(kind, ErrorKind::Unreachable(_) | ErrorKind::Timeout)
/// }
/// assert!(!can_retry(ErrorKind::Denied { status: 403 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The host is not an Azure Container Registry: continue without this helper.
    NotAcrRegistry,
    /// Sign-in failed, and `on_error` says that the client continues without a credential. The source is the failure.
    Anonymous,
    /// The input of a client or a person cannot be used.
    Input,
    /// A setting, or a file that is read as one, cannot be used.
    Setting,
    /// A host that would receive secrets, or a file that decides about trust, is not trusted.
    Untrusted,
    /// The helper for other hosts is missing or failed.
    Delegate,
    /// No identity source is configured.
    NoIdentity,
    /// The identity source gave no access token.
    SignIn,
    /// The identity source gave a token for another audience, which was not sent.
    WrongAudience,
    /// The registry denied access: the identity has no role.
    Denied {
        /// The HTTP status code.
        status: u16,
    },
    /// The registry does not accept the access token: its audience, tenant or cloud is not the registry's.
    InvalidToken,
    /// A network rule of the registry does not allow this address.
    NetworkRule,
    /// The registry, or a proxy before it, answered with something else than a token.
    UnexpectedResponse,
    /// No connection to a host, or it broke.
    Unreachable(Stage),
    /// The time limit has passed.
    Timeout,
    /// A keyring did not store or delete what it had to.
    Keyring,
    /// A signal ended the program.
    Interrupted,
    /// The answer could not be written to stdout. The source is the [`std::io::Error`].
    Output,
    /// The operating system has no thread, file or folder for it.
    System,
}

/// Says how far a connection came.
///
/// ```
/// use docker_credential_acrscoped::{ErrorKind, Stage};
///
/// let kind = ErrorKind::Unreachable(Stage::Tls);
/// assert!(matches!(kind, ErrorKind::Unreachable(Stage::Tls)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Stage {
    /// The name did not resolve.
    Name,
    /// No connection.
    Connection,
    /// The TLS handshake failed, or the certificate is not trusted.
    Tls,
    /// The connection broke before the answer was whole.
    Answer,
}

/// The parts of an [`Error`] that processes hand to each other when they wait for the same sign-in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SharedFailure {
    kind: ErrorKind,
    is_during_sign_in: bool,
    message: String,
    details: Vec<String>,
    hint: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.failure.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source: &(dyn StdError + 'static) = self.source.as_deref()?;
        Some(source)
    }
}

impl From<SharedFailure> for Error {
    fn from(failure: SharedFailure) -> Self {
        Self {
            failure,
            source: None,
        }
    }
}

impl Error {
    /// Returns what failed.
    pub fn kind(&self) -> ErrorKind {
        self.failure.kind
    }

    /// Returns causes and ids, such as the correlation id that Azure support asks for, a line each.
    pub fn details(&self) -> &[String] {
        &self.failure.details
    }

    /// Returns how to fix it: a command to paste, or a sentence, without the word `hint`.
    pub fn hint(&self) -> Option<&str> {
        self.failure.hint.as_deref()
    }

    /// Returns whether sign-in failed, so that a client may continue anonymously if `on_error` allows it. Wrong settings, a token that must
    /// not be sent, and access that the registry denies do not count.
    pub fn is_failed_sign_in(&self) -> bool {
        match self.kind() {
            ErrorKind::NoIdentity => true,
            ErrorKind::Setting
            | ErrorKind::Untrusted
            | ErrorKind::WrongAudience
            | ErrorKind::Interrupted
            | ErrorKind::Input
            | ErrorKind::System => false,
            _ => self.failure.is_during_sign_in,
        }
    }
}

/// Building an error.
impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::from(SharedFailure {
            kind,
            is_during_sign_in: false,
            message: message.into(),
            details: vec![],
            hint: None,
        })
    }

    pub(crate) fn with_detail(self, detail: impl Into<String>) -> Self {
        self.with_details([detail.into()])
    }

    pub(crate) fn with_details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.failure.details.extend(details);
        self
    }

    /// Adds details before those that are there.
    pub(crate) fn with_first_details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.failure.details.splice(..0, details);
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.failure.hint = Some(hint.into());
        self
    }

    /// Adds the cause. `Debug` shows it, so that it must not hold a secret in any form: no error of a keyring or an HTTP client.
    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Marks a failure of a sign-in.
    pub(crate) fn during_sign_in(mut self) -> Self {
        self.failure.is_during_sign_in = true;
        self
    }

    pub(crate) fn input(problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, problem)
    }

    /// A setting with a value that cannot be used. `problem` follows the name and never holds the value of a secret.
    pub(crate) fn setting(name: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Setting, format!("`{name}` {problem}"))
    }

    /// A setting that needs others; `missing` says which, such as "`AZURE_TENANT_ID` is not".
    pub(crate) fn incomplete_setting(name: &str, missing: impl fmt::Display) -> Self {
        Self::setting(name, format_args!("is set, but {missing}")).with_hint(format!(
            "set what is missing, or unset `{name}` to sign in otherwise"
        ))
    }

    /// A host or file that is not trusted. `problem` follows the name; `fix` is a command, or what to write and where.
    pub(crate) fn untrusted(
        name: impl fmt::Display,
        problem: impl fmt::Display,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Untrusted, format!("`{name}` {problem}")).with_hint(fix)
    }

    /// A variable whose value only this line of the config file can make trusted.
    pub(crate) fn untrusted_variable(
        name: &str,
        problem: impl fmt::Display,
        line: &str,
        file: &Path,
    ) -> Self {
        let file = config_file(file);
        let fix = format!("if you trust it, make this the first line of {file}: `{line}`");
        Self::untrusted(name, problem, fix)
    }

    /// A file that cannot be read: untrusted, with the command that fixes that, or unusable for another reason.
    pub(crate) fn unreadable(name: impl fmt::Display, problem: &str, error: &io::Error) -> Self {
        match crate::trust::Refusal::from_io(error) {
            Some(refusal) => Self::untrusted(name, problem, refusal.fix()),
            None => Self::setting(name, problem),
        }
    }

    /// A sign-in that failed. `source` is an identity source, such as "the Azure CLI"; `message` is what it reported.
    pub(crate) fn sign_in(source: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::SignIn,
            format!("{source} gave no access token: {message}"),
        )
    }

    /// A host that cannot be reached. `notes` are the proxy and CA settings in force, as sentences.
    pub(crate) fn unreachable(host: &str, stage: Stage, cause: &str, notes: &[String]) -> Self {
        let (message, hint) = match stage {
            Stage::Name => (
                format!("the name {host} was not found"),
                "check the spelling, the cloud's suffix, DNS and, with a private endpoint, its DNS zone",
            ),
            Stage::Connection => (
                format!("no connection to {host}: {cause}"),
                "check the name, the network, and `HTTPS_PROXY`, `NO_PROXY`",
            ),
            Stage::Tls => (
                format!("no trusted TLS connection to {host}: {cause}"),
                "if a proxy inspects TLS, put its CA certificate into the system's store or name its file in `ACRSCOPED_CA_FILE`",
            ),
            Stage::Answer => (
                format!("no whole answer from {host}: {cause}"),
                "try again; a proxy or firewall may cut connections",
            ),
        };
        Self::new(ErrorKind::Unreachable(stage), message)
            .with_details(notes.to_vec())
            .with_hint(hint)
    }

    pub(crate) fn output(error: impl Into<io::Error>) -> Self {
        let error = error.into();
        Self::new(
            ErrorKind::Output,
            "the answer could not be written to stdout",
        )
        .with_detail(error.to_string())
        .with_source(error)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, "interrupted")
    }
}

/// Sharing a failure with other processes.
impl Error {
    /// Returns whether it concerns only this process: a signal ended it, or its own time limit has passed.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.kind(), ErrorKind::Interrupted | ErrorKind::Timeout)
    }

    /// Returns the parts that other processes may see, without the source.
    pub(crate) fn into_shared(self) -> SharedFailure {
        self.failure
    }

    /// Returns the parts that other processes may see.
    pub(crate) fn shared(&self) -> &SharedFailure {
        &self.failure
    }
}

impl SharedFailure {
    /// Returns whether a failure that was read from a file may be reported. One that makes a client continue anonymously may not, because no
    /// other process may decide that.
    pub(crate) fn is_acceptable(&self) -> bool {
        !matches!(self.kind, ErrorKind::NotAcrRegistry | ErrorKind::Anonymous)
            && visible(&self.message).trim() != NOT_FOUND
    }
}

/// Returns the config file as hints name it: programs that use this crate may have none.
pub(crate) fn config_file(file: &Path) -> String {
    if file.as_os_str().is_empty() {
        "the config file".to_owned()
    } else {
        file.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_fails_unless_the_settings_are_wrong_or_a_signal_ended_it() {
        for (kind, expected) in [
            (ErrorKind::SignIn, true),
            (ErrorKind::Unreachable(Stage::Name), true),
            (ErrorKind::Timeout, true),
            (ErrorKind::NoIdentity, true),
            (ErrorKind::Setting, false),
            (ErrorKind::Untrusted, false),
            (ErrorKind::WrongAudience, false),
            (ErrorKind::Interrupted, false),
            (ErrorKind::Input, false),
        ] {
            let error = Error::new(kind, "x").during_sign_in();
            assert_eq!(error.is_failed_sign_in(), expected, "{kind:?}");
            let read: SharedFailure =
                serde_json::from_str(&serde_json::to_string(error.shared()).unwrap()).unwrap();
            assert_eq!(Error::from(read).is_failed_sign_in(), expected, "{kind:?}");
        }
        for kind in [ErrorKind::Denied { status: 401 }, ErrorKind::SignIn] {
            assert!(!Error::new(kind, "x").is_failed_sign_in());
        }
        assert!(Error::new(ErrorKind::NoIdentity, "x").is_failed_sign_in());
    }

    #[test]
    fn no_other_process_makes_a_client_continue_anonymously() {
        for (kind, message, expected) in [
            (ErrorKind::SignIn, "no", true),
            (ErrorKind::SignIn, NOT_FOUND, false),
            (
                ErrorKind::SignIn,
                "credentials not found in native keychain\u{200b} ",
                false,
            ),
            (ErrorKind::Anonymous, "no", false),
            (ErrorKind::NotAcrRegistry, "no", false),
        ] {
            let failure = Error::new(kind, message);
            assert_eq!(failure.shared().is_acceptable(), expected, "{message:?}");
        }
    }

    #[test]
    fn every_stage_of_a_connection_has_its_sentence_and_hint() {
        for (stage, sentence, hint) in [
            (Stage::Name, "the name R was not found", "DNS zone"),
            (
                Stage::Connection,
                "no connection to R: reason",
                "`NO_PROXY`",
            ),
            (
                Stage::Tls,
                "no trusted TLS connection to R: reason",
                "`ACRSCOPED_CA_FILE`",
            ),
            (
                Stage::Answer,
                "no whole answer from R: reason",
                "try again; a proxy or firewall may cut connections",
            ),
        ] {
            let error = Error::unreachable("R", stage, "reason", &["note".to_owned()]);
            assert_eq!(error.to_string(), sentence);
            assert!(error.hint().unwrap().ends_with(hint), "{error:?}");
            assert_eq!(error.details(), ["note"]);
        }
    }

    #[test]
    fn the_cause_of_a_failed_write_is_its_source() {
        let error = Error::output(io::Error::from(io::ErrorKind::BrokenPipe));
        let source = StdError::source(&error).unwrap();
        let source = source.downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(error.details(), [source.to_string()]);
    }
}
