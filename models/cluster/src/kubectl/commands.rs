//! The commands and their flags.

use super::flags::{Command, Flag, number, optional, refused, switch, text};

const FILES: &[Flag] =
    &[text("filename").letter('f'), switch("recursive").letter('R'), refused("kustomize").letter('k')];

/// Of commands that change objects.
const CHANGE: &[Flag] = &[
    optional("dry-run", "unchanged"),
    text("output").letter('o'),
    text("template"),
    refused("field-manager"),
    refused("show-managed-fields"),
    refused("allow-missing-template-keys"),
];

const CREATE: &[Flag] = &[
    switch("save-config"),
    refused("validate"),
    refused("edit"),
    refused("raw"),
    refused("windows-line-endings"),
];

const SELECT: &[Flag] = &[text("selector").letter('l')];

const DELETE: &[Flag] = &[
    switch("all"),
    optional("cascade", "background"),
    switch("force"),
    number("grace-period"),
    switch("ignore-not-found"),
    switch("now"),
    text("timeout"),
    switch("wait"),
    optional("dry-run", "unchanged"),
    text("output").letter('o'),
    switch("all-namespaces").letter('A'),
    refused("field-selector"),
    refused("interactive").letter('i'),
    refused("raw"),
];

const GET: &[Flag] = &[
    switch("all-namespaces").letter('A'),
    text("field-selector"),
    switch("ignore-not-found"),
    text("label-columns").letter('L'),
    switch("no-headers"),
    text("output").letter('o'),
    text("template"),
    switch("show-labels"),
    text("sort-by"),
    switch("watch").letter('w'),
    switch("watch-only"),
    refused("allow-missing-template-keys"),
    refused("chunk-size"),
    refused("output-watch-events"),
    refused("raw"),
    refused("server-print"),
    refused("show-kind"),
    refused("show-managed-fields"),
    refused("subresource"),
];

const APPLY: &[Flag] = &[
    refused("all"),
    refused("force"),
    refused("force-conflicts"),
    refused("overwrite"),
    refused("prune"),
    refused("prune-allowlist"),
    refused("selector").letter('l'),
    refused("server-side"),
    refused("subresource"),
    refused("validate"),
    refused("wait"),
];

const EXEC: &[Flag] = &[
    text("container").letter('c'),
    switch("stdin").letter('i'),
    switch("tty").letter('t'),
    switch("quiet").letter('q'),
    refused("filename").letter('f'),
    refused("pod-running-timeout"),
];

const LOGS: &[Flag] = &[
    text("container").letter('c'),
    switch("follow").letter('f'),
    text("selector").letter('l'),
    number("tail"),
    refused("all-containers"),
    refused("all-pods"),
    refused("ignore-errors"),
    refused("limit-bytes"),
    refused("max-log-requests"),
    refused("prefix"),
    switch("previous").letter('p'),
    refused("since"),
    refused("since-time"),
    refused("timestamps"),
];

/// Of commands that change objects which words name.
const MANY: &[Flag] = &[
    switch("all"),
    switch("all-namespaces").letter('A'),
    refused("filename").letter('f'),
    refused("recursive").letter('R'),
    refused("kustomize").letter('k'),
    refused("local"),
    refused("record"),
    refused("resource-version"),
];

const LABEL: &[Flag] = &[switch("overwrite"), switch("list"), refused("field-selector")];

const EXPOSE: &[Flag] = &[
    text("port"),
    text("target-port"),
    text("name"),
    text("port-name"),
    text("type"),
    text("external-ip"),
    text("cluster-ip"),
    text("protocol"),
    text("selector"),
    text("labels").letter('l'),
    text("load-balancer-ip"),
    text("session-affinity"),
    refused("filename").letter('f'),
    refused("override-type"),
    refused("overrides"),
    refused("save-config"),
];

const RUN: &[Flag] = &[
    text("image"),
    text("port"),
    text("restart"),
    text("labels").letter('l'),
    text("env").letter('e'),
    text("image-pull-policy"),
    switch("command"),
    switch("expose"),
    switch("stdin").letter('i'),
    switch("tty").letter('t'),
    switch("attach"),
    switch("rm"),
    switch("quiet").letter('q'),
    text("timeout"),
    refused("annotations"),
    refused("filename").letter('f'),
    refused("grace-period"),
    refused("leave-stdin-open"),
    refused("override-type"),
    refused("overrides"),
    refused("pod-running-timeout"),
    refused("privileged"),
    refused("save-config"),
];

const DRAIN: &[Flag] = &[
    switch("ignore-daemonsets"),
    switch("delete-emptydir-data"),
    switch("force"),
    number("grace-period"),
    text("timeout"),
    optional("dry-run", "unchanged"),
    refused("chunk-size"),
    refused("disable-eviction"),
    refused("pod-selector"),
    refused("skip-wait-for-delete-timeout"),
];

const INGRESS: &[Flag] = &[text("rule"), text("class"), text("default-backend"), text("annotation")];

const CONFIGMAP: &[Flag] =
    &[text("from-file"), text("from-literal"), refused("from-env-file"), refused("append-hash")];

const SECRET: &[Flag] = &[
    text("from-file"),
    text("from-literal"),
    text("type"),
    refused("from-env-file"),
    refused("append-hash"),
];

const REPLACE: &[Flag] = &[
    optional("cascade", "background"),
    switch("force"),
    number("grace-period"),
    text("timeout"),
    switch("wait"),
    refused("raw"),
    refused("save-config"),
    refused("subresource"),
    refused("validate"),
];

const API_RESOURCES: &[Flag] = &[
    switch("no-headers"),
    refused("api-group"),
    refused("cached"),
    refused("categories"),
    refused("namespaced"),
    refused("output").letter('o'),
    refused("sort-by"),
    refused("verbs"),
];

const CONFIG_VIEW: &[Flag] =
    &[text("output").letter('o'), refused("flatten"), refused("merge"), refused("minify"), refused("raw")];

const DEPLOYMENT: &[Flag] = &[text("image"), number("port"), number("replicas").letter('r')];

const DESCRIBE: &[Flag] = &[
    switch("all-namespaces").letter('A'),
    switch("show-events"),
    refused("chunk-size"),
    refused("filename").letter('f'),
    refused("kustomize").letter('k'),
    refused("recursive").letter('R'),
];

const fn row(words: &'static str, flags: &'static [&'static [Flag]]) -> Command {
    Command { words, flags }
}

/// Commands that are modelled.
#[rustfmt::skip] // One line each, so that they merge.
pub(super) const MODELLED: &[Command] = &[
    row("annotate", &[CHANGE, SELECT, MANY, LABEL]),
    row("api-resources", &[API_RESOURCES]),
    row("apply", &[FILES, CHANGE, APPLY]),
    row("cluster-info", &[]),
    row("config current-context", &[]),
    row("config get-contexts", &[&[text("output").letter('o'), switch("no-headers")]]),
    row("config view", &[CONFIG_VIEW]),
    row("cordon", &[SELECT, &[optional("dry-run", "unchanged")]]),
    row("create", &[FILES, CHANGE, CREATE]),
    row("create cm", &[CHANGE, CREATE, CONFIGMAP]),
    row("create configmap", &[CHANGE, CREATE, CONFIGMAP]),
    row("create deploy", &[CHANGE, CREATE, DEPLOYMENT]),
    row("create deployment", &[CHANGE, CREATE, DEPLOYMENT]),
    row("create ing", &[CHANGE, CREATE, INGRESS]),
    row("create ingress", &[CHANGE, CREATE, INGRESS]),
    row("create namespace", &[CHANGE, CREATE]),
    row("create ns", &[CHANGE, CREATE]),
    row("create secret generic", &[CHANGE, CREATE, SECRET]),
    row("create secret tls", &[CHANGE, CREATE, &[text("cert"), text("key"), refused("append-hash")]]),
    row("create service clusterip", &[CHANGE, CREATE, &[text("tcp"), text("clusterip")]]),
    row("create service externalname", &[CHANGE, CREATE, &[text("tcp"), text("external-name")]]),
    row("create service loadbalancer", &[CHANGE, CREATE, &[text("tcp")]]),
    row("create service nodeport", &[CHANGE, CREATE, &[text("tcp"), number("node-port")]]),
    row("delete", &[FILES, SELECT, DELETE]),
    row("describe", &[SELECT, DESCRIBE]),
    row("drain", &[SELECT, DRAIN]),
    row("exec", &[EXEC]),
    row("expose", &[CHANGE, EXPOSE]),
    row("get", &[FILES, SELECT, GET]),
    row("label", &[CHANGE, SELECT, MANY, LABEL]),
    row("logs", &[LOGS]),
    row("patch", &[CHANGE, MANY, &[text("patch").letter('p'), text("patch-file"), text("type"), refused("subresource")]]),
    row("replace", &[FILES, CHANGE, REPLACE]),
    row("rollout history", &[SELECT, MANY, &[number("revision"), refused("output").letter('o')]]),
    row("rollout restart", &[CHANGE, SELECT, MANY]),
    row("rollout status", &[SELECT, MANY, &[text("timeout"), switch("watch").letter('w'), refused("revision")]]),
    row("rollout undo", &[CHANGE, SELECT, MANY, &[number("to-revision")]]),
    row("run", &[CHANGE, RUN]),
    row("scale", &[CHANGE, SELECT, MANY, &[number("replicas"), number("current-replicas"), refused("timeout")]]),
    row("set image", &[CHANGE, SELECT, MANY]),
    row("set selector", &[CHANGE, MANY]),
    row("taint", &[SELECT, &[switch("all"), switch("overwrite"), optional("dry-run", "unchanged"), refused("output").letter('o')]]),
    row("uncordon", &[SELECT, &[optional("dry-run", "unchanged")]]),
    row("version", &[&[switch("client"), refused("output").letter('o')]]),
    row("wait", &[SELECT, MANY, &[text("for"), text("timeout"), refused("field-selector"), refused("output").letter('o')]]),
];

/// Commands that are real and not modelled.
pub(super) const REFUSED: &[&str] = &[
    "alpha",
    "api-versions",
    "attach",
    "auth",
    "autoscale",
    "certificate",
    "cluster-info dump",
    "completion",
    "config delete-cluster",
    "config delete-context",
    "config delete-user",
    "config get-clusters",
    "config get-users",
    "config rename-context",
    "config set",
    "config set-cluster",
    "config set-context",
    "config set-credentials",
    "config unset",
    "config use-context",
    "cp",
    "debug",
    "diff",
    "edit",
    "events",
    "explain",
    "help",
    "kuberc",
    "kustomize",
    "options",
    "plugin",
    "port-forward",
    "proxy",
    "top",
];
