//! A token that is in the cache, asked for often.

use crate::callers::{count, files, processes, rate};
use crate::support::namespace::Namespace;
use crate::support::run::in_parallel_by;
use crate::support::{Answer, REGISTRY, ask, helper, world};
use std::collections::HashSet;
use std::time::Instant;

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn cached_gets_in_a_row_and_fifty_at_a_time_all_succeed() {
    let (home, simulator) = world();
    let (namespace, calls) = (Namespace::new(), count());
    let get = |_| ask(namespace.enter(&helper(&home, &simulator)), "get", REGISTRY);
    let first = get(0).secret();
    let (requests, before) = (simulator.journal().len(), files(&home));
    for at_once in [1, 50] {
        let started = Instant::now();
        let answers = in_parallel_by(at_once, calls, get);
        let took = started.elapsed();
        let slowest = answers
            .iter()
            .map(|answer| answer.took)
            .max()
            .unwrap_or_default();
        let rate = rate(calls, took);
        println!(
            "{calls} cached gets, {at_once} at a time: {took:.1?}, {rate}, the slowest in {slowest:.1?}"
        );
        assert_eq!(
            answers.iter().map(Answer::secret).collect::<HashSet<_>>(),
            HashSet::from([first.clone()])
        );
    }
    assert_eq!(
        simulator.journal().len(),
        requests,
        "somebody signed in again"
    );
    assert_eq!(files(&home), before);
    assert_eq!(processes(&home), [""; 0]);
}
