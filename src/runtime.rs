//! The async runtime, for work that waits. A cached answer needs none.

use crate::error::{Error, ErrorKind};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::{Builder, Handle};
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

static HANDLES_SIGNALS: AtomicBool = AtomicBool::new(false);

/// Installs handlers for Ctrl-C and its like that cancel the work of this module with [`ErrorKind::Interrupted`]. Call it from binaries only,
/// not from a library: once they are installed, these signals no longer end the process by themselves.
pub fn install_signal_handlers() {
    HANDLES_SIGNALS.store(true, Ordering::Relaxed);
}

/// Runs the work until it is done or a signal cancels it. Dropping the work kills the children that it started.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unavailable("async runtime", &error))?;
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            () = interruption() => Err(Error::interrupted()),
            result = work => result,
        }
    });
    // A name look-up that hangs must not delay the exit.
    runtime.shutdown_background();
    result
}

/// Does work that may call [`run`]. If this thread already belongs to a runtime, the work gets a thread of its own, because runtimes cannot be
/// nested.
pub(crate) fn block_on_blocking_thread<T: Send>(
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    if Handle::try_current().is_err() {
        return work();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .spawn_scoped(scope, work)
            .map_err(|error| unavailable("thread", &error))?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn unavailable(what: &str, error: &io::Error) -> Error {
    Error::new(ErrorKind::System, format!("no {what}: {error}"))
}

/// Completes when a signal asks the process to end. Without handlers it never does.
async fn interruption() {
    let handles_signals = HANDLES_SIGNALS.load(Ordering::Relaxed);
    let Some(Ok((mut first, mut second, mut third))) = handles_signals.then(signals) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
        _ = third.recv() => {}
    }
}

#[cfg(unix)]
fn signals() -> io::Result<(Signal, Signal, Signal)> {
    let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
    Ok((
        signal(interrupt)?,
        signal(terminate)?,
        signal(SignalKind::hangup())?,
    ))
}

#[cfg(windows)]
fn signals() -> io::Result<(CtrlC, CtrlBreak, CtrlClose)> {
    Ok((ctrl_c()?, ctrl_break()?, ctrl_close()?))
}
