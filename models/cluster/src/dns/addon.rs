//! The objects of a cluster's DNS, as kubeadm makes them: the service `kube-dns`, and a Deployment `coredns`.

use std::net::Ipv4Addr;

use serde_json::json;

use crate::object::{Kind, Object};

/// The objects; a few fields of the real ones have no meaning here and are left out.
pub fn objects(address: Ipv4Addr) -> Vec<Object> {
    let labels = json!({"k8s-app": "kube-dns"});
    let service = json!({
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
        },
        "spec": {
            "clusterIP": address.to_string(),
            "selector": labels,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            ],
        },
    });
    let container = json!({
        "name": "coredns",
        "image": "registry.k8s.io/coredns/coredns:v1.12.0",
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
    });
    let deployment = json!({
        "metadata": {"name": "coredns", "namespace": "kube-system", "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"dnsPolicy": "Default", "containers": [container]}},
        },
    });
    // They are written here, so they can be read.
    [(Kind::Service, service), (Kind::Deployment, deployment)]
        .into_iter()
        .filter_map(|(kind, value)| kind.read(value).ok())
        .collect()
}
