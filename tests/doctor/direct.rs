//! The way without a proxy, in a namespace where `/etc/hosts` says where everything is.

use crate::setups::Row;
use crate::support::namespace::{alone, resolve, sh};
use crate::support::{Home, REGISTRY};
use crate::{compare, golden};
use simulator::Simulator;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

const AUTHORITY: &str = "login.microsoftonline.com";
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// An address that no private network has.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(20, 42, 66, 1);

/// Serves TLS at its proper port, with no proxy.
fn serve(simulator: &Simulator, command: &mut Command) {
    simulator
        .listen_tls(SocketAddr::from((LOOPBACK, 443)))
        .expect("a port of our own");
    command.env_remove("HTTPS_PROXY");
}

/// Passes connections to an address of the internet on to the simulator, which listens on loopback alone.
fn pass_on(address: Ipv4Addr) {
    sh(&format!("ip address add {address}/32 dev lo"));
    let listener = TcpListener::bind((address, 443)).expect("an address of our own");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect((LOOPBACK, 443)).expect("the simulator");
            for (mut from, mut to) in [(&client, &server), (&server, &client)].map(|(from, to)| {
                (
                    from.try_clone().expect("a descriptor"),
                    to.try_clone().expect("a descriptor"),
                )
            }) {
                thread::spawn(move || {
                    drop(io::copy(&mut from, &mut to));
                    drop(to.shutdown(std::net::Shutdown::Write));
                });
            }
        }
    });
}

fn at(home: &Home, hosts: &[&str], address: Ipv4Addr) {
    resolve(home.root(), hosts, &[&address.to_string()]);
}

#[test]
#[ignore = "needs namespaces: run tests/run"]
fn what_is_wrong_on_a_direct_way_is_named_as_the_first_cause() {
    alone(
        "direct::what_is_wrong_on_a_direct_way_is_named_as_the_first_cause",
        |_| {
            let rows = [
                Row::working("direct", |home, simulator, command| {
                    serve(simulator, command);
                    at(home, &[AUTHORITY, REGISTRY], LOOPBACK);
                }),
                Row::broken("name-without-address", "dns", |home, simulator, command| {
                    serve(simulator, command);
                    at(home, &[AUTHORITY], LOOPBACK);
                }),
                Row::broken(
                    "private-endpoint-without-dns",
                    "challenge",
                    |home, simulator, command| {
                        serve(simulator, command);
                        pass_on(PUBLIC);
                        at(home, &[AUTHORITY, REGISTRY], PUBLIC);
                        simulator.change(|settings| {
                            settings.registry_mut(REGISTRY).firewall = Some("203.0.113.9".into());
                        });
                    },
                ),
                Row::broken(
                    "private-endpoint-out-of-reach",
                    "tcp",
                    |home, simulator, command| {
                        serve(simulator, command);
                        at(home, &[REGISTRY], Ipv4Addr::new(10, 1, 2, 3));
                    },
                ),
                Row::broken("nothing-listens", "tcp", |home, _, command| {
                    command.env_remove("HTTPS_PROXY");
                    at(home, &[REGISTRY], LOOPBACK);
                }),
            ];
            // One at a time: all serve at one port.
            compare(&rows, rows.iter().map(golden::examine));
        },
    );
}
