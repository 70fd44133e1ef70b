//! The store against buses that are broken, hostile or odd. The real bus and a real service: `tests/keyring`.

use super::*;
use keyring_core::api::CredentialPersistence;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tempfile::TempDir;
use wire::Writer;

const SHORT: Duration = Duration::from_millis(150);
const SIGNED_IN: &[u8] = b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n";

/// What a bus does with one client.
type Serve = fn(UnixStream);

/// A bus that does as `serve` says, to everybody who has said what is said first.
struct Bus {
    folder: TempDir,
    /// Whether what serves it has panicked: its assertions are the test's.
    panicked: Arc<AtomicBool>,
}

impl Drop for Bus {
    fn drop(&mut self) {
        assert!(
            !self.panicked.load(Ordering::Relaxed) || thread::panicking(),
            "an assertion of the bus did not hold"
        );
    }
}

impl Bus {
    fn start(serve: Serve) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("bus")).unwrap();
        let panicked = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&panicked);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                hear(&client, "Hello");
                let served = std::panic::catch_unwind(AssertUnwindSafe(|| serve(client)));
                told.fetch_or(served.is_err(), Ordering::Relaxed);
            }
        });
        Self { folder, panicked }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("bus")
    }

    fn store(&self, patience: Duration) -> Store {
        Store::new(SessionBus::Socket(self.path()), patience)
    }

    fn entry(&self, patience: Duration) -> Entry {
        self.store(patience)
            .build("program", "host identity", None)
            .unwrap()
    }
}

/// Reads until the client has said this; whether it has.
fn hear(mut client: &UnixStream, word: &str) -> bool {
    let mut heard = Vec::new();
    while !heard
        .windows(word.len())
        .any(|part| part == word.as_bytes())
    {
        let mut more = [0; 4096];
        match client.read(&mut more) {
            Ok(count) if count > 0 => heard.extend_from_slice(&more[..count]),
            _ => return false,
        }
    }
    true
}

/// What the client says next is not of interest, nor whether it listens.
fn say(mut client: &UnixStream, bytes: &[u8]) {
    let _ = client.write_all(bytes);
}

/// A message of this kind, in answer to the call of that number, with the name of an error or none.
fn message(
    kind: u8,
    to: u8,
    error: Option<&str>,
    signature: &str,
    body: impl FnOnce(&mut Writer),
) -> Vec<u8> {
    let mut arguments = Writer::default();
    body(&mut arguments);
    let arguments = arguments.finish();
    let mut message = Writer::default();
    for byte in [b'l', kind, 1, 1] {
        message.byte(byte);
    }
    message.u32(arguments.len().try_into().unwrap());
    message.u32(7);
    message.array(8, |fields| {
        let field = |fields: &mut Writer, code, kind| {
            fields.align(8);
            fields.byte(code);
            fields.signature(kind);
        };
        field(fields, 5, "u");
        fields.u32(to.into());
        field(fields, 8, "g");
        fields.signature(signature);
        if let Some(name) = error {
            field(fields, 4, "s");
            fields.string(name);
        }
    });
    message.align(8);
    message.append(&arguments);
    message.finish().as_slice().to_vec()
}

fn returned(to: u8, signature: &str, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    message(2, to, None, signature, body)
}

fn refused(to: u8, name: &str) -> Vec<u8> {
    message(3, to, Some(name), "s", |body| body.string("canary"))
}

fn greeted() -> Vec<u8> {
    [SIGNED_IN, &returned(1, "s", |body| body.string(":1.1"))].concat()
}

fn session(to: u8) -> Vec<u8> {
    returned(to, "vo", |body| {
        body.signature("s");
        body.string("");
        body.string("/session");
    })
}

fn found(to: u8, unlocked: &[&str], locked: &[&str]) -> Vec<u8> {
    returned(to, "aoao", |body| {
        for paths in [unlocked, locked] {
            body.array(4, |body| paths.iter().for_each(|path| body.string(path)));
        }
    })
}

fn secret(to: u8, secret: &[u8]) -> Vec<u8> {
    returned(to, "(oayays)", |body| {
        body.string("/session");
        body.bytes(b"");
        body.bytes(secret);
        body.string("text/plain");
    })
}

fn paths(to: u8, paths: &[&str]) -> Vec<u8> {
    returned(to, &"o".repeat(paths.len()), |body| {
        for path in paths {
            body.string(path);
        }
    })
}

/// The kind of an error.
fn kind<T>(result: Result<T>) -> &'static str {
    match result.err() {
        None => "fine",
        Some(Error::NotSupportedByStore(_)) => "no store",
        Some(Error::NoStorageAccess(_)) => "no access",
        Some(Error::PlatformFailure(_)) => "broken",
        Some(Error::NoEntry) => "no entry",
        Some(_) => "another error",
    }
}

#[test]
fn a_bus_that_does_not_do_its_part_is_an_error_of_its_kind() {
    let buses: [(&str, &str, Serve); 14] = [
        ("closes at once", "broken", drop),
        ("rejects us", "no store", |client| {
            say(&client, b"REJECTED EXTERNAL\r\n");
        }),
        ("rejects the greeting", "no store", |client| {
            say(
                &client,
                &[SIGNED_IN, &refused(1, "a.LimitsExceeded")].concat(),
            );
        }),
        ("is no bus", "no store", |client| {
            say(&client, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }),
        (
            "speaks without end before the sign-in",
            "broken",
            |client| say(&client, &vec![b'x'; 1 << 16]),
        ),
        ("closes after the sign-in", "broken", |client| {
            say(&client, SIGNED_IN);
        }),
        ("sends no messages", "broken", |client| {
            say(&client, &[SIGNED_IN, &[b'x'; 64]].concat());
        }),
        ("sends a message above 1 MiB", "broken", |client| {
            say(
                &client,
                &[SIGNED_IN, b"l\x02\x01\x01\0\0\x10\0\x01\0\0\0\0\0\0\0"].concat(),
            );
            assert!(!hear(&client, "never"));
        }),
        ("sends a malformed message", "broken", |client| {
            say(
                &client,
                &[greeted(), vec![b'l', 2, 1, 1], vec![0; 12]].concat(),
            );
        }),
        ("sends messages without end", "broken", |client| {
            say(
                &client,
                &[
                    greeted(),
                    found(99, &[&"/a".repeat(60_000)], &[]).repeat(80),
                ]
                .concat(),
            );
        }),
        ("answers with other types", "broken", |client| {
            say(&client, &[greeted(), session(2), paths(3, &["/"])].concat());
        }),
        ("names no path", "broken", |client| {
            say(
                &client,
                &[greeted(), session(2), found(3, &["/a/../b"], &[])].concat(),
            );
        }),
        ("finds more than there can be", "broken", |client| {
            say(
                &client,
                &[greeted(), session(2), found(3, &["/a"; 1001], &[])].concat(),
            );
        }),
        ("answers other calls", "no access", |client| {
            say(
                &client,
                &[greeted(), session(7), found(8, &["/a"], &[])].concat(),
            );
            assert!(!hear(&client, "never"));
        }),
    ];
    for (what, expected, serve) in buses {
        let bus = Bus::start(serve);
        // Those that fall silent are waited for; the others end it by themselves, on a slow machine a little later.
        let patience = if expected == "no access" {
            SHORT * 4
        } else {
            PATIENCE
        };
        assert_eq!(
            kind(bus.entry(patience).get_secret()),
            expected,
            "a bus that {what}"
        );
    }
}

#[test]
fn all_questions_together_wait_no_longer_than_the_patience() {
    let buses: [Serve; 3] = [
        |client| assert!(!hear(&client, "never")),
        // A byte now and then does not count as an answer.
        |client| {
            let message = [greeted(), session(2)].concat();
            for byte in message {
                thread::sleep(SHORT / 10);
                say(&client, &[byte]);
            }
        },
        |client| while (&client).write_all(&found(99, &[], &[])).is_ok() {},
    ];
    for serve in buses {
        let bus = Bus::start(serve);
        let store = bus.store(SHORT);
        let started = Instant::now();
        for _ in 0..5 {
            let entry = store.build("program", "host identity", None).unwrap();
            for answer in [
                kind(entry.get_secret()),
                kind(entry.set_secret(b"s")),
                kind(store.search(&HashMap::new())),
            ] {
                assert!(["no access", "broken"].contains(&answer), "{answer}");
            }
        }
        assert!(started.elapsed() < SHORT * 4, "{:?}", started.elapsed());
    }
}

#[test]
fn a_connection_serves_every_question_until_it_is_dead() {
    let bus = Bus::start(|client| {
        // Session and search, then the same again; after that the service is gone.
        say(
            &client,
            &[greeted(), session(2), found(3, &[], &[])].concat(),
        );
        if hear(&client, "SearchItems") {
            say(&client, &[session(4), found(5, &[], &[])].concat());
            hear(&client, "SearchItems");
        }
    });
    let entry = bus.entry(PATIENCE);
    for _ in 0..5 {
        assert_eq!(kind(entry.get_secret()), "no entry");
    }
}

#[test]
fn a_bus_that_does_not_accept_is_not_waited_for_longer() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, listen, socket};
    let folder = tempfile::tempdir().unwrap();
    let address = SocketAddrUnix::new(folder.path().join("bus")).unwrap();
    let stream = || socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let listener = stream();
    bind(&listener, &address).unwrap();
    listen(&listener, 0).unwrap();
    let waiting = stream();
    connect(&waiting, &address).unwrap();
    let started = Instant::now();
    let store = Store::new(SessionBus::Socket(folder.path().join("bus")), SHORT);
    assert_eq!(kind(store.search(&HashMap::new())), "no access");
    assert!(
        (SHORT..SHORT * 4).contains(&started.elapsed()),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn where_no_bus_is_there_is_no_store() {
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
        assert_eq!(
            kind(Store::new(bus.clone(), PATIENCE).search(&HashMap::new())),
            "no store",
            "{bus:?}"
        );
    }
}

#[test]
fn the_first_bus_that_is_there_is_asked() {
    let bus = Bus::start(|client| {
        say(
            &client,
            &[
                greeted(),
                session(2),
                found(3, &["/a"], &[]),
                secret(4, b"s"),
            ]
            .concat(),
        );
        assert!(!hear(&client, "never"));
    });
    let list = format!(
        "tcp:host=a,port=1;unix:path=/missing;unix:path={}",
        bus.path().display()
    );
    let store = Store::new(SessionBus::Addresses(list.into()), PATIENCE);
    assert_eq!(
        store
            .build("program", "host identity", None)
            .unwrap()
            .get_secret()
            .unwrap(),
        b"s"
    );
}

#[test]
fn a_bus_that_has_taken_the_place_of_another_learns_no_secret() {
    static SENT: AtomicBool = AtomicBool::new(false);
    let bus = Bus::start(|client| {
        say(
            &client,
            &[greeted(), session(2), paths(3, &["/c"]), paths(4, &["/"])].concat(),
        );
        SENT.fetch_or(hear(&client, "canary"), Ordering::Relaxed);
    });
    let with_guid = |guid| {
        SessionBus::Addresses(format!("unix:path={},guid={guid}", bus.path().display()).into())
    };
    let entry = |guid| {
        Store::new(with_guid(guid), SHORT)
            .build("program", "host identity", None)
            .unwrap()
    };
    assert_eq!(
        kind(entry("0000456789abcdef0123456789abcdef").set_secret(b"canary")),
        "no store"
    );
    // The same bus under its own number: the next question is put, and not answered.
    assert_eq!(
        kind(entry("0123456789abcdef0123456789abcdef").set_secret(b"other")),
        "no access"
    );
    assert!(!SENT.load(Ordering::Relaxed));
}

#[test]
fn answers_may_come_in_any_order_and_in_pieces_among_other_messages() {
    let bus = Bus::start(|client| {
        let signal = message(4, 3, None, "s", |body| body.string("noise"));
        let answers = [
            greeted(),
            found(3, &["/a", "/b"], &["/c"]),
            signal,
            secret(99, b"other"),
            session(2),
        ]
        .concat();
        for byte in answers {
            say(&client, &[byte]);
        }
        assert!(hear(&client, "GetSecret"));
        say(&client, &secret(4, &vec![0xff; 100_000]));
    });
    assert_eq!(
        bus.entry(PATIENCE).get_secret().unwrap(),
        vec![0xff; 100_000]
    );
}

#[test]
fn an_error_of_the_service_is_one_of_ours() {
    fn answer_with(name: &'static str) -> impl Fn(&UnixStream) {
        move |client| say(client, &[greeted(), refused(2, name)].concat())
    }
    for (expected, serve) in [
        (
            "no store",
            (|client| answer_with("org.freedesktop.DBus.Error.ServiceUnknown")(&client)) as Serve,
        ),
        ("no store", |client| {
            answer_with("org.freedesktop.DBus.Error.Spawn.ExecFailed")(&client);
        }),
        ("no store", |client| {
            answer_with("org.freedesktop.DBus.Error.UnknownMethod")(&client);
        }),
        ("no access", |client| {
            answer_with("org.freedesktop.DBus.Error.NoReply")(&client);
        }),
        ("no access", |client| {
            answer_with("org.freedesktop.Secret.Error.IsLocked")(&client);
        }),
        ("broken", |client| {
            answer_with("org.freedesktop.DBus.Error.Failed")(&client);
        }),
        ("broken", |client| answer_with("")(&client)),
    ] {
        let bus = Bus::start(serve);
        assert_eq!(
            kind(
                bus.store(PATIENCE)
                    .build("p", "u", None)
                    .unwrap()
                    .delete_credential()
            ),
            expected
        );
    }
}

#[test]
fn a_locked_item_is_no_access_and_a_missing_one_no_entry() {
    let locked = Bus::start(|client| {
        say(
            &client,
            &[greeted(), session(2), found(3, &[], &["/a"])].concat(),
        );
    });
    assert_eq!(kind(locked.entry(PATIENCE).get_secret()), "no access");
    let missing = Bus::start(|client| {
        say(
            &client,
            &[greeted(), session(2), found(3, &[], &[])].concat(),
        );
    });
    assert_eq!(kind(missing.entry(PATIENCE).get_secret()), "no entry");
    let gone = Bus::start(|client| {
        let gone = refused(4, "org.freedesktop.Secret.Error.NoSuchObject");
        say(
            &client,
            &[greeted(), session(2), found(3, &["/a"], &[]), gone].concat(),
        );
        assert!(!hear(&client, "never"));
    });
    assert_eq!(kind(gone.entry(PATIENCE).get_secret()), "no entry");
}

#[test]
fn nothing_is_written_or_deleted_where_the_user_would_be_asked() {
    let writing = Bus::start(|client| {
        let unlocked = returned(5, "v", |body| {
            body.signature("b");
            body.u32(0);
        });
        say(
            &client,
            &[
                greeted(),
                session(2),
                paths(3, &["/"]),
                paths(4, &["/c"]),
                unlocked,
            ]
            .concat(),
        );
        assert!(hear(&client, "CreateItem"));
        say(&client, &paths(6, &["/", "/prompt"]));
        assert!(!hear(&client, "Prompt"));
    });
    assert_eq!(kind(writing.entry(PATIENCE).set_secret(b"s")), "no access");
    let deleting = Bus::start(|client| {
        say(
            &client,
            &[greeted(), found(2, &["/a"], &[]), paths(3, &["/prompt"])].concat(),
        );
        assert!(!hear(&client, "never"));
    });
    assert_eq!(
        kind(deleting.entry(PATIENCE).delete_credential()),
        "no access"
    );
}

#[test]
fn where_no_service_is_or_no_collection_nothing_is_written() {
    let without_service = Bus::start(|client| {
        let unknown = |to| refused(to, "org.freedesktop.DBus.Error.ServiceUnknown");
        say(
            &client,
            &[greeted(), unknown(2), unknown(3), unknown(4)].concat(),
        );
    });
    assert_eq!(
        kind(without_service.entry(PATIENCE).set_secret(b"s")),
        "no store"
    );
    let without_collection = Bus::start(|client| {
        let unknown = refused(4, "org.freedesktop.DBus.Error.InvalidArgs");
        say(
            &client,
            &[greeted(), session(2), paths(3, &["/"]), unknown].concat(),
        );
    });
    assert_eq!(
        kind(without_collection.entry(PATIENCE).set_secret(b"s")),
        "no access"
    );
}

#[test]
fn every_item_of_an_entry_is_deleted() {
    let bus = Bus::start(|client| {
        say(&client, &[greeted(), found(2, &["/a", "/b"], &[])].concat());
        assert!(hear(&client, "/b"));
        say(&client, &[paths(3, &["/"]), paths(4, &["/"])].concat());
    });
    assert_eq!(kind(bus.entry(PATIENCE).delete_credential()), "fine");
}

#[test]
fn an_item_is_labelled_with_what_it_holds() {
    let store = Store::new(SessionBus::Nowhere, PATIENCE);
    let label = |user: &str| {
        ServiceItem {
            store: store.clone(),
            service: String::new(),
            user: user.into(),
        }
        .label()
    };
    assert_eq!(
        label("contoso.azurecr.io 12ab"),
        "ACR refresh token for contoso.azurecr.io"
    );
    assert_eq!(label("entra 12ab"), "Entra access token");
}

#[test]
fn what_goes_into_the_collection_of_the_session_ends_with_it() {
    let buses: [(&str, CredentialPersistence, Serve); 5] = [
        (
            "a default collection",
            CredentialPersistence::UntilDelete,
            |client| {
                say(
                    &client,
                    &[greeted(), paths(2, &["/login"]), paths(3, &["/session"])].concat(),
                );
            },
        ),
        ("none", CredentialPersistence::UntilLogout, |client| {
            say(
                &client,
                &[greeted(), paths(2, &["/"]), paths(3, &["/session"])].concat(),
            );
        }),
        (
            "that of the session as the default one",
            CredentialPersistence::UntilLogout,
            |client| {
                say(
                    &client,
                    &[greeted(), paths(2, &["/session"]), paths(3, &["/session"])].concat(),
                );
            },
        ),
        (
            "a default collection, and no word for that of the session",
            CredentialPersistence::UntilDelete,
            |client| {
                say(
                    &client,
                    &[
                        greeted(),
                        paths(2, &["/login"]),
                        refused(3, "org.freedesktop.DBus.Error.InvalidArgs"),
                    ]
                    .concat(),
                );
            },
        ),
        ("no answer", CredentialPersistence::Unspecified, |client| {
            say(&client, SIGNED_IN);
        }),
    ];
    for (what, expected, serve) in buses {
        let bus = Bus::start(serve);
        let found = bus.store(PATIENCE).persistence();
        assert_eq!(
            std::mem::discriminant(&found),
            std::mem::discriminant(&expected),
            "a service with {what}"
        );
    }
}
