//! What kubelet asks, read strictly: whatever is not understood is an error, and no value of it is repeated in one, since any could be
//! the token.

use crate::error::{Error, printable};
use crate::identity::{CLIENT_ANNOTATION, TENANT_ANNOTATION, Workload};
use crate::token::is_guid;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// The version of the API, which kubelet 1.26 and later speak.
pub(super) const API_VERSION: &str = "credentialprovider.kubelet.k8s.io/v1";

/// The kind of a request.
const KIND: &str = "CredentialProviderRequest";

/// What every version has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeMeta {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
}

/// A request of version 1 (kubernetes, `staging/src/k8s.io/kubelet/pkg/apis/credentialprovider/v1/types.go`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    /// The image to be pulled, without tag and digest.
    pub(super) image: String,
    /// Given where kubelet's configuration has `tokenAttributes` and the pod has a service account.
    service_account_token: Option<SecretString>,
    /// Those that the configuration names and the service account has.
    service_account_annotations: Option<Annotations>,
}

impl Request {
    /// Reads all of stdin. Errors with [`Error::Request`] for another version or kind, for unknown, missing and repeated fields, and for
    /// what is no JSON or goes on after it.
    pub(super) fn parse(message: &[u8]) -> Result<Self, Error> {
        let TypeMeta { api_version, kind } =
            serde_json::from_slice(message).map_err(|error| unreadable(&error))?;
        if (api_version.as_str(), kind.as_str()) != (API_VERSION, KIND) {
            let is = match (printable(&kind), printable(&api_version)) {
                (kind, version) if kind.is_empty() || version.is_empty() => {
                    "names no `kind` or no `apiVersion`".to_owned()
                }
                (kind, version) => format!("is a `{kind}` of `{version}`"),
            };
            return Err(Error::Request {
                problem: format!("it {is}, expected a `{KIND}` of `{API_VERSION}`"),
            });
        }
        let request: Self = serde_json::from_slice(message).map_err(|error| unreadable(&error))?;
        if request.image.is_empty() {
            return Err(Error::Request {
                problem: "it names no image".into(),
            });
        }
        Ok(request)
    }

    /// The workload that the pod's service account stands for, if it is annotated as one.
    ///
    /// Both annotations are wanted, and the token with them; nothing is taken from the environment, which is the node's. One that is
    /// missing or no GUID is an error: the node's identity is not what was meant. Without any annotation it is: whoever configures
    /// kubelet to send tokens sends them for all pods, also for those that nobody annotated. To have kubelet give those nothing, its
    /// configuration names both under `requiredServiceAccountAnnotationKeys`.
    pub(super) fn workload(&self) -> Result<Option<Workload>, Error> {
        let of = |key: &str| self.service_account_annotations.as_ref()?.0.get(key);
        let token = self
            .service_account_token
            .as_ref()
            .filter(|token| !token.expose_secret().is_empty());
        let (client, tenant) = match (of(CLIENT_ANNOTATION), of(TENANT_ANNOTATION)) {
            (None, None) => return Ok(None),
            (Some(client), Some(tenant)) => (client, tenant),
            (Some(_), None) => return Err(half(CLIENT_ANNOTATION, TENANT_ANNOTATION)),
            (None, Some(_)) => return Err(half(TENANT_ANNOTATION, CLIENT_ANNOTATION)),
        };
        let Some(assertion) = token.cloned() else {
            let problem =
                "is an annotation of the service account, but kubelet sent no token of it along";
            return Err(Error::Annotation {
                name: CLIENT_ANNOTATION,
                problem: problem.into(),
            });
        };
        let client = guid(CLIENT_ANNOTATION, client)?;
        let tenant = guid(TENANT_ANNOTATION, tenant)?;
        Ok(Some(Workload {
            client,
            tenant,
            assertion,
        }))
    }
}

/// Annotations by their key, each of which is there once.
struct Annotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = BTreeMap<String, String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if all.contains_key(&key) {
                        return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
                    }
                    all.insert(key, value);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(Once).map(Self)
    }
}

/// What is wrong with the JSON. Of what serde says only the names of fields are repeated.
fn unreadable(error: &serde_json::Error) -> Error {
    let said = error.to_string();
    let is_about_a_name = ["unknown field `", "duplicate field `", "missing field `"]
        .iter()
        .any(|start| said.starts_with(start));
    let problem = if is_about_a_name {
        printable(&said)
    } else {
        format!(
            "no JSON of its form at line {} column {}",
            error.line(),
            error.column()
        )
    };
    Error::Request { problem }
}

fn half(one: &'static str, other: &str) -> Error {
    Error::Annotation {
        name: one,
        problem: format!("is an annotation of the service account, but `{other}` is not"),
    }
}

/// An id as Entra writes it. It becomes part of an address, so nothing else is taken.
fn guid(annotation: &'static str, value: &str) -> Result<String, Error> {
    is_guid(value)
        .then(|| value.to_owned())
        .ok_or_else(|| Error::Annotation {
            name: annotation,
            problem: format!(
                "of the service account is `{}`, expected a GUID",
                printable(value)
            ),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const CLIENT: &str = "5b8d3e17-64c2-4f0a-9d15-7a2e8c40b6f1";
    const TENANT: &str = "0F9C7A52-3b1e-4d68-8a47-c5e2d1b60f93";

    fn request(more: &Value) -> Result<Request, String> {
        let mut request =
            json!({"apiVersion": API_VERSION, "kind": KIND, "image": "contoso.azurecr.io/app"});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Request::parse(request.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    fn workload(token: &Value, annotations: &Value) -> Result<Option<Workload>, String> {
        let request = request(
            &json!({"serviceAccountToken": token, "serviceAccountAnnotations": annotations}),
        )?;
        request.workload().map_err(|error| error.to_string())
    }

    #[test]
    fn a_service_account_with_both_annotations_and_a_token_is_a_workload() {
        let annotations = json!({CLIENT_ANNOTATION: CLIENT, TENANT_ANNOTATION: TENANT, "team.example/owner": "payments"});
        let found = workload(&json!("a.b.c"), &annotations).unwrap().unwrap();
        assert_eq!(
            (
                found.client.as_str(),
                found.tenant.as_str(),
                found.assertion.expose_secret()
            ),
            (CLIENT, TENANT, "a.b.c")
        );
        assert!(!format!("{found:?}").contains("a.b.c"));
    }

    #[test]
    fn without_any_annotation_the_node_signs_in() {
        for annotations in [
            json!({}),
            json!({"team.example/owner": "payments"}),
            json!({"azure.workload.identity/client-id": CLIENT}),
        ] {
            for token in [json!("a.b.c"), json!(""), Value::Null] {
                assert!(workload(&token, &annotations).unwrap().is_none());
            }
        }
        assert!(workload(&json!("a.b.c"), &Value::Null).unwrap().is_none());
        assert!(request(&json!({})).unwrap().workload().unwrap().is_none());
    }

    #[test]
    fn a_service_account_that_is_annotated_by_half_is_an_error_and_not_the_node() {
        let both = json!({CLIENT_ANNOTATION: CLIENT, TENANT_ANNOTATION: TENANT});
        let no_token = "`kubernetes.azure.com/acr-client-id` is an annotation of the service account, but kubelet sent no token of it along";
        for (token, annotations, sentence) in [
            (json!(null), both.clone(), no_token),
            (json!(""), both, no_token),
            (
                json!("t"),
                json!({CLIENT_ANNOTATION: CLIENT}),
                "`kubernetes.azure.com/acr-client-id` is an annotation of the service account, but \
                 `kubernetes.azure.com/acr-tenant-id` is not",
            ),
            (
                json!("t"),
                json!({TENANT_ANNOTATION: TENANT}),
                "`kubernetes.azure.com/acr-tenant-id` is an annotation of the service account, but \
                 `kubernetes.azure.com/acr-client-id` is not",
            ),
        ] {
            assert_eq!(workload(&token, &annotations).unwrap_err(), sentence);
        }
        for value in [
            "",
            "contoso.example",
            "..",
            "../common",
            &CLIENT[1..],
            &format!("{CLIENT} "),
            &CLIENT.replace('5', "g"),
            &CLIENT.replace('-', ""),
        ] {
            let problem = format!(
                "`{CLIENT_ANNOTATION}` of the service account is `{}`, expected a GUID",
                value.trim()
            );
            assert_eq!(
                workload(
                    &json!("t"),
                    &json!({CLIENT_ANNOTATION: value, TENANT_ANNOTATION: TENANT})
                )
                .unwrap_err(),
                problem
            );
            let problem = problem.replace(CLIENT_ANNOTATION, TENANT_ANNOTATION);
            assert_eq!(
                workload(
                    &json!("t"),
                    &json!({CLIENT_ANNOTATION: CLIENT, TENANT_ANNOTATION: value})
                )
                .unwrap_err(),
                problem
            );
        }
    }

    #[test]
    fn no_value_is_repeated_in_an_error() {
        for more in [
            json!({"image": ["canary"]}),
            json!({"serviceAccountAnnotations": "canary"}),
            json!({"serviceAccountAnnotations": {"a": ["canary"]}}),
            json!({"serviceAccountToken": {"a": "canary"}}),
            json!({"serviceAccountTokens": "canary"}),
        ] {
            let said = request(&more).err().unwrap();
            assert!(
                said.starts_with("the request cannot be used: ") && !said.contains("canary"),
                "{said}"
            );
        }
    }
}
