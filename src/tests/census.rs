// SPDX-License-Identifier: MIT OR Apache-2.0
//! The census under a fixed key: exact counts, estimates from samples, buckets, the report's text.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::crypto::prf::HmacKey;
use crate::index::IndexBits;
use crate::index::plan::{Census, LeakageReport, MAX_EXACT_VALUES, Planner, Reason, Verdict};
use crate::wire::pae;

const KEY: [u8; 32] = [0x5a; 32];

fn census(max_values: usize, values: impl IntoIterator<Item = u64>) -> Census {
    let mut census = Census::with_key(&KEY, max_values);
    values.into_iter().for_each(|value| census.add_bytes([&value.to_be_bytes()[..]].into_iter()));
    census
}

fn report(census: &Census, bits: u16) -> LeakageReport {
    LeakageReport::new(census, &Planner::default().plan(&census.column()), IndexBits::new(bits).unwrap())
}

/// Names as they are: the n-th most frequent of `names` about 1/n times as frequent as the first. The same each time.
fn zipf(rows: u64, names: u32) -> impl Iterator<Item = u64> {
    let mut state = 1_u64;
    (0..rows).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = f64::from(u32::try_from(state >> 32).unwrap()) / f64::from(u32::MAX);
        format!("{:.0}", (uniform * f64::from(names).ln()).exp().floor()).parse().unwrap()
    })
}

fn near(estimate: f64, exact: f64, tolerance: f64) {
    assert!((estimate / exact - 1.0).abs() <= tolerance, "{estimate} is not near {exact}");
}

fn real(count: u64) -> f64 {
    count as f64
}

#[test]
fn an_exact_census_counts_as_a_plain_one_does() {
    let mut plain: HashMap<u64, u64> = HashMap::new();
    zipf(30_000, 9000).for_each(|name| *plain.entry(name).or_default() += 1);
    let census = census(MAX_EXACT_VALUES, zipf(30_000, 9000));
    let column = census.column();
    assert_eq!((census.rows(), census.sampled_one_in()), (30_000, 1));
    assert_eq!(column.distinct(), u64::try_from(plain.len()).unwrap());
    assert_eq!(column.largest(), *plain.values().max().unwrap());

    let report = report(&census, 11);
    let once = u64::try_from(plain.values().filter(|count| **count == 1).count()).unwrap();
    assert_eq!(report.multiplicities[0].values, once);
    assert_eq!(report.multiplicities.iter().map(|class| class.rows).sum::<u64>(), 30_000);

    // The buckets, by the definition of a term.
    let key = HmacKey::new(&KEY);
    let bucket = |name: &u64| {
        let hash = key.sign(&pae(&[&name.to_be_bytes()]));
        u16::from_be_bytes([hash[0], hash[1]]) >> 5
    };
    let mut buckets: HashMap<u16, u64> = HashMap::new();
    plain.iter().for_each(|(name, count)| *buckets.entry(bucket(name)).or_default() += count);
    let figures = report.buckets;
    assert_eq!(figures.in_use, real(u64::try_from(buckets.len()).unwrap()));
    assert_eq!(figures.largest_rows, real(*buckets.values().max().unwrap()));
    assert_eq!(
        figures.lone_rows,
        real(u64::try_from(buckets.values().filter(|rows| **rows == 1).count()).unwrap())
    );
    let mut falses: Vec<u64> = plain
        .iter()
        .flat_map(|(name, count)| {
            let others = buckets[&bucket(name)] - count;
            core::iter::repeat_n(others, usize::try_from(*count).unwrap())
        })
        .collect();
    falses.sort_unstable();
    assert_eq!(figures.worst_false_rows, real(falses[29_999]));
    assert_eq!(figures.median_false_rows, real(falses[14_999]));
    near(figures.false_rows, real(falses.iter().sum()) / 30_000.0, 1e-9);
    let squares: u64 = plain.values().map(|count| count * count).sum();
    near(figures.query_rows, figures.false_rows + real(squares) / 30_000.0, 1e-9);
}

#[test]
fn what_is_computed_from_counts_agrees_with_real_buckets() {
    let census = census(MAX_EXACT_VALUES, zipf(100_000, 50_000));
    let report = report(&census, 12);
    // One key's buckets: what shares one with the most frequent value is chance.
    near(report.exposure.false_rows, report.buckets.false_rows, 0.4);
    near(report.exposure.bucket_rows, 100_000.0 / report.buckets.in_use, 0.02);
    near(report.exposure.largest_bucket_rows, report.buckets.largest_rows, 0.02);
    assert!(report.exposure.lone_rows_share * 100_000.0 >= report.buckets.lone_rows);
}

#[test]
fn a_sampled_census_estimates_what_an_exact_one_counts() {
    let exact = census(MAX_EXACT_VALUES, zipf(200_000, 200_000));
    let sampled = census(8192, zipf(200_000, 200_000));
    assert!(sampled.sampled_one_in() >= 4);
    let (one, other) = (sampled.column(), exact.column());
    near(real(one.distinct()), real(other.distinct()), 0.03);
    assert_eq!((one.rows(), one.largest()), (200_000, other.largest()));
    for bits in [8, 14, 16, 20] {
        let (one, other) = (report(&sampled, bits), report(&exact, bits));
        near(one.buckets.in_use, other.buckets.in_use, 0.05);
        near(one.buckets.largest_rows, other.buckets.largest_rows, 0.05);
        near(one.buckets.query_rows, other.buckets.query_rows, 0.05);
        // The exact one has the buckets of this key, in which the most frequent values met others by chance.
        near(one.buckets.false_rows, other.buckets.false_rows, 0.5);
        if other.buckets.lone_rows > 1000.0 {
            near(one.buckets.lone_rows, other.buckets.lone_rows, 0.1);
        }
        near(real(one.multiplicities[0].values), real(other.multiplicities[0].values), 0.05);
    }
}

#[test]
fn sampled_identifiers_are_still_seen_to_be_unique() {
    let sampled = census(8192, 3_500_000..3_700_000);
    near(real(sampled.column().distinct()), 200_000.0, 0.04);
    let plan = Planner::default().plan(&sampled.column());
    assert_eq!(plan.verdict(), Verdict::Good, "{:?}", plan.reasons());
    let buckets = report(&sampled, 25).buckets;
    near(buckets.query_rows, 1.0, 0.01);
    // The sample has some 6,000 values: three times its standard error.
    near(buckets.in_use, 200_000.0, 0.04);
    // Not 1: the estimate of different values lies a little below the rows.
    assert!(sampled.column().largest() <= 2);
    // A filler among them keeps its exact count.
    let filler = census(8192, (0..200_000).map(|row| if row % 50 == 0 { 0 } else { row }));
    assert_eq!(filler.column().largest(), 4000);
    assert!(matches!(Planner::default().plan(&filler.column()).reasons(), [Reason::Filler { rows: 4000 }]));
}

#[test]
fn a_value_that_becomes_frequent_after_sampling_began_is_noticed() {
    // Sorted data: every other value first. The worst case is a value that is not in the sample, so several are tried.
    for late in 0..4 {
        let rows = (0..100_000).chain((0..20_000).map(|_| 1_000_000 + late));
        let largest = census(8192, rows).column().largest();
        assert!((20_000..=20_050).contains(&largest), "{largest}");
    }
}

#[test]
fn a_short_list_is_suspected_from_its_repetitions() {
    // 5,000 of the 36,525 days of a century: nearly all differ, and yet the list can be told.
    let days = || zipf(5000, u32::MAX).map(|draw| draw.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 36_525);
    let plan = Planner::default().plan(&census(MAX_EXACT_VALUES, days()).column());
    let Some(Reason::LikelyClosedList { values }) =
        plan.reasons().iter().find(|reason| matches!(reason, Reason::LikelyClosedList { .. }))
    else {
        panic!("{:?}", plan.reasons());
    };
    assert!(*values < 60_000.0, "{values}");
}

#[test]
fn a_report_reads_as_recorded() {
    let mut census = census(MAX_EXACT_VALUES, zipf(60_000, 60_000));
    (0..7).for_each(|_| census.add_absent());
    let exact = report(&census, 9);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/leakage.txt");
    assert_eq!(exact.to_string(), fs::read_to_string(path).unwrap());
}
