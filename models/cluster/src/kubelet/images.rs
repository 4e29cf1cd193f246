//! What containers run: their own command, or the program that stands for their image. All images are on all nodes.

use k8s_openapi::api::core::v1::Container;
use sha2::{Digest, Sha256};

/// Images by name (without registry and tag), with the program that stands for their entry point, which gets the container's
/// arguments if it ends with `…`.
const IMAGES: &[(&str, &str)] = &[
    ("agnhost", "sleep infinity"),
    ("alpine", "true"),
    ("busybox", "true"),
    // Its agent writes what the server is to answer.
    ("controller", "nginx -p . -c /run/ingress-nginx/nginx.conf"),
    ("coredns", "named -g -c /run/coredns/named.conf"),
    ("curl", "curl …"),
    ("debian", "true"),
    ("dnsutils", "true"),
    ("httpd", "python3 -m http.server 80"),
    ("iperf3", "iperf3 …"),
    ("netshoot", "true"),
    ("nginx", "python3 -m http.server 80"),
    ("pause", "sleep infinity"),
    ("python", "python3 …"),
    ("ubuntu", "true"),
];

/// Folders that the servers of images serve.
const SERVED: &[(&str, &str)] = &[("httpd", "/usr/local/apache2/htdocs"), ("nginx", "/usr/share/nginx/html")];

fn name(container: &Container) -> &str {
    let image = container.image.as_deref().unwrap_or_default();
    image.rsplit('/').next().unwrap_or_default().split([':', '@']).next().unwrap_or_default()
}

/// The folder that the image's server serves, if it is one.
pub(super) fn served(container: &Container) -> Option<&'static str> {
    SERVED.iter().find(|(known, _)| *known == name(container)).map(|(_, folder)| *folder)
}

/// The image as containerd names it, and its ID.
pub(super) fn identity(container: &Container) -> (String, String) {
    let image = container.image.as_deref().unwrap_or_default();
    let image = match image.split_once('/') {
        None => format!("docker.io/library/{image}"),
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
    };
    let last = image.rsplit('/').next().unwrap_or_default();
    let image = if last.contains([':', '@']) { image } else { format!("{image}:latest") };
    let end = image.rfind('/').map_or(0, |at| at + 1);
    let repository = &image[..end + image[end..].find([':', '@']).unwrap_or(image.len() - end)];
    let digest: String = Sha256::digest(&image).iter().map(|byte| format!("{byte:02x}")).collect();
    let id = format!("{repository}@sha256:{digest}");
    (image, id)
}

/// The command line of a container; an error is why its image cannot be had.
pub(super) fn command(container: &Container) -> Result<Vec<String>, String> {
    let image = container.image.clone().unwrap_or_default();
    let args = container.args.clone().unwrap_or_default();
    if let Some(command) = container.command.as_ref().filter(|command| !command.is_empty()) {
        return Ok(command.iter().chain(&args).cloned().collect());
    }
    let name = name(container);
    if name == "agnhost" && !args.is_empty() {
        return agnhost(&args);
    }
    let Some((_, program)) = IMAGES.iter().find(|(known, _)| *known == name) else {
        return Err(format!(
            "Failed to pull image \"{image}\": not modelled yet: an image that is none of {}; give the container a command",
            IMAGES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        ));
    };
    // A shell whose standard input stays open waits for it.
    if *program == "true" && args.is_empty() && container.stdin == Some(true) {
        return Ok(["sleep", "infinity"].map(str::to_owned).to_vec());
    }
    let words = program.split_whitespace().map(str::to_owned);
    Ok(match program.strip_suffix(" …") {
        Some(_) => words.filter(|word| word != "…").chain(args).collect(),
        None if args.is_empty() || program.starts_with("python3") => words.collect(),
        None => args,
    })
}

/// Kubernetes' own image of tests: servers that tell the pod's name.
fn agnhost(args: &[String]) -> Result<Vec<String>, String> {
    let option = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name)?.strip_prefix('='));
    let port = match args[0].as_str() {
        "netexec" => option("--http-port").unwrap_or("8080"),
        "serve-hostname" => option("--port").unwrap_or("9376"),
        "pause" => return Ok(vec!["sleep".to_owned(), "infinity".to_owned()]),
        other => return Err(format!("not modelled yet: agnhost {other}")),
    };
    Ok(["python3", "-m", "http.server", port].map(str::to_owned).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_their_full_names() {
        let of = |image: &str| {
            let container = Container { image: Some(image.to_owned()), ..Container::default() };
            let (name, id) = identity(&container);
            (name, id.split('@').next().unwrap_or_default().to_owned())
        };
        let expected = |name: &str, id: &str| (name.to_owned(), id.to_owned());
        assert_eq!(of("nginx"), expected("docker.io/library/nginx:latest", "docker.io/library/nginx"));
        assert_eq!(of("a/b:1"), expected("docker.io/a/b:1", "docker.io/a/b"));
        assert_eq!(of("localhost:5000/a"), expected("localhost:5000/a:latest", "localhost:5000/a"));
    }
}
