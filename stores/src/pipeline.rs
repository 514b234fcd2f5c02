// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading, working and writing at the same time, in order and in constant memory.
//!
//! Owns the threads and their bounded channels. Never holds more than a few batches for each worker.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use amanat::error::{Error, Result};

use crate::stream::InputPlace;
use crate::tally::Tally;

/// Batches that may wait before and after each worker.
const WAITING: usize = 2;

/// What a worker made of a batch.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// What is to be written.
    pub(crate) bytes: Vec<u8>,
    /// Counts of the batch.
    pub(crate) tally: Tally,
    /// Why rows were refused.
    pub(crate) faults: Vec<Error>,
    /// Where the batch ends in the input.
    pub(crate) end: InputPlace,
}

/// What workers make, in buffers that are used again.
pub(crate) trait Made: Default + Send {
    /// Forgets the batch before.
    fn clear(&mut self);
}

impl Made for Output {
    fn clear(&mut self) {
        self.bytes.clear();
        self.tally.clear();
        self.faults.clear();
    }
}

/// Reads batches on one thread, works on them on one thread for each worker, and collects what they made on this one, in order.
///
/// `read` fills a batch and says whether there was one; `collect` says whether to go on. Batch i goes to worker i modulo their number, so that order needs no sorting.
pub(crate) fn run<B, M, R, W>(
    mut read: R,
    workers: Vec<W>,
    mut collect: impl FnMut(&M) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>>
where
    B: Send + Default,
    M: Made,
    R: FnMut(&mut B) -> Result<bool> + Send,
    W: FnMut(&B, &mut M) -> Result<()> + Send,
{
    thread::scope(|scope| {
        let (spare_batches, used_batches) = channel::<B>();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for work in workers {
            let (input, batches) = sync_channel::<Result<B>>(WAITING);
            let (output, results) = sync_channel::<Result<M>>(WAITING);
            let (used, spare) = channel::<M>();
            let spare_batches = spare_batches.clone();
            scope.spawn(move || {
                serve(work, batches, &output, &spare, |batch| drop(spare_batches.send(batch)))
            });
            inputs.push(input);
            outputs.push((results, used));
        }
        drop(spare_batches);
        scope.spawn(move || {
            for input in inputs.iter().cycle() {
                if !feed(&mut read, used_batches.try_recv().unwrap_or_default(), input) {
                    break;
                }
            }
        });
        for (results, used) in outputs.iter().cycle() {
            // A worker without a further batch has seen the end, and with it all others.
            let Ok(result) = results.recv() else { break };
            let output = result?;
            if collect(&output)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            // A worker that has ended needs no buffer.
            drop(used.send(output));
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// Reads one batch and passes it on; false at the end, after a failure, or if nobody listens any more.
fn feed<B>(
    read: &mut impl FnMut(&mut B) -> Result<bool>,
    mut batch: B,
    input: &SyncSender<Result<B>>,
) -> bool {
    match read(&mut batch) {
        Ok(true) => input.send(Ok(batch)).is_ok(),
        Ok(false) => false,
        Err(error) => {
            drop(input.send(Err(error)));
            false
        }
    }
}

/// Works on batches until there are no more, one fails, or nobody wants the results.
fn serve<B, M: Made>(
    mut work: impl FnMut(&B, &mut M) -> Result<()>,
    batches: Receiver<Result<B>>,
    output: &SyncSender<Result<M>>,
    spare: &Receiver<M>,
    give_back: impl Fn(B),
) {
    for batch in batches {
        let mut made = spare.try_recv().unwrap_or_default();
        made.clear();
        let result = batch.and_then(|batch| {
            work(&batch, &mut made)?;
            give_back(batch);
            Ok(made)
        });
        let failed = result.is_err();
        if output.send(result).is_err() || failed {
            return;
        }
    }
}
