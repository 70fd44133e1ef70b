//! The Azure CLI as a source: who is signed in to it, and how it is run.

use crate::error::Error;
use crate::files::read_small;
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::task::JoinHandle;

/// A profile names every subscription of every account; this is room for thousands.
const PROFILE_LIMIT: usize = 8 * 1024 * 1024;

/// A token and what surrounds it; an error of `az` can be a long traceback.
const OUTPUT_LIMIT: u64 = 1024 * 1024;

/// How long output is still waited for once `az` itself has ended: something that it started may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(200);

const PROGRAM: &str = if cfg!(windows) { "az.cmd" } else { "az" };

/// `azureProfile.json`, as far as it says who is signed in (azure-cli-core, `_profile.py`).
#[derive(Deserialize)]
struct Profile {
    subscriptions: Option<Vec<Subscription>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    is_default: Option<bool>,
    environment_name: Option<String>,
    tenant_id: Option<String>,
    user: Option<User>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    name: Option<String>,
    /// Tells managed identities apart, all of which have the same name.
    assigned_identity_info: Option<String>,
}

/// Who is signed in to the Azure CLI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Cloud, tenant and user of the default account of each cloud, since the profile does not say which cloud is active.
    pub(super) who: String,
    /// The tenant of the default account, if there is but one.
    pub(super) tenant: Option<String>,
}

/// Who is signed in to the Azure CLI; the inner error says why the Azure CLI is no source here. A profile that is there and
/// cannot be read or understood is an [`Error::Setting`]: whoever is signed in must not be passed over for somebody else.
pub(super) fn account(folder: Option<&Path>, path: &[PathBuf]) -> Result<Result<Account, &'static str>, Error> {
    let Some(folder) = folder else {
        return Ok(Err("there is no home folder and `AZURE_CONFIG_DIR` is not set"));
    };
    let file = folder.join("azureProfile.json");
    let unusable = |problem: String| Error::Setting { name: file.display().to_string(), problem };
    let bytes = match read_small(&file, PROFILE_LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err("nobody is signed in")),
        Err(error) => return Err(unusable(format!("cannot be read: {error}"))),
    };
    let Some(account) = account_of(&bytes).map_err(|error| unusable(format!("is not the profile of the Azure CLI: {error}")))?
    else {
        return Ok(Err("nobody is signed in"));
    };
    if !path.iter().any(|folder| folder.join(PROGRAM).is_file()) {
        return Ok(Err("somebody is signed in, but `az` is in no absolute folder of `PATH`"));
    }
    Ok(Ok(account))
}

fn account_of(profile: &[u8]) -> serde_json::Result<Option<Account>> {
    // The Azure CLI writes a byte-order mark.
    let json = profile.strip_prefix("\u{feff}".as_bytes()).unwrap_or(profile);
    let profile: Profile = serde_json::from_slice(json)?;
    let subscriptions = profile.subscriptions.unwrap_or_default();
    let defaults: Vec<&Subscription> = subscriptions.iter().filter(|it| it.is_default == Some(true)).collect();
    let mut accounts: Vec<String> = defaults
        .iter()
        .map(|subscription| {
            let user = subscription.user.as_ref();
            let name = user.and_then(|user| user.name.as_deref());
            let assigned = user.and_then(|user| user.assigned_identity_info.as_deref());
            let parts = [subscription.environment_name.as_deref(), subscription.tenant_id.as_deref(), name, assigned];
            parts.map(Option::unwrap_or_default).join(" ")
        })
        .collect();
    accounts.sort();
    let tenant = match defaults[..] {
        [only] => only.tenant_id.clone(),
        _ => None,
    };
    Ok((!accounts.is_empty()).then(|| Account { who: accounts.join("\n"), tenant }))
}

/// Runs `az` in a process group of its own, which is ended when the answer is no longer awaited: it does not outlive us.
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
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<process::Output> {
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
        let mut child = command.spawn()?;
        // Ends what is left of the group on every way out of here, be it the deadline's.
        let _group = Group(child.id());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = (Output::of(stdout), Output::of(stderr));
        let status = child.wait().await?;
        Ok(process::Output { status, stdout: stdout.finish().await?, stderr: stderr.finish().await? })
    }
}

/// What a pipe gives, read in a task of its own.
struct Output(JoinHandle<io::Result<Vec<u8>>>);

impl Output {
    fn of(pipe: Option<impl AsyncRead + Send + Unpin + 'static>) -> Self {
        Self(tokio::spawn(async move {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                pipe.take(OUTPUT_LIMIT + 1).read_to_end(&mut bytes).await?;
            }
            if bytes.len() as u64 > OUTPUT_LIMIT {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {OUTPUT_LIMIT} bytes of output")));
            }
            Ok(bytes)
        }))
    }

    async fn finish(self) -> io::Result<Vec<u8>> {
        match tokio::time::timeout(LAST_WORDS, self.0).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it ended, but something it started holds its output open")),
        }
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
        let alice = account_of(&profile(&[(true, "t1", "alice"), (false, "t2", "bob")])).unwrap().unwrap();
        let bob = account_of(&profile(&[(false, "t1", "alice"), (true, "t2", "bob")])).unwrap().unwrap();
        assert_eq!(alice, Account { who: "AzureCloud t1 alice ".into(), tenant: Some("t1".into()) });
        assert_eq!(bob, Account { who: "AzureCloud t2 bob ".into(), tenant: Some("t2".into()) });
        let both = account_of(&profile(&[(true, "t1", "alice"), (true, "t2", "bob")])).unwrap().unwrap();
        assert_eq!((both.who.lines().count(), both.tenant), (2, None));
    }

    #[test]
    fn a_profile_without_a_default_account_is_nobody_and_nulls_are_nothing() {
        for profile in [profile(&[]), profile(&[(false, "t", "u")]), b"{}".to_vec(), br#"{"subscriptions":null}"#.to_vec()] {
            assert_eq!(account_of(&profile).unwrap(), None);
        }
        let nulls = br#"{"subscriptions":[{"isDefault":true,"user":null,"tenantId":null},{"isDefault":null}]}"#;
        assert!(account_of(nulls).unwrap().is_some());
    }

    #[test]
    fn the_azure_cli_is_no_source_without_its_program() {
        let folder = tempfile::tempdir().unwrap();
        let signed_in = || account(Some(folder.path()), &[folder.path().to_owned()]).unwrap();
        assert_eq!(signed_in().unwrap_err(), "nobody is signed in");
        std::fs::write(folder.path().join("azureProfile.json"), profile(&[(true, "t", "u")])).unwrap();
        assert_eq!(signed_in().unwrap_err(), "somebody is signed in, but `az` is in no absolute folder of `PATH`");
        std::fs::write(folder.path().join(PROGRAM), "").unwrap();
        assert!(signed_in().is_ok());
    }

    #[test]
    fn a_profile_that_cannot_be_understood_is_an_error_not_nobody() {
        for content in ["", "junk", "{\"subscriptions\":[{\"isDefault\":tr", "{\"subscriptions\":[{\"isDefault\":\"yes\"}]}"] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("azureProfile.json"), content).unwrap();
            assert!(matches!(account(Some(folder.path()), &[]), Err(Error::Setting { .. })), "{content}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("azureProfile.json")).unwrap();
        assert!(account(Some(folder.path()), &[]).is_err());
    }
}
