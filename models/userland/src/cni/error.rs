//! Errors as plugins print them (CNI specification, "Error").

use glassnet_kernel::netlink::NlError;
use serde::{Deserialize, Serialize};

use super::json;

/// Versions do not fit.
pub(super) const INCOMPATIBLE_VERSION: u32 = 1;
/// The environment is not as it must be.
pub(super) const INVALID_ENVIRONMENT: u32 = 4;
/// What was read cannot be decoded.
pub(super) const DECODING_FAILURE: u32 = 6;
/// The configuration is wrong.
pub(super) const INVALID_NETWORK_CONFIG: u32 = 7;
/// What a plugin has no code for.
const INTERNAL: u32 = 999;

/// An error with its code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Error {
    pub code: u32,
    pub msg: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub details: String,
    /// The real plugin crashes here: what it says first.
    #[serde(skip)]
    pub panic: Option<&'static str>,
}

/// Result of a step of a plugin.
pub(super) type Done<T = ()> = Result<T, Error>;

impl Error {
    pub(super) fn new(code: u32, msg: impl Into<String>) -> Error {
        Error { code, msg: msg.into(), ..Error::default() }
    }

    /// With what is wrong, word for word.
    pub(super) fn with(code: u32, msg: impl Into<String>, details: impl Into<String>) -> Error {
        Error { details: details.into(), ..Error::new(code, msg) }
    }

    /// A crash of the real plugin.
    pub(super) fn panic(says: &'static str) -> Error {
        Error { panic: Some(says), ..Error::default() }
    }

    /// As text in another error.
    pub(super) fn text(&self) -> String {
        match self.details.as_str() {
            "" => self.msg.clone(),
            details => format!("{}; {details}", self.msg),
        }
    }

    /// As a plugin prints it.
    pub(super) fn json(&self) -> String {
        json::print(self, "    ")
    }
}

impl From<String> for Error {
    fn from(msg: String) -> Error {
        Error::new(INTERNAL, msg)
    }
}

impl From<&str> for Error {
    fn from(msg: &str) -> Error {
        Error::new(INTERNAL, msg)
    }
}

/// A refusal of the kernel as Go says it: the number's text alone, in small letters.
pub(super) fn refusal(error: impl Into<NlError>) -> String {
    let error = error.into();
    match error.not_modelled {
        Some(what) => format!("not modelled yet: {what}"),
        None => error.errno.strerror().to_lowercase(),
    }
}

/// A text in quotes, as Go's `%q`.
pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}
