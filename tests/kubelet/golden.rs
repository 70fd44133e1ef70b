//! Requests and what is said to them: a file each in `golden/`, whose `request` and `arguments` are what is tried and whose rest is what
//! came of it. `ACRSCOPED_UPDATE_DOCS=1 cargo test --test kubelet` writes the rest anew.

use crate::stage::{BANK, Node, SHOP, claims};
use crate::support::{LIMIT, run};
use serde_json::{Value, json};
use simulator::{ASSERTION_AUDIENCE, CLIENT, FEDERATED_ISSUER, MANAGED_IDENTITY, TENANT};
use std::path::PathBuf;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubelet/golden");

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a process edge of its own"
)]
fn every_request_has_its_answer() {
    let node = Node::new();
    let is_update = std::env::var_os("ACRSCOPED_UPDATE_DOCS").is_some();
    let mut files: Vec<PathBuf> = std::fs::read_dir(FOLDER)
        .expect("our folder")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    assert!(files.len() >= 35, "{files:?}");
    let mut wrong = Vec::new();
    for file in files {
        let kept: Value =
            serde_json::from_str(&std::fs::read_to_string(&file).expect("our file")).expect("JSON");
        let said = answer(&node, &kept);
        if is_update {
            std::fs::write(&file, format!("{said:#}\n")).expect("our file");
        } else if said != kept {
            wrong.push(format!("{}: {said:#}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The case with what is said to it now.
fn answer(node: &Node, case: &Value) -> Value {
    let mut command = node.provider();
    let arguments = case["arguments"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    command.args(
        arguments
            .iter()
            .map(|argument| argument.as_str().expect("text")),
    );
    let request = case["request"]
        .as_str()
        .map_or_else(|| case["request"].to_string(), str::to_owned);
    let old = json!({"iss": FEDERATED_ISSUER, "sub": SHOP, "aud": ASSERTION_AUDIENCE, "nbf": 0, "exp": 1});
    let tokens = [
        ("$TOKEN", node.simulator.assertion(SHOP)),
        ("$STRANGER", node.simulator.assertion(BANK)),
        ("$OLD", node.simulator.sign_assertion(&old)),
    ];
    let request = tokens.iter().fold(request, |request, (name, token)| {
        request.replace(name, token)
    });
    let answer = run(command, &request, LIMIT);
    assert!(
        !answer.stderr.contains("eyJ") && !answer.stderr.contains("assertion="),
        "a token: {answer:#?}"
    );
    let mut said = case.clone();
    said["exit"] = json!(answer.code());
    said["stderr"] = answer.stderr.lines().map(without_ids).collect();
    said["stdout"] = if answer.code() == 0 {
        response(&answer.json())
    } else {
        json!(answer.stdout)
    };
    said
}

/// A response with the owner in place of each password, and the bounds in place of a time that was chosen at random.
fn response(response: &Value) -> Value {
    let mut response = response.clone();
    for auth in response["auth"]
        .as_object_mut()
        .into_iter()
        .flat_map(|auth| auth.values_mut())
    {
        let claims = claims(auth["password"].as_str().expect("a password"));
        auth["password"] = json!(
            format!("refresh token of {} for {}", claims["appid"], claims["aud"]).replace('"', "")
        );
    }
    let seconds = response["cacheDuration"]
        .as_str()
        .and_then(|text| text.strip_suffix('s'))
        .expect("seconds");
    let seconds: u64 = seconds.parse().expect("a whole number");
    if seconds != 0 {
        // The simulator's refresh tokens live three hours, of which the call took a part.
        assert!((4_250..=5_400).contains(&seconds), "{seconds}");
        response["cacheDuration"] = json!("4320s to 5400s");
    }
    response
}

/// A line without the ids and times of one call.
fn without_ids(line: &str) -> String {
    for time in ["Timestamp: ", "Current time: "] {
        if let Some((before, _)) = line.split_once(time) {
            return format!("{before}{time}…");
        }
    }
    let words = line.split(' ').map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = bare.len() == 36
            && bare
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if is_id && ![CLIENT, TENANT, MANAGED_IDENTITY].contains(&bare) {
            word.replace(bare, "ID")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
