//! Docker credential helper for Azure Container Registry that requests ACR-scoped tokens only.
//!
//! # As a library
//!
//! A Rust program needs no helper process. It reads the same variables and config file as the helper, and shares its cache:
//!
//! ```no_run
//! use docker_credential_acrscoped::{ExposeSecret, Registry, Settings, TokenService};
//! use std::time::SystemTime;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings::from_env()?;
//! let registry = Registry::parse("contoso.azurecr.io", settings.clouds()).ok_or("not a registry")?;
//! // It blocks: in an async runtime, call it with `tokio::task::spawn_blocking`.
//! let credential = TokenService::new(&settings, SystemTime::now).get(&registry)?;
//! // For basic authentication, such as `RegistryAuth::Basic` of `oci-client`:
//! let (username, password) = (credential.username, credential.token.secret().expose_secret());
//! # let _ = (username, password);
//! # Ok(())
//! # }
//! ```
//!
//! Turn off the default feature `cli`, which is the program:
//!
//! ```toml
//! docker-credential-acrscoped = { version = "0.1", default-features = false }
//! ```
//!
//! `tests/oci-client` in the repository is a whole program that pushes and pulls an image.
//!
//! The library leaves your process as it is. It ends nothing, handles no signal, installs no panic hook, no logger and no cryptography, and
//! writes to no stream. It uses the provider that you installed for rustls, else ring's. It reports what it does through `tracing`
//! events, without a secret. To sign in it may run `az` or `azd`, with your environment except for variables that make a program run other code,
//! such as `LD_PRELOAD`. It stores tokens in the user's keyring. Any process that can read your process's memory or core dump can read them
//! too. The program prevents both, and so can yours.
//!
//! The items below follow semantic versioning. Everything else is private.
//!
//! # One `get`
//!
//! ```text
//!  docker ──"contoso.azurecr.io"──▶ stdin                            stdout ◀── {"ServerURL","Username","Secret"}
//!                                     │                                ▲
//!  app              arguments · Settings::from_env · streams · exit code
//!                                     ▼                                │
//!  protocol/docker  read ≤ 8 KiB · Registry::parse ── not ours ▶ the delegate, or "credentials not found in native keychain"
//!                                     ▼                                │
//!  service          Settings::for_registry                             │
//!                                     ▼                                │
//!                   key = registry + fingerprint of the identity       │
//!                   cache.get(key) ──────────── fresh ────────────────▶┤
//!                     │ missing, half of its life spent, or failed     │
//!                   single_flight: another process leads ── its result ▶┤
//!                     │ this process leads                             │
//!                   identity: access token from the cache, az, IMDS, … │
//!                     │    or POST https://<authority>/<tenant>/oauth2/v2.0/token
//!                   exchange                                           │
//!                     │    POST https://<registry>/oauth2/exchange     │
//!                   cache.put (best effort) ──────────────────────────▶┘
//! ```
//!
//! A cached `get` is one process start, the config file, the small files that say who is signed in, and one keyring read: no HTTP client,
//! TLS or async runtime. With the kernel keyring it needs no thread either. A cold `get` is two HTTPS requests; a CI job requests its
//! assertion first.
//!
//! A request of kubelet follows the same path from `service` on. It uses no keyring unless `cache` names one. A pod's own identity uses neither
//! the cache nor `single_flight`.
//!
//! # Modules
//!
//! | module | duty |
//! | --- | --- |
//! | `app` | the program: streams, signals, exit codes |
//! | `cli` | the command line: words, help, usage errors |
//! | `commands` | the commands for people, the help topics, man pages and completions |
//! | `protocol` | the protocols of Docker and kubelet, and the delegate for other registries |
//! | `service` | the credential of a registry: cache, renewal, sign-in and exchange, under one deadline |
//! | `identity` | the identity sources, their order, and the fingerprint of an identity |
//! | `exchange` | the exchange of an access token for a refresh token |
//! | `single_flight` | one sign-in for many processes |
//! | `entra` | sign-in of people: browser, device code, refresh token |
//! | `refusal` | what a registry answers instead of a token, as a message and a hint |
//! | `logins` | the list of accounts that signed in with `login`, without secrets |
//! | `cache` | tokens in the keyrings of the operating system |
//! | `http` | HTTP clients, retries, size limits, proxies, certificates, and why a connection failed |
//! | `program` | how other programs are found, run and ended |
//! | `log` | the log on stderr |
//! | `terminal` | how text is drawn for a person |
//! | `config` | settings: the environment and the config file, for each registry, and where each value comes from |
//! | `deadline` | the clock, and the time limit of one `get` |
//! | `runtime` | the async runtime, and signals that end it |
//! | `error` | the error type: kind, message, details, hint |
//! | `files` | small files: read with a limit, replaced at once, locked between processes |
//! | `mirrors` | the registries through which nodes pull the images of other hosts |
//! | `registry` | which hosts may receive a token: the table of clouds, and the only way to make a [`Registry`] |
//! | `trust` | which files may decide about trust: who can change them (owner and mode: `trust/unix.rs`), and who named them |
//! | `token` | tokens: what is read from them, and how long a refresh token is used |
//! | `text` | text from elsewhere, made safe to print, without the secrets that were sent |
//! | `random` | random numbers of the operating system |
//! | `properties` | what holds for every input: checked by unit tests and fuzz targets |
//!
//! Imports go one way: `app` → `cli`, `commands` → `protocol` → `service` → `identity`, `exchange`, `single_flight` → `entra`, `refusal`,
//! `logins` → `cache`, `http`, `program`, `log`, `terminal` → `config`, `deadline`, `runtime` → `error`, `files`, `mirrors` → `registry`,
//! `trust` → `token` → `text`, `random`. Two exceptions: `cli` and `commands` use each other, and `properties` checks modules of all levels.
//!
//! `CONTRIBUTING.md` has the recipes: how to add an identity source, a keyring, a cloud, a setting, a command or a client protocol.

// Without the command line, what only the commands call is unused.
#![cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports))]

#[cfg(feature = "cli")]
mod app;
mod cache;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod commands;
mod config;
mod deadline;
mod entra;
mod error;
mod exchange;
mod files;
mod http;
mod identity;
#[cfg(feature = "cli")]
mod log;
mod logins;
mod mirrors;
mod program;
#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(feature = "cli")]
mod protocol;
mod random;
mod refusal;
mod registry;
mod runtime;
mod service;
mod single_flight;
#[cfg(feature = "cli")]
mod terminal;
mod text;
mod token;
mod trust;

#[cfg(feature = "cli")]
pub use app::run;
pub use config::{Settings, Variables};
pub use deadline::Clock;
pub use error::{Error, ErrorKind, Stage};
pub use registry::{Cloud, Registry};
#[doc(no_inline)]
pub use secrecy::{ExposeSecret, SecretString};
pub use service::{Credential, TokenService};
pub use token::RefreshToken;
