// SPDX-License-Identifier: MIT OR Apache-2.0
#![no_main]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as STRICT;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| amanat_fuzz::envelope_text(data, |text| STRICT.decode(text).ok()));
