//! A shell in which lines are typed.

use crate::support::golden::{Golden, noon, transcript};
use crate::support::{Answer, Home, LIMIT, connect, identify, run, world};
use simulator::Simulator;
use std::process::Command;

/// Somebody's folders, a simulated Azure in which they are a service principal, and no keyring.
pub(crate) struct Shell {
    pub(crate) home: Home,
    pub(crate) simulator: Simulator,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let (home, simulator) = world();
        Self { home, simulator }
    }

    /// A shell with one line. The files of clients are where they look for them, and no client is there but what a test puts in place.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = self.home.command("/bin/sh");
        identify(connect(&mut command, &self.simulator), &self.simulator);
        command
            .env_remove("DOCKER_CONFIG")
            .env_remove("REGISTRY_AUTH_FILE");
        command
            .env("PATH", self.home.path("bin"))
            .env("TZ", noon())
            .args(["-c", line]);
        command
    }

    /// Types a line and compares what is said.
    pub(crate) fn keep(&self, golden: &mut Golden, name: &str, line: &str) -> Answer {
        let answer = run(self.command(line), "", LIMIT);
        golden.keep(
            name,
            &transcript(line, &answer, &self.home, &self.simulator),
        );
        answer
    }
}

/// What is wrong before a line is typed.
pub(crate) type Prepare = fn(&Shell);

/// Types every line in a new world, and compares all before it fails: name, what is wrong, line.
#[track_caller]
pub(crate) fn hold(rows: &[(&str, Prepare, &str)]) {
    let mut golden = Golden::of("transcripts");
    for (name, prepare, line) in rows {
        let shell = Shell::new();
        prepare(&shell);
        shell.keep(&mut golden, name, line);
    }
    golden.finish();
}

/// Nothing is wrong.
pub(crate) fn nothing(_: &Shell) {}
