// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures a subject beside a yardstick: rounds interleaved, CPU time of the thread, median of the ratios inside a round.
//!
//! On a shared machine single figures wander by half; a ratio taken within one round does not.

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "each bench uses a part; figures are rounded"
)]

use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 31;
/// Nanoseconds that one measurement of one round takes about.
const SLICE: u64 = 4_000_000;

fn thread_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

fn time(run: &mut dyn FnMut(), repeats: u64) -> u64 {
    let start = thread_nanoseconds();
    (0..repeats).for_each(|_| run());
    thread_nanoseconds() - start
}

/// What is measured: a name, how many values one run handles, and the run.
pub(crate) struct Entry<'a> {
    pub(crate) name: String,
    pub(crate) values: u64,
    pub(crate) run: Box<dyn FnMut() + 'a>,
}

pub(crate) fn entry<'a>(name: &str, values: u64, run: impl FnMut() + 'a) -> Entry<'a> {
    Entry { name: name.to_owned(), values, run: Box::new(run) }
}

/// Measures the first entry as yardstick and each other against it; prints a line for each, with the goal if there is one.
pub(crate) fn compare(title: &str, mut entries: Vec<Entry<'_>>, goals: &[f64]) -> Vec<f64> {
    let repeats: Vec<u64> = entries
        .iter_mut()
        .map(|entry| {
            let once = time(&mut entry.run, 3).max(3) / 3;
            (SLICE / once).max(1)
        })
        .collect();
    let mut samples = vec![Vec::with_capacity(ROUNDS); entries.len()];
    for _ in 0..ROUNDS {
        for ((entry, repeats), samples) in entries.iter_mut().zip(&repeats).zip(&mut samples) {
            let spent = time(&mut entry.run, *repeats);
            samples.push(spent as f64 / (*repeats * entry.values) as f64);
        }
    }
    let yardstick = samples[0].clone();
    let mut ratios = Vec::new();
    println!("\n{title}");
    for ((entry, samples), position) in entries.iter().zip(&samples).zip(0_usize..) {
        let mut in_round: Vec<f64> = samples.iter().zip(&yardstick).map(|(own, raw)| own / raw).collect();
        let (nanoseconds, ratio) = (median(&mut samples.clone()), median(&mut in_round));
        let spread = format!("{:.2}-{:.2}", in_round[ROUNDS / 10], in_round[ROUNDS - 1 - ROUNDS / 10]);
        let goal =
            position.checked_sub(1).and_then(|position| goals.get(position)).filter(|goal| goal.is_finite());
        let goal = goal.map_or(String::new(), |goal| {
            let met = if ratio <= *goal { "met" } else { "MISSED" };
            format!("  goal {goal:.2} {met}")
        });
        println!("  {:<44} {nanoseconds:>9.1} ns  x{ratio:.3}  ({spread}){goal}", entry.name);
        ratios.push(ratio);
    }
    ratios
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
