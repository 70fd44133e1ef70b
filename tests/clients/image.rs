//! An image to push, without a client that could make one.

use crate::support::{Home, LIMIT, run};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Writes a tar archive of one small file that no other test has: the file system of an image.
pub(crate) fn archive(home: &Home) -> PathBuf {
    let archive = home.path("layer.tar");
    home.write("content/file", format!("made in {}", home.root().display()));
    let mut tar = home.command("tar");
    tar.arg("--create")
        .arg("--file")
        .arg(&archive)
        .arg("--directory")
        .arg(home.path("content"))
        .arg("file");
    run(tar, "", LIMIT).succeeds();
    archive
}

/// Writes an OCI layout of one image (OCI image specification, `image-layout.md`).
pub(crate) fn layout(home: &Home) -> PathBuf {
    let layer = std::fs::read(archive(home)).expect("just written");
    let diff = sha256(&layer);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":["sha256:{diff}"]}}}}"#
    );
    let config = blob(home, CONFIG, config.as_bytes());
    let layer = blob(home, LAYER, &layer);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{layer}]}}"#
    );
    let manifest = blob(home, MANIFEST, manifest.as_bytes());
    home.write(
        "layout/index.json",
        format!(r#"{{"schemaVersion":2,"manifests":[{manifest}]}}"#),
    );
    home.write("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    home.path("layout")
}

/// The blobs of a layout, by their digests.
pub(crate) fn blobs(layout: &Path) -> BTreeMap<String, Vec<u8>> {
    let folder = std::fs::read_dir(layout.join("blobs/sha256")).expect("an OCI layout");
    let files = folder.map(|entry| entry.expect("our folder"));
    files
        .map(|file| {
            (
                file.file_name().into_string().expect("a digest"),
                std::fs::read(file.path()).expect("a blob"),
            )
        })
        .collect()
}

/// Writes a blob of the layout and gives its descriptor.
fn blob(home: &Home, media_type: &str, content: &[u8]) -> String {
    let digest = sha256(content);
    home.write(&format!("layout/blobs/sha256/{digest}"), content);
    format!(
        r#"{{"mediaType":"{media_type}","digest":"sha256:{digest}","size":{}}}"#,
        content.len()
    )
}

fn sha256(content: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, content);
    digest
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
