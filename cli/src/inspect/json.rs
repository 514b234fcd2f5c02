// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `amanat inspect --json` prints.

use amanat::inspect::{EnvelopeFacts, Report, What};
use amanat::token::{Audience, Epoch, TokenKind};
use amanat::{KeyringFile, Suite};

use super::Look;

/// One thing that was looked at.
#[derive(serde::Serialize)]
pub(super) struct Json<'a> {
    source: &'a str,
    what: String,
    form: String,
    bytes: usize,
    whole: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrong: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<EnvelopeJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelopes: Option<Vec<KeyJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spoiled: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyring: Option<KeyringJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<ReceiptJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Vec<TokenJson>>,
}

#[derive(serde::Serialize)]
struct ReceiptJson {
    registry: String,
    recipient: String,
    table: String,
    created: String,
    rows: u64,
}

#[derive(serde::Serialize)]
struct TokenJson {
    kind: &'static str,
    recipient: String,
    purpose: String,
    epoch: u16,
    tokens: u64,
}

#[derive(serde::Serialize)]
struct EnvelopeJson {
    version: Option<u8>,
    suite: Option<u8>,
    key: Option<String>,
    state: Option<&'static str>,
    bytes: usize,
    padded_bytes: Option<usize>,
}

#[derive(serde::Serialize)]
struct KeyJson {
    suite: u8,
    key: String,
    state: Option<&'static str>,
    values: u64,
}

#[derive(serde::Serialize)]
struct KeyringJson {
    registry: String,
    generation: u64,
    slots: usize,
    keys: usize,
}

impl<'a> Json<'a> {
    pub(super) fn new(look: &'a Look<'_>) -> Self {
        let Report { what, form, bytes, fault, .. } = &look.report;
        let mut json = Self {
            source: &look.source,
            what: what.to_string(),
            form: form.to_string(),
            bytes: *bytes,
            whole: fault.is_none(),
            wrong: fault.as_ref().map(amanat::Error::message),
            offset: fault.as_ref().and_then(amanat::Error::offset),
            envelope: None,
            envelopes: None,
            spoiled: None,
            keyring: None,
            receipt: None,
            tokens: None,
        };
        match what {
            What::Envelope(facts) => json.envelope = Some(EnvelopeJson::new(look, facts)),
            What::Envelopes(census) => {
                let row = |((suite, key), values): (&(Suite, amanat::KeyId), &u64)| KeyJson {
                    suite: suite.byte(),
                    key: key.to_string(),
                    state: look.key(*key).map(|key| key.state.as_str()),
                    values: *values,
                };
                json.envelopes = Some(census.keys.iter().map(row).collect());
                json.spoiled = Some(census.spoiled);
            }
            What::Receipt(Some(receipt)) => {
                let facts = receipt.facts();
                json.receipt = Some(ReceiptJson {
                    registry: receipt.registry().to_string(),
                    recipient: facts.recipient.to_string(),
                    table: facts.table.to_string(),
                    created: facts.created.to_string(),
                    rows: facts.rows,
                });
            }
            What::Tokens(census) => {
                let row =
                    |((kind, audience, epoch), tokens): (&(TokenKind, Audience, Epoch), &u64)| TokenJson {
                        kind: kind.as_str(),
                        recipient: audience.recipient().to_string(),
                        purpose: audience.purpose().to_string(),
                        epoch: epoch.get(),
                        tokens: *tokens,
                    };
                json.tokens = Some(census.tokens.iter().map(row).collect());
                json.spoiled = Some(census.spoiled);
            }
            What::Keyring(Some(file)) => json.keyring = Some(KeyringJson::new(file)),
            _ => {}
        }
        json
    }
}

impl EnvelopeJson {
    fn new(look: &Look<'_>, facts: &EnvelopeFacts) -> Self {
        Self {
            version: facts.version,
            suite: facts.suite.map(Suite::byte),
            key: facts.key.map(|key| key.to_string()),
            state: facts.key.and_then(|key| look.key(key)).map(|key| key.state.as_str()),
            bytes: facts.bytes,
            padded_bytes: facts.padded_bytes,
        }
    }
}

impl KeyringJson {
    fn new(file: &KeyringFile) -> Self {
        Self {
            registry: file.registry().to_string(),
            generation: file.generation(),
            slots: file.slots().count(),
            keys: file.keys().count(),
        }
    }
}
