//! What the words of a command line name: `pods`, `pod/web`, `svc,endpoints`, `all` (`cli-runtime`'s builder).

use super::failure::{Done, Failure};
use super::selector;
use super::session::Session;
use crate::object::{Key, Kind, Object};
use std::sync::Arc;

const NOTHING: &str = "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   \
                       '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";

/// A kind of object, or a view of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    /// Objects of the store.
    Of(Kind),
    /// Endpoints, which are made from the slices of a service.
    Endpoints,
}

/// Kinds that are real and not modelled, by the words that name them.
const UNMODELLED: &[&str] = &[
    "certificatesigningrequests",
    "csr",
    "clusterrolebindings",
    "clusterroles",
    "componentstatuses",
    "cs",
    "controllerrevisions",
    "cronjobs",
    "cj",
    "cronjob",
    "csidrivers",
    "csinodes",
    "customresourcedefinitions",
    "crd",
    "crds",
    "horizontalpodautoscalers",
    "hpa",
    "ipaddresses",
    "jobs",
    "job",
    "leases",
    "lease",
    "limitranges",
    "limits",
    "networkpolicies",
    "netpol",
    "networkpolicy",
    "persistentvolumeclaims",
    "pvc",
    "persistentvolumes",
    "pv",
    "poddisruptionbudgets",
    "pdb",
    "podtemplates",
    "priorityclasses",
    "pc",
    "replicationcontrollers",
    "rc",
    "resourcequotas",
    "quota",
    "rolebindings",
    "roles",
    "role",
    "runtimeclasses",
    "serviceaccounts",
    "sa",
    "serviceaccount",
    "servicecidrs",
    "statefulsets",
    "sts",
    "statefulset",
    "storageclasses",
    "sc",
    "storageclass",
    "volumeattachments",
];

/// `all`, in its order.
const ALL: &[Kind] = &[Kind::Pod, Kind::Service, Kind::DaemonSet, Kind::Deployment, Kind::ReplicaSet];

impl Resource {
    /// The resource that a word names.
    fn of_word(word: &str) -> Done<Resource> {
        if let Some(kind) = Kind::of_word(word) {
            return Ok(Resource::Of(kind));
        }
        let lower = word.to_ascii_lowercase();
        match lower.as_str() {
            "ep" | "endpoints" => Ok(Resource::Endpoints),
            known if UNMODELLED.contains(&known.split('.').next().unwrap_or_default()) => {
                Err(Failure::unmodelled(&format!("with {word}")))
            }
            _ => Err(Failure::own(format!("the server doesn't have a resource type {word:?}"))),
        }
    }

    /// The resources that a list of words names.
    fn of_list(words: &str) -> Done<Vec<Resource>> {
        let mut all = Vec::new();
        for word in words.split(',').filter(|word| !word.is_empty()) {
            match word {
                "all" => all.extend(ALL.iter().map(|kind| Resource::Of(*kind))),
                word => all.push(Resource::of_word(word)?),
            }
        }
        Ok(all)
    }

    /// As objects are named, `pod`, `deployment.apps`.
    pub(super) fn qualified(self) -> String {
        match self {
            Resource::Of(kind) => kind.qualified(),
            Resource::Endpoints => "endpoints".to_owned(),
        }
    }

    /// Its objects are in namespaces.
    pub(super) fn is_namespaced(self) -> bool {
        match self {
            Resource::Of(kind) => kind.is_namespaced(),
            Resource::Endpoints => true,
        }
    }

    /// The kind in the store; endpoints are refused.
    pub(super) fn kind(self) -> Done<Kind> {
        match self {
            Resource::Of(kind) => Ok(kind),
            Resource::Endpoints => Err(Failure::unmodelled("that changes endpoints (use endpointslices)")),
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Of what kind.
    pub resource: Resource,
    /// Its name; `None`: all.
    pub name: Option<String>,
}

/// What words name: `TYPE[,TYPE…] [NAME…]` or `TYPE/NAME…`.
pub(super) fn asked(words: &[String]) -> Done<Vec<Asked>> {
    let has_slash = |word: &&String| word.contains('/');
    if words.iter().any(|word| has_slash(&word)) {
        if !has_slash(&&words[0]) && words.len() > 1 {
            return Err(Failure::own(
                "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form \
                 (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
            ));
        }
        return words.iter().map(|word| pair(word)).collect();
    }
    let Some((kinds, names)) = words.split_first() else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for resource in Resource::of_list(kinds)? {
        match names {
            [] => all.push(Asked { resource, name: None }),
            names => {
                all.extend(names.iter().map(|name| Asked { resource, name: Some(name.clone()) }));
            }
        }
    }
    Ok(all)
}

fn pair(word: &str) -> Done<Asked> {
    match word.split('/').collect::<Vec<_>>().as_slice() {
        [kind, name] if !kind.is_empty() && !name.is_empty() => {
            if kind.contains(',') {
                return Err(Failure::own(
                    "arguments in resource/name form must have a single resource and name",
                ));
            }
            Ok(Asked { resource: Resource::of_word(kind)?, name: Some((*name).to_owned()) })
        }
        _ => Err(Failure::own("arguments in resource/name form must have a single resource and name")),
    }
}

impl Session<'_> {
    /// The objects that are asked for by the words, `-l` and `--all`; what is not there is told in the second part.
    pub(super) fn chosen(&self, words: &[String]) -> Done<(Vec<Arc<Object>>, Vec<Failure>)> {
        let asked = asked(words)?;
        // Of `expose` it is the new service's.
        let selects = self.given.command != "expose";
        let first = asked.first().map_or(Ok(Kind::Pod), |asked| asked.resource.kind())?;
        let selector = self.given.text("selector").filter(|_| selects);
        let selector = selector.map(|text| selector::read(text, first)).transpose()?;
        let by_name = asked.iter().any(|asked| asked.name.is_some());
        if by_name && selector.is_some() {
            return Err(Failure::own("name cannot be provided when a selector is specified"));
        }
        let everywhere = self.given.is("all-namespaces");
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for one in asked {
            let kind = one.resource.kind()?;
            match one.name {
                Some(name) => match self.object(&Key::new(kind, &self.namespace(), &name)) {
                    Ok(object) => found.push(object),
                    Err(failure) => missing.push(failure),
                },
                None => {
                    let (store, namespace) = (self.api.store(), self.namespace());
                    let is_there = |object: &&Arc<Object>| {
                        let meta = object.metadata();
                        let here = !kind.is_namespaced() || meta.namespace.as_deref() == Some(&namespace);
                        (everywhere || here)
                            && selector.as_ref().is_none_or(|wanted| wanted.matches(meta.labels.as_ref()))
                    };
                    found.extend(store.objects(kind).filter(is_there).cloned());
                }
            }
        }
        Ok((found, missing))
    }

    /// As [`Session::chosen`], for a command that changes objects: they must be named or selected.
    pub(super) fn named(&self, words: &[String]) -> Done<(Vec<Arc<Object>>, Vec<Failure>)> {
        if words.is_empty() {
            return Err(Failure::own(NOTHING));
        }
        let unnamed = asked(words)?.iter().any(|asked| asked.name.is_none());
        if unnamed && !self.given.is("all") && self.given.text("selector").is_none() {
            return Err(Failure::own("resource(s) were provided, but no name was specified"));
        }
        self.chosen(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Done<Vec<Asked>> {
        asked(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_name_kinds_and_objects() {
        let of =
            |kind, name: Option<&str>| Asked { resource: Resource::Of(kind), name: name.map(str::to_owned) };
        assert_eq!(read("po,svc web"), Ok(vec![of(Kind::Pod, Some("web")), of(Kind::Service, Some("web"))]));
        assert_eq!(
            read("pod/a deploy/b"),
            Ok(vec![of(Kind::Pod, Some("a")), of(Kind::Deployment, Some("b"))])
        );
        assert_eq!(read("deployments.apps"), Ok(vec![of(Kind::Deployment, None)]));
        assert_eq!(read("all").map(|all| all.len()), Ok(5));
        let unknown = Failure::own("the server doesn't have a resource type \"foo\"");
        assert_eq!(read("foo"), Err(unknown));
        assert_eq!(read("sts"), Err(Failure::unmodelled("with sts")));
        assert!(
            matches!(read("pod pod/web"), Err(Failure::Own(text)) if text.starts_with("there is no need"))
        );
    }
}
