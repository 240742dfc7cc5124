//! The words everyone speaks: values, changes, positions, records and outcomes.
//!
//! This crate is the contract between the sources (which produce [`Batch`]es of [`Event`]s), the state (which folds
//! [`Cells`] and keeps [`Position`]s) and the CRMs (which take [`Write`]s and answer [`Outcome`]s). It does no I/O,
//! knows no database and no vendor, and has no clock: whoever needs the time passes it in.
//!
//! Invariants that live here:
//! - *absent*, *null* and a value are three things: a column that is not in [`Cells`] is absent;
//! - a cell is the canonical text of its value, the same whether it came from a stream or a snapshot, from one kind of
//!   database or another; its [`Type`] belongs to its column, and [`Value::parse`] brings the two together;
//! - a [`Position`] is always the end of a source transaction.

pub mod batch;
pub mod cells;
pub mod key;
pub mod position;
pub mod record;
pub mod schema;
pub mod suspicion;
pub mod trouble;
pub mod value;
pub mod wanted;

pub use batch::{Batch, Event, Op, RowChange, Span};
pub use cells::{Cell, Cells, CellsBuf, DamagedCells};
pub use key::{KeyBuf, KeyPart};
pub use position::{Micros, Position, Seq};
pub use record::{Answer, FieldValue, Outcome, Refusal, RequestError, RetryScope, Usage, Write, WriteOp};
pub use schema::{Column, ColumnId, ColumnIds, TableId, TableName, TableSchema, Type};
pub use suspicion::Suspicion;
pub use trouble::{Class, Finding, Severity};
pub use value::{BadValue, Value};
pub use wanted::{KnownName, WantedTable};
