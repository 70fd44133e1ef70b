//! The Azure CLI as a source: its accounts, and which of them is meant.

use super::advice::Failure;
use super::select::{Offer, skip};
use super::{Identity, IdentitySource, Tenant, TokenContext, request_token};
use crate::config::Config;
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

/// The file of its accounts.
const PROFILE: &str = "azureProfile.json";

/// How errors describe that file.
const PROFILE_NAME: &str = "the profile of the Azure CLI";

/// How many other subscriptions a failure names.
const MAX_NAMED: usize = 5;

/// The fields of `azureProfile.json` that are used (azure-cli-core, `_profile.py`).
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
    /// Compared as a whole: managed identities all have the same name.
    user: Option<Value>,
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

/// How the account is selected on the command line of `az`, which accepts only one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Selector {
    Default,
    Subscription(String),
    Tenant(String),
}

/// Offers the account of the Azure CLI in the cloud of the identity. A profile that cannot be read, or that does not say which of several
/// accounts is meant, is an [`ErrorKind::Setting`](crate::error::ErrorKind): skipping it would sign in as another identity.
pub(super) fn offer(config: &Config, _: &Registry) -> Offer {
    const NO_DIR: &str = "there is no home folder and `AZURE_CONFIG_DIR` is not set";
    const NO_PROGRAM: &str = "an account is signed in, but `az` is in no absolute folder of `PATH`";
    let (settings, cloud) = (&config.sources, &config.identity_cloud);
    let (name, cli_name) = (&cloud.name, &cloud.cli_name);
    let folder = settings.azure_cli_folder.as_deref();
    let folder = folder.ok_or_else(|| skip(NO_DIR))?;
    let file = folder.join(PROFILE);
    let profile: Profile = read_json(&file, PROFILE_NAME)?.unwrap_or_default();
    let mut subscriptions = profile.subscriptions.unwrap_or_default();
    if subscriptions.is_empty() {
        return Err(skip("no account is signed in"));
    }
    subscriptions.retain(|it| it.cloud() == *cli_name);
    if subscriptions.is_empty() {
        return Err(skip(format!(
            "no account is signed in to {name}: `az cloud set --name {cli_name}`, then `az login`; or set `identity_cloud`"
        )));
    }
    program::find(PROGRAM, &settings.path).ok_or_else(|| skip(NO_PROGRAM))?;
    let subscription = settings.subscription.as_ref();
    let tenant = settings.named_tenant.as_ref();
    let chosen_by = Tenant::from_setting("subscription", subscription);
    let chosen_by = chosen_by.or(Tenant::from_setting("tenant", tenant));
    let [subscription, tenant] = [subscription, tenant].map(|it| Some(&*it?.value));
    let (subscription, selector) = choose(&subscriptions, subscription, tenant).ok_or_else(|| {
        Error::setting(file.display(), format!(
            "has no default account in {name}: set `subscription`, or `az cloud set --name {cli_name}` and `az account set`"
        ))
    })?;
    program::check_owner(PROGRAM, folder)?;
    subscriptions.retain(|it| it.tenant_id != subscription.tenant_id);
    Ok(Box::new(AzureCli {
        tenant: Tenant {
            name: subscription.tenant_id.clone(),
            ..chosen_by
        },
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

/// Returns the account that is meant, and how `az` selects it.
///
/// Precedence: the subscription (disambiguated by the tenant), then the tenant, then the default account. Of the accounts that see a tenant
/// the default one comes first, then those of the same user. If no account is known in a tenant, the default account may be a guest there.
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
    let mut defaults = all.iter().filter(|it| it.is_default == Some(true));
    let first = all.first()?;
    let is_only = |it: &Subscription| it.user == first.user && it.tenant_id == first.tenant_id;
    defaults.next().or(all.iter().all(is_only).then_some(first))
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

    /// Selects it by its ID: the account stays the one that was found here, even if the default changes before `az` runs.
    fn by_id(&self) -> (Self, Selector) {
        let id = self.id.clone().map(Selector::Subscription);
        (self.clone(), id.unwrap_or(Selector::Default))
    }

    fn is_called(&self, name: &str) -> bool {
        is_any_of(name, [&self.id, &self.name])
    }

    fn is_in(&self, tenant: &str) -> bool {
        is_any_of(tenant, [&self.tenant_id, &self.tenant_default_domain])
    }
}

#[async_trait::async_trait]
impl IdentitySource for AzureCli {
    fn name(&self) -> String {
        "the Azure CLI".into()
    }

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
        let named = self.others.iter().filter_map(|it| {
            let name = printable(it.name.as_deref()?);
            let tenant = printable(it.tenant_id.as_deref()?);
            Some(format!(
                "the Azure CLI also knows the subscription `{name}` in tenant {tenant}"
            ))
        });
        let mut lines: Vec<String> = named.take(MAX_NAMED).collect();
        if let Some(more @ 1..) = self.others.len().checked_sub(MAX_NAMED) {
            lines.push(format!("and {more} more: `az account list`"));
        }
        lines
    }

    fn login_command(&self, tenant: Option<&str>, identity: &Identity) -> Option<String> {
        let tenant = self.tenant.option("--tenant", tenant);
        let scope = identity.audience.scope();
        let command = format!("login{tenant} --scope {scope}");
        Some(az(&identity.home_cloud, &command))
    }

    fn hint(&self, failure: &Failure<'_>) -> Option<String> {
        if failure.code.is_some() {
            return None;
        }
        match &self.selector {
            // The Azure CLI knows no subscription of this name, or several.
            Selector::Subscription(name) if self.subscription.id.as_ref() != Some(name) => {
                let setting = failure.identity.tenant_setting();
                Some(format!(
                    "set {setting} to an ID that `az account list --all --output table` shows"
                ))
            }
            _ => Some(HINT.to_owned()),
        }
    }

    /// Runs `az account get-access-token`. `AZURE_CLOUD_NAME` selects the cloud for this call, whatever `az cloud set` says. It is set only
    /// to the name in the profile: a name that the Azure CLI does not know makes it change its own settings.
    async fn token(&self, context: &TokenContext<'_>) -> anyhow::Result<SecretString> {
        // No extension is needed for a token. A variable could name a folder with extensions of any origin.
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
        let mut options = AzureCliCredentialOptions {
            executor: Some(Arc::new(Runner::new(&self.path, variables.into()))),
            ..Default::default()
        };
        match self.selector.clone() {
            Selector::Default => {}
            Selector::Subscription(subscription) => options.subscription = Some(subscription),
            Selector::Tenant(tenant) => options.tenant_id = Some(tenant),
        }
        let credential = AzureCliCredential::new(Some(options))?;
        request_token(&*credential, context.identity).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
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
            user: Some(serde_json::json!({"name": user})),
        }
    }

    fn chosen(
        all: &[Subscription],
        subscription: Option<&str>,
        tenant: Option<&str>,
    ) -> (String, Selector) {
        let (account, choice) = choose(all, subscription, tenant).unwrap();
        let (user, tenant) = (account.user.unwrap(), account.tenant_id.unwrap());
        (
            format!("{tenant} {}", user["name"].as_str().unwrap()),
            choice,
        )
    }

    #[test]
    fn the_settings_choose_the_account() {
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
            "the Azure CLI reports that the name is ambiguous"
        );
        assert!(
            choose(&all[1..], None, None).is_none(),
            "there is no default account"
        );
        assert_eq!(
            chosen(&all[1..2], None, None),
            ("t2 bob".into(), by_id("id-b")),
            "the only account is the default"
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
    const NOBODY_IN_CHINA: &str = "no account is signed in to Azure China: `az cloud set --name AzureChinaCloud`, then `az login`; or set `identity_cloud`";

    fn cache_key(folder: &Path, host: &str) -> Result<String, String> {
        match offer_in(folder, host) {
            Ok(source) => Ok(source.cache_key()),
            Err(error) if error.kind() == ErrorKind::NoIdentity => Err(error.to_string()),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn an_account_of_another_cloud_is_not_used() {
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
    fn a_profile_without_accounts_skips_the_source_and_nulls_are_accepted() {
        for rows in ["{}", r#"{"subscriptions":null}"#, r#"{"subscriptions":[]}"#] {
            let reason = cache_key(profile(rows).path(), PUBLIC).unwrap_err();
            assert_eq!(reason, "no account is signed in", "{rows}");
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
    fn several_accounts_without_a_default_are_an_error() {
        let two = profile(
            r#"{"subscriptions":[{"isDefault":false,"tenantId":"t1"},{"isDefault":false,"tenantId":"t2"}]}"#,
        );
        std::fs::write(two.path().join(PROGRAM), "").unwrap();
        let error = offer_in(two.path(), PUBLIC).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Setting);
        let problem = error.to_string();
        let sentence = "azureProfile.json` has no default account in Azure: set `subscription`, or `az cloud set --name AzureCloud` and";
        assert!(problem.contains(sentence), "{problem}");
    }

    #[test]
    fn the_azure_cli_is_no_source_without_its_program() {
        let folder = profile(r#"{"subscriptions":[{"isDefault":true}]}"#);
        let reason = cache_key(folder.path(), PUBLIC).unwrap_err();
        let no_program = "an account is signed in, but `az` is in no absolute folder of `PATH`";
        assert_eq!(reason, no_program);
        let nowhere = tempfile::tempdir().unwrap();
        let reason = cache_key(nowhere.path(), PUBLIC).unwrap_err();
        assert_eq!(reason, "no account is signed in");
    }

    #[test]
    fn a_malformed_profile_is_an_error_and_does_not_skip_the_source() {
        for content in [
            "",
            "junk",
            "{\"subscriptions\":[{\"isDefault\":tr",
            "{\"subscriptions\":[{\"isDefault\":\"yes\"}]}",
        ] {
            let offer = offer_in(profile(content).path(), PUBLIC);
            assert!(
                matches!(offer, Err(error) if error.kind() == ErrorKind::Setting),
                "{content}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(PROFILE)).unwrap();
        let offer = offer_in(folder.path(), PUBLIC);
        assert_eq!(offer.unwrap_err().kind(), ErrorKind::Setting);
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
