//! Fifty nodes for real: the shipped binary, fifty times at once, before a registry that takes thirty requests and then one in two minutes.

use crate::model::{Demand, HOUR, Kept, Patience, SECOND, Setup, run};
use crate::support::{self, Answer, Home, LIMIT, REGISTRY};
use simulator::{Endpoint, Limit, Settings, Simulator};

const NODES: usize = 50;
const REQUESTS: u64 = 30;

/// Calls that got a credential, and calls that failed, of all that were made at once.
type Shape = [usize; 2];

/// What the model says: who is refused is asked to wait longer than a call lasts.
fn predicted() -> Shape {
    let outcome = run(Setup {
        nodes: NODES,
        limit: REQUESTS,
        fills_in: HOUR,
        reads: None,
        demand: Demand::Always,
        kept: Kept::Spread,
        patience: Patience::Honoured,
        remembers: false,
        // Before kubelet tries again.
        until: 5 * SECOND,
    });
    [
        outcome.served.len(),
        usize::try_from(outcome.failed_calls[0]).expect("a small number"),
    ]
}

fn observed() -> Shape {
    let mut settings = Settings::default();
    settings.registry_mut(REGISTRY).limit = Some(Limit {
        requests: REQUESTS,
        seconds: HOUR / SECOND,
    });
    let simulator = Simulator::start(settings).expect("a simulator");
    let request = format!(
        r#"{{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":"{REGISTRY}/team/app"}}"#
    );
    let node = || -> Answer {
        // Each is a machine of its own: they meet in no folder.
        let home = Home::new();
        let mut command = support::helper(&home, &simulator);
        command.arg("kubelet");
        support::run(command, &request, LIMIT)
    };
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..NODES).map(|_| scope.spawn(node)).collect();
        nodes
            .into_iter()
            .map(|node| node.join().expect("a node"))
            .collect()
    });
    let (served, failed): (Vec<Answer>, Vec<Answer>) = answers
        .into_iter()
        .partition(|answer| answer.status.success());
    for answer in &served {
        assert!(
            answer.json()["auth"][REGISTRY]["password"]
                .as_str()
                .is_some_and(|token| token.starts_with("eyJ"))
        );
    }
    for answer in &failed {
        assert!(
            answer.stderr.contains("is throttling requests: wait "),
            "{answer:#?}"
        );
    }
    let exchanges = simulator
        .journal()
        .iter()
        .filter(|entry| entry.endpoint == Endpoint::Exchange)
        .count();
    assert_eq!(
        exchanges, NODES,
        "a call that was asked to wait too long sent its request again"
    );
    [served.len(), failed.len()]
}

/// A machine on which fifty programs take two minutes to start would serve one more.
#[test]
fn fifty_calls_at_once_do_what_the_model_says() {
    assert_eq!(predicted(), [30, 20]);
    assert_eq!(observed(), predicted());
}
