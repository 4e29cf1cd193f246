//! `net-conf.json`: the network, and the backend with its own settings. It is read as Go's decoder reads it: names without regard to case,
//! and those that it does not know are passed over.

use std::net::Ipv4Addr;

use serde_json::{Map, Value};

use crate::config::Range;

/// The network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NetConf {
    pub network: Range,
    /// The backend's name.
    pub kind: String,
    /// The backend's settings.
    pub backend: Settings,
}

/// The members of a JSON object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Settings {
    /// The name of the structure in the decoder's errors.
    structure: &'static str,
    members: Map<String, Value>,
}

impl Settings {
    /// The members of a value, which may be null.
    fn of(value: Value, structure: &'static str, kind: &str) -> Result<Settings, String> {
        match value {
            Value::Object(members) => Ok(Settings { structure, members }),
            Value::Null => Ok(Settings { structure, members: Map::new() }),
            other => Err(format!("json: cannot unmarshal {} into Go value of type {kind}", type_of(&other))),
        }
    }

    /// A member; null counts as missing. Of two that differ in case the last is meant.
    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.members.iter().rfind(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    fn wrong(&self, value: &Value, name: &str, kind: &str) -> String {
        let structure = self.structure;
        let found = match value {
            Value::Number(number) => format!("number {number}"),
            other => type_of(other).to_owned(),
        };
        format!("json: cannot unmarshal {found} into Go struct field {structure}.{name} of type {kind}")
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str, default: i64) -> Result<i64, String> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_i64().ok_or_else(|| self.wrong(value, name, "int")),
        }
    }

    /// Yes or no; no by default.
    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(value, name, "bool")),
        }
    }

    fn text(&self, name: &str) -> Result<&str, String> {
        match self.get(name) {
            None => Ok(""),
            Some(value) => value.as_str().ok_or_else(|| self.wrong(value, name, "string")),
        }
    }

    fn address(&self, name: &str) -> Result<Option<Ipv4Addr>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let address: Option<Ipv4Addr> = value.as_str().and_then(|text| text.parse().ok());
        let address = address.ok_or("Invalid IP address format")?;
        Ok(Some(address).filter(|address| !address.is_unspecified()))
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A range, of which the part behind the prefix does not count.
pub(super) fn cidr(text: &str) -> Option<Range> {
    let (address, len) = text.split_once('/')?;
    let (address, len): (Ipv4Addr, u8) = (address.parse().ok()?, len.parse().ok()?);
    (len <= 32).then(|| Range { first: masked(address, len), len })
}

/// The first address of the range in which an address is.
pub(super) fn masked(address: Ipv4Addr, len: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() & mask)
}

impl NetConf {
    /// Reads the file's text.
    ///
    /// # Errors
    ///
    /// As flanneld words them.
    pub(super) fn parse(text: &str) -> Result<NetConf, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let all = Settings::of(value, "Config", "subnet.Config")?;
        let network = match all.text("Network")? {
            "" => Range { first: Ipv4Addr::UNSPECIFIED, len: 0 },
            text => cidr(text).ok_or_else(|| format!("invalid CIDR address: {text}"))?,
        };
        check_subnets(&all, network)?;
        let Some(backend) = all.get("Backend") else {
            return Ok(NetConf { network, kind: "udp".to_owned(), backend: Settings::default() });
        };
        let wrong = |why: String| format!("error decoding Backend property of config: {why}");
        let backend = Settings::of(backend.clone(), "", "struct { Type string }").map_err(wrong)?;
        let kind = backend.text("Type").map_err(wrong)?.to_owned();
        Ok(NetConf { network, kind, backend })
    }
}

/// Checks which subnets nodes could be given. Kubernetes gives them others, with lengths of its own.
fn check_subnets(all: &Settings, network: Range) -> Result<(), String> {
    let fail = |why: &str| Err(why.to_owned());
    let len = all.number("SubnetLen", 0)?;
    let len = match u8::try_from(len) {
        Ok(0) if network.len > 28 => {
            return fail("Network is too small. Minimum useful network prefix is /28");
        }
        Ok(0) if network.len <= 22 => 24,
        Ok(0) => network.len + 2,
        Ok(31..) | Err(_) if len > 0 => return fail("SubnetLen must be less than /31"),
        Ok(len) if len < network.len + 2 => {
            return fail("Network must be able to accommodate at least four subnets");
        }
        Ok(len) => len,
        Err(_) => {
            return Err(format!(
                "json: cannot unmarshal number {len} into Go struct field Config.SubnetLen of type uint"
            ));
        }
    };
    for name in ["SubnetMin", "SubnetMax"] {
        let Some(address) = all.address(name)? else { continue };
        if !network.contains(address) {
            return Err(format!("{name} is not in the range of the Network"));
        }
        if address.to_bits() & ((1 << (32 - u32::from(len))) - 1) != 0 {
            return Err(format!("{name} is not on a SubnetLen boundary: {address}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_has_its_settings() {
        let text =
            r#"{"network": "10.244.3.0/16", "Backend": {"type": "vxlan", "VNI": 5, "directrouting": true}}"#;
        let conf = NetConf::parse(text).expect("a configuration");
        assert_eq!((conf.network.to_string().as_str(), conf.kind.as_str()), ("10.244.0.0/16", "vxlan"));
        assert_eq!(conf.backend.number("VNI", 1), Ok(5));
        assert_eq!(conf.backend.number("Port", 0), Ok(0));
        assert_eq!(conf.backend.flag("DirectRouting"), Ok(true));
    }

    #[test]
    fn without_a_backend_it_is_udp() {
        assert_eq!(
            NetConf::parse(r#"{"Network": "10.0.0.0/8"}"#).map(|conf| conf.kind),
            Ok("udp".to_owned())
        );
    }

    #[test]
    fn errors_are_flannels() {
        for (text, why) in [
            (r#"{"Network": "10.244.0.0/29"}"#, "Network is too small. Minimum useful network prefix is /28"),
            (r#"{"Network": "10.244.0.0/16", "SubnetLen": 31}"#, "SubnetLen must be less than /31"),
            (
                r#"{"Network": "10.244.0.0/16", "SubnetLen": 17}"#,
                "Network must be able to accommodate at least four subnets",
            ),
            (
                r#"{"Network": "10.244.0.0/16", "SubnetMin": "10.1.0.0"}"#,
                "SubnetMin is not in the range of the Network",
            ),
            (
                r#"{"Network": "10.244.0.0/16", "SubnetMax": "10.244.9.1"}"#,
                "SubnetMax is not on a SubnetLen boundary: 10.244.9.1",
            ),
            (r#"{"Network": "10.244.0.0"}"#, "invalid CIDR address: 10.244.0.0"),
            (
                r#"{"Network": 3}"#,
                "json: cannot unmarshal number 3 into Go struct field Config.Network of type string",
            ),
            (
                r#"{"Network": "10.244.0.0/16", "SubnetLen": "24"}"#,
                "json: cannot unmarshal string into Go struct field Config.SubnetLen of type int",
            ),
        ] {
            assert_eq!(NetConf::parse(text), Err(why.to_owned()), "{text}");
        }
    }
}
