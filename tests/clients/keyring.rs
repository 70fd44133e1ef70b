//! A keyring of the person's own: the real gnome-keyring-daemon, unlocked, on a bus of its own.

use crate::support::bus_address;
use crate::support::server::Server;
use crate::world::World;

/// The keyring and its bus.
pub(crate) struct Keyring {
    _daemon: Server,
    _bus: Server,
}

impl Keyring {
    /// Starts both, unlocks the keyring as a desktop's login does, and tells the clients of the bus.
    pub(crate) fn unlocked(world: &mut World) -> Self {
        let socket = world.home.path("run/bus");
        let address = bus_address(&socket);
        let mut command = world.client("dbus-daemon");
        command.args([
            "--session",
            "--nofork",
            "--nopidfile",
            "--address",
            &address,
        ]);
        let mut bus = Server::start(&mut command, world.home.path("bus.log"));
        bus.when("session bus", |_| socket.exists().then_some(()));
        world.set("DBUS_SESSION_BUS_ADDRESS", address);

        world.home.write("password", "a password");
        let mut command = world.client("sh");
        command.args([
            "-ec",
            "exec taskset --cpu-list 0 gnome-keyring-daemon --foreground --components=secrets --unlock <../password",
        ]);
        let mut daemon = Server::start(&mut command, world.home.path("keyring.log"));
        daemon.when("keyring", |_| is_unlocked(world).then_some(()));
        Self {
            _daemon: daemon,
            _bus: bus,
        }
    }
}

/// Whether there is a keyring to write to (Secret Service specification, `Collection.Locked`). The question must not have the bus start
/// a keyring by itself.
fn is_unlocked(world: &World) -> bool {
    let has_owner =
        "org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets";
    let locked = "org.freedesktop.secrets /org/freedesktop/secrets/collection/login org.freedesktop.DBus.Properties.Get \
                  string:org.freedesktop.Secret.Collection string:Locked";
    ask_bus(world, has_owner).contains("true") && ask_bus(world, locked).contains("false")
}

/// The answer to one method call: destination, path, method, arguments.
fn ask_bus(world: &World, call: &str) -> String {
    world
        .run(&format!(
            "dbus-send --session --print-reply=literal --type=method_call --dest={call}"
        ))
        .stdout
}
