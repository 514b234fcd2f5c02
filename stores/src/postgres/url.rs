// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address of a database, read as libpq reads it (PostgreSQL 17 documentation, 32.1).
//!
//! Owns the parameters that the client library does not know, and where the password comes from. Never shows a password.

use std::ffi::OsString;
use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use amanat::error::{Error, Result};
use postgres::config::{Host, SslMode};
use postgres::{Client, Config};

use super::error::connect_failed;
use super::passfile;
use super::tls::{self, Trust};

/// What is waited for a server that does not answer, unless the address says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A connection that is cut without a word is found out after about a minute; by default it would be two hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
const UNANSWERED: Duration = Duration::from_secs(60);

/// Address of a database: `postgres://user@host:port/database?sslmode=verify-full`, or `host=… dbname=…`.
///
/// `sslmode` and `sslrootcert` mean what they mean to libpq: without them the connection is encrypted if the server can, and *not verified*;
/// `require` demands encryption, `verify-ca` a known authority, `verify-full` also the host's name. A password that is not in the address comes
/// from `PGPASSWORD`, `passfile`, `PGPASSFILE` or `~/.pgpass`. Give no password in an address that others can see, as in a list of processes.
#[derive(Clone)]
pub struct PostgresUrl {
    config: Config,
    trust: Trust,
}

/// Parameters that the client library does not know.
#[derive(Default)]
struct Own {
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    passfile: Option<String>,
}

impl PostgresUrl {
    /// Reads an address, and what the environment of the process adds to it.
    ///
    /// # Errors
    /// `Misuse` if it is not understood; `Store` if a password file or certificate cannot be read.
    pub fn parse(address: &str) -> Result<Self> {
        Self::parse_with(address, |name| std::env::var_os(name))
    }

    /// Reads an address, and what the variables that are given add to it.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(address: &str, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let mut own = Own::default();
        let rest = if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            own.take_from_url(address)?
        } else {
            own.take_from_pairs(address)?
        };
        let mut config: Config = rest.parse().map_err(|error| not_understood(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::misuse(
                "the PostgreSQL address names no host; write the folder of its socket for a local one",
            ));
        }
        // A piece of a password with an `@` in it, which would be shown as the host.
        let is_odd = |host: &Host| matches!(host, Host::Tcp(name) if name.contains(['@', ':']) && name.parse::<Ipv6Addr>().is_err());
        if config.get_hosts().iter().any(is_odd) {
            return Err(misread(
                "the host has an `@` or `:`; one in a user name or password is written %40 or %3A",
            ));
        }
        if config.get_password().is_none() {
            let home = variable("HOME").map(PathBuf::from);
            let password = match (variable("PGPASSWORD"), own.passfile) {
                (Some(password), _) => Some(password.into_encoded_bytes()),
                (None, Some(file)) => passfile::find(&PathBuf::from(file), &config)?,
                (None, None) => {
                    let file = variable("PGPASSFILE").map(PathBuf::from);
                    let file = file.or_else(|| home.as_ref().map(|home| home.join(".pgpass")));
                    file.map_or(Ok(None), |file| passfile::find(&file, &config))?
                }
            };
            if let Some(password) = password {
                config.password(password);
            }
        }
        let home = variable("HOME").map(PathBuf::from);
        // Over a Unix socket there is nothing to encrypt, whatever the mode says.
        let is_local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)))
            && config.get_hostaddrs().is_empty();
        let (mode, trust) = if is_local {
            (SslMode::Disable, Trust::Nobody)
        } else {
            tls::mode(own.sslmode.as_deref(), own.sslrootcert.as_deref(), home.as_deref())?
        };
        config.ssl_mode(mode);
        patient(&mut config);
        Ok(Self { config, trust })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// `Store`, with what to do about it.
    pub(super) fn connect(&self) -> Result<Client> {
        self.config.connect(self.trust.connector()?).map_err(|error| connect_failed(error, &self.to_string()))
    }

    /// What a person should know of the connection: that somebody on the way could read or change everything.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let is_remote = |host: &Host| match host {
            Host::Tcp(name) => !matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
            Host::Unix(_) => false,
        };
        let remote = self.config.get_hosts().iter().any(is_remote);
        let verified = matches!(self.trust, Trust::Authorities { .. });
        (remote && !verified).then(|| {
            "the server's certificate is not verified: whoever sits on the way can read and change what passes; write sslmode=verify-full \
             and sslrootcert=FILE into the address"
                .to_owned()
        })
    }
}

impl Own {
    fn take(&mut self, key: &str, value: &str) -> bool {
        let place = match key {
            "sslmode" => &mut self.sslmode,
            "sslrootcert" => &mut self.sslrootcert,
            "passfile" => &mut self.passfile,
            _ => return false,
        };
        *place = Some(value.to_owned());
        true
    }

    /// Takes what is known here from the query of a URL; gives the rest of it.
    fn take_from_url(&mut self, url: &str) -> Result<String> {
        let Some((start, query)) = url.split_once('?') else { return Ok(url.to_owned()) };
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| misread("a parameter after `?` has no `=`"))?;
            if !self.take(key, &percent_decoded(value)?) {
                rest.push(pair);
            }
        }
        Ok(if rest.is_empty() { start.to_owned() } else { format!("{start}?{}", rest.join("&")) })
    }

    /// Takes what is known here from `key=value` pairs; gives the rest of them.
    fn take_from_pairs(&mut self, pairs: &str) -> Result<String> {
        let mut rest = String::new();
        let mut left = pairs.trim_start();
        while !left.is_empty() {
            let (key, after) =
                left.split_once('=').ok_or_else(|| misread("a word stands there without `=`"))?;
            let after = after.trim_start();
            let (value, used) = pair_value(after)?;
            let (raw, next) = after.split_at(used);
            if !self.take(key.trim(), &value) {
                rest.extend([key.trim(), "=", raw, " "]);
            }
            left = next.trim_start();
        }
        Ok(rest)
    }
}

/// A value of a pair and how many bytes it takes: up to white space, or in single quotes; a backslash takes the next character as it is.
fn pair_value(text: &str) -> Result<(String, usize)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut escaped = false;
    for (place, letter) in text.char_indices().skip(usize::from(quoted)) {
        match letter {
            _ if escaped => {
                value.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '\'' if quoted => return Ok((value, place + 1)),
            _ if !quoted && letter.is_whitespace() => return Ok((value, place)),
            _ => value.push(letter),
        }
    }
    if quoted || escaped { Err(misread("a quoted value has no end")) } else { Ok((value, text.len())) }
}

fn percent_decoded(text: &str) -> Result<String> {
    let wrong = || misread("a `%` is not followed by two hexadecimal digits of UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.bytes();
    while let Some(byte) = left.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [left.next().ok_or_else(wrong)?, left.next().ok_or_else(wrong)?];
        let digits = core::str::from_utf8(&digits).map_err(|_| wrong())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// Sees that a connection that is gone is found out.
fn patient(config: &mut Config) {
    config.application_name("amanat");
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNANSWERED);
    }
    if config.get_keepalives_interval().is_none() && config.get_keepalives_retries().is_none() {
        config.keepalives_idle(KEEPALIVE_IDLE);
        config.keepalives_interval(KEEPALIVE_INTERVAL);
        config.keepalives_retries(KEEPALIVE_RETRIES);
    }
}

/// The library's own words could repeat a piece of a password, but for those of a parameter with a wrong value.
fn not_understood(error: &postgres::Error) -> Error {
    let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    misread(if said.starts_with("invalid value for option") { &said } else { "" })
}

fn misread(what: &str) -> Error {
    let what = if what.is_empty() { String::new() } else { format!(": {what}") };
    Error::misuse(format!(
        "the PostgreSQL address is not understood{what}; write postgres://user@host:port/database?sslmode=verify-full, with special characters \
         as %XX, or host=… user=… dbname=…"
    ))
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |host: &Host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        };
        let hosts: Vec<String> = self.config.get_hosts().iter().map(host).collect();
        let ports: Vec<String> = self.config.get_ports().iter().map(|port| format!(":{port}")).collect();
        write!(f, "{}{}/{}", hosts.join(","), ports.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn alone(address: &str) -> Result<PostgresUrl> {
        PostgresUrl::parse_with(address, |_| None)
    }

    #[test]
    fn both_forms_of_an_address_say_the_same() {
        let url =
            alone("postgres://me:p%3Aw@db.example:5433/registry?sslmode=require&connect_timeout=3").unwrap();
        let pairs = alone(r" host=db.example port = 5433 user=me password='p:w' dbname=registry sslmode='require' connect_timeout=3").unwrap();
        for address in [&url, &pairs] {
            assert_eq!(address.to_string(), "db.example:5433/registry");
            assert_eq!(address.config.get_password().unwrap(), b"p:w");
            assert_eq!(address.config.get_ssl_mode(), SslMode::Require);
            assert_eq!(address.config.get_connect_timeout().unwrap().as_secs(), 3);
            assert!(!format!("{address:?}").contains("p:w"));
            assert!(address.advice().is_some());
        }
        assert_eq!(alone("postgres://[::1]:5/x").unwrap().to_string(), "::1:5/x");
        assert!(alone("postgres://localhost/x").unwrap().advice().is_none());
    }

    #[test]
    fn an_address_that_is_not_understood_is_not_repeated() {
        for address in [
            "postgres://u:geheim@h/d?geheim=1",
            "postgres://u@h/d?geheim",
            "postgres://u@h/d?sslmode=geheim",
            "postgres://u@h/d?sslrootcert=%zz",
            "host=h password='geheim",
            "host=h password=very geheim",
            "host=h geheim=1",
            "user=geheim",
            "host=h sslmode=allow",
            "postgres://u:very@geheim@h/d",
            "postgres://u@geheim:geheim:1/d",
        ] {
            let error = alone(address).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
        }
    }
}
