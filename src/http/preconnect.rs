//! Opens the registry's connection while the identity is still being obtained.
//!
//! A request that is never sent makes the client connect. The connection is taken from it as soon as TLS is established, and the
//! first real request gets it. So the name look-up, TCP and TLS of the registry take no time of their own, and the registry sees
//! one request.

use reqwest::Client;
use std::any::Any;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tower_layer::Layer;
use tower_service::Service;

/// A connection of the type that the client uses, which has no name.
type Pooled = Box<dyn Any + Send>;

/// What the connector does when it is called next.
#[derive(Debug, Default)]
enum State {
    /// It connects.
    #[default]
    Idle,
    /// It connects, and hands the connection over for the first real request.
    Connecting(oneshot::Sender<Pooled>),
    /// It waits for that connection, and ends the request that opened it: the client would else send that one on the next
    /// connection that becomes idle.
    Ready(oneshot::Receiver<Pooled>, AbortHandle),
}

/// A layer around the connector of a client that connects to one host only.
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
        // The task calls the connector as soon as it runs for the first time.
        tokio::task::yield_now().await;
        if let State::Connecting(_) = self.replace(State::Idle) {
            task.abort();
        } else {
            self.replace(State::Ready(receiver, task.abort_handle()));
        }
    }

    fn replace(&self, state: State) -> State {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, state)
    }
}

impl<S> Layer<S> for Preconnect {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector(inner, self.clone())
    }
}

/// The connector of a client with a [`Preconnect`].
#[derive(Clone, Debug)]
pub struct Connector<S>(S, Preconnect);

impl<S, R> Service<R> for Connector<S>
where
    S: Service<R> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let state = self.1.replace(State::Idle);
        let mut inner = self.0.clone();
        Box::pin(async move {
            match state {
                State::Idle => inner.call(request).await,
                State::Connecting(sender) => {
                    let connection = inner.call(request).await?;
                    drop(sender.send(Box::new(connection)));
                    // The request that asked for it must never be sent.
                    std::future::pending().await
                }
                State::Ready(receiver, opening) => {
                    let pooled = receiver.await;
                    opening.abort();
                    match pooled.map(|pooled| pooled.downcast()) {
                        Ok(Ok(connection)) => Ok(*connection),
                        _ => inner.call(request).await,
                    }
                }
            }
        })
    }
}
