//! Text for strangers: what names someone or something is taken out.
//!
//! Everything that this machine knows to name someone or something is taken out: what the settings, the environment, the Azure CLI, saved
//! sign-ins and the checks themselves hold. What else looks like a name goes too: ids, addresses, accounts, hosts, paths, and what is in
//! quotes. One value has one number, so that the report still says what is the same.

use crate::commands::{Context, status};
use crate::config::{KEYS, Kind, SECRETS};
use crate::files::read_small;
use crate::identity::azure_cli_names;
use crate::registry::{CLOUDS, Registry};
use crate::text::{Redactor, visible};
use std::net::IpAddr;
use std::path::Path;

/// Variables that name someone or something beside the settings, and what they name.
const NAMING: [(&str, &[&str]); 4] = [
    (
        USER,
        &[
            "USER",
            "LOGNAME",
            "SUDO_USER",
            "USERNAME",
            "GITHUB_ACTOR",
            "GITHUB_REPOSITORY_OWNER",
            "AZURE_USERNAME",
        ],
    ),
    (
        HOST,
        &[
            "HOSTNAME",
            "COMPUTERNAME",
            "USERDOMAIN",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
            "IDENTITY_ENDPOINT",
            "MSI_ENDPOINT",
            "IMDS_ENDPOINT",
            "AZURE_POD_IDENTITY_AUTHORITY_HOST",
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "SYSTEM_OIDCREQUESTURI",
        ],
    ),
    (
        PATH,
        &[
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "ACRSCOPED_CONFIG",
            "AZURE_FEDERATED_TOKEN_FILE",
            "AZURE_CLIENT_CERTIFICATE_PATH",
            "AZURE_CONFIG_DIR",
            "DOCKER_CONFIG",
            "REGISTRY_AUTH_FILE",
        ],
    ),
    (
        "id",
        &[
            "DEFAULT_IDENTITY_CLIENT_ID",
            "SYSTEM_TEAMPROJECT",
            "GITHUB_REPOSITORY",
        ],
    ),
];

const USER: &str = "user";
const HOST: &str = "host";
const PATH: &str = "path";
const NAME: &str = "name";
const REGISTRY: &str = "registry";

/// Hosts and names that everybody knows, beside those of Azure's clouds.
const PUBLIC: [&str; 11] = [
    "169.254.169.254",
    "containerregistry.azure.net",
    "management.azure.com",
    "dev.azure.com",
    "aka.ms",
    "learn.microsoft.com",
    "localhost",
    "pipelines.actions.githubusercontent.com",
    "login.windows.net",
    "root",
    "systemAssignedIdentity",
];

/// Folders that are the same on every machine, and what registries call their pages.
const SYSTEM: [&str; 10] = [
    "/usr/",
    "/bin/",
    "/sbin/",
    "/lib/",
    "/etc/ssl/",
    "/etc/pki/",
    "/etc/docker/",
    "/etc/containers/",
    "/oauth2/",
    "/v2/",
];

/// What a file's name ends with, and no host's.
const FILES: [&str; 12] = [
    "json", "toml", "md", "pem", "crt", "cer", "pfx", "exe", "cmd", "service", "yaml", "sh",
];

/// What is not shown, and what is shown in its place.
pub(super) struct Names {
    secrets: Vec<String>,
    known: Vec<(String, &'static str)>,
    /// Hosts that are shown.
    public: Vec<String>,
    /// What registries end with.
    suffixes: Vec<String>,
    /// The home folder, which is shown as `~`.
    home: Option<String>,
    /// What was taken out of the text.
    seen: Vec<(&'static str, String)>,
}

impl Names {
    /// All that is known of this machine and of the registry.
    pub(super) fn new(context: &Context<'_>, registry: Option<&Registry>) -> Self {
        let settings = context.settings;
        let azure = CLOUDS
            .iter()
            .flat_map(|cloud| [cloud.authority.to_string(), cloud.suffix.to_string()]);
        let clouds = CLOUDS.iter().chain(settings.clouds());
        let variable = |name: &str| {
            settings
                .variables()
                .get(name)
                .map(|value| value.to_string_lossy().into_owned())
        };
        let mut names = Self {
            secrets: SECRETS.iter().filter_map(|name| variable(name)).collect(),
            known: vec![],
            public: PUBLIC
                .iter()
                .map(ToString::to_string)
                .chain(azure)
                .collect(),
            suffixes: clouds.map(|cloud| format!(".{}", cloud.suffix)).collect(),
            home: settings
                .home()
                .map(|home| home.display().to_string())
                .filter(|home| home.len() > 1),
            seen: vec![],
        };
        for (kind, variables) in NAMING {
            for value in variables
                .iter()
                .flat_map(|name| [variable(name), variable(&name.to_lowercase())])
                .flatten()
            {
                names.add(kind, &value);
            }
        }
        let explained = settings.explain(registry).unwrap_or_default();
        for key in KEYS.iter().filter(|key| key.kind == Kind::Text) {
            let kind = match key.name {
                "authority" | "audience" | "oidc_host" => HOST,
                "ca_file" | "resource_id" => PATH,
                _ => "id",
            };
            let set = explained
                .iter()
                .find(|set| set.name == key.name)
                .map(|set| set.value.clone());
            for value in [
                key.variable.and_then(variable),
                key.azure_variable.and_then(variable),
                set,
            ]
            .into_iter()
            .flatten()
            {
                names.add(kind, &value);
            }
        }
        if let Some(registry) = registry {
            names.add(
                REGISTRY,
                registry.host().split('.').next().unwrap_or_default(),
            );
            names.add(REGISTRY, registry.resource_name());
            for profile in settings.profiles(registry) {
                names.add(
                    REGISTRY,
                    profile
                        .split('.')
                        .next()
                        .unwrap_or_default()
                        .trim_matches('*'),
                );
            }
        }
        for cloud in settings.clouds() {
            names.add("cloud", &cloud.name);
            names.add("suffix", &cloud.suffix);
            names.add(HOST, &cloud.authority);
        }
        names.add_people(context);
        names
    }

    /// The user, the accounts that the user signed in with, and this machine.
    fn add_people(&mut self, context: &Context<'_>) {
        let settings = context.settings;
        for part in settings
            .home()
            .into_iter()
            .flat_map(Path::components)
            .skip(1)
        {
            let part = part.as_os_str().to_string_lossy();
            if !["home", "Users", "root", "tmp", "var", "usr", "export"].contains(&&*part) {
                self.add(USER, &part);
            }
        }
        let machine = read_small(Path::new("/proc/sys/kernel/hostname"), 1024).unwrap_or_default();
        self.add(HOST, &String::from_utf8_lossy(&machine));
        let config = settings.for_cloud(&CLOUDS[0]).ok();
        let folder = config.and_then(|config| config.sources.azure_cli_folder);
        folder
            .iter()
            .flat_map(|folder| azure_cli_names(folder))
            .for_each(|name| self.add(NAME, &name));
        for login in status::logins(context) {
            for name in [login.username, login.tenant, login.home] {
                self.add(NAME, &name);
            }
        }
    }

    /// What is not shown from now on: a text, or of a list and of URLs each part that names something.
    pub(super) fn add(&mut self, kind: &'static str, value: &str) {
        let value = value.trim();
        if kind == HOST {
            for part in value.split([',', ' ']) {
                let rest = part.split_once("://").map_or(part, |(_, rest)| rest);
                let rest = rest.split(['/', '?']).next().unwrap_or_default();
                let (account, host) = rest.rsplit_once('@').unwrap_or(("", rest));
                let (user, password) = account.split_once(':').unwrap_or((account, ""));
                self.learn(USER, user);
                self.secrets.push(password.to_owned());
                let host = host
                    .rsplit_once(':')
                    .filter(|(_, port)| !port.contains(']'))
                    .map_or(host, |(host, _)| host);
                self.learn(kind, host.trim_start_matches(['*', '.']));
            }
            return;
        }
        self.learn(kind, value);
    }

    fn learn(&mut self, kind: &'static str, value: &str) {
        // What is shown was made visible.
        let value = self.without_home(&visible(value));
        let is_shown =
            self.is_public(&value) || SYSTEM.iter().any(|system| value.starts_with(system));
        // An id or an account among names is found by how it looks.
        let is_seen = || {
            kind == NAME
                && self
                    .looks_like_name("", &value)
                    .is_some_and(|(len, _)| len == value.len())
        };
        // A single letter may be anything.
        if value.chars().nth(1).is_some() && !is_shown && !is_seen() {
            self.known.push((value, kind));
        }
    }

    /// The text without names.
    pub(super) fn redact(&mut self, text: &str) -> String {
        // One or two letters are in any word.
        let secrets = Redactor::new(
            self.secrets
                .iter()
                .map(String::as_str)
                .filter(|secret| secret.len() > 2),
        );
        self.without_home(&secrets.redact(text))
            .split('\n')
            .map(|line| self.line(line))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn without_home(&self, text: &str) -> String {
        self.home
            .as_ref()
            .map_or_else(|| text.to_owned(), |home| text.replace(home, "~"))
    }

    /// A line without names: at each place the longest that begins there is taken out.
    fn line(&mut self, line: &str) -> String {
        let (mut redacted, mut at) = (String::new(), 0);
        while let Some(c) = line[at..].chars().next() {
            let (before, rest) = line.split_at(at);
            let found = [
                self.looks_like_name(before, rest),
                self.is_known_name(before, rest),
            ];
            if let Some((len, kind)) = found.into_iter().flatten().max_by_key(|(len, _)| *len) {
                redacted.push_str(&self.placeholder(kind, &rest[..len]));
                at += len;
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
        let number = self
            .seen
            .iter()
            .filter(|seen| seen.0 == kind)
            .take_while(|seen| **seen != name)
            .count()
            + 1;
        format!("<{kind} {number}>")
    }

    /// The longest known text with which `rest` begins. A short one may be a part of any word.
    fn is_known_name(&self, before: &str, rest: &str) -> Option<(usize, &'static str)> {
        let is_here = |text: &str| {
            let begins = rest
                .get(..text.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(text));
            let is_word = || {
                !before.ends_with(char::is_alphanumeric)
                    && !rest[text.len()..].starts_with(char::is_alphanumeric)
            };
            begins && (text.len() > 5 || is_word())
        };
        let known = self
            .known
            .iter()
            .filter(|(text, _)| is_here(text))
            .map(|(text, kind)| (text.len(), *kind));
        known.max_by_key(|(len, _)| *len)
    }

    /// What looks like a name at the beginning of `rest`.
    fn looks_like_name(&self, before: &str, rest: &str) -> Option<(usize, &'static str)> {
        const ID: usize = 36;
        let is_id = |text: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        };
        if !before.ends_with(char::is_alphanumeric) && rest.get(..ID).is_some_and(is_id) {
            return Some((ID, "id"));
        }
        // AADSTS500011 names the tenant without quotes; a name may hold a full stop.
        if before.ends_with("tenant named ") {
            let end = rest
                .find(". This can happen")
                .unwrap_or(rest.trim_end_matches('.').len());
            return (end > 0).then_some((end, NAME));
        }
        let is_opened = before
            .strip_suffix('\'')
            .is_some_and(|before| !before.ends_with(char::is_alphanumeric));
        let is_shown = |quoted: &str| {
            quoted.is_empty() || quoted.starts_with("https://") || self.is_public(quoted)
        };
        let quoted = rest
            .find('\'')
            .filter(|end| is_opened && !is_shown(&rest[..*end]))
            .map(|end| (end, NAME));
        let is_part = |c: char| c.is_alphanumeric() || "-_.@:%+/=#'!&^~\\".contains(c);
        let is_within = before.ends_with(is_part)
            && !before.ends_with(['\'', '=', '!', '&'])
            && !before.ends_with("://");
        if is_within || rest.starts_with(['\'', '=', '!', '&']) {
            return quoted;
        }
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        quoted
            .into_iter()
            .chain(self.word(
                before,
                word.trim_end_matches(['.', ':', '\'', '!', '&', '/']),
            ))
            .max_by_key(|(len, _)| *len)
    }

    /// What looks like a name at the beginning of a word.
    fn word(&self, before: &str, word: &str) -> Option<(usize, &'static str)> {
        if word.starts_with("eyJ") {
            return Some((word.len(), "token"));
        }
        if word.contains('@') && !word.contains("://") {
            return Some((word.len(), "account"));
        }
        // Behind `%` is the zone of an address (RFC 4007, section 11).
        let is_address = |text: &str| {
            text.split('%')
                .next()
                .is_some_and(|text| text.parse::<IpAddr>().is_ok())
        };
        let is_named = |address: &str| is_address(address) && !self.is_public(address);
        let is_file = word.starts_with('/') || word.get(1..3) == Some(":\\");
        let is_system = SYSTEM
            .iter()
            .any(|system| format!("{word}/").starts_with(system));
        if is_file && word.len() > 2 && !is_system {
            let end = word
                .get(2..)
                .and_then(|rest| rest.find(':'))
                .map_or(word.len(), |at| at + 2);
            return Some((end, PATH));
        }
        if is_named(word) {
            return Some((word.len(), "address"));
        }
        let host = &word[..word.find([':', '/', '@']).unwrap_or(word.len())];
        if is_named(host) {
            return Some((host.len(), "address"));
        }
        if self.suffixes.iter().any(|suffix| host.ends_with(suffix)) {
            return Some((host.find('.')?, REGISTRY));
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let last = host.rsplit('.').next().unwrap_or_default();
        let is_name = host.contains('.')
            && last.len() > 1
            && last.bytes().all(|byte| byte.is_ascii_alphabetic())
            && !FILES.contains(&last);
        let is_host = host.split('.').all(is_label)
            && (is_name && !before.ends_with('[') || before.ends_with("://"));
        (is_host && !self.is_public(host) && host.parse::<IpAddr>().is_err())
            .then_some((host.len(), HOST))
    }

    /// Whether a name is the same for everybody, or names this machine to itself.
    fn is_public(&self, name: &str) -> bool {
        let is_this_machine = name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
        is_this_machine
            || self
                .public
                .iter()
                .any(|public| public.eq_ignore_ascii_case(name))
    }
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
        let settings = Settings::of(variables, Some("/home/al".into()));
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
