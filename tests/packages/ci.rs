//! The action for GitHub and the steps for Azure Pipelines, as their runners carry them out; downloads come from a folder.

use crate::made::{checkout, script, static_binary};
use crate::root::cache;
use crate::support::{Answer, Home, LIMIT, REGISTRY, connect, run};
use serde_json::Value;
use simulator::{CLIENT, Endpoint, Settings, Simulator, TENANT};
use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = "docker-credential-acrscoped";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `curl`, for which the internet is the folder `release`; it notes what it is asked for.
const CURL: &str = r#"file='' address=''
while [ $# -gt 0 ]; do
    case $1 in
        --output) file=$2; shift ;;
        https://*) address=$1 ;;
    esac
    shift
done
echo "curl $address" >>"$HOME/asked"
cp "$HOME/../release/${address##*/}" "${file:-${address##*/}}""#;

/// `gh`, which believes everything.
const GH: &str = r#"echo "gh $1 $2 $*" | sed 's/ [^ ]*archive / ARCHIVE /' >>"$HOME/asked""#;

/// A machine on which the steps of a job run.
struct Runner {
    home: Home,
    simulator: Simulator,
    /// What earlier steps have set for later ones.
    variables: BTreeMap<String, String>,
    path: Vec<String>,
}

impl Runner {
    fn new() -> Self {
        let home = Home::new();
        // Only a step of the job puts the program on the path.
        fs::remove_file(home.path("bin").join(PROGRAM)).expect("the link");
        home.script("bin/curl", CURL);
        home.script("bin/gh", GH);
        for folder in ["temp", "release"] {
            fs::create_dir(home.path(folder)).expect("our folder");
        }
        let simulator = Simulator::start(Settings::default()).expect("a simulator");
        Self {
            home,
            simulator,
            variables: BTreeMap::new(),
            path: vec![],
        }
    }

    /// Puts a release where downloads come from.
    fn publish(&self) {
        let release = self.home.path("release");
        let mut archive = script("release/archive");
        archive
            .arg(static_binary())
            .arg(&release)
            .arg(format!("{ARCH}-unknown-linux-musl"));
        run(archive, "", LIMIT).succeeds();
        let mut sum = self.home.command("sh");
        sum.args(["-c", "sha256sum *.tar.gz >SHA256SUMS"])
            .current_dir(&release);
        run(sum, "", LIMIT).succeeds();
        self.home
            .write("release/SHA256SUMS.sigstore.json", "what GitHub signed");
    }

    /// One step: a script in the shell that the runner calls.
    fn step(&self, lines: &str, environment: &BTreeMap<String, String>) -> Answer {
        let mut bash = self.command("bash");
        assert!(
            !lines.contains("${{"),
            "text of an input would be a part of the script: {lines}"
        );
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", lines])
            .envs(environment);
        run(bash, "", LIMIT)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.home.command(program);
        connect(&mut command, &self.simulator)
            .env("ACRSCOPED_CACHE", "none")
            .envs(&self.variables);
        let path = format!(
            "{}:{}:/usr/bin:/bin",
            self.path.join(":"),
            self.home.path("bin").display()
        );
        command.env("PATH", path.trim_start_matches(':'));
        command
    }

    /// `get`, as docker has it of a later step. Returns what was asked of the services.
    fn get(&self, variables: &[(&str, &str)]) -> Vec<Endpoint> {
        let mut command = self.command("sh");
        // Found on the path, as docker does.
        command
            .args(["-c", "docker-credential-acrscoped get"])
            .envs(variables.iter().copied());
        assert!(!run(command, REGISTRY, LIMIT).secret().is_empty());
        let journal = self.simulator.journal();
        journal
            .iter()
            .map(|entry| entry.endpoint)
            .filter(|endpoint| *endpoint != Endpoint::Connect)
            .collect()
    }

    /// What the programs that stand in for the internet were asked.
    fn asked(&self) -> String {
        fs::read_to_string(self.home.path("home/asked")).unwrap_or_default()
    }

    /// The file in which docker finds the helper.
    fn docker_file(&self) -> Value {
        serde_json::from_str(
            &fs::read_to_string(self.home.path("docker/config.json")).expect("docker's file"),
        )
        .expect("JSON")
    }
}

/// A YAML file, read by Ruby.
fn yaml(home: &Home, file: &Path) -> Value {
    let mut ruby = home.command("ruby");
    ruby.args([
        "-ryaml",
        "-rjson",
        "-e",
        "puts JSON.dump(YAML.load_file(ARGV[0]))",
    ])
    .arg(file);
    run(ruby, "", LIMIT).succeeds().json()
}

/// The environment of a step, in which `${{ NAME }}` is what it is in this run.
fn environment(step: &Value, values: &[(&str, &str)]) -> BTreeMap<String, String> {
    let fill = |text: &str| {
        let name = text
            .strip_prefix("${{ ")
            .and_then(|text| text.strip_suffix(" }}"))
            .unwrap_or_else(|| panic!("{text}"));
        let value = values.iter().find(|(known, _)| *known == name);
        value.map_or("", |(_, value)| *value).to_owned()
    };
    let variables = step["env"].as_object().expect("an environment");
    variables
        .iter()
        .map(|(name, value)| (name.clone(), fill(value.as_str().expect("text"))))
        .collect()
}

/// The action, as GitHub's runner carries it out from this folder, with these inputs.
fn act(runner: &mut Runner, folder: &Path, inputs: &[(&str, &str)]) -> Answer {
    let action = yaml(&runner.home, &folder.join("action.yml"));
    let steps = action["runs"]["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 1);
    let names: Vec<String> = inputs
        .iter()
        .map(|(name, _)| format!("inputs.{name}"))
        .collect();
    for (name, _) in inputs {
        assert!(action["inputs"][name].is_object(), "no input {name}");
    }
    let values: Vec<_> = names
        .iter()
        .map(String::as_str)
        .zip(inputs.iter().map(|(_, value)| *value))
        .collect();
    let mut variables = environment(&steps[0], &values);
    let file = |name: &str| runner.home.path(name).display().to_string();
    for name in ["GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT"] {
        runner.home.write(name, "");
        variables.insert(name.into(), file(name));
    }
    let machine = if ARCH == "x86_64" { "X64" } else { "ARM64" };
    for (name, value) in [
        ("RUNNER_TEMP", file("temp").as_str()),
        ("RUNNER_OS", "Linux"),
        ("RUNNER_ARCH", machine),
        ("GITHUB_ACTION_PATH", &folder.display().to_string()),
        ("GITHUB_SERVER_URL", "https://github.com"),
    ] {
        variables.insert(name.into(), value.into());
    }
    let answer = runner.step(steps[0]["run"].as_str().expect("a script"), &variables);
    let lines = |name: &str| fs::read_to_string(runner.home.path(name)).expect("our file");
    runner.path = lines("GITHUB_PATH").lines().map(str::to_owned).collect();
    let set = lines("GITHUB_ENV");
    runner.variables.extend(set.lines().map(|line| {
        let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
        (name.to_owned(), value.to_owned())
    }));
    answer
}

/// What GitHub's runner gives each step of a job that may have an assertion.
fn of_a_job(runner: &Runner) -> [(&'static str, String); 2] {
    let address = "https://pipelines.actions.githubusercontent.com/7/idtoken/job?api-version=2.0";
    [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", address.into()),
        (
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            runner.simulator.settings().oidc_request_token,
        ),
    ]
}

#[test]
#[ignore = "needs ruby and the static binary: run tests/run"]
fn a_job_of_github_signs_in_after_the_action() {
    let mut runner = Runner::new();
    for (name, value) in of_a_job(&runner) {
        runner.variables.insert(name.into(), value);
    }
    let binary = static_binary().display().to_string();
    let registries = format!("{REGISTRY}\n  fabrikam.azurecr.io\n");
    let inputs = [
        ("registries", registries.as_str()),
        ("tenant-id", TENANT),
        ("client-id", CLIENT),
        ("binary", &binary),
    ];
    let answer = act(&mut runner, &checkout("packaging/github-action"), &inputs).succeeds();
    assert!(!answer.stdout.contains("::notice"), "{answer:#?}");
    for host in [REGISTRY, "fabrikam.azurecr.io"] {
        assert_eq!(runner.docker_file()["credHelpers"][host], "acrscoped");
    }
    let program = runner
        .home
        .path("temp")
        .join(PROGRAM)
        .join("bin")
        .join(PROGRAM);
    let outputs = fs::read_to_string(runner.home.path("GITHUB_OUTPUT")).expect("our file");
    assert_eq!(
        outputs,
        format!("version={VERSION}\npath={}\n", program.display())
    );
    assert_eq!(
        runner.get(&[]),
        [Endpoint::Oidc, Endpoint::EntraToken, Endpoint::Exchange]
    );
    assert_eq!(runner.asked(), "", "nothing is downloaded");
}

/// The repository and the version are those of the action, whatever `github.action_repository` says.
#[test]
#[ignore = "needs ruby and the static binary: run tests/run"]
fn the_action_installs_the_release_of_its_own_version() {
    let mut runner = Runner::new();
    runner.publish();
    let repository = runner.home.path("_actions/contoso/acrscoped/v1");
    fs::create_dir_all(repository.join("packaging/github-action")).expect("our folder");
    for name in [
        "install.sh",
        "Cargo.toml",
        "packaging/github-action/action.yml",
        "packaging/github-action/set-up",
    ] {
        fs::copy(checkout(name), repository.join(name)).expect("a file of the checkout");
    }
    let answer = act(
        &mut runner,
        &repository.join("packaging/github-action"),
        &[("registries", REGISTRY)],
    )
    .succeeds();
    assert!(
        answer.stdout.contains("::notice"),
        "without `id-token: write`: {answer:#?}"
    );
    let place = format!("https://github.com/contoso/acrscoped/releases/download/v{VERSION}");
    let asked = runner.asked();
    for file in [
        &format!("{PROGRAM}-{VERSION}-{ARCH}-linux.tar.gz"),
        "SHA256SUMS",
        "SHA256SUMS.sigstore.json",
    ] {
        assert!(asked.contains(&format!("curl {place}/{file}\n")), "{asked}");
    }
    let verified = asked
        .lines()
        .find(|line| line.starts_with("gh attestation verify"))
        .unwrap_or_else(|| panic!("{asked}"));
    assert!(
        verified
            .contains(r"/(?i:contoso/acrscoped)/\.github/workflows/release\.yml@refs/tags/v[0-9]"),
        "{verified}"
    );
    let secret = runner.simulator.settings().apps[0].secret.clone();
    let identity = [
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_CLIENT_SECRET", &secret),
    ];
    assert_eq!(
        runner.get(&identity),
        [Endpoint::EntraToken, Endpoint::Exchange]
    );
}

#[test]
#[ignore = "needs ruby and the static binary: run tests/run"]
fn inputs_of_the_action_are_never_run_and_set_nothing_else() {
    let binary = static_binary().display().to_string();
    for (name, value) in [
        ("registries", "$(touch pwned) `touch pwned`;touch pwned"),
        ("registries", " \n "),
        ("registries", "--all"),
        ("registries", "::stop-commands::pwned"),
        ("registries", "contoso.azurecr.io ##[stop-commands]pwned"),
        ("tenant-id", "contoso\nLD_PRELOAD=/tmp/evil.so"),
        ("tenant-id", "contoso\n::stop-commands::pwned"),
        ("client-id", "a b"),
        ("version", "1\n::stop-commands::pwned"),
        ("binary", "/no/such/file"),
        ("binary", "/no/such/file\n::stop-commands::pwned"),
        ("binary", "/no/such/file ##[stop-commands]pwned"),
    ] {
        let mut runner = Runner::new();
        let mut inputs = BTreeMap::from([("registries", REGISTRY), ("binary", &binary)]);
        inputs.insert(name, value);
        let inputs: Vec<_> = inputs.into_iter().collect();
        let answer = act(&mut runner, &checkout("packaging/github-action"), &inputs).fails();
        assert!(
            runner.variables.is_empty(),
            "{name}: {:?}",
            runner.variables
        );
        assert!(
            !runner.home.path("work/pwned").exists()
                && !runner.home.path("docker/config.json").exists(),
            "{name}: {value}"
        );
        assert_eq!(
            commands(&answer),
            [format!("the input `{name}` ")],
            "{answer:#?}"
        );
    }
}

/// How the message begins of each command that GitHub's runner obeys in the output of a step, old or new: an error of ours, cut
/// after the input's name, or all of the line.
fn commands(answer: &Answer) -> Vec<String> {
    let lines = answer.stdout.lines().chain(answer.stderr.lines());
    let obeyed = lines.filter(|line| line.trim_start().starts_with("::") || line.contains("##["));
    let error = format!("::error title={PROGRAM}::");
    let ours = |line: &str| {
        Some(
            line.strip_prefix(&error)?
                .split_inclusive("` ")
                .next()?
                .to_owned(),
        )
    };
    obeyed
        .map(|line| ours(line).unwrap_or_else(|| line.to_owned()))
        .collect()
}

/// The agent obeys commands in the output of a step, wherever they stand in a line.
#[test]
#[ignore = "needs ruby and the static binary: run tests/run"]
fn parameters_of_the_steps_are_never_run_and_tell_the_agent_nothing() {
    for (name, value) in [
        (
            "join(' ', parameters.registries)",
            "contoso.azurecr.io ##vso[task.setvariable variable=LD_PRELOAD]/tmp/evil.so",
        ),
        ("join(' ', parameters.registries)", "$(touch pwned)"),
        ("join(' ', parameters.registries)", "--all"),
        ("join(' ', parameters.registries)", ""),
        ("parameters.repository", "contoso/acrscoped/../evil"),
        ("parameters.version", "../../../evil/v1"),
    ] {
        let runner = Runner::new();
        let template = yaml(
            &runner.home,
            &checkout("packaging/azure-pipelines/acrscoped.yml"),
        );
        let mut parameters = BTreeMap::from([
            ("join(' ', parameters.registries)", REGISTRY),
            ("parameters.repository", "contoso/acrscoped"),
            ("parameters.version", VERSION),
        ]);
        parameters.insert(name, value);
        let answer = install_on_agent(
            &runner,
            &template["steps"][0],
            &parameters.into_iter().collect::<Vec<_>>(),
        )
        .fails();
        assert!(
            answer
                .stdout
                .starts_with("##vso[task.logissue type=error]the parameter `"),
            "{answer:#?}"
        );
        assert_eq!(
            (answer.stdout.matches("##").count(), answer.stderr.as_str()),
            (1, ""),
            "{answer:#?}"
        );
        assert_eq!(runner.asked(), "");
        assert!(
            !runner.home.path("work/pwned").exists()
                && !runner.home.path("docker/config.json").exists(),
            "{name}: {value}"
        );
    }
}

/// The first of the steps, as an agent of Azure Pipelines carries it out.
fn install_on_agent(runner: &Runner, step: &Value, parameters: &[(&str, &str)]) -> Answer {
    let mut variables = environment(step, parameters);
    let machine = if ARCH == "x86_64" { "X64" } else { "ARM64" };
    for (name, value) in [("AGENT_OS", "Linux"), ("AGENT_OSARCHITECTURE", machine)] {
        variables.insert(name.into(), value.into());
    }
    variables.insert(
        "AGENT_TEMPDIRECTORY".into(),
        runner.home.path("temp").display().to_string(),
    );
    runner.step(step["bash"].as_str().expect("a script"), &variables)
}

/// Its first step installs; its second tells later steps what the task AzureCLI@2 alone knows.
#[test]
#[ignore = "needs ruby and the static binary: run tests/run"]
fn a_job_of_azure_pipelines_signs_in_after_the_steps() {
    let mut runner = Runner::new();
    runner.publish();
    let template = yaml(
        &runner.home,
        &checkout("packaging/azure-pipelines/acrscoped.yml"),
    );
    let steps = template["steps"].as_array().expect("steps");
    let parameters = [
        ("join(' ', parameters.registries)", REGISTRY),
        ("parameters.repository", "contoso/acrscoped"),
        ("parameters.version", VERSION),
    ];
    let installed = install_on_agent(&runner, &steps[0], &parameters).succeeds();
    let asked = runner.asked();
    let verified = asked
        .lines()
        .find(|line| line.starts_with("gh attestation verify"))
        .unwrap_or_else(|| panic!("{asked}"));
    let signer = format!(
        "https://github.com/contoso/acrscoped/.github/workflows/release.yml@refs/tags/v{VERSION}"
    );
    assert!(
        verified.contains(&format!(
            "--repo contoso/acrscoped --cert-identity {signer} "
        )),
        "{verified}"
    );
    let task = BTreeMap::from(
        [
            ("AZURESUBSCRIPTION_TENANT_ID", TENANT),
            ("AZURESUBSCRIPTION_CLIENT_ID", CLIENT),
            (
                "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
                "c0ffee00-0000-4000-8000-000000000001",
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let told = runner
        .step(
            steps[1]["inputs"]["inlineScript"]
                .as_str()
                .expect("a script"),
            &task,
        )
        .succeeds();
    // What the agent reads in the output of a step.
    for line in installed.stdout.lines().chain(told.stdout.lines()) {
        if let Some(folder) = line.strip_prefix("##vso[task.prependpath]") {
            runner.path.push(folder.to_owned());
        } else if let Some(set) = line.strip_prefix("##vso[task.setvariable variable=") {
            let (name, value) = set.split_once(']').expect("a value");
            runner.variables.insert(name.to_owned(), value.to_owned());
        }
    }
    assert_eq!(runner.docker_file()["credHelpers"][REGISTRY], "acrscoped");
    let token = runner.simulator.settings().oidc_request_token;
    let step = [
        (
            "SYSTEM_OIDCREQUESTURI",
            "https://dev.azure.com/contoso/oidctoken",
        ),
        ("SYSTEM_ACCESSTOKEN", &token),
    ];
    assert_eq!(
        runner.get(&step),
        [Endpoint::Oidc, Endpoint::EntraToken, Endpoint::Exchange]
    );
}

#[test]
#[ignore = "needs zizmor and check-jsonschema: run tests/run"]
fn the_action_and_the_steps_pass_their_linters() {
    let [action, steps] = ["github-action/action.yml", "azure-pipelines/acrscoped.yml"]
        .map(|name| checkout("packaging").join(name));
    let tool = |name: &str| {
        let tool = cache().join("lint/bin").join(name);
        assert!(
            tool.exists(),
            "{} is missing: run tests/setup",
            tool.display()
        );
        Command::new(tool)
    };
    let mut zizmor = tool("zizmor");
    zizmor
        .args(["--offline", "--pedantic", "--no-progress"])
        .arg(&action);
    run(zizmor, "", LIMIT).succeeds();
    for (schema, file) in [
        ("vendor.github-actions", &action),
        ("vendor.azure-pipelines", &steps),
    ] {
        let mut check = tool("check-jsonschema");
        check.args(["--builtin-schema", schema]).arg(file);
        run(check, "", LIMIT).succeeds();
    }
}
