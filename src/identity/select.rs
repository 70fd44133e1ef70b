//! Selects the identity source: the order, what narrows it, and the error when no source is configured.

use super::{IdentitySource, azure_cli, azure_developer_cli, ci_oidc};
use super::{login, managed_identity, service_principal, workload_identity};
use crate::config::{Config, SourceName};
use crate::error::{Error, ErrorKind};
use crate::registry::Registry;

/// A source that is configured, else why it cannot be used. An error of [`skip`] gives the next source its turn. Any other error ends the
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

/// Returns the first source that is configured, or the only one that is allowed, and why each source before it was skipped.
///
/// # Errors
///
/// [`ErrorKind::Setting`] if a source is partly configured, [`ErrorKind::NoIdentity`] if no source can be tried.
pub(super) fn select(
    config: &Config,
    registry: &Registry,
) -> Result<(Box<dyn IdentitySource>, Vec<String>), Error> {
    let settings = &config.sources;
    let names = match &settings.only {
        Some(only) => std::slice::from_ref(&only.value),
        None => SourceName::ALL,
    };
    let is_allowed = |name: SourceName| {
        let filter = settings.filter.as_ref();
        names.contains(&name) && filter.is_none_or(|filter| filter.allows(name))
    };
    let mut skipped = Vec::new();
    for &name in names {
        let offer = if is_allowed(name) {
            (entry(name).0)(config, registry)
        } else {
            Err(skip("`AZURE_TOKEN_CREDENTIALS` leaves it out"))
        };
        match offer {
            Ok(source) => return Ok((source, skipped)),
            Err(why) if why.kind() == ErrorKind::NoIdentity => {
                skipped.push(format!("{}: {why}", name.as_str()));
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(only) = &settings.only {
        let (word, origin) = (only.value.as_str(), &only.origin);
        let why = format!("no other was tried: `source` is {word} by {origin}");
        skipped.push(why);
    }
    // A virtual machine does not announce its identity: only a request shows whether there is one.
    if is_allowed(SourceName::ManagedIdentity) {
        return Ok((managed_identity::of_virtual_machine(settings)?, skipped));
    }
    let only = settings.only.as_ref().map(|only| only.value);
    Err(no_identity_error(skipped, only, registry.host()))
}

/// Returns the error that no identity can sign in to a registry, with what to do about it.
pub(super) fn no_identity_error(
    skipped: Vec<String>,
    only: Option<SourceName>,
    registry: &str,
) -> Error {
    let login = format!("{} {registry}", login::COMMAND);
    let hint = match only {
        Some(SourceName::Login) => login,
        Some(only) => entry(only).1.to_owned(),
        None => format!(
            "sign in with `{login}` or `az login`, or set the `AZURE_*` variables of an identity"
        ),
    };
    Error::new(ErrorKind::NoIdentity, "no Azure identity to sign in with")
        .with_details(skipped)
        .with_hint(hint)
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
            Some("docker-credential-acrscoped login contoso.azurecr.us")
        );
        let hint = "sign in with `docker-credential-acrscoped login contoso.azurecr.us` or `az login`, or set the `AZURE_*` \
                    variables of an identity";
        let developer = error(&[("AZURE_TOKEN_CREDENTIALS", "dev"), rows[0]]);
        assert_eq!(developer.hint(), Some(hint));
    }
}
