//! URLs, as far as HTTP goes.

/// An `http://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Host, as given.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
}

/// Exit status and message for a URL that is refused.
pub type Refusal = (i32, String);

const BAD: &str = "URL using bad/illegal format or missing URL";

impl Url {
    /// Parses a URL; the default scheme is HTTP.
    ///
    /// # Errors
    ///
    /// curl's message.
    pub fn parse(text: &str) -> Result<Url, Refusal> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" | "ftp" | "ftps" | "file" | "scp" | "sftp" | "ws" | "telnet" | "tftp" | "smtp"
            | "dict" => {
                return Err((1, format!("not modelled yet: {scheme}")));
            }
            other => return Err((1, format!("Protocol \"{other}\" not supported or disabled in libcurl"))),
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err((1, "not modelled yet: a user in the URL".to_owned()));
        }
        if authority.starts_with('[') {
            return Err((1, "not modelled yet: IPv6".to_owned()));
        }
        let bad = || (3, BAD.to_owned());
        let (host, port) = match authority.split_once(':') {
            None => (authority, 80),
            Some((host, "")) => (host, 80),
            Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
        };
        if host.is_empty() || host.contains(' ') || path.contains(' ') {
            return Err(bad());
        }
        let path = path.split('#').next().unwrap_or("");
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Url { host: host.to_owned(), port, path: dedot(&format!("{slash}{path}")) })
    }

    /// Resolves a `Location` header.
    ///
    /// # Errors
    ///
    /// curl's message.
    pub fn join(&self, location: &str) -> Result<Url, Refusal> {
        if location.contains("://") {
            return Url::parse(location);
        }
        let base = self.path.split('?').next().unwrap_or("/");
        let folder = &base[..=base.rfind('/').unwrap_or(0)];
        let path = match location.as_bytes().first() {
            Some(b'/') if location.starts_with("//") => return Url::parse(&format!("http:{location}")),
            Some(b'/') => location.to_owned(),
            Some(b'?') => format!("{base}{location}"),
            _ => format!("{folder}{location}"),
        };
        Ok(Url { path: dedot(path.split('#').next().unwrap_or("")), ..self.clone() })
    }

    /// `Host:` header: with the port if it is not 80.
    pub fn authority(&self) -> String {
        if self.port == 80 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

/// Removes `.` and `..` from a path.
fn dedot(path: &str) -> String {
    let (path, query) = match path.find('?') {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    let mut parts: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    parts.pop();
                }
                if last {
                    parts.push("");
                }
            }
            name => parts.push(name),
        }
    }
    format!("/{}{query}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, host, port, path) in [
            ("10.0.0.2", "10.0.0.2", 80, "/"),
            ("http://a:8080?x#y", "a", 8080, "/?x"),
            ("HTTP://a/b/../c/./d#e", "a", 80, "/c/d"),
        ] {
            assert_eq!(Url::parse(text), Ok(Url { host: host.into(), port, path: path.into() }));
        }
        assert_eq!(Url::parse("http://a:70000/").unwrap_err(), (3, BAD.to_owned()));
        let foo = "Protocol \"foo\" not supported or disabled in libcurl";
        assert_eq!(Url::parse("foo://a/").unwrap_err(), (1, foo.to_owned()));
    }

    #[test]
    fn locations_are_joined() {
        let base = Url::parse("http://a:81/b/c?q").unwrap();
        for (location, joined) in [
            ("/x/", "http://a:81/x/"),
            ("d", "http://a:81/b/d"),
            ("../e", "http://a:81/e"),
            ("http://z/", "http://z/"),
            ("?r", "http://a:81/b/c?r"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), joined);
        }
    }
}
