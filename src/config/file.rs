//! The config file: TOML with settings at the top, profiles by registry, and private clouds.
//!
//! The whole file is checked when it is read. Every problem is reported with its line and column.

use super::cloud;
use super::keys::{CLOUD_KEYS, KEYS, Key, Kind, Scope};
use super::precedence::{Origin, Value};
use super::values::suggest;
use crate::error::{Error, ErrorKind, sanitize};
use crate::files::read_named;
use crate::registry::{CLOUDS, Cloud, Registry};
use crate::text::shell_word;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// Enough for thousands of profiles.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// Longest problem that is shown, in characters.
const MAX_PROBLEM_CHARS: usize = 1_000;

/// The tables at the top, besides settings.
const TABLES: [&str; 2] = ["registry", "cloud"];

/// The file as it was read. Without one, nothing is set in it.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) top: Section,
    /// The profiles by host or `*.SUFFIX` in lower case.
    pub(super) profiles: BTreeMap<String, Profile>,
    pub(super) clouds: Vec<Cloud>,
}

/// The settings for one registry, or for all below a suffix.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    /// The host or `*.SUFFIX`, as it is written.
    pub(super) name: String,
    pub(super) settings: Section,
}

/// Checked values by the name of their setting.
pub(super) type Section = BTreeMap<&'static str, Value<String>>;

type Name<'a> = Spanned<DeString<'a>>;
type Item<'a> = Spanned<DeValue<'a>>;
type Entries<'t, 's> = Vec<(&'t Name<'s>, &'t Item<'s>)>;

/// What is wrong, and at which byte of the text.
type Problem = (usize, String);

impl File {
    /// Reads the file at `path`, which the environment names. A missing file is an empty one unless it `must_exist`.
    pub(super) fn read(
        path: &Path,
        must_exist: bool,
        working_directory: Option<&Path>,
    ) -> Result<Self, Error> {
        Self::parse(path, &read_text(path, must_exist, working_directory)?)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let reader = Reader::new(path, text);
        let file = parse(text).and_then(|table| reader.file(table.get_ref()));
        file.map_err(|problem| reader.error(text, problem))
    }

    /// Returns every value that the file has for a setting, at the top and in profiles.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let profiles = self.profiles.values().map(|profile| &profile.settings);
        let sections = std::iter::once(&self.top).chain(profiles);
        sections.filter_map(move |section| Some(section.get(name)?.value.as_str()))
    }

    /// Returns the profiles for a registry, the most specific first. Those for the host itself come before those for its login server,
    /// which is another host for a regional endpoint.
    pub(super) fn profiles(&self, registry: &Registry) -> Vec<&Profile> {
        let mut names = patterns(registry.login_server());
        let mut regional = patterns(registry.host());
        regional.retain(|pattern| !names.contains(pattern));
        names.splice(..0, regional);
        names
            .iter()
            .filter_map(|name| self.profiles.get(name))
            .collect()
    }

    /// Returns the clouds of Azure, then the private ones.
    pub(super) fn all_clouds(&self) -> impl Iterator<Item = &Cloud> {
        CLOUDS.iter().chain(&self.clouds)
    }
}

/// Reads the text of the file. Anyone who can write the file chooses who gets our tokens, so it must be protected.
pub(super) fn read_text(
    path: &Path,
    must_exist: bool,
    working_directory: Option<&Path>,
) -> Result<String, Error> {
    let bytes = match read_named(path, working_directory, MAX_FILE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => vec![],
        bytes => bytes.map_err(|error| unusable(path, &error))?,
    };
    let text = String::from_utf8(bytes);
    let mut text = text.map_err(|_| Error::setting(path.display(), "is not UTF-8"))?;
    // Editors of Windows write a byte order mark.
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// Returns the error of a file that cannot be read or written.
pub(super) fn unusable(path: &Path, error: &io::Error) -> Error {
    let problem = format!("cannot be used: {error}");
    Error::unreadable(path.display(), &problem, error)
}

/// Checks that the text is TOML.
pub(super) fn check_syntax(path: &Path, text: &str) -> Result<(), Error> {
    let parsed = parse(text).map(drop);
    parsed.map_err(|problem| Reader::new(path, text).error(text, problem))
}

fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Problem> {
    DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(text.len(), |span| span.start);
        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let problem = if let Some((name, "" | " ")) = text[line..at].split_once('=') {
            let name = name.trim();
            format!("`{name}` must be a text in quotes, a whole number, true or false")
        } else {
            format!("this is not TOML: {}", error.message().replace('\n', ", "))
        };
        (at, problem)
    })
}

/// Returns the command that removes the setting whose name or value is at this byte.
fn unset_command(text: &str, at: usize) -> Option<String> {
    let table = DeTable::parse(text).ok()?;
    let table = table.get_ref();
    let find = |table: &DeTable<'_>| {
        let is_here = |(name, item): &(&Name<'_>, &Item<'_>)| {
            [name.span().start, item.span().start].contains(&at)
        };
        let (name, item) = table.iter().find(is_here)?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = name.get_ref();
        let can_be_unset = item.get_ref().as_table().is_none() && name.chars().all(is_word);
        can_be_unset.then(|| format!("{} config unset {name}", env!("CARGO_PKG_NAME")))
    };
    let profiles = table
        .get("registry")
        .and_then(|item| item.get_ref().as_table());
    let in_profile = |(host, item): (&Name<'_>, &Item<'_>)| {
        let command = find(item.get_ref().as_table()?)?;
        Some(format!(
            "{command} --registry {}",
            shell_word(host.get_ref())
        ))
    };
    find(table).or_else(|| profiles?.iter().find_map(in_profile))
}

/// Returns the names of profiles that match a host, the most specific first: the host, then `*.SUFFIX`, the longest suffix first.
fn patterns(host: &str) -> Vec<String> {
    let suffixes = host.match_indices('.');
    let suffixes = suffixes.map(|(at, _)| format!("*{}", &host[at..]));
    std::iter::once(host.to_owned()).chain(suffixes).collect()
}

/// Checks that the name of a profile, in lower case, is a registry's host, or `*.` and a suffix of such hosts.
fn check_pattern(pattern: &str, clouds: &[Cloud]) -> Result<(), String> {
    let is_host =
        |host: &str| Registry::parse(host, clouds).is_some_and(|registry| registry.host() == host);
    let is_valid = match pattern.strip_prefix("*.") {
        Some(suffix) => ["contoso", "contoso.region"]
            .iter()
            .any(|name| is_host(&format!("{name}.{suffix}"))),
        None => is_host(pattern),
    };
    if is_valid {
        return Ok(());
    }
    Err(format!(
        "`{pattern}` matches no registry: expected a host in quotes, such as `[registry.\"contoso.azurecr.io\"]`, \
         or `[registry.\"*.azurecr.io\"]` for all hosts below a suffix"
    ))
}

/// Finds a setting among those of a table, or of a profile if there is one.
fn find_key(
    name: &Name<'_>,
    table: &'static [Key],
    profile: Option<&str>,
) -> Result<&'static Key, Problem> {
    let is_allowed = |key: &&Key| profile.is_none() || key.scope == Scope::Anywhere;
    let mut keys = table.iter().filter(is_allowed);
    let text = &**name.get_ref();
    let names = keys.clone().map(|key| key.name);
    keys.find(|key| key.name == text).ok_or_else(|| {
        let mut hint = suggest(text, names.clone().chain(TABLES));
        // A list of all names would hide the suggestion.
        if hint.is_empty() {
            hint = format!(
                ": allowed names are {}",
                names.collect::<Vec<_>>().join(", ")
            );
        }
        let problem = format!("`{text}` is not a setting here{hint}");
        (name.span().start, problem)
    })
}

/// Reads the parts of one file.
struct Reader<'a> {
    path: &'a Path,
    line_starts: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn new(path: &'a Path, text: &str) -> Self {
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(newlines).collect();
        Self { path, line_starts }
    }

    fn error(&self, text: &str, (at, problem): Problem) -> Error {
        let (path, line) = (self.path.display(), self.line(at));
        let before = text.get(self.line_starts[line - 1]..at);
        let column = before.unwrap_or_default().chars().count() + 1;
        // The problem quotes names and values of the file.
        let problem: String = sanitize(&problem).chars().take(MAX_PROBLEM_CHARS).collect();
        let fix = format!("correct line {line} of {path}");
        let fix = match unset_command(text, at) {
            Some(command) => format!("{fix}, or remove the setting\n  {command}"),
            None => fix,
        };
        Error::new(
            ErrorKind::Setting,
            format!("{path}:{line}:{column}: {problem}"),
        )
        .with_hint(fix)
    }

    fn file(&self, table: &DeTable<'_>) -> Result<File, Problem> {
        let mut clouds = Vec::new();
        for (name, item) in entries(table.get("cloud"), "cloud", "[cloud.NAME]")? {
            clouds.push(self.cloud(name, item, &clouds)?);
        }
        let profiles = self.profiles(table.get("registry"), &clouds)?;
        let settings = table.iter();
        let settings = settings.filter(|(name, _)| !TABLES.contains(&&**name.get_ref()));
        Ok(File {
            path: self.path.to_owned(),
            top: self.section(settings, KEYS, None, &clouds)?,
            profiles,
            clouds,
        })
    }

    fn cloud(&self, name: &Name<'_>, item: &Item<'_>, others: &[Cloud]) -> Result<Cloud, Problem> {
        let (at, name) = (name.span().start, &**name.get_ref());
        let settings = entries(Some(item), &format!("cloud.{name}"), "[cloud.NAME]")?;
        let settings = self.section(settings, CLOUD_KEYS, None, others)?;
        cloud::from_section(name, &settings).map_err(|problem| (at, problem))
    }

    fn profiles(
        &self,
        item: Option<&Item<'_>>,
        clouds: &[Cloud],
    ) -> Result<BTreeMap<String, Profile>, Problem> {
        const FORM: &str = "[registry.\"contoso.azurecr.io\"]";
        let mut profiles = BTreeMap::new();
        for (spanned, item) in entries(item, "registry", FORM)? {
            let (at, name) = (spanned.span().start, &**spanned.get_ref());
            let pattern = name.to_ascii_lowercase();
            check_pattern(&pattern, clouds).map_err(|problem| (at, problem))?;
            let settings = entries(Some(item), name, FORM)?;
            let profile = Profile {
                name: name.to_owned(),
                settings: self.section(settings, KEYS, Some(name), clouds)?,
            };
            if let Some(other) = profiles.insert(pattern, profile) {
                let problem = format!("`{name}` is a second profile for `{}`", other.name);
                return Err((at, problem));
            }
        }
        Ok(profiles)
    }

    /// Reads the settings at the top, of a private cloud, or of a profile. `clouds` are the private clouds above them.
    fn section<'t, 's: 't>(
        &self,
        entries: impl IntoIterator<Item = (&'t Name<'s>, &'t Item<'s>)>,
        table: &'static [Key],
        profile: Option<&str>,
        clouds: &[Cloud],
    ) -> Result<Section, Problem> {
        let mut section = Section::new();
        for (name, item) in entries {
            let key = find_key(name, table, profile)?;
            let at = item.span().start;
            let value = scalar(key, item)?;
            let checked = match key.name {
                "identity_cloud" => cloud::named(&value, clouds).map(drop),
                "suffix" => cloud::check_suffix(&value, clouds),
                _ => (key.check)(&value),
            };
            checked.map_err(|problem| (at, format!("`{}` {problem}", key.name)))?;
            let origin = Origin::File {
                path: self.path.to_owned(),
                line: self.line(at),
                profile: profile.map(str::to_owned),
            };
            section.insert(key.name, Value { value, origin });
        }
        Ok(section)
    }

    /// Returns the line of a byte, counted from 1.
    fn line(&self, at: usize) -> usize {
        let line = self.line_starts.partition_point(|start| *start <= at);
        line.max(1)
    }
}

/// Returns the entries of a table in the order of the file, so that of two that exclude each other the second one is reported.
fn entries<'t, 's>(
    item: Option<&'t Item<'s>>,
    name: &str,
    form: &str,
) -> Result<Entries<'t, 's>, Problem> {
    let Some(item) = item else { return Ok(vec![]) };
    let DeValue::Table(table) = item.get_ref() else {
        let problem = format!("`{name}` must be a table, such as `{form}`");
        return Err((item.span().start, problem));
    };
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    Ok(entries)
}

/// Returns the value of a setting as the text that a variable would have for it.
fn scalar(key: &Key, item: &Item<'_>) -> Result<String, Problem> {
    let problem = match (key.kind, item.get_ref()) {
        (Kind::Number, DeValue::Integer(number)) => return Ok(number.to_string()),
        (Kind::Flag, DeValue::Boolean(flag)) => return Ok(flag.to_string()),
        (Kind::Number, _) => "must be a whole number, without quotes",
        (Kind::Flag, _) => "must be true or false, without quotes",
        (_, DeValue::String(text)) if text.trim().is_empty() => "is empty",
        (_, DeValue::String(text)) => return Ok(text.trim().to_owned()),
        _ => "must be a text in quotes",
    };
    Err((item.span().start, format!("`{}` {problem}", key.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_with_its_place_and_what_is_expected() {
        let cloud = |suffix: &str| {
            format!("[cloud.f]\nsuffix = '{suffix}'\nauthority = 'login.f.example'\n")
        };
        for (text, place, part) in [
            (
                "tenant = ",
                "1:10",
                "`tenant` must be a text in quotes, a whole number, true or false",
            ),
            (
                "zzz = 'x'",
                "1:1",
                "`zzz` is not a setting here: allowed names are source, tenant,",
            ),
            (
                "tenent = 'x'",
                "1:1",
                "`tenent` is not a setting here; did you mean `tenant`?",
            ),
            (
                "\n  cache = 'nonne'",
                "2:11",
                "`cache` cannot be \"nonne\": allowed values are auto, keyutils, secret-service, none; did you mean `none`?",
            ),
            (
                "timeout = '30'",
                "1:11",
                "`timeout` must be a whole number, without quotes",
            ),
            (
                "timeout = 0",
                "1:11",
                "`timeout` is \"0\", expected whole seconds from 1 to 600",
            ),
            (
                "keep_access_token = 'no'",
                "1:21",
                "`keep_access_token` must be true or false, without quotes",
            ),
            ("tenant = 7", "1:10", "`tenant` must be a text in quotes"),
            ("tenant = ''", "1:10", "`tenant` is empty"),
            ("tenant = 'a'\ntenant = 'b'", "2:1", "duplicate key"),
            (
                "registry = 'x'",
                "1:12",
                "`registry` must be a table, such as `[registry.\"contoso.azurecr.io\"]`",
            ),
            (
                "[registry]\ncontoso = 'x'",
                "2:1",
                "`contoso` matches no registry",
            ),
            (
                "[registry.contoso.azurecr.io]",
                "1:11",
                "`contoso` matches no registry: expected a host in quotes, such as `[registry.\"contoso.azurecr.io\"]`",
            ),
            (
                "[registry.\"*.azurecr.io\"]\nusrname = 'token'",
                "2:1",
                "did you mean `username`?",
            ),
            (
                "[registry.\"*.azurecr.io\"]\ndelegate = 'pass'",
                "2:1",
                "`delegate` is not a setting here: allowed names are source,",
            ),
            (
                "[registry.\"*.azurecr.io\"]\n[registry.\"*.AZURECR.io\"]",
                "2:11",
                "`*.AZURECR.io` is a second profile for `*.azurecr.io`",
            ),
            (
                "\n[registry.\"contoso.*.geo.azurecr.io\"]",
                "2:11",
                "`contoso.*.geo.azurecr.io` matches no registry: expected a host in quotes",
            ),
            (
                "[regsitry.\"*.azurecr.io\"]",
                "1:2",
                "did you mean `registry`?",
            ),
            (
                "[cloud]\nsuffix = 'f.example'",
                "2:10",
                "`cloud.suffix` must be a table, such as `[cloud.NAME]`",
            ),
            (
                "[cloud.f]\nsuffix = 'f.example'",
                "1:8",
                "`cloud.f` has no `authority`",
            ),
            (
                &cloud("uk"),
                "2:10",
                "`suffix` is \"uk\", expected a name of two labels or more",
            ),
            (
                &cloud("azurecr.io"),
                "2:10",
                "overlaps with `azurecr.io` of Azure public",
            ),
            (
                &(cloud("f.example") + "audiense = 'x'"),
                "4:1",
                "did you mean `audience`?",
            ),
            (
                "audience = 'https://management.azure.com/'",
                "1:12",
                "a service of Microsoft other than Azure Container Registry",
            ),
            (
                "authority = 'http://login.example'",
                "1:13",
                "is not an https URL of a host alone",
            ),
            (
                "audience = 'https://graph.microsoft.com'",
                "1:12",
                "a service of Microsoft other than Azure Container Registry",
            ),
            (
                "[cloud.AzureCloud]\nsuffix = 'f.example'\nauthority = 'login.f.example'\n",
                "1:8",
                "`AzureCloud` is an Azure cloud: choose another name for your private cloud",
            ),
            (
                "[cloud.f]\nsuffix = 'f.example'\nauthority = 'login.f.example'\naudience = 'https://graph.microsoft.com'\n",
                "4:12",
                "`audience` is \"https://graph.microsoft.com\", a service of Microsoft other than Azure Container Registry",
            ),
            (
                "[cloud.f]\nsuffix = 'f.example'\nauthority = 'login.f.example'\n\
                 [cloud.e]\nsuffix = 'acr.F.example'\nauthority = 'login.e.example'\n",
                "5:10",
                "overlaps with `f.example` of f",
            ),
            (
                "identity_cloud = 'AzureClout'",
                "1:18",
                "allowed values are AzureCloud, AzureUSGovernment, AzureChinaCloud, AzureBleuCloud; did you mean `AzureCloud`?",
            ),
            (
                "[registry.\"*.azurecr.us\"]\nidentity_cloud = 'fabrikam'",
                "2:18",
                "`identity_cloud` cannot be \"fabrikam\": allowed values are",
            ),
            (
                "oidc_host = 'https://github.f.example/x'",
                "1:13",
                "expected a host, such as `github.fabrikam.example`",
            ),
            ("# \u{e9}\u{e9}\n\u{e9} = 1", "2:1", ""),
        ] {
            let error = File::parse(Path::new("config.toml"), text)
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("config.toml:{place}: ")),
                "{text}: {error}"
            );
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn an_empty_file_and_one_with_every_setting_are_accepted() {
        let whole = "delegate = 'pass'\nlog = 'info'\nca_file = '/ca.pem'\n[registry.\"*.azurecr.io\"]\nsource = 'azure-cli'\n\
                     tenant = 't'\nclient_id = 'c'\nsubscription = 'Pay as you go'\naudience = 'https://r.example'\nusername = 'guid'\n\
                     on_error = 'fail'\ncache = 'auto'\ntimeout = 9\nkeep_access_token = true\nauthority = 'login.example'\n";
        let file = File::parse(Path::new("config.toml"), whole).unwrap();
        assert_eq!(
            (
                file.top.len(),
                file.profiles.len(),
                file.profiles["*.azurecr.io"].settings.len()
            ),
            (3, 1, 11)
        );
        assert!(
            File::parse(Path::new("config.toml"), "")
                .unwrap()
                .top
                .is_empty()
        );
    }

    #[test]
    fn a_profile_is_for_a_host_or_for_all_below_a_suffix() {
        let check = |text: &str| check_pattern(text, &[]);
        for text in [
            "contoso.azurecr.io",
            "*.azurecr.io",
            "*.geo.azurecr.io",
            "*.eastus.geo.azurecr.io",
            "contoso-abc123.eastus.geo.azurecr.us",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "*",
            "*.",
            "*.*",
            "*.io",
            "docker.io",
            "*.azurecr.oi",
            "*.contoso.azurecr.io",
            "*.*.geo.azurecr.io",
            "azurecr.io",
            "*azurecr.io",
            "con*.azurecr.io",
            "a b.azurecr.io",
            "https://contoso.azurecr.io",
            "contoso.azurecr.io:443",
            "*.azurecr.io.",
        ] {
            assert!(
                check(text).unwrap_err().contains("matches no registry"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_longest_suffix_wins_and_a_host_beats_it() {
        let names = [
            "*.azurecr.io",
            "*.geo.azurecr.io",
            "*.eastus.geo.azurecr.io",
            "Contoso.azurecr.io",
            "contoso.eastus.geo.azurecr.io",
            "fabrikam.azurecr.io",
            "*.azurecr.us",
        ];
        let text = names
            .map(|name| format!("[registry.\"{name}\"]\n"))
            .concat();
        let file = File::parse(Path::new("config.toml"), &text).unwrap();
        for (host, expected) in [
            ("contoso.azurecr.io", &[names[3], names[0]][..]),
            ("northwind.azurecr.io", &[names[0]]),
            (
                "contoso.eastus.geo.azurecr.io",
                &[names[4], names[2], names[1], names[3], names[0]],
            ),
            ("northwind.westus.geo.azurecr.io", &[names[1], names[0]]),
            ("contoso.azurecr.cn", &[]),
        ] {
            let registry = Registry::parse(host, &[]).unwrap();
            let profiles = file.profiles(&registry);
            let found: Vec<&str> = profiles.iter().map(|it| it.name.as_str()).collect();
            assert_eq!(found, expected, "{host}");
        }
    }

    #[test]
    fn a_missing_file_is_an_empty_one_unless_a_variable_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        assert_eq!(File::read(&file, false, None).unwrap().path, file);
        assert!(
            File::read(&file, true, None)
                .unwrap_err()
                .to_string()
                .contains("cannot be used: No such file")
        );
    }
}
