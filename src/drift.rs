//! Drift: the schema of a source's table is no longer the one that a mapping was written for (invariant 10).
//!
//! [`change`] has the words: what changed. [`compare()`] finds it between two looks at a table, [`weigh()`] says what it does
//! to a mapping, [`verdict()`] what its policy makes of that, [`decide()`] what a person may decide about it, [`patched()`] and
//! [`columns_for()`] what is run then, and [`Look::footing`] how a mapping stands after all of it: all of them pure.
//! Tables of related rows are weighed as a mapping's own is ([`over()`]), and all of them together compile or do not
//! ([`Whole`]).
//! [`mod@count`] says how many rows a change touches. What is seen, held and decided is kept in the state, so that a restart
//! forgets none of it.

mod answers;
pub mod change;
mod compare;
pub mod count;
mod decide;
mod footing;
mod patch;
mod policy;
mod related;
mod retyping;
mod shown;
mod subject;
mod weigh;
mod whole;

pub use answers::{Answer, answers, way_out};
pub use change::{Change, Decision, Effect, Part, Patch, Retyping, Severity};
pub use compare::{Hints, compare};
pub use decide::{Decided, Undecided, decide};
pub use footing::{Accepted, Footing, InForce, Kept, Look, Pending, Reread, Stand};
pub use patch::{Needed, columns_for, patched};
pub use policy::{Verdict, verdict};
pub use related::{Beside, beside, over, relation_names};
pub use retyping::{Spelled, retyping};
pub use shown::{document, mark};
pub use subject::{Child, Subject};
pub use weigh::{Weighed, weigh};
pub use whole::{Side, Whole, related_table};

#[cfg(test)]
mod tests;
