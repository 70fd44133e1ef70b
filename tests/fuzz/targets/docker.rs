//! What a docker client writes to stdin, for every verb.
#![no_main]

use docker_credential_acrscoped::protocol::docker::Verb;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for verb in [Verb::Get, Verb::Store, Verb::Erase, Verb::List] {
        acrscoped_fuzz::docker(verb, input);
    }
});
