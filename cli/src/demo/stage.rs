// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs and prints the commands of the demonstration, as a reader would type them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::fault::{Fault, Result};
use crate::text::grouped;
use crate::ui::{Style, Ui, escape};

/// Characters of a line.
const MAX_LINE_CHARS: usize = 100;
/// Longest piece of a cell that is shown.
const MAX_CELL_CHARS: usize = 64;
/// Bytes of a BLOB that are shown.
const MAX_BLOB_BYTES: usize = 24;

/// The folder in which the demonstration plays, and the program that plays it.
pub(super) struct Stage<'a> {
    ui: &'a Ui,
    pub(super) folder: &'a Path,
    pub(super) program: PathBuf,
}

/// What a command gave.
pub(super) struct Ran {
    pub(super) out: String,
    pub(super) time: Duration,
}

impl<'a> Stage<'a> {
    pub(super) fn new(ui: &'a Ui, folder: &'a Path) -> Result<Self> {
        let program = std::env::current_exe().map_err(|_| {
            Fault::new("this program cannot find its own file").help("name it by its full path")
        })?;
        Ok(Self { ui, folder, program })
    }

    /// Begins a scene: its number and what it shows.
    pub(super) fn scene(&self, number: u32, title: &str) -> Result<()> {
        self.ui.line("")?;
        self.ui.line(self.ui.paint(Style::Bold, &format!("{number}. {title}")))
    }

    /// Says something between commands.
    pub(super) fn say(&self, text: &str) -> Result<()> {
        self.ui.line(text)
    }

    /// Runs a verb of this program and shows what it prints; it must end with this code.
    pub(super) fn amanat(&self, args: &str, code: i32) -> Result<Ran> {
        self.prompt(&format!("amanat {args}"))?;
        self.run(args, &[], code)
    }

    /// Pipes rows of the database, as CSV, into a verb of this program.
    pub(super) fn pipe(&self, sql: &str, args: &str, code: i32) -> Result<Ran> {
        self.prompt(&format!("sqlite3 -csv -header registry.db \"{sql}\" | amanat {args}"))?;
        let rows = self.rows(sql, usize::MAX)?;
        let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
        let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
        let csv = rows.iter().map(line).collect::<Vec<_>>().join("\n");
        self.run(args, csv.as_bytes(), code)
    }

    /// Types lines into a verb of this program.
    pub(super) fn type_in(&self, lines: &[&str], args: &str, code: i32) -> Result<Ran> {
        let quoted: String = lines.iter().map(|line| format!(" '{line}'")).collect();
        self.prompt(&format!("printf '%s\\n'{quoted} | amanat {args}"))?;
        self.run(args, lines.join("\n").as_bytes(), code)
    }

    /// Shows a text file of the folder; gives its lines.
    pub(super) fn cat(&self, name: &str) -> Result<Vec<String>> {
        self.prompt(&format!("cat {name}"))?;
        let path = self.folder.join(name);
        let text = fs::read_to_string(&path).map_err(|error| Fault::file("read", &path, &error))?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.iter().try_for_each(|line| self.data(line))?;
        Ok(lines)
    }

    fn run(&self, args: &str, input: &[u8], code: i32) -> Result<Ran> {
        let failed = |error| Fault::file("run", &self.program, &error);
        let started = Instant::now();
        let mut child = Command::new(&self.program)
            .args(args.split_whitespace())
            .current_dir(self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One row, less than a pipe holds. A verb that ends without reading says why itself.
            let _ = stdin.write_all(input);
        }
        let output = child.wait_with_output().map_err(failed)?;
        let time = started.elapsed();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        out.lines().try_for_each(|line| self.data(line))?;
        err.lines().try_for_each(|line| self.message(line))?;
        if output.status.code() == Some(code) {
            return Ok(Ran { out: out.into_owned(), time });
        }
        Err(Fault::new("this command ended otherwise than the demonstration expects")
            .help(format!("look at it in {}, where everything is left as it is", self.folder.display())))
    }

    /// Runs SQL on the registry's database and shows what it gives, column by column.
    pub(super) fn sql(&self, sql: &str) -> Result<()> {
        self.prompt(&format!("sqlite3 -line registry.db \"{sql}\""))?;
        let rows = self.rows(sql, MAX_CELL_CHARS)?;
        let Some((names, rows)) = rows.split_first() else { return Ok(()) };
        for (name, cell) in rows.iter().flat_map(|row| names.iter().zip(row)) {
            self.data(&format!("{name:>10} = {cell}"))?;
        }
        Ok(())
    }

    /// The cells that a query gives, without the names of its columns.
    pub(super) fn query(&self, sql: &str) -> Result<Vec<String>> {
        Ok(self.rows(sql, usize::MAX)?.into_iter().skip(1).flatten().collect())
    }

    /// The names of a query's columns, and its rows, each cell cut short.
    fn rows(&self, sql: &str, most: usize) -> Result<Vec<Vec<String>>> {
        let failed = |_| Fault::new("the database of the demonstration cannot be read or changed");
        let database = Connection::open(self.database()).map_err(failed)?;
        let mut statement = database.prepare(sql).map_err(failed)?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut found = vec![names];
        let mut rows = statement.query(()).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let columns = found.first().map_or(0, Vec::len);
            let cells = (0..columns).map(|position| Ok(cell(row.get_ref(position)?, most)));
            found.push(cells.collect::<rusqlite::Result<_>>().map_err(failed)?);
        }
        Ok(found)
    }

    /// Searches the bytes of the database and of what SQLite may have left beside it, as a thief of the files would.
    pub(super) fn search(&self, what: &str) -> Result<usize> {
        self.prompt(&format!("cat registry.db* | grep -a -o '{what}' | wc -l"))?;
        let mut found = 0;
        for name in ["registry.db", "registry.db-wal", "registry.db-journal"] {
            let bytes = match fs::read(self.folder.join(name)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.map_err(|error| Fault::file("read", &self.folder.join(name), &error))?,
            };
            found += bytes.windows(what.len()).filter(|window| *window == what.as_bytes()).count();
        }
        self.data(&found.to_string())?;
        Ok(found)
    }

    /// Bytes of the database.
    pub(super) fn database_bytes(&self) -> Result<u64> {
        let file = self.database();
        fs::metadata(&file).map(|data| data.len()).map_err(|error| Fault::file("look at", &file, &error))
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.join("registry.db")
    }

    /// A command as a reader would type it, long ones over several lines that a shell joins again.
    fn prompt(&self, command: &str) -> Result<()> {
        self.ui.line("")?;
        let (sign, lines) = (self.ui.paint(Style::Dim, "$"), wrap(command, MAX_LINE_CHARS));
        for (position, line) in lines.iter().enumerate() {
            let sign = if position == 0 { &*sign } else { " " };
            let more = if position + 1 < lines.len() { " \\" } else { "" };
            self.ui.line(format!("  {sign} {}{more}", self.ui.paint(Style::Green, line)))?;
        }
        Ok(())
    }

    /// A line of data, cut short.
    fn data(&self, line: &str) -> Result<()> {
        self.ui.line(format!("    {}", cut(&escape(line), MAX_LINE_CHARS)).trim_end())
    }

    /// A message, over several lines if it is long.
    fn message(&self, line: &str) -> Result<()> {
        let escaped = escape(line);
        let lines = wrap(&escaped, MAX_LINE_CHARS);
        lines.iter().enumerate().try_for_each(|(position, line)| {
            self.ui.line(format!("    {}{line}", if position == 0 { "" } else { "  " }))
        })
    }
}

/// Cuts a text at spaces into lines of at most so many characters; a longer word has a line of its own.
fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let fits = |line: &&mut String| line.chars().count() + 1 + word.chars().count() <= most;
        match lines.last_mut().filter(fits) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A cell as a reader of the file sees it.
fn cell(value: ValueRef<'_>, most: usize) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => cut(&String::from_utf8_lossy(text), most),
        ValueRef::Blob(bytes) => {
            let shown: String = bytes.iter().take(MAX_BLOB_BYTES).map(|byte| format!("{byte:02x}")).collect();
            let size = grouped(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            format!("x'{shown}...' ({size} bytes)")
        }
    }
}

/// At most so many characters of a text, with a sign that there are more.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(3)).collect();
    format!("{kept}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_commands_are_cut_at_spaces_and_lose_nothing() {
        let command = "amanat reveal - --format csv  --masked";
        for most in 1..50 {
            let lines = wrap(command, most);
            assert_eq!(lines.join(" "), command);
            assert!(lines.iter().all(|line| line.len() <= most || !line.contains(' ')));
        }
        assert_eq!(cut("an invented name", 9), "an inv...");
    }
}
