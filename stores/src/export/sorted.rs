// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sorts more lines than fit into memory.
//!
//! Owns the parts on disk: files without a name, for their owner only, which vanish with the process.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use amanat::error::{Error, Result};
use zeroize::Zeroizing;

use crate::durable::failed;

/// Bytes of rows that are sorted in memory.
const SORT_BYTES: usize = 1 << 26;
/// Sorted parts that are merged together.
const MAX_PARTS: usize = 256;
/// Longest row of an export.
const MAX_LINE_BYTES: usize = 1 << 26;

/// Lines that are given back in the order of their bytes, whatever their number: sorted parts of them lie in files without a name.
pub(super) struct SortedLines {
    folder: PathBuf,
    room: usize,
    bytes: Zeroizing<Vec<u8>>,
    /// Start and end of each line.
    places: Vec<(usize, usize)>,
    parts: Vec<File>,
}

impl SortedLines {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
            room: SORT_BYTES,
            bytes: Zeroizing::default(),
            places: Vec::new(),
            parts: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, line: &[u8]) -> Result<()> {
        if line.len() > MAX_LINE_BYTES {
            return Err(Error::limit("a row of the export is longer than 64 MiB"));
        }
        if !self.places.is_empty() && self.bytes.len() + line.len() > self.room {
            self.spill()?;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(line);
        self.places.push((start, self.bytes.len()));
        Ok(())
    }

    /// Gives every line in order.
    pub(super) fn finish(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> Result<()> {
        let cannot = |error| Error::store("the sorted rows cannot be written", error);
        if self.parts.is_empty() {
            self.sort();
            return self.lines().try_for_each(write).map_err(cannot);
        }
        self.spill()?;
        merge(std::mem::take(&mut self.parts), &mut write).map_err(cannot)
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.places.sort_unstable_by(|one, other| bytes.get(one.0..one.1).cmp(&bytes.get(other.0..other.1)));
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().filter_map(|(start, end)| self.bytes.get(*start..*end))
    }

    /// Writes what is in memory to a part of its own.
    fn spill(&mut self) -> Result<()> {
        if self.parts.len() == MAX_PARTS {
            let mut together = BufWriter::new(self.part()?);
            let parts = std::mem::take(&mut self.parts);
            let merged = merge(parts, &mut |line| write_line(&mut together, line));
            merged.map_err(|error| self.cannot(error))?;
            self.parts = vec![self.close(together)?];
        }
        self.sort();
        let mut part = BufWriter::new(self.part()?);
        let written = self.lines().try_for_each(|line| write_line(&mut part, line));
        written.map_err(|error| self.cannot(error))?;
        let part = self.close(part)?;
        self.parts.push(part);
        self.bytes.clear();
        self.places.clear();
        Ok(())
    }

    /// A new file that has no name any more: it vanishes with the process, however that ends.
    fn part(&self) -> Result<File> {
        for number in 0..u32::MAX {
            let path = self.folder.join(format!(".amanat-sort-{}-{number}", std::process::id()));
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&path) {
                Ok(file) => {
                    let removed = fs::remove_file(&path);
                    return removed.map(|()| file).map_err(|error| self.cannot(error));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(self.cannot(error)),
            }
        }
        Err(self.cannot(io::ErrorKind::AlreadyExists.into()))
    }

    /// Ends the writing of a part and goes back to its start.
    fn close(&self, part: BufWriter<File>) -> Result<File> {
        let mut file = part.into_inner().map_err(|error| self.cannot(error.into_error()))?;
        file.rewind().map_err(|error| self.cannot(error))?;
        Ok(file)
    }

    fn cannot(&self, error: io::Error) -> Error {
        failed(&self.folder, "rows cannot be sorted there", error)
    }
}

fn write_line(to: &mut impl Write, line: &[u8]) -> io::Result<()> {
    let length = u32::try_from(line.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(line)
}

/// The next line of a part; false at its end.
fn read_line(from: &mut impl Read, line: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    line.clear();
    line.resize(usize::try_from(u32::from_be_bytes(length)).unwrap_or_default(), 0);
    from.read_exact(line).map(|()| true)
}

/// Merges sorted parts.
fn merge(parts: Vec<File>, write: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut readers: Vec<BufReader<File>> = parts.into_iter().map(BufReader::new).collect();
    let mut next = BinaryHeap::new();
    for (place, reader) in readers.iter_mut().enumerate() {
        let mut line = Vec::new();
        if read_line(reader, &mut line)? {
            next.push(Reverse((line, place)));
        }
    }
    while let Some(Reverse((mut line, place))) = next.pop() {
        write(&line)?;
        if let Some(reader) = readers.get_mut(place)
            && read_line(reader, &mut line)?
        {
            next.push(Reverse((line, place)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_come_in_order_from_memory_from_parts_and_from_parts_of_parts() {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> =
            (0..3_000_u32).map(|n| format!("{:010}", n.wrapping_mul(2_654_435_761))).collect();
        for room in [usize::MAX, 10_000, 60] {
            let mut sorted = SortedLines { room, ..SortedLines::new(folder.path()) };
            lines.iter().for_each(|line| sorted.push(line.as_bytes()).unwrap());
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "parts have no name");
            assert!(sorted.parts.len() <= MAX_PARTS && (sorted.parts.is_empty() == (room == usize::MAX)));
            let mut given = Vec::new();
            sorted
                .finish(|line| {
                    given.push(String::from_utf8(line.to_vec()).unwrap());
                    Ok(())
                })
                .unwrap();
            let mut wanted = lines.clone();
            wanted.sort();
            assert!(given == wanted, "{room}");
        }
    }
}
