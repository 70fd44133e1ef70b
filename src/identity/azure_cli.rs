//! The Azure CLI as a source: its accounts, and which of them is meant.

use super::Tenant;
use super::command_line::{CommandLine, check_program, read_json};
use super::select::{Offer, skip};
use crate::config::{Config, SourceSettings};
use crate::error::{Error, sanitize_line};
use crate::program::{self, Runner};
use crate::refusal::az;
use crate::registry::{CLOUDS, Registry};
use crate::text::shell_word;
use azure_identity::{AzureCliCredential, AzureCliCredentialOptions};
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) const HINT: &str = "sign in\n  az login";

const PROGRAM: &str = "az";

/// The file of its accounts.
const PROFILE: &str = "azureProfile.json";

/// How errors describe that file.
const PROFILE_NAME: &str = "the profile of the Azure CLI";

/// How many other subscriptions a failure names.
const MAX_NAMED: usize = 5;

/// A folder without extensions: a token needs none, and a variable could name a folder with extensions of any origin.
const NO_EXTENSIONS: &str = if cfg!(windows) {
    r"NUL\none"
} else {
    "/dev/null/none"
};

/// The fields of `azureProfile.json` that are used (azure-cli-core, `_profile.py`).
#[derive(Default, Deserialize)]
struct Profile<T> {
    subscriptions: Option<Vec<T>>,
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

/// Offers the account of the Azure CLI in the cloud of the identity. A profile that cannot be read, or that does not say which of several
/// accounts is meant, is an [`ErrorKind::Setting`](crate::error::ErrorKind): skipping it would sign in as another identity.
pub(super) fn offer(config: &Config, registry: &Registry) -> Offer {
    const NO_DIR: &str = "there is no home folder and `AZURE_CONFIG_DIR` is not set";
    let (settings, cloud) = (&config.sources, &config.identity_cloud);
    let folder = settings.azure_cli_folder.as_deref();
    let folder = folder.ok_or_else(|| skip(NO_DIR))?;
    let file = folder.join(PROFILE);
    let profile: Profile<Subscription> = read_json(&file, PROFILE_NAME)?.unwrap_or_default();
    let mut all = profile.subscriptions.unwrap_or_default();
    if all.is_empty() {
        return Err(skip("no account is signed in"));
    }
    check_program(PROGRAM, settings, registry)?;
    let (name, cli_name) = (&cloud.name, shell_word(&cloud.cli_name));
    all.retain(|it| it.cloud() == cloud.cli_name);
    if all.is_empty() {
        let hint = format!(
            "sign in to {name}, or set `identity_cloud`\n  az cloud set --name {cli_name} && az login"
        );
        return Err(skip(format!("no account is signed in to {name}")).with_hint(hint));
    }
    program::check_owner(PROGRAM, folder)?;
    let (subscription, tenant) = (&settings.subscription, &settings.named_tenant);
    let [wanted, in_tenant] = [subscription, tenant].map(|it| Some(&*it.as_ref()?.value));
    let account = choose(&all, wanted, in_tenant).ok_or_else(|| {
        let hint = format!("choose one, or set `subscription`\n  az cloud set --name {cli_name} && az account set --subscription NAME");
        Error::setting(file.display(), format!("has no default account in {name}")).with_hint(hint)
    })?;
    let hint = match subscription {
        Some(named) if !all.contains(&account) => {
            let setting = named.origin.setting("subscription");
            format!("set {setting} to an ID of this list\n  az account list --all --output table")
        }
        _ => HINT.to_owned(),
    };
    let chosen_by = Tenant::from_setting("subscription", subscription.as_ref());
    let login = format!("login --scope {}", config.audience.scope());
    Ok(Box::new(CommandLine {
        name: "the Azure CLI",
        cache_key: account.cache_key(),
        other_tenants: other_tenants(&all, &account),
        tenant: Tenant {
            name: account.tenant_id.clone(),
            ..chosen_by.or(Tenant::from_setting("tenant", tenant.as_ref()))
        },
        login: (az(cloud, &login), "--tenant"),
        hint,
        credential: credential(account, &settings.path)?,
    }))
}

pub(super) fn is_installed(settings: &SourceSettings) -> bool {
    program::find(PROGRAM, &settings.path).is_some()
}

/// Returns what runs `az account get-access-token`.
fn credential(account: Subscription, path: &[PathBuf]) -> Result<Arc<AzureCliCredential>, Error> {
    let variables = [
        ("AZURE_CORE_NO_COLOR", "true"),
        // The cloud for this call, whatever `az cloud set` says. A name that the Azure CLI does not know would make it change its settings:
        // this one is from its profile.
        ("AZURE_CLOUD_NAME", account.cloud()),
        ("AZURE_EXTENSION_DIR", NO_EXTENSIONS),
        ("AZURE_EXTENSION_DEV_SOURCES", ""),
        ("AZURE_EXTENSION_SYS_DIR", ""),
    ];
    let variables = variables.map(|(name, value)| (name, value.to_owned()));
    // `az` accepts only one of the two. By its ID, the account stays the chosen one even if the default changes before `az` runs.
    let (subscription, tenant_id) = match account.id {
        Some(id) => (Some(id), None),
        None => (None, account.tenant_id),
    };
    let options = AzureCliCredentialOptions {
        subscription,
        tenant_id,
        executor: Some(Arc::new(Runner::new(path, variables.into()))),
    };
    AzureCliCredential::new(Some(options)).map_err(|error| Error::setting(PROFILE, error))
}

/// Returns the tenants of other subscriptions, a sentence each.
fn other_tenants(all: &[Subscription], account: &Subscription) -> Vec<String> {
    let others = || all.iter().filter(|it| it.tenant_id != account.tenant_id);
    let named = others().filter_map(|it| {
        let name = sanitize_line(it.name.as_deref()?);
        let tenant = sanitize_line(it.tenant_id.as_deref()?);
        Some(format!(
            "the Azure CLI also knows the subscription `{name}` in tenant {tenant}"
        ))
    });
    let mut lines: Vec<String> = named.take(MAX_NAMED).collect();
    if let Some(more @ 1..) = others().count().checked_sub(MAX_NAMED) {
        lines.push(format!("and {more} more: `az account list`"));
    }
    lines
}

/// Returns the account that is meant.
///
/// Precedence: the subscription (disambiguated by the tenant), then the tenant, then the default account. Of the accounts that see a tenant
/// the default one comes first, then those of the same user. If no account is known in a tenant, the default account may be a guest there.
fn choose(
    all: &[Subscription],
    subscription: Option<&str>,
    tenant: Option<&str>,
) -> Option<Subscription> {
    let default = default(all);
    let is_in_tenant = |it: &&Subscription| tenant.is_some_and(|tenant| it.is_in(tenant));
    if let Some(name) = subscription {
        let mut named: Vec<_> = all.iter().filter(|it| it.is_called(name)).collect();
        if named.len() > 1 {
            named.retain(is_in_tenant);
        }
        if let [known, ..] = named[..] {
            return Some(known.clone());
        }
        // With the name alone, the Azure CLI reports that it has several of this name, or none.
        return Some(Subscription {
            id: Some(name.to_owned()),
            ..default?.clone()
        });
    }
    let Some(tenant) = tenant else {
        return default.cloned();
    };
    let user = default.and_then(|it| it.user.as_ref());
    let order = |it: &&Subscription| (it.is_default != Some(true), it.user.as_ref() != user);
    if let Some(member) = all.iter().filter(is_in_tenant).min_by_key(order) {
        return Some(member.clone());
    }
    Some(Subscription {
        id: None,
        tenant_id: Some(tenant.to_owned()),
        ..default?.clone()
    })
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

    fn cache_key(&self) -> String {
        let (cloud, tenant, user) = (self.cloud(), &self.tenant_id, &self.user);
        format!("az\0{cloud}\0{tenant:?}\0{user:?}")
    }

    fn is_called(&self, name: &str) -> bool {
        is_any_of(name, [&self.id, &self.name])
    }

    fn is_in(&self, tenant: &str) -> bool {
        is_any_of(tenant, [&self.tenant_id, &self.tenant_default_domain])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;
    use crate::error::ErrorKind;
    use std::path::Path;

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

    /// Returns tenant and user of the chosen account, and the ID that `az` gets.
    fn chosen(
        all: &[Subscription],
        subscription: Option<&str>,
        tenant: Option<&str>,
    ) -> (String, Option<String>) {
        let account = choose(all, subscription, tenant).unwrap();
        let (user, tenant) = (account.user.unwrap(), account.tenant_id.unwrap());
        let name = user["name"].as_str().unwrap();
        (format!("{tenant} {name}"), account.id)
    }

    #[test]
    fn the_settings_choose_the_account() {
        let all = [
            subscription("a", true, "t1", "alice"),
            subscription("b", false, "t2", "bob"),
            subscription("c", false, "t2", "alice"),
            subscription("d", false, "t3", "bob"),
        ];
        let by_id = |id: &str| Some(id.to_owned());
        for (subscription, tenant, who, choice) in [
            (None, None, "t1 alice", by_id("id-a")),
            (None, Some("t1"), "t1 alice", by_id("id-a")),
            (None, Some("t2"), "t2 alice", by_id("id-c")),
            (None, Some("T2.example"), "t2 alice", by_id("id-c")),
            (None, Some("t3"), "t3 bob", by_id("id-d")),
            (None, Some("t4"), "t4 alice", None),
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
    const NOBODY_IN_CHINA: &str = "no account is signed in to Azure operated by 21Vianet";

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
        assert_eq!(
            offer_in(folder.path(), CHINA).unwrap_err().hint(),
            Some(
                "sign in to Azure operated by 21Vianet, or set `identity_cloud`\n  az cloud set --name AzureChinaCloud && az login"
            )
        );
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
        let sentence = "azureProfile.json` has no default account in Azure public";
        assert!(problem.ends_with(sentence), "{problem}");
        let command = "\n  az cloud set --name AzureCloud && az account set --subscription NAME";
        assert!(error.hint().unwrap().ends_with(command));
    }

    #[test]
    fn the_azure_cli_is_no_source_without_its_program() {
        let folder = profile(r#"{"subscriptions":[{"isDefault":true}]}"#);
        let reason = cache_key(folder.path(), PUBLIC).unwrap_err();
        let no_program = "an account is signed in, but `az` is not on `PATH`";
        assert_eq!(reason, no_program);
        assert_eq!(
            offer_in(folder.path(), PUBLIC).unwrap_err().hint(),
            Some(
                "add the folder of `az` to `PATH`, or sign in without it\n  docker-credential-acrscoped login contoso.azurecr.io"
            )
        );
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
        let all: Vec<_> = others.collect();
        let lines = other_tenants(&all, &subscription("a", true, "t1", "alice"));
        assert_eq!(lines.len(), 6);
        assert_eq!(
            lines[0],
            "the Azure CLI also knows the subscription `s0` in tenant t2"
        );
        assert_eq!(lines[5], "and 2 more: `az account list`");
    }
}
