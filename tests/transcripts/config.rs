//! `config`.

use crate::shell::{Shell, hold, nothing};

const FILE: &str = "home/.config/docker-credential-acrscoped/config.toml";

/// A config file with a setting at the top and a profile.
fn configured(shell: &Shell) {
    let text = "# ours\ntimeout = 60\n\n[registry.\"contoso.azurecr.io\"]\nusername = \"token\"\n";
    shell.home.write(FILE, text);
}

#[test]
fn settings_are_shown_with_their_origin_and_changed() {
    hold(&[
        (
            "config-list",
            configured,
            "docker-credential-acrscoped config list --registry contoso.azurecr.io",
        ),
        (
            "config-list-json",
            configured,
            "docker-credential-acrscoped config list --json",
        ),
        (
            "config-get",
            configured,
            "docker-credential-acrscoped config get timeout",
        ),
        (
            "config-get-unset",
            configured,
            "docker-credential-acrscoped config get subscription",
        ),
        (
            "config-set",
            nothing,
            "docker-credential-acrscoped config set username token --registry contoso.azurecr.io",
        ),
        (
            "config-set-overridden",
            configured,
            "ACRSCOPED_TIMEOUT=9 docker-credential-acrscoped config set timeout 45",
        ),
        (
            "config-unset",
            configured,
            "docker-credential-acrscoped config unset timeout",
        ),
        (
            "config-set-json",
            configured,
            "docker-credential-acrscoped config set timeout 45 --json",
        ),
        (
            "config-set-quietly",
            nothing,
            "docker-credential-acrscoped -q config set timeout 45; docker-credential-acrscoped config get timeout -q",
        ),
        (
            "config-set-below-a-suffix",
            nothing,
            "docker-credential-acrscoped config set tenant contoso.example --registry '*.azurecr.us'; \
             docker-credential-acrscoped config get tenant --json --registry fabrikam.azurecr.us",
        ),
        (
            "config-unset-the-last-of-a-registry",
            configured,
            "docker-credential-acrscoped config unset username --registry contoso; \
             /bin/cat ~/.config/docker-credential-acrscoped/config.toml",
        ),
        (
            "config-path",
            nothing,
            "docker-credential-acrscoped config path; docker-credential-acrscoped config path --json",
        ),
    ]);
}

#[test]
fn a_wrong_name_or_value_is_answered_with_what_was_meant() {
    hold(&[
        (
            "config-misspelt",
            nothing,
            "docker-credential-acrscoped config set timeuot 60",
        ),
        (
            "config-wrong-value",
            nothing,
            "docker-credential-acrscoped config set cache memory",
        ),
        (
            "config-not-for-one-registry",
            nothing,
            "docker-credential-acrscoped config set log info --registry contoso.azurecr.io",
        ),
        (
            "config-broken-file",
            |shell| drop(shell.home.write(FILE, "timeout = 0\n")),
            "docker-credential-acrscoped config list; docker-credential-acrscoped config path; \
             docker-credential-acrscoped config set timeout 30",
        ),
        (
            "config-set-in-a-broken-file",
            |shell| drop(shell.home.write(FILE, "log = \"info\"\ntimeout = x\n")),
            "docker-credential-acrscoped config set timeout 30",
        ),
        (
            "config-unset-a-misspelt-setting",
            |shell| drop(shell.home.write(FILE, "tenat = \"contoso.example\"\n")),
            "docker-credential-acrscoped config unset tenat; docker-credential-acrscoped config unset tenat",
        ),
        (
            "config-unknown-cloud",
            nothing,
            "docker-credential-acrscoped config set identity_cloud Contoso",
        ),
    ]);
}
