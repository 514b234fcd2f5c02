// SPDX-License-Identifier: MIT OR Apache-2.0
//! `amanat token`: looks at tokens that recipients hold, and at the receipts of what they were given.

mod explain;
mod leak;
mod proof;
mod receipt;
mod trace;
mod translate;
mod vault;

use clap::Subcommand;

use crate::fault::{Outcome, Result};
use crate::ui::Ui;

/// Look at tokens: whose they are, whether they are genuine, and what was given to whom.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Explain(explain::Args),
    Trace(trace::Args),
    Receipt(receipt::Args),
    Translate(translate::TranslateArgs),
    Receive(translate::ReceiveArgs),
    NewRecipientKey(translate::NewKeyArgs),
    Vault(vault::Args),
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    match &args.verb {
        Verb::Explain(args) => explain::run(args, ui),
        Verb::Trace(args) => trace::run(args, ui),
        Verb::Receipt(args) => receipt::run(args, ui),
        Verb::Translate(args) => translate::translate(args, ui),
        Verb::Receive(args) => translate::receive(args, ui),
        Verb::NewRecipientKey(args) => translate::new_key(args, ui),
        Verb::Vault(args) => vault::run(args, ui),
    }
}
