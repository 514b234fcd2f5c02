// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far a long run is: a bar for whoever watches, a line now and then for a log.
//!
//! Owns the drawing. Never says more than numbers.

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::text::grouped;
use crate::ui::Ui;

/// How often a bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);
/// How often a log gets a line.
const LOG: Duration = Duration::from_secs(5);
const BAR_CHARS: u64 = 24;

/// Progress of a run on standard error.
pub(crate) struct Progress<'a> {
    ui: &'a Ui,
    verb: &'static str,
    form: Form,
    total: Option<u64>,
    /// Steps that were done before this run began.
    first: u64,
    started: Instant,
    drawn: Instant,
    on_screen: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Bar,
    Lines,
    Silent,
}

impl<'a> Progress<'a> {
    /// Begins a run of so many steps, if that is known.
    pub(crate) fn new(ui: &'a Ui, verb: &'static str, quiet: bool, total: Option<u64>) -> Self {
        let form = match (quiet, ui.is_watched()) {
            (true, _) => Form::Silent,
            (false, true) => Form::Bar,
            (false, false) => Form::Lines,
        };
        let now = Instant::now();
        Self {
            ui,
            verb,
            form,
            total: total.filter(|total| *total > 0),
            first: 0,
            started: now,
            drawn: now,
            on_screen: false,
        }
    }

    /// Counts the time of earlier runs that this one goes on with.
    pub(crate) fn began_earlier(&mut self, earlier: Duration) {
        self.started = self.started.checked_sub(earlier).unwrap_or(self.started);
    }

    /// Begins, after so many steps that were done before.
    pub(crate) fn begin_at(&mut self, steps: u64) {
        (self.first, self.started) = (steps, Instant::now());
    }

    /// Tells that so many rows are done, which are so many steps.
    pub(crate) fn tell(&mut self, rows: u64, steps: u64) {
        let pause = if self.form == Form::Bar { REDRAW } else { LOG };
        if self.form == Form::Silent || self.drawn.elapsed() < pause {
            return;
        }
        self.drawn = Instant::now();
        let (span, elapsed) = (self.total.map(|total| (self.first, steps, total)), self.started.elapsed());
        let line = line(self.verb, rows, span, elapsed, self.form == Form::Bar);
        if self.form == Form::Lines {
            self.ui.note(line);
            return;
        }
        self.on_screen = true;
        // A bar that cannot be drawn is no reason to stop.
        let _ = write!(std::io::stderr().lock(), "\r\u{1b}[K{line}");
    }

    /// Takes the bar away; gives how long the run took.
    pub(crate) fn finish(&mut self) -> Duration {
        if std::mem::take(&mut self.on_screen) {
            let _ = write!(std::io::stderr().lock(), "\r\u{1b}[K");
        }
        self.started.elapsed()
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A span is the first step, how many are done, and how many there are.
fn line(verb: &str, rows: u64, span: Option<(u64, u64, u64)>, elapsed: Duration, bar: bool) -> String {
    let rate = per_second(rows, elapsed);
    let rows = format!("{} rows, {} rows/s", grouped(rows), grouped(rate));
    let Some((first, steps, total)) = span else { return format!("{verb}: {rows}") };
    let done = steps.min(total);
    let filled = usize::try_from(done * BAR_CHARS / total).unwrap_or_default();
    let drawn = if bar {
        let empty = usize::try_from(BAR_CHARS).unwrap_or_default().saturating_sub(filled);
        format!("[{}{}] ", "#".repeat(filled), "-".repeat(empty))
    } else {
        String::new()
    };
    let left = elapsed.as_millis() * u128::from(total - done) / u128::from(done.saturating_sub(first).max(1));
    let left = u64::try_from(left / 1_000).unwrap_or(u64::MAX);
    format!("{verb}: {drawn}{} %, {rows}, {} left", done * 100 / total, time(left))
}

pub(crate) fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// Whole number of things a second.
pub(crate) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000 / elapsed.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_share_rate_and_time_left() {
        let elapsed = Duration::from_secs(10);
        assert_eq!(
            line("protect", 500, Some((0, 25, 100)), elapsed, false),
            "protect: 25 %, 500 rows, 50 rows/s, 30 s left"
        );
        assert_eq!(
            line("protect", 500, Some((0, 300, 100)), elapsed, true),
            format!("protect: [{}] 100 %, 500 rows, 50 rows/s, 0 s left", "#".repeat(24))
        );
        assert_eq!(line("reveal", 7, None, elapsed, true), "reveal: 7 rows, 0 rows/s");
        assert_eq!(
            line("rotate", 500, Some((50, 75, 100)), elapsed, false),
            "rotate: 75 %, 500 rows, 50 rows/s, 10 s left",
            "what was done before says nothing of the rate"
        );
        assert_eq!((time(61), time(7_260)), ("1 min 1 s".to_owned(), "2 h 1 min".to_owned()));
    }
}
