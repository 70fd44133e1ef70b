//! The async runtime, for what must be waited for. A cached answer needs none.

use crate::error::Error;

/// Does the work, and ends it in order when somebody ends the program: a child that was started ends with it.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Input(format!("no async runtime: {error}")))?;
    let result = runtime.block_on(unless_interrupted(work));
    // A name look-up that hangs must not keep us.
    runtime.shutdown_background();
    result
}

async fn unless_interrupted<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        if let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals {
            return tokio::select! {
                result = work => result,
                _ = interrupt.recv() => Err(Error::Interrupted),
                _ = terminate.recv() => Err(Error::Interrupted),
                _ = hangup.recv() => Err(Error::Interrupted),
            };
        }
    }
    #[cfg(windows)]
    {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
        if let (Ok(mut interrupt), Ok(mut terminate), Ok(mut close)) = (ctrl_c(), ctrl_break(), ctrl_close()) {
            return tokio::select! {
                result = work => result,
                _ = interrupt.recv() => Err(Error::Interrupted),
                _ = terminate.recv() => Err(Error::Interrupted),
                _ = close.recv() => Err(Error::Interrupted),
            };
        }
    }
    work.await
}
