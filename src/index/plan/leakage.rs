// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an index of one length over real data would tell.
//!
//! Owns the buckets of a census. Never holds a value or a fingerprint: counts only. SPEC 9.5.

use core::fmt;

use serde::Serialize;

use super::census::Sample;
use super::figures::{number, real, rows, share};
use super::{Census, Exposure, Plan, Reason, Verdict};
use crate::index::IndexBits;

/// Values that stand in as many rows as each other, about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Multiplicity {
    /// Fewest rows of such a value.
    pub from_rows: u64,
    /// Most rows of such a value.
    pub to_rows: u64,
    /// How many values there are.
    pub values: u64,
    /// Rows that they stand in together.
    pub rows: u64,
}

/// The buckets of an index, made from the fingerprints of a census in place of the index key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BucketFigures {
    /// Buckets that have a row.
    pub in_use: f64,
    /// Rows of the largest.
    pub largest_rows: f64,
    /// Rows that are alone in theirs.
    pub lone_rows: f64,
    /// Rows that a query brings, on average over all rows as the ones asked for.
    pub query_rows: f64,
    /// False ones of them, on average.
    pub false_rows: f64,
    /// False rows that half of the queries do not exceed.
    pub median_false_rows: f64,
    /// False rows of the worst query.
    pub worst_false_rows: f64,
}

/// What an index would tell, in counts. `Display` is in plain words; as JSON, the same figures. Holds no value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeakageReport {
    /// Rows that have a value.
    pub rows: u64,
    /// Rows that have none.
    pub absent: u64,
    /// Different values.
    pub distinct: u64,
    /// Rows of the most frequent value.
    pub largest: u64,
    /// Min-entropy of the column.
    pub min_entropy_bits: f64,
    /// One of how many values was counted: 1 if the figures are exact, and estimates otherwise.
    pub sampled_one_in: u64,
    /// How often values occur, in classes that double.
    pub multiplicities: Vec<Multiplicity>,
    /// What the planner says.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<Reason>,
    /// The index as measured.
    pub buckets: BucketFigures,
    /// The index as computed from the counts.
    pub exposure: Exposure,
}

impl LeakageReport {
    /// Reports on an index of `bits` over the rows of a census; `plan` is the plan of the census's column.
    ///
    /// Needs about twice as much memory again as the census has.
    #[must_use]
    pub fn new(census: &Census, plan: &Plan, bits: IndexBits) -> Self {
        let sample = census.sample();
        let multiplicities = multiplicities(&sample);
        let column = plan.column();
        Self {
            rows: census.rows(),
            absent: census.absent(),
            distinct: column.distinct(),
            largest: column.largest(),
            min_entropy_bits: column.min_entropy_bits(),
            sampled_one_in: census.sampled_one_in(),
            multiplicities,
            verdict: plan.verdict(),
            reasons: plan.reasons().to_vec(),
            buckets: BucketFigures::of(sample, bits),
            exposure: plan.exposure(bits),
        }
    }
}

/// Classes 1, 2, 3 to 4, 5 to 8 and so on; those without a value are left out.
fn multiplicities(sample: &Sample) -> Vec<Multiplicity> {
    let mut classes: Vec<Multiplicity> = Vec::new();
    let mut add = |count: u64, values: u64| {
        let to_rows = count.next_power_of_two();
        let from_rows = to_rows / 2 + 1;
        let place = classes.partition_point(|class| class.to_rows < to_rows);
        if classes.get(place).is_none_or(|class| class.to_rows != to_rows) {
            classes.insert(
                place,
                Multiplicity { from_rows: from_rows.min(to_rows), to_rows, values: 0, rows: 0 },
            );
        }
        if let Some(class) = classes.get_mut(place) {
            class.values += values;
            class.rows += values * count;
        }
    };
    sample.values.iter().for_each(|(_, count)| add(*count, 1 << sample.halvings));
    sample.frequent.iter().for_each(|count| add(*count, 1));
    classes
}

impl BucketFigures {
    /// A sample of one in 2^h values, put into 2^(bits - h) buckets, fills them as all values fill 2^bits.
    fn of(mut sample: Sample, bits: IndexBits) -> Self {
        let bits = u32::from(bits.get()).min(u64::BITS);
        let used = bits.saturating_sub(sample.halvings);
        // With fewer buckets than halvings, the one bucket of the sample stands for a larger one.
        let factor = real(1 << sample.halvings.saturating_sub(bits).min(63));
        let scale = real(1 << sample.halvings);
        let bucket_of = |fingerprint: u64| fingerprint.checked_shr(u64::BITS - used).unwrap_or_default();
        // In the order of fingerprints those of a bucket stand together.
        sample.values.sort_unstable();

        let mut figures = Self::default();
        let mut queries: Vec<Query> = Vec::with_capacity(sample.values.len() + sample.frequent.len());
        for bucket in sample.values.chunk_by(|one, other| bucket_of(one.0) == bucket_of(other.0)) {
            let rows = real(bucket.iter().map(|(_, count)| count).sum()) * factor;
            figures.in_use += scale / factor;
            figures.largest_rows = figures.largest_rows.max(rows);
            figures.lone_rows += if rows == 1.0 { scale } else { 0.0 };
            let query = |count| Query { false_rows: rows - count, rows: count, weight: count * scale };
            queries.extend(bucket.iter().map(|(_, count)| query(real(*count))));
        }
        figures.add_frequent(&sample, bits, &mut queries);
        figures.ask(queries);
        figures
    }

    /// Frequent values outside the sample fall into buckets of average size, and other values' queries meet them there.
    fn add_frequent(&mut self, sample: &Sample, bits: u32, queries: &mut Vec<Query>) {
        let Some(largest) = sample.frequent.iter().max() else { return };
        let buckets = f64::from(bits).exp2();
        let others: f64 = queries.iter().map(|query| query.weight).sum();
        let frequent: f64 = sample.frequent.iter().map(|count| real(*count)).sum();
        // A bucket stays as it is if none of them falls into it: (1 - 1/buckets)^values.
        let values = real(u64::try_from(sample.frequent.len()).unwrap_or(u64::MAX));
        let spared = (values * (-1.0 / buckets).ln_1p()).exp();
        self.in_use += (buckets - self.in_use).max(0.0) * (1.0 - spared);
        self.lone_rows *= spared;
        for query in queries.iter_mut() {
            query.false_rows += frequent / buckets;
        }
        for rows in sample.frequent.iter().map(|count| real(*count)) {
            queries.push(Query { false_rows: (others + frequent - rows) / buckets, rows, weight: rows });
        }
        let together = real(*largest) + (others + frequent - real(*largest)) / buckets;
        self.largest_rows = self.largest_rows.max(together);
        // Some value shares its bucket, as soon as there are as many values as buckets.
        if real(sample.distinct()) >= buckets {
            self.worst_false_rows = together;
        }
    }

    /// Each row is asked for once.
    fn ask(&mut self, mut queries: Vec<Query>) {
        let all: f64 = queries.iter().map(|query| query.weight).sum();
        if all == 0.0 {
            return;
        }
        queries.sort_unstable_by(|one, other| one.false_rows.total_cmp(&other.false_rows));
        let mean =
            |of: fn(&Query) -> f64| queries.iter().map(|query| of(query) * query.weight).sum::<f64>() / all;
        self.false_rows = mean(|query| query.false_rows);
        self.query_rows = mean(|query| query.false_rows + query.rows);
        let mut left = all / 2.0;
        let median = queries.iter().find(|query| {
            left -= query.weight;
            left <= 0.0
        });
        self.median_false_rows = median.map_or(0.0, |query| query.false_rows);
        let worst = queries.last().map_or(0.0, |query| query.false_rows);
        self.worst_false_rows = self.worst_false_rows.max(worst);
    }
}

/// The queries for one value.
struct Query {
    false_rows: f64,
    /// Rows of the value.
    rows: f64,
    /// How many rows ask for it: its own, and those of the values that it stands for in a sample.
    weight: f64,
}

impl fmt::Display for LeakageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Leakage report: a blind index of {} bits", self.exposure.bits.get())?;
        writeln!(f, "It holds counts only: no value, and no fingerprint of one.")?;
        self.write_column(f)?;
        writeln!(f, "\nVerdict: {}.", self.verdict)?;
        self.reasons.iter().try_for_each(|reason| writeln!(f, "- {reason}"))?;
        self.write_query(f)?;
        self.write_theft(f)?;
        writeln!(f, "\nStolen with its key")?;
        self.exposure.write_guessing("Trying", f)
    }
}

impl LeakageReport {
    fn write_column(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nThe column")?;
        writeln!(
            f,
            "{} rows have a value, {} have none.",
            number(real(self.rows)),
            number(real(self.absent))
        )?;
        if self.sampled_one_in > 1 {
            writeln!(
                f,
                "There were too many values to count all: counts of values and of buckets are estimates, from one value in {}.",
                self.sampled_one_in
            )?;
        }
        writeln!(
            f,
            "{} values differ. The most frequent one stands in {}, {} of all (min-entropy {:.1} bits).",
            number(real(self.distinct)),
            rows(real(self.largest)),
            share(self.part(real(self.largest))),
            self.min_entropy_bits
        )?;
        for class in &self.multiplicities {
            let each = match (class.from_rows, class.to_rows) {
                (1, 1) => "1 row".to_owned(),
                (from, to) if from == to => format!("{to} rows"),
                (from, to) => format!("{} to {} rows", number(real(from)), number(real(to))),
            };
            let (values, all) = (number(real(class.values)), rows(real(class.rows)));
            writeln!(f, "  in {each} each: {values} values, {all} ({})", share(self.part(real(class.rows))))?;
        }
        Ok(())
    }

    fn write_query(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BucketFigures { query_rows, false_rows, median_false_rows, worst_false_rows, .. } = self.buckets;
        writeln!(f, "\nA query")?;
        writeln!(
            f,
            "It brings {} on average, of which {} are false: they are opened, compared and dropped.",
            rows(query_rows),
            number(false_rows)
        )?;
        let (median, worst) = (rows(median_false_rows), rows(worst_false_rows));
        match median_false_rows {
            median if median < 0.5 => {
                writeln!(f, "Half of the queries bring no false row; the worst brings {worst}.")
            }
            _ => writeln!(
                f,
                "Half of the queries bring {median} or fewer that are false; the worst brings {worst}."
            ),
        }
    }

    fn write_theft(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BucketFigures { in_use, largest_rows, lone_rows, .. } = self.buckets;
        writeln!(f, "\nStolen without its key")?;
        writeln!(
            f,
            "A copy of the table shows which rows share a bucket, and no value. {} buckets are in use, with {} on average.",
            number(in_use),
            rows(real(self.rows) / in_use.max(1.0))
        )?;
        writeln!(f, "The largest has {}, {} of all.", rows(largest_rows), share(self.part(largest_rows)))?;
        if lone_rows == 0.0 {
            return writeln!(f, "No row is alone in its bucket.");
        }
        writeln!(
            f,
            "{} rows ({}) are alone in their bucket: each can be recognised again in another copy of the table.",
            number(lone_rows),
            share(self.part(lone_rows))
        )
    }

    /// A share of the rows that have a value.
    fn part(&self, rows: f64) -> f64 {
        if self.rows == 0 { 0.0 } else { rows / real(self.rows) }
    }
}
