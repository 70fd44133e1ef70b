//! Who runs the clients: root, or a user made for one test.

use crate::support::server::CONTAINED;
use crate::support::{Home, LIMIT, azure_cli, binary, run};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Who runs the clients.
pub(crate) struct Person {
    user: Option<User>,
}

/// A user whose uid nobody else has, so that its keyrings are empty.
struct User {
    id: u32,
    /// What makes the machine look to the user as it should, for a shell of root's.
    view: String,
}

impl Person {
    /// Root.
    pub(crate) const fn root() -> Self {
        Self { user: None }
    }

    /// A new user, whose home this becomes, with ids for containers. The account is known to the user's own programs alone.
    pub(crate) fn somebody(home: &Home) -> Self {
        let id = unused_id();
        // The build's folder may be closed to others.
        std::fs::remove_file(home.path("bin/docker-credential-acrscoped")).expect("a link of ours");
        home.install(&binary(), "bin/docker-credential-acrscoped");
        let folder = home.path("home");
        home.write(
            "etc/passwd",
            format!(
                "root:x:0:0::/root:/bin/sh\nsomebody:x:{id}:{id}::{}:/bin/sh\n",
                folder.display()
            ),
        );
        let range = format!("somebody:{}:65536\n", 0x6000_0000 + id % 0x1000 * 0x1_0000);
        home.write("etc/subuid", &range);
        home.write("etc/subgid", &range);
        let view = format!(
            "for file in {}/*; do mount --bind $file /etc/${{file##*/}}; done\n",
            home.path("etc").display()
        );
        Self {
            user: Some(User { id, view }),
        }
    }

    /// The uid.
    pub(crate) fn id(&self) -> u32 {
        self.user.as_ref().map_or(0, |user| user.id)
    }

    /// A command of this person, with mounts and processes of its own.
    pub(crate) fn contained(&self, home: &Home, program: &str) -> Command {
        let mut command = home.command(CONTAINED[0]);
        command.args(&CONTAINED[1..]);
        if let Some(User { id, view }) = &self.user {
            let id = id.to_string();
            command
                .args(["sh", "-ec"])
                .arg(format!("{view}exec \"$0\" \"$@\""));
            command.args(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"]);
        }
        command.arg(program);
        command
    }

    /// Puts the `az` that `tests/setup` installed on the home's path. Where it lies only root may look: a user finds it in the own home.
    pub(crate) fn offer_azure_cli(&mut self, home: &Home) {
        let az = azure_cli();
        let Some(user) = &mut self.user else {
            std::os::unix::fs::symlink(az, home.path("bin/az")).expect("a new link");
            return;
        };
        let installed = az.canonicalize().expect("an installed program");
        let installed = installed
            .parent()
            .and_then(Path::parent)
            .expect("a virtual environment");
        let seen = home.path("azure-cli");
        std::fs::create_dir(&seen).expect("a new folder");
        let _ = writeln!(
            user.view,
            "mount --bind {} {}",
            installed.display(),
            seen.display()
        );
        home.script(
            "bin/az",
            &format!("exec {}/bin/python3 -m azure.cli \"$@\"", seen.display()),
        );
    }

    /// Gives everything in the home to its user.
    pub(crate) fn own(&self, home: &Home) {
        let mut chown = home.command("chown");
        chown
            .args([
                "--recursive",
                "--no-dereference",
                &format!("{0}:{0}", self.id()),
            ])
            .arg(home.root());
        run(chown, "", LIMIT).succeeds();
    }

    /// Empties the kernel's keyring, if it is that of a user made for the test.
    pub(crate) fn forget(&self, home: &Home) {
        if self.user.is_some() {
            let _ = self
                .contained(home, "keyctl")
                .args(["clear", "@u"])
                .output();
        }
    }
}

/// A uid above every range that distributions hand out (systemd, "Users, Groups, UIDs and GIDs"), another for each user.
fn unused_id() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    0x7000_0000 + (std::process::id() % 0x10_0000) * 0x100 + next
}
