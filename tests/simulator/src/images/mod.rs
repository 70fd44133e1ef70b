//! A registry in memory, good enough to push to and pull from.

mod manifests;
mod route;
mod uploads;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use hyper::Method;
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use ring::digest::{SHA256, SHA512};
use serde_json::json;

use crate::call::Call;
use crate::wire::{self, Reply, with};
use crate::world::lock;
pub(crate) use route::Route;

/// The images of all registries.
#[derive(Debug, Default)]
pub(crate) struct Images {
    stores: Mutex<HashMap<String, Store>>,
}

/// The images of one registry; a regional endpoint has those of its global one.
#[derive(Debug, Default)]
struct Store {
    repositories: BTreeMap<String, Repository>,
    /// Uploads under way, by id.
    uploads: HashMap<String, Vec<u8>>,
}

#[derive(Debug, Default)]
struct Repository {
    blobs: HashMap<String, Bytes>,
    manifests: BTreeMap<String, Manifest>,
    tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Manifest {
    media_type: String,
    bytes: Bytes,
}

/// A refusal of the distribution specification.
struct Wrong(u16, &'static str, String);

type Answer = Result<Reply, Wrong>;

impl Images {
    /// The answer to a request that was let in.
    pub(crate) fn answer(&self, registry: &str, call: &Call, route: &Route) -> Reply {
        let mut stores = lock(&self.stores);
        let store = stores.entry(registry.to_owned()).or_default();
        let answer = store.answer(call, route);
        let reply = answer.unwrap_or_else(|Wrong(status, code, message)| {
            let error = json!({"code": code, "message": message, "detail": null});
            wire::json(status, &json!({"errors": [error]}))
        });
        if call.method == Method::HEAD {
            without_body(reply)
        } else {
            reply
        }
    }
}

impl Store {
    fn answer(&mut self, call: &Call, route: &Route) -> Answer {
        let method = &call.method;
        match (method, route) {
            (&Method::GET | &Method::HEAD, Route::Ping) => Ok(wire::json(200, &json!({}))),
            (&Method::GET, Route::Catalog) => {
                let names = self.repositories.keys().cloned().collect();
                Ok(page(call, "repositories", names, None))
            }
            (&Method::GET, Route::Tags { name }) => self.tags(call, name),
            (_, Route::Manifest { name, reference }) => self.manifest(call, name, reference),
            (&Method::GET, Route::Referrers { name, digest }) => {
                Ok(self.referrers(call, name, digest))
            }
            (_, Route::Blob { name, digest }) => self.blob(call, name, digest),
            (&Method::POST, Route::Uploads { name }) => self.start_upload(call, name),
            (_, Route::Upload { name, id }) => self.upload(call, name, id),
            _ => Err(Wrong(
                404,
                "UNSUPPORTED",
                "the operation is unsupported".to_owned(),
            )),
        }
    }

    fn repository(&self, name: &str) -> Result<&Repository, Wrong> {
        self.repositories.get(name).ok_or_else(|| {
            Wrong(
                404,
                "NAME_UNKNOWN",
                format!("repository {name} is not found"),
            )
        })
    }

    fn tags(&self, call: &Call, name: &str) -> Answer {
        let tags = self.repository(name)?.tags.keys().cloned().collect();
        Ok(page(call, "tags", tags, Some(name)))
    }

    fn blob(&mut self, call: &Call, name: &str, digest: &str) -> Answer {
        let unknown = || Wrong(404, "BLOB_UNKNOWN", format!("blob {digest} is not found"));
        let repository = self.repositories.get_mut(name).ok_or_else(unknown)?;
        let blob = repository.blobs.get(digest).cloned().ok_or_else(unknown)?;
        match call.method {
            Method::GET | Method::HEAD => {
                let reply = ranged(call, &blob)?;
                let reply = with(reply, "accept-ranges", "bytes");
                Ok(with(reply, "docker-content-digest", digest))
            }
            Method::DELETE => {
                repository.blobs.remove(digest);
                Ok(wire::empty(202))
            }
            _ => Err(Wrong(
                405,
                "UNSUPPORTED",
                "the operation is unsupported".to_owned(),
            )),
        }
    }
}

/// The part of a blob that a `Range: bytes=a-b` asks for.
fn ranged(call: &Call, blob: &Bytes) -> Answer {
    const OCTETS: &str = "application/octet-stream";
    let range = call
        .header("range")
        .and_then(|range| range.strip_prefix("bytes="));
    let Some((from, to)) = range.and_then(|range| range.split_once('-')) else {
        return Ok(wire::reply(200, OCTETS, blob.clone()));
    };
    let end = to
        .parse()
        .map_or(blob.len(), |last: usize| (last + 1).min(blob.len()));
    match from.parse() {
        Ok(start) if start < end => {
            let reply = wire::reply(206, OCTETS, blob.slice(start..end));
            let range = format!("bytes {start}-{}/{}", end - 1, blob.len());
            Ok(with(reply, "content-range", &range))
        }
        _ => Err(Wrong(
            416,
            "RANGE_INVALID",
            "the range is not satisfiable".to_owned(),
        )),
    }
}

/// A list, cut into pages by `n` and `last`.
fn page(call: &Call, what: &str, mut all: Vec<String>, name: Option<&str>) -> Reply {
    if let Some(last) = call.query.get("last") {
        all.retain(|item| item.as_str() > last);
    }
    let size = call
        .query
        .get("n")
        .and_then(|n| n.parse().ok())
        .unwrap_or(usize::MAX);
    let more = all.len() > size;
    all.truncate(size);
    let link = all.last().map(|last| {
        format!(
            "<{}?last={last}&n={size}&orderby=>; rel=\"next\"",
            call.path
        )
    });
    let mut body = json!({ what: all });
    if let Some(name) = name {
        body["name"] = name.into();
    }
    match link {
        Some(link) if more => with(wire::json(200, &body), "link", &link),
        _ => wire::json(200, &body),
    }
}

/// The digest of bytes by the algorithm that another digest names.
fn digest_like(wanted: &str, bytes: &[u8]) -> Option<String> {
    let (name, _) = wanted.split_once(':')?;
    let algorithm = match name {
        "sha256" => &SHA256,
        "sha512" => &SHA512,
        _ => return None,
    };
    Some(format!(
        "{name}:{}",
        HEXLOWER.encode(ring::digest::digest(algorithm, bytes).as_ref())
    ))
}

fn check_digest(wanted: &str, bytes: &[u8]) -> Result<(), Wrong> {
    if digest_like(wanted, bytes).as_deref() == Some(wanted) {
        return Ok(());
    }
    let text = "provided digest did not match uploaded content".to_owned();
    Err(Wrong(400, "DIGEST_INVALID", text))
}

/// The same answer to `HEAD`.
fn without_body(reply: Reply) -> Reply {
    use hyper::body::Body;
    let length = reply.body().size_hint().exact().unwrap_or(0);
    let (head, _) = reply.into_parts();
    let mut bare = wire::empty(head.status.as_u16());
    *bare.headers_mut() = head.headers;
    bare.headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(length));
    bare
}

/// The digests that a manifest refers to, each with whether it is another manifest.
fn references(manifest: &serde_json::Value) -> HashSet<(String, bool)> {
    let list = |name: &str| manifest[name].as_array().cloned().unwrap_or_default();
    let blobs = list("layers")
        .into_iter()
        .chain([manifest["config"].clone()]);
    // A layer with addresses of its own lies elsewhere.
    let blobs = blobs
        .filter(|blob| blob["urls"].is_null())
        .map(|blob| (blob, false));
    let manifests = list("manifests")
        .into_iter()
        .map(|manifest| (manifest, true));
    blobs
        .chain(manifests)
        .filter_map(|(found, is_manifest)| {
            Some((found["digest"].as_str()?.to_owned(), is_manifest))
        })
        .collect()
}
