//! The environment of a container, and references to it in its command (`pkg/kubelet`, `makeEnvironmentVariables`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvVarSource, Node, Pod, ResourceFieldSelector, Secret, Service,
};

use crate::qos;
use crate::quantity::Amount;
use crate::store::Store;

/// Variables, and why one cannot be had.
pub(super) type Variables = Result<BTreeMap<String, String>, String>;

/// What a pod's fields are on this node.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub store: &'a Store,
    pub pod: &'a Pod,
    /// The pod's address.
    pub address: &'a str,
    /// The node and its address.
    pub node: (&'a str, &'a str),
}

impl Around<'_> {
    fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// A field of the pod; the API server has checked its path.
    pub(super) fn field(&self, path: &str) -> String {
        let (meta, spec) = (&self.pod.metadata, self.pod.spec.as_ref());
        let entry = |begin: &str, map: &Option<BTreeMap<String, String>>| {
            let key = path.strip_prefix(begin)?.strip_suffix("']")?;
            Some(map.as_ref().and_then(|map| map.get(key).cloned()).unwrap_or_default())
        };
        let all = |map: &Option<BTreeMap<String, String>>| {
            let lines = map.iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
            lines.collect::<Vec<_>>().join("\n")
        };
        match path {
            "metadata.name" => meta.name.clone().unwrap_or_default(),
            "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
            "metadata.uid" => meta.uid.clone().unwrap_or_default(),
            "metadata.labels" => all(&meta.labels),
            "metadata.annotations" => all(&meta.annotations),
            "spec.nodeName" => self.node.0.to_owned(),
            "spec.serviceAccountName" => {
                spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default()
            }
            "status.hostIP" | "status.hostIPs" => self.node.1.to_owned(),
            "status.podIP" | "status.podIPs" => self.address.to_owned(),
            _ => entry("metadata.labels['", &meta.labels)
                .or_else(|| entry("metadata.annotations['", &meta.annotations))
                .unwrap_or_default(),
        }
    }

    /// An amount of a container; what has no limit may use all of the node.
    pub(super) fn amount(&self, container: &Container, selector: &ResourceFieldSelector) -> String {
        let (kind, name) = selector.resource.split_once('.').unwrap_or(("", ""));
        let wanted = selector.container_name.as_deref().filter(|name| !name.is_empty());
        let spec = self.pod.spec.as_ref();
        let named = wanted.and_then(|wanted| spec?.containers.iter().find(|known| known.name == wanted));
        let mut amount = qos::of_container(named.unwrap_or(container), name, kind == "limits");
        if amount.is_zero() && kind == "limits" {
            let node = self.store.get::<Node>("", self.node.0);
            let all = node.and_then(|node| node.status.as_ref()?.allocatable.as_ref());
            amount = all.and_then(|all| Amount::parse(&all.get(name)?.0)).unwrap_or_default();
        }
        let divisor = selector.divisor.as_ref().and_then(|divisor| Amount::parse(&divisor.0));
        let divisor = divisor.filter(|divisor| !divisor.is_zero()).unwrap_or(Amount::whole(1));
        amount.in_units(divisor).to_string()
    }

    fn map(&self, name: &str, optional: Option<bool>) -> Result<Option<&ConfigMap>, String> {
        let found = self.store.get::<ConfigMap>(self.namespace(), name);
        is_there(found, optional, || format!("configmap {name:?} not found"))
    }

    fn secret(&self, name: &str, optional: Option<bool>) -> Result<Option<&Secret>, String> {
        let found = self.store.get::<Secret>(self.namespace(), name);
        is_there(found, optional, || format!("secret {name:?} not found"))
    }

    /// What a variable gets from elsewhere; `None`: it is left out.
    fn from(&self, container: &Container, from: &EnvVarSource) -> Result<Option<String>, String> {
        if let Some(field) = &from.field_ref {
            return Ok(Some(self.field(&field.field_path)));
        }
        if let Some(selector) = &from.resource_field_ref {
            return Ok(Some(self.amount(container, selector)));
        }
        let place = |name: &str| format!("{}/{name}", self.namespace());
        if let Some(selector) = &from.config_map_key_ref {
            let map = self.map(&selector.name, selector.optional)?;
            let value = map.and_then(|map| map.data.as_ref()?.get(&selector.key).cloned());
            let name = place(&selector.name);
            return is_there(value, selector.optional, || {
                format!("couldn't find key {} in ConfigMap {name}", selector.key)
            });
        }
        if let Some(selector) = &from.secret_key_ref {
            let secret = self.secret(&selector.name, selector.optional)?;
            let value = secret.and_then(|secret| secret.data.as_ref()?.get(&selector.key));
            let value = value.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
            let name = place(&selector.name);
            return is_there(value, selector.optional, || {
                format!("couldn't find key {} in Secret {name}", selector.key)
            });
        }
        Ok(None)
    }

    /// What a container's manifest says, without the services.
    pub(super) fn own_variables(&self, container: &Container, links: &BTreeMap<String, String>) -> Variables {
        let mut all = BTreeMap::new();
        for source in container.env_from.iter().flatten() {
            let prefix = source.prefix.as_deref().unwrap_or_default();
            let mut add = |key: &str, value: String| all.insert(format!("{prefix}{key}"), value);
            if let Some(of) = &source.config_map_ref
                && let Some(map) = self.map(&of.name, of.optional)?
            {
                map.data.iter().flatten().for_each(|(key, value)| _ = add(key, value.clone()));
            }
            if let Some(of) = &source.secret_ref
                && let Some(secret) = self.secret(&of.name, of.optional)?
            {
                let texts = secret.data.iter().flatten();
                texts.for_each(|(key, value)| _ = add(key, String::from_utf8_lossy(&value.0).into_owned()));
            }
        }
        for variable in container.env.iter().flatten() {
            let value = match &variable.value_from {
                Some(from) => match self.from(container, from)? {
                    Some(value) => value,
                    None => continue,
                },
                None => expand(variable.value.as_deref().unwrap_or_default(), |name| {
                    all.get(name).or_else(|| links.get(name)).cloned()
                }),
            };
            all.insert(variable.name.clone(), value);
        }
        Ok(all)
    }

    /// Variables of the services that were there when the container was started: those of its namespace, if it has links to services,
    /// and the API server's.
    pub(super) fn links(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let spec = self.pod.spec.as_ref();
        let has_links = spec.is_none_or(|spec| spec.enable_service_links != Some(false));
        for service in self.store.list::<Service>() {
            let meta = &service.metadata;
            let (namespace, name) =
                (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
            let is_master = (namespace, name) == ("default", "kubernetes");
            if is_master || has_links && namespace == self.namespace() {
                link(service, name, &mut all);
            }
        }
        all
    }
}

/// What is there; without it an error, unless it is optional.
fn is_there<T>(
    found: Option<T>,
    optional: Option<bool>,
    why: impl FnOnce() -> String,
) -> Result<Option<T>, String> {
    match (found, optional) {
        (Some(found), _) => Ok(Some(found)),
        (None, Some(true)) => Ok(None),
        (None, _) => Err(why()),
    }
}

/// The variables of a service (`pkg/kubelet/envvars`).
fn link(service: &Service, name: &str, all: &mut BTreeMap<String, String>) {
    let Some(spec) = &service.spec else { return };
    let Some(address) = spec.cluster_ip.as_deref().filter(|address| !["", "None"].contains(address)) else {
        return;
    };
    let Some(first) = spec.ports.iter().flatten().next() else { return };
    let upper = |text: &str| text.replace('-', "_").to_uppercase();
    let name = upper(name);
    let mut add = |key: String, value: String| _ = all.insert(key, value);
    add(format!("{name}_SERVICE_HOST"), address.to_owned());
    add(format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in spec.ports.iter().flatten() {
        if let Some(port_name) = port.name.as_ref().filter(|name| !name.is_empty()) {
            add(format!("{name}_SERVICE_PORT_{}", upper(port_name)), port.port.to_string());
        }
    }
    for (at, port) in spec.ports.iter().flatten().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let (lower, number) = (protocol.to_lowercase(), port.port);
        let url = format!("{lower}://{address}:{number}");
        if at == 0 {
            add(format!("{name}_PORT"), url.clone());
        }
        let begin = format!("{name}_PORT_{number}_{protocol}");
        add(begin.clone(), url);
        add(format!("{begin}_PROTO"), lower);
        add(format!("{begin}_PORT"), number.to_string());
        add(format!("{begin}_ADDR"), address.to_owned());
    }
}

/// A text with `$(NAME)` replaced by variables; one that is unknown stays, and `$$` is a dollar.
pub(super) fn expand(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let name = behind.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        (out, rest) = match (behind.starts_with('$'), name) {
            (true, _) => (out + "$", &behind[1..]),
            (false, Some((name, after))) => {
                (out + &value(name).unwrap_or_else(|| format!("$({name})")), after)
            }
            (false, None) => (out + "$", behind),
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_where_they_are_known() {
        let value = |name: &str| (name == "A").then(|| "1".to_owned());
        let expand = |text| super::expand(text, value);
        assert_eq!(expand("x$(A)y$(B)$$(A) $A $("), "x1y$(B)$(A) $A $(");
    }

    #[test]
    fn a_service_has_variables() {
        let service: Service = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "my-web"},
            "spec": {"clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
        }))
        .expect("a service");
        let mut all = BTreeMap::new();
        link(&service, "my-web", &mut all);
        let all: Vec<String> = all.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(
            all,
            [
                "MY_WEB_PORT=tcp://10.96.0.9:80",
                "MY_WEB_PORT_80_TCP=tcp://10.96.0.9:80",
                "MY_WEB_PORT_80_TCP_ADDR=10.96.0.9",
                "MY_WEB_PORT_80_TCP_PORT=80",
                "MY_WEB_PORT_80_TCP_PROTO=tcp",
                "MY_WEB_SERVICE_HOST=10.96.0.9",
                "MY_WEB_SERVICE_PORT=80",
                "MY_WEB_SERVICE_PORT_HTTP=80",
            ]
        );
    }
}
