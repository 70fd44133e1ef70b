//! The Azure Developer CLI as a source: its account.

use super::Tenant;
use super::command_line::{CommandLine, check_program, read_json};
use super::select::{Offer, skip};
use crate::config::Config;
use crate::error::{Error, sanitize_line};
use crate::program::{self, Runner};
use crate::registry::Registry;
use crate::text::shell_word;
use azure_identity::{AzureDeveloperCliCredential, AzureDeveloperCliCredentialOptions};
use serde_json::Value;
use std::sync::Arc;

pub(super) const HINT: &str = "sign in\n  azd auth login";
const COMMAND: &str = "azd auth login";

const PROGRAM: &str = "azd";

/// The cloud that it signs in to when nothing is set (Microsoft, "azd in sovereign clouds").
const DEFAULT_CLOUD: &str = "AzureCloud";

/// Offers the account of the Azure Developer CLI in the cloud of the identity. Source of the files and their keys: Azure/azure-dev,
/// `cli/azd/pkg/auth/manager.go` (`auth.json`) and `pkg/cloud` (`config.json`).
pub(super) fn offer(config: &Config, registry: &Registry) -> Offer {
    const NO_DIR: &str = "there is no home folder and `AZD_CONFIG_DIR` is not set";
    const USES_AZ: &str =
        "it uses the Azure CLI's sign-in (`auth.useAzCliAuth`): choose the source `azure-cli`";
    let (settings, cloud) = (&config.sources, &config.identity_cloud.cli_name);
    let folder = settings.developer_cli_folder.as_deref();
    let folder = folder.ok_or_else(|| skip(NO_DIR))?;
    let read = |name: &str| read_json(&folder.join(name), "a file of the Azure Developer CLI");
    let its_config: Value = read("config.json")?.unwrap_or_default();
    let account: Value = read("auth.json")?.unwrap_or_default();
    // The texts that Go's `strconv.ParseBool` reads as true.
    let delegates = its_config["auth"]["useAzCliAuth"].as_str();
    if ["1", "t", "true"].contains(&&*delegates.unwrap_or_default().to_ascii_lowercase()) {
        return Err(skip(USES_AZ));
    }
    let user = &account["auth"]["account"]["currentUser"];
    if !user.is_object() {
        return Err(skip("no account is signed in"));
    }
    check_program(PROGRAM, settings, registry)?;
    let its_cloud = &its_config["cloud"]["name"];
    let its_cloud = its_cloud.as_str().unwrap_or(DEFAULT_CLOUD);
    if its_cloud != *cloud {
        let reason = format!(
            "it is signed in to {}, not to {cloud}",
            sanitize_line(its_cloud)
        );
        let command = format!(
            "azd config set cloud.name {} && {COMMAND}",
            shell_word(cloud)
        );
        return Err(skip(reason).with_hint(format!("sign in to {cloud}\n  {command}")));
    }
    program::check_owner(PROGRAM, folder)?;
    let tenant = Tenant::from_setting("tenant", settings.named_tenant.as_ref());
    let options = AzureDeveloperCliCredentialOptions {
        executor: Some(Arc::new(Runner::new(&settings.path, vec![]))),
        tenant_id: tenant.name.clone(),
    };
    let credential = AzureDeveloperCliCredential::new(Some(options));
    Ok(Box::new(CommandLine {
        name: "the Azure Developer CLI",
        // What it saves of the account: ids, no secret.
        cache_key: format!(
            "azd\0{}\0{user}",
            tenant.name.as_deref().unwrap_or_default()
        ),
        tenant,
        other_tenants: vec![],
        login: (COMMAND.to_owned(), "--tenant-id"),
        hint: HINT.to_owned(),
        credential: credential.map_err(|error| Error::setting("tenant", error))?,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;
    use crate::error::ErrorKind;

    const PUBLIC: &str = "contoso.azurecr.io";
    const GOVERNMENT: &str = "contoso.azurecr.us";

    fn offer_with(files: &[(&str, &str)], host: &str) -> Offer {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let folder = folder.path().to_str().unwrap();
        let (config, registry) = config(&[("AZD_CONFIG_DIR", folder), ("PATH", folder)], host);
        offer(&config, &registry)
    }

    const ALICE: (&str, &str) = (
        "auth.json",
        r#"{"auth":{"account":{"currentUser":{"homeAccountId":"alice.t1"}}}}"#,
    );
    const PROGRAM_FILE: (&str, &str) = (PROGRAM, "");

    #[test]
    fn the_source_needs_a_current_user_of_this_cloud() {
        let government = ("config.json", r#"{"cloud":{"name":"AzureUSGovernment"}}"#);
        let to_az = ("config.json", r#"{"auth":{"useAzCliAuth":"true"}}"#);
        let signed_out = ("auth.json", r#"{"auth":{"account":{}}}"#);
        for (files, host, problem) in [
            (&[ALICE, PROGRAM_FILE][..], PUBLIC, None),
            (&[ALICE, government, PROGRAM_FILE], GOVERNMENT, None),
            (&[], PUBLIC, Some("no account is signed in")),
            (
                &[signed_out, PROGRAM_FILE],
                PUBLIC,
                Some("no account is signed in"),
            ),
            (
                &[ALICE],
                PUBLIC,
                Some("an account is signed in, but `azd` is not on `PATH`"),
            ),
            (
                &[ALICE, PROGRAM_FILE],
                GOVERNMENT,
                Some("it is signed in to AzureCloud, not to AzureUSGovernment"),
            ),
            (
                &[ALICE, to_az, PROGRAM_FILE],
                PUBLIC,
                Some(
                    "it uses the Azure CLI's sign-in (`auth.useAzCliAuth`): choose the source `azure-cli`",
                ),
            ),
        ] {
            let reason = match offer_with(files, host) {
                Ok(_) => None,
                Err(error) if error.kind() == ErrorKind::NoIdentity => Some(error.to_string()),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(reason.as_deref(), problem);
        }
    }

    #[test]
    fn the_hint_for_another_cloud_is_the_command_that_changes_it() {
        let error = offer_with(&[ALICE, PROGRAM_FILE], GOVERNMENT).unwrap_err();
        assert_eq!(
            error.hint(),
            Some(
                "sign in to AzureUSGovernment\n  azd config set cloud.name AzureUSGovernment && azd auth login"
            )
        );
    }

    #[test]
    fn a_malformed_file_is_an_error_and_does_not_skip_the_source() {
        for name in ["auth.json", "config.json"] {
            let offer = offer_with(&[(name, "junk")], PUBLIC);
            assert!(
                matches!(offer, Err(error) if error.kind() == ErrorKind::Setting),
                "{name}"
            );
        }
    }
}
