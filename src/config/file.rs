//! The config file: TOML with settings at the top, profiles by registry, and clouds of the user's own.
//!
//! It is checked whole when it is read, also what is not needed now, and every problem is told with line and column.

use super::cloud;
use super::keys::{KEYS, Key, Kind, Place};
use super::pattern::Pattern;
use super::values::nearest;
use crate::error::{Error, ErrorKind, visible};
use crate::files::read_named;
use crate::registry::Cloud;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Room for thousands of profiles.
const LIMIT: usize = 1024 * 1024;

/// Characters of a problem that are told.
const LONGEST_PROBLEM: usize = 1_000;

/// What may stand at the top beside settings.
const TABLES: [&str; 2] = ["registry", "cloud"];

/// The file as it was read; without one, nothing is set in it.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) top: Section,
    pub(super) profiles: Vec<Profile>,
    pub(super) clouds: Vec<Cloud>,
}

/// The settings for some registries.
#[derive(Debug)]
pub(super) struct Profile {
    /// The pattern as it was written.
    pub(super) name: String,
    pattern: Pattern,
    pub(super) settings: Section,
}

/// Values by the name of their setting.
pub(super) type Section = BTreeMap<&'static str, Entry>;

/// A value that was checked, and the line it stands in.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) value: String,
    pub(super) line: usize,
}

type Table<'a> = DeTable<'a>;
type Value<'a> = Spanned<DeValue<'a>>;

impl File {
    /// Reads the file at `path`, which the environment names. One that is missing is empty unless it `must_exist`.
    pub(super) fn read(
        path: &Path,
        must_exist: bool,
        working_directory: Option<&Path>,
    ) -> Result<Self, Error> {
        let unusable = |problem: String| Error::setting(path.display(), problem);
        // Who can write it chooses who gets our tokens.
        let bytes = match read_named(path, working_directory, LIMIT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {
                return Ok(Self {
                    path: path.to_owned(),
                    ..Self::default()
                });
            }
            Err(error) => {
                let problem = format!("cannot be used: {error}");
                return Err(Error::unreadable(path.display(), &problem, &error));
            }
            Ok(bytes) => bytes,
        };
        let text = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8".into()))?;
        Self::parse(path, text.strip_prefix('\u{feff}').unwrap_or(&text))
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let reader = Reader {
            path,
            text,
            line_starts,
        };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(text.len(), |span| span.start);
            let problem = error.message().lines().collect::<Vec<_>>().join(", ");
            reader.wrong(at, problem)
        })?;
        reader.file(table.get_ref())
    }

    /// Every value that the file has for a setting, at the top and in profiles.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let sections =
            std::iter::once(&self.top).chain(self.profiles.iter().map(|profile| &profile.settings));
        sections.filter_map(move |section| Some(section.get(name)?.value.as_str()))
    }

    /// The profiles for a registry, the most specific first: those for the host itself, then those for its login server, which
    /// is another for a regional endpoint.
    pub(super) fn profiles(&self, host: &str, login_server: &str) -> Vec<&Profile> {
        let fitting = |host: &str| {
            let mut profiles: Vec<&Profile> = self
                .profiles
                .iter()
                .filter(|profile| profile.pattern.fits(host))
                .collect();
            profiles.sort_by(|one, other| {
                other
                    .pattern
                    .specificity(&one.pattern)
                    .unwrap_or(Ordering::Equal)
            });
            profiles
        };
        let mut profiles = fitting(host);
        if host != login_server {
            profiles.extend(fitting(login_server));
        }
        profiles
    }
}

/// Reads the parts of one file and says where in it something is wrong.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl Reader<'_> {
    fn file(&self, table: &Table<'_>) -> Result<File, Error> {
        let clouds = self.clouds(table)?;
        let mut file = File {
            path: self.path.to_owned(),
            clouds,
            ..File::default()
        };
        let mut settings = Vec::new();
        for (name, value) in table {
            match &**name.get_ref() {
                "registry" => file.profiles = self.profiles(value, &file.clouds)?,
                "cloud" => (),
                _ => settings.push((name, value)),
            }
        }
        file.top = self.section(settings, None, &file.clouds)?;
        Ok(file)
    }

    fn profiles(&self, value: &Value<'_>, clouds: &[Cloud]) -> Result<Vec<Profile>, Error> {
        let mut profiles: Vec<Profile> = Vec::new();
        let (mut hosts, mut stars) = (HashMap::new(), Vec::new());
        // In the order of the file, so that the second of two that clash is the one that is told.
        let mut tables: Vec<_> = self.table(value, "`registry`")?.iter().collect();
        tables.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in tables {
            let at = name.span().start;
            let text = name.get_ref();
            let pattern =
                Pattern::parse(text, clouds).map_err(|problem| self.wrong(at, problem))?;
            let others = if pattern.is_host() {
                hosts.entry(pattern.clone()).or_insert_with(Vec::new)
            } else {
                &mut stars
            };
            self.distinct(at, text, &pattern, others)?;
            others.push((pattern.clone(), text.to_string()));
            let settings = self.section(
                self.table(value, &format!("`registry.\"{text}\"`"))?,
                Some(text),
                clouds,
            )?;
            profiles.push(Profile {
                name: text.to_string(),
                pattern,
                settings,
            });
        }
        Ok(profiles)
    }

    /// Of two that fit the same host one must be the more specific. Two without a star can only be the same, and one without is always
    /// the more specific, so that the pairs to compare are few.
    fn distinct(
        &self,
        at: usize,
        text: &str,
        pattern: &Pattern,
        others: &[(Pattern, String)],
    ) -> Result<(), Error> {
        let clash = others
            .iter()
            .find_map(|(other, name)| Some((name, pattern.clash(other)?)));
        match clash {
            Some((other, both)) => Err(self.wrong(
                at,
                format!(
                    "`{text}` and `{other}` both fit `{both}`, and neither is the more specific"
                ),
            )),
            None => Ok(()),
        }
    }

    fn clouds(&self, table: &Table<'_>) -> Result<Vec<Cloud>, Error> {
        let mut clouds: Vec<Cloud> = Vec::new();
        let Some(value) = table.get("cloud") else {
            return Ok(clouds);
        };
        for (name, value) in self.table(value, "`cloud`")? {
            if !matches!(value.get_ref(), DeValue::Table(_)) {
                return Err(self.wrong(name.span().start, "a cloud has a name: `[cloud.NAME]`"));
            }
            let keys = self.table(value, &format!("`cloud.{}`", name.get_ref()))?;
            let mut fields = BTreeMap::new();
            for (key, value) in keys {
                if !cloud::KEYS.iter().any(|known| known.0 == &**key.get_ref()) {
                    return Err(self.unknown(key, cloud::KEYS.iter().map(|known| known.0)));
                }
                fields.insert(key.get_ref().to_string(), self.text(key.get_ref(), value)?);
            }
            let wrong = |(key, problem): (Option<&str>, String)| {
                let at = key
                    .and_then(|key| keys.get(key))
                    .map_or(name.span().start, |value| value.span().start);
                let subject = key.map(|key| format!("`{key}` ")).unwrap_or_default();
                self.wrong(at, format!("{subject}{problem}"))
            };
            clouds.push(cloud::read(name.get_ref(), &fields, &clouds).map_err(wrong)?);
        }
        Ok(clouds)
    }

    /// Settings at the top, or of a profile.
    fn section<'a, 'b: 'a>(
        &self,
        values: impl IntoIterator<Item = (&'a Spanned<toml::de::DeString<'b>>, &'a Value<'b>)>,
        profile: Option<&str>,
        clouds: &[Cloud],
    ) -> Result<Section, Error> {
        let fits = |key: &&Key| profile.is_none() || key.place == Place::Anywhere;
        let mut section = Section::new();
        for (name, value) in values {
            let Some(key) = KEYS
                .iter()
                .filter(fits)
                .find(|key| key.name == &**name.get_ref())
            else {
                if KEYS.iter().any(|key| key.name == &**name.get_ref()) {
                    let problem = format!(
                        "`{}` is not about a registry: it stands at the top of the file",
                        name.get_ref()
                    );
                    return Err(self.wrong(name.span().start, problem));
                }
                let tables: &[&str] = if profile.is_none() { &TABLES } else { &[] };
                return Err(self.unknown(
                    name,
                    KEYS.iter()
                        .filter(fits)
                        .map(|key| key.name)
                        .chain(tables.iter().copied()),
                ));
            };
            let at = value.span().start;
            let text = self.scalar(key, value)?;
            let checked = match key.name {
                "identity_cloud" => cloud::named(&text, clouds).map(drop),
                _ => (key.check)(&text),
            };
            checked.map_err(|problem| self.wrong(at, format!("`{}` {problem}", key.name)))?;
            section.insert(
                key.name,
                Entry {
                    value: text,
                    line: self.position(at).0,
                },
            );
        }
        Ok(section)
    }

    /// The value of a setting as the text that the environment would have for it.
    fn scalar(&self, key: &Key, value: &Value<'_>) -> Result<String, Error> {
        let expected = match (key.kind, value.get_ref()) {
            (Kind::Number, DeValue::Integer(number)) => return Ok(number.to_string()),
            (Kind::Flag, DeValue::Boolean(flag)) => return Ok(flag.to_string()),
            (Kind::Number, _) => "a whole number, without quotes",
            (Kind::Flag, _) => "true or false, without quotes",
            (Kind::Text | Kind::Word, _) => return self.text(key.name, value),
        };
        Err(self.wrong(
            value.span().start,
            format!("`{}` is not what was expected: {expected}", key.name),
        ))
    }

    fn text(&self, name: &str, value: &Value<'_>) -> Result<String, Error> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.trim(),
            _ => {
                return Err(self.wrong(
                    value.span().start,
                    format!("`{name}` is not what was expected: a text in quotes"),
                ));
            }
        };
        if text.is_empty() {
            return Err(self.wrong(value.span().start, format!("`{name}` is empty")));
        }
        Ok(text.to_owned())
    }

    fn table<'a, 'b>(&self, value: &'a Value<'b>, what: &str) -> Result<&'a Table<'b>, Error> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.wrong(
                value.span().start,
                format!("{what} is not what was expected: a table of its own, in brackets"),
            )),
        }
    }

    fn unknown<'a>(
        &self,
        name: &Spanned<toml::de::DeString<'_>>,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Error {
        let text = name.get_ref();
        let near = nearest(text, known.clone());
        // All of them would hide the one that was meant.
        let known = if near.is_empty() {
            format!(", expected one of {}", known.collect::<Vec<_>>().join(", "))
        } else {
            near
        };
        let problem = format!("`{text}` is no setting here{known}");
        self.wrong(name.span().start, problem)
    }

    fn wrong(&self, at: usize, problem: impl AsRef<str>) -> Error {
        let (line, column) = self.position(at);
        // Names and values from the file are part of it.
        let problem: String = visible(problem.as_ref())
            .chars()
            .take(LONGEST_PROBLEM)
            .collect();
        error_at(self.path, line, column, &problem)
    }

    /// Line and column of a byte, both counted from 1, the column in characters.
    fn position(&self, at: usize) -> (usize, usize) {
        let line = self
            .line_starts
            .partition_point(|start| *start <= at)
            .max(1);
        let before = self
            .text
            .get(self.line_starts[line - 1]..at)
            .unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// Something in the config file that is wrong; `line` and `column` are counted from 1.
pub(super) fn error_at(path: &Path, line: usize, column: usize, problem: &str) -> Error {
    let place = format!("{}:{line}:{column}", path.display());
    Error::new(ErrorKind::Setting, format!("{place}: {problem}"))
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
                "both fit `*.azurecr.io`, and neither is the more specific",
            ),
            (
                "[registry.\"contoso.*.geo.azurecr.io\"]\n[registry.\"*.eastus.geo.azurecr.io\"]",
                "2:11",
                "`*.eastus.geo.azurecr.io` and `contoso.*.geo.azurecr.io` both fit `contoso.eastus.geo.azurecr.io`",
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
                &cloud("co.uk"),
                "2:10",
                "`suffix` is \"co.uk\", below which anybody can have a name",
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
