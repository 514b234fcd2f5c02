// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the user sees: data on standard output, messages on standard error.
//!
//! Owns colour and escaping. Never panics on a closed pipe.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

use crate::fault::{Fault, Result};

/// Standard output and standard error, and what they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    out_terminal: bool,
    err_terminal: bool,
    colour: bool,
}

/// How a piece of text is drawn on a terminal that takes colour.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Bold,
    Dim,
    Green,
    Red,
    Yellow,
}

impl Ui {
    /// Looks at what standard output and standard error are, and at `NO_COLOR`.
    pub(crate) fn detect() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            out_terminal: io::stdout().is_terminal(),
            err_terminal: io::stderr().is_terminal(),
            colour: !no_colour && !dumb,
        }
    }

    /// Writes one line of data to standard output.
    pub(crate) fn line(&self, text: impl AsRef<str>) -> Result<()> {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_ref().as_bytes()).and_then(|()| out.write_all(b"\n"));
        written.map_err(|error| Fault::stdout(&error))
    }

    /// Writes bytes of data to standard output and flushes them.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Fault::stdout(&error))
    }

    /// Writes a value as indented JSON to standard output.
    pub(crate) fn json(&self, value: &impl serde::Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|_| Fault::new("the report cannot be written as JSON"))?;
        self.line(text)
    }

    /// Tells something on standard error. A message that cannot be shown is no reason to stop.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }

    /// Warns on standard error.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        self.labelled("warning", Style::Yellow, text.as_ref());
    }

    /// Says why a verb could not run, and the remedy.
    pub(crate) fn fault(&self, fault: &Fault) {
        self.labelled("error", Style::Red, &escape(fault.message()));
        if let Some(remedy) = fault.remedy() {
            self.labelled("help", Style::Green, &escape(remedy));
        }
    }

    /// Whether somebody watches standard error: the place for progress.
    pub(crate) const fn is_watched(&self) -> bool {
        self.err_terminal
    }

    /// Whether standard output is a terminal.
    pub(crate) const fn is_shown(&self) -> bool {
        self.out_terminal
    }

    /// Draws text for standard output.
    pub(crate) fn paint<'a>(&self, style: Style, text: &'a str) -> Cow<'a, str> {
        if self.out_terminal { self.draw(style, text) } else { Cow::Borrowed(text) }
    }

    /// Text of others for standard output: on a terminal, control and bidirectional characters are escaped.
    pub(crate) fn foreign<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.out_terminal { escape(text) } else { Cow::Borrowed(text) }
    }

    fn labelled(&self, label: &str, style: Style, text: &str) {
        let label = if self.err_terminal { self.draw(style, label) } else { Cow::Borrowed(label) };
        self.note(format!("{label}: {text}"));
    }

    fn draw<'a>(&self, style: Style, text: &'a str) -> Cow<'a, str> {
        if !self.colour {
            return Cow::Borrowed(text);
        }
        let code = match style {
            Style::Bold => 1,
            Style::Dim => 2,
            Style::Red => 31,
            Style::Green => 32,
            Style::Yellow => 33,
        };
        Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m"))
    }
}

/// Replaces what moves a cursor or turns the direction of text by its code point: `\u{202e}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Control characters, and the marks, embeddings, overrides and isolates of UAX 9.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(escape("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(escape("a\u{202e}b\u{2067}c\nd"), "a\\u{202e}b\\u{2067}c\\u{a}d");
        assert!(matches!(escape("عائشہ Ayesha"), Cow::Borrowed(_)));
    }
}
