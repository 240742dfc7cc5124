//! What can go wrong with the state.

use std::path::PathBuf;

use crate::codec::Damage;

/// A fault of the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another daemon has the folder.
    #[error("the state folder {} is in use by another passerelle", .0.display())]
    Locked(PathBuf),
    /// The folder can't be read or written.
    #[error("the state folder {} can't be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The state was written by a newer passerelle.
    #[error("the state has format {found}, and this passerelle reads up to {known}: install the newer version again")]
    Newer {
        /// What stands in it.
        found: u32,
        /// What this one reads.
        known: u32,
    },
    /// RocksDB's own refusal: damage, a full disk.
    #[error("the state can't be read or written: {0}")]
    Store(#[from] rocksdb::Error),
    /// A value that does not decode.
    #[error("the state is damaged at a key of kind {kind}: {damage}")]
    Damaged {
        /// The kind of the key.
        kind: u8,
        /// What is wrong with the value.
        damage: Damage,
    },
}
