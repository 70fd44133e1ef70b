//! The sources of an identity by name, and which of them may sign in.

use super::environment::{Variables, text, wrong};
use crate::error::Error;

/// Makes the names, their order and their words from one list.
macro_rules! names {
    ($($(#[$meaning:meta])* $name:ident = $word:literal,)*) => {
        /// The sources of an identity, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum SourceName {
            $($(#[$meaning])* $name,)*
        }

        impl SourceName {
            /// All of them, in the order in which they are looked at.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word for it in settings.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

names! {
    /// A federated token in a file, as AKS workload identity mounts it.
    WorkloadIdentity = "workload-identity",
    /// A service principal with a secret.
    ClientSecret = "client-secret",
    /// A service principal with a certificate.
    ClientCertificate = "client-certificate",
    /// A job of GitHub Actions.
    GitHubActions = "github-actions",
    /// A job of Azure Pipelines.
    AzurePipelines = "azure-pipelines",
    /// An identity that the platform gives to what runs there.
    ManagedIdentity = "managed-identity",
    /// Whoever signed in with `login`.
    Login = "login",
    /// Whoever is signed in to the Azure CLI.
    AzureCli = "azure-cli",
    /// Whoever is signed in to the Azure Developer CLI.
    AzureDeveloperCli = "azure-developer-cli",
}

/// The value of `AZURE_TOKEN_CREDENTIALS`: which sources may sign in (Microsoft, "Credential chains in the Azure Identity library").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowing(&'static str);

impl Narrowing {
    /// The words of the Azure SDKs for what is here too.
    const WORDS: [&'static str; 7] = [
        "prod",
        "dev",
        "EnvironmentCredential",
        "WorkloadIdentityCredential",
        "ManagedIdentityCredential",
        "AzureCliCredential",
        "AzureDeveloperCliCredential",
    ];

    pub(super) fn read(variables: &Variables) -> Result<Option<Self>, Error> {
        const NAME: &str = "AZURE_TOKEN_CREDENTIALS";
        let Some(written) = text(variables, NAME)? else {
            return Ok(None);
        };
        let word = Self::WORDS
            .into_iter()
            .find(|word| word.eq_ignore_ascii_case(&written));
        let problem = || {
            wrong(
                NAME,
                &format!("is {written:?}, expected one of {}", Self::WORDS.join(", ")),
            )
        };
        Ok(Some(Self(word.ok_or_else(problem)?)))
    }

    /// Whether it lets this source sign in. The sources of CI jobs are not in the chain of the SDKs; they are what
    /// is deployed. Nor is a login of ours, which is what developers have.
    pub fn allows(&self, source: SourceName) -> bool {
        let (kind, own) = match source {
            SourceName::WorkloadIdentity => ("prod", "WorkloadIdentityCredential"),
            SourceName::ClientSecret | SourceName::ClientCertificate => {
                ("prod", "EnvironmentCredential")
            }
            SourceName::GitHubActions | SourceName::AzurePipelines => ("prod", "prod"),
            SourceName::ManagedIdentity => ("prod", "ManagedIdentityCredential"),
            SourceName::Login => ("dev", "dev"),
            SourceName::AzureCli => ("dev", "AzureCliCredential"),
            SourceName::AzureDeveloperCli => ("dev", "AzureDeveloperCliCredential"),
        };
        self.0 == kind || self.0 == own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_of_ours_is_what_developers_have_and_no_sdk_names() {
        for word in Narrowing::WORDS {
            assert_eq!(
                Narrowing(word).allows(SourceName::Login),
                word == "dev",
                "{word}"
            );
        }
    }
}
