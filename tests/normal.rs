// SPDX-License-Identifier: MIT OR Apache-2.0
//! Normal forms against their normative tables, pairs that a clerk takes for one, and pairs that must stay apart.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;

use amanat::identifier::Identifier;
use amanat::normal::{MAX_NORMAL_BYTES, NormalForm};
use amanat::{Date, Kind, Value, ValueRef};
use proptest::collection::vec;
use proptest::prelude::*;

const NAMES: [NormalForm; 2] = [NormalForm::LatinName, NormalForm::UrduName];

fn text(form: &NormalForm, value: &str) -> Result<String, Kind> {
    let normal = form.normalise(ValueRef::Text(value)).map_err(|error| error.kind())?;
    Ok(String::from_utf8(normal.bytes().expose().to_vec()).unwrap())
}

fn urdu(name: &str) -> String {
    text(&NormalForm::UrduName, name).unwrap()
}

fn latin(name: &str) -> String {
    text(&NormalForm::LatinName, name).unwrap()
}

/// The normative table of a form of names, read as SPEC 8.2 says.
fn table(form: &NormalForm) -> BTreeMap<char, String> {
    let file = form.name().replace('/', "-") + ".txt";
    let text = fs::read_to_string(format!("{}/spec/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let code = |hex: &str| {
        assert!(hex.len() >= 4 && hex.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)));
        char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap()
    };
    let mut table = BTreeMap::new();
    let mut last = None;
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (range, codes) = line.split_once('>').unwrap();
        let (first, end) = range.split_once("..").unwrap_or((range, range));
        let becomes: String = codes.split_terminator(' ').map(code).collect();
        assert!(last < Some(code(first)) && code(first) <= code(end), "{line} is not in order");
        last = Some(code(end));
        for c in code(first)..=code(end) {
            table.insert(c, becomes.clone());
        }
    }
    table
}

/// SPEC 8.2 step by step, with nothing of the library.
fn by_the_table(form: &NormalForm, table: &BTreeMap<char, String>, name: &str) -> String {
    let mut folded = String::new();
    for c in name.chars() {
        match table.get(&c) {
            Some(becomes) => folded.push_str(becomes),
            None => folded.push(c),
        }
    }
    if *form == NormalForm::UrduName {
        folded = folded.replace("\u{627}\u{653}", "\u{622}").replace('\u{653}', "");
    }
    folded.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_character_becomes_what_the_normative_table_says() {
    for (form, changed) in NAMES.into_iter().zip([1456, 2320]) {
        let table = table(&form);
        assert_eq!(table.len(), changed, "lines of a frozen table were added or removed");
        let mut buffer = form.normalise(ValueRef::Text("b")).unwrap();
        for c in '\0'..=char::MAX {
            let name = format!("b{c}b");
            form.normalise_into(ValueRef::Text(&name), &mut buffer).unwrap();
            let stays = !table.contains_key(&c) && c != ' ' && c != '\u{653}';
            let expected = if stays { name } else { by_the_table(&form, &table, &name) };
            assert!(
                buffer.bytes().expose() == expected.as_bytes(),
                "U+{:04X} in {}",
                u32::from(c),
                form.name()
            );
        }
        for becomes in table.values().flat_map(|becomes| becomes.chars()) {
            assert!(
                becomes == ' ' || !table.contains_key(&becomes),
                "a second pass would change {becomes:?}"
            );
        }
    }
}

/// Names of one meaning in different letters, and what they become.
const URDU_PAIRS: &[(&str, &[&str])] = &[
    // Yeh: Arabic, dotless, of Urdu.
    ("علی", &["علي", "على", "علی"]),
    // Kaf.
    ("کریم", &["كريم", "کريم", "كریم"]),
    // Heh, never do-chashmi.
    ("فاطم\u{6c1}", &["فاطم\u{647}", "فاطم\u{6c1}", "فاطم\u{6d5}", "فاطم\u{6c2}", "فاطم\u{6c0}"]),
    // Teh marbuta.
    ("رحم\u{6c3}", &["رحم\u{629}", "رحم\u{6c3}", "رحم\u{fe94}"]),
    // Presentation forms, lam-alef, the ligature of U+FDF2.
    ("علی", &["\u{fecb}\u{fee0}\u{fbfd}", "\u{fecb}\u{fee0}\u{feef}"]),
    ("سلام", &["سلام", "\u{feb3}\u{fefc}\u{fee1}", "س\u{fefb}م"]),
    ("عبدالل\u{6c1}", &["عبدالله", "عبد\u{fdf2}", "عبدالل\u{6c1}"]),
    // Hamza on yeh, on Farsi yeh, composed.
    ("نییر", &["ن\u{626}یر", "ن\u{6cc}\u{654}یر", "ن\u{64a}\u{654}یر"]),
    // Alef with madda, in one character, in two, with another mark between, in a ligature.
    ("\u{622}من\u{6c1}", &["\u{622}منه", "\u{627}\u{653}منه", "\u{627}\u{64e}\u{653}منه", "\u{fe81}منه"]),
    ("ل\u{622}", &["ل\u{622}", "\u{fef5}", "\u{fefb}\u{653}"]),
    // Hamza above and below alef, wasla; on waw; on yeh barree.
    ("احمد", &["\u{623}حمد", "\u{627}\u{654}حمد", "\u{671}حمد", "\u{625}حمد", "\u{627}\u{655}حمد"]),
    ("مومن", &["م\u{624}من", "مو\u{654}من", "مومن"]),
    ("جلو\u{6d2}", &["جلو\u{6d3}", "جلو\u{6d2}\u{654}", "جلو\u{fbb0}"]),
    // Zabar, zer, pesh, shadda, superscript alef, sukun, tanween, honorific sign.
    ("محمد رحمن", &["م\u{64f}ح\u{64e}م\u{651}\u{64e}د رح\u{652}م\u{670}ن\u{650}", "محمد\u{610} رحمن\u{64c}"]),
    // Tatweel, joiners, directional marks, byte order mark, soft hyphen.
    (
        "حسن",
        &[
            "ح\u{640}\u{640}سن",
            "ح\u{200c}س\u{200d}ن",
            "\u{feff}\u{200f}حسن\u{200e}",
            "\u{202b}ح\u{ad}سن\u{202c}",
        ],
    ),
    // Digits.
    ("بلاک 123", &["بلاک 123", "بلاک ١٢٣", "بلاک ۱۲۳", "بلاک \u{ff11}\u{ff12}\u{ff13}"]),
    // Spaces, hyphen, full stops and commas between words.
    (
        "محمد علی",
        &[
            "محمد\u{a0}علی",
            " محمد  \t علی ",
            "محمد-علی",
            "محمد۔علی",
            "محمد، علی",
            "محمد \u{200f} علی\u{3000}",
        ],
    ),
    // Latin letters in an Urdu name.
    ("block e 7", &["Block É 7", "BLOCK E\u{301} ۷", "\u{ff22}lock e-7"]),
];

#[test]
fn urdu_names_typed_on_any_keyboard_have_one_normal_form() {
    for (normal, names) in URDU_PAIRS {
        for name in *names {
            assert_eq!(urdu(name), *normal, "{}", name.escape_unicode());
        }
    }
}

#[test]
fn letters_that_differ_stay_apart() {
    for (left, right) in [
        // Heh and do-chashmi, noon and noon ghunna, yeh and yeh barree.
        ("\u{6c1}", "\u{6be}"),
        ("\u{fbaa}", "\u{fba6}"),
        ("\u{646}", "\u{6ba}"),
        ("\u{6cc}", "\u{6d2}"),
        // Alef and alef with madda; alef, madda of the next word.
        ("\u{627}", "\u{622}"),
        ("\u{627} \u{653}ب", "\u{622} ب"),
        // Teh, tteh, teh marbuta; heh and teh marbuta.
        ("\u{62a}", "\u{679}"),
        ("\u{62a}", "\u{6c3}"),
        ("\u{6c1}", "\u{6c3}"),
        // Dal, ddal, thal; reh, rreh; seen, sheen; kaf, gaf.
        ("\u{62f}", "\u{688}"),
        ("\u{62f}", "\u{630}"),
        ("\u{631}", "\u{691}"),
        ("\u{633}", "\u{634}"),
        ("\u{6a9}", "\u{6af}"),
        // Kaf of Urdu, the swash kaf of Sindhi; yeh, and letters of Pashto and Kurdish.
        ("\u{6a9}", "\u{6aa}"),
        ("\u{6cc}", "\u{6cd}"),
        ("\u{6cc}", "\u{6ce}"),
        ("\u{6cc}", "\u{6d0}"),
        ("\u{648}", "\u{6c6}"),
        // Words joined and apart.
        ("عبد الرحمن", "عبدالرحمن"),
        // A letter hamza alone, and none.
        ("شی\u{621}", "شی"),
    ] {
        assert_ne!(urdu(left), urdu(right), "{} {}", left.escape_unicode(), right.escape_unicode());
    }
}

#[test]
fn latin_names_lose_case_marks_apostrophes_and_hyphens() {
    for (normal, names) in [
        (
            "muhammad ali",
            &["Muhammad Ali", "MUHAMMAD<<ALI<<<<", "muhammad-ali", " Muhammad.  Ali,", "Muḥammad ʿAlī"][..],
        ),
        (
            "oneill",
            &["O'Neill", "O\u{2019}Neill", "O`NEILL", "o\u{2bc}neill", "\u{ff2f}\u{ff07}\u{ff2e}eill"],
        ),
        ("jose", &["José", "Jose\u{301}", "JOSÉ"]),
        ("lodz", &["Łódź", "ŁÓDŹ"]),
        ("strasse", &["Straße", "STRASSE", "STRAẞE"]),
        ("soren aegir thor", &["Søren Ægir Þór", "SØREN ÆGIR ÞÓR"]),
        ("oe d d i i", &["œ Đ ð ı İ"]),
        ("dinh nguyen", &["Đinh Nguyễn", "Đinh Nguye\u{302}\u{303}n"]),
        ("dan bawa", &["Ɗan Ɓawa", "ɗan ɓawa"]),
        ("fischer", &["\u{fb01}scher", "FISCHER"]),
        ("ward 7", &["Ward\u{a0}٧", "ward ۷", "WARD\u{200b} \u{ff17}"]),
    ] {
        for name in names {
            assert_eq!(latin(name), normal, "{}", name.escape_unicode());
        }
    }
    assert_ne!(latin("Ayesha"), latin("Aisha"));
    // Another script stays as it is.
    assert_eq!(latin("علي"), "علي");
}

#[test]
fn a_long_ligature_is_written_out_before_the_length_is_checked() {
    assert_eq!(urdu("\u{fdfa}"), "صلی الل\u{6c1} علی\u{6c1} وسلم");
    // 33 bytes each; 31 of them are 1,023.
    assert_eq!(urdu(&"\u{fdfa}".repeat(31)).len(), 1023);
    assert_eq!(text(&NormalForm::UrduName, &"\u{fdfa}".repeat(32)), Err(Kind::Limit));
    assert_eq!(latin(&("a".repeat(MAX_NORMAL_BYTES) + &" ".repeat(60_000))).len(), MAX_NORMAL_BYTES);
    assert_eq!(text(&NormalForm::LatinName, &"a".repeat(MAX_NORMAL_BYTES + 1)), Err(Kind::Limit));
    assert_eq!(text(&NormalForm::LatinName, &" ".repeat(65_537)), Err(Kind::Limit));
}

#[test]
fn digits_keep_their_zeros_and_nothing_else() {
    let digits = |value: &str| text(&NormalForm::Digits, value);
    for value in ["0035202-1", "۰۰۳۵۲۰۲۔۱", " ٠٠٣٥٢٠٢\u{2013}١", "0035 202\u{a0}1\u{200f}", "00352021"]
    {
        assert_eq!(digits(value).unwrap(), "00352021");
    }
    for value in ["1a", "1.5", "+92", "1/2", "\u{ff11}", "१"] {
        assert_eq!(digits(value), Err(Kind::Malformed), "{value}");
    }
    assert_eq!(digits(&"7".repeat(MAX_NORMAL_BYTES)).unwrap().len(), MAX_NORMAL_BYTES);
    assert_eq!(digits(&"7".repeat(MAX_NORMAL_BYTES + 1)), Err(Kind::Limit));
}

#[test]
fn dates_have_one_order_and_may_be_partial() {
    let date = |value: &str| text(&NormalForm::Date, value);
    for value in [
        "1957-03-28",
        "۱۹۵۷-۰۳-۲۸",
        " ١٩٥٧-٠٣-٢٨\u{200f}",
        "1957\u{2010}03\u{2212}28",
        "\u{feff}1957-03-28\n",
    ] {
        assert_eq!(date(value).unwrap(), "1957-03-28");
    }
    assert_eq!(date("1957-00-00").unwrap(), "1957-00-00");
    for value in [
        "28-03-1957",
        "28/03/1957",
        "1957/03/28",
        "19570328",
        "57-03-28",
        "1957-3-28",
        "1957-02-29",
        "1957-03-28 10:00",
        "1957 -03-28",
    ] {
        assert_eq!(date(value), Err(Kind::Malformed), "{value}");
    }
    let typed = NormalForm::Date.normalise(ValueRef::Date(Date::new(1957, 3, 0).unwrap())).unwrap();
    assert!(typed.matches(&NormalForm::Date.normalise(ValueRef::Text("۱۹۵۷-۰۳-۰۰")).unwrap()));
}

#[test]
fn exact_tells_types_apart() {
    let exact = |value: ValueRef<'_>| NormalForm::Exact.normalise(value);
    assert_eq!(exact(ValueRef::Text("aB ")).unwrap().bytes().expose(), b"\x01aB ");
    assert_eq!(
        exact(ValueRef::Integer(-2)).unwrap().bytes().expose(),
        b"\x03\xff\xff\xff\xff\xff\xff\xff\xfe"
    );
    assert_eq!(exact(ValueRef::Boolean(true)).unwrap().bytes().expose(), b"\x05\x01");
    assert_eq!(exact(ValueRef::Text("")).unwrap().bytes().expose(), b"\x01");
    assert!(!exact(ValueRef::Text("a")).unwrap().matches(&exact(ValueRef::Bytes(b"a")).unwrap()));
    assert_eq!(exact(ValueRef::Null).unwrap_err().kind(), Kind::Schema);
    assert_eq!(exact(ValueRef::Cbor(&[0x82, 1])).unwrap_err().kind(), Kind::Malformed);
    assert_eq!(exact(ValueRef::Bytes(&[7; MAX_NORMAL_BYTES])).unwrap_err().kind(), Kind::Limit);
    assert_eq!(
        exact(ValueRef::Bytes(&[7; MAX_NORMAL_BYTES - 1])).unwrap().bytes().expose().len(),
        MAX_NORMAL_BYTES
    );
}

#[test]
fn what_has_no_normal_form_is_refused_without_telling_it() {
    let refused = |form: &NormalForm, value: ValueRef<'_>, part: &str| {
        let error = form.normalise(value).unwrap_err();
        assert!(error.kind() == Kind::Schema && error.message().contains(part), "{error}");
        assert!(!format!("{error:?}").contains("7531"));
    };
    for form in [NormalForm::Date, NormalForm::Digits, NormalForm::LatinName, NormalForm::UrduName] {
        refused(&form, ValueRef::Null, "null");
        refused(&form, ValueRef::Integer(7531), "leading zeros");
        refused(&form, ValueRef::Bytes(b"7531"), "bytes");
    }
    refused(&NormalForm::UrduName, ValueRef::Date(Date::new(7531, 1, 1).unwrap()), "date");
    for nothing in ["", " ", "\u{64e}\u{651}", "\u{200f}-\u{a0}", "\u{653}"] {
        refused(&NormalForm::UrduName, ValueRef::Text(nothing), "nothing is left");
    }
    refused(&NormalForm::Digits, ValueRef::Text(" - "), "nothing is left");
}

#[test]
fn identifiers_are_forms() {
    let cnic = NormalForm::Identifier(Identifier::Cnic);
    assert_eq!(text(&cnic, "۳۵۲۰۲-۱۲۳۴۵۶۷-۱").unwrap(), "3520212345671");
    assert_eq!(text(&cnic, "35202-1234567"), Err(Kind::Malformed));
    assert_eq!(cnic.normalise(ValueRef::Integer(3_520_212_345_671)).unwrap_err().kind(), Kind::Schema);
    let phone = NormalForm::from_name("e164/v1").unwrap();
    assert_eq!(text(&phone, "0300-1234567").unwrap(), "+923001234567");
}

#[test]
fn a_form_is_found_by_its_name() {
    for name in ["date/v1", "digits/v1", "exact/v1", "latin-name/v1", "urdu-name/v1"] {
        assert_eq!(NormalForm::from_name(name).unwrap().name(), name);
    }
    for identifier in Identifier::builtin() {
        let form = NormalForm::Identifier(identifier.clone());
        let name = form.name();
        assert!(name == format!("{}/v1", identifier.name()) || name == "e164/v1");
        assert_eq!(NormalForm::from_name(&name).unwrap(), form);
    }
    for name in ["", "digits", "digits/v2", "DIGITS/v1", "name-urdu/v1", "phone/v1", "custom/v1:x"] {
        assert_eq!(NormalForm::from_name(name).unwrap_err().kind(), Kind::Unsupported);
    }
}

#[test]
fn forms_do_not_mix_and_nothing_is_printed() {
    let name = NormalForm::UrduName.normalise(ValueRef::Text("Abdul")).unwrap();
    assert!(name.matches(&NormalForm::UrduName.normalise(ValueRef::Text("ABDUL")).unwrap()));
    assert!(!name.matches(&NormalForm::LatinName.normalise(ValueRef::Text("Abdul")).unwrap()));
    assert!(!format!("{name:?}").to_lowercase().contains("abdul"));
}

#[test]
fn a_buffer_is_reused_and_empty_after_an_error() {
    let mut buffer = NormalForm::Date.normalise(ValueRef::Text("1957-03-28")).unwrap();
    NormalForm::Digits.normalise_into(ValueRef::Text("12"), &mut buffer).unwrap();
    assert!(*buffer.form() == NormalForm::Digits && buffer.bytes().expose() == b"12");
    assert!(NormalForm::Digits.normalise_into(ValueRef::Text("12x"), &mut buffer).is_err());
    assert!(buffer.bytes().expose().is_empty() && !buffer.matches(&buffer));
}

#[test]
fn a_normal_form_is_written_in_one_buffer_that_does_not_move() {
    // A buffer that grew would leave a copy of the value behind.
    let allocations = |form: &NormalForm, name: &str| {
        allocation_counter::measure(|| {
            drop(std::hint::black_box(form.normalise(ValueRef::Text(name)).unwrap()))
        })
        .count_total
    };
    for form in NAMES {
        for c in table(&form).keys().copied().chain(['b', 'ہ', '\u{4e00}', char::MAX]) {
            let name = format!("b{}", c.to_string().repeat(30));
            assert_eq!(allocations(&form, &name), 1, "U+{:04X}", u32::from(c));
        }
        let mut buffer = form.normalise(ValueRef::Text("محمد عبداللہ علی خان")).unwrap();
        let reused = allocation_counter::measure(|| {
            form.normalise_into(ValueRef::Text("فاطمہ"), &mut buffer).unwrap();
        });
        assert_eq!(reused.count_total, 0);
    }
}

/// Characters that names are made of, rich in those that the tables change.
fn any_name() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        6 => prop::char::range('\u{600}', '\u{6ff}'),
        1 => prop::char::range('\u{64b}', '\u{655}'),
        2 => prop::sample::select(vec!['\u{627}', '\u{653}', '\u{640}', '\u{654}', '\u{6cc}', ' ', '-', '\u{200c}']),
        1 => prop::char::range('\u{750}', '\u{8ff}'),
        2 => prop::char::range('\u{fb50}', '\u{feff}'),
        1 => prop::char::range('\u{ff00}', '\u{ff60}'),
        2 => prop::char::range('\0', '\u{36f}'),
        1 => prop::char::range('\u{1e00}', '\u{206f}'),
        1 => any::<char>(),
    ];
    vec(character, 0..40).prop_map(String::from_iter)
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_name().prop_map(|name| ValueRef::Text(&name).to_value()),
        "[0-9۰-۹٠-٩ -]{0,20}".prop_map(|digits: String| ValueRef::Text(&digits).to_value()),
        "[0-9]{4}-[01][0-9]-[0-3][0-9]".prop_map(|date: String| ValueRef::Text(&date).to_value()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn names_follow_the_tables_alone(name in any_name()) {
        for form in NAMES {
            let expected = by_the_table(&form, &TABLES[usize::from(form == NormalForm::UrduName)], &name);
            match text(&form, &name) {
                Ok(normal) => prop_assert_eq!(normal, expected),
                Err(kind) => prop_assert!(kind == Kind::Schema && expected.is_empty()),
            }
        }
    }

    #[test]
    fn normalising_twice_changes_nothing(value in any_value()) {
        for form in [NormalForm::Date, NormalForm::Digits, NormalForm::LatinName, NormalForm::UrduName] {
            let Ok(once) = form.normalise(value.as_ref()) else { continue };
            let once_text = std::str::from_utf8(once.bytes().expose()).unwrap();
            prop_assert!(form.normalise(ValueRef::Text(once_text)).unwrap().matches(&once));
        }
    }
}

static TABLES: std::sync::LazyLock<[BTreeMap<char, String>; 2]> =
    std::sync::LazyLock::new(|| NAMES.map(|form| table(&form)));
