//! What becomes of a login: its token is exchanged with every use, and may expire, be taken back, or be too little.

use crate::person::Person;
use crate::support::trace::Trace;
use crate::support::{LIMIT, REGISTRY, run};
use simulator::{Endpoint, Fault, FaultAt, FaultKind, Settings, TENANT, Tenant};
use std::process::Command;

const CLAIMS: &str = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;

fn signed_in() -> Person {
    let person = Person::new();
    person.log_in(&format!("login {REGISTRY}")).0.succeeds();
    person.requests();
    person
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_token_that_can_be_used_once_is_replaced_with_each_use() {
    let person = Person::new();
    person
        .simulator
        .change(|settings| settings.refresh_token_uses = Some(1));
    person.log_in(&format!("login {REGISTRY}")).0.succeeds();
    for _ in 0..3 {
        person.erase();
        person.get().secret();
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn simultaneous_processes_use_the_token_once() {
    let person = Person::new();
    person
        .simulator
        .change(|settings| settings.refresh_token_uses = Some(1));
    person.log_in("login").0.succeeds();
    person.requests();
    std::thread::scope(|scope| {
        let gets: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| person.get().secret()))
            .collect();
        let secrets: Vec<String> = gets.into_iter().map(|get| get.join().unwrap()).collect();
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    });
    let uses = person
        .requests()
        .into_iter()
        .filter(|entry| entry.endpoint == Endpoint::EntraToken)
        .count();
    assert_eq!(uses, 1);
}

/// The doctor signs in anew, and what it is given in place of the login's token stays good for the next `get`.
#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn doctor_uses_the_sign_in_and_keeps_it_valid() {
    let person = Person::new();
    person
        .simulator
        .change(|settings| settings.refresh_token_uses = Some(1));
    person.log_in(&format!("login {REGISTRY}")).0.succeeds();
    let checks = person.run(&format!("doctor {REGISTRY} --json")).json();
    for name in ["access-token", "exchange", "refresh-token"] {
        let check = checks["checks"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|check| check["name"] == name);
        assert_eq!(check.expect("a check")["status"], "ok", "{checks:#}");
    }
    person.erase();
    person.get().secret();
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_revoked_sign_in_shows_how_to_sign_in_again() {
    let person = signed_in();
    person.simulator.revoke_sign_ins();
    person.get().secret();
    person.erase();
    let answer = person.get().fails();
    assert!(
        answer.stdout.starts_with("could not get an access token from the saved sign-in of alice@contoso.example: AADSTS50173: The provided grant"),
        "{answer:#?}"
    );
    let hint = format!(
        "hint: sign in again\n  docker-credential-acrscoped login {REGISTRY} --tenant {TENANT}\n"
    );
    assert!(answer.stderr.ends_with(&hint), "{answer:#?}");
    person
        .log_in(&format!("login {REGISTRY} --tenant {TENANT}"))
        .0
        .succeeds();
    person.get().secret();
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn an_expired_sign_in_is_reported() {
    let person = signed_in();
    person
        .simulator
        .change(|settings| settings.refresh_token_uses = Some(0));
    person.erase();
    let answer = person.get().fails();
    assert!(answer.stdout.contains("AADSTS700082"), "{answer:#?}");
    assert!(
        answer
            .stderr
            .contains("hint: sign in again\n  docker-credential-acrscoped login"),
        "{answer:#?}"
    );
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn the_command_in_the_hint_satisfies_the_policy() {
    let person = signed_in();
    person
        .simulator
        .change(|settings| settings.required_claims = Some(CLAIMS.into()));
    person.erase();
    let answer = person.get().fails();
    assert!(answer.stdout.contains("AADSTS50076"), "{answer:#?}");
    let (_, command) = answer
        .stderr
        .split_once("hint: sign in again\n  docker-credential-acrscoped ")
        .expect("a command");
    assert!(command.contains(" --claims-challenge "), "{command}");
    person.log_in(command.trim()).0.succeeds();
    person.erase();
    person.get().secret();
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn an_invalid_claims_challenge_is_refused_before_any_request() {
    let person = Person::new();
    for challenge in ["x", "bm9uZQ==", "%%%"] {
        let answer = person
            .run(&format!("login --claims-challenge {challenge}"))
            .fails();
        assert!(
            answer
                .stderr
                .contains("for `--claims-challenge <BASE64>`: it "),
            "{answer:#?}"
        );
    }
    assert!(person.simulator.journal().is_empty());
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_guest_signs_in_to_the_tenant_that_is_named() {
    const ABROAD: &str = "2d6f1b04-93ce-4a78-8e15-60b7d9c3f2a1";
    let person = signed_in();
    let invite = |settings: &mut Settings| {
        settings.tenants.push(Tenant {
            id: ABROAD.into(),
            domain: "abroad.example".into(),
            ..Tenant::default()
        });
        settings.users[0].guest_of.push(ABROAD.into());
        settings.registry_mut(REGISTRY).tenant = ABROAD.into();
    };
    person.simulator.change(invite);
    let own = run(person.command("get"), REGISTRY, LIMIT);
    own.secret();
    run(
        person.command_with("get", "ACRSCOPED_TENANT", ABROAD),
        REGISTRY,
        LIMIT,
    )
    .secret();
    let tenants: Vec<_> = person
        .requests()
        .into_iter()
        .map(|entry| entry.tenant)
        .collect();
    assert_eq!(tenants[0].as_deref(), Some(ABROAD));
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn without_its_token_a_sign_in_is_not_skipped_for_another_identity() {
    let person = signed_in();
    person.erase();
    let mut keyctl = person.command("get");
    keyctl.env("ACRSCOPED_CACHE", "none");
    let answer = run(keyctl, REGISTRY, LIMIT).fails();
    assert!(
        answer
            .stdout
            .contains("its token is no longer in the keyring"),
        "{answer:#?}"
    );
    // The test runs in a user namespace, as podman and buildah do without root.
    let hint = format!(
        "hint: without root, podman and buildah have a kernel keyring of their own; sign in there too\n  podman unshare \
         docker-credential-acrscoped login {REGISTRY} --tenant {TENANT} --device-code\n"
    );
    assert!(answer.stderr.ends_with(&hint), "{answer:#?}");
}

#[test]
#[ignore = "needs strace, user namespaces and keyutils: run tests/run"]
fn a_cached_get_reads_the_list_of_sign_ins_and_sends_nothing() {
    let person = signed_in();
    let (inside, log) = (person.command("get"), person.home.path("trace"));
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-o"])
        .arg(&log)
        .arg("--")
        .arg(inside.get_program())
        .args(inside.get_args());
    strace.env_clear().current_dir(person.home.path("work"));
    strace.envs(
        inside
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    run(strace, REGISTRY, LIMIT).secret();
    let trace = Trace::read(&log);
    assert_eq!(
        trace
            .opened()
            .iter()
            .filter(|line| line.contains("logins.json"))
            .count(),
        1
    );
    assert_eq!(
        trace.calls(&["socket", "connect", "clone", "clone3", "fork", "vfork"]),
        [""; 0]
    );
    assert!(person.requests().is_empty());
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn no_secret_is_written_to_a_file_or_shown() {
    let person = Person::new();
    let command = person.command_with(&format!("login {REGISTRY}"), "ACRSCOPED_LOG", "debug");
    let login = std::thread::spawn(move || run(command, "", LIMIT));
    person.visit(&person.address(), Some(&[("answer", "approve")]));
    let answer = login.join().unwrap().succeeds();
    let file = person.logins().unwrap();
    for secret in ["\"1.", "eyJ", "code=", "code_verifier"] {
        assert!(
            !file.contains(secret) && !answer.text().contains(secret),
            "{secret} is in {file} or {answer:#?}"
        );
    }
    assert!(file.contains("alice@contoso.example"), "{file}");
}

/// What it would note it notes the next time: the other process may be stopped. It is given up after less than a wait for the lock would take.
#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_get_does_not_wait_for_a_process_that_changes_the_logins() {
    let person = Person::new();
    person.log_in("login").0.succeeds();
    let folder = person
        .home
        .path("home/.local/state/docker-credential-acrscoped");
    let lock = std::fs::File::options()
        .write(true)
        .open(folder.join("logins.lock"))
        .unwrap();
    lock.lock().unwrap();
    run(
        person.command_with("get", "ACRSCOPED_TIMEOUT", "4"),
        REGISTRY,
        LIMIT,
    )
    .secret();
    let noted = || person.logins().unwrap().contains("\"fingerprints\": [\n");
    assert!(
        !noted(),
        "the lock is held, and nothing is written: {:?}",
        person.logins()
    );
    drop(lock);
    person.erase();
    person.get().secret();
    assert!(noted(), "{:?}", person.logins());
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn login_and_logout_say_which_lock_another_process_holds() {
    let person = signed_in();
    let path = person
        .home
        .path("home/.local/state/docker-credential-acrscoped/logins.lock");
    let lock = std::fs::File::options().write(true).open(&path).unwrap();
    lock.lock().unwrap();
    let told = format!(
        "cannot be written: another process holds the lock {}; try again when it has ended",
        path.display()
    );
    for line in ["login", "logout", "logout --all"] {
        let answer = person.run(line).fails();
        assert!(answer.stderr.contains(&told), "{answer:#?}");
    }
    assert!(
        !person.home.path("address").exists(),
        "no browser opens for nothing"
    );
    assert!(person.logins().is_some());
    drop(lock);
    person.run("logout").succeeds();
    assert!(person.logins().is_none());
}

/// An answer of the authority's with this body.
fn said(code: u16, body: &serde_json::Value) -> FaultKind {
    FaultKind::Status {
        code,
        retry_after: None,
        body: body.to_string(),
        content_type: None,
    }
}

fn answers(person: &Person, answers: Vec<FaultKind>) {
    let faults = answers
        .into_iter()
        .map(|kind| Fault::once(FaultAt::Authority, kind))
        .collect();
    person.simulator.change(|settings| settings.faults = faults);
}

/// A login with a token of this test's choice, of a tenant that may be none.
fn log_in_with(person: &Person, token: &str, tenant: &str) -> crate::support::Answer {
    let claims = serde_json::json!({"sub": "s", "tid": tenant, "preferred_username": "alice@contoso.example"});
    log_in_as(person, token, &claims)
}

/// The same with these claims in the id token.
fn log_in_as(person: &Person, token: &str, claims: &serde_json::Value) -> crate::support::Answer {
    let claims = claims.to_string();
    let id_token = format!(
        "e30.{}.c2ln",
        azure_core::base64::encode_url_safe(claims).trim_end_matches('=')
    );
    let page = "https://microsoft.com/devicelogin";
    let code = serde_json::json!({"device_code": "d", "user_code": "UC", "verification_uri": page, "expires_in": 60, "interval": 1});
    let granted = serde_json::json!({
        "token_type": "Bearer", "access_token": "opaque", "refresh_token": token, "id_token": id_token
    });
    answers(person, vec![said(200, &code), said(200, &granted)]);
    person.run("login --device-code")
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_token_that_entra_repeats_is_not_shown_whole_or_in_pieces() {
    let token: String = (0..60).fold(String::new(), |text, at| {
        text + &format!("{:x}~{}/", at * 2_654_435_761_u64, at * 7)
    });
    let person = Person::new();
    log_in_with(&person, &token, TENANT).succeeds();
    let pieces: Vec<&str> = token
        .as_bytes()
        .chunks(50)
        .map(|it| std::str::from_utf8(it).unwrap())
        .collect();
    for repeated in [
        token.clone(),
        pieces.join("\n"),
        format!("x={}", pieces.join(" ")),
    ] {
        let words = format!("AADSTS70000: you sent\n{repeated}\nand no more");
        let refused = || {
            said(
                400,
                &serde_json::json!({"error": "invalid_grant", "error_description": words}),
            )
        };
        for line in ["get", "doctor contoso.azurecr.io --json"] {
            answers(&person, vec![refused(), refused(), refused(), refused()]);
            let answer = run(person.command(line), REGISTRY, LIMIT);
            let told = answer.stdout + &answer.stderr;
            assert!(told.contains("AADSTS70000: you sent"), "{told}");
            assert!(
                pieces.iter().all(|piece| !told.contains(&piece[..16])),
                "{told}"
            );
        }
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn an_invalid_tenant_leads_to_no_other_host() {
    let person = Person::new();
    let answer = log_in_with(&person, "a refresh token", "//evil.example/x").fails();
    assert!(
        answer
            .stderr
            .contains("the response lacks a refresh token or the account"),
        "{answer:#?}"
    );
    log_in_with(&person, "a refresh token", TENANT).succeeds();
    let file = person
        .home
        .path("home/.local/state/docker-credential-acrscoped/logins.json");
    std::fs::write(
        &file,
        std::fs::read_to_string(&file)
            .unwrap()
            .replace(TENANT, "//evil.example/x"),
    )
    .unwrap();
    person.simulator.clear_journal();
    let answer = person.get().fails();
    let told = answer.stdout.clone() + &answer.stderr;
    assert!(!told.contains("cannot be reached"), "{told}");
    assert!(
        person
            .simulator
            .journal()
            .iter()
            .all(|entry| entry.endpoint != Endpoint::EntraToken),
        "{told}"
    );
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn an_endless_claims_challenge_is_not_part_of_the_hint() {
    let person = signed_in();
    person.erase();
    let long = serde_json::json!({"a": "A".repeat(900_000)}).to_string();
    let words = "AADSTS50076: more is wanted";
    let refused = serde_json::json!({"error": "interaction_required", "error_description": words, "claims": long});
    answers(&person, vec![said(400, &refused)]);
    let answer = person.get().fails();
    assert!(answer.stderr.len() < 4_000, "{} bytes", answer.stderr.len());
    assert!(
        answer.stderr.ends_with(&format!(
            "hint: sign in again\n  docker-credential-acrscoped login {REGISTRY} --tenant {TENANT}\n"
        )),
        "{answer:#?}"
    );
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_refresh_token_that_comes_back_as_a_name_is_neither_shown_nor_written_down() {
    let token = "0.AbCdEfGhIjKlMnOpQrStUvWxYz~0123456789.abcdefghijklmnopqrstuvwxyz";
    let person = Person::new();
    let named = serde_json::json!({"sub": "s", "tid": TENANT, "preferred_username": token});
    let answer = log_in_as(&person, token, &named).succeeds();
    assert!(
        answer
            .stdout
            .contains("signed in as an account without a name"),
        "{answer:#?}"
    );
    let all = answer.stdout + &answer.stderr + &person.logins().unwrap();
    assert!(!all.contains(&token[..16]), "{all}");
    person.run("logout").succeeds();
    let answer = log_in_as(
        &person,
        token,
        &serde_json::json!({"sub": token, "tid": TENANT}),
    )
    .fails();
    assert!(
        answer
            .stderr
            .contains("the response lacks a refresh token or the account"),
        "{answer:#?}"
    );
    assert!(!answer.stderr.contains(&token[..16]), "{answer:#?}");
    assert!(person.logins().is_none());
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_claims_challenge_that_repeats_the_token_is_not_part_of_the_hint() {
    let token = "0.AbCdEfGhIjKlMnOpQrStUvWxYz~0123456789.abcdefghijklmnopqrstuvwxyz";
    let person = Person::new();
    log_in_with(&person, token, TENANT).succeeds();
    let escaped = token
        .bytes()
        .fold(String::new(), |text, byte| text + &format!("\\u{byte:04x}"));
    let words = "AADSTS50076: more is required";
    let refused = serde_json::json!({
        "error": "interaction_required", "error_description": words, "claims": format!(r#"{{"a":"{escaped}"}}"#)
    });
    answers(&person, vec![said(400, &refused)]);
    let answer = person.get().fails();
    assert!(
        answer.stderr.ends_with(&format!(
            "hint: sign in again\n  docker-credential-acrscoped login {REGISTRY} --tenant {TENANT}\n"
        )),
        "{answer:#?}"
    );
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_refresh_token_in_the_claims_of_an_access_token_is_not_shown() {
    let token = "0.AbCdEfGhIjKlMnOpQrStUvWxYz~0123456789.abcdefghijklmnopqrstuvwxyz";
    let person = Person::new();
    log_in_with(&person, token, TENANT).succeeds();
    for next in [
        token,
        "1.ZyXwVuTsRqPoNmLkJiHgFeDcBa~9876543210.zyxwvutsrqponmlkjihgfedcba",
    ] {
        let claims = serde_json::json!({"aud": next}).to_string();
        let claims = azure_core::base64::encode_url_safe(claims);
        let access_token = format!("e30.{}.c2ln", claims.trim_end_matches('='));
        let granted = serde_json::json!({"token_type": "Bearer", "access_token": access_token, "refresh_token": next});
        answers(&person, vec![said(200, &granted)]);
        let answer = person.get().fails();
        let shown = answer.stdout + &answer.stderr;
        assert!(
            shown.contains("`…`") && !shown.contains(&next[..16]),
            "{shown}"
        );
    }
}
