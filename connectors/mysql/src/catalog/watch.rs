//! A connection that looks at the catalogue again and again, for changes of a schema that nobody writes to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use passerelle_change::TableName;

use super::{Catalog, Readings, TableFacts, read};
use crate::sql::{self, Connection};
use crate::{Error, Options};

/// How long each statement of it may take.
const QUERY_LIMIT: Duration = Duration::from_secs(5);

/// The server gives up first: seconds that a statement waits for whoever changes the table.
const SETTINGS: &str = "SET SESSION lock_wait_timeout = 3";

/// The statement that makes a table says nothing of rights on it: those are looked at this often.
const WHOLE_EVERY: Duration = Duration::from_secs(30);

/// A table that changes again each time that it is read is taken as it was read last.
const MOST_READINGS: u32 = 3;

/// Keeps one connection, and makes another one where it broke.
pub struct Watch {
    options: Options,
    readings: Readings,
    connection: Option<(Connection, bool)>,
    seen: BTreeMap<TableName, Seen>,
}

/// A table as it was read whole.
struct Seen {
    facts: TableFacts,
    /// The statement that makes it, as [`lasting`] has it.
    statement: String,
    at: Instant,
}

impl std::fmt::Debug for Watch {
    /// Without the options, which hold the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("is_connected", &self.connection.is_some()).finish_non_exhaustive()
    }
}

impl Watch {
    /// Connects by these options when it is first asked.
    pub fn new(options: Options, readings: Readings) -> Self {
        Self { options, readings, connection: None, seen: BTreeMap::new() }
    }

    /// What the catalogue says of these tables now. Most times that is one statement a table, which the server answers
    /// from memory: `SHOW CREATE TABLE` says whether anything of it is another than it was; a table is read whole where
    /// that is so, and every half a minute, for our rights on it.
    ///
    /// An error is that of this look alone: the next one connects anew. So does one after a look that was not waited for.
    pub async fn read(&mut self, names: &[TableName]) -> Result<Catalog, Error> {
        // Put back where all went well: what is half read is of no more use.
        let (mut connection, logs_cascades) = match self.connection.take() {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        self.seen.retain(|name, _| names.contains(name));
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
            tables.extend(self.table(&mut connection, name, logs_cascades).await?);
        }
        self.connection = Some((connection, logs_cascades));
        Ok(Catalog { tables })
    }

    async fn connect(&self) -> Result<(Connection, bool), Error> {
        let mut connection = sql::connect(&self.options).await?;
        connection.set_limit(QUERY_LIMIT);
        connection.execute(SETTINGS).await?;
        let logs_cascades = read::logs_cascades(&mut connection).await?;
        Ok((connection, logs_cascades))
    }

    async fn table(
        &mut self,
        connection: &mut Connection,
        name: &TableName,
        logs_cascades: bool,
    ) -> Result<Option<TableFacts>, Error> {
        if let Some(seen) = self.seen.get(name)
            && seen.at.elapsed() < WHOLE_EVERY
            && read::statement_of(connection, name).await?.is_some_and(|now| lasting(&now) == seen.statement)
        {
            return Ok(Some(seen.facts.clone()));
        }
        self.seen.remove(name);
        let mut facts = None;
        for _ in 0..MOST_READINGS {
            let read = read::read_table(connection, name, self.readings, logs_cascades).await?;
            let Some((table, statement)) = read else { return Ok(None) };
            facts = Some(table.clone());
            // Where it is not to be seen, there is nothing to compare by.
            let Some(statement) = statement.filter(|statement| !statement.is_empty()) else { break };
            let statement = lasting(&statement);
            // What was asked bit by bit is of one table where that did not change meanwhile.
            if read::statement_of(connection, name).await?.is_some_and(|now| lasting(&now) == statement) {
                self.seen.insert(name.clone(), Seen { facts: table, statement, at: Instant::now() });
                break;
            }
        }
        Ok(facts)
    }
}

/// A statement without the counter, which moves on with every row.
fn lasting(statement: &str) -> String {
    const COUNTER: &str = " AUTO_INCREMENT=";
    let mut pieces = statement.split(COUNTER);
    let mut lasting = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        lasting.push_str(piece.trim_start_matches(|char: char| char.is_ascii_digit()));
    }
    lasting
}

#[cfg(test)]
mod tests {
    use super::lasting;

    #[test]
    fn a_counter_that_moves_on_is_no_change() {
        let statement =
            |counter: u64| format!("… `id` int AUTO_INCREMENT,\n) ENGINE=InnoDB AUTO_INCREMENT={counter} CHARSET=x");
        assert_eq!(lasting(&statement(7)), lasting(&statement(123_456)));
        assert_eq!(lasting(&statement(7)), "… `id` int AUTO_INCREMENT,\n) ENGINE=InnoDB CHARSET=x");
        assert_eq!(lasting(""), "");
    }
}
