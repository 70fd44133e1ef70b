//! One sign-in, many registries: what a kept access token saves, when it is not believed, and when it goes.
#![cfg(target_os = "linux")]

mod support;

use simulator::{Endpoint, Fault, FaultAt, FaultKind, Simulator};
use std::process::Command;
use support::namespace::Namespace;
use support::{Answer, Home, ask, helper, world};

const FIRST: &str = "contoso.azurecr.io";
const SECOND: &str = "contoso-abc123.azurecr.io";

/// A user with an empty user keyring.
struct Person {
    home: Home,
    simulator: Simulator,
    namespace: Namespace,
}

impl Person {
    fn new() -> Self {
        let (home, simulator) = world();
        Self {
            home,
            simulator,
            namespace: Namespace::new(),
        }
    }

    fn ask(&self, action: &str, host: &str) -> Answer {
        self.ask_as(action, host, |_| {})
    }

    fn ask_as(&self, action: &str, host: &str, change: impl Fn(&mut Command)) -> Answer {
        let mut command = helper(&self.home, &self.simulator);
        change(&mut command);
        ask(self.namespace.enter(&command), action, host)
    }

    /// Sign-ins, and the statuses of exchanges, since this was asked last.
    fn asked(&self) -> (usize, Vec<u16>) {
        let journal = self.simulator.journal();
        self.simulator.clear_journal();
        let sign_ins = journal
            .iter()
            .filter(|entry| entry.endpoint == Endpoint::EntraToken)
            .count();
        let exchanges = journal
            .iter()
            .filter(|entry| entry.endpoint == Endpoint::Exchange)
            .map(|entry| entry.status);
        (sign_ins, exchanges.collect())
    }

    fn refuse(&self, fault: Fault) {
        self.simulator
            .change(|settings| settings.faults = vec![fault]);
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_second_registry_costs_an_exchange_and_no_sign_in() {
    let person = Person::new();
    person.ask("get", FIRST).secret();
    assert_eq!(person.asked(), (1, vec![200]));
    person.ask("get", SECOND).secret();
    assert_eq!(person.asked(), (0, vec![200]));
    person.ask("get", "contoso.azurecr.us").secret();
    assert_eq!(
        person.asked(),
        (1, vec![200]),
        "another cloud has another authority"
    );
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_kept_token_that_a_registry_refuses_is_tried_once_more_with_a_new_one() {
    let person = Person::new();
    person.ask("get", FIRST).secret();
    person.asked();
    person.refuse(Fault::once(FaultAt::Exchange, FaultKind::status(401)));
    person.ask("get", SECOND).secret();
    assert_eq!(person.asked(), (1, vec![401, 200]));
    // The new one is kept in the former one's place.
    person.ask("erase", SECOND).succeeds();
    person.ask("get", SECOND).secret();
    assert_eq!(person.asked(), (0, vec![200]));
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_registry_that_goes_on_refusing_is_asked_no_third_time() {
    let person = Person::new();
    person.ask("get", FIRST).secret();
    person.asked();
    person.refuse(Fault::always(FaultAt::Exchange, FaultKind::status(401)));
    let answer = person.ask("get", SECOND).fails();
    assert_eq!(
        answer.stdout,
        format!("{SECOND} refused the access token: 401\n")
    );
    assert_eq!(person.asked(), (1, vec![401, 401]));
    // A new token is not doubted, nor is a firewall a reason to sign in again.
    let nobody_before = Person::new();
    nobody_before.refuse(Fault::always(FaultAt::Exchange, FaultKind::status(401)));
    nobody_before.ask("get", FIRST).fails();
    assert_eq!(nobody_before.asked(), (1, vec![401]));
    person.refuse(Fault::always(FaultAt::Exchange, FaultKind::status(403)));
    person.ask("get", SECOND).fails();
    assert_eq!(person.asked(), (0, vec![403]));
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn erase_of_a_host_leaves_other_hosts_signed_in() {
    let person = Person::new();
    person.ask("get", FIRST).secret();
    let second = person.ask("get", SECOND).secret();
    person.ask("erase", FIRST).succeeds();
    person.asked();
    assert_eq!(person.ask("get", SECOND).secret(), second);
    assert_eq!(
        person.asked(),
        (0, vec![]),
        "the other host's token is still there"
    );
    person.ask("get", FIRST).secret();
    assert_eq!(person.asked(), (0, vec![200]), "and so is the sign-in");
    for host in [FIRST, SECOND] {
        person.ask("erase", host).succeeds();
    }
    person.ask("get", FIRST).secret();
    assert_eq!(
        person.asked(),
        (1, vec![200]),
        "which goes with the last registry"
    );
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn erase_forgets_a_sign_in_that_no_registry_took() {
    let person = Person::new();
    person.refuse(Fault::once(FaultAt::Exchange, FaultKind::status(403)));
    person.ask("get", FIRST).fails();
    person.ask("erase", FIRST).succeeds();
    person.asked();
    person.ask("get", FIRST).secret();
    assert_eq!(person.asked(), (1, vec![200]));
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn erase_finds_a_token_that_was_kept_under_another_setting() {
    let person = Person::new();
    person.ask("get", FIRST).secret();
    // `enter` chooses the kernel keyring; here the file says otherwise.
    person.home.write(
        "home/.config/docker-credential-acrscoped/config.toml",
        "cache = 'secret-service'\n",
    );
    let command = helper(&person.home, &person.simulator);
    let mut inside = person.namespace.enter(&command);
    inside.env_remove("ACRSCOPED_CACHE");
    ask(inside, "erase", FIRST).succeeds();
    person.asked();
    person.ask("get", FIRST).secret();
    assert_eq!(person.asked(), (1, vec![200]));
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_sign_in_is_not_kept_if_the_user_does_not_want_it() {
    let person = Person::new();
    for host in [FIRST, SECOND] {
        person
            .ask_as("get", host, |command| {
                command.env("ACRSCOPED_KEEP_ACCESS_TOKEN", "false");
            })
            .secret();
        assert_eq!(person.asked(), (1, vec![200]));
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn another_identity_does_not_get_a_kept_sign_in() {
    let person = Person::new();
    person.ask("get", FIRST).secret();
    person.asked();
    let other = |command: &mut Command| {
        command.env("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555");
    };
    let answer = person.ask_as("get", SECOND, other).fails();
    assert!(answer.stdout.contains("AADSTS700016"), "{answer:#?}");
    assert_eq!(person.asked(), (1, vec![]));
}
