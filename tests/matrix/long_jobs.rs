//! AADSTS700024 in long jobs: the assertion of a CI job lives for ten minutes, and jobs for hours.

use crate::rows::{application, set_up_github, set_up_pipelines};
use crate::source::SourceName;
use crate::stage::{CLOUDS, Stage};
use simulator::Endpoint;

/// Seconds after the beginning of a job at which it signs in.
const AGES: [i64; 4] = [0, 20 * 60, 2 * 60 * 60, 6 * 60 * 60];

/// How a source is set up in a job.
type SetUp = fn(&mut Stage);

/// A job that began six hours ago; the services' clock is the one of that time.
fn job() -> Stage {
    let stage = Stage::new(&CLOUDS[0]);
    let longest = AGES[AGES.len() - 1];
    stage
        .simulator
        .change(|settings| settings.clock_skew = -longest);
    stage
}

/// Moves the services' clock on to so many seconds after the beginning.
fn move_on(stage: &Stage, age: i64) {
    let longest = AGES[AGES.len() - 1];
    stage
        .simulator
        .change(|settings| settings.clock_skew = age - longest);
    stage.simulator.clear_journal();
}

#[test]
fn a_long_job_signs_in_with_a_new_assertion_each_time() {
    let sources: [SetUp; 2] = [set_up_github, set_up_pipelines];
    for set_up in sources {
        let mut stage = job();
        application(SourceName::GitHubActions).set_up[0](&mut stage);
        set_up(&mut stage);
        for age in AGES {
            move_on(&stage, age);
            stage.get().succeeds();
            let asked: Vec<_> = stage
                .entries()
                .iter()
                .map(|entry| (entry.endpoint, entry.status))
                .collect();
            assert_eq!(
                asked,
                [
                    (Endpoint::Oidc, 200),
                    (Endpoint::EntraToken, 200),
                    (Endpoint::Exchange, 200)
                ],
                "after {age} s"
            );
        }
    }
}

/// What `azure/login` and the like do: the assertion of the job's beginning is kept. This is what the source of the job's own
/// assertions spares people.
#[test]
fn an_assertion_of_the_jobs_beginning_is_refused_later() {
    let mut stage = job();
    application(SourceName::WorkloadIdentity).set_up[0](&mut stage);
    let subject = stage.simulator.settings().oidc_subject;
    let file = stage
        .home
        .write("token", stage.simulator.assertion(&subject));
    stage.set("AZURE_FEDERATED_TOKEN_FILE", file);
    for age in AGES {
        move_on(&stage, age);
        let answer = stage.get();
        if age == 0 {
            answer.succeeds();
            continue;
        }
        let sentence =
            stage.fill("could not get an access token from workload identity {client}: AADSTS700024: Client assertion is not within");
        assert!(
            answer.code() == 1 && answer.stdout.starts_with(&sentence),
            "after {age} s: {answer:#?}"
        );
        assert_eq!(
            stage
                .entries()
                .iter()
                .map(|entry| entry.endpoint)
                .collect::<Vec<_>>(),
            [Endpoint::EntraToken]
        );
        let is_skewed = answer
            .stderr
            .contains(" min ahead of that of login.microsoftonline.com");
        assert_eq!(is_skewed, age != AGES[AGES.len() - 1], "{}", answer.stderr);
        if !is_skewed {
            let hint = "\nhint: the federated token has expired: check the clocks; in a CI job let `source` be github-actions or \
                        azure-pipelines, which request a new one each time\n";
            assert!(answer.stderr.ends_with(hint), "{}", answer.stderr);
        }
    }
    // The same job, asked for an assertion of its own now.
    stage.command.env_remove("AZURE_FEDERATED_TOKEN_FILE");
    set_up_github(&mut stage);
    stage.get().succeeds();
}

/// Where the job's issuer does not give one any more, the reason is the issuer's, and nothing older is used.
#[test]
fn a_job_whose_token_has_ended_is_told_so() {
    let mut stage = job();
    application(SourceName::GitHubActions).set_up[0](&mut stage);
    set_up_github(&mut stage);
    stage.get().succeeds();
    move_on(&stage, AGES[AGES.len() - 1]);
    stage
        .simulator
        .change(|settings| settings.oidc_request_token = "ended".into());
    let answer = stage.get().fails();
    let sentence = "could not get an access token from GitHub Actions as {client}: pipelines.actions.githubusercontent.com gave no assertion: it answered with 401\n";
    assert_eq!(answer.stdout, stage.fill(sentence), "{answer:#?}");
    assert_eq!(stage.entries().len(), 1);
}
