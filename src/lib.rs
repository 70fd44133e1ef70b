//! A docker credential helper for Azure Container Registry that signs in with registry-scoped tokens only.
//!
//! # One `get`
//!
//! ```text
//!  docker ──"contoso.azurecr.io"──▶ stdin                            stdout ◀── {"ServerURL","Username","Secret"}
//!                                     │                                ▲
//!  main             arguments · environment · streams · exit code      │
//!                                     ▼                                │
//!  protocol/docker  read ≤ 8 KiB · Registry::parse ── not ours ▶ "credentials not found in native keychain"
//!                                     ▼                                │
//!  helper           key = registry + fingerprint of the identity       │
//!                   cache.get(key) ──────────── fresh ────────────────▶┤
//!                     │ missing, half spent, or the store failed       │
//!                   flight: another process is at it ── its result ───▶┤
//!                     │ ours to do; the registry's TLS connection      │
//!                     │ is opened meanwhile                            │
//!                   identity.access_token   az, IMDS, …, or            │
//!                     │    POST https://<authority>/<tenant>/oauth2/v2.0/token
//!                   exchange.refresh_token                             │
//!                     │    POST https://<registry>/oauth2/exchange     │
//!                   cache.put (best effort) ──────────────────────────▶┘
//! ```
//!
//! A cached `get` is one process start and one keyring read: no HTTP client, no TLS, no async runtime, no thread. A cold one is
//! two HTTPS requests and nothing more.
//!
//! # Modules
//!
//! | module | duty |
//! | --- | --- |
//! | [`cli`] | the command line |
//! | [`config`] | the environment as settings |
//! | [`registry`] | who may receive a token: the table of clouds, and the only way to make a [`registry::Registry`] |
//! | [`token`] | the two tokens: what is read from them, and how long a refresh token is used |
//! | [`protocol`] | what clients speak; a caller of [`helper`] |
//! | [`helper`] | the core: cache, sign-in, exchange, under one deadline |
//! | [`flight`] | one sign-in for many processes |
//! | [`deadline`] | the clock, and the end of everything that one `get` may do |
//! | [`identity`] | the sources of an identity, their order, its fingerprint |
//! | [`exchange`] | access token for refresh token, and what refusals mean |
//! | [`network`] | HTTP clients, bounded bodies, retries, the early connection, the names of connection failures |
//! | [`cache`] | refresh tokens in the stores of the operating system |
//! | [`files`] | small files, read with a bound and without waiting |
//! | [`log`] | what is told on stderr |
//! | [`error`] | what can go wrong, as what the reader must do next |
//!
//! Imports run one way: `main` → `cli`, `protocol` → `helper` → `identity`, `exchange`, `cache`, `flight` → `network`,
//! `deadline`, `files`, `config`, `token`, `registry` → `error`.
//!
//! # To add
//!
//! | what | where |
//! | --- | --- |
//! | a source of an identity | a variant of `Source` in [`identity`] (the compiler finds its arms), its settings in [`config`], its grant in the simulator, a row in README |
//! | a store | a [`keyring_core`] store in [`cache`], an arm in [`cache::Cache::open`], a word in [`config::CacheChoice`] and in [`config::SETTINGS`], its tests beside the contract in `tests/keyring` |
//! | a cloud | a row in [`registry::CLOUDS`], in two tables of tests, in README, and in the simulator's authorities and registries |
//! | a client protocol | a file in [`protocol`] and a word in [`cli`] |

pub mod cache;
pub mod cli;
pub mod config;
pub mod deadline;
pub mod error;
pub mod exchange;
pub mod files;
pub mod flight;
pub mod helper;
pub mod identity;
pub mod log;
pub mod network;
pub mod protocol;
pub mod registry;
mod session;
pub mod token;
