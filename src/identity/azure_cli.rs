//! The Azure CLI as a source: who is signed in to it, and how it is run.

use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio::process::Command;

/// `azureProfile.json`, as far as it says who is signed in (azure-cli-core, `_profile.py`).
#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    subscriptions: Vec<Subscription>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    #[serde(default)]
    is_default: bool,
    #[serde(default)]
    environment_name: String,
    #[serde(default)]
    tenant_id: String,
    #[serde(default)]
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    #[serde(default)]
    name: String,
    /// Tells managed identities apart, all of which have the same name.
    #[serde(default)]
    assigned_identity_info: Option<String>,
}

/// Who is signed in to the Azure CLI: cloud, tenant and user of the default account of each cloud, since the profile does
/// not say which cloud is active. Or why it cannot be a source.
pub(super) fn account(folder: Option<&Path>, path: &[PathBuf]) -> Result<String, String> {
    let folder = folder.ok_or("there is no home folder and `AZURE_CONFIG_DIR` is not set")?;
    let file = folder.join("azureProfile.json");
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("nobody is signed in".into()),
        Err(error) => return Err(format!("{} cannot be read: {error}", file.display())),
    };
    let account = account_of(&bytes).ok_or("nobody is signed in")?;
    if !path.iter().any(|folder| folder.join(PROGRAM).is_file()) {
        return Err(format!("`{PROGRAM}` is in no absolute folder of `PATH`"));
    }
    Ok(account)
}

const PROGRAM: &str = if cfg!(windows) { "az.cmd" } else { "az" };

fn account_of(profile: &[u8]) -> Option<String> {
    // The Azure CLI writes a byte-order mark.
    let json = profile.strip_prefix("\u{feff}".as_bytes()).unwrap_or(profile);
    let profile: Profile = serde_json::from_slice(json).ok()?;
    let mut accounts: Vec<String> = profile
        .subscriptions
        .iter()
        .filter(|subscription| subscription.is_default)
        .map(|subscription| {
            [
                subscription.environment_name.as_str(),
                &subscription.tenant_id,
                &subscription.user.name,
                subscription.user.assigned_identity_info.as_deref().unwrap_or_default(),
            ]
            .join(" ")
        })
        .collect();
    accounts.sort();
    (!accounts.is_empty()).then(|| accounts.join("\n"))
}

/// Runs `az` so that it cannot outlive us: in a process group of its own, which is ended when the answer is no longer awaited.
#[derive(Debug)]
pub(super) struct Runner {
    path: OsString,
}

impl Runner {
    /// `az` and what it runs are looked for in these folders only.
    pub(super) fn new(path: Vec<PathBuf>) -> Self {
        Self { path: std::env::join_paths(path).unwrap_or_default() }
    }
}

#[async_trait::async_trait]
impl azure_identity::Executor for Runner {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let mut command = Command::new(program);
        command
            .args(args)
            .env("PATH", &self.path)
            .env("AZURE_CORE_NO_COLOR", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for secret in SECRETS {
            command.env_remove(secret);
        }
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn()?;
        let group = Group(child.id());
        let output = child.wait_with_output().await;
        drop(group);
        output
    }
}

/// Variables with secrets of other sources, which the Azure CLI has no use for.
const SECRETS: &[&str] = &[
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SECRET",
    "AZURE_PASSWORD",
    "IDENTITY_HEADER",
    "MSI_SECRET",
    "SYSTEM_ACCESSTOKEN",
];

/// The process group that a child leads: dropping it ends what is left of the group.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(group) = self.0.and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?)) {
            // Nobody is left when the child ended in order.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(rows: &[(bool, &str, &str)]) -> Vec<u8> {
        let rows: Vec<String> = rows
            .iter()
            .map(|(default, tenant, user)| {
                format!(
                    r#"{{"id":"s","isDefault":{default},"environmentName":"AzureCloud","tenantId":"{tenant}","user":{{"name":"{user}","type":"user"}}}}"#
                )
            })
            .collect();
        format!("\u{feff}{{\"installationId\":\"i\",\"subscriptions\":[{}]}}", rows.join(",")).into_bytes()
    }

    #[test]
    fn the_account_is_that_of_the_default_subscription() {
        let alice = account_of(&profile(&[(true, "t1", "alice"), (false, "t2", "bob")]));
        let bob = account_of(&profile(&[(false, "t1", "alice"), (true, "t2", "bob")]));
        assert_eq!(alice.as_deref(), Some("AzureCloud t1 alice "));
        assert_eq!(bob.as_deref(), Some("AzureCloud t2 bob "));
    }

    #[test]
    fn a_profile_without_accounts_or_sense_is_nobody() {
        for profile in [profile(&[]), profile(&[(false, "t", "u")]), b"{}".to_vec(), b"junk".to_vec(), vec![]] {
            assert_eq!(account_of(&profile), None);
        }
    }

    #[test]
    fn the_azure_cli_is_no_source_without_its_program() {
        let folder = tempfile::tempdir().unwrap();
        let signed_in = || account(Some(folder.path()), &[folder.path().to_owned()]);
        assert_eq!(signed_in().unwrap_err(), "nobody is signed in");
        std::fs::write(folder.path().join("azureProfile.json"), profile(&[(true, "t", "u")])).unwrap();
        assert_eq!(signed_in().unwrap_err(), format!("`{PROGRAM}` is in no absolute folder of `PATH`"));
        std::fs::write(folder.path().join(PROGRAM), "").unwrap();
        assert!(signed_in().is_ok());
    }
}
