//! Every field of pods and of their templates: what becomes of it here. A field that has no effect here and would have one on a real
//! cluster is refused by its name.

use serde::Serialize;
use serde_json::Value;

use crate::error::Cause;

/// What becomes of a field.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// It has its effect.
    Works,
    /// It has no effect here, and needs none: why.
    Harmless(#[expect(dead_code, reason = "for who reads the table")] &'static str),
    /// Not modelled: refused, unless it is empty or `false`.
    Refused,
    /// Only this value is modelled, which is what is meant without it.
    Only(&'static str),
    /// Its fields have rows of their own.
    Inside(Table),
}

/// The rows of a structure.
type Table = &'static [(&'static str, Field)];

use Field::{Harmless, Inside, Only, Refused, Works};

const NO_IDS: Field = Harmless("whoever may do less on a real node may do everything here");
const NO_PULL: Field = Harmless("all images are on all nodes");
const NO_TERMINAL: Field = Harmless("nobody types into a container but by `kubectl exec`");

/// `PodSpec`.
const POD: Table = &[
    ("activeDeadlineSeconds", Refused),
    ("affinity", Works),
    // The account has no token: see `pod.rs`.
    ("automountServiceAccountToken", Refused),
    ("containers", Inside(CONTAINER)),
    ("dnsConfig", Works),
    ("dnsPolicy", Works),
    ("enableServiceLinks", Works),
    ("ephemeralContainers", Refused),
    ("hostAliases", Works),
    ("hostIPC", Refused),
    ("hostNetwork", Works),
    ("hostPID", Refused),
    ("hostUsers", NO_IDS),
    ("hostname", Works),
    ("hostnameOverride", Refused),
    ("imagePullSecrets", NO_PULL),
    ("initContainers", Inside(CONTAINER)),
    ("nodeName", Works),
    ("nodeSelector", Works),
    ("os", Inside(&[("name", Only("linux"))])),
    ("overhead", Refused),
    ("preemptionPolicy", Works),
    ("priority", Works),
    ("priorityClassName", Works),
    ("readinessGates", Refused),
    ("resourceClaims", Refused),
    ("resources", Refused),
    ("restartPolicy", Works),
    ("runtimeClassName", Refused),
    ("schedulerName", Works),
    ("schedulingGates", Refused),
    ("schedulingGroup", Refused),
    ("securityContext", Inside(POD_SECURITY)),
    ("serviceAccount", Works),
    ("serviceAccountName", Works),
    ("setHostnameAsFQDN", Refused),
    ("shareProcessNamespace", Refused),
    ("subdomain", Works),
    ("terminationGracePeriodSeconds", Works),
    ("tolerations", Works),
    ("topologySpreadConstraints", Refused),
    ("volumes", Inside(VOLUME)),
];

const POD_SECURITY: Table = &[
    ("appArmorProfile", NO_IDS),
    ("fsGroup", NO_IDS),
    ("fsGroupChangePolicy", NO_IDS),
    ("runAsGroup", NO_IDS),
    ("runAsNonRoot", NO_IDS),
    ("runAsUser", NO_IDS),
    ("seLinuxChangePolicy", NO_IDS),
    ("seLinuxOptions", NO_IDS),
    ("seccompProfile", NO_IDS),
    ("supplementalGroups", NO_IDS),
    ("supplementalGroupsPolicy", NO_IDS),
    ("sysctls", Refused),
    ("windowsOptions", Refused),
];

/// `Container`, of all kinds.
const CONTAINER: Table = &[
    ("args", Works),
    ("command", Works),
    ("env", Inside(ENV)),
    ("envFrom", Works),
    ("image", Works),
    ("imagePullPolicy", NO_PULL),
    ("lifecycle", Inside(LIFECYCLE)),
    ("livenessProbe", Inside(PROBE)),
    ("name", Works),
    ("ports", Works),
    ("readinessProbe", Inside(PROBE)),
    ("resizePolicy", Refused),
    // What is asked for is counted by the scheduler; no program is slowed down or killed at its limit.
    ("resources", Inside(&[("claims", Refused), ("limits", Works), ("requests", Works)])),
    ("restartPolicy", Works),
    ("restartPolicyRules", Refused),
    ("securityContext", Inside(SECURITY)),
    ("startupProbe", Inside(PROBE)),
    ("stdin", Works),
    ("stdinOnce", NO_TERMINAL),
    ("terminationMessagePath", Only("/dev/termination-log")),
    ("terminationMessagePolicy", Only("File")),
    ("tty", NO_TERMINAL),
    ("volumeDevices", Refused),
    ("volumeMounts", Inside(MOUNT)),
    ("workingDir", Works),
];

const SECURITY: Table = &[
    ("allowPrivilegeEscalation", NO_IDS),
    ("appArmorProfile", NO_IDS),
    ("capabilities", NO_IDS),
    ("privileged", NO_IDS),
    ("procMount", Only("Default")),
    ("readOnlyRootFilesystem", NO_IDS),
    ("runAsGroup", NO_IDS),
    ("runAsNonRoot", NO_IDS),
    ("runAsUser", NO_IDS),
    ("seLinuxOptions", NO_IDS),
    ("seccompProfile", NO_IDS),
    ("windowsOptions", Refused),
];

const ENV: Table = &[
    ("name", Works),
    ("value", Works),
    (
        "valueFrom",
        Inside(&[
            ("configMapKeyRef", Works),
            ("fieldRef", Works),
            ("fileKeyRef", Refused),
            ("resourceFieldRef", Works),
            ("secretKeyRef", Works),
        ]),
    ),
];

const HTTP: Field = Inside(&[
    ("host", Works),
    ("httpHeaders", Works),
    ("path", Works),
    ("port", Works),
    ("scheme", Only("HTTP")),
]);

const LIFECYCLE: Table =
    &[("postStart", Inside(HANDLER)), ("preStop", Inside(HANDLER)), ("stopSignal", Refused)];

const HANDLER: Table = &[("exec", Works), ("httpGet", HTTP), ("sleep", Works), ("tcpSocket", Refused)];

const PROBE: Table = &[
    ("exec", Works),
    ("failureThreshold", Works),
    ("grpc", Refused),
    ("httpGet", HTTP),
    ("initialDelaySeconds", Works),
    ("periodSeconds", Works),
    ("successThreshold", Works),
    ("tcpSocket", Works),
    ("terminationGracePeriodSeconds", Works),
    ("timeoutSeconds", Works),
];

const MOUNT: Table = &[
    ("mountPath", Works),
    ("mountPropagation", Only("None")),
    ("name", Works),
    ("readOnly", Harmless("what a container writes there is not refused, and nobody else reads it")),
    ("recursiveReadOnly", Refused),
    ("subPath", Works),
    ("subPathExpr", Refused),
];

const MODE: Field = NO_IDS;

const VOLUME: Table = &[
    ("awsElasticBlockStore", Refused),
    ("azureDisk", Refused),
    ("azureFile", Refused),
    ("cephfs", Refused),
    ("cinder", Refused),
    ("configMap", Inside(&[("defaultMode", MODE), ("items", Works), ("name", Works), ("optional", Works)])),
    ("csi", Refused),
    ("downwardAPI", Inside(&[("defaultMode", MODE), ("items", Works)])),
    (
        "emptyDir",
        Inside(&[
            ("medium", Harmless("files take no time to read or write")),
            ("sizeLimit", Harmless("no pod is evicted for what it writes")),
        ]),
    ),
    ("ephemeral", Refused),
    ("fc", Refused),
    ("flexVolume", Refused),
    ("flocker", Refused),
    ("gcePersistentDisk", Refused),
    ("gitRepo", Refused),
    ("glusterfs", Refused),
    ("hostPath", Works),
    ("image", Refused),
    ("iscsi", Refused),
    ("name", Works),
    ("nfs", Refused),
    ("persistentVolumeClaim", Refused),
    ("photonPersistentDisk", Refused),
    ("portworxVolume", Refused),
    ("projected", Inside(&[("defaultMode", MODE), ("sources", Inside(PROJECTION))])),
    ("quobyte", Refused),
    ("rbd", Refused),
    ("scaleIO", Refused),
    (
        "secret",
        Inside(&[("defaultMode", MODE), ("items", Works), ("optional", Works), ("secretName", Works)]),
    ),
    ("storageos", Refused),
    ("vsphereVolume", Refused),
];

const PROJECTION: Table = &[
    ("clusterTrustBundle", Refused),
    ("configMap", Works),
    ("downwardAPI", Works),
    ("podCertificate", Refused),
    ("secret", Works),
    ("serviceAccountToken", Refused),
];

/// Fields of a pod that are not modelled.
pub(super) fn of_pod(at: &str, spec: impl Serialize, causes: &mut Vec<Cause>) {
    look(at, &serde_json::to_value(spec).unwrap_or_default(), POD, causes);
}

fn look(at: &str, value: &Value, table: Table, causes: &mut Vec<Cause>) {
    match value {
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                look(&format!("{at}[{number}]"), item, table, causes);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let field = format!("{at}.{name}");
                let row = table.iter().find(|(known, _)| known == name).map(|(_, row)| *row);
                match row {
                    Some(Works | Harmless(_)) => {}
                    Some(Inside(table)) => look(&field, value, table, causes),
                    Some(Only(only)) if value == only => {}
                    Some(Only(only)) => {
                        causes.push(refused(&field, &format!("{name} {value}; there is {only:?}")))
                    }
                    // What is the same without it.
                    Some(Refused) | None if is_nothing(value) => {}
                    Some(Refused) | None => causes.push(refused(&field, name)),
                }
            }
        }
        _ => {}
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// A field, or a value of it, that is real and not here.
pub(super) fn refused(field: &str, what: &str) -> Cause {
    Cause { field: field.to_owned(), detail: format!("Forbidden: not modelled yet: {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1;
    use serde::de::{self, Deserializer, Visitor};

    /// Reads nothing, and keeps the names of the fields that are asked for.
    struct Names<'a>(&'a mut Vec<&'static str>);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(de::Error::custom("no value"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields.to_vec();
            Err(de::Error::custom("no value"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
            seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    fn fields<T: de::DeserializeOwned>() -> Vec<&'static str> {
        let mut names = Vec::new();
        assert!(T::deserialize(Names(&mut names)).is_err());
        names.sort_unstable();
        names
    }

    fn rows(table: Table) -> Vec<&'static str> {
        let mut names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }

    fn inside(table: Table, name: &str) -> Table {
        match table.iter().find(|(known, _)| *known == name) {
            Some((_, Inside(table))) => table,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn every_field_has_a_row() {
        assert_eq!(rows(POD), fields::<v1::PodSpec>());
        assert_eq!(rows(POD_SECURITY), fields::<v1::PodSecurityContext>());
        assert_eq!(rows(CONTAINER), fields::<v1::Container>());
        assert_eq!(rows(SECURITY), fields::<v1::SecurityContext>());
        assert_eq!(rows(inside(CONTAINER, "resources")), fields::<v1::ResourceRequirements>());
        assert_eq!(rows(ENV), fields::<v1::EnvVar>());
        assert_eq!(rows(inside(ENV, "valueFrom")), fields::<v1::EnvVarSource>());
        assert_eq!(rows(LIFECYCLE), fields::<v1::Lifecycle>());
        assert_eq!(rows(HANDLER), fields::<v1::LifecycleHandler>());
        assert_eq!(rows(inside(HANDLER, "httpGet")), fields::<v1::HTTPGetAction>());
        assert_eq!(rows(PROBE), fields::<v1::Probe>());
        assert_eq!(rows(MOUNT), fields::<v1::VolumeMount>());
        assert_eq!(rows(VOLUME), fields::<v1::Volume>());
        assert_eq!(rows(inside(VOLUME, "configMap")), fields::<v1::ConfigMapVolumeSource>());
        assert_eq!(rows(PROJECTION), fields::<v1::VolumeProjection>());
        assert_eq!(rows(inside(VOLUME, "secret")), fields::<v1::SecretVolumeSource>());
        assert_eq!(rows(inside(VOLUME, "downwardAPI")), fields::<v1::DownwardAPIVolumeSource>());
        assert_eq!(rows(inside(VOLUME, "emptyDir")), fields::<v1::EmptyDirVolumeSource>());
    }

    #[test]
    fn a_field_without_effect_is_refused_by_name() {
        let refused = |spec: Value| {
            let mut causes = Vec::new();
            of_pod("spec", spec, &mut causes);
            causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.detail)).collect::<Vec<_>>()
        };
        let nfs = serde_json::json!({"volumes": [{"name": "a", "nfs": {"server": "x", "path": "/"}}], "hostPID": false});
        assert_eq!(refused(nfs), ["spec.volumes[0].nfs: Forbidden: not modelled yet: nfs"]);
        let https = serde_json::json!({"containers": [{"livenessProbe": {"httpGet": {"port": 1, "scheme": "HTTPS"}}}]});
        assert_eq!(
            refused(https),
            [
                "spec.containers[0].livenessProbe.httpGet.scheme: Forbidden: not modelled yet: scheme \"HTTPS\"; there is \"HTTP\""
            ]
        );
        let known = serde_json::json!({"securityContext": {"runAsUser": 0}, "restartPolicy": "Never"});
        assert_eq!(refused(known), Vec::<String>::new());
    }
}
