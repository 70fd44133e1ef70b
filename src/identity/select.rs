//! Selects the identity source: the order, what narrows it, and the error when no source is configured.

use super::{IdentitySource, azure_cli, azure_developer_cli, ci_oidc};
use super::{login, managed_identity, service_principal, workload_identity};
use crate::config::{Config, SourceName};
use crate::error::{Error, ErrorKind};
use crate::registry::Registry;

/// A source that is configured, else why it cannot be used. An error of [`skip`] means that the next source is tried. Any other error ends the
/// selection: the source is only partly configured, and the next one would be another identity than the user meant.
pub(super) type Offer = Result<Box<dyn IdentitySource>, Error>;

/// Returns the error of a source that is not configured, for this reason.
pub(super) fn skip(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::NoIdentity, reason)
}

/// Reads at most the files of accounts and saved sign-ins.
type OfferFn = fn(&Config, &Registry) -> Offer;

/// Returns a source's row of the table: how it is offered, and what to do if it is the only one allowed and not configured.
fn entry(name: SourceName) -> (OfferFn, &'static str) {
    use service_principal as principal;
    match name {
        SourceName::WorkloadIdentity => (workload_identity::offer, workload_identity::HINT),
        SourceName::ClientSecret => (principal::offer_secret, principal::SECRET_HINT),
        SourceName::ClientCertificate => {
            (principal::offer_certificate, principal::CERTIFICATE_HINT)
        }
        SourceName::GitHubActions => (ci_oidc::offer_github, ci_oidc::GITHUB_HINT),
        SourceName::AzurePipelines => (ci_oidc::offer_pipelines, ci_oidc::PIPELINES_HINT),
        SourceName::ManagedIdentity => (managed_identity::offer, managed_identity::HINT),
        SourceName::Login => (login::offer, login::COMMAND),
        SourceName::AzureCli => (azure_cli::offer, azure_cli::HINT),
        SourceName::AzureDeveloperCli => (azure_developer_cli::offer, azure_developer_cli::HINT),
    }
}

/// Returns the first source that is configured, or the only one that is allowed, and the error to report if it turns out that there is no such
/// identity. Its details say why each source before it was skipped: first what the user most likely meant.
///
/// # Errors
///
/// [`ErrorKind::Setting`] if a source is partly configured, [`ErrorKind::NoIdentity`] if no source can be tried.
pub(super) fn select(
    config: &Config,
    registry: &Registry,
) -> Result<(Box<dyn IdentitySource>, Error), Error> {
    let settings = &config.sources;
    let names = match &settings.only {
        Some(only) => std::slice::from_ref(&only.value),
        None => SourceName::ALL,
    };
    let is_allowed = |name: SourceName| {
        let filter = settings.filter.as_ref();
        names.contains(&name) && filter.is_none_or(|filter| filter.allows(name))
    };
    let mut no_identity = no_identity();
    for &name in names {
        let offer = if is_allowed(name) {
            (entry(name).0)(config, registry)
        } else {
            Err(skip("`AZURE_TOKEN_CREDENTIALS` leaves it out"))
        };
        match offer {
            Ok(source) => return Ok((source, no_identity)),
            Err(reason) if reason.kind() == ErrorKind::NoIdentity => {
                no_identity = add_skipped(no_identity, name, &reason);
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(only) = &settings.only {
        let (word, origin) = (only.value.as_str(), &only.origin);
        let why = format!("no other was tried: `source` is {word} by {origin}");
        no_identity = no_identity.with_detail(why);
    }
    if no_identity.hint().is_none() {
        no_identity = no_identity.with_hint(general_hint(config, registry));
    }
    // A virtual machine does not announce its identity: only a request shows whether there is one.
    if is_allowed(SourceName::ManagedIdentity) {
        return Ok((managed_identity::of_virtual_machine(settings)?, no_identity));
    }
    Err(no_identity)
}

/// Returns the error that no identity can sign in, without details.
pub(super) fn no_identity() -> Error {
    skip("no Azure identity to sign in with")
}

/// Adds why a source was skipped. One with a hint is almost configured: the first of these is what the user most likely meant.
fn add_skipped(error: Error, name: SourceName, reason: &Error) -> Error {
    let line = format!("{}: {reason}", name.as_str());
    match reason.hint() {
        Some(hint) if error.hint().is_none() => error.with_first_details([line]).with_hint(hint),
        _ => error.with_detail(line),
    }
}

/// Returns what to do if no source is almost configured.
fn general_hint(config: &Config, registry: &Registry) -> String {
    let login = format!("{} {}", login::COMMAND, registry.host());
    match config.sources.only.as_ref().map(|only| only.value) {
        Some(SourceName::Login) => format!("sign in\n  {login}"),
        Some(SourceName::AzureCli) if !azure_cli::is_installed(&config.sources) => {
            "install the Azure CLI, then sign in\n  az login".to_owned()
        }
        Some(only) => entry(only).1.to_owned(),
        None if azure_cli::is_installed(&config.sources) => format!(
            "set the `AZURE_*` variables of an identity, or sign in with one of these\n  {login}\n  az login"
        ),
        None => format!("set the `AZURE_*` variables of an identity, or sign in\n  {login}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;

    #[test]
    fn without_an_identity_the_error_says_where_and_how_to_sign_in() {
        let rows = [
            ("XDG_STATE_HOME", "/nowhere"),
            ("ACRSCOPED_SOURCE", "login"),
        ];
        let error = |rows: &[(&str, &str)]| {
            let (config, registry) = config(rows, "contoso.azurecr.us");
            select(&config, &registry).unwrap_err()
        };
        let only_login = error(&rows);
        assert_eq!(
            only_login.details()[0],
            "login: no account is signed in at login.microsoftonline.us"
        );
        assert_eq!(
            only_login.hint(),
            Some("sign in\n  docker-credential-acrscoped login contoso.azurecr.us")
        );
        let hint = "set the `AZURE_*` variables of an identity, or sign in\n  \
                    docker-credential-acrscoped login contoso.azurecr.us";
        let developer = ("AZURE_TOKEN_CREDENTIALS", "dev");
        assert_eq!(error(&[developer, rows[0]]).hint(), Some(hint));
        let hint = hint.replace("sign in", "sign in with one of these") + "\n  az login";
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("az"), "").unwrap();
        let path = ("PATH", folder.path().to_str().unwrap());
        assert_eq!(error(&[developer, rows[0], path]).hint(), Some(&*hint));
    }
}
