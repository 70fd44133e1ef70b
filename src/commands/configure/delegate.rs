//! The former helper for all hosts, kept as `delegate` in the config file of this helper.

use super::diff::unified;
use super::disk::{Found, unusable};
use super::record::{Deed, Record};
use super::report::{FileReport, Finding};
use crate::config::{Origin, Settings};
use crate::error::Error;
use crate::terminal::Mark;

/// An edit of the config file.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) found: Found,
    /// What it will hold; nothing when it will not be there.
    after: Option<String>,
    pub(super) deed: Deed,
}

impl Edit {
    /// What was done to it, with the diff if it is wanted.
    pub(super) fn report(&self, has_diff: bool) -> FileReport {
        let path = self.found.path.display().to_string();
        let is_changed = self.found.text != self.after;
        let text = match (&self.deed.line, is_changed) {
            (Some(line), _) => format!("`{}` is the first line", line.trim_end()),
            (None, true) => "the line of `delegate` is taken out".into(),
            (None, false) => {
                "the line of `delegate` is there no longer: nothing was taken out".into()
            }
        };
        let diff = (has_diff && is_changed)
            .then(|| unified(&path, self.found.text.as_deref(), self.after.as_deref()));
        FileReport {
            path,
            clients: "this helper",
            is_changed,
            diff,
            findings: vec![Finding::new(Mark::Good, text)],
        }
    }

    /// Does it.
    pub(super) fn carry_out(&self) -> Result<(), Error> {
        self.found
            .become_text(self.after.as_deref(), &self.deed.folders)
    }

    /// Undoes it as far as it was done.
    pub(super) fn take_back(&self) {
        self.found
            .take_back(self.after.as_deref(), &self.deed.folders);
    }
}

/// The line that makes `store` the delegate; none when it is the delegate already. Errors when another one is, unless that is the work
/// of this command: of two helpers for other hosts only one can be asked.
pub(super) fn keep(
    settings: &Settings,
    record: &Record,
    store: &str,
) -> Result<Option<Edit>, Error> {
    let found = Found::read(settings.file())?;
    let mut deed = record.deed(&found);
    let text = found.text.clone().unwrap_or_default();
    let former = deed.line.as_ref().and_then(|line| without(&text, line));
    if let Some(delegate) = settings.delegate()? {
        let is_in_file = !matches!(delegate.origin, Origin::Variable(_));
        if delegate.name == store && is_in_file {
            return Ok(None);
        }
        if former.is_none() || !is_in_file {
            let problem = format!(
                "is `{}` by {}, and docker's `credsStore` is `{store}`: take one of them out, since one helper alone can be asked for \
                 other hosts",
                delegate.name, delegate.origin
            );
            return Err(Error::setting("delegate", problem));
        }
    }
    let text = former.unwrap_or(text);
    let (mark, rest) = text
        .strip_prefix('\u{feff}')
        .map_or(("", text.as_str()), |rest| ("\u{feff}", rest));
    let newline = if rest.contains("\r\n") { "\r\n" } else { "\n" };
    let line = format!("delegate = {store:?}{newline}");
    let edited = format!("{mark}{line}{rest}");
    let kept = settings.with_text(&edited)?.delegate()?;
    if kept.is_none_or(|delegate| delegate.name != store) {
        return Err(unusable(
            settings.file(),
            format!("cannot hold `{store}` as the delegate"),
        ));
    }
    if found.text.is_none() {
        (deed.is_new, deed.folders) = (true, found.missing_folders());
    }
    deed.line = Some(line);
    Ok(Some(Edit {
        found,
        after: Some(edited),
        deed,
    }))
}

/// Takes the line out again that was put in; the file too, when it was made for that alone.
pub(super) fn forget(settings: &Settings, record: &Record) -> Result<Option<Edit>, Error> {
    if settings.file().as_os_str().is_empty() {
        return Ok(None);
    }
    let found = Found::read(settings.file())?;
    let mut deed = record.deed(&found);
    let Some(line) = deed.line.take() else {
        return Ok(None);
    };
    let text = found.text.as_deref().unwrap_or_default();
    let after = match without(text, &line) {
        Some(rest) => {
            settings.with_text(&rest)?;
            Some(rest).filter(|rest| !(deed.is_new && rest.is_empty()))
        }
        None => found.text.clone(),
    };
    Ok(Some(Edit { found, after, deed }))
}

/// The text without this line; none when it is not there.
fn without(text: &str, line: &str) -> Option<String> {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    let mut starts = starts.map(|at| {
        if text[at..].starts_with('\u{feff}') {
            at + '\u{feff}'.len_utf8()
        } else {
            at
        }
    });
    let at = starts.find(|at| text[*at..].starts_with(line))?;
    Some(format!("{}{}", &text[..at], &text[at + line.len()..]))
}
