//! The config file: TOML with settings at the top, profiles by registry, and private clouds.
//!
//! It is checked whole when it is read, also what is not needed now. Every problem is reported with its line and column.

use super::cloud;
use super::environment::SettingError;
use super::keys::{KEYS, Key, Kind, Scope};
use super::precedence::{Origin, Value};
use super::values::{self, suggest};
use crate::error::{Error, ErrorKind, visible};
use crate::files::read_named;
use crate::registry::{Cloud, Registry};
use crate::trust::Refusal;
use std::collections::{BTreeMap, HashMap};
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
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) top: Section,
    pub(super) profiles: Vec<Profile>,
    pub(super) clouds: Vec<Cloud>,
}

/// The settings for one registry, or for all below a suffix.
#[derive(Debug)]
pub(super) struct Profile {
    /// The host or `*.SUFFIX`, as it is written.
    pub(super) name: String,
    /// The same in lower case.
    pattern: String,
    pub(super) settings: Section,
}

/// Checked values by the name of their setting.
pub(super) type Section = BTreeMap<&'static str, Value<String>>;

type Name<'a> = Spanned<DeString<'a>>;
type Table<'a> = DeTable<'a>;
type Item<'a> = Spanned<DeValue<'a>>;

/// What is wrong, and at which byte of the text.
type Problem = (usize, String);

impl File {
    /// Reads the file at `path`, which the environment names. A missing file is an empty one unless it `must_exist`.
    pub(super) fn read(
        path: &Path,
        must_exist: bool,
        working_directory: Option<&Path>,
    ) -> Result<Self, Error> {
        let name = path.display().to_string();
        // Anyone who can write it chooses who gets our tokens.
        let bytes = match read_named(path, working_directory, MAX_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {
                return Ok(Self {
                    path: path.to_owned(),
                    ..Self::default()
                });
            }
            Err(error) => {
                let problem = format!("cannot be used: {error}");
                return Err(match Refusal::from_io(&error) {
                    Some(refusal) => Error::untrusted(name, problem, refusal.fix()),
                    None => SettingError::new(name, problem).into(),
                });
            }
        };
        let text = String::from_utf8(bytes).map_err(|_| SettingError::new(name, "is not UTF-8"))?;
        Self::parse(path, &text)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let reader = Reader {
            path,
            line_starts: std::iter::once(0).chain(newlines).collect(),
        };
        reader.file(text).map_err(|(at, problem)| {
            let line = reader.line(at);
            let before = text.get(reader.line_starts[line - 1]..at);
            // It quotes names and values of the file.
            let problem: String = visible(&problem).chars().take(MAX_PROBLEM_CHARS).collect();
            let column = before.unwrap_or_default().chars().count() + 1;
            let place = format!("{}:{line}:{column}", path.display());
            Error::new(ErrorKind::Setting, format!("{place}: {problem}"))
        })
    }

    /// Returns every value that the file has for a setting, at the top and in profiles.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let profiles = self.profiles.iter().map(|profile| &profile.settings);
        let sections = std::iter::once(&self.top).chain(profiles);
        sections.filter_map(move |section| Some(section.get(name)?.value.as_str()))
    }

    /// Returns the profiles for a registry, the most specific first: those for the host itself, then those for its login server, which
    /// is another host for a regional endpoint.
    pub(super) fn profiles(&self, registry: &Registry) -> Vec<&Profile> {
        let of_host = patterns(registry.host());
        let of_login_server = patterns(registry.login_server());
        let regional = of_host
            .iter()
            .filter(|pattern| !of_login_server.contains(pattern));
        let named = |pattern: &String| {
            let mut profiles = self.profiles.iter();
            profiles.find(|profile| profile.pattern == *pattern)
        };
        regional.chain(&of_login_server).filter_map(named).collect()
    }
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
    let expected = if pattern.contains('.') {
        "expected a host such as `contoso.azurecr.io`, or `*.azurecr.io` for all hosts below a suffix"
    } else {
        "a host stands in quotes, as in `[registry.\"contoso.azurecr.io\"]`"
    };
    if is_valid {
        Ok(())
    } else {
        Err(format!("`{pattern}` fits no registry: {expected}"))
    }
}

/// Reads the parts of one file.
struct Reader<'a> {
    path: &'a Path,
    line_starts: Vec<usize>,
}

impl Reader<'_> {
    fn file(&self, text: &str) -> Result<File, Problem> {
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(text.len(), |span| span.start);
            (at, error.message().lines().collect::<Vec<_>>().join(", "))
        })?;
        let table = table.get_ref();
        let mut clouds = Vec::new();
        if let Some(value) = table.get("cloud") {
            for (name, value) in table_of(value, "`cloud`")? {
                clouds.push(read_cloud(name, value, &clouds)?);
            }
        }
        let profiles = self.profiles(table, &clouds)?;
        let settings = table.iter();
        let settings = settings.filter(|(name, _)| !TABLES.contains(&&**name.get_ref()));
        Ok(File {
            path: self.path.to_owned(),
            top: self.section(settings, None, &clouds)?,
            profiles,
            clouds,
        })
    }

    fn profiles(&self, table: &Table<'_>, clouds: &[Cloud]) -> Result<Vec<Profile>, Problem> {
        let Some(value) = table.get("registry") else {
            return Ok(vec![]);
        };
        let mut profiles = Vec::new();
        let mut names: HashMap<String, &str> = HashMap::new();
        // In the order of the file, so that of two for the same host the second one is reported.
        let mut tables: Vec<_> = table_of(value, "`registry`")?.iter().collect();
        tables.sort_by_key(|(name, _)| name.span().start);
        for (spanned, value) in tables {
            let (at, name) = (spanned.span().start, &**spanned.get_ref());
            let pattern = name.to_ascii_lowercase();
            check_pattern(&pattern, clouds).map_err(|problem| (at, problem))?;
            if let Some(other) = names.insert(pattern.clone(), name) {
                let problem = format!("`{name}` is a second profile for `{other}`");
                return Err((at, problem));
            }
            let settings = table_of(value, &format!("`registry.\"{name}\"`"))?;
            profiles.push(Profile {
                name: name.to_owned(),
                pattern,
                settings: self.section(settings, Some(name), clouds)?,
            });
        }
        Ok(profiles)
    }

    /// Reads the settings at the top, or those of a profile.
    fn section<'t, 's: 't>(
        &self,
        entries: impl IntoIterator<Item = (&'t Name<'s>, &'t Item<'s>)>,
        profile: Option<&str>,
        clouds: &[Cloud],
    ) -> Result<Section, Problem> {
        let mut section = Section::new();
        for (name, item) in entries {
            let key = key(name, profile.is_some())?;
            let at = item.span().start;
            let value = scalar(key, item)?;
            let checked = match key.name {
                "identity_cloud" => cloud::named(&value, clouds).map(drop),
                _ => (key.check)(&value),
            };
            checked.map_err(|problem| (at, format!("`{}` {problem}", key.name)))?;
            let (file, line) = (self.path.to_owned(), self.line(at));
            let origin = match profile.map(str::to_owned) {
                Some(pattern) => Origin::Profile {
                    file,
                    line,
                    pattern,
                },
                None => Origin::Top { file, line },
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

fn read_cloud(name: &Name<'_>, value: &Item<'_>, others: &[Cloud]) -> Result<Cloud, Problem> {
    let (at, name) = (name.span().start, &**name.get_ref());
    let DeValue::Table(fields) = value.get_ref() else {
        return Err((at, "a cloud has a name: `[cloud.NAME]`".into()));
    };
    let known = cloud::KEYS.iter().map(|(key, _)| *key);
    let is_unknown = |key: &&Name<'_>| !known.clone().any(|known| known == &**key.get_ref());
    if let Some(key) = fields.keys().find(is_unknown) {
        return Err(unknown(key, known));
    }
    cloud::check_name(name).map_err(|problem| (at, problem))?;
    let missing = |key| (at, format!("`cloud.{name}` has no `{key}`"));
    let suffix = field(fields, "suffix", |text| cloud::suffix(text, others))?;
    let suffix = suffix.ok_or_else(|| missing("suffix"))?;
    let authority = field(fields, "authority", values::authority)?;
    let authority = authority.ok_or_else(|| missing("authority"))?;
    let audience = field(fields, "audience", values::audience)?.unwrap_or_default();
    Ok(cloud::new(name, suffix, &authority, &audience))
}

/// Reads a setting of a cloud.
fn field<T>(
    fields: &Table<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Problem> {
    let Some(item) = fields.get(key) else {
        return Ok(None);
    };
    let value = parse(&text_of(key, item)?);
    value
        .map(Some)
        .map_err(|problem| (item.span().start, format!("`{key}` {problem}")))
}

/// Finds a setting that may be here.
fn key(name: &Name<'_>, in_profile: bool) -> Result<&'static Key, Problem> {
    let is_allowed = |key: &&Key| !in_profile || key.scope == Scope::Anywhere;
    let text = &**name.get_ref();
    match KEYS.iter().find(|key| key.name == text) {
        Some(key) if is_allowed(&key) => Ok(key),
        Some(_) => Err((
            name.span().start,
            format!("`{text}` is not about a registry: it stands at the top of the file"),
        )),
        None => {
            let tables = TABLES.iter().filter(|_| !in_profile).copied();
            let keys = KEYS.iter().filter(is_allowed).map(|key| key.name);
            Err(unknown(name, keys.chain(tables)))
        }
    }
}

/// Returns the value of a setting as the text that a variable would have for it.
fn scalar(key: &Key, item: &Item<'_>) -> Result<String, Problem> {
    let expected = match (key.kind, item.get_ref()) {
        (Kind::Number, DeValue::Integer(number)) => return Ok(number.to_string()),
        (Kind::Flag, DeValue::Boolean(flag)) => return Ok(flag.to_string()),
        (Kind::Number, _) => "a whole number, without quotes",
        (Kind::Flag, _) => "true or false, without quotes",
        (Kind::Text | Kind::Word(_), _) => return text_of(key.name, item),
    };
    Err(unexpected(item, &format!("`{}`", key.name), expected))
}

fn text_of(name: &str, item: &Item<'_>) -> Result<String, Problem> {
    match item.get_ref() {
        DeValue::String(text) if text.trim().is_empty() => {
            Err((item.span().start, format!("`{name}` is empty")))
        }
        DeValue::String(text) => Ok(text.trim().to_owned()),
        _ => Err(unexpected(item, &format!("`{name}`"), "a text in quotes")),
    }
}

fn table_of<'t, 's>(item: &'t Item<'s>, what: &str) -> Result<&'t Table<'s>, Problem> {
    match item.get_ref() {
        DeValue::Table(table) => Ok(table),
        _ => Err(unexpected(item, what, "a table of its own, in brackets")),
    }
}

fn unexpected(item: &Item<'_>, what: &str, expected: &str) -> Problem {
    let problem = format!("{what} is not what was expected: {expected}");
    (item.span().start, problem)
}

fn unknown<'n>(name: &Name<'_>, known: impl Iterator<Item = &'n str> + Clone) -> Problem {
    let text = name.get_ref();
    let mut hint = suggest(text, known.clone());
    // A list of all of them would hide the suggestion.
    if hint.is_empty() {
        let known: Vec<&str> = known.collect();
        hint = format!(", expected one of {}", known.join(", "));
    }
    (
        name.span().start,
        format!("`{text}` is no setting here{hint}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_wrong_is_told_with_its_place_and_what_was_expected() {
        let cloud = |suffix: &str| {
            format!("[cloud.f]\nsuffix = '{suffix}'\nauthority = 'login.f.example'\n")
        };
        for (text, place, part) in [
            ("tenant = ", "1:10", "string"),
            (
                "zzz = 'x'",
                "1:1",
                "`zzz` is no setting here, expected one of source, tenant,",
            ),
            (
                "tenent = 'x'",
                "1:1",
                "`tenent` is no setting here; did you mean `tenant`?",
            ),
            (
                "\n  cache = 'nonne'",
                "2:11",
                "`cache` is \"nonne\", expected one of auto, keyutils, secret-service, none; did you mean `none`?",
            ),
            (
                "timeout = '30'",
                "1:11",
                "`timeout` is not what was expected: a whole number, without quotes",
            ),
            (
                "timeout = 0",
                "1:11",
                "`timeout` is \"0\", expected whole seconds from 1 to 600",
            ),
            (
                "keep_access_token = 'no'",
                "1:21",
                "true or false, without quotes",
            ),
            (
                "tenant = 7",
                "1:10",
                "`tenant` is not what was expected: a text in quotes",
            ),
            ("tenant = ''", "1:10", "`tenant` is empty"),
            ("tenant = 'a'\ntenant = 'b'", "2:1", "duplicate key"),
            (
                "registry = 'x'",
                "1:12",
                "`registry` is not what was expected: a table of its own, in brackets",
            ),
            (
                "[registry]\ncontoso = 'x'",
                "2:1",
                "`contoso` fits no registry",
            ),
            (
                "[registry.contoso.azurecr.io]",
                "1:11",
                "`contoso` fits no registry: a host stands in quotes, as in `[registry.\"contoso.azurecr.io\"]`",
            ),
            (
                "[registry.\"*.azurecr.io\"]\nusrname = 'token'",
                "2:1",
                "did you mean `username`?",
            ),
            (
                "[registry.\"*.azurecr.io\"]\ndelegate = 'pass'",
                "2:1",
                "`delegate` is not about a registry: it stands at the top of the file",
            ),
            (
                "[registry.\"*.azurecr.io\"]\n[registry.\"*.AZURECR.io\"]",
                "2:11",
                "`*.AZURECR.io` is a second profile for `*.azurecr.io`",
            ),
            (
                "\n[registry.\"contoso.*.geo.azurecr.io\"]",
                "2:11",
                "`contoso.*.geo.azurecr.io` fits no registry: expected a host such as `contoso.azurecr.io`, or `*.azurecr.io` for all hosts below a suffix",
            ),
            (
                "[regsitry.\"*.azurecr.io\"]",
                "1:2",
                "did you mean `registry`?",
            ),
            (
                "[cloud]\nsuffix = 'f.example'",
                "2:1",
                "a cloud has a name: `[cloud.NAME]`",
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
                "overlaps with `azurecr.io` of Azure",
            ),
            (
                &(cloud("f.example") + "audiense = 'x'"),
                "4:1",
                "did you mean `audience`?",
            ),
            (
                "audience = 'https://management.azure.com/'",
                "1:12",
                "which is Azure Resource Manager: its tokens are never asked for",
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
                "[cloud.AzureCloud]\nsuffix = 'f.example'\nauthority = 'login.f.example'\naudience = 'https://graph.microsoft.com'\n",
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
                "2:10",
                "overlaps with `acr.f.example` of e",
            ),
            (
                "identity_cloud = 'AzureClout'",
                "1:18",
                "expected one of AzureCloud, AzureUSGovernment, AzureChinaCloud, AzureBleuCloud; did you mean `AzureCloud`?",
            ),
            (
                "[registry.\"*.azurecr.us\"]\nidentity_cloud = 'fabrikam'",
                "2:18",
                "`identity_cloud` is \"fabrikam\", expected one of",
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
    fn an_empty_file_and_one_with_everything_are_fine() {
        let whole = "delegate = 'pass'\nlog = 'info'\nca_file = '/ca.pem'\n[registry.\"*.azurecr.io\"]\nsource = 'azure-cli'\n\
                     tenant = 't'\nclient_id = 'c'\nsubscription = 'Pay as you go'\naudience = 'https://r.example'\nusername = 'guid'\n\
                     on_error = 'fail'\ncache = 'auto'\ntimeout = 9\nkeep_access_token = true\nauthority = 'login.example'\n";
        let file = File::parse(Path::new("config.toml"), whole).unwrap();
        assert_eq!(
            (
                file.top.len(),
                file.profiles.len(),
                file.profiles[0].settings.len()
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
                check(text).unwrap_err().contains("fits no registry"),
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
    fn a_missing_file_is_an_empty_one_unless_it_was_named() {
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
