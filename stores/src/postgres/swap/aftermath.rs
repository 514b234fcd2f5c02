// SPDX-License-Identifier: MIT OR Apache-2.0
//! What comes after a swap, or instead of it: given up, gone back from, or the table of before dropped.
//!
//! Owns the removal of what a swap has made. Never removes the table that the application reads.

use amanat::error::{Error, Result};
use amanat::rotate::Phase;

use super::build::oid_of;
use super::state::{State, Step as Stand};
use super::{Swap, changes, names_of, replaced};
use crate::postgres::error::failed;
use crate::postgres::lane::PostgresLane;
use crate::postgres::table::PgTable;
use crate::postgres::{PostgresStore, session};
use crate::run::journal::Owner;
use crate::run::{Ended, RunObserver, Sql as _, Step};

impl Swap<'_> {
    /// Gives a run up.
    pub(super) fn cancel(&self, owner: &Owner, observer: &dyn RunObserver) -> Result<Ended> {
        Self::discard(self.store, owner.run())?;
        let (mut lane, _) = self.lane_of(&self.store.name)?;
        let report = Self::advance(&mut lane, owner, Phase::Cancelled)?;
        observer.step(&Step::Phase(Phase::Cancelled))?;
        Ok(Ended::Cancelled(Box::new(report)))
    }

    /// Removes the copy and all that was made for it, of a run that is given up and that no process drives any more. The table stays as it is.
    ///
    /// # Errors
    /// `Misuse` if the run has swapped the table already; `Store`.
    pub fn discard(store: &PostgresStore, run: &str) -> Result<()> {
        let mut client = session(&store.url)?;
        let table = PgTable::read(&mut client, &store.name, &store.schema, &store.work)?;
        let names = names_of(&mut client, &table, run)?;
        let mut lane = PostgresLane::new(client, table, None);
        if State::read(&mut lane, run)?.is_some_and(|state| state.step == Stand::Swapped) {
            return Err(Error::misuse("this run has swapped the table already; go on with it, or go back"));
        }
        lane.begin()?;
        let sql = format!(
            "{}; DROP TABLE IF EXISTS {}",
            changes::removal(&names, &names.live()),
            names.qualified(&names.copy())
        );
        lane.client().batch_execute(&sql).map_err(failed)?;
        State::remove(&mut lane, run)?;
        lane.commit()
    }

    /// Drops the table of before and the function that goes back to it, after a person has looked at the new one. What it held is gone then.
    ///
    /// # Errors
    /// `Misuse` if the run has swapped nothing or is not done; `Store`.
    pub fn drop_old(store: &PostgresStore, run: &str) -> Result<()> {
        let mut client = session(&store.url)?;
        let table = PgTable::read(&mut client, &store.name, &store.schema, &store.work)?;
        let names = names_of(&mut client, &table, run)?;
        let mut lane = PostgresLane::new(client, table, None);
        let state = State::read(&mut lane, run)?
            .filter(|state| state.step == Stand::Swapped && state.after.is_empty());
        let state = state.ok_or_else(|| Error::misuse("this run has not swapped a table, or is not done"))?;
        lane.begin()?;
        let old = names.qualified(&names.old());
        if oid_of(lane.client(), &old)? != Some(state.old)
            || oid_of(lane.client(), &names.live())? != Some(state.copy)
        {
            return Err(replaced(&store.name));
        }
        lane.client()
            .batch_execute(&format!(
                "DROP FUNCTION IF EXISTS {}(); DROP TABLE {old}",
                names.qualified(&names.back())
            ))
            .map_err(failed)?;
        State::remove(&mut lane, run)?;
        lane.commit()
    }

    /// The statement that puts the table of before back in its place. Whatever was written since the swap is not in it.
    ///
    /// # Errors
    /// `Store`.
    pub fn way_back(store: &PostgresStore, run: &str) -> Result<String> {
        let mut client = session(&store.url)?;
        let table = PgTable::read(&mut client, &store.name, &store.schema, &store.work)?;
        let names = names_of(&mut client, &table, run)?;
        Ok(format!("SELECT {}();", names.qualified(&names.back())))
    }
}
