//! Related rows: what the tables of a mapping's `with` give to its expressions.

pub mod order;
pub mod rollup;
pub mod stored;
