// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs over live tables of databases: `rotate`, `resume`, `pause`, `cancel`, `status`, `report`, `verify`, `exceptions`.
//!
//! Owns what these verbs share: the database that is named, the run that is meant, and how it is driven. Never works on a row itself: the engine
//! of `amanat-stores` does.

mod drive;
mod dry;
mod find;
mod named;
mod place;
mod refused;
mod report;
mod rotate;
mod start;
mod status;
mod verify;

pub(crate) use drive::DriveArgs;
pub(crate) use dry::run as dry_run;
pub(crate) use named::names;
pub(crate) use place::{DoorArgs, Mode, OverStore, Place, PlaceArgs, postgres_address};
pub(crate) use refused::{ExceptionsArgs, exceptions};
pub(crate) use report::{ReportArgs, report};
pub(crate) use rotate::{ResumeArgs, RotateArgs, resume, rotate};
pub(crate) use start::{Start, read_schema, start, take_over};
pub(crate) use status::{CancelArgs, PauseArgs, StatusArgs, cancel, pause, status};
pub(crate) use verify::{VerifyArgs, verify};
