//! What listens on a node for kube-proxy, as data, and what health checks are told. `sockets` opens the ports.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use glassnet_kernel::kernel::BOOT_TIME;
use glassnet_sim::Nanos;
use k8s_openapi::jiff::Timestamp;

use super::changes::Known;
use super::config::{Config, Version};
use super::local::NodePortAddresses;
use super::services::Name;
pub use super::services::{Protocol, ServicePortName};

/// A port that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// At one address, or at all.
    pub address: Option<Ipv4Addr>,
    /// Its number.
    pub port: u16,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// What for.
    pub purpose: Purpose,
}

/// What a port is open for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Nobody else may take it. Nothing is answered: packets go elsewhere before they come here.
    Held(ServicePortName),
    /// Load balancers ask by HTTP whether the node has endpoints of a service.
    HealthCheck(HealthCheck),
    /// Anybody asks by HTTP whether kube-proxy keeps up.
    Healthz,
    /// Connections are carried on to an endpoint (userspace mode).
    Proxy {
        /// The service port.
        service: ServicePortName,
        /// The endpoints, which take turns.
        endpoints: Vec<SocketAddrV4>,
        /// Seconds for which a client stays with its endpoint, if it does.
        affinity: Option<u32>,
    },
}

impl Purpose {
    /// The service, and whether its clients are answered here: what must not change while a port stays open.
    pub(super) fn service(&self) -> (Option<&Name>, bool) {
        match self {
            Self::Held(name) => (Some(&name.service), false),
            Self::HealthCheck(check) => (Some(&check.service), true),
            Self::Healthz => (None, true),
            Self::Proxy { service, .. } => (Some(&service.service), true),
        }
    }
}

/// An HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Headers beside those of HTTP itself.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: String,
}

/// A response with JSON, which says that all is well or not.
fn json(is_well: bool, body: String) -> Answer {
    let headers = vec![
        ("Content-Type", "application/json".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    Answer { status: if is_well { 200 } else { 503 }, headers, body }
}

/// A health check of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    service: Name,
    local_endpoints: usize,
    version: Version,
}

impl HealthCheck {
    /// `namespace/name`.
    pub(super) fn service(&self) -> String {
        let (namespace, name) = &self.service;
        format!("{namespace}/{name}")
    }

    /// 200 if the node has endpoints of the service and kube-proxy keeps up (which 1.20 does not look at), else 503.
    pub fn answer(&self, keeps_up: bool) -> Answer {
        let Self { service: (namespace, name), local_endpoints: count, version } = self;
        let tells = *version >= Version::V1_30;
        let healthy = if tells { format!(",\n\t\"serviceProxyHealthy\": {keeps_up}") } else { String::new() };
        let service = format!("{{\n\t\t\"namespace\": \"{namespace}\",\n\t\t\"name\": \"{name}\"\n\t}}");
        let body = format!("{{\n\t\"service\": {service},\n\t\"localEndpoints\": {count}{healthy}\n}}");
        let mut answer = json(*count > 0 && (keeps_up || !tells), body);
        if tells {
            answer.headers.push(("X-Load-Balancing-Endpoint-Weight", count.to_string()));
        }
        answer
    }
}

/// The port at which kube-proxy says whether it keeps up (`healthzBindAddress`).
const HEALTHZ: u16 = 10256;

/// That port.
pub(super) fn healthz() -> Listener {
    Listener { address: None, port: HEALTHZ, protocol: Protocol::Tcp, purpose: Purpose::Healthz }
}

/// Whether kube-proxy keeps up with changes.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Its version.
    pub version: Version,
    /// When it was started.
    pub started: Nanos,
    /// The last sync that came to its end.
    pub updated: Option<Nanos>,
    /// The oldest change that is not synced yet.
    pub queued: Option<Nanos>,
    /// How long a change may take.
    pub timeout: Nanos,
    /// The node is there, and is not about to be removed.
    pub is_eligible: bool,
}

impl Health {
    /// No change waits for too long.
    pub fn is_healthy(&self, now: Nanos) -> bool {
        // 1.36 knows nothing of a proxier that has never synced.
        let is_late = self.queued.is_some_and(|queued| now.since(queued) >= self.timeout);
        !is_late || self.version >= Version::V1_30 && self.updated.is_none()
    }

    /// The response at a path: `/healthz`, and from 1.28 on `/livez`, which is not about the node.
    pub fn answer(&self, path: &str, now: Nanos) -> Answer {
        let about_node = match path {
            "/healthz" => self.version >= Version::V1_30,
            "/livez" if self.version >= Version::V1_30 => false,
            _ => return not_found(),
        };
        let is_healthy = self.is_healthy(now);
        let is_well = is_healthy && (self.is_eligible || !about_node);
        // What is well is told to be new.
        let updated = if is_well { Some(now) } else { self.updated };
        let eligible = self.is_eligible;
        let body = match self.version {
            Version::V1_36 => {
                let times =
                    format!("\"lastUpdated\":{},\"currentTime\":{}", rfc3339(updated), rfc3339(Some(now)));
                let node = if about_node { format!(",\"nodeEligible\":{eligible}") } else { String::new() };
                let status = match self.updated {
                    None => String::new(),
                    updated => {
                        let last = rfc3339(updated);
                        format!(
                            ",\"status\":{{\"IPv4\":{{\"lastUpdated\":{last},\"healthy\":{is_healthy}}}}}"
                        )
                    }
                };
                format!("{{{times}{node},\"healthy\":{is_healthy}{status}}}")
            }
            _ => {
                let node = if about_node { format!(", \"nodeEligible\": {eligible}") } else { String::new() };
                let [updated, now] = [updated, Some(now)].map(|at| self.go_time(at));
                format!("{{\"lastUpdated\": \"{updated}\",\"currentTime\": \"{now}\"{node}}}")
            }
        };
        json(is_well, body)
    }

    /// As Go prints a time, with that of the process's own clock behind it.
    fn go_time(&self, at: Option<Nanos>) -> String {
        let Some(at) = at else { return "0001-01-01 00:00:00 +0000 UTC".to_owned() };
        let since = at.since(self.started).0;
        let wall = timestamp(at).strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC");
        format!("{wall} m=+{}.{:09}", since / 1_000_000_000, since % 1_000_000_000)
    }
}

fn timestamp(at: Nanos) -> Timestamp {
    let nanoseconds = i128::from(BOOT_TIME) * 1_000_000_000 + i128::from(at.0);
    Timestamp::from_nanosecond(nanoseconds).unwrap_or_default()
}

/// As Go's JSON has a time.
fn rfc3339(at: Option<Nanos>) -> String {
    at.map_or_else(|| "\"0001-01-01T00:00:00Z\"".to_owned(), |at| format!("\"{}\"", timestamp(at)))
}

/// What Go's server says of a path that nobody serves.
fn not_found() -> Answer {
    let headers = vec![
        ("Content-Type", "text/plain; charset=utf-8".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    Answer { status: 404, headers, body: "404 page not found\n".to_owned() }
}

/// Ports of health checks, for each service at the addresses that take node ports (in 1.20 at all).
pub fn checks(
    known: &Known,
    config: &Config,
    addresses: &[Ipv4Addr],
    own: Option<Ipv4Addr>,
) -> Vec<Listener> {
    let version = config.version;
    let mut ports = BTreeMap::<&Name, (u16, BTreeSet<Ipv4Addr>)>::new();
    for (name, service) in &known.ports {
        if service.health_check_node_port != 0 {
            ports.entry(&name.service).or_default().0 = service.health_check_node_port;
        }
    }
    if ports.is_empty() {
        return Vec::new();
    }
    for (name, endpoints) in &known.endpoints {
        if let Some((_, addresses)) = ports.get_mut(&name.service) {
            let is_counted = |state: &super::endpoints::State| state.is_local && state.is_ready;
            addresses.extend(
                endpoints
                    .iter()
                    .filter(|endpoint| is_counted(&endpoint.state))
                    .map(|endpoint| endpoint.address),
            );
        }
    }
    let at: Vec<Option<Ipv4Addr>> = match NodePortAddresses::new(config) {
        some if version >= Version::V1_30 && some != NodePortAddresses::All => {
            some.of_node(addresses, own).into_iter().map(Some).collect()
        }
        _ => vec![None],
    };
    let listeners = |(name, (port, endpoints)): (&Name, (u16, BTreeSet<Ipv4Addr>))| {
        let check = HealthCheck { service: name.clone(), local_endpoints: endpoints.len(), version };
        let purpose = Purpose::HealthCheck(check);
        let listener =
            |address| Listener { address, port, protocol: Protocol::Tcp, purpose: purpose.clone() };
        at.iter().copied().map(listener).collect::<Vec<_>>()
    };
    ports.into_iter().flat_map(listeners).collect()
}

/// Ports that the iptables mode of 1.20 opens so that nobody else takes them: node ports, and external addresses that are the node's own.
pub fn held(known: &Known, config: &Config, addresses: &[Ipv4Addr]) -> Vec<Listener> {
    let node_ports = NodePortAddresses::new(config);
    let mut held = Vec::new();
    for (name, service) in &known.ports {
        let mut hold = |address, port| {
            held.push(Listener {
                address,
                port,
                protocol: service.protocol,
                purpose: Purpose::Held(name.clone()),
            });
        };
        for address in service
            .external_ips
            .iter()
            .filter(|address| addresses.contains(address) && service.protocol != Protocol::Sctp)
        {
            hold(Some(*address), service.port);
        }
        if service.node_port != 0 && service.protocol != Protocol::Sctp {
            match &node_ports {
                NodePortAddresses::All => hold(None, service.node_port),
                some => some
                    .of_node(addresses, None)
                    .into_iter()
                    .for_each(|address| hold(Some(address), service.node_port)),
            }
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = Nanos::from_secs(1);

    fn health(version: Version) -> Health {
        let timeout = Nanos::from_secs(60);
        Health {
            version,
            started: SECOND,
            updated: Some(Nanos(2_500_000_000)),
            queued: None,
            timeout,
            is_eligible: true,
        }
    }

    #[test]
    fn healthz_answers_as_each_version() {
        let now = Nanos(3_250_000_000);
        let body = |version, path| {
            let answer = health(version).answer(path, now);
            assert_eq!(answer.status, 200);
            answer.body
        };
        let go = "2023-11-14 22:13:23.25 +0000 UTC m=+2.250000000";
        assert_eq!(
            body(Version::V1_20, "/healthz"),
            format!(r#"{{"lastUpdated": "{go}","currentTime": "{go}"}}"#)
        );
        assert_eq!(
            body(Version::V1_30, "/healthz"),
            format!(r#"{{"lastUpdated": "{go}","currentTime": "{go}", "nodeEligible": true}}"#)
        );
        let (json, last) = ("2023-11-14T22:13:23.25Z", "2023-11-14T22:13:22.5Z");
        assert_eq!(
            body(Version::V1_36, "/livez"),
            format!(
                r#"{{"lastUpdated":"{json}","currentTime":"{json}","healthy":true,"status":{{"IPv4":{{"lastUpdated":"{last}","healthy":true}}}}}}"#
            )
        );
        assert_eq!(health(Version::V1_20).answer("/livez", now).status, 404);
        assert_eq!(health(Version::V1_36).answer("/", now).body, "404 page not found\n");
    }

    #[test]
    fn a_change_that_waits_too_long_is_told() {
        let mut health = health(Version::V1_36);
        health.queued = Some(SECOND);
        let statuses = |health: &Health, seconds| {
            ["/healthz", "/livez"].map(|path| health.answer(path, Nanos::from_secs(seconds)).status)
        };
        assert_eq!(statuses(&health, 60), [200, 200]);
        assert_eq!(statuses(&health, 61), [503, 503]);
        let check = HealthCheck { service: Default::default(), local_endpoints: 1, version: Version::V1_36 };
        let answer = check.answer(health.is_healthy(Nanos::from_secs(61)));
        assert_eq!(answer.status, 503);
        assert!(answer.body.ends_with("\"serviceProxyHealthy\": false\n}"), "{}", answer.body);
        (health.queued, health.is_eligible) = (None, false);
        assert_eq!(statuses(&health, 61), [503, 200]);
    }
}
