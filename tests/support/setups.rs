//! What set-ups of several targets are made of: the faults of the simulator, and an identity to sign in as.

use super::{Home, REGISTRY};
use simulator::{Fault, FaultAt, FaultKind, Simulator};
use std::process::Command;

/// Brings a set-up about.
pub(crate) type Prepare = Box<dyn Fn(&Home, &Simulator, &mut Command) + Send + Sync>;

/// Has one place fail in one way, whenever it is asked.
pub(crate) fn fail(simulator: &Simulator, at: &FaultAt, kind: &FaultKind) {
    simulator.change(|settings| settings.faults = vec![Fault::always(at.clone(), kind.clone())]);
}

/// A status with this body.
pub(crate) fn status(code: u16, body: &str) -> FaultKind {
    FaultKind::Status {
        code,
        retry_after: None,
        body: body.into(),
        content_type: None,
    }
}

/// The tunnel to the registry.
pub(crate) fn connect() -> FaultAt {
    FaultAt::Connect(REGISTRY.into())
}

/// Signed in to an Azure CLI that is this script.
pub(crate) fn azure_cli(home: &Home, command: &mut Command, script: &str) {
    home.script("bin/az", script);
    home.write(
        "home/.azure/azureProfile.json",
        r#"{"subscriptions":[{"isDefault":true,"user":{"name":"alice"}}]}"#,
    );
    command.env_remove("AZURE_CLIENT_SECRET");
}
