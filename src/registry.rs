//! The clouds, and the one parser of registry hosts. They decide which hosts may receive a token.
//!
//! [`Registry::parse`] is the only way to make a [`Registry`], and only a [`Registry`] can be sent an access token. It reads the text alone,
//! and uses no cache, network or process. It compares whole labels, never substrings: an unanchored comparison sent Azure tokens to
//! lookalike hosts in another helper (GO-2026-6225).

use crate::token::REGISTRY_AUDIENCE;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use url::{Position, Url};

/// Describes a cloud: the suffix of its login servers, its Entra authority, and its names elsewhere.
///
/// ```
/// use docker_credential_acrscoped::Registry;
///
/// let registry = Registry::parse("contoso.azurecr.us", &[]).ok_or("no registry")?;
/// assert_eq!(registry.cloud().authority, "login.microsoftonline.us");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cloud {
    /// Its name in messages.
    pub name: Cow<'static, str>,
    /// What every login server of the cloud ends with, without a leading dot.
    pub suffix: Cow<'static, str>,
    /// Host of the Entra authority, with its port if it has one. Source: `azure-cli-core`, `cloud.py` (2.91), and Microsoft's
    /// national-cloud pages.
    pub authority: Cow<'static, str>,
    /// The audience that its registries take.
    pub audience: Cow<'static, str>,
    /// What the Azure CLI and the Azure Developer CLI call it (`az cloud list`).
    pub cli_name: Cow<'static, str>,
    /// The audience of assertions that its authority takes from other issuers (Microsoft, "Workload identity federation").
    pub federation: Cow<'static, str>,
}

impl Cloud {
    /// Returns whether this is the address of its authority, by one of its names.
    pub(crate) fn is_authority(&self, url: &Url) -> bool {
        let host = host_and_port(url);
        let alias = AUTHORITY_ALIASES.iter().find(|(alias, _)| *alias == host);
        url.scheme() == "https" && self.authority == alias.map_or(host, |(_, known)| known)
    }
}

/// Further hosts of the authorities of Azure's clouds, with the host that the table has (MSAL, `authority.py` 1.39; azure-identity
/// 1.27, `_constants.py`; Microsoft, "National clouds").
const AUTHORITY_ALIASES: &[(&str, &str)] = &[
    ("login.microsoft.com", "login.microsoftonline.com"),
    ("login.windows.net", "login.microsoftonline.com"),
    ("sts.windows.net", "login.microsoftonline.com"),
    ("login-us.microsoftonline.com", "login.microsoftonline.us"),
    ("login.usgovcloudapi.net", "login.microsoftonline.us"),
    ("login.partner.microsoftonline.cn", "login.chinacloudapi.cn"),
];

/// The audience of federated assertions in the public cloud, and where nothing else is known.
pub const FEDERATION: &str = "api://AzureADTokenExchange";

const FEDERATION_US: &str = "api://AzureADTokenExchangeUSGov";
const FEDERATION_CHINA: &str = "api://AzureADTokenExchangeChina";

/// Makes the table of clouds: name, suffix, authority, name in the Azure CLI and audience of federated assertions.
macro_rules! clouds {
    ($($name:literal $suffix:literal $authority:literal $cli_name:literal $federation:ident;)*) => {
        /// The clouds of Azure.
        pub static CLOUDS: &[Cloud] = &[$(Cloud {
            name: Cow::Borrowed($name),
            suffix: Cow::Borrowed($suffix),
            authority: Cow::Borrowed($authority),
            // The same in all of them (`_resolve_acr_scope` of azure-cli 2.91).
            audience: Cow::Borrowed(REGISTRY_AUDIENCE),
            cli_name: Cow::Borrowed($cli_name),
            federation: Cow::Borrowed($federation),
        }),*];
    };
}

clouds! {
    "Azure public" "azurecr.io" "login.microsoftonline.com" "AzureCloud" FEDERATION;
    "Azure Government" "azurecr.us" "login.microsoftonline.us" "AzureUSGovernment" FEDERATION_US;
    "Azure operated by 21Vianet" "azurecr.cn" "login.chinacloudapi.cn" "AzureChinaCloud" FEDERATION_CHINA;
    "Bleu" "azurecr.sovcloud-azure.fr" "login.sovcloud-identity.fr" "AzureBleuCloud" FEDERATION;
}

/// What the metadata service calls the cloud of a machine (`azEnvironment`: Microsoft, "Azure Instance Metadata Service"), and what the
/// Azure CLI calls it.
const ENVIRONMENTS: &[(&str, &str)] = &[
    ("AzurePublicCloud", "AzureCloud"),
    ("AzureUSGovernmentCloud", "AzureUSGovernment"),
    ("AzureChinaCloud", "AzureChinaCloud"),
];

/// Returns the Azure CLI's name of the cloud that the metadata service names; none if it is not one of Azure's.
pub(crate) fn cloud_of_environment(environment: &str) -> Option<&'static str> {
    let mut environments = ENVIRONMENTS.iter();
    let (_, cli_name) = environments.find(|(name, _)| *name == environment)?;
    Some(cli_name)
}

/// Returns whether a cloud of Azure has this name, in whatever case, in our messages, the Azure CLI or the metadata service.
pub(crate) fn is_name_of_azure(name: &str) -> bool {
    let clouds = CLOUDS.iter();
    let names = clouds.flat_map(|cloud| [&*cloud.name, &*cloud.cli_name]);
    let environments = ENVIRONMENTS.iter().map(|(environment, _)| *environment);
    // The last one closed in October 2021.
    let further = ["Azure", "AzureGermanCloud"];
    let mut known = names.chain(environments).chain(further);
    known.any(|known| known.eq_ignore_ascii_case(name))
}

/// Longest label of a DNS name (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// Names a login server of Azure Container Registry: a host that may receive an ACR-scoped access token.
///
/// Three forms exist, documented by Microsoft under "registry endpoints":
/// `name.azurecr.io`, with a domain name label `name-hash.azurecr.io`, and regional `name[-hash].region.geo.azurecr.io`.
///
/// ```
/// use docker_credential_acrscoped::Registry;
///
/// let registry = Registry::parse("https://Contoso.eastus.geo.azurecr.io/v2/", &[]).ok_or("no registry")?;
/// assert_eq!(registry.host(), "contoso.eastus.geo.azurecr.io");
/// assert_eq!(registry.login_server(), "contoso.azurecr.io");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    host: String,
    login_server: String,
    cloud: Arc<Cloud>,
}

impl Registry {
    /// Reads what a client sent as server URL: a host, or a URL with `http://` or `https://`, in any case. It may have port 443, a path and a
    /// trailing dot. Returns `None` for everything else. `private_clouds` are those that the user added to those of Azure.
    ///
    /// The scheme is dropped, never obeyed: a token is sent by TLS only.
    ///
    /// ```
    /// use docker_credential_acrscoped::Registry;
    ///
    /// assert!(Registry::parse("contoso.azurecr.io", &[]).is_some());
    /// assert!(Registry::parse("contoso.azurecr.io.evil.example", &[]).is_none());
    /// ```
    pub fn parse(server_url: &str, private_clouds: &[Cloud]) -> Option<Self> {
        let host = host_of(server_url)?;
        let in_cloud = |cloud: &Cloud| {
            let name = host.strip_suffix(&*cloud.suffix)?.strip_suffix('.')?;
            let labels: Vec<&str> = name.split('.').collect();
            let label = match labels[..] {
                [label] => label,
                [label, region, "geo"] if is_alphanumeric(region) => label,
                _ => return None,
            };
            is_registry_label(label).then(|| Self {
                host: host.clone(),
                login_server: format!("{label}.{}", cloud.suffix),
                cloud: Arc::new(cloud.clone()),
            })
        };
        CLOUDS.iter().chain(private_clouds).find_map(in_cloud)
    }

    /// Returns the host a client talks to, in lower case: `contoso.azurecr.io` or `contoso.eastus.geo.azurecr.io`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the host whose `/oauth2/exchange` issues this registry's refresh token. A regional endpoint is exchanged at its global
    /// login server, as `az acr login --endpoint` does (azure-cli 2.91, `acr/custom.py`).
    pub fn login_server(&self) -> &str {
        &self.login_server
    }

    /// Returns the registry's resource name, as `az acr` takes it: the first label without the hash of a domain name label.
    pub fn resource_name(&self) -> &str {
        let label = self.host.split('.').next().unwrap_or_default();
        label.split('-').next().unwrap_or_default()
    }

    /// Returns the cloud it belongs to.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }
}

/// Returns the host of a URL, with its port if that is not the one of the scheme.
pub(crate) fn host_and_port(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)
    }
}

/// Returns the lower-case host of a server URL, unless it holds anything but a host, port 443 and a path.
fn host_of(server_url: &str) -> Option<String> {
    let text = server_url.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    if !["https", "http"].contains(&&*scheme.to_ascii_lowercase()) {
        return None;
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let host = host.strip_suffix('.').unwrap_or(host);
    (port == "443").then(|| host.to_ascii_lowercase())
}

/// Returns whether a text is a host name of two labels or more, in lower case.
pub(crate) fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label
                .bytes()
                .all(|byte| is_alphanumeric_byte(byte) || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.contains('.') && text.split('.').all(is_label)
}

/// Returns whether a label is that of a registry: 5 to 50 letters and digits (Azure resource naming rules). A domain name label adds `-` and a
/// hash.
fn is_registry_label(label: &str) -> bool {
    let (name, hash) = label.split_once('-').unwrap_or((label, "0"));
    label.len() <= MAX_LABEL
        && (5..=50).contains(&name.len())
        && is_alphanumeric(name)
        && is_alphanumeric(hash)
}

/// Returns whether a text is one label of lower-case ASCII letters and digits.
fn is_alphanumeric(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(is_alphanumeric_byte)
}

fn is_alphanumeric_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Input, host, login server, cloud.
    const OURS: &[(&str, &str, &str, &str)] = &[
        (
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "contoso.azurecr.us",
            "contoso.azurecr.us",
            "contoso.azurecr.us",
            "Azure Government",
        ),
        (
            "contoso.azurecr.cn",
            "contoso.azurecr.cn",
            "contoso.azurecr.cn",
            "Azure operated by 21Vianet",
        ),
        (
            "contoso.azurecr.sovcloud-azure.fr",
            "contoso.azurecr.sovcloud-azure.fr",
            "contoso.azurecr.sovcloud-azure.fr",
            "Bleu",
        ),
        (
            "https://contoso.azurecr.io",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "http://contoso.azurecr.io",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "HTTPS://contoso.azurecr.io/",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "https://contoso.azurecr.io/v2/",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "https://contoso.azurecr.io:443",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "http://contoso.azurecr.io:443/v1/",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "contoso.azurecr.io:443",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "contoso.azurecr.io/team/app",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "contoso.azurecr.io/",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "contoso.azurecr.io.",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "contoso.azurecr.io.:443",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "Contoso.AzureCR.io",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "CONTOSO.AZURECR.US",
            "contoso.azurecr.us",
            "contoso.azurecr.us",
            "Azure Government",
        ),
        (
            "  contoso.azurecr.io \r\n",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "contoso.azurecr.io\n",
            "contoso.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "12345.azurecr.io",
            "12345.azurecr.io",
            "12345.azurecr.io",
            "Azure public",
        ),
        (
            "abcde.azurecr.io",
            "abcde.azurecr.io",
            "abcde.azurecr.io",
            "Azure public",
        ),
        (
            "contoso-abc123.azurecr.io",
            "contoso-abc123.azurecr.io",
            "contoso-abc123.azurecr.io",
            "Azure public",
        ),
        (
            "contoso-f9d2.azurecr.cn",
            "contoso-f9d2.azurecr.cn",
            "contoso-f9d2.azurecr.cn",
            "Azure operated by 21Vianet",
        ),
        (
            "contoso.eastus.geo.azurecr.io",
            "contoso.eastus.geo.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "https://contoso-abc123.westeurope.geo.azurecr.io/app",
            "contoso-abc123.westeurope.geo.azurecr.io",
            "contoso-abc123.azurecr.io",
            "Azure public",
        ),
        (
            "contoso.usgovvirginia.geo.azurecr.us",
            "contoso.usgovvirginia.geo.azurecr.us",
            "contoso.azurecr.us",
            "Azure Government",
        ),
        (
            "contoso.chinaeast2.geo.azurecr.cn:443",
            "contoso.chinaeast2.geo.azurecr.cn",
            "contoso.azurecr.cn",
            "Azure operated by 21Vianet",
        ),
        (
            "contoso.eastus2.geo.azurecr.io.",
            "contoso.eastus2.geo.azurecr.io",
            "contoso.azurecr.io",
            "Azure public",
        ),
        (
            "data1.azurecr.io",
            "data1.azurecr.io",
            "data1.azurecr.io",
            "Azure public",
        ),
        (
            "geogeo.azurecr.io",
            "geogeo.azurecr.io",
            "geogeo.azurecr.io",
            "Azure public",
        ),
        (
            "http://CONTOSO.azurecr.us:443",
            "contoso.azurecr.us",
            "contoso.azurecr.us",
            "Azure Government",
        ),
    ];

    const FOREIGN: &[&str] = &[
        // Other registries and nothing at all.
        "",
        " ",
        ".",
        "/",
        "://",
        "https://",
        "docker.io",
        "https://index.docker.io/v1/",
        "ghcr.io",
        "mcr.microsoft.com",
        "localhost:5000",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        // Azure Germany closed in October 2021.
        "contoso.azurecr.de",
        // Lookalikes.
        "contoso.azurecr.io.evil.example",
        "contoso.azurecr.io.evil.example/contoso.azurecr.io",
        "evil.example/contoso.azurecr.io",
        "https://evil.example/?contoso.azurecr.io",
        "https://evil.example#contoso.azurecr.io",
        "contoso.azurecr.io?.evil.example",
        "contoso.azurecr.io#.evil.example",
        "evil-azurecr.io",
        "contosoazurecr.io",
        "contoso.evilazurecr.io",
        "contoso.azurecr.iox",
        "contoso.azurecr.io-evil.example",
        "contoso.azurecr.com",
        "contoso.azurecr.fr",
        "contoso.sovcloud-azure.fr",
        "contoso.azurecr.evil.fr",
        "contoso.azurecr",
        // Bare suffixes and names that Azure does not give out.
        "azurecr.io",
        ".azurecr.io",
        "https://azurecr.us",
        "azurecr.sovcloud-azure.fr",
        "abcd.azurecr.io",
        "a23456789012345678901234567890123456789012345678901.azurecr.io",
        "a234567890123456789012345678901234567890-234567890123456789012345.azurecr.io",
        "a234567890123456789012345678901234567890123456789012345678901234.azurecr.io",
        "contoso_.azurecr.io",
        "-contoso.azurecr.io",
        "contoso-.azurecr.io",
        "contoso--abc.azurecr.io",
        "contoso-abc-def.azurecr.io",
        "*.azurecr.io",
        // Data, private-link and half-regional names.
        "contoso.data.azurecr.io",
        "contoso.eastus.data.azurecr.io",
        "contoso.privatelink.azurecr.io",
        "contoso.geo.azurecr.io",
        "contoso.east.us.geo.azurecr.io",
        "contoso.east-us.geo.azurecr.io",
        ".eastus.geo.azurecr.io",
        "contoso..geo.azurecr.io",
        "contoso.eastus.geo.geo.azurecr.io",
        "eastus.geo.azurecr.io",
        "team.contoso.azurecr.io",
        // User info, ports and addresses.
        "contoso.azurecr.io@evil.example",
        "https://contoso.azurecr.io@evil.example/",
        "https://evil.example@contoso.azurecr.io",
        "user:pass@contoso.azurecr.io",
        "https://contoso.azurecr.io:443@evil.example",
        "contoso.azurecr.io:5000",
        "contoso.azurecr.io:",
        "contoso.azurecr.io:80",
        "http://contoso.azurecr.io:80",
        "contoso.azurecr.io:0443",
        "contoso.azurecr.io:443:443",
        "contoso.azurecr.io:+443",
        "127.0.0.1",
        "127.0.0.1:443",
        "[::1]",
        "https://[::1]:443/",
        "169.254.169.254",
        "2130706433",
        // Encodings and odd bytes.
        "contoso.azurecr.io%00.evil",
        "contoso%2eazurecr.io",
        "contoso.azurecr.io\0",
        "contoso.azurecr.io\0.evil.example",
        "contoso.azurecr.io\nevil.example",
        "contoso.azurecr.io evil.example",
        "contoso .azurecr.io",
        "contoso\t.azurecr.io",
        "contoso。azurecr。io",
        "contoso．azurecr．io",
        "cоntoso.azurecr.io",
        "contoso.azurecr.іo",
        "CONTOSO.AZURECR.\u{130}O",
        "xn--contoso-9ya.azurecr.io",
        "xn--cntoso-0nf.azurecr.io",
        "contoso.xn--azurecr-9ya.io",
        "contoso.azurecr.io..",
        "contoso..azurecr.io",
        "..azurecr.io",
        "contoso.azurecr..io",
        "\\\\contoso.azurecr.io",
        "contoso.azurecr.io\\@evil.example",
        "contoso.azurecr.io\\.evil.example",
        // Other schemes.
        "ftp://contoso.azurecr.io",
        "oci://contoso.azurecr.io",
        "https:contoso.azurecr.io",
        "https:/contoso.azurecr.io",
        "https:///contoso.azurecr.io",
        "//contoso.azurecr.io",
        "https://https://contoso.azurecr.io",
        "javascript://contoso.azurecr.io",
        "https ://contoso.azurecr.io",
    ];

    #[test]
    fn a_login_server_is_recognised_however_a_client_writes_it() {
        for (input, host, login_server, cloud) in OURS {
            let registry =
                Registry::parse(input, &[]).unwrap_or_else(|| panic!("not ours: {input:?}"));
            assert_eq!(registry.host(), *host, "{input:?}");
            assert_eq!(registry.login_server(), *login_server, "{input:?}");
            assert_eq!(registry.cloud().name, *cloud, "{input:?}");
        }
    }

    #[test]
    fn a_host_that_only_looks_like_a_registry_is_not_ours() {
        for input in FOREIGN {
            assert_eq!(Registry::parse(input, &[]), None, "{input:?}");
        }
    }

    #[test]
    fn every_cloud_has_a_registry_in_the_table() {
        for cloud in CLOUDS {
            assert!(OURS.iter().any(|row| row.3 == cloud.name), "{}", cloud.name);
        }
    }

    #[test]
    fn the_resource_name_leaves_the_hash_of_a_domain_name_label_out() {
        for (input, name) in [
            ("contoso.azurecr.io", "contoso"),
            ("contoso-abc123.eastus.geo.azurecr.io", "contoso"),
        ] {
            assert_eq!(Registry::parse(input, &[]).unwrap().resource_name(), name);
        }
    }
}
