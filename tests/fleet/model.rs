//! A registry with limits, and a fleet of nodes that pull from it: a simulation by events, with two files of the product: how long a
//! credential is kept (`cache_duration`), and when a request is sent again (`retry_delay`).

use crate::cache_duration::cache_duration;
use crate::registry::Bucket;
use crate::retry_delay::retry_delay;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Times are milliseconds since the start.
pub(crate) type Time = u64;

pub(crate) const SECOND: Time = 1_000;
pub(crate) const MINUTE: Time = 60 * SECOND;
pub(crate) const HOUR: Time = 60 * MINUTE;

/// A registry's refresh token lives for three hours (Microsoft's documentation, and recordings).
const LIFE: Time = 3 * HOUR;

/// In its last minute a token is not handed out.
const SPENT: Time = MINUTE;

/// All that one call may take, unless it is set otherwise.
const DEADLINE: Time = 30 * SECOND;

/// The time from a request to its answer.
const ROUND_TRIP: Time = 100;

/// containerd asks twice for the token of a pull: it offers user and password by POST, which registries of Azure refuse, and then by GET.
const TOKEN_REQUESTS: u32 = 2;

/// Reads of one image: its name resolved, index, manifest, configuration, and six layers. Microsoft counts each of them.
pub(crate) const READS: u32 = 10;

/// How kubelet waits after a pull that failed: 10 s, doubled up to 5 min, until it next looks at the pod, up to 10 s later.
const FIRST_BACKOFF: Time = 10 * SECOND;
const LONGEST_BACKOFF: Time = 5 * MINUTE;
const LOOKS_EVERY: Time = 10 * SECOND;

/// A generator of random numbers that are the same each time: `SplitMix64`.
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn word(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }
}

/// When nodes want to pull.
#[derive(Clone, Copy)]
pub(crate) enum Demand {
    /// One image each, all within a second: the machines were switched on together.
    Once,
    /// As soon as the credential has ended: the busiest fleet there can be.
    Always,
    /// By chance, every five minutes on average.
    ByChance,
    /// A job on every node every five minutes, in step, within ten seconds.
    InStep,
}

/// For how long a credential is kept by kubelet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// As shipped.
    Spread,
    /// The middle of that for all.
    Alike,
}

/// What is done with `Retry-After`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As shipped.
    Honoured,
    /// The same without it: the next try comes as after any other failure.
    Ignored,
}

/// One fleet and one registry.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) nodes: usize,
    /// Exchanges and tokens in a full bucket.
    pub(crate) limit: u64,
    /// The time in which an empty bucket becomes full.
    pub(crate) fills_in: Time,
    /// Reads a minute of the one identity that all nodes have, where they are counted.
    pub(crate) reads: Option<u64>,
    pub(crate) demand: Demand,
    pub(crate) kept: Kept,
    pub(crate) patience: Patience,
    /// Whether the helper remembers tokens beside kubelet, as it does for the node's identity where `cache` names a store.
    pub(crate) remembers: bool,
    pub(crate) until: Time,
}

/// What came of it. A minute's requests are those that the registry took.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Exchanges of each minute.
    pub(crate) exchanges: Vec<u64>,
    /// All requests of each minute.
    pub(crate) requests: Vec<u64>,
    /// Requests that were refused, of each minute.
    pub(crate) refused: Vec<u64>,
    /// Reads of images that were refused.
    pub(crate) refused_reads: u64,
    /// Calls of the helper that ended without a credential, of each minute.
    pub(crate) failed_calls: Vec<u64>,
    /// When each node first had a credential, in order.
    pub(crate) served: Vec<Time>,
    /// When each node first had its image, in order.
    pub(crate) pulled: Vec<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// kubelet wants an image.
    Pull,
    /// The helper sends its exchange for the so many-th time in a call that ends at that time.
    Exchange { tried: u32, deadline: Time },
    /// The runtime has sent this many of its requests for a token.
    Token { sent: u32 },
    /// The runtime reads the next part of the image.
    Read,
}

#[derive(Clone, Copy, Default)]
struct Node {
    /// Until when kubelet keeps the credential.
    kept_until: Time,
    /// When the helper's token was received, if it remembers one.
    received: Option<Time>,
    failures: u32,
    /// How much of the image is there. What was read stays after a pull that failed.
    read: u32,
    served: bool,
    pulled: bool,
}

struct Fleet {
    setup: Setup,
    registry: Bucket,
    reads: Option<Bucket>,
    nodes: Vec<Node>,
    events: BinaryHeap<Reverse<(Time, u64, usize, Step)>>,
    order: u64,
    random: Random,
    outcome: Outcome,
}

/// Runs a set-up to its end; the same one always goes the same way.
pub(crate) fn run(setup: Setup) -> Outcome {
    let registry = Bucket::full(setup.limit, setup.fills_in);
    let reads = setup.reads.map(|limit| Bucket::full(limit, MINUTE));
    let minutes = usize::try_from(setup.until / MINUTE + 1).expect("a small number");
    let none = || vec![0; minutes];
    let outcome = Outcome {
        exchanges: none(),
        requests: none(),
        refused: none(),
        failed_calls: none(),
        ..Outcome::default()
    };
    let nodes = vec![Node::default(); setup.nodes];
    let mut fleet = Fleet {
        setup,
        registry,
        reads,
        nodes,
        events: BinaryHeap::new(),
        order: 0,
        random: Random(1),
        outcome,
    };
    for node in 0..setup.nodes {
        let at = fleet.random.below(SECOND);
        fleet.plan(at, node, Step::Pull);
    }
    while let Some(Reverse((now, _, node, step))) = fleet.events.pop() {
        if now >= setup.until {
            break;
        }
        match step {
            Step::Pull => fleet.pull(now, node),
            Step::Exchange { tried, deadline } => fleet.exchange(now, node, tried, deadline),
            Step::Token { sent } => fleet.token(now, node, sent),
            Step::Read => fleet.read(now, node),
        }
    }
    fleet.outcome
}

impl Fleet {
    fn plan(&mut self, at: Time, node: usize, step: Step) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, node, step)));
    }

    fn take(&mut self, now: Time) -> Result<(), u64> {
        let taken = self.registry.take(now);
        match taken {
            Ok(()) => self.outcome.requests[minute(now)] += 1,
            Err(_) => self.outcome.refused[minute(now)] += 1,
        }
        taken
    }

    fn pull(&mut self, now: Time, node: usize) {
        let it = self.nodes[node];
        if now < it.kept_until {
            self.token(now, node, 0);
        } else if let Some(received) = it.received.filter(|received| now < received + LIFE / 2) {
            self.serve(now, node, received);
        } else {
            self.exchange(now, node, 1, now + DEADLINE);
        }
    }

    fn exchange(&mut self, now: Time, node: usize, tried: u32, deadline: Time) {
        let Err(asked) = self.take(now) else {
            self.outcome.exchanges[minute(now)] += 1;
            self.serve(now + ROUND_TRIP, node, now);
            return;
        };
        let asked = (self.setup.patience == Patience::Honoured).then_some(asked);
        let left = Duration::from_millis(deadline.saturating_sub(now + ROUND_TRIP));
        if let Some(wait) = retry_delay(tried, asked, left, self.random.byte()) {
            let at = now + ROUND_TRIP + milliseconds(wait);
            self.plan(
                at,
                node,
                Step::Exchange {
                    tried: tried + 1,
                    deadline,
                },
            );
        } else if let Some(received) = self.nodes[node]
            .received
            .filter(|received| now + SPENT < received + LIFE)
        {
            // A token that is still good is better than none.
            self.serve(now, node, received);
        } else {
            self.outcome.failed_calls[minute(now)] += 1;
            // kubelet has the runtime pull without a credential: it asks for an anonymous token, and gets none.
            let _ = self.take(now);
            self.fail(now, node);
        }
    }

    /// Gives kubelet a credential that was received at that time.
    fn serve(&mut self, now: Time, node: usize, received: Time) {
        let random = match self.setup.kept {
            Kept::Spread => self.random.word(),
            Kept::Alike => u32::MAX / 2,
        };
        let kept = cache_duration(
            Duration::from_millis((received + LIFE).saturating_sub(now)),
            random,
        );
        let it = &mut self.nodes[node];
        it.kept_until = now + milliseconds(kept);
        it.received = self.setup.remembers.then_some(received);
        if !std::mem::replace(&mut it.served, true) {
            self.outcome.served.push(now);
        }
        self.plan(now, node, Step::Token { sent: 0 });
    }

    /// The runtime asks for the token of a pull.
    fn token(&mut self, now: Time, node: usize, sent: u32) {
        if matches!(self.setup.demand, Demand::Always) || sent == TOKEN_REQUESTS {
            self.read(now, node);
        } else if self.take(now).is_ok() {
            self.plan(now + ROUND_TRIP, node, Step::Token { sent: sent + 1 });
        } else {
            self.fail(now, node);
        }
    }

    /// Reads the parts of an image, one after the other. They are not counted with the exchanges.
    fn read(&mut self, now: Time, node: usize) {
        let Some(bucket) = &mut self.reads else {
            return self.pulled(now, node);
        };
        if self.nodes[node].read == READS {
            self.pulled(now, node);
        } else if bucket.take(now).is_ok() {
            self.nodes[node].read += 1;
            self.plan(now + ROUND_TRIP, node, Step::Read);
        } else {
            self.outcome.refused_reads += 1;
            self.fail(now, node);
        }
    }

    fn pulled(&mut self, now: Time, node: usize) {
        let it = &mut self.nodes[node];
        it.failures = 0;
        let kept_until = it.kept_until;
        if !std::mem::replace(&mut it.pulled, true) {
            self.outcome.pulled.push(now);
        }
        let at = match self.setup.demand {
            Demand::Once => return,
            Demand::Always => kept_until,
            Demand::ByChance => now + self.random.below(10 * MINUTE),
            Demand::InStep => {
                (now / (5 * MINUTE) + 1) * 5 * MINUTE + self.random.below(10 * SECOND)
            }
        };
        self.plan(at, node, Step::Pull);
    }

    fn fail(&mut self, now: Time, node: usize) {
        let failures = &mut self.nodes[node].failures;
        let backoff = LONGEST_BACKOFF.min(FIRST_BACKOFF << (*failures).min(10));
        *failures += 1;
        let at = now + backoff + self.random.below(LOOKS_EVERY);
        self.plan(at, node, Step::Pull);
    }
}

fn milliseconds(time: Duration) -> Time {
    Time::try_from(time.as_millis()).expect("hours")
}

fn minute(now: Time) -> usize {
    usize::try_from(now / MINUTE).expect("a small number")
}
