// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens of every kind: their text, and who may open them.

use amanat::envelope::VERSION;
use amanat::normal::{Normal, NormalForm};
use amanat::token::{
    Audience, Epoch, MAX_TOKEN_CHARACTERS, MAX_TOKEN_VALUE_BYTES, PairwiseTokens, Token, TokenKind,
    TokenMaker, TokenOpener, TokenPlan,
};
use amanat::{Error, Keyring, Kind, Timestamp, ValueRef};

use super::feed::Feed;
use super::keys::{EPOCHS, WRONG};
use super::normals::form;
use super::symbols::{parts_of, text_of};
use super::vault::SmallVault;

/// Any text, any data under any header, and tokens that were made, unaltered and altered.
pub fn token_text(data: &[u8]) {
    let mut feed = Feed::new(data);
    match feed.byte() % 4 {
        0 => _ = accepted(&String::from_utf8_lossy(feed.rest())),
        1 => forged(&mut feed),
        _ => made(&mut feed),
    }
}

/// Reads a text; what is taken is the one text of its token.
fn accepted(text: &str) -> Result<Token, Error> {
    let token = Token::parse(text)?;
    assert_eq!(token.to_text(), text, "one token, two texts");
    let (header, data) = parts_of(text);
    assert_eq!(text_of(header, &data), text, "a text that is not of BIP 350");
    Ok(token)
}

/// Data that nobody made, with check symbols that fit: read if the length is the kind's, never opened.
///
/// The keyring is one that makes nothing here: a fuzzer learns what is compared, and would give back what was made.
fn forged(feed: &mut Feed<'_>) {
    let (kind, audience, epoch, form) = (kind(feed), audience(feed), epoch(feed), form(feed));
    let id = WRONG.token_messages.key();
    let envelope = [&[VERSION, 0x03], &id.as_bytes()[..]].concat();
    let start = if feed.flag() { envelope.as_slice() } else { &[] };
    let data = [start, feed.rest()].concat();
    let text = text_of(&header(kind, &audience, epoch), &data);
    let fits = match kind {
        TokenKind::Pairwise | TokenKind::Vaulted => data.len() == 20,
        _ => !data.is_empty() && text.len() <= MAX_TOKEN_CHARACTERS,
    };
    let token = accepted(&text);
    assert_eq!(token.is_ok(), fits, "{:?}", token.map_err(|error| error.kind()));
    let Ok(token) = token else { return };
    let read = token.header();
    assert_eq!((read.kind(), read.audience(), read.epoch()), (kind, &audience, epoch));
    refused(&WRONG.keyring, &token, &form, &mut SmallVault::default());
}

/// A token that was made opens for its audience, epoch and registry alone, and unaltered only.
fn made(feed: &mut Feed<'_>) {
    let (kind, audience, epoch, form) = (kind(feed), audience(feed), epoch(feed), form(feed));
    let value = if feed.flag() { feed.value() } else { ValueRef::Text(&feed.text()).to_value() };
    let Ok(normal) = form.normalise(value.as_ref()) else { return };
    let mut vault = SmallVault::default();
    let plan = TokenPlan { kind, audience: &audience, epoch, form: &form, expires: Some(time(1)) };
    let made = make(&plan, &normal, &mut vault);
    let too_long = normal.bytes().expose().len() > MAX_TOKEN_VALUE_BYTES;
    let by_value = matches!(kind, TokenKind::Expiring | TokenKind::Reversible | TokenKind::Vaulted);
    let token = match made {
        Ok(token) => token,
        Err(error) => {
            let expected = match error.kind() {
                Kind::UnknownKey => epoch.get() > 3,
                Kind::KeyUnusable => epoch.get() == 3,
                Kind::Limit => (by_value && too_long) || kind == TokenKind::Preserving,
                Kind::Misuse => kind == TokenKind::Preserving && !matches!(form, NormalForm::Identifier(_)),
                _ => false,
            };
            return assert!(expected, "{error}");
        }
    };
    assert!(epoch.get() < 3 && !(by_value && too_long), "made, and must not");
    let text = token.to_text();
    assert!(text.starts_with(&header(kind, &audience, epoch)));
    assert!(accepted(&text).expect("what a maker wrote") == token);
    opens(&token, &normal, &mut vault);
    mistyped(feed, &text);

    let (own, mut data) = parts_of(&text);
    let (other_kind, other_audience, other_epoch) =
        (self::kind(feed), self::audience(feed), self::epoch(feed));
    let other = header(other_kind, &other_audience, other_epoch);
    if other != own
        && let Ok(relabelled) = accepted(&text_of(&other, &data))
    {
        refused(&EPOCHS.keyring, &relabelled, &form, &mut vault);
        misplaced(&token, &relabelled, &form, &mut vault);
    }
    refused(&WRONG.keyring, &token, &form, &mut vault);
    let position = feed.number() % data.len();
    *data.get_mut(position).expect("a position inside") ^= feed.byte().max(1);
    let altered = accepted(&text_of(own, &data)).expect("check symbols that fit");
    refused(&EPOCHS.keyring, &altered, &form, &mut vault);
    let opened = open(&EPOCHS.keyring, &altered, &form, 0, &mut vault);
    assert!(!matches!(opened, Ok(Some(opened)) if opened.matches(&normal)), "two tokens of one value");
    opens(&token, &normal, &mut vault);
}

fn make(plan: &TokenPlan<'_>, normal: &Normal, vault: &mut SmallVault) -> Result<Token, Error> {
    let key = TokenMaker::key_for_messages(&EPOCHS.keyring, plan.kind, plan.epoch)?;
    let messages = EPOCHS.messages.iter().find(|messages| Some(messages.key()) == key);
    TokenMaker::new(&EPOCHS.keyring, plan, messages)?.make(normal, Some(vault))
}

/// Opens a token with the key that its own header names.
fn open(
    keyring: &Keyring,
    token: &Token,
    form: &NormalForm,
    now: u64,
    vault: &mut SmallVault,
) -> Result<Option<Normal>, Error> {
    TokenOpener::new(keyring, token.header(), form, &[])?.open(token, time(now), Some(vault))
}

fn opens(token: &Token, normal: &Normal, vault: &mut SmallVault) {
    let header = token.header();
    let opened = open(&EPOCHS.keyring, token, normal.form(), 0, vault);
    if header.kind() == TokenKind::Pairwise {
        assert!(opened.is_err_and(|error| error.kind() == Kind::Unsupported), "opened, and is irreversible");
        let mut tokens = pairwise(&EPOCHS.keyring, token).expect("an epoch of the keyring");
        return assert!(tokens.proves(token) && tokens.is_of(token, normal));
    }
    assert!(opened.expect("its own opener").expect("an entry of the vault").matches(normal));
    let later = open(&EPOCHS.keyring, token, normal.form(), 1, vault).err().map(|error| error.kind());
    assert_eq!(later, (header.kind() == TokenKind::Expiring).then_some(Kind::Expired));
}

/// Nobody made this: it neither opens nor proves, but for one proof in 2^32. Format-preserving tokens have no integrity and may open to
/// anybody.
fn refused(keyring: &Keyring, token: &Token, form: &NormalForm, vault: &mut SmallVault) {
    let opened = open(keyring, token, form, 0, vault);
    let kind = token.header().kind();
    assert!(opened.is_err() || kind == TokenKind::Preserving, "opened, and nobody made it");
    if let Ok(tokens) = pairwise(keyring, token) {
        assert!(!tokens.proves(token), "proved, and nobody made it");
    }
}

/// The opener of one header does not look at a token with another.
fn misplaced(token: &Token, other: &Token, form: &NormalForm, vault: &mut SmallVault) {
    for (of, given) in [(token, other), (other, token)] {
        let Ok(mut opener) = TokenOpener::new(&EPOCHS.keyring, of.header(), form, &[]) else { continue };
        let answer = opener.open(given, time(0), Some(vault));
        assert_eq!(answer.err().map(|error| error.kind()), Some(Kind::Misuse));
    }
}

/// Any one character in place of another.
fn mistyped(feed: &mut Feed<'_>, text: &str) {
    let (position, byte) = (feed.number() % text.len(), feed.byte());
    let wrong: String =
        text.char_indices().map(|(at, c)| if at == position { byte.into() } else { c }).collect();
    assert!(wrong == text || Token::parse(&wrong).is_err(), "a mistyped token is taken");
}

fn pairwise(keyring: &Keyring, token: &Token) -> Result<PairwiseTokens, Error> {
    let (keys, header) = (keyring.token_keys()?, token.header());
    PairwiseTokens::new(&keys, header.audience(), header.epoch(), &[])
}

fn header(kind: TokenKind, audience: &Audience, epoch: Epoch) -> String {
    let letter = match kind {
        TokenKind::Expiring => 'x',
        TokenKind::Pairwise => 'p',
        TokenKind::Preserving => 'f',
        TokenKind::Reversible => 'r',
        TokenKind::Vaulted => 'v',
        other => unreachable!("a new kind, {other}"),
    };
    format!("amt1:{letter}:{epoch}:{}:{}:", audience.recipient(), audience.purpose())
}

pub(super) fn kind(feed: &mut Feed<'_>) -> TokenKind {
    feed.choose(TokenKind::Pairwise, &TokenKind::ALL)
}

/// Epochs that make tokens, one that only opens them, and two that the keyring does not have.
pub(super) fn epoch(feed: &mut Feed<'_>) -> Epoch {
    Epoch::new(feed.choose(1, &[2, 1, 2, 3, 4, 1024])).expect("1 to 1024")
}

/// Names that differ in little, and the longest.
pub(super) fn audience(feed: &mut Feed<'_>) -> Audience {
    let longest = "z".repeat(32);
    let mut name = || feed.choose("bank", &["ban", "k", "1", "a.1_1-b", &longest]);
    Audience::new(name(), name()).expect("names")
}

/// Before tokens expire, or, from 1, after.
fn time(after: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000 + after).expect("a time")
}
