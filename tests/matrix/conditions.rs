//! What every source has to hold in every cloud: it signs in, or it says why not, and nobody else is asked.

use crate::rows::{Absent, Refusal, Row, client_secret, virtual_machine_in, workload_identity};
use crate::source::SourceName;
use crate::stage::{CLOUDS, Cloud, Stage, hosts};
use crate::support::Answer;
use crate::support::run::in_parallel;
use simulator::{Endpoint, Fault, FaultAt, FaultKind};
use std::panic::resume_unwind;
use std::thread;

/// A condition for one source in one cloud, and what it is called should it fail.
type Run<'a> = (String, Box<dyn Fn() + Send + Sync + 'a>);

/// Holds every condition against a source in every cloud.
pub(crate) fn hold(row: &Row) {
    let clouds = CLOUDS.iter().filter(|cloud| (row.is_for)(cloud));
    let runs: Vec<Run> = clouds.flat_map(|cloud| runs(row, cloud)).collect();
    in_parallel(&runs, |(name, run)| {
        // A failing run names itself by its thread.
        let name = thread::Builder::new().name(name.clone());
        thread::scope(|scope| {
            let thread = name.spawn_scoped(scope, run).expect("a thread");
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        });
    });
}

fn runs<'a>(row: &'a Row, cloud: &'static Cloud) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = vec![];
    let mut add = |condition: &str, run: Box<dyn Fn() + Send + Sync + 'a>| {
        runs.push((format!("{}, {condition}", cloud.name), run));
    };
    for place in &row.places {
        add(
            &format!("slow at {place:?}"),
            Box::new(move || slow(row, cloud, place)),
        );
        add(
            &format!("throttled at {place:?}"),
            Box::new(move || throttled(row, cloud, place)),
        );
        add(
            &format!("throttled for long at {place:?}"),
            Box::new(move || throttled_for_long(row, cloud, place)),
        );
    }
    for (_, index) in row
        .places
        .iter()
        .filter(|_| row.source != SourceName::ManagedIdentity && row.is_patient)
    {
        add(
            &format!("unreachable at {index}"),
            Box::new(move || unreachable(row, cloud, *index)),
        );
    }
    for refusal in &row.refusals {
        add(
            &format!("refused: {}", refusal.said),
            Box::new(move || refused(row, cloud, refusal)),
        );
    }
    add("success", Box::new(move || success(row, cloud)));
    add("absent", Box::new(move || absent(row, cloud)));
    runs
}

fn set_up(row: &Row, cloud: &'static Cloud) -> Stage {
    let mut stage = Stage::new(cloud);
    for set_up in &row.set_up {
        set_up(&mut stage);
    }
    stage
}

/// The requests of a sign-in, filled in.
fn sign_in(row: &Row, stage: &Stage) -> Vec<String> {
    row.sign_in.iter().map(|line| stage.fill(line)).collect()
}

/// What was asked, and the status of the answer.
fn parts(line: &str) -> (&str, u16) {
    let (words, status) = line.rsplit_once(" -> ").expect("a line of this form");
    (words, status.parse().expect("a status"))
}

/// A request as it is journaled that was answered by a fault, which does not look into it.
fn faulted(line: &str, status: u16) -> String {
    let words: Vec<&str> = line.split(' ').take(2).collect();
    format!("{} -> {status}", words.join(" "))
}

/// These requests and no others were made, each host was connected to once, and the registry before all: also where no exchange
/// came of it.
#[track_caller]
fn asked(stage: &Stage, expected: &[String]) {
    let requests = stage.requests();
    assert_eq!(requests, expected);
    assert_eq!(stage.connections(), with_registry(stage, hosts(&requests)));
}

/// The same where the sign-in fails at once: the program may end before it has connected to the registry.
#[track_caller]
fn asked_and_ended(stage: &Stage, expected: &[String]) {
    let requests = stage.requests();
    assert_eq!(requests, expected);
    let hosts = hosts(&requests);
    let connections = stage.connections();
    assert!(
        connections == hosts || connections == with_registry(stage, hosts),
        "{connections:?}"
    );
}

fn with_registry(stage: &Stage, mut hosts: Vec<String>) -> Vec<String> {
    let registry = stage.registry();
    if !hosts.contains(&registry) {
        hosts.push(registry);
        hosts.sort();
    }
    hosts
}

#[track_caller]
fn failed(stage: &Stage, row: &Row, answer: &Answer, said: &str) {
    assert_eq!(answer.code(), 1, "{answer:#?}");
    let expected = format!(
        "could not get an access token from {}: {}",
        stage.fill(row.who),
        stage.fill(said)
    );
    let root = stage.home.root().to_str().expect("a folder of ours");
    let [stdout, stderr] = [&answer.stdout, &answer.stderr].map(|text| text.replace(root, "…"));
    // Clients get the first sentence.
    let sentence = expected.split(". ").next().unwrap_or_default();
    assert!(
        stdout.starts_with(sentence.trim_end_matches('.')) && stderr.contains(&expected),
        "{expected} is not what was said: {answer:#?}"
    );
    assert!(
        answer.stderr.contains(answer.stdout.trim_end()),
        "{answer:#?}"
    );
}

/// Signs in and exchanges, for the right identity, audience and tenant at the right hosts, and nothing else.
fn success(row: &Row, cloud: &'static Cloud) {
    let stage = set_up(row, cloud);
    signs_in(row, &stage);
    if let Some(program) = row.program {
        let argv = std::fs::read_to_string(stage.home.path("home/argv")).expect("the program ran");
        assert_eq!(argv.lines().collect::<Vec<_>>(), [stage.fill(program)]);
    }
}

#[track_caller]
fn signs_in(row: &Row, stage: &Stage) {
    let answer = stage.get().succeeds();
    let exchange = stage.fill(
        "POST {registry}/oauth2/exchange grant access_token for {registry} showing {audience} of ",
    );
    let exchange = format!("{exchange}{} -> 200", stage.fill(row.subject));
    asked(stage, &[sign_in(row, stage), vec![exchange]].concat());
    let exchange = stage.entries().pop().expect("the exchange");
    let tenant = Some(stage.fill(row.tenant));
    assert_eq!(
        (
            &exchange.tenant,
            exchange.token.and_then(|token| token.tenant)
        ),
        (&tenant, tenant.clone())
    );
    assert_eq!(answer.json()["ServerURL"], stage.registry());
    assert_eq!(answer.json()["Username"], crate::support::ZERO_GUID);
    assert!(
        answer.secret().len() > 1_000 && answer.stderr.is_empty(),
        "{}",
        answer.stderr
    );
}

/// A refusal is the answer: nothing is exchanged, and nobody else signs in.
fn refused(row: &Row, cloud: &'static Cloud, refusal: &Refusal) {
    let mut stage = set_up(row, cloud);
    (refusal.bring_about)(&mut stage);
    let answer = stage.get();
    failed(&stage, row, &answer, refusal.said);
    let requests = stage.requests();
    let expected: Vec<String> = sign_in(row, &stage)
        .into_iter()
        .take(refusal.after)
        .collect();
    assert_eq!(requests.len(), expected.len(), "{requests:#?}");
    for (request, expected) in requests.iter().zip(&expected) {
        // A service that refuses may not have looked at the whole request.
        assert!(
            parts(expected).0.starts_with(parts(request).0),
            "{request}\n{expected}"
        );
    }
    assert!(
        stage
            .entries()
            .iter()
            .all(|entry| entry.endpoint != Endpoint::Exchange)
    );
}

/// Has the requests before the one at this place answered as ever.
fn fault(row: &Row, stage: &Stage, (at, index): &(FaultAt, usize), fault: Fault) {
    let page = |line: &str| line.split(' ').nth(1).map(str::to_owned);
    let earlier = row.sign_in[..*index]
        .iter()
        .filter(|line| page(line) == page(row.sign_in[*index]));
    let earlier = earlier.map(|line| Fault::once(at.clone(), FaultKind::status(parts(line).1)));
    let faults = earlier.chain([fault]).collect();
    stage.simulator.change(|settings| settings.faults = faults);
}

/// A service that asks for a second is given it, and then answers.
fn throttled(row: &Row, cloud: &'static Cloud, place: &(FaultAt, usize)) {
    let stage = set_up(row, cloud);
    fault(
        row,
        &stage,
        place,
        Fault::once(place.0.clone(), FaultKind::too_many_requests(1)),
    );
    let answer = stage.get();
    let mut expected = sign_in(row, &stage);
    let busy = faulted(&expected[place.1], 429);
    if !row.is_patient {
        failed(
            &stage,
            row,
            &answer,
            "429 Too Many Requests, retry after 1 s",
        );
        expected.truncate(place.1);
        return asked_and_ended(&stage, &[expected, vec![busy]].concat());
    }
    answer.succeeds();
    expected.insert(place.1, busy);
    let entries = stage.entries();
    assert_eq!(stage.requests()[..expected.len()], expected);
    assert_eq!(
        entries.len(),
        expected.len() + 1,
        "and the exchange: {entries:#?}"
    );
    let waited = entries[place.1 + 1].unix_ms - entries[place.1].unix_ms;
    assert!(waited >= 1_000, "{waited} ms between the tries");
}

/// A service that asks for more than a client waits is told of, with its seconds, and left alone.
fn throttled_for_long(row: &Row, cloud: &'static Cloud, place: &(FaultAt, usize)) {
    let stage = set_up(row, cloud);
    fault(
        row,
        &stage,
        place,
        Fault::always(place.0.clone(), FaultKind::too_many_requests(300)),
    );
    let answer = stage.get();
    let issuer = if place.0 == FaultAt::Oidc {
        hosts(&sign_in(row, &stage)[..1])[0].clone() + " gave no assertion: "
    } else {
        String::new()
    };
    let said = if row.is_patient {
        "too many requests, it asks to wait 300 s"
    } else {
        "429 Too Many Requests, retry after 300 s"
    };
    failed(&stage, row, &answer, &(issuer + said));
    assert!(
        answer.stderr.contains("hint: try again later") || !row.is_patient,
        "{}",
        answer.stderr
    );
    let mut expected = sign_in(row, &stage);
    expected.truncate(place.1 + 1);
    expected[place.1] = faulted(&expected[place.1], 429);
    asked_and_ended(&stage, &expected);
}

/// A host that cannot be reached is named, and not another that is asked in the same sign-in.
fn unreachable(row: &Row, cloud: &'static Cloud, index: usize) {
    let stage = set_up(row, cloud);
    let sign_in = sign_in(row, &stage);
    let host = hosts(&sign_in[index..=index]).remove(0);
    let fault = Fault::always(FaultAt::Connect(host.clone()), FaultKind::status(502));
    stage
        .simulator
        .change(|settings| settings.faults = vec![fault]);
    let answer = stage.get();
    assert_eq!(answer.code(), 1, "{answer:#?}");
    let proxy = stage.simulator.origin();
    assert_eq!(
        answer.stdout,
        format!("the proxy {proxy} answered 502 when asked to connect to {host}\n")
    );
    assert_eq!(stage.requests(), sign_in[..index]);
}

/// A service that does not answer keeps a client for as long as it was told, and no longer.
fn slow(row: &Row, cloud: &'static Cloud, place: &(FaultAt, usize)) {
    let mut stage = set_up(row, cloud);
    // A program needs its time to start, and what is asked before the slow service its time to answer, on a busy machine too.
    let limit = if row.program.is_some() || place.1 > 0 {
        3
    } else {
        2
    };
    stage.set("ACRSCOPED_TIMEOUT", limit.to_string());
    fault(
        row,
        &stage,
        place,
        Fault::always(place.0.clone(), FaultKind::Delay { ms: 600_000 }),
    );
    let answer = stage.get();
    let sentence = format!(
        "timed out after {limit} s waiting for an access token from {}\n",
        stage.fill(row.who)
    );
    assert_eq!(
        (answer.code(), &answer.stdout),
        (1, &sentence),
        "{answer:#?}"
    );
    let mut expected = sign_in(row, &stage);
    expected.truncate(place.1 + 1);
    expected[place.1] = faulted(&expected[place.1], 0);
    // On a busy machine the program may not have come so far.
    if row.program.is_none() || !stage.requests().is_empty() {
        asked(&stage, &expected);
    }
}

/// What is not set up is passed over, unless it is the only one that may sign in.
fn absent(row: &Row, cloud: &'static Cloud) {
    match row.absent {
        Absent::Told => {}
        Absent::PassedOver(reason) => {
            signs_in(&virtual_machine_in(cloud), &Stage::new(cloud));
            let mut stage = Stage::new(cloud);
            // Somebody else could sign in, and must not.
            let other = if row.source == SourceName::ClientSecret {
                workload_identity()
            } else {
                client_secret()
            };
            other.set_up.iter().for_each(|set_up| set_up(&mut stage));
            only(&mut stage, row, reason);
            assert_eq!(stage.connections(), [""; 0]);
        }
        Absent::Unannounced => {
            for pinned in [None, Some(row.source.as_str())] {
                let mut stage = Stage::new(cloud);
                stage
                    .command
                    .envs(pinned.map(|word| ("ACRSCOPED_SOURCE", word)));
                signs_in(&virtual_machine_in(cloud), &stage);
            }
        }
        Absent::Last(reason) => {
            let mut stage = Stage::new(cloud);
            stage.set("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
            let answer = nobody(&stage);
            for &source in SourceName::ALL {
                assert!(
                    answer
                        .stderr
                        .contains(&format!("\n  - {}: ", source.as_str())),
                    "{}",
                    answer.stderr
                );
            }
            assert!(answer.stderr.contains(reason), "{}", answer.stderr);
            for set_up in client_secret().set_up {
                set_up(&mut stage);
            }
            only(&mut stage, row, reason);
        }
    }
}

/// Called for by name, it fails for this reason, and no other is tried.
#[track_caller]
fn only(stage: &mut Stage, row: &Row, reason: &str) {
    let word = row.source.as_str();
    stage.set("ACRSCOPED_SOURCE", word);
    let answer = nobody(stage);
    let alone = format!("no other was tried: `source` is {word} by `ACRSCOPED_SOURCE`");
    for line in [&stage.fill(reason), &alone] {
        assert!(
            answer.stderr.contains(line),
            "{line} is not in {}",
            answer.stderr
        );
    }
}

/// Nobody signs in, and nobody is asked.
#[track_caller]
fn nobody(stage: &Stage) -> Answer {
    let answer = stage.get();
    assert_eq!(
        (answer.code(), answer.stdout.as_str()),
        (1, "no Azure identity to sign in with\n"),
        "{answer:#?}"
    );
    assert_eq!(stage.requests(), [""; 0]);
    answer
}
