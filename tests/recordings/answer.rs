//! The recorded answers, and how one goes over the wire again.

use crate::support::REGISTRY;
use azure_core::base64::encode_url_safe;
use azure_core::time::to_rfc7231;
use serde::Deserialize;
use serde_json::{Value, json};
use simulator::{ACR_AUDIENCE, CLIENT, CLIENT_OBJECT, TENANT};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/answers");

/// One answer, as it is in its file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// `recording` by a test proxy, `log` that a person pasted, `document`.
    pub(crate) kind: String,
    pub(crate) source: String,
    /// The day, or as much as is known of it.
    pub(crate) recorded: String,
    /// What is not as it was recorded.
    pub(crate) substituted: String,
    #[serde(default, rename = "note")]
    _note: String,
    /// The code and its words.
    status: String,
    /// In their order, doubled ones too.
    headers: Vec<String>,
    pub(crate) body: String,
}

/// All answers, by name.
pub(crate) struct Answers(BTreeMap<String, Answer>);

impl Answers {
    pub(crate) fn read() -> Self {
        let files = std::fs::read_dir(FOLDER)
            .expect("the folder of answers")
            .map(|entry| entry.expect("an entry").path());
        let named = |file: &Path| {
            file.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        };
        let read = |file: &Path| {
            let text = std::fs::read(file).expect("an answer");
            serde_json::from_slice(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        };
        Self(files.map(|file| (named(&file), read(&file))).collect())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&String, &Answer)> {
        self.0.iter()
    }

    pub(crate) fn get(&self, name: &str) -> &Answer {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in answers/"))
    }
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .filter_map(|header| header.split_once(": "))
            .find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// The answer as bytes, from the host `realm` of the registry whose login server is `service`.
    pub(crate) fn bytes(&self, realm: &str, service: &str) -> Vec<u8> {
        let body = filled(&self.body, service);
        let chunked = self.header("transfer-encoding") == Some("chunked");
        let headers: Vec<String> = self
            .headers
            .iter()
            .map(|header| {
                header
                    .replace("{{DATE}}", &to_rfc7231(&now().into()))
                    .replace("{{LENGTH}}", &body.len().to_string())
                    .replace("{{REALM}}", realm)
                    .replace("{{SERVICE}}", service)
            })
            .collect();
        let body = if chunked {
            format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
        } else {
            body
        };
        format!(
            "HTTP/1.1 {}\r\n{}\r\n\r\n{body}",
            self.status,
            headers.join("\r\n")
        )
        .into()
    }
}

/// The tokens were removed at the source: these have the claims of recorded ones, our times, and no valid signature.
fn filled(body: &str, service: &str) -> String {
    let now = now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let of_registry = |kind: &str, life: u64, more: Value| {
        let mut claims = json!({
            "jti": TENANT, "sub": CLIENT_OBJECT, "nbf": now - 900, "iat": now - 900, "exp": now + life, "iss": "Azure Container Registry",
            "aud": service, "version": "1.0", "rid": "0", "grant_type": kind, "roles": [],
        });
        claims
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        claims
    };
    let all = json!([{"Type": "repository", "Name": "team/app", "Actions": ["pull", "push"]}]);
    let permissions = json!({"appid": CLIENT, "tenant": TENANT, "permissions": {"Actions": ["read", "write"], "NotActions": null}});
    let entra = json!({
        "aud": ACR_AUDIENCE, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now - 300, "nbf": now - 300, "exp": now + 86_399,
        "appid": CLIENT, "appidacr": "1", "idtyp": "app", "oid": CLIENT_OBJECT, "sub": CLIENT_OBJECT, "tid": TENANT, "ver": "1.0",
    });
    let tokens = [
        ("{{ENTRA_TOKEN}}", entra),
        (
            "{{REFRESH_TOKEN}}",
            of_registry("refresh_token", 10_800, permissions),
        ),
        (
            "{{ACCESS_TOKEN}}",
            of_registry("access_token", 3_600, json!({"access": all})),
        ),
        (
            "{{ANONYMOUS_TOKEN}}",
            of_registry(
                "access_token",
                300,
                json!({"sub": "acr_anon_pull", "access": []}),
            ),
        ),
    ];
    tokens.iter().fold(body.to_owned(), |body, (mark, claims)| {
        body.replace(mark, &token(claims))
    })
}

fn token(claims: &Value) -> String {
    let part = |value: &Value| {
        encode_url_safe(value.to_string())
            .trim_end_matches('=')
            .to_owned()
    };
    format!(
        "{}.{}.c2lnbmF0dXJl",
        part(&json!({"alg": "RS256", "typ": "JWT"})),
        part(claims)
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test is a process edge of its own"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The login server of a registry, by one of its hosts: the table has no others.
pub(crate) fn login_server(host: &str) -> &str {
    if host.contains(".geo.") {
        REGISTRY
    } else {
        host
    }
}
