//! Somebody with a desktop, an empty keyring, and no other identity.

use crate::browser::{self, Page};
use crate::support::namespace::Namespace;
use crate::support::{Answer, Home, LIMIT, REGISTRY, binary, connect, run, until};
use simulator::{Approval, Endpoint, Entry, Settings, Simulator};
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;

/// See above.
pub(crate) struct Person {
    pub(crate) home: Home,
    pub(crate) simulator: Simulator,
    namespace: Namespace,
}

impl Person {
    /// People are asked by the sign-in page; the browser of the desktop is this test.
    pub(crate) fn new() -> Self {
        let settings = Settings {
            approval: Approval::Page,
            ..Settings::default()
        };
        let simulator = Simulator::start(settings).expect("a simulator");
        let home = Home::new();
        let address = home.path("address");
        home.script(
            "bin/xdg-open",
            &format!("echo \"$1\" > {0}.new; mv {0}.new {0}", address.display()),
        );
        Self {
            home,
            simulator,
            namespace: Namespace::new(),
        }
    }

    /// The helper with these words.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = self.program(&binary());
        command.args(line.split_whitespace());
        command
    }

    /// A program of this person's.
    pub(crate) fn program(&self, file: &Path) -> Command {
        let mut command = self.home.command(file);
        connect(&mut command, &self.simulator)
            .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
        command.env("DISPLAY", ":0");
        self.namespace.enter(&command)
    }

    /// The same with a variable set.
    pub(crate) fn command_with(&self, line: &str, name: &str, value: &str) -> Command {
        let mut command = self.command(line);
        command.env(name, value);
        command
    }

    pub(crate) fn run(&self, line: &str) -> Answer {
        run(self.command(line), "", LIMIT)
    }

    /// `get` for the registry.
    pub(crate) fn get(&self) -> Answer {
        run(self.command("get"), REGISTRY, LIMIT)
    }

    /// Begins something that waits for somebody.
    pub(crate) fn start(&self, line: &str) -> JoinHandle<Answer> {
        let command = self.command(line);
        std::thread::spawn(move || run(command, "", LIMIT))
    }

    /// The address that the browser was opened with.
    pub(crate) fn address(&self) -> String {
        let file = self.home.path("address");
        let address = until("address in the browser", || {
            std::fs::read_to_string(&file).ok()
        });
        std::fs::remove_file(file).expect("our folder");
        address.trim().to_owned()
    }

    pub(crate) fn visit(&self, address: &str, form: Option<&[(&str, &str)]>) -> Page {
        browser::visit(&self.simulator, address, form)
    }

    /// Signs in with these words, and the button to approve.
    pub(crate) fn log_in(&self, line: &str) -> (Answer, Page) {
        let login = self.start(line);
        let page = self.visit(&self.address(), Some(&[("answer", "approve")]));
        (login.join().expect("an answer"), page)
    }

    /// Sign-ins and exchanges since this was asked last.
    pub(crate) fn requests(&self) -> Vec<Entry> {
        let journal = self.simulator.journal();
        self.simulator.clear_journal();
        journal
            .into_iter()
            .filter(|entry| matches!(entry.endpoint, Endpoint::EntraToken | Endpoint::Exchange))
            .collect()
    }

    /// Forgets the registry's token, so that the next `get` signs in anew.
    pub(crate) fn erase(&self) {
        run(self.command("erase"), REGISTRY, LIMIT).succeeds();
    }

    /// What is kept in the kernel's keyring, by name.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut command = self.namespace.enter(&self.home.command("keyctl"));
        command.args(["search", "@u", "keyring", "docker-credential-acrscoped"]);
        let ring = run(command, "", LIMIT).succeeds().stdout;
        let mut command = self.namespace.enter(&self.home.command("keyctl"));
        command.args(["rlist", ring.trim()]);
        let keys = run(command, "", LIMIT).succeeds().stdout;
        keys.split_whitespace().map(str::to_owned).collect()
    }

    /// Waits until nothing is kept: the kernel takes what was invalidated out of its keyring a moment later (keyrings(7), "Garbage
    /// collection"); what was not is there until the test fails.
    #[track_caller]
    pub(crate) fn keeps_nothing(&self) {
        until("empty keyring", || self.keys().is_empty().then_some(()));
    }

    /// The file that says who is signed in.
    pub(crate) fn logins(&self) -> Option<String> {
        std::fs::read_to_string(
            self.home
                .path("home/.local/state/docker-credential-acrscoped/logins.json"),
        )
        .ok()
    }
}
