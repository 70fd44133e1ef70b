//! What a run asked of the kernel, recorded by strace(1).

use super::{Answer, Home, LIMIT, run};
use std::path::Path;
use std::process::Command;

/// The system calls of one run and of the processes it started.
pub(crate) struct Trace {
    lines: Vec<String>,
}

impl Trace {
    /// Runs the command with this action, recorded.
    pub(crate) fn of(home: &Home, command: &Command, action: &str, stdin: &str) -> (Answer, Self) {
        let log = home.path("trace");
        let mut strace = Command::new("strace");
        strace.arg("-f").arg("-o").arg(&log).arg("--").arg(command.get_program()).arg(action).env_clear();
        strace.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let answer = run(strace, stdin, LIMIT);
        (answer, Self::read(&log))
    }

    /// What `strace -f -o` wrote.
    pub(crate) fn read(log: &Path) -> Self {
        Self { lines: std::fs::read_to_string(log).expect("a trace").lines().map(str::to_owned).collect() }
    }

    /// The lines of these system calls.
    pub(crate) fn calls(&self, names: &[&str]) -> Vec<&str> {
        let lines = self.lines.iter().map(String::as_str);
        lines.filter(|line| names.iter().any(|name| line.contains(&format!(" {name}(")))).collect()
    }

    /// Files opened besides the program's own libraries and what Rust's runtime reads about its stack.
    pub(crate) fn opened(&self) -> Vec<&str> {
        let quiet = ["/etc/ld.so", "/lib/", "/lib64/", "/usr/lib/", "/proc/self/maps"];
        let opened = self.calls(&["open", "openat"]).into_iter();
        opened.filter(|line| !quiet.iter().any(|path| line.contains(&format!("\"{path}")))).collect()
    }
}
