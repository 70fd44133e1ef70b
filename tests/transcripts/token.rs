//! `token`.

use crate::shell::{Shell, hold, nothing};
use crate::support::REGISTRY;

#[test]
fn the_credential_is_printed_in_every_form() {
    hold(&[
        ("token", nothing, "docker-credential-acrscoped token contoso.azurecr.io"),
        ("token-docker-login", nothing, "docker-credential-acrscoped token contoso.azurecr.io --format docker-login"),
        ("token-env", nothing, "docker-credential-acrscoped token contoso.azurecr.io --format env"),
        ("token-raw", nothing, "docker-credential-acrscoped token contoso.azurecr.io --format raw"),
        (
            "token-other-name",
            nothing,
            "ACRSCOPED_USERNAME=token docker-credential-acrscoped token contoso.azurecr.io --format env",
        ),
    ]);
}

#[test]
fn why_there_is_no_credential_is_told() {
    let no_role = |shell: &Shell| shell.simulator.change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    hold(&[
        ("token-no-registry-of-ours", nothing, "docker-credential-acrscoped token ghcr.io"),
        ("token-no-role", no_role, "docker-credential-acrscoped token contoso.azurecr.io"),
        ("token-wrong-secret", nothing, "AZURE_CLIENT_SECRET=wrong docker-credential-acrscoped token contoso.azurecr.io"),
    ]);
}
