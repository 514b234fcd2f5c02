# SPDX-License-Identifier: MIT OR Apache-2.0
"""The result classes. Every refusal is one of these."""
from __future__ import annotations


class Refusal(Exception):
    """Base of all refusals; `result` is the word used in the test vectors."""

    result = "refusal"


class Malformed(Refusal):
    """The bytes do not have the form that SPEC.md gives them."""

    result = "malformed"


class Unsupported(Refusal):
    """Another version, suite or provider than this reader knows."""

    result = "unsupported"


class UnknownKey(Refusal):
    """The key id is not in the keyset."""

    result = "unknown-key"


class KeyUnusable(Refusal):
    """The key is known, but its state or its file's mode forbids the use."""

    result = "key-unusable"


class Unauthentic(Refusal):
    """A secret does not fit, or something was changed. It says no more."""

    result = "unauthentic"


class Limit(Refusal):
    """A limit of SPEC.md chapter 1 is exceeded."""

    result = "limit"


class Rollback(Refusal):
    """The keyring is not the one, or a later one than, the pin remembers."""

    result = "rollback"


class Expired(Refusal):
    """An authentic token's time is over."""

    result = "expired"


class Schema(Refusal):
    """A value, identifier or audience that the chosen form or kind does not take."""

    result = "schema"
