//! Sets of transactions, as both servers print them (MY-21, MY-23).
//!
//! MySQL has a set of numbers for each server that committed first, and for each tag of it: `uuid:1-5:7:tag:1`.
//! MariaDB has the last number of each domain, and the server that wrote it: `0-1-17,1-3-5`.

mod mariadb;
mod mysql;

pub use mariadb::{MariadbGtid, MariadbGtids};
pub use mysql::{MysqlGtid, MysqlGtids, Source};

/// Text that is no set of transactions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a set of GTIDs")]
pub struct NotGtids(pub String);
