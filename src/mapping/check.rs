//! From tree to program: names are resolved to columns, types are checked, all faults are found.

use std::borrow::Cow;
use std::ops::Range;

use jiff::tz::TimeZone;
use passerelle_change::{Column, Value};

use super::fault::Fault;
use super::filters;
use super::kind::{Kind, widest};
use super::program::{Node, Program};
use super::row::Slot;
use super::syntax::{self, BinaryOp, Expr, ExprKind};
use crate::config::model::Standard;

/// What expressions are checked against; collects the columns that they use.
pub(super) struct Checker<'c> {
    columns: &'c [Column],
    /// Zone in which naive times are read.
    pub(super) zone: TimeZone,
    pub(super) slots: Vec<Slot>,
    /// What filters do where they are not told, and whether blank text is null.
    standard: Standard,
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
        Self { columns, zone, slots: Vec::new(), standard: Standard::default() }
    }

    /// The same with `[standard]`.
    pub(super) fn with_standard(self, standard: &Standard) -> Self {
        Self { standard: standard.clone(), ..self }
    }

    /// Compiles an expression, or says everything that is wrong with it.
    pub(super) fn compile(&mut self, text: &str) -> Result<(Program, Kind), Vec<Fault>> {
        let tree = syntax::parse(text).map_err(|fault| vec![fault])?;
        let mut pass = Pass { checker: self, needs: Vec::new(), faults: Vec::new() };
        let typed = pass.typed(&tree);
        let Pass { needs, mut faults, .. } = pass;
        match typed {
            Some(Typed { node, kind, .. }) if faults.is_empty() => Ok((Program { root: node, needs }, kind)),
            _ => {
                faults.sort_by_key(|fault| fault.span.start);
                Err(faults)
            }
        }
    }

    /// Compiles a row key: a list is one of several columns, each of its own type. Gives the parts' types and spans.
    pub(super) fn compile_key(&mut self, text: &str) -> Result<(Program, Vec<KeyPart>), Vec<Fault>> {
        let tree = syntax::parse(text).map_err(|fault| vec![fault])?;
        let (is_list, items) = match &tree.kind {
            ExprKind::List(items) => (true, &items[..]),
            _ => (false, std::slice::from_ref(&tree)),
        };
        let mut pass = Pass { checker: self, needs: Vec::new(), faults: Vec::new() };
        let typed: Vec<_> = items.iter().filter_map(|item| pass.typed(item)).collect();
        let Pass { needs, faults, .. } = pass;
        if !faults.is_empty() {
            return Err(faults);
        }
        let kinds = typed.iter().map(|typed| (typed.kind.clone(), typed.span.clone())).collect();
        let mut nodes: Vec<_> = typed.into_iter().map(|typed| typed.node).collect();
        let root = if is_list || nodes.len() != 1 { Node::List(nodes) } else { nodes.swap_remove(0) };
        Ok((Program { root, needs }, kinds))
    }

    fn slot(&mut self, name: &str) -> Option<usize> {
        if let Some(known) = self.slots.iter().position(|slot| slot.name == name) {
            return Some(known);
        }
        let slot = Slot::find(name, self.columns)?;
        self.slots.push(if self.standard.empty_is_null { slot.with_blank_as_null() } else { slot });
        Some(self.slots.len() - 1)
    }
}

/// One expression. A node that is `None` has a fault already: what stands above it is not faulted again.
struct Pass<'p, 'c> {
    checker: &'p mut Checker<'c>,
    needs: Vec<usize>,
    faults: Vec<Fault>,
}

impl Pass<'_, '_> {
    fn typed(&mut self, expr: &Expr) -> Option<Typed> {
        let span = expr.span.clone();
        let (node, kind) = match &expr.kind {
            ExprKind::Constant(value) => (Node::Constant(value.clone()), Kind::of_value(value)),
            ExprKind::Column(name) => self.column(name, expr)?,
            ExprKind::Related(path) => return self.related(path, expr),
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
                let built = filters::build(name, name_span, input, given, &self.checker.zone);
                built.map_err(|fault| self.faults.extend(fault)).ok()?
            }
        };
        Some(Typed { node, kind, span })
    }

    /// What `[standard]` says where a filter is given nothing.
    fn add_standard(&self, name: &str, span: &Range<usize>, given: &mut Vec<filters::Given>) {
        let Standard { country, date, .. } = &self.checker.standard;
        let (parameter, value) = match name {
            "phone" => ("country", country),
            "date" => ("format", date),
            _ => return,
        };
        let says_it = |(name, _): &filters::Given| name.as_ref().is_none_or(|(name, _)| name == parameter);
        let Some(value) = value.as_ref().filter(|_| !given.iter().any(says_it)) else { return };
        let value = Value::Text(Cow::Owned(value.clone()));
        let typed = Typed { kind: Kind::of_value(&value), node: Node::Constant(value), span: span.clone() };
        given.push((Some((parameter.to_owned(), span.clone())), Some(typed)));
    }

    fn column(&mut self, name: &str, expr: &Expr) -> Option<(Node, Kind)> {
        let Some(slot) = self.checker.slot(name) else {
            let known = self.checker.columns.iter().map(|column| column.name.as_str());
            let fault = Fault::new(expr.span.clone(), format!("the table has no column `{name}`"));
            let fault = fault.nearest(name, known);
            let quoted = format!("text is written in quotes: '{name}'");
            self.faults.push(if fault.hint.is_none() { fault.hint(quoted) } else { fault });
            return None;
        };
        if !self.needs.contains(&slot) {
            self.needs.push(slot);
        }
        Some((Node::Slot(slot), Kind::of_type(self.checker.slots[slot].ty())))
    }

    fn related(&mut self, path: &[String], expr: &Expr) -> Option<Typed> {
        let (first, rest) = path.split_first()?;
        let is_column = self.checker.columns.iter().any(|column| column.name == *first);
        let path = path.join(".");
        let fault = Fault::new(expr.span.clone(), format!("related rows come later: `{path}`"));
        self.faults.push(match (is_column, first.as_str()) {
            (true, _) => fault.hint(format!("`{first}` is a column of this table: a value has no parts")),
            (false, "row") => fault.hint(format!("write row[\"{}\"]", rest.join("."))),
            (false, _) => fault.hint("only columns of the mapping's own table can be used yet"),
        });
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
        self.faults.push(no_boolean(&typed.kind, typed.span));
        None
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, whole: &Expr) -> Option<(Node, Kind)> {
        let (left, right) = (self.typed(left), self.typed(right));
        let (left, right) = (left?, right?);
        match op {
            BinaryOp::And => {
                for side in [&left, &right].into_iter().filter(|side| !side.kind.is_bool()) {
                    self.faults.push(no_boolean(&side.kind, side.span.clone()));
                }
                Some((Node::And(Box::new([left.node, right.node])), Kind::Bool))
            }
            BinaryOp::Or if left.kind.is_bool() && right.kind.is_bool() => {
                Some((Node::Or(Box::new([left.node, right.node])), Kind::Bool))
            }
            BinaryOp::Or => {
                let kind = self.unified(&left, &right, "the two sides of `or`")?;
                Some((Node::Coalesce(Box::new([left.node, right.node])), kind))
            }
            BinaryOp::Equal
            | BinaryOp::NotEqual
            | BinaryOp::Less
            | BinaryOp::LessOrEqual
            | BinaryOp::Greater
            | BinaryOp::GreaterOrEqual => self.comparison(op, left, right, whole),
            BinaryOp::In | BinaryOp::NotIn => self.membership(op == BinaryOp::NotIn, left, right),
            BinaryOp::Concat => self.concat(left, right),
            BinaryOp::Add
            | BinaryOp::Subtract
            | BinaryOp::Multiply
            | BinaryOp::Divide
            | BinaryOp::DivideWhole
            | BinaryOp::Remainder => {
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
            let hint = if op == BinaryOp::NotEqual { "write `is not none`" } else { "write `is none`" };
            let message = format!("`{}` with null is always null", op.symbol());
            self.faults.push(Fault::new(whole.span.clone(), message).hint(hint));
            return None;
        }
        let left_kind = left.kind.clone();
        let left = self.coerced(left, &right.kind)?;
        let right = self.coerced(right, &left_kind)?;
        if left.kind.unified(&right.kind).is_none() || matches!(left.kind, Kind::Json | Kind::List(_)) {
            let message = format!("{} is compared with {}", left.kind.name(), right.kind.name());
            let fault = Fault::new(whole.span.clone(), message);
            self.faults.push(match comparison_hint(&left.kind, &right.kind) {
                Some(hint) => fault.hint(hint),
                None => fault,
            });
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

    fn membership(&mut self, negated: bool, needle: Typed, mut haystack: Typed) -> Option<(Node, Kind)> {
        if let Node::List(items) = haystack.node {
            let mut coerced = Vec::new();
            for node in items {
                let kind = match &node {
                    Node::Constant(value) => Kind::of_value(value),
                    _ => Kind::Null,
                };
                let item = Typed { node, kind, span: haystack.span.clone() };
                coerced.push(self.coerced(item, &needle.kind)?.node);
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
            kind => kind.is_text() && needle.kind.is_text(),
        };
        if !fits {
            let message = match &haystack.kind {
                Kind::List(item) => format!("{} is looked for in a list of {}", needle.kind.name(), item.name()),
                kind => format!("{} is looked for in {}", needle.kind.name(), kind.name()),
            };
            let fault = Fault::new(needle.span.start..haystack.span.end, message);
            self.faults.push(fault.hint("`in` takes a list of the same type, or text in text"));
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
        let fault =
            Fault::new(typed.span.clone(), format!("`{symbol}` computes with numbers; this is {}", typed.kind.name()));
        let text = typed.kind.is_text();
        self.faults.push(match (text, symbol) {
            (true, "+") => fault.hint("text is joined with `~`; text that holds a number is read with `| number`"),
            (true, _) => fault.hint("text that holds a number is read with `| number`"),
            (false, _) => fault,
        });
        None
    }

    fn unified(&mut self, left: &Typed, right: &Typed, what: &str) -> Option<Kind> {
        let kind = left.kind.unified(&right.kind);
        if kind.is_none() {
            let message = format!("{what} are {} and {}", left.kind.name(), right.kind.name());
            let span = left.span.start.min(right.span.start)..left.span.end.max(right.span.end);
            self.faults.push(Fault::new(span, message).hint("both must be of one type"));
        }
        kind
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
                let fault = Fault::new(typed.span.clone(), format!("the enum has no label '{text}'"));
                let fault = fault.nearest(text, labels.iter().map(String::as_str));
                let all = format!("its labels: {}", labels.join(", "));
                self.faults.push(if fault.hint.is_none() { fault.hint(all) } else { fault });
                return None;
            }
            _ => return Some(typed),
        };
        let Some(value) = value else {
            let message = format!("'{text}' is not {}", beside.name());
            let hint = "dates are written '2024-01-31', times '10:00:00', instants '2024-01-31T10:00:00Z'";
            self.faults.push(Fault::new(typed.span, message).hint(hint));
            return None;
        };
        Some(Typed { kind: beside.clone(), node: Node::Constant(value), span: typed.span })
    }
}

/// A condition that is none.
pub(super) fn no_boolean(kind: &Kind, span: Range<usize>) -> Fault {
    let fault = Fault::new(span, format!("a condition is due, but this is {}", kind.name()));
    match kind {
        Kind::Int | Kind::Decimal | Kind::Float => fault.hint("compare it: `x != 0`"),
        Kind::Text | Kind::Enum(_) => fault.hint("compare it: `x == '…'`, or read it with `| bool`"),
        _ => fault.hint("ask whether it is there: `x is not none`"),
    }
}

fn comparison_hint(left: &Kind, right: &Kind) -> Option<&'static str> {
    let either = |is: fn(&Kind) -> bool| is(left) || is(right);
    if either(|kind| *kind == Kind::Bool) {
        return Some("a boolean is a condition by itself: write `x` or `not x`");
    }
    if either(Kind::is_text) && either(Kind::is_number) {
        return Some("read text as a number with `| number`, or put the number in quotes");
    }
    if either(|kind| *kind == Kind::Date) {
        return Some("take the date with `| date`");
    }
    if either(|kind| *kind == Kind::Timestamp) {
        return Some("make it an instant with `| datetime`");
    }
    if either(|kind| *kind == Kind::Bytes) {
        return Some("compare bytes by their digits: `x | hex == '…'`");
    }
    None
}
