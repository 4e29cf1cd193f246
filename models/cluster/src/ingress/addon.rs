//! The objects of ingress-nginx, without those that give it permissions.

use serde_json::json;

use super::{CONTROLLER, LABEL, NAME, NAMESPACE};
use crate::object::{Kind, Object};

/// The objects; with a load balancer, or with node ports only.
pub fn objects(balancer: bool) -> Vec<Object> {
    let labels = json!({LABEL.0: LABEL.1, "app.kubernetes.io/component": "controller"});
    let mut service = json!({
        "selector": labels,
        "type": "NodePort",
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
    });
    if balancer {
        service["type"] = json!("LoadBalancer");
        // The server sees who asks.
        service["externalTrafficPolicy"] = json!("Local");
    }
    let container = json!({
        "name": "controller",
        "image": format!("registry.k8s.io/ingress-nginx/controller:v{}", super::RELEASE),
        "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}],
    });
    let deployment = json!({
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    });
    let named = json!({"name": NAME, "namespace": NAMESPACE, "labels": labels});
    // They are written here, so they can be read.
    [
        (Kind::Namespace, json!({"metadata": {"name": NAMESPACE}})),
        (
            Kind::IngressClass,
            json!({"metadata": {"name": "nginx", "labels": labels}, "spec": {"controller": CONTROLLER}}),
        ),
        (Kind::Service, json!({"metadata": named, "spec": service})),
        (Kind::Deployment, json!({"metadata": named, "spec": deployment})),
    ]
    .into_iter()
    .filter_map(|(kind, value)| kind.read(value).ok())
    .collect()
}
