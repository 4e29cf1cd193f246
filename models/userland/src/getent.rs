//! `getent` of glibc 2.36: `hosts`, `ahosts` and `ahostsv4`.

use std::net::{IpAddr, Ipv4Addr};

use crate::hosts::{Hosts, inet_aton};
use crate::process::{Process, Running};
use crate::resolver::{Family, Found};

const HINT: &str = "Try `getent --help' or `getent --usage' for more information.\n";
/// Databases that are real and not modelled.
const UNMODELLED: &str =
    "ahostsv6 aliases ethers group gshadow initgroups netgroup networks passwd protocols rpc services shadow";
/// Exit status if a key is not found.
const NOT_FOUND: i32 = 2;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let args = process.args().to_vec();
        let Some((database, keys)) = args.split_first() else {
            process.eprint("getent: wrong number of arguments\n");
            process.print(HINT);
            return 1;
        };
        match database.as_str() {
            "hosts" => hosts(process, keys).await,
            "ahosts" => ahosts(process, keys, Family::Any).await,
            "ahostsv4" => ahosts(process, keys, Family::Ipv4).await,
            option if option.starts_with('-') => {
                process.eprint(format!("getent: not modelled yet: {option}\n"));
                1
            }
            known if UNMODELLED.split_whitespace().any(|name| name == known) => {
                process.eprint(format!("getent: not modelled yet: the database {known}\n"));
                1
            }
            unknown => {
                process.eprint(format!("Unknown database: {unknown}\n"));
                process.print(HINT);
                1
            }
        }
    })
}

/// A line of `hosts`.
fn line(address: impl ToString, names: &[String]) -> String {
    format!("{:<15} {}\n", address.to_string(), names.join(" "))
}

async fn hosts(process: &mut Process, keys: &[String]) -> i32 {
    let mut hosts = Hosts::read(process).await;
    if keys.is_empty() {
        for (address, names) in hosts.all() {
            process.print(line(address, names));
        }
    }
    let mut status = 0;
    for key in keys {
        if let Ok(address) = key.parse::<Ipv4Addr>() {
            // Who does not answer has no name for it.
            let _ = hosts.learn(process, address).await;
            match hosts.name(address.into()) {
                Some(name) => process.print(line(address, &[name.to_owned()])),
                None => status = NOT_FOUND,
            }
            continue;
        }
        // gethostbyname2(3) for IPv6, which finds addresses in the file only, then for IPv4.
        if let Some((address, names)) = hosts.line(key, IpAddr::is_ipv6) {
            process.print(line(address, names));
            continue;
        }
        // Its answer is that there is none.
        let _ = hosts.look_up(process, key, Family::Ipv6).await;
        match hosts.look_up(process, key, Family::Ipv4).await {
            Ok(found) => {
                let names: Vec<String> =
                    std::iter::once(&found.canonical).chain(&found.aliases).cloned().collect();
                for address in &found.addresses {
                    process.print(line(address, &names));
                }
            }
            Err(_) => status = NOT_FOUND,
        }
    }
    status
}

async fn ahosts(process: &mut Process, keys: &[String], family: Family) -> i32 {
    let hosts = Hosts::read(process).await;
    if keys.is_empty() {
        process.eprint("getent: not modelled yet: ahosts without a name\n");
        return 1;
    }
    let mut status = 0;
    for key in keys {
        let found = match inet_aton(key) {
            Some(address) => {
                Ok(Found { addresses: vec![address], canonical: key.clone(), aliases: Vec::new() })
            }
            None => hosts.look_up(process, key, family).await,
        };
        let Ok(found) = found else {
            status = NOT_FOUND;
            continue;
        };
        let mut name = found.canonical.as_str();
        for address in &found.addresses {
            for kind in ["STREAM", "DGRAM", "RAW"] {
                process.print(format!("{:<15} {kind:<6} {name}\n", address.to_string()));
                name = "";
            }
        }
    }
    status
}
