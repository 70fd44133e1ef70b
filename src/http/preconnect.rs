//! Opens the registry's connection while the identity is still being obtained.
//!
//! A dummy request makes the client connect. Our connector takes the connection as soon as TLS is established, and gives it to the first
//! real request. The dummy request is never sent, so that the registry sees one request, and its name look-up, TCP and TLS cost no time.

use reqwest::Client;
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// A connection of the client. Its type has no name.
type Pooled = Box<dyn Any + Send>;

/// What happens when the client connects next.
#[derive(Debug, Default)]
enum State {
    /// The client gets a new connection.
    #[default]
    Idle,
    /// The dummy request is connecting. Its connection goes to the sender.
    Connecting(oneshot::Sender<Pooled>),
    /// The next request gets that connection, and the dummy request is aborted. Otherwise the client would send it on the next idle
    /// connection.
    Ready(oneshot::Receiver<Pooled>, AbortHandle),
}

/// The connection of a client that connects to one host only.
#[derive(Clone, Debug, Default)]
pub struct Preconnect(Arc<Mutex<State>>);

impl Preconnect {
    /// Starts to open the connection to `url`, in a task of the running runtime. If that fails, the first real request opens its own
    /// connection and reports the failure.
    pub async fn open(&self, client: &Client, url: &str) {
        let (sender, receiver) = oneshot::channel();
        self.replace(State::Connecting(sender));
        let request = client.get(url).send();
        let task = tokio::spawn(async move { drop(request.await) });
        // The task starts to connect when it first runs.
        tokio::task::yield_now().await;
        if let State::Connecting(_) = self.replace(State::Idle) {
            task.abort();
        } else {
            self.replace(State::Ready(receiver, task.abort_handle()));
        }
    }

    /// Returns the connection for the client's next request. `connect` opens one when it is awaited.
    pub(super) fn connection<F, C, E>(
        &self,
        connect: F,
    ) -> impl Future<Output = Result<C, E>> + use<F, C, E>
    where
        F: Future<Output = Result<C, E>>,
        C: Send + 'static,
    {
        // Read now: another request may connect before this future runs.
        let state = self.replace(State::Idle);
        async move {
            match state {
                State::Idle => connect.await,
                State::Connecting(sender) => {
                    drop(sender.send(Box::new(connect.await?)));
                    // The dummy request must never be sent.
                    std::future::pending().await
                }
                State::Ready(receiver, opening) => {
                    let pooled = receiver.await;
                    opening.abort();
                    match pooled.map(|pooled| pooled.downcast()) {
                        Ok(Ok(connection)) => Ok(*connection),
                        _ => connect.await,
                    }
                }
            }
        }
    }

    fn replace(&self, state: State) -> State {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, state)
    }
}
