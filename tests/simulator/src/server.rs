//! The listeners: the proxy, the plain pages, the TLS server.

use std::future::Future;
use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::dispatch;
use crate::faults::{BadCertificate, FaultAt, FaultKind};
use crate::journal::Endpoint;
use crate::script::{Script, Stage};
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
            serve(wire, line, move |ends, request| {
                front(Arc::clone(&world), ends, request)
            })
            .await;
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
            serve_inside(
                world,
                Inside {
                    line,
                    show: Show::ServerName,
                    door: Door::Tls,
                    hangs_up: false,
                },
                wire,
            )
            .await;
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

/// The two ends of a connection that faults get hold of: TCP below, HTTP above.
#[derive(Clone, Debug)]
pub(crate) struct Ends {
    pub(crate) line: Line,
    pub(crate) script: Script,
}

/// HTTP/1.1 on any stream. How a connection ends is the client's business, and the faults'.
async fn serve<S, F, T>(stream: S, line: Line, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Ends, Request<Incoming>) -> T,
    T: Future<Output = io::Result<Reply>> + Send + 'static,
{
    let ends = Ends {
        line,
        script: Script::default(),
    };
    let stage = Stage::new(stream, ends.script.clone());
    let service = service_fn(move |request| answer(ends.clone(), request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stage), service);
    let _ = connection.with_upgrades().await;
}

/// What goes on inside TLS.
struct Inside {
    line: Line,
    show: Show,
    door: Door,
    hangs_up: bool,
}

/// HTTP/1.1 inside TLS on any stream.
async fn serve_inside<S>(world: Arc<World>, inside: Inside, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Inside {
        line,
        show,
        door,
        hangs_up,
    } = inside;
    let Ok(config) = server_config(&world.certificates, show) else {
        return;
    };
    let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await else {
        return;
    };
    if hangs_up {
        let _ = stream.shutdown().await;
        return;
    }
    serve(stream, line, move |ends, request| {
        dispatch::respond(Arc::clone(&world), ends, door.clone(), request)
    })
    .await;
}

/// A request in the clear: `CONNECT`, or a page of the simulator's own.
async fn front(world: Arc<World>, ends: Ends, request: Request<Incoming>) -> io::Result<Reply> {
    if request.method() != Method::CONNECT {
        return dispatch::respond(world, ends, Door::Plain, request).await;
    }
    let target = request
        .uri()
        .authority()
        .map(ToString::to_string)
        .unwrap_or_default();
    let settings = world.settings();
    let host = known_host(&target, &settings);
    let name = host
        .clone()
        .unwrap_or_else(|| without_port(&target).to_owned());
    let mut entry = dispatch::new_entry(&request, name.clone(), Endpoint::Connect);
    world.journal.open(&mut entry);
    let reply = connect(&world, &ends, name, host.is_some(), request).await;
    if let Ok(reply) = &reply {
        entry.status = reply.status().as_u16();
        world.journal.close(&entry);
    }
    reply
}

async fn connect(
    world: &Arc<World>,
    ends: &Ends,
    host: String,
    is_known: bool,
    request: Request<Incoming>,
) -> io::Result<Reply> {
    let mut bad: Option<BadCertificate> = None;
    let (mut is_cut, mut hangs_up) = (false, false);
    for fault in world.take_faults(&FaultAt::Connect(host.clone())) {
        match fault {
            FaultKind::Certificate(kind) => bad = Some(kind),
            FaultKind::CutBody => is_cut = true,
            FaultKind::HangUp => hangs_up = true,
            other => {
                if let Some(reply) = dispatch::befall(other, ends).await? {
                    return Ok(reply);
                }
            }
        }
    }
    if !is_known {
        return Ok(wire::reply(
            502,
            "text/plain",
            format!("no such host: {host}\n"),
        ));
    }
    let (world, line) = (Arc::clone(world), ends.line.clone());
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await
            && !is_cut
        {
            let show = Show::Host(without_port(&host).to_owned(), bad);
            let inside = Inside {
                line,
                show,
                door: Door::Proxied(host),
                hangs_up,
            };
            serve_inside(world, inside, TokioIo::new(upgraded)).await;
        }
    });
    Ok(wire::empty(200))
}

fn without_port(authority: &str) -> &str {
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
}
