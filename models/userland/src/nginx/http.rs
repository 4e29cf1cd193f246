//! Requests of clients, and pages of nginx's own.

/// The version that it gives itself.
pub const SERVER: &str = "nginx/1.22.1";

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its first line.
    pub line: String,
    pub method: String,
    /// What was asked for, as it was written.
    pub target: String,
    /// Its path: decoded, without `..`, `.` and double slashes.
    pub uri: String,
    pub minor: u8,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What came of reading a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// More is to come.
    Partial,
    /// A request of so many bytes.
    Whole(Request, usize),
    /// It is answered with this status; as far as its first line was read.
    Refused(u16, String),
}

/// How many headers a request may have.
const MAX_HEADERS: usize = 64;

impl Request {
    /// Reads a request from the beginning of what was received.
    pub fn read(received: &[u8]) -> Read {
        let line_end = received.iter().position(|byte| *byte == b'\n');
        let line = || {
            let line = &received[..line_end.unwrap_or(received.len())];
            String::from_utf8_lossy(line).trim_end().to_owned()
        };
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let head = match parsed.parse(received) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) if line_end.is_none() || line().split(' ').count() == 3 => {
                return Read::Partial;
            }
            _ => return Read::Refused(400, line()),
        };
        let header = |header: &httparse::Header| {
            (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
        };
        let target = parsed.path.unwrap_or_default().to_owned();
        // A proxy is asked for whole URLs.
        let path = match target.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
            None => target.clone(),
        };
        let mut request = Request {
            line: line(),
            method: parsed.method.unwrap_or_default().to_owned(),
            target: path.clone(),
            uri: String::new(),
            minor: parsed.version.unwrap_or(0),
            headers: parsed.headers.iter().map(header).collect(),
            body: Vec::new(),
        };
        let Some(uri) = normal(&path) else { return Read::Refused(400, line()) };
        request.uri = uri;
        if request.minor > 0 && request.header("Host").is_none() {
            return Read::Refused(400, line());
        }
        if request.header("Transfer-Encoding").is_some() {
            return Read::Refused(501, line());
        }
        let length = match request.header("Content-Length").map(str::parse::<usize>) {
            None => 0,
            Some(Ok(length)) => length,
            Some(Err(_)) => return Read::Refused(400, line()),
        };
        match received.get(head..head + length) {
            Some(body) => {
                request.body = body.to_vec();
                Read::Whole(request, head + length)
            }
            None => Read::Partial,
        }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut same = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        same.next().map(|(_, value)| value.as_str())
    }

    /// The host that it is for, without a port.
    pub fn host(&self) -> &str {
        let host = self.header("Host").unwrap_or_default();
        host.split(':').next().unwrap_or(host).trim_end_matches('.')
    }

    /// What stands behind the question mark.
    pub fn args(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, args)| args)
    }

    /// The connection stays open behind the answer.
    pub fn keeps_alive(&self) -> bool {
        let said = self.header("Connection").unwrap_or_default().to_ascii_lowercase();
        if self.minor == 0 { said.contains("keep-alive") } else { !said.contains("close") }
    }
}

/// A path, decoded and without detours; `None`: it leaves the root or cannot be read.
fn normal(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next().filter(|path| path.starts_with('/'))?;
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|byte| *byte != 0)?);
    }
    let plain = String::from_utf8_lossy(&bytes).into_owned();
    let mut parts: Vec<&str> = Vec::new();
    let ends_in_folder = plain.ends_with('/') || plain.ends_with("/.") || plain.ends_with("/..");
    for part in plain.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    let slash = if ends_in_folder && !parts.is_empty() { "/" } else { "" };
    Some(format!("/{}{slash}", parts.join("/")))
}

/// A path as it is sent to an upstream.
pub fn escape(path: &str) -> String {
    let plain = |byte: u8| (0x21..0x7f).contains(&byte) && !b"%?#".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The phrase of a status, as nginx words it.
pub fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        408 => "Request Time-out",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        _ => "",
    }
}

/// The page of a status.
pub fn page(status: u16) -> String {
    let title = format!("{status} {}", phrase(status));
    let title = title.trim_end();
    // The names on pages of redirects are those of HTTP.
    let title = if status == 302 { "302 Found" } else { title };
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>{SERVER}</center>\r\n</body>\r\n</html>\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let text =
            b"POST /a%20b//c/../d?x=1 HTTP/1.1\r\nHost: A.example:80\r\nContent-Length: 3\r\n\r\nabcGET";
        let Read::Whole(request, length) = Request::read(text) else { panic!("a request") };
        assert_eq!((request.uri.as_str(), request.args(), request.host()), ("/a b/d", "x=1", "A.example"));
        assert_eq!((request.body.as_slice(), length), (b"abc".as_slice(), text.len() - 3));
        assert!(request.keeps_alive());
        assert_eq!(Request::read(&text[..40]), Read::Partial);
        for wrong in [
            "FOO\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /../a HTTP/1.0\r\n\r\n",
        ] {
            assert!(matches!(Request::read(wrong.as_bytes()), Read::Refused(400, _)), "{wrong}");
        }
    }

    /// Recorded from nginx 1.22.1.
    #[test]
    fn pages_as_long_as_nginx_writes_them() {
        for (status, length) in [(301, 169), (400, 157), (404, 153), (502, 157), (503, 197), (504, 167)] {
            assert_eq!(page(status).len(), length, "{status}");
        }
        assert_eq!(escape("/a b/ü"), "/a%20b/%C3%BC");
    }
}
