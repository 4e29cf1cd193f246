//! Names and labels (apimachinery's `validation`).

use std::collections::BTreeMap;

use crate::error::Cause;

fn is_label(text: &str, first: fn(char) -> bool) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.chars().all(inside) && text.starts_with(first) && !text.ends_with('-')
}

fn too_long(text: &str, most: usize) -> Option<String> {
    (text.len() > most).then(|| format!("must be no more than {most} characters"))
}

/// What is wrong with a label of the DNS (RFC 1123).
pub fn dns_1123_label(text: &str) -> Option<String> {
    let rule = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with \
                an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    let right = is_label(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit());
    too_long(text, 63).or_else(|| (!right).then(|| rule.to_owned()))
}

/// What is wrong with a label of the DNS that begins with a letter (RFC 1035).
pub fn dns_1035_label(text: &str) -> Option<String> {
    let rule = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and \
                end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
                '[a-z]([-a-z0-9]*[a-z0-9])?')";
    let right = is_label(text, |c| c.is_ascii_lowercase());
    too_long(text, 63).or_else(|| (!right).then(|| rule.to_owned()))
}

/// What is wrong with a name of the DNS (RFC 1123).
pub fn dns_1123_subdomain(text: &str) -> Option<String> {
    let rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end \
                with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    let right = text.split('.').all(|part| is_label(part, |c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    too_long(text, 253).or_else(|| (!right).then(|| rule.to_owned()))
}

/// What is wrong with a value of a label.
pub fn label_value(text: &str) -> Option<String> {
    let rule = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end \
                with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let ends = |c: char| c.is_ascii_alphanumeric();
    let right = text.is_empty() || text.chars().all(inside) && text.starts_with(ends) && text.ends_with(ends);
    too_long(text, 63).or_else(|| (!right).then(|| rule.to_owned()))
}

/// What is wrong with the name of a port (`IsValidPortName`).
pub fn port_name(name: &str) -> Option<String> {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() > 15 {
        return Some("must be no more than 15 characters".to_owned());
    }
    if !name.chars().all(inside) {
        let rule = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
        return Some(rule.to_owned());
    }
    (!name.chars().any(|c| c.is_ascii_lowercase()))
        .then(|| "must contain at least one letter (a-z)".to_owned())
}

/// What is wrong with a key of a label: a name, with or without a domain.
pub fn qualified_name(text: &str) -> Option<String> {
    let (domain, name) = text.split_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    let rule = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    if name.is_empty() {
        return Some("name part must be non-empty".to_owned());
    }
    if let Some(why) = domain.and_then(dns_1123_subdomain) {
        return Some(format!("prefix part {why}"));
    }
    too_long(name, 63)
        .map(|why| format!("name part {why}"))
        .or_else(|| label_value(name).map(|_| rule.to_owned()))
}

/// Labels with a wrong key or value.
pub fn labels(field: &str, labels: Option<&BTreeMap<String, String>>) -> Vec<Cause> {
    let wrong = |(key, value): (&String, &String)| {
        let key = qualified_name(key).map(|why| Cause::invalid(field, key, why));
        let value = label_value(value).map(|why| Cause::invalid(field, value, why));
        [key, value]
    };
    labels.into_iter().flatten().flat_map(wrong).flatten().collect()
}
