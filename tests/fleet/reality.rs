//! Fifty nodes for real: the shipped binary, fifty times at once, before a registry that takes thirty requests at a time.

use crate::model::{Demand, Kept, MINUTE, Patience, SECOND, Setup, run};
use crate::registry::Refill;
use crate::support::{self, Home, LIMIT, REGISTRY};
use simulator::{Endpoint, Limit, Settings, Simulator};

const NODES: usize = 50;
const REQUESTS: u64 = 30;
/// Less than what is waited at most for a server that asks to.
const WINDOW: u64 = 15;

/// Exchanges that were taken and refused while the first bucket lasted, and those that were taken and refused afterwards.
type Shape = [(u64, u64); 2];

/// What the model says: requests of the runtime are not made here, and the second round of renewals is an hour away.
fn predicted() -> Shape {
    let setup = Setup {
        nodes: NODES,
        limit: REQUESTS,
        refill: Refill::Whole(WINDOW * SECOND),
        demand: Demand::Always,
        kept: Kept::Spread,
        patience: Patience::Honoured,
        remembers: false,
        until: MINUTE,
    };
    let whole = run(setup);
    let first = run(Setup { until: WINDOW * SECOND, ..setup });
    assert_eq!((whole.served.len(), whole.failed_calls[0]), (NODES, 0));
    let [taken, refused] = [whole.exchanges[0] - first.exchanges[0], whole.refused[0] - first.refused[0]];
    [(first.exchanges[0], first.refused[0]), (taken, refused)]
}

fn observed() -> Shape {
    let mut settings = Settings::default();
    settings.registry_mut(REGISTRY).limit = Some(Limit { requests: REQUESTS, seconds: WINDOW });
    let simulator = Simulator::start(settings).expect("a simulator");
    let request = format!(
        r#"{{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderRequest","image":"{REGISTRY}/team/app"}}"#
    );
    let node = || {
        // Each is a machine of its own: nobody meets anybody in a folder.
        let home = Home::new();
        let mut command = support::helper(&home, &simulator);
        command.arg("kubelet");
        let answer = support::run(command, &request, LIMIT).succeeds().json();
        assert!(answer["auth"][REGISTRY]["password"].as_str().is_some_and(|token| token.starts_with("eyJ")));
    };
    std::thread::scope(|scope| (0..NODES).for_each(|_| drop(scope.spawn(node))));

    let mut exchanges = simulator.journal();
    exchanges.retain(|entry| entry.endpoint == Endpoint::Exchange);
    let start = exchanges.iter().map(|entry| entry.unix_ms).min().expect("an exchange");
    let mut shape = Shape::default();
    for entry in exchanges {
        let part = &mut shape[usize::from(entry.unix_ms >= start + WINDOW * SECOND)];
        match entry.status {
            200 => part.0 += 1,
            429 => part.1 += 1,
            other => panic!("an exchange was answered with {other}"),
        }
    }
    shape
}

/// Every call gets its credential, or the helper fails the test. On a machine that is too slow to start fifty programs while the first
/// bucket lasts, it is tried again.
#[test]
fn fifty_calls_at_once_do_what_the_model_says() {
    let predicted = predicted();
    assert_eq!(predicted, [(30, 20), (20, 0)]);
    for _ in 0..3 {
        let observed = observed();
        let all: u64 = observed.iter().map(|(taken, _)| taken).sum();
        assert_eq!(all, NODES as u64, "{observed:?}");
        if observed[0].0 + observed[0].1 == NODES as u64 {
            assert_eq!(observed, predicted);
            return;
        }
    }
    panic!("this machine is too slow: fifty programs took longer than {WINDOW} s to start, three times");
}
