// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the first rows of a CSV file tell of its columns: which hold a national identifier.
//!
//! Never keeps or prints a value. Proposes only what every value of the sample agrees to.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use amanat::identifier::{Identifier, Strictness};
use amanat::index::plan::{Column, Planner};

/// Rows that are looked at.
const SAMPLE_ROWS: usize = 2_000;
/// Bytes that are looked at.
const SAMPLE_BYTES: u64 = 1 << 22;
/// Fewest values that say something.
const MIN_VALUES: u64 = 20;
/// What is recognised: identifiers with a check digit, which text of another kind does not pass by chance, and two shapes.
const KNOWN: [Identifier; 9] = [
    Identifier::Aadhaar,
    Identifier::AadhaarVid,
    Identifier::AustriaVsnr,
    Identifier::Cnic,
    Identifier::EstoniaIsikukood,
    Identifier::IcaoMrz,
    Identifier::MosipUin,
    Identifier::MosipVid,
    Identifier::Phone,
];

/// What was seen of each column.
pub(crate) struct Sample {
    columns: Vec<Seen>,
    /// About how many rows the file has.
    pub(crate) rows: u64,
}

struct Seen {
    values: u64,
    /// The identifiers that every value was.
    fits: Vec<Identifier>,
}

impl Sample {
    /// Looks at the first rows. A file that cannot be read so far tells nothing.
    pub(crate) fn read(file: &Path, columns: usize) -> Self {
        let seen = || Seen { values: 0, fits: KNOWN.to_vec() };
        let mut sample = Self { columns: (0..columns).map(|_| seen()).collect(), rows: 0 };
        let Ok(opened) = File::open(file) else { return sample };
        let bytes = opened.metadata().map_or(0, |data| data.len());
        let mut reader = csv::Reader::from_reader(opened.take(SAMPLE_BYTES));
        let (mut row, mut rows) = (csv::StringRecord::new(), 0_u64);
        let start = reader.headers().map_or(0, |_| 0).max(reader.position().byte());
        let mut end = start;
        // The last row of the part may be cut off: it shows as one that does not end where the next begins.
        while rows < u64::try_from(SAMPLE_ROWS).unwrap_or_default() {
            match reader.read_record(&mut row) {
                Ok(true) if reader.position().byte() < SAMPLE_BYTES => {}
                _ => break,
            }
            rows += 1;
            end = reader.position().byte();
            for (cell, seen) in row.iter().zip(&mut sample.columns) {
                seen.look(cell);
            }
        }
        let row_bytes = (end - start).checked_div(rows).unwrap_or_default().max(1);
        sample.rows = if rows == 0 { 0 } else { bytes.saturating_sub(start).div_ceil(row_bytes).max(rows) };
        sample
    }

    /// The one identifier that every value of a column is.
    pub(crate) fn identifier(&self, column: usize) -> Option<&Identifier> {
        let seen = self.columns.get(column).filter(|seen| seen.values >= MIN_VALUES)?;
        match seen.fits.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The lines of an index of such a column, commented out: an index shows which rows are alike, and whoever wants it decides so.
    pub(crate) fn index(&self, field: &str, identifier: &Identifier) -> Option<String> {
        let column = Column::unique(self.rows).with_domain_bits(identifier.plausible_bits()).ok()?;
        let bits = Planner::default().plan(&column).lengths()?.recommended.get();
        let mut text = String::new();
        let rows = crate::text::count(self.rows, "row");
        let _ = write!(
            text,
            "\n# To find rows by `{field}`. {bits} bits suit about {rows}; count them first: amanat plan --schema THIS FILE.csv\n\
             # [[table.index]]\n# name = \"by-{field}\"\n# column = \"{field}_index\"\n# fields = [\"{field}\"]\n# bits = {bits}\n"
        );
        Some(text)
    }
}

impl Seen {
    fn look(&mut self, cell: &str) {
        if cell.trim().is_empty() {
            return;
        }
        self.values += 1;
        self.fits.retain(|identifier| identifier.check(cell, Strictness::Lenient).is_ok());
    }
}
