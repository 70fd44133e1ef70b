//! The sign-in with a browser elsewhere.

use crate::person::Person;
use crate::support::{REGISTRY, until};
use simulator::{Endpoint, Fault, FaultAt, FaultKind, Raw};
use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A login whose code was shown.
struct Shown {
    child: Child,
    code: String,
    said: String,
    rest: BufReader<std::process::ChildStderr>,
}

fn show(mut command: Command) -> Shown {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the helper");
    let mut rest = BufReader::new(child.stderr.take().expect("piped"));
    let mut said = String::new();
    while !said.contains("Enter it only") {
        assert_ne!(rest.read_line(&mut said).expect("its output"), 0, "{said}");
    }
    let mut lines = said
        .lines()
        .skip_while(|line| line.trim() != "https://microsoft.com/devicelogin")
        .skip(1);
    let code = lines.next().expect("a code").trim().to_owned();
    Shown {
        child,
        code,
        said,
        rest,
    }
}

impl Shown {
    fn end(mut self) -> (bool, String, String) {
        let mut stdout = String::new();
        self.child
            .stdout
            .take()
            .expect("piped")
            .read_to_string(&mut stdout)
            .expect("its output");
        self.rest
            .read_to_string(&mut self.said)
            .expect("its output");
        (
            self.child.wait().expect("its output").success(),
            stdout,
            self.said,
        )
    }
}

fn answer(person: &Person, code: &str, answer: &str) {
    let page = person.visit(
        "https://microsoft.com/devicelogin",
        Some(&[("code", code), ("answer", answer)]),
    );
    assert_eq!(page.status, 200, "{page:?}");
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_device_code_is_polled_until_the_user_has_entered_it() {
    let person = Person::new();
    let slow_down = FaultKind::Status {
        code: 400,
        retry_after: None,
        body: r#"{"error":"slow_down"}"#.into(),
        content_type: None,
    };
    let shown = show(person.command(&format!("login {REGISTRY} --device-code")));
    assert_eq!(
        person
            .visit("https://microsoft.com/devicelogin", None)
            .status,
        200
    );
    until("question", || person.requests().first().map(drop));
    person
        .simulator
        .change(|settings| settings.faults = vec![Fault::once(FaultAt::Authority, slow_down)]);
    until("end of the patience of Entra", || {
        person.simulator.settings().faults.is_empty().then_some(())
    });
    answer(&person, &shown.code, "approve");
    let (is_good, stdout, said) = shown.end();
    assert!(
        is_good && stdout.contains("+ signed in as alice@contoso.example"),
        "{stdout}{said}"
    );
    person.get().secret();
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_declined_or_expired_code_is_reported() {
    let person = Person::new();
    let shown = show(person.command(&format!("login {REGISTRY} --device-code")));
    answer(&person, &shown.code, "deny");
    let (is_good, stdout, said) = shown.end();
    assert!(
        !is_good && stdout.is_empty() && said.contains("The user declined the request."),
        "{said}"
    );
    assert!(
        said.contains(&format!(
            "hint: sign in again\n  docker-credential-acrscoped login {REGISTRY} --device-code\n"
        )),
        "{said}"
    );
    person
        .simulator
        .change(|settings| settings.device_code_life = 2);
    let (is_good, _, said) = show(person.command("login --device-code")).end();
    assert!(
        said.contains("the code was not entered in time") || said.contains("AADSTS70019"),
        "{said}"
    );
    assert!(
        !is_good && said.contains("could not get an access token from "),
        "{said}"
    );
    assert_eq!(person.logins(), None);
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn ctrl_c_ends_the_wait_in_order() {
    let person = Person::new();
    let shown = show(person.command("login --device-code"));
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&shown.child),
        rustix::process::Signal::INT,
    )
    .unwrap();
    let (is_good, _, said) = shown.end();
    assert!(
        !is_good && said.ends_with("docker-credential-acrscoped: interrupted\n"),
        "{said}"
    );
}

/// An answer of the authority's with this body.
fn said(code: u16, body: &str) -> FaultKind {
    FaultKind::Status {
        code,
        retry_after: None,
        body: body.into(),
        content_type: None,
    }
}

/// A device code with these numbers.
fn code(life: u64, interval: u64) -> Fault {
    let body = format!(
        r#"{{"device_code":"d","user_code":"UC","verification_uri":"https://microsoft.com/devicelogin","expires_in":{life},"interval":{interval}}}"#
    );
    Fault::once(FaultAt::Authority, said(200, &body))
}

fn always(kind: FaultKind) -> Fault {
    Fault {
        at: FaultAt::Authority,
        kind,
        times: None,
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn an_authority_that_never_answers_ends_with_the_timeout() {
    let person = Person::new();
    let silence = FaultKind::Raw(Raw {
        hold: true,
        ..Raw::default()
    });
    let pending = said(400, r#"{"error":"authorization_pending"}"#);
    for (interval, then, cause) in [
        (1, silence, "Entra did not answer in time"),
        (60, pending, "the code was not entered in time"),
    ] {
        person
            .simulator
            .change(|settings| settings.faults = vec![code(900, interval), always(then.clone())]);
        let begun = Instant::now();
        let (is_good, _, said) = show(person.command("login --device-code --timeout 2")).end();
        assert!(!is_good && said.contains(cause), "{said}");
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn hostile_numbers_of_a_device_code_are_bounded() {
    let person = Person::new();
    let pending = || always(said(400, r#"{"error":"authorization_pending"}"#));
    person
        .simulator
        .change(|settings| settings.faults = vec![code(u64::MAX, 0), pending()]);
    person.simulator.clear_journal();
    let (is_good, _, said) = show(person.command("login --device-code --timeout 3")).end();
    assert!(
        !is_good && said.contains("the code was not entered in time"),
        "{said}"
    );
    let asked = person
        .simulator
        .journal()
        .into_iter()
        .filter(|entry| entry.endpoint == Endpoint::EntraToken)
        .count();
    assert!(
        (1..=4).contains(&asked),
        "asked {asked} times in three seconds"
    );
    let denied = always(self::said(400, r#"{"error":"access_denied"}"#));
    person
        .simulator
        .change(|settings| settings.faults = vec![code(u64::MAX, 1), denied]);
    let (_, _, said) = show(person.command("login --device-code")).end();
    assert!(said.contains("Waiting for 60 min"), "{said}");
    person
        .simulator
        .change(|settings| settings.faults = vec![code(900, u64::MAX), pending()]);
    let answer = person.run("login --device-code").fails();
    assert!(
        answer
            .stderr
            .contains("s between polls, and the limit is 60 s"),
        "{answer:#?}"
    );
}

/// RFC 8628, section 3.5: only an error code of OAuth ends the wait.
#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_busy_authority_does_not_end_the_wait() {
    let person = Person::new();
    let busy = [
        said(429, ""),
        said(503, ""),
        said(502, "<html>"),
        said(503, r#"{"error":"temporarily_unavailable"}"#),
    ];
    for answer_of_entra in busy {
        let shown = show(person.command("login --device-code"));
        person
            .simulator
            .change(|settings| settings.faults = vec![always(answer_of_entra)]);
        person.simulator.clear_journal();
        until("a poll", || {
            let journal = person.simulator.journal();
            let polls = journal
                .iter()
                .filter(|it| it.endpoint == Endpoint::EntraToken);
            (polls.count() > 0).then_some(())
        });
        person.simulator.change(|settings| settings.faults.clear());
        answer(&person, &shown.code, "approve");
        let (is_good, _, said) = shown.end();
        assert!(is_good, "{said}");
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn the_reason_is_shown_if_no_poll_ever_succeeds() {
    let person = Person::new();
    for (kind, reason) in [
        (said(429, ""), "too many requests"),
        (said(503, ""), "it answered with 503"),
    ] {
        person
            .simulator
            .change(|settings| settings.faults = vec![code(900, 1), always(kind.clone())]);
        let (is_good, _, said) = show(person.command("login --device-code --timeout 3")).end();
        assert!(!is_good && said.contains(reason), "{said}");
    }
}
