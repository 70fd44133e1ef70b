//! Which source signs in: the order, what narrows it, and what each needs.

use super::application::Application;
use super::managed::Endpoint;
use super::{Source, arc, azure_cli, developer_cli, login};
use crate::config::{Announced, Config, ManagedId, SourceName, SourceSettings, Value};
use crate::error::{Error, ErrorKind};
use crate::registry::Registry;
use std::sync::Arc;

/// The first source that is configured, or the one that is set. What was passed over is added to `skipped`, a reason each. Reads at most
/// the files that say who is signed in to the two command lines, and with us.
///
/// Errors: [`ErrorKind::Setting`] when a source is configured by half, [`ErrorKind::NoIdentity`] when none may be tried.
pub(super) fn choose(
    config: &Config,
    registry: &Registry,
    skipped: &mut Vec<String>,
) -> Result<Source, Error> {
    let settings = &config.sources;
    if let Some(Value {
        value: only,
        origin,
    }) = &settings.only
    {
        let reason = match offer(*only, config, registry)? {
            Ok(source) => return Ok(source),
            Err(reason) => reason,
        };
        let word = only.word();
        skipped.push(format!("{word}: {reason}"));
        skipped.push(format!(
            "no other was tried: `source` is {word} by {origin}"
        ));
        // Asked for by name, a virtual machine need not announce it.
        let is_machine = *only == SourceName::ManagedIdentity;
        return if is_machine {
            virtual_machine(settings)
        } else {
            Err(nobody(skipped.clone(), Some(*only), Some(registry.host())))
        };
    }
    let allowed = |source: SourceName| {
        settings
            .narrowing
            .as_ref()
            .is_none_or(|narrowing| narrowing.allows(source))
    };
    for &source in SourceName::ALL {
        if !allowed(source) {
            skipped.push(format!(
                "{}: `AZURE_TOKEN_CREDENTIALS` leaves it out",
                source.word()
            ));
            continue;
        }
        match offer(source, config, registry)? {
            Ok(source) => return Ok(source),
            Err(reason) => skipped.push(format!("{}: {reason}", source.word())),
        }
    }
    if allowed(SourceName::ManagedIdentity) {
        virtual_machine(settings)
    } else {
        Err(nobody(skipped.clone(), None, Some(registry.host())))
    }
}

/// The hint without a registry.
const HINT_NO_IDENTITY: &str = "sign in with `docker-credential-acrscoped login` or `az login`, or set the `AZURE_*` variables of an identity";

/// That nobody can be signed in to a registry, with what to do about it.
pub(super) fn nobody(
    skipped: Vec<String>,
    only: Option<SourceName>,
    registry: Option<&str>,
) -> Error {
    let login = registry.map(|registry| format!("docker-credential-acrscoped login {registry}"));
    let any = || {
        login.as_ref().map(|login| format!("sign in with `{login}` or `az login`, or set the `AZURE_*` variables of an identity"))
    };
    let hint = only.map(|only| match only {
        SourceName::WorkloadIdentity => "set `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`",
        SourceName::ClientSecret => "set `AZURE_CLIENT_SECRET`, `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`",
        SourceName::ClientCertificate => "set `AZURE_CLIENT_CERTIFICATE_PATH`, `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`",
        SourceName::GitHubActions => {
            "give the job `permissions: id-token: write`, and set `AZURE_TENANT_ID` and `AZURE_CLIENT_ID`"
        }
        SourceName::AzurePipelines => {
            "map it in the step: `env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)`, and name a service connection"
        }
        SourceName::ManagedIdentity => "run it where a managed identity is assigned, or let `source` be another or none",
        SourceName::Login => login.as_deref().unwrap_or("docker-credential-acrscoped login"),
        SourceName::AzureCli => "az login",
        SourceName::AzureDeveloperCli => "azd auth login",
    });
    let hint = hint.map(str::to_owned).or_else(any);
    Error::new(ErrorKind::NoIdentity, "no Azure identity to sign in with")
        .with_details(skipped)
        .with_hint(hint.unwrap_or_else(|| HINT_NO_IDENTITY.to_owned()))
}

/// The source of this name, or why it is not configured.
fn offer(
    source: SourceName,
    config: &Config,
    registry: &Registry,
) -> Result<Result<Source, String>, Error> {
    let (settings, cloud) = (&config.sources, &config.identity_cloud);
    match source {
        SourceName::WorkloadIdentity
        | SourceName::ClientSecret
        | SourceName::ClientCertificate
        | SourceName::GitHubActions
        | SourceName::AzurePipelines => {
            Ok(Application::of(source, settings, cloud)?.map(Source::Application))
        }
        SourceName::ManagedIdentity => announced(settings),
        SourceName::Login => {
            let host = config.authority.host_str().unwrap_or_default();
            // A login is good at one authority only.
            let why = |reason: String| {
                if reason == "nobody is signed in" {
                    format!("{reason} at {host}")
                } else {
                    reason
                }
            };
            Ok(login::account(config, Some(registry))?
                .map(Source::Login)
                .map_err(why))
        }
        SourceName::AzureCli => Ok(azure_cli::account(settings, cloud)?.map(Source::AzureCli)),
        SourceName::AzureDeveloperCli => {
            Ok(developer_cli::account(settings, cloud)?.map(Source::DeveloperCli))
        }
    }
}

/// The managed identity that the platform announces.
fn announced(settings: &SourceSettings) -> Result<Result<Source, String>, Error> {
    let announced = settings.announced.get()?;
    let endpoint = match announced {
        Announced::Nothing => match arc::installed() {
            Some(url) => Endpoint::Arc { url },
            None => {
                return Ok(Err(
                    "no platform announces one (`IDENTITY_ENDPOINT`, `MSI_ENDPOINT`)".into(),
                ));
            }
        },
        Announced::Unsupported(platform) => {
            return Ok(Err(format!("that of {platform} is not supported")));
        }
        Announced::AppService { url, header } => Endpoint::AppService {
            url: url.clone(),
            header: header.clone(),
        },
        Announced::Arc { url } => Endpoint::Arc { url: url.clone() },
        Announced::CloudShell { url } => Endpoint::CloudShell { url: url.clone() },
        Announced::MachineLearning { url, secret, .. } => Endpoint::MachineLearning {
            url: url.clone(),
            secret: secret.clone(),
        },
    };
    let own = match announced {
        Announced::MachineLearning { client, .. } => client.clone().map(ManagedId::Client),
        _ => None,
    };
    managed(settings, endpoint, own).map(Ok)
}

/// The managed identity of a virtual machine, which is found only by asking.
fn virtual_machine(settings: &SourceSettings) -> Result<Source, Error> {
    managed(
        settings,
        Endpoint::VirtualMachine {
            host: settings.imds.clone(),
        },
        None,
    )
}

/// The identity that is named, else the platform's own. Where a platform cannot be asked for the one that is named, another would sign
/// in than was meant.
fn managed(
    settings: &SourceSettings,
    endpoint: Endpoint,
    own: Option<ManagedId>,
) -> Result<Source, Error> {
    let named = settings.managed.get()?;
    if let Some(Value { value: id, origin }) = named
        && endpoint.parameter(id).is_none()
    {
        let problem = format!(
            "from {origin} names a managed identity in a way that {} does not know",
            endpoint.platform()
        );
        return Err(Error::setting(id.as_str(), problem));
    }
    let id = named.as_ref().map(|id| id.value.clone()).or(own);
    Ok(Source::ManagedIdentity {
        id,
        endpoint: Arc::new(endpoint),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn who_is_nobody_learns_where_and_how_to_sign_in() {
        let rows = [
            ("XDG_STATE_HOME", "/nowhere"),
            ("ACRSCOPED_SOURCE", "login"),
        ];
        let registry = Registry::parse("contoso.azurecr.us", &[]).unwrap();
        let config = |rows: &[(&str, &str)]| {
            let variables = rows
                .iter()
                .map(|(name, value)| ((*name).into(), value.into()))
                .collect();
            Settings::of(variables, None)
                .for_registry(&registry)
                .unwrap()
        };
        let mut skipped = Vec::new();
        let error = choose(&config(&rows), &registry, &mut skipped).unwrap_err();
        assert_eq!(
            error.details()[0],
            "login: nobody is signed in at login.microsoftonline.us"
        );
        assert_eq!(
            error.hint(),
            Some("docker-credential-acrscoped login contoso.azurecr.us")
        );
        let error = choose(
            &config(&[("AZURE_TOKEN_CREDENTIALS", "dev"), rows[0]]),
            &registry,
            &mut skipped,
        )
        .unwrap_err();
        let hint = "sign in with `docker-credential-acrscoped login contoso.azurecr.us` or `az login`, or set the `AZURE_*` \
                    variables of an identity";
        assert_eq!(error.hint(), Some(hint));
    }
}
