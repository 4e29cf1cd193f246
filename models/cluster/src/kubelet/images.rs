//! What containers run: their own command, or the program that stands for their image.

use k8s_openapi::api::core::v1::Container;

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

/// The command line of a container; an error is why its image cannot be had.
pub(super) fn command(container: &Container) -> Result<Vec<String>, String> {
    let image = container.image.clone().unwrap_or_default();
    let args = container.args.clone().unwrap_or_default();
    if let Some(command) = container.command.as_ref().filter(|command| !command.is_empty()) {
        return Ok(command.iter().chain(&args).cloned().collect());
    }
    let name = image.rsplit('/').next().unwrap_or_default().split([':', '@']).next().unwrap_or_default();
    if name == "agnhost" && !args.is_empty() {
        return agnhost(&args);
    }
    let Some((_, program)) = IMAGES.iter().find(|(known, _)| *known == name) else {
        return Err(format!(
            "Failed to pull image \"{image}\": not modelled yet: an image that is none of {}; give the container a command",
            IMAGES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        ));
    };
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
