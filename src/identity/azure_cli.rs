//! The Azure CLI as a source: who is signed in to it, and which of its accounts is meant.

use crate::config::SourceSettings;
use crate::error::{Error, printable};
use crate::files::read_small;
use crate::program::{self, Runner};
use crate::registry::{CLOUDS, Cloud};
use azure_core::credentials::TokenCredential;
use azure_identity::{AzureCliCredential, AzureCliCredentialOptions};
use serde::Deserialize;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A profile names every subscription of every account; this is room for thousands.
const PROFILE_LIMIT: usize = 8 * 1024 * 1024;

const PROGRAM: &str = "az";

/// Where it keeps who is signed in.
const PROFILE: &str = "azureProfile.json";

/// How many other subscriptions a failure names.
const MOST_NAMED: usize = 5;

/// `azureProfile.json`, as far as it says who is signed in (azure-cli-core, `_profile.py`).
#[derive(Deserialize)]
struct Profile {
    subscriptions: Option<Vec<Subscription>>,
}

/// A subscription, or a tenant without one, and the account that sees it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
struct Subscription {
    id: Option<String>,
    name: Option<String>,
    is_default: Option<bool>,
    environment_name: Option<String>,
    tenant_id: Option<String>,
    tenant_default_domain: Option<String>,
    user: Option<User>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "camelCase")]
struct User {
    name: Option<String>,
    /// Tells managed identities apart, all of which have the same name.
    assigned_identity_info: Option<String>,
}

/// Somebody who is signed in to the Azure CLI, in one cloud.
#[derive(Debug)]
pub(super) struct Account {
    subscription: Subscription,
    choice: Choice,
    others: Vec<Subscription>,
    path: Vec<PathBuf>,
}

/// How the Azure CLI is told which account is meant. It takes one of the two only.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Default,
    Subscription(String),
    Tenant(String),
}

/// Who is signed in to the Azure CLI for a cloud; the inner error says why the Azure CLI is no source here. A profile that is there
/// and cannot be read or understood, or that does not say who of several is meant, is an error: whoever is signed in must not be
/// passed over for somebody else.
pub(super) fn account(
    settings: &SourceSettings,
    cloud: &Cloud,
) -> Result<Result<Account, String>, Error> {
    let Some(folder) = settings.azure_cli_folder.as_deref() else {
        return Ok(Err(
            "there is no home folder and `AZURE_CONFIG_DIR` is not set".into(),
        ));
    };
    let subscriptions = subscriptions(folder)?;
    let total = subscriptions.len();
    let here: Vec<Subscription> = subscriptions
        .into_iter()
        .filter(|it| it.cloud() == cloud.cli_name)
        .collect();
    if !here.is_empty() && program::find(PROGRAM, &settings.path).is_none() {
        return Ok(Err(
            "somebody is signed in, but `az` is in no absolute folder of `PATH`".into(),
        ));
    }
    let wanted = |setting: &Option<crate::config::Value<String>>| {
        setting.as_ref().map(|it| it.value.clone())
    };
    let Some((account, choice)) = choose(
        &here,
        wanted(&settings.subscription),
        wanted(&settings.named_tenant),
    ) else {
        return match (total, here.len()) {
            (0, _) => Ok(Err("nobody is signed in".into())),
            (_, 0) => {
                let (cloud, word) = (&cloud.name, &cloud.cli_name);
                Ok(Err(format!(
                    "nobody is signed in to {cloud}: `az cloud set --name {word}`, then `az login`; or set `identity_cloud`"
                )))
            }
            _ => Err(Error::setting(
                folder.join(PROFILE).display(),
                format!(
                    "has no default account in {}: set `subscription`, or `az cloud set --name {}` and `az account set`",
                    cloud.name, cloud.cli_name
                ),
            )),
        };
    };
    program::check_owner(PROGRAM, folder)?;
    let others = here
        .into_iter()
        .filter(|it| it.tenant_id != account.tenant_id)
        .collect();
    Ok(Ok(Account {
        subscription: account,
        choice,
        others,
        path: settings.path.clone(),
    }))
}

fn subscriptions(folder: &Path) -> Result<Vec<Subscription>, Error> {
    let file = folder.join(PROFILE);
    let unusable = |problem: String| Error::setting(file.display(), problem);
    let bytes = match read_small(&file, PROFILE_LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(unusable(format!("cannot be read: {error}"))),
    };
    // The Azure CLI writes a byte-order mark.
    let json = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let profile: Profile = serde_json::from_slice(json)
        .map_err(|error| unusable(format!("is not the profile of the Azure CLI: {error}")))?;
    Ok(profile.subscriptions.unwrap_or_default())
}

/// Everyone and everything that the profile names, beside what is the same for everybody.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    fn collect(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::String(name) => names.push(name.clone()),
            Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
            Value::Object(fields) => {
                let naming = fields.iter().filter(|(name, _)| {
                    !["environmentName", "state", "type"].contains(&name.as_str())
                });
                naming.for_each(|(_, value)| collect(value, names));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => (),
        }
    }
    let bytes = read_small(&folder.join(PROFILE), PROFILE_LIMIT).unwrap_or_default();
    let json = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let profile: Value = serde_json::from_slice(json).unwrap_or_default();
    let mut names = vec![];
    collect(&profile["subscriptions"], &mut names);
    names
}

/// The account that is meant, and how the Azure CLI is told. A subscription says most; of several that are called so the one in the
/// tenant is meant. Of the accounts that see a tenant the default one is taken first, then the one that the default account is signed in
/// with. A tenant in which no account is known is left to the default account, which may be a guest there.
fn choose(
    all: &[Subscription],
    subscription: Option<String>,
    tenant: Option<String>,
) -> Option<(Subscription, Choice)> {
    let default = default(all);
    if let Some(wanted) = subscription {
        let named = || all.iter().filter(|it| it.is_called(&wanted));
        let in_tenant = tenant.and_then(|tenant| named().find(|it| it.is_in(&tenant)));
        return match (in_tenant, named().next(), named().nth(1)) {
            (Some(known), ..) | (None, Some(known), None) => Some(known.by_id()),
            // The Azure CLI says that it has several of this name, or none.
            (None, known, _) => Some((known.or(default)?.clone(), Choice::Subscription(wanted))),
        };
    }
    let Some(tenant) = tenant else {
        return Some(default?.by_id());
    };
    let mut members: Vec<&Subscription> = all.iter().filter(|it| it.is_in(&tenant)).collect();
    members.sort_by_key(|it| {
        (
            it.is_default != Some(true),
            it.user != default.and_then(|default| default.user.clone()),
        )
    });
    if let Some(member) = members.first() {
        return Some(member.by_id());
    }
    let account = Subscription {
        tenant_id: Some(tenant.clone()),
        ..default?.clone()
    };
    Some((account, Choice::Tenant(tenant)))
}

/// The account that the Azure CLI calls its default. It has one for all clouds: after a sign-in to another cloud there is none here. Then
/// it is the only account, if there is but one.
fn default(all: &[Subscription]) -> Option<&Subscription> {
    let only = || {
        all.first().filter(|first| {
            all.iter()
                .all(|it| it.user == first.user && it.tenant_id == first.tenant_id)
        })
    };
    all.iter()
        .find(|it| it.is_default == Some(true))
        .or_else(only)
}

impl Subscription {
    /// The cloud that it is of. The Azure CLI has written it since its first release, so that one without is of the cloud that it begins
    /// with.
    fn cloud(&self) -> &str {
        self.environment_name
            .as_deref()
            .unwrap_or(&CLOUDS[0].cli_name)
    }

    /// Named by its id: the account stays the one that was found here, whatever becomes the default meanwhile.
    fn by_id(&self) -> (Self, Choice) {
        (
            self.clone(),
            self.id
                .clone()
                .map_or(Choice::Default, Choice::Subscription),
        )
    }

    fn is_called(&self, wanted: &str) -> bool {
        [&self.id, &self.name]
            .into_iter()
            .flatten()
            .any(|name| name.eq_ignore_ascii_case(wanted))
    }

    fn is_in(&self, tenant: &str) -> bool {
        let names = [&self.tenant_id, &self.tenant_default_domain];
        names
            .into_iter()
            .flatten()
            .any(|name| name.eq_ignore_ascii_case(tenant))
    }
}

impl Account {
    /// What tells one account from another: cloud, tenant, user, and what tells managed identities apart.
    pub(super) fn who(&self) -> String {
        let user = self.subscription.user.as_ref();
        let name = user.and_then(|user| user.name.as_deref());
        let assigned = user.and_then(|user| user.assigned_identity_info.as_deref());
        let parts = [
            Some(self.subscription.cloud()),
            self.subscription.tenant_id.as_deref(),
            name,
            assigned,
        ];
        parts.map(Option::unwrap_or_default).join(" ")
    }

    /// The tenant that is signed in to.
    pub(super) fn tenant(&self) -> Option<&str> {
        self.subscription.tenant_id.as_deref()
    }

    /// The cloud to set before a sign-in, if it is not the one that the Azure CLI begins with.
    pub(super) fn other_cloud(&self) -> Option<&str> {
        Some(self.subscription.cloud())
            .filter(|cloud| *cloud != CLOUDS[0].cli_name && is_plain(cloud))
    }

    /// Whether a subscription is asked for that nobody is known to see.
    pub(super) fn is_by_name(&self) -> bool {
        matches!(&self.choice, Choice::Subscription(wanted) if !self.subscription.is_called(wanted))
    }

    /// The subscriptions of other tenants, a line each: what may have been meant.
    pub(super) fn others(&self) -> Vec<String> {
        let known = self
            .others
            .iter()
            .filter_map(|it| Some((it.name.as_deref()?, it.tenant_id.as_deref()?)));
        let mut lines: Vec<String> = known
            .take(MOST_NAMED)
            .map(|(name, tenant)| (printable(name), printable(tenant)))
            .map(|(name, tenant)| {
                format!("the Azure CLI also knows the subscription `{name}` in tenant {tenant}")
            })
            .collect();
        if self.others.len() > MOST_NAMED {
            lines.push(format!(
                "and {} more: `az account list`",
                self.others.len() - MOST_NAMED
            ));
        }
        lines
    }

    /// The Azure CLI as a credential. `AZURE_CLOUD_NAME` chooses the cloud for this call, whatever `az cloud set` says. It is set only
    /// to what the profile calls the cloud: a name that the Azure CLI does not know makes it change its own settings.
    pub(super) fn credential(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let cloud = self.subscription.cloud().to_owned();
        // No extension is needed for a token, and those of a folder that a variable names would be anybody's code.
        let no_extensions = if cfg!(windows) {
            r"NUL
one"
        } else {
            "/dev/null/none"
        };
        let variables = vec![
            ("AZURE_CORE_NO_COLOR", "true".to_owned()),
            ("AZURE_CLOUD_NAME", cloud),
            ("AZURE_EXTENSION_DIR", no_extensions.to_owned()),
            ("AZURE_EXTENSION_DEV_SOURCES", String::new()),
            ("AZURE_EXTENSION_SYS_DIR", String::new()),
        ];
        let (subscription, tenant_id) = match &self.choice {
            Choice::Default => (None, None),
            Choice::Subscription(subscription) => (Some(subscription.clone()), None),
            Choice::Tenant(tenant) => (None, Some(tenant.clone())),
        };
        let executor = Some(Arc::new(Runner::new(&self.path, variables)) as _);
        let options = AzureCliCredentialOptions {
            subscription,
            tenant_id,
            executor,
        };
        AzureCliCredential::new(Some(options)).map(|it| it as _)
    }
}

/// Only what can be the name of a cloud becomes part of a command to paste.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(name: &str, is_default: bool, tenant: &str, user: &str) -> Subscription {
        Subscription {
            id: Some(format!("id-{name}")),
            name: Some(name.into()),
            is_default: Some(is_default),
            environment_name: Some("AzureCloud".into()),
            tenant_id: Some(tenant.into()),
            tenant_default_domain: Some(format!("{tenant}.example")),
            user: Some(User {
                name: Some(user.into()),
                assigned_identity_info: None,
            }),
        }
    }

    fn chosen(
        all: &[Subscription],
        subscription: Option<&str>,
        tenant: Option<&str>,
    ) -> (String, Choice) {
        let (account, choice) = choose(
            all,
            subscription.map(str::to_owned),
            tenant.map(str::to_owned),
        )
        .unwrap();
        let user = account.user.and_then(|user| user.name).unwrap();
        (format!("{} {user}", account.tenant_id.unwrap()), choice)
    }

    #[test]
    fn the_account_is_the_one_that_the_settings_mean() {
        let all = [
            subscription("a", true, "t1", "alice"),
            subscription("b", false, "t2", "bob"),
            subscription("c", false, "t2", "alice"),
            subscription("d", false, "t3", "bob"),
        ];
        let by_id = |id: &str| Choice::Subscription(id.into());
        for (subscription, tenant, who, choice) in [
            (None, None, "t1 alice", by_id("id-a")),
            (None, Some("t1"), "t1 alice", by_id("id-a")),
            (None, Some("t2"), "t2 alice", by_id("id-c")),
            (None, Some("T2.example"), "t2 alice", by_id("id-c")),
            (None, Some("t3"), "t3 bob", by_id("id-d")),
            (None, Some("t4"), "t4 alice", Choice::Tenant("t4".into())),
            (Some("B"), Some("t1"), "t2 bob", by_id("id-b")),
            (Some("id-d"), None, "t3 bob", by_id("id-d")),
            (Some("unknown"), None, "t1 alice", by_id("unknown")),
        ] {
            assert_eq!(
                chosen(&all, subscription, tenant),
                (who.to_owned(), choice),
                "{subscription:?} {tenant:?}"
            );
        }
        let namesakes = [
            subscription("a", true, "t1", "alice"),
            Subscription {
                name: Some("a".into()),
                ..subscription("b", false, "t2", "alice")
            },
        ];
        assert_eq!(
            chosen(&namesakes, Some("a"), Some("t2")),
            ("t2 alice".into(), by_id("id-b"))
        );
        assert_eq!(
            chosen(&namesakes, Some("a"), None),
            ("t1 alice".into(), by_id("a")),
            "which is for the Azure CLI to refuse"
        );
        assert!(
            choose(&all[1..], None, None).is_none(),
            "nobody is the default"
        );
        assert_eq!(
            chosen(&all[1..2], None, None),
            ("t2 bob".into(), by_id("id-b")),
            "there is but one"
        );
        assert_eq!(chosen(&all[1..], None, Some("t3")).0, "t3 bob");
    }

    fn profile(rows: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("azureProfile.json"),
            format!("\u{feff}{rows}"),
        )
        .unwrap();
        folder
    }

    fn account_in(folder: &Path, cloud: &Cloud) -> Result<Result<Account, String>, Error> {
        let settings = SourceSettings {
            azure_cli_folder: Some(folder.to_owned()),
            path: vec![folder.to_owned()],
            ..SourceSettings::default()
        };
        account(&settings, cloud)
    }

    #[test]
    fn who_is_signed_in_to_another_cloud_is_nobody_here() {
        let folder = profile(
            r#"{"subscriptions":[{"isDefault":true,"environmentName":"AzureCloud","tenantId":"t1","user":{"name":"alice"}},
                {"isDefault":true,"environmentName":"AzureUSGovernment","tenantId":"t2","user":{"name":"bob"}}]}"#,
        );
        std::fs::write(folder.path().join(PROGRAM), "").unwrap();
        let who = |cloud: &Cloud| {
            account_in(folder.path(), cloud)
                .unwrap()
                .map(|account| account.who())
        };
        assert_eq!(who(&CLOUDS[0]).unwrap(), "AzureCloud t1 alice ");
        assert_eq!(who(&CLOUDS[1]).unwrap(), "AzureUSGovernment t2 bob ");
        let nobody = who(&CLOUDS[2]).unwrap_err();
        assert_eq!(
            nobody,
            "nobody is signed in to Azure China: `az cloud set --name AzureChinaCloud`, then `az login`; or set `identity_cloud`"
        );
    }

    #[test]
    fn a_profile_without_accounts_is_nobody_and_nulls_are_nothing() {
        for rows in ["{}", r#"{"subscriptions":null}"#, r#"{"subscriptions":[]}"#] {
            assert!(
                account_in(profile(rows).path(), &CLOUDS[0])
                    .unwrap()
                    .unwrap_err()
                    .contains("nobody is signed in"),
                "{rows}"
            );
        }
        let nulls = profile(
            r#"{"subscriptions":[{"isDefault":true,"user":null,"tenantId":null},{"isDefault":null}]}"#,
        );
        std::fs::write(nulls.path().join(PROGRAM), "").unwrap();
        assert!(account_in(nulls.path(), &CLOUDS[0]).unwrap().is_ok());
        // One that does not name its cloud is of the public one.
        assert_eq!(
            account_in(nulls.path(), &CLOUDS[0]).unwrap().unwrap().who(),
            "AzureCloud   "
        );
        let elsewhere = account_in(nulls.path(), &CLOUDS[2]).unwrap().unwrap_err();
        assert_eq!(
            elsewhere,
            "nobody is signed in to Azure China: `az cloud set --name AzureChinaCloud`, then `az login`; or set `identity_cloud`"
        );
    }

    #[test]
    fn who_of_several_is_meant_must_be_said() {
        let two = profile(
            r#"{"subscriptions":[{"isDefault":false,"tenantId":"t1"},{"isDefault":false,"tenantId":"t2"}]}"#,
        );
        std::fs::write(two.path().join(PROGRAM), "").unwrap();
        let problem = account_in(two.path(), &CLOUDS[0]).unwrap_err().to_string();
        let sentence = "azureProfile.json` has no default account in Azure: set `subscription`, or `az cloud set --name AzureCloud` and";
        assert!(problem.contains(sentence), "{problem}");
    }

    #[test]
    fn the_azure_cli_is_no_source_without_its_program() {
        let folder = profile(r#"{"subscriptions":[{"isDefault":true}]}"#);
        let problem = account_in(folder.path(), &CLOUDS[0]).unwrap().unwrap_err();
        assert_eq!(
            problem,
            "somebody is signed in, but `az` is in no absolute folder of `PATH`"
        );
        let nowhere = tempfile::tempdir().unwrap();
        assert_eq!(
            account_in(nowhere.path(), &CLOUDS[0]).unwrap().unwrap_err(),
            "nobody is signed in"
        );
    }

    #[test]
    fn a_profile_that_cannot_be_understood_is_an_error_not_nobody() {
        for content in [
            "",
            "junk",
            "{\"subscriptions\":[{\"isDefault\":tr",
            "{\"subscriptions\":[{\"isDefault\":\"yes\"}]}",
        ] {
            assert!(
                account_in(profile(content).path(), &CLOUDS[0])
                    .is_err_and(|error| error.kind() == crate::error::ErrorKind::Setting),
                "{content}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("azureProfile.json")).unwrap();
        assert!(account_in(folder.path(), &CLOUDS[0]).is_err());
    }

    #[test]
    fn other_tenants_are_named_and_not_too_many_of_them() {
        let others = (0..7)
            .map(|n| subscription(&format!("s{n}"), false, "t2", "alice"))
            .collect();
        let account = Account {
            subscription: subscription("a", true, "t1", "alice"),
            choice: Choice::Default,
            others,
            path: vec![],
        };
        let lines = account.others();
        assert_eq!(lines.len(), 6);
        assert_eq!(
            lines[0],
            "the Azure CLI also knows the subscription `s0` in tenant t2"
        );
        assert_eq!(lines[5], "and 2 more: `az account list`");
    }
}
