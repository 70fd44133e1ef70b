//! The former helper for all hosts, as `delegate` in the config file of this helper.

use super::file::{FileSnapshot, unusable};
use super::plan::Plan;
use super::state::{FileRecord, State};
use crate::commands::report::Check;
use crate::config::{Origin, Settings};
use crate::error::Error;
use crate::terminal::Mark;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Plans to add the line that makes `store` the delegate, unless it is the delegate already.
///
/// # Errors
///
/// When another delegate is set, unless this command has set it: only one helper can be asked for other hosts.
pub(super) fn install(
    settings: &Settings,
    state: &State,
    store: &str,
) -> Result<Option<Plan>, Error> {
    let before = FileSnapshot::read(settings.file())?;
    let mut record = state.record(&before);
    let text = before.text.clone().unwrap_or_default();
    let line = record.line.as_ref();
    let without_ours = line.and_then(|line| remove_line(&text, line));
    if let Some(delegate) = settings.delegate()? {
        let is_in_file = !matches!(delegate.origin, Origin::Variable(_));
        if delegate.value == store && is_in_file {
            return Ok(None);
        }
        if without_ours.is_none() || !is_in_file {
            let (name, origin) = (delegate.value, delegate.origin);
            let problem = format!(
                "is `{name}` by {origin}, and docker's `credsStore` is `{store}`: take one of them out, since one helper alone can be \
                 asked for other hosts"
            );
            return Err(Error::setting("delegate", problem));
        }
    }
    let text = without_ours.unwrap_or(text);
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let line = format!("delegate = {store:?}{newline}");
    let start = text.len() - text.trim_start_matches(BYTE_ORDER_MARK).len();
    let edited = format!("{}{line}{}", &text[..start], &text[start..]);
    let delegate = settings.with_text(&edited)?.delegate()?;
    if delegate.is_none_or(|delegate| delegate.value != store) {
        let problem = format!("cannot hold `{store}` as the delegate");
        return Err(unusable(settings.file(), problem));
    }
    record.note_missing(&before);
    let summary = format!("`{}` is the first line", line.trim_end());
    record.line = Some(line);
    Ok(Some(plan(before, Some(edited), record, summary)))
}

/// Plans to remove the line that was added, and the file if it was created for that alone.
///
/// # Errors
///
/// When the config file could not be used without the line.
pub(super) fn remove(settings: &Settings, state: &State) -> Result<Option<Plan>, Error> {
    if settings.file().as_os_str().is_empty() {
        return Ok(None);
    }
    let before = FileSnapshot::read(settings.file())?;
    let mut record = state.record(&before);
    let Some(line) = record.line.take() else {
        return Ok(None);
    };
    let text = before.text.as_deref().unwrap_or_default();
    let Some(rest) = remove_line(text, &line) else {
        let summary = "the line of `delegate` is there no longer: nothing was taken out";
        let after = before.text.clone();
        return Ok(Some(plan(before, after, record, summary.into())));
    };
    settings.with_text(&rest)?;
    let after = Some(rest).filter(|rest| !(record.is_new && rest.is_empty()));
    let summary = "the line of `delegate` is taken out".into();
    Ok(Some(plan(before, after, record, summary)))
}

fn plan(before: FileSnapshot, after: Option<String>, record: FileRecord, summary: String) -> Plan {
    let checks = vec![Check::unnamed(Mark::Good, summary)];
    Plan::from_texts("this helper".into(), before, after, record, checks)
}

/// Returns the text without this line; none if it does not have the line.
fn remove_line(text: &str, line: &str) -> Option<String> {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let is_line = |other: &&str| other.trim_start_matches(BYTE_ORDER_MARK) == line;
    let at = lines.iter().position(is_line)?;
    lines[at] = &lines[at][..lines[at].len() - line.len()];
    Some(lines.concat())
}
