//! The objects of flannel, as its `kube-flannel.yml` has them: its ConfigMap, and the DaemonSet whose pods run flanneld on each node. Their
//! init container installs the node's CNI configuration.

use serde::Serialize;
use serde_json::json;

use crate::config::{FlannelBackend, FlannelConfig, Range};
use crate::object::{Kind, Object};

const IMAGE: &str = "quay.io/coreos/flannel:v0.14.0";

/// The list of CNI plugins that make a pod's network.
const CNI_CONF: &str = r#"{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
"#;

/// What flanneld is told.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NetConf<'a> {
    network: String,
    backend: &'a FlannelBackend,
}

/// The objects; fields of the real ones that have no meaning here are left out.
pub fn objects(config: &FlannelConfig, network: Range) -> Vec<Object> {
    let labels = json!({"tier": "node", "app": "flannel"});
    let net_conf = NetConf { network: network.to_string(), backend: &config.backend };
    // All of it can be written.
    let net_conf = serde_json::to_string_pretty(&net_conf).unwrap_or_default();
    let map = json!({
        "metadata": {"name": "kube-flannel-cfg", "namespace": "kube-system", "labels": labels},
        "data": {"cni-conf.json": CNI_CONF, "net-conf.json": format!("{net_conf}\n")},
    });
    let mut args = vec!["--ip-masq".to_owned(), "--kube-subnet-mgr".to_owned()];
    args.extend(config.interface.iter().map(|name| format!("--iface={name}")));
    let linux = json!({"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]});
    let field =
        |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
    let spec = json!({
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [linux]}],
        }}},
        "hostNetwork": true,
        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
        "initContainers": [{
            "name": "install-cni",
            "image": IMAGE,
            "command": ["cp"],
            "args": ["-f", "/etc/kube-flannel/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist"],
            "volumeMounts": [mount("cni", "/etc/cni/net.d"), mount("flannel-cfg", "/etc/kube-flannel/")],
        }],
        "containers": [{
            "name": "kube-flannel",
            "image": IMAGE,
            "command": ["/opt/bin/flanneld"],
            "args": args,
            "resources": {
                "requests": {"cpu": "100m", "memory": "50Mi"},
                "limits": {"cpu": "100m", "memory": "50Mi"},
            },
            "env": [field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace")],
            "volumeMounts": [mount("run", "/run/flannel"), mount("flannel-cfg", "/etc/kube-flannel/")],
        }],
        "volumes": [
            {"name": "run", "hostPath": {"path": "/run/flannel"}},
            {"name": "cni", "hostPath": {"path": "/etc/cni/net.d"}},
            {"name": "flannel-cfg", "configMap": {"name": "kube-flannel-cfg"}},
        ],
    });
    let set = json!({
        "metadata": {"name": "kube-flannel-ds", "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": {"app": "flannel"}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    });
    // They are written here, so they can be read.
    [(Kind::ConfigMap, map), (Kind::DaemonSet, set)]
        .into_iter()
        .filter_map(|(kind, value)| kind.read(value).ok())
        .collect()
}
