//! flannel as a cluster's front matter has it.

use glassnet_cluster::config::{FlannelBackend, FlannelConfig, Network};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::LessonError;
use super::topology::Checker;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFlannel {
    backend: Option<Spanned<String>>,
    vni: Option<Spanned<u32>>,
    port: Option<Spanned<u16>>,
    gbp: Option<Spanned<bool>>,
    learning: Option<Spanned<bool>>,
    direct_routing: Option<Spanned<bool>>,
    interface: Option<String>,
}

/// Backends, each with those of its settings that it has.
const BACKENDS: [(&str, &[&str]); 4] = [
    ("host-gw", &[]),
    ("ipip", &["direct_routing"]),
    ("udp", &["port"]),
    ("vxlan", &["direct_routing", "gbp", "learning", "port", "vni"]),
];

/// The highest network identifier: it has 24 bits.
const HIGHEST_VNI: u32 = (1 << 24) - 1;

impl Checker<'_> {
    /// The network of a cluster.
    pub(super) fn network(
        &self,
        name: Option<Spanned<String>>,
        flannel: Option<Spanned<RawFlannel>>,
    ) -> Result<Network, LessonError> {
        match (name, flannel) {
            (Some(name), flannel) if name.value == "flannel" => {
                let raw = flannel.map(|flannel| flannel.value);
                Ok(Network::Flannel(self.flannel(raw)?))
            }
            (Some(name), _) if name.value != "kubenet" => {
                let message = format!(
                    "not modelled yet: the network {:?} of a cluster; there are flannel and kubenet",
                    name.value
                );
                Err(self.reader.error(self.span(&name), message, "no network"))
            }
            (_, Some(flannel)) => {
                let message = "settings of flannel for another network";
                let help = "add network: flannel";
                Err(self.reader.error_with_help(self.span(&flannel), message, "nobody reads them", help))
            }
            (_, None) => Ok(Network::Kubenet),
        }
    }

    fn flannel(&self, raw: Option<RawFlannel>) -> Result<FlannelConfig, LessonError> {
        let mut backend = FlannelBackend { kind: "vxlan".to_owned(), ..FlannelBackend::default() };
        let Some(raw) = raw else { return Ok(FlannelConfig { backend, interface: None }) };
        if let Some(kind) = &raw.backend {
            if BACKENDS.iter().all(|(known, _)| *known != kind.value) {
                let known = BACKENDS.map(|(known, _)| known).join(", ");
                let message =
                    format!("not modelled yet: the backend {:?} of flannel; there are {known}", kind.value);
                return Err(self.reader.error(self.span(kind), message, "no backend"));
            }
            backend.kind.clone_from(&kind.value);
        }
        let spans = [
            ("direct_routing", raw.direct_routing.as_ref().map(|value| self.span(value))),
            ("gbp", raw.gbp.as_ref().map(|value| self.span(value))),
            ("learning", raw.learning.as_ref().map(|value| self.span(value))),
            ("port", raw.port.as_ref().map(|value| self.span(value))),
            ("vni", raw.vni.as_ref().map(|value| self.span(value))),
        ];
        let known = BACKENDS.iter().find(|(known, _)| *known == backend.kind).map_or(&[][..], |(_, all)| all);
        for (name, span) in spans {
            let Some(span) = span.filter(|_| !known.contains(&name)) else { continue };
            let message = format!("the backend {} of flannel has no `{name}`", backend.kind);
            return Err(self.reader.error(span, message, "no such setting"));
        }
        if let Some(vni) = raw.vni.as_ref().filter(|vni| vni.value > HIGHEST_VNI) {
            let message = format!("{} is no network identifier: it has 24 bits", vni.value);
            return Err(self.reader.error(self.span(vni), message, "too high"));
        }
        backend.vni = raw.vni.map(|value| value.value);
        backend.port = raw.port.map(|value| value.value);
        backend.gbp = raw.gbp.map(|value| value.value);
        backend.learning = raw.learning.map(|value| value.value);
        backend.direct_routing = raw.direct_routing.map(|value| value.value);
        Ok(FlannelConfig { backend, interface: raw.interface })
    }
}
