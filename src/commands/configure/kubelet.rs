//! `configure --kubelet`: prints the configuration with which kubelet calls this program. Only the administrator of the nodes knows where
//! kubelet reads it.
//!
//! The format is in kubernetes, `staging/src/k8s.io/kubelet/config/v1/types.go`. The patterns are in `pkg/credentialprovider/keyring.go`, the
//! rules of valid combinations in `pkg/credentialprovider/plugin/config.go`.

use crate::commands::Context;
use crate::error::Error;
use crate::identity::{CLIENT_ANNOTATION, TENANT_ANNOTATION};
use crate::mirrors::Mirrors;
use crate::registry::{CLOUDS, Cloud, FEDERATION, Registry};
use std::io::Write;

const PROGRAM: &str = env!("CARGO_PKG_NAME");

const TEMPLATE: &str = include_str!("kubelet.yaml");

/// The next steps, for stderr.
const NEXT: &str = "\
1. Save this on each node, for example as /etc/kubernetes/acrscoped.yaml. If
   kubelet has such a file already, add the entry under `providers` to it, and
   remove other providers of the same images.
2. Install the program on each node, for example in /usr/local/bin.
3. Start kubelet with these options, or use the folder and file that it has:
     --image-credential-provider-config=/etc/kubernetes/acrscoped.yaml
     --image-credential-provider-bin-dir=/usr/local/bin
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
    if !context.terminal.is_quiet() {
        (context.print_error)(NEXT);
    }
    Ok(())
}

/// Fills in the template, which is YAML so that it can have comments.
fn configuration(private_clouds: &[Cloud], registries: &[Registry], mirrors: &Mirrors) -> String {
    let patterns: Vec<String> = match registries {
        [] => CLOUDS
            .iter()
            .chain(private_clouds)
            .flat_map(|cloud| with_regions(&format!("*.{}", cloud.suffix)))
            .collect(),
        named => named.iter().flat_map(patterns_of).collect(),
    };
    let sources = mirrors.iter().map(|(source, _)| source.to_owned());
    let images = patterns.into_iter().chain(sources);
    let images = images.map(|image| format!("\"{image}\""));
    let mirrors = mirrors.iter();
    let options = mirrors.map(|(source, to)| format!("--registry-mirror={source}:{to}"));
    let args = std::iter::once("kubelet".to_owned()).chain(options);
    let special = CLOUDS.iter().filter(|cloud| cloud.federation != FEDERATION);
    let audiences =
        special.map(|cloud| format!("    #   {} in {}\n", cloud.federation, cloud.name));
    TEMPLATE
        .replace("{program}", PROGRAM)
        .replace("{images}", &lines(images))
        .replace("{args}", &lines(args))
        .replace("{audiences}", &audiences.collect::<String>())
        .replace("{audience}", FEDERATION)
        .replace("{client_annotation}", CLIENT_ANNOTATION)
        .replace("{tenant_annotation}", TENANT_ANNOTATION)
}

/// Returns the host of a registry. If it is not a regional endpoint, adds the pattern of those.
fn patterns_of(registry: &Registry) -> Vec<String> {
    let host = registry.host();
    if host == registry.login_server() {
        with_regions(host).into()
    } else {
        vec![host.to_owned()]
    }
}

/// Returns a host or pattern, and the pattern of its regional endpoints.
fn with_regions(host: &str) -> [String; 2] {
    [host.to_owned(), host.replacen('.', ".*.geo.", 1)]
}

/// Returns the items as a list of a provider.
fn lines(items: impl Iterator<Item = String>) -> String {
    items.fold(String::new(), |text, item| text + "      - " + &item + "\n")
}
