//! A port of this machine to which the browser comes back (RFC 8252, section 7.3).
//!
//! Whoever can reach it may ask for anything: strangers get 404, and only a request with the state of this sign-in, by a program of this
//! user, ends the wait. Each is given little room and little time.

use super::page;
#[cfg(unix)]
use super::peer;
use secrecy::{ExposeSecret, SecretString};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use url::Url;

/// The longest head of a request that is read: a code has some thousand bytes, and browsers send cookies of other ports along.
const HEAD_LIMIT: usize = 64 * 1024;

/// How long one connection may take to say what it wants, or to take its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections are listened to at a time: browsers open some in advance.
const CONNECTIONS: usize = 32;

/// How many ports are given up at most because somebody else has the same one of IPv6.
const PORTS: usize = 64;

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

/// Somebody who is listened to.
struct Guest {
    task: AbortHandle,
    /// Whether a byte came.
    has_spoken: Arc<AtomicBool>,
}

impl Loopback {
    pub(super) async fn bind() -> io::Result<Self> {
        Self::bind_beside(async |port| TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await).await
    }

    async fn bind_beside(other: impl AsyncFn(u16) -> io::Result<TcpListener>) -> io::Result<Self> {
        // A port that was of no use is kept until another is found, lest it be given again.
        let mut taken = Vec::new();
        loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let port = listener.local_addr()?.port();
            let other = match other(port).await {
                Ok(other) => Some(other),
                Err(error) if is_without_ipv6(&error) => None,
                // Somebody else listens where the browser may come back to.
                Err(error) if is_taken(&error) && taken.len() < PORTS => {
                    taken.push(listener);
                    continue;
                }
                Err(error) => return Err(error),
            };
            return Ok(Self {
                listener,
                other,
                port,
            });
        }
    }

    /// The address to come back to. Of `localhost` Entra looks at everything but the port (Microsoft, "Redirect URI restrictions").
    pub(super) fn address(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Waits for the one who brings this state, for as long as the caller does.
    pub(super) async fn returned(&self, state: &SecretString) -> Returned {
        let mut asked = JoinSet::new();
        let mut guests: VecDeque<Guest> = VecDeque::new();
        loop {
            tokio::select! {
                accepted = self.accept() => {
                    guests.retain(|guest| !guest.task.is_finished());
                    if guests.len() >= CONNECTIONS {
                        // Whoever has something to say says it at once.
                        let silent = guests.iter().position(|guest| !guest.has_spoken.load(Ordering::Relaxed));
                        guests.remove(silent.unwrap_or_default()).inspect(|guest| guest.task.abort());
                    }
                    let (state, port, has_spoken) = (state.clone(), self.port, Arc::new(AtomicBool::new(false)));
                    let spoken = has_spoken.clone();
                    let listened = async move { tokio::time::timeout(PATIENCE, listen(accepted, &state, port, &spoken)).await };
                    let task = asked.spawn(async move { listened.await.ok().flatten() });
                    guests.push_back(Guest { task, has_spoken });
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

/// Whether this machine has no IPv6, so that nobody else can have it either.
fn is_without_ipv6(error: &io::Error) -> bool {
    #[cfg(unix)]
    let is_unknown = error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    // `WSAEAFNOSUPPORT`.
    #[cfg(not(unix))]
    let is_unknown = error.raw_os_error() == Some(10_047);
    is_unknown || error.kind() == io::ErrorKind::AddrNotAvailable
}

/// Whether somebody else has the port; Windows calls that a matter of permission.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

/// Who it is, if it is the one: everybody else is answered here.
async fn listen(
    mut stream: TcpStream,
    state: &SecretString,
    port: u16,
    has_spoken: &AtomicBool,
) -> Option<Returned> {
    let head = head(&mut stream, has_spoken).await.ok().flatten();
    let answer = head
        .as_ref()
        .and_then(|head| understand(head, state, port))
        .filter(|_| !is_stranger(&stream));
    let stream = Window(stream);
    if let Some(answer) = answer {
        return Some(Returned { answer, stream });
    }
    stream.show(&page::not_found()).await;
    None
}

/// Whether it is the program of another user of this machine.
#[cfg(unix)]
fn is_stranger(stream: &TcpStream) -> bool {
    let user = rustix::process::geteuid().as_raw();
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(ours), Ok(theirs)) => peer::is_stranger(&peer::tables(), user, ours, theirs),
        // It has gone.
        _ => true,
    }
}

/// Whether it is the program of another user, which is not known here.
#[cfg(not(unix))]
fn is_stranger(_: &TcpStream) -> bool {
    false
}

/// The head of a request, if it comes to an end in the room there is.
async fn head(stream: &mut TcpStream, has_spoken: &AtomicBool) -> io::Result<Option<SecretString>> {
    const END: &[u8] = b"\r\n\r\n";
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(HEAD_LIMIT));
    let mut searched = 0;
    while !bytes[searched..].windows(END.len()).any(|end| end == END) {
        // Only what is new is searched, and what an end may have begun with.
        searched = bytes.len().saturating_sub(END.len() - 1);
        if bytes.len() >= HEAD_LIMIT || stream.read_buf(&mut *bytes).await? == 0 {
            return Ok(None);
        }
        has_spoken.store(true, Ordering::Relaxed);
    }
    Ok(std::str::from_utf8(&bytes).ok().map(SecretString::from))
}

/// What Entra sent along, if the request is for this address and has the state. Another host name would be that of a page that tries every
/// port of whoever opens it.
fn understand(
    head: &SecretString,
    state: &SecretString,
    port: u16,
) -> Option<Result<SecretString, String>> {
    let mut lines = head.expose_secret().split("\r\n");
    let target = lines
        .next()?
        .strip_prefix("GET ")?
        .strip_suffix(" HTTP/1.1")?;
    let host = lines
        .find_map(|line| {
            line.split_once(':')
                .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        })?
        .1
        .trim();
    let is_ours = ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|name| host == format!("{name}:{port}"));
    let url = Url::parse("http://localhost")
        .ok()?
        .join(target)
        .ok()
        .filter(|url| is_ours && url.path() == "/")?;
    let field = |wanted: &str| {
        url.query_pairs()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
    };
    if field("state")? != state.expose_secret() {
        return None;
    }
    match (
        field("code").filter(|code| !code.is_empty()),
        field("error"),
    ) {
        (Some(code), None) => Some(Ok(code.into())),
        (_, Some(error)) => Some(Err(field("error_description")
            .filter(|said| !said.is_empty())
            .unwrap_or(error))),
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
            (
                format!("GET /?code=c&state=s HTTP/1.1\r\n{host}"),
                Some(Ok("c".to_owned())),
            ),
            (
                format!("GET /?code=c%2B1&state=s HTTP/1.1\r\nAccept: x\r\n{host}"),
                Some(Ok("c+1".to_owned())),
            ),
            (
                format!("GET /?error=access_denied&state=s HTTP/1.1\r\n{host}"),
                Some(Err("access_denied".to_owned())),
            ),
            (
                format!(
                    "GET /?error=access_denied&error_description=AADSTS65004:+no&state=s HTTP/1.1\r\n{host}"
                ),
                Some(Err("AADSTS65004: no".to_owned())),
            ),
            (format!("GET /?code=c&state=other HTTP/1.1\r\n{host}"), None),
            (format!("GET /?code=c HTTP/1.1\r\n{host}"), None),
            (format!("GET /?state=s HTTP/1.1\r\n{host}"), None),
            (format!("GET /?code=&state=s HTTP/1.1\r\n{host}"), None),
            (format!("GET /favicon.ico HTTP/1.1\r\n{host}"), None),
            (
                format!("GET /other?code=c&state=s HTTP/1.1\r\n{host}"),
                None,
            ),
            (format!("POST /?code=c&state=s HTTP/1.1\r\n{host}"), None),
            (
                "GET /?code=c&state=s HTTP/1.1\r\nHost: evil.example:80\r\n\r\n".to_owned(),
                None,
            ),
            ("GET /?code=c&state=s HTTP/1.1\r\n\r\n".to_owned(), None),
            ("\u{16}\u{3}\u{1}".to_owned(), None),
        ] {
            assert_eq!(understand(&head), answer, "{head}");
        }
    }
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn connections_that_stay_silent_keep_nobody_out() {
        let returned = block_on(async {
            let loopback = Loopback::bind().await.unwrap();
            let (state, port) = (SecretString::from("s"), loopback.port);
            let mut silent = Vec::new();
            let asked = async {
                for at in 0..3 * CONNECTIONS {
                    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                        .await
                        .unwrap();
                    if at % 2 == 0 {
                        stream.write_all(b"G").await.unwrap();
                    }
                    silent.push(stream);
                    tokio::task::yield_now().await;
                }
                let mut browser = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                    .await
                    .unwrap();
                // The end of the head comes in two parts.
                for part in [
                    format!("GET /?code=c&state=s HTTP/1.1\r\nHost: localhost:{port}\r\n\r"),
                    "\n".to_owned(),
                ] {
                    browser.write_all(part.as_bytes()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                silent.push(browser);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                returned = tokio::time::timeout(PATIENCE / 2, loopback.returned(&state)) => returned,
                () = asked => unreachable!(),
            }
        });
        assert_eq!(
            returned.expect("in time").answer.unwrap().expose_secret(),
            "c"
        );
    }

    #[test]
    fn a_port_whose_twin_of_ipv6_is_somebody_elses_is_not_used() {
        let bind = |taken: usize, then: Option<io::ErrorKind>| {
            let ports = std::cell::RefCell::new(Vec::new());
            let loopback = block_on(Loopback::bind_beside(async |port| {
                ports.borrow_mut().push(port);
                match then {
                    _ if ports.borrow().len() <= taken => Err(io::ErrorKind::AddrInUse.into()),
                    Some(kind) => Err(kind.into()),
                    None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await,
                }
            }));
            let ports = ports.into_inner();
            (
                loopback
                    .map(|it| (it.other.is_some(), it.port == *ports.last().unwrap()))
                    .map_err(|error| error.kind()),
                ports,
            )
        };
        let (bound, mut ports) = bind(2, None);
        assert_eq!(bound, Ok((true, true)));
        ports.dedup();
        assert_eq!(ports.len(), 3, "{ports:?}");
        assert_eq!(
            bind(0, Some(io::ErrorKind::AddrNotAvailable)).0,
            Ok((false, true))
        );
        assert_eq!(bind(usize::MAX, None).0, Err(io::ErrorKind::AddrInUse));
        assert_eq!(
            bind(0, Some(io::ErrorKind::OutOfMemory)).0,
            Err(io::ErrorKind::OutOfMemory)
        );
    }

    #[test]
    fn an_address_that_cannot_be_had_is_told_from_one_that_is_taken() {
        use io::ErrorKind::{AddrInUse, AddrNotAvailable, ConnectionReset};
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = std::net::TcpListener::bind(taken.local_addr().unwrap()).unwrap_err();
        assert!(is_taken(&error) && !is_without_ipv6(&error));
        assert!(is_without_ipv6(&AddrNotAvailable.into()) && !is_taken(&AddrNotAvailable.into()));
        assert!(!is_without_ipv6(&AddrInUse.into()) && !is_without_ipv6(&ConnectionReset.into()));
        #[cfg(unix)]
        assert!(is_without_ipv6(&rustix::io::Errno::AFNOSUPPORT.into()));
    }
}
