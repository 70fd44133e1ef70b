//! Changes one setting in the text of the config file. Comments, order and all other lines stay.

use super::Settings;
use super::file::{check_syntax, read_text, unusable};
use super::keys::{KEYS, Key, Kind, Scope};
use super::values::suggest;
use crate::error::{Error, sanitize_line};
use crate::files::{self, read_limited, write_atomic};
use crate::text::shell_word;
use crate::trust::resolve_named;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// The limit for a file of CA certificates.
const MAX_CA_FILE_BYTES: usize = 1024 * 1024;

/// How long to wait for another process that changes the file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the setting of this name.
///
/// # Errors
///
/// Fails if no setting has this name; suggests a similar one.
pub(crate) fn key(name: &str) -> Result<&'static Key, Error> {
    let mut keys = KEYS.iter();
    keys.find(|key| key.name == name).ok_or_else(|| {
        let hint = suggest(name, KEYS.iter().map(|key| key.name));
        let error = Error::input(format!("`{}` is not a setting{hint}", sanitize_line(name)));
        error.with_hint(format!(
            "list the settings\n  {} config list",
            env!("CARGO_PKG_NAME")
        ))
    })
}

/// Sets a setting in the config file, in the profile of a registry or at the top, or removes it if there is no value. Creates a missing file.
/// Returns the settings as they are then.
///
/// # Errors
///
/// The value is wrong, or the file cannot be read or written, or would be wrong after the change. The file is then unchanged. A setting can be
/// removed from a file that stays wrong elsewhere.
pub(crate) fn change_in_file(
    settings: &Settings,
    profile: Option<&str>,
    name: &str,
    value: Option<&str>,
) -> Result<Settings, Error> {
    let (path, directory) = (settings.file(), settings.working_directory.as_deref());
    let unusable = |error| unusable(path, &error);
    let lock = settings.state_dir().map(|dir| dir.join("config.lock"));
    let lock = lock.map(|lock| files::lock(&lock, LOCK_TIMEOUT));
    let _lock = lock.transpose().map_err(unusable)?;
    // A link stays: the file behind it is replaced.
    let real = match resolve_named(path, directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_file(path)?,
        real => real.map_err(unusable)?,
    };
    let before = read_text(path, false, directory)?;
    check_syntax(path, &before)?;
    let after = change(&before, profile, name, value)?;
    let changed = match settings.with_text(&after) {
        Err(_) if value.is_none() => settings.clone(),
        Err(error) if settings.with_text(&before).is_ok() => {
            return Err(without_place(error, path));
        }
        changed => changed?,
    };
    value.map_or(Ok(()), |value| check_file(name, Path::new(value)))?;
    let replaced = real.metadata().ok();
    write_atomic(&real, after.as_bytes(), replaced.as_ref(), || Ok(())).map_err(unusable)?;
    Ok(changed)
}

/// Checks a file that a setting names, as far as `get` would refuse it.
fn check_file(name: &str, file: &Path) -> Result<(), Error> {
    let problem = match name {
        "ca_file" => {
            let pem =
                resolve_named(file, None).and_then(|real| read_limited(&real, MAX_CA_FILE_BYTES));
            let pem = pem.map_err(|error| {
                let problem = format!("cannot be {}: {error}", file.display());
                Error::unreadable(name, &problem, &error)
            })?;
            let mut found = CertificateDer::pem_slice_iter(&pem);
            let has_certificate = found.next().is_some_and(|found| found.is_ok());
            (!has_certificate).then_some("which holds no PEM certificate")
        }
        "log_file" => {
            let has_folder = file.parent().is_some_and(Path::is_dir);
            (!has_folder).then_some("whose folder does not exist")
        }
        _ => None,
    };
    let problem = problem.map(|problem| format!("cannot be {}, {problem}", file.display()));
    problem.map_or(Ok(()), |problem| Err(Error::setting(name, problem)))
}

/// Returns the path of a file that is to be created. A variable may name any file, such as one that a shell runs.
fn new_file(path: &Path) -> Result<PathBuf, Error> {
    if path.is_symlink() {
        let hint = format!(
            "create that file, or delete the link\n  rm {}",
            shell_word(&path.to_string_lossy())
        );
        return Err(Error::setting(path.display(), "is a link to a missing file").with_hint(hint));
    }
    if path.extension().is_none_or(|extension| extension != "toml") {
        let problem = "does not exist, and the name of a new config file must end in `.toml`";
        return Err(Error::setting(path.display(), problem));
    }
    Ok(path.to_owned())
}

/// Returns the text with this value for a setting, or without its line: at the top, or in the profile of this name, which is added if it is
/// missing.
///
/// # Errors
///
/// The value is wrong, there is nothing to remove, or the text is not TOML or in a form that cannot be edited.
fn change(
    text: &str,
    profile: Option<&str>,
    name: &str,
    value: Option<&str>,
) -> Result<String, Error> {
    let value = value.map(|text| toml_value(key(name)?, profile, text));
    let value = value.transpose()?;
    let value = value.as_deref();
    let line = format!("{name} = {}\n", value.unwrap_or_default());
    let mut after = text.to_owned();
    if !after.is_empty() && !after.ends_with('\n') {
        after.push('\n');
    }
    let place = Place::find(&after, profile, name)?;
    match (place.entry, value) {
        (Some((_, old)), Some(new)) => after.replace_range(old, new),
        (Some((key, old)), None) => {
            let start = after[..key.start].rfind('\n').map_or(0, |at| at + 1);
            if after[start..key.start].contains('{') {
                return Err(not_editable(name));
            }
            after.replace_range(start..next_line(&after, old.end), "");
            remove_empty_profile(&mut after, profile);
        }
        (None, Some(_)) => {
            let blank = if after.is_empty() { "" } else { "\n" };
            let header = format!("{blank}[registry.{:?}]\n", profile.unwrap_or_default());
            match place.new_line {
                Some(at) => after.insert_str(at, &line),
                None => after.extend([header, line]),
            }
        }
        (None, None) => {
            key(name)?;
            let table = profile.map_or("at the top".to_owned(), |host| format!("for {host}"));
            let problem = format!("the config file does not set `{name}` {table}");
            return Err(Error::input(problem));
        }
    }
    // A new line after a table in braces or with dotted keys is in another table.
    let entry = Place::find(&after, profile, name)?.entry;
    if entry.map(|(_, found)| &after[found]) == value {
        return Ok(after);
    }
    Err(not_editable(name))
}

/// Removes the header of a profile that sets nothing any more, with the empty line before it. A profile with a comment stays.
fn remove_empty_profile(text: &mut String, profile: Option<&str>) {
    let Some(host) = profile else { return };
    let mut start = 0;
    while start < text.len() {
        let end = next_line(text, start);
        let header = text[start..end].trim().to_ascii_lowercase();
        let rest = text[end..].trim_start();
        if header == format!("[registry.{host:?}]") && (rest.is_empty() || rest.starts_with('[')) {
            let has_gap = text[..start].ends_with("\n\n");
            text.replace_range(start - usize::from(has_gap)..end, "");
            return;
        }
        start = end;
    }
}

/// Returns the error of a new text without its place in the file: the line was never written.
fn without_place(error: Error, path: &Path) -> Error {
    let message = error.to_string();
    let place = message.strip_prefix(&format!("{}:", path.display()));
    match place.and_then(|place| place.split_once(": ")) {
        Some((_, problem)) => Error::input(problem),
        None => error,
    }
}

/// Returns a value as TOML, after a check.
fn toml_value(key: &Key, profile: Option<&str>, text: &str) -> Result<String, Error> {
    let mut checked = (key.check)(text);
    if profile.is_some() && key.scope == Scope::Top {
        checked = Err("is for all registries and cannot be set for one".to_owned());
    }
    checked.map_err(|problem| Error::input(format!("`{}` {problem}", key.name)))?;
    Ok(match key.kind {
        // The escapes of JSON are valid in TOML.
        Kind::Text | Kind::Word(_) => serde_json::json!(text).to_string(),
        Kind::Number | Kind::Flag => text.to_owned(),
    })
}

fn not_editable(name: &str) -> Error {
    let problem = "is in a table in braces or with dotted keys: change it in an editor";
    Error::setting(name, problem)
}

/// Where a setting is in the text, as byte ranges.
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
            let found = change(text, profile, name, Some(value)).unwrap();
            assert_eq!(found, after);
            assert_eq!(change(&found, profile, name, Some(value)).unwrap(), after);
        }
    }

    #[test]
    fn a_setting_is_unset_and_its_comment_stays() {
        let text = "# one\ntenant = 'a' # why\n[registry.\"contoso.azurecr.io\"]\ntenant = 'b'\n";
        let top = change(text, None, "tenant", None).unwrap();
        assert_eq!(
            top,
            "# one\n[registry.\"contoso.azurecr.io\"]\ntenant = 'b'\n"
        );
        let profile = change(text, Some("contoso.azurecr.io"), "tenant", None).unwrap();
        assert_eq!(profile, "# one\ntenant = 'a' # why\n");
        let error = change(text, Some("fabrikam.azurecr.io"), "tenant", None).unwrap_err();
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
            assert!(change(text, host, "timeout", Some("9")).is_err(), "{text}");
        }
        let braces = "registry.\"contoso.azurecr.io\" = { tenant = 'a' }\n";
        let error = change(braces, host, "tenant", None).unwrap_err();
        assert!(
            error.to_string().ends_with("change it in an editor"),
            "{error}"
        );
        let dotted = "registry.\"contoso.azurecr.io\".tenant = 'a'\n";
        assert_eq!(change(dotted, host, "tenant", None).unwrap(), "");
        for (profile, name, value, problem) in [
            (
                None,
                "timeuot",
                "9",
                "`timeuot` is not a setting; did you mean `timeout`?",
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
            let error = change("", profile, name, Some(value)).unwrap_err();
            assert_eq!(error.to_string(), problem);
        }
        let error = change("", None, "tenent", None).unwrap_err().to_string();
        assert_eq!(error, "`tenent` is not a setting; did you mean `tenant`?");
        assert!(change("x = ", None, "timeout", Some("9")).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn the_file_is_made_private_and_a_wrong_one_is_not_written() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let settings =
            Settings::read([].into(), None, Some(folder.path().join("config")), None).unwrap();
        let registry = "contoso.azurecr.io";
        let set = |profile, name, value| change_in_file(&settings, profile, name, Some(value));
        let changed = set(Some(registry), "username", "token").unwrap();
        let file = changed.file();
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
        let text = "[registry.\"contoso.azurecr.io\"]\nusername = \"token\"\n";
        assert_eq!(std::fs::read_to_string(file).unwrap(), text);
        let error = set(None, "identity_cloud", "Fabrikam").unwrap_err();
        assert!(
            error.to_string().contains("allowed values are AzureCloud"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(file).unwrap(), text);
        change_in_file(&settings, Some(registry), "username", None).unwrap();
        assert!(!std::fs::read_to_string(file).unwrap().contains("username"));
    }
}
