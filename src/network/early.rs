//! The registry's connection, opened while the identity is still being obtained.
//!
//! A request that is never sent makes the client connect; the connection is taken from it as soon as TLS stands, and the first real
//! request gets it. So the name look-up, TCP and TLS of the registry cost no time of their own, and the registry sees one request.

use reqwest::Client;
use std::any::Any;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tower_layer::Layer;
use tower_service::Service;

/// A connection of whatever type the client uses.
type Held = Box<dyn Any + Send>;

/// What the next call for a connection is.
#[derive(Default)]
enum Next {
    /// An ordinary one.
    #[default]
    Ordinary,
    /// The one that only opens the connection.
    Opening(oneshot::Sender<Held>),
    /// The first that needs it: it waits for it, and ends the request that was only to open it. That one would else be sent
    /// on the next connection that falls free.
    Waiting(oneshot::Receiver<Held>, AbortHandle),
}

/// A layer around a client's connector; the client may speak to one host only.
#[derive(Clone, Default)]
pub struct EarlyConnection {
    next: Arc<Mutex<Next>>,
}

impl std::fmt::Debug for EarlyConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EarlyConnection")
    }
}

impl EarlyConnection {
    /// Begins to open the connection to `url`, in a task of the running runtime. If that does not succeed, the first real request
    /// connects by itself and tells why it could not.
    pub async fn open(&self, client: &Client, url: &str) {
        let (sender, receiver) = oneshot::channel();
        self.put(Next::Opening(sender));
        let request = client.get(url).send();
        let task = tokio::spawn(async move { drop(request.await) });
        // The task asks for its connection as soon as it runs for the first time.
        tokio::task::yield_now().await;
        if let Next::Opening(_) = self.take() {
            task.abort();
        } else {
            self.put(Next::Waiting(receiver, task.abort_handle()));
        }
    }

    fn take(&self) -> Next {
        self.next
            .lock()
            .map(|mut next| std::mem::take(&mut *next))
            .unwrap_or_default()
    }

    fn put(&self, value: Next) {
        if let Ok(mut next) = self.next.lock() {
            *next = value;
        }
    }
}

impl<S> Layer<S> for EarlyConnection {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector {
            inner,
            early: self.clone(),
        }
    }
}

/// The connector of a client with an early connection.
#[derive(Clone, Debug)]
pub struct Connector<S> {
    inner: S,
    early: EarlyConnection,
}

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
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let next = self.early.take();
        let mut inner = self.inner.clone();
        Box::pin(async move {
            match next {
                Next::Ordinary => inner.call(request).await,
                Next::Opening(sender) => {
                    let connection = inner.call(request).await?;
                    drop(sender.send(Box::new(connection)));
                    // The request that asked for it is never to be sent.
                    std::future::pending().await
                }
                Next::Waiting(receiver, opening) => {
                    let held = receiver.await;
                    opening.abort();
                    match held.map(|held| held.downcast()) {
                        Ok(Ok(connection)) => Ok(*connection),
                        _ => inner.call(request).await,
                    }
                }
            }
        })
    }
}
