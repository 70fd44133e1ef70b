//! `configure --kubelet`: the configuration with which kubelet calls this program. It is printed; where kubelet reads it, only who runs
//! the nodes knows.
//!
//! Facts: kubernetes, `staging/src/k8s.io/kubelet/config/v1/types.go` for the form, `pkg/credentialprovider/keyring.go` for the patterns,
//! `pkg/credentialprovider/plugin/config.go` for what goes together.

use crate::commands::Context;
use crate::error::Error;
use crate::identity::{CLIENT_ANNOTATION, TENANT_ANNOTATION};
use crate::mirrors::Mirrors;
use crate::registry::{CLOUDS, Cloud, FEDERATION, Registry};
use std::io::Write;

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// What is to be done with it.
const NEXT: &str = "\
save this on each node, as /etc/kubernetes/acrscoped.yaml for example, install the program there, in /usr/local/bin for example, and start
kubelet with
  --image-credential-provider-config=/etc/kubernetes/acrscoped.yaml
  --image-credential-provider-bin-dir=/usr/local/bin
it takes one of each: if it has them already, add the entry under `providers` to that file, in place of another provider's of the same
images, and the program to that folder
";

/// Prints the configuration for these registries, or for all, and on stderr where it belongs.
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

/// As YAML, so that it can say why.
fn configuration(own: &[Cloud], registries: &[Registry], mirrors: &Mirrors) -> String {
    let hosts: Vec<String> = match registries {
        [] => CLOUDS
            .iter()
            .chain(own)
            .flat_map(|cloud| endpoints("*", &cloud.suffix))
            .collect(),
        named => named.iter().flat_map(hosts_of).collect(),
    };
    let images = lines(
        hosts
            .into_iter()
            .chain(mirrors.iter().map(|(source, _)| source.to_owned()))
            .map(|image| format!("\"{image}\"")),
    );
    let options = mirrors
        .iter()
        .map(|(source, registry)| format!("--registry-mirror={source}:{registry}"));
    let args = lines(std::iter::once("kubelet".to_owned()).chain(options));
    let audiences = CLOUDS.iter().filter(|cloud| cloud.federation != FEDERATION);
    let audiences: Vec<String> = audiences
        .map(|cloud| format!("{} in {}", cloud.federation, cloud.name))
        .collect();
    let audiences = audiences.join(", ");
    format!(
        "\
# Written by `{PROGRAM} configure --kubelet`.
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: {PROGRAM}
    apiVersion: credentialprovider.kubelet.k8s.io/v1
    # A `*` stays within one label: regional endpoints need patterns of their own, and images that name a port too,
    # such as \"*.azurecr.io:443\".
    matchImages:
{images}    # For answers that do not say how long they may be kept. Those of this program do.
    defaultCacheDuration: \"10m\"
    args:
{args}    env:
      # The node's managed identity, also while somebody is signed in there. Without it the first source that is
      # configured signs in, and a profile of the config file can say which.
      - name: ACRSCOPED_SOURCE
        value: managed-identity
      # The one of several, by its client id:
      # - name: AZURE_CLIENT_ID
      #   value: 00000000-0000-0000-0000-000000000000
    # Pods whose service account has both annotations pull as the application that they name; all others as the node.
    # kubelet 1.34 and later; the nodes (group system:nodes) need the verb request-serviceaccounts-token-audience on
    # the audience as a resource. It is {audiences}.
    # tokenAttributes:
    #   serviceAccountTokenAudience: {FEDERATION}
    #   cacheType: Token
    #   requireServiceAccount: false
    #   optionalServiceAccountAnnotationKeys:
    #     - {CLIENT_ANNOTATION}
    #     - {TENANT_ANNOTATION}
"
    )
}

/// The hosts of a registry: those of its regions too, unless it is one of them.
fn hosts_of(registry: &Registry) -> Vec<String> {
    let label = registry
        .host()
        .strip_suffix(&*registry.cloud().suffix)
        .and_then(|label| label.strip_suffix('.'));
    match label.filter(|label| !label.contains('.')) {
        Some(label) => endpoints(label, &registry.cloud().suffix).into(),
        None => vec![registry.host().to_owned()],
    }
}

/// The login server and the regional endpoints of what has this label, or of all.
fn endpoints(label: &str, suffix: &str) -> [String; 2] {
    [
        format!("{label}.{suffix}"),
        format!("{label}.*.geo.{suffix}"),
    ]
}

/// Each in a list of a provider.
fn lines(items: impl Iterator<Item = String>) -> String {
    items.fold(String::new(), |text, item| text + "      - " + &item + "\n")
}
