//! Errors of templates: where, what, an excerpt, and how execution got there.

use std::{fmt, sync::Arc};

use super::ast::Span;

/// The text of one template file, kept for excerpts.
#[derive(Debug)]
pub struct Source {
    pub(super) name: Box<str>,
    pub(super) text: Box<str>,
    /// The text comes from values (`tpl`), which may hold secrets: excerpts
    /// show no more of it than the failing part.
    pub(super) from_values: bool,
}

impl Source {
    /// Line and column of a byte offset, both from 1; columns count characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// A point in a template that execution passed on its way to the error.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub source: Arc<Source>,
    pub span: Span,
    pub what: String,
}

/// Whether the template is malformed or failed while it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The source is not a template.
    Parse,
    /// An action failed.
    Execute,
    /// The template itself refused, with `fail` or `required`.
    Refused,
}

/// A template could not be parsed or executed.
///
/// `Display` prints the place, the message, an excerpt with the failing part
/// marked, and the chain of templates that led there.
#[derive(Clone, Debug)]
pub struct TemplateError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    stage: Stage,
    message: String,
    at: Frame,
    chain: Vec<Frame>,
}

impl TemplateError {
    pub(super) fn new(stage: Stage, source: &Arc<Source>, span: Span, message: impl Into<String>) -> Self {
        let at = Frame { source: Arc::clone(source), span, what: String::new() };
        Self(Box::new(Inner { stage, message: message.into(), at, chain: Vec::new() }))
    }

    pub(super) fn within(mut self, frame: Frame) -> Self {
        self.0.chain.push(frame);
        self
    }

    /// What failed, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether parsing, executing or the template's own refusal failed.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// The file the error stands in, such as `redis/templates/deployment.yaml`.
    pub fn file(&self) -> &str {
        &self.0.at.source.name
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.0.at.source.position(self.0.at.span.start as usize).0
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> usize {
        self.0.at.source.position(self.0.at.span.start as usize).1
    }
}

impl std::error::Error for TemplateError {}

/// Chains longer than this are shown by their two ends.
const SHOWN_FRAMES: usize = 8;

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { at, message, chain, .. } = &*self.0;
        let (line, column) = at.source.position(at.span.start as usize);
        write!(f, "{}:{line}:{column}: {message}", at.source.name)?;
        write_excerpt(f, &at.source, at.span, line, column)?;
        for (index, frame) in chain.iter().enumerate() {
            let from_end = chain.len() - index;
            if index == SHOWN_FRAMES / 2 && chain.len() > SHOWN_FRAMES {
                write!(f, "\n  … {} more …", chain.len() - SHOWN_FRAMES)?;
            }
            if chain.len() > SHOWN_FRAMES && index >= SHOWN_FRAMES / 2 && from_end > SHOWN_FRAMES / 2 {
                continue;
            }
            let (line, column) = frame.source.position(frame.span.start as usize);
            write!(f, "\n  from {} at {}:{line}:{column}", frame.what, frame.source.name)?;
        }
        Ok(())
    }
}

/// The widest part of a line that an excerpt shows, in characters.
const EXCERPT_WIDTH: usize = 120;

fn write_excerpt(f: &mut fmt::Formatter<'_>, source: &Source, span: Span, line: usize, column: usize) -> fmt::Result {
    let failing = source.text.get(span.start as usize..span.end as usize).unwrap_or_default();
    let failing = failing.lines().next().unwrap_or_default();
    let (text, column) = match source.text.lines().nth(line - 1) {
        Some(_) if source.from_values => (failing, 1),
        Some(text) => (text, column),
        None => return Ok(()),
    };
    let marked = failing.chars().count().max(1);
    let skipped = column.saturating_sub(EXCERPT_WIDTH * 2 / 3);
    let shown: String =
        text.chars().skip(skipped).take(EXCERPT_WIDTH).map(|c| if c == '\t' { ' ' } else { c }).collect();
    let lead = column - 1 - skipped;
    let marked = marked.min(EXCERPT_WIDTH.saturating_sub(lead).max(1));
    let gutter = line.to_string();
    write!(f, "\n{:w$} |\n{gutter} | {shown}\n{:w$} | {:lead$}{}", "", "", "", "^".repeat(marked), w = gutter.len())
}
