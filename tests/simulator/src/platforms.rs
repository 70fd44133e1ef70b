//! The platforms whose machines get tokens without a credential: how they are told apart, and what each understands.

use hyper::Method;

use crate::call::Fields;
use crate::faults::FaultAt;
use crate::journal::Endpoint;

/// The API version that makes a request for App Service's page one of Azure ML's.
const AZURE_ML_VERSION: &str = "2017-09-01";

/// Who hands out the tokens of managed identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    Imds,
    /// The page of the metadata service that says which cloud the virtual machine is in.
    ImdsCloud,
    AppService,
    AzureMl,
    CloudShell,
    Arc,
}

/// The names of a managed identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdentityName {
    Client,
    Object,
    Resource,
}

impl Platform {
    /// Whose request this is, of those that share `/msi/token`.
    pub(crate) fn sharing_a_page(method: &Method, query: &str) -> Self {
        if method == Method::POST {
            return Self::CloudShell;
        }
        let is_azure_ml =
            Fields::parse(query.as_bytes()).get("api-version") == Some(AZURE_ML_VERSION);
        if is_azure_ml {
            Self::AzureMl
        } else {
            Self::AppService
        }
    }

    /// How a request to it is journaled.
    pub(crate) fn endpoint(self) -> Endpoint {
        match self {
            Self::Imds | Self::ImdsCloud => Endpoint::Imds,
            Self::AppService => Endpoint::AppService,
            Self::AzureMl => Endpoint::AzureMl,
            Self::CloudShell => Endpoint::CloudShell,
            Self::Arc => Endpoint::Arc,
        }
    }

    /// Which faults befall a request to it.
    pub(crate) fn fault(self) -> FaultAt {
        match self {
            Self::Imds => FaultAt::Imds,
            Self::ImdsCloud => FaultAt::ImdsCloud,
            Self::AppService | Self::AzureMl | Self::CloudShell => FaultAt::AppService,
            Self::Arc => FaultAt::Arc,
        }
    }

    /// The parameters that choose a user-assigned identity, and by which of its names. Another platform's are ignored, as any
    /// unknown parameter is.
    ///
    /// From Microsoft's "How to use managed identities on a virtual machine to acquire an access token" and "How to use managed
    /// identities for App Service", where `object_id` is an alias; the others' from the Azure SDKs.
    pub(crate) fn identity_parameters(self) -> &'static [(&'static str, IdentityName)] {
        use IdentityName::{Client, Object, Resource};
        match self {
            Self::Imds => &[
                ("client_id", Client),
                ("object_id", Object),
                ("msi_res_id", Resource),
                ("mi_res_id", Resource),
            ],
            Self::AppService => &[
                ("client_id", Client),
                ("principal_id", Object),
                ("object_id", Object),
                ("mi_res_id", Resource),
            ],
            Self::AzureMl => &[("clientid", Client)],
            // Arc has system-assigned identities only.
            Self::CloudShell | Self::Arc | Self::ImdsCloud => &[],
        }
    }
}
