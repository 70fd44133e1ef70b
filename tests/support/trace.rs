//! What a run asked of the kernel, recorded by strace(1).

use super::{Answer, Home, LIMIT, run, wrap};
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
        let mut strace = wrap(
            &["strace", "-f", "-o", log.to_str().expect("UTF-8"), "--"],
            command,
        );
        strace.arg(action);
        let answer = run(strace, stdin, LIMIT);
        (answer, Self::read(&log))
    }

    /// What `strace -f -o` wrote.
    pub(crate) fn read(log: &Path) -> Self {
        Self {
            lines: std::fs::read_to_string(log)
                .expect("a trace")
                .lines()
                .map(as_of_glibc)
                .collect(),
        }
    }

    /// The lines of these system calls.
    pub(crate) fn calls(&self, names: &[&str]) -> Vec<&str> {
        let lines = self.lines.iter().map(String::as_str);
        lines
            .filter(|line| names.iter().any(|name| line.contains(&format!(" {name}("))))
            .collect()
    }

    /// Files opened besides the program's own libraries and what Rust's runtime reads about its stack.
    pub(crate) fn opened(&self) -> Vec<&str> {
        let quiet = [
            "/etc/ld.so",
            "/lib/",
            "/lib64/",
            "/usr/lib/",
            "/proc/self/maps",
        ];
        let opened = self.calls(&["open", "openat"]).into_iter();
        opened
            .filter(|line| !quiet.iter().any(|path| line.contains(&format!("\"{path}"))))
            .collect()
    }
}

/// A line as strace writes it of a program with glibc: musl calls open(2) with `O_LARGEFILE` instead of openat(2). Letters beyond ASCII, of
/// which strace writes the octal digits of their bytes, are spelt out.
fn as_of_glibc(line: &str) -> String {
    let line = line
        .replace(" open(", " openat(AT_FDCWD, ")
        .replace("|O_LARGEFILE", "");
    let mut pieces = line.split('\\');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let octal = piece
            .get(..3)
            .and_then(|digits| Some((u8::from_str_radix(digits, 8).ok()?, &piece[3..])));
        let (byte, rest) = octal.unwrap_or((b'\\', piece));
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
