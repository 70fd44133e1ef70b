//! What a path below `/v2/` means.

/// A place below `/v2/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/` itself.
    Ping,
    /// `/v2/_catalog`.
    Catalog,
    /// `/v2/NAME/tags/list`.
    Tags { name: String },
    /// `/v2/NAME/manifests/REFERENCE`.
    Manifest { name: String, reference: String },
    /// `/v2/NAME/blobs/DIGEST`.
    Blob { name: String, digest: String },
    /// `/v2/NAME/blobs/uploads/`.
    Uploads { name: String },
    /// `/v2/NAME/blobs/uploads/ID`.
    Upload { name: String, id: String },
    /// `/v2/NAME/referrers/DIGEST`.
    Referrers { name: String, digest: String },
    /// Nothing that a registry knows.
    Unknown,
}

impl Route {
    /// Reads a path.
    pub(crate) fn parse(path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/v2") else {
            return Self::Unknown;
        };
        let rest = rest.trim_matches('/');
        if rest.is_empty() {
            return Self::Ping;
        }
        if rest == "_catalog" {
            return Self::Catalog;
        }
        Self::in_repository(rest).unwrap_or(Self::Unknown)
    }

    fn in_repository(rest: &str) -> Option<Self> {
        let words: Vec<&str> = rest.split('/').collect();
        let (parent, last) = rest.rsplit_once('/')?;
        let last = last.to_owned();
        let name = |count: usize| -> Option<String> {
            let name = words.get(..words.len().checked_sub(count)?)?.join("/");
            (!name.is_empty()).then_some(name)
        };
        if rest.ends_with("/blobs/uploads") {
            return Some(Self::Uploads { name: name(2)? });
        }
        if parent.ends_with("/blobs/uploads") {
            return Some(Self::Upload {
                name: name(3)?,
                id: last,
            });
        }
        if rest.ends_with("/tags/list") {
            return Some(Self::Tags { name: name(2)? });
        }
        match *words.get(words.len().checked_sub(2)?)? {
            "manifests" => Some(Self::Manifest {
                name: name(2)?,
                reference: last,
            }),
            "blobs" => Some(Self::Blob {
                name: name(2)?,
                digest: last,
            }),
            "referrers" => Some(Self::Referrers {
                name: name(2)?,
                digest: last,
            }),
            _ => None,
        }
    }

    /// The repository it is in.
    pub(crate) fn repository(&self) -> Option<&str> {
        match self {
            Self::Ping | Self::Catalog | Self::Unknown => None,
            Self::Tags { name }
            | Self::Manifest { name, .. }
            | Self::Blob { name, .. }
            | Self::Uploads { name }
            | Self::Upload { name, .. }
            | Self::Referrers { name, .. } => Some(name),
        }
    }

    /// Whether it is about a blob that is being uploaded.
    pub(crate) fn is_upload(&self) -> bool {
        matches!(self, Self::Uploads { .. } | Self::Upload { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        let (name, one) = ("a/b".to_owned(), "1".to_owned());
        let cases = [
            ("/v2/", Route::Ping),
            ("/v2", Route::Ping),
            ("/v2/_catalog", Route::Catalog),
            ("/v2/a/b/tags/list", Route::Tags { name: name.clone() }),
            (
                "/v2/a/b/manifests/1",
                Route::Manifest {
                    name: name.clone(),
                    reference: one.clone(),
                },
            ),
            (
                "/v2/a/b/blobs/1",
                Route::Blob {
                    name: name.clone(),
                    digest: one.clone(),
                },
            ),
            (
                "/v2/a/b/blobs/uploads/",
                Route::Uploads { name: name.clone() },
            ),
            (
                "/v2/a/b/blobs/uploads/1",
                Route::Upload {
                    name: name.clone(),
                    id: one.clone(),
                },
            ),
            (
                "/v2/a/b/referrers/1",
                Route::Referrers { name, digest: one },
            ),
            ("/v2/manifests/1", Route::Unknown),
            ("/v2/a", Route::Unknown),
        ];
        for (path, route) in cases {
            assert_eq!(Route::parse(path), route, "{path}");
        }
    }
}
