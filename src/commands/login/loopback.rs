//! A port of this machine to which the browser comes back (RFC 8252, section 7.3).
//!
//! Whoever can reach it may ask for anything: strangers get 404, and only a request with the state of this sign-in ends the wait. Each
//! is given little room and little time.

use super::page;
use secrecy::{ExposeSecret, SecretString};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

/// The longest head of a request that is read: a code has some thousand bytes, and browsers send cookies of other ports along.
const HEAD_LIMIT: usize = 64 * 1024;

/// How long one connection may take to say what it wants, or to take its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections are listened to at a time: browsers open some in advance.
const CONNECTIONS: usize = 32;

/// A port on which we listen.
pub(super) struct Loopback {
    listener: TcpListener,
    /// The same port of IPv6, where there is one: `localhost` may be either, and Entra knows no other name of this machine.
    other: Option<TcpListener>,
    port: u16,
}

/// Somebody who came back from Entra.
pub(super) struct Returned {
    /// The authorization code, or what Entra said in its place. Not yet made printable.
    pub(super) answer: Result<SecretString, String>,
    /// Who still waits for a page.
    pub(super) stream: Window,
}

/// A browser that waits for its page.
pub(super) struct Window(TcpStream);

impl Loopback {
    pub(super) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let other = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok();
        Ok(Self { listener, other, port })
    }

    /// The address to come back to. Of `localhost` Entra looks at everything but the port (Microsoft, "Redirect URI restrictions").
    pub(super) fn address(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Waits for the one who brings this state, for as long as the caller does.
    pub(super) async fn returned(&self, state: &SecretString) -> Returned {
        let mut asked = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.accept(), if asked.len() < CONNECTIONS => {
                    let (state, port) = (state.clone(), self.port);
                    asked.spawn(async move { tokio::time::timeout(PATIENCE, listen(accepted, &state, port)).await.ok().flatten() });
                }
                told = asked.join_next(), if !asked.is_empty() => {
                    if let Some(Ok(Some(returned))) = told {
                        return returned;
                    }
                }
            }
        }
    }

    async fn accept(&self) -> TcpStream {
        loop {
            let other = async {
                match &self.other {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                accepted = other => accepted,
            };
            match accepted {
                Ok((stream, _)) => return stream,
                // It broke at once, or no file is left to this process.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

impl Window {
    /// Shows the page, and sees to it that it arrives before we end: a connection that is closed with something unread is reset.
    pub(super) async fn show(mut self, page: &str) {
        let shown = async {
            self.0.write_all(page.as_bytes()).await?;
            self.0.shutdown().await?;
            let mut rest = [0; 1024];
            while self.0.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        };
        // Who does not take the page has signed in all the same.
        drop(tokio::time::timeout(Duration::from_secs(2), shown).await);
    }
}

/// Who it is, if it is the one: everybody else is answered here.
async fn listen(mut stream: TcpStream, state: &SecretString, port: u16) -> Option<Returned> {
    let head = head(&mut stream).await.ok().flatten();
    let answer = head.as_ref().and_then(|head| understand(head, state, port));
    let stream = Window(stream);
    if let Some(answer) = answer {
        return Some(Returned { answer, stream });
    }
    stream.show(&page::not_found()).await;
    None
}

/// The head of a request, if it comes to an end in the room there is.
async fn head(stream: &mut TcpStream) -> io::Result<Option<SecretString>> {
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(HEAD_LIMIT));
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        if bytes.len() >= HEAD_LIMIT || stream.read_buf(&mut *bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(std::str::from_utf8(&bytes).ok().map(SecretString::from))
}

/// What Entra sent along, if the request is for this address and has the state. Another host name would be that of a page that tries every
/// port of whoever opens it.
fn understand(head: &SecretString, state: &SecretString, port: u16) -> Option<Result<SecretString, String>> {
    let mut lines = head.expose_secret().split("\r\n");
    let target = lines.next()?.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?;
    let host = lines.find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("host")))?.1.trim();
    let is_ours = ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| host == format!("{name}:{port}"));
    let url = Url::parse("http://localhost").ok()?.join(target).ok().filter(|url| is_ours && url.path() == "/")?;
    let field = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
    if field("state")? != state.expose_secret() {
        return None;
    }
    match (field("code").filter(|code| !code.is_empty()), field("error")) {
        (Some(code), None) => Some(Ok(code.into())),
        (_, Some(error)) => Some(Err(field("error_description").filter(|said| !said.is_empty()).unwrap_or(error))),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_who_brings_the_state_to_this_address_is_understood() {
        let understand = |head: &str| {
            let answer = super::understand(&head.into(), &"s".into(), 80)?;
            Some(answer.map(|code| code.expose_secret().to_owned()))
        };
        let host = "Host: localhost:80\r\n\r\n";
        for (head, answer) in [
            (format!("GET /?code=c&state=s HTTP/1.1\r\n{host}"), Some(Ok("c".to_owned()))),
            (format!("GET /?code=c%2B1&state=s HTTP/1.1\r\nAccept: x\r\n{host}"), Some(Ok("c+1".to_owned()))),
            (format!("GET /?error=access_denied&state=s HTTP/1.1\r\n{host}"), Some(Err("access_denied".to_owned()))),
            (
                format!("GET /?error=access_denied&error_description=AADSTS65004:+no&state=s HTTP/1.1\r\n{host}"),
                Some(Err("AADSTS65004: no".to_owned())),
            ),
            (format!("GET /?code=c&state=other HTTP/1.1\r\n{host}"), None),
            (format!("GET /?code=c HTTP/1.1\r\n{host}"), None),
            (format!("GET /?state=s HTTP/1.1\r\n{host}"), None),
            (format!("GET /?code=&state=s HTTP/1.1\r\n{host}"), None),
            (format!("GET /favicon.ico HTTP/1.1\r\n{host}"), None),
            (format!("GET /other?code=c&state=s HTTP/1.1\r\n{host}"), None),
            (format!("POST /?code=c&state=s HTTP/1.1\r\n{host}"), None),
            ("GET /?code=c&state=s HTTP/1.1\r\nHost: evil.example:80\r\n\r\n".to_owned(), None),
            ("GET /?code=c&state=s HTTP/1.1\r\n\r\n".to_owned(), None),
            ("\u{16}\u{3}\u{1}".to_owned(), None),
        ] {
            assert_eq!(understand(&head), answer, "{head}");
        }
    }
}
