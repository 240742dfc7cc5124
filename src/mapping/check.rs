//! From tree to program: names are resolved to columns, types are checked, all faults are found.

mod level;
mod words;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use jiff::tz::TimeZone;
use passerelle_change::{Column, Type, Value};

use super::fault::Fault;
use super::filters;
use super::kind::{Kind, widest};
use super::program::{Node, Program};
use super::related::Tables;
use super::related::asking::{Asking, Makes};
use super::row::Slot;
use super::syntax::{self, BinaryOp, Expr, ExprKind, Segment};
use crate::config::model::{Related, Standard};
pub(super) use level::Level;
pub(super) use words::{no_boolean, unknown_label};

/// Where a `tinyint(1)` holds more than 0 and 1.
const FLAG_OR_NUMBER: &str =
    "a tinyint(1) is true or false here; where it holds numbers, set tinyint1 = \"int\" of the source";

/// What expressions are checked against; collects the columns that they use, and the relations that they ask.
pub(super) struct Checker<'c> {
    /// The rows whose columns can be named: the first is the scope's own, the others are related to one before them.
    pub(super) levels: Vec<Level<'c>>,
    /// All columns were named in a fault: once is enough.
    named_all: bool,
    /// Zone in which naive times are read.
    pub(super) zone: TimeZone,
    pub(super) slots: Vec<Slot>,
    /// What filters do where they are not told, and whether blank text is null.
    pub(super) standard: Standard,
    pub(super) asking: Asking<'c>,
}

/// A checked node: its kind, and where it stands.
pub(super) struct Typed {
    pub(super) node: Node,
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// One column of a row key: its type, and where it stands in the expression.
pub(super) type KeyPart = (Kind, Range<usize>);

impl<'c> Checker<'c> {
    pub(super) fn new(columns: &'c [Column], zone: TimeZone) -> Self {
        Self::over(Level::own("the table", columns), zone)
    }

    /// Of a scope whose own row is this.
    pub(super) fn over(level: Level<'c>, zone: TimeZone) -> Self {
        Self {
            levels: vec![level],
            named_all: false,
            zone,
            slots: Vec::new(),
            standard: Standard::default(),
            asking: Asking::default(),
        }
    }

    /// Without a catalogue: everything but the columns and their types is checked. In what it compiles, columns are absent.
    pub(super) fn untyped(zone: TimeZone) -> Self {
        let mut checker = Self::new(&[], zone);
        checker.levels[0].is_unknown = true;
        checker
    }

    /// The same with the names of all columns that the table has.
    pub(super) fn with_names(mut self, others: &'c [String]) -> Self {
        self.levels[0].others = Cow::Borrowed(others);
        self
    }

    /// The same with columns that are null in every row.
    pub(super) fn with_nulls(mut self, nulls: &BTreeMap<String, Type>) -> Self {
        self.levels[0].nulls = nulls.clone();
        self
    }

    /// The same with `[standard]`.
    pub(super) fn with_standard(self, standard: &Standard) -> Self {
        Self { standard: standard.clone(), ..self }
    }

    /// The same with related rows. Without `tables` theirs are not known.
    pub(super) fn with_relations(mut self, relations: &'c [Related], tables: Option<Tables<'c>>) -> Self {
        self.levels[0].relations = relations;
        self.asking.tables = tables;
        self
    }

    /// Compiles an expression, or says everything that is wrong with it.
    pub(super) fn compile(&mut self, text: &str) -> Result<(Program, Kind), Vec<Fault>> {
        self.compile_at(0, text)
    }

    /// The same over the row of another level.
    pub(super) fn compile_at(&mut self, level: usize, text: &str) -> Result<(Program, Kind), Vec<Fault>> {
        let tree = syntax::parse(text).map_err(|fault| vec![fault])?;
        self.compile_tree(level, text, &tree, None)
    }

    /// Compiles a part of a text. `beside` is what it stands beside: a constant is read as that.
    pub(super) fn compile_tree(
        &mut self,
        level: usize,
        text: &str,
        tree: &Expr,
        beside: Option<&Beside>,
    ) -> Result<(Program, Kind), Vec<Fault>> {
        let mut pass = Pass { checker: self, text, level, needs: Vec::new(), faults: Vec::new() };
        let typed = pass.typed(tree);
        let typed = match beside {
            Some(beside) => typed.and_then(|typed| pass.read_beside(typed, beside)),
            None => typed,
        };
        let Pass { needs, faults, .. } = pass;
        match typed {
            Some(Typed { node, kind, .. }) if faults.is_empty() => Ok((Program { root: node, needs }, kind)),
            _ => Err(settled(faults)),
        }
    }

    /// Compiles a row key: a list is one of several columns, each of its own type. Gives the parts' types and spans.
    pub(super) fn compile_key(&mut self, text: &str) -> Result<(Program, Vec<KeyPart>), Vec<Fault>> {
        let tree = syntax::parse(text).map_err(|fault| vec![fault])?;
        let (is_list, items) = match &tree.kind {
            ExprKind::List(items) => (true, &items[..]),
            _ => (false, std::slice::from_ref(&tree)),
        };
        let mut pass = Pass { checker: self, text, level: 0, needs: Vec::new(), faults: Vec::new() };
        let typed: Vec<_> = items.iter().map(|item| pass.typed(item)).collect();
        let Pass { needs, faults, .. } = pass;
        // A part whose relation has faults has none of its own.
        let typed = typed.into_iter().collect::<Option<Vec<_>>>();
        let Some(typed) = typed.filter(|_| faults.is_empty()) else { return Err(settled(faults)) };
        let kinds = typed.iter().map(|typed| (typed.kind.clone(), typed.span.clone())).collect();
        let mut nodes: Vec<_> = typed.into_iter().map(|typed| typed.node).collect();
        let root = if is_list || nodes.len() != 1 { Node::List(nodes) } else { nodes.swap_remove(0) };
        Ok((Program { root, needs }, kinds))
    }

    /// The slot of a column of a level's row.
    pub(super) fn slot(&mut self, level: usize, name: &str) -> Option<usize> {
        let known = &self.levels[level];
        let path = known.path_of(name);
        if let Some(slot) = self.slots.iter().position(|slot| slot.ask == known.ask && slot.name == path) {
            return Some(slot);
        }
        let slot = match known.nulls.get(name) {
            _ if known.is_unknown => Slot::unknown(name),
            Some(ty) => Slot::null(name, ty),
            None => Slot::find(name, &known.columns)?,
        };
        let fold = known.folded.get(name).copied().unwrap_or_default();
        let slot = slot.found_by(known.ask, path).with_fold(fold);
        self.slots.push(if self.standard.empty_is_null { slot.with_blank_as_null() } else { slot });
        Some(self.slots.len() - 1)
    }
}

/// What an expression stands beside: its kind, and whether it is a `tinyint(1)`.
pub(super) struct Beside {
    pub(super) kind: Kind,
    pub(super) is_flag: bool,
}

/// One expression. A node that is `None` has a fault already: what stands above it is not faulted again.
struct Pass<'p, 'c> {
    checker: &'p mut Checker<'c>,
    /// The expression.
    text: &'p str,
    /// The row that bare names are of.
    level: usize,
    needs: Vec<usize>,
    faults: Vec<Fault>,
}

impl Pass<'_, '_> {
    fn typed(&mut self, expr: &Expr) -> Option<Typed> {
        let span = expr.span.clone();
        let (node, kind) = match &expr.kind {
            ExprKind::Constant(value) => (Node::Constant(value.clone()), Kind::of_value(value)),
            ExprKind::Column(name) => self.column(name, expr)?,
            ExprKind::Related(path) => self.related(path, expr)?,
            ExprKind::List(items) => self.list(items)?,
            ExprKind::Not(operand) => (Node::Not(Box::new(self.condition(operand)?)), Kind::Bool),
            ExprKind::Negate(operand) => {
                let typed = self.typed(operand)?;
                self.number(&typed, "-")?;
                (Node::Negate(Box::new(typed.node)), typed.kind)
            }
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right, expr)?,
            ExprKind::IsNull { negated, operand } => {
                let operand = Box::new(self.typed(operand)?.node);
                (Node::IsNull { negated: *negated, operand }, Kind::Bool)
            }
            ExprKind::If { condition, then, otherwise } => {
                let condition = self.condition(condition);
                let then = self.typed(then);
                let otherwise = match otherwise {
                    Some(otherwise) => self.typed(otherwise),
                    None => Some(Typed { node: Node::Constant(Value::Null), kind: Kind::Null, span: span.clone() }),
                };
                let (condition, then, otherwise) = (condition?, then?, otherwise?);
                let kind = self.unified(&then, &otherwise, "the two sides of `if`")?;
                (Node::If(Box::new([condition, then.node, otherwise.node])), kind)
            }
            ExprKind::Filter { input, name, name_span, arguments } => {
                let input = self.typed(input);
                let mut given = Vec::new();
                for argument in arguments {
                    given.push((argument.name.clone(), self.typed(&argument.value)));
                }
                self.add_standard(name, name_span, &mut given);
                let built = filters::build(name, name_span, input, given, &self.checker.zone, &self.checker.standard);
                built.map_err(|fault| self.faults.extend(fault)).ok()?
            }
        };
        Some(Typed { node, kind, span })
    }

    /// What `[standard]` says where a filter, or the one that `map` names, is given nothing.
    fn add_standard(&self, name: &str, span: &Range<usize>, given: &mut Vec<filters::Given>) {
        let Standard { country, date, .. } = &self.checker.standard;
        let (at, name) = match name {
            "map" => match filters::mapped_filter(given) {
                Some((at, Some(name))) => (Some(at), name),
                _ => return,
            },
            name => (None, name),
        };
        let (parameter, value) = match name {
            "phone" => ("country", country),
            "date" => ("format", date),
            _ => return,
        };
        let says_it = |(place, (name, _)): (usize, &filters::Given)| {
            Some(place) != at && name.as_ref().is_none_or(|(name, _)| name == parameter)
        };
        let Some(value) = value.as_ref().filter(|_| !given.iter().enumerate().any(says_it)) else { return };
        let value = Value::Text(Cow::Owned(value.clone()));
        let typed = Typed { kind: Kind::of_value(&value), node: Node::Constant(value), span: span.clone() };
        given.push((Some((parameter.to_owned(), span.clone())), Some(typed)));
    }

    fn column(&mut self, name: &str, expr: &Expr) -> Option<(Node, Kind)> {
        self.column_of(self.level, name, &expr.span)
    }

    /// A column of a level's row.
    fn column_of(&mut self, level: usize, name: &str, span: &Range<usize>) -> Option<(Node, Kind)> {
        let is_relation = self.checker.relation(level, name).is_some();
        if let Some(slot) = self.checker.slot(level, name).filter(|_| !is_relation) {
            return Some(self.needed(slot));
        }
        let fault =
            if is_relation { self.relation_alone(level, name, span) } else { self.unknown_column(level, name, span) };
        self.faults.push(fault);
        None
    }

    fn needed(&mut self, slot: usize) -> (Node, Kind) {
        if !self.needs.contains(&slot) {
            self.needs.push(slot);
        }
        (Node::Slot(slot), self.checker.slots[slot].kind())
    }

    /// `country.code`, `bill.country.code`, `meta.billing_phone`, `orders.total`.
    fn related(&mut self, path: &[Segment], expr: &Expr) -> Option<(Node, Kind)> {
        let mut level = self.level;
        let mut rest = path;
        while let [(name, span), behind @ ..] = rest {
            let [(next, next_span), further @ ..] = behind else {
                return self.column_of(level, name, if level == self.level { &expr.span } else { span });
            };
            let Some(index) = self.checker.relation(level, name) else {
                let fault = self.unknown_relation(level, rest, expr);
                self.faults.push(fault);
                return None;
            };
            // Its own faults are noted where it stands.
            let ask = self.checker.ask(level, index)?;
            match self.checker.asking.made(ask) {
                Makes::One(child) => level = *child,
                Makes::Pivot(_) | Makes::Rollup(_) if !further.is_empty() => {
                    let fault = self.through(ask, rest, expr);
                    self.faults.push(fault);
                    return None;
                }
                Makes::Pivot(_) | Makes::Rollup(_) => {
                    let slot = self.checker.made_slot(ask, level, name, next);
                    let slot = slot.map_err(|fault| self.faults.push(fault.at(next_span.clone()))).ok()?;
                    return Some(self.needed(slot));
                }
            }
            rest = behind;
        }
        None
    }

    fn list(&mut self, items: &[Expr]) -> Option<(Node, Kind)> {
        let typed: Vec<_> = items.iter().map(|item| self.typed(item)).collect();
        let typed: Vec<_> = typed.into_iter().collect::<Option<_>>()?;
        let mut kind = Kind::Null;
        for item in &typed {
            let Some(both) = kind.unified(&item.kind) else {
                let message = format!("a list of {} holds {}", kind.name(), item.kind.name());
                self.faults.push(Fault::new(item.span.clone(), message).hint("the items of a list are of one type"));
                return None;
            };
            kind = both;
        }
        Some((Node::List(typed.into_iter().map(|item| item.node).collect()), Kind::List(Box::new(kind))))
    }

    fn condition(&mut self, expr: &Expr) -> Option<Node> {
        let typed = self.typed(expr)?;
        if typed.kind.is_bool() {
            return Some(typed.node);
        }
        self.faults.push(no_boolean(&typed.kind, typed.span, self.text));
        None
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, whole: &Expr) -> Option<(Node, Kind)> {
        let (left, right) = (self.typed(left), self.typed(right));
        let (left, right) = (left?, right?);
        match op {
            BinaryOp::And => {
                for side in [&left, &right].into_iter().filter(|side| !side.kind.is_bool()) {
                    self.faults.push(no_boolean(&side.kind, side.span.clone(), self.text));
                }
                Some((Node::And(Box::new([left.node, right.node])), Kind::Bool))
            }
            BinaryOp::Or
                if left.kind.is_bool() && right.kind.is_bool() && left.kind.unified(&right.kind) != Some(Kind::Any) =>
            {
                Some((Node::Or(Box::new([left.node, right.node])), Kind::Bool))
            }
            BinaryOp::Or => {
                if left.kind.unified(&right.kind).is_none() {
                    let fault = self.unlike_sides(&left, &right, whole, "the two sides of `or`");
                    self.faults.push(self.one_of(fault, &left, &right));
                    return None;
                }
                let kind = left.kind.unified(&right.kind)?;
                Some((Node::Coalesce(Box::new([left.node, right.node])), kind))
            }
            BinaryOp::Equal
            | BinaryOp::NotEqual
            | BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual => self.comparison(op, left, right, whole),
            BinaryOp::In | BinaryOp::NotIn => self.membership(op == BinaryOp::NotIn, left, right, &whole.kind),
            BinaryOp::Concat => self.concat(left, right),
            BinaryOp::Add
            | BinaryOp::Subtract
            | BinaryOp::Multiply
            | BinaryOp::Divide
            | BinaryOp::DivideWhole
            | BinaryOp::Remainder => {
                if op == BinaryOp::Add && !(left.kind.is_number() && right.kind.is_number()) {
                    self.faults.push(self.no_sum(&left, &right, whole));
                    return None;
                }
                let sides = (self.number(&left, op.symbol()), self.number(&right, op.symbol()));
                let kind = match (sides, widest(&left.kind, &right.kind)) {
                    ((Some(()), Some(())), Kind::Int) if op == BinaryOp::Divide => Kind::Decimal,
                    ((Some(()), Some(())), kind) => kind,
                    _ => return None,
                };
                Some((Node::Arithmetic(op, Box::new([left.node, right.node])), kind))
            }
        }
    }

    fn comparison(&mut self, op: BinaryOp, left: Typed, right: Typed, whole: &Expr) -> Option<(Node, Kind)> {
        if left.kind == Kind::Null || right.kind == Kind::Null {
            self.faults.push(self.compared_with_null(op, &left, &right, whole));
            return None;
        }
        if let (Node::Constant(Value::Text(a)), Node::Constant(Value::Text(b))) = (&left.node, &right.node) {
            self.faults.push(self.two_constants(a, b, &left, &right, whole));
            return None;
        }
        let left = self.as_flag(left, &right);
        let right = self.as_flag(right, &left);
        let left_kind = left.kind.clone();
        let left = self.coerced(left, &right.kind)?;
        let right = self.coerced(right, &left_kind)?;
        let either = |is: fn(&Kind) -> bool| is(&left.kind) || is(&right.kind);
        if left.kind.unified(&right.kind).is_none() || either(|kind| matches!(kind, Kind::Json | Kind::List(_))) {
            self.faults.push(self.unlike(op, &left, &right, whole));
            return None;
        }
        let ordered = !matches!(op, BinaryOp::Equal | BinaryOp::NotEqual);
        if ordered && matches!((&left.kind, &right.kind), (Kind::Enum(_), _) | (_, Kind::Enum(_))) {
            let fault = Fault::new(whole.span.clone(), "the labels of an enum have no order here");
            self.faults.push(fault.hint("name those that are meant: `state in ['a', 'b']`"));
            return None;
        }
        Some((Node::Compare(op, Box::new([left.node, right.node])), Kind::Bool))
    }

    fn membership(
        &mut self,
        negated: bool,
        needle: Typed,
        mut haystack: Typed,
        whole: &ExprKind,
    ) -> Option<(Node, Kind)> {
        let spans: Vec<Range<usize>> = match whole {
            ExprKind::Binary(_, _, right) => match &right.kind {
                ExprKind::List(items) => items.iter().map(|item| item.span.clone()).collect(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        if let Node::List(items) = haystack.node {
            let mut coerced = Vec::new();
            for (at, node) in items.into_iter().enumerate() {
                let kind = match &node {
                    Node::Constant(value) => Kind::of_value(value),
                    _ => Kind::Null,
                };
                let span = spans.get(at).unwrap_or(&haystack.span).clone();
                let item = self.as_flag(Typed { node, kind, span }, &needle);
                let item = self.coerced(item, &needle.kind);
                coerced.extend(item.map(|item| item.node));
            }
            if !self.faults.is_empty() {
                return None;
            }
            if let Some(Node::Constant(first)) =
                coerced.iter().find(|node| !matches!(node, Node::Constant(Value::Null)))
            {
                haystack.kind = Kind::List(Box::new(Kind::of_value(first)));
            }
            haystack.node = Node::List(coerced);
        }
        let fits = match &haystack.kind {
            Kind::List(item) => item.unified(&needle.kind).is_some() && !matches!(**item, Kind::List(_) | Kind::Json),
            Kind::Any => true,
            kind => kind.is_text() && needle.kind.is_text(),
        };
        if !fits {
            let message = match &haystack.kind {
                Kind::List(item) => format!("{} is looked for in a list of {}", needle.kind.name(), item.name()),
                kind => format!("{} is looked for in {}", needle.kind.name(), kind.name()),
            };
            let fault = Fault::new(needle.span.start..haystack.span.end, message);
            self.faults.push(fault.hint("`in` looks in a list of the same type: `n in [1, 2]`; or for text in text"));
            return None;
        }
        Some((Node::In { negated, operands: Box::new([needle.node, haystack.node]) }, Kind::Bool))
    }

    fn concat(&mut self, left: Typed, right: Typed) -> Option<(Node, Kind)> {
        for side in [&left, &right] {
            let message = match &side.kind {
                Kind::Bytes => "bytes are joined to text",
                Kind::List(_) => "a list is joined to text",
                _ => continue,
            };
            self.faults.push(Fault::new(side.span.clone(), message));
            return None;
        }
        let mut parts = match left.node {
            Node::Concat(parts) => parts,
            node => vec![node],
        };
        parts.push(right.node);
        Some((Node::Concat(parts), Kind::Text))
    }

    fn number(&mut self, typed: &Typed, symbol: &str) -> Option<()> {
        if typed.kind.is_number() {
            return Some(());
        }
        let what = self.described(typed);
        let fault = Fault::new(typed.span.clone(), format!("`{symbol}` computes with numbers, and {what}"));
        self.faults.push(if typed.kind.is_text() {
            fault.hint(format!("text that holds a number is read as one: `{} | number`", self.operand(typed)))
        } else if matches!(typed.kind, Kind::Date | Kind::Time | Kind::DateTime | Kind::Timestamp) {
            fault.hint("there is no arithmetic on dates and times")
        } else if self.is_flag(typed) {
            fault.hint(FLAG_OR_NUMBER)
        } else {
            fault
        });
        None
    }

    fn unified(&mut self, left: &Typed, right: &Typed, what: &str) -> Option<Kind> {
        let kind = left.kind.unified(&right.kind);
        if kind.is_none() {
            let span = left.span.start.min(right.span.start)..left.span.end.max(right.span.end);
            let fault = Fault::new(span, format!("{what} are {} and {}", left.kind.name(), right.kind.name()));
            self.faults.push(fault.hint(self.made_alike(left, right)));
        }
        kind
    }

    /// What stands beside a value of another table: a constant is read as that.
    fn read_beside(&mut self, typed: Typed, beside: &Beside) -> Option<Typed> {
        let typed = match typed.node {
            Node::Constant(Value::Int(number @ (0 | 1))) if beside.is_flag => {
                Typed { node: Node::Constant(Value::Bool(number == 1)), kind: Kind::Bool, span: typed.span }
            }
            _ => typed,
        };
        self.coerced(typed, &beside.kind)
    }

    /// 1 or 0 beside a column whose database writes true and false so.
    fn as_flag(&self, typed: Typed, beside: &Typed) -> Typed {
        match typed.node {
            Node::Constant(Value::Int(number @ (0 | 1))) if self.is_flag(beside) => {
                let node = Node::Constant(Value::Bool(number == 1));
                Typed { node, kind: Kind::Bool, span: typed.span }
            }
            _ => typed,
        }
    }

    /// Whether it is such a column.
    fn is_flag(&self, typed: &Typed) -> bool {
        matches!(typed.node, Node::Slot(slot) if self.checker.slots.get(slot).is_some_and(Slot::is_flag))
    }

    /// A text constant beside a date, a time, a UUID or an enum is read as one.
    fn coerced(&mut self, typed: Typed, beside: &Kind) -> Option<Typed> {
        let Node::Constant(Value::Text(text)) = &typed.node else { return Some(typed) };
        let zone = &self.checker.zone;
        let value = match beside {
            Kind::Date => text.parse().ok().map(Value::Date),
            Kind::Time => text.parse().ok().map(Value::Time),
            Kind::DateTime => text.parse().ok().map(Value::DateTime),
            Kind::Timestamp => filters::time::instant(text, zone).ok().map(Value::Timestamp),
            Kind::Uuid => Value::parse(&passerelle_change::Type::Uuid, Some(text.to_lowercase().as_bytes()))
                .map(Value::into_owned)
                .ok(),
            Kind::Enum(labels) if !labels.is_empty() && !labels.iter().any(|label| label == text) => {
                self.faults.push(unknown_label(text, labels, typed.span.clone()));
                return None;
            }
            _ => return Some(typed),
        };
        let Some(value) = value else {
            self.faults.push(self.unreadable(text, beside, typed.span));
            return None;
        };
        Some(Typed { kind: beside.clone(), node: Node::Constant(value), span: typed.span })
    }
}

/// In the order of their places, with what was probably meant.
fn settled(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_by_key(|fault| fault.span.start);
    faults.into_iter().map(|fault| fault.settled(syntax::mended)).collect()
}
