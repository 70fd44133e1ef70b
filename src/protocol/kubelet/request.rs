//! The request of kubelet, parsed strictly: unknown fields are errors. No error repeats a value, since any value could be the token.

use crate::error::{Error, sanitize_line};
use crate::identity::{CLIENT_ANNOTATION, ServiceAccount, TENANT_ANNOTATION};
use crate::token::is_guid;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

/// The version of the API, from kubelet 1.26 on.
pub(super) const API_VERSION: &str = "credentialprovider.kubelet.k8s.io/v1";

/// The kind of a request.
const KIND: &str = "CredentialProviderRequest";

/// The fields of every version.
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
    /// The image to pull, without tag and digest.
    pub(super) image: String,
    /// The token of the pod's service account, if kubelet's configuration has `tokenAttributes`.
    service_account_token: Option<SecretString>,
    service_account_annotations: Option<Annotations>,
}

/// [`CLIENT_ANNOTATION`] and [`TENANT_ANNOTATION`]. Other annotations are ignored.
#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(rename = "kubernetes.azure.com/acr-client-id", default)]
    #[serde(deserialize_with = "present")]
    client: Option<String>,
    #[serde(rename = "kubernetes.azure.com/acr-tenant-id", default)]
    #[serde(deserialize_with = "present")]
    tenant: Option<String>,
}

/// Reads an annotation. Null is an error, and not a missing annotation.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl Request {
    /// Parses all of stdin.
    ///
    /// # Errors
    ///
    /// Fails for another version or kind, for unknown, missing and repeated fields, and for anything but one JSON value.
    pub(super) fn parse(message: &[u8]) -> Result<Self, Error> {
        let TypeMeta { api_version, kind } =
            serde_json::from_slice(message).map_err(|error| json_error(&error))?;
        if (api_version.as_str(), kind.as_str()) != (API_VERSION, KIND) {
            let (kind, version) = (sanitize_line(&kind), sanitize_line(&api_version));
            return Err(request_error(&format!(
                "`kind` is `{kind}` and `apiVersion` is `{version}`, expected `{KIND}` and `{API_VERSION}`"
            )));
        }
        let request: Self = serde_json::from_slice(message).map_err(|error| json_error(&error))?;
        if request.image.is_empty() {
            return Err(request_error("it names no image"));
        }
        Ok(request)
    }

    /// Returns the identity of the pod's service account, if it has annotations.
    ///
    /// Both annotations and the token are required, and nothing is read from the environment, which is the node's. Without annotations the
    /// node's identity is the right one, because kubelet sends tokens for all pods or for none. To pull nothing for such pods, name both annotations in kubelet's configuration under
    /// `requiredServiceAccountAnnotationKeys`.
    ///
    /// # Errors
    ///
    /// Fails if one of the annotations or the token is missing, or an annotation is not a GUID: the node's identity would be the wrong one.
    pub(super) fn into_service_account(self) -> Result<Option<ServiceAccount>, Error> {
        let annotations = self.service_account_annotations.unwrap_or_default();
        let (client, tenant) = match (annotations.client, annotations.tenant) {
            (None, None) => return Ok(None),
            (Some(client), Some(tenant)) => (client, tenant),
            (Some(_), None) => return Err(missing(CLIENT_ANNOTATION, TENANT_ANNOTATION)),
            (None, Some(_)) => return Err(missing(TENANT_ANNOTATION, CLIENT_ANNOTATION)),
        };
        let token = self.service_account_token;
        let token = token.filter(|token| !token.expose_secret().is_empty());
        let problem = "is an annotation of the service account, but kubelet did not send its token";
        let assertion = token.ok_or_else(|| annotation_error(CLIENT_ANNOTATION, problem))?;
        Ok(Some(ServiceAccount {
            client: guid(CLIENT_ANNOTATION, client)?,
            tenant: guid(TENANT_ANNOTATION, tenant)?,
            assertion,
        }))
    }
}

/// Returns what is wrong with the JSON. It repeats only the names of fields from serde's message.
fn json_error(error: &serde_json::Error) -> Error {
    let message = error.to_string();
    let fields = ["unknown field `", "duplicate field `", "missing field `"];
    if fields.iter().any(|start| message.starts_with(start)) {
        return request_error(&sanitize_line(&message));
    }
    let (line, column) = (error.line(), error.column());
    request_error(&format!("it is not valid at line {line} column {column}"))
}

/// Returns the error of a request. `problem` holds none of its values.
fn request_error(problem: &str) -> Error {
    Error::input(format!("the request cannot be used: {problem}")).with_hint(
        "use kubelet 1.26 or later, with the configuration that this command prints\n  \
         docker-credential-acrscoped configure --kubelet",
    )
}

/// Returns the error of a service account's annotation.
fn annotation_error(name: &str, problem: &str) -> Error {
    Error::input(format!("`{name}` {problem}")).with_hint(
        "set both annotations, or remove both to pull with the node's identity\n  \
         kubectl annotate serviceaccount NAME kubernetes.azure.com/acr-client-id=CLIENT_ID \
         kubernetes.azure.com/acr-tenant-id=TENANT_ID",
    )
}

fn missing(present: &str, missing: &str) -> Error {
    let problem = format!("is an annotation of the service account, but `{missing}` is not");
    annotation_error(present, &problem)
}

/// Checks an id of Entra. It becomes part of a URL, so that only a GUID is accepted.
fn guid(annotation: &str, value: String) -> Result<String, Error> {
    if is_guid(&value) {
        return Ok(value);
    }
    let value = sanitize_line(&value);
    let problem = format!("of the service account is `{value}`, expected a GUID");
    Err(annotation_error(annotation, &problem))
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

    fn workload(token: &Value, annotations: &Value) -> Result<Option<ServiceAccount>, String> {
        let request = request(
            &json!({"serviceAccountToken": token, "serviceAccountAnnotations": annotations}),
        )?;
        request
            .into_service_account()
            .map_err(|error| error.to_string())
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
        assert!(
            request(&json!({}))
                .unwrap()
                .into_service_account()
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_service_account_with_one_annotation_is_an_error_and_not_the_node() {
        let both = json!({CLIENT_ANNOTATION: CLIENT, TENANT_ANNOTATION: TENANT});
        let no_token = "`kubernetes.azure.com/acr-client-id` is an annotation of the service account, but kubelet did not send its token";
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
            json!({"serviceAccountAnnotations": {CLIENT_ANNOTATION: ["canary"]}}),
            json!({"serviceAccountAnnotations": {TENANT_ANNOTATION: null, "a": "canary"}}),
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
