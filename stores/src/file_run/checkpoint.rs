// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checkpoints of a run over a file, made durable while the run goes on.
//!
//! Owns when a checkpoint is due and the thread that writes it. Never writes a journal before what it speaks of is durable.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use amanat::error::{Error, Result};

use super::Keeper;
use super::journal::{Journal, Point};
use crate::durable::{PartFile, Syncer};
use crate::pipeline::Output;
use crate::stream::{self, Sink};
use crate::tally::Tally;

/// How much of a run a crash may cost: about a second. A sync of less than that much work would cost more than it saves.
const EVERY: Duration = Duration::from_secs(1);

/// A checkpoint that is not yet on disk.
struct Due {
    output: Syncer,
    exceptions: Option<Syncer>,
    journal: Journal,
}

impl Due {
    fn save(&self, path: &Path) -> Result<()> {
        self.output.sync()?;
        self.exceptions.as_ref().map_or(Ok(()), Syncer::sync)?;
        self.journal.write(path)
    }
}

/// The thread that makes checkpoints durable, one at a time.
struct Saver {
    due: SyncSender<Due>,
    thread: JoinHandle<Result<()>>,
}

impl Saver {
    fn start(path: PathBuf) -> Self {
        // Without room for one that waits: a checkpoint is given only to an idle thread, else the next batch makes a newer one.
        let (due, waiting) = sync_channel(0);
        Self { due, thread: thread::spawn(move || save_all(&waiting, &path)) }
    }

    /// Waits for the checkpoint that is being written.
    fn end(self) -> Result<()> {
        drop(self.due);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Error::misuse("the thread of the checkpoints has panicked")))
    }
}

fn save_all(waiting: &Receiver<Due>, path: &Path) -> Result<()> {
    waiting.iter().try_for_each(|due| due.save(path))
}

/// Takes the rows of a run, and notes how far it is.
pub(super) struct CheckedSink<'a> {
    part: &'a mut PartFile,
    journal: &'a mut Journal,
    path: PathBuf,
    keeper: &'a mut dyn Keeper,
    saver: Option<Saver>,
    /// A checkpoint is due after this many bytes of the output, if not after [`EVERY`].
    every_bytes: u64,
    due_bytes: u64,
    due_at: Instant,
    started: Instant,
    earlier: u64,
}

impl<'a> CheckedSink<'a> {
    pub(super) fn new(
        part: &'a mut PartFile,
        journal: &'a mut Journal,
        path: PathBuf,
        keeper: &'a mut dyn Keeper,
        every_bytes: u64,
    ) -> Self {
        let (now, &Point { output_bytes, milliseconds, .. }) = (Instant::now(), &journal.point);
        let saver = Some(Saver::start(path.clone()));
        let due_bytes = output_bytes.saturating_add(every_bytes);
        let due_at = now + EVERY;
        Self {
            part,
            journal,
            path,
            keeper,
            saver,
            every_bytes,
            due_bytes,
            due_at,
            started: now,
            earlier: milliseconds,
        }
    }

    /// Ends the thread, and makes a checkpoint of where the run stands if `last` says so and a row is done.
    pub(super) fn end(&mut self, last: bool) -> Result<()> {
        self.saver.take().map_or(Ok(()), Saver::end)?;
        if last && self.journal.point.input.rows > 0 {
            self.due()?.save(&self.path)?;
        }
        Ok(())
    }

    fn due(&mut self) -> Result<Due> {
        let spent = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.journal.point.milliseconds = self.earlier.saturating_add(spent);
        let exceptions = self.keeper.syncer()?;
        Ok(Due { output: self.part.syncer()?, exceptions, journal: self.journal.clone() })
    }

    /// Gives a checkpoint to the thread if one is due and the thread is idle.
    fn save_if_due(&mut self) -> Result<()> {
        let bytes = self.journal.point.output_bytes;
        if bytes < self.due_bytes && Instant::now() < self.due_at {
            return Ok(());
        }
        let due = self.due()?;
        let Some(saver) = &self.saver else { return Ok(()) };
        match saver.due.try_send(due) {
            Ok(()) => {
                // From now on there is something to go on with.
                self.part.stay();
                (self.due_bytes, self.due_at) =
                    (bytes.saturating_add(self.every_bytes), Instant::now() + EVERY);
                Ok(())
            }
            Err(TrySendError::Full(_)) => Ok(()),
            Err(TrySendError::Disconnected(_)) => self.saver.take().map_or(Ok(()), Saver::end),
        }
    }
}

impl Sink for CheckedSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.part.write_all(bytes).map_err(stream::cannot_write)?;
        self.journal.point.output_bytes += u64::try_from(bytes.len()).unwrap_or_default();
        Ok(())
    }

    /// The point moves only when everything of the batch was handed over: after a failure it stands where the batch began.
    fn batch(&mut self, made: &Output, total: &Tally) -> Result<ControlFlow<()>> {
        for fault in &made.faults {
            self.keeper.refused(fault)?;
        }
        let listed = if made.faults.is_empty() { None } else { Some(self.keeper.listed()?) };
        self.write(&made.bytes)?;
        let point = &mut self.journal.point;
        point.input = made.end;
        point.exceptions_bytes = listed.unwrap_or(point.exceptions_bytes);
        point.tally.clone_from(total);
        self.keeper.progress(total.rows, made.end.bytes);
        if self.keeper.stops() {
            return Ok(ControlFlow::Break(()));
        }
        self.save_if_due().map(ControlFlow::Continue)
    }
}
