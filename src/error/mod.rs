//! What can go wrong, as what the reader must do next.
//!
//! An [`Error`] has three parts: the message ([`std::fmt::Display`]), one sentence for stdout; the details, such as causes and the
//! correlation id, for stderr; and the hint, a command or a setting to try. Text that came from the network or another
//! program enters only through [`printable`].

mod refusal;
mod unreachable;

pub use crate::text::{printable, visible};
pub(crate) use refusal::{Asked, PULL, PULL_ABAC, assign_role, az, object_id_note, try_again};
pub use refusal::{IN_THE_WAY, Refusal};
pub use unreachable::{Stage, Unreachable};

use crate::registry::Registry;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The sentence that tells a docker client to go on without credentials (docker-credential-helpers, `credentials/error.go`).
pub const NOT_FOUND: &str = "credentials not found in native keychain";

/// What is said about a missing registry (docker-credential-helpers, `credentials/error.go`).
pub const NO_SERVER_URL: &str = "no credentials server URL";

/// What to do where no source of an identity is configured.
const NOBODY: &str = "sign in with `docker-credential-acrscoped login` or `az login`, or set the `AZURE_*` variables of an identity";

/// How a registry is named.
pub const FROM_STDIN: &str =
    "the registry is read from stdin: `echo contoso.azurecr.io | docker-credential-acrscoped get`";

/// Why there is no credential, or why a command could not be carried out.
///
/// No part of it holds a secret. Names of files, and what is set in the config file, may be part of it as they are.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The host is not an Azure Container Registry: the client goes on without us.
    NotOurs,
    /// What somebody typed as a registry is none.
    NoRegistry {
        /// What was typed.
        text: String,
    },
    /// What the client or person typed cannot be used.
    Input(String),
    /// What kubelet asked cannot be used.
    Request {
        /// What is wrong with it, without any value of it.
        problem: String,
    },
    /// A service account is annotated in a way that cannot be used.
    Annotation {
        /// The key.
        name: &'static str,
        /// What is wrong with it and what is expected.
        problem: String,
    },
    /// A setting has a value that cannot be used.
    Setting {
        /// Its name.
        name: String,
        /// What is wrong with it and what is expected, never the value of a secret.
        problem: String,
    },
    /// A host that would receive secrets, or a file that decides about trust, is not trusted.
    Untrusted {
        /// The variable or file.
        name: String,
        /// What is wrong with it, to follow the name.
        problem: String,
        /// A command, or what to write and where.
        fix: String,
    },
    /// The config file cannot be used as it is.
    File(FileProblem),
    /// The helper for other hosts did not do its part.
    Delegate {
        /// The name of its program.
        program: String,
        /// What happened.
        problem: String,
        /// Where it was set.
        origin: String,
    },
    /// A password for a host that is not ours, and no helper for other hosts.
    NowhereToStore {
        /// The host.
        host: String,
        /// The config file, be it there or not.
        file: PathBuf,
    },
    /// Nobody could be signed in, for this reason.
    NotSignedIn(Box<Error>),
    /// Nobody could be signed in, and the user wants the client to go on without a credential then.
    Anonymous(Box<Error>),
    /// No source of an identity is configured.
    NoIdentity {
        /// Why each was passed over.
        skipped: Vec<String>,
        /// What to do, where one source alone may be used.
        hint: Option<String>,
    },
    /// The source of the identity gave no access token.
    SignIn(SignIn),
    /// The source gave a token that is not meant for registries: it is sent nowhere.
    WrongAudience {
        /// Who gave it.
        source: String,
        /// Its `aud` claim, in words.
        audience: String,
        /// The audience that it was requested for.
        requested: String,
    },
    /// The registry gave no refresh token for the access token.
    Exchange {
        /// Which registry was asked.
        registry: Box<Registry>,
        /// What it answered.
        refusal: Refusal,
        /// Whose token it was, and its `x-ms-correlation-request-id`, which Azure support asks for, a line each.
        details: Vec<String>,
    },
    /// A host did not answer.
    Unreachable(Unreachable),
    /// The time for everything was used up.
    Deadline {
        /// How long it was.
        limit: Duration,
        /// What was under way.
        during: String,
        /// The proxy or CA file in play, as sentences.
        circumstances: Vec<String>,
    },
    /// Another process, or another thread, tried at the same time and failed: its account.
    Relayed(Relayed),
    /// A failure while the clock of this machine is far off, which may be the reason.
    Skewed {
        /// The failure.
        error: Box<Error>,
        /// How far the clock is off.
        skew: String,
    },
    /// A token of this host could not be erased.
    NotErased {
        /// The host.
        host: String,
        /// What its store said.
        problem: String,
    },
    /// No store takes the token of a login, which is kept nowhere else.
    NotKept {
        /// What each store said.
        problems: Vec<String>,
    },
    /// What belongs to a login could not be removed.
    NotForgotten {
        /// What its store said.
        problem: String,
    },
    /// Somebody ended the program.
    Interrupted,
    /// The answer could not be written to stdout.
    Output(std::io::Error),
}

/// The config file as hints call it: programs that use this crate may have none.
pub(crate) fn config_file(file: &Path) -> String {
    if file.as_os_str().is_empty() {
        "the config file".to_owned()
    } else {
        file.display().to_string()
    }
}

/// Something in the config file that is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileProblem {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1, in characters.
    pub column: usize,
    /// What is wrong and what is expected.
    pub problem: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.path.display(),
            self.line,
            self.column,
            self.problem
        )
    }
}

/// A failure in words, as it is passed to the processes that waited for the same sign-in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Relayed {
    /// Whether nobody could be signed in.
    pub not_signed_in: bool,
    /// [`Error`]'s message.
    pub message: String,
    /// [`Error::details`].
    pub details: Vec<String>,
    /// [`Error::hint`].
    pub hint: Option<String>,
}

/// A sign-in that failed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SignIn {
    /// The source, such as `the Azure CLI` or `service principal 1234…`.
    pub source: String,
    /// What it said, one line.
    pub said: String,
    /// Further lines: causes and ids.
    pub details: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs | Self::Anonymous(_) => f.write_str(NOT_FOUND),
            Self::File(problem) => problem.fmt(f),
            Self::Delegate {
                program, problem, ..
            } => write!(f, "`{program}` {problem}"),
            Self::NowhereToStore { host, .. } => {
                write!(
                    f,
                    "`{host}` is no Azure Container Registry, and no `delegate` is set for other hosts"
                )
            }
            Self::NoRegistry { text } => {
                write!(f, "`{}` is no Azure Container Registry", printable(text))
            }
            Self::Input(problem) => f.write_str(problem),
            Self::Request { problem } => write!(f, "the request cannot be used: {problem}"),
            Self::Setting { name, problem } | Self::Untrusted { name, problem, .. } => {
                write!(f, "`{name}` {problem}")
            }
            Self::Annotation { name, problem } => write!(f, "`{name}` {problem}"),
            Self::NoIdentity { .. } => f.write_str("no Azure identity to sign in with"),
            Self::SignIn(sign_in) => write!(
                f,
                "{} gave no access token: {}",
                sign_in.source, sign_in.said
            ),
            Self::WrongAudience {
                source,
                audience,
                requested,
            } => {
                write!(
                    f,
                    "{source} gave an access token for {audience}, not for `{requested}`: the helper did not send it"
                )
            }
            Self::Exchange {
                registry, refusal, ..
            } => refusal.describe(registry, f),
            Self::Unreachable(unreachable) => unreachable.fmt(f),
            Self::Deadline { limit, during, .. } => {
                write!(f, "gave up after {} s while {during}", limit.as_secs())
            }
            Self::Relayed(account) => f.write_str(&account.message),
            Self::NotSignedIn(error) | Self::Skewed { error, .. } => error.fmt(f),
            Self::NotErased { host, problem } => {
                write!(f, "a cached token of {host} could not be erased: {problem}")
            }
            Self::NotKept { .. } => {
                f.write_str("no keyring takes a login, and it is kept nowhere else")
            }
            Self::NotForgotten { problem } => {
                write!(f, "the login could not be forgotten: {problem}")
            }
            Self::Interrupted => f.write_str("interrupted"),
            Self::Output(_) => f.write_str("the answer could not be written to stdout"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// A variable names what only the config file may make trusted, by this line.
    pub(crate) fn untrusted(variable: &str, problem: String, line: &str, file: &Path) -> Self {
        let fix = format!(
            "if you trust it, make this the first line of {}: `{line}`",
            config_file(file)
        );
        Self::Untrusted {
            name: variable.to_owned(),
            problem,
            fix,
        }
    }

    /// Causes and ids, such as the correlation id that Azure's support asks for, a line each.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::NotSignedIn(error) => error.details(),
            Self::Delegate { origin, .. } => vec![format!("it was named by {origin}")],
            Self::NoIdentity { skipped, .. } => skipped.clone(),
            Self::SignIn(sign_in) => sign_in.details.clone(),
            Self::Exchange { details, .. } => details.clone(),
            Self::Unreachable(Unreachable { circumstances, .. })
            | Self::Deadline { circumstances, .. } => circumstances.clone(),
            Self::Relayed(account) => account.details.clone(),
            Self::Skewed { error, skew } => [error.details(), vec![skew.clone()]].concat(),
            Self::Output(error) => vec![error.to_string()],
            Self::NotKept { problems } => problems.clone(),
            Self::NotOurs
            | Self::Anonymous(_)
            | Self::File(_)
            | Self::NowhereToStore { .. }
            | Self::Interrupted
            | Self::NotErased { .. }
            | Self::NotForgotten { .. }
            | Self::NoRegistry { .. }
            | Self::Input(_)
            | Self::Request { .. }
            | Self::Annotation { .. }
            | Self::Setting { .. }
            | Self::Untrusted { .. }
            | Self::WrongAudience { .. } => vec![],
        }
    }

    /// What to do about it: a command to paste, or a sentence, without the word `hint`.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Input(problem) if problem == NO_SERVER_URL => Some(FROM_STDIN.into()),
            Self::Setting { name, problem } if problem.starts_with("is set, but") => {
                Some(format!("set what is missing, or unset `{name}` to sign in otherwise"))
            }
            Self::Annotation { .. } => Some(
                "`kubectl annotate serviceaccount NAME kubernetes.azure.com/acr-client-id=CLIENT_ID \
                 kubernetes.azure.com/acr-tenant-id=TENANT_ID`; with neither the node's identity pulls"
                    .into(),
            ),
            Self::Request { .. } => Some(
                "kubelet 1.26 and later ask so; `docker-credential-acrscoped configure --kubelet` prints the configuration for it"
                    .into(),
            ),
            Self::Untrusted { fix, .. } => Some(fix.clone()),
            Self::NotSignedIn(error) => error.hint(),
            Self::NowhereToStore { file, .. } => Some(format!(
                "`delegate = \"secretservice\"` in {} passes other hosts to `docker-credential-secretservice`; or name a helper for \
                 the host under `credHelpers` in docker's config.json",
                file.display()
            )),
            Self::NotOurs
            | Self::Anonymous(_)
            | Self::Interrupted
            | Self::Input(_)
            | Self::Setting { .. }
            | Self::File(_)
            | Self::Delegate { .. }
            | Self::Output(_) => None,
            Self::NoRegistry { .. } => Some(
                "name its login server, such as `contoso.azurecr.io`; a registry of a cloud of your own needs `[cloud.NAME]` in the \
                 config file"
                    .into(),
            ),
            Self::NotErased { .. } => {
                Some("unlock or restart the keyring and try again; the token ends by itself within three hours".into())
            }
            Self::NotKept { .. } => Some(
                "unlock or start the keyring of the desktop, or let `cache` be auto, which knows the kernel's; or use `az login`"
                    .into(),
            ),
            Self::NotForgotten { .. } => Some("unlock or restart the keyring and try again".into()),
            Self::NoIdentity { hint, .. } => Some(hint.clone().unwrap_or_else(|| NOBODY.into())),
            Self::SignIn(sign_in) => sign_in.hint.clone(),
            Self::Relayed(account) => account.hint.clone(),
            Self::Skewed { .. } => Some("set the clock of this machine, for example with `timedatectl set-ntp true`".into()),
            Self::WrongAudience { .. } => Some("the source ignores the scope it was asked for; choose another one".into()),
            Self::Exchange { registry, refusal, .. } => Some(refusal.advice(registry)),
            Self::Unreachable(unreachable) => Some(unreachable.hint()),
            Self::Deadline { .. } => {
                Some("`ACRSCOPED_TIMEOUT` sets the seconds; `ACRSCOPED_LOG=debug` shows where they go".into())
            }
        }
    }

    /// Whether nobody could be signed in. A registry that refused somebody who was signed in is another matter.
    pub fn is_failed_sign_in(&self) -> bool {
        match self {
            Self::NoIdentity { .. } => true,
            // A mistake in the settings is none, nor is a token that was had and may not be sent.
            Self::NotSignedIn(error) => !matches!(
                **error,
                Self::Setting { .. }
                    | Self::Untrusted { .. }
                    | Self::File(_)
                    | Self::WrongAudience { .. }
                    | Self::Interrupted
                    | Self::Input(_)
            ),
            Self::Relayed(account) => account.not_signed_in,
            Self::Skewed { error, .. } => error.is_failed_sign_in(),
            _ => false,
        }
    }
}

/// What processes that share a sign-in ask.
#[cfg_attr(not(internals), doc(hidden))]
impl Error {
    /// The failure in words, for processes that wait for the same sign-in.
    pub fn relayed(&self) -> Relayed {
        let not_signed_in = self.is_failed_sign_in();
        Relayed {
            not_signed_in,
            message: self.to_string(),
            details: self.details(),
            hint: self.hint(),
        }
    }

    /// Whether it is about this process alone: somebody ended it, or its own time was up.
    pub fn is_of_this_process(&self) -> bool {
        match self {
            Self::Interrupted | Self::Deadline { .. } => true,
            Self::NotSignedIn(error) | Self::Skewed { error, .. } => error.is_of_this_process(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(refusal: Refusal) -> Error {
        Error::Exchange {
            registry: Registry::parse("contoso.azurecr.io", &[]).unwrap().into(),
            refusal,
            details: vec![],
        }
    }

    fn no_identity() -> Error {
        Error::NoIdentity {
            skipped: vec![],
            hint: None,
        }
    }

    fn unreachable(stage: Stage) -> Error {
        Error::Unreachable(Unreachable {
            host: "contoso.azurecr.io".into(),
            stage,
            cause: "reason".into(),
            circumstances: vec![],
        })
    }

    #[test]
    fn every_failure_has_a_sentence_of_its_own() {
        let rows = [
            (Error::NotOurs, "credentials not found in native keychain"),
            (no_identity(), "no Azure identity to sign in with"),
            (
                exchange(Refusal::Denied {
                    status: 401,
                    said: None,
                    object_id: None,
                }),
                "contoso.azurecr.io refused the access token: 401",
            ),
            (
                exchange(Refusal::Denied {
                    status: 403,
                    said: Some("no".into()),
                    object_id: None,
                }),
                "contoso.azurecr.io refused the access token: 403, no",
            ),
            (
                exchange(Refusal::Firewall {
                    address: Some("203.0.113.9".into()),
                }),
                "the firewall of contoso.azurecr.io does not let 203.0.113.9 in",
            ),
            (
                exchange(Refusal::NoExchange),
                "contoso.azurecr.io has no `/oauth2/exchange`: it does not answer as an Azure Container Registry",
            ),
            (
                exchange(Refusal::Throttled {
                    retry_after: Some(7),
                }),
                "contoso.azurecr.io gets too many requests and asks to wait 7 s",
            ),
            (
                exchange(Refusal::Redirected {
                    location: "http://evil.example/".into(),
                }),
                "contoso.azurecr.io answered the exchange with a redirect to `http://evil.example/`, which is not followed",
            ),
            (
                exchange(Refusal::WebPage { status: 200 }),
                "a web page came in place of the answer of contoso.azurecr.io: 200",
            ),
            (
                exchange(Refusal::Unexpected {
                    status: 500,
                    said: None,
                }),
                "contoso.azurecr.io answered the exchange with 500",
            ),
            (
                exchange(Refusal::Malformed("no refresh token")),
                "contoso.azurecr.io answered the exchange with no refresh token",
            ),
            (
                Error::NotKept { problems: vec![] },
                "no keyring takes a login, and it is kept nowhere else",
            ),
            (
                Error::NotForgotten {
                    problem: "reason".into(),
                },
                "the login could not be forgotten: reason",
            ),
            (
                Error::Request {
                    problem: "it names no image".into(),
                },
                "the request cannot be used: it names no image",
            ),
            (
                Error::Annotation {
                    name: "a.example/b",
                    problem: "is odd".into(),
                },
                "`a.example/b` is odd",
            ),
            (
                unreachable(Stage::Name),
                "the name contoso.azurecr.io was not found",
            ),
            (
                unreachable(Stage::Connection),
                "no connection to contoso.azurecr.io: reason",
            ),
            (
                unreachable(Stage::Tls),
                "no trusted TLS connection to contoso.azurecr.io: reason",
            ),
            (
                unreachable(Stage::Answer),
                "no whole answer from contoso.azurecr.io: reason",
            ),
            (
                Error::Deadline {
                    limit: Duration::from_secs(30),
                    during: "the Azure CLI was asked".into(),
                    circumstances: vec![],
                },
                "gave up after 30 s while the Azure CLI was asked",
            ),
        ];
        for (error, sentence) in rows {
            assert_eq!(error.to_string(), sentence);
        }
    }

    #[test]
    fn a_token_for_another_audience_is_named_with_the_one_that_was_requested() {
        let error = Error::WrongAudience {
            source: "the Azure CLI".into(),
            audience: "`https://management.azure.com`".into(),
            requested: "https://containerregistry.azure.net".into(),
        };
        let expected = "the Azure CLI gave an access token for `https://management.azure.com`, not for \
                        `https://containerregistry.azure.net`: the helper did not send it";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn every_failure_that_can_be_mended_has_a_hint() {
        let proxy = "a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`";
        let again = "try again; if it stays, `az acr check-health --name contoso --yes`";
        for (error, hint) in [
            (Error::NotOurs, None),
            (Error::Interrupted, None),
            (Error::Input("x".into()), None),
            (Error::Input(NO_SERVER_URL.into()), Some(FROM_STDIN)),
            (
                Error::Setting {
                    name: "X".into(),
                    problem: "is odd".into(),
                },
                None,
            ),
            (
                Error::Setting {
                    name: "X".into(),
                    problem: "is set, but `Y` is not".into(),
                },
                Some("set what is missing, or unset `X` to sign in otherwise"),
            ),
            (no_identity(), Some(NOBODY)),
            (
                Error::NoIdentity {
                    skipped: vec![],
                    hint: Some("az login".into()),
                },
                Some("az login"),
            ),
            (
                exchange(Refusal::NoExchange),
                Some("check the name: `az acr show --name contoso --query loginServer`"),
            ),
            (
                exchange(Refusal::Throttled { retry_after: None }),
                Some("try again later; limits are listed at https://aka.ms/acr/skus"),
            ),
            (
                exchange(Refusal::Redirected {
                    location: "x".into(),
                }),
                Some(proxy),
            ),
            (exchange(Refusal::WebPage { status: 200 }), Some(proxy)),
            (
                exchange(Refusal::Unexpected {
                    status: 500,
                    said: None,
                }),
                Some(again),
            ),
            (exchange(Refusal::Malformed("x")), Some(again)),
            (
                exchange(Refusal::Firewall { address: None }),
                Some("az acr network-rule list --name contoso"),
            ),
            (
                unreachable(Stage::Name),
                Some(
                    "check the spelling, the cloud's suffix, DNS and, with a private endpoint, its DNS zone",
                ),
            ),
            (
                unreachable(Stage::Connection),
                Some("check the name, the network, and `HTTPS_PROXY`, `NO_PROXY`"),
            ),
            (
                unreachable(Stage::Tls),
                Some(
                    "if a proxy inspects TLS, put its CA certificate into the system's store or name its file in `ACRSCOPED_CA_FILE`",
                ),
            ),
            (
                unreachable(Stage::Answer),
                Some("try again; a proxy or firewall may cut connections"),
            ),
            (
                Error::Deadline {
                    limit: Duration::from_secs(1),
                    during: "x".into(),
                    circumstances: vec![],
                },
                Some(
                    "`ACRSCOPED_TIMEOUT` sets the seconds; `ACRSCOPED_LOG=debug` shows where they go",
                ),
            ),
            (
                Error::WrongAudience {
                    source: "x".into(),
                    audience: "y".into(),
                    requested: "z".into(),
                },
                Some("the source ignores the scope it was asked for; choose another one"),
            ),
            (
                Error::NotKept { problems: vec![] },
                Some(
                    "unlock or start the keyring of the desktop, or let `cache` be auto, which knows the kernel's; or use `az login`",
                ),
            ),
            (
                Error::NotForgotten {
                    problem: "y".into(),
                },
                Some("unlock or restart the keyring and try again"),
            ),
            (
                Error::Request {
                    problem: "x".into(),
                },
                Some(
                    "kubelet 1.26 and later ask so; `docker-credential-acrscoped configure --kubelet` prints the configuration for it",
                ),
            ),
            (
                Error::Annotation {
                    name: "x",
                    problem: "y".into(),
                },
                Some(
                    "`kubectl annotate serviceaccount NAME kubernetes.azure.com/acr-client-id=CLIENT_ID \
                     kubernetes.azure.com/acr-tenant-id=TENANT_ID`; with neither the node's identity pulls",
                ),
            ),
            (
                Error::NotErased {
                    host: "x".into(),
                    problem: "y".into(),
                },
                Some(
                    "unlock or restart the keyring and try again; the token ends by itself within three hours",
                ),
            ),
        ] {
            assert_eq!(error.hint().as_deref(), hint, "{error}");
        }
    }

    #[test]
    fn a_firewall_hint_is_a_command_to_paste() {
        let error = exchange(Refusal::Firewall {
            address: Some("203.0.113.9".into()),
        });
        assert_eq!(
            error.hint().unwrap(),
            "az acr network-rule add --name contoso --ip-address 203.0.113.9"
        );
    }

    #[test]
    fn a_missing_role_has_a_command_to_paste_and_names_the_roles_of_both_kinds_of_registry() {
        let scope = r#"--scope "$(az acr show --name contoso --query id --output tsv)""#;
        for (object_id, assignee) in [
            (
                Some("c2a6f490-7d35-4e8b-b1c9-0e5f3a7d2846"),
                "c2a6f490-7d35-4e8b-b1c9-0e5f3a7d2846",
            ),
            (None, "OBJECT_ID"),
        ] {
            let refusal = Refusal::Denied {
                status: 401,
                said: None,
                object_id: object_id.map(str::to_owned),
            };
            let notes = refusal.notes().join("\n");
            for role in ["AcrPush", "Container Registry Repository Reader or Writer"] {
                assert!(notes.contains(role), "{notes}");
            }
            assert_eq!(notes.contains("OBJECT_ID"), object_id.is_none(), "{notes}");
            let expected =
                format!("az role assignment create --assignee {assignee} --role AcrPull {scope}");
            assert_eq!(exchange(refusal).hint(), Some(expected));
        }
        let registry = Registry::parse("contoso-abc123.azurecr.io", &[]).unwrap();
        let expected = format!(
            "az role assignment create --assignee X --role 'Container Registry Repository Reader' {scope}"
        );
        assert_eq!(assign_role(&registry, PULL_ABAC, Some("X")), expected);
    }

    #[test]
    fn a_token_that_is_not_valid_has_a_hint_on_its_tenant_and_cloud() {
        let refusal = Refusal::InvalidToken {
            status: 401,
            said: "token validation failed".into(),
        };
        assert!(refusal.notes().is_empty());
        let hint = exchange(refusal).hint().unwrap();
        assert!(
            hint.contains("another tenant")
                && hint.contains("`audience`")
                && !hint.contains("role"),
            "{hint}"
        );
    }
}
