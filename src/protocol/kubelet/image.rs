//! The host of an image reference.
//!
//! kubelet parses `https://` and the image as a URL, and compares its host, label by label, and its port with each key of the answer
//! (kubernetes, `pkg/credentialprovider/keyring.go`). So the key must be the host as written in the image, with its case and port.

/// Returns the host of an image reference as it is written, port included: the part before the first slash.
///
/// Returns `None` for an image without a host, such as `app` of Docker Hub, and for text that is no reference: names, tags and digests
/// have only these characters (distribution/reference, `regexp.go`).
pub(super) fn host(image: &str) -> Option<&str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@+".contains(&byte);
    let (host, repository) = image.split_once('/')?;
    // A server URL may end with a dot, but the host of a reference may not.
    let has_final_dot = host.ends_with('.') || host.contains(".:");
    (!repository.is_empty() && !has_final_dot && image.bytes().all(is_allowed)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Registry;

    fn registry(image: &str) -> Option<Registry> {
        Registry::parse(host(image)?, &[])
    }

    #[test]
    fn the_host_is_returned_as_written() {
        for (image, written, login_server) in [
            (
                "contoso.azurecr.io/app",
                "contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.io/team/app/web",
                "contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.io/app:v1",
                "contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.io/app@sha256:0a1b",
                "contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.io/app:v1@sha256:0a1b",
                "contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.io:443/app",
                "contoso.azurecr.io:443",
                "contoso.azurecr.io",
            ),
            (
                "Contoso.azurecr.io/app",
                "Contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso-abc123.azurecr.io/app",
                "contoso-abc123.azurecr.io",
                "contoso-abc123.azurecr.io",
            ),
            (
                "contoso.eastus.geo.azurecr.io/app",
                "contoso.eastus.geo.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.us/contoso.azurecr.io/app",
                "contoso.azurecr.us",
                "contoso.azurecr.us",
            ),
        ] {
            assert_eq!(host(image), Some(written), "{image}");
            assert_eq!(
                registry(image).unwrap().login_server(),
                login_server,
                "{image}"
            );
        }
    }

    #[test]
    fn an_image_that_only_resembles_one_of_a_registry_is_foreign() {
        for image in [
            "",
            "/",
            "app",
            "contoso.azurecr.io",
            "contoso.azurecr.io/",
            "contoso.azurecr.io:443",
            "contoso.azurecr.io:v1",
            "/contoso.azurecr.io/app",
            "docker.io/library/app",
            "evil/contoso.azurecr.io/app",
            "evil.example/contoso.azurecr.io/app",
            "contoso.azurecr.io.evil.example/app",
            "contoso.azurecr.io./app",
            "contoso.azurecr.io.:443/app",
            "contoso.azurecr.io:5000/app",
            "contoso.azurecr.io:/app",
            "user@contoso.azurecr.io/app",
            "user:password@contoso.azurecr.io/app",
            "contoso.azurecr.io@evil.example/app",
            "https://contoso.azurecr.io/app",
            "contoso.azurecr.io?x/app",
            "contoso.azurecr.io/app?x",
            "contoso.azurecr.io#x/app",
            "contoso.azurecr.io\\@evil.example/app",
            " contoso.azurecr.io/app",
            "contoso.azurecr.io /app",
            "contoso.azurecr.io/app\n",
            "contoso.azurecr.io\0/app",
            "contoso.azurecr.io/app\0",
            "contoso.azurecr.io/\u{202e}app",
            "c\u{43e}ntoso.azurecr.io/app",
            "contoso\u{3002}azurecr\u{3002}io/app",
            "contoso.azurecr.io%2f@evil.example/app",
            "contoso.data.azurecr.io/app",
            "contoso.eastus.data.azurecr.io/app",
            "*.azurecr.io/app",
            "team.contoso.azurecr.io/app",
        ] {
            assert_eq!(registry(image), None, "{image:?}");
        }
    }
}
