// SPDX-License-Identifier: MIT OR Apache-2.0
//! Indexes and kept tokens of a table.

use amanat::identifier::Identifier;
use amanat::index::{BlindIndex, IndexBits, IndexSpec, IndexTerm, IndexedField};
use amanat::normal::Normal;
use amanat::schema::{
    Absence, Encoding, FieldPolicy, IndexPolicy, Invalid, Mode, Schema, TableSchema, TokenPolicy, ValueType,
};
use amanat::surrogate::{StoredSurrogate, Surrogate, Surrogates, TokenText};
use amanat::token::{PairwiseTokens, ReversibleTokens, Token, TokenKind};
use amanat::{Error, Kind, Value, ValueRef};

use super::feed::Feed;
use super::keys::{EPOCHS, name};
use super::normals::form;
use super::tokens::{audience, epoch, kind};

/// A table and two rows: each surrogate is what its policy says, is current, and nothing else that is stored is; and terms by themselves.
pub fn surrogates(data: &[u8]) {
    let mut feed = Feed::new(data);
    if feed.flag() {
        return term(feed.rest());
    }
    let Ok(table) = table(&mut feed) else { return };
    let schema = match Schema::new(vec![table.clone()]) {
        Ok(schema) => schema,
        // Tokens of one audience that open alike but are of two normal forms.
        Err(error) => return assert_eq!(error.kind(), Kind::Schema, "{error}"),
    };
    let written = schema.to_toml().expect("a schema without identifiers of its own");
    assert!(Schema::from_toml(&written).is_ok_and(|read| read == schema), "another schema:\n{written}");

    let kept: Vec<&TokenPolicy> = table.tokens().iter().filter(|token| token.column().is_some()).collect();
    let new = || Surrogates::new(&EPOCHS.keyring, &table, &EPOCHS.messages);
    let mut made = match new() {
        Ok(made) => made,
        Err(error) => {
            let unknown = kept.iter().any(|token| token.epoch().get() > 3);
            return assert!(unknown && error.kind() == Kind::UnknownKey, "{error}");
        }
    };
    let columns = table.indexes().iter().map(Column::Index).chain(kept.into_iter().map(Column::Token));
    let columns: Vec<Column<'_>> = columns.collect();
    assert_eq!((made.len(), table.surrogate_columns().count()), (columns.len(), columns.len()));
    for _ in 0..2 {
        let values: Vec<Value> = table.sealed().map(|_| value(&mut feed)).collect();
        let values: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        let mut fresh = new().expect("as before");
        for (place, column) in columns.iter().enumerate() {
            let (answer, again) = (made.make(place, &values), fresh.make(place, &values));
            assert!(
                answer.as_ref().err().is_none_or(|error| error.field().is_some()),
                "refused, and not said where"
            );
            column.check(&table, &values, &answer, &again);
            if let Ok(surrogate) = answer {
                stored(&mut feed, &made, place, &surrogate, table.encoding());
            }
            assert!(made.make(place, &[]).is_err_and(|error| error.kind() == Kind::Misuse));
        }
    }
    let beyond = made.make(columns.len(), &[]).err().map(|error| error.kind());
    assert_eq!(beyond, Some(Kind::Misuse));
}

/// Any bytes: a term that is read is written as it was.
fn term(data: &[u8]) {
    if let Ok(term) = IndexTerm::from_bytes(data) {
        assert_eq!(term.as_bytes(), data);
        assert!(IndexTerm::from_text(&term.to_text()).is_ok_and(|again| again == term));
    } else {
        assert!(!(2..=17).contains(&data.len()));
    }
    if let Some(term) = std::str::from_utf8(data).ok().and_then(|text| IndexTerm::from_text(text).ok()) {
        assert_eq!(term.to_text().as_bytes(), data);
        assert!(IndexTerm::from_bytes(term.as_bytes()).is_ok_and(|again| again == term));
    }
}

enum Column<'a> {
    Index(&'a IndexPolicy),
    Token(&'a TokenPolicy),
}

impl Column<'_> {
    fn parts(&self) -> (&[IndexedField], Invalid) {
        match self {
            Self::Index(index) => (index.spec().fields(), index.invalid()),
            Self::Token(token) => (std::slice::from_ref(token.of()), token.invalid()),
        }
    }

    /// Compares two answers, of a maker that has made others and of a new one, with what the policy says.
    fn check(
        &self,
        table: &TableSchema,
        values: &[ValueRef<'_>],
        answer: &Result<Surrogate, Error>,
        again: &Result<Surrogate, Error>,
    ) {
        let (parts, invalid) = self.parts();
        let (mut normals, mut hidden) = (Vec::new(), false);
        for part in parts {
            let position = table.sealed_position(&part.field).expect("a sealed field");
            let policy = table.sealed().nth(position).expect("a sealed field");
            match *values.get(position).expect("a value for each sealed field") {
                ValueRef::Null => hidden |= policy.absence() == Absence::Hidden,
                value => match part.form.normalise(value) {
                    Ok(normal) => normals.push(normal),
                    Err(_) if invalid == Invalid::Skip => hidden = true,
                    Err(error) => {
                        let kinds = [answer, again].map(|made| made.as_ref().err().map(Error::kind));
                        return assert_eq!(
                            kinds,
                            [Some(error.kind()); 2],
                            "not refused as its normal form is"
                        );
                    }
                },
            }
        }
        if normals.len() < parts.len() {
            let answers = [answer, again].map(|made| made.as_ref().expect("an absent value is no fault"));
            return match self {
                Self::Index(index) if hidden => {
                    let alike = answers.first() == answers.last();
                    let terms = answers.iter().all(|made| matches!(made, Surrogate::Term(_)));
                    assert!(terms && !(alike && index.spec().bits().get() >= 64), "absence is seen");
                }
                _ => assert!(answers.iter().all(|made| **made == Surrogate::Absent), "made of nothing"),
            };
        }
        let expected = self.make(table, &normals);
        for made in [answer, again] {
            match (&expected, made) {
                (Ok(expected), Ok(made)) => assert!(expected == made, "not what its maker makes"),
                (expected, made) => {
                    let kinds = [expected, made].map(|made| made.as_ref().err().map(Error::kind));
                    assert_eq!(kinds.first(), kinds.last());
                }
            }
        }
    }

    /// What the index or the maker of tokens gives.
    fn make(&self, table: &TableSchema, normals: &[Normal]) -> Result<Surrogate, Error> {
        let keyring = &EPOCHS.keyring;
        let token = match self {
            Self::Index(index) => {
                let keys = keyring.index_keys()?;
                let mut index = BlindIndex::new(&keys, table.name(), index.spec(), &[])?;
                return index.term(&normals.iter().collect::<Vec<_>>()).map(Surrogate::Term);
            }
            Self::Token(token) => token,
        };
        let (keys, audience, epoch) = (keyring.token_keys()?, token.audience(), token.epoch());
        let normal = normals.first().expect("one part");
        let token = if token.kind() == TokenKind::Pairwise {
            PairwiseTokens::new(&keys, audience, epoch, &[])?.make(normal)?
        } else {
            let key = keys.key_of_epoch(epoch)?;
            let messages = EPOCHS.messages.iter().find(|messages| messages.key() == key);
            ReversibleTokens::new(&keys, audience, epoch, messages.expect("messages"))?.make(normal)?
        };
        TokenText::parse(&token.to_text()).map(Surrogate::Token)
    }
}

/// What was made is current, in the one form in which it is stored; what is not like it is refused or not current.
fn stored(feed: &mut Feed<'_>, made: &Surrogates, place: usize, surrogate: &Surrogate, encoding: Encoding) {
    let is_current =
        |stored: StoredSurrogate<'_>| made.is_current(place, stored).map_err(|error| error.kind());
    assert_eq!(is_current(StoredSurrogate::Absent), Ok(false));
    let (bytes, text) = match surrogate {
        Surrogate::Absent => return,
        Surrogate::Term(term) => (term.as_bytes().to_vec(), term.to_text()),
        Surrogate::Token(token) => (Vec::new(), token.as_str().to_owned()),
    };
    let (as_bytes, as_text) =
        (is_current(StoredSurrogate::Bytes(&bytes)), is_current(StoredSurrogate::Text(&text)));
    let binary = encoding == Encoding::Binary && matches!(surrogate, Surrogate::Term(_));
    let (own, other) = if binary { (as_bytes, as_text) } else { (as_text, as_bytes) };
    assert_eq!((own, other), (Ok(true), Err(Kind::Malformed)));

    let (cut, garbage) = (feed.number(), feed.bytes());
    let mut altered = bytes.clone();
    altered.iter_mut().take(1).for_each(|tag| *tag ^= feed.byte().max(1));
    let kept = |length: usize| cut.checked_rem(length).unwrap_or_default();
    let shorter = bytes.get(..kept(bytes.len())).unwrap_or_default().to_vec();
    let hex: String = altered.iter().map(|byte| format!("{byte:02x}")).collect();
    for wrong in [shorter, altered, [&bytes, garbage, &[0]].concat()] {
        assert_ne!(is_current(StoredSurrogate::Bytes(&wrong)), Ok(true), "{} bytes", wrong.len());
    }
    let shorter = text.get(..kept(text.len())).unwrap_or_default().to_owned();
    for wrong in [shorter, hex, format!("{text}00"), text.to_uppercase()] {
        let refused = wrong == text || is_current(StoredSurrogate::Text(&wrong)) != Ok(true);
        assert!(refused, "{} characters", wrong.len());
    }
    // What was never made is current only if it looks like what was.
    if is_current(StoredSurrogate::Bytes(garbage)) == Ok(true) {
        assert_eq!((garbage.len(), garbage.first()), (bytes.len(), bytes.first()));
    }
    let garbage = String::from_utf8_lossy(garbage);
    if is_current(StoredSurrogate::Text(&garbage)) == Ok(true) {
        match surrogate {
            Surrogate::Token(_) => {
                let header = |text| Token::parse(text).expect("a token").header().clone();
                assert_eq!(header(&garbage), header(&text));
            }
            _ => assert_eq!((garbage.len(), garbage.get(..2)), (text.len(), text.get(..2))),
        }
    }
}

/// A table of up to six fields, three indexes and three tokens; mostly one that a schema may have.
fn table(feed: &mut Feed<'_>) -> Result<TableSchema, Error> {
    let encoding = feed.choose(Encoding::Text, &[Encoding::Binary]);
    let count = feed.byte() % 7;
    let fields = (0..count).map(|at| field(feed, at)).collect();
    let table = TableSchema::new(name("citizens"), vec!["id".to_owned()], encoding, fields)?;
    let invalid = |feed: &mut Feed<'_>| feed.choose(Invalid::Refuse, &[Invalid::Skip]);
    let part = |feed: &mut Feed<'_>| {
        let field = name(&format!("f{}", feed.byte().checked_rem(count).unwrap_or_default()));
        IndexedField { field, form: form(feed) }
    };
    let mut indexes = Vec::new();
    for at in 0..feed.byte() % 4 {
        let parts = (0..=feed.byte() % 3).map(|_| part(feed)).collect();
        let bits = IndexBits::new(feed.choose(64, &[4, 7, 8, 9, 20, 127, 128])).expect("4 to 128");
        let spec = IndexSpec::new(name(&format!("i{at}")), parts, bits)?;
        indexes.push(IndexPolicy::new(spec).with_invalid(invalid(feed)));
    }
    let mut tokens = Vec::new();
    for at in 0..feed.byte() % 4 {
        let (of, kind) = (part(feed), kind(feed));
        let token = TokenPolicy::new(name(&format!("t{at}")), kind, of, audience(feed), epoch(feed));
        let token = token.with_invalid(invalid(feed));
        let kept = matches!(kind, TokenKind::Pairwise | TokenKind::Reversible);
        tokens.push(if kept { token.with_column(&format!("t{at}"))? } else { token });
    }
    table.with_indexes(indexes)?.with_tokens(tokens)
}

/// Mostly a sealed one: nothing is made of others.
fn field(feed: &mut Feed<'_>, at: u8) -> FieldPolicy {
    let mode = feed.choose(Mode::Sealed, &[Mode::Sealed, Mode::Sealed, Mode::Clear, Mode::Masked]);
    let policy = FieldPolicy::new(name(&format!("f{at}")), mode);
    if mode != Mode::Sealed {
        return policy;
    }
    let policy = policy.with_absence(feed.choose(Absence::Hidden, &[Absence::Visible]));
    let identifier = Identifier::builtin().get(usize::from(feed.byte()));
    match identifier {
        Some(identifier) => policy.with_identifier(identifier.clone()),
        None => policy.with_type(feed.choose(ValueType::Text, &[ValueType::Bytes, ValueType::Date])),
    }
}

/// Mostly text, which most forms take alone.
fn value(feed: &mut Feed<'_>) -> Value {
    match feed.byte() % 4 {
        0 => Value::Null,
        1 => feed.value(),
        _ => ValueRef::Text(&feed.text()).to_value(),
    }
}
