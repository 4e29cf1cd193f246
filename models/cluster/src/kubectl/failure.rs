//! How `kubectl` says what went wrong (`cmd/util/helpers.go`, `checkErr`). Its exit status is then 1.

use glassnet_userland::stop::Stop;

use crate::error::ApiError;

/// Why a command ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Failure {
    /// The API server refuses; the text says what it was asked for, such as `error when creating "web.yaml": `.
    Server(ApiError, String),
    /// `kubectl` itself refuses.
    Own(String),
    /// Several, each said on its own line.
    Several(Vec<Failure>),
    /// A text for standard error, as it is, and the exit status.
    Said(String, i32),
}

/// Result of a step of a command.
pub(super) type Done<T = ()> = Result<T, Failure>;

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure::Server(error, String::new())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        match failure {
            Failure::Said(text, status) => Stop::error(status, text),
            other => {
                let mut text = other.text();
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                Stop::error(1, text)
            }
        }
    }
}

impl Failure {
    /// `kubectl` itself refuses.
    pub(super) fn own(text: impl Into<String>) -> Failure {
        Failure::Own(text.into())
    }

    /// A wrong command line.
    pub(super) fn usage(command: &str, text: impl std::fmt::Display) -> Failure {
        Failure::Own(format!("{text}\nSee 'kubectl {command} -h' for help and examples"))
    }

    /// A real part of `kubectl` that is not modelled.
    pub(super) fn unmodelled(what: &str) -> Failure {
        Failure::Said(format!("not modelled yet: kubectl {what}\n"), 2)
    }

    /// It happened while a document was handled: `creating`, `"web.yaml"`.
    pub(super) fn about(error: ApiError, verb: &str, source: &str) -> Failure {
        match source {
            "" => error.into(),
            source => Failure::Server(error, format!("error when {verb} {source:?}: ")),
        }
    }

    /// All of these; success if there is none.
    pub(super) fn all(mut failures: Vec<Failure>) -> Done {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Failure::Several(failures)),
        }
    }

    /// As it is said alone.
    fn text(&self) -> String {
        match self {
            Failure::Server(ApiError::Invalid { name, causes, kind }, _) => {
                let mut lines: Vec<String> = Vec::new();
                for cause in causes {
                    let line = format!("{}: {}", cause.field, cause.detail);
                    if !lines.contains(&line) {
                        lines.push(line);
                    }
                }
                let head = format!("The {} {name:?} is invalid: ", kind.name());
                match lines.as_slice() {
                    [only] => format!("{head}{only}"),
                    several => {
                        let listed: String = several.iter().map(|line| format!("* {line}\n")).collect();
                        format!("{head}\n{listed}")
                    }
                }
            }
            Failure::Own(text) if !text.starts_with("error: ") => format!("error: {text}"),
            Failure::Several(failures) => {
                let mut all: Vec<&Failure> = Vec::new();
                flatten(failures, &mut all);
                all.iter().map(|failure| format!("{}\n", failure.line())).collect()
            }
            other => other.line(),
        }
    }

    /// As it is said beside others.
    fn line(&self) -> String {
        match self {
            Failure::Server(error, doing) => {
                format!("Error from server ({}): {doing}{error}", error.reason())
            }
            Failure::Own(text) | Failure::Said(text, _) => text.trim_end_matches('\n').to_owned(),
            Failure::Several(_) => self.text(),
        }
    }
}

fn flatten<'a>(failures: &'a [Failure], all: &mut Vec<&'a Failure>) {
    for failure in failures {
        match failure {
            Failure::Several(inside) => flatten(inside, all),
            other => all.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Cause;
    use crate::object::{Key, Kind};

    fn said(failure: Failure) -> String {
        Stop::from(failure).stderr
    }

    #[test]
    fn errors_of_the_server_are_worded_as_check_err_does() {
        let missing = ApiError::NotFound(Key::new(Kind::Deployment, "default", "web"));
        assert_eq!(
            said(missing.clone().into()),
            "Error from server (NotFound): deployments.apps \"web\" not found\n"
        );
        assert_eq!(
            said(Failure::about(missing, "creating", "a.yaml")),
            "Error from server (NotFound): error when creating \"a.yaml\": deployments.apps \"web\" not found\n"
        );
        let cause = |at: u32| Cause::required(format!("spec.ports[{at}].name"), "");
        let invalid = |causes| ApiError::Invalid { kind: Kind::Service, name: "web".to_owned(), causes };
        assert_eq!(
            said(Failure::about(invalid(vec![cause(0)]), "creating", "a.yaml")),
            "The Service \"web\" is invalid: spec.ports[0].name: Required value\n"
        );
        assert_eq!(
            said(invalid(vec![cause(0), cause(1)]).into()),
            "The Service \"web\" is invalid: \n* spec.ports[0].name: Required value\n* spec.ports[1].name: Required value\n"
        );
    }

    #[test]
    fn of_several_each_has_a_line() {
        let several = Failure::Several(vec![Failure::own("no"), Failure::own("neither")]);
        assert_eq!(said(several), "no\nneither\n");
        assert_eq!(said(Failure::own("no")), "error: no\n");
    }
}
