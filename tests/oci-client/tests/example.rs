//! The example as a user runs it, before the simulator's registry.

#[path = "../../support/run.rs"]
#[allow(
    dead_code,
    reason = "what runs commands is shared with tests that ask for more"
)]
mod run;

use run::{Answer, LIMIT, run};
use simulator::{ACR_AUDIENCE, CLIENT, Endpoint, Settings, Simulator, TENANT};
use std::process::Command;

fn push_and_pull(simulator: &Simulator, image: &str) -> Answer {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_oci-client-example"));
    command
        .arg(image)
        .env_clear()
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .env("HTTPS_PROXY", simulator.origin())
        .env("SSL_CERT_FILE", simulator.ca_file())
        .env("ACRSCOPED_CACHE", "none")
        .env("AZURE_TENANT_ID", TENANT)
        .env("AZURE_CLIENT_ID", CLIENT)
        .env("AZURE_CLIENT_SECRET", &simulator.settings().apps[0].secret);
    run(command, "", LIMIT)
}

#[test]
fn an_image_is_pushed_and_pulled_with_registry_scoped_tokens_and_no_helper_process() {
    let simulator = Simulator::start(Settings::default()).expect("a simulator");
    let answer = push_and_pull(&simulator, "contoso.azurecr.io/app:v1").succeeds();
    assert!(answer.stdout.starts_with("sha256:"), "{answer:?}");
    let journal = simulator.journal();
    let count = |endpoint| {
        journal
            .iter()
            .filter(|entry| entry.endpoint == endpoint)
            .count()
    };
    assert_eq!(
        (
            count(Endpoint::EntraToken),
            count(Endpoint::Exchange),
            count(Endpoint::Arm)
        ),
        (1, 1, 0)
    );
    let scope = journal
        .iter()
        .find(|entry| entry.endpoint == Endpoint::EntraToken)
        .and_then(|it| it.audience_requested.clone());
    assert_eq!(scope, Some(format!("{ACR_AUDIENCE}/.default")));
    let pulled = journal
        .iter()
        .any(|entry| entry.method == "GET" && entry.path.starts_with("/v2/app/blobs/"));
    assert!(pulled, "{journal:#?}");
}

#[test]
fn a_program_can_say_why_nobody_could_be_signed_in_and_what_to_do() {
    let simulator = Simulator::start(Settings::default()).expect("a simulator");
    simulator.change(|settings| settings.registry_mut("contoso.azurecr.io").roles.clear());
    let answer = push_and_pull(&simulator, "contoso.azurecr.io/app:v1").fails();
    assert!(
        answer
            .stderr
            .contains("contoso.azurecr.io refused the access token: 401"),
        "{answer:?}"
    );
    assert!(
        answer
            .stderr
            .contains("\n  az role assignment create --assignee "),
        "{answer:?}"
    );
}
