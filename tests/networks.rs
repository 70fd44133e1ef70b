//! Networks as they are: proxies, private CAs, portals, one dead address family, and the early connection.
#![cfg(target_os = "linux")]

mod support;

use simulator::{CLIENT, Endpoint, Entry, Fault, FaultAt, FaultKind, Raw, Simulator};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::{Answer, Home, LIMIT, REGISTRY, ask, helper, run, world};

const AUTHORITY: &str = "login.microsoftonline.com";

/// What came in by `CONNECT`, and everything else.
fn journal(simulator: &Simulator) -> (Vec<Entry>, Vec<Entry>) {
    simulator
        .journal()
        .into_iter()
        .partition(|entry| entry.endpoint == Endpoint::Connect)
}

fn hosts(entries: &[Entry]) -> Vec<&str> {
    let mut hosts: Vec<&str> = entries.iter().map(|entry| entry.host.as_str()).collect();
    hosts.sort_unstable();
    hosts
}

/// A helper that waits for no network longer than a few seconds.
fn impatient(home: &Home, simulator: &Simulator) -> Command {
    let mut command = helper(home, simulator);
    command.env("ACRSCOPED_TIMEOUT", "2");
    command
}

/// A server of one thread that answers every connection by `serve`, until its socket is closed with the test.
fn serve(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("a socket");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A request's head, with the empty line at its end.
fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A proxy before the simulator's that wants this user and password.
fn guarded_proxy(simulator: &Simulator, user_and_password: &str) -> SocketAddr {
    let upstream = simulator.origin().trim_start_matches("http://").to_owned();
    let encoded = Command::new("sh")
        .args(["-c", r#"printf %s "$0" | base64 -w0"#, user_and_password])
        .output();
    let expected = format!(
        "basic {}",
        String::from_utf8(encoded.expect("coreutils").stdout).expect("base64")
    );
    serve(move |mut client| {
        let asked = head(&mut client);
        let given = asked.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("proxy-authorization: ")
                .map(|_| line)
        });
        let given = given
            .and_then(|line| line.split_once(": "))
            .map(|(_, value)| value.replacen("Basic", "basic", 1));
        if given.as_deref() != Some(&expected) {
            let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
            let _ = client.write_all(refusal.as_bytes());
            return;
        }
        let Ok(mut server) = TcpStream::connect(&upstream) else {
            return;
        };
        let _ = server.write_all(asked.as_bytes());
        let (Ok(mut client_in), Ok(mut server_in)) = (client.try_clone(), server.try_clone())
        else {
            return;
        };
        thread::spawn(move || std::io::copy(&mut client_in, &mut server));
        let _ = std::io::copy(&mut server_in, &mut client);
    })
}

#[test]
fn a_proxy_gets_the_user_and_password_of_its_url() {
    let (home, simulator) = world();
    for (password, written) in [("tiger", "tiger"), ("a@b:c/d e", "a%40b%3Ac%2Fd%20e")] {
        let proxy = guarded_proxy(&simulator, &format!("scott:{password}"));
        simulator.clear_journal();
        let mut command = helper(&home, &simulator);
        command.env("HTTPS_PROXY", format!("http://scott:{written}@{proxy}"));
        ask(command, "get", REGISTRY).succeeds();
        assert_eq!(hosts(&journal(&simulator).0), [REGISTRY, AUTHORITY]);
    }
}

#[test]
fn no_part_of_a_password_with_an_at_sign_is_shown() {
    let (home, simulator) = world();
    let proxy = guarded_proxy(&simulator, "scott:tiger");
    let mut command = helper(&home, &simulator);
    command
        .env("HTTPS_PROXY", format!("http://scott:first@canary@{proxy}"))
        .args(["doctor", REGISTRY]);
    let answer = run(command, "", LIMIT);
    assert!(answer.text().contains(&proxy.to_string()), "{answer:#?}");
    assert!(!answer.text().contains("canary"), "{answer:#?}");
}

#[test]
fn a_proxy_that_refuses_a_password_is_named_without_it() {
    let (home, simulator) = world();
    let proxy = guarded_proxy(&simulator, "scott:tiger");
    for user in ["scott:canary@", ""] {
        let mut command = helper(&home, &simulator);
        command
            .env("HTTPS_PROXY", format!("http://{user}{proxy}"))
            .env("ACRSCOPED_LOG", "debug");
        let answer = ask(command, "get", REGISTRY).fails();
        assert_eq!(
            answer.stdout,
            format!("the proxy http://{proxy} answered 407 when asked to connect to {AUTHORITY}\n")
        );
        assert!(
            answer.stderr.contains("`HTTPS_PROXY` is set to ")
                && answer.stderr.contains(&proxy.to_string()),
            "{answer:#?}"
        );
        assert!(
            !answer.text().contains("canary") && !answer.text().contains("scott"),
            "{answer:#?}"
        );
    }
    assert!(simulator.journal().is_empty());
}

/// The second question about the status goes in clear text.
#[test]
fn a_password_goes_to_no_other_connection_than_that_of_the_proxy() {
    let (home, simulator) = world();
    let heard = Arc::new(Mutex::new(vec![]));
    let bytes = Arc::clone(&heard);
    let proxy = serve(move |mut client| {
        let mut start = [0; 1024];
        let length = client.read(&mut start).unwrap_or(0);
        bytes.lock().unwrap().extend_from_slice(&start[..length]);
        let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    });
    for (scheme, expected) in [
        (
            "https",
            format!("cannot connect to the proxy https://{proxy}: "),
        ),
        (
            "http",
            format!("the proxy http://{proxy} refused when asked to connect to {AUTHORITY}"),
        ),
    ] {
        heard.lock().unwrap().clear();
        let mut command = helper(&home, &simulator);
        command.env("HTTPS_PROXY", format!("{scheme}://scott:tiger@{proxy}"));
        let answer = ask(command, "get", REGISTRY).fails();
        assert!(answer.stdout.starts_with(&expected), "{answer:#?}");
        let text = String::from_utf8_lossy(&heard.lock().unwrap()).to_lowercase();
        // Only the requests of the HTTP client say who asks.
        let [passwords, own] =
            ["proxy-authorization", "user-agent"].map(|name| text.matches(name).count());
        assert_eq!((passwords, own > 0), (own, scheme == "http"), "{text}");
    }
}

#[test]
fn a_proxy_that_misbehaves_is_told_and_named() {
    let garbage = |bytes: &[u8]| {
        FaultKind::Raw(Raw {
            start: bytes.to_vec(),
            ..Raw::default()
        })
    };
    for (kind, cause) in [
        (
            FaultKind::status(502),
            "the proxy PROXY answered 502 when asked to connect to login.microsoftonline.com\n",
        ),
        (
            FaultKind::status(403),
            "the proxy PROXY answered 403 when asked to connect to login.microsoftonline.com\n",
        ),
        (
            FaultKind::status(407),
            "the proxy PROXY answered 407 when asked to connect to login.microsoftonline.com\n",
        ),
        // Whether it is noticed by TLS or by the proxy hanging up is a matter of time.
        (FaultKind::Html, "no "),
        (
            garbage(b"SSH-2.0-OpenSSH\r\n"),
            "the proxy PROXY gave no valid answer when asked to connect to login.microsoftonline.com\n",
        ),
        (
            garbage(b""),
            "the proxy PROXY gave no valid answer when asked to connect to login.microsoftonline.com\n",
        ),
        (
            garbage(&b"A".repeat(64 * 1024)),
            "the proxy PROXY gave no valid answer when asked to connect to login.microsoftonline.com\n",
        ),
        (
            FaultKind::Reset,
            "the proxy PROXY gave no valid answer when asked to connect to login.microsoftonline.com\n",
        ),
        (
            FaultKind::CutBody,
            "no connection to login.microsoftonline.com: ",
        ),
    ] {
        let (home, simulator) = world();
        simulator.change(|settings| {
            settings.faults = vec![Fault::always(FaultAt::Connect("*".into()), kind.clone())];
        });
        let answer = ask(helper(&home, &simulator), "get", REGISTRY).fails();
        println!("{kind:?}: {}", answer.stdout);
        let cause = cause.replace("PROXY", &simulator.origin());
        assert!(answer.stdout.starts_with(&cause), "{kind:?}: {answer:#?}");
        assert!(
            answer
                .stderr
                .contains(&format!("`HTTPS_PROXY` is set to {}", simulator.origin())),
            "{answer:#?}"
        );
        assert!(journal(&simulator).1.is_empty());
    }
}

#[test]
fn a_proxy_that_never_answers_does_not_keep_anybody() {
    let (home, simulator) = world();
    // The connections wait in the queue of a socket that nobody reads.
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let mut command = impatient(&home, &simulator);
    command.env(
        "HTTPS_PROXY",
        format!("http://{}", silent.local_addr().expect("a socket")),
    );
    let answer = ask(command, "get", REGISTRY).fails();
    assert!(
        answer
            .stdout
            .starts_with("timed out after 2 s waiting for an access token from service principal "),
        "{answer:#?}"
    );
}

#[test]
fn a_proxy_that_never_answers_is_named() {
    let (home, simulator) = world();
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let proxy = silent.local_addr().expect("a socket").to_string();
    let mut command = impatient(&home, &simulator);
    command.env("HTTPS_PROXY", format!("http://{proxy}"));
    let answer = ask(command, "get", REGISTRY).fails();
    assert!(answer.stderr.contains(&proxy), "{answer:#?}");
}

/// A proxy of another company: it knows no host of ours, and shows certificates of its own CA.
fn other_company() -> Simulator {
    Simulator::start(simulator::Settings::default()).expect("a simulator")
}

#[test]
fn an_inspecting_proxy_is_not_trusted_by_itself() {
    let (home, simulator) = world();
    let other = simulator.token_signing_file();
    let mut command = helper(&home, &simulator);
    command.env("SSL_CERT_FILE", &other);
    let answer = ask(command, "get", REGISTRY).fails();
    assert_eq!(
        answer.stdout,
        format!(
            "no trusted TLS connection to {AUTHORITY}: this machine does not trust the issuer of its certificate\n"
        )
    );
    assert!(
        answer
            .stderr
            .contains(&format!("`SSL_CERT_FILE` is set to {}", other.display())),
        "{answer:#?}"
    );
    assert!(
        answer.stderr.contains("hint: if a proxy inspects TLS"),
        "{answer:#?}"
    );
    assert!(journal(&simulator).1.is_empty());
}

#[test]
fn an_inspecting_proxys_ca_is_trusted_beside_the_systems() {
    let (home, simulator) = world();
    let other = other_company();
    // The first is trusted as the system's CA, the second as the extra one: both are.
    for proxy in [&simulator, &other] {
        let mut command = helper(&home, &simulator);
        command
            .env("SSL_CERT_FILE", simulator.ca_file())
            .env("ACRSCOPED_CA_FILE", other.ca_file())
            .env("AZURE_CLIENT_SECRET", &proxy.settings().apps[0].secret)
            .env("HTTPS_PROXY", proxy.origin());
        ask(command, "get", REGISTRY).succeeds();
        assert_eq!(hosts(&journal(proxy).0), [REGISTRY, AUTHORITY]);
    }
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named() {
    let (home, simulator) = world();
    let missing = home.path("missing.pem");
    let empty = home.write("empty.pem", "");
    let text = home.write("text.pem", "no certificate\n");
    let broken = home.write(
        "broken.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    for (file, problem) in [
        (&missing, ": No such file or directory (os error 2)"),
        (&empty, ", which holds no PEM certificate"),
        (&text, ", which holds no PEM certificate"),
        (&broken, ""),
    ] {
        let mut command = helper(&home, &simulator);
        command.env("ACRSCOPED_CA_FILE", file);
        let answer = ask(command, "get", REGISTRY).fails();
        assert_eq!(answer.stdout.lines().count(), 1, "{answer:#?}");
        if file != &broken {
            assert_eq!(
                answer.stdout,
                format!("`ACRSCOPED_CA_FILE` names {}{problem}\n", file.display())
            );
        }
        assert!(answer.text().contains("ACRSCOPED_CA_FILE"), "{answer:#?}");
        assert!(simulator.journal().is_empty());
    }
}

#[test]
fn a_captive_portal_is_told_where_it_stands() {
    for (at, line) in [
        (
            FaultAt::Authority,
            format!(
                "could not get an access token from service principal {CLIENT}: the answer was a web page: 200\n"
            ),
        ),
        (
            FaultAt::Exchange,
            "contoso.azurecr.io answered the exchange with a web page: 200\n".to_owned(),
        ),
    ] {
        let (home, simulator) = world();
        simulator.change(|settings| settings.faults = vec![Fault::always(at, FaultKind::Html)]);
        let answer = ask(helper(&home, &simulator), "get", REGISTRY).fails();
        assert_eq!(answer.stdout, line, "{answer:#?}");
    }
}

#[test]
fn identity_endpoints_are_never_asked_through_a_proxy() {
    for announced in [true, false] {
        let (home, simulator) = world();
        let trapped = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&trapped);
        let trap = serve(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let mut command = helper(&home, &simulator);
        command
            .env_remove("AZURE_CLIENT_SECRET")
            .env_remove("AZURE_CLIENT_ID");
        for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            command.env(name, format!("http://{trap}"));
        }
        if announced {
            command.env(
                "IDENTITY_ENDPOINT",
                format!("{}/msi/token", simulator.origin()),
            );
            command.env("IDENTITY_HEADER", &simulator.settings().identity_header);
        }
        ask(command, "get", REGISTRY).succeeds();
        assert_eq!(trapped.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn the_registrys_connection_is_opened_before_the_token_is_there() {
    const DELAY: u64 = 500;
    let (home, simulator) = world();
    simulator.change(|settings| {
        settings.faults = vec![Fault::always(
            FaultAt::Authority,
            FaultKind::Delay { ms: DELAY },
        )];
    });
    ask(helper(&home, &simulator), "get", REGISTRY).succeeds();
    let (connects, requests) = journal(&simulator);
    assert_eq!(hosts(&connects), [REGISTRY, AUTHORITY]);
    assert_eq!(
        requests
            .iter()
            .map(|entry| entry.endpoint)
            .collect::<Vec<_>>(),
        [Endpoint::EntraToken, Endpoint::Exchange]
    );
    let registrys = connects
        .iter()
        .find(|entry| entry.host == REGISTRY)
        .expect("a connection");
    // The token was not given before the delay was over.
    assert!(
        registrys.unix_ms < requests[0].unix_ms + DELAY,
        "{connects:?} {requests:?}"
    );
}

#[test]
fn an_early_connection_that_is_lost_costs_nothing_but_another() {
    for kind in [
        FaultKind::HangUp,
        FaultKind::CutBody,
        FaultKind::Reset,
        FaultKind::status(502),
    ] {
        let (home, simulator) = world();
        simulator.change(|settings| {
            settings.faults = vec![
                Fault::once(FaultAt::Connect(REGISTRY.into()), kind.clone()),
                // Meanwhile the registry's connection is lost.
                Fault::always(FaultAt::Authority, FaultKind::Delay { ms: 200 }),
            ];
        });
        let answer = ask(helper(&home, &simulator), "get", REGISTRY).succeeds();
        assert!(answer.stderr.is_empty(), "{kind:?}: {answer:#?}");
        let (connects, requests) = journal(&simulator);
        assert_eq!(
            hosts(&connects),
            [REGISTRY, REGISTRY, AUTHORITY],
            "{kind:?}"
        );
        assert_eq!(requests.len(), 2, "{kind:?}: {requests:#?}");
    }
}

#[test]
fn an_early_connection_that_hangs_does_not_outlast_the_deadline() {
    let (home, simulator) = world();
    let hang = FaultKind::Raw(Raw {
        hold: true,
        ..Raw::default()
    });
    simulator.change(|settings| {
        settings.faults = vec![Fault::always(FaultAt::Connect(REGISTRY.into()), hang)];
    });
    let answer = ask(impatient(&home, &simulator), "get", REGISTRY).fails();
    assert_eq!(
        answer.stdout,
        "timed out after 2 s waiting for a refresh token from contoso.azurecr.io\n"
    );
}

/// Networks of our own making: a namespace whose only interface is loopback, where TLS is served at its proper port and
/// `/etc/hosts` says where.
mod namespace {
    use super::*;

    use crate::support::namespace;

    fn alone(test: &str, body: impl FnOnce(&Path)) {
        namespace::alone(&format!("namespace::{test}"), body);
    }

    /// Has every host of the test at these addresses.
    fn resolve(folder: &Path, addresses: &[&str]) {
        namespace::resolve(folder, &[AUTHORITY, REGISTRY], addresses);
    }

    /// The helper without a proxy.
    fn direct(home: &Home, simulator: &Simulator) -> Command {
        let mut command = helper(home, simulator);
        command.env_remove("HTTPS_PROXY");
        command
    }

    #[test]
    #[ignore = "needs namespaces: run tests/run"]
    fn no_proxy_names_the_hosts_that_are_asked_directly() {
        alone(
            "no_proxy_names_the_hosts_that_are_asked_directly",
            |folder| {
                let (home, simulator) = world();
                resolve(folder, &["127.0.0.1"]);
                simulator
                    .listen_tls(SocketAddr::from(([127, 0, 0, 1], 443)))
                    .expect("port 443");
                for (name, value, proxied) in [
                    ("NO_PROXY", "contoso.azurecr.io", &[AUTHORITY][..]),
                    ("NO_PROXY", ".azurecr.io", &[AUTHORITY]),
                    ("NO_PROXY", "azurecr.io, login.microsoftonline.com", &[]),
                    ("no_proxy", "login.microsoftonline.com", &[REGISTRY]),
                    ("NO_PROXY", "*", &[]),
                    (
                        "NO_PROXY",
                        "fabrikam.azurecr.io,zurecr.io",
                        &[REGISTRY, AUTHORITY],
                    ),
                ] {
                    simulator.clear_journal();
                    let mut command = helper(&home, &simulator);
                    command.env(name, value);
                    ask(command, "get", REGISTRY).succeeds();
                    let (connects, requests) = journal(&simulator);
                    assert_eq!(hosts(&connects), proxied, "{name}={value}");
                    assert_eq!(hosts(&requests), [REGISTRY, AUTHORITY], "{name}={value}");
                }
            },
        );
    }

    #[test]
    #[ignore = "needs namespaces: run tests/run"]
    fn a_network_of_one_address_family_is_enough() {
        alone("a_network_of_one_address_family_is_enough", |folder| {
            for (address, served) in [("::1", "[::1]:443"), ("127.0.0.1", "127.0.0.1:443")] {
                let (home, simulator) = world();
                resolve(folder, &[address]);
                simulator
                    .listen_tls(served.parse().expect("an address"))
                    .expect("port 443");
                ask(direct(&home, &simulator), "get", REGISTRY).succeeds();
                assert_eq!(
                    hosts(&journal(&simulator).1),
                    [REGISTRY, AUTHORITY],
                    "{address}"
                );
            }
        });
    }

    /// A socket whose queue is full: the kernel drops what comes to it, as a network that leads nowhere does.
    fn dead(
        address: SocketAddr,
    ) -> (
        tokio::runtime::Runtime,
        tokio::net::TcpListener,
        Vec<TcpStream>,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(async {
            let v4 = address.is_ipv4();
            let socket = if v4 {
                tokio::net::TcpSocket::new_v4()
            } else {
                tokio::net::TcpSocket::new_v6()
            }
            .expect("a socket");
            socket.set_reuseaddr(true).expect("a socket");
            socket.bind(address).expect("port 443");
            socket.listen(1).expect("a socket")
        });
        let patience = Duration::from_millis(200);
        let queue =
            std::iter::from_fn(|| TcpStream::connect_timeout(&address, patience).ok()).collect();
        (runtime, listener, queue)
    }

    #[test]
    #[ignore = "needs namespaces: run tests/run"]
    fn a_dead_address_family_costs_a_moment() {
        alone("a_dead_address_family_costs_a_moment", |folder| {
            resolve(folder, &["::1", "127.0.0.1"]);
            for (alive, silent) in [
                ("127.0.0.1:443", "[::1]:443"),
                ("[::1]:443", "127.0.0.1:443"),
            ] {
                let (home, simulator) = world();
                simulator
                    .listen_tls(alive.parse().expect("an address"))
                    .expect("port 443");
                // First a family whose packets are refused, then one whose packets vanish.
                ask(direct(&home, &simulator), "get", REGISTRY).succeeds();
                let queue = dead(silent.parse().expect("an address"));
                let answer = ask(direct(&home, &simulator), "get", REGISTRY).succeeds();
                println!("{silent} is dead: {:?}", answer.took);
                assert!(answer.took < Duration::from_secs(10), "{:?}", answer.took);
                drop(queue);
            }
        });
    }

    #[test]
    #[ignore = "needs namespaces: run tests/run"]
    fn a_network_that_swallows_everything_is_told_in_time() {
        alone(
            "a_network_that_swallows_everything_is_told_in_time",
            |folder| {
                let (home, simulator) = world();
                resolve(folder, &["127.0.0.1"]);
                let queue = dead(SocketAddr::from(([127, 0, 0, 1], 443)));
                let mut command = direct(&home, &simulator);
                command.env("ACRSCOPED_TIMEOUT", "1");
                let answer: Answer = ask(command, "get", REGISTRY).fails();
                assert!(
                    answer.stdout.starts_with(
                        "timed out after 1 s waiting for an access token from service principal "
                    ),
                    "{answer:#?}"
                );
                drop(queue);
            },
        );
    }
}
