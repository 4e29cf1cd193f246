//! ConfigMaps and Secrets.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use crate::error::Cause;
use crate::object::Object;

/// What is wrong with a key (`IsConfigMapKey`).
pub fn key(key: &str) -> Option<String> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or \
                'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    if key.is_empty() || !key.chars().all(inside) {
        return Some(rule.to_owned());
    }
    match key {
        "." | ".." => Some(format!("must not be '{key}'")),
        _ => key.starts_with("..").then(|| "must not start with '..'".to_owned()),
    }
}

fn keys<'a>(at: &str, keys: impl Iterator<Item = &'a String>, causes: &mut Vec<Cause>) {
    let wrong = keys.filter_map(|name| Some(Cause::invalid(format!("{at}[{name}]"), name, key(name)?)));
    causes.extend(wrong);
}

fn is_immutable(causes: &mut Vec<Cause>) {
    let detail = "Forbidden: field is immutable when `immutable` is set";
    causes.push(Cause { field: "data".to_owned(), detail: detail.to_owned() });
}

/// Checks a ConfigMap.
pub(super) fn config_map(map: &ConfigMap, before: Option<&Object>, causes: &mut Vec<Cause>) {
    keys("data", map.data.iter().flat_map(|data| data.keys()), causes);
    keys("binaryData", map.binary_data.iter().flat_map(|data| data.keys()), causes);
    for name in map.data.iter().flat_map(|data| data.keys()) {
        if map.binary_data.as_ref().is_some_and(|data| data.contains_key(name)) {
            causes.push(Cause::invalid(
                format!("data[{name}]"),
                name,
                "duplicate of key present in binaryData",
            ));
        }
    }
    if let Some(Object::ConfigMap(old)) = before
        && old.immutable == Some(true)
        && (&old.data, &old.binary_data) != (&map.data, &map.binary_data)
    {
        is_immutable(causes);
    }
}

/// Fills in and checks a Secret.
pub(super) fn secret(secret: &mut Secret, before: Option<&Object>, causes: &mut Vec<Cause>) {
    let _ = secret.type_.get_or_insert_with(|| "Opaque".to_owned());
    if let Some(texts) = secret.string_data.take() {
        let data = secret.data.get_or_insert_default();
        data.extend(texts.into_iter().map(|(key, text)| (key, ByteString(text.into_bytes()))));
    }
    keys("data", secret.data.iter().flat_map(|data| data.keys()), causes);
    let has = |key: &str| secret.data.as_ref().is_some_and(|data| data.contains_key(key));
    let wanted: &[&str] = match secret.type_.as_deref() {
        Some("kubernetes.io/tls") => &["tls.crt", "tls.key"],
        Some("kubernetes.io/dockerconfigjson") => &[".dockerconfigjson"],
        Some("kubernetes.io/ssh-auth") => &["ssh-privatekey"],
        _ => &[],
    };
    causes
        .extend(wanted.iter().filter(|key| !has(key)).map(|key| Cause::required(format!("data[{key}]"), "")));
    if let Some(Object::Secret(old)) = before {
        if old.type_ != secret.type_ {
            causes.push(Cause::invalid("type", &secret.type_, "field is immutable"));
        }
        if old.immutable == Some(true) && old.data != secret.data {
            is_immutable(causes);
        }
    }
}
