//! What is to be done to one file of a client.

use super::diff::{masked, unified};
use super::disk::{Found, unusable};
use super::place::Clients;
use super::record::{Deed, Record};
use super::report::{FileReport, Finding};
use super::wire::{Draft, Step};
use crate::error::Error;
use crate::terminal::Mark;

/// Hosts to name or to forget, and whether all hosts are meant too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    pub(super) hosts: &'a [String],
    pub(super) has_all: bool,
}

/// A file as it is and as it will be.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) clients: Clients,
    pub(super) found: Found,
    /// What it will hold; nothing when it will be removed.
    after: Option<String>,
    pub(super) deed: Deed,
    findings: Vec<Finding>,
}

impl Plan {
    /// Names this helper.
    pub(super) fn wire(
        clients: Clients,
        found: Found,
        record: &Record,
        wish: Wish<'_>,
    ) -> Result<Self, Error> {
        let mut deed = record.deed(&found);
        if found.text.is_none() {
            (deed.is_new, deed.folders) = (true, found.missing_folders());
        }
        let broken = |problem: String| broken(&found, &problem);
        let mut draft = Draft::new(found.text.as_deref().unwrap_or_default(), deed.done.clone())
            .map_err(broken)?;
        let mut findings = Vec::new();
        if wish.has_all {
            findings.push(told("every host", &draft.name_for_all().map_err(broken)?));
        }
        for host in wish.hosts {
            findings.push(told(host, &draft.name(host).map_err(broken)?));
        }
        deed.done = draft.done;
        Ok(Self {
            clients,
            after: Some(draft.text),
            deed,
            findings,
            found,
        })
    }

    /// Takes the names of this helper out; without a wish, all that were recorded.
    pub(super) fn unwire(
        clients: Clients,
        found: Found,
        record: &Record,
        wish: Option<Wish<'_>>,
    ) -> Result<Self, Error> {
        let mut deed = record.deed(&found);
        let Some(text) = &found.text else {
            let findings = vec![Finding::new(
                Mark::Good,
                "it does not exist, so nothing is to be undone",
            )];
            return Ok(Self {
                clients,
                after: None,
                deed: Deed::default(),
                findings,
                found,
            });
        };
        let broken = |problem: String| broken(&found, &problem);
        let mut draft = Draft::new(text, deed.done.clone()).map_err(broken)?;
        let recorded: Vec<String> = deed.done.hosts().map(str::to_owned).collect();
        let wish = wish.unwrap_or(Wish {
            hosts: &recorded,
            has_all: deed.done.has_store(),
        });
        let mut findings = Vec::new();
        if wish.has_all {
            findings.push(told("every host", &draft.forget_for_all().map_err(broken)?));
        }
        for host in wish.hosts {
            findings.push(told(host, &draft.forget(host).map_err(broken)?));
        }
        if findings.is_empty() {
            findings.push(Finding::new(
                Mark::Good,
                "nothing was configured here, so nothing is to be undone",
            ));
        }
        let is_hollow = draft.finish();
        // Where nothing was taken out, somebody else has written what is there.
        let is_gone = is_hollow && deed.is_new && draft.done.is_empty() && draft.text != *text;
        deed.done = draft.done;
        Ok(Self {
            clients,
            after: (!is_gone).then_some(draft.text),
            deed,
            findings,
            found,
        })
    }

    /// Whether the file will be another one.
    pub(super) fn is_change(&self) -> bool {
        self.after != self.found.text
    }

    /// The text as it will be.
    pub(super) fn text(&self) -> &str {
        self.after.as_deref().unwrap_or_default()
    }

    /// Does it.
    pub(super) fn carry_out(&self) -> Result<(), Error> {
        self.found
            .become_text(self.after.as_deref(), &self.deed.folders)
    }

    /// Undoes it as far as it was done, since something else could not be.
    pub(super) fn take_back(&self) {
        self.found
            .take_back(self.after.as_deref(), &self.deed.folders);
    }

    /// What was done, with the diff if it is wanted.
    pub(super) fn report(&self, has_diff: bool) -> FileReport {
        let path = self.found.path.display().to_string();
        let masked = |text: &Option<String>| text.as_deref().map(masked);
        let (before, after) = (masked(&self.found.text), masked(&self.after));
        let diff = (has_diff && self.is_change())
            .then(|| unified(&path, before.as_deref(), after.as_deref()));
        FileReport {
            path,
            clients: self.clients.word(),
            is_changed: self.is_change(),
            diff,
            findings: self.findings.clone(),
        }
    }
}

/// A file that is not rewritten, because what it means is not clear.
fn broken(found: &Found, problem: &str) -> Error {
    unusable(&found.path, format!("was left as it is, since {problem}"))
}

/// A step in words.
fn told(host: &str, step: &Step) -> Finding {
    let program = |name: &String| format!("`docker-credential-{name}`");
    match step {
        Step::Already => Finding::new(Mark::Good, format!("{host}: this helper is named already")),
        Step::Made => Finding::new(Mark::Good, format!("{host}: this helper is named")),
        Step::Replaced(name) if host == "every host" => Finding::new(
            Mark::Good,
            format!(
                "{host}: this helper is named, and passes other hosts on to {}",
                program(name)
            ),
        ),
        Step::Replaced(name) => Finding::new(
            Mark::Warning,
            format!("{host}: this helper is named in place of {}", program(name)),
        )
        .hint(format!(
            "`{} configure --remove {host}` puts it back",
            env!("CARGO_PKG_NAME")
        )),
        Step::Removed => Finding::new(
            Mark::Good,
            format!("{host}: this helper is no longer named"),
        ),
        Step::Restored(name) => Finding::new(
            Mark::Good,
            format!("{host}: {} is named again", program(name)),
        ),
        Step::Left(name) => Finding::new(
            Mark::Warning,
            format!(
                "{host}: {} is named by now, which somebody else wrote: it was left",
                program(name)
            ),
        ),
        Step::Missing => Finding::new(Mark::Good, format!("{host}: this helper is not named")),
    }
}
