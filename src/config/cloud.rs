//! Clouds of the user's own: who else may receive tokens, by the user's word.

use super::file::File;
use super::layers::{Origin, Value};
use super::values::{self, nearest};
use crate::error::Error;
use crate::registry::{CLOUDS, Cloud, FEDERATION, is_name_of_azure};
use crate::text::is_within;
use crate::token::{Audience, REGISTRY_AUDIENCE};
use std::collections::BTreeMap;

/// What is said of a cloud, and what each means.
pub const KEYS: [(&str, &str); 3] = [
    (
        "suffix",
        "what every login server of the cloud ends with, without a leading dot",
    ),
    ("authority", "Entra authority, an https URL of a host"),
    ("audience", "audience of access tokens"),
];

/// Hosting names below which anybody can have one: a suffix there would let strangers be registries. The public suffix list
/// (<https://publicsuffix.org>) knows all of them and would make this program a sixth larger; these are the likely mistakes.
const SHARED: &[&str] = &[
    "azure.com",
    "azurecontainer.io",
    "azurecontainerapps.io",
    "azureedge.net",
    "azurefd.net",
    "azurestaticapps.net",
    "azurewebsites.net",
    "cloudapp.azure.com",
    "cloudapp.net",
    "core.windows.net",
    "github.io",
    "githubusercontent.com",
    "microsoft.com",
    "trafficmanager.net",
    "azurewebsites.us",
    "amazonaws.com",
    "googleapis.com",
    "herokuapp.com",
    "usgovcloudapi.net",
    "windows.net",
];

/// Second labels under which countries register names, as in `co.uk`.
const GENERIC: &[&str] = &[
    "ac", "co", "com", "edu", "gob", "gov", "gouv", "mil", "net", "nom", "or", "org", "sch",
];

/// A cloud of this name, as it stands in the file. An error tells the field, if it is about one, and what is wrong.
pub(super) fn read<'a>(
    name: &str,
    fields: &'a BTreeMap<String, String>,
    others: &[Cloud],
) -> Result<Cloud, (Option<&'a str>, String)> {
    if is_name_of_azure(name) {
        return Err((
            None,
            format!("`{name}` is an Azure cloud: choose another name for your private cloud"),
        ));
    }
    let field = |key: &'static str| {
        let (key, value) = fields
            .get_key_value(key)
            .ok_or((None, format!("`cloud.{name}` has no `{key}`")))?;
        Ok((key.as_str(), value.as_str()))
    };
    let (key, value) = field("suffix")?;
    let suffix = suffix(value, others).map_err(|problem| (Some(key), problem))?;
    let (key, value) = field("authority")?;
    let authority = values::authority(value).map_err(|problem| (Some(key), problem))?;
    let port = authority
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let audience = match fields.get_key_value("audience") {
        None => REGISTRY_AUDIENCE.to_owned(),
        Some((key, value)) => values::audience(value)
            .map_err(|problem| (Some(key.as_str()), problem))?
            .as_str()
            .to_owned(),
    };
    Ok(Cloud {
        name: name.to_owned().into(),
        suffix: suffix.into(),
        authority: format!("{}{port}", authority.host_str().unwrap_or_default()).into(),
        audience: audience.into(),
        cli_name: name.to_owned().into(),
        federation: FEDERATION.into(),
    })
}

/// The cloud of this name, as `az cloud list` shows it, of Azure or of the user's own.
pub(super) fn named<'a>(name: &str, own: &'a [Cloud]) -> Result<&'a Cloud, String> {
    let mut known = CLOUDS.iter().chain(own);
    known
        .clone()
        .find(|cloud| cloud.cli_name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = known.by_ref().map(|cloud| &*cloud.cli_name).collect();
            format!(
                "is {name:?}, expected one of {}{}",
                names.join(", "),
                nearest(name, names.iter().copied())
            )
        })
}

/// Errors if an audience comes from the environment and neither the table of clouds nor the config file names it: a checkout may set
/// variables, and must not choose what our tokens are good for.
pub(super) fn check_audience(audience: &Value<Audience>, file: &File) -> Result<(), Error> {
    let Origin::Variable(name) = audience.origin else {
        return Ok(());
    };
    let named = file
        .values("audience")
        .filter_map(|value| values::audience(value).ok());
    let of_clouds = file
        .clouds
        .iter()
        .filter_map(|cloud| values::audience(&cloud.audience).ok());
    if named
        .chain(of_clouds)
        .chain([Audience::default()])
        .any(|known| known == audience.value)
    {
        return Ok(());
    }
    let text = audience.value.as_str();
    let problem = format!("is {text:?}, an audience that is not in your config file");
    Err(Error::untrusted_variable(
        name,
        problem,
        &format!("audience = {text:?}"),
        &file.path,
    ))
}

/// A name of two labels or more that is somebody's own, and that no other cloud has a part in.
fn suffix(text: &str, others: &[Cloud]) -> Result<String, String> {
    let suffix = text.to_ascii_lowercase();
    let labels: Vec<&str> = suffix.split('.').collect();
    let is_label = |label: &&str| {
        let is_inner =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = labels
        .last()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if labels.len() < 2 || suffix.len() > 200 || is_number || !labels.iter().all(is_label) {
        return Err(format!(
            "is {text:?}, expected a name of two labels or more, such as `azurecr.fabrikam.example`"
        ));
    }
    let is_of_a_country =
        matches!(labels[..], [second, country] if country.len() == 2 && GENERIC.contains(&second));
    if is_of_a_country || SHARED.iter().any(|shared| is_within(&suffix, shared)) {
        return Err(format!(
            "is {text:?}, below which anybody can have a name: tokens would go to strangers"
        ));
    }
    match CLOUDS
        .iter()
        .chain(others)
        .find(|cloud| is_within(&suffix, &cloud.suffix) || is_within(&cloud.suffix, &suffix))
    {
        Some(cloud) => Err(format!(
            "is {text:?}, which overlaps with `{}` of {}",
            cloud.suffix, cloud.name
        )),
        None => Ok(suffix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(rows: &[(&str, &str)]) -> Result<Cloud, (Option<String>, String)> {
        let fields = rows
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        read("fabrikam", &fields, &[]).map_err(|(key, problem)| (key.map(str::to_owned), problem))
    }

    #[test]
    fn a_cloud_has_a_suffix_an_authority_and_perhaps_an_audience() {
        let suffix = ("suffix", "AzureCR.fabrikam.example");
        let authority = ("authority", "https://login.fabrikam.example:8443");
        let mine = cloud(&[suffix, authority]).unwrap();
        assert_eq!(
            (&*mine.suffix, &*mine.authority),
            ("azurecr.fabrikam.example", "login.fabrikam.example:8443")
        );
        assert_eq!(mine.audience, REGISTRY_AUDIENCE);
        let audience = ("audience", "https://registries.fabrikam.example/");
        assert_eq!(
            cloud(&[suffix, authority, audience]).unwrap().audience,
            "https://registries.fabrikam.example"
        );
        assert_eq!(
            cloud(&[suffix]).unwrap_err(),
            (None, "`cloud.fabrikam` has no `authority`".into())
        );
        let arm = ("audience", "https://management.local.azurestack.external");
        assert!(
            cloud(&[suffix, authority, arm])
                .unwrap_err()
                .1
                .contains("Azure Resource Manager")
        );
    }

    #[test]
    fn a_cloud_of_azure_lends_its_name_to_no_other() {
        let fields = [
            ("suffix", "azurecr.fabrikam.example"),
            ("authority", "login.fabrikam.example"),
        ];
        let fields: BTreeMap<String, String> = fields
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
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
            "Azure US Government",
            "azure china",
            "Bleu",
        ] {
            let problem = read(name, &fields, &[]).unwrap_err().1;
            assert_eq!(
                problem,
                format!("`{name}` is an Azure cloud: choose another name for your private cloud")
            );
        }
        for name in ["fabrikam", "AzureStack", "USSec", "Azure Local"] {
            assert_eq!(read(name, &fields, &[]).unwrap().cli_name, name);
        }
    }

    #[test]
    fn a_suffix_is_a_name_of_somebodys_own() {
        for text in [
            "aldo.private",
            "azurecr.my.cloud",
            "fabrikam.co.uk",
            "registry.contoso.example",
        ] {
            assert!(suffix(text, &[]).is_ok(), "{text}");
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
            ("co.uk", "anybody"),
            ("com.au", "anybody"),
            ("azurewebsites.net", "anybody"),
            ("blob.core.windows.net", "anybody"),
            ("eastus.azurecontainer.io", "anybody"),
            ("azurecr.io", "overlaps"),
            ("contoso.azurecr.io", "overlaps"),
            ("sovcloud-azure.fr", "overlaps"),
        ] {
            assert!(suffix(text, &[]).unwrap_err().contains(problem), "{text}");
        }
        let other = cloud(&[
            ("suffix", "acr.fabrikam.example"),
            ("authority", "login.fabrikam.example"),
        ])
        .unwrap();
        assert!(
            suffix("fabrikam.example", std::slice::from_ref(&other))
                .unwrap_err()
                .contains("overlaps")
        );
    }
}
