//! Errors of the API server, with its words.

use thiserror::Error;

use crate::object::{Key, Kind};

/// A field that the API server refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Path of the field, such as `spec.ports[0].port`.
    pub field: String,
    /// What is wrong, with the value: `Invalid value: 70000: must be between 1 and 65535, inclusive`.
    pub detail: String,
}

impl Cause {
    /// A value that is not allowed, as it is written in JSON.
    pub fn invalid(
        field: impl Into<String>,
        value: impl serde::Serialize,
        why: impl std::fmt::Display,
    ) -> Cause {
        let value = serde_json::to_string(&value).unwrap_or_default();
        Cause { field: field.into(), detail: format!("Invalid value: {value}: {why}") }
    }

    /// A field that must be there.
    pub fn required(field: impl Into<String>, why: &str) -> Cause {
        let detail =
            if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Cause { field: field.into(), detail }
    }

    /// A field that may not be there.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Cause {
        Cause { field: field.into(), detail: format!("Forbidden: {why}") }
    }

    /// A value that is none of those that are known.
    pub fn unsupported(field: impl Into<String>, value: &str, known: &[&str]) -> Cause {
        let known: Vec<String> = known.iter().map(|known| format!("{known:?}")).collect();
        let detail = format!("Unsupported value: {value:?}: supported values: {}", known.join(", "));
        Cause { field: field.into(), detail }
    }

    /// A value that is there already.
    pub fn duplicate(field: impl Into<String>, value: impl serde::Serialize) -> Cause {
        let value = serde_json::to_string(&value).unwrap_or_default();
        Cause { field: field.into(), detail: format!("Duplicate value: {value}") }
    }
}

/// Why the API server did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApiError {
    /// No such object.
    #[error("{} {:?} not found", .0.kind.qualified_plural(), .0.name)]
    NotFound(Key),
    /// There is one of this name.
    #[error("{} {:?} already exists", .0.kind.qualified_plural(), .0.name)]
    AlreadyExists(Key),
    /// It changed since it was read.
    #[error(
        "Operation cannot be fulfilled on {} {:?}: the object has been modified; please apply your changes to the latest version \
         and try again", .0.kind.qualified_plural(), .0.name
    )]
    Conflict(Key),
    /// Fields are wrong.
    #[error("{} {name:?} is invalid: {}", kind_in_errors(*.kind), list(.causes))]
    Invalid {
        /// Of what kind it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// Each field, with what is wrong.
        causes: Vec<Cause>,
    },
    /// It cannot be read.
    #[error("{0}")]
    BadRequest(String),
    /// It is not allowed.
    #[error("{} {:?} is forbidden: {}", .0.kind.qualified_plural(), .0.name, .1)]
    Forbidden(Key, String),
}

fn kind_in_errors(kind: Kind) -> String {
    match kind.group() {
        "" => kind.name().to_owned(),
        group => format!("{}.{group}", kind.name()),
    }
}

fn list(causes: &[Cause]) -> String {
    let one = |cause: &Cause| format!("{}: {}", cause.field, cause.detail);
    match causes {
        [only] => one(only),
        several => format!("[{}]", several.iter().map(one).collect::<Vec<_>>().join(", ")),
    }
}

impl ApiError {
    /// Its reason, as `kubectl` puts it in brackets.
    pub fn reason(&self) -> &'static str {
        match self {
            ApiError::NotFound(_) => "NotFound",
            ApiError::AlreadyExists(_) => "AlreadyExists",
            ApiError::Conflict(_) => "Conflict",
            ApiError::Invalid { .. } => "Invalid",
            ApiError::BadRequest(_) => "BadRequest",
            ApiError::Forbidden(..) => "Forbidden",
        }
    }
}
