//! Removes from a report what names someone or something, so that it can be shown to strangers.
//!
//! What this machine knows to be a name goes: what the settings, the environment, the Azure CLI, saved sign-ins and the checks themselves
//! hold. What else looks like a name goes too: ids, addresses, accounts, hosts, paths, and what is in quotes. One value has one number, so
//! that the report still says what is the same.

use crate::commands::{Context, status};
use crate::config::{KEYS, Kind, SECRETS, Settings};
use crate::files::read_limited;
use crate::identity::azure_cli_names;
use crate::registry::{CLOUDS, Registry};
use crate::text::{Redactor, visible};
use crate::token::is_guid;
use std::net::IpAddr;
use std::path::Path;

const USER: &str = "user";
const HOST: &str = "host";
const PATH: &str = "path";
const ID: &str = "id";
const NAME: &str = "name";
const REGISTRY: &str = "registry";

/// What variables name, and what the names of these variables end with.
const VARIABLES: [(&str, &str); 4] = [
    (USER, "USER USERNAME LOGNAME _ACTOR _OWNER"),
    (
        HOST,
        "HOSTNAME COMPUTERNAME USERDOMAIN _PROXY _ENDPOINT _HOST _URL URI",
    ),
    (PATH, "_FILE _DIR _PATH _CONFIG"),
    (ID, "_CLIENT_ID _TENANT_ID _TEAMPROJECT _REPOSITORY"),
];

/// Hosts and names that are the same for everybody, beside those of Azure's clouds.
const PUBLIC: &str = "169.254.169.254 containerregistry.azure.net management.azure.com dev.azure.com aka.ms learn.microsoft.com \
    localhost pipelines.actions.githubusercontent.com login.windows.net root systemAssignedIdentity";

/// Folders that are the same on every machine, and paths of registries.
const PUBLIC_PATHS: &str =
    "/usr/ /bin/ /sbin/ /lib/ /etc/ssl/ /etc/pki/ /etc/docker/ /etc/containers/ /oauth2/ /v2/";

/// What the name of a file ends with, and that of no host.
const FILE_ENDINGS: &str = "json toml md pem crt cer pfx exe cmd service yaml sh";

/// The length of what is replaced, in bytes, and what it is.
type Match = (usize, &'static str);

/// What is not shown, and what is shown in its place.
#[derive(Default)]
pub(super) struct Names {
    secrets: Vec<String>,
    known: Vec<(String, &'static str)>,
    /// What registries end with.
    suffixes: Vec<String>,
    /// The home folder, which is shown as `~`.
    home: Option<String>,
    /// What was replaced, in the order of its numbers.
    seen: Vec<(&'static str, String)>,
}

impl Names {
    /// Collects all that is known of this machine and of the registry.
    pub(super) fn new(context: &Context<'_>, registry: Option<&Registry>) -> Self {
        let settings = context.settings;
        let clouds = CLOUDS.iter().chain(settings.clouds());
        let home = settings.home().map(|home| home.display().to_string());
        let mut names = Self {
            secrets: SECRETS
                .iter()
                .filter_map(|name| variable(settings, name))
                .collect(),
            suffixes: clouds.map(|cloud| format!(".{}", cloud.suffix)).collect(),
            home: home.filter(|home| home.len() > 1),
            ..Self::default()
        };
        names.add_variables(settings);
        names.add_settings(settings, registry);
        names.add_people(context);
        names
    }

    fn add_variables(&mut self, settings: &Settings) {
        for (kind, ends) in VARIABLES {
            for (name, value) in settings.variables() {
                let name = name.to_uppercase();
                // Ours are added with the settings.
                let is_ours = kind != PATH && name.starts_with("ACRSCOPED_");
                if !is_ours && ends.split(' ').any(|end| name.ends_with(end)) {
                    self.add(kind, &value.to_string_lossy());
                }
            }
        }
    }

    fn add_settings(&mut self, settings: &Settings, registry: Option<&Registry>) {
        let explained = settings.explain(registry).unwrap_or_default();
        for key in KEYS.iter().filter(|key| key.kind == Kind::Text) {
            let kind = match key.name {
                "authority" | "audience" | "oidc_host" => HOST,
                "ca_file" | "resource_id" => PATH,
                _ => ID,
            };
            let variables = [key.variable, key.azure_variable].into_iter().flatten();
            let variables = variables.filter_map(|name| variable(settings, name));
            let set = explained
                .iter()
                .find(|set| set.name == key.name)
                .map(|set| set.value.clone());
            for value in variables.chain(set) {
                self.add(kind, &value);
            }
        }
        if let Some(registry) = registry {
            self.add(REGISTRY, first_label(registry.host()));
            self.add(REGISTRY, registry.resource_name());
            for profile in settings.profiles(registry) {
                self.add(REGISTRY, first_label(profile).trim_matches('*'));
            }
        }
        for cloud in settings.clouds() {
            self.add("cloud", &cloud.name);
            self.add("suffix", &cloud.suffix);
            self.add(HOST, &cloud.authority);
        }
    }

    /// Adds the user, the accounts that the user signed in with, and this machine.
    fn add_people(&mut self, context: &Context<'_>) {
        let settings = context.settings;
        for part in settings.home().iter().flat_map(|home| home.iter()).skip(1) {
            let part = part.to_string_lossy();
            if !["home", "Users", "root", "tmp", "var", "usr", "export"].contains(&&*part) {
                self.add(USER, &part);
            }
        }
        let machine =
            read_limited(Path::new("/proc/sys/kernel/hostname"), 1024).unwrap_or_default();
        self.add(HOST, &String::from_utf8_lossy(&machine));
        let config = settings.for_cloud(&CLOUDS[0]).ok();
        let folder = config.and_then(|config| config.sources.azure_cli_folder);
        let accounts = folder.iter().flat_map(|folder| azure_cli_names(folder));
        let logins = status::logins(context).into_iter();
        let logins = logins.flat_map(|login| [login.username, login.tenant, login.home]);
        for name in accounts.chain(logins) {
            self.add(NAME, &name);
        }
    }

    /// Adds what is not shown: a text, or of a list of hosts and URLs each part that names something.
    pub(super) fn add(&mut self, kind: &'static str, value: &str) {
        let value = value.trim();
        if kind != HOST {
            return self.learn(kind, value);
        }
        for part in value.split([',', ' ']) {
            let rest = part.split_once("://").map_or(part, |(_, rest)| rest);
            let rest = rest.split(['/', '?']).next().unwrap_or_default();
            let (account, host) = rest.rsplit_once('@').unwrap_or(("", rest));
            let (user, password) = account.split_once(':').unwrap_or((account, ""));
            self.learn(USER, user);
            self.secrets.push(password.to_owned());
            let host = match host.rsplit_once(':') {
                Some((host, port)) if !port.contains(']') => host,
                _ => host,
            };
            self.learn(HOST, host.trim_start_matches(['*', '.']));
        }
    }

    fn learn(&mut self, kind: &'static str, value: &str) {
        // What is shown was made visible.
        let value = self.without_home(&visible(value));
        // An id or an account among names is found by how it looks.
        let is_found = kind == NAME
            && self
                .looks_like_name("", &value)
                .is_some_and(|(length, _)| length == value.len());
        // A single letter may be anything.
        let is_short = value.chars().nth(1).is_none();
        if !(is_short || is_found || is_public(&value) || is_public_path(&value)) {
            self.known.push((value, kind));
        }
    }

    /// Returns the text without names.
    pub(super) fn redact(&mut self, text: &str) -> String {
        // One or two letters are in any word.
        let secrets = self.secrets.iter().filter(|secret| secret.len() > 2);
        let secrets = Redactor::new(secrets.map(String::as_str));
        let text = self.without_home(&secrets.redact(text));
        let lines = text.split('\n').map(|line| self.line(line));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn without_home(&self, text: &str) -> String {
        let home = self.home.as_ref();
        home.map_or_else(|| text.to_owned(), |home| text.replace(home, "~"))
    }

    /// Returns a line without names: at each place the longest that begins there is replaced.
    fn line(&mut self, line: &str) -> String {
        let (mut redacted, mut at) = (String::new(), 0);
        while let Some(c) = line[at..].chars().next() {
            let (before, rest) = line.split_at(at);
            let found = longest([self.looks_like_name(before, rest), self.known(before, rest)]);
            if let Some((length, kind)) = found {
                redacted.push_str(&self.placeholder(kind, &rest[..length]));
                at += length;
            } else {
                redacted.push(c);
                at += c.len_utf8();
            }
        }
        redacted
    }

    fn placeholder(&mut self, kind: &'static str, name: &str) -> String {
        let name = (kind, name.to_lowercase());
        if !self.seen.contains(&name) {
            self.seen.push(name.clone());
        }
        let same_kind = self.seen.iter().filter(|seen| seen.0 == kind);
        let number = same_kind.take_while(|seen| **seen != name).count() + 1;
        format!("<{kind} {number}>")
    }

    /// Returns the longest known text with which `rest` begins.
    fn known(&self, before: &str, rest: &str) -> Option<Match> {
        let is_here = |text: &str| {
            let Some((start, behind)) = rest.split_at_checked(text.len()) else {
                return false;
            };
            let is_word = !before.ends_with(char::is_alphanumeric)
                && !behind.starts_with(char::is_alphanumeric);
            // A short one may be a part of any word.
            start.eq_ignore_ascii_case(text) && (text.len() > 5 || is_word)
        };
        let known = self.known.iter().filter(|(text, _)| is_here(text));
        longest(known.map(|(text, kind)| Some((text.len(), *kind))))
    }

    /// Returns what looks like a name at the beginning of `rest`.
    fn looks_like_name(&self, before: &str, rest: &str) -> Option<Match> {
        const ID_LENGTH: usize = 36;
        // Some of these may be in a name that follows.
        const MARKS: [char; 4] = ['\'', '=', '!', '&'];
        if !before.ends_with(char::is_alphanumeric) && rest.get(..ID_LENGTH).is_some_and(is_guid) {
            return Some((ID_LENGTH, ID));
        }
        // AADSTS500011 names the tenant without quotes; a name may hold a full stop.
        if before.ends_with("tenant named ") {
            let end = rest.find(". This can happen");
            let length = end.unwrap_or(rest.trim_end_matches('.').len());
            return (length > 0).then_some((length, NAME));
        }
        let quoted = quoted(before, rest);
        let is_part = |c: char| c.is_alphanumeric() || "-_.@:%+/=#'!&^~\\".contains(c);
        let is_within =
            before.ends_with(is_part) && !before.ends_with(MARKS) && !before.ends_with("://");
        if is_within || rest.starts_with(MARKS) {
            return quoted;
        }
        let word = rest.split(|c| !is_part(c)).next().unwrap_or_default();
        let word = word.trim_end_matches(['.', ':', '\'', '!', '&', '/']);
        longest([quoted, self.word(before, word)])
    }

    /// Returns what looks like a name at the beginning of a word.
    fn word(&self, before: &str, word: &str) -> Option<Match> {
        if word.starts_with("eyJ") {
            return Some((word.len(), "token"));
        }
        if word.contains('@') && !word.contains("://") {
            return Some((word.len(), "account"));
        }
        let is_path = word.starts_with('/') || word.get(1..3) == Some(":\\");
        if is_path && word.len() > 2 && !is_public_path(word) {
            let line = word.get(2..).and_then(|rest| rest.find(':'));
            return Some((line.map_or(word.len(), |at| at + 2), PATH));
        }
        let host = word.split([':', '/', '@']).next().unwrap_or_default();
        let address = [word, host].into_iter().find(|text| is_address(text));
        if let Some(address) = address {
            return (!is_public(address)).then_some((address.len(), "address"));
        }
        if self.suffixes.iter().any(|suffix| host.ends_with(suffix)) {
            return Some((first_label(host).len(), REGISTRY));
        }
        let is_host = is_host_name(host) && !before.ends_with('[')
            || before.ends_with("://") && host.split('.').all(is_label);
        (is_host && !is_public(host)).then_some((host.len(), HOST))
    }
}

/// Returns what is in single quotes, of which the first is at the end of `before`.
fn quoted(before: &str, rest: &str) -> Option<Match> {
    let opened = before.strip_suffix('\'')?;
    let (quoted, _) = rest.split_once('\'')?;
    let is_shown = quoted.is_empty() || quoted.starts_with("https://") || is_public(quoted);
    let is_name = !opened.ends_with(char::is_alphanumeric) && !is_shown;
    is_name.then_some((quoted.len(), NAME))
}

/// Returns whether a name is the same for everybody, or names this machine to itself.
fn is_public(name: &str) -> bool {
    let azure = CLOUDS
        .iter()
        .flat_map(|cloud| [&*cloud.authority, &*cloud.suffix]);
    let mut public = PUBLIC.split(' ').chain(azure);
    let address = name.parse::<IpAddr>();
    address.is_ok_and(|address| address.is_loopback())
        || public.any(|public| public.eq_ignore_ascii_case(name))
}

fn variable(settings: &Settings, name: &str) -> Option<String> {
    let value = settings.variables().get(name)?;
    Some(value.to_string_lossy().into_owned())
}

/// Returns the longest match, the last of several.
fn longest(matches: impl IntoIterator<Item = Option<Match>>) -> Option<Match> {
    matches
        .into_iter()
        .flatten()
        .max_by_key(|(length, _)| *length)
}

fn first_label(host: &str) -> &str {
    host.split('.').next().unwrap_or_default()
}

fn is_public_path(path: &str) -> bool {
    let path = format!("{path}/");
    PUBLIC_PATHS
        .split(' ')
        .any(|public| path.starts_with(public))
}

fn is_address(text: &str) -> bool {
    // Behind `%` is the zone of an address (RFC 4007, section 11).
    let address = text.split('%').next().unwrap_or_default();
    address.parse::<IpAddr>().is_ok()
}

/// Returns whether a text is a name below a top-level domain, and not that of a file.
fn is_host_name(text: &str) -> bool {
    let Some((_, last)) = text.rsplit_once('.') else {
        return false;
    };
    let is_domain = last.len() > 1 && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_domain && text.split('.').all(is_label) && !FILE_ENDINGS.split(' ').any(|end| end == last)
}

fn is_label(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::terminal::Terminal;
    use std::collections::HashMap;

    #[test]
    fn names_go_and_the_sentence_stays() {
        let rows = [
            ("AZURE_TENANT_ID", "fabrikam.example"),
            ("AZURE_CLIENT_SECRET", "hunter2sesame"),
            ("USER", "al"),
            (
                "https_proxy",
                "http://alice:x7%21@proxy.fabrikam.example:3128",
            ),
            ("NO_PROXY", "localhost,127.0.0.1,.corp.example,build"),
            ("ACRSCOPED_CA_FILE", "/home/al/Fabrikam CA.pem"),
            ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
        ];
        let variables = rows
            .iter()
            .map(|(name, value)| ((*name).into(), value.into()))
            .collect();
        let settings = Settings::from_variables(variables, Some("/home/al".into()));
        let terminal = Terminal::new(&HashMap::new(), false, true);
        let clock = || std::time::SystemTime::UNIX_EPOCH;
        let context = Context {
            settings: &settings,
            clock,
            terminal,
            tell: |_| (),
            is_watched: false,
            program: None,
        };
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        for (text, expected) in [
            (
                "contoso.azurecr.io refused it",
                "<registry 1>.azurecr.io refused it",
            ),
            (
                "contoso.azurecr.io, other.azurecr.io",
                "<registry 1>.azurecr.io, <registry 2>.azurecr.io",
            ),
            (
                "CONTOSO.westeurope.geo.azurecr.io",
                "<registry 1>.westeurope.geo.azurecr.io",
            ),
            (
                "az acr show --name contoso",
                "az acr show --name <registry 1>",
            ),
            (
                "tenant: 0f9c7a52-3b1e-4d68-8a47-c5e2d1b60f93",
                "tenant: <id 1>",
            ),
            ("in tenant fabrikam.example.", "in tenant <id 1>."),
            ("identity: alice@fabrikam.example", "identity: <account 1>"),
            (
                "identity: alice_fabrikam.com#EXT#@contoso.example",
                "identity: <account 1>",
            ),
            (
                "User 'alice.o'neil!&x@fabrikam.example' is",
                "User '<account 1>' is",
            ),
            (
                "of '0f9c7a52-3b1e-4d68-8a47-c5e2d1b60f93' of 'Fabrikam AG'",
                "of '<id 1>' of '<name 1>'",
            ),
            (
                "AADSTS500011: The resource principal named https://containerregistry.azure.net was not found in the tenant named \
                 Woodgrove Bank, Inc. This can happen if the application",
                "AADSTS500011: The resource principal named https://containerregistry.azure.net was not found in the tenant named \
                 <name 1>. This can happen if the application",
            ),
            (
                "not found in the tenant named Dr. Fabrikam GmbH.",
                "not found in the tenant named <name 1>.",
            ),
            (
                "`AZURE_CLIENT_SECRET` must be the secret's value, not 'x'",
                "`AZURE_CLIENT_SECRET` must be the secret's value, not '<name 1>'",
            ),
            ("by /home/al/.config/x:3", "by ~/.config/x:3"),
            ("al also calls", "<user 1> also calls"),
            ("/srv/fabrikam/x.toml:3:4: no", "<path 1>:3:4: no"),
            (r"C:\Fabrikam\x.toml is no", "<path 1> is no"),
            (
                "`ca_file` is ~/Fabrikam CA.pem, or /etc/ssl/certs/ca-certificates.crt",
                "`ca_file` is <path 1>, or /etc/ssl/certs/ca-certificates.crt",
            ),
            (
                "203.0.113.9 (public), 203.0.113.10, 203.0.113.9",
                "<address 1> (public), <address 2>, <address 1>",
            ),
            (
                "[2603:1030::1]:443, ::1, 169.254.169.254",
                "[<address 1>]:443, ::1, 169.254.169.254",
            ),
            (
                "connected to 20.42.66.1:443",
                "connected to <address 1>:443",
            ),
            (
                "[fe80::1%eth0.7]:443, fe80::1%eth0.7",
                "[<address 1>]:443, <address 1>",
            ),
            (
                "the proxy http://127.0.0.1:3128",
                "the proxy http://127.0.0.1:3128",
            ),
            (
                "the proxy http://proxy.fabrikam.example:3128, and",
                "the proxy http://<host 1>:3128, and",
            ),
            (
                "the proxy http://intra:3128",
                "the proxy http://<host 1>:3128",
            ),
            (
                "proxy.fabrikam.example refused alice and x7%21",
                "<host 1> refused <user 1> and …",
            ),
            (
                "is set to localhost,127.0.0.1,.corp.example,build",
                "is set to localhost,127.0.0.1,.<host 1>,<host 2>",
            ),
            (
                "of https://contoso.azurecr.io/oauth2/token",
                "of https://<registry 1>.azurecr.io/oauth2/token",
            ),
            (
                "has no `/oauth2/exchange`, nor `/v2/`",
                "has no `/oauth2/exchange`, nor `/v2/`",
            ),
            (
                "see https://aka.ms/acr/authorization.",
                "see https://aka.ms/acr/authorization.",
            ),
            (
                "for https://containerregistry.azure.net",
                "for https://containerregistry.azure.net",
            ),
            (
                "it said hunter2sesame, aHVudGVyMnNlc2FtZQ== or 68756e7465723273 6573616d65",
                "it said …, … or …",
            ),
            ("Bearer eyJhbGciOi.eyJzdWIi.c2ln", "Bearer <token 1>"),
            (
                "ok: dns: found (3 ms) in config.json",
                "ok: dns: found (3 ms) in config.json",
            ),
            (
                "`[cloud.own]` of 1.2.3, e.g. `az login`",
                "`[cloud.own]` of 1.2.3, e.g. `az login`",
            ),
            (
                "/subscriptions/0f9c7a52-3b1e-4d68-8a47-c5e2d1b60f93/x",
                "<path 1>",
            ),
        ] {
            assert_eq!(
                Names::new(&context, Some(&registry)).redact(text),
                expected,
                "{text}"
            );
        }
    }
}
