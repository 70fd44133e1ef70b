//! Pods of different service accounts on one node: what is obtained for one never reaches another, nor the node.

use crate::stage::{BANK, Node, OTHER_CLIENT, SHOP, claims, request, whose};
use crate::support::namespace::Namespace;
use crate::support::{Answer, LIMIT, REGISTRY, run};
use serde_json::Value;
use simulator::{CLIENT, Endpoint, MANAGED_IDENTITY};
use std::collections::BTreeSet;
use std::process::Command;
use std::thread;

const IMAGE: &str = "contoso.azurecr.io/app";

/// A node whose processes share a keyring and a folder to meet in, as those of one kubelet do.
struct Shared {
    node: Node,
    keyring: Namespace,
}

impl Shared {
    fn new() -> Self {
        Self {
            node: Node::new(),
            keyring: Namespace::new(),
        }
    }

    fn command(&self) -> Command {
        let mut command = self.keyring.enter(&self.node.provider());
        command.arg("kubelet").env("ACRSCOPED_LOG", "debug");
        command
    }

    /// The answers to requests that are made at the same moment.
    fn ask(&self, requests: &[Value]) -> Vec<Answer> {
        thread::scope(|scope| {
            let started: Vec<_> = requests
                .iter()
                .map(|request| scope.spawn(|| run(self.command(), &request.to_string(), LIMIT)))
                .collect();
            started
                .into_iter()
                .map(|one| one.join().expect("an answer"))
                .collect()
        })
    }

    fn pod(&self, subject: &str, client: &str) -> Value {
        self.node.pod(subject, client, IMAGE)
    }

    /// How many registries have a token in the keyring that all calls shared, whoever it was issued to.
    fn kept(&self) -> usize {
        let mut command = self.keyring.enter(&self.node.provider());
        command.args(["status", "--json"]);
        // Whether docker is configured on this machine does not matter.
        let answer = run(command, "", LIMIT);
        answer.json()["registries"]
            .as_array()
            .expect("a list")
            .len()
    }
}

#[test]
fn a_service_account_gets_its_own_token_and_no_other_at_whatever_moment() {
    let shared = Shared::new();
    let (shop, bank, node) = (
        shared.pod(SHOP, CLIENT),
        shared.pod(BANK, OTHER_CLIENT),
        request(IMAGE),
    );
    // First the node, so that there is something in the cache that could be taken.
    assert_eq!(
        whose(&shared.ask(std::slice::from_ref(&node))[0], REGISTRY),
        MANAGED_IDENTITY
    );
    let owners = [CLIENT, OTHER_CLIENT, MANAGED_IDENTITY];
    let requests: Vec<Value> = (0..12)
        .map(|at| [&shop, &bank, &node][at % 3].clone())
        .collect();
    let answers = shared.ask(&requests);
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(whose(answer, REGISTRY), owners[at % 3], "{answer:#?}");
        assert!(!answer.stderr.contains("eyJ"), "{answer:#?}");
    }
    // Every call of a pod signed in and exchanged for itself: the journal has as many of each as there were calls.
    let journal = shared.node.simulator.journal();
    for client in [CLIENT, OTHER_CLIENT] {
        let of = |endpoint| {
            journal
                .iter()
                .filter(move |entry| entry.endpoint == endpoint)
                .filter(|entry| {
                    let presented = entry
                        .token
                        .as_ref()
                        .and_then(|token| token.app_id.as_deref());
                    entry.client_id.as_deref() == Some(client) || presented == Some(client)
                })
        };
        assert_eq!(
            (
                of(Endpoint::EntraToken).count(),
                of(Endpoint::Exchange).count()
            ),
            (4, 4),
            "{journal:#?}"
        );
        let issued = of(Endpoint::Exchange)
            .map(|entry| entry.issued.as_ref().and_then(|token| token.app_id.clone()));
        assert!(
            issued
                .collect::<Vec<_>>()
                .iter()
                .all(|issued| issued.as_deref() == Some(client)),
            "{journal:#?}"
        );
    }
    let exchanged = journal
        .iter()
        .filter(|entry| entry.endpoint == Endpoint::Exchange)
        .count();
    assert_eq!(
        exchanged, 9,
        "the node's own token came from its cache: {journal:#?}"
    );
    let passwords = |owner: usize| -> BTreeSet<String> {
        let own = answers.iter().skip(owner).step_by(3);
        own.map(|answer| {
            answer.json()["auth"][REGISTRY]["password"]
                .as_str()
                .expect("a password")
                .to_owned()
        })
        .collect()
    };
    assert_eq!(
        (passwords(0).len(), passwords(1).len(), passwords(2).len()),
        (4, 4, 1)
    );
}

#[test]
fn what_a_service_account_was_given_is_kept_nowhere() {
    let shared = Shared::new();
    let answers = shared.ask(&[shared.pod(SHOP, CLIENT), shared.pod(BANK, OTHER_CLIENT)]);
    assert_eq!(
        [whose(&answers[0], REGISTRY), whose(&answers[1], REGISTRY)],
        [CLIENT, OTHER_CLIENT]
    );
    assert_eq!(shared.kept(), 0);
    // And no process met another: there is no folder for it.
    let met: Vec<_> = std::fs::read_dir(shared.node.home.path("run"))
        .expect("our folder")
        .collect();
    assert!(met.is_empty(), "{met:?}");
    assert!(!shared.node.home.path("home/.local").exists());
    // The node's is, since a store is named.
    shared.ask(&[request(IMAGE)]);
    assert_eq!(shared.kept(), 1);
}

/// A container that runs as root of the node has the same keyring.
#[test]
fn what_the_node_was_given_is_kept_by_kubelet_alone_unless_a_store_is_named() {
    let shared = Shared::new();
    for set in [None, Some("auto"), Some("none")] {
        let mut command = shared.command();
        match set {
            Some(value) => command.env("ACRSCOPED_CACHE", value),
            None => command.env_remove("ACRSCOPED_CACHE"),
        };
        let answer = run(command, &request(IMAGE).to_string(), LIMIT);
        assert_eq!(
            (whose(&answer, REGISTRY).as_str(), shared.kept()),
            (MANAGED_IDENTITY, 0),
            "{set:?}"
        );
    }
    shared.ask(&[request(IMAGE)]);
    assert_eq!(shared.kept(), 1);
}

/// Who names another's application in its annotations gets a refusal, and neither its token nor its good name.
#[test]
fn an_impostor_neither_gets_nor_spoils_the_token_of_the_one_it_names() {
    let shared = Shared::new();
    let (shop, impostor) = (shared.pod(SHOP, CLIENT), shared.pod(BANK, CLIENT));
    let requests: Vec<Value> = (0..8)
        .map(|at| [&shop, &impostor][at % 2].clone())
        .collect();
    for (at, answer) in shared.ask(&requests).iter().enumerate() {
        if at % 2 == 0 {
            assert_eq!(whose(answer, REGISTRY), CLIENT, "{answer:#?}");
        } else {
            assert_eq!(
                (answer.code(), answer.stdout.as_str()),
                (1, ""),
                "{answer:#?}"
            );
            assert!(answer.stderr.contains("AADSTS700213"), "{answer:#?}");
        }
    }
}

/// What the environment of kubelet names is the node's, and no part of it goes into a pod's sign-in.
#[test]
fn a_pod_signs_in_as_what_its_account_names_whatever_the_node_is() {
    let node = Node::new();
    let mut command = node.provider();
    let secret = node.simulator.settings().apps[1].secret.clone();
    command
        .env("AZURE_CLIENT_ID", OTHER_CLIENT)
        .env("AZURE_CLIENT_SECRET", secret)
        .env("AZURE_TENANT_ID", "other.example");
    command
        .env("ACRSCOPED_CLIENT_ID", OTHER_CLIENT)
        .env("ACRSCOPED_TENANT", "other.example")
        .env("ACRSCOPED_SOURCE", "client-secret");
    let answer = run(command, &node.pod(SHOP, CLIENT, IMAGE).to_string(), LIMIT);
    assert_eq!(whose(&answer, REGISTRY), CLIENT);
    let journal = node.simulator.journal();
    assert!(
        journal.iter().all(|entry| entry
            .client_id
            .as_deref()
            .is_none_or(|client| client == CLIENT)),
        "{journal:#?}"
    );
    assert!(
        journal.iter().all(|entry| entry.endpoint != Endpoint::Imds),
        "{journal:#?}"
    );
    let password = answer.json()["auth"][REGISTRY]["password"]
        .as_str()
        .expect("a password")
        .to_owned();
    assert_eq!(claims(&password)["tenant"], simulator::TENANT);
}
