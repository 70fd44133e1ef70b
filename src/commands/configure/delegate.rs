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
    pub(super) text: String,
    pub(super) deed: Deed,
}

impl Edit {
    /// What was done to it, with the diff if it is wanted.
    pub(super) fn report(&self, has_diff: bool) -> FileReport {
        let path = self.found.path.display().to_string();
        let after = (!self.is_gone()).then_some(self.text.as_str());
        let is_changed = self.found.text.as_deref() != after;
        let text = match (&self.deed.line, is_changed) {
            (Some(line), _) => format!("`{}` is the first line", line.trim_end()),
            (None, true) => "the line of `delegate` is taken out".into(),
            (None, false) => "the line of `delegate` is there no longer: nothing was taken out".into(),
        };
        let diff = (has_diff && is_changed).then(|| unified(&path, self.found.text.as_deref(), after));
        FileReport { path, clients: "this helper", is_changed, diff, findings: vec![Finding::new(Mark::Good, text)] }
    }

    /// Undoes it as far as it was done.
    pub(super) fn take_back(&self) {
        let now = Found::read(&self.found.path).ok().filter(|now| now.text.as_ref() == Some(&self.text));
        match (now, &self.found.text) {
            (Some(now), Some(text)) => drop(now.write(text)),
            (Some(now), None) => drop(now.remove(&self.deed.folders)),
            (None, _) => (),
        }
    }

    fn is_gone(&self) -> bool {
        self.deed.line.is_none() && self.deed.is_new && self.text.is_empty()
    }

    /// Writes the file, or removes it when it was made for the line alone.
    pub(super) fn write(&self) -> Result<(), Error> {
        if self.is_gone() {
            return self.found.remove(&self.deed.folders);
        }
        if self.found.text.as_deref() == Some(&self.text) { Ok(()) } else { self.found.write(&self.text) }
    }
}

/// The line that makes `store` the delegate; none when it is the delegate already. Errors when another one is: of two helpers for other
/// hosts only one can be asked.
pub(super) fn keep(settings: &Settings, record: &Record, store: &str) -> Result<Option<Edit>, Error> {
    if let Some(delegate) = settings.delegate()? {
        if delegate.name == store && !matches!(delegate.origin, Origin::Variable(_)) {
            return Ok(None);
        }
        return Err(Error::Setting {
            name: "delegate".into(),
            problem: format!(
                "is `{}` by {}, and docker's `credsStore` is `{store}`: take one of them out, since one helper alone can be asked for \
                 other hosts",
                delegate.name, delegate.origin
            ),
        });
    }
    let found = Found::read(settings.file())?;
    let mut deed = record.deed(&found);
    let text = found.text.clone().unwrap_or_default();
    let (mark, rest) = text.strip_prefix('\u{feff}').map_or(("", text.as_str()), |rest| ("\u{feff}", rest));
    let newline = if rest.contains("\r\n") { "\r\n" } else { "\n" };
    let line = format!("delegate = {store:?}{newline}");
    let edited = format!("{mark}{line}{rest}");
    let kept = settings.with_text(&edited)?.delegate()?;
    if kept.is_none_or(|delegate| delegate.name != store) {
        return Err(unusable(settings.file(), format!("cannot hold `{store}` as the delegate")));
    }
    if found.text.is_none() {
        (deed.is_new, deed.folders) = (true, found.missing_folders());
    }
    deed.line = Some(line);
    Ok(Some(Edit { found, text: edited, deed }))
}

/// Takes the line out again that was put in; nothing when it is there no longer.
pub(super) fn forget(settings: &Settings, record: &Record) -> Result<Option<Edit>, Error> {
    if settings.file().as_os_str().is_empty() {
        return Ok(None);
    }
    let found = Found::read(settings.file())?;
    let mut deed = record.deed(&found);
    let (Some(line), Some(text)) = (deed.line.take(), &found.text) else { return Ok(None) };
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    let at =
        starts.map(|at| if text[at..].starts_with('\u{feff}') { at + 3 } else { at }).find(|at| text[*at..].starts_with(&line));
    let text = match at {
        Some(at) => format!("{}{}", &text[..at], &text[at + line.len()..]),
        None => text.clone(),
    };
    settings.with_text(&text)?;
    Ok(Some(Edit { found, text, deed }))
}
