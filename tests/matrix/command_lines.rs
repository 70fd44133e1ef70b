//! The Azure CLI and the Azure Developer CLI, played by a script that gets its tokens from the simulated Entra.

use crate::rows::{Absent, Refusal, Row};
use crate::source::SourceName;
use crate::stage::{ABROAD, CLOUDS, Stage};
use serde_json::json;
use simulator::{AZURE_CLI, Fault, FaultAt, FaultKind, TENANT};

const SCRIPT: &str = include_str!("command_line.py");

const SIGN_IN: &str = "POST {authority}/{tenant}/oauth2/v2.0/token grant refresh_token for {audience}/.default as {azure cli} -> 200";
const SIGN_IN_ABROAD: &str = "POST {authority}/{abroad}/oauth2/v2.0/token grant refresh_token for {audience}/.default as {azure cli} -> 200";

/// Puts the script in place, with a session in every cloud: which one is used is for the helper to say.
fn install(stage: &mut Stage, program: &str) {
    let clouds: serde_json::Map<_, _> = CLOUDS
        .iter()
        .map(|cloud| {
            let refresh_token = stage.simulator.sign_in(cloud.name, AZURE_CLI);
            (
                cloud.name.to_owned(),
                json!({"authority": cloud.authority, "refresh_token": refresh_token}),
            )
        })
        .collect();
    let subscriptions: serde_json::Map<_, _> = CLOUDS
        .iter()
        .map(|cloud| (format!("subscription-{}", cloud.name), json!(TENANT)))
        .collect();
    let mut session = json!({"client": AZURE_CLI, "tenant": TENANT, "clouds": clouds, "subscriptions": subscriptions});
    session["subscriptions"]["Abroad"] = json!(ABROAD);
    stage.home.write("home/session.json", session.to_string());
    let script = stage.home.write("command_line.py", SCRIPT);
    stage.home.script(
        &format!("bin/{program}"),
        &format!("exec python3 -I '{}' {program} \"$@\"", script.display()),
    );
}

/// Alice is signed in to the Azure CLI in every cloud; her default is in the public one, which is none elsewhere.
pub(crate) fn set_up_azure_cli(stage: &mut Stage) {
    install(stage, "az");
    let subscription = |(at, cloud): (usize, &crate::stage::Cloud)| {
        json!({
            "id": format!("subscription-{}", cloud.name), "name": "Contoso", "isDefault": at == 0, "environmentName": cloud.name,
            "tenantId": TENANT, "user": {"name": "alice@contoso.example"},
        })
    };
    let subscriptions: Vec<_> = CLOUDS.iter().enumerate().map(subscription).collect();
    let profile = json!({"subscriptions": subscriptions}).to_string();
    stage.home.write(
        "home/.azure/azureProfile.json",
        format!("\u{feff}{profile}"),
    );
}

fn want_more_than_a_password(stage: &mut Stage) {
    let text = r#"{"error":"interaction_required","error_description":"AADSTS50076: You must use multi-factor authentication."}"#;
    let kind = FaultKind::Status {
        code: 400,
        retry_after: None,
        body: text.into(),
        content_type: None,
    };
    stage
        .simulator
        .change(|settings| settings.faults = vec![Fault::always(FaultAt::Authority, kind)]);
}

fn row(source: SourceName, who: &'static str, set_up: fn(&mut Stage)) -> Row {
    Row {
        source,
        who,
        is_for: |_| true,
        set_up: vec![set_up],
        sign_in: vec![SIGN_IN],
        subject: "{user}",
        tenant: "{tenant}",
        places: vec![(FaultAt::Authority, 0)],
        is_patient: false,
        refusals: vec![Refusal {
            bring_about: want_more_than_a_password,
            said: "AADSTS50076: You must use multi-factor authentication.",
            after: 1,
        }],
        absent: Absent::PassedOver("no account is signed in"),
        program: None,
    }
}

/// The registry is of the tenant in which Alice is a guest.
fn abroad(row: Row) -> Row {
    let row = row.and(|stage| {
        let registry = stage.registry();
        stage
            .simulator
            .change(|settings| settings.registry_mut(&registry).tenant = ABROAD.into());
    });
    // How the program is waited for does not depend on the account.
    Row {
        sign_in: vec![SIGN_IN_ABROAD],
        tenant: "{abroad}",
        absent: Absent::Told,
        places: vec![],
        ..row
    }
}

pub(crate) fn azure_cli() -> Row {
    let program = Some(
        "az account get-access-token -o json --scope {audience}/.default --subscription subscription-{cloud}",
    );
    Row {
        program,
        ..row(SourceName::AzureCli, "the Azure CLI", set_up_azure_cli)
    }
}

pub(crate) fn azure_cli_in_a_tenant() -> Row {
    let program =
        Some("az account get-access-token -o json --scope {audience}/.default --tenant {abroad}");
    Row {
        program,
        ..abroad(azure_cli())
    }
    .and(|stage| stage.set("ACRSCOPED_TENANT", ABROAD))
}

pub(crate) fn azure_cli_with_a_subscription() -> Row {
    let program = Some(
        "az account get-access-token -o json --scope {audience}/.default --subscription Abroad",
    );
    Row {
        program,
        ..abroad(azure_cli())
    }
    .and(|stage| stage.set("ACRSCOPED_SUBSCRIPTION", "Abroad"))
}

pub(crate) fn set_up_developer_cli(stage: &mut Stage) {
    install(stage, "azd");
    stage.home.write(
        "home/.azd/auth.json",
        r#"{"auth":{"account":{"currentUser":{"homeAccountId":"alice.contoso"}}}}"#,
    );
    stage.home.write(
        "home/.azd/config.json",
        json!({"cloud": {"name": stage.cloud.name}}).to_string(),
    );
}

pub(crate) fn developer_cli() -> Row {
    let row = row(
        SourceName::AzureDeveloperCli,
        "the Azure Developer CLI",
        set_up_developer_cli,
    );
    Row {
        program: Some("azd auth token -o json --no-prompt --scope {audience}/.default"),
        ..row
    }
}

pub(crate) fn developer_cli_in_a_tenant() -> Row {
    let program =
        Some("azd auth token -o json --no-prompt --scope {audience}/.default --tenant-id {abroad}");
    Row {
        program,
        ..abroad(developer_cli())
    }
    .and(|stage| stage.set("ACRSCOPED_TENANT", ABROAD))
}

/// A token of one cloud is of no use in another, so that who is signed in there is nobody here.
#[test]
#[ignore = "needs python3: run tests/run"]
fn who_is_signed_in_to_another_cloud_only_is_passed_over() {
    for (cloud, other) in [
        (&CLOUDS[0], &CLOUDS[1]),
        (&CLOUDS[1], &CLOUDS[0]),
        (&CLOUDS[4], &CLOUDS[0]),
    ] {
        let mut stage = Stage::new(cloud);
        set_up_azure_cli(&mut stage);
        set_up_developer_cli(&mut stage);
        let profile = json!({"subscriptions": [{"id": "1", "isDefault": true, "environmentName": other.name, "tenantId": TENANT}]});
        stage
            .home
            .write("home/.azure/azureProfile.json", profile.to_string());
        stage.home.write(
            "home/.azd/config.json",
            json!({"cloud": {"name": other.name}}).to_string(),
        );
        stage.set("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
        let answer = stage.get().fails();
        for line in [
            format!("\n  az cloud set --name {} && az login\n", cloud.name),
            format!("it is signed in to {}, not to {}\n", other.name, cloud.name),
        ] {
            assert!(
                answer.stderr.contains(&line),
                "{line} is not in {}",
                answer.stderr
            );
        }
        assert!(!stage.home.path("home/argv").exists());
        assert_eq!(stage.requests(), [""; 0]);
    }
}
