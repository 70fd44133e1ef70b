//! Checks what must hold for every input. The functions panic if it does not. The fuzz targets (`tests/fuzz`) and the unit tests share them.
#![allow(
    clippy::missing_panics_doc,
    clippy::implicit_hasher,
    reason = "to panic is what these functions are for, and tests call them"
)]

use crate::config::{Config, SECRETS, Settings, ZERO_GUID};
use crate::deadline::{Clock, Deadline};
use crate::error::{Error, ErrorKind, NOT_FOUND, sanitize, sanitize_line};
use crate::exchange;
use crate::http::Network;
use crate::identity::Identity;
use crate::identity::certificate::Certificate;
use crate::protocol::docker::Verb;
use crate::protocol::{docker, kubelet};
use crate::registry::{CLOUDS, Registry};
use crate::service::TokenService;
use crate::token::{AccessToken, Audience, REGISTRY_AUDIENCE, RefreshToken};
use azure_core::base64::encode_url_safe;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use url::Url;

/// Stands for every secret.
pub const CANARY: &str = "canary-5b8d3e17";

/// Lists the variables that [`config`] gets from its callers.
pub const VARIABLES: &[&str] = &[
    "ACRSCOPED_CACHE",
    "ACRSCOPED_LOG",
    "ACRSCOPED_TIMEOUT",
    "ACRSCOPED_USERNAME",
    "ACRSCOPED_CA_FILE",
    "ACRSCOPED_AUDIENCE",
    "ACRSCOPED_AUTHORITY",
    "ACRSCOPED_CLIENT_ID",
    "ACRSCOPED_DELEGATE",
    "ACRSCOPED_KEEP_ACCESS_TOKEN",
    "ACRSCOPED_OBJECT_ID",
    "ACRSCOPED_ON_ERROR",
    "ACRSCOPED_RESOURCE_ID",
    "ACRSCOPED_SOURCE",
    "ACRSCOPED_SUBSCRIPTION",
    "ACRSCOPED_TENANT",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "AZURE_TOKEN_CREDENTIALS",
    "SYSTEM_OIDCREQUESTURI",
    "AZURE_AUTHORITY_HOST",
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CONFIG_DIR",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "IDENTITY_ENDPOINT",
    "MSI_ENDPOINT",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "PATH",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "TMPDIR",
];

/// Limits the seconds for which a refresh token is handed out without a renewal.
const HALF_A_DAY: u64 = 12 * 60 * 60;

/// Checks that a host is a registry only if Azure gives out every part of it, and only if a URL parser reads the same host.
pub fn host(text: &str) {
    let Some(registry) = Registry::parse(text, &[]) else {
        return;
    };
    let (host, suffix) = (registry.host(), &*registry.cloud().suffix);
    assert!(CLOUDS.contains(registry.cloud()));
    let name = host
        .strip_suffix(suffix)
        .and_then(|name| name.strip_suffix('.'))
        .expect("the host ends in its cloud's suffix");
    let labels: Vec<&str> = name.split('.').collect();
    let alphanumeric = |text: &str| {
        (1..=63).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let (first, hash) = labels[0].split_once('-').unwrap_or((labels[0], "0"));
    assert!(
        (5..=50).contains(&first.len())
            && alphanumeric(first)
            && alphanumeric(hash)
            && labels[0].len() <= 63,
        "{host}"
    );
    assert!(
        labels.len() == 1 || (labels.len() == 3 && alphanumeric(labels[1]) && labels[2] == "geo"),
        "{host}"
    );
    assert_eq!(registry.login_server(), format!("{}.{suffix}", labels[0]));
    assert_eq!(registry.resource_name(), first);
    for own in [host, registry.login_server()] {
        assert_eq!(
            Registry::parse(own, &[])
                .expect("its own name is a registry")
                .host(),
            own
        );
    }
    assert_eq!(effective_host(text).as_deref(), Some(host), "{text:?}");
}

/// Returns the host that a URL parser would connect to, with TLS, at port 443.
fn effective_host(text: &str) -> Option<String> {
    let text = text.trim();
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let url = Url::parse(&format!("https://{rest}")).ok()?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.port_or_known_default() == Some(443);
    let host = url.host_str().filter(|_| is_plain)?;
    Some(host.strip_suffix('.').unwrap_or(host).to_owned())
}

/// Returns the settings of an empty environment.
fn nothing_set() -> Settings {
    Settings::from_variables(HashMap::new(), None)
}

/// Records that a service was requested, and fails.
fn no_service<'a>(asked: &Cell<bool>) -> Result<TokenService<'a>, Error> {
    asked.set(true);
    Err(Error::input("a service"))
}

/// Checks [`docker`] for every verb.
pub fn docker_verbs(input: &[u8]) {
    for verb in Verb::ALL {
        docker(verb, input);
    }
}

/// Checks the docker protocol: it requests a service for a registry and for nothing else, and its output is one printable line.
pub(crate) fn docker(verb: Verb, input: &[u8]) {
    let asked = Cell::new(false);
    let mut output = Vec::new();
    let result = docker::serve(
        verb,
        || Ok(nothing_set()),
        |_| no_service(&asked),
        input,
        &mut output,
        false,
    );
    let output = String::from_utf8(output).expect("text");
    let text = std::str::from_utf8(input).unwrap_or_default();
    let is_ours = input.len() <= 8 * 1024 && Registry::parse(text.trim(), &[]).is_some();
    let needed = match verb {
        Verb::Get | Verb::Erase => is_ours,
        Verb::Store => false,
        Verb::List => true,
    };
    assert_eq!(asked.get(), needed);
    match result {
        // On these words, clients continue without a credential.
        Ok(_) if output.strip_suffix('\n') == Some(NOT_FOUND) => {
            assert!(matches!(verb, Verb::Get | Verb::Erase) && !needed);
        }
        Ok(_) => assert!(output.is_empty() && verb == Verb::Store && store_accepts(input)),
        Err(error) => {
            assert_error_text(&error);
            let line = output.strip_suffix('\n').unwrap_or_default();
            assert!(!line.is_empty() && sanitize(&error.to_string()).starts_with(line));
            assert_ne!(output.trim(), NOT_FOUND);
        }
    }
}

/// Checks kubelet's protocol: it requests a service only for an image of a registry, by the host that a URL parser reads, as kubelet does. A
/// failure leaves stdout empty.
pub fn kubelet(input: &[u8]) {
    let asked = Cell::new(false);
    let mut output = Vec::new();
    let result = kubelet::serve(
        &kubelet::Arguments::default(),
        || Ok(nothing_set()),
        |_| no_service(&asked),
        input,
        &mut output,
    );
    if asked.get() {
        let request: Value = serde_json::from_slice(input).expect("JSON");
        let url = Url::parse(&format!(
            "https://{}",
            request["image"].as_str().expect("an image")
        ))
        .expect("a URL");
        let host = url.host_str().expect("a host");
        assert_eq!(Registry::parse(host, &[]).expect("a registry").host(), host);
        assert!(
            url.username().is_empty()
                && url.password().is_none()
                && url.port_or_known_default() == Some(443)
        );
    }
    match result {
        Ok(_) => {
            let response: Value = serde_json::from_slice(&output).expect("JSON");
            assert!(
                response["auth"].is_null() && response["cacheDuration"] == "0s" && !asked.get(),
                "{response}"
            );
        }
        Err(error) => {
            assert_error_text(&error);
            assert!(output.is_empty());
        }
    }
}

/// Checks [`kubelet`] with a whole request for this image.
pub fn image(image: &str) {
    let (version, kind) = (
        "credentialprovider.kubelet.k8s.io/v1",
        "CredentialProviderRequest",
    );
    kubelet(
        serde_json::json!({"apiVersion": version, "kind": kind, "image": image})
            .to_string()
            .as_bytes(),
    );
}

/// Returns whether `store` may succeed: for a registry and the user names that `get` returns.
fn store_accepts(input: &[u8]) -> bool {
    let stored: Value = serde_json::from_slice(input).unwrap_or_default();
    // The fields may also come as a list, in order.
    let field = |name: &str, at: usize| {
        stored
            .get(name)
            .or_else(|| stored.get(at))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    Registry::parse(field("ServerURL", 0), &[]).is_some()
        && [ZERO_GUID, "<token>"].contains(&field("Username", 1))
}

/// Checks message, details and hint of an error: each line is bounded and holds nothing that controls a terminal.
pub fn assert_error_text(error: &Error) {
    for text in std::iter::once(&*error.to_string())
        .chain(error.details().iter().map(String::as_str))
        .chain(error.hint().into_iter().flat_map(str::lines))
    {
        assert!(text.chars().count() <= 2_000, "{text:?}");
        assert_printable(text);
    }
}

fn assert_printable(text: &str) {
    assert!(!text.chars().any(is_unprintable), "{text:?}");
}

/// Checks sanitized text: bounded, on one line, printable, without a token, and not changed when it is sanitized again.
pub fn shown(text: &str) {
    let shown = sanitize_line(text);
    assert!(shown.chars().count() <= 401);
    assert_printable(&shown);
    assert!(
        !shown.starts_with(' ') && !shown.ends_with(' ') && !shown.contains("  "),
        "{shown:?}"
    );
    // What looks like a token is left out; a cut may turn what did not into what does.
    match shown.split(' ').find(|word| word.contains("eyJ")) {
        Some(word) => assert!(word.len() <= 23, "{shown:?}"),
        None => assert_eq!(sanitize_line(&shown), shown),
    }
}

/// Returns whether this is a control character, a line end, or a character that turns the direction of text or draws nothing (Unicode,
/// `Bidi_Control`, zero-width `Cf`).
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// Checks a token whose payload is these bytes: its times cannot make it eternal, and it is accepted for the registries' audience only.
pub fn token(payload: &[u8], now: u64, at: u64) {
    let jwt = format!("e30.{}.c2ln", encode_url_safe(payload));
    refresh_token(&jwt, now, at);
    if AccessToken::new(SecretString::from(jwt), &Audience::default()).is_ok() {
        // The helper skips claims that it does not need. Other parsers may find no JSON in them.
        let Ok(claims) = serde_json::from_slice::<Value>(payload) else {
            return;
        };
        // The claims may also come as a list, in order.
        let audience = claims
            .get("aud")
            .or_else(|| claims.get(0))
            .unwrap_or(&Value::Null);
        assert!(is_registrys(audience), "{claims}");
    }
}

fn is_registrys(audience: &Value) -> bool {
    let known = [
        REGISTRY_AUDIENCE,
        "https://containerregistry.azure.net/",
        "6a0ec4d3-30cb-4a83-91c0-ae56bc0e3d26",
    ];
    audience
        .as_str()
        .is_some_and(|audience| known.contains(&audience))
}

/// Checks any text as a token: for how long it is handed out.
pub fn refresh_token(text: &str, now: u64, at: u64) {
    let Some((now, at)) = from_unix_seconds(now).zip(from_unix_seconds(at)) else {
        return;
    };
    let tokens =
        RefreshToken::received(text.into(), now).zip(RefreshToken::restored(text.into(), now));
    let Some((received, restored)) = tokens else {
        return;
    };
    let life = received
        .expires()
        .and_then(|expires| expires.duration_since(now).ok())
        .unwrap_or_default();
    for (token, longest) in [(&received, life / 2), (&restored, Duration::ZERO)] {
        assert_eq!(token.secret().expose_secret(), text);
        assert!(!token.is_fresh(at) || token.is_valid(at));
        let left = token
            .expires()
            .and_then(|expires| expires.duration_since(at).ok())
            .unwrap_or_default();
        assert_eq!(token.is_valid(at), left > Duration::from_secs(60));
        if let Ok(age) = at.duration_since(now) {
            assert!(
                !token.is_fresh(at) || age < longest.min(Duration::from_secs(HALF_A_DAY)),
                "{age:?} of {life:?}"
            );
        }
        // Also with a clock that was set back: never handed out for longer from then on, a minute of tolerance aside.
        let ahead = token.renew_at().duration_since(at).unwrap_or_default();
        assert!(
            !token.is_fresh(at) || ahead <= Duration::from_secs(HALF_A_DAY + 60),
            "{ahead:?}"
        );
    }
}

/// Returns a time until the year 9999.
fn from_unix_seconds(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds % 253_402_300_800))
}

/// Checks settings from any variables: values are within their range, and neither an error nor `Debug` shows a secret.
pub fn config(mut variables: HashMap<String, OsString>) {
    if variables
        .values()
        .any(|value| value.to_string_lossy().to_lowercase().contains(CANARY))
    {
        return;
    }
    for name in SECRETS.iter().copied() {
        let mut secret = OsString::from(CANARY);
        secret.push(variables.get(name).cloned().unwrap_or_default());
        variables.insert(name.into(), secret);
    }
    let mut proxy = OsString::from(format!("http://user:{CANARY}@"));
    proxy.push(variables.get("NO_PROXY").cloned().unwrap_or_default());
    variables.insert("HTTPS_PROXY".into(), proxy);
    let settings = Settings::from_variables(variables, Some("/home/alice".into()));
    let _ = settings.unknown_variables();
    let registry = Registry::parse("contoso.azurecr.io", &[]).expect("a registry");
    assert!(!format!("{settings:?}").contains(CANARY));
    let said = match settings.for_registry(&registry) {
        Ok(config) => {
            is_in_range(&config);
            format!("{config:?}")
        }
        Err(error) => {
            assert_printable(&error.to_string());
            format!("{error} {error:?} {:?} {:?}", error.details(), error.hint())
        }
    };
    assert!(!said.contains(CANARY), "{said}");
}

/// Checks a config file: it is read, or refused with an error, and its audience is never Azure Resource Manager.
pub fn config_file(folder: &Path, text: &[u8]) {
    let file = folder.join("config.toml");
    std::fs::write(&file, text).expect("our folder");
    let variables = HashMap::from([("ACRSCOPED_CONFIG".to_owned(), file.into_os_string())]);
    let settings = match Settings::read(variables, None, None, None) {
        Ok(settings) => settings,
        Err(error) => return assert_error_text(&error),
    };
    for host in [
        "contoso.azurecr.io",
        "contoso.eastus.geo.azurecr.us",
        "contoso.registries.example",
    ] {
        let Some(registry) = Registry::parse(host, settings.clouds()) else {
            continue;
        };
        let config = settings
            .for_registry(&registry)
            .expect("the file was checked when it was read");
        is_in_range(&config);
        assert!(!config.audience.as_str().contains("management.azure.com"));
        settings
            .explain(Some(&registry))
            .expect("no variable is set");
    }
}

/// Checks the file of a certificate, in any format: it is read, or refused with a printable sentence.
pub fn certificate(folder: &Path, bytes: &[u8]) {
    let file = folder.join("certificate");
    std::fs::write(&file, bytes).expect("our folder");
    for password in [None, Some(SecretString::from(CANARY))] {
        if let Err(problem) = Certificate::read(&file, password.as_ref()) {
            assert!(!problem.contains(CANARY), "{problem}");
            assert_printable(&problem);
        }
    }
}

fn is_in_range(config: &Config) {
    assert!((1..=600).contains(&config.timeout.as_secs()));
    assert!([ZERO_GUID, "<token>"].contains(&config.username));
    let authority = &config.authority;
    assert!(
        authority.scheme() == "https" && authority.has_host() && authority.path() == "/",
        "{authority}"
    );
    assert!(authority.username().is_empty(), "{authority}");
    assert!(
        config
            .sources
            .path
            .iter()
            .chain(&config.lock_dirs)
            .all(|folder| folder.is_absolute())
    );
    assert!(!config.lock_dirs.is_empty());
    for note in &config.network.notes {
        assert_printable(&sanitize(note));
    }
}

/// Holds a folder of the Azure CLI, with the program in a folder of `PATH`.
#[derive(Debug)]
pub struct AzureCli {
    folder: PathBuf,
}

impl AzureCli {
    /// Creates it in a folder that exists.
    pub fn new(folder: &Path) -> Self {
        std::fs::write(folder.join("az"), "").expect("our folder");
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Checks any bytes as the Azure CLI's profile: they are read, or refused with a printable error. Another account has another
    /// fingerprint.
    pub fn account(&self, profile: &[u8]) {
        let identity = match self.identity(profile) {
            Ok(identity) => identity,
            Err(error) => return assert_error_text(&error),
        };
        if identity.to_string() != "the Azure CLI" {
            return;
        }
        let fingerprint = identity.fingerprint();
        assert!(
            fingerprint.len() == 32 && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit())
        );
        assert_eq!(
            self.identity(profile).expect("the same").fingerprint(),
            fingerprint
        );
        for part in ["tenantId", "environmentName"] {
            if let Some(other) = with_another(part, profile) {
                assert_ne!(
                    self.identity(&other).expect("as readable").fingerprint(),
                    fingerprint,
                    "{part}"
                );
            }
        }
    }

    fn identity(&self, profile: &[u8]) -> Result<Identity, Error> {
        std::fs::write(self.folder.join("azureProfile.json"), profile).expect("our folder");
        let folder = self.folder.clone().into_os_string();
        let variables = ["AZURE_CONFIG_DIR", "PATH"].map(|name| (name.to_owned(), folder.clone()));
        let registry = Registry::parse("contoso.azurecr.io", &[]).expect("a registry");
        let config = Settings::from_variables(variables.into(), None)
            .for_registry(&registry)
            .expect("folders are fine settings");
        Identity::choose(&config, &registry)
    }
}

/// Returns the profile with one part of its first default account changed, and no other account, which could be the same person's.
fn with_another(part: &str, profile: &[u8]) -> Option<Vec<u8>> {
    let json = profile
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(profile);
    let mut profile: Value = serde_json::from_slice(json).ok()?;
    let subscriptions = profile.get_mut("subscriptions")?.as_array_mut()?;
    subscriptions.retain(|subscription| subscription["isDefault"] == true);
    subscriptions.truncate(1);
    let account = subscriptions.first_mut()?.as_object_mut()?;
    let value = account
        .get(part)
        .and_then(Value::as_str)
        .unwrap_or_default();
    let value = format!("another{value}");
    account.insert(part.to_owned(), value.into());
    serde_json::to_vec(&profile).ok()
}

/// Holds the exchange at a registry whose answers the caller chooses.
#[derive(Debug)]
pub struct Exchange {
    network: Network,
    registry: Registry,
    access_token: AccessToken,
}

impl Exchange {
    /// Creates an exchange without time for a second try.
    pub fn new(clock: Clock) -> Self {
        let deadline = Deadline::after(Duration::ZERO);
        let registry = Registry::parse("contoso.azurecr.io", &[]).expect("a registry");
        let config = nothing_set().for_registry(&registry);
        let config = config.expect("no setting is wrong");
        Self {
            network: Network::new(&config, deadline, clock),
            registry,
            access_token: AccessToken::new("opaque".into(), &Audience::default())
                .expect("no claims"),
        }
    }

    /// Checks what becomes of an answer with this status: a token that can be handed out, or a printable error.
    pub async fn answer(&self, client: &Client, status: u16, clock: Clock) {
        let (network, registry, token) = (&self.network, &self.registry, &self.access_token);
        match exchange::refresh_token(network, client, registry, token, clock).await {
            Ok(token) => {
                let token = token.secret().expose_secret();
                let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
                assert_eq!(status, 200);
                assert!((1..=16 * 1024).contains(&token.len()) && token.bytes().all(is_safe));
            }
            Err(error) => refused(&error),
        }
    }
}

fn refused(error: &Error) {
    assert_error_text(error);
    match error.kind() {
        ErrorKind::NetworkRule => {
            // Only a real address becomes part of the command in the hint.
            let hint = error.hint().unwrap_or_default();
            if let Some((_, address)) = hint.split_once(" --ip-address ") {
                assert!(address.parse::<IpAddr>().is_ok(), "{address:?}");
            }
        }
        ErrorKind::Denied { .. }
        | ErrorKind::InvalidToken
        | ErrorKind::UnexpectedResponse
        | ErrorKind::Unreachable(_) => (),
        other => panic!("{other:?}"),
    }
}

#[cfg(test)]
mod tests;
