//! What docker and its like ask, as somebody types it to see what they see: the line on stdout is the client's.

use crate::shell::{Prepare, hold, nothing};
use crate::support::REGISTRY;

const CONFIG: &str = "home/.config/docker-credential-acrscoped/config.toml";

#[test]
fn a_client_is_given_a_credential_and_may_forget_it() {
    hold(&[
        (
            "get",
            nothing,
            "echo contoso.azurecr.io | docker-credential-acrscoped get",
        ),
        (
            "erase",
            nothing,
            "echo contoso.azurecr.io | docker-credential-acrscoped erase",
        ),
        ("list-nothing", nothing, "docker-credential-acrscoped list"),
        (
            "get-not-ours",
            nothing,
            "echo ghcr.io | docker-credential-acrscoped get",
        ),
    ]);
}

#[test]
fn a_client_that_is_given_nothing_is_told_why_and_so_is_a_person() {
    let no_role: Prepare = |shell| {
        shell
            .simulator
            .change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    };
    let misspelt: Prepare = |shell| {
        shell
            .home
            .write(CONFIG, "# mine\ntennant = \"contoso.example\"\n");
    };
    let delegate: Prepare = |shell| {
        shell.home.write(CONFIG, "delegate = \"secretservice\"\n");
    };
    let nobody = "AZURE_CLIENT_SECRET= AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:1";
    let line = "echo contoso.azurecr.io | docker-credential-acrscoped get";
    let set = |variables: &str| {
        format!("echo contoso.azurecr.io | {variables} docker-credential-acrscoped get")
    };
    let (nobody, offline) = (set(nobody), set("HTTPS_PROXY=http://127.0.0.1:1"));
    let (misspelt_variable, unknown) = (
        set("ACRSCOPED_TENAT=fabrikam.example"),
        set("ACRSCOPED_CACHE=keychain"),
    );
    hold(&[
        ("get-no-identity", nothing, &nobody),
        ("get-no-role", no_role, line),
        ("get-offline", nothing, &offline),
        ("get-misspelt-setting", misspelt, line),
        ("get-misspelt-variable", nothing, &misspelt_variable),
        ("get-unknown-setting", nothing, &unknown),
        (
            "get-no-delegate",
            delegate,
            "echo ghcr.io | docker-credential-acrscoped get",
        ),
        (
            "get-nothing-on-stdin",
            nothing,
            "docker-credential-acrscoped get </dev/null",
        ),
    ]);
}

#[test]
fn a_password_is_not_taken() {
    let store = |host: &str| {
        format!(
            r#"echo '{{"ServerURL":"{host}","Username":"alice","Secret":"…"}}' | docker-credential-acrscoped store"#
        )
    };
    hold(&[
        ("store-a-password", nothing, &store(REGISTRY)),
        ("store-elsewhere", nothing, &store("ghcr.io")),
        (
            "store-no-json",
            nothing,
            "echo secret | docker-credential-acrscoped store",
        ),
    ]);
}
