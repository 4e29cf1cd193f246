//! Volumes of a pod: folders of its node, which its containers see where they mount them.

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, DownwardAPIVolumeFile, KeyToPath, PodSpec, Secret, Volume, VolumeProjection,
};

use super::env::Around;

/// A file of a volume.
pub(super) type File = (String, String);

/// What is in a volume, and of what kind its folder is.
pub(super) enum Content {
    /// A folder of the pod with these files.
    Own(&'static str, Vec<File>),
    /// A path of the node, and how it must be.
    Host(String, String),
}

/// What is in a volume; an error is why it cannot be had.
pub(super) fn content(around: Around, volume: &Volume) -> Result<Content, String> {
    if let Some(map) = &volume.config_map {
        let found = around.store.get::<ConfigMap>(namespace(around), &map.name);
        let files = config_map(found, &map.name, map.items.as_ref(), map.optional)?;
        return Ok(Content::Own("kubernetes.io~configmap", files));
    }
    if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        let found = around.store.get::<Secret>(namespace(around), name);
        let files = self::secret(found, name, secret.items.as_ref(), secret.optional)?;
        return Ok(Content::Own("kubernetes.io~secret", files));
    }
    if let Some(downward) = &volume.downward_api {
        let files = fields(around, downward.items.as_ref());
        return Ok(Content::Own("kubernetes.io~downward-api", files));
    }
    if let Some(projected) = &volume.projected {
        let mut files = Vec::new();
        for source in projected.sources.iter().flatten() {
            files.extend(projection(around, source)?);
        }
        return Ok(Content::Own("kubernetes.io~projected", files));
    }
    if let Some(host) = &volume.host_path {
        return Ok(Content::Host(host.path.clone(), host.type_.clone().unwrap_or_default()));
    }
    // The API server lets no other kind in.
    Ok(Content::Own("kubernetes.io~empty-dir", Vec::new()))
}

fn namespace(around: Around<'_>) -> &str {
    around.pod.metadata.namespace.as_deref().unwrap_or_default()
}

fn projection(around: Around, source: &VolumeProjection) -> Result<Vec<File>, String> {
    if let Some(map) = &source.config_map {
        let found = around.store.get::<ConfigMap>(namespace(around), &map.name);
        return config_map(found, &map.name, map.items.as_ref(), map.optional);
    }
    if let Some(secret) = &source.secret {
        let found = around.store.get::<Secret>(namespace(around), &secret.name);
        return self::secret(found, &secret.name, secret.items.as_ref(), secret.optional);
    }
    Ok(source.downward_api.as_ref().map_or_else(Vec::new, |downward| fields(around, downward.items.as_ref())))
}

/// All files, or those that are asked for, each at its path.
fn chosen(
    all: Vec<File>,
    items: Option<&Vec<KeyToPath>>,
    optional: bool,
    missing: &str,
) -> Result<Vec<File>, String> {
    let Some(items) = items.filter(|items| !items.is_empty()) else { return Ok(all) };
    let mut files = Vec::new();
    for item in items {
        match all.iter().find(|(key, _)| *key == item.key) {
            Some((_, text)) => files.push((item.path.clone(), text.clone())),
            None if optional => {}
            None => return Err(format!("{missing}: {}", item.key)),
        }
    }
    Ok(files)
}

fn config_map(
    found: Option<&ConfigMap>,
    name: &str,
    items: Option<&Vec<KeyToPath>>,
    optional: Option<bool>,
) -> Result<Vec<File>, String> {
    let optional = optional == Some(true);
    let Some(map) = found else {
        return if optional { Ok(Vec::new()) } else { Err(format!("configmap {name:?} not found")) };
    };
    let texts = map.data.iter().flatten().map(|(key, text)| (key.clone(), text.clone()));
    let bytes = map.binary_data.iter().flatten();
    let bytes = bytes.map(|(key, bytes)| (key.clone(), String::from_utf8_lossy(&bytes.0).into_owned()));
    chosen(texts.chain(bytes).collect(), items, optional, "configmap references non-existent config key")
}

fn secret(
    found: Option<&Secret>,
    name: &str,
    items: Option<&Vec<KeyToPath>>,
    optional: Option<bool>,
) -> Result<Vec<File>, String> {
    let optional = optional == Some(true);
    let Some(secret) = found else {
        return if optional { Ok(Vec::new()) } else { Err(format!("secret {name:?} not found")) };
    };
    let texts = secret.data.iter().flatten();
    let texts = texts.map(|(key, bytes)| (key.clone(), String::from_utf8_lossy(&bytes.0).into_owned()));
    chosen(texts.collect(), items, optional, "references non-existent secret key")
}

fn fields(around: Around, items: Option<&Vec<DownwardAPIVolumeFile>>) -> Vec<File> {
    let none = Container::default();
    let text = |file: &DownwardAPIVolumeFile| match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), _) => around.field(&field.field_path),
        (None, Some(selector)) => around.amount(&none, selector),
        (None, None) => String::new(),
    };
    items.into_iter().flatten().map(|file| (file.path.clone(), text(file))).collect()
}

/// The folder of a volume of a pod.
pub(super) fn folder(uid: &str, kind: &str, volume: &str) -> String {
    format!("/var/lib/kubelet/pods/{uid}/volumes/{kind}/{volume}")
}

/// Where a volume is on the node.
fn place(uid: &str, volume: &Volume) -> String {
    let kind = match volume {
        Volume { host_path: Some(host), .. } => {
            let path = host.path.trim_end_matches('/');
            return if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        }
        Volume { config_map: Some(_), .. } => "kubernetes.io~configmap",
        Volume { secret: Some(_), .. } => "kubernetes.io~secret",
        Volume { downward_api: Some(_), .. } => "kubernetes.io~downward-api",
        Volume { projected: Some(_), .. } => "kubernetes.io~projected",
        _ => "kubernetes.io~empty-dir",
    };
    folder(uid, kind, &volume.name)
}

/// What a container mounts: each place in it with the path on the node.
pub(super) fn mounts(uid: &str, spec: &PodSpec, container: &Container) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let Some(volume) = spec.volumes.iter().flatten().find(|volume| volume.name == mount.name) else {
            continue;
        };
        let mut from = place(uid, volume);
        if let Some(path) = mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
            from = format!("{}/{}", from.trim_end_matches('/'), path.trim_end_matches('/'));
        }
        let at = mount.mount_path.trim_end_matches('/');
        all.push((format!("{}{at}", if at.starts_with('/') { "" } else { "/" }), from));
    }
    all
}

/// It is made of ConfigMaps and Secrets, which may change.
pub(super) fn may_change(volume: &Volume) -> bool {
    volume.config_map.is_some() || volume.secret.is_some() || volume.projected.is_some()
}
