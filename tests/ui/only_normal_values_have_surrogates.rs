// SPDX-License-Identifier: MIT OR Apache-2.0
//! Indexes and tokens are made with their own keys, of values in normal form; terms and tokens are made by nothing else.

use amanat::error::Result;
use amanat::ident::Name;
use amanat::index::{BlindIndex, IndexSpec, IndexTerm};
use amanat::keys::{Field, Index, Keyset};
use amanat::token::{Audience, Epoch, PairwiseTokens, Token};
use amanat::surrogate::TokenText;
use amanat::ValueRef;

fn index_of_field_keys(keys: &Keyset<'_, Field>, table: &Name, spec: &IndexSpec) -> Result<BlindIndex> {
    BlindIndex::new(keys, table, spec, &[])
}

fn tokens_of_index_keys(keys: &Keyset<'_, Index>, who: &Audience, epoch: Epoch) -> Result<PairwiseTokens> {
    PairwiseTokens::new(keys, who, epoch, &[])
}

fn term_of_text(index: &mut BlindIndex) -> Result<IndexTerm> {
    index.term(&["9990112345671"])
}

fn token_of_value(tokens: &mut PairwiseTokens) -> Result<Token> {
    tokens.make(&ValueRef::Text("9990112345671"))
}

fn token_from_text() -> TokenText {
    TokenText("9990112345671".to_owned())
}

fn main() {}
