// SPDX-License-Identifier: MIT OR Apache-2.0
//! National identifiers: published examples, ways of writing, check digits, masks. All numbers are invented or are those of standards.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use allocation_counter::measure;
use amanat::identifier::{CheckDigit, Identifier, MAX_PATTERN_BYTES, Pattern, Strictness, Warning};
use amanat::mask::Mask;
use amanat::{Kind, Name, ValueRef};
use proptest::prelude::*;

const TD1: &str =
    "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<";
const TD1_LONG_NUMBER: &str =
    "I<UTOD23145890<7349<<<<<<<<<<<\n3407127M9507122UTO<<<<<<<<<<<2\nSTEVENSON<<PETER<JOHN<<<<<<<<<";
const TD2: &str = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6";
const TD3: &str =
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10";

/// An identifier by name, its display form and its mask.
const EXAMPLES: &[(&str, &str, &str)] = &[
    ("aadhaar", "2341 2341 2346", "**** **** 2346"),
    ("aadhaar-vid", "2341 2341 2341 2341", "**** **** **** 2341"),
    ("at-vsnr", "1237 010180", "123* ******"),
    ("bd-nid", "0000034567", "******4567"),
    ("bd-nid", "0000000034567", "*********4567"),
    ("bd-nid", "19840000000034567", "*************4567"),
    ("cnic", "35202-1234567-1", "*****-***4567-*"),
    ("ee-isikukood", "36805280109", "*******010*"),
    ("family-number", "AB1C23", "********"),
    ("family-number", "ZK4T45", "********"),
    ("mosip-uin", "2635174961", "******4961"),
    ("mosip-vid", "2635174961836277", "************6277"),
    ("mrz", TD1, "********"),
    ("mrz", TD1_LONG_NUMBER, "********"),
    ("mrz", TD2, "********"),
    ("mrz", TD3, "********"),
    ("nic-before-2001", "00000034567", "*******4567"),
    ("ng-nin", "00000034567", "*******4567"),
    ("ng-vnin", "BM958525448565XC", "************65XC"),
    ("phone", "+923001234567", "+********4567"),
    ("pk-passport", "AB1234567", "*****4567"),
];

fn of(name: &str) -> Identifier {
    Identifier::from_name(name).unwrap()
}

fn normal(identifier: &Identifier, text: &str) -> Option<String> {
    identifier.check(text, Strictness::Lenient).ok().map(|checked| checked.normal().to_owned())
}

fn strict(identifier: &Identifier, text: &str) -> bool {
    identifier.check(text, Strictness::Strict).is_ok()
}

fn mask(identifier: &Identifier, text: &str) -> String {
    Mask::Identifier(identifier.clone()).apply(ValueRef::Text(text)).to_string()
}

fn bare(text: &str) -> String {
    text.replace(['-', ' ', '\n'], "")
}

/// The text with its digits from another set.
fn in_digits(zero: char, text: &str) -> String {
    let digit = |c: char| c.to_digit(10).map_or(c, |d| char::from_u32(u32::from(zero) + d).unwrap());
    text.chars().map(digit).collect()
}

fn pattern(text: &str, check: CheckDigit) -> amanat::Result<Identifier> {
    Pattern::new(&Name::new("card").unwrap(), text, check).map(Identifier::from)
}

#[test]
fn every_name_is_found_and_every_identifier_has_an_example() {
    for identifier in Identifier::builtin() {
        assert_eq!(&of(identifier.name()), identifier);
        assert!(EXAMPLES.iter().any(|(name, ..)| *name == identifier.name()), "{identifier:?}");
    }
    let error = Identifier::from_name("passport").unwrap_err();
    assert!(error.kind() == Kind::Schema && error.message().contains("pk-passport"), "{error}");
}

#[test]
fn published_examples_are_read_shown_and_masked() {
    for (name, display, masked) in EXAMPLES {
        let identifier = of(name);
        let expected = bare(display);
        assert_eq!(normal(&identifier, display).as_ref(), Some(&expected), "{name}");
        assert_eq!(normal(&identifier, &expected).as_ref(), Some(&expected), "{name}, normal form");
        assert_eq!(identifier.display(&expected).unwrap().as_str(), *display);
        assert!(strict(&identifier, display) && strict(&identifier, &expected), "{name}");
        for zero in ['\u{660}', '\u{6f0}'] {
            let text = in_digits(zero, display);
            assert_eq!(normal(&identifier, &text).as_ref(), Some(&expected), "{name}");
            assert!(strict(&identifier, &text), "{name}");
            assert_eq!(mask(&identifier, &text), *masked);
        }
        for text in [display, &*expected, masked] {
            assert_eq!(mask(&identifier, text), *masked, "{name}");
        }
        let mask = Mask::Identifier(identifier);
        assert!(mask.read(masked).is_ok() && mask.read(display).is_err(), "{name}");
    }
}

#[test]
fn the_way_people_write_makes_no_difference() {
    let cnic = of("cnic");
    for text in [
        "3520212345671",
        " 35202-1234567-1\t",
        "35202 1234567 1",
        "35202\u{a0}1234567\u{a0}1",
        "35202\u{2013}1234567\u{2212}1",
        "\u{202b}۳۵۲۰۲-۱۲۳۴۵۶۷-۱\u{202c}",
        "٣٥٢٠٢۔١٢٣٤٥٦٧۔١",
        "۳۵۲۰۲ـ۱۲۳۴۵۶۷ـ۱",
        "3-5-2-0-2-1-2-3-4-5-6-7-1",
        "\u{feff}35202.1234567/1",
        "٣۵2021234567۱",
    ] {
        assert_eq!(normal(&cnic, text).as_deref(), Some("3520212345671"), "{text}");
    }
    for text in ["35202-1234567 1", "35202 1234567 1", "352021234567-1", " 3520212345671", ""] {
        assert!(!strict(&cnic, text), "{text}");
    }
    for text in
        ["", "-", "352021234567", "35202123456711", "35202-1234567-l", "35202+1234567-1", "３520212345671"]
    {
        assert_eq!(normal(&cnic, text), None, "{text}");
        assert_eq!(mask(&cnic, text), "********");
    }
    assert_eq!(normal(&of("pk-passport"), "ab 1234567").as_deref(), Some("AB1234567"));
    assert_eq!(normal(&of("ng-vnin"), "bm95-8525-4485-65xc").as_deref(), Some("BM958525448565XC"));
    assert!(!strict(&of("ng-vnin"), "bm958525448565xc"));
    assert_eq!(normal(&of("family-number"), "zk4t45").as_deref(), Some("ZK4T45"));
}

#[test]
fn odd_numbers_of_real_people_are_warned_of_and_accepted() {
    let warnings =
        |name: &str, text: &str| of(name).check(text, Strictness::Strict).unwrap().warnings().to_vec();
    assert_eq!(warnings("cnic", "35202-1234567-1"), []);
    for first in ["0", "8", "9"] {
        assert_eq!(warnings("cnic", &format!("{first}0000-1234567-1")), [Warning::FirstDigit]);
    }
    assert_eq!(warnings("cnic", "00000-1234567-0"), [Warning::FirstDigit, Warning::SexDigitZero]);
    assert_eq!(warnings("mosip-uin", "2635174961"), []);
    assert_eq!(warnings("mosip-uin", &whole("mosip-uin", "226351749", 9)), [Warning::RunOfDigits]);
    assert_eq!(warnings("mosip-uin", &whole("mosip-uin", "267835174", 9)), [Warning::RunOfDigits]);
    assert_eq!(warnings("mosip-uin", &whole("mosip-uin", "287635174", 9)), [Warning::RunOfDigits]);
    assert_eq!(warnings("at-vsnr", "1237010180"), []);
    assert_eq!(warnings("at-vsnr", &whole("at-vsnr", "123290200", 3)), []);
    assert_eq!(warnings("at-vsnr", &whole("at-vsnr", "123011380", 3)), [Warning::SubstituteDate]);
    for warning in [Warning::FirstDigit, Warning::RunOfDigits, Warning::SexDigitZero, Warning::SubstituteDate]
    {
        assert!(!warning.to_string().is_empty());
    }
}

/// The number with the one check digit that fits, put in at a position.
fn whole(name: &str, payload: &str, at: usize) -> String {
    let digits = ('0'..='9').map(|digit| format!("{}{digit}{}", &payload[..at], &payload[at..]));
    let fitting: Vec<String> = digits.filter(|text| normal(&of(name), text).is_some()).collect();
    assert_eq!(fitting.len(), 1, "{name}");
    fitting[0].clone()
}

#[test]
fn rules_beyond_the_shape_hold() {
    for (name, text) in [
        ("aadhaar", "134123412346"),
        ("aadhaar", "034123412346"),
        ("mosip-uin", "1635174961"),
        ("mosip-vid", "0635174961836270"),
        ("at-vsnr", "0237010180"),
        ("ee-isikukood", "96805280109"),
        ("ee-isikukood", "06805280109"),
        ("bd-nid", "00000345678"),
        ("bd-nid", "39840000000034567"),
        ("ng-vnin", "B1958525448565XC"),
        ("pk-passport", "A12345678"),
    ] {
        assert_eq!(normal(&of(name), text), None, "{name}, {text}");
    }
    // Of all twelve digits that read the same backwards, those with a fitting check digit are refused for that reason.
    let refused = (200_000..210_000).filter(|half| {
        let half = half.to_string();
        let text = half.clone() + &half.chars().rev().collect::<String>();
        let error = of("aadhaar").check(&text, Strictness::Lenient).unwrap_err();
        error.message().contains("backwards")
    });
    assert!(refused.count() > 500);
    // With every check digit: there is no 30 February, and 1800 was no leap year.
    for birth in ["3990230", "1000229", "3681328", "3680028", "3681200"] {
        for rest in 0..10_000 {
            assert_eq!(normal(&of("ee-isikukood"), &format!("{birth}{rest:04}")), None, "{birth}");
        }
    }
    assert!((0..10).any(|digit| normal(&of("ee-isikukood"), &format!("5000229010{digit}")).is_some()));
    // A remainder of 10 has no digit: such a number was never issued.
    assert!((0..10).all(|digit| normal(&of("at-vsnr"), &format!("119{digit}010180")).is_none()));
}

#[test]
fn a_wrong_digit_of_a_vsnr_is_caught_and_most_of_an_isikukood() {
    for (name, text, missed) in [
        ("at-vsnr", "1237010180", &[][..]),
        // Where the first remainder is 10 the second weights may give the same digit.
        ("ee-isikukood", "36805280109", &["36105280109"]),
    ] {
        let mut accepted = Vec::new();
        for at in 0..text.len() {
            for digit in ('0'..='9').filter(|digit| !text[at..].starts_with(*digit)) {
                accepted.extend(normal(&of(name), &format!("{}{digit}{}", &text[..at], &text[at + 1..])));
            }
        }
        assert_eq!(accepted, missed, "{name}");
    }
}

#[test]
fn phones_of_every_way_to_write_them_are_one() {
    let phone = of("phone");
    for (expected, texts) in [
        (
            "+923001234567",
            &[
                "+923001234567",
                "+92 300 1234567",
                "(+92) 300-1234567",
                "+92 (0)300 1234567",
                "0092 (0) 300 1234567",
                "+92 0300 1234567",
                "00923001234567",
                "0092-300-1234567",
                "03001234567",
                "0300-1234567",
                "0300 123 4567",
                "(0300) 1234567",
                "۰۳۰۰۱۲۳۴۵۶۷",
                "\u{200e}٠٣٠٠-١٢٣٤٥٦٧",
                "3001234567",
                "300.123.4567",
                "923001234567",
                "92/300/1234567",
                "\u{ff0b}923001234567",
            ][..],
        ),
        ("+922135761999", &["021-35761999", "(021) 3576 1999", "+92 21 35761999", "0092 (0)21 35761999"]),
        ("+92992335000", &["0992 335000", "0992-335000", "+92 992 335000"]),
        ("+442079460958", &["+44 20 7946 0958", "+44 (0)20 7946 0958", "0044 20 7946 0958"]),
        ("+390612345678", &["+39 06 1234 5678", "0039 06 12345678"]),
        ("+2901234", &["+290 1234", "00290 1234"]),
        // A bracket that was closed holds nothing any more.
        ("+4402079460958", &["+44()0)2079460958", "+44 020 7946 0958"]),
        ("+123456789012345", &["+123456789012345"]),
    ] {
        for text in texts {
            assert_eq!(normal(&phone, text).as_deref(), Some(expected), "{text}");
        }
        assert!(strict(&phone, expected));
    }
    for text in [
        "",
        "+",
        "+923",
        "+123456",
        "+1234567890123456",
        "0000923001234567",
        "+0923001234567",
        "0300123456",
        "030012345678",
        "300123456",
        "+92300123456",
        "+9230012345678",
        "92300123456",
        "922135761999",
        "2135761999",
        "0021 35761999x",
        "0300-1234567 ext 2",
        "03001234567+",
        "++923001234567",
        "+92+3001234567",
        "+92 (00) 300 1234567",
        "+92 000300 1234567",
        "1122",
    ] {
        assert_eq!(normal(&phone, text), None, "{text}");
        assert_eq!(mask(&phone, text), "********");
    }
    for text in ["03001234567", "00923001234567", "+92 3001234567", "923001234567"] {
        assert!(!strict(&phone, text), "{text}");
    }
    assert_eq!(mask(&phone, "+2901234"), "********");
    assert_eq!(mask(&phone, "+29012345"), "+****2345");
    assert_eq!(mask(&phone, "+***2345"), "********");
    assert_eq!(mask(&phone, "+****234*"), "********");
}

#[test]
fn the_check_digits_of_a_machine_readable_zone_are_all_verified() {
    let mrz = of("mrz");
    for zone in [TD1, TD1_LONG_NUMBER, TD2, TD3] {
        assert!(strict(&mrz, zone));
        let windows = zone.replace('\n', "\r\n").to_lowercase() + "\r\n";
        assert_eq!(normal(&mrz, &windows), Some(bare(zone)));
        assert_eq!(mask(&mrz, zone), "********");
        assert_eq!(mask(&mrz, &bare(zone)), "********");
        assert_eq!(normal(&mrz, &zone[1..]), None);
        assert_eq!(normal(&mrz, &format!("{zone}<")), None);
        assert_eq!(normal(&mrz, &zone.replacen('<', "-", 1)), None);
    }
    // Document number, its check digit, birth, its check digit, expiry, its check digit, optional part, its check digit, the last.
    for (zone, from, places) in [
        (TD1, 0, &[5, 14, 16, 31, 37, 39, 45, 51, 60][..]),
        (TD1_LONG_NUMBER, 0, &[5, 13, 15, 17, 18, 31, 37, 39, 45, 60]),
        (TD2, 37, &[0, 9, 13, 19, 21, 27, 29, 35]),
        (TD3, 45, &[0, 8, 9, 13, 19, 21, 27, 29, 36, 42, 43]),
    ] {
        for place in places {
            let at = from + place;
            let other = match zone.as_bytes()[at] {
                b'9' => '0',
                digit if digit.is_ascii_digit() => char::from(digit + 1),
                _ => '5',
            };
            let wrong = format!("{}{other}{}", &zone[..at], &zone[at + 1..]);
            let error = mrz.check(&wrong, Strictness::Lenient).unwrap_err();
            assert!(error.message().contains("check digit"), "{wrong}: {error}");
        }
    }
    // An empty optional part has 0 or a filler as its check digit; 1 counts in the last one too.
    for (optional, last, valid) in
        [("<<<<<<<<<<<<<<0", '8', true), ("<<<<<<<<<<<<<<<", '8', true), ("<<<<<<<<<<<<<<1", '9', false)]
    {
        let zone = TD3.replace("ZE184226B<<<<<10", &format!("{optional}{last}"));
        assert_eq!(normal(&mrz, &zone).is_some(), valid, "{zone}");
    }
    let wrong_letters = [
        TD3.replace("UTO74", "U1O74"),
        TD3.replace("120415", "12O415"),
        TD3.replace("2F1", "2Q1"),
        TD3.replacen('P', "1", 1),
    ];
    for zone in wrong_letters {
        let error = mrz.check(&zone, Strictness::Lenient).unwrap_err();
        assert!(error.message().contains("expected"), "{error}");
    }
    let visa = TD3.replacen('P', "V", 1);
    assert!(mrz.check(&visa, Strictness::Lenient).unwrap_err().message().contains("visa"));
}

#[test]
fn sizes_are_those_of_the_shapes() {
    for (name, size) in [
        ("aadhaar", 8e10),
        ("aadhaar-vid", 8e14),
        ("cnic", 1e13),
        ("family-number", 36_f64.powi(6)),
        ("mosip-uin", 8e8),
        ("mosip-vid", 8e14),
        ("nic-before-2001", 1e11),
        ("ng-nin", 1e11),
        ("ng-vnin", 26_f64.powi(4) * 1e12),
        ("pk-passport", 676e7),
        ("bd-nid", 2e16 + 1e13 + 1e10),
        ("at-vsnr", 900.0 * 4000.0 * 20.0),
        ("ee-isikukood", 640e6),
    ] {
        assert!((of(name).domain_bits() - f64::log2(size)).abs() < 1e-9, "{name}");
    }
    assert!((of("cnic").plausible_bits() - 5e10_f64.log2()).abs() < 1e-9);
    for identifier in Identifier::builtin() {
        let (plausible, domain) = (identifier.plausible_bits(), identifier.domain_bits());
        assert!(plausible > 20.0 && plausible <= domain, "{identifier:?}");
    }
    let letters = pattern("[A-Za-z0-9]{64}", CheckDigit::None).unwrap();
    assert!((letters.domain_bits() - 64.0 * 62_f64.log2()).abs() < 1e-9);
    assert!((letters.plausible_bits() - letters.domain_bits()).abs() < 1e-9);
}

#[test]
fn patterns_describe_other_identifiers() {
    let por = pattern("[A-Z]{2}-[0-9]{4}/[0-9]{4}", CheckDigit::None).unwrap();
    assert_eq!(por.name(), "card");
    assert_eq!(normal(&por, "pk ۱۲۳۴ ۵۶۷۸").as_deref(), Some("PK12345678"));
    assert_eq!(por.display("PK12345678").unwrap().as_str(), "PK-1234/5678");
    assert_eq!(mask(&por, "PK12345678"), "**-****/5678");
    let with_literals = pattern("#[0-9]{3}:[a-f][Xy]", CheckDigit::None).unwrap();
    assert_eq!(normal(&with_literals, "#123:Ax").as_deref(), Some("123aX"));
    assert_eq!(normal(&with_literals, "123bY").as_deref(), Some("123by"));
    assert_eq!(with_literals.display("123aX").unwrap().as_str(), "#123:aX");
    assert_eq!(normal(&with_literals, "123gX"), None);
    assert_eq!(mask(&with_literals, "123aX"), "********");
    let both_cases = pattern("[A-Za-z]{8}", CheckDigit::None).unwrap();
    assert_eq!(normal(&both_cases, "AbCdEfGh").as_deref(), Some("AbCdEfGh"));
    // Seven positions vary: four of them would be too many to show.
    assert_eq!(mask(&pattern("[P][K][0-9]{7}", CheckDigit::None).unwrap(), "PK1234567"), "********");
    assert_eq!(mask(&pattern("[P][K][0-9]{8}", CheckDigit::None).unwrap(), "PK12345678"), "******5678");
    let card = pattern("[0-9]{4} [0-9]{4} [0-9]{3}", CheckDigit::Luhn).unwrap();
    assert_eq!(normal(&card, "79927398713").as_deref(), Some("79927398713"));
    assert_eq!(normal(&card, "79927398714"), None);
    let document = pattern("[A-Z0-9]{9}[0-9]", CheckDigit::Icao9303).unwrap();
    assert_eq!(normal(&document, "L898902C36").as_deref(), Some("L898902C36"));
    assert_eq!(normal(&document, "L898902C37"), None);
    let error = por.check("PK1234567", Strictness::Lenient).unwrap_err();
    assert_eq!(error.message(), "not a `card`: expected [A-Z]{2}-[0-9]{4}/[0-9]{4}");
}

#[test]
fn the_shapes_of_the_table_are_what_their_patterns_say() {
    for (name, text, check) in [
        ("aadhaar", "[2-9][0-9]{3} [0-9]{4} [0-9]{4}", CheckDigit::Verhoeff),
        ("aadhaar-vid", "[2-9][0-9]{3} [0-9]{4} [0-9]{4} [0-9]{4}", CheckDigit::Verhoeff),
        ("cnic", "[0-9]{5}-[0-9]{7}-[0-9]", CheckDigit::None),
        ("mosip-uin", "[2-9][0-9]{9}", CheckDigit::Verhoeff),
        ("mosip-vid", "[2-9][0-9]{15}", CheckDigit::Verhoeff),
        ("family-number", "[A-Z0-9]{6}", CheckDigit::None),
        ("pk-passport", "[A-Z]{2}[0-9]{7}", CheckDigit::None),
        ("ng-vnin", "[A-Z]{2}[0-9]{12}[A-Z]{2}", CheckDigit::None),
    ] {
        let described = pattern(text, check).unwrap();
        assert!((described.domain_bits() - of(name).domain_bits()).abs() < 1e-9, "{name}");
        for (_, example, _) in EXAMPLES.iter().filter(|(other, ..)| *other == name) {
            assert_eq!(normal(&described, example), normal(&of(name), example), "{name}");
            assert_eq!(described.display(&bare(example)).unwrap().as_str(), *example);
        }
    }
}

#[test]
fn patterns_of_another_language_are_refused_with_the_place() {
    for (text, offset) in [
        ("", 0),
        ("-- -", 4),
        ("[0-9", 4),
        ("[0-9]{", 6),
        ("[0-9]{}", 6),
        ("[0-9]{0}", 6),
        ("[0-9]{07}", 6),
        ("[0-9]{7", 7),
        ("[0-9]{100}", 8),
        ("[0-9]{65}", 8),
        ("[0-9]{64}[0-9]", 13),
        ("[]", 1),
        ("[9-0]", 3),
        ("[A-z]", 3),
        ("[0-Z]", 3),
        ("[0-]", 3),
        ("[-9]", 1),
        ("[^0-9]", 1),
        ("[0-9]+x", 6),
        ("A[0-9]", 0),
        ("[0-9]]", 5),
        ("{7}", 0),
        ("[0-9]{7}{7}", 8),
        ("[0-9]\n", 5),
        ("[0-9]é", 5),
        ("[é]", 1),
        ("\\d", 1),
    ] {
        let error = pattern(text, CheckDigit::None).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (Kind::Schema, Some(offset)), "{text}: {error}");
    }
    let long = " ".repeat(MAX_PATTERN_BYTES) + "[0-9]";
    assert_eq!(pattern(&long, CheckDigit::None).unwrap_err().kind(), Kind::Limit);
    for (text, check) in [
        ("[A-Z][0-9]{7}", CheckDigit::Verhoeff),
        ("[A-Z][0-9]{7}", CheckDigit::Luhn),
        ("[a-z][0-9]{7}", CheckDigit::Icao9303),
        ("[0-9]{7}[A-Z]", CheckDigit::Icao9303),
        ("[0-9]{7}[0-8]", CheckDigit::Luhn),
    ] {
        assert_eq!(pattern(text, check).unwrap_err().kind(), Kind::Schema, "{text}");
    }
    let taken = Pattern::new(&Name::new("cnic").unwrap(), "[0-9]", CheckDigit::None);
    assert_eq!(taken.unwrap_err().kind(), Kind::Schema);
}

#[test]
fn errors_and_prints_say_nothing_of_the_number() {
    let checked = of("cnic").check("35202-1234567-1", Strictness::Strict).unwrap();
    assert_eq!(format!("{checked:?}"), "Checked");
    for (name, text) in [
        ("cnic", "35202-1234567"),
        ("aadhaar", "234123412345"),
        ("mrz", &TD3.replace("L898902C3", "L898902C4")),
        ("phone", "0300123456"),
        ("ee-isikukood", "36802300109"),
    ] {
        let error = of(name).check(text, Strictness::Lenient).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
        assert!(error.message().starts_with(|c: char| c.is_lowercase()), "{error}");
        let told = format!("{error:?}");
        assert!(
            !text.as_bytes().windows(5).any(|part| told.as_bytes().windows(5).any(|other| other == part)),
            "{told}"
        );
    }
    let error = of("cnic").check("35202 1234567 1", Strictness::Strict).unwrap_err();
    assert!(error.message().contains("another form") && !error.message().contains("35202"));
}

#[test]
fn a_refused_text_leaves_the_buffer_as_it_was() {
    for identifier in Identifier::builtin() {
        let mut out = b"before".to_vec();
        for text in ["", "1", "12345678901234567890x", "☃", "+92300123456789012345"] {
            assert!(identifier.append_normal(text, &mut out).is_err());
            assert_eq!(out, b"before");
        }
    }
    let mut out = b"before".to_vec();
    of("cnic").append_normal("35202-1234567-1", &mut out).unwrap();
    assert_eq!(out, b"before3520212345671");
    assert!(of("cnic").display("35202-1234567-1").is_err());
    assert!(of("cnic").display("۳520212345671").is_err());
    assert!(of("phone").display("03001234567").is_err());
}

#[test]
fn reading_into_a_buffer_with_room_allocates_nothing() {
    for (name, display, _) in EXAMPLES {
        let identifier = of(name);
        let mut out = Vec::with_capacity(128);
        let info = measure(|| identifier.append_normal(display, &mut out).unwrap());
        assert_eq!(info.count_total, 0, "{name}");
    }
}

#[test]
fn a_mask_shows_nothing_but_text() {
    let cnic = Mask::Identifier(of("cnic"));
    for value in [ValueRef::Integer(3_520_212_345_671), ValueRef::Null, ValueRef::Bytes(b"3520212345671")] {
        assert_eq!(cnic.apply(value).as_str(), "********");
    }
    // Stars with more shown than the mask does are no mask.
    for text in [
        "*****-***4567-1",
        "3****-***4567-*",
        "*****-**34567-*",
        "********4567*",
        "*****-***4567-*-",
        "*****-***456*-*",
    ] {
        assert!(cnic.read(text).is_err(), "{text}");
        assert_eq!(cnic.apply(ValueRef::Text(text)).as_str(), "********");
    }
    assert_eq!(Mask::Identifier(of("mrz")).read("********").unwrap().as_str(), "********");
}

fn any_identifier() -> impl Strategy<Value = Identifier> {
    proptest::sample::select(Identifier::builtin().to_vec())
}

/// Texts that are nearly identifiers: digits of three sets, letters, separators.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9۰-۹٠-٩]{9,17}",
        "[+0-9 ()-]{7,20}",
        "[A-Za-z]{2}[0-9]{7,12}[A-Za-z]{0,2}",
        "[0-9]{5}[- ]?[0-9]{7}[- ]?[0-9]",
        "(\\+|00|0)?(92)?3[0-9]{9}",
        "[*+-]{0,12}[0-9*]{4}[-*]{0,2}",
        ".{0,40}",
    ]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn a_normal_form_is_its_own_and_comes_back_from_the_display_form(identifier in any_identifier(), text in any_text()) {
        let Ok(checked) = identifier.check(&text, Strictness::Lenient) else { return Ok(()) };
        let again = identifier.check(checked.normal(), Strictness::Strict).unwrap();
        prop_assert_eq!(again.normal(), checked.normal());
        let display = identifier.display(checked.normal()).unwrap();
        let shown = identifier.check(&display, Strictness::Strict).unwrap();
        prop_assert_eq!(shown.normal(), checked.normal());
        prop_assert_eq!(shown.warnings(), checked.warnings());
    }

    #[test]
    fn masking_a_mask_changes_nothing_and_shows_four_at_most(identifier in any_identifier(), text in any_text()) {
        let once = mask(&identifier, &text);
        prop_assert_eq!(&mask(&identifier, &once), &once);
        let shown = once.chars().filter(|c| c.is_alphanumeric()).count();
        prop_assert!(shown <= 4);
        let hides_enough = once.chars().filter(|c| *c == '*').count() >= 4;
        prop_assert!(hides_enough);
    }

    #[test]
    fn a_mask_is_the_same_whatever_is_hidden(left in "[0-9]{8}", other in "[0-9]{8}", shown in "[0-9]{4}", sex in "[0-9]", last in "[0-9]") {
        let cnic = of("cnic");
        prop_assert_eq!(mask(&cnic, &format!("{left}{shown}{sex}")), mask(&cnic, &format!("{other}{shown}{last}")));
    }

    #[test]
    fn exactly_one_verhoeff_digit_fits_and_every_slip_is_caught(
        payload in "[2-9][0-9]{8}", at in 0..10_usize, digit in 0..10_u8,
    ) {
        let uin = of("mosip-uin");
        let right = whole("mosip-uin", &payload, 9);
        let mut slip = right.clone().into_bytes();
        slip[at] = b'0' + digit;
        let slip = String::from_utf8(slip).unwrap();
        prop_assert_eq!(normal(&uin, &slip).is_some(), slip == right);
        let mut swapped = right.clone().into_bytes();
        swapped.swap(at, (at + 1).min(9));
        let swapped = String::from_utf8(swapped).unwrap();
        prop_assert_eq!(normal(&uin, &swapped).is_some(), swapped == right);
    }

    #[test]
    fn a_wrong_digit_under_luhn_and_icao_9303_is_caught(payload in "[0-9]{9}", at in 0..10_usize, digit in 0..10_u8) {
        for check in [CheckDigit::Luhn, CheckDigit::Icao9303] {
            let card = pattern("[0-9]{10}", check).unwrap();
            let fitting: Vec<String> =
                (0..10).map(|d| format!("{payload}{d}")).filter(|text| normal(&card, text).is_some()).collect();
            prop_assert_eq!(fitting.len(), 1);
            let mut slip = fitting[0].clone().into_bytes();
            slip[at] = b'0' + digit;
            let slip = String::from_utf8(slip).unwrap();
            prop_assert_eq!(normal(&card, &slip).is_some(), slip == fitting[0]);
        }
    }

    #[test]
    fn any_text_is_a_pattern_or_refused(text in "[\\[\\]{}A-Za-z0-9 -]{0,20}") {
        if let Ok(identifier) = pattern(&text, CheckDigit::None) {
            prop_assert!(identifier.domain_bits() >= 0.0);
        }
    }
}
