//! The listeners: the proxy, the plain pages, the TLS server.

use std::future::Future;
use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::dispatch;
use crate::faults::{BadCertificate, FaultAt, FaultKind};
use crate::journal::Endpoint;
use crate::service::{Door, known_host};
use crate::tls::{Show, server_config};
use crate::wire::{self, Line, Reply, Wire};
use crate::world::World;

/// Serves the proxy and the plain pages until the task is dropped.
pub(crate) async fn serve_plain(world: Arc<World>, listener: TcpListener) {
    accept(listener, move |stream| {
        let world = Arc::clone(&world);
        async move {
            let line = Line::default();
            let wire = Wire::new(stream, line.clone());
            serve(wire, move |request| front(Arc::clone(&world), line.clone(), request)).await;
        }
    })
    .await;
}

/// Serves TLS by server name until the task is dropped.
pub(crate) async fn serve_tls(world: Arc<World>, listener: TcpListener) {
    accept(listener, move |stream| {
        let world = Arc::clone(&world);
        async move {
            let line = Line::default();
            let wire = Wire::new(stream, line.clone());
            serve_inside(world, line, wire, Show::ServerName, Door::Tls).await;
        }
    })
    .await;
}

async fn accept<F, T>(listener: TcpListener, connection: F)
where
    F: Fn(TcpStream) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    loop {
        // A connection that is gone before it is accepted is nobody's loss.
        if let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(connection(stream));
        }
    }
}

/// HTTP/1.1 on any stream. How a connection ends is the client's business, and the faults'.
async fn serve<S, F, T>(stream: S, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> T,
    T: Future<Output = io::Result<Reply>> + Send + 'static,
{
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
    let _ = connection.with_upgrades().await;
}

/// HTTP/1.1 inside TLS on any stream.
async fn serve_inside<S>(world: Arc<World>, line: Line, stream: S, show: Show, door: Door)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Ok(config) = server_config(&world.certificates, show) else {
        return;
    };
    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else {
        return;
    };
    serve(stream, move |request| dispatch::respond(Arc::clone(&world), line.clone(), door.clone(), request)).await;
}

/// A request in the clear: `CONNECT`, or a page of the simulator's own.
async fn front(world: Arc<World>, line: Line, request: Request<Incoming>) -> io::Result<Reply> {
    if request.method() != Method::CONNECT {
        return dispatch::respond(world, line, Door::Plain, request).await;
    }
    let target = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let settings = world.settings();
    let host = known_host(&target, &settings);
    let name = host.clone().unwrap_or_else(|| without_port(&target).to_owned());
    let mut entry = dispatch::new_entry(&request, name.clone(), Endpoint::Connect);
    world.journal.open(&mut entry);
    let reply = connect(&world, &line, name, host.is_some(), request).await;
    if let Ok(reply) = &reply {
        entry.status = reply.status().as_u16();
        world.journal.close(&entry);
    }
    reply
}

async fn connect(world: &Arc<World>, line: &Line, host: String, is_known: bool, request: Request<Incoming>) -> io::Result<Reply> {
    let mut bad: Option<BadCertificate> = None;
    let mut hang_up = false;
    for fault in world.take_faults(&FaultAt::Connect(host.clone())) {
        match fault {
            FaultKind::Certificate(kind) => bad = Some(kind),
            FaultKind::CutBody => hang_up = true,
            other => {
                if let Some(reply) = dispatch::befall(other, line).await? {
                    return Ok(reply);
                }
            }
        }
    }
    if !is_known {
        return Ok(wire::reply(502, "text/plain", format!("no such host: {host}\n")));
    }
    let (world, line) = (Arc::clone(world), line.clone());
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await
            && !hang_up
        {
            let show = Show::Host(without_port(&host).to_owned(), bad);
            serve_inside(world, line, TokioIo::new(upgraded), show, Door::Proxied(host)).await;
        }
    });
    Ok(wire::empty(200))
}

fn without_port(authority: &str) -> &str {
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}
