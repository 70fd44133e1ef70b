//! `configure --kubelet`: prints the configuration with which kubelet calls this program. Only the administrator of the nodes knows where
//! kubelet reads it.
//!
//! Facts: kubernetes, `staging/src/k8s.io/kubelet/config/v1/types.go` for the form, `pkg/credentialprovider/keyring.go` for the patterns,
//! `pkg/credentialprovider/plugin/config.go` for what goes together.

use crate::commands::Context;
use crate::commands::report::list;
use crate::error::Error;
use crate::identity::{CLIENT_ANNOTATION, TENANT_ANNOTATION};
use crate::mirrors::Mirrors;
use crate::registry::{CLOUDS, Cloud, FEDERATION, Registry};
use std::io::Write;

const PROGRAM: &str = env!("CARGO_PKG_NAME");

const TEMPLATE: &str = include_str!("kubelet.yaml");

/// What to do with the configuration.
const NEXT: &str = "\
save this on each node, as /etc/kubernetes/acrscoped.yaml for example, install the program there, in /usr/local/bin for example, and start
kubelet with
  --image-credential-provider-config=/etc/kubernetes/acrscoped.yaml
  --image-credential-provider-bin-dir=/usr/local/bin
it takes one of each: if it has them already, add the entry under `providers` to that file, in place of another provider's of the same
images, and the program to that folder
";

/// Prints the configuration for these registries, or for all, and on stderr where it belongs.
///
/// # Errors
///
/// When a mirror cannot be used, or the output is closed.
pub(super) fn print(
    context: &Context<'_>,
    registries: &[Registry],
    mirrors: &[String],
    mut output: impl Write,
) -> Result<(), Error> {
    let own = context.settings.clouds();
    let mirrors = Mirrors::parse(mirrors, own).map_err(Error::input)?;
    output
        .write_all(configuration(own, registries, &mirrors).as_bytes())
        .and_then(|()| output.flush())
        .map_err(Error::output)?;
    (context.tell)(NEXT);
    Ok(())
}

/// Fills in the template, which is YAML so that it can say why.
fn configuration(own: &[Cloud], registries: &[Registry], mirrors: &Mirrors) -> String {
    let hosts: Vec<String> = match registries {
        [] => CLOUDS
            .iter()
            .chain(own)
            .flat_map(|cloud| endpoints("*", &cloud.suffix))
            .collect(),
        named => named.iter().flat_map(hosts_of).collect(),
    };
    let sources = mirrors.iter().map(|(source, _)| source.to_owned());
    let images = hosts.into_iter().chain(sources);
    let images = images.map(|image| format!("\"{image}\""));
    let mirrors = mirrors.iter();
    let options = mirrors.map(|(source, to)| format!("--registry-mirror={source}:{to}"));
    let args = std::iter::once("kubelet".to_owned()).chain(options);
    let special = CLOUDS.iter().filter(|cloud| cloud.federation != FEDERATION);
    let audiences = special.map(|cloud| format!("{} in {}", cloud.federation, cloud.name));
    TEMPLATE
        .replace("{program}", PROGRAM)
        .replace("{images}", &lines(images))
        .replace("{args}", &lines(args))
        .replace("{audiences}", &list(audiences))
        .replace("{audience}", FEDERATION)
        .replace("{client_annotation}", CLIENT_ANNOTATION)
        .replace("{tenant_annotation}", TENANT_ANNOTATION)
}

/// Returns the hosts of a registry: those of its regions too, unless it is one of them.
fn hosts_of(registry: &Registry) -> Vec<String> {
    let (host, suffix) = (registry.host(), &*registry.cloud().suffix);
    let label = host
        .strip_suffix(suffix)
        .and_then(|label| label.strip_suffix('.'));
    match label.filter(|label| !label.contains('.')) {
        Some(label) => endpoints(label, suffix).into(),
        None => vec![host.to_owned()],
    }
}

/// Returns the login server and the regional endpoints of a registry name, or of all.
fn endpoints(label: &str, suffix: &str) -> [String; 2] {
    [
        format!("{label}.{suffix}"),
        format!("{label}.*.geo.{suffix}"),
    ]
}

/// Returns the items as a list of a provider.
fn lines(items: impl Iterator<Item = String>) -> String {
    items.fold(String::new(), |text, item| text + "      - " + &item + "\n")
}
