//! A registry as declared in the settings, and who may do what on it.

use serde::{Deserialize, Serialize};

use crate::acr::Limit;
use crate::people::TENANT;
use crate::settings::{RegionalService, Settings};
use crate::tokens::Principal;

/// A registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Registry {
    /// The login server, with a port if clients name one: `contoso.azurecr.io`, `localhost:5443`.
    pub host: String,
    /// The tenant whose tokens it takes.
    pub tenant: String,
    /// The cloud whose tokens it takes, in the Azure CLI's words; empty for the one its name says.
    pub cloud: String,
    /// The audiences that it takes, as a private cloud may have its own; empty for [`Settings::audiences`].
    pub audiences: Vec<String>,
    /// Who may do what.
    pub roles: Vec<Role>,
    /// Whether `azureADAuthenticationAsArmPolicy` is enabled: tokens of Azure Resource Manager are taken too.
    pub accept_arm_tokens: bool,
    /// Every request is refused, as one from this address.
    pub firewall: Option<String>,
    /// How many exchanges and tokens it takes; any number when left out.
    pub limit: Option<Limit>,
    /// A real docker-registry over plain http to pass `/v2/` on to.
    pub backend: Option<String>,
    /// Whether anybody may pull.
    pub anonymous_pull: bool,
    /// Whether roles are per repository: refresh tokens then carry no permissions. A switch makes the earlier ones invalid.
    pub abac: bool,
    /// Raise it to make every refresh token issued so far invalid.
    pub generation: u32,
}

/// What an identity may do in some repositories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// A client id, object id or user principal name; `*` for everybody who can sign in.
    pub identity: String,
    /// A repository; `app/*` for all below, `*` for all.
    pub repository: String,
    /// `pull`, `push`, `delete`, `metadata_read`, `metadata_write`.
    pub actions: Vec<String>,
}

impl Default for Role {
    fn default() -> Self {
        Self::new(
            "*",
            "*",
            &["pull", "push", "metadata_read", "metadata_write"],
        )
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new("contoso.azurecr.io")
    }
}

impl Role {
    /// A role from its parts.
    pub fn new(identity: &str, repository: &str, actions: &[&str]) -> Self {
        Self {
            identity: identity.to_owned(),
            repository: repository.to_owned(),
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
        }
    }

    fn is_for(&self, principal: &Principal) -> bool {
        self.identity == "*"
            || self.identity == principal.object_id
            || self.identity == principal.app_id
            || principal.upn.as_ref() == Some(&self.identity)
    }

    fn covers(&self, repository: &str) -> bool {
        match self.repository.strip_suffix('*') {
            Some(prefix) => repository.starts_with(prefix),
            None => self.repository == repository,
        }
    }
}

impl Registry {
    /// A registry on which everybody who can sign in may push and pull.
    pub fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            tenant: TENANT.to_owned(),
            cloud: String::new(),
            audiences: Vec::new(),
            roles: vec![Role::default()],
            accept_arm_tokens: false,
            firewall: None,
            limit: None,
            backend: None,
            anonymous_pull: false,
            abac: false,
            generation: 0,
        }
    }

    /// The cloud whose tokens it takes.
    pub(crate) fn cloud(&self) -> &str {
        const SUFFIXES: [(&str, &str); 3] = [
            (".azurecr.us", "AzureUSGovernment"),
            (".azurecr.cn", "AzureChinaCloud"),
            (".azurecr.sovcloud-azure.fr", "AzureBleuCloud"),
        ];
        if !self.cloud.is_empty() {
            return &self.cloud;
        }
        let found = SUFFIXES
            .iter()
            .find(|(suffix, _)| self.host.ends_with(suffix));
        found.map_or("AzureCloud", |(_, cloud)| cloud)
    }

    /// The audiences that it takes.
    pub(crate) fn audiences<'a>(&'a self, settings: &'a Settings) -> &'a [String] {
        if self.audiences.is_empty() {
            &settings.audiences
        } else {
            &self.audiences
        }
    }

    /// The global login server of a regional endpoint (`name.REGION.geo.azurecr.io`), else the host itself.
    pub(crate) fn global_host(&self) -> String {
        let mut labels = self.host.split('.');
        match (labels.next(), labels.next(), labels.next()) {
            (Some(name), Some(_), Some("geo")) => {
                let suffix: Vec<&str> = labels.collect();
                format!("{name}.{}", suffix.join("."))
            }
            _ => self.host.clone(),
        }
    }

    /// Whether a service, or the audience of a token, is this registry: its global login server, and a regional endpoint's own name if the
    /// settings say so.
    pub(crate) fn is_called(&self, service: &str, settings: &Settings) -> bool {
        service == self.global_host()
            || (settings.regional_service == RegionalService::Either && service == self.host)
    }

    /// Whether an identity has any role here.
    pub(crate) fn knows(&self, principal: &Principal) -> bool {
        self.roles.iter().any(|role| role.is_for(principal))
    }

    /// What an identity may do in one repository.
    pub(crate) fn actions(&self, principal: &Principal, repository: &str) -> Vec<String> {
        let mut actions: Vec<String> = self
            .roles
            .iter()
            .filter(|role| role.is_for(principal) && role.covers(repository))
            .flat_map(|role| role.actions.iter().cloned())
            .collect();
        actions.sort();
        actions.dedup();
        actions
    }

    /// What an identity may do somewhere.
    pub(crate) fn all_actions(&self, principal: &Principal) -> Vec<String> {
        let mut actions: Vec<String> = self
            .roles
            .iter()
            .filter(|role| role.is_for(principal))
            .flat_map(|role| role.actions.iter().cloned())
            .collect();
        actions.sort();
        actions.dedup();
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_names_its_cloud_and_its_global_login_server() {
        let cases = [
            ("contoso.azurecr.io", "AzureCloud", "contoso.azurecr.io"),
            (
                "contoso.azurecr.us",
                "AzureUSGovernment",
                "contoso.azurecr.us",
            ),
            (
                "contoso.eastus.geo.azurecr.io",
                "AzureCloud",
                "contoso.azurecr.io",
            ),
            (
                "contoso-a1.eastus.geo.azurecr.cn",
                "AzureChinaCloud",
                "contoso-a1.azurecr.cn",
            ),
            ("localhost:5443", "AzureCloud", "localhost:5443"),
        ];
        for (host, cloud, global) in cases {
            let registry = Registry::new(host);
            assert_eq!(
                (registry.cloud(), registry.global_host().as_str()),
                (cloud, global)
            );
        }
    }

    #[test]
    fn a_role_is_for_its_identity_and_its_repositories() {
        let mut registry = Registry::new("contoso.azurecr.io");
        registry.roles = vec![
            Role::new("app", "team/*", &["pull", "push"]),
            Role::new("*", "public", &["pull"]),
        ];
        let app = Principal {
            app_id: "app".to_owned(),
            ..Principal::default()
        };
        let other = Principal {
            app_id: "other".to_owned(),
            ..Principal::default()
        };
        assert_eq!(registry.actions(&app, "team/web"), ["pull", "push"]);
        assert_eq!(registry.actions(&app, "public"), ["pull"]);
        assert_eq!(registry.actions(&other, "team/web"), [""; 0]);
        assert!(registry.knows(&other));
    }
}
