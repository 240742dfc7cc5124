//! What a checker has compiled, as a scope and its relations.

use std::collections::BTreeSet;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::asking::{Asked as Asking, Branch as BranchDraft, Draft, Makes};
use super::entry::Holds;
use super::join::Part;
use super::scope::Asked;
use super::{Ask, Branch, Form, Relation, Scope};
use crate::config::model::{Expr, Related, RelatedForm};
use crate::mapping::check::Checker;
use crate::mapping::program::{Node, Program};
use crate::mapping::row::{Slot, SlotIndex};
use crate::mapping::text::hex;

/// Raised when an entry of the same definition begins to be another.
const ENTRIES: u8 = 1;

impl Checker<'_> {
    /// The scope of all that was compiled; the relations that it asks are appended, each behind those that its own entries
    /// ask. Without related tables nothing is asked.
    pub(in crate::mapping) fn into_scope(self, relations: &mut Vec<Relation>) -> Scope {
        let standard = Standard::of(&self);
        let Self { slots, asking, .. } = self;
        if asking.tables.is_none() {
            return Scope::new(slots, Vec::new());
        }
        let mut asks = Vec::new();
        for (number, asked) in asking.asked.into_iter().enumerate() {
            let Asking { from, key, makes, draft } = asked;
            let ours: Vec<usize> = (0..slots.len()).filter(|&slot| slots[slot].ask == Some(number)).collect();
            let relation = relation(draft, &makes, &ours, &slots, &standard, relations);
            relations.push(relation);
            let asked = Asked { from, key, index: SlotIndex::new(&slots, Some(number)), slots: ours };
            asks.push((Ask { relation: relations.len() - 1 }, asked));
        }
        Scope::new(slots, asks)
    }
}

/// What every expression of a source means.
struct Standard {
    all: String,
    /// What those mean that look something up.
    lookups: Vec<String>,
}

impl Standard {
    fn of(checker: &Checker<'_>) -> Self {
        let standard = &checker.standard;
        let zone = checker.zone.iana_name().unwrap_or_default();
        let all = format!("{zone} {:?} {:?} {}", standard.country, standard.date, standard.empty_is_null);
        let lookups = standard.lookups.iter().map(|(name, lookup)| format!("{name} {:x}", lookup.hash)).collect();
        Self { all, lookups }
    }
}

/// The expressions that make a relation's entries.
fn makers(related: &Related) -> Vec<&Expr> {
    let formed: Vec<&Expr> = match &related.form {
        RelatedForm::One { pick } => pick.iter().collect(),
        RelatedForm::Pivot { name, value, pick, .. } => [name, value].into_iter().chain(pick).collect(),
        RelatedForm::Rollup(figures) => figures.iter().map(|(_, expr)| expr).collect(),
    };
    related.on.iter().map(|(left, _)| left).chain(&related.filter).chain(formed).collect()
}

fn relation(
    draft: Draft<'_>,
    makes: &Makes,
    ours: &[usize],
    slots: &[Slot],
    standard: &Standard,
    relations: &mut Vec<Relation>,
) -> Relation {
    let Draft { related, path, by_row_key, rollup, branches } = draft;
    let mut names: BTreeSet<String> =
        ours.iter().filter_map(|&slot| slots[slot].pivot_name()).map(str::to_owned).collect();
    if let RelatedForm::Pivot { only: Some(only), .. } = &related.form {
        names.extend(only.iter().map(|only| only.name.clone()));
    }
    let columns: BTreeSet<&str> = ours.iter().filter_map(|&slot| slots[slot].column()).collect();
    let mut hash = Hash::new();
    hash.text(&standard.all);
    if makers(related).iter().any(|expr| expr.text.contains("lookup")) {
        hash.each(standard.lookups.iter().cloned());
    }
    hash.each(related.tables.iter().map(ToString::to_string));
    hash.each(related.on.iter().map(|(left, _)| left.text.clone()));
    hash.expr(related.filter.as_ref());
    match &related.form {
        RelatedForm::One { pick } => {
            hash.0.write_u8(1);
            hash.expr(pick.as_ref());
            hash.each(columns.iter().map(ToString::to_string));
        }
        RelatedForm::Pivot { name, value, pick, .. } => {
            hash.0.write_u8(2);
            hash.each([name, value].map(|expr| expr.text.clone()));
            hash.expr(pick.as_ref());
            hash.each(names.iter().cloned());
        }
        RelatedForm::Rollup(figures) => {
            hash.0.write_u8(3);
            hash.each(figures.iter().map(|(name, expr)| format!("{name} {}", expr.text)));
        }
    }
    let wanted = wanted(branches.first(), &names);
    let branches: Vec<Branch> = branches
        .into_iter()
        .map(|branch| {
            let branch = self::branch(branch, &columns, &names, relations);
            hash.branch(&branch, relations);
            branch
        })
        .collect();
    let picks = matches!(&related.form, RelatedForm::One { pick: Some(_) });
    let form = match makes {
        Makes::One(_) => Form::One { by_row_key, picks },
        Makes::Pivot(_) => Form::Pivot,
        Makes::Rollup(_) => Form::Rollup(rollup),
    };
    Relation { path, definition: hash.0.finish(), branches, form, wanted }
}

fn branch(
    draft: BranchDraft<'_>,
    columns: &BTreeSet<&str>,
    wanted: &BTreeSet<String>,
    relations: &mut Vec<Relation>,
) -> Branch {
    let BranchDraft { table, mut checker, mut maker, .. } = draft;
    match &mut maker.holds {
        Holds::Digest(slots) => slots.extend(columns.iter().filter_map(|column| checker.slot(0, column))),
        Holds::Pivot { names, .. } => names.clone_from(wanted),
        Holds::Rollup { .. } => {}
    }
    Branch { table: table.clone(), scope: checker.into_scope(relations), maker }
}

/// The column by which rows of a pivot are called, where it is one as it is, and the names.
fn wanted(branch: Option<&BranchDraft<'_>>, names: &BTreeSet<String>) -> Option<(String, BTreeSet<String>)> {
    let branch = branch?;
    let Holds::Pivot { name: Program { root: Node::Slot(slot), .. }, .. } = &branch.maker.holds else { return None };
    let slot = branch.checker.slots.get(*slot).filter(|slot| slot.ask.is_none())?;
    Some((slot.column()?.to_owned(), names.clone()))
}

/// A hash that is the same over restarts and machines.
struct Hash(SipHasher24);

impl Hash {
    fn new() -> Self {
        // Fixed keys: the hash is written to the state.
        let mut hash = SipHasher24::new_with_keys(0x7061_7373_6572_656c, 0x6c65_2f72_656c_0001);
        hash.write_u8(ENTRIES);
        Self(hash)
    }

    fn text(&mut self, text: &str) {
        self.0.write(&(text.len() as u64).to_le_bytes());
        self.0.write(text.as_bytes());
    }

    fn each(&mut self, texts: impl IntoIterator<Item = String>) {
        let texts: Vec<String> = texts.into_iter().collect();
        self.0.write(&(texts.len() as u64).to_le_bytes());
        texts.iter().for_each(|text| self.text(text));
    }

    fn expr(&mut self, expr: Option<&Expr>) {
        self.each(expr.map(|expr| expr.text.clone()));
    }

    /// How its keys are written, and what its entries ask.
    fn branch(&mut self, branch: &Branch, relations: &[Relation]) {
        for (_, Part { integer, number, fold }) in &branch.maker.key {
            self.0.write(&[*integer, *number, fold.case, fold.accents, fold.padding].map(u8::from));
        }
        if let Holds::Pivot { as_text, .. } = &branch.maker.holds {
            self.0.write(&[u8::from(*as_text)]);
        }
        for ask in branch.scope.asks() {
            self.text(&hex(&relations[ask.relation].definition.to_le_bytes()));
            self.text(&relations[ask.relation].path);
        }
    }
}
