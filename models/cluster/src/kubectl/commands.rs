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
    refused("previous").letter('p'),
    refused("since"),
    refused("since-time"),
    refused("timestamps"),
];

const fn row(words: &'static str, flags: &'static [&'static [Flag]]) -> Command {
    Command { words, flags }
}

/// Commands that are modelled.
pub(super) const MODELLED: &[Command] = &[
    row("apply", &[FILES, CHANGE, APPLY]),
    row("create", &[FILES, CHANGE, CREATE]),
    row(
        "create configmap",
        &[
            CHANGE,
            CREATE,
            &[text("from-file"), text("from-literal"), refused("from-env-file"), refused("append-hash")],
        ],
    ),
    row(
        "create cm",
        &[
            CHANGE,
            CREATE,
            &[text("from-file"), text("from-literal"), refused("from-env-file"), refused("append-hash")],
        ],
    ),
    row("create deployment", &[CHANGE, CREATE, DEPLOYMENT]),
    row("create deploy", &[CHANGE, CREATE, DEPLOYMENT]),
    row("create namespace", &[CHANGE, CREATE]),
    row("create ns", &[CHANGE, CREATE]),
    row("create service clusterip", &[CHANGE, CREATE, &[text("tcp"), text("clusterip")]]),
    row("create service externalname", &[CHANGE, CREATE, &[text("tcp"), text("external-name")]]),
    row("create service loadbalancer", &[CHANGE, CREATE, &[text("tcp")]]),
    row("create service nodeport", &[CHANGE, CREATE, &[text("tcp"), number("node-port")]]),
    row("delete", &[FILES, SELECT, DELETE]),
    row("exec", &[EXEC]),
    row("get", &[FILES, SELECT, GET]),
    row("logs", &[LOGS]),
    row(
        "replace",
        &[
            FILES,
            CHANGE,
            &[
                switch("force"),
                number("grace-period"),
                text("timeout"),
                switch("wait"),
                refused("raw"),
                refused("validate"),
                refused("save-config"),
                refused("subresource"),
                optional("cascade", "background"),
            ],
        ],
    ),
];

const DEPLOYMENT: &[Flag] = &[text("image"), number("port"), number("replicas").letter('r')];

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
    "taint",
    "top",
];
