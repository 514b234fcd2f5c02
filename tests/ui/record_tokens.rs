// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens that cannot be: their words, and the fields that they name.

use amanat::Record;

#[derive(Record)]
#[amanat(table = "citizens")]
struct Words {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed, identifier = "cnic", token = "pairwise")]
    no_words: String,
    #[amanat(sealed, identifier = "cnic", token(recipient = "bank", purpose = "loans", epoch = 1))]
    no_kind: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "pairwise", purpose = "loans", epoch = 1))]
    no_recipient: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "pairwise", recipient = "bank", epoch = 1))]
    no_purpose: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "pairwise", recipient = "bank", purpose = "loans"))]
    no_epoch: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "hashed", recipient = "bank", purpose = "loans", epoch = 1))]
    kind: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "pairwise", recipient = "Bank", purpose = "loans", epoch = 1))]
    recipient: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "pairwise", recipient = "bank", purpose = "loans", epoch = 0))]
    epoch: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "expiring", recipient = "bank", purpose = "loans", epoch = 1, column = "bank"))]
    not_kept: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "pairwise", to = "bank", purpose = "loans", epoch = 1))]
    unknown: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct Fields {
    #[amanat(record_id)]
    id: String,
    #[amanat(sealed, token(kind = "pairwise", recipient = "bank", purpose = "loans", epoch = 1))]
    no_form: String,
    #[amanat(masked, identifier = "cnic", token(kind = "pairwise", recipient = "bank", purpose = "loans", epoch = 1))]
    old_card: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "pairwise", recipient = "bank", purpose = "a", epoch = 1, reveal = ["town"]))]
    unknown: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "pairwise", recipient = "bank", purpose = "b", epoch = 1, reveal = ["old_card"]))]
    masked_only: String,
    #[amanat(sealed, identifier = "cnic", token(kind = "pairwise", recipient = "bank", purpose = "c", epoch = 1, reveal = ["no_form"], mask = ["no_form"]))]
    both: String,
}

#[derive(Record)]
#[amanat(table = "citizens")]
struct SameName {
    #[amanat(record_id)]
    id: String,
    #[amanat(
        sealed,
        identifier = "cnic",
        token(kind = "pairwise", recipient = "bank", purpose = "loans", epoch = 1),
        token(kind = "pairwise", recipient = "tax-office", purpose = "loans", epoch = 1),
    )]
    cnic: String,
}

fn main() {}
