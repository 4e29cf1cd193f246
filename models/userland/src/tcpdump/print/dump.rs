//! Bytes in hex and ASCII.

use super::Dump;
use super::bytes::Bytes;

/// Appends the dump that the options ask for.
pub fn packet(out: &mut String, dump: Dump, p: Bytes, header: usize) {
    let part = |with_link: bool| if with_link { p.0 } else { p.from(header).0 };
    match dump {
        Dump::None => {}
        Dump::Hex(link) => hex(out, "\n\t", part(link)),
        Dump::HexAscii(link) => hex_and_ascii(out, part(link)),
        Dump::Ascii(link) => {
            let bytes = part(link);
            if !bytes.is_empty() {
                ascii(out, bytes);
            }
        }
    }
}

/// Rows of sixteen bytes in hex, each after `indent`.
pub fn hex(out: &mut String, indent: &str, bytes: &[u8]) {
    for (row, line) in bytes.chunks(16).enumerate() {
        out.push_str(&format!("{indent}0x{:04x}: {}", row * 16, digits(line)));
    }
}

/// Rows of sixteen bytes: offset, hex in pairs, and the printable characters.
pub fn hex_and_ascii(out: &mut String, bytes: &[u8]) {
    for (row, line) in bytes.chunks(16).enumerate() {
        let text: String = line.iter().map(|byte| graphic(*byte)).collect();
        out.push_str(&format!("\n\t0x{:04x}: {:<40}  {text}", row * 16, digits(line)));
    }
}

fn digits(line: &[u8]) -> String {
    let mut text = String::new();
    for pair in line.chunks(2) {
        text.push(' ');
        for byte in pair {
            text.push_str(&format!("{byte:02x}"));
        }
    }
    text
}

fn graphic(byte: u8) -> char {
    if byte.is_ascii_graphic() { char::from(byte) } else { '.' }
}

fn ascii(out: &mut String, bytes: &[u8]) {
    out.push('\n');
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' => {
                let left = bytes.len() - at - 1;
                if left > 1 && bytes[at + 1] != b'\n' {
                    out.push('.');
                }
            }
            b'\t' | b' ' | b'\n' => out.push(char::from(*byte)),
            other => out.push(graphic(*other)),
        }
    }
}
