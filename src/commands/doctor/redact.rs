//! Replaces the names in a report, so that it can be published.
//!
//! Two things are replaced. The first are names that this machine knows: those in the settings, the environment, the Azure CLI, saved
//! sign-ins and the checks. The second is what looks like a name: ids, addresses, accounts, hosts, paths, and what is in quotes. Equal
//! names get the same number.

use crate::commands::{Context, status};
use crate::config::{SECRETS, Settings};
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

/// The kinds of names in variables and settings, by what the name of the variable ends with.
const VARIABLES: [(&str, &str); 4] = [
    (USER, "USER USERNAME LOGNAME _ACTOR _OWNER"),
    (
        HOST,
        "HOSTNAME COMPUTERNAME USERDOMAIN _PROXY _ENDPOINT _HOST _URL URI _AUTHORITY _AUDIENCE",
    ),
    (PATH, "_FILE _DIR _PATH _CONFIG _RESOURCE_ID"),
    (
        ID,
        "_CLIENT_ID _OBJECT_ID _TENANT_ID _TENANT _SUBSCRIPTION _SERVICE_CONNECTION _SERVICE_CONNECTION_ID _IDENTITY_CLOUD \
         _DELEGATE _TEAMPROJECT _REPOSITORY",
    ),
];

/// Public hosts and names, besides those of Azure's clouds.
const PUBLIC: &str = "169.254.169.254 containerregistry.azure.net management.azure.com dev.azure.com aka.ms learn.microsoft.com \
    localhost pipelines.actions.githubusercontent.com login.windows.net root systemAssignedIdentity";

/// Folders that are the same on every machine, and paths of registries.
const PUBLIC_PATHS: &str =
    "/usr/ /bin/ /sbin/ /lib/ /etc/ssl/ /etc/pki/ /etc/docker/ /etc/containers/ /oauth2/ /v2/";

/// Folders above home folders.
const HOME_PARENTS: [&str; 7] = ["home", "Users", "root", "tmp", "var", "usr", "export"];

/// Extensions of files, which are no top-level domains.
const EXTENSIONS: &str = "json toml md pem crt cer pfx exe cmd service yaml sh";

/// The length of a name in bytes, and its kind.
type Match = (usize, &'static str);

/// The names to replace, and those that were replaced.
#[derive(Default)]
pub(super) struct Names {
    secrets: Vec<String>,
    known: Vec<(String, &'static str)>,
    /// The suffixes of registries.
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
        let variables = settings.variables();
        let secrets = SECRETS.iter().filter_map(|name| variables.get(*name));
        let secrets = secrets.map(|secret| secret.to_string_lossy().into_owned());
        let mut names = Self {
            secrets: secrets.collect(),
            suffixes: clouds.map(|cloud| format!(".{}", cloud.suffix)).collect(),
            home: home.filter(|home| home.len() > 1),
            ..Self::default()
        };
        names.add_settings(settings, registry);
        names.add_registries(settings, registry);
        names.add_people(context);
        names
    }

    fn add_settings(&mut self, settings: &Settings, registry: Option<&Registry>) {
        let variables = settings.variables().iter();
        let variables =
            variables.map(|(name, value)| (name.clone(), value.to_string_lossy().into_owned()));
        let effective = settings.explain(registry).unwrap_or_default().into_iter();
        let effective = effective.map(|setting| (format!("_{}", setting.name), setting.value));
        for (name, value) in variables.chain(effective) {
            if let Some(kind) = kind_of(&name.to_uppercase()) {
                self.add(kind, &value);
            }
        }
    }

    fn add_registries(&mut self, settings: &Settings, registry: Option<&Registry>) {
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
        let folders = settings.home().into_iter().flat_map(Path::iter).skip(1);
        for folder in folders.map(|folder| folder.to_string_lossy()) {
            if !HOME_PARENTS.contains(&&*folder) {
                self.add(USER, &folder);
            }
        }
        let machine = read_limited(Path::new("/proc/sys/kernel/hostname"), 1024);
        self.add(HOST, &String::from_utf8_lossy(&machine.unwrap_or_default()));
        let config = settings.for_cloud(&CLOUDS[0]).ok();
        let folder = config.and_then(|config| config.sources.azure_cli_folder);
        let accounts = folder.iter().flat_map(|folder| azure_cli_names(folder));
        let logins = status::logins(context).into_iter();
        let logins = logins.flat_map(|login| [login.username, login.tenant, login.home]);
        for name in accounts.chain(logins) {
            self.add(NAME, &name);
        }
    }

    /// Adds a name to replace. Of a list of hosts or URLs, adds each host, user and password.
    pub(super) fn add(&mut self, kind: &'static str, value: &str) {
        let value = value.trim();
        if kind != HOST {
            return self.add_one(kind, value);
        }
        for part in value.split([',', ' ']) {
            let rest = part.split_once("://").map_or(part, |(_, rest)| rest);
            let rest = rest.split(['/', '?']).next().unwrap_or_default();
            let (account, host) = rest.rsplit_once('@').unwrap_or(("", rest));
            let (user, password) = account.split_once(':').unwrap_or((account, ""));
            self.add_one(USER, user);
            self.secrets.push(password.to_owned());
            let host = match host.rsplit_once(':') {
                Some((host, port)) if !port.contains(']') => host,
                _ => host,
            };
            self.add_one(HOST, host.trim_start_matches(['*', '.']));
        }
    }

    fn add_one(&mut self, kind: &'static str, value: &str) {
        // The report shows texts in this form.
        let value = self.without_home(&visible(value));
        // A single letter may be part of anything.
        let is_short = value.chars().nth(1).is_none();
        if !(is_short || is_public(&value) || is_public_path(&value)) {
            self.known.push((value, kind));
        }
    }

    /// Returns the text without names.
    pub(super) fn redact(&mut self, text: &str) -> String {
        // One or two letters are in any word.
        let secrets = self.secrets.iter().filter(|secret| secret.len() > 2);
        let secrets = Redactor::new(secrets.map(String::as_str));
        let text = self.without_home(&secrets.redact(text));
        let lines = text.split('\n').map(|line| self.redact_line(line));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn without_home(&self, text: &str) -> String {
        let home = self.home.as_ref();
        home.map_or_else(|| text.to_owned(), |home| text.replace(home, "~"))
    }

    /// Replaces at each position the longest name that begins there.
    fn redact_line(&mut self, line: &str) -> String {
        let (mut redacted, mut at) = (String::new(), 0);
        while let Some(c) = line[at..].chars().next() {
            let (before, rest) = line.split_at(at);
            let known = self.known(before, rest);
            let found = [id(before, rest), quoted(before, rest), tenant(before, rest)];
            let found = found.into_iter().chain([self.word(before, rest), known]);
            if let Some((length, kind)) = longest(found) {
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

    /// Returns the longest known name with which `rest` begins.
    fn known(&self, before: &str, rest: &str) -> Option<Match> {
        let is_here = |text: &str| {
            let Some((start, behind)) = rest.split_at_checked(text.len()) else {
                return false;
            };
            let is_word = !before.ends_with(char::is_alphanumeric)
                && !behind.starts_with(char::is_alphanumeric);
            // A short name may be part of any word.
            start.eq_ignore_ascii_case(text) && (text.len() > 5 || is_word)
        };
        let known = self.known.iter().filter(|(text, _)| is_here(text));
        longest(known.map(|(text, kind)| Some((text.len(), *kind))))
    }

    /// Returns the name that a word begins with.
    fn word(&self, before: &str, rest: &str) -> Option<Match> {
        // Some of these may be in a name that follows.
        const MARKS: [char; 4] = ['\'', '=', '!', '&'];
        let is_part = |c: char| c.is_alphanumeric() || "-_.@:%+/=#'!&^~\\".contains(c);
        let is_within =
            before.ends_with(is_part) && !before.ends_with(MARKS) && !before.ends_with("://");
        if is_within || rest.starts_with(MARKS) {
            return None;
        }
        let word = rest.split(|c| !is_part(c)).next().unwrap_or_default();
        let word = word.trim_end_matches(['.', ':', '\'', '!', '&', '/']);
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
        if let Some(address) = [word, host].into_iter().find(|text| is_address(text)) {
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

/// Returns the kind of name that a variable or a setting of this name has.
fn kind_of(variable: &str) -> Option<&'static str> {
    // It is one of two words, and no name.
    if ["ACRSCOPED_USERNAME", "_USERNAME"].contains(&variable) {
        return None;
    }
    let mut kinds = VARIABLES.into_iter();
    let (kind, _) = kinds.find(|(_, ends)| ends.split(' ').any(|end| variable.ends_with(end)))?;
    Some(kind)
}

/// Returns a GUID, or the digest of a key or certificate: 32 hexadecimal digits or more.
fn id(before: &str, rest: &str) -> Option<Match> {
    let is_guid = rest.get(..36).is_some_and(is_guid);
    let digits = rest.find(|c: char| !c.is_ascii_hexdigit());
    let digits = digits.unwrap_or(rest.len());
    let length = if is_guid { 36 } else { digits };
    (length >= 32 && !before.ends_with(char::is_alphanumeric)).then_some((length, ID))
}

/// Returns a tenant that AADSTS500011 names without quotes. The name may hold a full stop.
fn tenant(before: &str, rest: &str) -> Option<Match> {
    let end = rest.find(". This can happen");
    let length = end.unwrap_or(rest.trim_end_matches('.').len());
    before.ends_with("tenant named ").then_some((length, NAME))
}

/// Returns what is in single quotes, the first of which is at the end of `before`.
fn quoted(before: &str, rest: &str) -> Option<Match> {
    let opened = before.strip_suffix('\'')?;
    let (quoted, _) = rest.split_once('\'')?;
    let is_shown = quoted.starts_with("https://") || is_public(quoted);
    let is_name = !opened.ends_with(char::is_alphanumeric) && !is_shown;
    is_name.then_some((quoted.len(), NAME))
}

/// Returns the longest match. Of several, one of a more exact kind than [`NAME`], and then the last.
fn longest(matches: impl IntoIterator<Item = Option<Match>>) -> Option<Match> {
    let matches = matches.into_iter().flatten();
    let matches = matches.filter(|(length, _)| *length > 0);
    matches.max_by_key(|(length, kind)| (*length, *kind != NAME))
}

/// Returns whether a name is public, or an address of this machine for itself.
fn is_public(name: &str) -> bool {
    let azure = CLOUDS
        .iter()
        .flat_map(|cloud| [&*cloud.authority, &*cloud.suffix]);
    let mut public = PUBLIC.split(' ').chain(azure);
    let address = name.parse::<IpAddr>();
    address.is_ok_and(|address| address.is_loopback())
        || public.any(|public| public.eq_ignore_ascii_case(name))
}

fn first_label(host: &str) -> &str {
    host.split('.').next().unwrap_or_default()
}

fn is_public_path(path: &str) -> bool {
    let path = format!("{path}/");
    let mut public = PUBLIC_PATHS.split(' ');
    public.any(|public| path.starts_with(public))
}

fn is_address(text: &str) -> bool {
    // After `%` is the zone of an address (RFC 4007, section 11).
    let address = text.split('%').next().unwrap_or_default();
    address.parse::<IpAddr>().is_ok()
}

/// Returns whether a text is a name below a top-level domain, and not that of a file.
fn is_host_name(text: &str) -> bool {
    let Some((_, last)) = text.rsplit_once('.') else {
        return false;
    };
    let is_domain = last.len() > 1 && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_domain && text.split('.').all(is_label) && !EXTENSIONS.split(' ').any(|end| end == last)
}

fn is_label(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{KEYS, Kind, Settings};
    use crate::terminal::Terminal;
    use std::collections::HashMap;

    #[test]
    fn names_are_replaced_and_other_words_stay() {
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
            print_error: |_| (),
            config_error: None,
            is_stderr_terminal: false,
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
            (
                "thumbprint 86BE4C01505B45E9BFC09B825FD84000AABBCCDD of it",
                "thumbprint <id 1> of it",
            ),
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

    #[test]
    fn every_setting_that_is_a_text_has_a_kind() {
        for key in KEYS.iter().filter(|key| key.kind == Kind::Text) {
            let names = [key.variable, key.azure_variable];
            let setting = format!("_{}", key.name.to_uppercase());
            for name in names.into_iter().flatten().chain([&*setting]) {
                assert!(kind_of(name).is_some(), "{name}");
            }
        }
        assert_eq!(kind_of("ACRSCOPED_USERNAME"), None);
    }
}
