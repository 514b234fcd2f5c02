// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PostgreSQL test server itself.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use amanat_testkit::postgres::{Durability, Server};

fn rows(server: &Server, database: &str) -> i64 {
    server.client(database).query_one("SELECT count(*) FROM kept", &[]).unwrap().get(0)
}

#[test]
fn what_was_committed_survives_a_crash_and_a_restart_on_the_same_port() {
    let mut server = Server::start_with(Durability::Full, &["max_connections = 20"]);
    let database = server.create_database();
    assert_ne!(database, server.create_database());
    let mut client = server.client(&database);
    client
        .batch_execute("CREATE TABLE kept (id BIGINT); INSERT INTO kept SELECT generate_series(1, 1000)")
        .unwrap();
    client.batch_execute("BEGIN; INSERT INTO kept VALUES (0)").unwrap();
    let most: String = client.query_one("SHOW max_connections", &[]).unwrap().get(0);
    assert_eq!(most, "20");
    let port = server.port();
    server.crash();
    assert!(client.batch_execute("SELECT 1").is_err(), "the crash cuts connections");
    server.restart();
    assert_eq!((server.port(), rows(&server, &database)), (port, 1000));
    assert!(server.log().contains("automatic recovery in progress"), "it was no crash:\n{}", server.log());
    server.restart();
    assert_eq!(rows(&server, &database), 1000);
    assert!(server.ca_file().is_file() && server.other_ca_file().is_file());
    assert_ne!(std::fs::read(server.ca_file()).unwrap(), std::fs::read(server.other_ca_file()).unwrap());
}

/// Folder of a server's data and the process id of the server.
fn whereabouts(server: &Server) -> (PathBuf, u32) {
    let folder = server.ca_file().parent().unwrap().to_owned();
    let pid = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    (folder, pid.lines().next().unwrap().parse().unwrap())
}

fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).join("exe").symlink_metadata().is_ok()
}

#[test]
fn a_panic_stops_the_server_and_removes_its_folder() {
    let mut seen = None;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let server = Server::start();
        seen = Some(whereabouts(&server));
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    let (folder, pid) = seen.unwrap();
    assert!(!folder.exists() && !is_alive(pid));
}

/// Runs in a process of its own, started and killed by the next test.
#[test]
#[ignore = "part of a_server_ends_with_a_killed_test_process"]
fn a_process_that_waits_to_be_killed() {
    // Nothing is tested here: the test that starts this process looks at what becomes of it.
    let Ok(report) = std::env::var("AMANAT_TESTKIT_REPORT") else { return };
    let server = Server::start();
    let (folder, pid) = whereabouts(&server);
    std::fs::write(format!("{report}.part"), format!("{}\n{pid}", folder.display())).unwrap();
    std::fs::rename(format!("{report}.part"), report).unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_server_ends_with_a_killed_test_process() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "a_process_that_waits_to_be_killed"])
        .env("AMANAT_TESTKIT_REPORT", &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the process starts its server", || {
        assert!(process.try_wait().unwrap().is_none(), "the process ended");
        report.exists()
    });
    let told = std::fs::read_to_string(&report).unwrap();
    let (cluster, pid) = told.split_once('\n').unwrap();
    let pid = pid.parse().unwrap();
    assert!(is_alive(pid));
    assert_ne!(std::fs::metadata(cluster).unwrap().uid(), 0, "the server does not run as root");
    process.kill().unwrap();
    process.wait().unwrap();
    wait_until("the server ends", || !is_alive(pid));
    wait_until("its folder is removed", || !Path::new(cluster).exists());
}
