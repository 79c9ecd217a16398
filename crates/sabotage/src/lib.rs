//! Switches that each remove one safeguard, so that `cargo xtask sabotage` can prove that a test
//! would notice.
//!
//! Without the feature `switches`, [`skips`] is the constant `false` and the compiler drops every
//! site. With it, the environment variable `SABOTAGE` names the one safeguard that this process
//! does without; it is read once. The table is the only list: a row for each switch. Knows nothing
//! of what the safeguards guard.

#![forbid(unsafe_code)]

mod table;

pub use table::{SWITCHES, Safeguard, Switch};

/// Whether this process does without the safeguard.
#[cfg(not(feature = "switches"))]
#[inline]
#[must_use]
pub const fn skips(_safeguard: Safeguard) -> bool {
    false
}

#[cfg(all(feature = "switches", not(debug_assertions)))]
compile_error!("the feature `switches` of the crate sabotage is for tests, never for a release");

/// Whether this process does without the safeguard.
///
/// # Panics
/// If `SABOTAGE` names none.
#[cfg(feature = "switches")]
#[must_use]
pub fn skips(safeguard: Safeguard) -> bool {
    use std::sync::OnceLock;

    static SKIPPED: OnceLock<Option<Safeguard>> = OnceLock::new();
    let skipped = SKIPPED.get_or_init(|| {
        let name = std::env::var("SABOTAGE").ok()?;
        let switch = SWITCHES.iter().find(|switch| switch.name == name);
        assert!(switch.is_some(), "SABOTAGE={name} names no safeguard");
        switch.map(|switch| switch.safeguard)
    });
    *skipped == Some(safeguard)
}
