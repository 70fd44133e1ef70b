//! `login`, at a browser of this desktop and at one elsewhere.

use crate::person::Person;
use crate::support::golden::{Golden, transcript};
use crate::support::{Answer, LIMIT, REGISTRY, run};
use simulator::{Approval, CLIENT, TENANT};
use std::path::Path;
use std::process::Command;
use std::thread;
use url::Url;

const LINE: &str = "docker-credential-acrscoped login contoso.azurecr.io";

/// A shell of the person with one line.
fn shell(person: &Person, line: &str) -> Command {
    let mut command = person.program(Path::new("/bin/sh"));
    command.args(["-c", line]);
    command
}

/// Types a line whose sign-in is answered at the browser, and compares what is said.
fn at_browser(golden: &mut Golden, person: &Person, name: &str, line: &str, answer: &str) {
    let command = shell(person, line);
    let login = thread::spawn(move || run(command, "", LIMIT));
    person.visit(&person.address(), Some(&[("answer", answer)]));
    let mut answer = login.join().expect("an answer");
    answer.stderr = told(&answer.stderr);
    golden.keep(
        name,
        &transcript(line, &answer, &person.home, &person.simulator),
    );
}

/// What was said, with what is made up for one sign-in named and not told: in the address of the page, and the code for it.
fn told(said: &str) -> String {
    let after = |first: &str| {
        said.lines()
            .skip_while(|line| line.trim() != first)
            .nth(1)
            .map(str::trim)
    };
    let mut told = after("https://microsoft.com/devicelogin")
        .map_or(said.to_owned(), |code| said.replace(code, "CODE"));
    let address = said.lines().find_map(|line| {
        line.strip_prefix("  ")
            .filter(|line| line.contains("/authorize?"))
    });
    if let Some(address) = address.map(|address| Url::parse(address).expect("an address")) {
        let field = |wanted: &str| {
            address
                .query_pairs()
                .find(|(name, _)| name == wanted)
                .expect("a field")
                .1
                .into_owned()
        };
        let port = field("redirect_uri")
            .rsplit(':')
            .next()
            .expect("a port")
            .to_owned();
        for (made_up, name) in [
            (field("state"), "STATE"),
            (field("code_challenge"), "CHALLENGE"),
            (format!("localhost%3A{port}"), "localhost%3AN"),
        ] {
            told = told.replace(&made_up, name);
        }
    }
    told
}

/// Types a line that needs nobody at a browser, and compares what is said.
fn alone(golden: &mut Golden, person: &Person, name: &str, line: &str) -> Answer {
    let mut answer = run(shell(person, line), "", LIMIT);
    answer.stderr = told(&answer.stderr);
    golden.keep(
        name,
        &transcript(line, &answer, &person.home, &person.simulator),
    );
    answer
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn login_shows_the_identity_and_verifies_the_registry() {
    let mut golden = Golden::of("transcripts");
    let person = Person::new();
    at_browser(&mut golden, &person, "login", LINE, "approve");
    at_browser(
        &mut golden,
        &person,
        "login-no-registry",
        "docker-credential-acrscoped login",
        "approve",
    );
    let secret = &person.simulator.settings().apps[0].secret;
    person.home.write(
        "home/.profile",
        format!("export AZURE_TENANT_ID={TENANT} AZURE_CLIENT_ID={CLIENT} AZURE_CLIENT_SECRET={secret}\n"),
    );
    at_browser(
        &mut golden,
        &person,
        "login-another-comes-first",
        &format!(". ~/.profile; {LINE}"),
        "approve",
    );
    person
        .simulator
        .change(|settings| settings.approval = Approval::AtOnce);
    alone(
        &mut golden,
        &person,
        "login-device-code",
        &format!("{LINE} --device-code"),
    )
    .succeeds();
    for (name, variable) in [
        ("login-ssh", "SSH_CONNECTION='192.0.2.1 50022 192.0.2.2 22'"),
        ("login-no-desktop", "DISPLAY="),
        ("login-no-browser", "BROWSER=/bin/false"),
    ] {
        alone(&mut golden, &person, name, &format!("{variable} {LINE}")).succeeds();
    }
    person.simulator.change(|settings| {
        settings.users[0].upn = "bob@contoso.example".into();
        settings.users[0].object_id = "8f0c2a6e-51d7-4b39-9a3e-d4c7b1e08f25".into();
    });
    for (name, line) in [
        ("login-second-account", &*format!("{LINE} --device-code")),
        ("login-switch", "docker-credential-acrscoped login --switch"),
    ] {
        alone(&mut golden, &person, name, line).succeeds();
    }
    // No client uses the helper.
    let status = "docker-credential-acrscoped status";
    alone(&mut golden, &person, "status-two-accounts", status).fails();
    for (name, line) in [
        (
            "logout-account",
            "docker-credential-acrscoped logout bob@contoso.example",
        ),
        (
            "login-switch-to-the-other",
            "docker-credential-acrscoped login --switch",
        ),
        (
            "login-again-configured",
            "docker-credential-acrscoped configure contoso.azurecr.io >/dev/null; docker-credential-acrscoped login --device-code",
        ),
    ] {
        alone(&mut golden, &person, name, line);
    }
    golden.finish();
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_failed_login_shows_the_reason() {
    let mut golden = Golden::of("transcripts");
    let person = Person::new();
    at_browser(&mut golden, &person, "login-denied", LINE, "deny");
    for (name, line) in [
        (
            "login-wrong-tenant",
            "docker-credential-acrscoped login --device-code --tenant fabrikam.example",
        ),
        (
            "login-no-tenant",
            "docker-credential-acrscoped login --tenant 'Contoso Ltd'",
        ),
        (
            "login-no-keyring",
            "ACRSCOPED_CACHE=none docker-credential-acrscoped login contoso.azurecr.io",
        ),
        (
            "login-no-secret-service",
            "ACRSCOPED_CACHE=secret-service docker-credential-acrscoped login contoso.azurecr.io",
        ),
        (
            "login-offline",
            "HTTPS_PROXY=http://127.0.0.1:1 docker-credential-acrscoped login --device-code",
        ),
        (
            "login-not-ours",
            "docker-credential-acrscoped login ghcr.io",
        ),
        (
            "login-switch-unknown",
            "docker-credential-acrscoped login --switch bob@contoso.example",
        ),
        (
            "login-browser-closed",
            "docker-credential-acrscoped login --timeout 1",
        ),
        (
            "login-code-not-entered",
            "docker-credential-acrscoped login --device-code --timeout 1",
        ),
    ] {
        alone(&mut golden, &person, name, line).fails();
    }
    person.simulator.change(|settings| {
        settings.approval = Approval::AtOnce;
        settings.registry_mut(REGISTRY).roles.clear();
    });
    alone(
        &mut golden,
        &person,
        "login-no-role",
        &format!("{LINE} --device-code"),
    )
    .fails();
    golden.finish();
}

/// `setup` signs in like `login` where no one has, at a terminal, which is script(1)'s.
#[test]
#[ignore = "needs user namespaces, keyutils and script(1): run tests/run"]
fn setup_signs_in_and_ends_with_a_pull() {
    let mut golden = Golden::of("transcripts");
    let person = Person::new();
    person.home.script("bin/docker", "exit 0");
    let line = "docker-credential-acrscoped setup contoso.azurecr.io/team/app:1";
    let in_terminal = format!(
        "unset DOCKER_CONFIG REGISTRY_AUTH_FILE; exec /usr/bin/script --quiet --return --echo never --command '{line}' /dev/null"
    );
    let mut command = shell(&person, &in_terminal);
    command.env("SHELL", "/bin/sh");
    let setup = thread::spawn(move || run(command, "", LIMIT));
    person.visit(&person.address(), Some(&[("answer", "approve")]));
    let mut answer = setup.join().expect("an answer");
    answer.stdout = told(&answer.stdout.replace("\r\n", "\n"));
    golden.keep(
        "setup-signs-in",
        &transcript(line, &answer, &person.home, &person.simulator).replace('\x1b', "\\e"),
    );
    golden.finish();
}
