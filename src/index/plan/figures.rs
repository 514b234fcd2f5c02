// SPDX-License-Identifier: MIT OR Apache-2.0
//! Figures as people read them.
//!
//! Owns rounding and units of the planner's texts. Never rounds a figure that a program reads.

/// A count as a real number; exact below 2^53, and rounded in the 16th digit above.
pub(super) const fn real(count: u64) -> f64 {
    count as f64
}

/// 2 to the power of a number of bits.
pub(super) fn power(bits: u16) -> f64 {
    f64::from(bits).exp2()
}

/// A number: `0.0070`, `3.4`, `120,000,000`, `2^54`.
pub(super) fn number(value: f64) -> String {
    match value {
        v if v >= 1e15 => format!("2^{:.0}", v.log2()),
        v if v >= 99.5 || v == v.round() => thousands(&format!("{v:.0}")),
        v if v >= 0.95 => format!("{v:.1}").trim_end_matches(".0").to_owned(),
        v if v >= 0.001 => significant(v),
        _ => "less than 0.001".to_owned(),
    }
}

/// A number of rows: `1 row`, `120 rows`.
pub(super) fn rows(count: f64) -> String {
    let amount = number(count);
    let unit = if amount == "1" { "row" } else { "rows" };
    format!("{amount} {unit}")
}

/// A share of a whole: `4.3 %`, `less than 1 in a million`.
pub(super) fn share(part: f64) -> String {
    match part * 100.0 {
        0.0 => "0 %".to_owned(),
        percent if percent >= 99.95 => "100 %".to_owned(),
        percent if percent >= 0.95 => format!("{} %", number(percent)),
        percent if percent >= 0.0001 => format!("{} %", significant(percent)),
        _ => "less than 1 in a million".to_owned(),
    }
}

/// A time: `0.004 seconds`, `1.7 hours`, `2^20 years`.
pub(super) fn duration(seconds: f64) -> String {
    let units =
        [(31_557_600.0, "years"), (86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds")];
    let unit = units.into_iter().find(|(length, _)| seconds >= 1.5 * length);
    let (length, name) = unit.unwrap_or((1.0, "seconds"));
    let amount = number(seconds / length);
    let name = if amount == "1" { name.trim_end_matches('s') } else { name };
    format!("{amount} {name}")
}

/// Two digits that count, for numbers below 1.
fn significant(value: f64) -> String {
    let first = usize::try_from(-leading_place(value)).unwrap_or_default();
    format!("{value:.*}", first + 1)
}

/// Place of the first digit after the point: 0.03 gives -2.
fn leading_place(value: f64) -> i32 {
    let places = -12..=-1;
    places.rev().find(|place| value >= 10_f64.powi(*place)).unwrap_or(-12)
}

fn thousands(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        let numbers = [0.0, 0.000_1, 0.007_12, 0.42, 1.0, 3.44, 99.6, 1234.5, 120e6, 2e16];
        let texts =
            ["0", "less than 0.001", "0.0071", "0.42", "1", "3.4", "100", "1,234", "120,000,000", "2^54"];
        assert_eq!(numbers.map(number), texts);
        let shares = [0.0, 1e-9, 0.000_02, 0.004, 0.043, 1.0];
        assert_eq!(
            shares.map(share),
            ["0 %", "less than 1 in a million", "0.0020 %", "0.40 %", "4.3 %", "100 %"]
        );
        let times = [0.004, 1.0, 61.0, 5994.0, 100_000.0, 2.6e6, 1e9];
        let texts = [
            "0.0040 seconds",
            "1 second",
            "61 seconds",
            "1.7 hours",
            "27.8 hours",
            "30.1 days",
            "31.7 years",
        ];
        assert_eq!(times.map(duration), texts);
    }
}
