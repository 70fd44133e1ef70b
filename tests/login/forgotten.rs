//! `logout`.

use crate::person::Person;
use crate::support::{LIMIT, REGISTRY, run};
use serde_json::json;
use simulator::Tenant;

const NOTHING: &str = "No account was signed in";
const FORGOTTEN: &str = "Signed out alice@contoso.example from all registries in Azure public";

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn logout_deletes_the_sign_in_and_all_its_tokens() {
    let person = Person::new();
    for line in ["logout", &format!("logout {REGISTRY}"), "logout --all"] {
        assert!(person.run(line).succeeds().stdout.starts_with(NOTHING));
        person.log_in(&format!("login {REGISTRY}")).0.succeeds();
        person.get().secret();
        assert!(
            person.run(line).succeeds().stdout.starts_with(FORGOTTEN),
            "{line}"
        );
        assert_eq!(person.logins(), None);
        let status = person.run("status --json").succeeds().json();
        assert_eq!(
            (&status["registries"], &status["logins"]),
            (&json!([]), &json!([]))
        );
        let answer = person.get().fails();
        assert!(
            answer.stdout.contains("no Azure identity to sign in with"),
            "{answer:#?}"
        );
        person.keeps_nothing();
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn logout_deletes_the_sign_in_under_other_settings() {
    let person = Person::new();
    for line in ["logout", &format!("logout {REGISTRY}"), "logout --all"] {
        person.log_in(&format!("login {REGISTRY}")).0.succeeds();
        run(
            person.command_with(line, "ACRSCOPED_CACHE", "none"),
            "",
            LIMIT,
        )
        .succeeds();
        person.keeps_nothing();
        assert_eq!(person.logins(), None, "{line}");
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn logout_deletes_tokens_of_other_tenants() {
    const ABROAD: &str = "2d6f1b04-93ce-4a78-8e15-60b7d9c3f2a1";
    let person = Person::new();
    person.simulator.change(|settings| {
        settings.tenants.push(Tenant {
            id: ABROAD.into(),
            domain: "abroad.example".into(),
            ..Tenant::default()
        });
        settings.users[0].guest_of.push(ABROAD.into());
        settings.registry_mut(REGISTRY).tenant = ABROAD.into();
    });
    person.log_in("login").0.succeeds();
    run(
        person.command_with("get", "ACRSCOPED_TENANT", ABROAD),
        REGISTRY,
        LIMIT,
    )
    .secret();
    assert_eq!(person.keys().len(), 3);
    person.run("logout").succeeds();
    person.keeps_nothing();
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn simultaneous_logins_all_succeed() {
    // The first of them makes the keyring, and another may make it too.
    for _ in 0..5 {
        let person = Person::new();
        let logins: Vec<_> = (0..4).map(|_| person.start("login --timeout 1")).collect();
        for login in logins {
            let answer = login.join().expect("an answer").fails();
            assert!(
                !answer.stderr.contains("could not save the sign-in"),
                "{answer:#?}"
            );
        }
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn erase_of_a_registry_keeps_the_login() {
    let person = Person::new();
    person.log_in(&format!("login {REGISTRY}")).0.succeeds();
    person.erase();
    person.get().secret();
}
