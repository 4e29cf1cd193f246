//! Strategic merges of manifests, as `kubectl apply` and `kubectl patch` make them: lists of named things are merged by their keys
//! (`patchMergeKey` of the API's types).

use serde_json::{Map, Value, json};

/// Fields whose lists are merged, with the fields that identify an item. Ports of services and of containers differ.
const KEYS: &[(&str, &[&str])] = &[
    ("addresses", &["type"]),
    ("conditions", &["type"]),
    ("containers", &["name"]),
    ("env", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("initContainers", &["name"]),
    ("ownerReferences", &["uid"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("volumeDevices", &["devicePath"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];

/// Fields of which a change keeps nothing that it does not name (`patchStrategy: retainKeys`).
const RETAIN: &[&str] = &["strategy"];

fn keys(field: &str, item: &Value) -> Option<&'static [&'static str]> {
    if field == "ports" {
        let of_container = item.get("containerPort").is_some();
        return Some(if of_container { &["containerPort", "protocol"] } else { &["port", "protocol"] });
    }
    KEYS.iter().find(|(known, _)| *known == field).map(|(_, keys)| *keys)
}

/// What identifies an item of a list.
fn identity(keys: &[&str], item: &Value) -> Vec<Value> {
    let default = |key: &&str| if **key == *"protocol" { json!("TCP") } else { Value::Null };
    keys.iter().map(|key| item.get(*key).cloned().unwrap_or_else(|| default(key))).collect()
}

/// The object that follows from `live` when what was applied before, `original`, becomes `modified`.
pub(super) fn three_way(original: &Value, modified: &Value, live: &Value) -> Value {
    value("", Some(original), modified, Some(live))
}

/// The object that follows from `live` by a strategic patch.
pub(super) fn strategic(patch: &Value, live: &Value) -> Value {
    value("", None, patch, Some(live))
}

fn value(field: &str, original: Option<&Value>, modified: &Value, live: Option<&Value>) -> Value {
    match (modified, live) {
        (Value::Object(modified), live) => {
            let empty = Map::new();
            let live_fields = live.and_then(Value::as_object).unwrap_or(&empty);
            let merged = Value::Object(object(original, modified, live_fields));
            match live {
                Some(live) if RETAIN.contains(&field) && merged != *live && original.is_some() => {
                    let mut kept = merged;
                    if let Value::Object(fields) = &mut kept {
                        fields.retain(|key, _| modified.contains_key(key));
                    }
                    kept
                }
                _ => merged,
            }
        }
        (Value::Array(items), Some(Value::Array(live))) => list(field, original, items, live),
        _ => modified.clone(),
    }
}

fn object(
    original: Option<&Value>,
    modified: &Map<String, Value>,
    live: &Map<String, Value>,
) -> Map<String, Value> {
    if modified.get("$patch").and_then(Value::as_str) == Some("replace") {
        return modified
            .iter()
            .filter(|(key, _)| *key != "$patch")
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
    }
    let mut merged = live.clone();
    let before = original.and_then(Value::as_object);
    for key in before.into_iter().flat_map(Map::keys).filter(|key| !modified.contains_key(*key)) {
        merged.remove(key);
    }
    for (key, inside) in modified {
        match inside {
            Value::Null => _ = merged.remove(key),
            inside => {
                let before = before.and_then(|before| before.get(key));
                merged.insert(key.clone(), value(key, before, inside, live.get(key)));
            }
        }
    }
    merged
}

fn list(field: &str, original: Option<&Value>, modified: &[Value], live: &[Value]) -> Value {
    let sample = modified.first().or(live.first()).unwrap_or(&Value::Null);
    let Some(keys) = keys(field, sample).filter(|_| sample.is_object()) else {
        return Value::Array(modified.to_vec());
    };
    let find = |all: &[Value], item: &Value| {
        all.iter().find(|other| identity(keys, other) == identity(keys, item)).cloned()
    };
    let before = original.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let patch_of = |item: &Value| item.get("$patch").and_then(Value::as_str).map(str::to_owned);
    let deleted = |item: &Value| {
        find(modified, item).is_some_and(|patch| patch_of(&patch).as_deref() == Some("delete"))
            || find(before, item).is_some() && find(modified, item).is_none()
    };
    let mut merged: Vec<Value> = Vec::new();
    let named = modified.iter().filter(|item| patch_of(item).as_deref() != Some("delete"));
    // A patch leaves what it does not name where it is; a manifest gives the order.
    if original.is_none() {
        for item in live.iter().filter(|item| !deleted(item)) {
            merged.push(match find(modified, item) {
                Some(patch) => value("", None, &patch, Some(item)),
                None => item.clone(),
            });
        }
        merged.extend(named.filter(|item| find(live, item).is_none()).cloned());
        return Value::Array(merged);
    }
    for item in named {
        merged.push(value("", find(before, item).as_ref(), item, find(live, item).as_ref()));
    }
    merged.extend(live.iter().filter(|item| find(modified, item).is_none() && !deleted(item)).cloned());
    Value::Array(merged)
}

/// A merge patch (RFC 7386).
pub(super) fn merge_patch(patch: &Value, live: &Value) -> Value {
    let Value::Object(fields) = patch else { return patch.clone() };
    let mut merged = live.as_object().cloned().unwrap_or_default();
    for (key, inside) in fields {
        match inside {
            Value::Null => _ = merged.remove(key),
            inside => {
                let before = merged.get(key).cloned().unwrap_or(Value::Null);
                merged.insert(key.clone(), merge_patch(inside, &before));
            }
        }
    }
    Value::Object(merged)
}

/// The merge patch that makes `after` of `before`; `None` if they are the same.
pub(super) fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, inside) in new {
        match old.get(key) {
            None => _ = patch.insert(key.clone(), inside.clone()),
            Some(known) => {
                if let Some(change) = difference(known, inside) {
                    patch.insert(key.clone(), change);
                }
            }
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_manifest_no_longer_says_goes_and_what_others_wrote_stays() {
        let original = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"replicas": 2}});
        let modified = json!({"metadata": {"labels": {"a": "3"}}, "spec": {}});
        let live = json!({"metadata": {"labels": {"a": "1", "b": "2", "c": "x"}, "uid": "u"}, "spec": {"replicas": 2, "y": 1}});
        assert_eq!(
            three_way(&original, &modified, &live),
            json!({"metadata": {"labels": {"a": "3", "c": "x"}, "uid": "u"}, "spec": {"y": 1}})
        );
    }

    #[test]
    fn containers_are_merged_by_name_and_ports_by_number_and_protocol() {
        let original = json!({"containers": [{"name": "a", "image": "x"}, {"name": "b"}]});
        let modified = json!({"containers": [{"name": "a", "image": "y"}]});
        let live = json!({"containers": [{"name": "a", "image": "x", "policy": "P"}, {"name": "b"}, {"name": "injected"}]});
        assert_eq!(
            three_way(&original, &modified, &live),
            json!({"containers": [{"name": "a", "image": "y", "policy": "P"}, {"name": "injected"}]})
        );
        let ports = json!({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]});
        let live = json!({"ports": [{"port": 53, "protocol": "UDP", "nodePort": 1}, {"port": 53, "protocol": "TCP", "nodePort": 2}]});
        assert_eq!(three_way(&ports, &ports, &live), live);
    }

    #[test]
    fn another_strategy_keeps_nothing_of_the_old_one() {
        let original = json!({"strategy": {"type": "RollingUpdate"}});
        let modified = json!({"strategy": {"type": "Recreate"}});
        let live = json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}});
        assert_eq!(three_way(&original, &modified, &live), json!({"strategy": {"type": "Recreate"}}));
        assert_eq!(three_way(&original, &original, &live), live);
    }

    #[test]
    fn patches_name_what_they_delete() {
        let live = json!({"spec": {"a": 1, "containers": [{"name": "a"}, {"name": "b", "image": "x"}]}});
        let patch = json!({"spec": {"a": null, "containers": [{"name": "b", "image": "y"}, {"name": "a", "$patch": "delete"}]}});
        assert_eq!(strategic(&patch, &live), json!({"spec": {"containers": [{"name": "b", "image": "y"}]}}));
        assert_eq!(
            merge_patch(&json!({"spec": {"a": null, "b": [1]}}), &json!({"spec": {"a": 1, "c": 2}})),
            json!({"spec": {"b": [1], "c": 2}})
        );
        assert_eq!(difference(&json!({"a": 1, "b": 2}), &json!({"a": 3})), Some(json!({"a": 3, "b": null})));
        assert_eq!(difference(&json!({"a": 1}), &json!({"a": 1})), None);
    }
}
