//! The sign-in with a browser of this desktop.

use crate::person::Person;
use crate::support::{LIMIT, REGISTRY, run, until};
use simulator::AZURE_CLI;
use std::time::Duration;
use url::Url;

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn login_verifies_the_registry_at_once() {
    let person = Person::new();
    let (answer, page) = person.log_in(&format!("login {REGISTRY}"));
    answer.succeeds();
    assert!(
        (page.status, page.text.contains("You are signed in")) == (200, true),
        "{page:?}"
    );
    assert!(
        page.headers.contains("no-store") && page.headers.contains("default-src 'none'"),
        "{page:?}"
    );
    let grants: Vec<_> = person
        .requests()
        .into_iter()
        .map(|entry| (entry.grant, entry.client_id, entry.status))
        .collect();
    let grant = |grant: &str| (Some(grant.to_owned()), Some(AZURE_CLI.to_owned()), 200);
    assert_eq!(
        grants[..2],
        [grant("authorization_code"), grant("refresh_token")]
    );
    assert_eq!(grants.len(), 3, "and an exchange");
    person.get().secret();
    assert!(person.requests().is_empty(), "what was tried is cached");
    // No client is configured.
    let status = person.run("status --json").fails().json();
    let registries = status["registries"].as_array().unwrap();
    assert_eq!(
        (&registries[0]["identity"], registries.len()),
        (&"the saved sign-in of alice@contoso.example".into(), 1)
    );
}

/// A browser is most often started by a shell script.
#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn the_browser_gets_no_secrets_and_no_variables_that_run_other_code() {
    let person = Person::new();
    person.home.script(
        "bin/xdg-open",
        "env > \"$HOME/new\"; mv \"$HOME/new\" \"$HOME/environment\"",
    );
    let mut login = person.command("login --timeout 5");
    for name in [
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "BASH_ENV",
        "ENV",
        "NODE_OPTIONS",
        "AZURE_CLIENT_SECRET",
        "SYSTEM_ACCESSTOKEN",
    ] {
        login.env(name, "CANARY");
    }
    let mut login = login.stdin(std::process::Stdio::null()).spawn().unwrap();
    let environment = until("a browser", || {
        std::fs::read_to_string(person.home.path("home/environment")).ok()
    });
    login.kill().unwrap();
    login.wait().unwrap();
    assert!(
        environment.contains("DISPLAY=:0") && !environment.contains("CANARY"),
        "{environment}"
    );
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn the_address_asks_for_registries_alone_and_holds_no_secret() {
    let person = Person::new();
    let login = person.start("login --tenant contoso.example");
    let address = Url::parse(&person.address()).unwrap();
    assert_eq!(address.path(), "/contoso.example/oauth2/v2.0/authorize");
    let mut names: Vec<String> = address
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    names.sort();
    let expected = "client_id code_challenge code_challenge_method prompt redirect_uri response_mode response_type scope state";
    assert_eq!(names.join(" "), expected);
    let field = |wanted: &str| {
        address
            .query_pairs()
            .find(|(name, _)| name == wanted)
            .unwrap()
            .1
            .into_owned()
    };
    assert_eq!(
        field("scope"),
        "https://containerregistry.azure.net/.default offline_access openid profile"
    );
    assert_eq!(
        (field("code_challenge_method"), field("client_id")),
        ("S256".into(), AZURE_CLI.into())
    );
    assert!(field("redirect_uri").starts_with("http://localhost:"));
    // Where the domain is none of the tenants', nobody comes back.
    let page = person.visit(&field("redirect_uri"), None);
    assert_eq!(page.status, 404);
    person.visit(
        &format!(
            "{}/?error=access_denied&state={}",
            field("redirect_uri"),
            field("state")
        ),
        None,
    );
    login.join().unwrap().fails();
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_denied_consent_is_shown_on_the_page_and_leaves_nothing() {
    let person = Person::new();
    let login = person.start(&format!("login {REGISTRY}"));
    let page = person.visit(&person.address(), Some(&[("answer", "deny")]));
    assert!(
        page.status == 400 && page.text.contains("User declined to consent"),
        "{page:?}"
    );
    let answer = login.join().unwrap().fails();
    assert_eq!((answer.stdout.as_str(), person.logins()), ("", None));
    let answer = person.get().fails();
    assert!(
        answer.stderr.contains("login: no account is signed in"),
        "{answer:#?}"
    );
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn other_programs_at_the_port_end_nothing_and_learn_nothing() {
    let person = Person::new();
    let login = person.start("login");
    let address = person.address();
    let url = Url::parse(&address).unwrap();
    let back = url
        .query_pairs()
        .find(|(name, _)| name == "redirect_uri")
        .unwrap()
        .1
        .into_owned();
    // A browser opens connections in advance, and says nothing on them.
    let silent = std::net::TcpStream::connect(back.strip_prefix("http://").unwrap()).unwrap();
    for path in [
        "/favicon.ico",
        "/",
        "/?code=stolen",
        "/?code=stolen&state=guessed",
        "/?error=x&state=",
        "/../etc/passwd",
    ] {
        let page = person.visit(&format!("{back}{path}"), None);
        assert_eq!(
            (page.status, page.text.as_str()),
            (404, "there is nothing here\n"),
            "{path}"
        );
    }
    let port = back.replace("localhost", "127.0.0.1");
    assert_eq!(person.visit(&port, Some(&[("code", "x")])).status, 404);
    let page = person.visit(&address, Some(&[("answer", "approve")]));
    assert_eq!(page.status, 200, "{page:?}");
    login.join().unwrap().succeeds();
    drop(silent);
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_browser_that_is_closed_ends_the_wait() {
    let person = Person::new();
    let answer = person.run("login --timeout 1").fails();
    assert!(answer.took < Duration::from_secs(20), "{answer:#?}");
    assert_eq!(person.logins(), None);
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_code_that_entra_refuses_is_shown_on_the_page() {
    let person = Person::new();
    let login = person.start("login");
    let address = Url::parse(&person.address()).unwrap();
    let field = |wanted: &str| {
        address
            .query_pairs()
            .find(|(name, _)| name == wanted)
            .unwrap()
            .1
            .into_owned()
    };
    let page = person.visit(
        &format!(
            "{}/?code=invented&state={}",
            field("redirect_uri"),
            field("state")
        ),
        None,
    );
    assert!(
        page.status == 400 && page.text.contains("AADSTS70008"),
        "{page:?}"
    );
    let answer = login.join().unwrap().fails();
    assert!(
        answer.stderr.contains("AADSTS70008") && !answer.stderr.contains("invented"),
        "{answer:#?}"
    );
    assert_eq!(person.logins(), None);
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn without_a_keyring_no_browser_opens() {
    let person = Person::new();
    for cache in ["none", "secret-service"] {
        run(
            person.command_with("login", "ACRSCOPED_CACHE", cache),
            "",
            LIMIT,
        )
        .fails();
    }
    assert!(!person.home.path("address").exists());
    assert!(person.simulator.journal().is_empty());
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn an_application_of_your_own_replaces_that_of_the_azure_cli() {
    let person = Person::new();
    let own = "7d5a3c10-4f28-4b9e-9c61-0e2f8a1b6d34";
    person
        .simulator
        .change(|settings| settings.public_clients.push(own.into()));
    let mut command = person.command("login");
    // That of the environment is an application's or a managed identity's.
    command
        .env("ACRSCOPED_CLIENT_ID", own)
        .env("AZURE_CLIENT_ID", "another");
    let login = std::thread::spawn(move || run(command, "", LIMIT));
    person.visit(&person.address(), Some(&[("answer", "approve")]));
    login.join().unwrap().succeeds();
    assert!(
        person
            .requests()
            .iter()
            .all(|entry| entry.client_id.as_deref() == Some(own))
    );
}

/// A client that is not configured would say `unauthorized` after a login that succeeded.
#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn login_ends_with_the_next_step() {
    let person = Person::new();
    let next = |command: &str| {
        let (answer, _) = person.log_in(&format!("login {REGISTRY}"));
        let expected = format!("\nNext:\n  {command}\n");
        let answer = answer.succeeds();
        assert!(answer.stdout.ends_with(&expected), "{answer:#?}");
    };
    next(&format!("docker-credential-acrscoped configure {REGISTRY}"));
    person.run(&format!("configure {REGISTRY}"));
    next(&format!("docker pull {REGISTRY}/IMAGE"));
    let status = person.run("status --plain").succeeds().stdout;
    assert!(status.contains("used by docker"), "{status}");
}
