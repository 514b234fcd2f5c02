// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the service does: each request is right whichever keys the rows are under at that moment.

use std::fmt::Write;

use amanat::error::{Error, Result};
use amanat::{Record, ValueRef};
use amanat_stores::{KeyringWatch, LiveTable, StoredRow, StoredValue};

use super::database::Database;

#[derive(Record)]
#[amanat(table = "citizens")]
pub(crate) struct Citizen {
    #[amanat(record_id)]
    pub(crate) id: String,
    #[amanat(sealed, identifier = "cnic", index(bits = 40, column = "cnic_index"))]
    pub(crate) cnic: String,
    #[amanat(sealed, pad = 64, index(form = "urdu-name/v1", bits = 32, column = "name_index"))]
    pub(crate) name: String,
    #[amanat(clear)]
    pub(crate) district: i64,
}

/// How often a change is tried on a row that others change at the same time.
const ATTEMPTS: u32 = 100;

pub(crate) struct Service<'w> {
    watch: &'w KeyringWatch<'w>,
    pub(crate) citizens: LiveTable<'w, Citizen>,
    pub(crate) database: Database,
}

impl<'w> Service<'w> {
    pub(crate) fn new(watch: &'w KeyringWatch<'w>, database: Database) -> Result<Self> {
        Ok(Self { watch, citizens: LiveTable::new(watch)?, database })
    }

    pub(crate) fn answer(&mut self, request: &[&str]) -> Result<String> {
        match request {
            ["register", id, cnic, name, district] => {
                let district = district.parse().map_err(|_| Error::misuse("a district is a number"))?;
                let citizen =
                    Citizen { id: (*id).into(), cnic: (*cnic).into(), name: (*name).into(), district };
                let is_new = self.register(&citizen)?;
                Ok(if is_new { "ok\n" } else { "taken\n" }.to_owned())
            }
            ["rename", id, name] => self.rename(id, name).map(done),
            ["show", id] => self.show(id),
            ["find", "cnic", cnic] => self.find("by-cnic", cnic),
            ["find", "name", name] => self.find("by-name", name),
            ["delete", id] => self.delete(id).map(done),
            ["generation"] => Ok(format!("{}\n", self.watch.current()?.generation())),
            _ => Err(Error::misuse("no such request")),
        }
    }

    pub(crate) fn register(&mut self, citizen: &Citizen) -> Result<bool> {
        let write = self.citizens.insert(citizen)?;
        self.database.insert(&write)
    }

    /// False if there is no such row.
    pub(crate) fn rename(&mut self, id: &str, name: &str) -> Result<bool> {
        for _ in 0..ATTEMPTS {
            let Some(row) = self.row(id)? else { return Ok(false) };
            let mut citizen = self.citizens.open(&row)?;
            name.clone_into(&mut citizen.name);
            let write = self.citizens.change(&row, &citizen)?;
            // A run or another thread may have been faster: then the row is read again, and nothing of theirs is lost.
            if write.set().is_empty() || self.database.update(&write)? {
                return Ok(true);
            }
        }
        Err(Error::misuse("the row was changed by others again and again"))
    }

    pub(crate) fn delete(&mut self, id: &str) -> Result<bool> {
        for _ in 0..ATTEMPTS {
            let Some(row) = self.row(id)? else { return Ok(false) };
            if self.database.delete(&self.citizens.delete(&row)?)? {
                return Ok(true);
            }
        }
        Err(Error::misuse("the row was changed by others again and again"))
    }

    pub(crate) fn show(&mut self, id: &str) -> Result<String> {
        let Some(row) = self.row(id)? else { return Ok("absent\n".to_owned()) };
        Ok(shown(&self.citizens.open(&row)?))
    }

    pub(crate) fn find(&mut self, index: &str, value: &str) -> Result<String> {
        let mut answer = String::new();
        for citizen in self.found(index, value)? {
            answer.push_str(&shown(&citizen));
        }
        answer.push_str("end\n");
        Ok(answer)
    }

    pub(crate) fn found(&mut self, index: &str, value: &str) -> Result<Vec<Citizen>> {
        let column = self.citizens.schema().index(index)?.column().to_owned();
        let database = &mut self.database;
        let found =
            self.citizens.find(index, &[ValueRef::Text(value)], |terms| database.rows(&column, terms))?;
        Ok(found.into_iter().map(|(_, citizen)| citizen).collect())
    }

    pub(crate) fn row(&mut self, id: &str) -> Result<Option<StoredRow>> {
        Ok(self.database.rows("id", &[StoredValue::Text(id.to_owned())])?.pop())
    }
}

fn done(is_there: bool) -> String {
    if is_there { "ok\n" } else { "absent\n" }.to_owned()
}

fn shown(citizen: &Citizen) -> String {
    let (mut text, masked) = (String::new(), citizen.masked());
    let written =
        writeln!(text, "row\t{}\t{}\t{}\t{}", citizen.id, masked.cnic, masked.name, masked.district);
    written.map(|()| text).unwrap_or_default()
}
