//! A user of a desktop: a session bus, and a real gnome-keyring-daemon on it.

use crate::support::server::{CONTAINED, Server};
use crate::support::{bus_address, until};
use crate::user::User;

/// A user with a session bus of their own.
pub(crate) fn desktop_user(store: &'static str) -> (User, Server) {
    let mut user = User::new(store);
    let socket = user.home.path("run/bus");
    let address = bus_address(&socket);
    let mut command = user.home.command(CONTAINED[0]);
    let inner = user.command("dbus-daemon");
    // dbus-daemon insists on knowing the user's name.
    command.args(&CONTAINED[1..]).args([
        "sh",
        "-ec",
        "mount --bind ../passwd /etc/passwd; exec \"$0\" \"$@\"",
    ]);
    command.arg(inner.get_program()).args(inner.get_args());
    command.args([
        "--session",
        "--nofork",
        "--nopidfile",
        "--address",
        &address,
    ]);
    let mut bus = Server::start(&mut command, user.home.path("bus.log"));
    bus.when("session bus", |_| socket.exists().then_some(()));
    user.join_bus(address);
    (user, bus)
}

/// A keyring that was made and unlocked with a password, as a desktop's login does.
pub(crate) fn unlocked(user: &User) -> Server {
    user.home.write("password", "a password");
    let keyring = start_keyring(user, "--unlock");
    // A keyring that is not made yet is not locked either.
    until("unlocked keyring", || {
        locked(user).contains("false").then_some(())
    });
    keyring
}

/// Starts gnome-keyring-daemon and waits until it owns its name on the bus. It runs on one processor: its threads share a table of
/// clients without a lock, so that version 42.1 now and then lost the one that came while another left, and aborted.
pub(crate) fn start_keyring(user: &User, option: &str) -> Server {
    let mut command = user.command("sh");
    command
        .arg("-ec")
        .arg("exec taskset --cpu-list 0 gnome-keyring-daemon --foreground --components=secrets $0 <../password")
        .arg(option);
    let mut keyring = Server::start(&mut command, user.home.path("keyring.log"));
    keyring.when("keyring", |_| {
        has_owner(user, "org.freedesktop.secrets").then_some(())
    });
    keyring
}

/// Whether a program on the bus owns this name.
fn has_owner(user: &User, name: &str) -> bool {
    let question = "org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner";
    ask_bus(user, &format!("{question} string:{name}")).contains("true")
}

/// Whether somebody must type a password before anything can be read.
pub(crate) fn is_locked(user: &User) -> bool {
    locked(user).contains("true")
}

/// Whether the keyring that tokens would be written to is locked, as the bus says it (Secret Service specification,
/// `Collection.Locked`).
fn locked(user: &User) -> String {
    let collection = "org.freedesktop.secrets /org/freedesktop/secrets/collection/login";
    let get = "org.freedesktop.DBus.Properties.Get string:org.freedesktop.Secret.Collection string:Locked";
    ask_bus(user, &format!("{collection} {get}"))
}

/// The answer to one method call: destination, path, method, arguments.
fn ask_bus(user: &User, call: &str) -> String {
    user.run(
        &format!("dbus-send --session --print-reply=literal --type=method_call --dest={call}"),
        "",
    )
    .stdout
}
