//! Volumes of pods.

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, KeyToPath, Volume};

use super::names;
use crate::error::Cause;

/// Permissions of files that nothing is said of, 0644.
const MODE: i32 = 420;

/// What the API server fills in.
pub(super) fn defaults(volume: &mut Volume) {
    let bare = Volume { name: volume.name.clone(), ..Volume::default() };
    if *volume == bare {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    let modes = [
        volume.config_map.as_mut().map(|source| &mut source.default_mode),
        volume.secret.as_mut().map(|source| &mut source.default_mode),
        volume.downward_api.as_mut().map(|source| &mut source.default_mode),
        volume.projected.as_mut().map(|source| &mut source.default_mode),
    ];
    for mode in modes.into_iter().flatten() {
        let _ = mode.get_or_insert(MODE);
    }
    if let Some(host) = &mut volume.host_path {
        let _ = host.type_.get_or_insert_default();
    }
    for file in volume.downward_api.iter_mut().flat_map(|source| source.items.iter_mut().flatten()) {
        if let Some(field) = &mut file.field_ref {
            let _ = field.api_version.get_or_insert_with(|| "v1".to_owned());
        }
    }
}

/// What is wrong with a volume.
pub(super) fn check(at: &str, volume: &Volume, causes: &mut Vec<Cause>) {
    match volume.name.as_str() {
        "" => causes.push(Cause::required(format!("{at}.name"), "")),
        name => causes
            .extend(names::dns_1123_label(name).map(|why| Cause::invalid(format!("{at}.name"), name, why))),
    }
    let value = serde_json::to_value(volume).unwrap_or_default();
    let sources = value.as_object().map_or(0, |fields| fields.len().saturating_sub(1));
    if sources > 1 {
        let detail = "Forbidden: may not specify more than 1 volume type";
        causes.push(Cause { field: at.to_owned(), detail: detail.to_owned() });
    }
    if let Some(map) = &volume.config_map {
        let field = format!("{at}.configMap");
        if map.name.is_empty() {
            causes.push(Cause::required(format!("{field}.name"), ""));
        }
        items(&field, map.items.as_ref(), causes);
    }
    if let Some(secret) = &volume.secret {
        let field = format!("{at}.secret");
        if secret.secret_name.as_ref().is_none_or(String::is_empty) {
            causes.push(Cause::required(format!("{field}.secretName"), ""));
        }
        items(&field, secret.items.as_ref(), causes);
    }
    if let Some(host) = &volume.host_path {
        let field = format!("{at}.hostPath");
        if host.path.is_empty() {
            causes.push(Cause::required(format!("{field}.path"), ""));
        } else if !host.path.starts_with('/') {
            causes.push(super::fields::refused(&format!("{field}.path"), "a relative path"));
        }
        let types = ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File"];
        let kind = host.type_.as_deref().unwrap_or_default();
        if !types.contains(&kind) {
            causes.push(super::fields::refused(&format!("{field}.type"), kind));
        }
    }
}

fn items(at: &str, items: Option<&Vec<KeyToPath>>, causes: &mut Vec<Cause>) {
    for (number, item) in items.into_iter().flatten().enumerate() {
        let field = |name: &str| format!("{at}.items[{number}].{name}");
        if item.key.is_empty() {
            causes.push(Cause::required(field("key"), ""));
        }
        if item.path.is_empty() {
            causes.push(Cause::required(field("path"), ""));
        } else if item.path.starts_with('/') {
            causes.push(Cause::invalid(field("path"), &item.path, "must be a relative path"));
        } else if item.path.split('/').any(|part| part == "..") {
            causes.push(Cause::invalid(field("path"), &item.path, "must not contain '..'"));
        }
    }
}
