//! Debian's docker-registry takes the tokens signed here, and only those.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use simulator::Simulator;

use crate::client::{HOST, World, client, send};

/// A docker-registry that ends with the test.
struct DockerRegistry {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl DockerRegistry {
    fn start(simulator: &Simulator) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yml");
        let signers = simulator.token_signing_file();
        let text = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}}}\nstorage: {{inmemory: {{}}}}\n\
             http: {{addr: '127.0.0.1:0', secret: of-one-test}}\nauth:\n  token:\n    realm: https://{HOST}/oauth2/token\n    \
             service: {HOST}\n    issuer: Azure Container Registry\n    rootcertbundle: {}\n",
            signers.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        let mut process = command
            .arg("serve")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.split_once('"')?.0.to_owned())
        });
        // The registry must not stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            url: format!("http://{}", address.unwrap()),
            _folder: folder,
        }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "needs docker-registry"]
async fn a_docker_registry_takes_the_tokens_signed_here_and_no_others() {
    let world = World::new();
    let registry = DockerRegistry::start(&world.simulator);
    let http = client(&world.simulator).build().unwrap();
    let url = format!("{}/v2/app/blobs/uploads/", registry.url);
    let push = world
        .registry_access_token("repository:app:pull,push")
        .await;
    let pull = world.registry_access_token("repository:app:pull").await;
    let elsewhere = world
        .registry_access_token("repository:other:pull,push")
        .await;
    let foreign = World::new()
        .registry_access_token("repository:app:pull,push")
        .await;
    assert_eq!(send(http.post(&url).bearer_auth(push)).await.status, 202);
    for token in [pull, elsewhere, foreign, world.refresh_token().await] {
        assert_eq!(send(http.post(&url).bearer_auth(token)).await.status, 401);
    }
}

#[tokio::test]
#[ignore = "needs docker-registry"]
async fn images_are_passed_on_to_a_docker_registry() {
    let world = World::new();
    let registry = DockerRegistry::start(&world.simulator);
    world
        .simulator
        .change(|settings| settings.registry_mut(HOST).backend = Some(registry.url.clone()));
    let token = world
        .registry_access_token("repository:app:pull,push")
        .await;
    let url = format!("https://{HOST}/v2/app/blobs/uploads/");
    let started = send(world.request(Method::POST, &url).bearer_auth(&token)).await;
    assert_eq!(started.status, 202);
    assert_eq!(
        started
            .headers
            .get_all("docker-distribution-api-version")
            .iter()
            .count(),
        1
    );
    let location = started.header("location").to_owned();
    assert!(location.starts_with(&url), "{location}");
    let blob = vec![b'x'; 5_000_000];
    let patched = send(
        world
            .request(Method::PATCH, &location)
            .bearer_auth(&token)
            .body(blob),
    )
    .await;
    assert_eq!(patched.header("range"), "0-4999999");
    let direct = send(world.request(Method::POST, &url)).await;
    assert_eq!(direct.status, 401);
}

#[tokio::test]
async fn a_backend_that_is_down_is_a_bad_gateway() {
    let world = World::with(|settings| {
        settings.registry_mut(HOST).backend = Some("http://127.0.0.1:1".to_owned());
    });
    let token = world.registry_access_token("repository:app:pull").await;
    let request = world
        .request(Method::GET, &format!("https://{HOST}/v2/"))
        .bearer_auth(token);
    assert_eq!(send(request).await.status, 502);
}
