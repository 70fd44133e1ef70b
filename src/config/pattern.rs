//! Which registries a profile is for: a host, with `*` in place of any whole label.

use crate::registry::{Cloud, Registry};
use std::cmp::Ordering;

/// Stands for one label, whatever it is.
const ANY: &str = "*";

/// A host, some labels of which may be anything. It has as many labels as the hosts it fits, so that it never fits a host below.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    labels: Vec<String>,
}

impl Pattern {
    /// Reads `contoso.azurecr.io`, `*.azurecr.us`, `*.eastus.geo.azurecr.io`. The error says why no registry can be meant.
    pub(super) fn parse(text: &str, own: &[Cloud]) -> Result<Self, String> {
        let labels: Vec<String> = text
            .to_ascii_lowercase()
            .split('.')
            .map(str::to_owned)
            .collect();
        if labels
            .iter()
            .any(|label| label.contains(ANY) && label != ANY)
        {
            return Err(format!(
                "`{text}`: a `*` stands for a whole label, as in `*.azurecr.io`"
            ));
        }
        let pattern = Self { labels };
        let example = pattern.filled("contoso");
        match Registry::parse(&example, own) {
            Some(registry) if registry.host() == example => Ok(pattern),
            _ if !text.contains('.') => Err(format!(
                "`{text}` fits no registry: a host stands in quotes, as in `[registry.\"contoso.azurecr.io\"]`"
            )),
            _ => Err(format!(
                "`{text}` fits no registry: expected a host such as `contoso.azurecr.io`, or `*.azurecr.io`"
            )),
        }
    }

    /// Whether the host is meant.
    pub(super) fn fits(&self, host: &str) -> bool {
        let labels = host.split('.');
        labels.clone().count() == self.labels.len()
            && self
                .labels
                .iter()
                .zip(labels)
                .all(|(own, label)| own == ANY || own == label)
    }

    /// Whether it fits one host only.
    pub(super) fn is_host(&self) -> bool {
        self.labels.iter().all(|label| label != ANY)
    }

    /// A host that both fit, if there is one and neither of the two is the more specific.
    pub(super) fn clash(&self, other: &Self) -> Option<String> {
        match self.specificity(other) {
            Some(Ordering::Equal) => return Some(self.labels.join(".")),
            Some(Ordering::Less | Ordering::Greater) => return None,
            None if self.labels.len() != other.labels.len() => return None,
            None => (),
        }
        let common = self.labels.iter().zip(&other.labels).map(|(own, its)| {
            match (own == ANY, its == ANY) {
                (false, false) if own != its => None,
                (true, _) => Some(its.as_str()),
                (false, _) => Some(own.as_str()),
            }
        });
        let labels: Option<Vec<&str>> = common.collect();
        labels.map(|labels| {
            Self {
                labels: labels.into_iter().map(str::to_owned).collect(),
            }
            .filled("contoso")
        })
    }

    /// `Greater` when every host this fits, the other fits too, and not the other way round: then this one says more. `None` when
    /// neither is part of the other.
    pub(super) fn specificity(&self, other: &Self) -> Option<Ordering> {
        if self.labels.len() != other.labels.len() {
            return None;
        }
        let is_part = |one: &Self, whole: &Self| {
            one.labels
                .iter()
                .zip(&whole.labels)
                .all(|(own, its)| its == ANY || own == its)
        };
        match (is_part(self, other), is_part(other, self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }

    /// A host that it fits.
    fn filled(&self, label: &str) -> String {
        let labels: Vec<&str> = self
            .labels
            .iter()
            .map(|own| if own == ANY { label } else { own })
            .collect();
        labels.join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text, &[]).unwrap_or_else(|problem| panic!("{problem}"))
    }

    #[test]
    fn a_star_stands_for_one_whole_label() {
        for (text, host, fits) in [
            ("contoso.azurecr.io", "contoso.azurecr.io", true),
            ("Contoso.AzureCR.io", "contoso.azurecr.io", true),
            ("contoso.azurecr.io", "fabrikam.azurecr.io", false),
            ("*.azurecr.io", "contoso.azurecr.io", true),
            ("*.azurecr.io", "contoso.azurecr.us", false),
            ("*.azurecr.io", "contoso.eastus.geo.azurecr.io", false),
            ("*.*.geo.azurecr.io", "contoso.eastus.geo.azurecr.io", true),
            (
                "contoso.*.geo.azurecr.io",
                "contoso.eastus.geo.azurecr.io",
                true,
            ),
            (
                "contoso.*.geo.azurecr.io",
                "fabrikam.eastus.geo.azurecr.io",
                false,
            ),
        ] {
            assert_eq!(pattern(text).fits(host), fits, "{text} {host}");
        }
    }

    #[test]
    fn what_fits_no_registry_is_no_pattern() {
        for text in [
            "",
            "*",
            "*.*",
            "docker.io",
            "*.azurecr.oi",
            "*.contoso.azurecr.io",
            "*.*.azurecr.io",
            "azurecr.io",
            "a b.azurecr.io",
            "https://contoso.azurecr.io",
            "contoso.azurecr.io:443",
            "contoso.azurecr.io.",
        ] {
            assert!(
                Pattern::parse(text, &[])
                    .unwrap_err()
                    .contains("fits no registry"),
                "{text}"
            );
        }
        for text in ["con*.azurecr.io", "**.azurecr.io", "*contoso.azurecr.io"] {
            assert!(
                Pattern::parse(text, &[])
                    .unwrap_err()
                    .contains("whole label"),
                "{text}"
            );
        }
    }

    #[test]
    fn the_more_specific_of_two_says_more() {
        let order = |one: &str, other: &str| pattern(one).specificity(&pattern(other));
        assert_eq!(
            order("contoso.azurecr.io", "*.azurecr.io"),
            Some(Ordering::Greater)
        );
        assert_eq!(
            order("*.*.geo.azurecr.io", "*.eastus.geo.azurecr.io"),
            Some(Ordering::Less)
        );
        assert_eq!(
            order("CONTOSO.azurecr.io", "contoso.azurecr.io"),
            Some(Ordering::Equal)
        );
        assert_eq!(order("contoso.azurecr.io", "fabrikam.azurecr.io"), None);
        assert_eq!(order("*.azurecr.io", "*.azurecr.us"), None);
    }

    #[test]
    fn two_that_fit_the_same_host_and_neither_part_of_the_other_are_in_conflict() {
        let conflict = |one: &str, other: &str| pattern(one).clash(&pattern(other));
        let both = conflict("contoso.*.geo.azurecr.io", "*.eastus.geo.azurecr.io");
        assert_eq!(both.as_deref(), Some("contoso.eastus.geo.azurecr.io"));
        for (one, other) in [
            ("contoso.azurecr.io", "*.azurecr.io"),
            ("*.azurecr.io", "*.azurecr.us"),
            ("contoso.*.geo.azurecr.io", "fabrikam.*.geo.azurecr.io"),
            ("*.azurecr.io", "*.*.geo.azurecr.io"),
        ] {
            assert_eq!(conflict(one, other), None, "{one} {other}");
        }
    }
}
