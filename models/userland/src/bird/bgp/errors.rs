//! What NOTIFICATIONs say.

/// Texts by code and subcode.
const TEXTS: &[(u8, u8, &str)] = &[
    (1, 0, "Invalid message header"),
    (1, 1, "Connection not synchronized"),
    (1, 2, "Bad message length"),
    (1, 3, "Bad message type"),
    (2, 0, "Invalid OPEN message"),
    (2, 1, "Unsupported version number"),
    (2, 2, "Bad peer AS"),
    (2, 3, "Bad BGP identifier"),
    (2, 4, "Unsupported optional parameter"),
    (2, 5, "Authentication failure"),
    (2, 6, "Unacceptable hold time"),
    (2, 7, "Required capability missing"),
    (2, 8, "No supported AFI/SAFI"),
    (3, 0, "Invalid UPDATE message"),
    (3, 1, "Malformed attribute list"),
    (3, 2, "Unrecognized well-known attribute"),
    (3, 3, "Missing mandatory attribute"),
    (3, 4, "Invalid attribute flags"),
    (3, 5, "Invalid attribute length"),
    (3, 6, "Invalid ORIGIN attribute"),
    (3, 7, "AS routing loop"),
    (3, 8, "Invalid NEXT_HOP attribute"),
    (3, 9, "Optional attribute error"),
    (3, 10, "Invalid network field"),
    (3, 11, "Malformed AS_PATH"),
    (4, 0, "Hold timer expired"),
    (5, 0, "Finite state machine error"),
    (5, 1, "Unexpected message in OpenSent state"),
    (5, 2, "Unexpected message in OpenConfirm state"),
    (5, 3, "Unexpected message in Established state"),
    (6, 0, "Cease"),
    (6, 1, "Maximum number of prefixes reached"),
    (6, 2, "Administrative shutdown"),
    (6, 3, "Peer de-configured"),
    (6, 4, "Administrative reset"),
    (6, 5, "Connection rejected"),
    (6, 6, "Other configuration change"),
    (6, 7, "Connection collision resolution"),
    (6, 8, "Out of Resources"),
    (7, 0, "Invalid ROUTE-REFRESH message"),
    (7, 1, "Invalid ROUTE-REFRESH message length"),
];

/// The text of a NOTIFICATION.
pub fn text(code: u8, subcode: u8) -> String {
    let known = TEXTS.iter().find(|(known, sub, _)| (*known, *sub) == (code, subcode));
    known.map_or_else(|| format!("Unknown error {code}.{subcode}"), |(.., text)| (*text).to_owned())
}

/// The data of a NOTIFICATION as it is logged: the AS that is wrong, a message of the operator, or hexadecimal.
pub fn data_text(code: u8, subcode: u8, data: &[u8]) -> String {
    match (code, subcode, data) {
        (_, _, []) => String::new(),
        (2, 2, [a, b]) => format!(": {}", u16::from_be_bytes([*a, *b])),
        (2, 2, [a, b, c, d]) => format!(": {}", u32::from_be_bytes([*a, *b, *c, *d])),
        (6, 2 | 4, [length, text @ ..]) if usize::from(*length) == text.len() => {
            format!(": \"{}\"", String::from_utf8_lossy(text))
        }
        _ => {
            let shown = &data[..data.len().min(16)];
            format!(": {}", shown.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
    }
}
