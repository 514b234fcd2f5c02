// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keyrings for the targets: one of the vectors, so that an input does the same every time, and others to be wrong.

use std::sync::LazyLock;

use amanat::field::FieldOpener;
use amanat::keys::{Argon2Cost, KeyFile, NewSlot, Passphrase, Purpose};
use amanat::{
    Allowance, Engine, FieldContext, Keyring, KeyringFile, Name, OpenOptions, SecretBytes, Timestamp,
};

/// A vector: its lines, and its keyring file.
pub(super) struct Vector {
    lines: &'static str,
    pub(super) file: &'static [u8],
}

impl Vector {
    pub(super) fn read(text: &'static str) -> Self {
        let (lines, file) = text.split_once("\nfile:\n").expect("a vector of a keyring");
        Self { lines, file: file.as_bytes() }
    }

    pub(super) fn line(&self, name: &str) -> &'static str {
        let mut values = self.lines.lines().filter_map(|line| line.split_once(": "));
        values.find(|(key, _)| *key == name).expect("a line of the vector").1
    }

    /// The keyring, if a passphrase opens it.
    fn unlocked(&self) -> Keyring {
        let file = KeyringFile::parse(self.file).expect("the keyring of the vector");
        let passphrase = SecretBytes::new(self.line("passphrase").as_bytes().to_vec());
        let kek = Passphrase::new(passphrase).expect("the passphrase of the vector");
        file.unlock(&kek.with_cost(Argon2Cost::default()), None).expect("the passphrase fits")
    }
}

/// The keyring of `keyring_key_file.txt`, whose secrets are public.
pub(super) static RIGHT_FILE: LazyLock<Vector> =
    LazyLock::new(|| Vector::read(include_str!("../vectors/keyring_key_file.txt")));
/// A keyring with a field key in every state.
static STATES_FILE: LazyLock<Vector> =
    LazyLock::new(|| Vector::read(include_str!("../vectors/keyring_six_states.txt")));
/// A keyring with a key of every purpose.
static PURPOSES_FILE: LazyLock<Vector> =
    LazyLock::new(|| Vector::read(include_str!("../vectors/keyring_six_purposes.txt")));

/// The key file that opens [`RIGHT_FILE`].
pub(super) fn right_key_file() -> KeyFile {
    let line = format!("{}\n", RIGHT_FILE.line("key-file"));
    KeyFile::parse(&SecretBytes::new(line.into_bytes())).expect("the key file of the vector")
}

/// An unlocked keyring with messages that may be sealed.
pub(super) struct Keys {
    pub(super) keyring: Keyring,
    pub(super) field_messages: Allowance,
    pub(super) token_messages: Allowance,
}

impl Keys {
    fn new(mut keyring: Keyring) -> Self {
        let mut reserve = |purpose| keyring.reserve(purpose, 1 << 43).expect("far below the limit");
        let (field_messages, token_messages) = (reserve(Purpose::Field), reserve(Purpose::Token));
        Self { keyring, field_messages, token_messages }
    }

    /// An opener of the field `cnic` of the table `citizens`.
    pub(super) fn opener(&self, engine: Engine) -> FieldOpener {
        let options = OpenOptions { engine, ..OpenOptions::default() };
        self.opener_of(&context(&self.keyring, "citizens", "cnic"), &options)
    }

    pub(super) fn opener_of(&self, context: &FieldContext, options: &OpenOptions) -> FieldOpener {
        FieldOpener::new(&self.keyring.field_keys().expect("field keys"), context, options)
            .expect("an opener")
    }
}

pub(super) static RIGHT: LazyLock<Keys> = LazyLock::new(|| {
    let file = KeyringFile::parse(RIGHT_FILE.file).expect("the keyring of the vector");
    Keys::new(file.unlock(&right_key_file(), None).expect("the key file fits"))
});

/// Another keyring of the same registry.
pub(super) static WRONG: LazyLock<Keys> = LazyLock::new(|| {
    let kek = KeyFile::generate().expect("random bytes");
    let now = Timestamp::from_unix_seconds(1_800_000_000).expect("a time");
    let slot = NewSlot { label: "main", kek: &kek };
    Keys::new(Keyring::create(name("demo-registry"), &slot, now).expect("a new keyring"))
});

pub(super) static STATES: LazyLock<Keyring> = LazyLock::new(|| STATES_FILE.unlocked());

/// A keyring with token keys of three epochs, of which the last only opens. Those of the later epochs are other ones each time.
pub(super) struct Epochs {
    pub(super) keyring: Keyring,
    /// Those of the primary field key, and of the token keys in order; the last has none.
    pub(super) messages: Vec<Allowance>,
}

pub(super) static EPOCHS: LazyLock<Epochs> = LazyLock::new(|| {
    let mut keyring = PURPOSES_FILE.unlocked();
    let now = Timestamp::from_unix_seconds(1_800_000_000).expect("a time");
    let mut add = || keyring.add_key(Purpose::Token, 365, now).expect("a key");
    let (second, third) = (add(), add());
    for key in [third, second] {
        keyring.activate(key, now).expect("a new key");
    }
    keyring.deactivate(third, now).expect("a key that is not primary");
    let first = keyring.keys().find(|key| key.purpose == Purpose::Token).expect("a token key").id;
    let field = keyring.field_keys().expect("field keys").primary();
    let counts = [(field, 1 << 43), (first, 1 << 43), (second, 1 << 43), (third, 0)];
    let messages = counts.map(|(key, count)| keyring.reserve_under(key, count).expect("messages"));
    Epochs { keyring, messages: messages.to_vec() }
});

pub(super) fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

pub(super) fn context(keyring: &Keyring, table: &str, field: &str) -> FieldContext {
    FieldContext::new(keyring.registry().clone(), name(table), name(field))
}
