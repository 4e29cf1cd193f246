//! `bandwidth`: limits the rate of a container, by `tbf` on its veth of the host, and by an `ifb` for what it sends.

use glassnet_kernel::action::TcAct;
use glassnet_kernel::filter::{ActionRequest, ExtsRequest};
use glassnet_kernel::ids::DevId;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet};
use glassnet_kernel::net::sched::act_mirred::Mirred;
use glassnet_kernel::net::sched::cls_api::{FilterMsg, tc_new_tfilter};
use glassnet_kernel::net::sched::cls_u32::{U32Filter, U32Key};
use glassnet_kernel::net::sched::psched::RateSpec;
use glassnet_kernel::net::sched::sch_api::{TcMsg, tc_dump_qdisc, tc_modify_qdisc};
use glassnet_kernel::net::sched::sch_tbf::TbfOpt;
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::qdisc::qdisc_data;
use glassnet_kernel::tables::qdisc::{TC_H_INGRESS, TC_H_ROOT};

use super::error::{Done, Error, refusal};
use super::iptables::hash;
use super::json::Fields;
use super::link::sized;
use super::skel::{Cmd, NetConf, Plugin};
use super::types::{CniResult, Interface};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin =
    Plugin { name: "bandwidth", versions: &["0.3.0", "0.3.1", "0.4.0", "1.0.0"], add, check, del };

/// How long a packet may wait, s.
const LATENCY: f64 = 0.025;
/// The handle of the disciplines: `1:`.
const HANDLE: u32 = 0x1_0000;
/// `ffff:`.
const INGRESS: u32 = 0xffff_0000;
/// `ETH_P_ALL`.
const ETH_P_ALL: u16 = 3;
/// Longest name of a device, bytes.
const MAX_NAME: usize = 15;
/// What names of the `ifb` begin with.
const PREFIX: &str = "bwp";

/// A rate and a burst, bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Limit {
    rate: u64,
    burst: u64,
}

impl Limit {
    fn checked(self) -> Result<Limit, &'static str> {
        match self {
            Limit { burst: 0, rate: 1.. } => Err("if rate is set, burst must also be set"),
            Limit { rate: 0, burst: 1.. } => Err("if burst is set, rate must also be set"),
            Limit { burst, .. } if burst / 8 >= u64::from(u32::MAX) => Err("burst cannot be more than 4GB"),
            _ => Ok(self),
        }
    }

    fn is_set(self) -> bool {
        self.rate > 0 && self.burst > 0
    }

    /// The discipline's settings.
    fn tbf(self) -> TbfOpt {
        let (rate, burst) = (self.rate / 8, self.burst / 8);
        let limit = (rate as f64 * LATENCY) as u32 as f64 + burst as f64;
        TbfOpt {
            rate: RateSpec { rate, ..RateSpec::default() },
            peakrate: RateSpec::default(),
            limit: limit as u32,
            burst,
            pburst: 0,
        }
    }
}

/// The configuration.
struct Conf {
    net: NetConf,
    ingress: Limit,
    egress: Limit,
}

impl Conf {
    fn read(cmd: &Cmd) -> Done<Conf> {
        let failed = |error| format!("failed to parse network configuration: {error}");
        let value = cmd.conf().map_err(failed)?;
        let read = |fields: Fields| {
            let limits = |fields: &Fields| {
                let of = |rate, burst| {
                    Ok::<_, String>(Limit {
                        rate: fields.uint(rate, "uint64")?,
                        burst: fields.uint(burst, "uint64")?,
                    })
                };
                Ok::<_, String>((of("ingressRate", "ingressBurst")?, of("egressRate", "egressBurst")?))
            };
            let runtime = fields.object("runtimeConfig", "struct")?;
            let own = limits(&fields)?;
            let (ingress, egress) = match runtime.get("bandwidth") {
                Some(_) => limits(&runtime.object("bandwidth", "*main.BandwidthEntry")?)?,
                None => own,
            };
            Ok(Conf { net: NetConf::read(&fields)?, ingress, egress })
        };
        let conf = Fields::of("PluginConf", &value).and_then(read).map_err(failed)?;
        conf.ingress.checked()?;
        conf.egress.checked()?;
        if let Some(error) = &conf.net.prev_error {
            return Err(error.clone().into());
        }
        Ok(conf)
    }

    fn ifb_name(&self, container_id: &str) -> String {
        let hash = hash(&format!("{}{container_id}", self.net.name));
        format!("{PREFIX}{}", &hash[..MAX_NAME - PREFIX.len()])
    }
}

impl Cmd<'_> {
    /// The host's end of the container's veth.
    fn host_interface(&self, result: &CniResult) -> Done<DevId> {
        let netns = self.container()?;
        if result.interfaces.is_empty() {
            return Err("no interfaces provided".into());
        }
        let name = &self.if_name;
        let none = |error: String| format!("container interface {name} has no veth peer: {error}");
        let dev = self.link(netns, name);
        let dev = dev.map_err(|error| none(format!("failed to lookup {name:?}: {error}")))?;
        let is_veth = self.kind(dev) == "veth";
        let peer = self.peer(dev).filter(|_| is_veth);
        let peer = peer.ok_or_else(|| none(format!("interface {name:?} was not a veth interface")))?;
        let own = self.name(peer);
        let is_it = |interface: &Interface| interface.sandbox.is_empty() && interface.name == own;
        match self.link(self.host(), &own) == Ok(peer) && result.interfaces.iter().any(is_it) {
            true => Ok(peer),
            false => Err("no veth peer of container interface found in host ns".into()),
        }
    }

    /// `tc qdisc add dev DEV root tbf`.
    fn create_tbf(&self, dev: DevId, limit: Limit) -> Result<(), String> {
        let options = limit.tbf();
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let msg = TcMsg {
            dev,
            parent: TC_H_ROOT,
            handle: HANDLE,
            flags,
            kind: Some("tbf"),
            options: Some(&options),
        };
        let made = self.enter(|cx| tc_modify_qdisc(cx, &msg));
        made.map_err(|error| format!("create qdisc: {}", refusal(error)))
    }

    /// Leads what a device receives through another one.
    fn redirect(&self, dev: DevId, ifb: DevId) -> Result<(), String> {
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        let ingress =
            TcMsg { dev, parent: TC_H_INGRESS, handle: INGRESS, flags, kind: Some("ingress"), options: None };
        let made = self.enter(|cx| tc_modify_qdisc(cx, &ingress));
        made.map_err(|error| format!("create ingress qdisc: {}", refusal(error)))?;
        let all = U32Key { val: 0, mask: 0, off: 0, nexthdr: false };
        let options = U32Filter { keys: Some(vec![all]), classid: Some(HANDLE | 1), terminal: true };
        // The library asks for the action twice; packets are stolen by the first.
        let action = |action| ActionRequest {
            kind: "mirred",
            index: 0,
            action,
            data: Box::new(Mirred { redirect: true, ingress: false, dev: Some(ifb), unsaid: false }),
            is_old: false,
        };
        let exts =
            ExtsRequest { actions: vec![action(TcAct::Stolen), action(TcAct::Ok)], ..ExtsRequest::default() };
        let msg = FilterMsg {
            dev,
            parent: INGRESS,
            prio: 1,
            protocol: ETH_P_ALL,
            handle: 0,
            flags,
            kind: Some("u32"),
            options: Some(&options),
            exts: &exts,
            chain: 0,
        };
        self.enter(|cx| tc_new_tfilter(cx, &msg)).map_err(|error| format!("add filter: {}", refusal(error)))
    }

    /// Limits what a container sends.
    fn limit_egress(&self, host: DevId, conf: &Conf) -> Done<Interface> {
        let mtu = i64::from(self.kernel(|kernel| kernel.devs[host].mtu));
        let name = conf.ifb_name(&self.container_id);
        let set = LinkSet { up: Some(true), info: Some(LinkInfo::new("ifb")), ..sized(mtu) };
        let new = LinkNew { name: Some(name), set, ..LinkNew::default() };
        let ifb = self.add_link(self.host(), new).map_err(|error| format!("adding link: {error}"))?;
        self.redirect(host, ifb)?;
        self.create_tbf(ifb, conf.egress).map_err(|error| format!("create ifb qdisc: {error}"))?;
        Ok(self.interface(ifb, ""))
    }

    /// A device has the discipline that the limit makes.
    fn check_tbf(&self, dev: DevId, limit: Limit) -> Done {
        let found = self.enter(|cx| tc_dump_qdisc(cx, dev, false));
        if found.is_empty() {
            return Err("Failed to find qdisc".into());
        }
        let wanted = limit.tbf();
        for opt in found.iter().filter_map(|dump| qdisc_data::<TbfOpt>(dump.options.as_deref()?)) {
            if opt.rate.rate != wanted.rate.rate {
                return Err("Rate doesn't match".into());
            }
            if opt.limit != wanted.limit {
                return Err("Limit doesn't match".into());
            }
        }
        Ok(())
    }
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        if conf.ingress == Limit::default() && conf.egress == Limit::default() {
            return match &conf.net.prev_result {
                Some(prev) => Ok(prev.json(&conf.net.version)?),
                None => Err(Error::panic("runtime error: invalid memory address or nil pointer dereference")),
            };
        }
        let mut result = conf.net.prev("must be called as chained plugin")?;
        let host = cmd.host_interface(&result)?;
        if conf.ingress.is_set() {
            cmd.create_tbf(host, conf.ingress)?;
        }
        if conf.egress.is_set() {
            result.interfaces.push(cmd.limit_egress(host, &conf)?);
        }
        Ok(result.json(&conf.net.version)?)
    })
}

fn check<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        let result = conf.net.prev("must be called as a chained plugin")?;
        let host = cmd.host_interface(&result)?;
        if conf.ingress.is_set() {
            cmd.check_tbf(host, conf.ingress)?;
        }
        if conf.egress.is_set() {
            let ifb = cmd.link(cmd.host(), &conf.ifb_name(&cmd.container_id));
            cmd.check_tbf(ifb.map_err(|error| format!("get ifb device: {error}"))?, conf.egress)?;
        }
        Ok(String::new())
    })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let conf = Conf::read(cmd)?;
        cmd.del_link_by_name(cmd.host(), &conf.ifb_name(&cmd.container_id))?;
        Ok(String::new())
    })
}
