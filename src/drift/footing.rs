//! How a mapping stands to its table when its source is set up: it fits, it goes on by what was decided, or it is held.
//!
//! The first set-up accepts the table as it is. Each later one compares it with what was accepted: what touches the
//! mapping is weighed, and the mapping's policy says whether it goes on. Two things settle what is held: a decision
//! ([`InForce`]), and a mapping that was written anew and compiles. Until then the mapping is compiled for the table as
//! it was accepted, so that it can be shown and its rows are captured. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use passerelle_state::{MappingId, StateError, Store};
use serde::{Deserialize, Serialize};

use super::change::{Change, Patch, Retyping, Severity};
use super::compare::{Hints, compare};
use super::decide::reloads;
use super::patch::patched;
use super::policy::{Verdict, verdict};
use super::subject::{Child, Subject};
use super::weigh::{Weighed, weigh};
use super::whole::numbered;
use crate::config::model;
use crate::mapping::{Compile, Mapping, MappingFault, ParentInfo};
use crate::source::table::TableFacts;

/// What a mapping was accepted for. Kept in the state, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its table as it was.
    pub table: TableFacts,
    /// The mapping as it was written then, by its revision.
    pub written: u64,
    /// What was decided since it was written.
    pub patch: Patch,
}

/// What has changed since and is not settled. Kept in the state, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The changes, and what each does to the mapping.
    pub weighed: Vec<Weighed>,
    /// When it was first seen.
    pub since: Timestamp,
    /// The table as it is now; `None` where it is gone.
    pub table: Option<TableFacts>,
    /// What is read again once all is settled, for changes that were put back meanwhile.
    #[serde(default)]
    pub put_back: Reread,
}

/// What a person has decided and the next set-up puts in force. Kept in the state, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// By what the mapping goes on.
    pub patch: Patch,
    /// Columns whose values are read again.
    pub reload: BTreeSet<String>,
    /// The table that it was decided about.
    pub table: TableFacts,
    /// The mapping that it was decided about, by its revision.
    pub written: u64,
}

/// Whether a mapping is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It is.
    Fits,
    /// It waits for a person, for this reason.
    Held(String),
    /// The mapping's policy stops its source, for this reason.
    Fails(String),
}

/// What is read again from the table, beyond columns that were never read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reread {
    /// The values of these columns, by their names now.
    pub columns: BTreeSet<String>,
    /// Former and new names of columns of which nothing is read again: what was read under the one is the other's.
    pub renamed: Vec<(String, String)>,
    /// All of it, for rows may have come.
    pub rows: bool,
    /// All of it before anything is delivered, for rows may have gone without a word.
    pub replaced: bool,
}

/// How a mapping stands.
#[derive(Clone, Debug)]
pub struct Footing {
    /// What it is compiled for.
    pub accepted: Accepted,
    /// What is not settled.
    pub pending: Option<Pending>,
    /// Whether it is delivered.
    pub stand: Stand,
    /// What is read again now that it is settled.
    pub reread: Reread,
    /// Changes that it goes on with by its policy.
    pub passed: Vec<Weighed>,
}

/// What is known of a mapping and its table.
pub struct Look<'a> {
    /// The mapping as it is written now.
    pub mapping: &'a model::Mapping,
    /// Its revision.
    pub written: u64,
    /// The table as it is now; `None` where it is gone.
    pub table: Option<&'a TableFacts>,
    /// What else is known of the change.
    pub hints: &'a Hints<'a>,
    /// Fields of other mappings that lead to its rows.
    pub children: &'a [Child],
    /// The mappings that references name.
    pub parents: &'a dyn Fn(&str) -> Option<ParentInfo>,
    /// The source's.
    pub time_zone: &'a str,
    /// The clock.
    pub now: Timestamp,
    /// The relation whose rows the table has, where the mapping is [`over`](super::over) it; `None` of its own.
    pub relation: Option<&'a str>,
    /// Whether the mapping compiles together with its other tables ([`super::Whole`]).
    pub whole: Compiles<'a>,
}

/// Whether a mapping compiles with one of its tables as it is, by what was decided.
pub(super) type Compiles<'a> = &'a dyn Fn(&TableFacts, &Patch) -> Result<(), Vec<MappingFault>>;

/// What the state has of a mapping.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// What it was accepted for; `None` before its first start.
    pub accepted: Option<Accepted>,
    /// What was not settled when it was looked at last.
    pub pending: Option<Pending>,
    /// What was decided since.
    pub decided: Option<InForce>,
}

impl Kept {
    /// Reads it.
    pub fn read(store: &Store, mapping: MappingId) -> Result<Self, StateError> {
        let fit = store.fit(mapping)?.unwrap_or_default();
        Ok(Self {
            accepted: serde_json::from_str(&fit.accepted).ok(),
            pending: fit.drift.and_then(|text| serde_json::from_str(&text).ok()),
            decided: store.decided(mapping)?.and_then(|text| serde_json::from_str(&text).ok()),
        })
    }
}

impl Look<'_> {
    /// How the mapping stands.
    ///
    /// # Errors
    /// Faults of a mapping that was never accepted, or that was written anew and fits neither the table as it is now nor as
    /// it was.
    pub fn footing(&self, kept: Kept) -> Result<Footing, Vec<MappingFault>> {
        let Kept { accepted, pending, decided } = kept;
        // Of another table there is nothing to compare with.
        let accepted = accepted.filter(|accepted| accepted.table.name == self.mapping.table);
        let Some(accepted) = accepted else {
            let table = self.table.ok_or_else(|| self.no_table())?;
            return Ok(self.settled(table, Patch::default(), Reread::default()));
        };
        let changes = compare(&accepted.table, self.table, self.hints);
        let put_back = put_back(pending.as_ref(), &changes);
        if let (Some(decided), Some(table)) = (decided, self.table)
            && decided.written == self.written
            && self.is_as_decided(&decided, table)
        {
            let reread = Reread::of(&changes, &accepted.table, decided.reload).and(put_back);
            return Ok(self.settled(table, decided.patch, reread));
        }
        if accepted.written != self.written {
            // A mapping that was written anew is the other way to decide.
            let faults = match self.table {
                Some(table) => {
                    let patch = accepted.patch.forgotten(&changes);
                    match self.compiled(table, &patch) {
                        Ok(()) => {
                            let reread =
                                Reread::of(&changes, &accepted.table, self.due(&changes, &accepted.table, &patch))
                                    .and(put_back);
                            return Ok(self.settled(table, patch, reread));
                        }
                        Err(faults) => faults,
                    }
                }
                None => self.no_table(),
            };
            if self.compiled(&accepted.table, &accepted.patch).is_err() {
                return Err(faults);
            }
        }
        let subject = self.subject(&accepted.table, &accepted.patch);
        let weighed = weigh(&changes, &subject);
        match (verdict(self.mapping.on_drift, &weighed, &subject), self.table) {
            (Verdict::Go { patch, reload }, Some(table)) if self.can_run(&patch) => {
                let reread = Reread::of(&changes, &accepted.table, reload).and(put_back);
                let settled = self.settled(table, patch, reread);
                Ok(Footing { passed: weighed, ..settled })
            }
            (verdict, table) => {
                let reason = reason(self.mapping, &weighed);
                let since = pending.filter(|kept| kept.weighed == weighed).map_or(self.now, |kept| kept.since);
                let pending = Some(Pending { weighed, since, table: table.cloned(), put_back });
                let stand = match verdict {
                    Verdict::Fail => Stand::Fails(reason),
                    Verdict::Go { .. } | Verdict::Hold => Stand::Held(reason),
                };
                Ok(Footing { accepted, pending, stand, reread: Reread::default(), passed: Vec::new() })
            }
        }
    }

    /// How a mapping stands that was accepted, and that does not compile with its tables as they would be accepted now: it
    /// waits. `None` of one that was never accepted, or was for just that.
    pub fn waits(&self, kept: Kept, footing: &Footing, faults: &[MappingFault]) -> Option<Footing> {
        let accepted = kept.accepted.filter(|accepted| accepted.table.name == self.mapping.table)?;
        if footing.stand != Stand::Fits || accepted == footing.accepted {
            return None;
        }
        let changes = compare(&accepted.table, self.table, self.hints);
        let weighed = weigh(&changes, &self.subject(&accepted.table, &accepted.patch));
        let put_back = put_back(kept.pending.as_ref(), &changes);
        let since = kept.pending.filter(|kept| kept.weighed == weighed).map_or(self.now, |kept| kept.since);
        let why: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
        let stand = Stand::Held(format!(
            "{}: the mapping does not fit it as it is now: {}",
            self.mapping.table,
            why.join("; ")
        ));
        let pending = Some(Pending { weighed, since, table: self.table.cloned(), put_back });
        Some(Footing { accepted, pending, stand, reread: Reread::default(), passed: Vec::new() })
    }

    /// What touches the mapping between a table as it was, when it fitted with `patch`, and as it is now.
    pub fn weighed(&self, before: &TableFacts, patch: &Patch) -> Vec<Weighed> {
        weigh(&compare(before, self.table, self.hints), &self.subject(before, patch))
    }

    /// The mapping as changes of `before` are weighed for it.
    pub fn subject<'s>(&'s self, before: &'s TableFacts, patch: &'s Patch) -> Subject<'s> {
        Subject {
            mapping: self.mapping,
            patch,
            table: before,
            parents: self.parents,
            children: self.children,
            time_zone: self.time_zone,
            relation: self.relation,
        }
    }

    /// What is left out of a mapping or null in it is a column of its own table.
    fn can_run(&self, patch: &Patch) -> bool {
        self.relation.is_none() || (patch.dropped.is_empty() && patch.nulls.is_empty())
    }

    /// Whether nothing that touches the mapping has changed since. What the log has told is older than the decision.
    fn is_as_decided(&self, decided: &InForce, table: &TableFacts) -> bool {
        let changes = compare(&decided.table, Some(table), &Hints::default());
        weigh(&changes, &self.subject(&decided.table, &decided.patch)).is_empty()
    }

    /// Columns that are to be read again for changes of a table `before` that is taken as it is now.
    fn due(&self, changes: &[Change], before: &TableFacts, patch: &Patch) -> BTreeSet<String> {
        let subject = self.subject(before, patch);
        weigh(changes, &subject).iter().flat_map(|weighed| reloads(weighed, patch, &subject)).collect()
    }

    fn settled(&self, table: &TableFacts, patch: Patch, reread: Reread) -> Footing {
        let accepted = Accepted { table: table.clone(), written: self.written, patch };
        Footing { accepted, pending: None, stand: Stand::Fits, reread, passed: Vec::new() }
    }

    /// Whether the mapping compiles for a table.
    pub fn compiled(&self, table: &TableFacts, patch: &Patch) -> Result<(), Vec<MappingFault>> {
        let config = patched(self.mapping, patch)
            .map_err(|needed| vec![MappingFault::of_setting(self.mapping, "table", needed.to_string())])?;
        let columns = numbered(self.mapping, table, patch);
        let with = Compile { nulls: &patch.nulls, ..Compile::new(&columns, self.parents, self.time_zone) };
        Mapping::compile(&config, &with)?;
        (self.whole)(table, patch)
    }

    fn no_table(&self) -> Vec<MappingFault> {
        let message = format!("there is no table {} in the database", self.mapping.table);
        let hint = "`passerelle check --online` names the table that was probably meant";
        vec![MappingFault::of_setting(self.mapping, "table", message).with_hint(hint)]
    }
}

impl Reread {
    /// What changes of a table `before` leave behind that the log does not tell, besides the columns that are to be read
    /// again anyway.
    fn of(changes: &[Change], before: &TableFacts, columns: BTreeSet<String>) -> Self {
        let mut reread = Self { columns, replaced: has_other_keys(changes, before), ..Self::default() };
        for change in changes {
            match change {
                Change::ColumnRenamed { column, to, is_certain: true } => {
                    reread.renamed.push((column.clone(), to.clone()));
                }
                Change::TableReplaced { by_swap: false } | Change::KeyChanged { .. } => reread.replaced = true,
                Change::PartitionAttached { .. } => reread.rows = true,
                // What has another type, or was not read before, has another number, and is read for that.
                Change::TableDropped
                | Change::TableRenamed { .. }
                | Change::TableReplaced { by_swap: true }
                | Change::Unpublished
                | Change::ColumnAdded { .. }
                | Change::ColumnDropped { .. }
                | Change::ColumnRenamed { is_certain: false, .. }
                | Change::Retyped { .. }
                | Change::Rewritten { .. }
                | Change::NullAllowed { .. }
                | Change::NullRefused { .. }
                | Change::DefaultChanged { .. }
                | Change::LabelAdded { .. }
                | Change::LabelRemoved { .. }
                | Change::LabelRenamed { .. }
                | Change::CharsetChanged { .. }
                | Change::GeneratedChanged { .. }
                | Change::IdentityChanged { .. }
                | Change::PartitionDetached { .. }
                | Change::Unreadable { .. } => {}
            }
        }
        reread
    }
}

impl Reread {
    fn and(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self.renamed.extend(other.renamed);
        self.rows |= other.rows;
        self.replaced |= other.replaced;
        self
    }
}

/// Whether rows may have other values of the row key than the log has told: there may be rows under keys that are gone.
fn has_other_keys(changes: &[Change], before: &TableFacts) -> bool {
    let is_key = |name: &String| before.row_key.as_ref().is_ok_and(|key| key.contains(name));
    let is_widened = |name: &String| {
        let is_it = |change: &Change| matches!(change, Change::Retyped { column, how: Retyping::Widened, .. } if column == name);
        changes.iter().any(is_it)
    };
    changes.iter().any(|change| match change {
        Change::Retyped { column, how: Retyping::Narrowed | Retyping::Converted, .. } => is_key(column),
        Change::Rewritten { column } => is_key(column) && !is_widened(column),
        _ => false,
    })
}

/// What is to be read again for changes that were `pending`, and that nobody has settled but who made them, by another
/// change: what was captured in between has the column under another name or not at all, and its values may be lost.
/// Of a table that was away, or had no key, nothing was captured.
fn put_back(pending: Option<&Pending>, changes: &[Change]) -> Reread {
    let Some(pending) = pending else { return Reread::default() };
    let mut reread = pending.put_back.clone();
    let is_over = |weighed: &&Weighed| weighed.severity() > Severity::None && !changes.contains(&weighed.change);
    for Weighed { change, .. } in pending.weighed.iter().filter(is_over) {
        reread.columns.extend(change.column().map(str::to_owned));
        reread.replaced |= change.column().is_none();
    }
    reread
}

/// Why a mapping is held: the worst change.
fn reason(mapping: &model::Mapping, weighed: &[Weighed]) -> String {
    let worst = weighed.iter().max_by_key(|weighed| weighed.severity());
    let why = worst
        .map_or_else(|| "it has changed".to_owned(), |weighed| format!("{}; {}", weighed.change, weighed.sentence()));
    format!("{}: {why}", mapping.table)
}
