// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over files that stop after every batch and are gone on with. All records are made up.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod common;

use std::cell::Cell;
use std::fs;
use std::path::Path;

use amanat::error::{Error, Result};
use amanat::schema::TableSchema;
use amanat_stores::durable::Syncer;
use amanat_stores::file_run::CHECKPOINT_BYTES;
use amanat_stores::{
    Begun, Delimiter, Effort, FileForm, FileOrder, FileRun, Keeper, Observer, Placing, RevealForm, Start,
    Tally, Task, csv_file, json_lines,
};
use common::{Registry, Run, table};

const CSV: Run = |plan, input, output, observer| csv_file::run(plan, input, output, observer);
const JSON: Run = |plan, input, output, observer| json_lines::run(plan, input, output, observer);

fn people() -> TableSchema {
    table(
        r#"
[[table]]
name = "people"
record_id = ["id"]
field = [{ name = "name", mode = "sealed" }, { name = "id", mode = "clear" }]
"#,
    )
}

/// Stops a run after so many batches; 0 lets it go to its end.
struct Stopper {
    after: u64,
    batches: Cell<u64>,
}

impl Observer for Stopper {
    fn refused(&mut self, fault: &Error) -> Result<()> {
        panic!("{fault}");
    }

    fn progress(&mut self, _rows: u64, _input_bytes: u64) {
        self.batches.set(self.batches.get() + 1);
    }

    fn stops(&self) -> bool {
        self.after > 0 && self.batches.get() >= self.after
    }
}

impl Keeper for Stopper {
    fn listed(&mut self) -> Result<u64> {
        Ok(0)
    }

    fn syncer(&mut self) -> Result<Option<Syncer>> {
        Ok(None)
    }
}

/// Runs until a stop or the end; says the counts if it came to its end.
fn step(registry: &Registry, form: FileForm, file: &Path, after: u64) -> Option<Tally> {
    let task = Task::Protect(Effort::Seal);
    let order = FileOrder {
        input: file.to_path_buf(),
        placing: Placing::Output(file.with_extension("out")),
        form,
        only: None,
        schema: String::new(),
        remade: Vec::new(),
        checkpoint_bytes: CHECKPOINT_BYTES,
    };
    registry.with_plan(&people(), task, 2, |plan| {
        let Begun::Run(mut run) = FileRun::begin(order, plan, Start::Resume).unwrap() else {
            panic!("it begins")
        };
        let mut stopper = Stopper { after, batches: Cell::new(0) };
        if !run.rows(plan, &mut stopper).unwrap() {
            assert!(run.is_kept());
            return None;
        }
        run.ready(&mut stopper).unwrap();
        let tally = run.tally().clone();
        run.place().unwrap();
        Some(tally)
    })
}

#[test]
fn a_run_that_stops_at_every_batch_gives_what_one_run_gives() {
    let registry = Registry::new();
    let file = registry.folder.path().join("people");
    // A cell that begins with a byte order mark, where a reader that begins there would take it away.
    let rows: Vec<String> = (1..=3_073).map(|row| format!("\u{feff}name {row},{row}")).collect();
    let json: Vec<String> =
        (1..=3_072).map(|row| format!("{{\"name\":\"\u{feff}{row}\",\"id\":{row}}}")).collect();
    let csv = || FileForm::Csv(Delimiter::Comma);
    let mut cases = vec![(JSON, FileForm::JsonLines, format!("\u{feff}\n{}\n\n", json.join("\n")), 3_072)];
    for line_end in ["\n", "\r\n", "\r"] {
        for (head, count, tail) in
            [("", 3_073, line_end), ("\u{feff}", 3_073, ""), ("", 3_072, line_end), ("", 3_072, "")]
        {
            let text = format!("{head}name,id{line_end}{}{tail}", rows[..count].join(line_end));
            cases.push((CSV, csv(), text, u64::try_from(count).unwrap()));
        }
    }
    for (run, form, text, count) in cases {
        fs::write(&file, &text).unwrap();
        let mut stops = 0;
        let tally = loop {
            match step(&registry, form.clone(), &file, 1) {
                Some(tally) => break tally,
                None => stops += 1,
            }
        };
        assert!(stops >= 3, "{stops}");
        assert_eq!((tally.rows, tally.sealed, tally.refused_rows), (count, count, 0));
        let sealed = fs::read(file.with_extension("out")).unwrap();
        fs::remove_file(file.with_extension("out")).unwrap();
        let all = Task::Reveal(&[], RevealForm::Values);
        let shown = registry.run(run, &people(), all, 1, &sealed).unwrap();
        let wanted = if form == FileForm::JsonLines { format!("{}\n", json.join("\n")) } else { text };
        assert!(shown.bytes == wanted.as_bytes(), "{count} rows come back byte for byte");
    }
    let names: Vec<_> =
        fs::read_dir(registry.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("amanat-run")), "{names:?}");
}
