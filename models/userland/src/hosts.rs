//! Host names: `/etc/hosts` and numeric addresses. What DNS says is looked up by `resolver`.

use std::net::{IpAddr, Ipv4Addr};

use crate::numbers::whole;
use crate::process::Process;
use crate::resolver::conf::{ResolvConf, asks_dns};

/// Resolver error without a name server (`EAI_AGAIN`).
pub const TEMPORARY_FAILURE: &str = "Temporary failure in name resolution";

/// The lines of `/etc/hosts`, and how DNS is asked.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    lines: Vec<(IpAddr, Vec<String>)>,
    /// `/etc/resolv.conf`, if `/etc/nsswitch.conf` says that DNS is asked.
    pub(crate) dns: Option<ResolvConf>,
    /// Addresses that DNS has no name for.
    pub(crate) unnamed: Vec<Ipv4Addr>,
}

impl Hosts {
    /// Reads `/etc/hosts` of the machine; without that file only `localhost` is known.
    pub async fn read(process: &Process) -> Hosts {
        let read = async |path| {
            let bytes = process.files.read(path).await.ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read("/etc/hosts").await.unwrap_or_else(|| "127.0.0.1 localhost\n".to_owned());
        let mut hosts = Hosts::parse(&text);
        if asks_dns(read("/etc/nsswitch.conf").await.as_deref()) {
            hosts.dns = Some(ResolvConf::parse(&read("/etc/resolv.conf").await.unwrap_or_default()));
        }
        hosts
    }

    /// Parses a hosts file; invalid addresses are skipped, as by the resolver.
    pub fn parse(text: &str) -> Hosts {
        let line = |line: &str| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            let names: Vec<_> = words.map(str::to_owned).collect();
            (!names.is_empty()).then_some((address, names))
        };
        Hosts { lines: text.lines().filter_map(line).collect(), ..Hosts::default() }
    }

    /// Its lines: an address and its names.
    pub(crate) fn all(&self) -> impl Iterator<Item = (IpAddr, &[String])> {
        self.lines.iter().map(|(address, names)| (*address, names.as_slice()))
    }

    /// Keeps the name of an address.
    pub(crate) fn keep(&mut self, address: Ipv4Addr, name: String) {
        self.lines.push((address.into(), vec![name]));
    }

    /// The addresses of a name.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let known = |names: &[String]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        self.lines.iter().filter(|(_, names)| known(names)).map(|(address, _)| *address).collect()
    }

    /// The IPv4 address and the canonical name of a name.
    pub fn ipv4(&self, name: &str) -> Option<(Ipv4Addr, String)> {
        let known = |names: &[String]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        self.lines.iter().find_map(|(address, names)| match address {
            IpAddr::V4(address) if known(names) => Some((*address, names[0].clone())),
            _ => None,
        })
    }

    /// The line of a name that has an address of this kind.
    pub(crate) fn line(&self, name: &str, is_wanted: fn(&IpAddr) -> bool) -> Option<(IpAddr, &[String])> {
        let known = |names: &[String]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        let mut lines = self.lines.iter().filter(|(address, names)| is_wanted(address) && known(names));
        lines.next().map(|(address, names)| (*address, names.as_slice()))
    }

    /// The first name of an address.
    pub fn name(&self, address: IpAddr) -> Option<&str> {
        self.lines.iter().find(|line| line.0 == address).map(|line| line.1[0].as_str())
    }

    /// Every address with its first name.
    pub fn names(&self) -> impl Iterator<Item = (IpAddr, String)> {
        self.lines.iter().rev().map(|(address, names)| (*address, names[0].clone()))
    }
}

/// An IPv4 address of one to four numbers, decimal, octal or hexadecimal, as `inet_aton(3)` reads it.
pub fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = text.split('.').map(whole).collect::<Option<_>>()?;
    let (last, front) = parts.split_last()?;
    if front.len() > 3 || front.iter().any(|part| *part > 255) {
        return None;
    }
    let room = 8 * (4 - front.len() as u32);
    if *last >> room != 0 {
        return None;
    }
    let high = front.iter().enumerate().fold(0, |sum, (at, part)| sum | part << (24 - 8 * at));
    Some(Ipv4Addr::from((high | last) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_c_reads_them() {
        let cases = [
            ("10.0.0.101", Some([10, 0, 0, 101])),
            ("10.9.2", Some([10, 9, 0, 2])),
            ("0", Some([0, 0, 0, 0])),
            ("0x0a.1", Some([10, 0, 0, 1])),
            ("1.2.3.4.5", None),
            ("999.1.1.1", None),
            ("1.2.3.", None),
            ("+1", None),
            ("", None),
        ];
        for (text, octets) in cases {
            assert_eq!(inet_aton(text), octets.map(Ipv4Addr::from), "{text}");
        }
    }

    #[test]
    fn names_of_a_hosts_file() {
        let hosts =
            Hosts::parse("127.0.0.1 localhost\n10.0.0.1 box.example box # mine\n::1 localhost\nx y\n");
        assert_eq!(hosts.ipv4("BOX"), Some(([10, 0, 0, 1].into(), "box.example".to_owned())));
        assert_eq!(hosts.name("10.0.0.1".parse().unwrap()), Some("box.example"));
        assert_eq!(hosts.addresses("localhost").len(), 2);
        assert_eq!(hosts.ipv4("nosuch"), None);
    }
}
