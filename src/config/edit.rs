//! Changes one setting in the text of the config file. Comments, order and all other lines stay.

use super::Settings;
use super::file::MAX_FILE_BYTES;
use super::keys::{KEYS, Key, Kind, Scope};
use super::values::suggest;
use crate::error::{Error, printable};
use crate::files::{canonicalize, read_private, write_atomic};
use crate::registry::Registry;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue};

/// Returns the setting of this name.
///
/// # Errors
///
/// There is none. The error suggests a similar one.
pub(crate) fn key(name: &str) -> Result<&'static Key, Error> {
    let mut keys = KEYS.iter();
    keys.find(|key| key.name == name).ok_or_else(|| {
        let hint = suggest(name, KEYS.iter().map(|key| key.name));
        let error = Error::input(format!("`{}` is no setting{hint}", printable(name)));
        error.with_hint(format!(
            "list the settings\n  {} --help",
            env!("CARGO_PKG_NAME")
        ))
    })
}

/// Sets a setting in the config file: in the profile of a registry, or at the top. Creates the file if it does not exist. Returns its path.
///
/// # Errors
///
/// The value is wrong, or the file cannot be read or written, or would be wrong with the value. The file is then unchanged.
pub(crate) fn set_in_file(
    settings: &Settings,
    profile: Option<&Registry>,
    name: &str,
    value: &str,
) -> Result<PathBuf, Error> {
    let profile = profile.map(Registry::host);
    change_file(settings, |text| set(text, profile, name, value))
}

/// Removes a setting from where [`set_in_file`] sets it. Returns the path of the file.
///
/// # Errors
///
/// The setting is not there, or the file cannot be read or written, or would be wrong without it. The file is then unchanged.
pub(crate) fn unset_in_file(
    settings: &Settings,
    profile: Option<&Registry>,
    name: &str,
) -> Result<PathBuf, Error> {
    let profile = profile.map(Registry::host);
    change_file(settings, |text| unset(text, profile, name))
}

fn change_file(
    settings: &Settings,
    change: impl FnOnce(&str) -> Result<String, Error>,
) -> Result<PathBuf, Error> {
    let path = settings.file();
    let failed = |error: io::Error| {
        let problem = format!("cannot be used: {error}");
        Error::unreadable(path.display(), &problem, &error)
    };
    // A link stays: the file behind it is replaced.
    let real = canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let before = match read_private(&real, MAX_FILE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
        read => read.map_err(failed)?,
    };
    let before = String::from_utf8(before);
    let before = before.map_err(|_| Error::setting(path.display(), "is not UTF-8"))?;
    let after = change(before.trim_start_matches('\u{feff}'))?;
    settings.with_text(&after)?;
    let replaced = real.metadata().ok();
    write_atomic(&real, after.as_bytes(), replaced.as_ref(), || Ok(())).map_err(failed)?;
    Ok(path.to_owned())
}

/// Returns the text with this value for a setting: at the top, or in the profile of this name, which is added if it is missing.
///
/// # Errors
///
/// The value is wrong, or the text is not TOML, or the place cannot be edited.
pub(crate) fn set(
    text: &str,
    profile: Option<&str>,
    name: &str,
    value: &str,
) -> Result<String, Error> {
    let key = key(name)?;
    if profile.is_some() && key.scope == Scope::Top {
        let problem = format!("`{name}` is for all registries and cannot be set for one");
        return Err(Error::input(problem));
    }
    (key.check)(value).map_err(|problem| Error::input(format!("`{name}` {problem}")))?;
    let value = match key.kind {
        // The escapes of JSON are valid in TOML.
        Kind::Text | Kind::Word(_) => serde_json::json!(value).to_string(),
        Kind::Number | Kind::Flag => value.to_owned(),
    };
    let mut after = text.to_owned();
    if !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    let line = format!("{name} = {value}\n");
    let place = Place::find(&after, profile, name)?;
    match (place.entry, place.new_line, profile) {
        (Some((_, old)), ..) => after.replace_range(old, &value),
        (None, Some(at), _) => after.insert_str(at, &line),
        (None, None, profile) => {
            let profile = profile.unwrap_or_default();
            after += &format!("\n[registry.{profile:?}]\n{line}");
        }
    }
    let place = Place::find(&after, profile, name)?;
    if place.entry.is_some_and(|(_, new)| after[new] == value) {
        return Ok(after);
    }
    // The new line is in another table after one in braces or with dotted keys.
    Err(not_editable(name))
}

/// Returns the text without the line of a setting.
///
/// # Errors
///
/// The setting is not there, or the text is not TOML, or the place cannot be edited.
pub(crate) fn unset(text: &str, profile: Option<&str>, name: &str) -> Result<String, Error> {
    key(name)?;
    let Some((key, value)) = Place::find(text, profile, name)?.entry else {
        let table = profile.map_or("at the top".to_owned(), |host| format!("for {host}"));
        let problem = format!("the config file does not set `{name}` {table}");
        return Err(Error::input(problem));
    };
    let start = text[..key.start].rfind('\n').map_or(0, |at| at + 1);
    let mut after = text.to_owned();
    after.replace_range(start..next_line(text, value.end), "");
    if !text[start..key.start].trim().is_empty() {
        return Err(not_editable(name));
    }
    Ok(after)
}

fn not_editable(name: &str) -> Error {
    let problem = "is in a table in braces or with dotted keys: change it in an editor";
    Error::setting(name, problem)
}

/// Where a setting is in the text, as byte ranges.
#[derive(Debug)]
struct Place {
    /// Its name and its value.
    entry: Option<(Range<usize>, Range<usize>)>,
    /// Where a line for it can be added; none if its profile is missing.
    new_line: Option<usize>,
}

impl Place {
    fn find(text: &str, profile: Option<&str>, name: &str) -> Result<Self, Error> {
        let root = DeTable::parse(text).map_err(|error| Error::input(error.message()))?;
        let root = root.get_ref();
        let mut start = 0;
        let mut table = Some(root);
        if let Some(host) = profile {
            let profiles = root
                .get("registry")
                .and_then(|item| item.get_ref().as_table());
            let mut profiles = profiles.into_iter().flatten();
            let profile = profiles.find(|(name, _)| name.get_ref().eq_ignore_ascii_case(host));
            start = profile.map_or(0, |(name, _)| next_line(text, name.span().end));
            table = profile.and_then(|(_, item)| item.get_ref().as_table());
        }
        let mut place = Self {
            entry: None,
            new_line: table.map(|_| start),
        };
        for (key, item) in table.into_iter().flatten() {
            if matches!(item.get_ref(), DeValue::Table(_)) {
                continue;
            }
            let end = next_line(text, item.span().end);
            place.new_line = place.new_line.max(Some(end));
            if key.get_ref() == name {
                place.entry = Some((key.span(), item.span()));
            }
        }
        Ok(place)
    }
}

/// Returns where the line after a byte begins.
fn next_line(text: &str, at: usize) -> usize {
    text[at..]
        .find('\n')
        .map_or(text.len(), |length| at + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_set_and_all_else_stays() {
        let host = Some("contoso.azurecr.io");
        let file = "# mine\ntenant = 'a' # why\n\n[registry.\"Contoso.azurecr.io\"] # ours\n\n# the last\n[registry.\"*.azurecr.io\"]\ncache = \"none\"\n";
        for (text, profile, name, value, after) in [
            ("", None, "timeout", "60", "timeout = 60\n".to_owned()),
            (
                "# note",
                None,
                "log",
                "info",
                "log = \"info\"\n# note\n".to_owned(),
            ),
            (file, None, "tenant", "b", file.replace("'a'", "\"b\"")),
            (
                file,
                None,
                "timeout",
                "60",
                file.replace("# why\n", "# why\ntimeout = 60\n"),
            ),
            (
                file,
                host,
                "username",
                "token",
                file.replace("# ours\n", "# ours\nusername = \"token\"\n"),
            ),
            (
                file,
                Some("fabrikam.azurecr.io"),
                "keep_access_token",
                "false",
                format!("{file}\n[registry.\"fabrikam.azurecr.io\"]\nkeep_access_token = false\n"),
            ),
            (
                "registry.\"contoso.azurecr.io\".tenant = 'a'",
                host,
                "tenant",
                "b",
                "registry.\"contoso.azurecr.io\".tenant = \"b\"\n".to_owned(),
            ),
        ] {
            let found = set(text, profile, name, value).unwrap();
            assert_eq!(found, after);
            assert_eq!(set(&found, profile, name, value).unwrap(), after);
        }
    }

    #[test]
    fn a_setting_is_unset_and_its_comment_stays() {
        let text = "# one\ntenant = 'a' # why\n[registry.\"contoso.azurecr.io\"]\ntenant = 'b'";
        let top = unset(text, None, "tenant").unwrap();
        assert_eq!(
            top,
            "# one\n[registry.\"contoso.azurecr.io\"]\ntenant = 'b'"
        );
        let profile = unset(text, Some("contoso.azurecr.io"), "tenant").unwrap();
        assert_eq!(
            profile,
            "# one\ntenant = 'a' # why\n[registry.\"contoso.azurecr.io\"]\n"
        );
        let error = unset(text, Some("fabrikam.azurecr.io"), "tenant").unwrap_err();
        let problem = "the config file does not set `tenant` for fabrikam.azurecr.io";
        assert_eq!(error.to_string(), problem);
    }

    #[test]
    fn what_cannot_be_edited_is_an_error() {
        let host = Some("contoso.azurecr.io");
        for text in [
            "registry.\"contoso.azurecr.io\".tenant = 'a'\n",
            "registry = { \"contoso.azurecr.io\" = { tenant = 'a' } }\n",
        ] {
            assert!(set(text, host, "timeout", "9").is_err(), "{text}");
        }
        for text in [
            "registry.\"contoso.azurecr.io\" = { tenant = 'a' }\n",
            "registry.\"contoso.azurecr.io\".tenant = 'a'\n",
        ] {
            let error = unset(text, host, "tenant").unwrap_err().to_string();
            assert!(error.contains("change it in an editor"), "{error}");
        }
        for (profile, name, value, problem) in [
            (
                None,
                "timeuot",
                "9",
                "`timeuot` is no setting; did you mean `timeout`?",
            ),
            (
                None,
                "timeout",
                "0",
                "`timeout` is \"0\", expected whole seconds from 1 to 600",
            ),
            (
                host,
                "log",
                "info",
                "`log` is for all registries and cannot be set for one",
            ),
        ] {
            let error = set("", profile, name, value).unwrap_err();
            assert_eq!(error.to_string(), problem);
        }
        assert!(set("x = ", None, "timeout", "9").is_err());
    }

    #[test]
    #[cfg(unix)]
    fn the_file_is_made_private_and_a_wrong_one_is_not_written() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let settings =
            Settings::read([].into(), None, Some(folder.path().join("config")), None).unwrap();
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let file = set_in_file(&settings, Some(&registry), "username", "token").unwrap();
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let text = "[registry.\"contoso.azurecr.io\"]\nusername = \"token\"\n";
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim_start(), text);
        let error = set_in_file(&settings, None, "identity_cloud", "Fabrikam").unwrap_err();
        assert!(
            error.to_string().contains("expected one of AzureCloud"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim_start(), text);
        unset_in_file(&settings, Some(&registry), "username").unwrap();
        assert!(!std::fs::read_to_string(&file).unwrap().contains("username"));
    }
}
