//! What a statement in the log does, as far as rows are concerned: ends of transactions, data definitions, and changes
//! that were logged as text (MY-33 to MY-42).
//!
//! No SQL is carried out here. A statement is cut into words; those that say nothing of rows are told apart from those
//! that do, and of the latter the tables they name are read. Where that fails, every name in it counts.

mod words;

use words::{Word, words};

use crate::wire::Status;

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// `BEGIN`, `START TRANSACTION`, `XA START`.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `SAVEPOINT name`.
    Savepoint(String),
    /// `ROLLBACK TO name`.
    RollbackTo(String),
    /// `XA COMMIT`; `one_phase` is the end of the open one.
    XaCommit {
        /// The transaction, as [`xid_name`] has it.
        name: Vec<u8>,
        /// There was no first half.
        one_phase: bool,
    },
    /// `XA ROLLBACK`.
    XaRollback {
        /// The transaction.
        name: Vec<u8>,
    },
    /// `TRUNCATE`.
    Truncate(Named),
    /// A table was made, dropped, replaced or renamed, or lost partitions: rows went or came without a word.
    Replaced(Vec<Named>),
    /// Names changed places: pairs of from and to.
    Renamed(Vec<(Named, Named)>),
    /// A database was dropped.
    DroppedDatabase(String),
    /// Columns of a table changed.
    Altered {
        /// The table.
        table: Named,
        /// Columns that got other names, as pairs of before and after; all at once, so that two can change places.
        columns: Vec<(String, String)>,
    },
    /// Rows may have changed by the text itself, of any of these tables.
    Rows(Vec<Named>),
    /// Nothing that concerns rows.
    Nothing,
}

/// A table as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The database; the statement's default otherwise.
    pub(super) database: Option<String>,
    /// The table.
    pub(super) table: String,
}

/// The name of a distributed transaction as one piece: format, length of the global part, both parts.
pub(super) fn xid_name(format: u32, global: &[u8], branch: &[u8]) -> Vec<u8> {
    [&format.to_be_bytes()[..], &[global.len().min(255) as u8], global, branch].concat()
}

/// Reads a statement. The text is UTF-8, or ASCII in what matters.
pub(super) fn read(text: &[u8], status: &Status<'_>) -> Statement {
    let words = words(text, status.ansi_quotes(), status.no_backslash_escapes());
    let mut rest = Rest(&words);
    // `SET STATEMENT a = 1 FOR …`: what counts comes after.
    if Rest(rest.0).takes(&["SET", "STATEMENT"]) {
        while let Some(word) = rest.next() {
            if word.is("FOR") {
                break;
            }
        }
    }
    let Some(first) = rest.next() else { return Statement::Nothing };
    let Word::Plain(first) = first else { return Statement::Nothing };
    match first.to_ascii_uppercase().as_str() {
        "BEGIN" | "START" => Statement::Begin,
        "COMMIT" => Statement::Commit,
        "ROLLBACK" => rollback(rest),
        "SAVEPOINT" => rest.name().map_or(Statement::Nothing, Statement::Savepoint),
        "XA" => xa(rest),
        "TRUNCATE" => {
            rest.skip("TABLE");
            rest.table().map_or(Statement::Nothing, Statement::Truncate)
        }
        "CREATE" => create(rest),
        "ALTER" => alter(rest),
        "DROP" => drop_statement(rest),
        "RENAME" => rename(rest),
        // Rights, settings, upkeep: nothing that a row would show.
        "RELEASE" | "SET" | "GRANT" | "REVOKE" | "FLUSH" | "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK" | "SHOW"
        | "USE" | "LOCK" | "UNLOCK" | "PURGE" | "RESET" | "INSTALL" | "UNINSTALL" | "CHANGE" | "KILL" | "CACHE" => {
            Statement::Nothing
        }
        _ => Statement::Rows(rest.every_name()),
    }
}

fn rollback(mut rest: Rest<'_>) -> Statement {
    rest.skip("WORK");
    if rest.skip("TO") {
        rest.skip("SAVEPOINT");
        return rest.name().map_or(Statement::Rollback, Statement::RollbackTo);
    }
    Statement::Rollback
}

fn xa(mut rest: Rest<'_>) -> Statement {
    let Some(Word::Plain(verb)) = rest.next() else { return Statement::Nothing };
    match verb.to_ascii_uppercase().as_str() {
        "START" | "BEGIN" => Statement::Begin,
        "COMMIT" => {
            let name = rest.xid();
            Statement::XaCommit { name, one_phase: rest.skip("ONE") }
        }
        "ROLLBACK" => Statement::XaRollback { name: rest.xid() },
        _ => Statement::Nothing,
    }
}

fn create(mut rest: Rest<'_>) -> Statement {
    if rest.skip("OR") {
        rest.skip("REPLACE");
    }
    if rest.skip("TEMPORARY") {
        return Statement::Nothing;
    }
    if rest.skip("TABLE") {
        // Where it is there already, nothing happened.
        return match (rest.takes(&["IF", "NOT", "EXISTS"]), rest.table()) {
            (false, Some(table)) => Statement::Replaced(vec![table]),
            (true, _) | (_, None) => Statement::Nothing,
        };
    }
    // Views, routines, users, databases; an index changes no row.
    Statement::Nothing
}

fn alter(mut rest: Rest<'_>) -> Statement {
    rest.skip("ONLINE");
    rest.skip("IGNORE");
    if !rest.skip("TABLE") {
        return Statement::Nothing;
    }
    rest.takes(&["IF", "EXISTS"]);
    let Some(table) = rest.table() else { return Statement::Rows(rest.every_name()) };
    let mut words = rest;
    while let Some(word) = words.next() {
        let Word::Plain(word) = word else { continue };
        match word.to_ascii_uppercase().as_str() {
            // Rows go with their partition.
            "DROP" | "TRUNCATE" | "EXCHANGE" | "DISCARD" | "IMPORT" | "CONVERT"
                if words.peeks("PARTITION") || words.peeks("TABLESPACE") =>
            {
                let mut tables = vec![table];
                tables.extend(after_with_table(rest));
                return Statement::Replaced(tables);
            }
            "RENAME" if !words.peeks("COLUMN") && !words.peeks("INDEX") && !words.peeks("KEY") => {
                let _ = words.skip("TO") || words.skip("AS");
                return match words.table() {
                    Some(to) => Statement::Renamed(vec![(table, to)]),
                    None => Statement::Altered { table, columns: renamed_columns(rest) },
                };
            }
            _ => {}
        }
    }
    Statement::Altered { table, columns: renamed_columns(rest) }
}

/// `RENAME COLUMN a TO b` and `CHANGE [COLUMN] a b …` among the changes, which commas part.
fn renamed_columns(mut rest: Rest<'_>) -> Vec<(String, String)> {
    let mut renamed = Vec::new();
    if rest.skip("WAIT") {
        rest.next();
    }
    rest.skip("NOWAIT");
    loop {
        let pair = if rest.takes(&["RENAME", "COLUMN"]) {
            rest.takes(&["IF", "EXISTS"]);
            rest.name().and_then(|from| rest.skip("TO").then(|| rest.name()).flatten().map(|to| (from, to)))
        } else if rest.skip("CHANGE") {
            rest.skip("COLUMN");
            rest.takes(&["IF", "EXISTS"]);
            rest.name().and_then(|from| rest.name().map(|to| (from, to)))
        } else {
            None
        };
        renamed.extend(pair.filter(|(from, to)| from != to));
        if renamed.len() >= MAX_NAMES || !rest.next_change() {
            return renamed;
        }
    }
}

/// `EXCHANGE PARTITION p WITH TABLE other`.
fn after_with_table(mut rest: Rest<'_>) -> Option<Named> {
    while let Some(word) = rest.next() {
        if word.is("WITH") && rest.skip("TABLE") {
            return rest.table();
        }
    }
    None
}

fn drop_statement(mut rest: Rest<'_>) -> Statement {
    if rest.skip("TEMPORARY") {
        return Statement::Nothing;
    }
    if rest.skip("TABLE") || rest.skip("TABLES") {
        rest.takes(&["IF", "EXISTS"]);
        let mut tables = Vec::new();
        while let Some(table) = rest.table() {
            tables.push(table);
            if !rest.punctuation(b',') {
                break;
            }
        }
        return Statement::Replaced(tables);
    }
    if rest.skip("DATABASE") || rest.skip("SCHEMA") {
        rest.takes(&["IF", "EXISTS"]);
        return rest.name().map_or(Statement::Nothing, Statement::DroppedDatabase);
    }
    Statement::Nothing
}

fn rename(mut rest: Rest<'_>) -> Statement {
    if !rest.skip("TABLE") && !rest.skip("TABLES") {
        return Statement::Nothing;
    }
    rest.takes(&["IF", "EXISTS"]);
    let mut pairs = Vec::new();
    while let Some(from) = rest.table() {
        if rest.skip("WAIT") || rest.skip("NOWAIT") {
            while !rest.peeks("TO") && rest.next().is_some() {}
        }
        if !rest.skip("TO") {
            break;
        }
        let Some(to) = rest.table() else { break };
        pairs.push((from, to));
        if !rest.punctuation(b',') {
            break;
        }
    }
    Statement::Renamed(pairs)
}

/// The words that are left.
#[derive(Clone, Copy)]
struct Rest<'w>(&'w [Word]);

impl<'w> Rest<'w> {
    fn next(&mut self) -> Option<&'w Word> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// Takes a word if it is this one.
    fn skip(&mut self, word: &str) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if first.is(word) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Whether the next word is this one.
    fn peeks(self, word: &str) -> bool {
        self.0.first().is_some_and(|first| first.is(word))
    }

    /// Takes all of these words, or none.
    fn takes(&mut self, words: &[&str]) -> bool {
        let mut ahead = *self;
        let all = words.iter().all(|word| ahead.skip(word));
        if all {
            *self = ahead;
        }
        all
    }

    fn punctuation(&mut self, sign: u8) -> bool {
        match self.0.split_first() {
            Some((Word::Sign(found), rest)) if *found == sign => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Goes on behind the next comma that is in no parentheses.
    fn next_change(&mut self) -> bool {
        let mut depth = 0_u32;
        while let Some(word) = self.next() {
            match word {
                Word::Sign(b'(') => depth += 1,
                Word::Sign(b')') => depth = depth.saturating_sub(1),
                Word::Sign(b',') if depth == 0 => return true,
                Word::Sign(_) | Word::Plain(_) | Word::Name(_) | Word::Bytes(_) => {}
            }
        }
        false
    }

    fn name(&mut self) -> Option<String> {
        match self.0.split_first() {
            Some((Word::Plain(name) | Word::Name(name), rest)) => {
                self.0 = rest;
                Some(name.clone())
            }
            _ => None,
        }
    }

    /// A name with or without its database.
    fn table(&mut self) -> Option<Named> {
        let first = self.name()?;
        if self.punctuation(b'.') {
            return Some(Named { database: Some(first), table: self.name()? });
        }
        Some(Named { database: None, table: first })
    }

    /// `X'global',X'branch',format`; the last two may be missing.
    fn xid(&mut self) -> Vec<u8> {
        let mut parts: [Vec<u8>; 2] = Default::default();
        let mut format = 1;
        for at in 0..3 {
            match self.0.first() {
                Some(Word::Bytes(bytes)) => {
                    if let Some(part) = parts.get_mut(at) {
                        part.clone_from(bytes);
                    }
                }
                Some(Word::Plain(number)) if at == 2 => format = number.parse().unwrap_or(1),
                _ => break,
            }
            self.next();
            if !self.punctuation(b',') {
                break;
            }
        }
        let [global, branch] = parts;
        xid_name(format, &global, &branch)
    }

    /// Every word that could name a table, with the one before it as its database where a point is between them.
    fn every_name(&self) -> Vec<Named> {
        let mut rest = *self;
        let mut names = Vec::new();
        while !rest.0.is_empty() {
            match rest.table() {
                Some(name) if names.len() < MAX_NAMES => names.push(name),
                Some(_) => break,
                None => drop(rest.next()),
            }
        }
        names
    }
}

/// No statement that a person wrote names more tables and columns; a text in megabytes does.
const MAX_NAMES: usize = 10_000;

#[cfg(test)]
mod tests;
