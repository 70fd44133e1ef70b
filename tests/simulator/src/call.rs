//! One request as the simulated services see it.

use bytes::Bytes;
use data_encoding::BASE64;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{HeaderMap, Method};

use crate::settings::Settings;

/// Names and values of a query or a form, in the order sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of a name, if it is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether a name is there, though its value may be empty.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// The words of all values of a name: `a=x&a=y` and `a=x y` are the same.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .flat_map(|(_, value)| value.split(' '))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// A request, with the settings and the time it arrived under.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) settings: Settings,
    /// Seconds since 1970 on the simulated services' clock.
    pub(crate) now: i64,
    pub(crate) host: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Fields,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The form in the body, if the body is one.
    pub(crate) fn form(&self) -> Option<Fields> {
        let content_type = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let media_type = content_type.split(';').next()?.trim();
        let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        is_form.then(|| Fields::parse(&self.body))
    }

    /// The token after `Bearer`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.credentials("bearer")
    }

    /// The user and password after `Basic`.
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let decoded = BASE64.decode(self.credentials("basic")?.as_bytes()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// What stands after `Basic`, where it is no user and password but a key as it is.
    pub(crate) fn basic_key(&self) -> Option<&str> {
        self.credentials("basic")
    }

    fn credentials(&self, scheme: &str) -> Option<&str> {
        let value = self.headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (found, credentials) = value.split_once(' ')?;
        found
            .eq_ignore_ascii_case(scheme)
            .then(|| credentials.trim())
    }
}
