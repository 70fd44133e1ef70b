//! Opens the registry's connection while the identity is still being obtained.
//!
//! A request that is never sent makes the client connect. The connection is taken from it as soon as TLS is established, and the
//! first real request gets it. So the name look-up, TCP and TLS of the registry take no time of their own, and the registry sees
//! one request.

use reqwest::Client;
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

/// A connection of the type that the client uses, which has no name.
type Pooled = Box<dyn Any + Send>;

/// What happens when the client connects next.
#[derive(Debug, Default)]
enum State {
    /// It gets a connection of its own.
    #[default]
    Idle,
    /// The connection is handed over for the first real request.
    Connecting(oneshot::Sender<Pooled>),
    /// It gets that connection, and the request that opened it ends: the client would else send that one on the next connection
    /// that becomes idle.
    Ready(oneshot::Receiver<Pooled>, AbortHandle),
}

/// The connection of a client that connects to one host only.
#[derive(Clone, Debug, Default)]
pub struct Preconnect(Arc<Mutex<State>>);

impl Preconnect {
    /// Begins to open the connection to `url`, in a task of the running runtime. If that fails, the first real request connects by
    /// itself and reports why it could not.
    pub async fn open(&self, client: &Client, url: &str) {
        let (sender, receiver) = oneshot::channel();
        self.replace(State::Connecting(sender));
        let request = client.get(url).send();
        let task = tokio::spawn(async move { drop(request.await) });
        // The task begins to connect as soon as it runs for the first time.
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
        // Taken now: another request may connect before this future runs.
        let state = self.replace(State::Idle);
        async move {
            match state {
                State::Idle => connect.await,
                State::Connecting(sender) => {
                    drop(sender.send(Box::new(connect.await?)));
                    // The request that asked for it must never be sent.
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
