//! The former default credential store, as `delegate` in the config file of this helper.

use super::changes::Change;
use super::file::{FileEdit, FileSnapshot, unusable};
use super::state::State;
use crate::config::{Origin, Settings, Value};
use crate::error::Error;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The setting, and the key in the record of the line that was added.
pub(super) const DELEGATE: &str = "delegate";

/// Plans to make `store` the delegate by a line in the config file, or to remove that line; none if there is nothing to do.
///
/// # Errors
///
/// When another delegate is set, and not by this command: only one helper can be asked for other registries. When the config file could
/// not be used then.
pub(super) fn edit(
    settings: &Settings,
    state: &mut State,
    store: Option<&str>,
) -> Result<Option<(FileEdit, Change)>, Error> {
    let before = FileSnapshot::read(settings.file())?;
    let mut record = state.record(&before);
    let text = before.text.clone().unwrap_or_default();
    let line = record.previous.remove(DELEGATE).flatten();
    if line.is_none() && store.is_none() {
        return Ok(None);
    }
    let without_ours = line.and_then(|line| remove_line(&text, &line));
    let delegate = settings.delegate()?;
    if let (Some(delegate), Some(store)) = (&delegate, store) {
        let is_variable = matches!(delegate.origin, Origin::Variable(_));
        if delegate.value == store && !is_variable {
            return Ok(None);
        }
        if is_variable || without_ours.is_none() {
            return Err(conflict(delegate, store));
        }
    }
    let mut text = without_ours.unwrap_or(text);
    if let Some(store) = store {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let line = format!("{DELEGATE} = {store:?}{newline}");
        let start = text.len() - text.trim_start_matches(BYTE_ORDER_MARK).len();
        text.insert_str(start, &line);
        record.previous.insert(DELEGATE.into(), Some(line));
    }
    let planned = settings.with_text(&text)?.delegate()?;
    let planned = planned.map(|delegate| delegate.value);
    if store.is_some() && planned.as_deref() != store {
        let problem = format!(
            "cannot hold `{}` as the delegate",
            store.unwrap_or_default()
        );
        return Err(unusable(settings.file(), problem));
    }
    let change = Change {
        path: before.path.display().to_string(),
        target: DELEGATE.into(),
        before: delegate.map(|delegate| delegate.value),
        after: planned,
    };
    let folders = record.created.clone();
    let edit = FileEdit {
        after: Some(text).filter(|text| folders.is_empty() || !text.is_empty()),
        folders,
        before,
    };
    state.set(&edit.before, record);
    Ok(Some((edit, change)))
}

/// Returns the error that another delegate is set than the default credential store in Docker's file.
fn conflict(delegate: &Value<String>, store: &str) -> Error {
    let (name, origin) = (&delegate.value, &delegate.origin);
    let problem = format!("is `{name}` by {origin}, but docker's `credsStore` is `{store}`");
    let hint = "remove one of them: only one helper can be asked for other registries";
    Error::setting(DELEGATE, problem).with_hint(hint)
}

/// Returns the text without this line; none if it does not have the line.
fn remove_line(text: &str, line: &str) -> Option<String> {
    let (start, end) = text.split_once(line)?;
    let is_whole = start.trim_start_matches(BYTE_ORDER_MARK).is_empty() || start.ends_with('\n');
    is_whole.then(|| format!("{start}{end}"))
}
