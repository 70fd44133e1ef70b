//! The async runtime, for what must be waited for. A cached answer needs none.

use crate::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::{Builder, Handle};

/// See [`end_in_order`].
static ENDS_IN_ORDER: AtomicBool = AtomicBool::new(false);

/// From now on, Ctrl-C and its like end the work in order, and the process by its error; for the program, whose process it is. Once that
/// was done, a signal no longer ends a process by itself, which no library may do to its program.
pub fn end_in_order() {
    ENDS_IN_ORDER.store(true, Ordering::Relaxed);
}

/// Does the work, and ends it in order when somebody ends the program: a child that was started ends with it.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| without("async runtime", &error))?;
    let result = runtime.block_on(unless_interrupted(work));
    // A name look-up that hangs must not keep us.
    runtime.shutdown_background();
    result
}

/// Does work that may call [`run`], in a thread of its own if a runtime is running in this one: there cannot be two.
pub(crate) fn beside_others<T: Send>(
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    if Handle::try_current().is_err() {
        return work();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .spawn_scoped(scope, work)
            .map_err(|error| without("thread", &error))?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn without(what: &str, error: &std::io::Error) -> Error {
    Error::input(format!("no {what}: {error}"))
}

async fn unless_interrupted<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    #[cfg(unix)]
    if ENDS_IN_ORDER.load(Ordering::Relaxed) {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ]
        .map(signal);
        if let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals {
            return tokio::select! {
                result = work => result,
                _ = interrupt.recv() => Err(Error::interrupted()),
                _ = terminate.recv() => Err(Error::interrupted()),
                _ = hangup.recv() => Err(Error::interrupted()),
            };
        }
    }
    #[cfg(windows)]
    {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        if let (Ok(mut interrupt), Ok(mut terminate), Ok(mut close)) =
            (ctrl_c(), ctrl_break(), ctrl_close())
        {
            return tokio::select! {
                result = work => result,
                _ = interrupt.recv() => Err(Error::interrupted()),
                _ = terminate.recv() => Err(Error::interrupted()),
                _ = close.recv() => Err(Error::interrupted()),
            };
        }
    }
    work.await
}
