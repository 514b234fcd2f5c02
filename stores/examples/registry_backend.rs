// SPDX-License-Identifier: MIT OR Apache-2.0
//! A registry's service that stays right while its keys are rotated beside it, over SQLite or PostgreSQL. Every person is invented.
//!
//! Run it: `amanat init --keyring r.keyring …`, then `registry_backend r.keyring r.key citizens.db` (or `postgres://…` instead of a file). It prints
//! its port, speaks lines with tabs, and ends when its standard input does. While it runs: `amanat rotate`. The point is [`service`].
//!
//! | asked | answered |
//! |---|---|
//! | `register ID CNIC NAME DISTRICT` | `ok`, or `taken` |
//! | `rename ID NAME` | `ok`, or `absent` |
//! | `show ID` | `row ID CNIC NAME DISTRICT`, masked, or `absent` |
//! | `find cnic CNIC`, `find name NAME` | a `row` for each, then `end` |
//! | `delete ID` | `ok`, or `absent` |
//! | `generation` | that of the keyring in use: ask before a key is activated, and before it is destroyed |

#[path = "registry_backend/database.rs"]
mod database;
#[path = "registry_backend/service.rs"]
mod service;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use amanat::error::{Error, Result};
use amanat_stores::{KeyringPath, KeyringWatch, clock, secret_file};

use database::Database;
use service::Service;

const THREADS: usize = 4;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [keyring, key, target] = arguments.as_slice() else {
        return Err(Error::misuse(
            "name the keyring, the key file, and an SQLite file or a postgres:// address",
        ));
    };
    let (path, kek) = (KeyringPath::open(keyring), secret_file::read_key_file(Path::new(key))?);
    let watch = KeyringWatch::open(&path, &kek, &clock::now)?;
    Database::open(target)?.create()?;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(cut)?;
    let address = listener.local_addr().map_err(cut)?;
    println!("{}", address.port());
    let stop = AtomicBool::new(false);
    let worked = thread::scope(|scope| {
        let work = || serve(&watch, target, &listener, &stop);
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        // Whoever started the service ends it by closing its standard input.
        let ended = std::io::stdin().read_to_end(&mut Vec::new());
        stop.store(true, Ordering::Relaxed);
        (0..THREADS).for_each(|_| drop(TcpStream::connect(address)));
        let panicked = || Err(Error::misuse("a thread of the service has panicked"));
        let worked = workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| panicked()));
        worked.and(ended.map(drop).map_err(cut))
    });
    watch.give_back()?;
    worked
}

/// Serves one client after the other, with a connection to the database and ciphers of its own.
fn serve(watch: &KeyringWatch<'_>, target: &str, listener: &TcpListener, stop: &AtomicBool) -> Result<()> {
    let mut service = Service::new(watch, Database::open(target)?)?;
    loop {
        let (client, _) = listener.accept().map_err(cut)?;
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        // A client that goes away takes nothing with it.
        drop(answer(&mut service, &client));
    }
}

fn answer(service: &mut Service<'_>, mut client: &TcpStream) -> std::io::Result<()> {
    for line in BufReader::new(client).lines() {
        let line = line?;
        let parts: Vec<&str> = line.split('\t').collect();
        // An error of the library names no value, so it may be told.
        let text = service
            .answer(&parts)
            .unwrap_or_else(|error| format!("error {}: {error}\n", error.kind().as_str()));
        client.write_all(text.as_bytes())?;
    }
    Ok(())
}

fn cut(error: std::io::Error) -> Error {
    Error::store("the network or standard input failed", error)
}
