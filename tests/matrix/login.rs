//! Who signed in with `login`, here by device code.

use crate::rows::{Absent, Refusal, Row};
use crate::source::SourceName;
use crate::stage::{ABROAD, Stage};
use crate::support::namespace::Namespace;
use crate::support::{LIMIT, run};
use simulator::FaultAt;

const SIGN_IN: &str = "POST {authority}/{tenant}/oauth2/v2.0/token grant refresh_token for {audience}/.default offline_access \
                       openid profile as {azure cli} -> 200";
const SIGN_IN_ABROAD: &str = "POST {authority}/{abroad}/oauth2/v2.0/token grant refresh_token for {audience}/.default \
                              offline_access openid profile as {azure cli} -> 200";

/// A keyring, and a login for the cloud in it.
fn log_in(stage: &mut Stage) {
    let namespace = Namespace::new();
    stage
        .simulator
        .change(|settings| settings.device_code_polls = 0);
    let mut command = namespace.enter(&stage.command);
    command.args(["login", "--device-code"]);
    // Without a registry the public cloud is meant, unless these say otherwise.
    command.env(
        "ACRSCOPED_AUTHORITY",
        format!("https://{}", stage.cloud.authority),
    );
    command.env("ACRSCOPED_AUDIENCE", stage.cloud.audience);
    run(command, "", LIMIT).succeeds();
    stage.namespace = Some(namespace);
    stage.simulator.clear_journal();
}

pub(crate) fn row() -> Row {
    Row {
        source: SourceName::Login,
        who: "the saved sign-in of alice@contoso.example",
        is_for: |_| true,
        set_up: vec![log_in],
        sign_in: vec![SIGN_IN],
        subject: "{user}",
        tenant: "{tenant}",
        places: vec![(FaultAt::Authority, 0)],
        is_patient: true,
        refusals: vec![Refusal {
            bring_about: |stage| stage.simulator.revoke_sign_ins(),
            said: "AADSTS50173: The provided grant has expired due to it being revoked, a fresh auth token is needed.",
            after: 1,
        }],
        absent: Absent::PassedOver("no account is signed in"),
        program: None,
    }
}

/// The registry is of the tenant in which Alice is a guest.
pub(crate) fn in_a_tenant() -> Row {
    let row = row().and(|stage| {
        let registry = stage.registry();
        stage
            .simulator
            .change(|settings| settings.registry_mut(&registry).tenant = ABROAD.into());
        stage.set("ACRSCOPED_TENANT", ABROAD);
    });
    Row {
        sign_in: vec![SIGN_IN_ABROAD],
        tenant: "{abroad}",
        absent: Absent::Told,
        places: vec![],
        ..row
    }
}
