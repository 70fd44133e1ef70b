//! Spreads the times at which the nodes of a fleet request their next token. `tests/fleet` compiles this file, too.

use std::time::Duration;

/// The longest life of a token that is counted.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns how long kubelet caches a credential that is valid for `remaining`: from two fifths to one half of that, or of a day if it is
/// longer. `random` is a uniform random number that chooses the second.
///
/// The other half is left for pulls that have begun, and for a registry that cannot issue another token for a while. The spread is for
/// fleets: nodes that started at the same time and pull the same image would otherwise always come back at the same time.
///
/// With `life` the whole seconds of `remaining`, `2 * life / 5 <= seconds <= life / 2` in integers. That can be 0, which kubelet does not
/// cache, for less than three seconds.
pub fn cache_duration(remaining: Duration, random: u32) -> Duration {
    let life = remaining.min(MAX_LIFETIME).as_secs();
    let (shortest, longest) = (life * 2 / 5, life / 2);
    let spread = (u128::from(longest - shortest + 1) * u128::from(random)) >> u32::BITS;
    Duration::from_secs(shortest + u64::try_from(spread).unwrap_or_default())
}
