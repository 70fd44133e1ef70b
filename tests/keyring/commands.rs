//! What people see of the cache: `status` and `token`.

use crate::support::REGISTRY;
use crate::user::User;

/// The times are those of the token.
#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn status_tells_until_when_and_asks_nobody() {
    let user = User::new("keyutils");
    user.ask("get").secret();
    user.requests();
    let shown = user
        .run(&format!("{} status", user.helper().display()), "")
        // No client is configured.
        .fails()
        .text();
    let words: Vec<&str> = shown.split_whitespace().collect();
    let words = words.join(" ");
    let (_, until) = words
        .split_once("token in the kernel keyring until ")
        .expect("how long");
    let left = until.split_once("(in ").expect("how long").1;
    assert!(
        ["2 h 59 min)", "3 h 0 min)"]
            .iter()
            .any(|expected| left.starts_with(expected)),
        "{shown}"
    );
    assert_eq!(user.requests(), 0, "nothing leaves the machine");
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn a_token_of_somebody_else_is_not_listed() {
    let user = User::new("keyutils");
    user.ask("get").secret();
    let other = format!("env AZURE_CLIENT_ID=other {}", user.helper().display());
    assert_eq!(
        user.run(&format!("{other} list"), "").succeeds().json(),
        serde_json::json!({})
    );
}

/// Every form holds the token that a client would be given, and asks nobody for it.
#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn token_prints_what_get_gives_in_three_forms() {
    let user = User::new("keyutils");
    let secret = user.ask("get").secret();
    user.requests();
    let token = |format: &str| {
        user.run(
            &format!(
                "{} token {REGISTRY} --format {format}",
                user.helper().display()
            ),
            "",
        )
        .succeeds()
        .text()
    };
    assert_eq!(token("raw"), format!("{secret}\n"));
    let guid = "00000000-0000-0000-0000-000000000000";
    assert_eq!(
        token("env"),
        format!("ACR_LOGIN_SERVER='{REGISTRY}'\nACR_USERNAME='{guid}'\nACR_PASSWORD='{secret}'\n")
    );
    let json: serde_json::Value = serde_json::from_str(&token("json")).expect("JSON");
    assert_eq!(
        (
            &json["loginServer"],
            &json["username"],
            &json["accessToken"]
        ),
        (&REGISTRY.into(), &guid.into(), &secret.into())
    );
    assert!(json["expiresOn"].is_string());
    assert_eq!(user.requests(), 0);
}
