//! Uploads of blobs: in one piece, in chunks, or asked to be mounted.

use bytes::Bytes;
use hyper::Method;

use super::{Answer, Store, Wrong, check_digest};
use crate::call::Call;
use crate::random;
use crate::wire::{self, Reply, with};

impl Store {
    /// `POST`: the whole blob with its digest, or the start of an upload. A mount from another repository is answered with
    /// a start too, as the specification allows.
    pub(super) fn start_upload(&mut self, call: &Call, name: &str) -> Answer {
        if let (Some(digest), None) = (call.query.get("digest"), call.query.get("mount")) {
            return self.keep(name, digest, call.body.clone());
        }
        let id = random::guid();
        self.uploads.insert(id.clone(), Vec::new());
        Ok(progress(202, name, &id, 0))
    }

    pub(super) fn upload(&mut self, call: &Call, name: &str, id: &str) -> Answer {
        let unknown = || {
            Wrong(
                404,
                "BLOB_UPLOAD_UNKNOWN",
                "blob upload unknown to registry".to_owned(),
            )
        };
        let upload = self.uploads.get_mut(id).ok_or_else(unknown)?;
        match call.method {
            Method::GET => Ok(progress(204, name, id, upload.len())),
            Method::PATCH => {
                check_range(call, upload.len())?;
                upload.extend_from_slice(&call.body);
                Ok(progress(202, name, id, upload.len()))
            }
            Method::PUT => {
                let digest = call.query.get("digest").unwrap_or_default();
                let mut whole = std::mem::take(upload);
                self.uploads.remove(id);
                whole.extend_from_slice(&call.body);
                self.keep(name, digest, whole.into())
            }
            Method::DELETE => {
                self.uploads.remove(id);
                Ok(wire::empty(204))
            }
            _ => Err(Wrong(
                405,
                "UNSUPPORTED",
                "the operation is unsupported".to_owned(),
            )),
        }
    }

    fn keep(&mut self, name: &str, digest: &str, blob: Bytes) -> Answer {
        check_digest(digest, &blob)?;
        let repository = self.repositories.entry(name.to_owned()).or_default();
        repository.blobs.insert(digest.to_owned(), blob);
        let reply = with(
            wire::empty(201),
            "location",
            &format!("/v2/{name}/blobs/{digest}"),
        );
        Ok(with(reply, "docker-content-digest", digest))
    }
}

/// A chunk that says where it belongs must belong at the end.
fn check_range(call: &Call, length: usize) -> Result<(), Wrong> {
    let start = call.header("content-range").and_then(|range| {
        let range = range.strip_prefix("bytes ").unwrap_or(range);
        range.split_once('-')?.0.parse::<usize>().ok()
    });
    if start.is_none_or(|start| start == length) {
        return Ok(());
    }
    Err(Wrong(
        416,
        "RANGE_INVALID",
        "invalid content range".to_owned(),
    ))
}

fn progress(status: u16, name: &str, id: &str, length: usize) -> Reply {
    let state = random::text(20);
    let location = format!("/v2/{name}/blobs/uploads/{id}?_nouploadcache=false&_state={state}");
    let reply = with(wire::empty(status), "location", &location);
    let reply = with(reply, "range", &format!("0-{}", length.saturating_sub(1)));
    with(reply, "docker-upload-uuid", id)
}
