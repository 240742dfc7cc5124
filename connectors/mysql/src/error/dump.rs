//! Error 1236: one number for whatever keeps a server from sending its log, told apart by its words (MY-09). The words are
//! those of MySQL 5.6 to 9.7 (`sql/rpl_binlog_sender.cc`) and MariaDB 10.2 to 12 (`sql/sql_repl.cc`).

use passerelle_change::Class;

use super::operator;

/// `ER_MASTER_FATAL_ERROR_READING_BINLOG`, `ER_SOURCE_FATAL_ERROR_READING_BINLOG`.
pub(super) const NUMBER: u16 = 1236;

/// Why a server does not send its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpFault {
    /// The file, or transactions that we have not seen, were purged.
    Purged,
    /// The place is behind the end of the file: the log is not the one it was.
    BeyondEnd,
    /// We know transactions that the server does not.
    AheadOfServer,
    /// It has no such transaction: another history, or strict mode found it out of order.
    NotInLog,
    /// `gtid_mode` is not ON, and GTIDs were asked for.
    GtidModeOff,
    /// Another replica has our `server_id`.
    ServerIdClash,
    /// The server has no binary log.
    NoLog,
    /// The server's `server_id` is 0.
    NoServerId,
    /// The log's file is damaged, cut off, or an event of it is larger than may be sent; or the place is in the middle of
    /// one.
    Damaged,
    /// Anything else.
    Other,
}

impl DumpFault {
    /// By the server's words.
    pub(super) fn of(message: &str) -> Self {
        let text = message.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
        // The more special go first: several name purging as the likely cause.
        if has(&["same server_uuid", "same server_id", "same server-id"]) {
            Self::ServerIdClash
        } else if has(&["has more gtids than"]) {
            Self::AheadOfServer
        } else if has(&[
            "which is not in the master's binlog",
            "out-of-order binlog",
            "out-of-order sequence",
            "which is not in the source's binlog",
        ]) {
            Self::NotInLog
        } else if has(&["gtid_mode"]) {
            Self::GtidModeOff
        } else if has(&["could not find first log file", "purged", "could not find gtid state", "cannot find log file"])
        {
            Self::Purged
        } else if has(&["position > file size", "impossible position", "position >= file size"]) {
            Self::BeyondEnd
        } else if has(&["binary log is not open", "binary log is not enabled", "log is not open"]) {
            Self::NoLog
        } else if has(&["server_id was not set", "server-id was not set"]) {
            Self::NoServerId
        } else if has(&[
            "max_allowed_packet",
            "bogus data",
            "truncated",
            "crc check",
            "checksum",
            "error reading log event",
            "could not open log file",
            "i/o error",
        ]) {
            Self::Damaged
        } else {
            Self::Other
        }
    }

    /// Who can do something about it, and what.
    pub(super) fn class(self) -> Class {
        match self {
            Self::Purged => operator("run `passerelle recover SOURCE`, and let the server keep its log for longer"),
            Self::BeyondEnd | Self::AheadOfServer | Self::NotInLog => operator(
                "the server was reset, restored from a backup, or is another one: run `passerelle recover SOURCE`",
            ),
            Self::GtidModeOff => operator("SET GLOBAL gtid_mode = ON, in the steps that the server asks for"),
            Self::ServerIdClash => operator(
                "set `server_id` of the source to a number that no other replica of the server has: SHOW REPLICA HOSTS",
            ),
            Self::NoLog => operator("set log_bin = binlog and server_id = 1 in [mysqld] of the server, and restart it"),
            Self::NoServerId => operator("SET GLOBAL server_id = 1, and the same in [mysqld] of the server"),
            Self::Damaged => operator(
                "SET GLOBAL max_allowed_packet = 1073741824; if the message stays, the log is damaged: run `passerelle recover SOURCE`",
            ),
            Self::Other => operator("see the server's message"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn my_09_the_words_of_1236() {
        for (words, want) in [
            ("Could not find first log file name in binary log index file", DumpFault::Purged),
            ("Client requested master to start replication from position > file size", DumpFault::BeyondEnd),
            ("Client requested source to start replication from position > file size", DumpFault::BeyondEnd),
            ("Client requested master to start replication from impossible position", DumpFault::BeyondEnd),
            (
                "Cannot replicate because the source purged required binary logs. Replicate the missing transactions from elsewhere",
                DumpFault::Purged,
            ),
            (
                "The slave is connecting using CHANGE MASTER TO MASTER_AUTO_POSITION = 1, but the master has purged binary logs containing GTIDs that the slave requires.",
                DumpFault::Purged,
            ),
            (
                "Slave has more GTIDs than the master has, using the master's SERVER_UUID. This may indicate that the end of the binary log was truncated or that the last binary log file was lost",
                DumpFault::AheadOfServer,
            ),
            (
                "Error: connecting slave requested to start from GTID 0-1-99, which is not in the master's binlog",
                DumpFault::NotInLog,
            ),
            (
                "Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old and required binlog files have been purged.",
                DumpFault::Purged,
            ),
            (
                "A slave with the same server_uuid/server_id as this slave has connected to the master; the first event 'mbin.000001' at 4",
                DumpFault::ServerIdClash,
            ),
            (
                "A replica with the same server_uuid/server_id as this replica has connected to the source",
                DumpFault::ServerIdClash,
            ),
            ("log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source", DumpFault::Damaged),
            ("bogus data in log event; the first event 'x' at 4", DumpFault::Damaged),
            ("event read from binlog did not pass crc check", DumpFault::Damaged),
            ("Binary log is not open", DumpFault::NoLog),
            ("Misconfigured master - server_id was not set", DumpFault::NoServerId),
            (
                "The replication sender thread cannot start in AUTO_POSITION mode: this server has GTID_MODE = OFF instead of ON.",
                DumpFault::GtidModeOff,
            ),
            ("Failed on fseek()", DumpFault::Other),
        ] {
            assert_eq!(DumpFault::of(words), want, "{words}");
        }
    }
}
