//! Errors of the server by number, and what the client library reports.

use std::io;

use mysql_async::{DriverError, IoError};
use passerelle_change::Class;
use passerelle_net::WrongSettings;

use super::{DumpFault, Error, dump, operator};

/// An error as the server reported it.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code}, SQLSTATE {state})")]
pub struct ServerError {
    /// The server's number.
    pub code: u16,
    /// SQLSTATE, five characters.
    pub state: String,
    /// Its words, without values.
    pub message: String,
}

impl ServerError {
    /// By the manuals' lists of errors ("Server Error Message Reference" of MySQL, "MariaDB Error Codes"). What is not
    /// listed needs a person: a source that is retried for ever in silence helps nobody.
    pub(super) fn class(&self) -> Class {
        match self.code {
            // Too many connections, of all and of this user; quotas of an hour.
            1040 | 1203 | 1226
            // Shutting down, killed, or a broken pipe.
            | 1053 | 1080 | 1152..=1161 | 1184 | 1317 | 1927 | 3169 | 4031
            // Locks that were waited for, and statements that took too long.
            | 1205 | 1213 | 1969 | 3024
            // No memory or no room for now; the log could not be opened.
            | 1021 | 1037 | 1038 | 1041
            // Read only for the time of a failover; a table changed while it was read.
            | 1290 | 1412 | 1836 => Class::Transient,
            1129 => operator("FLUSH HOSTS on the server, or raise its max_connect_errors"),
            1130 => operator("let the user come from this host: CREATE USER 'user'@'host' …, or RENAME USER"),
            1044 => operator("check `database` of the source, and GRANT SELECT on it"),
            1045 | 1698 | 3118 | 4151 => operator("check `user` and `password` of the source"),
            1049 => operator("check `database` of the source"),
            1820 | 1862 => operator("the user's password has expired: ALTER USER … IDENTIFIED BY …"),
            1142 | 1143 | 1227 | 1370 | 1095 => {
                operator("grant the right that the server names; `passerelle check --online` prints the statements")
            }
            _ => operator("see the server's message"),
        }
    }
}

impl From<mysql_async::ServerError> for Error {
    fn from(error: mysql_async::ServerError) -> Self {
        let mysql_async::ServerError { code, state, message } = error;
        match code {
            dump::NUMBER => match DumpFault::of(&message) {
                DumpFault::NoLog => Self::NoLog,
                fault => Self::Dump { fault, message: dump_message(&message) },
            },
            // ER_NO_BINARY_LOGGING.
            1381 => Self::NoLog,
            _ => Self::Server(ServerError { code, message: without_values(&state, message), state }),
        }
    }
}

impl From<mysql_async::Error> for Error {
    fn from(error: mysql_async::Error) -> Self {
        match error {
            mysql_async::Error::Server(error) => error.into(),
            mysql_async::Error::Io(IoError::Io(error)) => error.into(),
            mysql_async::Error::Io(IoError::Tls(error)) => Self::TlsSettings(WrongSettings(error.to_string())),
            mysql_async::Error::Driver(error) => of_driver(&error),
            mysql_async::Error::Url(error) => Self::TlsSettings(WrongSettings(error.to_string())),
            mysql_async::Error::Other(error) => Self::Broken(error.to_string()),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// Not the driver's own words: those of a value that does not convert have the value.
fn of_driver(error: &DriverError) -> Error {
    match error {
        DriverError::ConnectionClosed | DriverError::PoolDisconnected => Error::Closed,
        DriverError::CleartextPluginDisabled => Error::CleartextRefused,
        DriverError::MysqlOldPasswordDisabled => Error::Authentication("mysql_old_password".into()),
        DriverError::UnknownAuthPlugin { name } => {
            Error::Authentication(name.chars().filter(|char| !char.is_control()).take(100).collect())
        }
        DriverError::NoClientSslFlagFromServer => Error::NoTls { address: "this address".into() },
        DriverError::PacketTooLarge => Error::Protocol("the server sent a packet of more than a gibibyte"),
        DriverError::InvalidParsecSalt | DriverError::NoKeyFound => Error::Protocol("the authentication went wrong"),
        DriverError::CantParseServerVersion { .. }
        | DriverError::PacketOutOfOrder
        | DriverError::UnexpectedPacket { .. }
        | DriverError::BadCompressedPacketHeader => {
            Error::Protocol("what answers does not speak the protocol as it should")
        }
        DriverError::FromValue { .. }
        | DriverError::FromRow { .. }
        | DriverError::Params(_)
        | DriverError::MixedParams
        | DriverError::NestedTransaction
        | DriverError::ReadOnlyTransNotSupported
        | DriverError::StmtParamsMismatch { .. }
        | DriverError::StmtParamsNumberExceedsLimit { .. }
        | DriverError::NamedPipesDisabled
        | DriverError::LocalInfile(_)
        | DriverError::BulkExecute(_) => Error::Protocol("the answer to a query is not what was asked for"),
    }
}

/// Errors about data (classes 22 and 23) quote it.
fn without_values(state: &str, message: String) -> String {
    if state.starts_with("22") || state.starts_with("23") { "a value was refused".to_owned() } else { message }
}

/// The server's words end with places in the log, which are of no use to people; the first sentence is.
fn dump_message(message: &str) -> String {
    let end = message.find("; the first event").unwrap_or(message.len());
    message.get(..end).unwrap_or(message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, state: &str, message: &str) -> Error {
        mysql_async::Error::Server(mysql_async::ServerError { code, state: state.into(), message: message.into() })
            .into()
    }

    #[test]
    fn my_09_only_what_passes_is_transient() {
        for code in [1040, 1053, 1158, 1205, 1213, 1317, 1927] {
            assert_eq!(of(code, "HY000", "m").class(), Class::Transient, "{code}");
        }
        for code in [1044, 1045, 1049, 1130, 1142, 1227, 1698, 9999] {
            let error = of(code, "42000", "m");
            assert!(matches!(error.class(), Class::Operator { .. }), "{code}");
            assert_eq!(error.code(), Some(code.to_string()));
        }
    }

    #[test]
    fn my_09_an_error_of_the_dump_is_told_from_others() {
        let purged =
            of(1236, "HY000", "Could not find first log file name in binary log index file; the first event 'x' at 4");
        let Error::Dump { fault: DumpFault::Purged, message } = &purged else { panic!("{purged:?}") };
        assert!(message.ends_with("index file"), "{message}");
        assert_eq!(purged.code().as_deref(), Some("1236"));
        assert_eq!(of(1236, "HY000", "Binary log is not open"), Error::NoLog);
    }

    #[test]
    fn no_value_is_in_an_error() {
        for (code, state, message) in [
            (1062, "23000", "Duplicate entry 'geheim' for key 'PRIMARY'"),
            (1292, "22007", "Incorrect value: 'geheim'"),
        ] {
            assert!(!of(code, state, message).to_string().contains("geheim"));
        }
        let value = mysql_async::Value::from("geheim");
        let error: Error = mysql_async::Error::Driver(DriverError::FromValue { value }).into();
        assert!(!format!("{error:?} {error}").contains("geheim"));
    }
}
