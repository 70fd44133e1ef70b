//! Answers of an exchange, sent by a TLS server on loopback: a line with the status, lines with headers, an empty line, a body.
#![no_main]

use docker_credential_acrscoped::properties::Exchange;
use reqwest::Client;
use rustls::pki_types::PrivateKeyDer;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

const HOST: &str = "contoso.azurecr.io";

/// What the server answers next.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| WORLD.with_borrow_mut(|world| world.ask(input)));

struct World {
    runtime: Runtime,
    client: Client,
    exchange: Exchange,
}

impl World {
    fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let address = runtime.block_on(serve());
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve(HOST, address)
            .tls_danger_accept_invalid_certs(true)
            .timeout(Duration::from_millis(300))
            .build()
            .expect("a client");
        Self { runtime, client, exchange: Exchange::new(SystemTime::now) }
    }

    fn ask(&mut self, input: &[u8]) {
        let (answer, status) = framed(input);
        *ANSWER.lock().expect("no panic before") = answer;
        self.runtime.block_on(self.exchange.answer(&self.client, status, SystemTime::now));
    }
}

/// The answer as it is sent, and its status. Only header lines that leave the connection as it is are sent: a new one costs more time
/// than a hundred answers.
fn framed(input: &[u8]) -> (Vec<u8>, u16) {
    let (head, body) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = lines.next().and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
    let status: u16 = status.filter(|status| (200..1000).contains(status)).unwrap_or(200);
    let mut answer = format!("HTTP/1.1 {status} x\r\n").into_bytes();
    for line in lines.filter(|line| is_harmless(line)) {
        answer.extend_from_slice(line);
        answer.extend_from_slice(b"\r\n");
    }
    let body = if [204, 304].contains(&status) { &[][..] } else { body };
    answer.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    answer.extend_from_slice(body);
    (answer, status)
}

fn is_harmless(line: &[u8]) -> bool {
    let Some(at) = line.iter().position(|byte| *byte == b':') else { return false };
    let name = line[..at].to_ascii_lowercase();
    let of_connection: [&[u8]; 4] = [b"connection", b"content-length", b"transfer-encoding", b"upgrade"];
    let is_name = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    is_name && !of_connection.contains(&&name[..]) && !line.iter().any(|byte| byte.is_ascii_control())
}

async fn serve() -> SocketAddr {
    let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("a key that fits")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("a socket");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket");
            tokio::spawn(converse(acceptor.clone(), stream));
        }
    });
    address
}

/// Answers every request on a connection. One request comes in one record or two: head and form.
async fn converse(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        request.extend_from_slice(&chunk[..read]);
        if request.ends_with(b"access_token=opaque") {
            request.clear();
            let answer = ANSWER.lock().expect("no panic before").clone();
            if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
    }
}
