//! The command line, as Go's `flag` reads it. Each option may also be given in the environment, as `FLANNELD_IP_MASQ`.

use std::collections::BTreeMap;

/// What an option is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Text,
    /// It may be given several times.
    List,
    /// It is refused by name.
    Unmodelled,
}

/// The options, sorted by their names.
const OPTIONS: &[(&str, Kind, &str)] = &[
    ("etcd-cafile", Kind::Unmodelled, ""),
    ("etcd-certfile", Kind::Unmodelled, ""),
    ("etcd-endpoints", Kind::Unmodelled, ""),
    ("etcd-keyfile", Kind::Unmodelled, ""),
    ("etcd-password", Kind::Unmodelled, ""),
    ("etcd-prefix", Kind::Unmodelled, ""),
    ("etcd-username", Kind::Unmodelled, ""),
    ("healthz-ip", Kind::Unmodelled, ""),
    ("healthz-port", Kind::Int, "0"),
    ("iface", Kind::List, ""),
    ("iface-regex", Kind::List, ""),
    ("ip-masq", Kind::Bool, "false"),
    ("iptables-forward-rules", Kind::Bool, "true"),
    ("iptables-resync", Kind::Int, "5"),
    ("kube-annotation-prefix", Kind::Text, "flannel.alpha.coreos.com"),
    ("kube-api-url", Kind::Unmodelled, ""),
    ("kube-subnet-mgr", Kind::Bool, "false"),
    ("kubeconfig-file", Kind::Unmodelled, ""),
    ("log_backtrace_at", Kind::Unmodelled, ""),
    ("net-config-path", Kind::Text, "/etc/kube-flannel/net-conf.json"),
    ("public-ip", Kind::Text, ""),
    ("subnet-dir", Kind::Unmodelled, ""),
    ("subnet-file", Kind::Text, super::SUBNET_FILE),
    ("subnet-lease-renew-margin", Kind::Int, "60"),
    ("v", Kind::Int, "0"),
    ("version", Kind::Bool, "false"),
    ("vmodule", Kind::Unmodelled, ""),
];

/// The options' values.
#[derive(Clone, Debug, Default)]
pub(super) struct Options(BTreeMap<&'static str, Vec<String>>);

impl Options {
    /// Reads arguments, and then the environment for those that were not given.
    ///
    /// # Errors
    ///
    /// What Go prints of a wrong option; empty: only how it is used was asked for.
    pub(super) fn parse(args: &[String], env: &BTreeMap<String, String>) -> Result<Options, String> {
        let mut options = Options::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let Some(word) = arg.strip_prefix('-').filter(|word| !word.is_empty()) else { break };
            let word = word.strip_prefix('-').unwrap_or(word);
            if word.is_empty() {
                break;
            }
            let (name, given) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word, None),
            };
            if name.is_empty() || name.starts_with('-') {
                return Err(format!("bad flag syntax: {arg}"));
            }
            let Some((name, kind, _)) = OPTIONS.iter().find(|(known, ..)| *known == name) else {
                return Err(match name {
                    "h" | "help" => String::new(),
                    _ => format!("flag provided but not defined: -{name}"),
                });
            };
            let value = match (kind, given) {
                (_, Some(value)) => value,
                (Kind::Bool, None) => "true".to_owned(),
                (_, None) => {
                    args.next().cloned().ok_or_else(|| format!("flag needs an argument: -{name}"))?
                }
            };
            options.set(name, *kind, value)?;
        }
        for (name, kind, _) in OPTIONS {
            let variable = format!("FLANNELD_{}", name.to_uppercase().replace('-', "_"));
            if let Some(value) = env.get(&variable).filter(|_| !options.0.contains_key(name)) {
                options.set(name, *kind, value.clone())?;
            }
        }
        Ok(options)
    }

    fn set(&mut self, name: &'static str, kind: Kind, value: String) -> Result<(), String> {
        let invalid = |why: &str| Err(format!("invalid value \"{value}\" for flag -{name}: {why}"));
        match kind {
            Kind::Unmodelled => return Err(format!("not modelled yet: -{name} of flanneld")),
            Kind::Int if value.parse::<i64>().is_err() => return invalid("parse error"),
            Kind::Bool if boolean(&value).is_none() => return invalid("parse error"),
            _ => {}
        }
        let values = self.0.entry(name).or_default();
        if kind != Kind::List {
            values.clear();
        }
        values.push(value);
        Ok(())
    }

    /// The value of an option, or its default.
    pub(super) fn text(&self, name: &str) -> &str {
        let given = self.0.get(name).and_then(|values| values.last()).map(String::as_str);
        let default = || OPTIONS.iter().find(|(known, ..)| *known == name).map(|(.., default)| *default);
        given.or_else(default).unwrap_or_default()
    }

    /// All values of an option.
    pub(super) fn list(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// A number; they were checked when they were read.
    pub(super) fn number(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// Yes or no.
    pub(super) fn is(&self, name: &str) -> bool {
        boolean(self.text(name)).unwrap_or(false)
    }
}

/// As Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str], env: &[(&str, &str)]) -> Result<Options, String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Options::parse(&args, &env)
    }

    #[test]
    fn options_are_known() {
        assert!(OPTIONS.is_sorted_by_key(|(name, ..)| *name));
        let env = [("FLANNELD_IP_MASQ", "0"), ("FLANNELD_V", "2")];
        let options = parse(&["--ip-masq", "-iface", "eth1", "--iface=eth2"], &env).expect("options");
        assert!(options.is("ip-masq") && options.is("iptables-forward-rules"));
        assert_eq!(options.list("iface"), ["eth1", "eth2"]);
        assert_eq!((options.number("v"), options.number("iptables-resync")), (2, 5));
    }

    #[test]
    fn wrong_options_are_refused() {
        for (args, why) in [
            (&["--wrong"][..], "flag provided but not defined: -wrong"),
            (&["-v"], "flag needs an argument: -v"),
            (&["-v", "x"], "invalid value \"x\" for flag -v: parse error"),
            (&["---v"], "bad flag syntax: ---v"),
            (&["-etcd-prefix=/x"], "not modelled yet: -etcd-prefix of flanneld"),
        ] {
            assert_eq!(parse(args, &[]).map(|_| ()), Err(why.to_owned()), "{args:?}");
        }
    }
}
