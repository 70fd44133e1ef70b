//! The former helper for all hosts, as `delegate` in the config file of this helper.

use super::file::{FileSnapshot, unusable};
use super::plan::Plan;
use super::state::{FileRecord, State};
use crate::commands::report::Check;
use crate::config::{Origin, Settings};
use crate::error::Error;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The key in the record of the line that was added.
const DELEGATE: &str = "delegate";

/// Plans to add the line that makes `store` the delegate, unless the config file names it already.
///
/// # Errors
///
/// When another delegate is set, and not by this command: only one helper can be asked for other hosts.
pub(super) fn install(
    settings: &Settings,
    state: &State,
    store: &str,
) -> Result<Option<Plan>, Error> {
    let before = FileSnapshot::read(settings.file())?;
    let mut record = state.record(&before);
    let text = before.text.clone().unwrap_or_default();
    let line = record.previous.remove(DELEGATE).flatten();
    let without_ours = line.and_then(|line| remove_line(&text, &line));
    if let Some(delegate) = settings.delegate()? {
        let is_variable = matches!(delegate.origin, Origin::Variable(_));
        if delegate.value == store && !is_variable {
            return Ok(None);
        }
        if is_variable || without_ours.is_none() {
            let (name, origin) = (delegate.value, delegate.origin);
            let problem = format!(
                "is `{name}` by {origin}, and docker's `credsStore` is `{store}`: remove one of them, since only one helper can be \
                 asked for other hosts"
            );
            return Err(Error::setting(DELEGATE, problem));
        }
    }
    let mut text = without_ours.unwrap_or(text);
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let line = format!("{DELEGATE} = {store:?}{newline}");
    let start = text.len() - text.trim_start_matches(BYTE_ORDER_MARK).len();
    text.insert_str(start, &line);
    let delegate = settings.with_text(&text)?.delegate()?;
    if delegate.is_none_or(|delegate| delegate.value != store) {
        let problem = format!("cannot hold `{store}` as the delegate");
        return Err(unusable(settings.file(), problem));
    }
    let summary = format!("`{}` is the first line", line.trim_end());
    record.previous.insert(DELEGATE.into(), Some(line));
    Ok(Some(plan(before, Some(text), record, summary)))
}

/// Plans to remove the line that was added, and the file if it was created for that alone.
///
/// # Errors
///
/// When the config file could not be used without the line.
pub(super) fn remove(settings: &Settings, state: &State) -> Result<Option<Plan>, Error> {
    let before = FileSnapshot::read(settings.file())?;
    let mut record = state.record(&before);
    let Some(line) = record.previous.remove(DELEGATE).flatten() else {
        return Ok(None);
    };
    let text = before.text.clone().unwrap_or_default();
    let rest = remove_line(&text, &line).unwrap_or(text);
    settings.with_text(&rest)?;
    let after = Some(rest).filter(|rest| !(record.is_of_new_file() && rest.is_empty()));
    let summary = "the line of `delegate` is removed".to_owned();
    Ok(Some(plan(before, after, record, summary)))
}

fn plan(before: FileSnapshot, after: Option<String>, record: FileRecord, summary: String) -> Plan {
    let checks = vec![Check::good("", summary)];
    Plan::new("this helper".into(), before, after, record, checks)
}

/// Returns the text without this line; none if it does not have the line.
fn remove_line(text: &str, line: &str) -> Option<String> {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_line = |other: &&str| other.trim_start_matches(BYTE_ORDER_MARK) == line;
    let at = lines.iter().position(is_line)?;
    lines[at] = &lines[at][..lines[at].len() - line.len()];
    Some(lines.concat())
}
