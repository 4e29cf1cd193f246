//! The command line of `nc`.

use std::fmt::Display;

use crate::getopt;
use crate::stop::{Done, Stop};

/// Usage text.
const USAGE: &str = "usage: nc [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-M ttl]
\t  [-m minttl] [-O length] [-P proxy_username] [-p source_port]
\t  [-q seconds] [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit]
\t  [-w timeout] [-X proxy_protocol] [-x proxy_address[:port]]
\t  [destination] [port]
";

/// Middle part of `-h`.
const HELP: &str = "\tCommand Summary:
\t\t-4\t\tUse IPv4
\t\t-6\t\tUse IPv6
\t\t-b\t\tAllow broadcast
\t\t-C\t\tSend CRLF as line-ending
\t\t-D\t\tEnable the debug socket option
\t\t-d\t\tDetach from stdin
\t\t-F\t\tPass socket fd
\t\t-h\t\tThis help text
\t\t-I length\tTCP receive buffer length
\t\t-i interval\tDelay interval for lines sent, ports scanned
\t\t-k\t\tKeep inbound sockets open for multiple connects
\t\t-l\t\tListen mode, for inbound connects
\t\t-M ttl\t\tOutgoing TTL / Hop Limit
\t\t-m minttl\tMinimum incoming TTL / Hop Limit
\t\t-N\t\tShutdown the network socket after EOF on stdin
\t\t-n\t\tSuppress name/port resolutions
\t\t-O length\tTCP send buffer length
\t\t-P proxyuser\tUsername for proxy authentication
\t\t-p port\t\tSpecify local port for remote connects
\t\t-q secs\t\tquit after EOF on stdin and delay of secs
\t\t-r\t\tRandomize remote ports
\t\t-S\t\tEnable the TCP MD5 signature option
\t\t-s sourceaddr\tLocal source address
\t\t-T keyword\tTOS value
\t\t-t\t\tAnswer TELNET negotiation
\t\t-U\t\tUse UNIX domain socket
\t\t-u\t\tUDP mode
\t\t-V rtable\tSpecify alternate routing table
\t\t-v\t\tVerbose
\t\t-W recvlimit\tTerminate after receiving a number of packets
\t\t-w timeout\tTimeout for connects and final net reads
\t\t-X proto\tProxy protocol: \"4\", \"5\" (SOCKS) or \"connect\"
\t\t-x addr[:port]\tSpecify proxy address and port
\t\t-Z\t\tDCCP mode
\t\t-z\t\tZero-I/O mode [used for scanning]
\tPort numbers can be individual or ranges: lo-hi [inclusive]
";

/// The options.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-4`.
    pub ipv4: bool,
    /// `-l`.
    pub listen: bool,
    /// `-k`.
    pub keep: bool,
    /// `-u`.
    pub udp: bool,
    /// `-v`.
    pub verbose: bool,
    /// `-z`.
    pub scan: bool,
    /// `-n`.
    pub numeric: bool,
    /// `-N`.
    pub shutdown: bool,
    /// `-d`.
    pub no_stdin: bool,
    /// `-C`.
    pub crlf: bool,
    /// `-b`.
    pub broadcast: bool,
    /// `-w`, seconds.
    pub timeout: Option<u64>,
    /// `-q`: seconds after the end of standard input; negative: never.
    pub quit: Option<i64>,
    /// `-p`.
    pub source_port: Option<String>,
    /// `-s`.
    pub source: Option<String>,
    /// `-M`, hops.
    pub ttl: Option<u8>,
    /// `-W`: number of packets to receive.
    pub receive_limit: Option<u64>,
    /// Host and port as given.
    pub host: Option<String>,
    /// Port or ports as given.
    pub port: String,
}

const SHORT: &str = "46bCDdFhI:i:klM:m:NnO:P:p:q:rSs:T:tUuV:vW:w:X:x:Zz";

/// An error message of nc.
pub fn failure(text: impl Display) -> Stop {
    Stop::error(1, format!("nc: {text}\n"))
}

fn error<T>(text: impl Display) -> Done<T> {
    Err(failure(text))
}

/// A number as strtonum(3).
fn number(text: &str, least: i64, most: i64, what: &str) -> Done<i64> {
    match text.parse::<i64>() {
        Ok(value) if value < least => error(format!("{what} too small: {text}")),
        Ok(value) if value > most => error(format!("{what} too large: {text}")),
        Ok(value) => Ok(value),
        Err(_) => error(format!("{what} invalid: {text}")),
    }
}

/// Reads the command line.
pub fn parse(args: &[String]) -> Done<Options> {
    let parsed = getopt::parse(args, SHORT, &[]);
    let mut options = Options::default();
    for option in &parsed.options {
        set(&mut options, &option.name, &option.value)?;
    }
    if let Some(message) = parsed.error {
        return Err(Stop::error(1, format!("nc: {message}\n{USAGE}")));
    }
    operands(&mut options, &parsed.operands)?;
    if options.listen && options.scan {
        return error("cannot use -z and -l");
    }
    if options.keep && !options.listen {
        return error("must use -l with -k");
    }
    Ok(options)
}

fn set(options: &mut Options, name: &str, value: &str) -> Done {
    match name {
        "4" => options.ipv4 = true,
        "b" => options.broadcast = true,
        "C" => options.crlf = true,
        "d" => options.no_stdin = true,
        "h" => {
            let head = "OpenBSD netcat (Debian patchlevel 1.219-1)\n";
            return Err(Stop::error(0, format!("{head}{USAGE}{HELP}")));
        }
        "k" => options.keep = true,
        "l" => options.listen = true,
        "M" => match value.parse::<i64>() {
            Ok(1..=255) => options.ttl = value.parse().ok(),
            Ok(256..) => return error("ttl is too large"),
            Ok(_) => return error("ttl is too small"),
            Err(_) => return error("ttl is invalid"),
        },
        "N" => options.shutdown = true,
        "n" => options.numeric = true,
        "p" => options.source_port = Some(value.to_owned()),
        "q" => options.quit = Some(number(value, i64::from(i32::MIN), i64::from(i32::MAX), "quit timer")?),
        "s" => options.source = Some(value.to_owned()),
        "u" => options.udp = true,
        "v" => options.verbose = true,
        "W" => {
            let limit = number(value, 1, i64::from(i32::MAX), "receive limit")?;
            options.receive_limit = u64::try_from(limit).ok();
        }
        "w" => {
            let timeout = number(value, 0, i64::from(i32::MAX) / 1000, "timeout")?;
            options.timeout = u64::try_from(timeout).ok();
        }
        "z" => options.scan = true,
        "6" => return error("not modelled yet: IPv6"),
        other => return error(format!("not modelled yet: -{other}")),
    }
    Ok(())
}

fn operands(options: &mut Options, operands: &[String]) -> Done {
    let usage = || Err(Stop::error(1, USAGE));
    match operands {
        [] if options.listen => match options.source_port.take() {
            Some(port) => {
                options.port = port;
                options.host = options.source.take();
            }
            None => return error("missing port number"),
        },
        [] => return usage(),
        _ if options.listen && (options.source_port.is_some() || options.source.is_some()) => return usage(),
        [port] if options.listen => options.port = port.clone(),
        [_] => return error("missing port number"),
        [host, port] => (options.host, options.port) = (Some(host.clone()), port.clone()),
        [_, more @ ..] if !options.listen => {
            for text in more {
                ports(text, options.udp)?;
            }
            return error("not modelled yet: more than one port");
        }
        _ => return usage(),
    }
    Ok(())
}

/// The ports of `PORT` or `LOW-HIGH`, ascending.
pub fn ports(text: &str, udp: bool) -> Done<Vec<u16>> {
    if let Some(port) = service(text, udp) {
        return Ok(vec![port]);
    }
    let Some((low, high)) = text.split_once('-') else { return Ok(vec![port(text)?]) };
    let (low, high) = (port(low)?, port(high)?);
    Ok((low.min(high)..=low.max(high)).collect())
}

fn port(text: &str) -> Done<u16> {
    Ok(number(text, 1, 65_535, "port number")? as u16)
}

/// The port of a service name.
pub fn service(name: &str, udp: bool) -> Option<u16> {
    let (tcp_port, udp_port) = crate::services::ports_by_name(name);
    if udp { udp_port } else { tcp_port }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::getopt::words;

    #[test]
    fn refusals_as_nc_words_them() {
        for (line, message) in [
            ("10.0.0.2", "missing port number"),
            ("-l", "missing port number"),
            ("-w abc h 80", "timeout invalid: abc"),
            ("-w -1 h 80", "timeout too small: -1"),
            ("-W 0 h 80", "receive limit too small: 0"),
            ("-M 300 h 80", "ttl is too large"),
            ("-l -z 82", "cannot use -z and -l"),
            ("-q abc h 80", "quit timer invalid: abc"),
            ("-X 5 h 80", "not modelled yet: -X"),
            ("a b c", "port number invalid: b"),
            ("a 80 81", "not modelled yet: more than one port"),
        ] {
            assert_eq!(parse(&words(line)).unwrap_err(), failure(message), "{line}");
        }
        for line in ["", "-l -p 81 82", "-l -s 10.0.0.2 81", "-l a b c"] {
            assert_eq!(parse(&words(line)).unwrap_err(), Stop::error(1, USAGE), "{line}");
        }
    }

    #[test]
    fn ports_are_numbers_names_or_ranges() {
        assert_eq!(ports("90-88", false).unwrap(), [88, 89, 90]);
        assert_eq!(ports("http", false).unwrap(), [80]);
        for (text, message) in [
            ("abc", "port number invalid: abc"),
            ("0", "port number too small: 0"),
            ("70000", "port number too large: 70000"),
        ] {
            assert_eq!(ports(text, false).unwrap_err(), failure(message));
        }
    }
}
