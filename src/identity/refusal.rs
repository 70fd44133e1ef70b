//! A sign-in that failed, in words: what the source said, the code of Entra in it, and what to do about that code.

pub(super) use crate::config::is_tenant;

use super::application::{Application, Proof};
use super::oidc::{Lost, NO_ASSERTION};
use super::{Endpoint, Identity, Source};
use crate::entra::Refused;
use crate::error::{Error, printable, visible};
use crate::network::{self, Network, answer};
use crate::refusal::az;
use crate::text::Redactor;
use crate::token::Audience;

/// Codes that most often mean: the tenant is not the one that the registry, the account or the application is of.
const WRONG_TENANT: [u32; 6] = [50_020, 50_034, 90_002, 90_072, 700_016, 900_023];

/// Turns a credential's error into ours. The text of `azure_core`'s errors hides the cause, so the whole chain is read.
pub(super) fn refused(identity: &Identity, error: &azure_core::Error, network: &Network) -> Error {
    let lost = network::chain(error).find_map(|cause| cause.downcast_ref::<Lost>());
    let host = lost.map_or_else(|| identity.asked_host(), |lost| lost.host.clone());
    if let Some(unreachable) = network.unreachable(&host, error) {
        let Source::ManagedIdentity { endpoint, .. } = &identity.source else {
            return unreachable;
        };
        // It is plain http on this machine: proxies and certificates have no part in it.
        let hint = match **endpoint {
            Endpoint::AppService { .. } => {
                "`IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are set by App Service and Container Apps; elsewhere unset both"
            }
            Endpoint::CloudShell { .. } | Endpoint::MachineLearning { .. } => {
                "`MSI_ENDPOINT` is set by Cloud Shell and Azure Machine Learning; elsewhere unset it"
            }
            Endpoint::Arc { .. } => {
                "the agent of Azure Arc may be stopped: `systemctl status himdsd`"
            }
            Endpoint::VirtualMachine { .. } => {
                "try again; the metadata service of the machine may be starting"
            }
        };
        return Error::sign_in(identity, unreachable).with_hint(hint);
    }
    let lines = said(error, &identity.secrets().redactor());
    let code = lines.iter().find_map(|line| entra_code(line));
    let challenge =
        network::chain(error).find_map(|cause| cause.downcast_ref::<Refused>()?.claims.as_deref());
    let first = lines.first().map(String::as_str).unwrap_or_default();
    // What an issuer of assertions said, without its name.
    let words = first
        .split_once(NO_ASSERTION)
        .map_or(first, |(_, words)| words);
    let own = answer::hint(words)
        .map(str::to_owned)
        .or_else(|| namesakes(identity, first))
        .or_else(|| {
            let account = identity.login()?;
            challenge.map(|claims| account.command(Some(claims)))
        });
    let mut lines = lines.into_iter();
    let said = lines.next().unwrap_or_else(|| "no reason given".into());
    let mut details: Vec<String> = lines.take(8).collect();
    if code.is_some_and(|code| WRONG_TENANT.contains(&code)) {
        details.extend(tenants(identity));
    }
    let error = Error::sign_in(identity, said).with_details(details);
    match own.or_else(|| hint(identity, code)) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Which tenant was asked and who said so, and which others may have been meant, a line each.
fn tenants(identity: &Identity) -> Vec<String> {
    let asked = match &identity.source {
        Source::Application(application) => Some(application.tenant.value.as_str()),
        Source::AzureCli(account) => account.tenant(),
        Source::Login(account) => account.tenant(),
        Source::DeveloperCli(account) => account.tenant(),
        Source::ManagedIdentity { .. } => None,
    };
    let asked = asked.filter(|tenant| is_tenant(tenant));
    let mut lines = match (asked, &identity.tenant_origin) {
        (Some(tenant), _) if identity.is_tenant_typed => {
            vec![format!("the tenant {tenant} was set by `--tenant`")]
        }
        (Some(tenant), Some(origin)) => vec![format!("the tenant {tenant} was set by {origin}")],
        (Some(tenant), None) => vec![format!("the tenant {tenant} is that of the account")],
        (None, _) => vec![],
    };
    if let Source::AzureCli(account) = &identity.source {
        lines.extend(account.others());
    }
    lines
}

/// What to do when the Azure CLI knows several subscriptions of the name that is set (azure-cli-core, `_profile.py`).
fn namesakes(identity: &Identity, said: &str) -> Option<String> {
    let are_several = said.starts_with("Multiple subscriptions with the name");
    are_several.then(|| {
        format!(
            "set {} to an id, or `tenant` beside it",
            identity.tenant_setting
        )
    })
}

/// How much of what a source said is read.
const LONGEST_ACCOUNT: usize = 16 * 1024;

/// What the source said, a printable line each, the sentence first, without secrets that it repeats.
fn said(error: &azure_core::Error, secrets: &Redactor) -> Vec<String> {
    let innermost = network::chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default();
    // The reason stands at the end of a long account.
    let start = innermost.len().saturating_sub(LONGEST_ACCOUNT);
    let start = (start..innermost.len())
        .find(|at| innermost.is_char_boundary(*at))
        .unwrap_or_default();
    // Made visible first: characters that are not drawn could else stand in the middle of a secret.
    let lines: Vec<String> = innermost[start..].lines().map(visible).collect();
    let innermost = secrets.redact(&lines.join("\n"));
    // Entra puts what support asks for behind the sentence.
    let text = [" Trace ID:", " Correlation ID:", " Timestamp:"]
        .iter()
        .fold(innermost, |text, id| {
            text.replace(id, &format!("\n{}", id.trim_start()))
        });
    let mut lines: Vec<String> = text
        .lines()
        .map(printable)
        .filter(|line| {
            !line.is_empty()
                && !line.starts_with("WARNING:")
                && !line.starts_with("To troubleshoot, visit")
        })
        .map(|line| {
            line.strip_prefix("ERROR: ")
                .map_or(line.clone(), str::to_owned)
        })
        .collect();
    // A program's own account of a crash ends with the reason.
    if lines
        .first()
        .is_some_and(|line| line.starts_with("Traceback"))
    {
        lines.reverse();
    }
    lines
}

/// The number in `AADSTS7000215`.
fn entra_code(line: &str) -> Option<u32> {
    let digits = line.split("AADSTS").nth(1)?;
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// The command that signs in again to a command line.
fn login(identity: &Identity) -> Option<String> {
    let (tenant, program, option) = match &identity.source {
        Source::AzureCli(account) => (account.tenant(), "az login", "--tenant"),
        Source::Login(account) => return Some(account.command(None)),
        Source::DeveloperCli(account) => (account.tenant(), "azd auth login", "--tenant-id"),
        Source::Application(_) | Source::ManagedIdentity { .. } => return None,
    };
    let tenant = tenant
        .filter(|tenant| is_tenant(tenant))
        .map(|tenant| format!(" {option} {tenant}"))
        .unwrap_or_default();
    let scope = match &identity.source {
        Source::AzureCli(_) => format!(" --scope {}", identity.audience.scope()),
        _ => String::new(),
    };
    let cloud = match &identity.source {
        Source::AzureCli(account) => account
            .other_cloud()
            .map(|cloud| format!("az cloud set --name {cloud} && "))
            .unwrap_or_default(),
        _ => String::new(),
    };
    Some(format!("{cloud}{program}{tenant}{scope}"))
}

/// What to do when the source said nothing of Entra's.
fn hint_without_code(identity: &Identity) -> Option<String> {
    Some(match &identity.source {
        Source::AzureCli(account) if account.is_by_name() => {
            format!("check {}: `az account list --all --output table` shows what is known", identity.tenant_setting)
        }
        Source::AzureCli(_) => "az login".into(),
        Source::Login(account) => account.command(None),
        Source::DeveloperCli(_) => "azd auth login".into(),
        Source::ManagedIdentity { id: Some(id), .. } => {
            format!("check that {} is a managed identity assigned to this machine", id.as_str())
        }
        Source::ManagedIdentity { id: None, endpoint } => match **endpoint {
            Endpoint::AppService { .. } | Endpoint::MachineLearning { .. } | Endpoint::VirtualMachine { .. } => {
                "check that a managed identity is assigned; a user-assigned one needs `AZURE_CLIENT_ID`".into()
            }
            Endpoint::Arc { .. } | Endpoint::CloudShell { .. } => return None,
        },
        Source::Application(application) => match application.proof {
            Proof::TokenFile(_) => "check the file that `AZURE_FEDERATED_TOKEN_FILE` names".into(),
            Proof::Job(_) => {
                "the job must be allowed to ask for a token: `permissions: id-token: write`, or `SYSTEM_ACCESSTOKEN` mapped"
                    .into()
            }
            Proof::Secret(_) | Proof::Certificate(_) | Proof::Given(_) => return None,
        },
    })
}

/// What to do about a code (Microsoft, "Microsoft Entra authentication and authorization error codes").
fn hint(identity: &Identity, code: Option<u32>) -> Option<String> {
    let Some(code) = code else {
        return hint_without_code(identity);
    };
    let login = login(identity);
    let is_service_account = matches!(
        &identity.source,
        Source::Application(Application {
            proof: Proof::Given(_),
            ..
        })
    );
    let setting = &identity.tenant_setting;
    Some(match (code, login) {
        (53_000..=53_003 | 530_003 | 530_032 | 50_105 | 50_131, _) => {
            "a Conditional Access policy stands against it: ask the administrator of the tenant".into()
        }
        // The person in front of the page said no.
        (65_004, Some(login)) if identity.login().is_some() => login,
        (65_001 | 65_004 | 90_094, _) => "an administrator of the tenant must consent to the application".into(),
        (65_002, _) => "this client id may not ask for registries; use the Azure CLI's or your own".into(),
        (50_001 | 500_011, _) if identity.audience != Audience::default() => {
            format!("check `audience`: {} was asked for", identity.audience.as_str())
        }
        (50_001 | 500_011, _) => "the tenant does not know Azure Container Registry: check the tenant and the cloud".into(),
        // Its tenant is named beside it.
        (700_016, None) if is_service_account => format!("check {}", settings(identity)),
        (700_016, None) => format!("check {}, or set {setting}", settings(identity)),
        (90_002 | 900_023, None) => {
            format!("check the tenant, and the cloud: {} was asked; or set {setting}", identity.asked_host())
        }
        (code, _) if WRONG_TENANT.contains(&code) && identity.is_tenant_typed => format!("check {setting}"),
        (code, Some(login)) if WRONG_TENANT.contains(&code) => {
            format!("set the right {setting}, or sign in there: {}", without_tenant(&login))
        }
        (code, None) if WRONG_TENANT.contains(&code) => format!("set the right {setting}"),
        (7_000_215, None) => "`AZURE_CLIENT_SECRET` must be the secret's value, not its id".into(),
        (7_000_222, None) => format!("the secret has expired: `{}`", new_secret(identity)),
        (70_001 | 7_000_112, None) => format!("check {}", settings(identity)),
        (90_038, _) => "the tenant is in a national cloud: set `AZURE_AUTHORITY_HOST`".into(),
        (700_027, _) => "the certificate is not registered with the application".into(),
        (700_024, _) if is_service_account => {
            "the service account's token has expired: check the clocks of this node and of the cluster".into()
        }
        (700_024, _) => "the federated token has expired, or the clock is wrong; in a CI job let `source` be github-actions or \
                         azure-pipelines, which ask for a new one each time"
            .into(),
        (70_021 | 700_211..=700_213, _) => {
            "compare issuer, subject and audience of the federated token with the application's federated credentials".into()
        }
        (90_024 | 90_055 | 50_196, _) => "Entra gets too many sign-ins: try again later".into(),
        // More than a password is asked for, or the sign-in has ended; and who is signed in to a command line is its own matter.
        (_, Some(login)) => login,
        (code, None) => format!("https://login.microsoftonline.com/error?code={code}"),
    })
}

/// The command that gives an application another secret.
fn new_secret(identity: &Identity) -> String {
    let client = match &identity.source {
        Source::Application(application) => {
            Some(application.client.value.as_str()).filter(|client| is_tenant(client))
        }
        Source::ManagedIdentity { .. }
        | Source::Login(_)
        | Source::AzureCli(_)
        | Source::DeveloperCli(_) => None,
    };
    az(
        &identity.own_cloud,
        &format!(
            "ad app credential reset --id {}",
            client.unwrap_or("CLIENT_ID")
        ),
    )
}

/// What an application was named by.
fn settings(identity: &Identity) -> String {
    match &identity.source {
        Source::Application(application) => {
            let (client, tenant) = (
                application.client.origin.setting("client_id"),
                application.tenant.origin.setting("tenant"),
            );
            format!("`{client}` and `{tenant}`")
        }
        Source::ManagedIdentity { .. }
        | Source::Login(_)
        | Source::AzureCli(_)
        | Source::DeveloperCli(_) => "the application and its tenant".into(),
    }
}

/// The command for a tenant that is still to be found.
fn without_tenant(login: &str) -> String {
    match login.split_once(" --tenant") {
        _ if login.starts_with("azd") => "`azd auth login --tenant-id TENANT`".into(),
        Some((program, _)) => format!("`{program} --tenant TENANT`"),
        None if login.starts_with("docker-credential-acrscoped") => {
            format!("`{login} --tenant TENANT`")
        }
        None => "`az login --tenant TENANT`".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::logins::{self, Login};
    use crate::registry::Registry;
    use azure_core::error::ErrorKind;

    fn credential_error(message: &'static str) -> azure_core::Error {
        azure_core::Error::with_message(ErrorKind::Credential, message)
    }

    #[test]
    fn the_sentence_of_entra_comes_first_and_its_ids_behind_it() {
        let error = credential_error(
            "AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2 Timestamp: 2026-01-01 00:00:00Z",
        );
        assert_eq!(
            said(&error, &Redactor::new([])),
            [
                "AADSTS7000215: Invalid client secret provided.",
                "Trace ID: 1",
                "Correlation ID: 2",
                "Timestamp: 2026-01-01 00:00:00Z"
            ]
        );
    }

    #[test]
    fn a_secret_that_is_repeated_in_any_form_is_left_out() {
        for echoed in [
            "7b7~4T/Q",
            "7b7%7E4T%2FQ",
            "7b7%7e4T%2fQ",
            "7b7~4\u{200b}T/Q",
        ] {
            let error = azure_core::Error::with_message(
                ErrorKind::Credential,
                format!("cannot parse client_secret={echoed}&x"),
            );
            assert_eq!(
                said(&error, &Redactor::new(["7b7~4T/Q"])),
                ["cannot parse client_secret=…&x"]
            );
        }
    }

    #[test]
    fn warnings_prefixes_and_tracebacks_of_the_azure_cli_are_read_past() {
        for (stderr, first) in [
            (
                "ERROR: Please run 'az login' to setup account.\n",
                "Please run 'az login' to setup account.",
            ),
            (
                "WARNING: old\nERROR: AADSTS50076: MFA\nRun the command below",
                "AADSTS50076: MFA",
            ),
            (
                "Traceback (most recent call last):\n  File x\nConnectionError: gone\n",
                "ConnectionError: gone",
            ),
        ] {
            assert_eq!(
                said(&credential_error(stderr), &Redactor::new([]))[0],
                first
            );
        }
    }

    #[test]
    fn the_code_is_the_number_and_no_more() {
        assert_eq!(entra_code("AADSTS7000215: Invalid"), Some(7_000_215));
        assert_eq!(entra_code("see AADSTS50076"), Some(50_076));
        assert_eq!(entra_code("AADSTS: none"), None);
        assert_eq!(entra_code("AADSTS99999999999999: big"), None);
        assert_eq!(entra_code("nothing"), None);
    }

    fn identity(rows: &[(&str, &str)]) -> Identity {
        let variables = rows
            .iter()
            .map(|(name, value)| ((*name).into(), value.into()))
            .collect();
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        Identity::choose(
            &Settings::of(variables, None)
                .for_registry(&registry)
                .unwrap(),
            &registry,
        )
        .unwrap()
    }

    /// Somebody signed in to the Azure CLI with this tenant, who knows another one.
    fn signed_in(tenant: &str) -> Identity {
        let folder = tempfile::tempdir().unwrap();
        let profile = format!(
            r#"{{"subscriptions":[{{"id":"1","name":"One","isDefault":true,"tenantId":"{tenant}"}},
                {{"id":"2","name":"Two","tenantId":"other"}}]}}"#
        );
        std::fs::write(folder.path().join("azureProfile.json"), profile).unwrap();
        std::fs::write(folder.path().join("az"), "").unwrap();
        let folder = folder.path().to_str().unwrap();
        identity(&[("AZURE_CONFIG_DIR", folder), ("PATH", folder)])
    }

    /// Somebody who signed in with us, to this tenant.
    fn logged_in(tenant: &str) -> Identity {
        let folder = tempfile::tempdir().unwrap();
        let login = Login {
            authority: "https://login.microsoftonline.com/".into(),
            tenant: tenant.into(),
            username: "alice@contoso.example".into(),
            ..Login::default()
        };
        logins::remember(
            &folder
                .path()
                .join("docker-credential-acrscoped/logins.json"),
            &login,
        )
        .unwrap();
        identity(&[("XDG_STATE_HOME", folder.path().to_str().unwrap())])
    }

    #[test]
    fn a_login_that_is_refused_is_made_anew_by_the_command_in_the_hint() {
        let identity = logged_in("t");
        assert_eq!(identity.to_string(), "the login of alice@contoso.example");
        let login = "docker-credential-acrscoped login contoso.azurecr.io --tenant t";
        let right = "set the right `tenant` under `[registry.\"contoso.azurecr.io\"]` in the config file, or sign in there: \
                     `docker-credential-acrscoped login contoso.azurecr.io --tenant TENANT`";
        for (codes, expected) in [
            (
                &[
                    50_076, 50_079, 50_173, 65_004, 700_082, 70_008, 70_043, 16_000, 123,
                ][..],
                login,
            ),
            (&[50_020, 90_002, 700_016], right),
            (
                &[53_003],
                "a Conditional Access policy stands against it: ask the administrator of the tenant",
            ),
            (
                &[65_001],
                "an administrator of the tenant must consent to the application",
            ),
        ] {
            for code in codes {
                assert_eq!(
                    hint(&identity, Some(*code)).as_deref(),
                    Some(expected),
                    "{code}"
                );
            }
        }
        assert_eq!(hint(&identity, None).as_deref(), Some(login));
        assert_eq!(tenants(&identity), ["the tenant t is that of the account"]);
    }

    #[test]
    fn a_tenant_that_was_typed_beside_login_is_to_be_checked_there() {
        let (registry, cloud) = (
            Registry::parse("contoso.azurecr.io", &[]).unwrap(),
            &crate::registry::CLOUDS[0],
        );
        let about_to = |rows: &[(&str, &str)], tenant: Option<&str>| {
            let variables = rows
                .iter()
                .map(|(name, value)| ((*name).into(), value.into()))
                .collect();
            let config = Settings::of(variables, None)
                .for_registry(&registry)
                .unwrap();
            let account = crate::identity::Account::unknown(&config, tenant, Some(&registry));
            Identity::of_login(account, &config, cloud, Some(&registry))
        };
        let set = [("ACRSCOPED_TENANT", "set")];
        for rows in [&[][..], &set] {
            let identity = about_to(rows, Some("wrong"));
            assert_eq!(
                tenants(&identity),
                ["the tenant wrong was set by `--tenant`"]
            );
            assert_eq!(
                hint(&identity, Some(90_002)).as_deref(),
                Some("check `--tenant`")
            );
        }
        let identity = about_to(&set, None);
        assert_eq!(
            tenants(&identity),
            ["the tenant set was set by `ACRSCOPED_TENANT`"]
        );
        let any = about_to(&[], None);
        assert_eq!(tenants(&any), [""; 0]);
        let command = "`docker-credential-acrscoped login contoso.azurecr.io --tenant TENANT`";
        for identity in [identity, any] {
            let hint = hint(&identity, Some(50_020)).unwrap();
            assert!(
                hint.ends_with(&format!(", or sign in there: {command}")),
                "{hint}"
            );
        }
    }

    const APPLICATION: [(&str, &str); 3] = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "s"),
    ];
    const FILE: (&str, &str) = ("AZURE_FEDERATED_TOKEN_FILE", "/t");

    #[test]
    fn every_code_leads_to_a_command_or_a_setting() {
        let secret = identity(&APPLICATION);
        let file = identity(&[APPLICATION[0], APPLICATION[1], FILE]);
        let (cli, odd_cli) = (signed_in("contoso.example"), signed_in("$(reboot)"));
        let login = "az login --tenant contoso.example --scope https://containerregistry.azure.net/.default";
        let policy =
            "a Conditional Access policy stands against it: ask the administrator of the tenant";
        let consent = "an administrator of the tenant must consent to the application";
        let credential = "compare issuer, subject and audience of the federated token with the application's federated credentials";
        let setting = "`tenant` under `[registry.\"contoso.azurecr.io\"]` in the config file";
        let set = format!("set the right {setting}");
        let set_or_sign_in =
            format!("set the right {setting}, or sign in there: `az login --tenant TENANT`");
        let application =
            format!("check `AZURE_CLIENT_ID` and `AZURE_TENANT_ID`, or set {setting}");
        let directory = format!(
            "check the tenant, and the cloud: login.microsoftonline.com was asked; or set {setting}"
        );
        for (identity, codes, expected) in [
            (
                &cli,
                &[50_076, 16_000, 50_173, 700_082, 7_000_215, 123][..],
                login,
            ),
            (
                &odd_cli,
                &[50_076],
                "az login --scope https://containerregistry.azure.net/.default",
            ),
            (
                &cli,
                &[50_020, 90_002, 90_072, 700_016, 50_034, 900_023],
                &*set_or_sign_in,
            ),
            (&secret, &[50_020, 90_072], &*set),
            (&cli, &[53_003, 530_003], policy),
            (&secret, &[53_000, 50_105], policy),
            (&secret, &[65_001, 65_004, 90_094], consent),
            (
                &secret,
                &[65_002],
                "this client id may not ask for registries; use the Azure CLI's or your own",
            ),
            (
                &secret,
                &[500_011, 50_001],
                "the tenant does not know Azure Container Registry: check the tenant and the cloud",
            ),
            (
                &secret,
                &[7_000_215],
                "`AZURE_CLIENT_SECRET` must be the secret's value, not its id",
            ),
            (
                &secret,
                &[7_000_222],
                "the secret has expired: `az ad app credential reset --id c`",
            ),
            (
                &secret,
                &[70_001, 7_000_112],
                "check `AZURE_CLIENT_ID` and `AZURE_TENANT_ID`",
            ),
            (&secret, &[700_016], &*application),
            (&secret, &[90_002, 900_023], &*directory),
            (
                &secret,
                &[90_038],
                "the tenant is in a national cloud: set `AZURE_AUTHORITY_HOST`",
            ),
            (
                &secret,
                &[700_027],
                "the certificate is not registered with the application",
            ),
            (
                &file,
                &[700_024],
                "the federated token has expired, or the clock is wrong; in a CI job let `source` be github-actions or \
                 azure-pipelines, which ask for a new one each time",
            ),
            (&file, &[70_021, 700_211, 700_212, 700_213], credential),
            (
                &secret,
                &[90_024, 50_196],
                "Entra gets too many sign-ins: try again later",
            ),
            (
                &secret,
                &[123_456],
                "https://login.microsoftonline.com/error?code=123456",
            ),
        ] {
            for code in codes {
                assert_eq!(
                    hint(identity, Some(*code)).as_deref(),
                    Some(expected),
                    "{code}"
                );
            }
        }
    }

    #[test]
    fn a_failure_without_a_code_leads_somewhere_too() {
        let job = "the job must be allowed to ask for a token: `permissions: id-token: write`, or `SYSTEM_ACCESSTOKEN` mapped";
        let github = [
            (
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                "https://pipelines.actions.githubusercontent.com/x",
            ),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "r"),
            APPLICATION[0],
            APPLICATION[1],
        ];
        for (identity, expected) in [
            (signed_in("t"), Some("az login")),
            (identity(&APPLICATION), None),
            (
                identity(&[APPLICATION[0], APPLICATION[1], FILE]),
                Some("check the file that `AZURE_FEDERATED_TOKEN_FILE` names"),
            ),
            (identity(&github), Some(job)),
            (
                identity(&[]),
                Some(
                    "check that a managed identity is assigned; a user-assigned one needs `AZURE_CLIENT_ID`",
                ),
            ),
            (
                identity(&[("AZURE_CLIENT_ID", "c")]),
                Some("check that c is a managed identity assigned to this machine"),
            ),
            (identity(&[("MSI_ENDPOINT", "http://127.0.0.1")]), None),
        ] {
            assert_eq!(hint(&identity, None).as_deref(), expected, "{identity}");
        }
    }

    #[test]
    fn a_wrong_tenant_is_named_with_who_set_it_and_what_else_is_known() {
        assert_eq!(
            tenants(&identity(&APPLICATION)),
            ["the tenant t was set by `AZURE_TENANT_ID`"]
        );
        assert_eq!(
            tenants(&signed_in("t")),
            [
                "the tenant t is that of the account",
                "the Azure CLI also knows the subscription `Two` in tenant other"
            ]
        );
        assert_eq!(tenants(&signed_in("$(reboot)")).len(), 1);
    }
}
