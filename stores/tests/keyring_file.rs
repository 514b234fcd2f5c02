// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keyring file on disk: durable writes, the lock, the pin, the modes. All keys are made for the test.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::fs;
use std::path::Path;

use amanat::error::Kind;
use amanat::ident::{Name, Timestamp};
use amanat::keys::{KeyFile, Keyring, NewSlot, Purpose};
use amanat_stores::KeyringPath;
use amanat_stores::secret_file::{create_key_file, read_key_file, read_passphrase};

fn now(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000 + seconds).unwrap()
}

fn make(folder: &Path) -> (KeyringPath, KeyFile) {
    let kek = KeyFile::generate().unwrap();
    let slot = NewSlot { label: "test", kek: &kek };
    let mut keyring = Keyring::create(Name::new("testland").unwrap(), &slot, now(0)).unwrap();
    let path = KeyringPath::open(folder.join("keyring.json"));
    path.create(&mut keyring, now(0)).unwrap();
    (path, kek)
}

fn reserve(path: &KeyringPath, kek: &KeyFile, messages: u64) -> amanat::Result<u64> {
    path.update(kek, now(1), |keyring| {
        keyring.reserve(Purpose::Field, messages).map(|allowance| allowance.left())
    })
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_keyring_is_written_read_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    assert_eq!(path.unlock(&kek).unwrap().generation(), 1);
    assert_eq!(reserve(&path, &kek, 64).unwrap(), 64);
    let keyring = path.unlock(&kek).unwrap();
    assert_eq!(keyring.generation(), 2);
    assert_eq!(keyring.keys().find(|key| key.purpose == Purpose::Field).unwrap().messages, 64);
    assert_eq!(path.pin().unwrap().unwrap().generation(), 2);
    assert_eq!(names(folder.path()), ["keyring.json", "keyring.json.lock", "keyring.json.pin"]);
}

#[test]
fn a_keyring_is_never_overwritten_by_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    let before = fs::read(path.path()).unwrap();
    let slot = NewSlot { label: "test", kek: &kek };
    let mut other = Keyring::create(Name::new("testland").unwrap(), &slot, now(0)).unwrap();
    assert_eq!(path.create(&mut other, now(0)).unwrap_err().kind(), Kind::Store);
    assert_eq!(fs::read(path.path()).unwrap(), before);
    fs::remove_file(path.path()).unwrap();
    let error = path.create(&mut other, now(0)).unwrap_err();
    assert!(error.to_string().contains("never overwritten"), "the pin alone stops it: {error}");
}

#[test]
fn what_a_crashed_writer_left_disturbs_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    fs::write(folder.path().join(".keyring.json.amanat-part"), b"{ half a key").unwrap();
    fs::write(folder.path().join(".keyring.json.pin.amanat-part"), b"half a pin").unwrap();
    assert_eq!(path.unlock(&kek).unwrap().generation(), 1);
    reserve(&path, &kek, 1).unwrap();
    assert_eq!(path.unlock(&kek).unwrap().generation(), 2);
    assert_eq!(names(folder.path()).len(), 3);
}

#[test]
fn a_change_that_fails_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    let before = fs::read(path.path()).unwrap();
    let error = path.update(&kek, now(1), |keyring| {
        keyring.reserve(Purpose::Field, 1)?;
        keyring.reserve(Purpose::Audit, 1)
    });
    assert_eq!(error.unwrap_err().kind(), Kind::Schema);
    assert_eq!(fs::read(path.path()).unwrap(), before);
}

#[test]
fn a_second_writer_is_told_to_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    let path = path.with_patience(std::time::Duration::from_millis(50));
    let inner = path.update(&kek, now(1), |_| Ok(reserve(&path, &kek, 1).unwrap_err()));
    let error = inner.unwrap();
    assert_eq!(error.kind(), Kind::Store);
    assert!(error.to_string().contains("another process is changing the keyring"), "{error}");
    reserve(&path, &kek, 1).unwrap();
}

#[test]
fn a_writer_waits_for_one_that_ends_soon() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    std::thread::scope(|scope| {
        (0..8).for_each(|_| drop(scope.spawn(|| reserve(&path, &kek, 1).unwrap())));
    });
    assert_eq!(path.unlock(&kek).unwrap().generation(), 9, "no change was lost");
}

#[test]
fn an_older_keyring_put_back_is_refused_by_the_pin() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    let old = fs::read(path.path()).unwrap();
    reserve(&path, &kek, 1).unwrap();
    fs::write(path.path(), &old).unwrap();
    assert_eq!(path.unlock(&kek).unwrap_err().kind(), Kind::Rollback);
    assert_eq!(reserve(&path, &kek, 1).unwrap_err().kind(), Kind::Rollback);
    assert_eq!(fs::read(path.path()).unwrap(), old, "a refused update writes nothing");
}

#[test]
fn a_reader_moves_the_pin_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    let old_pin = fs::read(path.pin_path()).unwrap();
    reserve(&path, &kek, 1).unwrap();
    fs::write(path.pin_path(), &old_pin).unwrap();
    path.unlock(&kek).unwrap();
    assert_eq!(path.pin().unwrap().unwrap().generation(), 2);
}

#[test]
fn an_unlocked_keyring_notices_that_the_file_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    let mut mine = path.unlock(&kek).unwrap();
    reserve(&path, &kek, 5).unwrap();
    path.update_unlocked(&mut mine, &kek, now(2), |keyring| keyring.reserve(Purpose::Field, 7)).unwrap();
    path.update_unlocked(&mut mine, &kek, now(2), |keyring| keyring.reserve(Purpose::Field, 9)).unwrap();
    let keyring = path.unlock(&kek).unwrap();
    assert_eq!(keyring.keys().find(|key| key.purpose == Purpose::Field).unwrap().messages, 21);
    assert_eq!(keyring.generation(), 4);
}

#[test]
fn a_hostile_size_is_refused_without_being_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = KeyringPath::open(folder.path().join("huge"));
    let file = fs::File::create(path.path()).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(path.read().unwrap_err().kind(), Kind::Limit);
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_and_secrets_of_others_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = make(folder.path());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.path()), 0o600);
    let key_path = folder.path().join("key");
    create_key_file(&key_path, &KeyFile::generate().unwrap()).unwrap();
    assert_eq!(mode(&key_path), 0o600);
    read_key_file(&key_path).unwrap();
    for open in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&key_path, fs::Permissions::from_mode(open)).unwrap();
        let error = read_key_file(&key_path).err().unwrap();
        assert!(error.to_string().contains("chmod 600"), "{open:o}: {error}");
    }
    let error = create_key_file(&key_path, &KeyFile::generate().unwrap()).unwrap_err();
    assert!(error.to_string().contains("never overwritten"));
}

#[cfg(unix)]
#[test]
fn a_keyring_behind_a_link_stays_one_keyring_and_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.json");
    std::os::unix::fs::symlink(path.path(), &link).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("keyring.json.lock")), 0o600);
    fs::set_permissions(path.path(), fs::Permissions::from_mode(0o640)).unwrap();
    reserve(&KeyringPath::open(&link), &kek, 1).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(names(elsewhere.path()), ["link.json"]);
    assert_eq!(path.unlock(&kek).unwrap().generation(), 2);
    assert_eq!((mode(path.path()), mode(&path.pin_path())), (0o640, 0o600));
}

#[test]
fn a_reader_beside_a_writer_sees_no_rollback() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kek) = make(folder.path());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(path.unlock(&kek).err().map(|error| error.to_string()), None);
                }
            });
        }
        let mut mine = path.unlock(&kek).unwrap();
        for _ in 0..300 {
            let reserve = |keyring: &mut Keyring| keyring.reserve(Purpose::Field, 1);
            path.update_unlocked(&mut mine, &kek, now(1), reserve).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[cfg(unix)]
#[test]
fn a_passphrase_file_loses_one_line_end() {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = tempfile::tempdir().unwrap();
    let kek = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
        std::io::Write::write_all(&mut file, text).unwrap();
        read_passphrase(&path)
    };
    let cost = amanat::keys::Argon2Cost { memory_kib: 8, passes: 1, lanes: 1 };
    let plain = kek("a", b"five synthetic words of test").unwrap().with_cost(cost);
    let slot = NewSlot { label: "test", kek: &plain };
    let mut keyring = Keyring::create(Name::new("testland").unwrap(), &slot, now(0)).unwrap();
    let path = KeyringPath::open(folder.path().join("keyring.json"));
    path.create(&mut keyring, now(0)).unwrap();
    path.unlock(&kek("b", b"five synthetic words of test\n").unwrap()).unwrap();
    path.unlock(&kek("c", b"five synthetic words of test\r\n").unwrap()).unwrap();
    assert!(path.unlock(&kek("d", b"five synthetic words of test\n\n").unwrap()).is_err());
    assert_eq!(kek("e", &[b'x'; 3000]).err().unwrap().kind(), Kind::Limit);
}

/// Tries writes that the system refuses: each leaves the old keyring whole.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_keyring_whole() {
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("small");
    fs::create_dir(&target).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&target).status();
    if !mount.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED a_full_disk_leaves_the_old_keyring_whole: mounting a small tmpfs needs root");
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let (path, kek) = make(&target);
        let before = fs::read(path.path()).unwrap();
        let mut filler = fs::File::create(target.join("filler")).unwrap();
        while std::io::Write::write(&mut filler, &[0; 512]).is_ok_and(|written| written > 0) {}
        let error = reserve(&path, &kek, 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Store, "{error}");
        assert_eq!(fs::read(path.path()).unwrap(), before);
        assert_eq!(path.unlock(&kek).unwrap().generation(), 1);
        drop(filler);
        fs::remove_file(target.join("filler")).unwrap();
        reserve(&path, &kek, 1).unwrap();
        assert_eq!(path.unlock(&kek).unwrap().generation(), 2);
    });
    assert!(Command::new("umount").arg(&target).status().unwrap().success());
    outcome.unwrap();
}
