//! HTTP responses: status line, headers, and body by length, in chunks, or up to the end.

/// Maximum number of headers.
const MAX_HEADERS: usize = 128;

/// How the end of the body is determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    ToTheEnd,
}

/// A partly received response.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Status code; 0 before it is received.
    pub status: u16,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor: u8,
    /// The received head, with the empty line.
    pub head: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
    /// Received bytes of the body, with chunk headers.
    pub body_wire: u64,
    /// Headers in order.
    headers: Vec<(String, String)>,
    raw: Vec<u8>,
    framing: Option<Framing>,
    complete: bool,
}

/// Result of [`Response::feed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Incomplete.
    More,
    /// Complete.
    Complete,
    /// Not HTTP/1.
    NotHttp,
    /// Malformed chunk.
    BadChunk,
}

impl Response {
    /// The head is complete.
    pub fn has_head(&self) -> bool {
        self.framing.is_some()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    }

    /// `Content-Length`.
    pub fn length(&self) -> Option<u64> {
        match self.framing {
            Some(Framing::Length(length)) => Some(length),
            _ => None,
        }
    }

    /// The connection is kept alive.
    pub fn keeps_alive(&self) -> bool {
        let close = self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.minor == 1 && !close && self.framing != Some(Framing::ToTheEnd)
    }

    /// HTTP/1.1 response whose body ends with the connection.
    pub fn has_no_end(&self) -> bool {
        self.minor == 1 && self.framing == Some(Framing::ToTheEnd)
    }

    /// Adds received bytes; `bodyless` for responses to HEAD.
    pub fn feed(&mut self, bytes: &[u8], bodyless: bool) -> Progress {
        self.raw.extend_from_slice(bytes);
        if self.framing.is_none() {
            match self.read_head() {
                Ok(true) => self.choose_framing(bodyless),
                Ok(false) => return Progress::More,
                Err(_) => return Progress::NotHttp,
            }
        }
        self.read_body()
    }

    /// Parses the head once it is complete.
    fn read_head(&mut self) -> Result<bool, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(end) = parsed.parse(&self.raw)? else { return Ok(false) };
        (self.minor, self.status) = (parsed.version.unwrap_or(0), parsed.code.unwrap_or(0));
        let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
        self.headers =
            parsed.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
        self.head = self.raw.drain(..end).collect();
        Ok(true)
    }

    fn choose_framing(&mut self, bodyless: bool) {
        let chunked = self.header("Transfer-Encoding").is_some_and(|value| value.contains("chunked"));
        let length = self.header("Content-Length").and_then(|value| value.parse().ok());
        let none = bodyless || matches!(self.status, 204 | 304);
        self.framing = Some(match length {
            _ if none => Framing::Length(0),
            _ if chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::ToTheEnd,
        });
    }

    fn read_body(&mut self) -> Progress {
        match self.framing {
            Some(Framing::Length(length)) => {
                let missing = length.saturating_sub(self.body.len() as u64) as usize;
                let taken = missing.min(self.raw.len());
                self.body_wire += taken as u64;
                self.body.extend(self.raw.drain(..taken));
                self.complete = self.body.len() as u64 >= length;
            }
            Some(Framing::ToTheEnd) => {
                self.body_wire += self.raw.len() as u64;
                self.body.append(&mut self.raw);
            }
            Some(Framing::Chunked) => return self.read_chunks(),
            None => {}
        }
        if self.complete { Progress::Complete } else { Progress::More }
    }

    fn read_chunks(&mut self) -> Progress {
        loop {
            let (start, size) = match httparse::parse_chunk_size(&self.raw) {
                Ok(httparse::Status::Complete((start, size))) if u32::try_from(size).is_ok() => {
                    (start, size as usize)
                }
                Ok(httparse::Status::Partial) => return Progress::More,
                _ => return Progress::BadChunk,
            };
            let whole = start + size + 2;
            if self.raw.len() < whole {
                return Progress::More;
            }
            self.body_wire += whole as u64;
            let chunk: Vec<u8> = self.raw.drain(..whole).collect();
            self.body.extend_from_slice(&chunk[start..start + size]);
            if size == 0 {
                self.complete = true;
                return Progress::Complete;
            }
        }
    }

    /// Number of missing bytes after the connection ended; `None` if complete.
    pub fn missing(&self) -> Option<u64> {
        match self.framing {
            Some(Framing::Length(length)) => {
                Some(length - (self.body.len() as u64).min(length)).filter(|left| *left > 0)
            }
            Some(Framing::Chunked) if !self.complete => Some(0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_end_by_length_by_chunks_or_with_the_connection() {
        let mut response = Response::default();
        assert_eq!(response.feed(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\na", false), Progress::More);
        assert_eq!(response.missing(), Some(2));
        assert_eq!(response.feed(b"bcd", false), Progress::Complete);
        assert_eq!((response.body.as_slice(), response.status), (&b"abc"[..], 200));
        let mut response = Response::default();
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert_eq!(response.feed(chunked, false), Progress::Complete);
        assert_eq!((response.body.as_slice(), response.body_wire), (&b"abc"[..], 13));
        assert!(response.keeps_alive());
        let mut response = Response::default();
        assert_eq!(response.feed(b"HTTP/1.1 200 OK\r\n\r\nabc", false), Progress::More);
        assert!(response.missing().is_none() && response.has_no_end());
        assert_eq!(Response::default().feed(b"hello\r\n", false), Progress::NotHttp);
        assert_eq!(Response::default().feed(b"HTT", false), Progress::More);
    }
}
