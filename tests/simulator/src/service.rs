//! Who answers a request, told from the way it came in, its host and its path.

use hyper::Request;
use hyper::header::HOST;

use crate::faults::FaultAt;
use crate::journal::Endpoint;
use crate::platforms::Platform;
use crate::registries::Registry;
use crate::settings::Settings;
use crate::{arm, oidc};

/// How a request came in.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    /// In the clear, straight to the simulator's port.
    Plain,
    /// Through `CONNECT` to this host.
    Proxied(String),
    /// Through the TLS server; the `Host` header says to whom.
    Tls,
}

/// Who answers.
#[derive(Clone, Debug)]
pub(crate) enum Service {
    Authority {
        cloud: String,
    },
    Registry(Box<Registry>),
    Arm {
        cloud: &'static str,
    },
    GitHub,
    Pipelines,
    Identity(Platform),
    Control,
    /// No name or page that is simulated.
    Nobody,
}

/// The declared host that an authority (`name:port`) stands for, if there is one.
pub(crate) fn known_host(authority: &str, settings: &Settings) -> Option<String> {
    let host = authority
        .strip_suffix(":443")
        .unwrap_or(authority)
        .to_ascii_lowercase();
    let is_known = !matches!(Service::of_host(&host, settings), Service::Nobody);
    is_known.then_some(host)
}

impl Service {
    fn of_host(host: &str, settings: &Settings) -> Self {
        let authority = settings
            .authorities
            .iter()
            .find(|authority| authority.host == host);
        if let Some(authority) = authority {
            return Self::Authority {
                cloud: authority.cloud.clone(),
            };
        }
        if let Some(registry) = settings.registry(host) {
            return Self::Registry(Box::new(registry.clone()));
        }
        if let Some(cloud) = arm::cloud_of(host) {
            return Self::Arm { cloud };
        }
        match host {
            "microsoft.com" if settings.has_pages() => Self::Authority {
                cloud: "AzureCloud".to_owned(),
            },
            "dev.azure.com" => Self::Pipelines,
            _ if oidc::is_issuer(host) => Self::GitHub,
            _ => Self::Nobody,
        }
    }

    fn of_page<B>(request: &Request<B>) -> Self {
        let uri = request.uri();
        match uri.path() {
            "/metadata/identity/oauth2/token" => Self::Identity(Platform::Imds),
            "/metadata/instance/compute/azEnvironment" => Self::Identity(Platform::ImdsCloud),
            "/arc/metadata/identity/oauth2/token" => Self::Identity(Platform::Arc),
            "/msi/token" => Self::Identity(Platform::sharing_a_page(
                request.method(),
                uri.query().unwrap_or_default(),
            )),
            "/oidc/github" => Self::GitHub,
            "/oidc/pipelines" => Self::Pipelines,
            path if path.starts_with("/control/") => Self::Control,
            _ => Self::Nobody,
        }
    }

    /// How a request to this path is journaled, and which faults befall it.
    pub(crate) fn place(&self, path: &str) -> (Endpoint, Option<FaultAt>) {
        match self {
            Self::Authority { .. } if path.ends_with("/oauth2/v2.0/token") => {
                (Endpoint::EntraToken, Some(FaultAt::Authority))
            }
            Self::Authority { .. } => (Endpoint::EntraPage, Some(FaultAt::Authority)),
            Self::Registry(_) => match path {
                "/oauth2/exchange" => (Endpoint::Exchange, Some(FaultAt::Exchange)),
                "/oauth2/token" => (Endpoint::RegistryToken, Some(FaultAt::Token)),
                _ if path.starts_with("/v2") => (Endpoint::Api, Some(FaultAt::Registry)),
                _ => (Endpoint::Other, None),
            },
            Self::Arm { .. } => (Endpoint::Arm, Some(FaultAt::Arm)),
            Self::GitHub | Self::Pipelines => (Endpoint::Oidc, Some(FaultAt::Oidc)),
            Self::Identity(platform) => (platform.endpoint(), Some(platform.fault())),
            Self::Control | Self::Nobody => (Endpoint::Other, None),
        }
    }
}

/// The host that a request is for, and who answers there.
pub(crate) fn find<B>(door: &Door, request: &Request<B>, settings: &Settings) -> (String, Service) {
    let header = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let header = header.unwrap_or_default().to_ascii_lowercase();
    match door {
        Door::Proxied(host) => (host.clone(), Service::of_host(host, settings)),
        Door::Tls => {
            // A client that was told another port still says it; a declared host may have one.
            let bare = header
                .rsplit_once(':')
                .map_or(header.as_str(), |(host, _)| host);
            let host = [header.as_str(), bare]
                .into_iter()
                .find(|host| !matches!(Service::of_host(host, settings), Service::Nobody))
                .unwrap_or(&header);
            (host.to_owned(), Service::of_host(host, settings))
        }
        // An absolute form is meant for a host that the proxy would have to go to in the clear.
        Door::Plain => match request.uri().host() {
            Some(host) => (host.to_owned(), Service::Nobody),
            None => (header, Service::of_page(request)),
        },
    }
}
