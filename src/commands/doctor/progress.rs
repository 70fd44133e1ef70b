//! The checks that are done, and the steps that run: shown on a terminal, and kept if the user interrupts them.

use crate::commands::Context;
use crate::commands::report::Check;
use crate::config::Log;
use crate::text::Secrets;
use std::cell::RefCell;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A step that is done sooner is not shown.
const INTERVAL: Duration = Duration::from_millis(500);

/// A log line is at least as long, and covers the progress line.
const MAX_COLUMNS: usize = 34;

/// All checks so far. Their texts are shown without these secrets: a server may repeat what it was sent.
pub(super) struct Progress<'a> {
    context: &'a Context<'a>,
    is_shown: bool,
    done: RefCell<Vec<Check>>,
    running: RefCell<Vec<(&'static str, Instant)>>,
    secrets: RefCell<Secrets>,
}

impl<'a> Progress<'a> {
    /// Starts without checks. Progress is shown if stderr is a terminal on which no log is written.
    pub(super) fn new(context: &'a Context<'a>, is_quiet: bool) -> Self {
        let has_log = context.settings.log().is_ok_and(|log| log != Log::Warn);
        Self {
            context,
            is_shown: context.is_stderr_terminal && !is_quiet && !has_log,
            done: RefCell::default(),
            running: RefCell::default(),
            secrets: RefCell::default(),
        }
    }

    /// Sets the list of secrets. Those that are added to it later count, too.
    pub(super) fn redact(&self, secrets: Secrets) {
        self.secrets.replace(secrets);
    }

    /// Adds checks that are done, and returns whether none of them failed.
    pub(super) fn add(&self, checks: impl IntoIterator<Item = Check>) -> bool {
        let checks: Vec<Check> = checks.into_iter().collect();
        let is_ok = !checks.iter().any(Check::is_bad);
        self.done.borrow_mut().extend(checks);
        is_ok
    }

    /// Makes the checks of a step, and returns whether none of them failed.
    pub(super) async fn step(
        &self,
        title: &'static str,
        checks: impl Future<Output = Vec<Check>>,
    ) -> bool {
        self.running.borrow_mut().push((title, Instant::now()));
        let checks = checks.await;
        self.running
            .borrow_mut()
            .retain(|(other, _)| *other != title);
        self.add(checks)
    }

    /// Shows the step that has run longest, and its seconds, while `work` is done.
    pub(super) async fn show_during<T>(&self, work: impl Future<Output = T>) -> T {
        let show = async {
            loop {
                sleep(INTERVAL).await;
                self.draw();
            }
        };
        tokio::select! {
            biased;
            result = work => result,
            () = show => unreachable!("it is shown until the work is done"),
        }
    }

    fn draw(&self) {
        let running = self.running.borrow();
        let Some((title, started)) = running.first().filter(|_| self.is_shown) else {
            return;
        };
        let (ellipsis, seconds) = (
            self.context.terminal.ellipsis(),
            started.elapsed().as_secs(),
        );
        let line = format!("Checking: {title} {ellipsis} {seconds} s");
        let line: String = line.chars().take(MAX_COLUMNS).collect();
        // The cursor returns to the start, so that a warning of the log covers this line.
        (self.context.print_error)(&format!("\r\x1b[K{line}\r"));
    }

    /// Clears the line, and returns the checks that are done.
    pub(super) fn finish(self) -> Vec<Check> {
        if self.is_shown {
            (self.context.print_error)("\r\x1b[K");
        }
        let redactor = self.secrets.into_inner().redactor();
        let checks = self.done.into_inner().into_iter();
        checks
            .map(|check| check.map(|text| redactor.redact(&text)))
            .collect()
    }
}
