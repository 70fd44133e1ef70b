//! What every store must do.

use crate::support::REGISTRY;
use crate::user::User;

/// The first `get` asks, the second is answered by the store with the same token.
pub(crate) fn a_second_get_asks_nobody(user: &User) {
    let first = user.ask("get").secret();
    assert_ne!(user.requests(), 0);
    assert_eq!(user.ask("get").secret(), first);
    assert_eq!(user.requests(), 0);
}

/// A registry is listed from its first `get` until it is erased, and then asked for anew.
pub(crate) fn a_registry_is_listed_until_it_is_erased(user: &User) {
    user.ask("get").secret();
    let listed = user.ask("list").succeeds().json();
    assert!(listed.get(REGISTRY).is_some(), "{listed}");
    user.ask("erase").succeeds();
    assert_eq!(user.ask("list").succeeds().json(), serde_json::json!({}));
    user.requests();
    user.ask("get").secret();
    assert_ne!(user.requests(), 0);
}
