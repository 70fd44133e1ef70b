//! A docker credential helper for Azure Container Registry that signs in with registry-scoped tokens only.
//!
//! # One `get`
//!
//! ```text
//!  docker ──"contoso.azurecr.io"──▶ stdin                            stdout ◀── {"ServerURL","Username","Secret"}
//!                                     │                                ▲
//!  main             arguments · Settings::read(environment, config file) · streams · exit code
//!                                     ▼                                │
//!  protocol/docker  read ≤ 8 KiB · Registry::parse ── not ours ▶ the delegate, or "credentials not found in native keychain"
//!                                     ▼                                │
//!  service          Settings::for_registry: what its profiles say      │
//!                                     ▼                                │
//!                   key = registry + fingerprint of the identity       │
//!                   cache.get(key) ──────────── fresh ────────────────▶┤
//!                     │ missing, half spent, or the store failed       │
//!                   single flight: another process leads ── its result ▶┤
//!                     │ ours to do; the registry's TLS connection      │
//!                     │ is opened meanwhile                            │
//!                   access token    kept for this identity, or another │
//!                     │    process is at it, or az, IMDS, …, or        │
//!                     │    POST https://<authority>/<tenant>/oauth2/v2.0/token
//!                   exchange.refresh_token                             │
//!                     │    POST https://<registry>/oauth2/exchange     │
//!                   cache.put (best effort) ──────────────────────────▶┘
//! ```
//!
//! A cached `get` is one process start, the config file, the small files that say who is signed in, and one keyring read: no HTTP client, no TLS, no async runtime, no thread
//! (with any keyring but the kernel's one, so that a keyring that does not answer is given up).
//! A cold one is two HTTPS requests and nothing more; a CI job asks for its assertion besides.
//!
//! kubelet's request goes the same way from `service` on, but with no store unless `cache` names one; a pod's own identity goes straight to
//! the two requests, past cache and flight, whatever is set.
//!
//! # As a library
//!
//! A Rust program needs no helper process. It is set up like the helper, by the same variables and the same config file, and shares its
//! cache:
//!
//! ```no_run
//! use docker_credential_acrscoped::{ExposeSecret, Registry, Settings, TokenService};
//! use std::time::SystemTime;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings::from_env()?;
//! let registry = Registry::parse("contoso.azurecr.io", settings.clouds()).ok_or("no Azure Container Registry")?;
//! // It blocks: within an async runtime, call it by `tokio::task::spawn_blocking`.
//! let credential = TokenService::new(&settings, SystemTime::now).get(&registry)?;
//! // For basic authentication: `RegistryAuth::Basic` of `oci-client`, say.
//! let (username, password) = (credential.username, credential.token.secret().expose_secret());
//! # let _ = (username, password);
//! # Ok(())
//! # }
//! ```
//!
//! `tests/oci-client` in the repository is a whole program that pushes and pulls an image.
//!
//! What the helper does to its own process, the library does not do to yours: it ends nothing, takes no signal that would end it, installs
//! no panic hook, no logger and no cryptography, and writes to no stream. It uses the provider that you have installed for rustls, else
//! ring's, and tells what it does by events of `tracing`, without a secret. It starts `az` or `azd`, where they are the source of the
//! identity, with your environment but for variables that have a program run other code, such as `LD_PRELOAD`. It keeps its tokens in the
//! user's keyring. Whoever can read the memory of your process, or its core dump, finds them there, too: the helper forbids both, and you
//! may.
//!
//! What is listed below is kept stable by the rules of semantic versioning. The rest is for the helper itself and the tests; it is public
//! and hidden, and changes at any time. `RUSTDOCFLAGS='--cfg internals' cargo doc --document-private-items` shows it.
//!
//! # Modules
//!
//! | module | duty |
//! | --- | --- |
//! | `cli` | the command line |
//! | `config` | the environment and the config file as settings, for each registry, and where each value came from |
//! | `registry` | who may receive a token: the table of clouds, and the only way to make a [`Registry`] |
//! | `mirrors` | the registries that nodes pull other hosts' images through |
//! | `token` | the tokens: what is read from them, how long a refresh token is used, and what messages say of one |
//! | `protocol` | what clients speak, and the delegate for other hosts; a caller of `service` |
//! | `commands` | what people call: callers of `service`, and of the steps below it that they show one by one |
//! | `service` | the credential of a registry: cache, renewal, sign-in and exchange, under one deadline; what is erased and listed |
//! | `single_flight` | one sign-in for many processes |
//! | `runtime` | the async runtime, for what must be waited for; a signal ends it in order |
//! | `deadline` | the clock, and the end of everything that one `get` may do |
//! | `identity` | the sources of an identity, their order, its fingerprint |
//! | `entra` | how people sign in: OAuth in the browser, by device code, by refresh token |
//! | `logins` | who has signed in with us, by name |
//! | `exchange` | access token for refresh token |
//! | `refusal` | what a registry answers instead of a token, as a message and a hint |
//! | `http` | HTTP clients, bounded bodies, retries, the early connection, the names of connection failures |
//! | `cache` | tokens in the stores of the operating system |
//! | `program` | programs that we call: how they are found, run and ended, or started to outlive us |
//! | `files` | small files: read with a bound and without waiting, put in place whole |
//! | `trust` | which files may decide about trust: who can change them, and who named them |
//! | `log` | what is told on stderr |
//! | `error` | the error type: kind, message, details, hint |
//! | `terminal` | how answers are drawn for a person |
//! | `text` | text from elsewhere, made fit to be shown, without the secrets that were sent; words for a shell |
//!
//! Imports run one way: `main` → `cli`, `commands`, `protocol` → `service` → `identity`, `exchange`, `single_flight` → `entra`,
//! `logins`, `cache` → `http`, `deadline`, `runtime`, `program`, `log`, `terminal` → `config` → `files` → `trust`, `error`, `mirrors` → `registry` →
//! `token` → `text`.
//!
//! # To add
//!
//! | what | where |
//! | --- | --- |
//! | a source of an identity | a name in `config::SourceName` (the compiler finds its arms), a file in `identity`, its settings in `config/sources`, its grant in the simulator, a row in `tests/matrix` (which fails without) and in README |
//! | a setting | a row in `config::KEYS`, a field in `config::Config` or `SourceSettings`, a line in `packaging/config.example.toml` and in README; manual and schema are written from the table |
//! | a store | a `Store` in `cache`, an arm in `cache::system_stores`, a word in `config::CacheChoice` with the system that has it, its tests beside the contract in `tests/keyring`; `lasts` says whether logins go there first |
//! | a cloud | a row in `registry::CLOUDS`, the metadata service's name for it in `registry::ENVIRONMENTS`, a row in two tables of tests, in README, and in the simulator's authorities and registries |
//! | a command for people | a file in `commands`, a variant of `commands::Command` with its help, its manual page (`tests/manual` writes it), and its transcripts in `tests/transcripts` |
//! | a check of the doctor | a file and a name in `commands/doctor`, its place in the areas of `checks`, new words of its messages in `words.txt`, a row in `tests/doctor/setups` with its transcript |
//! | a file of a client | its path in `commands/configure/paths`, what it reads in `checks`, a folder of samples in `tests/configure/corpus` |
//! | a client protocol | a file in `protocol` and a word in `cli` |

#[cfg_attr(not(internals), doc(hidden))]
pub mod cache;
#[cfg_attr(not(internals), doc(hidden))]
pub mod cli;
#[cfg_attr(not(internals), doc(hidden))]
pub mod commands;
#[cfg_attr(not(internals), doc(hidden))]
pub mod config;
#[cfg_attr(not(internals), doc(hidden))]
pub mod deadline;
mod entra;
#[cfg_attr(not(internals), doc(hidden))]
pub mod error;
#[cfg_attr(not(internals), doc(hidden))]
pub mod exchange;
mod files;
#[cfg_attr(not(internals), doc(hidden))]
pub mod http;
#[cfg_attr(not(internals), doc(hidden))]
pub mod identity;
#[cfg_attr(not(internals), doc(hidden))]
pub mod log;
mod logins;
mod mirrors;
mod program;
#[cfg_attr(not(internals), doc(hidden))]
pub mod protocol;
mod refusal;
#[cfg_attr(not(internals), doc(hidden))]
pub mod registry;
#[cfg_attr(not(internals), doc(hidden))]
pub mod runtime;
#[cfg_attr(not(internals), doc(hidden))]
pub mod service;
mod single_flight;
#[cfg_attr(not(internals), doc(hidden))]
pub mod terminal;
#[cfg_attr(not(internals), doc(hidden))]
pub mod text;
#[cfg_attr(not(internals), doc(hidden))]
pub mod token;
mod trust;

pub use config::{Settings, Variables};
pub use deadline::Clock;
pub use error::{Error, ErrorKind, Stage};
pub use registry::{Cloud, Registry};
#[doc(no_inline)]
pub use secrecy::{ExposeSecret, SecretString};
pub use service::{Credential, TokenService};
pub use token::RefreshToken;
