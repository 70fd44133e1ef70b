//! A real docker-registry behind a simulated one: requests and answers are streamed through.

use std::io;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::wire::Reply;

/// What concerns one connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 2] = [CONNECTION, TRANSFER_ENCODING];

/// Sends a request on to a registry over plain http and returns its answer.
pub(crate) async fn pass_on(
    backend: &str,
    host: &str,
    mut head: Parts,
    body: Incoming,
) -> io::Result<Reply> {
    let address = backend.trim_start_matches("http://").trim_end_matches('/');
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);

    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse::<Uri>().map_err(io::Error::other)?;
    for name in &HOP_BY_HOP {
        head.headers.remove(name);
    }
    // From these two the registry makes the addresses in its Location headers.
    head.headers
        .insert(HOST, HeaderValue::from_str(host).map_err(io::Error::other)?);
    head.headers
        .insert("x-forwarded-proto", HeaderValue::from_static("https"));

    let answer = sender
        .send_request(Request::from_parts(head, body))
        .await
        .map_err(io::Error::other)?;
    let (mut head, body) = answer.into_parts();
    for name in &HOP_BY_HOP {
        head.headers.remove(name);
    }
    Ok(Response::from_parts(
        head,
        body.map_err(io::Error::other).boxed_unsync(),
    ))
}
