//! Ranges of pods for nodes (`pkg/controller/nodeipam`).

use std::collections::BTreeSet;

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::Node;

use crate::config::NODE_MASK;
use crate::error::ApiError;
use crate::store::Store;

/// Gives each node that has none the first free range.
pub fn sync(store: &mut Store, now: Nanos) -> Result<(), ApiError> {
    let range_of = |node: &Node| node.spec.as_ref().and_then(|spec| spec.pod_cidr.clone());
    let mut taken: BTreeSet<String> = store.list::<Node>().filter_map(range_of).collect();
    let without: Vec<String> = store
        .list::<Node>()
        .filter(|node| range_of(node).is_none())
        .filter_map(|node| node.metadata.name.clone())
        .collect();
    for name in without {
        let ranges = (0..).map_while(|at| store.config.pods.part(NODE_MASK, at));
        let Some(range) = ranges.map(|range| range.to_string()).find(|range| !taken.contains(range)) else {
            break;
        };
        store.edit(("", &name), now, |node: &mut Node| {
            let spec = node.spec.get_or_insert_default();
            spec.pod_cidrs = Some(vec![range.clone()]);
            spec.pod_cidr = Some(range.clone());
        })?;
        taken.insert(range);
    }
    Ok(())
}
