//! The store against buses that are broken, hostile or odd. The real bus and a real service: `tests/keyring`.

use super::*;
use crate::cache::timeout::Timeout;
use std::io::{Read, Write};
use std::num::NonZeroU32;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use tempfile::TempDir;
use zbus::{DynamicType, Message};

const KEY: &str = "contoso.azurecr.io alice";

const HOUR: Duration = Duration::from_secs(3600);

const SIGNED_IN: &[u8] = b"OK 0123456789abcdef0123456789abcdef\r\n";

/// A bus on a socket of its own.
struct Bus(TempDir);

impl Bus {
    /// Does the same with each client.
    fn start(serve: impl Fn(UnixStream) + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("bus")).unwrap();
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, serve) = (client.unwrap(), serve.clone());
                thread::spawn(move || serve(client));
            }
        });
        Self(folder)
    }

    /// Answers calls as `answer` says, and as a Secret Service with one item where that returns nothing.
    fn with_service(answer: impl Fn(&Call) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::start(move |mut client| {
            skip_handshake(&mut client);
            let _ = client.write_all(SIGNED_IN);
            while let Some(call) = Call::read(&mut client) {
                let reply = answer(&call).unwrap_or_else(|| ordinary(&call));
                let _ = client.write_all(&reply);
            }
        })
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("bus")
    }

    fn store(&self) -> SecretService {
        SecretService::new(SessionBus::Socket(self.path()))
    }
}

/// Reads up to the first message.
fn skip_handshake(client: &mut UnixStream) {
    let (mut heard, mut byte) = (vec![], [0]);
    while !heard.ends_with(b"BEGIN\r\n") && client.read_exact(&mut byte).is_ok() {
        heard.push(byte[0]);
    }
}

/// A method call, as its bytes.
struct Call {
    serial: NonZeroU32,
    bytes: Vec<u8>,
}

impl Call {
    fn read(client: &mut UnixStream) -> Option<Self> {
        let mut header = [0; 16];
        client.read_exact(&mut header).ok()?;
        let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        let length = number(12).next_multiple_of(8) + number(4);
        let mut bytes = vec![0; length.try_into().unwrap()];
        client.read_exact(&mut bytes).ok()?;
        let serial = NonZeroU32::new(number(8)).unwrap();
        Some(Self { serial, bytes })
    }

    /// Returns whether the call holds this word, such as the name of its method, or an argument.
    fn has(&self, word: &str) -> bool {
        let word = [word.as_bytes(), b"\0"].concat();
        self.bytes.windows(word.len()).any(|part| part == word)
    }

    fn reply(&self, body: &(impl serde::Serialize + DynamicType)) -> Vec<u8> {
        let call = self.message();
        let reply = Message::method_return(&call.header());
        reply.build(body).unwrap().data().to_vec()
    }

    fn error(&self, name: &str) -> Vec<u8> {
        let call = self.message();
        let reply = Message::error(&call.header(), name);
        reply.build(&"canary").unwrap().data().to_vec()
    }

    fn message(&self) -> Message {
        let call = Message::method_call("/", "Call").serial(self.serial);
        call.build(&()).unwrap()
    }
}

fn path(path: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(path).unwrap()
}

fn paths(count: usize) -> Vec<OwnedObjectPath> {
    vec![path("/item"); count]
}

/// The answer of a service with one unlocked item, whose secret is `s`.
fn ordinary(call: &Call) -> Vec<u8> {
    if call.has("Hello") {
        call.reply(&":1.1")
    } else if call.has("OpenSession") {
        call.reply(&(Variant::from(""), path("/session")))
    } else if call.has("SearchItems") {
        call.reply(&(paths(1), paths(0)))
    } else if call.has("GetSecret") {
        let secret: Secret = (path("/session"), vec![], b"s".to_vec(), "text/plain".into());
        call.reply(&(secret,))
    } else if call.has("ReadAlias") {
        let is_default = call.has("default");
        call.reply(&path(if is_default { "/login" } else { "/session" }))
    } else if call.has("Locked") {
        call.reply(&Variant::from(false))
    } else if call.has("Attributes") && call.has("Get") {
        call.reply(&Variant::from(attributes(KEY)))
    } else if call.has("CreateItem") {
        call.reply(&(path("/item"), path("/")))
    } else if call.has("Delete") {
        call.reply(&path("/"))
    } else {
        panic!(
            "an unexpected call: {}",
            String::from_utf8_lossy(&call.bytes)
        )
    }
}

fn kind<T>(result: Result<T, StoreError>) -> &'static str {
    match result.err() {
        None => "fine",
        Some(StoreError::Missing(_)) => "missing",
        Some(StoreError::Unavailable(_)) => "unavailable",
        Some(StoreError::Failed(_)) => "failed",
        Some(_) => "another error",
    }
}

#[test]
fn a_service_keeps_lists_and_deletes_an_entry() {
    let store = Bus::with_service(|_| None);
    let store = store.store();
    store.set(KEY, b"s", HOUR).unwrap();
    assert_eq!(store.get(KEY).unwrap().unwrap().as_slice(), b"s");
    assert_eq!(store.list(), Ok(vec![KEY.to_owned()]));
    assert_eq!(store.delete(KEY), Ok(true));
}

#[test]
fn a_bus_that_does_not_do_its_part_is_an_error() {
    let long = vec![b'x'; 1 << 20];
    let buses: [(&str, &str, Vec<u8>); 9] = [
        ("closes at once", "missing", vec![]),
        ("rejects us", "missing", b"REJECTED EXTERNAL\r\n".to_vec()),
        (
            "is no bus",
            "missing",
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ),
        ("sends an empty line", "failed", b"\n".to_vec()),
        ("sends a line without end", "failed", long),
        ("names itself badly", "failed", b"OK 12\r\n".to_vec()),
        ("closes after the sign-in", "failed", SIGNED_IN.to_vec()),
        (
            "sends no messages",
            "failed",
            [SIGNED_IN, &[b'x'; 64]].concat(),
        ),
        (
            "sends a malformed message",
            "failed",
            [SIGNED_IN, b"l\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0"].concat(),
        ),
    ];
    for (what, expected, answer) in buses {
        // The client hangs up first, so that it never sees a connection that is reset.
        let bus = Bus::start(move |mut client| {
            skip_handshake(&mut client);
            let _ = client.write_all(&answer);
            let _ = client.shutdown(std::net::Shutdown::Write);
            let _ = client.read_to_end(&mut vec![]);
        });
        assert_eq!(kind(bus.store().get(KEY)), expected, "a bus that {what}");
    }
}

#[test]
fn an_answer_that_cannot_be_true_is_an_error() {
    type Answer = fn(&Call) -> Vec<u8>;
    let answers: [(&str, Answer); 4] = [
        ("other types", |call| call.reply(&7_u32)),
        ("no path", |call| {
            let mut reply = call.reply(&(paths(1), paths(0)));
            let at = reply.windows(5).position(|part| part == b"/item").unwrap();
            reply[at..at + 5].copy_from_slice(b"/a//b");
            reply
        }),
        ("a message above 1 MiB", |call| {
            let items = paths(1 << 17);
            call.reply(&(items, paths(0)))
        }),
        ("a message that claims 100 MiB", |_| {
            b"l\x02\x01\x01\0\0\x40\x06\x01\0\0\0\0\0\0\0".to_vec()
        }),
    ];
    for (what, answer) in answers {
        let bus = Bus::with_service(move |call| call.has("SearchItems").then(|| answer(call)));
        assert_eq!(kind(bus.store().get(KEY)), "failed", "{what}");
    }
}

#[test]
fn a_secret_that_is_too_long_is_not_sent() {
    let bus = Bus::with_service(|_| None);
    let secret = vec![b'x'; MAX_MESSAGE_BYTES + 1];
    assert_eq!(
        bus.store().set(KEY, &secret, HOUR),
        Err(StoreError::TooLong)
    );
}

#[test]
fn a_bus_that_never_answers_times_out() {
    let silent = Bus::start(|mut client| drop(client.read_to_end(&mut vec![])));
    let store = Timeout::new(silent.store(), Duration::from_millis(50));
    for _ in 0..3 {
        assert_eq!(kind(store.get(KEY)), "unavailable");
        assert_eq!(kind(store.list()), "unavailable");
    }
}

#[test]
fn a_bus_that_does_not_accept_times_out() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, listen, socket};
    let folder = tempfile::tempdir().unwrap();
    let address = SocketAddrUnix::new(folder.path().join("bus")).unwrap();
    let stream = || socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let listener = stream();
    bind(&listener, &address).unwrap();
    listen(&listener, 0).unwrap();
    let waiting = stream();
    connect(&waiting, &address).unwrap();
    let store = SecretService::new(SessionBus::Socket(folder.path().join("bus")));
    let (store, timeout) = (store, Duration::from_millis(50));
    let started = Instant::now();
    let store = Timeout::new(store, timeout);
    assert_eq!(kind(store.list()), "unavailable");
    assert!(started.elapsed() >= timeout);
}

#[test]
fn without_a_bus_the_store_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bus");
    std::fs::write(&file, "").unwrap();
    let address = |path: &str| SessionBus::Addresses(path.into());
    for bus in [
        SessionBus::Nowhere,
        SessionBus::Socket(folder.path().join("missing")),
        SessionBus::Socket(file),
        address("autolaunch:"),
        address("unix:abstract=docker-credential-acrscoped/missing;unix:path=/missing"),
    ] {
        let store = SecretService::new(bus.clone());
        assert_eq!(kind(store.list()), "missing", "{bus:?}");
    }
}

#[test]
fn the_first_bus_that_is_there_is_used() {
    let bus = Bus::with_service(|_| None);
    let list = format!(
        "tcp:host=a,port=1;unix:path=/missing;unix:path={}",
        bus.path().display()
    );
    let store = SecretService::new(SessionBus::Addresses(list.into()));
    assert_eq!(store.get(KEY).unwrap().unwrap().as_slice(), b"s");
}

#[test]
fn a_bus_that_has_taken_the_place_of_another_gets_no_secret() {
    let sent = Arc::new(AtomicBool::new(false));
    let seen = sent.clone();
    let bus = Bus::with_service(move |call| {
        seen.fetch_or(call.has("CreateItem"), Ordering::Relaxed);
        None
    });
    let write = |guid| {
        let address = format!("unix:path={},guid={guid}", bus.path().display());
        SecretService::new(SessionBus::Addresses(address.into())).set(KEY, b"s", HOUR)
    };
    assert_eq!(kind(write("0000456789abcdef0123456789abcdef")), "missing");
    assert!(!sent.load(Ordering::Relaxed));
    assert_eq!(kind(write("0123456789abcdef0123456789abcdef")), "fine");
    assert!(sent.load(Ordering::Relaxed));
}

#[test]
fn an_error_of_the_service_is_one_of_ours() {
    for (name, expected) in [
        ("org.freedesktop.DBus.Error.ServiceUnknown", "missing"),
        ("org.freedesktop.DBus.Error.Spawn.ExecFailed", "missing"),
        // Another program owns the name of the service.
        ("org.freedesktop.DBus.Error.UnknownMethod", "failed"),
        ("org.freedesktop.DBus.Error.NoReply", "failed"),
        ("org.freedesktop.Secret.Error.IsLocked", "failed"),
        ("org.freedesktop.DBus.Error.Failed", "failed"),
        ("com.example.Error", "failed"),
    ] {
        let bus = Bus::with_service(move |call| call.has("SearchItems").then(|| call.error(name)));
        assert_eq!(kind(bus.store().delete(KEY)), expected, "{name}");
    }
}

#[test]
fn a_locked_item_is_unavailable_and_a_missing_one_is_no_entry() {
    let with_items = |unlocked: usize, locked: usize| {
        let bus = Bus::with_service(move |call| {
            let found = (paths(unlocked), paths(locked));
            call.has("SearchItems").then(|| call.reply(&found))
        });
        bus.store().get(KEY)
    };
    assert_eq!(kind(with_items(0, 1)), "unavailable");
    assert_eq!(with_items(0, 0), Ok(None));
    let name = "org.freedesktop.Secret.Error.NoSuchObject";
    let gone = Bus::with_service(move |call| call.has("GetSecret").then(|| call.error(name)));
    assert_eq!(gone.store().get(KEY), Ok(None));
}

#[test]
fn a_locked_collection_is_neither_searched_nor_written_to() {
    let bus = Bus::with_service(|call| {
        let is_locked = Variant::from(true);
        call.has("Locked").then(|| call.reply(&is_locked))
    });
    assert_eq!(kind(bus.store().list()), "unavailable");
    assert_eq!(kind(bus.store().set(KEY, b"s", HOUR)), "unavailable");
}

/// An unexpected call, such as that of a prompt, would panic in the bus and close the connection.
#[test]
fn nothing_is_written_or_deleted_where_the_service_would_prompt() {
    let bus = Bus::with_service(|call| {
        let item = path("/item");
        let prompt = path("/prompt");
        if call.has("CreateItem") {
            return Some(call.reply(&(item, prompt)));
        }
        call.has("Delete").then(|| call.reply(&prompt))
    });
    let store = bus.store();
    assert_eq!(kind(store.set(KEY, b"s", HOUR)), "unavailable");
    assert_eq!(kind(store.delete(KEY)), "unavailable");
    assert_eq!(kind(store.get(KEY)), "fine");
}

#[test]
fn without_a_service_or_a_collection_nothing_is_written() {
    let unknown = "org.freedesktop.DBus.Error.ServiceUnknown";
    let without_service =
        Bus::with_service(move |call| (!call.has("Hello")).then(|| call.error(unknown)));
    assert_eq!(
        kind(without_service.store().set(KEY, b"s", HOUR)),
        "missing"
    );
    let without_collection =
        Bus::with_service(|call| call.has("ReadAlias").then(|| call.reply(&path("/"))));
    let store = without_collection.store();
    assert_eq!(kind(store.set(KEY, b"s", HOUR)), "unavailable");
    assert_eq!(kind(store.list()), "fine");
}

#[test]
fn a_default_collection_that_cannot_be_found_is_not_replaced_by_that_of_the_session() {
    let failure = "org.freedesktop.DBus.Error.Failed";
    let bus = Bus::with_service(move |call| {
        let is_default = call.has("ReadAlias") && call.has("default");
        is_default.then(|| call.error(failure))
    });
    assert_eq!(kind(bus.store().set(KEY, b"s", HOUR)), "failed");
    assert_eq!(kind(bus.store().list()), "failed");
    assert_eq!(bus.store().persistence(), Persistence::UntilSessionEnds);
}

/// "Missing" would mean that nothing of ours is there.
#[test]
fn a_service_that_goes_away_during_an_operation_is_not_missing() {
    for name in ["ServiceUnknown", "UnknownMethod", "Spawn.ExecFailed"] {
        let name = format!("org.freedesktop.DBus.Error.{name}");
        let bus = Bus::with_service(move |call| call.has("ReadAlias").then(|| call.error(&name)));
        assert_eq!(kind(bus.store().list()), "failed");
    }
    let is_gone = Arc::new(AtomicBool::new(false));
    let at = is_gone.clone();
    let bus = Bus::with_service(move |call| {
        let name = "org.freedesktop.DBus.Error.ServiceUnknown";
        let fails = at.load(Ordering::Relaxed) && !call.has("Hello");
        fails.then(|| call.error(name))
    });
    let store = bus.store();
    assert_eq!(kind(store.list()), "fine");
    is_gone.store(true, Ordering::Relaxed);
    assert_eq!(kind(store.list()), "failed");
}

#[test]
fn a_connection_that_has_ended_is_made_again_once() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    // A connection ends with the last answer of a `list`, and at once when it is asked to delete an item.
    let bus = Bus::start(move |mut client| {
        count.fetch_add(1, Ordering::Relaxed);
        skip_handshake(&mut client);
        let _ = client.write_all(SIGNED_IN);
        while let Some(call) = Call::read(&mut client) {
            if call.has("Delete") {
                return;
            }
            let _ = client.write_all(&ordinary(&call));
            if call.has("Attributes") && call.has("Get") {
                return;
            }
        }
    });
    let store = bus.store();
    for expected in 1..=3 {
        assert_eq!(store.list(), Ok(vec![KEY.to_owned()]));
        assert_eq!(connections.load(Ordering::Relaxed), expected);
    }
    assert_eq!(kind(store.delete(KEY)), "failed");
    assert_eq!(connections.load(Ordering::Relaxed), 4);
    assert_eq!(kind(store.delete(KEY)), "failed");
    assert!(connections.load(Ordering::Relaxed) <= 6);
}

#[test]
fn a_process_without_file_descriptors_has_a_failure_and_not_no_service() {
    use rustix::io::Errno;
    let kind_of = |errno: Errno| kind(Err::<(), _>(session_bus::connect_error(&errno.into())));
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS] {
        assert_eq!(kind_of(errno), "failed", "{errno}");
    }
    for errno in [Errno::NOENT, Errno::CONNREFUSED, Errno::ACCESS] {
        assert_eq!(kind_of(errno), "missing", "{errno}");
    }
}

#[test]
fn every_item_of_an_entry_is_deleted() {
    let deleted = Arc::new(AtomicUsize::new(0));
    let count = deleted.clone();
    let bus = Bus::with_service(move |call| {
        count.fetch_add(usize::from(call.has("Delete")), Ordering::Relaxed);
        let found = (paths(2), paths(0));
        call.has("SearchItems").then(|| call.reply(&found))
    });
    assert_eq!(bus.store().delete(KEY), Ok(true));
    assert_eq!(deleted.load(Ordering::Relaxed), 2);
}

#[test]
fn an_item_is_labelled_with_what_it_holds() {
    assert_eq!(label(KEY), "ACR refresh token for contoso.azurecr.io");
    assert_eq!(label("entra 12ab"), "Entra access token");
}

#[test]
fn what_goes_into_the_collection_of_the_session_ends_with_it() {
    for (default, session, expected) in [
        ("/login", "/session", Persistence::UntilDeleted),
        ("/", "/session", Persistence::UntilSessionEnds),
        ("/session", "/session", Persistence::UntilSessionEnds),
        ("/login", "/", Persistence::UntilDeleted),
    ] {
        let bus = Bus::with_service(move |call| {
            let alias = if call.has("default") {
                default
            } else {
                session
            };
            call.has("ReadAlias").then(|| call.reply(&path(alias)))
        });
        assert_eq!(bus.store().persistence(), expected, "{default} {session}");
    }
    let store = SecretService::new(SessionBus::Nowhere);
    assert_eq!(store.persistence(), Persistence::UntilSessionEnds);
}
