// SPDX-License-Identifier: MIT OR Apache-2.0
//! The folder of a server: data, configuration, certificates, socket, log.
//!
//! Owns what is in the folder and who may touch it. Never starts the server.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::programs::{self, Account};
use super::{Durability, PASSWORD_ROLE, SUPERUSER, TLS_ROLE, run, tls};

/// A cluster in a folder of its own.
#[derive(Debug)]
pub(super) struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    account: Option<Account>,
}

impl Cluster {
    /// Makes a cluster in an empty folder.
    pub(super) fn create(folder: &Path, durability: Durability, settings: &[&str]) -> Self {
        let (programs, account) = (programs::folder(), programs::account());
        let cluster = Self { folder: folder.to_owned(), programs, account };
        cluster.give(folder, 0o700);
        let mut initdb = cluster.command("initdb");
        initdb.arg("-D").arg(cluster.data_folder());
        initdb.args(["-U", SUPERUSER, "-A", "trust", "--no-sync", "--locale=C", "--encoding=UTF8"]);
        run(&mut initdb);
        tls::write(folder);
        for file in ["ca.pem", "other_ca.pem", "server.pem", "server.key"] {
            cluster.give(&folder.join(file), 0o600);
        }
        cluster.write("data/pg_hba.conf", &access());
        let configuration = cluster.data_folder().join("postgresql.conf");
        let mut text = fs::read_to_string(&configuration).unwrap_or_default();
        text.push_str(&cluster.settings(durability));
        settings.iter().for_each(|line| text.extend([*line, "\n"]));
        cluster.write("data/postgresql.conf", &text);
        cluster
    }

    /// A program of the server, run by the server's user.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        // The path of the programs stays: some of them call others.
        command.env_clear().env("PATH", &self.programs).env("LC_ALL", "C").env("TZ", "UTC");
        command.current_dir(&self.folder).process_group(0);
        if let Some(account) = self.account {
            command.uid(account.user).gid(account.group);
        }
        command
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn data_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn socket_folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(super) fn ca_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub(super) fn other_ca_file(&self) -> PathBuf {
        self.folder.join("other_ca.pem")
    }

    fn settings(&self, durability: Durability) -> String {
        let durable = match durability {
            Durability::Fast => "off",
            Durability::Full => "on",
        };
        let folder = self.folder.display();
        format!(
            "\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{folder}'\n\
             fsync = {durable}\nsynchronous_commit = {durable}\nfull_page_writes = {durable}\n\
             ssl = on\nssl_cert_file = '{folder}/server.pem'\nssl_key_file = '{folder}/server.key'\n\
             log_statement = 'none'\nlc_messages = 'C'\n"
        )
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        self.give(&path, 0o600);
    }

    /// Makes something the server's user's alone.
    fn give(&self, path: &Path, mode: u32) {
        let owner = self.account.map(|account| (account.user, account.group)).unzip();
        let given = fs::set_permissions(path, fs::Permissions::from_mode(mode));
        let given = given.and_then(|()| chown(path, owner.0, owner.1));
        given.unwrap_or_else(|error| panic!("cannot hand {} to the server: {error}", path.display()));
    }
}

/// Who may connect, the first line that fits.
fn access() -> String {
    format!(
        "local all all trust\n\
         host all {PASSWORD_ROLE} 127.0.0.1/32 scram-sha-256\n\
         hostssl all {TLS_ROLE} 127.0.0.1/32 trust\n\
         host all {TLS_ROLE} 127.0.0.1/32 reject\n\
         host all all 127.0.0.1/32 trust\n"
    )
}
