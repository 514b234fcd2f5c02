// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run over a table has done, for people and for programs.
//!
//! Owns the words of the summary and the members of `--json`. Never holds a value or a record id.

use std::path::Path;
use std::time::Duration;

use amanat::KeyId;
use amanat_stores::Tally;
use serde::Serialize;

use crate::fault::Outcome;
use crate::progress::per_second;
use crate::text::{count, grouped};

/// A run and what surrounds it.
pub(crate) struct Report<'a> {
    pub(crate) verb: &'static str,
    pub(crate) table: &'a str,
    pub(crate) dry_run: bool,
    pub(crate) primary: KeyId,
    pub(crate) tally: &'a Tally,
    pub(crate) elapsed: Duration,
    /// Where the rows went; `None` for standard output and in a dry run.
    pub(crate) output: Option<&'a Path>,
    /// Whether refused rows stay where they are, as in a database.
    pub(crate) in_place: bool,
    pub(crate) exceptions: Option<&'a Path>,
    pub(crate) warnings: &'a [String],
}

#[derive(Serialize)]
struct JsonReport<'a> {
    verb: &'static str,
    table: &'a str,
    dry_run: bool,
    primary_key: String,
    rows: u64,
    rows_refused: u64,
    rows_read_again: u64,
    cells: JsonCells,
    beside: JsonBeside,
    keys: Vec<JsonKey>,
    seconds: f64,
    rows_per_second: u64,
    output: Option<String>,
    exceptions: Option<String>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct JsonCells {
    sealed: u64,
    resealed: u64,
    kept: u64,
    opened: u64,
    absent: u64,
    masked: u64,
    plain: u64,
    unauthentic: u64,
}

/// Index terms and kept tokens.
#[derive(Serialize)]
struct JsonBeside {
    terms_made: u64,
    terms_kept: u64,
    tokens_made: u64,
    tokens_kept: u64,
    removed: u64,
    absent: u64,
}

#[derive(Serialize)]
struct JsonKey {
    id: String,
    kept: u64,
    resealed_from: u64,
    opened: u64,
    sealed: u64,
}

impl Report<'_> {
    /// How the run has ended.
    pub(crate) const fn outcome(&self) -> Outcome {
        match (self.tally.unauthentic, self.tally.refused_rows) {
            (0, 0) => Outcome::Done,
            (0, _) => Outcome::SomeRefused,
            _ => Outcome::Unauthentic,
        }
    }

    /// The report as a program reads it.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        let tally = self.tally;
        let path = |path: Option<&Path>| path.map(|path| path.display().to_string());
        serde_json::to_string_pretty(&JsonReport {
            verb: self.verb,
            table: self.table,
            dry_run: self.dry_run,
            primary_key: self.primary.to_string(),
            rows: tally.rows,
            rows_refused: tally.refused_rows,
            rows_read_again: tally.read_again,
            cells: JsonCells {
                sealed: tally.sealed,
                resealed: tally.resealed,
                kept: tally.kept,
                opened: tally.opened,
                absent: tally.absent,
                masked: tally.masked,
                plain: tally.plain,
                unauthentic: tally.unauthentic,
            },
            beside: JsonBeside {
                terms_made: tally.terms_made,
                terms_kept: tally.terms_kept,
                tokens_made: tally.tokens_made,
                tokens_kept: tally.tokens_kept,
                removed: tally.surrogates_removed,
                absent: tally.surrogates_absent,
            },
            keys: self.keys(),
            seconds: self.elapsed.as_secs_f64(),
            rows_per_second: per_second(tally.rows, self.elapsed),
            output: path(self.output),
            exceptions: path(self.exceptions),
            warnings: self.warnings,
        })
    }

    fn keys(&self) -> Vec<JsonKey> {
        let key = |tally: &amanat_stores::KeyTally| JsonKey {
            id: tally.key.to_string(),
            kept: tally.kept,
            resealed_from: tally.resealed,
            opened: tally.opened,
            sealed: tally.sealed,
        };
        self.tally.keys.iter().map(key).collect()
    }

    /// The report as people read it.
    pub(crate) fn lines(&self) -> Vec<String> {
        let tally = self.tally;
        let mut lines = vec![self.first_line()];
        for key in self.tally.keys.iter().filter(|key| key.resealed > 0) {
            let would = if self.dry_run { "would be re-sealed" } else { "re-sealed" };
            lines.push(format!("{} of key {} {would}", count(key.resealed, "cell"), key.key.short()));
        }
        let more = [(tally.absent, "visibly absent"), (tally.plain, "still plain"), (tally.masked, "masked")];
        let more: Vec<String> = more
            .iter()
            .filter(|(cells, _)| *cells > 0)
            .map(|(cells, what)| format!("{} {what}", count(*cells, "cell")))
            .collect();
        if !more.is_empty() {
            lines.push(more.join(", "));
        }
        let beside = [
            (tally.terms_made, tally.terms_kept, "index term"),
            (tally.tokens_made, tally.tokens_kept, "kept token"),
        ];
        for (made, kept, what) in beside.into_iter().filter(|(made, kept, _)| made + kept > 0) {
            lines.push(format!("{} made, {} as before", count(made, what), grouped(kept)));
        }
        if tally.surrogates_removed > 0 {
            let what = count(tally.surrogates_removed, "term or token");
            lines.push(format!("{what} taken away: the values are visibly absent now"));
        }
        if tally.read_again > 0 {
            lines.push(format!(
                "{} changed by others meanwhile and read again",
                count(tally.read_again, "row")
            ));
        }
        if tally.refused_rows > 0 {
            lines.push(self.refused_line());
        }
        lines
    }

    fn first_line(&self) -> String {
        let (tally, key) = (self.tally, self.primary.short());
        let rows = count(tally.rows, "row");
        let rate = format!(
            "in {:.1} s ({} rows/s)",
            self.elapsed.as_secs_f64(),
            grouped(per_second(tally.rows, self.elapsed))
        );
        if self.verb == "reveal" {
            return format!("revealed {rows}: {} opened {rate}", count(tally.opened, "cell"));
        }
        if !tally.changes() && tally.refused_rows == 0 {
            return format!("nothing to do: all {} are sealed under key {key}", count(tally.kept, "cell"));
        }
        let verb = if self.dry_run { "dry run, nothing written: would protect" } else { "protected" };
        format!(
            "{verb} {rows}: {} sealed, {} re-sealed, {} kept, under key {key}, {rate}",
            count(tally.sealed, "cell"),
            grouped(tally.resealed),
            grouped(tally.kept)
        )
    }

    fn refused_line(&self) -> String {
        let (rows, are) =
            (count(self.tally.refused_rows, "row"), if self.tally.refused_rows == 1 { "is" } else { "are" });
        let fate = match (self.dry_run, self.in_place, self.output) {
            (true, ..) => "would be refused".to_owned(),
            (_, true, _) => format!("refused; {are} as before"),
            (_, _, Some(output)) => format!("refused and not in {}", output.display()),
            _ => "refused and not in the output".to_owned(),
        };
        match self.exceptions {
            Some(path) => format!("{rows} {fate}; see {}", path.display()),
            None => format!("{rows} {fate}"),
        }
    }
}
