//! What passerelle keeps on disk: one RocksDB, locked, versioned, checksummed.
//!
//! - [`rows`]: the last known mapped columns of every mapped row, folded by a merge operator. Capture writes.
//! - [`lanes`]: which rows differ from what the CRM accepted; names, no payloads, in generations.
//! - [`capture`]: the one batch {rows, lanes, checkpoint}, synced before the source is told.
//! - [`spool`]: changes that may still be taken back, until it is known what became of their transaction.
//! - [`suspects`]: what has to be read again from the source, and which rows are there.
//! - [`drift`]: which schema each mapping was accepted for, and what the log has shown since.
//! - [`delivery`]: a view at a transaction's end; the one batch {accepted, parked, dead letters, entries done}.
//! - [`related`]: which rows a join key leads to, and what depends on them.
//! - [`alerts`]: what is wrong now, and who has yet to be told of it.
//! - [`facts`]: what the values hold. [`keys`]: how they are found. [`codec`]: how they are written.
//!
//! Every key has one writer, capture or delivery; neither reads to write on the hot path.

pub mod alerts;
pub mod capture;
pub mod codec;
pub mod delivery;
pub mod drift;
pub mod error;
pub mod facts;
pub mod keys;
pub mod lanes;
mod meta;
pub mod related;
pub mod rows;
pub mod spool;
mod store;
pub mod suspects;
pub mod unkept;

pub use alerts::{AlertChanges, Telling};
pub use capture::{CaptureBatch, SealedBatch};
pub use delivery::{DeliveryBatch, ParkedRow, Queued, View};
pub use drift::{Fit, KnownSchema, Settled, Strange};
pub use error::StateError;
pub use facts::{
    AcceptedField, Checkpoint, Cursor, DeadLetter, Edits, Figures, Hold, Hope, Link, Load, LoadStage, Move,
    OpenTransaction, Parked, ParkedWhy, Record, Since, Waiting,
};
pub use keys::{Generation, MappingId, RecordId, SourceId};
pub use lanes::Gate;
pub use related::{Built, BuiltBranch, Dependent, FanOut, Indexed, JoinKey, Marked, RelatedRow, RelationId};
pub use rows::{Row, RowBuf, Standing};
pub use spool::{Folding, Place, Prepared, SpoolId, SpoolPart};
pub use store::{Durability, Store};
pub use suspects::{Suspected, Swept};
pub use unkept::{Found, Unkept};
