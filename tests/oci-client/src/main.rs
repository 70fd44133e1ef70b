//! Pushes a small image to a registry and pulls it again, with `oci-client` and without a helper process:
//! `oci-client-example contoso.azurecr.io/app:v1`.
#![allow(
    clippy::disallowed_methods,
    reason = "the clock is touched here and nowhere else"
)]

use docker_credential_acrscoped::{
    Error, ErrorKind, ExposeSecret, Registry, Settings, TokenService,
};
use oci_client::client::{Config, ImageLayer};
use oci_client::manifest::IMAGE_LAYER_MEDIA_TYPE;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use std::process::ExitCode;
use std::time::SystemTime;

/// What the image holds.
const CONTENT: &str = "hello from a Rust program";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // A program chooses its cryptography; both `oci-client` and the sign-in take this one.
    drop(rustls::crypto::ring::default_provider().install_default());
    match push_and_pull().await {
        Ok(digest) => {
            println!("{digest}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The digest of the image, as the registry tells it.
async fn push_and_pull() -> Result<String, Box<dyn std::error::Error>> {
    let image = std::env::args()
        .nth(1)
        .ok_or("usage: oci-client-example REGISTRY/REPOSITORY:TAG")?;
    let image: Reference = image.parse()?;
    let host = image.registry().to_owned();
    // The sign-in blocks, so it has a thread of its own.
    let auth = tokio::task::spawn_blocking(move || sign_in(&host))
        .await?
        .map_err(|error| explained(&error))?;
    let client = Client::default();
    let layers = [ImageLayer::oci_v1(CONTENT, None)];
    client
        .push(&image, &layers, Config::oci_v1("{}", None), &auth, None)
        .await?;
    let pulled = client
        .pull(&image, &auth, vec![IMAGE_LAYER_MEDIA_TYPE])
        .await?;
    let layer = pulled
        .layers
        .first()
        .ok_or("an image without a layer came back")?;
    if layer.data != CONTENT {
        return Err("another image came back".into());
    }
    Ok(pulled.digest.ok_or("an image without a digest came back")?)
}

/// What to present to the registry: nothing to those that are not Azure's.
fn sign_in(host: &str) -> Result<RegistryAuth, Error> {
    let settings = Settings::from_env()?;
    let Some(registry) = Registry::parse(host, settings.clouds()) else {
        return Ok(RegistryAuth::Anonymous);
    };
    match TokenService::new(&settings, SystemTime::now).get(&registry) {
        Ok(credential) => {
            let (username, password) = (
                credential.username,
                credential.token.secret().expose_secret(),
            );
            Ok(RegistryAuth::Basic(
                username.to_owned(),
                password.to_owned(),
            ))
        }
        // The user has a registry with anonymous pull, and wants no failed sign-in to be in its way.
        Err(error) if error.kind() == ErrorKind::Anonymous => Ok(RegistryAuth::Anonymous),
        Err(error) => Err(error),
    }
}

/// All that a person needs to go on.
fn explained(error: &Error) -> String {
    let details = error.details().iter().map(|detail| format!("\n  {detail}"));
    let hint = error.hint().map(|hint| format!("\nhint: {hint}"));
    details
        .chain(hint)
        .fold(error.to_string(), |text, more| text + &more)
}
