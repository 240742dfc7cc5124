//! Stand-in.
use super::{Severity, change::Patch, weigh::Weighed};
/// V.
pub enum Verdict {
    /// .
    Go {
        /// .
        patch: Patch,
    },
    /// .
    Hold,
    /// .
    Fail,
}
/// .
pub fn verdict(_: Option<()>, weighed: &[Weighed]) -> Verdict {
    if weighed.iter().flat_map(|w| &w.effects).all(|e| e.severity == Severity::None) {
        Verdict::Go { patch: Patch::default() }
    } else {
        Verdict::Hold
    }
}
