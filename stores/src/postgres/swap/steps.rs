// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a swap that has begun: copy, build, check, compare, exchange.
//!
//! Owns their order within a phase and when the exchange is tried again. Never touches the table before the exchange.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use amanat::error::{Error, Result};
use amanat::rotate::Stage;

use super::build::{self, Built, oid_of};
use super::hands::Hands;
use super::state::Step as Stand;
use super::{Swap, changes, exchange, replaced};
use crate::postgres::error::{failed, recovery};
use crate::run::journal::Journal;
use crate::run::{Recovery, Sql as _, Step, SwapStep};

/// Keys that may be left when the table is locked for the swap; more are worked off before.
const FEW_KEYS: u64 = 1_000;
/// Rounds before the swap is tried whatever is left to do, and before it is given up.
const ROUNDS: u32 = 100;

impl Swap<'_> {
    /// Works on the ranges of a stage, in several lanes; false if the run shall stop.
    pub(super) fn ranges(&self, hands: &mut Hands<'_>, stage: Stage, stops: &AtomicBool) -> Result<bool> {
        let run = Journal::new(&mut hands.lane).run(hands.owner.run())?;
        let mut waiting: Vec<i64> =
            run.ranges.iter().filter(|range| range.stage == stage).map(|range| range.number).collect();
        waiting.reverse();
        let lanes = self.lanes().min(waiting.len());
        let waiting = Mutex::new(waiting);
        let failed = AtomicBool::new(false);
        let work = |hands: &mut Hands<'_>| -> Result<bool> {
            loop {
                if failed.load(Ordering::Relaxed) || hands.stops() {
                    return Ok(false);
                }
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(number) = next else { return Ok(true) };
                let done =
                    if stage == Stage::Rows { hands.copy_range(number) } else { hands.check_range(number) };
                if !done.inspect_err(|_| failed.store(true, Ordering::Relaxed))? {
                    return Ok(false);
                }
            }
        };
        let (site, owner, observer) = (hands.site, hands.owner, hands.observer);
        thread::scope(|scope| {
            let other =
                || Hands::new(self, (site, owner), observer, stops).and_then(|mut hands| work(&mut hands));
            let others: Vec<_> = (1..lanes).map(|_| scope.spawn(other)).collect();
            let mut all = work(hands);
            for other in others {
                let done =
                    other.join().unwrap_or_else(|_| Err(Error::misuse("a lane of the run has panicked")));
                all = match (all, done) {
                    (Ok(one), Ok(other)) => Ok(one && other),
                    (Err(error), _) | (_, Err(error)) => Err(error),
                };
            }
            all
        })
    }

    /// Builds the key, works off what has changed, builds the other indexes; false if the run shall stop.
    pub(super) fn build(&self, hands: &mut Hands<'_>) -> Result<bool> {
        for (built, stand, step) in
            [(Built::Key, Stand::Keyed, SwapStep::Keyed), (Built::Others, Stand::Indexed, SwapStep::Indexed)]
        {
            if hands.stops() {
                return Ok(false);
            }
            hands.attempt(|hands| {
                let (site, run) = (hands.site, hands.owner.run());
                let mut state = self.state(&mut hands.lane, run)?;
                if state.step >= stand {
                    return Ok(());
                }
                hands.lane.begin()?;
                let key = exchange::key_index(hands.lane.client(), site.columns.table())?;
                build::indexes(hands.lane.client(), &site.names, site.old, &key, built)?;
                state.step = stand;
                state.write(&mut hands.lane)?;
                hands.lane.commit()
            })?;
            hands.observer.step(&Step::Swap(step))?;
            // With the key alone there is no other unique index yet, which a copy of several moments might break.
            let keys = hands.round()?;
            hands.observer.step(&Step::Swap(SwapStep::CaughtUp(keys)))?;
        }
        let analyze = format!("ANALYZE {}", hands.site.names.qualified(&hands.site.names.copy()));
        hands.attempt(|hands| hands.lane.client().batch_execute(&analyze).map_err(failed))?;
        Ok(!hands.stops())
    }

    /// Checks the copy, compares it with the table and puts it in its place; false if the run shall stop.
    pub(super) fn exchange(&self, hands: &mut Hands<'_>, stops: &AtomicBool) -> Result<bool> {
        if self.state(&mut hands.lane, hands.owner.run())?.step == Stand::Swapped {
            return Ok(true);
        }
        if !self.ranges(hands, Stage::Check, stops)? || !self.catch_up(hands)? {
            return Ok(false);
        }
        self.compare(hands)?;
        let mut attempt = 1;
        loop {
            if !self.catch_up(hands)? {
                return Ok(false);
            }
            match self.try_swap(hands) {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    drop(hands.lane.rollback());
                    if recovery(&error) != Recovery::Retry {
                        return Err(error);
                    }
                    if attempt >= self.lock.attempts {
                        return Err(error);
                    }
                    hands.observer.step(&Step::Again(&error))?;
                    thread::sleep(self.lock.pause);
                }
            }
            if attempt >= ROUNDS.max(self.lock.attempts) {
                return Err(too_fast());
            }
            attempt += 1;
        }
        hands.observer.step(&Step::Swap(SwapStep::Swapped))?;
        Ok(true)
    }

    /// Works off changes until few are left; false if the run shall stop.
    fn catch_up(&self, hands: &mut Hands<'_>) -> Result<bool> {
        for _ in 0..ROUNDS {
            if hands.stops() {
                return Ok(false);
            }
            let keys = hands.round()?;
            hands.observer.step(&Step::Swap(SwapStep::CaughtUp(keys)))?;
            if keys < FEW_KEYS {
                return Ok(true);
            }
        }
        Err(too_fast())
    }

    /// Refuses a copy that is not the table.
    fn compare(&self, hands: &mut Hands<'_>) -> Result<()> {
        let differing = hands.attempt(|hands| {
            hands.lane.begin()?;
            let (names, columns) = (&hands.site.names, &hands.site.columns);
            let differing =
                changes::differing(hands.lane.client(), names, columns.table(), &columns.untouched())?;
            hands.lane.rollback()?;
            Ok(differing)
        })?;
        if differing != 0 {
            return Err(Error::schema(format!(
                "{differing} rows of the copy are not those of {}: something changed them without its triggers, or changed the copy; nothing was \
                 swapped; cancel the run and start a new one",
                self.store.name
            )));
        }
        hands.observer.step(&Step::Swap(SwapStep::Compared))
    }

    /// The transaction of the swap; false if too much has changed meanwhile.
    fn try_swap(&self, hands: &mut Hands<'_>) -> Result<bool> {
        let (site, run) = (hands.site, hands.owner.run());
        let (names, table) = (&site.names, site.columns.table());
        let mut state = self.state(&mut hands.lane, run)?;
        hands.lane.begin()?;
        let client = hands.lane.client();
        let timeout = self.lock.timeout.as_millis().max(1);
        client
            .batch_execute(&format!(
                "SET LOCAL lock_timeout = {timeout}; LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
                names.live()
            ))
            .map_err(failed)?;
        if oid_of(client, &names.live())? != Some(site.old)
            || oid_of(client, &names.qualified(&names.copy()))? != Some(state.copy)
        {
            return Err(replaced(&table.told));
        }
        let noted = changes::noted(client, names, table)?;
        if noted.whole || noted.keys > FEW_KEYS {
            hands.lane.rollback()?;
            return Ok(false);
        }
        hands.last_round(noted)?;
        let script = exchange::exchange(hands.lane.client(), names, table, state.copy)?;
        state.step = Stand::Swapped;
        state.after = script.after;
        state.write(&mut hands.lane)?;
        hands.lane.commit()?;
        Ok(true)
    }
}

fn too_fast() -> Error {
    Error::misuse(
        "the application changes rows faster than they are copied again; have it write less and go on, or use the live mode",
    )
}
