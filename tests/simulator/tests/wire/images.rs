//! `/v2/`: the challenge, and images in memory.

use data_encoding::HEXLOWER;
use reqwest::Method;
use ring::digest::{SHA256, digest};
use serde_json::json;

use crate::client::{Answer, HOST, World, assert_refused, send};

fn digest_of(bytes: &[u8]) -> String {
    format!(
        "sha256:{}",
        HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
    )
}

/// A registry seen with one token.
struct Session<'a> {
    world: &'a World,
    token: String,
}

impl<'a> Session<'a> {
    async fn new(world: &'a World, scope: &str) -> Self {
        Self {
            world,
            token: world.registry_access_token(scope).await,
        }
    }

    async fn send(&self, method: Method, path: &str, body: &[u8]) -> Answer {
        let url = format!("https://{HOST}{path}");
        send(
            self.world
                .request(method, &url)
                .bearer_auth(&self.token)
                .body(body.to_vec()),
        )
        .await
    }

    /// Uploads a blob in one go after a `POST`, as skopeo does.
    async fn upload(&self, name: &str, blob: &[u8]) -> Answer {
        let started = self
            .send(Method::POST, &format!("/v2/{name}/blobs/uploads/"), b"")
            .await;
        assert_eq!(started.status, 202);
        let patched = self
            .send(Method::PATCH, started.header("location"), blob)
            .await;
        assert_eq!(
            (patched.status, patched.header("range")),
            (202, format!("0-{}", blob.len() - 1).as_str())
        );
        let end = format!("{}&digest={}", patched.header("location"), digest_of(blob));
        self.send(Method::PUT, &end, b"").await
    }
}

#[tokio::test]
async fn an_unauthenticated_client_is_challenged_as_recorded() {
    let world = World::new();
    let answer = world.get("https://contoso.azurecr.io/v2/").await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer realm=\"https://contoso.azurecr.io/oauth2/token\",service=\"contoso.azurecr.io\""
    );
    assert_eq!(
        answer.header("docker-distribution-api-version"),
        "registry/2.0"
    );
    assert_eq!(answer.header("server"), "AzureContainerRegistry");
    assert_eq!(
        answer
            .headers
            .get_all("strict-transport-security")
            .iter()
            .count(),
        2
    );
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information.","detail":null}]}"#;
    assert_eq!(
        (answer.body.as_str(), answer.header("content-length")),
        (&*format!("{body}\n"), "149")
    );
    let catalog = world.get("https://contoso.azurecr.io/v2/_catalog").await;
    assert!(
        catalog
            .header("www-authenticate")
            .ends_with(",scope=\"registry:catalog:*\"")
    );
    let push = send(world.request(
        Method::POST,
        "https://contoso.azurecr.io/v2/a/b/blobs/uploads/",
    ))
    .await;
    assert!(
        push.header("www-authenticate")
            .ends_with(",scope=\"repository:a/b:pull,push\"")
    );
}

#[tokio::test]
async fn basic_straight_at_the_api_is_refused() {
    let world = World::new();
    let token = world.refresh_token().await;
    let request = world.request(Method::GET, "https://contoso.azurecr.io/v2/");
    let answer = send(request.basic_auth(crate::client::ZERO_GUID, Some(token))).await;
    assert_eq!(
        (answer.status, answer.header("www-authenticate")),
        (401, "Basic realm=\"Azure Container Registry\"")
    );
}

#[tokio::test]
async fn a_token_is_good_for_what_it_names() {
    let world = World::new();
    let session = Session::new(&world, "repository:app:pull").await;
    assert_eq!(session.send(Method::GET, "/v2/", b"").await.body, "{}");
    assert_eq!(
        session
            .send(Method::GET, "/v2/app/manifests/1", b"")
            .await
            .status,
        404
    );
    for (method, path) in [
        (Method::POST, "/v2/app/blobs/uploads/"),
        (Method::GET, "/v2/other/manifests/1"),
        (Method::GET, "/v2/_catalog"),
        (Method::DELETE, "/v2/app/manifests/1"),
    ] {
        let answer = session.send(method, path, b"").await;
        assert_refused(path, &answer, 401, "UNAUTHORIZED");
        assert!(
            answer
                .header("www-authenticate")
                .ends_with(",error=\"insufficient_scope\""),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_bad_token_is_called_so() {
    let world = World::new();
    let good = world.registry_access_token("repository:app:pull").await;
    let refresh_token = world.refresh_token().await;
    let foreign = World::new()
        .registry_access_token("repository:app:pull")
        .await;
    for token in ["nonsense", &refresh_token, &foreign] {
        let session = Session {
            world: &world,
            token: token.to_owned(),
        };
        let answer = session.send(Method::GET, "/v2/", b"").await;
        assert!(
            answer
                .header("www-authenticate")
                .ends_with(",error=\"invalid_token\"")
        );
    }
    let session = Session {
        world: &world,
        token: good,
    };
    assert_eq!(session.send(Method::GET, "/v2/", b"").await.status, 200);
    world
        .simulator
        .change(|settings| settings.clock_skew = 3600);
    assert_eq!(session.send(Method::GET, "/v2/", b"").await.status, 401);
}

#[tokio::test]
async fn an_image_is_pushed_and_pulled() {
    let world = World::new();
    let session = Session::new(
        &world,
        "repository:team/app:pull,push&scope=registry:catalog:*",
    )
    .await;
    let (config, layer) = (b"{}".as_slice(), b"a layer".as_slice());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": digest_of(config)}, "layers": [{"digest": digest_of(layer)}],
    });
    let manifest = manifest.to_string();
    let early = session
        .send(Method::PUT, "/v2/team/app/manifests/1", manifest.as_bytes())
        .await;
    assert_refused("before its blobs", &early, 404, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(session.upload("team/app", config).await.status, 201);
    assert_eq!(session.upload("team/app", layer).await.status, 201);
    let pushed = session
        .send(Method::PUT, "/v2/team/app/manifests/1", manifest.as_bytes())
        .await;
    assert_eq!(
        (pushed.status, pushed.header("docker-content-digest")),
        (201, digest_of(manifest.as_bytes()).as_str())
    );

    let path = format!("/v2/team/app/manifests/{}", digest_of(manifest.as_bytes()));
    for path in ["/v2/team/app/manifests/1", &path] {
        assert_eq!(session.send(Method::GET, path, b"").await.body, manifest);
    }
    let blob = format!("/v2/team/app/blobs/{}", digest_of(layer));
    let head = session.send(Method::HEAD, &blob, b"").await;
    assert_eq!(
        (head.header("content-length"), head.body.as_str()),
        ("7", "")
    );
    assert_eq!(session.send(Method::GET, &blob, b"").await.body, "a layer");
    let tags = session
        .send(Method::GET, "/v2/team/app/tags/list", b"")
        .await;
    assert_eq!(tags.json(), json!({"name": "team/app", "tags": ["1"]}));
    let catalog = session.send(Method::GET, "/v2/_catalog", b"").await;
    assert_eq!(catalog.json(), json!({"repositories": ["team/app"]}));
}

#[tokio::test]
async fn a_blob_must_have_its_digest() {
    let world = World::new();
    let session = Session::new(&world, "repository:app:pull,push").await;
    let uploads = "/v2/app/blobs/uploads/";
    let wrong = format!("{uploads}?digest={}", digest_of(b"other"));
    assert_refused(
        "wrong",
        &session.send(Method::POST, &wrong, b"blob").await,
        400,
        "DIGEST_INVALID",
    );
    let right = format!("{uploads}?digest={}", digest_of(b"blob"));
    assert_eq!(
        session.send(Method::POST, &right, b"blob").await.status,
        201
    );
    let mount = format!("{uploads}?mount={}&from=app", digest_of(b"blob"));
    assert_eq!(session.send(Method::POST, &mount, b"").await.status, 202);
    let unknown = format!("{uploads}nothing?digest={}", digest_of(b""));
    assert_refused(
        "unknown",
        &session.send(Method::PUT, &unknown, b"").await,
        404,
        "BLOB_UPLOAD_UNKNOWN",
    );
}
