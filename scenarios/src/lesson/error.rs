//! Errors with file, line and underlined text.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

/// An error in a lesson.
#[derive(Debug, Error, Diagnostic)]
#[error("{message}")]
pub struct LessonError {
    /// Message, one line.
    pub message: String,
    #[source_code]
    source_code: Arc<NamedSource<String>>,
    #[label("{label}")]
    span: SourceSpan,
    label: String,
    #[help]
    help: Option<String>,
    /// The line, from 1.
    pub line: usize,
}

impl LessonError {
    /// The underlined text.
    pub fn underlined(&self) -> &str {
        let text = self.source_code.inner();
        text.get(self.span.offset()..self.span.offset() + self.span.len()).unwrap_or("")
    }
}

/// The text being parsed, for errors.
pub struct Reader<'a> {
    pub path: &'a Path,
    pub source: &'a str,
    /// Where its lines begin, so that a line is found without reading the text again.
    starts: Vec<usize>,
}

impl<'a> Reader<'a> {
    pub fn new(path: &'a Path, source: &'a str) -> Reader<'a> {
        let ends = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Reader { path, source, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// An error about a range of the text.
    pub fn error(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> LessonError {
        let start = floor_char(self.source, span.start);
        let end = floor_char(self.source, span.end).max(start);
        LessonError {
            message: message.into(),
            source_code: Arc::new(NamedSource::new(self.path.display().to_string(), self.source.to_string())),
            span: (start..end).into(),
            label: label.into(),
            help: None,
            line: self.line_of(start),
        }
    }

    /// An error about a range of the text, with help.
    pub fn error_with_help(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) -> LessonError {
        LessonError { help: Some(help.into()), ..self.error(span, message, label) }
    }

    /// The line of an offset, from 1.
    pub fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset.min(self.source.len()))
    }

    /// The first line of the text, for errors about missing parts.
    pub fn first_line(&self) -> Range<usize> {
        0..self.source.lines().next().map_or(0, str::len)
    }
}

fn floor_char(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
