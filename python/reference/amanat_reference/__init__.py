# SPDX-License-Identifier: MIT OR Apache-2.0
"""A reference implementation of the stored bytes of amanat, version 1.

Written from SPEC.md alone. One module per part of that page: `wire` (chapters
1 to 3), `keys` (4), `value` (5.1, 5.2), `aead` and `envelope` (5.3 to 5.8),
`keyring` (6), `normal` and `identifier` (8), `index` (9), `tokens` and
`receipt` (10). It is for reading and for tests. It is not constant time.
"""
