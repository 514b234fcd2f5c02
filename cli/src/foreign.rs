// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--from`: fields whose values another tool sealed; and `amanat formats`, which tells what its key files hold.
//!
//! Owns the way from arguments to openers. Never guesses a format, and never keeps a key in a plan: whoever resumes names it again.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use amanat::Name;
use amanat::schema::TableSchema;
use amanat_foreign::{Format, MAX_KEY_FILE_BYTES};
use amanat_stores::{Work, secret_file};

use crate::fault::{Fault, Outcome, Result};
use crate::ui::Ui;

/// How the argument is written.
pub(crate) const SHAPE: &str = "FIELD=FORMAT:KEYFILE";

/// A field whose values another tool sealed.
#[derive(Clone, Debug)]
pub(crate) struct ForeignField {
    field: Name,
    format: Format,
    key_file: PathBuf,
}

impl FromStr for ForeignField {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text
            .split_once('=')
            .and_then(|(field, rest)| rest.split_once(':').map(|(format, file)| (field, format, file)));
        let Some((field, format, file)) = parts.filter(|(.., file)| !file.is_empty()) else {
            return Err(Fault::new(format!("not of the form {SHAPE}, such as name=fernet:old.key")));
        };
        Ok(Self { field: Name::new(field)?, format: format.parse()?, key_file: file.into() })
    }
}

/// Adds the openers of these fields to what a run does. `sql_table` is the table in the store, to whose name some tools bind values.
pub(crate) fn openers(
    work: Work,
    fields: &[ForeignField],
    table: &TableSchema,
    sql_table: Option<&str>,
) -> Result<Work> {
    let stored = plain_name(sql_table.unwrap_or(table.name().as_str()));
    let mut named: Vec<&Name> = Vec::new();
    fields.iter().try_fold(work, |work, foreign| {
        let field = &foreign.field;
        if table.sealed().all(|policy| policy.name() != field) {
            let sealed: Vec<&str> = table.sealed().map(|policy| policy.name().as_str()).collect();
            return Err(Fault::new(format!(
                "--from: table `{}` has no sealed field `{field}`",
                table.name()
            ))
            .help(format!("it has: {}", sealed.join(", "))));
        }
        if named.contains(&field) {
            return Err(Fault::new(format!("--from: field `{field}` is named twice"))
                .help("a field has the values of one tool; several keys belong into one key file"));
        }
        named.push(field);
        // One more, so that the opener sees a file that is too long.
        let key = secret_file::read_at_most(&foreign.key_file, MAX_KEY_FILE_BYTES + 1)?;
        let opener = foreign.format.opener(key.expose()).map_err(|error| {
            Fault::from(error)
                .about(foreign.key_file.display())
                .help(format!("what the file must hold: amanat formats {}", foreign.format))
        })?;
        Ok(work.with_opener(&stored, field.clone(), Arc::from(opener)))
    })
}

/// Refuses to go on with a run without the openers that it was planned with.
pub(crate) fn same(planned: &[Name], given: &[ForeignField]) -> Result<()> {
    let mut names: Vec<&Name> = given.iter().map(|foreign| &foreign.field).collect();
    names.sort_unstable();
    if names.iter().copied().eq(planned) {
        return Ok(());
    }
    if planned.is_empty() {
        return Err(Fault::new("the run takes no values of other tools").help("leave out --from"));
    }
    let told: Vec<&str> = planned.iter().map(Name::as_str).collect();
    let again: Vec<String> = told.iter().map(|field| format!("--from {field}=FORMAT:KEYFILE")).collect();
    Err(Fault::new(format!("the run takes values that another tool sealed in {}", told.join(", ")))
        .help(format!("a plan holds no keys, so name them again as then: {}", again.join(" "))))
}

/// The table's own name: without its schema and without quotes.
fn plain_name(sql_table: &str) -> String {
    match sql_table.strip_suffix('"') {
        Some(quoted) => {
            let name = quoted.replace("\"\"", "\u{0}");
            name.rsplit('"').next().unwrap_or_default().replace('\u{0}', "\"")
        }
        None => sql_table.rsplit('.').next().unwrap_or(sql_table).to_owned(),
    }
}

/// Show the formats of other tools whose values `protect --from` takes, and what the key file of each must hold.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show this format alone.
    #[arg(value_name = "FORMAT")]
    format: Option<String>,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<Outcome> {
    let one = args.format.as_deref().map(str::parse::<Format>).transpose()?;
    let shown: Vec<Format> = one.map_or_else(|| Format::ALL.to_vec(), |format| vec![format]);
    for (place, format) in shown.iter().enumerate() {
        if place > 0 {
            ui.line("")?;
        }
        ui.line(format.as_str())?;
        format.key_file().lines().try_for_each(|line| ui.line(format!("  {line}")))?;
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_told_by_its_own_name() {
        assert_eq!(plain_name("citizens"), "citizens");
        assert_eq!(plain_name("registry.citizens"), "citizens");
        assert_eq!(plain_name("registry.\"Citi.zens\""), "Citi.zens");
        assert_eq!(plain_name("\"a\"\"b\""), "a\"b");
    }

    #[test]
    fn an_argument_names_field_format_and_key_file() {
        let foreign = "name=fernet:/keys/a=b:c".parse::<ForeignField>().ok();
        let foreign = foreign.map(|foreign| (foreign.field.to_string(), foreign.format, foreign.key_file));
        assert_eq!(foreign, Some(("name".to_owned(), Format::Fernet, "/keys/a=b:c".into())));
        for wrong in ["name", "name=fernet", "name=fernet:", "name=rot13:k", "=fernet:k"] {
            assert!(wrong.parse::<ForeignField>().is_err(), "{wrong}");
        }
    }
}
