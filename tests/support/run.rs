//! Running a command to its end, but not longer than it should take.

use std::io::Write as _;
use std::panic::resume_unwind;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long one command may take before the test ends it and fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// What a command said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The command as it was typed.
    pub(crate) command: String,
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Everything on stdout.
    pub(crate) stdout: String,
    /// Everything on stderr.
    pub(crate) stderr: String,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Answer {
    /// The exit code; a command ended by a signal has none and fails the test.
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| panic!("no exit code: {self:#?}"))
    }

    /// Itself, if the command succeeded.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert!(
            self.status.success(),
            "{} should succeed:\n{}",
            self.command,
            self.text()
        );
        self
    }

    /// Itself, if the command failed by itself, not by a signal.
    #[track_caller]
    pub(crate) fn fails(self) -> Self {
        assert!(
            self.code() != 0,
            "{} should fail:\n{}",
            self.command,
            self.text()
        );
        self
    }

    /// Both outputs.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The JSON on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in the stdout of {self:#?}"))
    }

    /// The secret of a successful `get`.
    #[track_caller]
    pub(crate) fn secret(&self) -> String {
        assert_eq!(self.code(), 0, "{self:#?}");
        self.json()["Secret"]
            .as_str()
            .unwrap_or_else(|| panic!("no secret in {self:#?}"))
            .to_owned()
    }
}

/// Runs a command to its end, in a process group of its own which is ended if it takes longer than `limit`.
pub(crate) fn run(mut command: Command, stdin: &str, limit: Duration) -> Answer {
    let typed = typed(&command);
    let started = Instant::now();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{typed}: {error}"));
    #[cfg(unix)]
    let group = rustix::process::Pid::from_child(&child);
    let (tell, told) = mpsc::channel();
    let stdin = stdin.to_owned();
    thread::spawn(move || {
        // A child that does not read its stdin is fine.
        let _ = child
            .stdin
            .take()
            .expect("piped")
            .write_all(stdin.as_bytes());
        let _ = tell.send(child.wait_with_output());
    });
    let Ok(output) = told.recv_timeout(limit) else {
        #[cfg(unix)]
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let output = told.recv_timeout(Duration::from_secs(5));
        panic!("{typed} was still running after {limit:?}: {output:?}");
    };
    let output = output.expect("the output of a child of ours");
    Answer {
        command: typed,
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: started.elapsed(),
    }
}

/// The command's words, without its environment.
fn typed(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(std::ffi::OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Asks again until there is an answer; fails the test after half a minute.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(Instant::now() < deadline, "no {what} within half a minute");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Calls a function for each row, four at a time, since most calls wait for another process or for a timeout. Other tests run beside.
pub(crate) fn in_parallel<R: Sync, T: Send>(rows: &[R], call: impl Fn(&R) -> T + Sync) -> Vec<T> {
    in_parallel_by(4, rows.len(), |number| call(&rows[number]))
}

/// Makes the calls 0 to `count`, up to `at_once` at a time, and returns the answers in the order of the calls.
pub(crate) fn in_parallel_by<T: Send>(
    at_once: usize,
    count: usize,
    call: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let numbers = numbers.take_while(|number| *number < count);
        numbers
            .map(|number| (number, call(number)))
            .collect::<Vec<_>>()
    };
    let mut answers: Vec<(usize, T)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once.min(count))
            .map(|_| scope.spawn(worker))
            .collect();
        let answers = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        answers.collect()
    });
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
