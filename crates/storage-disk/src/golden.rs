//! Comparing with golden files. What once was written must be readable for ever, so these files
//! are only added to; a new format version gets a new file.

use std::fmt::Write as _;

/// Fails with the bytes that were written, in hexadecimal.
pub(crate) fn check(name: &str, golden: &[u8], written: &[u8]) {
    assert_eq!(
        hex(written),
        hex(golden),
        "tests/golden/{name} differs (left is written now, right is the file)"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}
