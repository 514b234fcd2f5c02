// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network between client and server that breaks once, at a COMMIT.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// When the connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server is never told to commit.
    Before,
    /// The server commits, and the client is not told.
    After,
}

/// Passes bytes on until the third COMMIT of all its connections.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    commits: Arc<AtomicU32>,
}

impl Proxy {
    /// Listens on a port of its own until the process ends.
    pub(crate) fn to(server: u16, cut: Cut) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), commits: Arc::default() };
        let commits = Arc::clone(&proxy.commits);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let commits = Arc::clone(&commits);
                thread::spawn(move || pass(client, server, cut, &commits));
            }
        });
        proxy
    }

    /// Whether it broke.
    pub(crate) fn has_cut(&self) -> bool {
        self.commits.load(Ordering::SeqCst) >= 3
    }
}

fn pass(mut client: TcpStream, mut server: TcpStream, cut: Cut, commits: &AtomicU32) {
    let (mut to_client, mut from_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    // The answers; an end of either side ends the other.
    thread::spawn(move || {
        drop(std::io::copy(&mut from_server, &mut to_client));
        drop(to_client.shutdown(Shutdown::Both));
    });
    let mut bytes = [0; 1 << 16];
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        let sent = &bytes[..length];
        let is_commit = sent.windows(6).any(|word| word == b"COMMIT");
        if is_commit && commits.fetch_add(1, Ordering::SeqCst) == 2 {
            drop(client.shutdown(Shutdown::Both));
            if cut == Cut::After {
                server.write_all(sent).unwrap();
            }
            break;
        }
        if server.write_all(sent).is_err() {
            break;
        }
    }
    // The server works off what it was sent before it sees the end.
    drop(server.shutdown(Shutdown::Write));
}
