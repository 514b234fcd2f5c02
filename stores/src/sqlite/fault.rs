// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors of SQLite: what they mean for a run, and what to do about them.
//!
//! Owns the remedies. Never passes on a text that may hold a value.

use amanat::error::Error;
use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::run::Recovery;

/// An error of SQLite, with what to do about it. SQLite's own texts name columns and constraints, never values.
pub(super) fn failed(error: rusqlite::Error) -> Error {
    let what = match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => {
            "the SQLite file cannot be opened; it, its folder and its -wal and -shm files must be accessible to this user"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            "another connection kept the SQLite file locked; end its transaction and run again"
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            "the SQLite file is damaged; look with `PRAGMA integrity_check`, recover it or restore a backup, and run again"
        }
        Some(ErrorCode::DiskFull) => {
            "there is no room for the SQLite file; what was committed before is kept; make room on the disk and run again"
        }
        Some(ErrorCode::NotADatabase) => "the file is no SQLite database, or it is encrypted as a whole",
        _ if is_interrupted(&error) => {
            "a process was killed while it wrote the SQLite file, which must be taken back first; run again as a user who may write it"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "the SQLite file cannot be written; this user must be allowed to write it and to make files in its folder"
        }
        Some(ErrorCode::SystemIoFailure) => {
            "the disk failed under the SQLite file; what was committed before is kept; see to the disk and run again"
        }
        Some(ErrorCode::SchemaChanged | ErrorCode::Unknown) => {
            "SQLite refuses a statement; were the table's columns changed since it was looked at?"
        }
        _ => "the SQLite file cannot be read or written",
    };
    Error::store(what, error)
}

/// Whether a connection that may not write has met what a killed process left half done.
pub(super) fn is_interrupted(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_READONLY_ROLLBACK | ffi::SQLITE_READONLY_RECOVERY))
}

/// An error of a statement that writes a row.
pub(super) fn not_written(error: rusqlite::Error) -> Error {
    if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
        return failed(error);
    }
    let why = "the row cannot be written; does a constraint of a column forbid what is to stand there?";
    match error {
        // The text is the trigger's own, and may hold what stood in the row.
        rusqlite::Error::SqliteFailure(code, _) if code.extended_code == ffi::SQLITE_CONSTRAINT_TRIGGER => {
            Error::store(why, rusqlite::Error::SqliteFailure(code, Some("a trigger forbids it".to_owned())))
        }
        error => Error::store(why, error),
    }
}

/// What may be done after an error.
pub(super) fn recovery(error: &Error) -> Recovery {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<rusqlite::Error>());
    match source.and_then(rusqlite::Error::sqlite_error_code) {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Recovery::Retry,
        _ => Recovery::Stop,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn error(code: std::ffi::c_int) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("the synthetic value".to_owned()))
    }

    #[test]
    fn a_busy_file_is_tried_again_and_nothing_else_is() {
        for code in
            [ffi::SQLITE_BUSY, ffi::SQLITE_BUSY_SNAPSHOT, ffi::SQLITE_LOCKED, ffi::SQLITE_BUSY_RECOVERY]
        {
            assert_eq!(recovery(&failed(error(code))), Recovery::Retry, "{code}");
            assert_eq!(recovery(&not_written(error(code))), Recovery::Retry, "{code}");
        }
        let others = [
            (ffi::SQLITE_FULL, "make room"),
            (ffi::SQLITE_READONLY_DBMOVED, "cannot be written"),
            (ffi::SQLITE_READONLY_ROLLBACK, "killed while it wrote"),
            (ffi::SQLITE_CORRUPT_INDEX, "integrity_check"),
            (ffi::SQLITE_NOTADB, "no SQLite database"),
            (ffi::SQLITE_IOERR_WRITE, "see to the disk"),
            (ffi::SQLITE_CANTOPEN, "-wal and -shm"),
            (ffi::SQLITE_ERROR, "columns changed"),
            (ffi::SQLITE_NOMEM, "cannot be read or written"),
        ];
        for (code, remedy) in others {
            let error = not_written(error(code));
            assert_eq!(recovery(&error), Recovery::Stop, "{code}");
            assert!(error.to_string().contains(remedy), "{error}");
        }
        assert_eq!(recovery(&Error::misuse("taken over")), Recovery::Stop);
    }

    #[test]
    fn the_text_of_a_trigger_is_not_passed_on() {
        let source = |code| std::error::Error::source(&not_written(error(code))).unwrap().to_string();
        let told = source(ffi::SQLITE_CONSTRAINT_TRIGGER);
        assert!(!told.contains("synthetic") && told.contains("trigger"), "{told}");
        assert!(source(ffi::SQLITE_CONSTRAINT_UNIQUE).contains("synthetic"));
    }
}
