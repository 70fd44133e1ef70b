//! The agent of Azure Arc: its challenges, and the keys that answer them.

use std::path::{Path, PathBuf};

use reqwest::Method;
use simulator::{
    ACR_AUDIENCE, ArcAgent, Endpoint, Fault, FaultAt, FaultKind, MANAGED_IDENTITY, ManagedIdentity,
};
use tempfile::TempDir;

use crate::client::{Answer, HOST, World, assert_refused, claims};
use crate::identities::ask;

const PAGE: &str = "/arc/metadata/identity/oauth2/token";
const VERSION: &str = "api-version=2020-06-01";

/// A machine whose agent writes to the folder, changed as the test wishes.
fn machine(change: impl FnOnce(&mut ArcAgent)) -> (World, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = ArcAgent::new(folder.path());
    change(&mut agent);
    (World::with(|settings| settings.arc = Some(agent)), folder)
}

async fn get(world: &World, query: &str, authorization: Option<&str>) -> Answer {
    let path = format!("{PAGE}?{query}&resource={ACR_AUDIENCE}");
    let mut headers = vec![("Metadata", "true")];
    headers.extend(authorization.map(|value| ("Authorization", value)));
    ask(world, Method::GET, &path, &headers, "").await
}

/// Lets itself be challenged, and returns the path that the challenge names.
async fn challenged(world: &World) -> PathBuf {
    let answer = get(world, VERSION, None).await;
    assert_eq!(answer.status, 401);
    answer
        .header("www-authenticate")
        .strip_prefix("Basic realm=")
        .unwrap()
        .into()
}

/// The answer to a challenge, from the file that the agent wrote for it.
fn basic(folder: &Path, named: &Path) -> String {
    format!(
        "Basic {}",
        std::fs::read_to_string(folder.join(named.file_name().unwrap())).unwrap()
    )
}

#[tokio::test]
async fn who_can_read_the_key_gets_a_token_that_registries_take() {
    let (world, folder) = machine(|_| {});
    for version in ["2019-11-01", "2020-06-01", "2021-02-01"] {
        let named = challenged(&world).await;
        assert_eq!(
            named.parent().unwrap(),
            Path::new("/var/opt/azcmagent/tokens")
        );
        assert_eq!(named.extension().unwrap(), "key");
        let answer = get(
            &world,
            &format!("api-version={version}"),
            Some(&basic(folder.path(), &named)),
        )
        .await;
        let token = answer.text("access_token");
        assert_eq!(
            (&claims(&token)["appid"], &claims(&token)["aud"]),
            (&MANAGED_IDENTITY.into(), &ACR_AUDIENCE.into())
        );
        assert_eq!(world.exchange(HOST, &token).await.status, 200);
    }
    let journal = world.simulator.journal();
    let told: Vec<_> = journal
        .iter()
        .map(|entry| (entry.endpoint, entry.status))
        .take(2)
        .collect();
    assert_eq!(told, [(Endpoint::Arc, 401), (Endpoint::Arc, 200)]);
}

#[tokio::test]
async fn a_key_is_good_once_and_its_file_goes_with_it() {
    let (world, folder) = machine(|agent| agent.named = "/elsewhere".into());
    let (first, second) = (challenged(&world).await, challenged(&world).await);
    assert_ne!(first, second);
    assert!(first.starts_with("/elsewhere"));
    let (first, second) = (basic(folder.path(), &first), basic(folder.path(), &second));
    assert_eq!(get(&world, VERSION, Some(&second)).await.status, 200);
    assert_eq!(get(&world, VERSION, Some(&first)).await.status, 200);
    for key in [&first, &second, "Basic guessed"] {
        let answer = get(&world, VERSION, Some(key)).await;
        assert_eq!(
            (answer.status, answer.header("www-authenticate")),
            (401, ""),
            "{key}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_is_for_its_owners_eyes() {
    use std::os::unix::fs::PermissionsExt;
    let (world, folder) = machine(|_| {});
    let named = challenged(&world).await;
    let file = folder.path().join(named.file_name().unwrap());
    assert_eq!(
        std::fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_challenge_can_be_made_hostile() {
    let header = async |challenge: &str| {
        let (world, _folder) = machine(|agent| agent.challenge = challenge.to_owned());
        let answer = get(&world, VERSION, None).await;
        assert_eq!(answer.status, 401);
        answer
            .headers
            .get("www-authenticate")
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(
        header("Basic realm=/etc/shadow").await.as_deref(),
        Some("Basic realm=/etc/shadow")
    );
    assert_eq!(header("Basic").await.as_deref(), Some("Basic"));
    assert_eq!(header("").await, None);
    assert!(
        header("Digest realm={path}")
            .await
            .unwrap()
            .starts_with("Digest realm=/var/opt/azcmagent/tokens/")
    );

    let (world, folder) =
        machine(|agent| (agent.suffix, agent.key_bytes) = (".txt".to_owned(), 4097));
    let named = challenged(&world).await;
    assert_eq!(named.extension().unwrap(), "txt");
    let key = basic(folder.path(), &named);
    assert_eq!(key.len(), "Basic ".len() + 4097);
    assert_eq!(
        get(&world, VERSION, Some(&key)).await.status,
        200,
        "a client that is taken in is not saved by the agent"
    );
}

#[tokio::test]
async fn the_agent_refuses_what_the_real_one_refuses_and_writes_no_key_for_it() {
    let (world, folder) = machine(|_| {});
    let path = format!("{PAGE}?{VERSION}&resource={ACR_AUDIENCE}");
    assert_refused(
        "header",
        &ask(&world, Method::GET, &path, &[], "").await,
        400,
        "metadata header",
    );
    let metadata = [("Metadata", "true")];
    assert_refused(
        "method",
        &ask(&world, Method::POST, &path, &metadata, "").await,
        405,
        "method",
    );
    assert_refused("version", &get(&world, "", None).await, 400, "api-version");
    assert_refused(
        "version",
        &get(&world, "api-version=2018-02-01", None).await,
        400,
        "api-version",
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_machine_has_one_identity_whatever_is_asked_for() {
    let (world, folder) = machine(|_| {});
    let second = ManagedIdentity {
        client_id: "second".to_owned(),
        ..ManagedIdentity::default()
    };
    world
        .simulator
        .change(|settings| settings.managed_identities.push(second));
    let key = basic(folder.path(), &challenged(&world).await);
    let answer = get(&world, &format!("{VERSION}&client_id=second"), Some(&key)).await;
    assert_eq!(answer.text("client_id"), MANAGED_IDENTITY);
}

#[tokio::test]
async fn a_machine_without_the_agent_has_no_such_page() {
    let world = World::new();
    assert_eq!(get(&world, VERSION, None).await.status, 404);
    assert_eq!(
        world.simulator.journal()[0].endpoint,
        Endpoint::Arc,
        "that it was asked for is told"
    );
}

#[tokio::test]
async fn the_agent_has_faults_of_its_own() {
    let (world, _folder) = machine(|_| {});
    let fault = |at| Fault::once(at, FaultKind::status(503));
    world.simulator.change(|settings| {
        settings.faults = vec![
            fault(FaultAt::Arm),
            fault(FaultAt::Imds),
            fault(FaultAt::Arc),
        ];
    });
    assert_eq!(get(&world, VERSION, None).await.status, 503);
    challenged(&world).await;
}
