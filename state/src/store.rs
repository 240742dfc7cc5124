//! The store: one RocksDB, a family a kind of writer.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    Options, WriteBatch, WriteOptions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;
use crate::error::StateError;
use crate::keys::{Key, Kind};
use crate::rows;

/// The format of what is written today. 2: rows may be parked as suspected, and catalogues are kept. 3: changes may be
/// spooled, and a row that the last load did not see may be gone. 4: related rows are
/// indexed.
const FORMAT: u32 = 4;
const MIB: usize = 1 << 20;

/// The families of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Rows: capture writes.
    Rows,
    /// Lanes: capture puts, delivery deletes in closed generations.
    Queue,
    /// Links, records, members, parked rows, dead letters: delivery writes.
    Crm,
    /// Checkpoints, columns, moves, loads, names: capture writes, but for delivery's cursors and days.
    Meta,
    /// Changes that may be taken back: capture writes, in order, reads once and deletes.
    Spool,
    /// Indexes of related rows, and what depends on them: delivery writes.
    Related,
}

impl Family {
    const ALL: [Self; 6] = [Self::Rows, Self::Queue, Self::Crm, Self::Meta, Self::Spool, Self::Related];

    fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Queue => "queue",
            Self::Crm => "crm",
            Self::Meta => "meta",
            Self::Spool => "spool",
            Self::Related => "related",
        }
    }

    fn options(self, cache: &Cache) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        // A file's whole filter is near 1 MiB where entries are small: a look-up that has to read it costs hundreds of times what
        // it costs to read a part. What finds the part stays in memory.
        blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        blocks.set_partition_filters(true);
        blocks.set_metadata_block_size(4096);
        blocks.set_pin_top_level_index_and_filter(true);
        blocks.set_format_version(6);
        if matches!(self, Self::Rows | Self::Crm | Self::Related) {
            blocks.set_bloom_filter(10.0, false);
        }
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(match self {
            Self::Rows | Self::Related => 8 * MIB,
            Self::Queue | Self::Crm | Self::Spool => 4 * MIB,
            Self::Meta => MIB,
        });
        options.set_max_write_buffer_number(2);
        options.set_target_file_size_base(16 * MIB as u64);
        options.set_level_compaction_dynamic_level_bytes(true);
        // Keys come in no order: each compaction out of level 0 rewrites much of the level below.
        options.set_level_zero_file_num_compaction_trigger(8);
        if self == Self::Rows {
            options.set_merge_operator("passerelle.rows.1", rows::merge, rows::merge_partly);
        }
        options
    }
}

/// Whether a write is on the disk when the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Synced: a stopped machine keeps it.
    Synced,
    /// With the next synced write: a stopped machine may forget it.
    WithTheNext,
}

/// The state of one daemon. Opened once; the folder is locked as long as it lives.
#[derive(Debug)]
pub struct Store {
    db: DB,
    folder: PathBuf,
    pub(crate) hash_key: (u64, u64),
    size: Mutex<Option<(Instant, u64)>>,
    /// Held while a number is given.
    pub(crate) numbering: Mutex<()>,
    _lock: File,
}

impl Store {
    /// Opens the state in `folder`, making it when there is none.
    ///
    /// # Errors
    /// [`StateError::Locked`] when another daemon has it, [`StateError::Newer`] when a newer passerelle wrote it,
    /// [`StateError::Store`] when RocksDB finds it damaged. Nothing is overwritten then.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        let fault = |source| StateError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(fault)?;
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("LOCKED")).map_err(fault)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StateError::Locked(folder.to_owned()),
            TryLockError::Error(error) => fault(error),
        })?;
        let cache = Cache::new_lru_cache(16 * MIB);
        let families = Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), family.options(&cache)));
        let db = DB::open_cf_descriptors(&Self::options(), folder.join("db"), families)?;
        let folder = folder.to_owned();
        let (size, numbering) = (Mutex::new(None), Mutex::new(()));
        let mut store = Self { db, folder, hash_key: (0, 0), size, numbering, _lock: lock };
        store.check_format()?;
        store.hash_key = store.hash_key_or_new()?;
        Ok(store)
    }

    fn options() -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_db_write_buffer_size(32 * MIB);
        options.set_max_background_jobs(2);
        // Of each file that a compaction reads, of which there are a dozen: the usual 2 MiB would be a quarter of all our memory.
        options.set_compaction_readahead_size(256 << 10);
        // Capture writes alone nearly all the time: its inserts need no compare-and-swap.
        options.set_allow_concurrent_memtable_write(false);
        options.set_max_open_files(256);
        options.set_bytes_per_sync(MIB as u64);
        options.set_max_total_wal_size(64 * MIB as u64);
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(4 * MIB);
        options.set_allow_mmap_reads(false);
        options.set_allow_mmap_writes(false);
        options
    }

    /// The folder it is in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes on disk: tables and the log.
    pub fn size_bytes(&self) -> u64 {
        let folder = self.folder.join("db");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
    }

    /// The same, at most two seconds old: for whoever asks often.
    pub fn size_bytes_recently(&self) -> u64 {
        let mut known = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((at, size)) if at.elapsed() < Duration::from_secs(2) => size,
            Some(_) | None => {
                let size = self.size_bytes();
                *known = Some((Instant::now(), size));
                size
            }
        }
    }

    /// Syncs RocksDB's log: what was written before is on the disk when it returns.
    pub fn sync(&self) -> Result<(), StateError> {
        Ok(self.db.flush_wal(true)?)
    }

    pub(crate) fn db(&self) -> &DB {
        &self.db
    }

    pub(crate) fn family(&self, family: Family) -> &ColumnFamily {
        // Opened with exactly these families; a missing one is a defect, not a condition.
        #[expect(clippy::expect_used, reason = "every family is opened in `open`")]
        self.db.cf_handle(family.name()).expect("a family that is always opened")
    }

    pub(crate) fn write(&self, batch: WriteBatch, durability: Durability) -> Result<(), StateError> {
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        Ok(self.db.write_opt(batch, &options)?)
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, family: Family, key: &[u8]) -> Result<Option<T>, StateError> {
        let bytes = self.db.get_pinned_cf(self.family(family), key)?;
        bytes.map(|bytes| read(key, &bytes)).transpose()
    }

    pub(crate) fn put<T: Serialize>(
        &self,
        family: Family,
        key: &[u8],
        value: &T,
        durability: Durability,
    ) -> Result<(), StateError> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(family), key, codec::encode(value));
        self.write(batch, durability)
    }

    pub(crate) fn delete(&self, family: Family, key: &[u8], durability: Durability) -> Result<(), StateError> {
        let mut batch = WriteBatch::default();
        batch.delete_cf(self.family(family), key);
        self.write(batch, durability)
    }

    /// Every entry under a prefix, in order, until `visit` says stop. For the daemon's start, status and small sets.
    pub(crate) fn scan<T: DeserializeOwned>(
        &self,
        family: Family,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], T) -> bool,
    ) -> Result<(), StateError> {
        let mut options = rocksdb::ReadOptions::default();
        options.set_iterate_upper_bound(crate::keys::after_prefix(prefix));
        let mode = rocksdb::IteratorMode::From(prefix, rocksdb::Direction::Forward);
        for entry in self.db.iterator_cf_opt(self.family(family), options, mode) {
            let (key, value) = entry?;
            if !visit(&key, read(&key, &value)?) {
                break;
            }
        }
        Ok(())
    }

    fn check_format(&self) -> Result<(), StateError> {
        let key = Key::new(Kind::Format).done();
        match self.get::<u32>(Family::Meta, &key)? {
            None => self.put(Family::Meta, &key, &FORMAT, Durability::Synced),
            Some(found) if found > FORMAT => Err(StateError::Newer { found, known: FORMAT }),
            // Everything that was ever written is read; what is written from now on an older program does not know.
            Some(found) if found < FORMAT => {
                self.renew_fits()?;
                self.put(Family::Meta, &key, &FORMAT, Durability::Synced)
            }
            Some(_) => Ok(()),
        }
    }

    /// The key of the hashes of accepted values: random, made with the state, so that they can't be guessed from it.
    fn hash_key_or_new(&self) -> Result<(u64, u64), StateError> {
        let key = Key::new(Kind::HashKey).done();
        if let Some(pair) = self.get(Family::Meta, &key)? {
            return Ok(pair);
        }
        let pair: (u64, u64) = rand::random();
        self.put(Family::Meta, &key, &pair, Durability::Synced)?;
        Ok(pair)
    }
}

/// Decodes a value, naming the kind of its key when it is damaged.
pub(crate) fn read<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StateError> {
    codec::decode(value)
        .map_err(|damage| StateError::Damaged { kind: key.first().copied().unwrap_or_default(), damage })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_an_older_passerelle_opens_and_is_one_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::new(Kind::Format).done();
        let store = Store::open(folder.path()).unwrap();
        store.put(Family::Meta, &key, &1_u32, Durability::Synced).unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.get::<u32>(Family::Meta, &key).unwrap(), Some(FORMAT));
    }

    #[test]
    fn a_state_of_a_newer_passerelle_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::new(Kind::Format).done();
        let store = Store::open(folder.path()).unwrap();
        store.put(Family::Meta, &key, &(FORMAT + 1), Durability::Synced).unwrap();
        drop(store);
        for _ in 0..2 {
            let refused = Store::open(folder.path());
            assert!(matches!(refused, Err(StateError::Newer { found, known: FORMAT }) if found == FORMAT + 1));
        }
    }
}
