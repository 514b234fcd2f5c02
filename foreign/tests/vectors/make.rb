# SPDX-License-Identifier: MIT OR Apache-2.0
# Values of Lockbox and of Active Record Encryption, made by the real gems; called by make.py, which puts the result into files.
# Needs: gem install lockbox activerecord (or RUBYLIB with their lib folders). Reads nothing, prints JSON. All values are made up.

require "json"
require "lockbox"
require "active_support/all"
require "active_record"

Encryption = ActiveRecord::Encryption
MASTER = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
TEXTS = ["Amina Kovač", "", "x" * 15, "y" * 16, "a name that is rather long " * 20].freeze

def base64(bytes) = [bytes.b].pack("m0")

def lockbox
  values = []
  add = lambda do |name, key, stored, plain, **origin|
    values << { name: name, key: JSON.generate(key), stored: base64(stored), plain: base64(plain), **origin }
  end
  derived = ->(table, attribute) { Lockbox.attribute_key(table: table, attribute: attribute, master_key: MASTER, encode: false) }
  origin = { table: "users", column: "email_ciphertext" }
  TEXTS.each_with_index do |text, i|
    box = Lockbox.new(key: derived.call("users", "email"), encode: true)
    add.call("text-#{i}", { master_key: MASTER }, box.encrypt(text), text, **origin)
    box = Lockbox.new(key: derived.call("users", "email"), encode: true, padding: true)
    add.call("padded-#{i}", { master_key: MASTER, padding: 16 }, box.encrypt(text), text, **origin)
  end
  box = Lockbox.new(key: derived.call("users", "email"))
  add.call("binary", { master_key: MASTER, encoding: "binary" }, box.encrypt("\x00\xff\x80".b), "\x00\xff\x80".b, **origin)
  box = Lockbox.new(key: derived.call("people", "mail"), encode: true)
  names = { master_key: MASTER, table: "people", attribute: "mail" }
  add.call("renamed", names, box.encrypt("renamed"), "renamed", **origin)
  box = Lockbox.new(key: MASTER, encode: true)
  add.call("own-key", { key: MASTER }, box.encrypt("own"), "own", **origin)
  associated = { master_key: MASTER, associated_data: "user {record}" }
  box = Lockbox.new(key: derived.call("users", "email"), encode: true)
  add.call("associated", associated, box.encrypt("bound", associated_data: "user 41"), "bound", record: ["41"], **origin)
  { made_by: "Lockbox #{Lockbox::VERSION}, Ruby #{RUBY_VERSION}", values: values }
end

def configure(digest, primary, references)
  Encryption.configure(
    primary_key: primary, deterministic_key: "deterministic key of tests", key_derivation_salt: "salt of tests",
    hash_digest_class: digest, store_key_references: references
  )
  # Made anew, or the one of the previous configuration would be used.
  Encryption.reset_default_context
  Encryption.key_generator.instance_variable_set(:@key_derivation_salt, nil)
end

def rails_value(name, digest, primary, text, references: false, **options)
  configure(digest == "SHA1" ? OpenSSL::Digest::SHA1 : OpenSSL::Digest::SHA256, primary, references)
  key = { primary_key: primary, key_derivation_salt: "salt of tests", digest: digest }
  if options[:deterministic]
    key = { deterministic_key: "deterministic key of tests", key_derivation_salt: "salt of tests", digest: digest }
    options = { key_provider: Encryption::DeterministicKeyProvider.new("deterministic key of tests"), cipher_options: { deterministic: true } }
  elsif options[:envelope]
    options = { key_provider: Encryption::EnvelopeEncryptionKeyProvider.new }
  else
    options = { key_provider: Encryption::DerivedSecretKeyProvider.new(primary) }
  end
  stored = Encryption.encryptor.encrypt(text.dup, **options)
  { name: name, key: JSON.generate(key), stored: base64(stored), plain: base64(text) }
end

def rails
  one, two = "first primary key of tests", "second primary key of tests"
  values = []
  %w[SHA1 SHA256].each do |digest|
    tag = digest.downcase
    TEXTS.each_with_index do |text, i|
      values << rails_value("#{tag}-#{i}", digest, one, text)
      values << rails_value("#{tag}-deterministic-#{i}", digest, one, text, deterministic: true)
    end
    values << rails_value("#{tag}-named", digest, one, "named", references: true)
    values << rails_value("#{tag}-several-named", digest, [one, two], "the last seals", references: true)
    values << rails_value("#{tag}-bytes", digest, one, "\x00\xff\x80".b)
    values << rails_value("#{tag}-envelope", digest, one, "a key of its own", envelope: true)
    values << rails_value("#{tag}-envelope-compressed", digest, one, "a key of its own " * 20, envelope: true)
  end
  values << rails_value("several-unnamed", "SHA256", [one, two], "the last seals").merge(expect: "unsupported")
  values << rails_value("latin", "SHA256", one, "Kovač".encode("ISO-8859-2")).merge(expect: "unsupported")
  values << rails_value("bomb", "SHA256", one, "b" * (1 << 21)).merge(expect: "limit", plain: "")
  { made_by: "Active Record #{ActiveRecord.version}, Ruby #{RUBY_VERSION}", values: values }
end

puts JSON.pretty_generate({ lockbox: lockbox, rails: rails })
