// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why no identifier is hashed without a key: takes SHA-256 of a CNIC back to the number, then tries the same with a blind index.
//! Every number is invented; no locality begins with 999.
//!
//! Run it: `cargo run --release --example brute_force`, with `-- --full-locality` for all 10^8 numbers of one locality

use std::io::{self, Write};
use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use amanat::error::{Error, Result};
use amanat::identifier::Identifier;
use amanat::index::{BlindIndex, IndexBits, IndexSpec, IndexTerm, IndexedField};
use amanat::keys::{KeyFile, NewSlot};
use amanat::normal::{Normal, NormalForm};
use amanat::{Keyring, Name, Timestamp, ValueRef};
use sha2::{Digest, Sha256};

/// Five digits of locality, seven of a serial number, one that tells the sex.
const CNIC: &str = "9990198765432";
/// Numbers that a guesser must try who knows which localities exist: about 600 localities (an assumption), 10^7 serial numbers, 9 last digits.
const PLAUSIBLE: f64 = 5.4e10;
const ALL: f64 = 1e13;
/// Bits of the index that is stolen with its key.
const INDEX_BITS: u16 = 40;
/// Bits of the index that is stolen without it: so few that keys which fit a wrong number can be drawn within a second.
const SHORT_BITS: u16 = 8;
/// Numbers that are compared with the right one in that attack.
const OTHERS: usize = 15;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let digits = match *arguments.as_slice() {
        [] => Some(7),
        ["--full-locality"] => Some(8),
        ["--digits", digits] => digits.parse().ok().filter(|digits| (2..=8).contains(digits)),
        _ => None,
    };
    let digits = digits.ok_or_else(|| Error::misuse("say nothing, --full-locality, or --digits 2 to 8"))?;
    run(&mut io::stdout(), digits, 4_096)
}

/// Runs the attacks with so many unknown digits at the end of the number, and so many keys drawn at random.
pub(crate) fn run(out: &mut impl Write, digits: u32, keys: u32) -> Result<()> {
    let report = |text: io::Result<()>| text.map_err(|error| Error::store("cannot write", error));
    let space = Space::new(digits)?;
    report(writeln!(out, "{} numbers that begin with {}, {} threads", space.count, space.prefix, threads()))?;

    report(writeln!(out, "\n1. SHA-256 of the number, as it stands in a stolen table"))?;
    let stolen = Sha256::digest(CNIC);
    let attack = Attack::run(&space, || Ok(|number: &[u8]| Ok(Sha256::digest(number) == stolen)))?;
    report(attack.write(out))?;

    report(writeln!(out, "\n2. a blind index of {SHORT_BITS} bits, without its key"))?;
    let fits = consistent_keys(keys)?;
    let (right, others) = fits.split_first().ok_or_else(|| Error::misuse("no suspects"))?;
    let (least, most) = (others.iter().min().copied(), others.iter().max().copied());
    report(writeln!(
        out,
        "   {keys} keys drawn: {right} of them make the stolen term of the right number, {} to {} of each of {} others",
        least.unwrap_or_default(),
        most.unwrap_or_default(),
        others.len()
    ))?;
    report(writeln!(
        out,
        "   each number fits about one key in {}, the right one like the others: nothing to test against",
        1_u32 << SHORT_BITS
    ))?;

    report(writeln!(out, "\n3. a blind index of {INDEX_BITS} bits, with its key stolen too"))?;
    let registry = keyring()?;
    let stolen = index(&registry, INDEX_BITS)?.term(&[&normal(CNIC)?])?;
    let again = index(&registry, INDEX_BITS)?.term(&[&normal("99901-9876543-2")?])?;
    let attack = Attack::run(&space, || {
        let mut index = index(&registry, INDEX_BITS)?;
        let form = NormalForm::Identifier(Identifier::Cnic);
        let mut value = Normal::empty(form.clone());
        Ok(move |number: &[u8]| {
            let number = str::from_utf8(number).map_err(|_| Error::misuse("digits are ASCII"))?;
            form.normalise_into(ValueRef::Text(number), &mut value)?;
            Ok(index.term(&[&value])? == stolen)
        })
    })?;
    report(attack.write(out))?;
    report(writeln!(
        out,
        "   what the table tells without the key is which rows are equal: {}; so the key is kept apart from it",
        again == stolen
    ))
}

/// The numbers that are tried: what is known, and how many digits follow.
struct Space {
    prefix: &'static str,
    digits: usize,
    count: u64,
}

impl Space {
    fn new(digits: u32) -> Result<Self> {
        let unknown = usize::try_from(digits).unwrap_or(usize::MAX);
        let prefix = CNIC.len().checked_sub(unknown).and_then(|known| CNIC.get(..known));
        let prefix = prefix.ok_or_else(|| Error::misuse("a CNIC has 13 digits"))?;
        Ok(Self { prefix, digits: unknown, count: 10_u64.pow(digits) })
    }

    fn number(&self, place: u64) -> Vec<u8> {
        format!("{}{place:0width$}", self.prefix, width = self.digits).into_bytes()
    }
}

/// The next number.
fn advance(number: &mut [u8]) {
    for digit in number.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}

/// What an attack found, and how fast.
struct Attack {
    found: Vec<String>,
    tried: u64,
    took: Duration,
}

impl Attack {
    /// Tries every number on all cores. `test` makes one tester for each thread.
    fn run<T, M>(space: &Space, test: M) -> Result<Self>
    where
        T: FnMut(&[u8]) -> Result<bool>,
        M: Fn() -> Result<T> + Sync,
    {
        let (started, step) = (Instant::now(), space.count.div_ceil(threads()));
        let (test, share) = (&test, |thread: u64| {
            let first = (thread * step).min(space.count);
            first..(first + step).min(space.count)
        });
        let search = move |places: std::ops::Range<u64>| -> Result<Vec<String>> {
            let (mut fits, mut number, mut found) = (test()?, space.number(places.start), Vec::new());
            for _ in places {
                if fits(&number)? {
                    found.push(String::from_utf8_lossy(&number).into_owned());
                }
                advance(&mut number);
            }
            Ok(found)
        };
        let found: Result<Vec<_>> = thread::scope(|scope| {
            let running: Vec<_> =
                (0..threads()).map(|thread| scope.spawn(move || search(share(thread)))).collect();
            running
                .into_iter()
                .map(|thread| thread.join().map_err(|_| Error::misuse("a thread failed"))?)
                .collect()
        });
        Ok(Self { found: found?.concat(), tried: space.count, took: started.elapsed() })
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "   recovered: {}", self.found.join(", "))?;
        let rate = self.tried as f64 / self.took.as_secs_f64();
        writeln!(
            out,
            "   measured: {:.2?} for {} numbers, {:.1} million each second",
            self.took,
            self.tried,
            rate / 1e6
        )?;
        writeln!(
            out,
            "   at this rate the 5.4 * 10^10 plausible CNICs take {}, all 10^13 {}",
            span(PLAUSIBLE / rate),
            span(ALL / rate)
        )
    }
}

/// For each suspect, the right number first: how many of the keys drawn make the stolen term of it.
pub(crate) fn consistent_keys(keys: u32) -> Result<Vec<u32>> {
    let space = Space::new(2)?;
    let others = (0..space.count).map(|place| space.number(place)).filter(|number| number != CNIC.as_bytes());
    let mut suspects = vec![normal(CNIC)?];
    for number in others.take(OTHERS) {
        suspects.push(normal(&String::from_utf8_lossy(&number))?);
    }
    let stolen = index(&keyring()?, SHORT_BITS)?.term(&[&normal(CNIC)?])?;
    let mut fits = vec![0; suspects.len()];
    for _ in 0..keys {
        let mut guess = index(&keyring()?, SHORT_BITS)?;
        for (suspect, fits) in suspects.iter().zip(&mut fits) {
            *fits += u32::from(bits(&guess.term(&[suspect])?) == bits(&stolen));
        }
    }
    Ok(fits)
}

/// A term without its key tag, which is of the key and tells nothing of the value.
fn bits(term: &IndexTerm) -> Option<&[u8]> {
    term.as_bytes().get(1..)
}

/// A keyring of the registry, or one that an attacker draws: there is no third kind.
fn keyring() -> Result<Keyring> {
    let now = Timestamp::from_unix_seconds(1_795_000_000)?;
    Keyring::create(Name::new("demo-registry")?, &NewSlot { label: "main", kek: &KeyFile::generate()? }, now)
}

fn index(keyring: &Keyring, bits: u16) -> Result<BlindIndex> {
    let form = NormalForm::Identifier(Identifier::Cnic);
    let fields = vec![IndexedField { field: Name::new("cnic")?, form }];
    let spec = IndexSpec::new(Name::new("by-cnic")?, fields, IndexBits::new(bits)?)?;
    BlindIndex::new(&keyring.index_keys()?, &Name::new("citizens")?, &spec, &[])
}

fn normal(number: &str) -> Result<Normal> {
    NormalForm::Identifier(Identifier::Cnic).normalise(ValueRef::Text(number))
}

fn threads() -> u64 {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    u64::try_from(cores).unwrap_or(1)
}

/// A time that people can compare.
fn span(seconds: f64) -> String {
    let (minute, hour, day, year) = (60.0, 3_600.0, 86_400.0, 31_557_600.0);
    match seconds {
        _ if seconds < 2.0 * minute => format!("{seconds:.0} seconds"),
        _ if seconds < 2.0 * hour => format!("{:.0} minutes", seconds / minute),
        _ if seconds < 2.0 * day => format!("{:.1} hours", seconds / hour),
        _ if seconds < 2.0 * year => format!("{:.1} days", seconds / day),
        _ => format!("{:.1} years", seconds / year),
    }
}
