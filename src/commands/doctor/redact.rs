//! `--report`: the answer as a file that may be shown to strangers.
//!
//! Who and where is taken out: the registry's name, ids but for their first four characters, user names, the home folder, addresses,
//! hosts that are not known to everybody, and a cloud of the user's own.
//! What kind of thing stood there stays, since a report that says nothing helps nobody. No check holds a token or a secret; should one
//! ever do, it is taken out here too.

use super::report::Report;
use crate::config::{SECRETS, Settings};
use crate::error::{Error, visible};
use crate::registry::{CLOUDS, Cloud, Registry};
use crate::terminal::Terminal;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::path::Path;

/// Settings that name somebody.
const NAMES: [&str; 6] = ["tenant", "client_id", "object_id", "resource_id", "subscription", "service_connection"];

/// Settings that name a host.
const HOSTS: [&str; 2] = ["authority", "oidc_host"];

/// Variables that hold the address of a proxy, in lower case too, or of who issues tokens to jobs.
const ADDRESSES: [&str; 5] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "ACTIONS_ID_TOKEN_REQUEST_URL", "SYSTEM_OIDCREQUESTURI"];

/// Hosts that everybody knows, beside the authorities of Azure: of audiences, and of pages that hints name.
const KNOWN: [&str; 7] = [
    "containerregistry.azure.net",
    "management.azure.com",
    "dev.azure.com",
    "aka.ms",
    "learn.microsoft.com",
    "localhost",
    "pipelines.actions.githubusercontent.com",
];

/// Writes the report to a new file that its owner alone can read. Errors when the file is there already, or cannot be written.
pub(super) fn write(file: &Path, report: &Report, settings: &Settings, registry: Option<&Registry>) -> Result<(), Error> {
    let plain = Terminal::new(&std::collections::HashMap::new(), false, true);
    let text = redacted(&report.draw(plain), settings, registry);
    let text = format!(
        "`docker-credential-acrscoped doctor` {} on {} {}; names and ids are left out\n\n```text\n{text}```\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::AlreadyExists => "; remove it, or name another: `--report=FILE`",
            _ => "",
        };
        Error::Input(format!("the report {} could not be written: {error}{advice}", file.display()))
    })
}

/// The text without whom it is about: secrets first, as they may hold anything; then whole words; then what may be part of one.
fn redacted(text: &str, settings: &Settings, registry: Option<&Registry>) -> String {
    let variable = |name: &&str| settings.variables().get(*name).map(|value| value.to_string_lossy().into_owned());
    let secrets: Vec<String> = SECRETS.iter().filter_map(variable).collect();
    let text = secrets.iter().fold(text.to_owned(), |text, secret| without(&without(&text, secret, "…"), &visible(secret), "…"));
    let own = registry.into_iter().flat_map(|registry| [registry.host(), registry.login_server()]);
    let clouds = CLOUDS.iter().chain(settings.clouds()).map(|cloud| host(&cloud.authority));
    let known: Vec<&str> = KNOWN.into_iter().chain(own).chain(clouds).collect();
    let mut text = text.split('\n').map(|line| words(line, &known)).collect::<Vec<_>>().join("\n");
    let explained = settings.explain(registry).unwrap_or_default();
    let hosts = explained.iter().filter(|set| HOSTS.contains(&set.name) && set.origin.is_some()).map(|set| set.value.clone());
    let lower = ADDRESSES.iter().filter_map(|name| variable(&&*name.to_lowercase()));
    for address in hosts.chain(ADDRESSES.iter().filter_map(variable)).chain(lower) {
        let host = host(&address);
        if !is_known(host, &known) {
            text = without(&text, host, "<host>");
        }
    }
    for set in explained {
        if NAMES.contains(&set.name) && set.origin.is_some() {
            text = without(&text, &set.value, &shortened(&set.value));
        }
    }
    if let Some(registry) = registry {
        text = without(&text, registry.host().split('.').next().unwrap_or_default(), "<registry>");
        text = without(&text, registry.resource_name(), "<registry>");
    }
    text = settings.clouds().iter().fold(text, |text, cloud| without_cloud(&text, cloud));
    if let Some(home) = settings.home() {
        text = without(&text, &home.display().to_string(), "~");
    }
    let users = ["USER", "LOGNAME"].iter().filter_map(variable).filter(|user| user != "root");
    users.fold(text, |text, user| without(&text, &user, "<user>"))
}

/// The text with something else in place of `what`. One or two letters stand in any word, and stay.
fn without(text: &str, what: &str, by: &str) -> String {
    if what.len() > 2 { text.replace(what, by) } else { text.to_owned() }
}

/// The text without a cloud of the user's own. Its name may be part of any word, and is taken out where it is one.
fn without_cloud(text: &str, cloud: &Cloud) -> String {
    let text = without(&without(text, host(&cloud.authority), "<authority>"), &cloud.suffix, "<suffix>");
    let mut pieces = text.split(&*cloud.name);
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let is_word = !whole.ends_with(char::is_alphanumeric) && !piece.starts_with(char::is_alphanumeric);
        whole.push_str(if is_word { "<cloud>" } else { &cloud.name });
        whole.push_str(piece);
    }
    whole
}

/// A line whose words are looked at one by one.
fn words(line: &str, known: &[&str]) -> String {
    let is_part = |c: char| c.is_alphanumeric() || "-_.@:%+/=#'!&^~".contains(c);
    let mut text = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        text.push_str(&word(&rest[..end], known));
        let next = rest[end..].find(is_part).map_or(rest.len(), |at| end + at);
        text.push_str(&rest[end..next]);
        rest = &rest[next..];
    }
    text
}

/// A word, or what is said in its place. `known` are the hosts that may be named.
fn word(word: &str, known: &[&str]) -> String {
    let bare = word.trim_start_matches(['\'', '!', '&']);
    let beginning = &word[..word.len() - bare.len()];
    let bare = bare.trim_end_matches(['.', ':', ',', '\'', '!', '&']);
    let ending = &word[beginning.len() + bare.len()..];
    let is_id = |part: &str| part.len() == 36 && part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let host = bare.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(bare, |it| it.0);
    let host = host.split_once("://").map_or(host, |(_, host)| host);
    let is_public = |address: IpAddr| !address.is_loopback();
    let redacted = if bare.starts_with("eyJ") {
        "<token>".into()
    } else if bare.contains('@') {
        // A guest has two names in one: `alice_fabrikam.com#EXT#@contoso.example`.
        "<account>".into()
    } else if host.parse::<IpAddr>().is_ok_and(is_public) || bare.parse::<IpAddr>().is_ok_and(is_public) {
        "<address>".into()
    } else if bare.split('/').any(is_id) {
        bare.split('/').map(|part| if is_id(part) { shortened(part) } else { part.to_owned() }).collect::<Vec<_>>().join("/")
    } else {
        bare.to_owned()
    };
    format!("{beginning}{}{ending}", without_host(&redacted, known))
}

/// The host of a web address, or of what is written like one.
fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.split_once('/').map_or(rest, |(rest, _)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.split_once(':').map_or(rest, |(host, _)| host)
}

/// Whether a host may be named: it is this machine, or one of those.
fn is_known(host: &str, known: &[&str]) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || known.iter().any(|known| known.eq_ignore_ascii_case(host))
}

/// A web address without its host, unless everybody may know that.
fn without_host(word: &str, known: &[&str]) -> String {
    let Some((scheme, rest)) = word.split_once("://").filter(|(scheme, _)| scheme.ends_with("http") || scheme.ends_with("https"))
    else {
        return word.to_owned();
    };
    let (host, path) = rest.split_at(rest.find([':', '/']).unwrap_or(rest.len()));
    if host.is_empty() || is_known(host, known) {
        return word.to_owned();
    }
    format!("{scheme}://<host>{path}")
}

/// The first four characters, by which two ids can be told apart.
fn shortened(id: &str) -> String {
    id.chars().take(4).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_named_and_the_sentence_stays() {
        let rows = [
            ("AZURE_TENANT_ID", "fabrikam.example"),
            ("AZURE_CLIENT_SECRET", "hunter2"),
            ("USER", "alice"),
            ("https_proxy", "http://alice:x@proxy.fabrikam.example:3128"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://github.fabrikam.example/x"),
        ];
        let variables = rows.iter().map(|(name, value)| ((*name).into(), value.into())).collect();
        let settings = Settings::of(variables, Some("/home/alice".into()));
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        for (text, expected) in [
            ("contoso.azurecr.io refused it", "<registry>.azurecr.io refused it"),
            ("az acr show --name contoso", "az acr show --name <registry>"),
            ("tenant: 0f9c7a52-3b1e-4d68-8a47-c5e2d1b60f93", "tenant: 0f9c…"),
            ("in tenant fabrikam.example.", "in tenant fabr…."),
            ("identity: alice@fabrikam.example", "identity: <account>"),
            ("identity: alice_fabrikam.com#EXT#@contoso.example", "identity: <account>"),
            ("User 'alice.o'neil!&x@fabrikam.example' is", "User '<account>' is"),
            ("of '0f9c7a52-3b1e-4d68-8a47-c5e2d1b60f93'", "of '0f9c…'"),
            ("by /home/alice/.config/x:3", "by ~/.config/x:3"),
            ("203.0.113.9 (public)", "<address> (public)"),
            ("connected to 20.42.66.1:443", "connected to <address>"),
            ("the proxy http://127.0.0.1:3128", "the proxy http://127.0.0.1:3128"),
            ("the proxy http://proxy.fabrikam.example:3128, and", "the proxy http://<host>:3128, and"),
            ("proxy.fabrikam.example refused it", "<host> refused it"),
            ("names `github.fabrikam.example`, none of them", "names `<host>`, none of them"),
            ("the proxy http://localhost:3128", "the proxy http://localhost:3128"),
            ("of https://contoso.azurecr.io/oauth2/token", "of https://<registry>.azurecr.io/oauth2/token"),
            ("see https://aka.ms/acr/authorization.", "see https://aka.ms/acr/authorization."),
            ("https://login.microsoftonline.com/x", "https://login.microsoftonline.com/x"),
            ("for https://containerregistry.azure.net", "for https://containerregistry.azure.net"),
            ("it said hunter2", "it said …"),
            ("Bearer eyJhbGciOi.eyJzdWIi.c2ln", "Bearer <token>"),
            ("ok: dns: found (3 ms)", "ok: dns: found (3 ms)"),
            ("/subscriptions/0f9c7a52-3b1e-4d68-8a47-c5e2d1b60f93/x", "/subscriptions/0f9c…/x"),
        ] {
            assert_eq!(redacted(text, &settings, Some(&registry)), expected);
        }
    }

    #[test]
    fn a_cloud_of_ones_own_is_not_named() {
        let cloud = Cloud {
            name: "own".into(),
            suffix: "azurecr.fabrikam.example".into(),
            authority: "login.fabrikam.example:8443".into(),
            ..CLOUDS[0].clone()
        };
        for (text, expected) in [
            ("<registry>.azurecr.fabrikam.example is a registry of own", "<registry>.<suffix> is a registry of <cloud>"),
            ("`[cloud.own]` is known", "`[cloud.<cloud>]` is known"),
            ("the authority is login.fabrikam.example", "the authority is <authority>"),
        ] {
            assert_eq!(without_cloud(text, &cloud), expected);
        }
    }
}
