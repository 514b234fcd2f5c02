// SPDX-License-Identifier: MIT OR Apache-2.0
//! Brings random values into normal forms and makes index terms and tokens of them, for another implementation to make again.
//!
//! With `AMANAT_CROSSCHECK_OUT=FOLDER` set, FOLDER gets `surrogates.jsonl` and its keyring, for
//! `python3 -m amanat_reference check-surrogates FOLDER/surrogates.jsonl`; without it a temporary folder is used and removed.

use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;

use amanat::__bench::Ff1;
use amanat::identifier::{CheckDigit, Identifier, Pattern, Strictness};
use amanat::index::{BlindIndex, IndexBits, IndexSpec, IndexTerm, IndexedField};
use amanat::keys::Purpose;
use amanat::mask::Mask;
use amanat::normal::{Normal, NormalForm};
use amanat::token::{
    Audience, Epoch, ExpiringTokens, PairwiseTokens, PreservingTokens, ReversibleTokens, Token, Vault,
    VaultEntry, VaultedTokens,
};
use amanat::{Date, Error, Keyring, Kind, Secret, Timestamp, ValueRef};
use serde_json::{Value as Json, json};

use super::common::*;
use super::hex;

/// SplitMix64: what it gives need not be unguessable, only different in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_be_bytes()[0]).collect()
    }

    /// A text of up to `most` characters, each from one of the ranges.
    fn text(&mut self, most: usize, ranges: &[(u32, u32)]) -> String {
        let length = self.below(most + 1);
        let mut text = String::new();
        while text.chars().count() < length {
            let (first, last) = self.of(ranges);
            let code = first + u32::try_from(self.below(usize::try_from(last - first + 1).unwrap())).unwrap();
            text.extend(char::from_u32(code));
        }
        text
    }
}

const SIGNS: [(u32, u32); 10] = [
    (0x20, 0x20),
    (0x20, 0x2f),
    (0x5b, 0x60),
    (0xa0, 0xbf),
    (0x2000, 0x206f),
    (0x2b0, 0x2ff),
    (0x300, 0x36f),
    (0xfe00, 0xfe2f),
    (0x3000, 0x3000),
    (0xff00, 0xff5e),
];
const ARABIC: [(u32, u32); 12] = [
    (0x627, 0x64a),
    (0x627, 0x64a),
    (0x600, 0x6ff),
    (0x600, 0x6ff),
    (0x64b, 0x65f),
    (0x670, 0x6d3),
    (0x750, 0x77f),
    (0x870, 0x8ff),
    (0xfb50, 0xfdff),
    (0xfe70, 0xfeff),
    (0x10ec0, 0x10eff),
    (0xe0100, 0xe01ef),
];
const LATIN: [(u32, u32); 7] = [
    (0x41, 0x7a),
    (0x41, 0x7a),
    (0xc0, 0x24f),
    (0x250, 0x2af),
    (0x1e00, 0x1eff),
    (0xfb00, 0xfb06),
    (0x2100, 0x214f),
];
const DIGITS: [(u32, u32); 6] =
    [(0x30, 0x39), (0x30, 0x39), (0x30, 0x39), (0x30, 0x39), (0x660, 0x669), (0x6f0, 0x6f9)];
const SEPARATORS: [(u32, u32); 6] =
    [(0x20, 0x20), (0x2d, 0x2f), (0x2010, 0x2015), (0x200b, 0x200f), (0x640, 0x640), (0x5f, 0x5f)];

/// One value in a form: what the reference must find too.
struct Lines {
    keyring: Keyring,
    lines: Vec<Json>,
    normal: ReversibleTokens,
    audience: Audience,
    refused: usize,
}

fn class(error: &Error) -> &'static str {
    match error.kind() {
        Kind::Malformed => "malformed",
        Kind::Schema => "schema",
        Kind::Limit => "limit",
        Kind::Unsupported => "unsupported",
        other => panic!("{other:?}"),
    }
}

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn custom(name_of: &str, pattern: &str, check: CheckDigit) -> (NormalForm, String) {
    let check_name = match check {
        CheckDigit::Luhn => "luhn",
        CheckDigit::Verhoeff => "verhoeff",
        CheckDigit::Icao9303 => "icao-9303",
        _ => "none",
    };
    let identifier = Pattern::new(&name(name_of), pattern, check).unwrap().into();
    (NormalForm::Identifier(identifier), format!("custom/v1:{name_of}:{pattern} {check_name}"))
}

/// The forms that a schema describes itself, as a line says them.
fn customs() -> Vec<(NormalForm, String)> {
    vec![
        custom("por-card", "[A-Z]{2}[0-9]{9}", CheckDigit::None),
        custom("luhn", "[0-9]{3} [0-9]{3}.[0-9]", CheckDigit::Luhn),
        custom("verhoeff", "[1-9][0-9]{5}-[0-9]", CheckDigit::Verhoeff),
        custom("icao", "[A-Z0-9]{4}<[0-9]", CheckDigit::Icao9303),
        custom("cases", "[a-c][A-C][x-zX-Z0-4]{6}", CheckDigit::None),
    ]
}

impl Lines {
    fn new() -> Self {
        let mut keyring = ring();
        for purpose in [Purpose::Index, Purpose::Token] {
            let id = keyring.add_key(purpose, 365, time(1)).unwrap();
            keyring.activate(id, time(1)).unwrap();
        }
        let audience = Audience::new("tax-office", "matching").unwrap();
        let normal = reversible(&mut keyring, &audience, 1);
        Self { keyring, lines: Vec::new(), normal, audience, refused: 0 }
    }

    /// A value in a form, its normal form shown by a reversible token, or why it was refused.
    fn value(&mut self, form: &NormalForm, form_name: &str, kind: u8, stored: &[u8], value: ValueRef<'_>) {
        match form.normalise(value).and_then(|normal| self.normal.make(&normal)) {
            Ok(token) => self.token(form_name, kind, stored, &token, json!({})),
            Err(error) => {
                self.refused += 1;
                self.lines.push(json!({
                    "op": "refused", "form": form_name, "type": format!("{kind:02x}"),
                    "value_hex": hex(stored), "class": class(&error),
                }));
            }
        }
    }

    fn text(&mut self, form: &NormalForm, text: &str) {
        self.value(form, &form.name(), 1, text.as_bytes(), ValueRef::Text(text));
    }

    fn token(&mut self, form_name: &str, kind: u8, stored: &[u8], token: &Token, more: Json) {
        let mut line = json!({
            "op": "token", "form": form_name, "type": format!("{kind:02x}"), "value_hex": hex(stored),
            "text": token.to_text(),
        });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.lines.push(line);
    }

    fn identifier(&mut self, form: &NormalForm, form_name: &str, text: &str) {
        let NormalForm::Identifier(identifier) = form else { panic!("an identifier's form") };
        let mask = Mask::Identifier(identifier.clone()).apply(ValueRef::Text(text));
        let mut line = json!({
            "op": "identifier", "form": form_name, "value_hex": hex(text.as_bytes()), "mask": mask.as_str(),
        });
        let more = match identifier.check(text, Strictness::Lenient) {
            Ok(read) => {
                let display = identifier.display(read.normal()).unwrap();
                let strict = identifier.check(text, Strictness::Strict).is_ok();
                json!({ "normal": read.normal(), "display": display.as_str(), "strict": strict })
            }
            Err(error) => {
                self.refused += 1;
                json!({ "class": class(&error) })
            }
        };
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.lines.push(line);
    }
}

fn reversible(keyring: &mut Keyring, audience: &Audience, number: u64) -> ReversibleTokens {
    let id = keyring.token_keys().unwrap().key_of_epoch(epoch(number)).unwrap();
    let allowance = keyring.reserve_under(id, 1 << 20).unwrap();
    ReversibleTokens::new(&keyring.token_keys().unwrap(), audience, epoch(number), &allowance).unwrap()
}

fn forms(lines: &mut Lines, random: &mut Random) {
    let mixed = [&ARABIC[..], &LATIN, &SIGNS, &DIGITS].concat();
    let arabic = [&ARABIC[..], &ARABIC, &SIGNS].concat();
    let latin = [&LATIN[..], &LATIN, &SIGNS].concat();
    for form in [NormalForm::UrduName, NormalForm::LatinName] {
        for ranges in [&arabic, &latin, &mixed] {
            for _ in 0..1_500 {
                let text = random.text(24, ranges);
                lines.text(&form, &text);
            }
        }
    }
    let digits = [&DIGITS[..], &DIGITS, &DIGITS, &SEPARATORS].concat();
    for _ in 0..500 {
        let text = random.text(20, &digits);
        lines.text(&NormalForm::Digits, &text);
        let mut text = random.text(2, &SEPARATORS);
        for (length, end) in [(4, "-"), (2, "\u{2013}"), (2, "")] {
            for _ in 0..length {
                text.push_str(&random.text(1, &DIGITS[..1]));
            }
            text.push_str(if random.below(4) == 0 { "\u{200e}" } else { "" });
            text.push_str(end);
        }
        lines.text(&NormalForm::Date, &text);
        let year = u16::try_from(1 + random.below(9_999)).unwrap();
        let (month, day) = (random.below(13), random.below(29));
        let month = u8::try_from(month).unwrap();
        let day = if month == 0 { 0 } else { u8::try_from(day).unwrap() };
        let date = Date::new(year, month, day).unwrap();
        lines.value(&NormalForm::Date, "date/v1", 4, &date.to_bytes(), ValueRef::Date(date));
        let text = format!("{year:04}-{month:02}-{:02}", random.below(33));
        lines.text(&NormalForm::Date, &text);
        let bytes = random.bytes(16);
        lines.value(&NormalForm::Exact, "exact/v1", 2, &bytes, ValueRef::Bytes(&bytes));
    }
}

/// Numbers with every sign in every place, most of them nearly right.
fn phones(lines: &mut Lines, random: &mut Random) {
    let parts =
        ["+", "00", "0", "92", "923", "3", "44", "(", ")", "(0)", " ", "-", "\u{ff0b}", "\u{6f0}", "5"];
    let form = NormalForm::Identifier(Identifier::Phone);
    let usual = ["+92", "+92 (0)", "0092", "0", "03", "3", "+44 ", "0044(0)", "+1", "+39 (0", "92", "923"];
    for number in 0..6_000 {
        let mut text = String::new();
        if number % 2 == 0 {
            text.push_str(random.of(&usual));
        } else {
            for _ in 0..random.below(7) {
                text.push_str(random.of(&parts));
            }
        }
        let length = 5 + random.below(9);
        for place in 0..length {
            text.push(char::from(b'0' + u8::try_from(random.below(10)).unwrap()));
            if random.below(12) == 0 && place > 0 {
                text.push_str(random.of(&parts[7..13]));
            }
        }
        lines.identifier(&form, "e164/v1", &text);
    }
}

/// Texts near the shapes of every identifier: a valid one comes of a tenth of random digits where there is a check digit.
fn identifiers(lines: &mut Lines, random: &mut Random) {
    let shapes = [
        ("cnic", "ddddd-ddddddd-d"),
        ("aadhaar", "9ddd dddd dddd"),
        ("aadhaar-vid", "9ddd dddd dddd dddd"),
        ("mosip-uin", "9ddddddddd"),
        ("mosip-vid", "9ddddddddddddddd"),
        ("bd-nid", "dddddddddd"),
        ("bd-nid", "ddddddddddddd"),
        ("bd-nid", "1dddddddddddddddd"),
        ("ng-nin", "ddddddddddd"),
        ("ng-vnin", "llddddddddddddll"),
        ("nic-before-2001", "ddddddddddd"),
        ("pk-passport", "ll ddddddd"),
        ("family-number", "lldldl"),
        ("ee-isikukood", "1dd 0d 1d dddd"),
        ("ee-isikukood", "5dd 1d 2d dddd"),
        ("at-vsnr", "1ddd 2d1ddd"),
        ("at-vsnr", "1ddd 30 01 dd"),
    ];
    let built = |text: &str| {
        let form = NormalForm::Identifier(Identifier::from_name(text).unwrap());
        let form_name = form.name().into_owned();
        (form, form_name)
    };
    let mut all: Vec<_> = shapes.iter().map(|(of, shape)| (built(of), *shape)).collect();
    let shapes = ["lldd ddddddd", "ddd ddd.d", "dddddd-d", "dlld<d", "aazzzzzz"];
    all.extend(customs().into_iter().zip(shapes));
    for ((form, form_name), shape) in &all {
        for _ in 0..300 {
            let mut text = String::new();
            for letter in shape.chars() {
                match letter {
                    'd' => text.push_str(&loop {
                        let digit = random.text(1, &DIGITS);
                        if !digit.is_empty() {
                            break digit;
                        }
                    }),
                    'l' => text.push(random.of(&['A', 'b', 'C', 'x', 'Y', 'z', 'p'])),
                    'a' => text.push(random.of(&['a', 'B', 'c', 'A'])),
                    'z' => text.push(random.of(&['x', 'Y', 'z', 'X', '0', '4'])),
                    ' ' if random.below(2) == 0 => text.push_str(&random.text(2, &SEPARATORS)),
                    other => text.push(other),
                }
            }
            if random.below(10) == 0 {
                text.push_str(&random.text(1, &[&SIGNS[..], &DIGITS, &SEPARATORS].concat()));
            }
            lines.identifier(form, form_name, &text);
        }
    }
    zones(lines, random);
}

/// Machine-readable zones of the vectors, with none, one or two characters changed.
fn zones(lines: &mut Lines, random: &mut Random) {
    let form = NormalForm::Identifier(Identifier::IcaoMrz);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    for file in ["td1", "td1_long_number", "td2", "td3", "td3_empty_optional"] {
        let vector = fs::read_to_string(folder.join(format!("identifier_mrz_{file}.txt"))).unwrap();
        let value = vector.lines().find_map(|line| line.strip_prefix("value: ")).unwrap();
        let good: Vec<char> = String::from_utf8(super::unhex(value)).unwrap().chars().collect();
        for changes in [0, 1, 1, 1, 2] {
            for _ in 0..60 {
                let mut text = good.clone();
                for _ in 0..changes {
                    let at = random.below(text.len());
                    text[at] = random.of(&['<', '0', '1', '7', 'A', 'K', 'f', 'V', ' ']);
                }
                lines.identifier(&form, "mrz/v1", &text.iter().collect::<String>());
            }
        }
    }
}

/// Indexes of one to three fields, of every length, under two generations.
fn terms(lines: &mut Lines, random: &mut Random) {
    let index_keys = lines.keyring.index_keys().unwrap();
    let forms = [NormalForm::UrduName, NormalForm::Digits, NormalForm::Identifier(Identifier::Cnic)];
    let mut made = Vec::new();
    for bits in 4..=128 {
        let count = 1 + random.below(3);
        let fields: Vec<_> = (0..count)
            .map(|place| IndexedField {
                field: name(&format!("field-{place}")),
                form: forms[random.below(forms.len())].clone(),
            })
            .collect();
        let columns: Vec<_> =
            fields.iter().map(|field| json!([field.field.as_str(), field.form.name()])).collect();
        let texts: Vec<String> =
            (0..count).map(|_| format!("{:013}", random.next() % 10_u64.pow(13))).collect();
        let values: Vec<Normal> = fields
            .iter()
            .zip(&texts)
            .map(|(field, text)| field.form.normalise(ValueRef::Text(text)).unwrap())
            .collect();
        let index_name = format!("index-{bits}");
        let spec = IndexSpec::new(name(&index_name), fields, IndexBits::new(bits).unwrap()).unwrap();
        let mut index = BlindIndex::new(&index_keys, &name("citizens"), &spec, &[]).unwrap();
        let found = index.query(&values.iter().collect::<Vec<_>>()).unwrap();
        made.push(json!({
            "op": "term", "table": "citizens", "index": index_name, "columns": columns, "bits": bits,
            "values": texts, "terms": found.iter().map(IndexTerm::to_text).collect::<Vec<_>>(),
        }));
    }
    lines.lines.extend(made);
}

/// Keeps what is put in, so that a vaulted token can be written down with its entry.
#[derive(Default)]
struct LastEntry(Option<VaultEntry>);

impl Vault for LastEntry {
    fn begin(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn roll_back(&mut self) {}

    fn by_terms(&mut self, terms: &[IndexTerm]) -> Result<Vec<VaultEntry>, Error> {
        Ok(self.0.iter().filter(|entry| terms.contains(&entry.term)).cloned().collect())
    }

    fn by_body(&mut self, body: &[u8; 16]) -> Result<Option<VaultEntry>, Error> {
        Ok(self.0.clone().filter(|entry| entry.body == *body))
    }

    fn tags(&mut self) -> Result<Vec<u8>, Error> {
        Ok(self.0.iter().map(|entry| entry.term.as_bytes()[0]).collect())
    }

    fn insert(&mut self, entry: &VaultEntry) -> Result<(), Error> {
        self.0 = Some(entry.clone());
        Ok(())
    }

    fn replace(&mut self, _: &VaultEntry, _: &VaultEntry) -> Result<bool, Error> {
        panic!("nothing is renewed")
    }

    fn remove(&mut self, _: &[u8; 16]) -> Result<bool, Error> {
        panic!("nothing is forgotten")
    }

    fn page(&mut self, _: &str, _: Option<&[u8; 16]>, _: usize) -> Result<Vec<VaultEntry>, Error> {
        panic!("nothing is renewed")
    }

    fn scopes(&mut self) -> Result<Vec<String>, Error> {
        panic!("nothing is traced")
    }
}

/// Tokens of every kind in both epochs.
fn tokens(lines: &mut Lines, random: &mut Random) {
    let audience = lines.audience.clone();
    let cnic = NormalForm::Identifier(Identifier::Cnic);
    let mut all = vec![(cnic, "cnic/v1".to_owned())];
    all.extend(customs().into_iter().take(1));
    for number in [1, 2] {
        let token_id = lines.keyring.token_keys().unwrap().key_of_epoch(epoch(number)).unwrap();
        let allowance = lines.keyring.reserve_under(token_id, 1_000).unwrap();
        let fields = reserve(&mut lines.keyring, 1_000);
        let mut again = reversible(&mut lines.keyring, &audience, number);
        for (form, form_name) in &all {
            let NormalForm::Identifier(identifier) = form else { panic!("an identifier's form") };
            let keys = lines.keyring.token_keys().unwrap();
            let mut pairwise = PairwiseTokens::new(&keys, &audience, epoch(number), &[]).unwrap();
            let mut expiring = ExpiringTokens::new(&keys, &audience, epoch(number), &allowance).unwrap();
            let preserving = PreservingTokens::new(&keys, identifier, &audience, epoch(number), &[]).unwrap();
            let mut vaulted =
                VaultedTokens::new(&lines.keyring, &audience, epoch(number), form, &fields, &[]).unwrap();
            let mut made = Vec::new();
            for _ in 0..100 {
                let text = match identifier {
                    Identifier::Cnic => format!("{:013}", random.next() % 10_u64.pow(13)),
                    _ => format!("ZZ{:09}", random.next() % 10_u64.pow(9)),
                };
                let value = form.normalise(ValueRef::Text(&text)).unwrap();
                let mut vault = LastEntry::default();
                made.push((text.clone(), pairwise.make(&value).unwrap(), json!({})));
                made.push((text.clone(), again.make(&value).unwrap(), json!({})));
                made.push((text.clone(), preserving.labelled(&value).unwrap(), json!({})));
                let ends = random.next() % 4_000_000_000;
                let expires = Timestamp::from_unix_seconds(ends + 1).unwrap();
                let token = expiring.make(&value, expires).unwrap();
                made.push((text.clone(), token, json!({ "now": ends })));
                let token = vaulted.make(&mut vault, &value).unwrap();
                let entry = vault.0.unwrap();
                let entry = json!({
                    "scope": entry.scope, "term": entry.term.to_text(), "envelope_hex": hex(&entry.envelope),
                });
                made.push((text, token, json!({ "entry": entry })));
            }
            for (text, token, more) in made {
                lines.token(form_name, 1, text.as_bytes(), &token, more);
            }
        }
    }
}

fn ff1(lines: &mut Lines, random: &mut Random) {
    for _ in 0..400 {
        let key = random.bytes(32);
        let radix = random.of(&[2_u32, 3, 10, 10, 10, 16, 26, 36, 255, 256, 65_536]);
        let least = (1..).find(|length| f64::from(radix).powi(*length) >= 1e6).unwrap();
        let length = usize::try_from(least.max(2)).unwrap() + random.below(40);
        let tweak_bytes = random.below(40);
        let tweak = random.bytes(tweak_bytes);
        let radix_size = usize::try_from(radix).unwrap();
        let plain: Vec<u16> = (0..length).map(|_| u16::try_from(random.below(radix_size)).unwrap()).collect();
        let mut sealed = plain.clone();
        Ff1::new(&Secret::copy_from(&key).unwrap()).encrypt(radix, &tweak, &mut sealed).unwrap();
        lines.lines.push(json!({
            "op": "ff1", "key": hex(&key), "radix": radix, "tweak": hex(&tweak), "plain": plain, "sealed": sealed,
        }));
    }
}

#[test]
fn what_stands_for_values_is_written_for_another_implementation_to_make_again() {
    let seed = std::collections::hash_map::RandomState::new().build_hasher().finish();
    println!("seed {seed}");
    let (mut random, mut lines) = (Random(seed), Lines::new());
    forms(&mut lines, &mut random);
    phones(&mut lines, &mut random);
    identifiers(&mut lines, &mut random);
    terms(&mut lines, &mut random);
    tokens(&mut lines, &mut random);
    ff1(&mut lines, &mut random);

    let kept = std::env::var_os("AMANAT_CROSSCHECK_OUT").map(PathBuf::from);
    let temporary = std::env::temp_dir().join(format!("amanat-surrogates-{}", std::process::id()));
    let folder = kept.clone().unwrap_or(temporary);
    fs::create_dir_all(&folder).unwrap();
    let head = json!({ "keyring": "surrogates.json", "passphrase": PASSPHRASE, "seed": seed });
    let mut text = format!("{head}\n");
    lines.lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    fs::write(folder.join("surrogates.jsonl"), &text).unwrap();
    fs::write(folder.join("surrogates.json"), write(&mut lines.keyring)).unwrap();
    if kept.is_none() {
        fs::remove_dir_all(&folder).unwrap();
    }
    // Much is refused, and much is not: a generator that went wrong would make all of one sort.
    let all = lines.lines.len();
    assert!(all > 25_000, "{all} lines");
    assert!(lines.refused > all / 10 && lines.refused < all / 2, "{} of {all} refused", lines.refused);
}
