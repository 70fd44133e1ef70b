//! The cloud of an identity and the cloud of a registry: an identity of one cloud is used in another only where `identity_cloud` says
//! so.

use crate::command_lines::{set_up_azure_cli, set_up_developer_cli};
use crate::rows::client_secret;
use crate::stage::{CLOUDS, CONFIG, CONFIG_FILE, Cloud, Stage};
use crate::support::namespace::Namespace;
use crate::support::{LIMIT, run};
use simulator::{Endpoint, Fault, FaultAt, FaultKind};
use std::collections::BTreeSet;

/// Where an identity signs in to a registry of another cloud.
const PUBLIC: &Cloud = &CLOUDS[0];
const GOVERNMENT: &Cloud = &CLOUDS[1];
const CHINA: &Cloud = &CLOUDS[2];
const FABRIKAM: &Cloud = &CLOUDS[4];

/// A registry of a cloud, which takes the tokens of `identity`'s, and the setting.
fn stage(registry: &'static Cloud, identity: &Cloud, setting: Option<&str>) -> Stage {
    let stage = Stage::new(registry);
    let host = stage.registry();
    stage.simulator.change(|settings| {
        settings.registry_mut(&host).cloud = identity.name.into();
        settings.managed_identities[0].cloud = identity.name.into();
        settings.machine_cloud = Some(identity.environment.into());
    });
    let line = setting
        .map(|name| format!("identity_cloud = '{name}'\n"))
        .unwrap_or_default();
    stage.home.write(CONFIG_FILE, format!("{line}{CONFIG}"));
    stage
}

const PROBE: &str = "GET machine/metadata/identity/oauth2/token -> 400";
const QUESTION: &str = "GET machine/metadata/instance/compute/azEnvironment";

/// Which cloud a machine is in matters, and is asked, unless registry and identity are of the public cloud.
#[test]
fn a_managed_identity_signs_in_to_the_registries_of_its_cloud_or_where_the_setting_says() {
    for registry in [PUBLIC, GOVERNMENT, CHINA, FABRIKAM] {
        for machine in [PUBLIC, GOVERNMENT, CHINA] {
            for setting in [
                None,
                Some(PUBLIC.name),
                Some(GOVERNMENT.name),
                Some(FABRIKAM.name),
            ] {
                let case = format!("{} to {}, {setting:?}", machine.name, registry.name);
                let stage = stage(registry, machine, setting);
                let meant = setting.unwrap_or(registry.name);
                let is_asked = registry.name != PUBLIC.name || meant != PUBLIC.name;
                let answer = stage.get();
                let requests = stage.requests();
                assert_eq!(requests[0], PROBE, "{case}");
                assert_eq!(
                    requests.iter().any(|line| line.starts_with(QUESTION)),
                    is_asked,
                    "{case}: {requests:#?}"
                );
                if !is_asked || machine.name == meant {
                    answer.secret();
                    assert_eq!(
                        requests.len(),
                        3 + usize::from(is_asked),
                        "{case}: {requests:#?}"
                    );
                    continue;
                }
                assert_eq!(
                    requests.len(),
                    2,
                    "no token was asked for: {case}: {requests:#?}"
                );
                assert_eq!(
                    (answer.code(), answer.stdout.as_str()),
                    (1, "no Azure identity to sign in with\n"),
                    "{case}"
                );
                for part in [
                    format!("this machine is in {},", machine.name),
                    stage.registry(),
                ] {
                    assert!(answer.stderr.contains(&part), "{part}: {case}: {answer:#?}");
                }
            }
        }
    }
}

#[test]
fn a_machine_in_another_cloud_says_which_and_which_line_allows_it() {
    let stage = stage(CHINA, PUBLIC, None);
    let answer = stage.get().fails();
    let reason = "managed identity of a virtual machine: this machine is in AzureCloud, and the identity of contoso.azurecr.cn must be in AzureChinaCloud\n";
    assert!(answer.stderr.contains(reason), "{answer:#?}");
    let file = stage.home.path(CONFIG_FILE);
    let hint = format!(
        "hint: to use this identity there, set `identity_cloud = \"AzureCloud\"` under `[registry.\"contoso.azurecr.cn\"]` in {}\n",
        file.display()
    );
    assert!(answer.stderr.ends_with(&hint), "{answer:#?}");
    stage.home.write(
        CONFIG_FILE,
        "[registry.\"contoso.azurecr.cn\"]\nidentity_cloud = \"AzureCloud\"\n",
    );
    stage.get().secret();
    stage
        .home
        .write(CONFIG_FILE, "identity_cloud = 'AzureUSGovernment'\n");
    let answer = stage.get().fails();
    let reason = "this machine is in AzureCloud, and the identity of contoso.azurecr.cn must be in AzureUSGovernment\n";
    assert!(answer.stderr.contains(reason), "{answer:#?}");
}

/// A metadata service that does not say, or says something unheard of, is that of the registry's cloud.
#[test]
fn a_machine_that_does_not_say_its_cloud_is_in_the_registrys() {
    let signs_in = |change: &dyn Fn(&mut simulator::Settings)| {
        for registry in [GOVERNMENT, FABRIKAM] {
            let stage = stage(registry, registry, None);
            stage.simulator.change(change);
            stage.get().secret();
            assert!(
                stage.requests()[1].starts_with(QUESTION),
                "{:#?}",
                stage.requests()
            );
        }
    };
    for answer in [
        None,
        Some(""),
        Some("AzureMoonCloud"),
        Some("\u{1b}[31m"),
        Some("AzurePublicCloud ha"),
    ] {
        signs_in(&|settings| settings.machine_cloud = answer.map(str::to_owned));
    }
    for kind in [
        FaultKind::status(500),
        FaultKind::Html,
        FaultKind::EndlessBody,
        FaultKind::Reset,
        FaultKind::Delay { ms: 60_000 },
    ] {
        signs_in(&|settings| {
            settings.faults = vec![Fault::always(FaultAt::ImdsCloud, kind.clone())];
        });
    }
    // Nor is a redirect followed.
    let to = "http://evil.example/".to_owned();
    signs_in(&|settings| {
        settings.faults = vec![Fault::always(
            FaultAt::ImdsCloud,
            FaultKind::Redirect { to: to.clone() },
        )];
    });
}

/// Elsewhere a service principal signs in at the authority of the registry's cloud, which does not know it.
#[test]
fn a_service_principal_signs_in_at_the_authority_of_its_cloud() {
    for registry in [PUBLIC, GOVERNMENT, FABRIKAM] {
        for identity in [PUBLIC, GOVERNMENT, FABRIKAM] {
            let mut stage = stage(registry, identity, Some(identity.name));
            client_secret()
                .set_up
                .iter()
                .for_each(|set_up| set_up(&mut stage));
            stage.get().secret();
            let line = stage.requests().remove(0);
            let scope = format!("for {}/.default", registry.audience);
            assert!(
                line.starts_with(&format!("POST {}/", identity.authority)) && line.contains(&scope),
                "{line}"
            );
        }
    }
}

/// With and without a registry.
#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn who_signs_in_with_us_does_so_at_the_authority_of_the_cloud_that_is_set() {
    for line in [
        "login --device-code",
        "login contoso.azurecr.us --device-code",
    ] {
        let mut stage = stage(GOVERNMENT, CHINA, Some(CHINA.name));
        stage
            .simulator
            .change(|settings| settings.device_code_polls = 0);
        let namespace = Namespace::new();
        stage
            .command
            .env_remove("ACRSCOPED_CACHE")
            .env("ACRSCOPED_SOURCE", "login");
        let mut command = namespace.enter(&stage.command);
        command.args(line.split(' '));
        run(command, "", LIMIT).succeeds();
        stage.namespace = Some(namespace);
        stage.get().secret();
        let entries = stage.entries();
        let authorities = entries
            .iter()
            .filter(|entry| matches!(entry.endpoint, Endpoint::EntraToken | Endpoint::EntraPage));
        let hosts: BTreeSet<_> = authorities.map(|entry| entry.host.as_str()).collect();
        assert_eq!(hosts, BTreeSet::from([CHINA.authority]), "{line}");
    }
}

/// Alice is signed in to the Azure CLI in every cloud, and to the Azure Developer CLI in one.
#[test]
#[ignore = "needs python3: run tests/run"]
fn the_account_of_a_command_line_is_of_the_registrys_cloud_or_the_one_that_is_set() {
    for (source, set_up) in [
        ("azure-cli", set_up_azure_cli as fn(&mut Stage)),
        ("azure-developer-cli", set_up_developer_cli),
    ] {
        for registry in [PUBLIC, GOVERNMENT, FABRIKAM] {
            for identity in [PUBLIC, GOVERNMENT, FABRIKAM] {
                for setting in [None, Some(identity.name)] {
                    let mut stage = stage(registry, identity, setting);
                    set_up(&mut stage);
                    stage.set("ACRSCOPED_SOURCE", source);
                    // The one account of the Azure Developer CLI is of the identity's cloud.
                    let config = serde_json::json!({"cloud": {"name": identity.name}});
                    stage
                        .home
                        .write("home/.azd/config.json", config.to_string());
                    let answer = stage.get();
                    let case = format!(
                        "{source}: {} to {}, {setting:?}: {answer:#?}",
                        identity.name, registry.name
                    );
                    let signs_in = setting.is_some() || registry.name == identity.name;
                    assert_eq!(answer.code() == 0, signs_in, "{case}");
                    // The Azure CLI has an account of the registry's cloud, too, whose token this registry does not take.
                    let authority = if source == "azure-cli" && !signs_in {
                        registry
                    } else {
                        identity
                    }
                    .authority;
                    let asked = stage.requests().first().cloned().unwrap_or_default();
                    let is_asked = asked.starts_with(&format!("POST {authority}/"));
                    assert_eq!(
                        is_asked,
                        signs_in || source == "azure-cli",
                        "{asked}: {case}"
                    );
                }
            }
        }
    }
}
