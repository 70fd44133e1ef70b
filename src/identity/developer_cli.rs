//! The Azure Developer CLI as a source: who is signed in to it, and how it is asked.

use crate::config::SourceSettings;
use crate::error::{Error, printable};
use crate::files::read_small;
use crate::program::{self, Runner};
use crate::registry::Cloud;
use azure_core::credentials::TokenCredential;
use azure_identity::{AzureDeveloperCliCredential, AzureDeveloperCliCredentialOptions};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Far more than settings and an account take.
const FILE_LIMIT: usize = 1024 * 1024;

const PROGRAM: &str = "azd";

/// The cloud that it signs in to when nothing is set (Microsoft, "azd in sovereign clouds").
const DEFAULT_CLOUD: &str = "AzureCloud";

/// Somebody who is signed in to the Azure Developer CLI.
#[derive(Debug)]
pub(super) struct Account {
    /// What it keeps of the account: ids, no secret.
    user: String,
    tenant: Option<String>,
    path: Vec<PathBuf>,
}

/// Who is signed in to the Azure Developer CLI for a cloud; the inner error says why it is no source here. Source of the files and
/// their keys: Azure/azure-dev, `cli/azd/pkg/auth/manager.go` (`auth.json`) and `pkg/cloud` (`config.json`). A file that is there and
/// cannot be understood is an error.
pub(super) fn account(
    settings: &SourceSettings,
    cloud: &Cloud,
) -> Result<Result<Account, String>, Error> {
    let Some(folder) = settings.developer_cli_folder.as_deref() else {
        return Ok(Err(
            "there is no home folder and `AZD_CONFIG_DIR` is not set".into(),
        ));
    };
    let config = read(&folder.join("config.json"))?;
    // A text that Go's `strconv.ParseBool` takes for true.
    let delegates = config["auth"]["useAzCliAuth"].as_str().unwrap_or_default();
    if ["1", "t", "true"].contains(&delegates.to_ascii_lowercase().as_str()) {
        return Ok(Err(
            "it uses the Azure CLI's sign-in (`auth.useAzCliAuth`): choose the source `azure-cli`"
                .into(),
        ));
    }
    let user = read(&folder.join("auth.json"))?["auth"]["account"]["currentUser"].clone();
    if !user.is_object() {
        return Ok(Err("nobody is signed in".into()));
    }
    let its_cloud = config["cloud"]["name"].as_str().unwrap_or(DEFAULT_CLOUD);
    if its_cloud != cloud.cli_name {
        return Ok(Err(format!(
            "it is signed in to {}: `azd config set cloud.name {}`, then `azd auth login`",
            printable(its_cloud),
            cloud.cli_name
        )));
    }
    if program::find(PROGRAM, &settings.path).is_none() {
        return Ok(Err(
            "somebody is signed in, but `azd` is in no absolute folder of `PATH`".into(),
        ));
    }
    program::check_owner(PROGRAM, folder)?;
    let tenant = settings
        .named_tenant
        .as_ref()
        .map(|tenant| tenant.value.clone());
    Ok(Ok(Account {
        user: user.to_string(),
        tenant,
        path: settings.path.clone(),
    }))
}

/// The JSON of a file; nothing when it is missing.
fn read(file: &Path) -> Result<Value, Error> {
    let unusable = |problem: String| Error::setting(file.display(), problem);
    match read_small(file, FILE_LIMIT) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            unusable(format!("is not a file of the Azure Developer CLI: {error}"))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Value::Null),
        Err(error) => Err(unusable(format!("cannot be read: {error}"))),
    }
}

impl Account {
    /// What tells one account from another.
    pub(super) fn who(&self) -> String {
        format!("{} {}", self.tenant().unwrap_or_default(), self.user)
    }

    /// The tenant that is signed in to, if one is named.
    pub(super) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The Azure Developer CLI as a credential.
    pub(super) fn credential(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let executor = Some(Arc::new(Runner::new(&self.path, vec![])) as _);
        let options = AzureDeveloperCliCredentialOptions {
            executor,
            tenant_id: self.tenant.clone(),
        };
        AzureDeveloperCliCredential::new(Some(options)).map(|it| it as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::CLOUDS;

    fn account_in(files: &[(&str, &str)], cloud: &Cloud) -> Result<Result<Account, String>, Error> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let folder = folder.path().to_owned();
        account(
            &SourceSettings {
                developer_cli_folder: Some(folder.clone()),
                path: vec![folder],
                ..SourceSettings::default()
            },
            cloud,
        )
    }

    const ALICE: (&str, &str) = (
        "auth.json",
        r#"{"auth":{"account":{"currentUser":{"homeAccountId":"alice.t1"}}}}"#,
    );
    const PROGRAM_FILE: (&str, &str) = (PROGRAM, "");

    #[test]
    fn somebody_is_signed_in_when_there_is_a_current_user_of_this_cloud() {
        let government = ("config.json", r#"{"cloud":{"name":"AzureUSGovernment"}}"#);
        let to_az = ("config.json", r#"{"auth":{"useAzCliAuth":"true"}}"#);
        let nobody = ("auth.json", r#"{"auth":{"account":{}}}"#);
        for (files, cloud, problem) in [
            (&[ALICE, PROGRAM_FILE][..], &CLOUDS[0], None),
            (&[ALICE, government, PROGRAM_FILE], &CLOUDS[1], None),
            (&[], &CLOUDS[0], Some("nobody is signed in")),
            (
                &[nobody, PROGRAM_FILE],
                &CLOUDS[0],
                Some("nobody is signed in"),
            ),
            (
                &[ALICE],
                &CLOUDS[0],
                Some("somebody is signed in, but `azd` is in no absolute folder of `PATH`"),
            ),
            (
                &[ALICE, PROGRAM_FILE],
                &CLOUDS[1],
                Some(
                    "it is signed in to AzureCloud: `azd config set cloud.name AzureUSGovernment`, then `azd auth login`",
                ),
            ),
            (
                &[ALICE, to_az, PROGRAM_FILE],
                &CLOUDS[0],
                Some(
                    "it uses the Azure CLI's sign-in (`auth.useAzCliAuth`): choose the source `azure-cli`",
                ),
            ),
        ] {
            assert_eq!(account_in(files, cloud).unwrap().err().as_deref(), problem);
        }
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_an_error_not_nobody() {
        for name in ["auth.json", "config.json"] {
            assert!(
                account_in(&[(name, "junk")], &CLOUDS[0])
                    .is_err_and(|error| error.kind() == crate::error::ErrorKind::Setting),
                "{name}"
            );
        }
    }
}
