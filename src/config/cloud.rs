//! Private clouds (`[cloud.NAME]`): hosts that receive tokens because the user trusts them.
//!
//! Anyone who controls a host below the suffix of a cloud receives tokens, so only the config file, which is protected, names one.

use super::file::Section;
use super::values::{self, not_one_of};
use crate::registry::{CLOUDS, Cloud, FEDERATION, host_and_port, is_host_name, is_name_of_azure};
use crate::text::is_within;
use crate::token::Audience;

/// Makes a private cloud from its settings, which are checked. It must not have the name of an Azure cloud: an identity of that cloud would be
/// used for it.
pub(super) fn from_section(name: &str, section: &Section) -> Result<Cloud, String> {
    if is_name_of_azure(name) {
        return Err(format!(
            "`{name}` is an Azure cloud: choose another name for your private cloud"
        ));
    }
    let value = |key| section.get(key).map(|found| found.value.as_str());
    let required = |key| value(key).ok_or_else(|| format!("`cloud.{name}` has no `{key}`"));
    let suffix = required("suffix")?.to_ascii_lowercase();
    let authority = values::authority(required("authority")?)?;
    let audience = value("audience").map(Audience::parse).transpose()?;
    Ok(Cloud {
        name: name.to_owned().into(),
        suffix: suffix.into(),
        authority: host_and_port(&authority).to_owned().into(),
        audience: audience.unwrap_or_default().as_str().to_owned().into(),
        cli_name: name.to_owned().into(),
        federation: FEDERATION.into(),
    })
}

/// Finds a cloud of Azure or a private one by the name that `az cloud list` shows.
pub(super) fn named<'a>(name: &str, private: &'a [Cloud]) -> Result<&'a Cloud, String> {
    let mut known = CLOUDS.iter().chain(private);
    let names = known.clone().map(|cloud| &*cloud.cli_name);
    known
        .find(|cloud| cloud.cli_name == name)
        .ok_or_else(|| not_one_of(name, names))
}

/// Checks a suffix: a DNS name of two labels or more that does not overlap with that of another cloud.
pub(super) fn check_suffix(text: &str, others: &[Cloud]) -> Result<(), String> {
    let suffix = text.to_ascii_lowercase();
    let top = suffix.rsplit_once('.').map(|(_, top)| top);
    let is_domain = top.is_some_and(|top| top.bytes().any(|byte| !byte.is_ascii_digit()));
    if !is_domain || suffix.len() > 200 || !is_host_name(&suffix) {
        return Err(format!(
            "is {text:?}, expected a name of two labels or more, such as `azurecr.fabrikam.example`"
        ));
    }
    let overlaps =
        |cloud: &&Cloud| is_within(&suffix, &cloud.suffix) || is_within(&cloud.suffix, &suffix);
    CLOUDS
        .iter()
        .chain(others)
        .find(overlaps)
        .map_or(Ok(()), |other| {
            Err(format!(
                "is {text:?}, which overlaps with `{}` of {}",
                other.suffix, other.name
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::super::precedence::{Origin, Value};
    use super::*;

    fn private_cloud(name: &str) -> Result<Cloud, String> {
        let value = |text: &str| Value {
            value: text.to_owned(),
            origin: Origin::Variable("unused"),
        };
        let suffix = ("suffix", value("ACR.fabrikam.example"));
        let authority = ("authority", value("https://login.fabrikam.example:8443"));
        from_section(name, &[suffix, authority].into())
    }

    #[test]
    fn a_suffix_is_a_domain_that_overlaps_with_no_other_cloud() {
        for text in [
            "aldo.private",
            "azurecr.my.cloud",
            "AzureCR.fabrikam.example",
            "registry.contoso.example",
        ] {
            assert_eq!(check_suffix(text, &[]), Ok(()), "{text}");
        }
        for (text, problem) in [
            ("io", "two labels"),
            ("", "two labels"),
            (".fabrikam.example", "two labels"),
            ("fabrikam.example.", "two labels"),
            ("*.fabrikam.example", "two labels"),
            ("10.0.0.1", "two labels"),
            ("fabrikam.example:5000", "two labels"),
            ("fabrikam_.example", "two labels"),
            ("fabrikam。example", "two labels"),
            ("azurecr.io", "overlaps"),
            ("contoso.azurecr.io", "overlaps"),
            ("sovcloud-azure.fr", "overlaps"),
        ] {
            assert!(
                check_suffix(text, &[]).unwrap_err().contains(problem),
                "{text}"
            );
        }
        let other = private_cloud("fabrikam").unwrap();
        assert_eq!(other.authority, "login.fabrikam.example:8443");
        assert!(
            check_suffix("fabrikam.example", &[other])
                .unwrap_err()
                .contains("overlaps")
        );
    }

    #[test]
    fn a_private_cloud_cannot_have_the_name_of_an_azure_cloud() {
        for name in [
            "AzureCloud",
            "azurecloud",
            "AZUREUSGOVERNMENT",
            "AzureChinaCloud",
            "AzureGermanCloud",
            "AzureBleuCloud",
            "AzurePublicCloud",
            "AzureUSGovernmentCloud",
            "Azure",
            "Azure Government",
            "azure operated by 21vianet",
            "Bleu",
        ] {
            let problem =
                format!("`{name}` is an Azure cloud: choose another name for your private cloud");
            assert_eq!(private_cloud(name), Err(problem));
        }
        for name in ["fabrikam", "AzureStack", "USSec", "Azure Local"] {
            assert_eq!(private_cloud(name).unwrap().suffix, "acr.fabrikam.example");
        }
    }
}
