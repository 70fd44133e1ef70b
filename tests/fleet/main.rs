//! Five thousand nodes before one registry: the model's figures, the page that tells them, and fifty real calls beside the model.
#![cfg(target_os = "linux")]

#[path = "../../src/protocol/kubelet/cache_duration.rs"]
mod cache_duration;
mod model;
mod picture;
mod reality;
mod registry;
#[path = "../../src/http/retry_delay.rs"]
mod retry_delay;
#[path = "../support/mod.rs"]
mod support;

use model::{Demand, HOUR, Kept, MINUTE, Outcome, Patience, READS, SECOND, Setup, Time, run};
use std::fmt::Write as _;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kubernetes.md");
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/pictures/fleet.svg");
const AGAIN: &str = "ACRSCOPED_UPDATE_DOCS=1 cargo test --test fleet -- --include-ignored";
const BEGIN: &str = "<!-- begin: tests/fleet -->\n";
const END: &str = "<!-- end: tests/fleet -->\n";

/// Requests a minute of a Basic or Standard registry, and of a Premium one.
const LIMITS: [u64; 2] = [10_000, 20_000];

/// Reads a minute of one identity at the same registries.
const READ_LIMITS: [u64; 2] = [5_000, 10_000];

/// The first minutes, in which the whole fleet starts.
const START: usize = 10;

/// The fleet as shipped, before a Basic or Standard registry.
const SHIPPED: Setup = Setup {
    nodes: 5_000,
    limit: LIMITS[0],
    fills_in: MINUTE,
    reads: None,
    demand: Demand::Always,
    kept: Kept::Spread,
    patience: Patience::Honoured,
    remembers: false,
    until: 6 * HOUR,
};

/// A fleet that runs, under its way of pulling, kept as shipped and kept alike.
struct Steady {
    words: &'static str,
    spread: Outcome,
    alike: Outcome,
}

/// A fleet that starts.
struct Cold {
    setup: Setup,
    outcome: Outcome,
}

impl Outcome {
    fn busiest(per_minute: &[u64]) -> u64 {
        per_minute[START..]
            .iter()
            .copied()
            .max()
            .unwrap_or_default()
    }
}

fn steady() -> Vec<Steady> {
    let cases = [
        ("all the time, so that each renews at once", SHIPPED),
        (
            "the same, with `ACRSCOPED_CACHE=keyutils`",
            Setup {
                remembers: true,
                ..SHIPPED
            },
        ),
        (
            "by chance, every five minutes on average",
            Setup {
                demand: Demand::ByChance,
                ..SHIPPED
            },
        ),
        (
            "in step, a job on every node every five minutes",
            Setup {
                demand: Demand::InStep,
                ..SHIPPED
            },
        ),
    ];
    std::thread::scope(|scope| {
        let runs = cases.map(|(words, setup)| {
            let spread = scope.spawn(move || run(setup));
            (
                words,
                spread,
                scope.spawn(move || {
                    run(Setup {
                        kept: Kept::Alike,
                        ..setup
                    })
                }),
            )
        });
        let done = |run: std::thread::ScopedJoinHandle<'_, Outcome>| {
            run.join().expect("a run of the model")
        };
        runs.map(|(words, spread, alike)| Steady {
            words,
            spread: done(spread),
            alike: done(alike),
        })
        .into()
    })
}

fn cold() -> Vec<Cold> {
    let cases = [
        (LIMITS[0], Patience::Honoured, None),
        (LIMITS[0], Patience::Ignored, None),
        (LIMITS[1], Patience::Honoured, None),
        (LIMITS[0], Patience::Honoured, Some(READ_LIMITS[0])),
        (LIMITS[1], Patience::Honoured, Some(READ_LIMITS[1])),
    ];
    let of = |(limit, patience, reads)| {
        let setup = Setup {
            demand: Demand::Once,
            limit,
            reads,
            patience,
            until: 2 * HOUR,
            ..SHIPPED
        };
        Cold {
            setup,
            outcome: run(setup),
        }
    };
    cases.map(of).into()
}

/// A number with commas between thousands.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits"))
        .collect();
    groups.join(",")
}

fn seconds(time: Time) -> String {
    format!("{} s", time.div_ceil(SECOND))
}

fn tables(steady: &[Steady], cold: &[Cold]) -> String {
    let mut text = format!(
        "A fleet that runs, before a registry of {} requests a minute; after its first {START} minutes, for {} hours.\n\n\
         | the nodes pull | a credential is kept | exchanges in the busiest minute | exchanges and tokens in the busiest minute | refused |\n\
         | --- | --- | ---: | ---: | ---: |\n",
        number(LIMITS[0]),
        SHIPPED.until / HOUR,
    );
    for Steady {
        words,
        spread,
        alike,
    } in steady
    {
        for (words, kept, outcome) in [
            (*words, "as shipped", spread),
            ("", "for the same time by all", alike),
        ] {
            let refused: u64 = outcome.refused[START..].iter().sum();
            let [exchanges, requests] =
                [&outcome.exchanges, &outcome.requests].map(|it| number(Outcome::busiest(it)));
            writeln!(
                text,
                "| {words} | {kept} | {exchanges} | {requests} | {} |",
                number(refused)
            )
            .expect("a string");
        }
    }
    writeln!(
        text,
        "\nA registry of {} a minute refuses none of these.",
        number(LIMITS[1])
    )
    .expect("a string");
    let (starts, with_reads): (Vec<&Cold>, Vec<&Cold>) =
        cold.iter().partition(|cold| cold.setup.reads.is_none());
    let last = |times: &[Time]| seconds(times.last().copied().unwrap_or_default());
    text += "\nA fleet that starts: all nodes within one second, each for one image.\n\n\
             | exchanges and tokens a minute | `Retry-After` | all have a credential after | all have their image after | refused | calls that failed |\n\
             | ---: | --- | ---: | ---: | ---: | ---: |\n";
    for Cold { setup, outcome } in starts {
        let patience = if setup.patience == Patience::Honoured {
            "honoured, as shipped"
        } else {
            "ignored"
        };
        let [refused, failed] =
            [&outcome.refused, &outcome.failed_calls].map(|it| number(it.iter().sum()));
        let (served, pulled) = (last(&outcome.served), last(&outcome.pulled));
        writeln!(
            text,
            "| {} | {patience} | {served} | {pulled} | {refused} | {failed} |",
            number(setup.limit)
        )
        .expect("a string");
    }
    write!(
        text,
        "\nThe same start with one kubelet identity on all nodes: its reads of images have a limit of their own. An image is {READS} reads.\n\n\
         | exchanges and tokens a minute | reads a minute of the identity | all have a credential after | all have their image after | reads that were refused |\n\
         | ---: | ---: | ---: | ---: | ---: |\n"
    )
    .expect("a string");
    for Cold { setup, outcome } in with_reads {
        let [limit, reads, refused] = [
            setup.limit,
            setup.reads.unwrap_or_default(),
            outcome.refused_reads,
        ]
        .map(number);
        let (served, pulled) = (last(&outcome.served), last(&outcome.pulled));
        writeln!(
            text,
            "| {limit} | {reads} | {served} | {pulled} | {refused} |"
        )
        .expect("a string");
    }
    text
}

/// What of it must be so, whatever the figures of the day are.
fn check(steady: &[Steady], cold: &[Cold]) {
    for Steady {
        words,
        spread,
        alike,
    } in steady
    {
        let [spread_peak, alike_peak] =
            [spread, alike].map(|outcome| Outcome::busiest(&outcome.exchanges));
        let factor = if words.starts_with("by chance") { 1 } else { 2 };
        assert!(
            spread_peak * factor < alike_peak,
            "{words}: {spread_peak} spread, {alike_peak} alike"
        );
        assert!(
            spread.refused[START..].iter().sum::<u64>() <= alike.refused[START..].iter().sum(),
            "{words}"
        );
        assert_eq!(spread.served.len(), SHIPPED.nodes, "{words}");
        // So the higher limit refuses nobody.
        let sent = alike
            .requests
            .iter()
            .zip(&alike.refused)
            .map(|(taken, refused)| taken + refused);
        assert!(sent.skip(START).all(|sent| sent < LIMITS[1]), "{words}");
    }
    // Ten times fewer, and a thirtieth of the lowest limit, where the helper alone decides when it comes.
    let [spread, alike] =
        [&steady[0].spread, &steady[0].alike].map(|outcome| Outcome::busiest(&outcome.exchanges));
    assert!(
        alike == 5_000 && spread * 10 <= alike && spread * 30 <= LIMITS[0],
        "{spread} {alike}"
    );
    for Cold { setup, outcome } in cold {
        assert_eq!(
            (outcome.served.len(), outcome.pulled.len()),
            (setup.nodes, setup.nodes),
            "a node never got its image"
        );
        assert!(
            setup.reads.is_some() || outcome.pulled.last() < Some(&(2 * MINUTE)),
            "{:?}",
            outcome.pulled.last()
        );
        // What cannot be read faster than the limit takes at least this long, from a full bucket on.
        let least = setup.reads.map_or(0, |reads| {
            (setup.nodes as u64 * u64::from(READS) - reads) * MINUTE / reads
        });
        assert!(
            outcome.pulled.last() >= Some(&least),
            "{:?}",
            outcome.pulled.last()
        );
        assert!(
            setup.limit == LIMITS[0] || outcome.refused[0] == 0,
            "15,000 requests fit into 20,000"
        );
    }
    let [honoured, ignored] = [0, 1].map(|index| cold[index].outcome.refused.iter().sum::<u64>());
    assert!(honoured < ignored, "{honoured} {ignored}");
}

#[test]
#[ignore = "slow: run tests/run"]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a process edge of its own"
)]
fn the_page_and_the_picture_are_what_the_model_says() {
    let (steady, cold) = (steady(), cold());
    check(&steady, &cold);
    let tables = tables(&steady, &cold);
    println!("{tables}");
    let kept = std::fs::read_to_string(PAGE).expect("docs/kubernetes.md");
    let (before, rest) = kept.split_once(BEGIN).expect("a place for the tables");
    let (_, after) = rest.split_once(END).expect("its end");
    let page = format!("{before}{BEGIN}\n{tables}\n{END}{after}");
    let half_a_day = |kept| {
        run(Setup {
            kept,
            until: 12 * HOUR,
            ..SHIPPED
        })
        .exchanges
    };
    let picture = picture::draw(
        &half_a_day(Kept::Spread),
        &half_a_day(Kept::Alike),
        &cold_lines(&cold),
    );
    if std::env::var_os("ACRSCOPED_UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &page).expect("the folder docs");
        std::fs::write(PICTURE, &picture).expect("the folder docs/pictures");
        return;
    }
    assert!(
        kept == page,
        "docs/kubernetes.md is not what the model says; write it anew with\n  {AGAIN}\nit would say:\n{tables}"
    );
    assert!(
        std::fs::read_to_string(PICTURE).unwrap_or_default() == picture,
        "docs/pictures/fleet.svg is old: {AGAIN}"
    );
}

/// The starts that are drawn, each with its words.
fn cold_lines(cold: &[Cold]) -> Vec<(&'static str, &[Time])> {
    let words = [(2, "20,000 a minute"), (0, "10,000 a minute")];
    words
        .map(|(index, words)| (words, cold[index].outcome.served.as_slice()))
        .into()
}
