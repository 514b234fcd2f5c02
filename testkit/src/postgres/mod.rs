// SPDX-License-Identifier: MIT OR Apache-2.0
//! A PostgreSQL server with a cluster of its own.
//!
//! Owns the life of the server: started, crashed, started again, stopped when it is dropped, and also when the test process is killed.
//! Never uses a cluster or port that is there already.

mod cluster;
mod guard;
mod programs;
mod tls;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use cluster::Cluster;
use guard::Guard;

/// The superuser of the cluster. No password; any connection from this machine.
pub const SUPERUSER: &str = "amanat";
/// A role that logs in over TCP with [`PASSWORD`] alone.
pub const PASSWORD_ROLE: &str = "needs_password";
/// The password of [`PASSWORD_ROLE`]; it has every character that URLs and password files treat in a way of their own.
pub const PASSWORD: &str = "p:a\\s's @/w%";
/// A role that logs in over TCP with TLS alone.
pub const TLS_ROLE: &str = "needs_tls";

/// How long a server may take to come up or go down; a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether what is committed survives the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// No `fsync`: fast, and everything still survives the death of the server's processes, for the operating system keeps it.
    #[default]
    Fast,
    /// As in production: for measurements.
    Full,
}

/// A running server. Stopped, and its folder removed, when it is dropped.
#[derive(Debug)]
pub struct Server {
    cluster: Cluster,
    port: u16,
    running: Option<Running>,
    databases: AtomicU64,
    /// Removed last.
    _folder: TempDir,
}

#[derive(Debug)]
struct Running {
    process: Child,
    guard: Guard,
}

impl Server {
    /// Makes a cluster and starts it, for speed and not for durability.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Durability::Fast, &[])
    }

    /// Makes a cluster and starts it; settings are lines of `postgresql.conf` such as `max_connections = 20`.
    #[must_use]
    pub fn start_with(durability: Durability, settings: &[&str]) -> Self {
        let folder = short_folder();
        let cluster = Cluster::create(folder.path(), durability, settings);
        let mut server =
            Self { cluster, port: 0, running: None, databases: AtomicU64::new(0), _folder: folder };
        // Another process may take the port between the look and the start.
        let started = (0..5).any(|_| {
            server.port = free_port();
            server.launch().is_ok()
        });
        assert!(started, "the PostgreSQL server does not start; its log:\n{}", server.log());
        server.query(&format!("CREATE ROLE {TLS_ROLE} LOGIN"));
        let password = PASSWORD.replace('\'', "''");
        // The backslash stands for itself: standard_conforming_strings is on.
        server.query(&format!("CREATE ROLE {PASSWORD_ROLE} LOGIN PASSWORD '{password}'"));
        server
    }

    /// Address of a database over TCP as [`SUPERUSER`], without TLS.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, database, "sslmode=disable")
    }

    /// Address of a database over TCP as a role, with parameters of the address such as `sslmode=require`.
    #[must_use]
    pub fn url_as(&self, role: &str, database: &str, parameters: &str) -> String {
        format!("postgres://{role}@localhost:{}/{database}?{parameters}", self.port)
    }

    /// Address of a database over the Unix socket as [`SUPERUSER`].
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        let folder = self.cluster.socket_folder().display().to_string().replace('/', "%2F");
        format!("postgres://{SUPERUSER}@{folder}:{}/{database}", self.port)
    }

    /// The TCP port, which a restart keeps.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that the server's was signed by, as a PEM file. The server's is for `localhost` and not for `127.0.0.1`.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.cluster.ca_file()
    }

    /// A certificate that the server's was not signed by, as a PEM file.
    #[must_use]
    pub fn other_ca_file(&self) -> PathBuf {
        self.cluster.other_ca_file()
    }

    /// Makes an empty database of a new name; gives the name.
    #[must_use]
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.query(&format!("CREATE DATABASE {name}"));
        name
    }

    /// A connection to a database as [`SUPERUSER`].
    #[must_use]
    pub fn client(&self, database: &str) -> Client {
        self.try_client(database).unwrap_or_else(|error| {
            panic!("cannot connect to the test server: {error}; its log:\n{}", self.log())
        })
    }

    /// Kills the server as a power cut would: nothing is flushed, connections are cut, the next start recovers from the log.
    pub fn crash(&mut self) {
        self.stop(Signal::QUIT);
    }

    /// Stops the server in good order; connections are cut.
    pub fn shut_down(&mut self) {
        self.stop(Signal::INT);
    }

    /// Starts a stopped server on the same port, or stops and starts a running one, and waits until it answers.
    pub fn restart(&mut self) {
        self.shut_down();
        assert!(
            self.launch().is_ok(),
            "the PostgreSQL server does not start again; its log:\n{}",
            self.log()
        );
    }

    /// What `pg_dump --schema-only` writes of a database, with further arguments.
    #[must_use]
    pub fn dump_schema(&self, database: &str, arguments: &[&str]) -> String {
        let mut command = self.cluster.command("pg_dump");
        command.args(["--schema-only", "--dbname", &self.socket_url(database)]).args(arguments);
        let output = command.output().unwrap_or_else(|error| panic!("cannot run pg_dump: {error}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pg_dump failed:\n{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the server has written to its log.
    #[must_use]
    pub fn log(&self) -> String {
        let log = std::fs::read(self.cluster.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn query(&self, sql: &str) {
        let done = self.client("postgres").batch_execute(sql);
        done.unwrap_or_else(|error| panic!("the test server refuses to prepare itself: {error:?}"));
    }

    fn try_client(&self, database: &str) -> Result<Client, postgres::Error> {
        let mut config = postgres::Config::new();
        config.host_path(self.cluster.socket_folder()).port(self.port).user(SUPERUSER).dbname(database);
        config.connect(NoTls)
    }

    /// Starts the server and waits until it answers; an error if it ends at once.
    fn launch(&mut self) -> Result<(), ()> {
        let log = std::fs::File::options().append(true).create(true).open(self.cluster.log_file());
        let log = log.unwrap_or_else(|error| panic!("cannot write the server's log: {error}"));
        let mut command = self.cluster.command("postgres");
        command.arg("-D").arg(self.cluster.data_folder()).args(["-p", &self.port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("cannot start postgres: {error}"));
        let guard = Guard::set(process.id(), self.cluster.folder());
        let begun = Instant::now();
        while self.try_client("postgres").is_err() {
            if !matches!(process.try_wait(), Ok(None)) {
                guard.dismiss();
                return Err(());
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "the PostgreSQL server does not answer; its log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        self.running = Some(Running { process, guard });
        Ok(())
    }

    fn stop(&mut self, signal: Signal) {
        if let Some(Running { mut process, guard }) = self.running.take() {
            end(&mut process, signal);
            guard.dismiss();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of the cluster is kept, so nothing needs to be flushed.
        self.stop(Signal::QUIT);
    }
}

/// Ends a server process that was started here, and waits for it.
fn end(process: &mut Child, signal: Signal) {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself.
        kill_process(pid, signal).ok();
    }
    let begun = Instant::now();
    while matches!(process.try_wait(), Ok(None)) {
        if begun.elapsed() > PATIENCE {
            process.kill().ok();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A folder whose path leaves room for the name of a Unix socket, which ends at about 100 bytes.
fn short_folder() -> TempDir {
    let temporary = std::env::temp_dir();
    let parent = if temporary.as_os_str().len() < 60 { temporary.as_path() } else { Path::new("/tmp") };
    let folder = tempfile::Builder::new().prefix("amanat-pg-").tempdir_in(parent);
    folder.unwrap_or_else(|error| panic!("cannot make a folder for the test server: {error}"))
}

fn free_port() -> u16 {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    port.unwrap_or_else(|error| panic!("no free TCP port for the test server: {error}")).port()
}

/// Runs a command and panics with what it said unless it succeeds.
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{said}");
}
