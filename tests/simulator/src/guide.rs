//! How to point a client at a running simulator: the environment, and a text for the terminal.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::simulator::Simulator;

impl Simulator {
    /// The environment that leads a client here: proxy, certificate authority, and the first app's credential.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let settings = self.settings();
        let ca_file = self.ca_file().display().to_string();
        let mut environment = vec![
            ("HTTPS_PROXY", self.origin()),
            ("https_proxy", self.origin()),
            ("NO_PROXY", String::new()),
            ("no_proxy", String::new()),
            ("SSL_CERT_FILE", ca_file.clone()),
            ("REQUESTS_CA_BUNDLE", ca_file.clone()),
            ("CURL_CA_BUNDLE", ca_file),
        ];
        if let Some(app) = settings.apps.first() {
            environment.extend([
                ("AZURE_TENANT_ID", app.tenant.clone()),
                ("AZURE_CLIENT_ID", app.client_id.clone()),
                ("AZURE_CLIENT_SECRET", app.secret.clone()),
            ]);
        }
        environment
    }

    /// The environment as a file for `source`, with the other identities' as comments.
    pub fn environment_file(&self) -> String {
        let mut text = String::from("# Points clients at a running simulator.\n");
        for (name, value) in self.environment() {
            let _ = writeln!(text, "export {name}={}", quoted(&value));
        }
        let settings = self.settings();
        let _ = write!(
            text,
            "# A managed identity as App Service and Container Apps announce it (unset the client secret first):\n\
             # export IDENTITY_ENDPOINT={origin}/msi/token IDENTITY_HEADER={header}\n\
             # The same as Azure ML announces it, and as Cloud Shell does, without the secret:\n\
             # export MSI_ENDPOINT={origin}/msi/token MSI_SECRET={header}\n\
             # A managed identity of a virtual machine, for libraries that read this variable:\n\
             # export AZURE_POD_IDENTITY_AUTHORITY_HOST={origin}\n\
             # A managed identity of a machine with Azure Arc, once the settings have an `arc`:\n\
             # export IDENTITY_ENDPOINT={origin}/arc/metadata/identity/oauth2/token IMDS_ENDPOINT={origin}\n\
             # GitHub Actions:\n\
             # export ACTIONS_ID_TOKEN_REQUEST_URL='https://pipelines.actions.githubusercontent.com/oidc/github?api-version=2.0' \
             ACTIONS_ID_TOKEN_REQUEST_TOKEN={request}\n\
             # Azure Pipelines:\n\
             # export SYSTEM_OIDCREQUESTURI=https://dev.azure.com/oidc/pipelines SYSTEM_ACCESSTOKEN={request}\n",
            origin = self.origin(),
            header = quoted(&settings.identity_header),
            request = quoted(&settings.oidc_request_token),
        );
        text
    }

    /// What the program prints when it is ready.
    pub fn guide(&self, tls: Option<SocketAddr>) -> String {
        let settings = self.settings();
        let hosts: Vec<&str> = settings
            .registries
            .iter()
            .map(|registry| registry.host.as_str())
            .collect();
        let host = hosts.first().copied().unwrap_or("contoso.azurecr.io");
        let folder = self.folder().display();
        let origin = self.origin();
        let mut text = format!(
            "simulator ready at {origin}\n\n\
             In another terminal:\n\n\
             \x20   source {folder}/env\n\n\
             then, for instance:\n\n\
             \x20   curl -i https://{host}/v2/\n\
             \x20   skopeo copy --dest-creds 00000000-0000-0000-0000-000000000000:REFRESH_TOKEN \
             dir:image docker://{host}/app:1\n\
             \x20   az login --service-principal -u $AZURE_CLIENT_ID -p $AZURE_CLIENT_SECRET --tenant $AZURE_TENANT_ID\n\
             \x20   az acr login -n {name} --expose-token\n\
             \x20   curl {origin}/control/journal\n\
             \x20   curl -X PUT -d '{{\"error_shape\": \"Y2021\"}}' {origin}/control/settings\n\n\
             registries: {all}\n\
             a docker-registry behind one of them: rootcertbundle {folder}/token-signing.pem, \
             issuer \"{issuer}\", realm https://{host}/oauth2/token, service {host}\n",
            name = host.split('.').next().unwrap_or_default(),
            all = hosts.join(", "),
            issuer = crate::tokens::REGISTRY_ISSUER,
        );
        if let Some(address) = tls {
            let _ = writeln!(text, "TLS by server name at https://{address}");
        }
        text
    }
}

/// A word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_value_is_one_word_for_the_shell() {
        assert_eq!(quoted("http://127.0.0.1:1"), "http://127.0.0.1:1");
        assert_eq!(quoted("a~b's"), "'a~b'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
