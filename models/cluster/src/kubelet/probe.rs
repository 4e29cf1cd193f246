//! Probes of containers: when one is sent, and what its answers make of the container (`pkg/kubelet/prober`).

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_sim::Nanos;
use glassnet_userland::process::{Exit, Signal, Signals};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::seconds;
use crate::command::Kept;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    Startup,
    Liveness,
    Readiness,
}

impl For {
    /// All, in the order in which they are sent.
    pub(super) const ALL: [For; 3] = [For::Startup, For::Liveness, For::Readiness];

    /// As events name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            For::Startup => "Startup",
            For::Liveness => "Liveness",
            For::Readiness => "Readiness",
        }
    }

    /// The probe of a container.
    pub(super) fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            For::Startup => container.startup_probe.as_ref(),
            For::Liveness => container.liveness_probe.as_ref(),
            For::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// A probe that was sent and is not answered yet.
pub(super) struct Asked {
    pub exit: Arc<Exit>,
    pub signals: Arc<Signals>,
    /// What the command prints.
    pub output: Arc<Kept>,
    pub since: Nanos,
    /// When it is too late for an answer.
    pub until: Nanos,
}

/// How far a container's probe has come.
#[derive(Default)]
pub(super) struct Probing {
    /// What counts; none before enough answers were the same.
    pub result: Option<bool>,
    pub next: Option<Nanos>,
    pub asked: Option<Asked>,
    last: Option<bool>,
    run: i32,
}

impl Probing {
    /// Of a container that starts now.
    pub(super) fn begin(probe: Option<&Probe>, now: Nanos) -> Probing {
        let delay = probe.and_then(|probe| probe.initial_delay_seconds).unwrap_or(0);
        let next = probe.map(|_| now + seconds(i64::from(delay)));
        Probing { next, ..Probing::default() }
    }

    /// Takes an answer in. It counts when as many in turn are the same as the threshold says.
    pub(super) fn take(&mut self, probe: &Probe, success: bool) {
        self.run = if self.last == Some(success) { self.run + 1 } else { 1 };
        self.last = Some(success);
        let threshold = if success { probe.success_threshold } else { probe.failure_threshold };
        if self.run >= threshold.unwrap_or(1) {
            self.result = Some(success);
        }
    }

    /// The answer, if there is one by now; the program of one that is too late is killed.
    pub(super) fn answer(&mut self, now: Nanos) -> Option<(Asked, Option<i32>)> {
        let asked = self.asked.as_ref()?;
        let status = asked.exit.status();
        if status.is_none() && asked.until > now {
            return None;
        }
        asked.signals.send(Signal::KILL);
        self.asked.take().map(|asked| (asked, status))
    }

    /// When there is something to do.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        match &self.asked {
            Some(asked) => Some(asked.until),
            None => self.next,
        }
    }
}

/// The number of a port, which may be a name of one of the container's.
fn number(port: &IntOrString, container: &Container) -> Option<i32> {
    match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports.find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port)
        }
    }
}

fn url(get: &HTTPGetAction, container: &Container, address: Ipv4Addr) -> Option<String> {
    let host = get.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| address.to_string());
    let path = get.path.clone().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(format!("http://{host}:{}{slash}{path}", number(&get.port, container)?))
}

/// The command that gets a page as the kubelet does.
pub(super) fn http_get(
    get: &HTTPGetAction,
    container: &Container,
    address: Ipv4Addr,
    timeout: i32,
) -> Option<Vec<String>> {
    let line = format!("curl -s -S -f -o /dev/null -m {timeout}");
    let mut argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    for header in get.http_headers.iter().flatten() {
        argv.extend(["-H".to_owned(), format!("{}: {}", header.name, header.value)]);
    }
    argv.push(url(get, container, address)?);
    Some(argv)
}

/// The command that asks, and whether it runs in the container.
pub(super) fn command(
    probe: &Probe,
    container: &Container,
    address: Ipv4Addr,
) -> Option<(Vec<String>, bool)> {
    let timeout = probe.timeout_seconds.unwrap_or(1);
    if let Some(get) = &probe.http_get {
        return http_get(get, container, address, timeout).map(|argv| (argv, false));
    }
    if let Some(socket) = &probe.tcp_socket {
        let host = socket.host.clone().filter(|host| !host.is_empty());
        let (host, port) =
            (host.unwrap_or_else(|| address.to_string()), number(&socket.port, container)?.to_string());
        let argv = ["nc", "-z", "-w", &timeout.to_string(), &host, &port].map(str::to_owned);
        return Some((argv.to_vec(), false));
    }
    Some((probe.exec.as_ref()?.command.clone()?, true))
}

/// What is said of a probe that failed; no status: it was too late.
pub(super) fn failure(
    probe: &Probe,
    (container, address): (&Container, Ipv4Addr),
    asked: &Asked,
    status: Option<i32>,
    now: Nanos,
) -> String {
    let timeout = probe.timeout_seconds.unwrap_or(1);
    if let Some(get) = &probe.http_get {
        let url = url(get, container, address).unwrap_or_default();
        let said = asked.output.text();
        return match status {
            Some(22) => {
                let code = said.trim_end().rsplit(' ').next().unwrap_or_default().to_owned();
                format!("HTTP probe failed with statuscode: {code}")
            }
            Some(7) => format!("Get {url:?}: dial tcp {}: connect: connection refused", place(&url)),
            Some(52) => format!("Get {url:?}: EOF"),
            Some(28) | None => {
                format!(
                    "Get {url:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                )
            }
            Some(_) => format!("Get {url:?}: {}", said.trim_end()),
        };
    }
    if let Some(socket) = &probe.tcp_socket {
        let host = socket.host.clone().filter(|host| !host.is_empty());
        let host = host.unwrap_or_else(|| address.to_string());
        let port = number(&socket.port, container).unwrap_or(0);
        let is_late = status.is_none() || now.since(asked.since) >= seconds(i64::from(timeout));
        let why = if is_late { "i/o timeout" } else { "connect: connection refused" };
        return format!("dial tcp {host}:{port}: {why}");
    }
    let command = probe.exec.as_ref().and_then(|exec| exec.command.clone()).unwrap_or_default().join(" ");
    match status {
        None => format!("command timed out: {command:?} timed out after {timeout}s"),
        Some(_) => asked.output.text().trim_end().to_owned(),
    }
}

/// Address and port in a URL.
fn place(url: &str) -> &str {
    url.trim_start_matches("http://").split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_when_enough_are_the_same() {
        let probe = Probe { success_threshold: Some(2), failure_threshold: Some(3), ..Probe::default() };
        let mut probing = Probing::begin(Some(&probe), Nanos::ZERO);
        let mut results = Vec::new();
        for success in [true, false, true, true, false, false, true, false, false, false] {
            probing.take(&probe, success);
            results.push(probing.result);
        }
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(results, [None, None, None, yes, yes, yes, yes, yes, yes, no]);
    }

    #[test]
    fn ports_may_be_named() {
        let container: Container = serde_json::from_value(serde_json::json!({
            "name": "web", "ports": [{"name": "http", "containerPort": 8080}],
        }))
        .expect("a container");
        let probe: Probe = serde_json::from_value(serde_json::json!({
            "httpGet": {"port": "http", "path": "healthz", "httpHeaders": [{"name": "X-A", "value": "b c"}]}, "timeoutSeconds": 2,
        }))
        .expect("a probe");
        let (argv, inside) = command(&probe, &container, Ipv4Addr::new(10, 0, 0, 1)).expect("a command");
        let words = [
            "curl",
            "-s",
            "-S",
            "-f",
            "-o",
            "/dev/null",
            "-m",
            "2",
            "-H",
            "X-A: b c",
            "http://10.0.0.1:8080/healthz",
        ];
        assert_eq!((argv, inside), (words.map(str::to_owned).to_vec(), false));
    }
}
