//! `logout`.

use crate::person::Person;
use crate::support::REGISTRY;

const NOTHING: &str = "Nobody had signed in with `login`";
const FORGOTTEN: &str = "Forgot the login of alice@contoso.example, and the tokens that came of it.\n\
                         The browser may stay signed in: sign out there, too, if others use it.\n";

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn logout_forgets_the_login_and_every_token_that_came_of_it() {
    let person = Person::new();
    for line in ["logout", &format!("logout {REGISTRY}"), "logout --all"] {
        assert!(person.run(line).succeeds().stdout.starts_with(NOTHING));
        person.log_in(&format!("login {REGISTRY}")).0.succeeds();
        person.get().secret();
        assert_eq!(person.run(line).succeeds().stdout, FORGOTTEN, "{line}");
        assert_eq!(person.logins(), None);
        assert_eq!(person.run("status --json").succeeds().stdout.trim(), "[]");
        let answer = person.get().fails();
        assert!(answer.stdout.contains("no Azure identity to sign in with"), "{answer:#?}");
        let keys = person.keys();
        assert!(keys.is_empty(), "after {line}: {keys:?}");
    }
}

#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn erase_of_a_registry_keeps_the_login() {
    let person = Person::new();
    person.log_in(&format!("login {REGISTRY}")).0.succeeds();
    person.erase();
    person.get().secret();
}
