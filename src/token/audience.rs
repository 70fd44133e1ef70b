//! What access tokens are requested for: the registries' audience, never Azure Resource Manager or another service of Microsoft.

use crate::text::is_within;
use url::Url;

/// The audience of every registry in every cloud of Azure (azure-cli 2.91, `_resolve_acr_scope`).
pub const REGISTRY_AUDIENCE: &str = "https://containerregistry.azure.net";

/// Application id of the resource "Azure Container Registry": a token may carry it as `aud` in place of the audience's URL.
pub(super) const REGISTRY_RESOURCE_ID: &str = "6a0ec4d3-30cb-4a83-91c0-ae56bc0e3d26";

/// What an access token is requested for and must be for. Never Azure Resource Manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience(String);

impl Audience {
    /// Reads the address of a resource, `https://…` or `api://…`. The registries of a disconnected cloud may have their own.
    ///
    /// # Errors
    ///
    /// What is wrong with it. An audience of another service of Microsoft is refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        let host = resource_host(text).ok_or_else(|| {
            format!(
                "is {text:?}, expected the address of a resource, such as `{REGISTRY_AUDIENCE}`"
            )
        })?;
        let audience = text
            .strip_suffix("/.default")
            .unwrap_or(text)
            .trim_end_matches('/');
        if audience.eq_ignore_ascii_case(REGISTRY_AUDIENCE) {
            return Ok(Self::default());
        }
        if is_microsoft_service(&host) {
            return Err(format!(
                "is {text:?}, a service of Microsoft other than Azure Container Registry: the helper never requests or sends its tokens"
            ));
        }
        Ok(Self(audience.to_owned()))
    }

    /// Returns Azure Resource Manager of a cloud, by the Azure CLI's name of the cloud, for `doctor --probe-arm` alone. Only offering such a
    /// token shows whether a registry accepts it. Other code calls [`Audience::parse`], which refuses it; clippy refuses more callers.
    pub(crate) fn of_resource_manager(cloud: &str) -> Option<Self> {
        let host = match cloud {
            "AzureCloud" => "management.azure.com",
            "AzureUSGovernment" => "management.usgovcloudapi.net",
            "AzureChinaCloud" => "management.chinacloudapi.cn",
            _ => return None,
        };
        Some(Self(format!("https://{host}")))
    }

    /// Returns the Entra scope to request.
    pub fn scope(&self) -> String {
        format!("{}/.default", self.0)
    }

    /// Returns the audience itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this `aud` claim means it.
    pub(super) fn matches(&self, claim: &str) -> bool {
        claim.strip_suffix('/').unwrap_or(claim) == self.0
            || (self.0 == REGISTRY_AUDIENCE && claim == REGISTRY_RESOURCE_ID)
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self(REGISTRY_AUDIENCE.to_owned())
    }
}

/// Returns the host of a resource's address in lower case, without a trailing dot. An address with other characters than names and ids have
/// is refused.
fn resource_host(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_resource = matches!(url.scheme(), "https" | "api")
        && url.username().is_empty()
        && url.password().or(url.query()).or(url.fragment()).is_none();
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let host = url.host_str()?.to_ascii_lowercase();
    let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (is_resource && text.bytes().all(is_plain) && host.bytes().all(is_of_names))
        .then(|| host.trim_end_matches('.').to_owned())
}

/// Returns whether a host, or an application id in its place, is that of a service of Microsoft.
fn is_microsoft_service(host: &str) -> bool {
    let lines = include_str!("microsoft_services.txt").lines();
    let mut services = lines.filter(|line| !line.starts_with('#'));
    services.any(
        |service| match (service.strip_prefix('*'), service.strip_suffix('*')) {
            (Some(end), _) => host.ends_with(end),
            // A name of one label begins so, too.
            (_, Some(start)) => format!("{host}.").starts_with(start),
            (None, None) => is_within(host, service),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_of_another_microsoft_service_is_refused() {
        for text in [
            "https://containerregistry.azure.net",
            "https://containerregistry.azure.net//",
            "HTTPS://ContainerRegistry.Azure.net/.default",
            "api://6a0ec4d3-30cb-4a83-91c0-ae56bc0e3d26",
            "https://registries.fabrikam.example",
            "api://registries.fabrikam.example/acr",
            "https://containerregistry.azure.example",
            "https://notazure.net",
        ] {
            assert!(Audience::parse(text).is_ok(), "{text}");
        }
        assert_eq!(
            Audience::parse("HTTPS://ContainerRegistry.Azure.net/").unwrap(),
            Audience::default()
        );
        for text in [
            // Microsoft Graph and the older Azure AD Graph.
            "https://graph.microsoft.com",
            "https://GRAPH.microsoft.com./",
            "https://graph.microsoft.com:443/.default",
            "https://graph.microsoft.us",
            "https://dod-graph.microsoft.us",
            "https://microsoftgraph.chinacloudapi.cn",
            "api://00000003-0000-0000-c000-000000000000",
            "https://00000003-0000-0000-c000-000000000000",
            "https://graph.windows.net",
            "https://graph.chinacloudapi.cn",
            "api://00000002-0000-0000-C000-000000000000/x",
            "https://management",
            "https://ADMINmanagement./",
            "https://armmanagement/.default",
            // Key Vault, storage, databases, queues, logs.
            "https://vault.azure.net",
            "https://contoso.vault.azure.cn",
            "https://vault.usgovcloudapi.net",
            "api://cfa8b339-82a2-471a-a3c9-0fc0be7a4093",
            "https://storage.azure.com",
            "https://contoso.blob.core.windows.net",
            "https://contoso.dfs.core.usgovcloudapi.net",
            "https://contoso.queue.core.chinacloudapi.cn",
            "https://database.windows.net",
            "https://servicebus.azure.net",
            "https://eventhubs.azure.net",
            "https://cosmos.azure.com",
            "https://contoso.documents.azure.us",
            "https://api.loganalytics.io",
            "https://monitor.azure.com",
            "https://batch.core.windows.net",
            "https://datalake.azure.net",
            "https://cognitiveservices.azure.com",
            // Azure DevOps, Office, and the registries of other spellings.
            "https://app.vssps.visualstudio.com",
            "api://499b84ac-1321-427f-aa17-267ca6975798",
            "https://dev.azure.com",
            "https://outlook.office365.com",
            "https://contoso.sharepoint.com",
            "api://00000003-0000-0ff1-ce00-000000000000",
            "https://login.microsoftonline.com",
            "https://containerregistry.azure.us",
            "https://containerregistry.azure.net:8443",
            "api://containerregistry.azure.net",
            "https://containerregistry.azure.net/other",
            "https://x.containerregistry.azure.net",
            // What would let its receiver sign in as an application that trusts this identity.
            "api://AzureADTokenExchange",
            "api://azureadtokenexchangeusgov/x",
            // Azure Resource Manager, also of private clouds.
            "https://management.azure.com",
            "https://management.usgovcloudapi.net",
            "https://management.sovcloud-api.fr",
            "https://management.local.fabrikam.example",
            "https://adminmanagement.fabrikam.example",
            "https://armmanagement.fabrikam.example",
            "api://797f4846-ba00-4fd7-ba43-dac1f8f63013",
        ] {
            let problem = Audience::parse(text).unwrap_err();
            assert!(
                problem.contains("a service of Microsoft other than Azure Container Registry"),
                "{text}: {problem}"
            );
        }
        for text in [
            "api://graph%2emicrosoft.com",
            r"https:\\registries.example",
            "https://[::1]",
            "graph.microsoft.com",
        ] {
            assert!(
                Audience::parse(text)
                    .unwrap_err()
                    .contains("expected the address of a resource"),
                "{text}"
            );
        }
    }
}
