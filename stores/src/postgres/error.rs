// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors of the server and of the connection: what happened, and what to do.
//!
//! Owns the reading of SQLSTATE (PostgreSQL 17 documentation, appendix A). Never shows a value: what the server says in detail, hint and
//! context is dropped, and its main text too where it may repeat data.

use std::fmt;

use amanat::error::Error;
use postgres::error::DbError;

use crate::run::Recovery;

/// What the server or the connection failed with: the source of an error, free of values.
#[derive(Debug)]
pub(super) struct Failure {
    state: String,
    said: String,
    pub(super) recovery: Recovery,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.state.as_str(), self.said.as_str()) {
            ("", said) => f.write_str(said),
            (state, "") => write!(f, "SQLSTATE {state}"),
            (state, said) => write!(f, "{said} (SQLSTATE {state})"),
        }
    }
}

impl std::error::Error for Failure {}

/// What may be done after an error.
pub(super) fn recovery(error: &Error) -> Recovery {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Failure>());
    source.map_or(Recovery::Stop, |failure| failure.recovery)
}

/// An error of a statement.
#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(super) fn failed(error: postgres::Error) -> Error {
    if let Some(said) = error.as_db_error() {
        return by_state(said);
    }
    let source = std::error::Error::source(&error);
    let recovery = if error.is_closed() || source.is_some_and(|source| source.is::<std::io::Error>()) {
        Recovery::Reconnect
    } else {
        Recovery::Stop
    };
    let message = match recovery {
        Recovery::Reconnect => {
            "the connection to PostgreSQL is gone; what was not committed is taken back; run again when the server answers"
        }
        _ => "PostgreSQL's answer cannot be read",
    };
    // The client's own texts name columns and parameters by number.
    Error::store(message, Failure { state: String::new(), said: error.to_string(), recovery })
}

/// An error of connecting to a server, told by host and database.
#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
pub(super) fn connect_failed(error: postgres::Error, server: &str) -> Error {
    if let Some(said) = error.as_db_error() {
        let told = by_state(said);
        let message = format!("cannot connect to {server}: {}", told.message());
        let failure = Failure { recovery: recovery(&told), ..failure_of(said, Recovery::Stop) };
        return Error::store(message, failure);
    }
    let text = error.to_string();
    let source = std::error::Error::source(&error);
    let io = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    let tls = io.and_then(|io| io.get_ref()).and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let (what, recovery) = if let Some(tls) = tls {
        (tls_remedy(tls), Recovery::Stop)
    } else if text.starts_with("error performing TLS") {
        (
            "the server does not offer TLS, which the address demands; turn it on there (ssl = on)",
            Recovery::Stop,
        )
    } else if text.starts_with("authentication error") || text.starts_with("invalid configuration") {
        let what = "it asks for a password; set PGPASSWORD, or PGPASSFILE to a file with a line host:port:database:user:password";
        (what, Recovery::Stop)
    } else {
        (
            "is it running, and are host and port right? Does it listen there (listen_addresses), does a firewall forbid it?",
            Recovery::Reconnect,
        )
    };
    let said = match (tls, io) {
        (Some(tls), _) => tls.to_string(),
        (None, Some(io)) => format!("{text}: {io}"),
        (None, None) => text,
    };
    Error::store(
        format!("cannot connect to {server}: {what}"),
        Failure { state: String::new(), said, recovery },
    )
}

fn tls_remedy(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Why;
    match error {
        rustls::Error::InvalidCertificate(Why::UnknownIssuer | Why::BadSignature) => {
            "the server's certificate is signed by an authority that sslrootcert does not name; make sure that it is the right server, then name its \
             authority"
        }
        rustls::Error::InvalidCertificate(Why::NotValidForName | Why::NotValidForNameContext { .. }) => {
            "the server's certificate is for another host; connect by a name that it is for (as DNS name or IP address of the certificate's \
             alternative names)"
        }
        rustls::Error::InvalidCertificate(
            Why::Expired | Why::ExpiredContext { .. } | Why::NotValidYet | Why::NotValidYetContext { .. },
        ) => "the server's certificate is expired or not valid yet; renew it, or set the clock",
        _ => "TLS with the server failed",
    }
}

/// What a state of SQL means for a run.
fn by_state(said: &DbError) -> Error {
    let (message, recovery) = meaning(said);
    if is_drift(said) {
        return Error::schema(format!("{message}: {}", failure_of(said, recovery)));
    }
    Error::store(message, failure_of(said, recovery))
}

fn meaning(said: &DbError) -> (String, Recovery) {
    let state = said.code().code();
    let (what, recovery) = match state {
        "40001" | "40P01" => ("another transaction was in the way (deadlock); run again", Recovery::Retry),
        "55P03" => (
            "another transaction holds rows of the table for too long; find it in pg_stat_activity, end it, and run again",
            Recovery::Retry,
        ),
        "57014" => (
            "the statement took longer than statement_timeout allows, or somebody cancelled it; raise the role's statement_timeout or take smaller \
             batches",
            Recovery::Retry,
        ),
        "25006" => (
            "the database is read-only: a standby, or default_transaction_read_only is on; connect to the primary, or turn it off",
            Recovery::Stop,
        ),
        "53100" => (
            "the server's disk is full; make room and run again: it goes on where it stopped",
            Recovery::Stop,
        ),
        "53200" => ("the server is out of memory; take smaller batches", Recovery::Retry),
        "53300" => (
            "the server has no connection left (max_connections); end some, or use fewer lanes",
            Recovery::Reconnect,
        ),
        "57P01" | "57P02" | "57P03" | "25P03" => (
            "the server ended the connection, or is starting or stopping; run again when it answers",
            Recovery::Reconnect,
        ),
        "3D000" => ("there is no database of this name; correct the address", Recovery::Stop),
        "28P01" | "28000" => (
            "the server refuses the role: wrong password, or pg_hba.conf does not let it in this way",
            Recovery::Stop,
        ),
        "42501" => (
            "the role may not do this; grant it SELECT and UPDATE on the table, CREATE on its schema, and let row-level security not hide rows from \
             it (BYPASSRLS)",
            Recovery::Stop,
        ),
        _ if is_drift(said) => (
            "table or columns are not, or no longer, what the run expects; compare them with the schema and run again",
            Recovery::Stop,
        ),
        "22001" => (
            "a column is too short for what is to stand there; give it the type text: ALTER TABLE … ALTER COLUMN … TYPE text",
            Recovery::Stop,
        ),
        _ => return by_class(said),
    };
    (what.to_owned(), recovery)
}

fn by_class(said: &DbError) -> (String, Recovery) {
    let class = said.code().code().get(..2).unwrap_or_default();
    match class {
        "08" => (
            "the connection to PostgreSQL failed; run again when the server answers".to_owned(),
            Recovery::Reconnect,
        ),
        "23" => {
            let name = |kind: &str, name: Option<&str>| {
                name.map(|name| format!(" {kind} `{name}`")).unwrap_or_default()
            };
            let (table, column) = (name("of table", said.table()), name("of column", said.column()));
            let constraint = match said.constraint() {
                Some(name) => format!("the constraint `{name}`"),
                None => "a constraint".to_owned(),
            };
            (
                format!(
                    "{constraint}{column}{table} forbids what is to stand there; drop it, for the database cannot check what is sealed"
                ),
                Recovery::Stop,
            )
        }
        "53" => ("the server lacks resources".to_owned(), Recovery::Stop),
        "P0" => (
            "a trigger or function of the database refuses what is to be written; change or drop it"
                .to_owned(),
            Recovery::Stop,
        ),
        _ => ("PostgreSQL refuses a statement".to_owned(), Recovery::Stop),
    }
}

/// No such table, no such column, another type of column.
const DRIFTED: [&str; 3] = ["42P01", "42703", "42804"];
/// A table that is no longer what it was is the schema's matter.
fn is_drift(said: &DbError) -> bool {
    let state = said.code().code();
    // A prepared statement of a table that got other columns.
    DRIFTED.contains(&state) || (state == "0A000" && said.routine() == Some("RevalidateCachedQuery"))
}

/// Classes whose main text names objects, roles and settings, and never data.
const TOLD: [&str; 10] = ["08", "25", "28", "3D", "40", "42", "53", "55", "57", "58"];

fn failure_of(said: &DbError, recovery: Recovery) -> Failure {
    let state = said.code().code();
    // A function of the user's may raise what it likes.
    let told = said.where_().is_none() && state.get(..2).is_some_and(|class| TOLD.contains(&class));
    let said = if told { said.message().to_owned() } else { String::new() };
    Failure { state: state.to_owned(), said, recovery }
}
