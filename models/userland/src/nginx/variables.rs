//! Texts with variables.

use std::net::Ipv4Addr;

use super::http::Request;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Plain(String),
    Variable(String),
}

/// A text with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// Those that are modelled, beside `http_…`.
const VARIABLES: &[&str] = &[
    "args",
    "host",
    "is_args",
    "proxy_add_x_forwarded_for",
    "proxy_host",
    "query_string",
    "remote_addr",
    "remote_port",
    "request",
    "request_method",
    "request_uri",
    "scheme",
    "server_addr",
    "server_name",
    "server_port",
    "server_protocol",
    "uri",
];

/// What variables say of a request.
pub struct Facts<'a> {
    pub request: &'a Request,
    pub client: (Ipv4Addr, u16),
    pub server: (Ipv4Addr, u16),
    pub server_name: &'a str,
    pub proxy_host: &'a str,
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    ///
    /// A variable that is unknown.
    pub fn parse(text: &str) -> Result<Template, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(at) = rest.find('$') {
            if at > 0 {
                parts.push(Part::Plain(rest[..at].to_owned()));
            }
            let behind = &rest[at + 1..];
            let braced = behind.strip_prefix('{');
            let name_from = braced.unwrap_or(behind);
            let end =
                name_from.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name_from.len());
            let name = &name_from[..end];
            if name.is_empty() {
                return Err("invalid variable name".to_owned());
            }
            if !VARIABLES.contains(&name) && !name.starts_with("http_") {
                return Err(format!("unknown \"{name}\" variable"));
            }
            parts.push(Part::Variable(name.to_owned()));
            rest = &name_from[end..];
            if braced.is_some() {
                rest = rest.strip_prefix('}').ok_or("the closing bracket in a variable is missing")?;
            }
        }
        if !rest.is_empty() {
            parts.push(Part::Plain(rest.to_owned()));
        }
        Ok(Template(parts))
    }

    /// The text for a request.
    pub fn fill(&self, facts: &Facts) -> String {
        let part = |part: &Part| match part {
            Part::Plain(text) => text.clone(),
            Part::Variable(name) => value(name, facts),
        };
        self.0.iter().map(part).collect()
    }
}

fn value(name: &str, facts: &Facts) -> String {
    let request = facts.request;
    if let Some(header) = name.strip_prefix("http_") {
        return request.header(&header.replace('_', "-")).unwrap_or_default().to_owned();
    }
    match name {
        "args" | "query_string" => request.args().to_owned(),
        "is_args" => if request.args().is_empty() { "" } else { "?" }.to_owned(),
        "host" => match request.host() {
            "" => facts.server_name.to_owned(),
            host => host.to_ascii_lowercase(),
        },
        "proxy_add_x_forwarded_for" => match request.header("X-Forwarded-For") {
            Some(before) => format!("{before}, {}", facts.client.0),
            None => facts.client.0.to_string(),
        },
        "proxy_host" => facts.proxy_host.to_owned(),
        "remote_addr" => facts.client.0.to_string(),
        "remote_port" => facts.client.1.to_string(),
        "request" => request.line.clone(),
        "request_method" => request.method.clone(),
        "request_uri" => request.target.clone(),
        "scheme" => "http".to_owned(),
        "server_addr" => facts.server.0.to_string(),
        "server_name" => facts.server_name.to_owned(),
        "server_port" => facts.server.1.to_string(),
        "server_protocol" => format!("HTTP/1.{}", request.minor),
        _ => request.uri.clone(),
    }
}
