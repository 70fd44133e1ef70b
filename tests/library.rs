//! The crate as a library: what its API is, and what a program that calls it keeps to itself.
#![allow(
    clippy::disallowed_methods,
    reason = "a program that calls the crate is a process edge of its own"
)]

use docker_credential_acrscoped::{
    Clock, Cloud, Credential, Error, ErrorKind, ExposeSecret, RefreshToken, Registry, SecretString,
    Settings, Stage, TokenService, Variables,
};
use rustls::crypto::CryptoProvider;
use std::fmt::{Debug, Display};
use std::path::PathBuf;
use std::time::SystemTime;

/// A folder that a program may have.
type Folder = Option<PathBuf>;

/// Every function and field of the API with its type. What has to be changed here for this to compile is a breaking change, and needs
/// a new version by the rules of semantic versioning.
#[test]
fn a_breaking_change_of_the_api_is_seen_here() {
    let _: fn() -> std::process::ExitCode = docker_credential_acrscoped::run;
    let _: Clock = SystemTime::now;
    let _: fn() -> Result<Settings, Error> = Settings::from_env;
    let _: fn(Variables, Folder, Folder, Folder) -> Result<Settings, Error> = Settings::read;
    let _: fn(Variables, Option<PathBuf>) -> Settings = Settings::from_variables;
    let _: fn(&Settings) -> &[Cloud] = Settings::clouds;

    let _: fn(&str, &[Cloud]) -> Option<Registry> = Registry::parse;
    let _: fn(&Registry) -> &str = Registry::host;
    let _: fn(&Registry) -> &str = Registry::login_server;
    let _: fn(&Registry) -> &str = Registry::resource_name;
    let _: fn(&Registry) -> &Cloud = Registry::cloud;
    let _ = |cloud: &Cloud| {
        [
            &cloud.name,
            &cloud.suffix,
            &cloud.authority,
            &cloud.audience,
            &cloud.cli_name,
            &cloud.federation,
        ]
        .map(|it| &**it)
        .concat()
    };

    let _: fn(&'static Settings, Clock) -> TokenService<'static> = TokenService::new;
    let _: fn(&TokenService<'static>, &Registry) -> Result<Credential, Error> = TokenService::get;
    let _: fn(&TokenService<'static>, &Registry) -> Result<(), Error> = TokenService::erase;

    let _ = |Credential {
                 username, token, ..
             }: Credential|
     -> (&'static str, RefreshToken) { (username, token) };
    let _: fn(&RefreshToken) -> &SecretString = RefreshToken::secret;
    let _: fn(&RefreshToken) -> Option<SystemTime> = RefreshToken::expires;
    let _: fn(&RefreshToken) -> SystemTime = RefreshToken::renew_at;
    let _: fn(&SecretString) -> &str = SecretString::expose_secret;

    let _: fn(&Error) -> ErrorKind = Error::kind;
    let _: fn(&Error) -> &[String] = Error::details;
    let _: fn(&Error) -> Option<&str> = Error::hint;
    let _: fn(&Error) -> bool = Error::is_failed_sign_in;
    let _ = |error: Error| -> Box<dyn std::error::Error + Send + Sync> { error.into() };

    shared::<(
        Settings,
        TokenService<'static>,
        Registry,
        Cloud,
        Credential,
        RefreshToken,
        Error,
    )>();
    cloned::<(Registry, Cloud, RefreshToken)>();
    shown::<Registry>();
}

fn shared<T: Send + Sync + Debug>() {}

fn cloned<T: Clone>() {}

fn shown<T: Display>() {}

/// What each failure is for a program. A kind may be added, since the enum is `non_exhaustive`.
#[test]
fn a_breaking_change_of_an_error_is_seen_here() {
    let _ = |kind: ErrorKind| -> String {
        match kind {
            ErrorKind::NotAcrRegistry
            | ErrorKind::Anonymous
            | ErrorKind::Input
            | ErrorKind::Setting
            | ErrorKind::Untrusted
            | ErrorKind::Delegate
            | ErrorKind::NoIdentity
            | ErrorKind::SignIn
            | ErrorKind::WrongAudience
            | ErrorKind::InvalidToken
            | ErrorKind::NetworkRule
            | ErrorKind::UnexpectedResponse
            | ErrorKind::Timeout
            | ErrorKind::Keyring
            | ErrorKind::Interrupted
            | ErrorKind::Output
            | ErrorKind::System => String::new(),
            ErrorKind::Denied { status } => {
                let _: u16 = status;
                status.to_string()
            }
            ErrorKind::Unreachable(
                stage @ (Stage::Name | Stage::Connection | Stage::Tls | Stage::Answer),
            ) => format!("{stage:?}"),
            _ => "another".to_owned(),
        }
    };
}

/// A service principal whose authority cannot be reached: nobody listens on port 1 of loopback.
fn settings() -> Settings {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "authority = 'https://127.0.0.1:1'").expect("our folder");
    let rows = [
        ("AZURE_TENANT_ID", "contoso.example"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_CLIENT_SECRET", "canary"),
        ("ACRSCOPED_CONFIG", file.to_str().expect("UTF-8")),
        ("ACRSCOPED_CACHE", "none"),
        // No place to meet other processes, not even other tests.
        ("TMPDIR", "/proc/nowhere"),
    ];
    let variables = rows
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into();
    Settings::read(variables, None, None, None).expect("a good file")
}

/// A sign-in that comes as far as the authority, which is not there.
fn get(settings: &Settings) {
    let registry = Registry::parse("contoso.azurecr.io", settings.clouds()).expect("a registry");
    let service = TokenService::new(settings, || SystemTime::UNIX_EPOCH);
    let error = service.get(&registry).expect_err("nobody is there to ask");
    assert!(
        error.is_failed_sign_in() && matches!(error.kind(), ErrorKind::Unreachable(_)),
        "{error}"
    );
    let said = format!(
        "{settings:?} {service:?} {registry:?} {error:?} {error} {:?} {:?}",
        error.details(),
        error.hint()
    );
    assert!(!said.contains("canary"), "{said}");
}

#[test]
fn a_get_works_within_an_async_runtime() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    runtime().block_on(async { get(&settings()) });
    runtime().block_on(async {
        tokio::task::spawn_blocking(|| get(&settings()))
            .await
            .unwrap();
    });
    runtime().block_on(async {
        tokio::task::spawn(async { get(&settings()) })
            .await
            .unwrap();
    });
}

#[test]
fn a_get_leaves_the_process_as_it_was() {
    let before = (caught_signals(), std::env::current_dir().unwrap());
    get(&settings());
    assert_eq!((caught_signals(), std::env::current_dir().unwrap()), before);
    assert!(
        CryptoProvider::get_default().is_none(),
        "a program chooses its cryptography itself"
    );
    assert!(
        !tracing::dispatcher::has_been_set(),
        "a program chooses by itself where events go"
    );
}

/// The signals that this process handles, as the kernel writes them (proc(5), `SigCgt`).
fn caught_signals() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .map(str::to_owned)
}
