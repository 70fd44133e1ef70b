//! The error type of the crate: what went wrong and what to do about it.
//!
//! An [`Error`] has an [`ErrorKind`] for programs and three parts for people: the message ([`std::fmt::Display`]), one sentence that
//! fits on one line; the details, such as causes and the correlation id; and the hint, a command or a setting to try. Text that came
//! from the network or another program enters only through [`sanitize_line`].

pub use crate::text::{sanitize, sanitize_line};

use crate::text::first_sentence;
use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The sentence after which a docker client continues without credentials (docker-credential-helpers, `credentials/error.go`).
pub const NOT_FOUND: &str = "credentials not found in native keychain";

/// The sentence about a missing registry (docker-credential-helpers, `credentials/error.go`).
pub const NO_SERVER_URL: &str = "no credentials server URL";

/// The hint on how to name a registry.
pub const HINT_STDIN: &str =
    "send the login server on stdin\n  echo contoso.azurecr.io | docker-credential-acrscoped get";

/// The hint if the clock of this machine is wrong.
pub(crate) const HINT_CLOCK: &str =
    "set the clock of this machine\n  sudo timedatectl set-ntp true";

/// Says why there is no credential, or why a command failed.
///
/// No part of it holds a secret. Names of files, and values from the config file, may be part of it as they are. Processes that wait for the
/// same sign-in hand it to each other as JSON, without its source.
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
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Error {
    kind: ErrorKind,
    is_during_sign_in: bool,
    message: String,
    details: Vec<String>,
    hint: Option<String>,
    #[serde(skip)]
    source: Option<Arc<dyn StdError + Send + Sync>>,
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
    /// The identity source returned no access token.
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
    /// A keyring failed to store or delete an entry.
    Keyring,
    /// A signal ended the program.
    Interrupted,
    /// The answer could not be written to stdout. The source is the [`std::io::Error`].
    Output,
    /// The operating system has no thread, file or folder for it.
    System,
}

/// Says how far a connection got.
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_deref()?)
    }
}

impl Error {
    /// Returns what failed.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns causes and ids, such as the correlation id that Azure support asks for, a line each.
    pub fn details(&self) -> &[String] {
        &self.details
    }

    /// Returns how to fix it: a command to paste, or a sentence, without the word `hint`.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
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
            _ => self.is_during_sign_in,
        }
    }
}

/// Builds an error.
impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            is_during_sign_in: false,
            message: message.into(),
            details: vec![],
            hint: None,
            source: None,
        }
    }

    pub(crate) fn with_detail(self, detail: impl Into<String>) -> Self {
        self.with_details([detail.into()])
    }

    pub(crate) fn with_details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    /// Adds details before those that are there.
    pub(crate) fn with_first_details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.splice(..0, details);
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause. `Debug` shows it, so that it must not hold a secret in any form: no error of a keyring or an HTTP client.
    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// Marks a failure of a sign-in.
    pub(crate) fn during_sign_in(mut self) -> Self {
        self.is_during_sign_in = true;
        self
    }

    pub(crate) fn input(problem: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, problem)
    }

    /// Reports a setting with a value that cannot be used. `problem` follows the name and never holds the value of a secret.
    pub(crate) fn setting(name: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Setting, format!("`{name}` {problem}"))
    }

    /// Reports a setting that needs others. `missing` says which, such as "`AZURE_TENANT_ID` is not".
    pub(crate) fn incomplete_setting(name: &str, missing: impl fmt::Display) -> Self {
        Self::setting(name, format_args!("is set, but {missing}")).with_hint(format!(
            "set the missing variable, or unset `{name}` to use another identity"
        ))
    }

    /// Reports a host or file that is not trusted. `problem` follows the name; `fix` is a command, or what to write and where.
    pub(crate) fn untrusted(
        name: impl fmt::Display,
        problem: impl fmt::Display,
        fix: impl Into<String>,
    ) -> Self {
        Self::new(ErrorKind::Untrusted, format!("`{name}` {problem}")).with_hint(fix)
    }

    /// Reports a variable whose value is trusted only with this line in the config file.
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

    /// Reports a file that cannot be read: untrusted, with the command that fixes that, or unusable for another reason.
    pub(crate) fn unreadable(name: impl fmt::Display, problem: &str, error: &io::Error) -> Self {
        match crate::trust::Refusal::from_io(error) {
            Some(refusal) => Self::untrusted(name, problem, refusal.fix()),
            None => Self::setting(name, problem),
        }
    }

    /// Reports a sign-in that failed. `source` is an identity source, such as "the Azure CLI"; `message` is what it reported.
    pub(crate) fn sign_in(source: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::SignIn,
            format!("could not get an access token from {source}: {message}"),
        )
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

/// Shares an error with other processes.
impl Error {
    /// Returns whether it concerns only this process: a signal ended it, or its own time limit has passed.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.kind(), ErrorKind::Interrupted | ErrorKind::Timeout)
    }

    /// Returns a failure of another process as it may be reported. One that makes a client continue anonymously may not, because no other
    /// process may decide that. Nor may it choose a command for this user to paste.
    pub(crate) fn accepted(mut self) -> Option<Self> {
        if matches!(self.kind, ErrorKind::NotAcrRegistry | ErrorKind::Anonymous)
            || first_sentence(&sanitize(&self.message)) == NOT_FOUND
        {
            return None;
        }
        self.hint
            .take_if(|hint| hint.lines().any(|line| line.starts_with("  ")));
        Some(self)
    }
}

/// Returns the config file as hints name it, on one line: programs that use this crate may have none.
pub(crate) fn config_file(file: &Path) -> String {
    if file.as_os_str().is_empty() {
        "the config file".to_owned()
    } else {
        sanitize(&file.display().to_string())
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
            let json = serde_json::to_string(&error).unwrap();
            let read: Error = serde_json::from_str(&json).unwrap();
            assert_eq!(read.is_failed_sign_in(), expected, "{kind:?}");
        }
        for kind in [ErrorKind::Denied { status: 401 }, ErrorKind::SignIn] {
            assert!(!Error::new(kind, "x").is_failed_sign_in());
        }
        assert!(Error::new(ErrorKind::NoIdentity, "x").is_failed_sign_in());
    }

    #[test]
    fn no_other_process_makes_a_client_continue_anonymously_or_chooses_a_command() {
        for (kind, message, expected) in [
            (ErrorKind::SignIn, "no", true),
            (ErrorKind::SignIn, NOT_FOUND, false),
            (
                ErrorKind::SignIn,
                "credentials not found in native keychain\u{200b} ",
                false,
            ),
            (
                ErrorKind::SignIn,
                "credentials not found in native keychain. x",
                false,
            ),
            (ErrorKind::Anonymous, "no", false),
            (ErrorKind::NotAcrRegistry, "no", false),
        ] {
            let failure = Error::new(kind, message);
            assert_eq!(failure.accepted().is_some(), expected, "{message:?}");
        }
        for (hint, is_shown) in [("ask\nus", true), ("ask\n  curl", false), ("  curl", false)] {
            let failure = Error::new(ErrorKind::SignIn, "no").with_hint(hint);
            let failure = failure.accepted().unwrap();
            assert_eq!(failure.hint().is_some(), is_shown, "{hint:?}");
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
