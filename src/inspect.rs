// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keyless look: what are these bytes, and what is wrong with them?
//!
//! Owns recognition. Never needs a key, never repeats a byte of the input, never says that something is authentic. SPEC 5.3, 5.8, 6.1.

use core::fmt;
use std::collections::BTreeMap;

use crate::envelope::{self, Envelope, TEXT_PREFIX, parse_header};
use crate::error::{Error, Result};
use crate::ident::KeyId;
use crate::keys::{KeyFile, KeyringFile, Pin};
use crate::schema::Schema;
use crate::secret::SecretBytes;
use crate::suite::{HEADER_BYTES, Suite};
use crate::token::{Audience, Epoch, Receipt, RecipientSecretKey, Token, TokenKind};

/// What the text of a token begins with.
const TOKEN_PREFIX: &str = "amt1:";

/// What [`inspect`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// What the bytes are, or were meant to be.
    pub what: What,
    /// How they are written.
    pub form: Form,
    /// Length of the input.
    pub bytes: usize,
    /// What is wrong with them; `None` for a whole thing of amanat. Holds no byte of the input beyond version and suite.
    pub fault: Option<Error>,
}

/// A thing that [`inspect`] recognises.
#[derive(Debug)]
#[non_exhaustive]
pub enum What {
    /// A sealed value or a reversible token.
    Envelope(EnvelopeFacts),
    /// Text with sealed values among other things: a CSV or JSON Lines file, a dump.
    Envelopes(Census),
    /// A key file: a secret. Nothing of it is reported.
    KeyFile,
    /// A keyring, if it could be read.
    Keyring(Option<Box<KeyringFile>>),
    /// A keyring pin, if it could be read.
    Pin(Option<Pin>),
    /// A schema, if it could be read.
    Schema(Option<Schema>),
    /// A receipt of an export, if it could be read.
    Receipt(Option<Box<Receipt>>),
    /// A recipient's secret key. Nothing of it is reported.
    RecipientKey,
    /// Text with tokens: one, a list, an export.
    Tokens(TokenCensus),
    /// Nothing at all.
    Empty,
    /// A mask of this library: the value is not kept.
    Mask,
    /// Text that nothing here makes: perhaps plaintext.
    Text,
    /// Something of another program.
    Other(Other),
    /// Bytes of no known kind.
    Unknown,
}

/// Things of other programs that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Other {
    /// An age file.
    Age,
    /// A gzip, zip, xz or zstd archive.
    Compressed,
    /// JSON.
    Json,
    /// A JSON web token, signed or encrypted.
    Jwt,
    /// A Parquet file.
    Parquet,
    /// PEM: a key, a certificate, an OpenPGP message.
    Pem,
    /// A SQLite database.
    Sqlite,
    /// Text in UTF-16.
    Utf16,
    /// A ciphertext of a Vault-compatible transit service.
    VaultTransit,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// As they are.
    Binary,
    /// As hex digits, as databases print binary columns.
    Hex,
    /// As text.
    Text,
}

/// What a damaged or whole envelope says about itself. Anyone can read it; nothing of it is authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvelopeFacts {
    /// The version byte, if there is one.
    pub version: Option<u8>,
    /// The suite, if it is known.
    pub suite: Option<Suite>,
    /// The key that sealed it, if the header is whole.
    pub key: Option<KeyId>,
    /// Bytes of the envelope, decoded.
    pub bytes: usize,
    /// Bytes of type, value and padding: an upper bound of the value's length. Only of a whole envelope.
    pub padded_bytes: Option<usize>,
}

/// The sealed values of a text in numbers. Nothing of them is authentic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// Envelopes that follow the grammar, by suite and key.
    pub keys: BTreeMap<(Suite, KeyId), u64>,
    /// What begins as an envelope and does not follow the grammar.
    pub spoiled: u64,
}

impl Census {
    /// Counts every text form in a text: what stands between `amn1.` and the next letter that is not base64url.
    fn take(text: &str) -> (Self, Option<Error>) {
        let (mut census, mut fault, mut bytes) = (Self::default(), None, Vec::new());
        for (start, _) in text.match_indices(TEXT_PREFIX) {
            let rest = text.get(start + TEXT_PREFIX.len()..).unwrap_or_default();
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
            let end = start + TEXT_PREFIX.len() + end.unwrap_or(rest.len());
            bytes.clear();
            let read = envelope::append_from_text(text.get(start..end).unwrap_or_default(), &mut bytes);
            match read.and_then(|()| Envelope::parse(&bytes)) {
                Ok(envelope) => *census.keys.entry((envelope.suite(), envelope.key())).or_default() += 1,
                Err(error) => {
                    census.spoiled += 1;
                    fault.get_or_insert((start, error));
                }
            }
        }
        let line = |start| text.get(..start).unwrap_or_default().matches('\n').count() + 1;
        let fault = fault.map(|(start, error): (usize, Error)| {
            let others = census.spoiled - 1;
            let more = if others == 0 { String::new() } else { format!(", and {others} more") };
            Error::malformed(format!(
                "line {}: an envelope is spoiled ({}){more}",
                line(start),
                error.message()
            ))
        });
        (census, fault)
    }
}

/// The tokens of a text in numbers. Nothing of them is authentic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenCensus {
    /// Tokens without a mistyped character, by kind, audience and epoch.
    pub tokens: BTreeMap<(TokenKind, Audience, Epoch), u64>,
    /// What begins as a token and is none.
    pub spoiled: u64,
}

impl TokenCensus {
    /// Counts the words that begin as tokens do; `None` if there are none.
    fn take(text: &str) -> Option<(Self, Option<Error>)> {
        let (mut census, mut fault) = (Self::default(), None);
        for (number, line) in (1..).zip(text.lines()) {
            let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'');
            for word in line.split(ends).filter(|word| word.starts_with(TOKEN_PREFIX)) {
                match Token::parse(word) {
                    Ok(token) => {
                        let header = token.header();
                        let place = (header.kind(), header.audience().clone(), header.epoch());
                        *census.tokens.entry(place).or_default() += 1;
                    }
                    Err(error) => {
                        census.spoiled += 1;
                        fault.get_or_insert((number, error));
                    }
                }
            }
        }
        let fault = fault.map(|(number, error): (u64, Error)| {
            Error::malformed(format!("line {number}: not a token ({})", error.message()))
        });
        (census != Self::default()).then_some((census, fault))
    }
}

impl EnvelopeFacts {
    /// Whether it is a reversible token, which a sealed column refuses.
    #[must_use]
    pub fn is_token(&self) -> bool {
        self.suite == Some(Suite::Aes256Siv)
    }

    fn of(bytes: &[u8]) -> (Self, Option<Error>) {
        let (suite, key) = match parse_header(bytes) {
            Ok((suite, key, _)) => (Some(suite), Some(key)),
            Err(_) => (bytes.get(1).and_then(|byte| Suite::from_byte(*byte).ok()), None),
        };
        let parsed = Envelope::parse(bytes);
        let padded_bytes = parsed.as_ref().ok().map(Envelope::padded_bytes);
        let version = bytes.first().copied();
        (Self { version, suite, key, bytes: bytes.len(), padded_bytes }, parsed.err())
    }
}

/// Looks at bytes without any key: the content of a cell, a file or an argument.
///
/// Errors: none; what is wrong stands in [`Report::fault`]. Panics: never. White space around a text is passed over.
#[must_use]
pub fn inspect(input: &[u8]) -> Report {
    let text = core::str::from_utf8(input).ok();
    let text = text.filter(|text| !text.contains('\0') && !is_binary_envelope(input));
    let (form, what, fault) = match (container(input), text) {
        _ if input.is_empty() => (Form::Binary, What::Empty, None),
        (Some(container), _) => container,
        (None, Some(text)) => look_at_text(text),
        (None, None) => look_at_bytes(input),
    };
    Report { what, form, bytes: input.len(), fault }
}

type Seen = (Form, What, Option<Error>);

fn look_at_text(text: &str) -> Seen {
    let bare = text.trim_start_matches('\u{feff}').trim();
    if bare.starts_with("amanat-key-file-v") {
        return (Form::Text, What::KeyFile, KeyFile::parse(&SecretBytes::new(text.into())).err());
    }
    if bare.starts_with("amanat-recipient-key-v") {
        return (
            Form::Text,
            What::RecipientKey,
            RecipientSecretKey::parse(&SecretBytes::new(text.into())).err(),
        );
    }
    if let Some(envelope) = envelope_text(bare) {
        return envelope;
    }
    let start = bare.get(..bare.floor_char_boundary(512)).unwrap_or_default();
    if start.starts_with('{') && start.contains("amanat-keyring-pin") {
        let (pin, fault) = split(Pin::parse(text.as_bytes()));
        return (Form::Text, What::Pin(pin), fault);
    }
    if start.starts_with('{') && start.contains("amanat-keyring") {
        let (file, fault) = split(KeyringFile::parse(text.as_bytes()));
        return (Form::Text, What::Keyring(file.map(Box::new)), fault);
    }
    if start.starts_with('{') && start.contains("amanat-receipt") {
        let (receipt, fault) = split(Receipt::parse(text.as_bytes()));
        return (Form::Text, What::Receipt(receipt.map(Box::new)), fault);
    }
    if text.contains("\"amanat-schema\"") || text.lines().any(|line| line.trim() == "[[table]]") {
        let (schema, fault) = split(Schema::from_toml(text));
        return (Form::Text, What::Schema(schema), fault);
    }
    let (what, why) = match bare {
        "" => (What::Empty, "white space only"),
        _ if bare.contains(TEXT_PREFIX) => {
            let (census, fault) = Census::take(text);
            return (Form::Text, What::Envelopes(census), fault);
        }
        _ if bare.contains(TOKEN_PREFIX)
            && let Some((census, fault)) = TokenCensus::take(text) =>
        {
            return (Form::Text, What::Tokens(census), fault);
        }
        _ if bare.starts_with("-----BEGIN ") => (What::Other(Other::Pem), "PEM of another program"),
        _ if bare.starts_with("age-encryption.org/") => (What::Other(Other::Age), "a file of age"),
        _ if bare.starts_with("vault:v") => {
            (What::Other(Other::VaultTransit), "sealed by a transit service, not by amanat")
        }
        _ if is_jwt(bare) => (What::Other(Other::Jwt), "a JSON web token, not an envelope"),
        _ if bare.starts_with(['{', '[']) => (What::Other(Other::Json), "JSON that amanat did not write"),
        _ if is_mask(bare) => return (Form::Text, What::Mask, None),
        _ => (What::Text, "looks like plaintext: an envelope starts with `amn1.`"),
    };
    (Form::Text, what, Some(Error::malformed(why)))
}

/// The text form, hex, or one of the ways in which they are spoiled; `None` for any other text.
fn envelope_text(text: &str) -> Option<Seen> {
    let spoiled = |why: &'static str| Some(Error::malformed(why));
    let versioned = text.strip_prefix("amn").and_then(|rest| rest.split_once('.'));
    let versioned =
        versioned.filter(|(version, _)| !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()));
    if text.split_whitespace().skip(1).any(|word| word.starts_with(TEXT_PREFIX)) {
        return None;
    }
    if versioned.is_some() {
        return Some(text_form(text));
    }
    let bare = text.trim_matches(['"', '\'', '`', ',', ';']);
    if bare.len() < text.len() && bare.starts_with(TEXT_PREFIX) {
        let (form, what, _) = text_form(bare);
        return Some((form, what, spoiled("an envelope with quotes or commas around it")));
    }
    if text.get(..TEXT_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(TEXT_PREFIX)) {
        let why = "upper and lower case were changed: the value cannot be read back from this text";
        return Some((Form::Text, What::Envelope(EnvelopeFacts::of(&[]).0), spoiled(why)));
    }
    if let Some((bytes, odd)) = hex(text) {
        let odd = odd.then(|| Error::malformed("hex with an odd number of digits: truncated"));
        let (facts, fault) = EnvelopeFacts::of(&bytes);
        return Some((Form::Hex, What::Envelope(facts), odd.or(fault)));
    }
    let (bytes, _) = decode_leniently(text)?;
    Envelope::parse(&bytes).ok()?;
    let why = spoiled("an envelope in base64 without `amn1.` before it");
    Some((Form::Text, What::Envelope(EnvelopeFacts::of(&bytes).0), why))
}

/// What begins as the text form does, whole or spoiled.
fn text_form(text: &str) -> Seen {
    let mut bytes = Vec::new();
    let strict = envelope::append_from_text(text, &mut bytes).err();
    let fault = if strict.is_none() {
        EnvelopeFacts::of(&bytes).1
    } else {
        let lenient = text.strip_prefix(TEXT_PREFIX).and_then(decode_leniently);
        let (decoded, plain) = lenient.unwrap_or_default();
        bytes = decoded;
        // A text that was cut has a length that no envelope has, and that says how much is missing.
        let cut = EnvelopeFacts::of(&bytes).1.filter(|_| plain);
        cut.or(strict)
    };
    (Form::Text, What::Envelope(EnvelopeFacts::of(&bytes).0), fault)
}

fn look_at_bytes(input: &[u8]) -> Seen {
    let (what, why) = match input.first() {
        Some(&envelope::VERSION) => {
            let (facts, fault) = EnvelopeFacts::of(input);
            return (Form::Binary, What::Envelope(facts), fault);
        }
        _ if is_utf16(input) => (What::Other(Other::Utf16), "text in UTF-16: convert it to UTF-8 first"),
        _ => (What::Unknown, "not an envelope: its first byte is another than 0x01"),
    };
    (Form::Binary, what, Some(Error::malformed(why)))
}

/// Files that hold many values, by how they begin.
fn container(input: &[u8]) -> Option<Seen> {
    let starts = |magic: &[u8]| input.starts_with(magic);
    let (other, why) = if starts(b"SQLite format 3\0") {
        (Other::Sqlite, "a SQLite database: look at single values of its columns")
    } else if starts(b"PAR1") {
        (Other::Parquet, "a Parquet file: look at single values of its columns")
    } else if starts(b"\x1f\x8b")
        || starts(b"PK\x03\x04")
        || starts(b"\xfd7zXZ")
        || starts(b"\x28\xb5\x2f\xfd")
    {
        (Other::Compressed, "a compressed file: unpack it first")
    } else {
        return None;
    };
    Some((Form::Binary, What::Other(other), Some(Error::malformed(why))))
}

fn split<T>(read: Result<T>) -> (Option<T>, Option<Error>) {
    match read {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    }
}

/// Version 0x01 and a known suite, which no text starts with.
fn is_binary_envelope(bytes: &[u8]) -> bool {
    matches!(bytes, [envelope::VERSION, suite, ..] if Suite::from_byte(*suite).is_ok())
}

/// Decodes base64 of any variant and layout, and says whether it only seems to be cut short; `None` for another letter.
fn decode_leniently(text: &str) -> Option<(Vec<u8>, bool)> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    let mut plain = true;
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            b'+' | b'/' | b'=' | b' ' | b'\t' | b'\r' | b'\n' => {
                plain = false;
                match byte {
                    b'+' => 62,
                    b'/' => 63,
                    _ => continue,
                }
            }
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from(held >> bits & 0xff));
        }
    }
    Some((bytes, plain))
}

/// Bytes of hex digits, marked as such or long enough to be an envelope, and whether half a byte is left over; `None` for other text.
fn hex(text: &str) -> Option<(Vec<u8>, bool)> {
    let marked = ["\\x", "0x", "x'", "X'"].into_iter().find_map(|mark| text.strip_prefix(mark));
    let digits = marked.map_or(text, |digits| digits.trim_end_matches('\''));
    let long = digits.len() >= 2 * HEADER_BYTES && digits.starts_with("01");
    if !(long || marked.is_some()) || digits.is_empty() {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = digits.bytes().map(digit).collect::<Option<_>>()?;
    let (pairs, half) = digits.as_chunks::<2>();
    Some((pairs.iter().map(|[high, low]| high << 4 | low).collect(), !half.is_empty()))
}

fn is_jwt(text: &str) -> bool {
    text.starts_with("eyJ") && matches!(text.matches('.').count(), 2 | 4)
}

fn is_mask(text: &str) -> bool {
    text == "********"
        || (text.starts_with("****") && text.chars().filter(|c| c.is_alphanumeric()).count() == 4)
}

fn is_utf16(bytes: &[u8]) -> bool {
    let marked = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let (pairs, _) = bytes.as_chunks::<2>();
    let zeros = pairs.iter().filter(|[first, second]| (*first == 0) != (*second == 0)).count();
    marked || (pairs.len() > 1 && zeros * 10 > pairs.len() * 9)
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Envelope(facts) if facts.is_token() => "reversible token",
            Self::Envelope(_) => "envelope",
            Self::Envelopes(_) => "text with envelopes",
            Self::KeyFile => "key file",
            Self::Keyring(_) => "keyring",
            Self::Pin(_) => "keyring pin",
            Self::Schema(_) => "schema",
            Self::Receipt(_) => "receipt",
            Self::RecipientKey => "recipient's secret key",
            Self::Tokens(_) => "text with tokens",
            Self::Empty => "nothing",
            Self::Mask => "mask",
            Self::Text => "text",
            Self::Other(other) => return other.fmt(f),
            Self::Unknown => "unknown bytes",
        })
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Age => "age file",
            Self::Compressed => "compressed file",
            Self::Json => "JSON",
            Self::Jwt => "JSON web token",
            Self::Parquet => "Parquet file",
            Self::Pem => "PEM",
            Self::Sqlite => "SQLite database",
            Self::Utf16 => "UTF-16 text",
            Self::VaultTransit => "transit ciphertext",
        })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Binary => "binary",
            Self::Hex => "hex",
            Self::Text => "text",
        })
    }
}
