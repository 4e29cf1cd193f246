//! Text protocols.

use super::Nd;
use super::bytes::{Bytes, Print, Truncated};

const HTTP_METHODS: [&str; 38] = [
    "GET",
    "PUT",
    "COPY",
    "HEAD",
    "LOCK",
    "MOVE",
    "POLL",
    "POST",
    "BCOPY",
    "BMOVE",
    "MKCOL",
    "TRACE",
    "LABEL",
    "MERGE",
    "DELETE",
    "SEARCH",
    "UNLOCK",
    "REPORT",
    "UPDATE",
    "NOTIFY",
    "BDELETE",
    "CONNECT",
    "OPTIONS",
    "CHECKIN",
    "PROPFIND",
    "CHECKOUT",
    "CCM_POST",
    "SUBSCRIBE",
    "PROPPATCH",
    "BPROPFIND",
    "BPROPPATCH",
    "UNCHECKOUT",
    "MKACTIVITY",
    "MKWORKSPACE",
    "UNSUBSCRIBE",
    "RPC_CONNECT",
    "VERSION-CONTROL",
    "BASELINE-CONTROL",
];

/// Prints the first line of an HTTP request or response, with `-v` all of its header lines.
pub fn http(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "http";
    nd.put("HTTP");
    let starts = {
        let head = &p.0[..p.len().min(length)];
        let mut words = head.split(|byte| byte.is_ascii_whitespace()).map(String::from_utf8_lossy);
        let first = words.next().unwrap_or_default();
        let method = HTTP_METHODS.iter().any(|method| method.eq_ignore_ascii_case(&first));
        let code = words.find(|word| !word.is_empty()).unwrap_or_default();
        method || (!first.is_empty() && code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if !starts {
        return Ok(());
    }
    if nd.options.verbose == 0 {
        line(nd, ": ", p, 0, length)?;
        return Ok(());
    }
    nd.put(&format!(", length: {length}"));
    let mut at = 0;
    while at < length {
        match line(nd, "\n\t", p, at, length)? {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(())
}

/// Prints the line at `at`; returns the offset of the next one, if this was a terminated line of text.
fn line(nd: &mut Nd, prefix: &str, p: Bytes, at: usize, length: usize) -> Result<Option<usize>, Truncated> {
    let mut end = at;
    let next = loop {
        if end >= length {
            break None;
        }
        match p.u8(end)? {
            b'\n' => break Some(end + 1),
            b'\r' if end + 1 < length && p.u8(end + 1)? == b'\n' => break Some(end + 2),
            b'\t' | b' '..=b'~' => end += 1,
            _ => return Ok(None),
        }
    };
    let text = String::from_utf8_lossy(p.take(at, end - at)?).into_owned();
    nd.put(&format!("{prefix}{text}"));
    if next.is_none() {
        nd.truncated();
    }
    Ok(next)
}

/// A byte as `cat -v` shows it.
pub fn visible(byte: u8) -> String {
    let low = byte & 0x7f;
    let text = match low {
        0..0x20 => format!("^{}", char::from(low ^ 0x40)),
        0x7f => "^?".to_owned(),
        _ => char::from(low).to_string(),
    };
    if byte >= 0x80 { format!("M-{text}") } else { text }
}
