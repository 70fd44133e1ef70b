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
//!  helper           Settings::for_registry: what its profiles say      │
//!                                     ▼                                │
//!  session          key = registry + fingerprint of the identity       │
//!                   cache.get(key) ──────────── fresh ────────────────▶┤
//!                     │ missing, half spent, or the store failed       │
//!                   flight: another process is at it ── its result ───▶┤
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
//! (on macOS and Windows one, so that a keyring that does not answer is given up).
//! A cold one is two HTTPS requests and nothing more; a CI job asks for its assertion besides.
//!
//! # Modules
//!
//! | module | duty |
//! | --- | --- |
//! | [`cli`] | the command line |
//! | [`config`] | the environment and the config file as settings, for each registry, and where each value came from |
//! | [`registry`] | who may receive a token: the table of clouds, and the only way to make a [`registry::Registry`] |
//! | [`token`] | the tokens: what is read from them, how long a refresh token is used, and what people are told of one |
//! | [`protocol`] | what clients speak, and the delegate for other hosts; a caller of [`helper`] |
//! | [`commands`] | what people call: callers of [`helper`], and of the steps below it that they show one by one |
//! | [`helper`] | the core: the credential of a registry; what is erased and listed |
//! | `session` | one identity at one registry: cache, sign-in and exchange, under one deadline |
//! | `flight` | one sign-in for many processes |
//! | `runtime` | the async runtime, for what must be waited for; it ends in order when somebody ends the program |
//! | [`deadline`] | the clock, and the end of everything that one `get` may do |
//! | [`identity`] | the sources of an identity, their order, its fingerprint |
//! | `entra` | how people sign in: OAuth in the browser, by device code, by refresh token |
//! | `logins` | who has signed in with us, by name |
//! | [`exchange`] | access token for refresh token, and what refusals mean |
//! | [`network`] | HTTP clients, bounded bodies, retries, the early connection, the names of connection failures |
//! | [`cache`] | tokens in the stores of the operating system |
//! | `program` | programs that we call: how they are found, run and ended, or started to outlive us |
//! | `asn1` | a reader of DER and BER, for keys and certificates |
//! | `files` | small files: read with a bound and without waiting, put in place whole |
//! | [`log`] | what is told on stderr |
//! | [`error`] | what can go wrong, as what the reader must do next |
//! | [`terminal`] | how answers are drawn for a person |
//! | [`text`] | text from elsewhere, made fit to be shown |
//!
//! Imports run one way: `main` → `cli`, `commands`, `protocol` → `helper` → `session` → `identity`, `exchange`, `flight` → `entra`,
//! `logins`, `cache` → `network`, `deadline`, `runtime`, `program`, `log`, `terminal` → `config` → `files`, `asn1` → `error` → `registry` →
//! `token` → `text`.
//!
//! # To add
//!
//! | what | where |
//! | --- | --- |
//! | a source of an identity | a name in [`config::SourceName`] (the compiler finds its arms), a file in [`identity`], its settings in `config/sources`, its grant in the simulator, a row in `tests/matrix` (which fails without) and in README |
//! | a setting | a row in [`config::KEYS`], a field in [`config::Config`], a line in `packaging/config.example.toml` and in README |
//! | a store | a [`keyring_core`] store in [`cache`], an arm in [`cache::Cache::open`], a word in [`config::CacheChoice`] with the system that has it, its tests beside the contract in `tests/keyring`; `persistence` says whether logins go there first |
//! | a cloud | a row in [`registry::CLOUDS`], in two tables of tests, in README, and in the simulator's authorities and registries |
//! | a command for people | a file in [`commands`], a variant of [`commands::Command`] with its help, and its manual page (`tests/manual` writes it) |
//! | a check of the doctor | a file and a name in `commands/doctor`, its place in the order there, a row in `tests/doctor/setups` with its transcript |
//! | a file of a client | its place in `commands/configure/place`, what it reads in `inspect`, a folder of samples in `tests/configure/corpus` |
//! | a client protocol | a file in [`protocol`] and a word in [`cli`] |

mod asn1;
pub mod cache;
pub mod cli;
pub mod commands;
pub mod config;
pub mod deadline;
mod entra;
pub mod error;
pub mod exchange;
mod files;
mod flight;
pub mod helper;
pub mod identity;
pub mod log;
mod logins;
pub mod network;
mod program;
pub mod protocol;
pub mod registry;
mod runtime;
mod session;
pub mod terminal;
pub mod text;
pub mod token;
