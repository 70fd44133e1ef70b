//! What a request to `/v2/` needs, and whether a token grants it.

use hyper::Method;
use serde_json::{Value, json};

use crate::images::Route;

/// What a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Needed {
    /// Any good token.
    Token,
    /// The list of repositories.
    Catalog,
    /// Something to be done in a repository.
    Repository {
        name: String,
        actions: &'static [&'static str],
    },
}

impl Needed {
    pub(super) fn of(method: &Method, route: &Route) -> Self {
        let Some(name) = route.repository() else {
            return if *route == Route::Catalog {
                Self::Catalog
            } else {
                Self::Token
            };
        };
        let actions: &[&str] = match *method {
            Method::GET | Method::HEAD if route.is_upload() => &["pull", "push"],
            Method::GET | Method::HEAD => &["pull"],
            Method::DELETE if !route.is_upload() => &["delete"],
            _ => &["pull", "push"],
        };
        Self::Repository {
            name: name.to_owned(),
            actions,
        }
    }

    /// The scope that a challenge names.
    pub(super) fn scope(&self) -> Option<String> {
        match self {
            Self::Token => None,
            Self::Catalog => Some("registry:catalog:*".to_owned()),
            Self::Repository { name, actions } => {
                Some(format!("repository:{name}:{}", actions.join(",")))
            }
        }
    }

    /// The `detail` of a challenge's body.
    pub(super) fn detail(&self) -> Value {
        match self {
            Self::Token => Value::Null,
            Self::Catalog => json!([{"Type": "registry", "Name": "catalog", "Action": "*"}]),
            Self::Repository { name, actions } => actions
                .iter()
                .map(|action| json!({"Type": "repository", "Name": name, "Action": action}))
                .collect(),
        }
    }

    /// Whether the `access` claim of a token covers it.
    pub(super) fn is_granted(&self, access: &Value) -> bool {
        let entries = access.as_array().map(Vec::as_slice).unwrap_or_default();
        match self {
            Self::Token => true,
            Self::Catalog => entries.iter().any(|entry| {
                entry["type"] == "registry" && entry["name"] == "catalog" && allows(entry, "*")
            }),
            Self::Repository { name, actions } => actions.iter().all(|action| {
                entries.iter().any(|entry| {
                    entry["type"] == "repository"
                        && (entry["name"] == "*" || entry["name"] == name.as_str())
                        && allows(entry, action)
                })
            }),
        }
    }
}

fn allows(entry: &Value, action: &str) -> bool {
    let actions = entry["actions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    actions
        .iter()
        .any(|allowed| allowed == action || allowed == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_for_pull_does_not_push() {
        let route = Route::parse("/v2/team/app/manifests/1");
        let access = json!([{"type": "repository", "name": "team/app", "actions": ["pull"]}]);
        assert!(Needed::of(&Method::GET, &route).is_granted(&access));
        let push = Needed::of(&Method::PUT, &route);
        assert!(!push.is_granted(&access));
        assert_eq!(push.scope().unwrap(), "repository:team/app:pull,push");
        let other = Needed::of(&Method::GET, &Route::parse("/v2/other/manifests/1"));
        assert!(!other.is_granted(&access));
    }
}
