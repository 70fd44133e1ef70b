//! The Azure CLI as a source: who is signed in to it, and which of its accounts is meant.

use super::advice::Failure;
use super::select::{Offer, Unavailable::Skipped};
use super::{Identity, IdentitySource, Tenant, TokenContext, request_token};
use crate::config::{Config, is_tenant};
use crate::error::{Error, printable};
use crate::files::read_limited;
use crate::program::{self, Runner};
use crate::refusal::az;
use crate::registry::{CLOUDS, Registry};
use azure_identity::{AzureCliCredential, AzureCliCredentialOptions};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const HINT: &str = "az login";

/// A profile names every subscription of every account; this is room for thousands.
const MAX_FILE_BYTES: usize = 8 * 1024 * 1024;

const PROGRAM: &str = "az";

/// The file in which it keeps who is signed in.
const PROFILE: &str = "azureProfile.json";

/// What a file is called that cannot be understood.
const PROFILE_NAME: &str = "the profile of the Azure CLI";

/// How many other subscriptions a failure names.
const MAX_NAMED: usize = 5;

/// `azureProfile.json`, as far as it says who is signed in (azure-cli-core, `_profile.py`).
#[derive(Default, Deserialize)]
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

/// An account that is signed in to the Azure CLI, in one cloud.
#[derive(Debug)]
struct AzureCli {
    subscription: Subscription,
    selector: Selector,
    tenant: Tenant,
    /// Subscriptions of other tenants.
    others: Vec<Subscription>,
    path: Vec<PathBuf>,
}

/// How the account is selected on the command line of `az`, which takes one of the two only.
#[derive(Debug, PartialEq, Eq)]
enum Selector {
    Default,
    Subscription(String),
    Tenant(String),
}

/// Offers the account of the Azure CLI in the cloud of the identity. A profile that cannot be read, or that does not say which of several
/// accounts is meant, is an [`ErrorKind::Setting`](crate::error::ErrorKind): skipping it would sign in as another identity.
pub(super) fn offer(config: &Config, _: &Registry) -> Offer {
    const NO_DIR: &str = "there is no home folder and `AZURE_CONFIG_DIR` is not set";
    const NO_PROGRAM: &str = "somebody is signed in, but `az` is in no absolute folder of `PATH`";
    let (settings, cloud) = (&config.sources, &config.identity_cloud);
    let (name, cli_name) = (&cloud.name, &cloud.cli_name);
    let folder = settings.azure_cli_folder.as_deref().ok_or(NO_DIR)?;
    let file = folder.join(PROFILE);
    let profile: Profile = read_json(&file, PROFILE_NAME)?.unwrap_or_default();
    let mut subscriptions = profile.subscriptions.unwrap_or_default();
    if subscriptions.is_empty() {
        return Err("nobody is signed in".into());
    }
    subscriptions.retain(|it| it.cloud() == *cli_name);
    if subscriptions.is_empty() {
        return Err(Skipped(format!(
            "nobody is signed in to {name}: `az cloud set --name {cli_name}`, then `az login`; or set `identity_cloud`"
        )));
    }
    program::find(PROGRAM, &settings.path).ok_or(NO_PROGRAM)?;
    let (wanted, tenant) = (
        settings.subscription.as_ref(),
        settings.named_tenant.as_ref(),
    );
    let chosen = choose(
        &subscriptions,
        wanted.map(|it| &*it.value),
        tenant.map(|it| &*it.value),
    );
    let (subscription, selector) = chosen.ok_or_else(|| Error::setting(file.display(), format!(
            "has no default account in {name}: set `subscription`, or `az cloud set --name {cli_name}` and `az account set`"
        )))?;
    program::check_owner(PROGRAM, folder)?;
    subscriptions.retain(|it| it.tenant_id != subscription.tenant_id);
    let chosen_by = Tenant::from_setting("subscription", wanted);
    let Tenant { origin, .. } = chosen_by.or(Tenant::from_setting("tenant", tenant));
    let name = subscription.tenant_id.clone();
    Ok(Box::new(AzureCli {
        tenant: Tenant { name, origin },
        subscription,
        selector,
        others: subscriptions,
        path: settings.path.clone(),
    }))
}

/// Reads a JSON file of a command line, if it exists. `name` says what it should be.
pub(super) fn read_json<T: DeserializeOwned>(file: &Path, name: &str) -> Result<Option<T>, Error> {
    let unusable = |problem: String| Error::setting(file.display(), problem);
    let bytes = match read_limited(file, MAX_FILE_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(format!("cannot be read: {error}"))),
    };
    // The Azure CLI writes a byte-order mark.
    let json = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    serde_json::from_slice(json).map_err(|error| unusable(format!("is not {name}: {error}")))
}

/// Returns every name and ID in the profile, without the values that are the same for everyone.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    fn collect(value: &Value, names: &mut Vec<String>) {
        match value {
            Value::String(name) => names.push(name.clone()),
            Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
            Value::Object(fields) => fields
                .iter()
                .filter(|(name, _)| !["environmentName", "state", "type"].contains(&name.as_str()))
                .for_each(|(_, value)| collect(value, names)),
            Value::Null | Value::Bool(_) | Value::Number(_) => (),
        }
    }
    let profile = read_json::<Value>(&folder.join(PROFILE), PROFILE_NAME);
    let mut names = vec![];
    if let Ok(Some(profile)) = profile {
        collect(&profile["subscriptions"], &mut names);
    }
    names
}

/// Returns the account that is meant, and how `az` selects it. Precedence: the subscription (the tenant tells those of one name apart), then
/// the tenant, then the default account. Of the accounts that see a tenant the default one comes first, then those of the same user. A
/// tenant in which no account is known is left to the default account, which can be a guest there.
fn choose(
    all: &[Subscription],
    subscription: Option<&str>,
    tenant: Option<&str>,
) -> Option<(Subscription, Selector)> {
    let default = default(all);
    if let Some(wanted) = subscription {
        let named = || all.iter().filter(|it| it.is_called(wanted));
        let in_tenant = tenant.and_then(|tenant| named().find(|it| it.is_in(tenant)));
        return match (in_tenant, named().next(), named().nth(1)) {
            (Some(known), ..) | (None, Some(known), None) => Some(known.by_id()),
            // The Azure CLI reports that it has several of this name, or none.
            (None, known, _) => Some((
                known.or(default)?.clone(),
                Selector::Subscription(wanted.to_owned()),
            )),
        };
    }
    let Some(tenant) = tenant else {
        return Some(default?.by_id());
    };
    let user = default.and_then(|it| it.user.as_ref());
    let members = all.iter().filter(|it| it.is_in(tenant));
    let order = |it: &&Subscription| (it.is_default != Some(true), it.user.as_ref() != user);
    if let Some(member) = members.min_by_key(order) {
        return Some(member.by_id());
    }
    let guest = Subscription {
        tenant_id: Some(tenant.to_owned()),
        ..default?.clone()
    };
    Some((guest, Selector::Tenant(tenant.to_owned())))
}

/// Returns the default account. The Azure CLI has one for all clouds, so after a sign-in to another cloud there is none here. Then the
/// only account is the default.
fn default(all: &[Subscription]) -> Option<&Subscription> {
    let only = || {
        let first = all.first()?;
        let is_only = |it: &Subscription| it.user == first.user && it.tenant_id == first.tenant_id;
        all.iter().all(is_only).then_some(first)
    };
    all.iter()
        .find(|it| it.is_default == Some(true))
        .or_else(only)
}

fn is_any_of(name: &str, known: [&Option<String>; 2]) -> bool {
    let mut known = known.into_iter().flatten();
    known.any(|known| known.eq_ignore_ascii_case(name))
}

impl Subscription {
    /// Returns the name of its cloud. The Azure CLI has always written it, so one without a name is of the public cloud.
    fn cloud(&self) -> &str {
        let name = self.environment_name.as_deref();
        name.unwrap_or(&CLOUDS[0].cli_name)
    }

    /// Selects it by its ID: the account stays the one that was found here, whatever becomes the default meanwhile.
    fn by_id(&self) -> (Self, Selector) {
        let id = self.id.clone();
        (
            self.clone(),
            id.map_or(Selector::Default, Selector::Subscription),
        )
    }

    fn is_called(&self, name: &str) -> bool {
        is_any_of(name, [&self.id, &self.name])
    }

    fn is_in(&self, tenant: &str) -> bool {
        is_any_of(tenant, [&self.tenant_id, &self.tenant_default_domain])
    }
}

impl std::fmt::Display for AzureCli {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the Azure CLI")
    }
}

#[async_trait::async_trait]
impl IdentitySource for AzureCli {
    fn cache_key(&self) -> String {
        let Subscription {
            tenant_id, user, ..
        } = &self.subscription;
        let cloud = self.subscription.cloud();
        format!("az\0{cloud}\0{tenant_id:?}\0{user:?}")
    }

    fn tenant(&self) -> Tenant {
        self.tenant.clone()
    }

    fn is_command_line(&self) -> bool {
        true
    }

    fn other_tenants(&self) -> Vec<String> {
        let named = |it: &Subscription| {
            let (name, tenant) = (it.name.as_deref()?, it.tenant_id.as_deref()?);
            let (name, tenant) = (printable(name), printable(tenant));
            let line = "the Azure CLI also knows the subscription";
            Some(format!("{line} `{name}` in tenant {tenant}"))
        };
        let named = self.others.iter().filter_map(named);
        let mut lines: Vec<String> = named.take(MAX_NAMED).collect();
        if let Some(more @ 1..) = self.others.len().checked_sub(MAX_NAMED) {
            lines.push(format!("and {more} more: `az account list`"));
        }
        lines
    }

    fn login_command(&self, tenant: Option<&str>, identity: &Identity) -> Option<String> {
        let scope = identity.audience.scope();
        let own = self.tenant.name.as_deref().filter(|it| is_tenant(it));
        let command = match (tenant, own) {
            (Some(other), _) => format!("login --tenant {other}"),
            (None, Some(own)) => format!("login --tenant {own} --scope {scope}"),
            (None, None) => format!("login --scope {scope}"),
        };
        Some(az(&identity.home_cloud, &command))
    }

    fn hint(&self, failure: &Failure<'_>) -> Option<String> {
        let setting = failure.identity.tenant_setting();
        // The Azure CLI has no code for this (azure-cli-core, `_profile.py`).
        let message = failure.message;
        if message.starts_with("Multiple subscriptions with the name") {
            return Some(format!("set {setting} to an id, or `tenant` beside it"));
        }
        if failure.code.is_some() {
            return None;
        }
        match &self.selector {
            Selector::Subscription(name) if !self.subscription.is_called(name) => Some(format!(
                "check {setting}: `az account list --all --output table` shows what is known"
            )),
            _ => Some(HINT.to_owned()),
        }
    }

    /// Runs `az account get-access-token`. `AZURE_CLOUD_NAME` selects the cloud for this call, whatever `az cloud set` says. It is set only
    /// to what the profile calls the cloud: a name that the Azure CLI does not know makes it change its own settings.
    async fn token(&self, context: &TokenContext<'_>) -> anyhow::Result<SecretString> {
        // No extension is needed for a token, and a folder that a variable names could hold anyone's code.
        let no_extensions = if cfg!(windows) {
            r"NUL\none"
        } else {
            "/dev/null/none"
        };
        let variables = [
            ("AZURE_CORE_NO_COLOR", "true"),
            ("AZURE_CLOUD_NAME", self.subscription.cloud()),
            ("AZURE_EXTENSION_DIR", no_extensions),
            ("AZURE_EXTENSION_DEV_SOURCES", ""),
            ("AZURE_EXTENSION_SYS_DIR", ""),
        ];
        let variables = variables.map(|(name, value)| (name, value.to_owned()));
        let (subscription, tenant_id) = match &self.selector {
            Selector::Default => (None, None),
            Selector::Subscription(subscription) => (Some(subscription.clone()), None),
            Selector::Tenant(tenant) => (None, Some(tenant.clone())),
        };
        let credential = AzureCliCredential::new(Some(AzureCliCredentialOptions {
            subscription,
            tenant_id,
            executor: Some(Arc::new(Runner::new(&self.path, variables.into()))),
        }))?;
        request_token(&*credential, context.identity).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::{select::Unavailable, tests::config};
    use super::*;
    use crate::error::ErrorKind;

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
    ) -> (String, Selector) {
        let (account, choice) = choose(all, subscription, tenant).unwrap();
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
        let by_id = |id: &str| Selector::Subscription(id.into());
        for (subscription, tenant, who, choice) in [
            (None, None, "t1 alice", by_id("id-a")),
            (None, Some("t1"), "t1 alice", by_id("id-a")),
            (None, Some("t2"), "t2 alice", by_id("id-c")),
            (None, Some("T2.example"), "t2 alice", by_id("id-c")),
            (None, Some("t3"), "t3 bob", by_id("id-d")),
            (None, Some("t4"), "t4 alice", Selector::Tenant("t4".into())),
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

    /// Returns what the Azure CLI offers for a registry, with this folder as its own and on `PATH`.
    fn offer_in(folder: &Path, host: &str) -> Offer {
        let folder = folder.to_str().unwrap();
        let (config, registry) = config(&[("AZURE_CONFIG_DIR", folder), ("PATH", folder)], host);
        offer(&config, &registry)
    }

    const PUBLIC: &str = "contoso.azurecr.io";
    const CHINA: &str = "contoso.azurecr.cn";
    const NOBODY_IN_CHINA: &str = "nobody is signed in to Azure China: `az cloud set --name AzureChinaCloud`, then `az login`; or set `identity_cloud`";

    fn cache_key(folder: &Path, host: &str) -> Result<String, String> {
        match offer_in(folder, host) {
            Ok(source) => Ok(source.cache_key()),
            Err(Skipped(reason)) => Err(reason),
            Err(Unavailable::Failed(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn who_is_signed_in_to_another_cloud_is_nobody_here() {
        let folder = profile(
            r#"{"subscriptions":[{"isDefault":true,"environmentName":"AzureCloud","tenantId":"t1","user":{"name":"alice"}},
                {"isDefault":true,"environmentName":"AzureUSGovernment","tenantId":"t2","user":{"name":"bob"}}]}"#,
        );
        std::fs::write(folder.path().join(PROGRAM), "").unwrap();
        let key = |host: &str| cache_key(folder.path(), host);
        let (public, government) = (key(PUBLIC).unwrap(), key("contoso.azurecr.us").unwrap());
        assert!(
            ["AzureCloud", "t1", "alice"]
                .iter()
                .all(|part| public.contains(part))
        );
        assert!(
            ["AzureUSGovernment", "t2", "bob"]
                .iter()
                .all(|part| government.contains(part))
        );
        assert_eq!(key(CHINA).unwrap_err(), NOBODY_IN_CHINA);
    }

    #[test]
    fn a_profile_without_accounts_is_nobody_and_nulls_are_nothing() {
        for rows in ["{}", r#"{"subscriptions":null}"#, r#"{"subscriptions":[]}"#] {
            let reason = cache_key(profile(rows).path(), PUBLIC).unwrap_err();
            assert_eq!(reason, "nobody is signed in", "{rows}");
        }
        let nulls = profile(
            r#"{"subscriptions":[{"isDefault":true,"user":null,"tenantId":null},{"isDefault":null}]}"#,
        );
        std::fs::write(nulls.path().join(PROGRAM), "").unwrap();
        // One that does not name its cloud is of the public one.
        let key = cache_key(nulls.path(), PUBLIC).unwrap();
        assert!(key.contains("AzureCloud"), "{key}");
        let reason = cache_key(nulls.path(), CHINA).unwrap_err();
        assert_eq!(reason, NOBODY_IN_CHINA);
    }

    #[test]
    fn who_of_several_is_meant_must_be_said() {
        let two = profile(
            r#"{"subscriptions":[{"isDefault":false,"tenantId":"t1"},{"isDefault":false,"tenantId":"t2"}]}"#,
        );
        std::fs::write(two.path().join(PROGRAM), "").unwrap();
        let Err(Unavailable::Failed(error)) = offer_in(two.path(), PUBLIC) else {
            panic!("an account was chosen")
        };
        let problem = error.to_string();
        let sentence = "azureProfile.json` has no default account in Azure: set `subscription`, or `az cloud set --name AzureCloud` and";
        assert!(problem.contains(sentence), "{problem}");
    }

    #[test]
    fn the_azure_cli_is_no_source_without_its_program() {
        let folder = profile(r#"{"subscriptions":[{"isDefault":true}]}"#);
        let reason = cache_key(folder.path(), PUBLIC).unwrap_err();
        let no_program = "somebody is signed in, but `az` is in no absolute folder of `PATH`";
        assert_eq!(reason, no_program);
        let nowhere = tempfile::tempdir().unwrap();
        let reason = cache_key(nowhere.path(), PUBLIC).unwrap_err();
        assert_eq!(reason, "nobody is signed in");
    }

    #[test]
    fn a_profile_that_cannot_be_understood_is_an_error_not_nobody() {
        for content in [
            "",
            "junk",
            "{\"subscriptions\":[{\"isDefault\":tr",
            "{\"subscriptions\":[{\"isDefault\":\"yes\"}]}",
        ] {
            let offer = offer_in(profile(content).path(), PUBLIC);
            assert!(
                matches!(offer, Err(Unavailable::Failed(error)) if error.kind() == ErrorKind::Setting),
                "{content}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(PROFILE)).unwrap();
        let offer = offer_in(folder.path(), PUBLIC);
        assert!(matches!(offer, Err(Unavailable::Failed(_))));
    }

    #[test]
    fn other_tenants_are_named_and_not_too_many_of_them() {
        let others = (0..7).map(|n| subscription(&format!("s{n}"), false, "t2", "alice"));
        let account = AzureCli {
            subscription: subscription("a", true, "t1", "alice"),
            selector: Selector::Default,
            tenant: Tenant::default(),
            others: others.collect(),
            path: vec![],
        };
        let lines = account.other_tenants();
        assert_eq!(lines.len(), 6);
        assert_eq!(
            lines[0],
            "the Azure CLI also knows the subscription `s0` in tenant t2"
        );
        assert_eq!(lines[5], "and 2 more: `az account list`");
    }
}
