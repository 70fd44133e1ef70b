//! Several accounts that are signed in at the same time.

use crate::person::Person;
use crate::support::{LIMIT, REGISTRY, run};
use serde_json::Value;
use simulator::{Approval, TENANT, User};

const ALICE: &str = "alice@contoso.example";
const BOB: &str = "bob@contoso.example";

/// A person who signed in as Alice, then as Bob, each with a device code.
fn alice_then_bob() -> Person {
    let person = Person::new();
    person
        .simulator
        .change(|settings| settings.approval = Approval::AtOnce);
    person
        .run(&format!("login {REGISTRY} --device-code"))
        .succeeds();
    let bob = User {
        upn: BOB.into(),
        name: "Bob".into(),
        object_id: "8f0c2a6e-51d7-4b39-9a3e-d4c7b1e08f25".into(),
        ..User::default()
    };
    // The simulator signs in the first user who is a member of the tenant.
    person
        .simulator
        .change(|settings| settings.users.insert(0, bob));
    let answer = person
        .run(&format!("login {REGISTRY} --device-code"))
        .succeeds();
    let switch = format!("    docker-credential-acrscoped login --switch {ALICE}\n");
    assert!(answer.stdout.contains(&switch), "{answer:#?}");
    person.requests();
    person
}

/// Whose token a `get` returns.
fn whose(person: &Person) -> String {
    let token = person.get().secret();
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = azure_core::base64::decode_url_safe(payload).expect("base64");
    let claims: Value = serde_json::from_slice(&payload).expect("claims");
    claims["sub"].as_str().expect("a subject").to_owned()
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn each_account_has_its_own_tokens_and_a_switch_needs_no_sign_in() {
    let person = alice_then_bob();
    assert_eq!(whose(&person), BOB);
    for (line, active) in [
        ("login --switch", ALICE),
        (&*format!("login --switch {BOB}"), BOB),
        (&*format!("login {REGISTRY} --switch"), ALICE),
    ] {
        let answer = person.run(line).succeeds();
        let expected = format!("+ {active} is now the active account of Azure public\n");
        assert_eq!(answer.stdout, expected, "{line}");
        assert_eq!(whose(&person), active, "{line}");
    }
    assert!(person.requests().is_empty(), "all tokens are cached");
    person.erase();
    assert_eq!(whose(&person), ALICE);
    person.run(&format!("login --switch {BOB}")).succeeds();
    assert_eq!(whose(&person), BOB);
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn an_account_that_is_not_signed_in_is_not_switched_to() {
    let person = alice_then_bob();
    for line in [
        "login --switch carol@contoso.example",
        &format!("login --switch {TENANT}"),
        "login fabrikam.azurecr.us --switch",
        "login --switch --device-code",
    ] {
        person.run(line).fails();
        assert_eq!(whose(&person), BOB, "{line}");
    }
    let answer = person.run("login --switch carol@contoso.example").fails();
    for account in [ALICE, BOB] {
        let listed = format!("  - {account} (Azure public, tenant {TENANT})\n");
        assert!(answer.stderr.contains(&listed), "{answer:#?}");
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn status_lists_all_accounts_and_marks_the_active_one() {
    let person = alice_then_bob();
    // No client is configured.
    let status = person.run("status --json").fails().json();
    let accounts: Vec<_> = status["logins"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| (it["username"].as_str(), &it["active"], &it["usable"]))
        .collect();
    let (yes, no) = (Value::from(true), Value::from(false));
    assert_eq!(
        accounts,
        [(Some(ALICE), &no, &yes), (Some(BOB), &yes, &yes)]
    );
    assert_eq!(
        status["registries"].as_array().map(Vec::len),
        Some(1),
        "one registry has tokens of two accounts"
    );
    let shown = person.run("status --plain").fails().stdout;
    let bob = format!("ok: saved sign-in: {BOB} (Azure public, tenant {TENANT}), active\n");
    assert!(shown.contains(&bob), "{shown}");
    assert!(
        shown.contains("1 cached token belongs to another identity"),
        "{shown}"
    );
    // The token of an account whose keyring is away is not usable.
    let away = person.command_with("status --json", "ACRSCOPED_CACHE", "none");
    let status = run(away, "", LIMIT).succeeds().json();
    assert_eq!(status["keyring"]["status"], "skipped");
}

/// For scripts: which account signed in, and which ones were signed out and are left.
#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn login_and_logout_print_their_result_as_json() {
    let person = alice_then_bob();
    let switched = person.run(&format!("login --json --switch {ALICE}"));
    let switched = switched.succeeds().json();
    assert_eq!(switched["username"], ALICE);
    let signed_in = person.run("--json login --device-code").succeeds().json();
    assert_eq!(signed_in["username"], BOB);
    assert_eq!(signed_in["tenant"], TENANT);
    let answer = person.run(&format!("logout {ALICE} --json")).succeeds();
    let answer = answer.json();
    assert_eq!(answer["signedOut"], Value::from(vec![switched]));
    assert_eq!(answer["signedIn"], Value::from(vec![signed_in]));
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn logout_ends_one_account_and_the_other_signs_in() {
    for (target, left) in [
        (ALICE, BOB),
        ("BOB@contoso.example", ALICE),
        (REGISTRY, ALICE),
        ("", ALICE),
    ] {
        let person = alice_then_bob();
        let answer = person.run(&format!("logout {target}")).succeeds();
        let still = format!("Still signed in: {left} (Azure public, tenant");
        assert!(answer.stdout.contains(&still), "{target}: {answer:#?}");
        assert!(
            !answer.stdout.contains("browser"),
            "a device code opened none here: {answer:#?}"
        );
        assert_eq!(whose(&person), left, "{target}");
        let logins = person.logins().expect("one is left");
        assert_eq!(logins.matches("username").count(), 1, "{logins}");
        person.run("logout --all").succeeds();
        person.keeps_nothing();
    }
    let person = alice_then_bob();
    let answer = person.run("logout carol@contoso.example").fails();
    assert!(answer.stderr.contains(BOB), "{answer:#?}");
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn logout_of_another_cloud_says_who_stays_signed_in() {
    let person = Person::new();
    person.log_in("login").0.succeeds();
    let answer = person.run("logout fabrikam.azurecr.us").succeeds();
    let words = answer.stdout.replace('\n', " ");
    assert!(
        words.starts_with("No account was signed in to Azure Government."),
        "{answer:#?}"
    );
    assert!(
        words.contains(&format!("Still signed in: {ALICE} (Azure public, tenant")),
        "{answer:#?}"
    );
    let answer = person.run("logout").succeeds();
    assert!(answer.stdout.contains("The browser may stay signed in"));
    assert_eq!(person.logins(), None);
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn logout_and_status_work_with_a_broken_config_file() {
    for line in ["logout", "logout --all", &format!("logout {REGISTRY}")] {
        let person = Person::new();
        person.log_in(&format!("login {REGISTRY}")).0.succeeds();
        person.home.write(
            "home/.config/docker-credential-acrscoped/config.toml",
            "timeout = \"30\"\n",
        );
        let status = person.run("status").fails();
        assert!(status.stdout.contains(ALICE), "{status:#?}");
        let answer = person.run(line).succeeds();
        for answer in [&status, &answer] {
            assert!(
                answer.stderr.contains("ignored the config file: ")
                    && answer.stderr.contains("config.toml:1:11"),
                "{answer:#?}"
            );
        }
        assert_eq!(person.logins(), None);
        person.keeps_nothing();
    }
}
