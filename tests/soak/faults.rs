//! Faults in proportion to the requests that come.

use simulator::{Endpoint, Fault, FaultAt, FaultKind, Simulator};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Of a hundred requests: how many are told to come again in a second, are reset, are slow.
const THROTTLED: u64 = 5;
const RESET: u64 = 2;
const SLOW: u64 = 1;

/// What was asked and what went wrong on purpose.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) sign_ins: usize,
    pub(crate) exchanges: usize,
    pub(crate) throttled: usize,
    pub(crate) reset: usize,
    pub(crate) slow: usize,
}

impl Account {
    /// How many requests were refused or cut off.
    pub(crate) fn faults(&self) -> usize {
        self.throttled + self.reset
    }

    fn note(&mut self, endpoint: Endpoint) -> Option<FaultAt> {
        match endpoint {
            Endpoint::EntraToken | Endpoint::AppService => self.sign_ins += 1,
            Endpoint::Exchange => self.exchanges += 1,
            _ => return None,
        }
        Some(match endpoint {
            Endpoint::Exchange => FaultAt::Exchange,
            Endpoint::AppService => FaultAt::AppService,
            _ => FaultAt::Authority,
        })
    }

    fn draw(&mut self, number: u64) -> Option<FaultKind> {
        let percent = scramble(number) % 100;
        Some(if percent < THROTTLED {
            self.throttled += 1;
            FaultKind::too_many_requests(1)
        } else if percent < THROTTLED + RESET {
            self.reset += 1;
            FaultKind::Reset
        } else if percent < THROTTLED + RESET + SLOW {
            self.slow += 1;
            FaultKind::Delay { ms: 1_500 }
        } else {
            return None;
        })
    }
}

/// Runs the work while, for every request that has come, one of the next to the same service may go wrong.
pub(crate) fn during<T>(simulator: &Simulator, work: impl FnOnce() -> T) -> (T, Account) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let injector = scope.spawn(|| inject(simulator, &done));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Relaxed);
        let account = injector.join().expect("the injector does not panic");
        (
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            account,
        )
    })
}

fn inject(simulator: &Simulator, done: &AtomicBool) -> Account {
    let (mut account, mut seen) = (Account::default(), 0);
    loop {
        let last = done.load(Ordering::Relaxed);
        for entry in simulator.journal().into_iter().skip(seen) {
            seen += 1;
            let at = account.note(entry.endpoint);
            if !last
                && let Some((at, kind)) = at.and_then(|at| Some((at, account.draw(entry.seq)?)))
            {
                simulator.change(|settings| settings.faults.push(Fault::once(at, kind)));
            }
        }
        if last {
            return account;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A number that looks like chance and is the same in every run (`SplitMix64`).
pub(crate) fn scramble(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
