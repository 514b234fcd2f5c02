// SPDX-License-Identifier: MIT OR Apache-2.0
//! The planner: published examples, verdicts for the columns of a registry, and what its texts say.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::path::Path;

use amanat::index::plan::{
    Census, Column, IndexBudget, LeakageReport, Planner, Reason, Verdict, coincidence_range, distinct_range,
};
use amanat::index::{IndexBits, MAX_INDEX_BITS};
use amanat::normal::NormalForm;
use amanat::{Kind, ValueRef};
use proptest::prelude::*;

/// Rows of a national registry.
const ROWS: u64 = 120_000_000;
/// 600 localities, 10^7 serials, 9 last digits.
const CNIC_BITS: f64 = 35.652;
/// Days of a century.
const BIRTH_DATE_BITS: f64 = 15.156_6;

fn column(rows: u64, distinct: u64, largest: u64, domain_bits: Option<f64>) -> Column {
    let column = Column::new(rows, distinct, largest).unwrap();
    domain_bits.map_or(column, |bits| column.with_domain_bits(bits).unwrap())
}

fn bits(bits: u16) -> IndexBits {
    IndexBits::new(bits).unwrap()
}

fn birth_date() -> Column {
    // A tenth of the rows on the first of January.
    column(ROWS, 34_000, 150_000, Some(BIRTH_DATE_BITS))
}

fn cnic() -> Column {
    Column::unique(ROWS).with_domain_bits(CNIC_BITS).unwrap()
}

fn full_name() -> Column {
    column(ROWS, 9_000_000, 480_000, None)
}

#[test]
fn coincidences_give_the_published_ranges() {
    assert_eq!(coincidence_range(50_000, None, 0.0), Some((8, 15)));
    assert_eq!(coincidence_range(120_000_000, None, 0.0), Some((14, 26)));
    assert_eq!(coincidence_range(240_000_000, None, 0.0), Some((14, 27)));
    // A domain of 10 bits stops lengthening from telling more.
    assert_eq!(coincidence_range(50_000, Some(10.0), 0.0), Some((8, 10)));
    // Eight bits of another index leave seven.
    assert_eq!(coincidence_range(50_000, None, 8.0), Some((1, 7)));
    assert_eq!(coincidence_range(50_000, None, 15.0), None);
}

#[test]
fn different_values_give_the_published_ranges() {
    // The example of a post code of five digits; 2^16 is above half of its values.
    assert_eq!(distinct_range(100_000), Some((9, 15)));
    assert_eq!(distinct_range(170), Some((4, 6)));
    assert_eq!(distinct_range(36_525), Some((8, 14)));
    assert_eq!(distinct_range(3), None);
}

#[test]
fn what_can_be_read_by_frequency_is_refused_and_what_cannot_is_not() {
    let cases = [
        ("sex", column(ROWS, 3, 61_000_000, Some(1.6)), Verdict::Refused),
        ("sex, its domain misstated", column(ROWS, 3, 61_000_000, Some(60.0)), Verdict::Refused),
        ("sex, its domain not stated", column(ROWS, 2, 61_000_000, None), Verdict::Refused),
        ("district", column(ROWS, 160, 6_500_000, Some(7.3)), Verdict::Refused),
        ("tehsil", column(ROWS, 600, 1_500_000, None), Verdict::Refused),
        ("birth date", birth_date(), Verdict::Refused),
        ("birth date, its domain not stated", column(ROWS, 34_000, 150_000, None), Verdict::Refused),
        ("birth date of a small office", column(5000, 4700, 4, Some(BIRTH_DATE_BITS)), Verdict::Refused),
        (
            "birth date of a village, by chance unique",
            column(100, 100, 1, Some(BIRTH_DATE_BITS)),
            Verdict::Refused,
        ),
        ("given name, one in ten alike", column(ROWS, 20_000_000, 12_000_000, None), Verdict::Refused),
        ("an empty column", Column::unique(0), Verdict::Refused),
        ("a table of 12 rows", column(12, 10, 2, None), Verdict::Refused),
        ("full name", full_name(), Verdict::Warn),
        ("CNIC with a filler", column(ROWS, ROWS - 19_999, 20_000, Some(CNIC_BITS)), Verdict::Warn),
        ("a number of six digits, each given once", column(500_000, 500_000, 1, Some(19.93)), Verdict::Warn),
        ("CNIC", cnic(), Verdict::Good),
        ("CNIC of a small office", column(5000, 5000, 1, Some(CNIC_BITS)), Verdict::Good),
        ("phone, shared by families", column(ROWS, 90_000_000, 200, Some(30.0)), Verdict::Good),
        ("name and birth date", column(ROWS, 112_000_000, 500, None), Verdict::Good),
    ];
    for (name, column, expected) in cases {
        let plan = Planner::default().plan(&column);
        assert_eq!(plan.verdict(), expected, "{name}: {:?}", plan.reasons());
        assert_eq!(plan.lengths().is_none(), expected == Verdict::Refused, "{name}");
        assert_eq!(plan.reasons().is_empty(), expected == Verdict::Good, "{name}");
    }
}

#[test]
fn a_refusal_says_how_to_do_it_instead() {
    let refused = [
        column(ROWS, 3, 61_000_000, None),
        column(ROWS, 20_000_000, 12_000_000, None),
        column(12, 10, 2, None),
    ];
    let mut texts: Vec<String> =
        refused.iter().map(|column| Planner::default().plan(column).reasons()[0].to_string()).collect();
    let spent = Planner { spent_bits: 26.0, ..Planner::default() };
    texts.push(spent.plan(&full_name()).reasons()[0].to_string());
    for (text, remedy) in
        texts.iter().zip(["index over several fields", "join the column", "Open them all", "shorten or drop"])
    {
        assert!(text.contains(remedy), "{text}");
    }
}

#[test]
fn a_unique_identifier_is_found_almost_without_false_rows() {
    let plan = Planner::default().plan(&cnic());
    let lengths = plan.lengths().unwrap();
    assert_eq!((lengths.smallest.get(), lengths.recommended.get()), (14, 34));
    assert_eq!(lengths.largest.get(), MAX_INDEX_BITS);
    let exposure = plan.exposure(lengths.recommended);
    assert!(exposure.false_rows < 0.01 && plan.exposure(bits(33)).false_rows >= 0.01);
    // 5.4 * 10^10 values at 111 ns: 1.7 hours, and three of them share a bucket.
    assert!((exposure.guess_seconds - 5994.0).abs() < 10.0, "{}", exposure.guess_seconds);
    assert!((3.1..3.2).contains(&exposure.domain_values_per_bucket.unwrap()));
    // A longer index leaves one possible value for each row.
    assert!(plan.exposure(bits(64)).domain_values_per_bucket.unwrap() < 1e-6);
}

#[test]
fn names_share_buckets_within_the_safe_range() {
    let plan = Planner::default().plan(&full_name());
    let lengths = plan.lengths().unwrap();
    let (smallest, largest) = (lengths.smallest.get(), lengths.largest.get());
    assert_eq!((smallest, lengths.recommended.get(), largest), (14, 21, 22));
    for length in smallest..=largest {
        let coincidences = 120e6 / 2_f64.powi(i32::from(length));
        assert!((2.0..=120e6_f64.sqrt()).contains(&coincidences), "{length}");
    }
    assert!(plan.exposure(lengths.recommended).false_rows <= 100.0);
    assert!(plan.exposure(bits(20)).false_rows > 100.0);
    // Who can open more rows gets a shorter index, who will not is told that he must.
    let patient = Planner { max_false_rows: 2000, ..Planner::default() }.plan(&full_name());
    assert_eq!(patient.lengths().unwrap().recommended.get(), 16);
    let hasty = Planner { max_false_rows: 1, ..Planner::default() }.plan(&full_name());
    assert_eq!(hasty.lengths().unwrap().recommended.get(), 22);
    assert!(matches!(hasty.reasons()[0], Reason::ManyFalseRows { rows } if rows > 28.0 && rows < 29.0));
}

#[test]
fn the_frequent_value_and_the_lone_rows_are_foreseen() {
    let plan = Planner::default().plan(&full_name());
    let exposure = plan.exposure(bits(21));
    assert!((exposure.largest_bucket_rows - 480_057.0).abs() < 1.0);
    assert!((exposure.largest_bucket_share - 0.004).abs() < 1e-5);
    // Nine million values in two million buckets: e^-4.29 of the values are alone.
    let alone = 9e6 * (-9e6_f64 / 2_f64.powi(21)).exp() / 120e6;
    assert!((exposure.lone_rows_share / alone - 1.0).abs() < 1e-3);
    let unique = Planner::default().plan(&cnic()).exposure(bits(128));
    assert!((unique.lone_rows_share - 1.0).abs() < 1e-9 && (unique.bucket_rows - 1.0).abs() < 1e-9);
}

#[test]
fn the_indexes_of_a_table_share_one_budget() {
    let mut budget = IndexBudget::new(ROWS);
    assert!((budget.allowed_bits() - 25.838).abs() < 0.001);
    // An identifier singles out its row in any case.
    budget.spend(bits(34), &cnic());
    assert_eq!(budget.spent_bits(), 0.0);
    budget.spend(bits(14), &full_name());
    // A birth date has no more bits than its domain, however long its index.
    budget.spend(bits(20), &birth_date());
    assert!((budget.spent_bits() - (14.0 + BIRTH_DATE_BITS)).abs() < 1e-9 && !budget.is_kept());
    assert!(budget.coincidences() < 1.0);
    let mut kept = IndexBudget::new(ROWS);
    kept.spend(bits(16), &full_name());
    assert!(kept.is_kept());
    let second = Planner { spent_bits: kept.spent_bits(), ..Planner::default() }.plan(&full_name());
    assert_eq!(second.lengths().unwrap().largest.get(), 10);
    kept.spend(bits(10), &full_name());
    let third = Planner { spent_bits: kept.spent_bits(), ..Planner::default() }.plan(&full_name());
    assert!(matches!(third.reasons(), [Reason::OverBudget { .. }]), "{:?}", third.reasons());
}

#[test]
fn counts_that_no_column_has_are_refused() {
    for (rows, distinct, largest) in
        [(10, 11, 1), (10, 0, 0), (0, 1, 1), (10, 5, 1), (10, 5, 7), (10, 1, 9), (u64::MAX, 1, 1)]
    {
        let error = Column::new(rows, distinct, largest).unwrap_err();
        assert_eq!(error.kind(), Kind::Schema, "{rows} {distinct} {largest}");
    }
    for (rows, distinct, largest) in [(0, 0, 0), (1, 1, 1), (10, 5, 6), (10, 5, 2), (u64::MAX, u64::MAX, 1)] {
        assert!(Column::new(rows, distinct, largest).is_ok(), "{rows} {distinct} {largest}");
    }
    for bits in [-1.0, f64::NAN, f64::INFINITY, 513.0] {
        assert_eq!(Column::unique(5).with_domain_bits(bits).unwrap_err().kind(), Kind::Schema);
    }
}

#[test]
fn plans_read_as_recorded() {
    let plan = |column| Planner::default().plan(&column).to_string();
    let text = format!(
        "A birth date alone\n\n{}\nA full name\n\n{}\nA CNIC\n\n{}",
        plan(birth_date()),
        plan(full_name()),
        plan(cnic())
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/plans.txt");
    assert_eq!(text, fs::read_to_string(path).unwrap());
}

#[test]
fn a_report_holds_counts_and_no_value() {
    let mut census = Census::new().unwrap();
    let marker = "Zzyzx Quuxley";
    for row in 0..2000 {
        let name = if row % 5 == 0 { marker.to_owned() } else { format!("{marker} {}", row % 1500) };
        let normal = NormalForm::Exact.normalise(ValueRef::Text(&name)).unwrap();
        census.add(&[&normal]);
    }
    census.add_absent();
    let plan = Planner::default().plan(&census.column());
    let report = LeakageReport::new(&census, &plan, bits(12));
    assert_eq!((report.rows, report.absent, report.largest, report.sampled_one_in), (2000, 1, 400, 1));
    assert_eq!(report.multiplicities.iter().map(|class| class.rows).sum::<u64>(), 2000);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((json["largest"].as_u64(), json["exposure"]["bits"].as_u64()), (Some(400), Some(12)));
    assert_eq!(json["verdict"], "refused");
    for text in [
        format!("{census:?}"),
        format!("{report:?}"),
        report.to_string(),
        json.to_string(),
        format!("{plan:?}"),
    ] {
        assert!(!text.contains("Quux") && !text.contains("Zzyzx"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_column_has_a_plan_in_order(
        rows in 0..u64::MAX,
        distinct in 1..u64::MAX,
        largest in 1..u64::MAX,
        scale in 0..64_u32,
        domain in proptest::option::of(0.0..512.0_f64),
        spent in 0.0..64.0_f64,
        length in 4..=128_u16,
    ) {
        // Scaled together, so that small and large tables are as frequent; made to fit as a census does.
        let rows = (rows >> scale).max(1);
        let distinct = (distinct >> scale).clamp(1, rows);
        let largest = (largest >> scale).clamp(rows.div_ceil(distinct), rows - distinct + 1);
        let column = column(rows, distinct, largest, domain);
        let plan = Planner { spent_bits: spent, ..Planner::default() }.plan(&column);
        if let Some(lengths) = plan.lengths() {
            prop_assert!(lengths.smallest <= lengths.recommended && lengths.recommended <= lengths.largest);
        }
        prop_assert_eq!(plan.lengths().is_none(), plan.verdict() == Verdict::Refused);
        let exposure = plan.exposure(bits(length));
        let figures = [exposure.false_rows, exposure.bucket_rows, exposure.largest_bucket_rows, exposure.values_per_bucket];
        prop_assert!(figures.iter().all(|figure| figure.is_finite() && *figure >= 0.0), "{:?}", exposure);
        for share in [exposure.largest_bucket_share, exposure.lone_rows_share] {
            prop_assert!((0.0..=1.0 + 1e-9).contains(&share), "{:?}", exposure);
        }
        prop_assert!(!plan.to_string().contains("NaN") && !plan.to_string().contains("inf"));
    }
}
