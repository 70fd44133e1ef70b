//! A user made for one test.

use crate::support::{Answer, Home, LIMIT, REGISTRY, ask, binary, connect, identify, run};
use simulator::{Settings, Simulator};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A user with an empty home and empty keyrings.
pub(crate) struct User {
    pub(crate) home: Home,
    pub(crate) simulator: Simulator,
    id: u32,
    store: &'static str,
    session_bus: Option<String>,
}

impl User {
    /// Makes a user whose helper remembers in this store: a uid that nobody else has, so its keyrings are empty.
    pub(crate) fn new(store: &'static str) -> Self {
        let id = unused_id();
        let home = Home::new();
        let simulator = Simulator::start(Settings::default()).expect("a simulator");
        std::fs::copy(simulator.ca_file(), home.path("ca.pem")).expect("our folder");
        // The build's folder may be closed to others.
        home.install(&binary(), "bin/docker-credential-acrscoped");
        home.write(
            "passwd",
            format!(
                "somebody:x:{id}:{id}::{}:/bin/sh\n",
                home.path("home").display()
            ),
        );
        own(&home, id);
        Self {
            home,
            simulator,
            id,
            store,
            session_bus: None,
        }
    }

    /// Tells the user's programs of a session bus.
    pub(crate) fn join_bus(&mut self, address: String) {
        self.session_bus = Some(address);
    }

    /// A program run as this user.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = self.home.command("setpriv");
        command.args([
            "--reuid",
            &self.id.to_string(),
            "--regid",
            &self.id.to_string(),
            "--clear-groups",
        ]);
        command.args(["--pdeathsig", "KILL", program]);
        identify(connect(&mut command, &self.simulator), &self.simulator);
        command
            .env("SSL_CERT_FILE", self.home.path("ca.pem"))
            .env("ACRSCOPED_CACHE", self.store);
        command.envs(
            self.session_bus
                .iter()
                .map(|address| ("DBUS_SESSION_BUS_ADDRESS", address)),
        );
        command
    }

    /// Runs a program; words are divided at spaces.
    pub(crate) fn run(&self, line: &str, stdin: &str) -> Answer {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().expect("a program"));
        command.args(words);
        run(command, stdin, LIMIT)
    }

    /// Where the user's copy of the helper is.
    pub(crate) fn helper(&self) -> PathBuf {
        self.home.path("bin/docker-credential-acrscoped")
    }

    /// One action of the helper for the registry.
    pub(crate) fn ask(&self, action: &str) -> Answer {
        self.ask_within(&[], action)
    }

    /// The same, with the helper started by another program, such as `keyctl session -`.
    pub(crate) fn ask_within(&self, wrapper: &[&str], action: &str) -> Answer {
        let helper = self.helper().display().to_string();
        let words: Vec<_> = wrapper.iter().copied().chain([helper.as_str()]).collect();
        let mut command = self.command(words[0]);
        command.args(&words[1..]);
        ask(command, action, REGISTRY)
    }

    /// How many requests the simulator has seen since this was asked last.
    pub(crate) fn requests(&self) -> usize {
        let count = self.simulator.journal().len();
        self.simulator.clear_journal();
        count
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = self.command("keyctl").args(["clear", "@u"]).output();
    }
}

/// A uid above every range that distributions hand out (systemd, "Users, Groups, UIDs and GIDs"), another for each user.
fn unused_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    0x7000_0000 + (std::process::id() % 0x10_0000) * 0x100 + next
}

/// Gives the home to the user.
fn own(home: &Home, id: u32) {
    let mut chown = home.command("chown");
    chown
        .arg("--recursive")
        .arg(format!("{id}:{id}"))
        .arg(home.root());
    run(chown, "", LIMIT).succeeds();
}
