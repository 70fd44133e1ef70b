//! The port of this machine to which the browser returns (RFC 8252, section 7.3).
//!
//! Any local program can connect. Only a request with the `state` of this sign-in, from a program of this user, ends the wait; all others
//! get 404. The time, the size and the number of connections are bounded.

use super::page;
#[cfg(target_os = "linux")]
use super::peer;
use secrecy::{ExposeSecret, SecretString};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use url::form_urlencoded;

/// A code has some thousand bytes, and browsers also send the cookies of other local ports.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long one connection may take for its request and its response.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the last page may take to arrive.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Browsers open some connections in advance.
const MAX_CONNECTIONS: usize = 32;

/// How many ports are tried at most, if other programs listen on the same port of IPv6.
const MAX_PORTS: usize = 64;

/// A port that listens for the browser.
pub(super) struct Loopback {
    ipv4: TcpListener,
    /// The same port of IPv6, if this machine has it. `localhost` may be either, and Entra accepts no other name.
    ipv6: Option<TcpListener>,
    port: u16,
}

/// The response of Entra (RFC 6749, section 4.1.2), which the browser brings.
pub(super) struct AuthorizationResponse {
    /// The authorization code, or the error of Entra, which is not yet printable.
    pub(super) code: Result<SecretString, String>,
    /// The browser, which waits for a page.
    pub(super) connection: Connection,
}

/// A connection of a browser or another program.
pub(super) struct Connection(TcpStream);

impl Loopback {
    /// Binds a free port.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub(super) async fn bind() -> io::Result<Self> {
        Self::bind_with(async |port| TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await).await
    }

    async fn bind_with(ipv6: impl AsyncFn(u16) -> io::Result<TcpListener>) -> io::Result<Self> {
        // Ports in use stay open until another is found, so that the system does not assign them again.
        let mut in_use = Vec::new();
        loop {
            let ipv4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let port = ipv4.local_addr()?.port();
            let ipv6 = match ipv6(port).await {
                Ok(listener) => Some(listener),
                Err(error) if is_ipv6_unavailable(&error) => None,
                // The browser could send the code to the other program.
                Err(error) if is_in_use(&error) && in_use.len() < MAX_PORTS => {
                    in_use.push(ipv4);
                    continue;
                }
                Err(error) => return Err(error),
            };
            return Ok(Self { ipv4, ipv6, port });
        }
    }

    /// Returns the redirect URI. Entra ignores the port of `localhost` (Microsoft, "Redirect URI restrictions").
    pub(super) fn address(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Waits for the response with this state, without a limit of time.
    pub(super) async fn response(&self, state: &SecretString) -> AuthorizationResponse {
        let mut requests = JoinSet::new();
        let mut handles: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            tokio::select! {
                connection = self.accept() => {
                    handles.retain(|handle| !handle.is_finished());
                    if handles.len() >= MAX_CONNECTIONS {
                        // A browser sends its request at once, so that the oldest is not the one.
                        handles.pop_front().inspect(AbortHandle::abort);
                    }
                    let request = connection.serve(state.clone(), self.port);
                    handles.push_back(requests.spawn(tokio::time::timeout(CONNECTION_TIMEOUT, request)));
                }
                served = requests.join_next(), if !requests.is_empty() => {
                    if let Some(Ok(Ok(Some(response)))) = served {
                        return response;
                    }
                }
            }
        }
    }

    async fn accept(&self) -> Connection {
        let ipv6 = self.ipv6.as_ref().unwrap_or(&self.ipv4);
        loop {
            let accepted = tokio::select! {
                accepted = self.ipv4.accept() => accepted,
                accepted = ipv6.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => return Connection(stream),
                // The connection is closed again, or this process has too many open files.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

impl Connection {
    /// Shows the last page. The sign-in does not depend on whether it arrives.
    pub(super) async fn finish(self, page: &str) {
        drop(tokio::time::timeout(PAGE_TIMEOUT, self.send(page)).await);
    }

    /// Returns the response of Entra, or sends 404.
    async fn serve(mut self, state: SecretString, port: u16) -> Option<AuthorizationResponse> {
        let head = read_head(&mut self.0).await.ok().flatten();
        let code = head.and_then(|head| parse_code(&head, &state, port));
        #[cfg(target_os = "linux")]
        let code = code.filter(|_| !peer::is_other_user(&self.0));
        let Some(code) = code else {
            drop(self.send(&page::not_found()).await);
            return None;
        };
        let connection = self;
        Some(AuthorizationResponse { code, connection })
    }

    /// Sends a whole response, and reads until the other side closes: TCP resets a connection that is closed with unread input.
    async fn send(mut self, response: &str) -> io::Result<()> {
        self.0.write_all(response.as_bytes()).await?;
        self.0.shutdown().await?;
        tokio::io::copy(&mut self.0, &mut tokio::io::sink()).await?;
        Ok(())
    }
}

/// Returns whether this machine has no IPv6, so that no other program has the port of it either.
fn is_ipv6_unavailable(error: &io::Error) -> bool {
    #[cfg(unix)]
    let is_unsupported =
        error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    // `WSAEAFNOSUPPORT`.
    #[cfg(not(unix))]
    let is_unsupported = error.raw_os_error() == Some(10_047);
    is_unsupported || error.kind() == io::ErrorKind::AddrNotAvailable
}

/// Returns whether another program has the port. Windows may report that as a missing permission.
fn is_in_use(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, PermissionDenied};
    matches!(error.kind(), AddrInUse | PermissionDenied)
}

/// Reads the head of a request. `None` if it is incomplete, too long or not UTF-8.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SecretString>> {
    const END: &[u8] = b"\r\n\r\n";
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(MAX_HEAD_BYTES));
    let mut searched = 0;
    while !bytes[searched..].windows(END.len()).any(|end| end == END) {
        // Searches only new bytes, and those before them that may begin the end.
        searched = bytes.len().saturating_sub(END.len() - 1);
        if bytes.len() >= MAX_HEAD_BYTES || stream.read_buf(&mut *bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(std::str::from_utf8(&bytes).ok().map(SecretString::from))
}

/// Returns the code or the error of Entra, if the request is for this address and has the state. With another `Host` it comes from a web page
/// that tries the ports of its visitors.
fn parse_code(
    head: &SecretString,
    state: &SecretString,
    port: u16,
) -> Option<Result<SecretString, String>> {
    let (request_line, headers) = head.expose_secret().split_once("\r\n")?;
    let target = request_line.strip_prefix("GET ")?;
    let query = target.strip_suffix(" HTTP/1.1")?.strip_prefix("/?")?;
    let mut headers = headers.lines().filter_map(|line| line.split_once(':'));
    let (_, host) = headers.find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    let is_local = |name: &&str| host.trim() == format!("{name}:{port}");
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .find(|name| is_local(name))?;
    let field = |wanted: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, value)| name == wanted && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    };
    if field("state")? != state.expose_secret() {
        return None;
    }
    match field("error") {
        Some(error) => Some(Err(field("error_description").unwrap_or(error))),
        None => field("code").map(|code| Ok(code.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_to_this_address_with_the_state_is_a_response() {
        let parse = |head: &str| {
            let code = parse_code(&head.into(), &"s".into(), 80)?;
            Some(code.map(|code| code.expose_secret().to_owned()))
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
            assert_eq!(parse(&head), answer, "{head}");
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
    fn a_head_may_arrive_in_parts() {
        let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for at in 0..request.len() {
            let (first, second) = request.as_bytes().split_at(at);
            let head = block_on(read_head(&mut first.chain(second)));
            assert_eq!(head.unwrap().unwrap().expose_secret(), request, "{at}");
        }
        for head in ["GET / HTTP/1.1\r\n", &"a".repeat(2 * MAX_HEAD_BYTES)] {
            let read = block_on(read_head(&mut head.as_bytes()));
            assert!(read.unwrap().is_none());
        }
    }

    #[test]
    fn silent_connections_do_not_keep_the_browser_out() {
        let response = block_on(async {
            let loopback = Loopback::bind().await.unwrap();
            let (state, port) = (SecretString::from("s"), loopback.port);
            let mut streams = Vec::new();
            let visit = async {
                for at in 0..3 * MAX_CONNECTIONS {
                    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
                    let mut stream = stream.unwrap();
                    if at % 2 == 0 {
                        stream.write_all(b"G").await.unwrap();
                    }
                    streams.push(stream);
                    tokio::task::yield_now().await;
                }
                let browser = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
                let mut browser = browser.unwrap();
                let request =
                    format!("GET /?code=c&state=s HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
                browser.write_all(request.as_bytes()).await.unwrap();
                streams.push(browser);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                response = tokio::time::timeout(CONNECTION_TIMEOUT / 2, loopback.response(&state)) => response,
                () = visit => unreachable!(),
            }
        });
        let code = response.expect("in time").code.unwrap();
        assert_eq!(code.expose_secret(), "c");
    }

    #[test]
    fn a_port_that_another_program_has_on_ipv6_is_not_used() {
        let bind = |taken: usize, then: Option<io::ErrorKind>| {
            let ports = std::cell::RefCell::new(Vec::new());
            let loopback = block_on(Loopback::bind_with(async |port| {
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
                    .map(|it| (it.ipv6.is_some(), it.port == *ports.last().unwrap()))
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
    fn a_missing_address_and_a_port_in_use_are_distinguished() {
        use io::ErrorKind::{AddrInUse, AddrNotAvailable, ConnectionReset};
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let error = std::net::TcpListener::bind(taken.local_addr().unwrap()).unwrap_err();
        assert!(is_in_use(&error) && !is_ipv6_unavailable(&error));
        assert!(
            is_ipv6_unavailable(&AddrNotAvailable.into()) && !is_in_use(&AddrNotAvailable.into())
        );
        assert!(
            !is_ipv6_unavailable(&AddrInUse.into())
                && !is_ipv6_unavailable(&ConnectionReset.into())
        );
        #[cfg(unix)]
        assert!(is_ipv6_unavailable(&rustix::io::Errno::AFNOSUPPORT.into()));
    }
}
