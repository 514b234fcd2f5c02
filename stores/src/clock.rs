// SPDX-License-Identifier: MIT OR Apache-2.0
//! The time of the system: the library reads no clock, its callers do.

use std::time::{SystemTime, UNIX_EPOCH};

use amanat::Timestamp;
use amanat::error::{Error, Result};

/// The time now, in whole seconds.
///
/// # Errors
/// `Store` if the system's clock stands before 1970; `Limit` if it stands after the year 9999.
pub fn now() -> Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since =
        since.map_err(|error| Error::store("the system's clock stands before 1970; set it", error))?;
    Timestamp::from_unix_seconds(since.as_secs())
}
