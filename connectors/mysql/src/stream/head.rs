//! Where the server's log ends: the stream itself only says so once it is there.

use std::time::{Duration, Instant};

use super::Progress;
use crate::{Error, Flavor, LogPosition, Options, sql};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Between two looks at the sizes of all files, for which the server opens each.
const FILES_EVERY: Duration = Duration::from_secs(30);

/// After a fault: the user may not ask, or the server is away, which the stream notices by itself.
const AGAIN: Duration = Duration::from_secs(60);

/// Looks now and then, for ever.
pub(super) async fn watch(options: Options, progress: &Progress) {
    loop {
        if let Err(error) = look(&options, progress).await {
            tracing::debug!("where the server's log ends is not known: {error}");
        }
        tokio::time::sleep(AGAIN).await; // nothing announces that the user may ask by now
    }
}

async fn look(options: &Options, progress: &Progress) -> Result<(), Error> {
    let mut connection = sql::connect(options).await?;
    let statement = match (connection.flavor(), connection.version()) {
        (Flavor::Mysql, 80_200..) => "SHOW BINARY LOG STATUS",
        (_, _) => "SHOW MASTER STATUS",
    };
    let mut looked_at_files: Option<Instant> = None;
    loop {
        let row = connection.row(statement).await?.ok_or(Error::NoLog)?;
        let (file, offset) = (row.text(0).unwrap_or_default().to_owned(), row.number(1).unwrap_or(0));
        let head = LogPosition { file, offset, ..LogPosition::default() };
        let is_elsewhere = progress.received().is_some_and(|received| received.file != head.file);
        let is_due = looked_at_files.is_none_or(|at| at.elapsed() >= FILES_EVERY);
        let mut files = None;
        if is_elsewhere && is_due {
            looked_at_files = Some(Instant::now());
            files = Some(connection.rows("SHOW BINARY LOGS").await?.iter().filter_map(file_size).collect());
        }
        progress.set_server(head, files);
        tokio::time::sleep(LOOK_EVERY).await; // the server announces no end of its log to who is behind
    }
}

fn file_size(row: &sql::Row) -> Option<(u64, u64)> {
    let file = LogPosition { file: row.text(0)?.to_owned(), ..LogPosition::default() };
    Some((file.file_number()?, row.number(1)?))
}
