//! Service principals with a certificate, made by the `openssl` command when it is first needed.

use crate::rows::{Absent, Refusal, Row, application};
use crate::source::SourceName;
use crate::stage::Stage;
use std::process::Command;
use std::sync::LazyLock;
use tempfile::TempDir;

const PASSWORD: &str = "pässword € ";

/// `leaf.pem`, issued by `middle.pem`, that by `root.pem`; and in each form the leaf with its key.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split(' '))
            .current_dir(&folder)
            .env("PASSWORD", PASSWORD);
        let output = command.output().expect("openssl");
        assert!(
            output.status.success(),
            "openssl {arguments}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let write = |name: &str, content: &str| {
        std::fs::write(folder.path().join(name), content).expect("our folder");
    };
    write("ca", "basicConstraints=CA:TRUE");
    write("end", "basicConstraints=CA:FALSE");
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=root -days 2 -keyout root.key -out root.pem",
    );
    for (name, issuer, kind, key) in [
        (
            "middle",
            "root",
            "ca",
            "ec -pkeyopt ec_paramgen_curve:P-256",
        ),
        ("leaf", "middle", "end", "rsa:2048"),
    ] {
        openssl(&format!(
            "req -newkey {key} -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -set_serial 7 -days 2 -extfile {kind} -out {name}.pem"
        ));
    }
    // Few rounds: an unoptimized build takes its time for many, and how many is not the question here.
    openssl("pkcs8 -topk8 -iter 100 -in leaf.key -passout env:PASSWORD -out encrypted.key");
    let read =
        |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("made by openssl");
    write("plain", &(read("leaf.key") + &read("leaf.pem")));
    write(
        "encrypted with chain",
        &(read("middle.pem") + &read("leaf.pem") + &read("encrypted.key")),
    );
    openssl(
        "pkcs12 -export -iter 100 -inkey leaf.key -in leaf.pem -certfile middle.pem -passout env:PASSWORD -out archive",
    );
    folder
});

fn certificate(name: &str) -> String {
    std::fs::read_to_string(FOLDER.path().join(name)).expect("made by openssl")
}

fn row() -> Row {
    Row {
        sign_in: vec![
            "POST {authority}/{tenant}/oauth2/v2.0/token grant client_credentials for {audience}/.default as {client} \
             showing https://{authority}/{tenant}/oauth2/v2.0/token of {client} -> 200",
        ],
        refusals: vec![Refusal {
            bring_about: |stage| {
                stage
                    .simulator
                    .change(|settings| settings.apps[0].certificates.clear());
            },
            said: "AADSTS700027: Client assertion contains an invalid signature.",
            after: 1,
        }],
        ..application(SourceName::ClientCertificate)
    }
}

fn set_up(stage: &mut Stage, name: &str) {
    stage
        .simulator
        .change(|settings| settings.apps[0].certificates = vec![certificate("leaf.pem")]);
    stage.set("AZURE_CLIENT_CERTIFICATE_PATH", FOLDER.path().join(name));
}

pub(crate) fn pem() -> Row {
    let absent = Absent::PassedOver("`AZURE_CLIENT_CERTIFICATE_PATH` is not set");
    Row { absent, ..row() }.and(|stage| set_up(stage, "plain"))
}

/// An application that trusts the authority, and so has to see the chain.
pub(crate) fn encrypted_pem_with_chain() -> Row {
    let row = row().and(|stage| {
        set_up(stage, "encrypted with chain");
        stage.set("AZURE_CLIENT_CERTIFICATE_PASSWORD", PASSWORD);
        stage.set("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true");
        stage.simulator.change(|settings| {
            settings.apps[0].certificates.clear();
            settings.apps[0].issuers = vec![certificate("root.pem")];
        });
    });
    let without_chain =
        |stage: &mut Stage| stage.set("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "false");
    let refusals = vec![Refusal {
        bring_about: without_chain,
        ..row.refusals[0]
    }];
    Row { refusals, ..row }
}

pub(crate) fn pkcs12() -> Row {
    row().and(|stage| {
        set_up(stage, "archive");
        stage.set("AZURE_CLIENT_CERTIFICATE_PASSWORD", PASSWORD);
    })
}

/// The certificate is read before anybody is asked.
#[test]
#[ignore = "needs openssl: run tests/run"]
fn a_certificate_that_cannot_be_opened_is_told_and_shown_to_nobody() {
    for (name, password, problem) in [
        (
            "archive",
            None,
            "it is encrypted, and `AZURE_CLIENT_CERTIFICATE_PASSWORD` is not set",
        ),
        (
            "archive",
            Some("CANARY"),
            "the password of `AZURE_CLIENT_CERTIFICATE_PASSWORD` does not open it",
        ),
        (
            "encrypted with chain",
            None,
            "it is encrypted, and `AZURE_CLIENT_CERTIFICATE_PASSWORD` is not set",
        ),
        (
            "encrypted with chain",
            Some("CANARY"),
            "the password of `AZURE_CLIENT_CERTIFICATE_PASSWORD` does not open it",
        ),
        ("leaf.pem", None, "it holds no private key"),
        (
            "missing",
            None,
            "it cannot be read: No such file or directory (os error 2)",
        ),
    ] {
        let mut stage = Stage::new(&crate::stage::CLOUDS[0]);
        for set_up in row().set_up {
            set_up(&mut stage);
        }
        set_up(&mut stage, name);
        stage
            .command
            .envs(password.map(|password| ("AZURE_CLIENT_CERTIFICATE_PASSWORD", password)));
        let answer = stage.get().fails();
        let path = FOLDER.path().join(name);
        let sentence = format!(
            "`AZURE_CLIENT_CERTIFICATE_PATH` names {}: {problem}\n",
            path.display()
        );
        assert_eq!((answer.code(), &answer.stdout), (1, &sentence));
        assert!(!answer.text().contains("CANARY"));
        assert_eq!(stage.requests(), [""; 0]);
    }
}
