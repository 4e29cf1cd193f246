//! Names in a pod: its `/etc/resolv.conf`, `/etc/hosts` and `/etc/nsswitch.conf`, which `ip netns exec` binds over those of the node.
//!
//! A pod has files of its own where the cluster has DNS, or where its spec asks for something. Otherwise it sees those of its node.

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_userland::process::Process;
use glassnet_userland::resolver::conf::ResolvConf;
use k8s_openapi::api::core::v1::{Pod, PodDNSConfig, PodSpec};

use crate::api::ApiServer;
use crate::command::{Command, NodeShell, Run};
use crate::dns::{self, DOMAIN};

/// The files.
const FILES: [&str; 3] = ["hosts", "nsswitch.conf", "resolv.conf"];

/// What the programs of a pod with such files see in `/etc`.
pub(super) fn mounts(netns: &str) -> impl Iterator<Item = (String, String)> {
    FILES.into_iter().map(move |file| (format!("/etc/{file}"), format!("/etc/netns/{netns}/{file}")))
}

/// Writes the files of a pod's namespace; false if it needs none.
pub(super) async fn write(
    process: &mut Process,
    api: &Arc<ApiServer>,
    pod: &Pod,
    (netns, address): (&str, Ipv4Addr),
) -> bool {
    let spec = pod.spec.clone().unwrap_or_default();
    let server = dns::address(&api.store().config);
    let asks = spec.dns_config.is_some()
        || spec.host_aliases.is_some()
        || spec.dns_policy.as_deref() == Some("None")
        || spec.hostname.is_some();
    if server.is_none() && !asks {
        return false;
    }
    let own = process.files.clone().read("/etc/resolv.conf").await.unwrap_or_default();
    let own = String::from_utf8_lossy(&own).into_owned();
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let folder = format!("/etc/netns/{netns}");
    let texts =
        [hosts(pod, address), "hosts: files dns\n".to_owned(), resolv_conf(&spec, &namespace, server, &own)];
    let mut shell = NodeShell { process, api: api.clone() };
    shell.run(Command::words(&format!("mkdir -p {folder}"))).await;
    for (name, text) in FILES.into_iter().zip(texts) {
        let mut tee = Command::words(&format!("tee {folder}/{name}"));
        tee.stdin = text;
        shell.run(tee).await;
    }
    true
}

/// Removes the files of a pod's namespace.
pub(super) async fn remove(process: &mut Process, api: &Arc<ApiServer>, netns: &str) {
    super::run(process, api, &format!("rm -r /etc/netns/{netns}")).await;
}

/// `/etc/resolv.conf` of a pod.
fn resolv_conf(spec: &PodSpec, namespace: &str, server: Option<Ipv4Addr>, own: &str) -> String {
    let (mut servers, mut searches, mut options) =
        (Vec::new(), Vec::new(), Vec::<(String, Option<String>)>::new());
    match (spec.dns_policy.as_deref().unwrap_or("ClusterFirst"), server) {
        ("None", _) => {}
        ("Default", _) | (_, None) => {
            let conf = ResolvConf::parse(own);
            if own.lines().any(|line| line.starts_with("nameserver")) {
                servers.extend(conf.servers.iter().map(Ipv4Addr::to_string));
            }
            searches = conf.search;
        }
        (_, Some(server)) => {
            servers.push(server.to_string());
            searches = vec![format!("{namespace}.svc.{DOMAIN}"), format!("svc.{DOMAIN}"), DOMAIN.to_owned()];
            options.push(("ndots".to_owned(), Some("5".to_owned())));
        }
    }
    let PodDNSConfig { nameservers, options: more, searches: more_searches } =
        spec.dns_config.clone().unwrap_or_default();
    let add = |all: &mut Vec<String>, more: Vec<String>| {
        for one in more {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    };
    add(&mut servers, nameservers.unwrap_or_default());
    add(&mut searches, more_searches.unwrap_or_default());
    for option in more.unwrap_or_default() {
        let name = option.name.unwrap_or_default();
        options.retain(|(known, _)| *known != name);
        options.push((name, option.value));
    }
    let mut text = String::new();
    if !searches.is_empty() {
        text += &format!("search {}\n", searches.join(" "));
    }
    text.extend(servers.iter().map(|server| format!("nameserver {server}\n")));
    if !options.is_empty() {
        let words = options.iter().map(|(name, value)| match value {
            Some(value) => format!("{name}:{value}"),
            None => name.clone(),
        });
        text += &format!("options {}\n", words.collect::<Vec<_>>().join(" "));
    }
    text
}

/// `/etc/hosts` of a pod.
fn hosts(pod: &Pod, address: Ipv4Addr) -> String {
    let spec = pod.spec.clone().unwrap_or_default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = spec.hostname.clone().or_else(|| pod.metadata.name.clone()).unwrap_or_default();
    let mut text = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
        .to_owned();
    text += &match &spec.subdomain {
        Some(subdomain) => format!("{address}\t{name}.{subdomain}.{namespace}.svc.{DOMAIN}\t{name}\n"),
        None => format!("{address}\t{name}\n"),
    };
    let aliases = spec.host_aliases.unwrap_or_default();
    if !aliases.is_empty() {
        text += "\n# Entries added by HostAliases.\n";
    }
    for alias in aliases {
        text += &format!("{}\t{}\n", alias.ip, alias.hostnames.unwrap_or_default().join("\t"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conf(spec: serde_json::Value, server: Option<Ipv4Addr>) -> String {
        let spec: PodSpec = serde_json::from_value(spec).expect("a spec");
        resolv_conf(&spec, "shop", server, "search home\nnameserver 192.168.0.1\n")
    }

    #[test]
    fn policies() {
        let server = Some(Ipv4Addr::new(10, 96, 0, 10));
        let search = "search shop.svc.cluster.local svc.cluster.local cluster.local";
        assert_eq!(
            conf(json!({"containers": []}), server),
            format!("{search}\nnameserver 10.96.0.10\noptions ndots:5\n")
        );
        let own = "search home\nnameserver 192.168.0.1\n";
        assert_eq!(conf(json!({"containers": [], "dnsPolicy": "Default"}), server), own);
        assert_eq!(conf(json!({"containers": []}), None), own);
        let config = json!({
            "nameservers": ["1.1.1.1"], "searches": ["a.b", "cluster.local"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]
        });
        let none = conf(json!({"containers": [], "dnsPolicy": "None", "dnsConfig": config}), server);
        assert_eq!(none, "search a.b cluster.local\nnameserver 1.1.1.1\noptions ndots:2 edns0\n");
        let merged = conf(json!({"containers": [], "dnsConfig": config}), server);
        assert_eq!(
            merged,
            format!("{search} a.b\nnameserver 10.96.0.10\nnameserver 1.1.1.1\noptions ndots:2 edns0\n")
        );
    }

    #[test]
    fn a_pods_hosts() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"containers": [], "hostname": "a", "subdomain": "db", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["x", "y"]}]},
        }))
        .expect("a pod");
        let text = hosts(&pod, Ipv4Addr::new(10, 244, 0, 2));
        assert!(text.contains("10.244.0.2\ta.db.default.svc.cluster.local\ta\n\n# Entries added by HostAliases.\n1.2.3.4\tx\ty\n"), "{text}");
    }
}
