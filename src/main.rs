//! The program `docker-credential-acrscoped`. [`docker_credential_acrscoped::run`] is all of it.

fn main() -> std::process::ExitCode {
    docker_credential_acrscoped::run()
}
