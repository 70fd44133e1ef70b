//! Every source of an identity, through the shipped binary: what was asked of whom, proved by the simulator's journal.

mod support;

use simulator::{CLIENT, Endpoint, Entry, MANAGED_IDENTITY, Simulator, TENANT};
use std::process::Command;
use support::{Home, REGISTRY, ask, binary, connect, helper, world};

const AUDIENCE: &str = "https://containerregistry.azure.net";

/// The helper without an identity.
fn nobody(home: &Home, simulator: &Simulator) -> Command {
    let mut command = home.command(binary());
    connect(&mut command, simulator);
    // No test asks the machine's real metadata service: nobody listens there.
    command
        .env("ACRSCOPED_CACHE", "none")
        .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
    command
}

/// The requests, without the `CONNECT`s that carried them.
fn requests(simulator: &Simulator) -> Vec<Entry> {
    simulator
        .journal()
        .into_iter()
        .filter(|entry| entry.endpoint != Endpoint::Connect)
        .collect()
}

/// What promise 1 says of every source: no other audience was asked for, issued or sent.
#[track_caller]
fn only_the_registry_audience_was_in_play(simulator: &Simulator) {
    for entry in requests(simulator) {
        // An exchange asks for a service, not for an audience.
        if let Some(audience) = entry
            .audience_requested
            .as_ref()
            .filter(|_| entry.endpoint != Endpoint::Exchange)
        {
            assert!(
                audience == AUDIENCE || *audience == format!("{AUDIENCE}/.default"),
                "{entry:?}"
            );
        }
        let tokens = entry.token.iter().chain(
            entry
                .issued
                .iter()
                .filter(|_| entry.endpoint != Endpoint::Exchange),
        );
        for token in tokens.filter(|_| entry.host != "oidc.contoso.example") {
            let assertion = entry.endpoint == Endpoint::EntraToken
                && token.audience == "api://AzureADTokenExchange";
            assert!(assertion || token.audience == AUDIENCE, "{entry:?}");
        }
    }
}

#[test]
fn a_cold_get_is_two_requests_to_the_right_hosts() {
    for (registry, authority) in [
        ("contoso.azurecr.io", "login.microsoftonline.com"),
        ("contoso.azurecr.us", "login.microsoftonline.us"),
        ("contoso.azurecr.cn", "login.chinacloudapi.cn"),
        ("contoso-abc123.azurecr.io", "login.microsoftonline.com"),
    ] {
        let (home, simulator) = world();
        ask(helper(&home, &simulator), "get", registry).succeeds();
        let requests = requests(&simulator);
        let [sign_in, exchange] = &requests[..] else {
            panic!("{requests:#?}")
        };
        assert_eq!(
            (sign_in.endpoint, sign_in.host.as_str()),
            (Endpoint::EntraToken, authority)
        );
        assert_eq!(
            sign_in.audience_requested.as_deref(),
            Some("https://containerregistry.azure.net/.default")
        );
        assert_eq!(sign_in.grant.as_deref(), Some("client_credentials"));
        assert_eq!(
            (sign_in.tenant.as_deref(), sign_in.client_id.as_deref()),
            (Some(TENANT), Some(CLIENT))
        );
        assert_eq!(
            (exchange.endpoint, exchange.host.as_str()),
            (Endpoint::Exchange, registry)
        );
        assert_eq!(
            (exchange.method.as_str(), exchange.path.as_str()),
            ("POST", "/oauth2/exchange")
        );
        assert_eq!(exchange.tenant.as_deref(), Some(TENANT));
        let expected = format!("docker-credential-acrscoped/{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(exchange.user_agent.as_deref(), Some(expected.as_str()));
        let connected: Vec<String> = simulator
            .journal()
            .into_iter()
            .filter(|entry| entry.endpoint == Endpoint::Connect)
            .map(|entry| entry.host)
            .collect();
        assert_eq!(connected.len(), 2, "{connected:?}");
        only_the_registry_audience_was_in_play(&simulator);
    }
}

#[test]
fn the_registrys_connection_is_opened_before_the_identity_is_obtained() {
    let (home, simulator) = world();
    ask(helper(&home, &simulator), "get", REGISTRY).succeeds();
    let journal = simulator.journal();
    let at = |host: &str, endpoint| {
        journal
            .iter()
            .position(|entry| entry.host.starts_with(host) && entry.endpoint == endpoint)
    };
    assert!(
        at(REGISTRY, Endpoint::Connect) < at("login.microsoftonline.com", Endpoint::EntraToken),
        "{journal:#?}"
    );
}

#[test]
fn a_regional_endpoint_is_exchanged_at_its_global_login_server() {
    let (home, simulator) = world();
    let answer = ask(
        helper(&home, &simulator),
        "get",
        "contoso.eastus.geo.azurecr.io",
    )
    .succeeds();
    assert_eq!(answer.json()["ServerURL"], "contoso.eastus.geo.azurecr.io");
    let exchange = requests(&simulator).pop().unwrap();
    assert_eq!(
        (exchange.endpoint, exchange.host.as_str()),
        (Endpoint::Exchange, "contoso.azurecr.io")
    );
}

#[test]
fn a_named_authority_is_asked_in_place_of_the_clouds() {
    let (home, simulator) = world();
    let mut command = helper(&home, &simulator);
    command.env(
        "AZURE_AUTHORITY_HOST",
        "https://login.partner.microsoftonline.cn",
    );
    ask(command, "get", "contoso.azurecr.cn").succeeds();
    assert_eq!(
        requests(&simulator)[0].host,
        "login.partner.microsoftonline.cn"
    );
}

#[test]
fn a_workload_identity_signs_in_with_its_token_file() {
    let (home, simulator) = world();
    let subject = simulator.settings().apps[0].federated_credentials[0]
        .subject
        .clone();
    for newline in ["", "\n"] {
        simulator.clear_journal();
        let file = home.write("token", simulator.assertion(&subject) + newline);
        let mut command = nobody(&home, &simulator);
        command
            .env("AZURE_TENANT_ID", TENANT)
            .env("AZURE_CLIENT_ID", CLIENT)
            .env("AZURE_FEDERATED_TOKEN_FILE", file);
        ask(command, "get", REGISTRY).succeeds();
        assert_eq!(requests(&simulator).len(), 2);
        only_the_registry_audience_was_in_play(&simulator);
    }
}

#[test]
fn a_managed_identity_that_the_environment_announces_is_used() {
    for client in [None, Some(MANAGED_IDENTITY)] {
        let (home, simulator) = world();
        let mut command = nobody(&home, &simulator);
        command
            .env(
                "IDENTITY_ENDPOINT",
                format!("{}/msi/token", simulator.origin()),
            )
            .env("IDENTITY_HEADER", &simulator.settings().identity_header)
            // The address of the machine itself is never asked for through a proxy.
            .env("HTTP_PROXY", "http://127.0.0.1:1");
        command.envs(client.map(|client| ("AZURE_CLIENT_ID", client)));
        ask(command, "get", REGISTRY).succeeds();
        let requests = requests(&simulator);
        assert_eq!(
            requests
                .iter()
                .map(|entry| entry.endpoint)
                .collect::<Vec<_>>(),
            [Endpoint::AppService, Endpoint::Exchange]
        );
        assert_eq!(requests[0].audience_requested.as_deref(), Some(AUDIENCE));
        only_the_registry_audience_was_in_play(&simulator);
    }
}

#[test]
fn a_virtual_machines_identity_is_found_by_asking() {
    let (home, simulator) = world();
    let mut command = nobody(&home, &simulator);
    command
        .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", simulator.origin())
        .env("HTTP_PROXY", "http://127.0.0.1:1");
    ask(command, "get", REGISTRY).succeeds();
    let requests = requests(&simulator);
    let [probe, imds, exchange] = &requests[..] else {
        panic!("{requests:#?}")
    };
    assert_eq!((probe.endpoint, probe.status), (Endpoint::Imds, 400));
    assert_eq!(
        (imds.endpoint, imds.audience_requested.as_deref()),
        (Endpoint::Imds, Some(AUDIENCE))
    );
    assert_eq!(exchange.endpoint, Endpoint::Exchange);
    only_the_registry_audience_was_in_play(&simulator);
}

#[test]
fn a_machine_without_identity_is_told_what_was_looked_for_within_seconds() {
    let (home, simulator) = world();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for imds in ["http://127.0.0.1:1", &silent] {
        let mut command = nobody(&home, &simulator);
        command.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", imds);
        let answer = ask(command, "get", REGISTRY).fails();
        assert_eq!(answer.stdout, "no Azure identity to sign in with\n");
        for line in [
            "`AZURE_FEDERATED_TOKEN_FILE` is not set",
            "`AZURE_CLIENT_SECRET` is not set",
            "no account is signed in",
            imds.trim_start_matches("http://"),
            "sign in\n  docker-credential-acrscoped login contoso.azurecr.io\n",
        ] {
            assert!(answer.stderr.contains(line), "{line} in {}", answer.stderr);
        }
    }
    assert!(requests(&simulator).is_empty());
}

/// An `az` that is a shell script, and a profile in which an account is signed in to it.
#[cfg(unix)]
fn fake_azure_cli(home: &Home, script: &str) {
    home.script("bin/az", script);
    home.write(
        "home/.azure/azureProfile.json",
        "\u{feff}{\"subscriptions\":[{\"isDefault\":true,\"environmentName\":\"AzureCloud\",\"tenantId\":\"t\",\"user\":{\"name\":\"alice\"}}]}",
    );
}

/// What is there and cannot be used must not lead to somebody else's signing in.
#[test]
#[cfg(unix)]
fn a_source_that_is_there_but_broken_is_never_passed_over() {
    let (home, simulator) = world();
    fake_azure_cli(&home, "exit 1");
    let imds = |command: &mut Command| {
        command.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", simulator.origin());
    };
    for profile in ["", "{\"subscriptions\":[{", "junk"] {
        home.write("home/.azure/azureProfile.json", profile);
        let mut command = nobody(&home, &simulator);
        imds(&mut command);
        let answer = ask(command, "get", REGISTRY).fails();
        assert!(
            answer
                .stdout
                .contains("is not the profile of the Azure CLI"),
            "{answer:?}"
        );
    }
    std::fs::remove_file(home.path("home/.azure/azureProfile.json")).unwrap();
    for (name, value, line) in [
        (
            "IDENTITY_ENDPOINT",
            "http://127.0.0.1:1/msi",
            "`IDENTITY_ENDPOINT` is set, but `IDENTITY_HEADER` is not\n",
        ),
        (
            "AZURE_CLIENT_CERTIFICATE_PATH",
            "/c.pem",
            "`AZURE_CLIENT_CERTIFICATE_PATH` is set, but `AZURE_TENANT_ID` and `AZURE_CLIENT_ID` are not\n",
        ),
    ] {
        let mut command = nobody(&home, &simulator);
        imds(&mut command);
        command.env(name, value);
        assert_eq!(ask(command, "get", REGISTRY).fails().stdout, line);
    }
    assert!(requests(&simulator).is_empty());
}

#[test]
#[cfg(unix)]
fn files_that_never_end_or_never_begin_are_not_read() {
    let (home, simulator) = world();
    let pipe = home.path("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for endless in [pipe, "/dev/zero".into()] {
        for name in [
            "AZURE_FEDERATED_TOKEN_FILE",
            "SSL_CERT_FILE",
            "ACRSCOPED_CA_FILE",
        ] {
            let mut command = helper(&home, &simulator);
            command.env(name, &endless);
            let answer = ask(command, "get", REGISTRY).fails();
            assert!(
                answer.stdout.contains("not a regular file"),
                "{name}: {answer:?}"
            );
        }
    }
}

#[test]
#[cfg(unix)]
fn an_azure_cli_that_floods_or_leaves_something_behind_is_dealt_with() {
    let (home, simulator) = world();
    fake_azure_cli(&home, "exec head -c 50000000 /dev/zero");
    let answer = ask(nobody(&home, &simulator), "get", REGISTRY).fails();
    assert!(
        answer.stdout.contains("more than 1048576 bytes of output"),
        "{answer:?}"
    );
    fake_azure_cli(
        &home,
        "sleep 300 & echo $! > \"$HOME/pids\"; echo '{}'; exit 0",
    );
    let answer = ask(nobody(&home, &simulator), "get", REGISTRY).fails();
    assert!(!answer.stdout.contains("gave up"), "{answer:?}");
    is_gone(&std::fs::read_to_string(home.path("home/pids")).unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn an_azure_cli_ends_with_a_helper_that_is_interrupted() {
    use rustix::process::{Pid, Signal, kill_process};
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (home, simulator) = world();
        fake_azure_cli(
            &home,
            "echo $$ > \"$HOME/pid\"; mv \"$HOME/pid\" \"$HOME/pids\"; exec sleep 300",
        );
        let host = std::fs::File::open(home.write("host", REGISTRY)).unwrap();
        let mut command = nobody(&home, &simulator);
        let mut child = command
            .arg("get")
            .stdin(host)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let pids = support::until("Azure CLI", || {
            std::fs::read_to_string(home.path("home/pids")).ok()
        });
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1));
        is_gone(&pids);
    }
}

/// A zombie waits for whoever inherited it: it runs no more.
#[cfg(unix)]
fn is_gone(pid: &str) {
    support::until("end of a process", || {
        match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
            Ok(stat) => stat.contains(") Z ").then_some(()),
            Err(_) => Some(()),
        }
    });
}

#[test]
#[cfg(unix)]
fn the_azure_clis_own_words_are_passed_on_with_what_to_type() {
    let (home, simulator) = world();
    fake_azure_cli(
        &home,
        "echo 'WARNING: something' >&2; echo 'ERROR: AADSTS50076: Due to a configuration change, you must use multi-factor authentication. Trace ID: 1234' >&2; exit 1",
    );
    let answer = ask(nobody(&home, &simulator), "get", REGISTRY).fails();
    assert_eq!(
        answer.stdout,
        "could not get an access token from the Azure CLI: AADSTS50076: Due to a configuration change, you must use multi-factor authentication.\n"
    );
    assert!(
        answer.stderr.contains("  - Trace ID: 1234\n"),
        "{}",
        answer.stderr
    );
    assert!(
        answer.stderr.contains(
            "hint: sign in again\n  az login --scope https://containerregistry.azure.net/.default --tenant t"
        ),
        "{}",
        answer.stderr
    );
    assert!(requests(&simulator).is_empty());
}

/// The Azure CLI reads its profile a second after the helper has: whoever signed in meanwhile must not be taken for the former one.
#[test]
#[cfg(unix)]
fn a_switch_of_the_account_while_az_starts_is_noticed() {
    let (home, simulator) = world();
    let payload =
        azure_core::base64::encode_url_safe(r#"{"aud":"https://containerregistry.azure.net"}"#);
    let token = format!("e30.{}.c2ln", payload.trim_end_matches('='));
    fake_azure_cli(
        &home,
        &format!(
            "sed -i s/alice/bob/ \"$HOME/.azure/azureProfile.json\"\necho '{{\"accessToken\":\"{token}\",\"expires_on\":4102444800,\"tokenType\":\"Bearer\"}}'"
        ),
    );
    let answer = ask(nobody(&home, &simulator), "get", REGISTRY).fails();
    assert_eq!(
        answer.stdout,
        "could not get an access token from the Azure CLI: the signed-in account changed during the request\n"
    );
    assert!(
        requests(&simulator).is_empty(),
        "nobody's token is exchanged for somebody else"
    );
}

#[test]
#[cfg(unix)]
fn an_azure_cli_that_hangs_is_ended_with_all_it_started() {
    let (home, simulator) = world();
    fake_azure_cli(
        &home,
        "echo $$ > \"$HOME/pids\"; sleep 300 & echo $! >> \"$HOME/pids\"; wait",
    );
    let mut command = nobody(&home, &simulator);
    command.env("ACRSCOPED_TIMEOUT", "1");
    let answer = ask(command, "get", REGISTRY).fails();
    assert_eq!(
        answer.stdout,
        "timed out after 1 s waiting for an access token from the Azure CLI\n"
    );
    let pids = std::fs::read_to_string(home.path("home/pids")).unwrap();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        is_gone(pid);
    }
}

#[test]
#[cfg(unix)]
fn a_token_of_another_audience_is_sent_nowhere() {
    let (home, simulator) = world();
    let payload = azure_core::base64::encode_url_safe(r#"{"aud":"https://management.azure.com/"}"#);
    let arm = format!("e30.{}.c2ln", payload.trim_end_matches('='));
    fake_azure_cli(
        &home,
        &format!(
            r#"echo '{{"accessToken":"{arm}","expires_on":4102444800,"tokenType":"Bearer"}}'"#
        ),
    );
    let answer = ask(nobody(&home, &simulator), "get", REGISTRY).fails();
    assert_eq!(
        answer.stdout,
        "the Azure CLI gave an access token for `https://management.azure.com/`, not for `https://containerregistry.azure.net`: the helper \
         did not send it\n"
    );
    assert!(requests(&simulator).is_empty());
}

#[test]
#[cfg(unix)]
fn az_is_looked_for_in_absolute_folders_only() {
    let (home, simulator) = world();
    fake_azure_cli(&home, "echo ran > \"$HOME/ran\"; exit 1");
    let mut command = nobody(&home, &simulator);
    command
        .env("PATH", "bin:.:/nonexistent")
        .current_dir(home.root());
    let answer = ask(command, "get", REGISTRY).fails();
    // What is nearest to a sign-in comes first, and the hint is about it.
    let first = answer.stderr.lines().nth(1);
    let expected = "  - azure-cli: an account is signed in, but `az` is not on `PATH`";
    assert_eq!(first, Some(expected));
    let hint = "\nhint: add the folder of `az` to `PATH`, or sign in without it\n  docker-credential-acrscoped login contoso.azurecr.io\n";
    assert!(answer.stderr.ends_with(hint), "{}", answer.stderr);
    assert!(!home.path("home/ran").exists());
}
