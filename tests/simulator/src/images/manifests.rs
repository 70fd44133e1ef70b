//! Manifests by tag and by digest, and who refers to them.

use hyper::Method;
use serde_json::{Value, json};

use super::{Answer, Manifest, Repository, Store, Wrong, check_digest, digest_like, references};
use crate::call::Call;
use crate::wire::{self, Reply, with};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl Store {
    pub(super) fn manifest(&mut self, call: &Call, name: &str, reference: &str) -> Answer {
        match call.method {
            Method::GET | Method::HEAD => self.find_manifest(name, reference),
            Method::PUT => self.put_manifest(call, name, reference),
            Method::DELETE => self.delete_manifest(name, reference),
            _ => Err(Wrong(
                405,
                "UNSUPPORTED",
                "the operation is unsupported".to_owned(),
            )),
        }
    }

    fn find_manifest(&self, name: &str, reference: &str) -> Answer {
        let (digest, manifest) = self.known_manifest(name, reference)?;
        let reply = wire::reply(200, &manifest.media_type, manifest.bytes.clone());
        let reply = with(reply, "etag", &format!("\"{digest}\""));
        Ok(with(reply, "docker-content-digest", digest))
    }

    fn known_manifest(&self, name: &str, reference: &str) -> Result<(&str, &Manifest), Wrong> {
        let unknown = || {
            let text = format!("manifest tagged by \"{reference}\" is not found");
            Wrong(404, "MANIFEST_UNKNOWN", text)
        };
        let repository = self.repositories.get(name).ok_or_else(unknown)?;
        let digest = repository
            .tags
            .get(reference)
            .map_or(reference, String::as_str);
        let found = repository
            .manifests
            .get_key_value(digest)
            .ok_or_else(unknown)?;
        Ok((found.0.as_str(), found.1))
    }

    fn put_manifest(&mut self, call: &Call, name: &str, reference: &str) -> Answer {
        let invalid = |text: String| Wrong(400, "MANIFEST_INVALID", text);
        let parsed: Value =
            serde_json::from_slice(&call.body).map_err(|error| invalid(error.to_string()))?;
        let is_digest = reference.contains(':');
        if is_digest {
            check_digest(reference, &call.body)?;
        }
        let like = if is_digest { reference } else { "sha256:" };
        let digest = digest_like(like, &call.body)
            .ok_or_else(|| invalid("the digest's algorithm is unknown".to_owned()))?;
        let repository = self.repositories.entry(name.to_owned()).or_default();
        check_references(repository, &parsed)?;
        let declared = parsed["mediaType"].as_str().unwrap_or(INDEX);
        let media_type = call.header("content-type").unwrap_or(declared).to_owned();
        let manifest = Manifest {
            media_type,
            bytes: call.body.clone(),
        };
        repository.manifests.insert(digest.clone(), manifest);
        if !is_digest {
            repository.tags.insert(reference.to_owned(), digest.clone());
        }
        let mut reply = with(wire::empty(201), "docker-content-digest", &digest);
        if let Some(subject) = parsed["subject"]["digest"].as_str() {
            reply = with(reply, "oci-subject", subject);
        }
        Ok(with(
            reply,
            "location",
            &format!("/v2/{name}/manifests/{digest}"),
        ))
    }

    fn delete_manifest(&mut self, name: &str, reference: &str) -> Answer {
        let digest = self.known_manifest(name, reference)?.0.to_owned();
        if let Some(repository) = self.repositories.get_mut(name) {
            if reference.contains(':') {
                repository.manifests.remove(&digest);
                repository.tags.retain(|_, tagged| *tagged != digest);
            } else {
                repository.tags.remove(reference);
            }
        }
        Ok(wire::empty(202))
    }

    pub(super) fn referrers(&self, call: &Call, name: &str, subject: &str) -> Reply {
        let empty = Repository::default();
        let repository = self.repositories.get(name).unwrap_or(&empty);
        let wanted = call.query.get("artifactType");
        let found: Vec<Value> = repository
            .manifests
            .iter()
            .filter_map(|(digest, manifest)| referrer(digest, manifest, subject))
            .filter(|found| wanted.is_none_or(|wanted| found["artifactType"] == wanted))
            .collect();
        let body = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": found});
        let reply = wire::reply(200, INDEX, body.to_string());
        if wanted.is_some() {
            with(reply, "oci-filters-applied", "artifactType")
        } else {
            reply
        }
    }
}

fn referrer(digest: &str, manifest: &Manifest, subject: &str) -> Option<Value> {
    let parsed: Value = serde_json::from_slice(&manifest.bytes).ok()?;
    if parsed["subject"]["digest"] != subject {
        return None;
    }
    let kind = parsed["artifactType"]
        .as_str()
        .or_else(|| parsed["config"]["mediaType"].as_str());
    Some(json!({
        "mediaType": manifest.media_type, "digest": digest, "size": manifest.bytes.len(),
        "artifactType": kind, "annotations": parsed["annotations"],
    }))
}

fn check_references(repository: &Repository, manifest: &Value) -> Result<(), Wrong> {
    for (digest, is_manifest) in references(manifest) {
        let known = if is_manifest {
            repository.manifests.contains_key(&digest)
        } else {
            repository.blobs.contains_key(&digest)
        };
        if !known {
            let text = format!("{digest} is unknown to the registry");
            return Err(Wrong(404, "MANIFEST_BLOB_UNKNOWN", text));
        }
    }
    Ok(())
}
