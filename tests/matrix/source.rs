//! The identity sources, as their users name them. Written out a second time: the tests do not believe the table they test.

/// An identity source, by its value of the setting `source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceName {
    WorkloadIdentity,
    ClientSecret,
    ClientCertificate,
    GitHubActions,
    AzurePipelines,
    ManagedIdentity,
    Login,
    AzureCli,
    AzureDeveloperCli,
}

impl SourceName {
    /// In the order in which they are tried.
    pub(crate) const ALL: &[Self] = &[
        Self::WorkloadIdentity,
        Self::ClientSecret,
        Self::ClientCertificate,
        Self::GitHubActions,
        Self::AzurePipelines,
        Self::ManagedIdentity,
        Self::Login,
        Self::AzureCli,
        Self::AzureDeveloperCli,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::WorkloadIdentity => "workload-identity",
            Self::ClientSecret => "client-secret",
            Self::ClientCertificate => "client-certificate",
            Self::GitHubActions => "github-actions",
            Self::AzurePipelines => "azure-pipelines",
            Self::ManagedIdentity => "managed-identity",
            Self::Login => "login",
            Self::AzureCli => "azure-cli",
            Self::AzureDeveloperCli => "azure-developer-cli",
        }
    }
}
