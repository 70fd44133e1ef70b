//! `/control/…`: the journal and the settings, for those who drive the simulator from outside.

use hyper::Method;
use serde_json::{Value, json};

use crate::call::Call;
use crate::wire::{self, Reply};
use crate::world::World;

/// The answer to a control request.
pub(crate) fn answer(world: &World, call: &Call) -> Reply {
    match (&call.method, call.path.as_str()) {
        (&Method::GET, "/control/journal") => wire::json(200, &json!(world.journal.entries())),
        (&Method::DELETE, "/control/journal") => {
            world.journal.clear();
            wire::empty(204)
        }
        (&Method::GET, "/control/settings") => wire::json(200, &json!(world.settings())),
        (&Method::PUT, "/control/settings") => put(world, call),
        _ => wire::json(404, &json!({"error": "no such control page"})),
    }
}

fn put(world: &World, call: &Call) -> Reply {
    let changes: Result<Value, _> = serde_json::from_slice(&call.body);
    let settings = changes
        .map_err(|error| error.to_string())
        .and_then(|changes| world.settings().overlaid(&changes));
    match settings {
        Ok(settings) => {
            world.change(|current| *current = settings);
            wire::empty(204)
        }
        Err(error) => wire::json(400, &json!({"error": error})),
    }
}
