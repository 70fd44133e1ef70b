//! trial
#![allow(clippy::all, clippy::pedantic)]
mod model;
use model::*;
use std::time::Duration;

pub(crate) fn cache_duration(remaining: Duration, random: u32) -> Duration {
    let life = remaining.min(Duration::from_secs(86400)).as_secs();
    let (shortest, longest) = (life * 2 / 5, life / 2);
    let spread = u128::from(longest - shortest + 1) * u128::from(random) >> u32::BITS;
    Duration::from_secs(shortest + u64::try_from(spread).unwrap_or_default())
}

#[test]
fn trial() {
    let base = Setup { nodes: 5000, limit: 10_000, refill: Refill::Steady, demand: Demand::Once, kept: Kept::Spread, patience: Patience::Honoured, remembers: true, until: HOUR };
    println!("cold");
    for limit in [10_000, 20_000, 5_000] { for refill in [Refill::Steady, Refill::EachMinute] { for patience in [Patience::Honoured, Patience::Ignored] {
        let o = run(Setup { limit, refill, patience, ..base });
        println!("limit {limit} steady {} honoured {}: served {} last {} pulled {} last {} refused {} failed {} sent {}", refill == Refill::Steady, patience == Patience::Honoured, o.served.len(), o.served.last().unwrap(), o.pulled.len(), o.pulled.last().unwrap(), o.refused, o.failed_calls, o.exchanges_sent);
    }}}
    for (d, name) in [(Demand::Always, "always"), (Demand::ByChance, "chance"), (Demand::InStep, "step")] { for remembers in [true, false] { for kept in [Kept::Spread, Kept::Alike] { for limit in [10_000, 20_000] {
        let t = std::time::Instant::now();
        let o = run(Setup { limit, demand: d, kept, remembers, until: 12 * HOUR, ..base });
        let peak = |v: &[u64]| *v[10..].iter().max().unwrap();
        println!("{name} remembers {remembers} spread {} limit {limit}: peak exch {} peak req {} refused {} failed {} total exch {} ({:?})", kept == Kept::Spread, peak(&o.exchanges), peak(&o.requests), o.refused, o.failed_calls, o.exchanges.iter().sum::<u64>(), t.elapsed());
    }}}}
}
