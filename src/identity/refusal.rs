//! A sign-in that failed, in words: what the source said, the code of Entra in it, and what to do about that code.

use super::{Endpoint, Identity, Source};
use crate::error::{Error, SignIn, printable};
use crate::network::{self, Network, answer};
use crate::token::REGISTRY_AUDIENCE;

/// Turns a credential's error into ours. The text of `azure_core`'s errors hides the cause, so the whole chain is read.
pub(super) fn refused(identity: &Identity, error: &azure_core::Error, network: &Network) -> Error {
    if let Some(unreachable) = network.unreachable(&identity.asked_host(), error) {
        let Source::ManagedIdentity { endpoint, .. } = &identity.source else { return unreachable };
        // It is plain http on this machine: proxies and certificates have no part in it.
        let hint = match **endpoint {
            Endpoint::AppService { .. } => {
                "`IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are set by App Service and Container Apps; elsewhere unset both"
            }
            Endpoint::VirtualMachine { .. } => "try again; the metadata service of the machine may be starting",
        };
        return Error::SignIn(SignIn {
            source: identity.to_string(),
            said: unreachable.to_string(),
            details: vec![],
            hint: Some(hint.into()),
        });
    }
    let lines = said(error, identity.secret());
    let code = lines.iter().find_map(|line| entra_code(line));
    let passing = lines.first().and_then(|said| answer::hint(said)).map(str::to_owned);
    let mut lines = lines.into_iter();
    Error::SignIn(SignIn {
        source: identity.to_string(),
        said: lines.next().unwrap_or_else(|| "no reason given".into()),
        details: lines.take(8).collect(),
        hint: passing.or_else(|| hint(&identity.source, code)),
    })
}

/// How much of what a source said is read.
const LONGEST_ACCOUNT: usize = 16 * 1024;

/// What the source said, a printable line each, the sentence first; `secret` is left out should it have been repeated.
fn said(error: &azure_core::Error, secret: Option<&str>) -> Vec<String> {
    let innermost = network::chain(error).last().map(ToString::to_string).unwrap_or_default();
    // The reason stands at the end of a long account.
    let start = innermost.len().saturating_sub(LONGEST_ACCOUNT);
    let start = (start..innermost.len()).find(|at| innermost.is_char_boundary(*at)).unwrap_or_default();
    let innermost = match secret {
        Some(secret) => innermost[start..].replace(secret, "…"),
        None => innermost[start..].to_owned(),
    };
    // Entra puts what support asks for behind the sentence.
    let text = [" Trace ID:", " Correlation ID:", " Timestamp:"]
        .iter()
        .fold(innermost, |text, id| text.replace(id, &format!("\n{}", id.trim_start())));
    let mut lines: Vec<String> = text
        .lines()
        .map(printable)
        .filter(|line| !line.is_empty() && !line.starts_with("WARNING:") && !line.starts_with("To troubleshoot, visit"))
        .map(|line| line.strip_prefix("ERROR: ").map_or(line.clone(), str::to_owned))
        .collect();
    // A program's own account of a crash ends with the reason.
    if lines.first().is_some_and(|line| line.starts_with("Traceback")) {
        lines.reverse();
    }
    lines
}

/// Only what can be a tenant becomes part of a command to paste.
fn is_tenant(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

/// The number in `AADSTS7000215`.
fn entra_code(line: &str) -> Option<u32> {
    let digits = line.split("AADSTS").nth(1)?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// What to do about a code (Microsoft, "Microsoft Entra authentication and authorization error codes").
fn hint(source: &Source, code: Option<u32>) -> Option<String> {
    let (from_cli, tenant) = match source {
        Source::AzureCli { account, .. } => (true, account.tenant.as_deref().filter(|tenant| is_tenant(tenant))),
        _ => (false, None),
    };
    let tenant = tenant.map(|tenant| format!(" --tenant {tenant}")).unwrap_or_default();
    let login = format!("az login{tenant} --scope {REGISTRY_AUDIENCE}/.default");
    Some(match code {
        None if from_cli => "az login".into(),
        None => match source {
            Source::ManagedIdentity { client: Some(_), .. } => {
                "check that `AZURE_CLIENT_ID` is a managed identity assigned to this machine".into()
            }
            Source::ManagedIdentity { client: None, .. } => {
                "check that a managed identity is assigned; a user-assigned one needs `AZURE_CLIENT_ID`".into()
            }
            Source::WorkloadIdentity { .. } => "check the file that `AZURE_FEDERATED_TOKEN_FILE` names".into(),
            Source::ClientSecret { .. } | Source::AzureCli { .. } => return None,
        },
        // More than a password is asked for, or the sign-in has ended.
        Some(16_000 | 50_072 | 50_074 | 50_076 | 50_078 | 50_079 | 50_133 | 50_173 | 70_008 | 70_043 | 700_082) => login,
        Some(53_000..=53_003 | 530_003 | 530_032 | 50_105 | 50_131) => {
            "a Conditional Access policy stands against it: ask the administrator of the tenant".into()
        }
        Some(65_001 | 65_004 | 90_094) => "an administrator of the tenant must consent to the application".into(),
        Some(65_002) => "this client id may not ask for registries; use the Azure CLI's or your own".into(),
        Some(50_001 | 500_011) => "the tenant does not know Azure Container Registry: check the tenant and the cloud".into(),
        // Who is signed in there is the Azure CLI's matter, not that of our settings.
        Some(70_001 | 90_002 | 700_016 | 900_023 | 7_000_112 | 7_000_215 | 7_000_222) if from_cli => login,
        Some(7_000_215) => "`AZURE_CLIENT_SECRET` must be the secret's value, not its id".into(),
        Some(7_000_222) => "the secret has expired: `az ad app credential reset --id $AZURE_CLIENT_ID`".into(),
        Some(700_016 | 70_001 | 7_000_112) => "check `AZURE_CLIENT_ID` and `AZURE_TENANT_ID`".into(),
        Some(90_002 | 900_023) => "check `AZURE_TENANT_ID`, and `AZURE_AUTHORITY_HOST` if the tenant is in another cloud".into(),
        Some(50_020) => "the account is not known in that tenant: `az login --tenant TENANT`".into(),
        Some(90_038) => "the tenant is in a national cloud: set `AZURE_AUTHORITY_HOST`".into(),
        Some(700_027) => "the certificate is not registered with the application".into(),
        Some(700_024) => "the federated token has expired, or the clock of this machine is wrong".into(),
        Some(70_021 | 700_211..=700_213) => {
            "compare issuer, subject and audience of the federated token with the application's federated credentials".into()
        }
        Some(90_024 | 90_055 | 50_196) => "Entra gets too many sign-ins: try again later".into(),
        Some(_) if from_cli => login,
        Some(code) => format!("https://login.microsoftonline.com/error?code={code}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Account;
    use azure_core::error::ErrorKind;
    use std::sync::Arc;

    fn credential_error(message: &'static str) -> azure_core::Error {
        azure_core::Error::with_message(ErrorKind::Credential, message)
    }

    #[test]
    fn the_sentence_of_entra_comes_first_and_its_ids_behind_it() {
        let error = credential_error(
            "AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2 Timestamp: 2026-01-01 00:00:00Z",
        );
        assert_eq!(
            said(&error, None),
            [
                "AADSTS7000215: Invalid client secret provided.",
                "Trace ID: 1",
                "Correlation ID: 2",
                "Timestamp: 2026-01-01 00:00:00Z"
            ]
        );
    }

    #[test]
    fn warnings_prefixes_and_tracebacks_of_the_azure_cli_are_read_past() {
        for (stderr, first) in [
            ("ERROR: Please run 'az login' to setup account.\n", "Please run 'az login' to setup account."),
            ("WARNING: old\nERROR: AADSTS50076: MFA\nRun the command below", "AADSTS50076: MFA"),
            ("Traceback (most recent call last):\n  File x\nConnectionError: gone\n", "ConnectionError: gone"),
        ] {
            assert_eq!(said(&credential_error(stderr), None)[0], first);
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

    #[test]
    fn every_code_leads_to_a_command_or_a_setting() {
        let secret = Source::ClientSecret { tenant: "t".into(), client: "c".into(), secret: "s".into() };
        let file = Source::WorkloadIdentity { tenant: "t".into(), client: "c".into(), token_file: "/t".into() };
        let machine = Arc::new(Endpoint::VirtualMachine { host: None });
        let system = Source::ManagedIdentity { client: None, endpoint: machine.clone() };
        let user = Source::ManagedIdentity { client: Some("c".into()), endpoint: machine };
        let account = Account { who: String::new(), tenant: Some("contoso.example".into()) };
        let cli = Source::AzureCli { account, path: vec![] };
        let odd = Account { who: String::new(), tenant: Some("$(reboot)".into()) };
        let odd_cli = Source::AzureCli { account: odd, path: vec![] };
        let login = "az login --tenant contoso.example --scope https://containerregistry.azure.net/.default";
        let policy = "a Conditional Access policy stands against it: ask the administrator of the tenant";
        let consent = "an administrator of the tenant must consent to the application";
        let credential =
            "compare issuer, subject and audience of the federated token with the application's federated credentials";
        for (source, codes, expected) in [
            (&cli, &[50_076, 16_000, 50_173, 700_082, 7_000_215, 90_002, 123][..], login),
            (&odd_cli, &[50_076], "az login --scope https://containerregistry.azure.net/.default"),
            (&cli, &[53_003, 530_003], policy),
            (&secret, &[53_000, 50_105], policy),
            (&secret, &[65_001, 65_004, 90_094], consent),
            (&secret, &[65_002], "this client id may not ask for registries; use the Azure CLI's or your own"),
            (&secret, &[500_011, 50_001], "the tenant does not know Azure Container Registry: check the tenant and the cloud"),
            (&secret, &[7_000_215], "`AZURE_CLIENT_SECRET` must be the secret's value, not its id"),
            (&secret, &[7_000_222], "the secret has expired: `az ad app credential reset --id $AZURE_CLIENT_ID`"),
            (&secret, &[700_016, 70_001, 7_000_112], "check `AZURE_CLIENT_ID` and `AZURE_TENANT_ID`"),
            (
                &secret,
                &[90_002, 900_023],
                "check `AZURE_TENANT_ID`, and `AZURE_AUTHORITY_HOST` if the tenant is in another cloud",
            ),
            (&secret, &[50_020], "the account is not known in that tenant: `az login --tenant TENANT`"),
            (&secret, &[90_038], "the tenant is in a national cloud: set `AZURE_AUTHORITY_HOST`"),
            (&secret, &[700_027], "the certificate is not registered with the application"),
            (&file, &[700_024], "the federated token has expired, or the clock of this machine is wrong"),
            (&file, &[70_021, 700_211, 700_212, 700_213], credential),
            (&secret, &[90_024, 50_196], "Entra gets too many sign-ins: try again later"),
            (&secret, &[123_456], "https://login.microsoftonline.com/error?code=123456"),
        ] {
            for code in codes {
                assert_eq!(hint(source, Some(*code)).as_deref(), Some(expected), "{code}");
            }
        }
        for (source, expected) in [
            (&cli, Some("az login")),
            (&secret, None),
            (&file, Some("check the file that `AZURE_FEDERATED_TOKEN_FILE` names")),
            (&system, Some("check that a managed identity is assigned; a user-assigned one needs `AZURE_CLIENT_ID`")),
            (&user, Some("check that `AZURE_CLIENT_ID` is a managed identity assigned to this machine")),
        ] {
            assert_eq!(hint(source, None).as_deref(), expected);
        }
    }
}
