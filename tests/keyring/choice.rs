//! Which keyring is used where nothing is set.

use crate::contract;
use crate::desktop::{desktop_user, unlocked};
use crate::kernel::fill;
use rustix::process::{Signal, kill_process};

#[test]
#[ignore = "needs gnome-keyring, dbus, keyutils and root: run tests/run"]
fn the_kernel_is_asked_before_the_secret_service() {
    let (user, _bus) = desktop_user("auto");
    let keyring = unlocked(&user);
    kill_process(keyring.id(), Signal::STOP).expect("our child");
    let first = user.ask("get").secret();
    user.requests();
    assert_eq!(user.ask("get").secret(), first);
    assert_eq!(user.requests(), 0);
}

#[test]
#[ignore = "needs gnome-keyring, dbus, keyutils and root: run tests/run"]
fn the_secret_service_takes_what_the_kernel_has_no_room_for() {
    let (user, _bus) = desktop_user("auto");
    let _keyring = unlocked(&user);
    fill(&user);
    contract::a_second_get_asks_nobody(&user);
}

/// As on a server or in a container.
#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn without_room_and_without_a_bus_there_is_an_answer() {
    let user = crate::user::User::new("auto");
    fill(&user);
    user.ask("get").secret();
    user.ask("get").secret();
    assert_ne!(user.requests(), 0);
}
