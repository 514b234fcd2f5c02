// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys of tokens do not seal fields, keys of fields make no tokens, secrets are neither copied nor written.

use amanat::error::Result;
use amanat::keys::{Field, Keyset, Token};
use amanat::token::{Audience, Epoch, ReversibleTokens};
use amanat::{
    Allowance, FieldContext, FieldOpener, FieldSealer, Keyring, OpenOptions, RecordOpener, SealOptions,
    Secret, SecretBytes, TableSchema, Value,
};

fn seal(keys: &Keyset<'_, Token>, context: &FieldContext, allowance: &Allowance) -> Result<FieldSealer> {
    FieldSealer::new(keys, context, SealOptions::default(), allowance)
}

fn open(keyring: &Keyring, context: &FieldContext) -> Result<FieldOpener> {
    FieldOpener::new(&keyring.token_keys()?, context, &OpenOptions::default())
}

fn open_record(keyring: &Keyring, table: &TableSchema) -> Result<RecordOpener> {
    RecordOpener::new(&keyring.token_keys()?, table, &OpenOptions::default())
}

fn tokens(keys: &Keyset<'_, Field>, who: &Audience, epoch: Epoch, allowance: &Allowance) -> Result<ReversibleTokens> {
    ReversibleTokens::new(keys, who, epoch, allowance)
}

fn copy(secret: &Secret<32>, bytes: &SecretBytes, value: &Value) {
    let _: (Secret<32>, SecretBytes, Value) = (secret.clone(), bytes.clone(), value.clone());
}

fn write(secret: &Secret<32>, value: &Value) {
    let _ = serde_json::to_string(secret);
    let _ = serde_json::to_string(value);
}

fn print(secret: &Secret<32>, value: &Value) {
    println!("{secret} {value}");
}

fn main() {}
