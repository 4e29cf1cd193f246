//! Colours, which anstream takes away where they do not belong.

use anstyle::{AnsiColor, Style};

/// As expected.
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Not as expected.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is missing from the output.
pub(super) const LESS: Style = AnsiColor::Red.on_default();
/// What the output has in addition.
pub(super) const MORE: Style = AnsiColor::Green.on_default();
/// Where it is.
pub(super) const PLACE: Style = AnsiColor::Cyan.on_default();
/// A prompt.
pub(super) const PROMPT: Style = Style::new().bold();
