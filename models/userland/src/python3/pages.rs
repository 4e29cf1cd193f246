//! Pages of CPython 3.11's HTTP server: headers, errors, directory listings.

use chrono::{DateTime, Utc};

use crate::process::BOOT_TIME;

/// Status, phrase and explanation.
const RESPONSES: [(u16, &str, &str); 5] = [
    (200, "OK", "Request fulfilled, document follows"),
    (301, "Moved Permanently", "Object moved permanently -- see URI list"),
    (400, "Bad Request", "Bad request syntax or unsupported method"),
    (404, "Not Found", "Nothing matches the given URI"),
    (501, "Not Implemented", "Server does not support this operation"),
];

/// The phrase of a status.
pub fn phrase(status: u16) -> &'static str {
    RESPONSES.iter().find(|row| row.0 == status).map_or("", |row| row.1)
}

/// A time in seconds since 1970 as HTTP writes it.
pub fn http_date(seconds: u64) -> String {
    time(seconds).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A time in seconds since 1970 as the server logs it.
pub fn log_date(seconds: u64) -> String {
    time(seconds).format("%d/%b/%Y %H:%M:%S").to_string()
}

fn time(seconds: u64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds as i64, 0).unwrap_or_default()
}

/// Status line and common headers.
pub fn head(status: u16, message: &str, now: u64) -> String {
    let date = http_date(now);
    format!("HTTP/1.0 {status} {message}\r\nServer: SimpleHTTP/0.6 Python/3.11.2\r\nDate: {date}\r\n")
}

/// The page of an error.
pub fn error_page(status: u16, message: &str) -> String {
    let explain = RESPONSES.iter().find(|row| row.0 == status).map_or("", |row| row.2);
    let message = escape(message);
    format!(
        "<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n        \
         <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        \
         <p>Error code: {status}</p>\n        <p>Message: {message}.</p>\n        \
         <p>Error code explanation: {status} - {explain}.</p>\n    </body>\n</html>\n"
    )
}

/// `html.escape(text, quote=False)`.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `urllib.parse.quote`.
fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~/".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted += &format!("%{byte:02X}");
        }
    }
    quoted
}

/// The page that lists a directory: names, and whether each is a directory.
pub fn listing(path: &str, mut entries: Vec<(String, bool)>) -> String {
    entries.sort_by_key(|entry| entry.0.to_lowercase());
    let title = format!("Directory listing for {}", escape(path));
    let mut page = format!(
        "<!DOCTYPE HTML>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n</head>\n\
         <body>\n<h1>{title}</h1>\n<hr>\n<ul>\n"
    );
    for (name, is_dir) in entries {
        let shown = if is_dir { format!("{name}/") } else { name };
        page += &format!("<li><a href=\"{}\">{}</a></li>\n", quote(&shown), escape(&shown));
    }
    page + "</ul>\n<hr>\n</body>\n</html>\n"
}

/// The content type of a file by its name.
pub fn guess_type(path: &str) -> &'static str {
    const TYPES: [(&str, &str); 22] = [
        ("html", "text/html"),
        ("htm", "text/html"),
        ("txt", "text/plain"),
        ("md", "text/markdown"),
        ("css", "text/css"),
        ("csv", "text/csv"),
        ("js", "application/javascript"),
        ("json", "application/json"),
        ("xml", "text/xml"),
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("gif", "image/gif"),
        ("svg", "image/svg+xml"),
        ("ico", "image/vnd.microsoft.icon"),
        ("pdf", "application/pdf"),
        ("py", "text/x-python"),
        ("sh", "application/x-sh"),
        ("c", "text/plain"),
        ("tar", "application/x-tar"),
        ("zip", "application/zip"),
        ("gz", "application/gzip"),
    ];
    let name = path.rsplit('/').next().unwrap_or("");
    let ending = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, ending)| ending);
    let known = |ending: &str| TYPES.iter().find(|row| row.0.eq_ignore_ascii_case(ending)).map(|row| row.1);
    ending.and_then(known).unwrap_or("application/octet-stream")
}

/// Modification time of all files: the machine's boot, in seconds since 1970.
pub const FILE_TIME: u64 = BOOT_TIME;

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from CPython 3.11.2.
    #[test]
    fn pages_as_cpython_writes_them() {
        let entries = [("b c&d.txt", false), ("dir", true), ("A.txt", false)];
        let entries = entries.map(|(name, is_dir)| (name.to_owned(), is_dir)).to_vec();
        let page = listing("/sub/", entries);
        assert!(page.contains("<title>Directory listing for /sub/</title>"));
        let items = "<ul>\n<li><a href=\"A.txt\">A.txt</a></li>\n\
                     <li><a href=\"b%20c%26d.txt\">b c&amp;d.txt</a></li>\n\
                     <li><a href=\"dir/\">dir/</a></li>\n</ul>\n<hr>\n</body>\n</html>\n";
        assert!(page.ends_with(items), "{page}");
        assert_eq!(error_page(404, "File not found").len(), 335);
        assert_eq!(error_page(501, "Unsupported method ('PUT')").len(), 356);
    }

    #[test]
    fn dates_and_types() {
        assert_eq!(http_date(1_700_000_000), "Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(log_date(1_700_000_000), "14/Nov/2023 22:13:20");
        assert_eq!(guess_type("/a/b.HTML"), "text/html");
        assert_eq!(guess_type("/a/.txt"), "application/octet-stream");
    }
}
