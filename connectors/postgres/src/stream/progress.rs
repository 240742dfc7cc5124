//! How far a stream is, for whoever asks: read without a lock while it runs.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use passerelle_change::Micros;

use crate::Lsn;

/// How far a stream is. Outlives connections: the next one goes on counting.
#[derive(Debug, Default)]
pub struct Progress {
    received: AtomicU64,
    server: AtomicU64,
    acknowledged: AtomicU64,
    last_contact: AtomicI64,
    bytes: AtomicU64,
    rows: AtomicU64,
    transactions: AtomicU64,
    open_transaction: AtomicU64,
    open_bytes: AtomicU64,
}

/// The transaction that is being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its number: where its commit is in the log.
    pub number: Lsn,
    /// How much of it has been received, about.
    pub bytes: u64,
}

impl Progress {
    /// The highest place in the log that was received.
    pub fn received(&self) -> Lsn {
        Lsn(self.received.load(Relaxed))
    }

    /// Up to where the server had sent its log by its last keepalive.
    pub fn server(&self) -> Lsn {
        Lsn(self.server.load(Relaxed))
    }

    /// What the server was told to be durable here.
    pub fn acknowledged(&self) -> Lsn {
        Lsn(self.acknowledged.load(Relaxed))
    }

    /// When the server was last heard of, by our clock; `None` before the first time.
    pub fn last_contact(&self) -> Option<Micros> {
        let at = self.last_contact.load(Relaxed);
        (at != 0).then_some(Micros(at))
    }

    /// Bytes received.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Row changes decoded.
    pub fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Transactions decoded that had something for us.
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Relaxed)
    }

    /// The transaction that is being received.
    pub fn open_transaction(&self) -> Option<OpenTransaction> {
        let number = Lsn(self.open_transaction.load(Relaxed));
        (number != Lsn::ZERO).then(|| OpenTransaction { number, bytes: self.open_bytes.load(Relaxed) })
    }

    pub(super) fn set_server(&self, lsn: Lsn) {
        self.server.store(lsn.0, Relaxed);
    }

    pub(super) fn set_acknowledged(&self, lsn: Lsn) {
        self.acknowledged.store(lsn.0, Relaxed);
    }

    pub(super) fn read(&self, bytes: usize, now: Micros) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.last_contact.store(now.0, Relaxed);
    }

    pub(super) fn transaction(&self) {
        self.transactions.fetch_add(1, Relaxed);
    }

    /// A piece was decoded: `rows` in `bytes`, with `open` left open behind it.
    pub(super) fn decoded(&self, received: Lsn, rows: usize, open: Option<Lsn>, bytes: usize) {
        self.received.store(received.0, Relaxed);
        self.rows.fetch_add(rows as u64, Relaxed);
        let open = open.map_or(0, |open| open.0);
        if self.open_transaction.swap(open, Relaxed) == open {
            self.open_bytes.fetch_add(if open == 0 { 0 } else { bytes as u64 }, Relaxed);
        } else {
            self.open_bytes.store(if open == 0 { 0 } else { bytes as u64 }, Relaxed);
        }
    }
}
