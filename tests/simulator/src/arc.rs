//! The agent of Azure Arc, which gives tokens to who can read its files: it writes a key, challenges the client to send it
//! back, and takes it once.
//!
//! From Microsoft's "Authenticate against Azure resources with Azure Arc-enabled servers"; a client should read no other file.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::identity_endpoints::{refuse_without_metadata, wrong};
use crate::random;
use crate::wire::{Reply, empty, with};
use crate::world::{World, lock};

/// The folder that the real agent writes to on Linux, and the only one that clients read from there.
const FOLDER: &str = "/var/opt/azcmagent/tokens";
const API_VERSIONS: [&str; 3] = ["2019-11-01", "2020-06-01", "2021-02-01"];

/// The agent of Azure Arc.
///
/// A client sees [`folder`](Self::folder) as [`named`](Self::named), say through a bind mount. The other fields are for hostile
/// challenges. Where one still leads to the key, a client that follows it gets a token: it must not pass its test by accident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArcAgent {
    /// Where it writes its keys; made if need be.
    pub folder: PathBuf,
    /// What its challenges call that folder.
    pub named: PathBuf,
    /// What the name of a key file ends in, after a GUID.
    pub suffix: String,
    /// The length of a key; clients read 4096 bytes at most.
    pub key_bytes: usize,
    /// The `WWW-Authenticate` header, where `{path}` stands for the path of the key file; empty for no header.
    pub challenge: String,
}

impl Default for ArcAgent {
    fn default() -> Self {
        Self {
            folder: FOLDER.into(),
            named: FOLDER.into(),
            suffix: ".key".to_owned(),
            key_bytes: 64,
            challenge: "Basic realm={path}".to_owned(),
        }
    }
}

impl ArcAgent {
    /// An agent that writes to this folder, and calls it by its real name.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            ..Self::default()
        }
    }

    /// Writes a key; returns it, its file, and what the challenge calls that.
    fn write_key(&self) -> io::Result<(String, PathBuf, PathBuf)> {
        let name = format!("{}{}", random::guid(), self.suffix);
        let (key, file) = (random::text(self.key_bytes), self.folder.join(&name));
        fs::create_dir_all(&self.folder)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&file)?.write_all(key.as_bytes())?;
        Ok((key, file, self.named.join(name)))
    }
}

/// The keys that were written and not yet sent back, each with its file.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<HashMap<String, PathBuf>>);

impl Keys {
    fn add(&self, key: String, file: PathBuf) {
        lock(&self.0).insert(key, file);
    }

    /// Whether a key may be used, which is once. Its file goes with it.
    fn take(&self, key: &str) -> bool {
        let file = lock(&self.0).remove(key);
        file.as_ref().is_some_and(|file| {
            let _ = fs::remove_file(file);
            true
        })
    }
}

/// Why the agent gives no token yet: a challenge, most often.
pub(crate) fn refuse(world: &World, call: &Call) -> Option<Reply> {
    let Some(agent) = &call.settings.arc else {
        return Some(empty(404));
    };
    if let Some(refused) = refuse_without_metadata(call) {
        return Some(refused);
    }
    if call.method != Method::GET {
        return Some(wrong(405, "invalid_request", "The method is not allowed"));
    }
    if !call
        .query
        .get("api-version")
        .is_some_and(|version| API_VERSIONS.contains(&version))
    {
        return Some(wrong(
            400,
            "invalid_request",
            "The api-version is missing or not supported",
        ));
    }
    let Some(key) = call.basic_key() else {
        return Some(challenge(world, agent));
    };
    let is_good = world.arc_keys.take(key);
    (!is_good).then(|| {
        wrong(
            401,
            "unauthorized",
            "The key is not one of an open challenge",
        )
    })
}

fn challenge(world: &World, agent: &ArcAgent) -> Reply {
    let (key, file, named) = match agent.write_key() {
        Ok(written) => written,
        Err(error) => {
            return wrong(
                500,
                "server_error",
                &format!("{}: {error}", agent.folder.display()),
            );
        }
    };
    world.arc_keys.add(key, file);
    let reply = wrong(
        401,
        "unauthorized",
        "The key in the file that the challenge names is required",
    );
    let challenge = agent.challenge.replace("{path}", &named.to_string_lossy());
    if challenge.is_empty() {
        reply
    } else {
        with(reply, "www-authenticate", &challenge)
    }
}
