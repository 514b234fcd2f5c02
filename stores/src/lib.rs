// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and tables for amanat: the keyring file, CSV, JSON Lines, SQLite and PostgreSQL.
//!
//! Owns what touches a file. Never decides how a value is sealed, never replaces a stored value before its replacement is safe.

mod cell;
pub mod clock;
mod columns;
pub mod csv_file;
mod decide;
pub mod durable;
pub mod engine;
pub mod export;
pub mod file_run;
pub mod find;
mod json;
pub mod json_lines;
pub mod keyring_file;
pub mod keyring_watch;
pub mod live;
mod migration;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod new_columns;
#[cfg(feature = "parquet")]
pub mod parquet_file;
mod pipeline;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod reveal;
pub mod run;
pub mod scan;
mod sealed_rows;
pub mod secret_file;
pub mod session;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod stream;
mod surrogates;
pub mod tally;
mod text_value;
mod texts;
#[cfg(feature = "sqlite")]
pub mod vault;

pub use cell::Stored;
pub use durable::{Access, PartFile};
pub use engine::{Effort, NewCell, Protector, Rows, SealedRows, Source};
pub use file_run::{Begun, FileForm, FileOrder, FileRun, Keeper, Placing, Start};
pub use find::{FindPlan, FindReport, Found};
pub use keyring_file::KeyringPath;
pub use keyring_watch::KeyringWatch;
pub use live::{DualTable, LiveTable, RowWrite, StoredRow, StoredValue};
pub use migration::Work;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use new_columns::ColumnStatements;
pub use reveal::{RevealForm, Revealer, Shown};
pub use scan::{ScanPlan, ScanSource, ScannedRow, Visitor};
pub use session::KeyringSession;
pub use stream::{Delimiter, Observer, Plan, RowNumbers, Task};
pub use tally::{KeyTally, Tally};
