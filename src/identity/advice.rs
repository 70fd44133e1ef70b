//! A failed sign-in in words: what the source reported, Entra's code in it, and what to do about that code.

use super::{Identity, TenantOrigin};
use crate::config::is_tenant;
use crate::error::{Error, sanitize, sanitize_line};
use crate::http::{Network, ResponseError};
use crate::text::Redactor;

/// Codes that most often mean that the tenant is not the one of the registry, the account or the application.
const WRONG_TENANT: [u32; 6] = [50_020, 50_034, 90_002, 90_072, 700_016, 900_023];

/// How much of the report of a source is read.
const MAX_REPORT_BYTES: usize = 16 * 1024;

/// How many lines of it are details.
const MAX_DETAILS: usize = 8;

/// A failure that a source has a hint about.
pub(super) struct Failure<'a> {
    pub(super) identity: &'a Identity,
    /// The number of Entra's error, such as 50076 of `AADSTS50076`.
    pub(super) code: Option<u32>,
    pub(super) cause: &'a anyhow::Error,
}

/// Turns the cause of a failed sign-in into an error for the user.
pub(super) fn sign_in_error(
    identity: &Identity,
    cause: &anyhow::Error,
    network: &Network,
) -> Error {
    if let Some(unreachable) = network.unreachable(&identity.host(), cause.as_ref()) {
        let Some(hint) = identity.source.unreachable_hint() else {
            return unreachable;
        };
        return Error::sign_in(identity, unreachable).with_hint(hint);
    }
    let lines = report_lines(cause, &identity.secrets.redactor());
    let code = lines.iter().find_map(|line| entra_code(line));
    let mut lines = lines.into_iter();
    let message = lines.next().unwrap_or_else(|| "no reason given".into());
    let error = Error::sign_in(identity, message).with_details(lines.take(MAX_DETAILS));
    let error = match code {
        Some(code) if WRONG_TENANT.contains(&code) => error.with_details(tenant_lines(identity)),
        _ => error,
    };
    let failure = Failure {
        identity,
        code,
        cause,
    };
    match failure.hint() {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Returns the lines that a source reported, printable and without secrets that they repeat; Entra's sentence first.
fn report_lines(error: &anyhow::Error, secrets: &Redactor) -> Vec<String> {
    // The text of `azure_core`'s errors hides their cause.
    let report = error.root_cause().to_string();
    // The reason is at the end of a long report.
    let start = report.len().saturating_sub(MAX_REPORT_BYTES);
    let report = String::from_utf8_lossy(&report.as_bytes()[start..]);
    // Invisible characters go first: in the middle of a secret they would hide it from the redactor.
    let lines: Vec<String> = report.lines().map(sanitize).collect();
    let mut text = secrets.redact(&lines.join("\n"));
    // Entra puts the IDs for Azure support behind its sentence.
    for id in ["Trace ID:", "Correlation ID:", "Timestamp:"] {
        text = text.replace(&format!(" {id}"), &format!("\n{id}"));
    }
    let noise = ["WARNING:", "To troubleshoot, visit"];
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| sanitize_line(line).trim_start_matches("ERROR: ").to_owned())
        .filter(|line| !line.is_empty() && !noise.iter().any(|it| line.starts_with(it)))
        .collect();
    // Python's report of a crash ends with the reason.
    if matches!(lines.first(), Some(line) if line.starts_with("Traceback")) {
        lines.reverse();
    }
    lines
}

/// Returns the number in `AADSTS7000215`.
fn entra_code(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once("AADSTS")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Returns the tenant of the sign-in and the setting that chose it, and which others can be meant, a sentence each.
fn tenant_lines(identity: &Identity) -> Vec<String> {
    let tenant = identity.source.tenant();
    let mut lines = vec![];
    if let Some(name) = tenant.name.filter(|name| is_tenant(name)) {
        let chosen = match tenant.origin {
            TenantOrigin::Account => "is that of the account".to_owned(),
            TenantOrigin::Argument => "was set by `--tenant`".to_owned(),
            TenantOrigin::Setting(_, origin) => format!("was set by {origin}"),
        };
        lines.push(format!("the tenant {name} {chosen}"));
    }
    lines.extend(identity.source.other_tenants());
    lines
}

impl Failure<'_> {
    /// Returns what to do: about an answer of a proxy, a portal or a busy server, else what the source knows, else what the code means.
    fn hint(&self) -> Option<String> {
        let mut causes = self.cause.chain();
        let answer_hint = causes.find_map(|cause| cause.downcast_ref::<ResponseError>()?.hint);
        answer_hint
            .map(str::to_owned)
            .or_else(|| self.identity.source.hint(self))
            .or_else(|| Some(code_hint(self.code?, self.identity)))
    }
}

/// Returns what to do about a code, whatever the source (Microsoft, "Microsoft Entra authentication and authorization error codes").
fn code_hint(code: u32, identity: &Identity) -> String {
    let source = &identity.source;
    let hint = match code {
        53_000..=53_003 | 530_003 | 530_032 | 50_105 | 50_131 => {
            "a Conditional Access policy blocks this sign-in: ask your tenant administrator to allow it"
        }
        65_001 | 65_004 | 90_094 => {
            "an administrator of the tenant must consent to the application"
        }
        65_002 => "this client id may not ask for registries; use the Azure CLI's or your own",
        50_001 | 500_011 => {
            "the tenant does not know this audience: check the tenant, the cloud and `audience`"
        }
        90_038 => "the tenant is in a national cloud: set `AZURE_AUTHORITY_HOST`",
        700_024 => {
            "the federated token has expired: check the clocks; in a CI job let `source` be github-actions or \
             azure-pipelines, which request a new one each time"
        }
        70_021 | 700_211..=700_213 => {
            "compare issuer, subject and audience of the federated token with the application's federated credentials"
        }
        700_027 => "the certificate is not registered with the application",
        90_024 | 90_055 | 50_196 => "Entra gets too many sign-ins: try again later",
        _ if WRONG_TENANT.contains(&code) => {
            let right = format!("set the right {}", identity.tenant_setting());
            let command = source.login_command(Some("TENANT"), identity);
            let command = command.map(|command| format!(", or sign in there\n  {command}"));
            return right + &command.unwrap_or_default();
        }
        // Multi-factor authentication is required, for example, or the sign-in has ended.
        _ => {
            let page = || format!("https://login.microsoftonline.com/error?code={code}");
            let sign_in = |command| format!("sign in again\n  {command}");
            let command = source.login_command(None, identity);
            return command.map_or_else(page, sign_in);
        }
    };
    hint.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;
    use crate::logins::{Login, Logins};
    use azure_core::error::ErrorKind;

    fn credential_error(message: impl Into<String>) -> anyhow::Error {
        azure_core::Error::with_message(ErrorKind::Credential, message.into()).into()
    }

    /// Returns the hint of a failure with this code alone.
    fn hint(identity: &Identity, code: Option<u32>) -> Option<String> {
        let failure = Failure {
            identity,
            code,
            cause: &anyhow::anyhow!("refused"),
        };
        failure.hint()
    }

    #[test]
    fn the_sentence_of_entra_comes_first_and_its_ids_behind_it() {
        let error = credential_error(
            "AADSTS7000215: Invalid client secret provided. Trace ID: 1 Correlation ID: 2 Timestamp: 2026-01-01 00:00:00Z",
        );
        assert_eq!(
            report_lines(&error, &Redactor::new([])),
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
            let error = credential_error(format!("cannot parse client_secret={echoed}&x"));
            assert_eq!(
                report_lines(&error, &Redactor::new(["7b7~4T/Q"])),
                ["cannot parse client_secret=…&x"]
            );
        }
    }

    #[test]
    fn warnings_prefixes_and_tracebacks_of_the_azure_cli_are_ignored() {
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
                report_lines(&credential_error(stderr), &Redactor::new([]))[0],
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
        let (config, registry) = config(rows, "contoso.azurecr.io");
        Identity::choose(&config, &registry).unwrap()
    }

    /// Returns an account of the Azure CLI in this tenant, which knows another one.
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

    /// Returns an account that signed in with `login`, to this tenant.
    fn logged_in(tenant: &str) -> Identity {
        let folder = tempfile::tempdir().unwrap();
        let login = Login {
            authority: "https://login.microsoftonline.com/".into(),
            tenant: tenant.into(),
            username: "alice@contoso.example".into(),
            ..Login::default()
        };
        let state = [("XDG_STATE_HOME", folder.path().to_str().unwrap())];
        let (config, _) = super::super::tests::config(&state, "contoso.azurecr.io");
        let logins = Logins::new(&config).unwrap();
        logins.save(login, None).unwrap();
        identity(&state)
    }

    #[test]
    fn the_hint_for_a_refused_login_is_the_command_that_signs_in_again() {
        let identity = logged_in("t");
        assert_eq!(
            identity.to_string(),
            "the saved sign-in of alice@contoso.example"
        );
        let login =
            "sign in again\n  docker-credential-acrscoped login contoso.azurecr.io --tenant t";
        let right = "set the right `tenant` under `[registry.\"contoso.azurecr.io\"]` in the config file, or sign in there\n  \
                     docker-credential-acrscoped login contoso.azurecr.io --tenant TENANT";
        for (codes, expected) in [
            (
                &[50_076, 50_079, 50_173, 700_082, 70_008, 70_043, 16_000, 123][..],
                login,
            ),
            (&[65_004], login),
            (&[50_020, 90_002, 700_016], right),
            (
                &[53_003],
                "a Conditional Access policy blocks this sign-in: ask your tenant administrator to allow it",
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
        assert_eq!(
            tenant_lines(&identity),
            ["the tenant t is that of the account"]
        );
    }

    #[test]
    fn the_hint_for_a_wrong_tenant_argument_names_the_argument() {
        let about_to = |rows: &[(&str, &str)], tenant: Option<&str>| {
            let (config, registry) = config(rows, "contoso.azurecr.io");
            let account = crate::identity::Account::unknown(&config, tenant);
            Identity::of_login(account, &config, Some(&registry))
        };
        let set = [("ACRSCOPED_TENANT", "set")];
        for rows in [&[][..], &set] {
            let identity = about_to(rows, Some("wrong"));
            assert_eq!(
                tenant_lines(&identity),
                ["the tenant wrong was set by `--tenant`"]
            );
            let hint = hint(&identity, Some(90_002)).unwrap();
            assert!(hint.starts_with("set the right `--tenant`, or sign in there\n  "));
        }
        let identity = about_to(&set, None);
        assert_eq!(
            tenant_lines(&identity),
            ["the tenant set was set by `ACRSCOPED_TENANT`"]
        );
        let any = about_to(&[], None);
        assert_eq!(tenant_lines(&any), [""; 0]);
        let command = "docker-credential-acrscoped login contoso.azurecr.io --tenant TENANT";
        for identity in [identity, any] {
            let hint = hint(&identity, Some(50_020)).unwrap();
            assert!(
                hint.ends_with(&format!(", or sign in there\n  {command}")),
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
        let login = "sign in again\n  az login --scope https://containerregistry.azure.net/.default --tenant contoso.example";
        let policy = "a Conditional Access policy blocks this sign-in: ask your tenant administrator to allow it";
        let consent = "an administrator of the tenant must consent to the application";
        let credential = "compare issuer, subject and audience of the federated token with the application's federated credentials";
        let setting = "`tenant` under `[registry.\"contoso.azurecr.io\"]` in the config file";
        let set = format!("set the right {setting}");
        let set_or_sign_in = format!(
            "set the right {setting}, or sign in there\n  \
             az login --scope https://containerregistry.azure.net/.default --tenant TENANT"
        );
        let directory =
            "check `AZURE_TENANT_ID`, and the cloud: the helper used login.microsoftonline.com";
        for (identity, codes, expected) in [
            (
                &cli,
                &[50_076, 16_000, 50_173, 700_082, 7_000_215, 123][..],
                login,
            ),
            (
                &odd_cli,
                &[50_076],
                "sign in again\n  az login --scope https://containerregistry.azure.net/.default",
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
                "the tenant does not know this audience: check the tenant, the cloud and `audience`",
            ),
            (
                &secret,
                &[7_000_215],
                "`AZURE_CLIENT_SECRET` must be the secret's value, not its id",
            ),
            (
                &secret,
                &[7_000_222],
                "create a new secret for the application\n  az ad app credential reset --id c",
            ),
            (
                &secret,
                &[70_001, 700_016, 7_000_112],
                "check `AZURE_CLIENT_ID` and `AZURE_TENANT_ID`",
            ),
            (&secret, &[90_002, 900_023], directory),
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
                "the federated token has expired: check the clocks; in a CI job let `source` be github-actions or \
                 azure-pipelines, which request a new one each time",
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
            (signed_in("t"), Some("sign in\n  az login")),
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
    fn a_wrong_tenant_is_named_with_its_setting_and_other_known_tenants() {
        assert_eq!(
            tenant_lines(&identity(&APPLICATION)),
            ["the tenant t was set by `AZURE_TENANT_ID`"]
        );
        assert_eq!(
            tenant_lines(&signed_in("t")),
            [
                "the tenant t is that of the account",
                "the Azure CLI also knows the subscription `Two` in tenant other"
            ]
        );
        assert_eq!(tenant_lines(&signed_in("$(reboot)")).len(), 1);
    }
}
