//! What people see of the cache: `status` and `token`.

use crate::support::REGISTRY;
use crate::user::User;

/// Of one registry: the times are those of the token, and the identity is who signed in.
#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn status_tells_until_when_whose_and_where() {
    let user = User::new("keyutils");
    assert_eq!(
        user.run(&format!("{} status", user.helper().display()), "").succeeds().text(),
        "No token is cached: the next pull or push of each registry signs in.\n"
    );
    user.ask("get").secret();
    user.requests();
    let shown = user.run(&format!("{} status", user.helper().display()), "").succeeds().text();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], REGISTRY);
    let left = lines[1].split_once("(in ").expect("how long").1;
    assert!(lines[1].starts_with("  until     ") && ["2 h 59 min)", "3 h 0 min)"].contains(&left), "{shown}");
    assert_eq!(lines[2], format!("  identity  service principal {}", simulator::CLIENT));
    assert_eq!(lines[3..], ["  kept in   kernel keyring", "  profile   none"]);
    let json = user.run(&format!("{} status --json", user.helper().display()), "").succeeds().json();
    let registry = &json["registries"][0];
    assert_eq!(registry["registry"], REGISTRY);
    assert!(registry["renewedFrom"].is_string() && json["logins"] == serde_json::json!([]), "{json}");
    assert_eq!(registry["identity"], format!("service principal {}", simulator::CLIENT));
    assert_eq!(registry["profiles"], serde_json::json!([]));
    assert!(registry["expires"].as_str().is_some_and(|time| time.ends_with('Z')), "{json}");
    assert_eq!(user.requests(), 0, "nothing leaves the machine");
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn a_token_of_somebody_else_is_shown_as_such_and_not_listed() {
    let user = User::new("keyutils");
    user.ask("get").secret();
    let other = format!("env AZURE_CLIENT_ID=other {}", user.helper().display());
    let shown = user.run(&format!("{other} status"), "").succeeds().text();
    assert!(shown.contains("  identity  somebody else than who would sign in now\n"), "{shown}");
    assert_eq!(user.run(&format!("{other} list"), "").succeeds().json(), serde_json::json!({}));
}

/// Every form holds the token that a client would be given, and asks nobody for it.
#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn token_prints_what_get_gives_in_four_forms() {
    let user = User::new("keyutils");
    let secret = user.ask("get").secret();
    user.requests();
    let token =
        |format: &str| user.run(&format!("{} token {REGISTRY} --format {format}", user.helper().display()), "").succeeds().text();
    assert_eq!(token("raw"), format!("{secret}\n"));
    let guid = "00000000-0000-0000-0000-000000000000";
    assert_eq!(token("env"), format!("ACR_LOGIN_SERVER={REGISTRY}\nACR_USERNAME={guid}\nACR_PASSWORD={secret}\n"));
    assert_eq!(
        token("docker-login"),
        format!("printf %s '{secret}' | docker login {REGISTRY} --username '{guid}' --password-stdin\n")
    );
    let json: serde_json::Value = serde_json::from_str(&token("json")).expect("JSON");
    assert_eq!((&json["loginServer"], &json["username"], &json["accessToken"]), (&REGISTRY.into(), &guid.into(), &secret.into()));
    assert!(json["expiresOn"].is_string());
    assert_eq!(user.requests(), 0);
}

#[test]
#[ignore = "needs keyutils and root: run tests/run"]
fn what_is_no_registry_is_told_on_stderr_alone() {
    let user = User::new("keyutils");
    let answer = user.run(&format!("{} token registry.example", user.helper().display()), "").fails();
    assert_eq!(answer.stdout, "");
    assert!(
        answer.stderr.starts_with("docker-credential-acrscoped: `registry.example` is no Azure Container Registry\nhint: "),
        "{answer:?}"
    );
}
