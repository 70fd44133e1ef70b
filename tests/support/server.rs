//! Programs that run in the background of a test and end with it.

use super::until;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Gives a command its own mounts and processes: what it leaves in the system's folders is gone with it, and everything it
/// starts ends when it ends, or when the test does. Needs root.
pub(crate) const CONTAINED: [&str; 11] = [
    "setpriv",
    "--pdeathsig=KILL",
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
    "sh",
    "-ec",
    r#"for folder in /run /dev/shm /var/lib /etc/docker; do [ ! -d $folder ] || mount -t tmpfs none $folder; done; exec "$0" "$@""#,
];

/// A running server; dropping it ends it and all that it started.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a command whose output goes to the file `log`.
    pub(crate) fn start(command: &mut Command, log: PathBuf) -> Self {
        let out = File::create(&log).expect("our folder");
        let err = out.try_clone().expect("an open file");
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log }
    }

    /// Asks again until the server is ready; fails the test with its log if it has ended.
    #[track_caller]
    pub(crate) fn when<T>(&mut self, what: &str, mut question: impl FnMut(&str) -> Option<T>) -> T {
        until(what, || {
            let log = self.log();
            assert!(
                self.child.try_wait().expect("our child").is_none(),
                "it ended: {log}"
            );
            question(&log)
        })
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process.
    pub(crate) fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `unshare` ends after its child, and reaps it; ending `unshare` first would leave a zombie behind.
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let inner = children
            .split_whitespace()
            .find_map(|id| Pid::from_raw(id.parse().ok()?));
        if inner.is_none_or(|inner| kill_process(inner, Signal::KILL).is_err()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
