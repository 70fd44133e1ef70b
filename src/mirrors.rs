//! Registries of Azure that a node pulls from instead of the host in the image's name.

use crate::registry::{Cloud, Registry, is_host_name};
use crate::text::sanitize_line;

/// The form of one mirror.
const FORM: &str = "SOURCE:REGISTRY, such as mcr.microsoft.com:contoso.azurecr.io";

/// The registries that replace hosts.
#[derive(Debug, Default)]
pub(crate) struct Mirrors(Vec<(String, Registry)>);

impl Mirrors {
    /// Reads texts of the form `SOURCE:REGISTRY`, as `--registry-mirror` of cloud-provider-azure's `acr-credential-provider` accepts them
    /// (`pkg/credentialprovider/azure_credentials.go`). That program skips what it cannot use; here it is an error.
    ///
    /// # Errors
    ///
    /// One text is no mirror.
    pub(crate) fn parse(texts: &[String], clouds: &[Cloud]) -> Result<Self, String> {
        let mut mirrors = Self::default();
        for text in texts.iter().map(|text| text.trim()) {
            mirrors.add(text, clouds).map_err(|problem| {
                format!(
                    "`--registry-mirror` is `{}`, {problem}",
                    sanitize_line(text)
                )
            })?;
        }
        Ok(mirrors)
    }

    fn add(&mut self, text: &str, clouds: &[Cloud]) -> Result<(), String> {
        let (source, target) = text
            .split_once(':')
            .ok_or_else(|| format!("expected {FORM}"))?;
        if !is_host_name(source) {
            return Err(format!(
                "whose source is no host in lower case without a port; expected {FORM}"
            ));
        }
        // A mirror would replace the registry's own credential by another one.
        if Registry::parse(source, clouds).is_some() {
            return Err("whose source is itself an Azure Container Registry".into());
        }
        let registry = Registry::parse(target, clouds)
            .filter(|registry| registry.host() == target)
            .ok_or("which does not lead to the login server of an Azure Container Registry")?;
        if self.get(source).is_some() {
            return Err("whose source has a mirror already".into());
        }
        self.0.push((source.to_owned(), registry));
        Ok(())
    }

    /// Returns the registry that replaces a host.
    pub(crate) fn get(&self, host: &str) -> Option<&Registry> {
        let mut mirrors = self.iter();
        let (_, registry) = mirrors.find(|(source, _)| source.eq_ignore_ascii_case(host))?;
        Some(registry)
    }

    /// Returns the hosts that are pulled through a registry, each with it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Registry)> {
        let mirrors = self.0.iter();
        mirrors.map(|(source, registry)| (source.as_str(), registry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<Mirrors, String> {
        Mirrors::parse(
            &texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>(),
            &[],
        )
    }

    #[test]
    fn a_host_is_replaced_by_the_registry_of_its_mirror() {
        let mirrors = parse(&[
            "mcr.microsoft.com:contoso.azurecr.io",
            " docker.io:fabrikam-abc123.azurecr.us ",
        ])
        .unwrap();
        assert_eq!(
            mirrors.get("mcr.microsoft.com").unwrap().host(),
            "contoso.azurecr.io"
        );
        assert_eq!(
            mirrors.get("docker.io").unwrap().host(),
            "fabrikam-abc123.azurecr.us"
        );
        for other in [
            "microsoft.com",
            "evil.mcr.microsoft.com",
            "mcr.microsoft.com.evil.example",
            "mcr.microsoft.com:443",
            "",
        ] {
            assert!(mirrors.get(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_text_that_is_no_mirror_is_an_error() {
        for (texts, problem) in [
            (
                &[""][..],
                "`--registry-mirror` is ``, expected SOURCE:REGISTRY",
            ),
            (
                &["mcr.microsoft.com"],
                "expected SOURCE:REGISTRY, such as mcr.microsoft.com:contoso.azurecr.io",
            ),
            (&["mcr.microsoft.com:"], "does not lead to the login server"),
            (
                &["mcr.microsoft.com:evil.example"],
                "does not lead to the login server",
            ),
            (
                &["mcr.microsoft.com:contoso.azurecr.io.evil.example"],
                "does not lead to the login server",
            ),
            (
                &["mcr.microsoft.com:contoso.azurecr.io/team"],
                "does not lead to the login server",
            ),
            (
                &["mcr.microsoft.com:contoso.azurecr.io:443"],
                "does not lead to the login server",
            ),
            (
                &["mcr.microsoft.com:443:contoso.azurecr.io"],
                "does not lead to the login server",
            ),
            (&[":contoso.azurecr.io"], "whose source is no host"),
            (&["nginx:contoso.azurecr.io"], "whose source is no host"),
            (
                &["https://mcr.microsoft.com:contoso.azurecr.io"],
                "whose source is no host",
            ),
            (
                &["MCR.microsoft.com:contoso.azurecr.io"],
                "whose source is no host",
            ),
            (
                &["*.microsoft.com:contoso.azurecr.io"],
                "whose source is no host",
            ),
            (
                &["mcr.microsoft.com/app:contoso.azurecr.io"],
                "whose source is no host",
            ),
            (
                &["fabrikam.azurecr.io:contoso.azurecr.io"],
                "is itself an Azure Container Registry",
            ),
            (
                &[
                    "mcr.microsoft.com:contoso.azurecr.io",
                    "mcr.microsoft.com:other.azurecr.io",
                ],
                "has a mirror already",
            ),
        ] {
            let error = parse(texts).unwrap_err();
            assert!(error.contains(problem), "{texts:?}: {error}");
        }
    }
}
