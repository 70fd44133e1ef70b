//! A system of its own: a folder that is the root of what runs in it.

use crate::support::{Answer, Home, LIMIT, REGISTRY, ZERO_GUID, connect, identify, run};
use simulator::{Endpoint, Settings, Simulator};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = "/usr/bin/docker-credential-acrscoped";

/// The root of a system.
pub(crate) struct Root {
    pub(crate) home: Home,
}

impl Root {
    /// One in which there is nothing at all.
    pub(crate) fn empty() -> Self {
        let root = Self { home: Home::new() };
        std::fs::create_dir(root.folder()).expect("our folder");
        root
    }

    /// A Debian as it is installed at the least, with apt.
    pub(crate) fn debian() -> Self {
        let root = Self::empty();
        let archive = cache().join("debian-root.tar");
        assert!(
            archive.exists(),
            "{} is missing: run tests/setup",
            archive.display()
        );
        let mut tar = root.home.command("tar");
        tar.arg("--extract")
            .arg("--file")
            .arg(archive)
            .arg("--directory")
            .arg(root.folder());
        run(tar, "", LIMIT).succeeds();
        root
    }

    /// Where it is on this machine.
    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path("root")
    }

    /// A place in it, `/usr/bin`, on this machine.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        self.folder().join(path.trim_start_matches('/'))
    }

    /// Copies a file of this machine into it.
    pub(crate) fn bring(&self, file: &Path, name: &str) {
        std::fs::copy(file, self.outside(name)).expect("our folder");
    }

    /// A program in it, as root.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(self.folder()).arg(program);
        command
            .env_clear()
            .current_dir("/")
            .env("HOME", "/root")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C.UTF-8");
        command
    }

    /// Runs a program in it; words are divided at spaces.
    pub(crate) fn run(&self, line: &str) -> Answer {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().expect("a program"));
        command.args(words);
        run(command, "", LIMIT)
    }

    /// Every file and folder in it, below none of these folders.
    pub(crate) fn contents(&self, passed_over: &[&str]) -> BTreeSet<String> {
        let mut find = self.home.command("find");
        find.arg(self.folder())
            .args(["-mindepth", "1", "-printf", "%P\n"]);
        let found = run(find, "", LIMIT).succeeds();
        let ours = |path: &&str| {
            !passed_over
                .iter()
                .any(|folder| Path::new(path).starts_with(folder))
        };
        found
            .stdout
            .lines()
            .filter(ours)
            .map(str::to_owned)
            .collect()
    }

    /// Proves that the installed program signs in and exchanges: a cold `get`.
    #[track_caller]
    pub(crate) fn signs_in(&self) {
        let simulator = Simulator::start(Settings::default()).expect("a simulator");
        let home = self.outside("somebody");
        std::fs::create_dir(&home).expect("our folder");
        self.bring(&simulator.ca_file(), "somebody/ca.pem");
        let mut get = self.command(PROGRAM);
        identify(connect(&mut get, &simulator), &simulator);
        get.env("SSL_CERT_FILE", "/somebody/ca.pem")
            .env("HOME", "/somebody")
            .arg("get");
        let answer = run(get, REGISTRY, LIMIT).succeeds().json();
        assert_eq!(answer["Username"], ZERO_GUID);
        let journal = simulator.journal();
        let requests = journal
            .iter()
            .filter(|entry| entry.endpoint != Endpoint::Connect);
        let requests: Vec<_> = requests
            .map(|entry| (entry.endpoint, entry.status))
            .collect();
        assert_eq!(
            requests,
            [(Endpoint::EntraToken, 200), (Endpoint::Exchange, 200)]
        );
        std::fs::remove_dir_all(home).expect("ours");
    }
}

/// What `tests/setup` keeps.
pub(crate) fn cache() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .expect("a home folder");
    cache.join("docker-credential-acrscoped-tests")
}
