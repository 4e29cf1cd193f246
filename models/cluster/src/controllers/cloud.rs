//! A small cloud: addresses for services of type LoadBalancer.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus, Service};

use super::Again;
use crate::api::News;
use crate::store::Store;

/// The addresses that a load balancer has.
pub fn balancer_addresses(service: &Service) -> impl Iterator<Item = Ipv4Addr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.into_iter().flat_map(|status| status.ingress.iter().flatten());
    ingress.filter_map(|ingress| ingress.ip.as_ref()?.parse().ok())
}

/// It wants an address of this cloud; one of another class is somebody else's.
fn is_balancer(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.is_some_and(|spec| {
        spec.type_.as_deref() == Some("LoadBalancer") && spec.load_balancer_class.is_none()
    })
}

/// Gives each load balancer an address, and takes it from services that are none any more.
pub fn sync(store: &mut Store, _: &[News], now: Nanos) -> Again {
    let Some(range) = store.config.balancers else { return Ok(None) };
    let mut taken: BTreeSet<Ipv4Addr> = store.list::<Service>().flat_map(balancer_addresses).collect();
    let concerns = |service: &&Service| is_balancer(service) || balancer_addresses(service).next().is_some();
    let services: Vec<Service> = store.list::<Service>().filter(concerns).cloned().collect();
    for service in services {
        let spec = service.spec.clone().unwrap_or_default();
        let is_balancer = is_balancer(&service);
        let has = balancer_addresses(&service).next().is_some();
        let ingress = match (is_balancer, has) {
            (true, false) => {
                let asked = spec.load_balancer_ip.as_ref().and_then(|text| text.parse().ok());
                let mut all = (0..range.size()).map(|at| range.at(at));
                let free = |address: &Ipv4Addr| !taken.contains(address);
                let Some(address) = asked.filter(free).or_else(|| all.find(free)) else { continue };
                taken.insert(address);
                let ip = Some(address.to_string());
                Some(vec![LoadBalancerIngress { ip, ip_mode: Some("VIP".to_owned()), ..Default::default() }])
            }
            (false, true) => None,
            _ => continue,
        };
        let meta = &service.metadata;
        let place = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        store.edit(place, now, |service: &mut Service| {
            let status = service.status.get_or_insert_default();
            status.load_balancer = Some(LoadBalancerStatus { ingress });
        })?;
    }
    Ok(None)
}
