//! Places at which a test can have the process end at once, as `kill -9` would end it.
//!
//! `PASSERELLE_FAILPOINT=name:n` ends the process at the n-th passing of `name`. In release builds nothing of this is
//! left.

/// Ends the process when a test asked for it here.
#[inline]
pub fn hit(name: &'static str) {
    if cfg!(debug_assertions) {
        armed::hit(name);
    }
}

mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ARMED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();

    pub(super) fn hit(name: &'static str) {
        let armed = ARMED.get_or_init(|| {
            let wish = std::env::var("PASSERELLE_FAILPOINT").ok()?;
            let (name, passings) = wish.rsplit_once(':')?;
            Some((name.to_owned(), AtomicU64::new(passings.parse().ok()?)))
        });
        if let Some((wanted, left)) = armed
            && wanted == name
            && left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }
}
