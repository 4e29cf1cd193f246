//! Objects of the API, by kind.

use std::fmt;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, Resource};
use serde_json::Value;

/// A kind of object that [`Object`] can hold.
pub trait Kept: Metadata<Ty = ObjectMeta> + Resource + Sized + 'static {
    /// Its row.
    const KIND_OF: Kind;
    /// The object, if it is of this kind.
    fn of(object: &Object) -> Option<&Self>;
    /// The object, if it is of this kind, to change.
    fn of_mut(object: &mut Object) -> Option<&mut Self>;
}

/// One row a kind: its type, whether it has a namespace, and the short names that `kubectl` takes.
macro_rules! kinds {
    ($($kind:ident, $namespaced:literal, [$($short:literal),*];)*) => {
        /// The kinds of objects that are modelled.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $(
            #[allow(missing_docs, reason = "named as in the API")]
            $kind,
        )* }

        /// An object.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Object { $(
            #[allow(missing_docs, reason = "named as in the API")]
            $kind(Box<$kind>),
        )* }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Kind] = &[$(Kind::$kind),*];

            /// Its name, such as `Pod`.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$kind => $kind::KIND,)* }
            }

            /// Its group and version, such as `apps/v1`.
            pub fn api_version(self) -> &'static str {
                match self { $(Kind::$kind => $kind::API_VERSION,)* }
            }

            /// Its group, such as `apps`; empty for the core.
            pub fn group(self) -> &'static str {
                match self { $(Kind::$kind => $kind::GROUP,)* }
            }

            /// Its plural, such as `pods`.
            pub fn plural(self) -> &'static str {
                match self { $(Kind::$kind => $kind::URL_PATH_SEGMENT,)* }
            }

            /// Its objects are in namespaces.
            pub fn is_namespaced(self) -> bool {
                match self { $(Kind::$kind => $namespaced,)* }
            }

            /// Short names that `kubectl` takes.
            pub fn short_names(self) -> &'static [&'static str] {
                match self { $(Kind::$kind => &[$($short),*],)* }
            }

            /// Reads an object of this kind.
            ///
            /// # Errors
            ///
            /// A value of another type, with its path.
            pub fn read(self, value: Value) -> Result<Object, serde_path_to_error::Error<serde_json::Error>> {
                Ok(match self { $(Kind::$kind => Object::$kind(serde_path_to_error::deserialize(value)?),)* })
            }
        }

        impl Object {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $(Object::$kind(_) => Kind::$kind,)* }
            }

            /// Its metadata.
            pub fn metadata(&self) -> &ObjectMeta {
                match self { $(Object::$kind(object) => &object.metadata,)* }
            }

            /// Its metadata, to change.
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self { $(Object::$kind(object) => &mut object.metadata,)* }
            }

            /// It as JSON, with kind and version.
            pub fn to_json(&self) -> Value {
                let value = match self { $(Object::$kind(object) => serde_json::to_value(object),)* };
                value.unwrap_or_default()
            }
        }

        $(
            impl Kept for $kind {
                const KIND_OF: Kind = Kind::$kind;

                fn of(object: &Object) -> Option<&Self> {
                    match object { Object::$kind(object) => Some(object), _ => None }
                }

                fn of_mut(object: &mut Object) -> Option<&mut Self> {
                    match object { Object::$kind(object) => Some(object), _ => None }
                }
            }

            impl From<$kind> for Object {
                fn from(object: $kind) -> Object {
                    Object::$kind(Box::new(object))
                }
            }
        )*
    };
}

kinds! {
    ConfigMap, true, ["cm"];
    DaemonSet, true, ["ds"];
    Deployment, true, ["deploy"];
    EndpointSlice, true, [];
    Event, true, ["ev"];
    Ingress, true, ["ing"];
    IngressClass, false, [];
    Namespace, false, ["ns"];
    NetworkPolicy, true, ["netpol"];
    Node, false, ["no"];
    Pod, true, ["po"];
    ReplicaSet, true, ["rs"];
    Secret, true, [];
    Service, true, ["svc"];
}

impl Kind {
    /// The kind of a manifest.
    pub fn of_manifest(api_version: &str, kind: &str) -> Option<Kind> {
        let mut all = Kind::ALL.iter().copied();
        all.find(|known| known.name() == kind && known.api_version() == api_version)
    }

    /// The kind that a word of `kubectl` names: singular, plural or short, with or without the group.
    pub fn of_word(word: &str) -> Option<Kind> {
        let word = word.to_ascii_lowercase();
        let (name, group) = word.split_once('.').unwrap_or((&word, ""));
        let is = |kind: &Kind| {
            let names = [kind.name().to_ascii_lowercase(), kind.plural().to_owned()];
            let known = names.iter().any(|known| known == name) || kind.short_names().contains(&name);
            known && (group.is_empty() || [kind.group(), &format!("v1.{}", kind.group())].contains(&group))
        };
        Kind::ALL.iter().copied().find(is)
    }

    /// As `kubectl` says what it did something to: `pod`, `deployment.apps`.
    pub fn qualified(self) -> String {
        let name = self.name().to_ascii_lowercase();
        match self.group() {
            "" => name,
            group => format!("{name}.{group}"),
        }
    }

    /// The plural with its group, as errors name it: `pods`, `deployments.apps`.
    pub fn qualified_plural(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }
}

/// The label of an EndpointSlice that names its service.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Where an object stands in the store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty if its kind has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// The place of an object of a kind with a namespace.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Key {
        let namespace = if kind.is_namespaced() { namespace } else { "" };
        Key { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.namespace.as_str() {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

impl Object {
    /// Its place in the store.
    pub fn key(&self) -> Key {
        let meta = self.metadata();
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        Key::new(self.kind(), namespace, meta.name.as_deref().unwrap_or_default())
    }
}
