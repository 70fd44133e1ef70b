//! Registries that stand for other hosts: what a node pulls through one of Azure's instead of from where the image's name says.

use crate::registry::{Cloud, Registry};
use crate::text::printable;

/// What is written for one of them.
const FORM: &str = "SOURCE:REGISTRY, such as mcr.microsoft.com:contoso.azurecr.io";

/// Which host is pulled through which registry.
#[derive(Debug, Default)]
pub(crate) struct Mirrors(Vec<(String, Registry)>);

impl Mirrors {
    /// Reads `SOURCE:REGISTRY` each, as `--registry-mirror` of cloud-provider-azure's `acr-credential-provider` takes them
    /// (`pkg/credentialprovider/azure_credentials.go`), which passes over what it cannot use. An error says what is wrong with one.
    pub(crate) fn parse(texts: &[String], clouds: &[Cloud]) -> Result<Self, String> {
        let mut mirrors = Self::default();
        for text in texts.iter().map(|text| text.trim()) {
            let wrong =
                |problem: &str| format!("`--registry-mirror` is `{}`, {problem}", printable(text));
            let (source, target) = text
                .split_once(':')
                .ok_or_else(|| wrong(&format!("expected {FORM}")))?;
            if !is_host(source) {
                return Err(wrong(&format!(
                    "whose source is no host in lower case without a port; expected {FORM}"
                )));
            }
            // Its own credential would go nowhere, and that of the mirror to it.
            if Registry::parse(source, clouds).is_some() {
                return Err(wrong(
                    "whose source is an Azure Container Registry itself: its images are pulled with its own credential",
                ));
            }
            let registry =
                Registry::parse(target, clouds).filter(|registry| registry.host() == target);
            let registry = registry.ok_or_else(|| {
                wrong("which does not lead to the login server of an Azure Container Registry")
            })?;
            if mirrors.of(source).is_some() {
                return Err(wrong("whose source has a mirror already"));
            }
            mirrors.0.push((source.to_owned(), registry));
        }
        Ok(mirrors)
    }

    /// The registry that stands for a host.
    pub(crate) fn of(&self, host: &str) -> Option<&Registry> {
        self.0
            .iter()
            .find(|(source, _)| source.eq_ignore_ascii_case(host))
            .map(|(_, registry)| registry)
    }

    /// The hosts that are pulled through a registry, each with it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Registry)> {
        self.0
            .iter()
            .map(|(source, registry)| (source.as_str(), registry))
    }
}

/// A host as images name it: labels of lower-case letters, digits and hyphens, two at least, since a word alone is a repository of
/// Docker Hub.
fn is_host(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_inner);
    text.contains('.') && text.split('.').all(is_label)
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
    fn a_host_is_pulled_through_the_registry_that_is_named_for_it() {
        let mirrors = parse(&[
            "mcr.microsoft.com:contoso.azurecr.io",
            " docker.io:fabrikam-abc123.azurecr.us ",
        ])
        .unwrap();
        assert_eq!(
            mirrors.of("mcr.microsoft.com").unwrap().host(),
            "contoso.azurecr.io"
        );
        assert_eq!(
            mirrors.of("docker.io").unwrap().host(),
            "fabrikam-abc123.azurecr.us"
        );
        for other in [
            "microsoft.com",
            "evil.mcr.microsoft.com",
            "mcr.microsoft.com.evil.example",
            "mcr.microsoft.com:443",
            "",
        ] {
            assert!(mirrors.of(other).is_none(), "{other}");
        }
    }

    #[test]
    fn what_is_no_mirror_is_told_and_not_passed_over() {
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
                "an Azure Container Registry itself",
            ),
            (
                &[
                    "mcr.microsoft.com:contoso.azurecr.io",
                    "mcr.microsoft.com:other.azurecr.io",
                ],
                "has a mirror already",
            ),
        ] {
            let said = parse(texts).unwrap_err();
            assert!(said.contains(problem), "{texts:?}: {said}");
        }
    }
}
