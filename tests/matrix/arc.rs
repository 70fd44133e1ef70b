//! Azure Arc: its agent's folder of keys is put in place by a mount that only the helper sees.

use crate::rows::{Row, managed_identity};
use crate::stage::{CLOUDS, Stage};
use crate::support::namespace::with_arc_keys;
use simulator::{ArcAgent, Endpoint, Fault, FaultAt, FaultKind, Raw};
use std::fs;
use std::path::PathBuf;

/// Where clients look for keys.
const FOLDER: &str = "/var/opt/azcmagent/tokens";

/// What makes an agent another one.
type Change = Box<dyn FnOnce(&mut ArcAgent)>;

fn keys(stage: &Stage) -> PathBuf {
    stage.home.path("keys")
}

/// An agent that is changed, and a helper that can read its keys.
fn set_up_with(stage: &mut Stage, change: impl FnOnce(&mut ArcAgent)) {
    let mut agent = ArcAgent::new(keys(stage));
    change(&mut agent);
    fs::create_dir_all(keys(stage)).expect("our folder");
    stage
        .simulator
        .change(|settings| settings.arc = Some(agent));
    stage.command = with_arc_keys(&stage.command, &keys(stage));
    let origin = stage.simulator.origin();
    stage.set(
        "IDENTITY_ENDPOINT",
        format!("{origin}/arc/metadata/identity/oauth2/token"),
    );
    stage.set("IMDS_ENDPOINT", origin);
}

pub(crate) fn row() -> Row {
    let sign_in = vec![
        "GET machine/arc/metadata/identity/oauth2/token -> 401",
        "GET machine/arc/metadata/identity/oauth2/token for {audience} -> 200",
    ];
    managed_identity(
        |stage| set_up_with(stage, |_| {}),
        sign_in,
        (FaultAt::Arc, 0),
    )
}

/// Whoever has taken the agent's port must not get a file that is not the agent's key.
#[test]
#[ignore = "needs namespaces: run tests/run"]
fn a_hostile_challenge_reads_and_sends_nothing() {
    let elsewhere = |agent: &mut ArcAgent| agent.named = agent.folder.clone();
    let other_kind = |agent: &mut ArcAgent| agent.suffix = ".pem".into();
    let long = |agent: &mut ArcAgent| agent.key_bytes = 4097;
    let says = |text: &'static str| move |agent: &mut ArcAgent| agent.challenge = text.into();
    let no_key_file = "which is no key file in /var/opt/azcmagent/tokens\n";
    let no_file = "the challenge of Azure Arc names no file\n";
    let too_long = ".key cannot be read: it is longer than 4096 bytes; its readers are administrators and the group `himds`\n";
    let missing = "/missing.key cannot be read: No such file or directory (os error 2); its readers are administrators and the group `himds`\n";
    let climbs = "Basic realm=/var/opt/azcmagent/tokens/../../../../etc/shadow.key";
    let changes: [(Change, &str); 11] = [
        (Box::new(elsewhere), no_key_file),
        (Box::new(other_kind), no_key_file),
        (Box::new(says("Basic realm=/etc/shadow")), no_key_file),
        (Box::new(says(climbs)), no_key_file),
        (
            Box::new(says("Basic realm=/var/opt/azcmagent/tokens/sub/a.key")),
            no_key_file,
        ),
        (Box::new(long), too_long),
        (
            Box::new(says("Basic realm=/var/opt/azcmagent/tokens/missing.key")),
            missing,
        ),
        (Box::new(says("Basic")), no_file),
        (Box::new(says("Digest realm={path}")), no_file),
        (Box::new(says("Bearer realm={path}")), no_file),
        (Box::new(says("")), no_file),
    ];
    for (change, said) in changes {
        let mut stage = Stage::new(&CLOUDS[0]);
        set_up_with(&mut stage, change);
        let answer = stage.get().fails();
        assert!(
            answer.stdout.starts_with(
                "could not get an access token from the system-assigned managed identity: "
            ),
            "{answer:#?}"
        );
        assert!(
            answer.stdout.ends_with(said),
            "{said} is not in {}",
            answer.stdout
        );
        let entries = stage.entries();
        assert_eq!(
            entries
                .iter()
                .map(|entry| (entry.endpoint, entry.status))
                .collect::<Vec<_>>(),
            [(Endpoint::Arc, 401)]
        );
        for file in fs::read_dir(keys(&stage)).expect("our folder") {
            let key = fs::read_to_string(file.expect("our folder").path()).expect("our file");
            assert!(
                !answer.text().contains(&key),
                "a key was printed: {answer:#?}"
            );
        }
    }
}

/// A link out of the agent's folder is the agent's own affair only if the agent can make one: nobody else can write there. A pipe or
/// device in place of a key must not keep us all the same.
#[test]
#[ignore = "needs namespaces: run tests/run"]
fn a_key_that_is_no_file_is_not_read() {
    let mut stage = Stage::new(&CLOUDS[0]);
    set_up_with(&mut stage, |agent| {
        agent.challenge = format!("Basic realm={FOLDER}/endless.key");
    });
    std::os::unix::fs::symlink("/dev/zero", keys(&stage).join("endless.key")).expect("our folder");
    let answer = stage.get().fails();
    assert!(
        answer
            .stdout
            .contains("/endless.key cannot be read: it is not a regular file"),
        "{answer:#?}"
    );
    assert_eq!(stage.requests().len(), 1);
}

/// What a key file holds that can be no header's value goes nowhere.
#[test]
#[ignore = "needs namespaces: run tests/run"]
fn a_key_that_cannot_be_one_is_not_sent() {
    for content in [&b"a\r\nX-Injected: 1"[..], b"\xff\xfe", b"\0"] {
        let mut stage = Stage::new(&CLOUDS[0]);
        set_up_with(&mut stage, |agent| {
            agent.challenge = format!("Basic realm={FOLDER}/odd.key");
        });
        fs::write(keys(&stage).join("odd.key"), content).expect("our folder");
        let answer = stage.get().fails();
        assert!(
            answer.stdout.ends_with("/odd.key holds no key\n"),
            "{answer:#?}"
        );
        assert_eq!(stage.requests().len(), 1, "{:?}", stage.requests());
    }
}

#[test]
#[ignore = "needs namespaces: run tests/run"]
fn a_key_that_the_agent_repeats_is_not_shown() {
    let key = "n5-8Q.hunter2-Sesame_oPen0AndMore";
    let mut stage = Stage::new(&CLOUDS[0]);
    set_up_with(&mut stage, |_| {});
    fs::write(keys(&stage).join("known.key"), key).expect("our folder");
    let answer = |status: &str, body: &str| {
        let head = format!(
            "HTTP/1.1 {status}\r\nWWW-Authenticate: Basic realm={FOLDER}/known.key\r\nContent-Length: {}",
            body.len()
        );
        FaultKind::Raw(Raw {
            start: format!("{head}\r\n\r\n{body}").into_bytes(),
            ..Raw::default()
        })
    };
    let refused = answer(
        "400 B",
        &format!(r#"{{"error":"invalid_client","error_description":"bad key {key} sent"}}"#),
    );
    let faults = [answer("401 U", ""), refused].map(|kind| Fault::once(FaultAt::Arc, kind));
    stage
        .simulator
        .change(|settings| settings.faults = faults.into());
    let answer = stage.get().fails();
    assert!(answer.stdout.ends_with("bad key … sent\n"), "{answer:#?}");
    assert!(!answer.text().contains(&key[..16]), "{answer:#?}");
}
