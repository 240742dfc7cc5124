//! What is said of an expression whose names or types are wrong, and how it was probably meant.

use std::ops::Range;

use passerelle_change::Value;

use super::{Makes, Pass, Segment, Typed};
use crate::config::nearest;
use crate::mapping::fault::Fault;
use crate::mapping::kind::Kind;
use crate::mapping::program::Node;
use crate::mapping::syntax::{BinaryOp, Expr};

/// A table with no more columns has them all named.
const COLUMNS_SHOWN: usize = 16;
/// The most labels of an enum that are named.
const LABELS_SHOWN: usize = 16;
/// The longest part of an expression that is repeated in a message, in characters.
const LONGEST_QUOTED: usize = 24;
/// Texts and numbers that mean true, and false.
const YES: &[&str] = &["1", "t", "true", "y", "yes", "on", "oui", "ja"];
const NO: &[&str] = &["0", "f", "false", "n", "no", "off", "non", "nein"];

impl Pass<'_, '_> {
    /// A name that the table has not.
    pub(super) fn unknown_column(&mut self, level: usize, name: &str, span: &Range<usize>) -> Fault {
        let known = &self.checker.levels[level];
        let mut names: Vec<&str> = known.columns.iter().map(|column| column.name.as_str()).collect();
        names.extend(known.others.iter().map(String::as_str));
        names.sort_unstable();
        names.dedup();
        let fault = Fault::new(span.clone(), format!("{} has no column `{name}`", known.table));
        let constant = ["none", "null", "true", "false"].into_iter().find(|word| name.eq_ignore_ascii_case(word));
        let constant = constant.or(matches!(name, "nil" | "NaN" | "undefined" | "Null").then_some("none"));
        if let Some(word) = constant.filter(|_| known.ask.is_none()) {
            return fault
                .hint("a constant has a form of its own")
                .instead(self.splice(span, &word.replace("null", "none")));
        }
        if let Some(near) = nearest(name, names.iter().copied()) {
            let near = if known.ask.is_none() { as_written(near) } else { behind_a_point(near) };
            return fault.hint(format!("did you mean `{near}`?"));
        }
        let all = names.iter().map(|name| format!("`{}`", as_written(name))).collect::<Vec<_>>().join(", ");
        if known.ask.is_some() {
            let is_shown = names.len() <= COLUMNS_SHOWN && !names.is_empty();
            return if is_shown { fault.hint(format!("its columns: {all}")) } else { fault };
        }
        let is_bracketed = self.text[span.clone()].ends_with(']');
        let is_shown = names.len() <= COLUMNS_SHOWN && !names.is_empty() && !self.checker.named_all;
        self.checker.named_all |= is_shown;
        fault.hint(match (is_shown, is_bracketed) {
            (true, true) => format!("its columns: {all}"),
            (true, false) => format!("its columns: {all}\na text is written in quotes: '{name}'"),
            (false, true) => "it is a name of the database, not a label".to_owned(),
            (false, false) => format!("a text is written in quotes: '{name}'"),
        })
    }

    /// `a.b`, where `a` is no relation of the level's row.
    pub(super) fn unknown_relation(&self, level: usize, path: &[Segment], expr: &Expr) -> Fault {
        let known = &self.checker.levels[level];
        let [(first, first_span), rest @ ..] = path else { return Fault::new(expr.span.clone(), "no name") };
        let column = known.columns.iter().find(|column| column.name == *first);
        let span = if level == self.level { expr.span.clone() } else { first_span.start..expr.span.end };
        let fault = |message: String| Fault::new(span.clone(), message);
        let behind: Vec<&str> = rest.iter().map(|(name, _)| name.as_str()).collect();
        let behind = behind.join(".");
        let is_bracketed = self.text[expr.span.clone()].ends_with(']');
        let near = nearest(first, known.relations.iter().map(|related| &*related.name));
        let json = format!("{} | json('{behind}')", known.path_of(first));
        match column.map(|column| Kind::of_type(&column.ty)) {
            Some(Kind::Json) if is_bracketed => fault("values are not indexed".to_owned())
                .hint("a part of JSON")
                .instead(self.splice(&expr.span, &json)),
            Some(Kind::Json) => fault(format!("a part of JSON is not read with a point: `{first}.{behind}`"))
                .instead(self.splice(&expr.span, &json)),
            Some(kind) => fault(format!("`{first}` is a column, and {} has no parts", kind.name())),
            None if first == "row" => fault(format!("`{first}.{behind}`: `row` takes a name in brackets"))
                .instead(self.splice(&expr.span, &as_written(&behind))),
            None => {
                let title = self.checker.asking.title(known);
                let message = match &*title {
                    "" => format!("there is no relation `{first}`"),
                    path => format!("`{path}` has no relation `{first}`"),
                };
                let fault = Fault::new(first_span.clone(), message);
                if let Some(near) = near {
                    return fault.hint(format!("did you mean `{near}`?"));
                }
                let names: Vec<String> = known.relations.iter().map(|related| format!("`{}`", related.name)).collect();
                let names = if names.is_empty() {
                    let before: String = title.split('.').map(|name| format!(".with.{name}")).collect();
                    let before = if title.is_empty() { String::new() } else { before };
                    format!("rows of other tables are named in `with`: [mapping.NAME{before}.with.{first}]")
                } else {
                    format!("relations: {}", names.join(", "))
                };
                fault.hint(if known.is_unknown && known.ask.is_none() {
                    format!("{names}\na part of JSON is read with `{json}`")
                } else {
                    names
                })
            }
        }
    }

    /// A relation's name where a column is due.
    pub(super) fn relation_alone(&self, level: usize, name: &str, span: &Range<usize>) -> Fault {
        let path = self.checker.levels[level].path_of(name);
        let fault = Fault::new(span.clone(), format!("`{path}` is a relation, not a value"));
        fault.hint(format!("name what is taken of it: `{path}.…`; whether there is a row: `{path}.id is not none`"))
    }

    /// A path that goes on behind a pivot's or a rollup's name.
    pub(super) fn through(&self, ask: usize, path: &[Segment], expr: &Expr) -> Fault {
        let (name, what) = match (path, self.checker.asking.made(ask)) {
            ([(name, _), ..], Makes::Pivot(_)) => (name, "a pivot"),
            ([(name, _), ..], _) => (name, "a rollup"),
            ([], _) => return Fault::new(expr.span.clone(), "no name"),
        };
        let start = path.get(1).map_or(expr.span.start, |(_, span)| span.start);
        let fault = Fault::new(start..expr.span.end, format!("`{name}` is {what}: it has no rows to go on from"));
        fault.hint(format!("`{name}.…` is followed by one name; what is further away is named in its own `with`"))
    }

    /// A comparison with null, which is null itself.
    pub(super) fn compared_with_null(&self, op: BinaryOp, left: &Typed, right: &Typed, whole: &Expr) -> Fault {
        let fault = Fault::new(whole.span.clone(), format!("`{}` with null is always null", op.symbol()));
        let other = if left.kind == Kind::Null { right } else { left };
        let test = if op == BinaryOp::NotEqual { "is not none" } else { "is none" };
        fault.hint("null is asked for").instead(self.splice(&whole.span, &format!("{} {test}", self.operand(other))))
    }

    /// `'state' == 'sale'`.
    pub(super) fn two_constants(&self, a: &str, b: &str, left: &Typed, right: &Typed, whole: &Expr) -> Fault {
        let fault = Fault::new(whole.span.clone(), "both sides are fixed texts: the answer is the same for every row");
        let columns = &self.checker.levels[self.level].columns;
        let is_column = |name: &str| columns.iter().any(|column| column.name == name);
        let column = [(a, left), (b, right)].into_iter().find(|(name, _)| is_column(name));
        match column {
            Some((name, side)) => {
                fault.hint("a column stands without quotes").instead(self.splice(&side.span, &as_written(name)))
            }
            None => fault.hint("a column stands without quotes"),
        }
    }

    /// A comparison of types that do not go together.
    pub(super) fn unlike(&self, op: BinaryOp, left: &Typed, right: &Typed, whole: &Expr) -> Fault {
        let message = match (self.quoted(left), self.quoted(right)) {
            (Some(a), Some(b)) => {
                format!("`{a}` is {} and `{b}` {}: they cannot be compared", left.kind.name(), right.kind.name())
            }
            _ => format!("{} cannot be compared with {}", left.kind.name(), right.kind.name()),
        };
        let fault = Fault::new(whole.span.clone(), message);
        let span = &whole.span;
        // Each kind's remedy, whichever side it stands on.
        for (one, other) in [(left, right), (right, left)] {
            let filtered = |filter: &str| self.splice(&one.span, &format!("{} | {filter}", self.operand(one)));
            match (&one.kind, &other.kind) {
                (Kind::Bool, kind) if kind.is_number() && self.is_flag(one) => {
                    return fault.hint(super::FLAG_OR_NUMBER);
                }
                (Kind::Bool, _) => {
                    let fault = fault.hint("a boolean is a condition by itself");
                    return match truth(&other.node).map(|yes| yes == (op != BinaryOp::NotEqual)) {
                        Some(true) => fault.instead(self.splice(span, self.part(one))),
                        Some(false) => fault.instead(self.splice(span, &format!("not {}", self.operand(one)))),
                        None => fault,
                    };
                }
                (Kind::Json, _) => {
                    return fault.hint(format!("a part of it can: `{} | json('name')`", self.operand(one)));
                }
                (Kind::List(_), _) if op == BinaryOp::Equal || op == BinaryOp::NotEqual => {
                    let word = if op == BinaryOp::Equal { "in" } else { "not in" };
                    let meant = format!("{} {word} {}", self.operand(other), self.operand(one));
                    return fault.hint("a list is searched").instead(self.splice(span, &meant));
                }
                (kind, number) if kind.is_text() && number.is_number() => {
                    return self.text_and_number(fault, one, other);
                }
                (Kind::DateTime | Kind::Timestamp | Kind::Text, Kind::Date) => {
                    return fault.hint("the date of it is taken with `date`").instead(filtered("date"));
                }
                (Kind::DateTime | Kind::Text, Kind::Timestamp) => {
                    return fault.hint("an instant is made with `datetime`").instead(filtered("datetime"));
                }
                (Kind::DateTime | Kind::Timestamp | Kind::Text, Kind::Time) => {
                    return fault.hint("the time of day is taken with `time`").instead(filtered("time"));
                }
                (Kind::Bytes, _) => return fault.hint("bytes are compared by their digits").instead(filtered("hex")),
                (Kind::Uuid | Kind::Time | Kind::DateTime, kind) if kind.is_text() => {
                    let meant = self.splice(&one.span, &format!("{} ~ ''", self.operand(one)));
                    return fault.hint("text of it is made with `~`").instead(meant);
                }
                _ => {}
            }
        }
        fault
    }

    fn text_and_number(&self, fault: Fault, text: &Typed, number: &Typed) -> Fault {
        if let Kind::Enum(labels) = &text.kind {
            return fault.hint(format!("its labels are texts: {}", listed(labels)));
        }
        match &text.node {
            Node::Constant(Value::Text(constant)) => {
                let digits = constant.trim();
                let is_number =
                    !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-');
                let fault = fault.hint("a number stands without quotes");
                if is_number { fault.instead(self.splice(&text.span, digits)) } else { fault }
            }
            _ if matches!(number.node, Node::Constant(_)) => {
                let as_text = self.splice(&number.span, &format!("'{}'", self.part(number)));
                let as_number = self.splice(&text.span, &format!("{} | number", self.operand(text)));
                fault.hint(format!("as texts: `{as_text}`\nas numbers: `{as_number}`"))
            }
            _ => {
                let meant = self.splice(&text.span, &format!("{} | number", self.operand(text)));
                fault.hint("text that holds a number is read as one").instead(meant)
            }
        }
    }

    /// `+` over something that is no number.
    pub(super) fn no_sum(&self, left: &Typed, right: &Typed, whole: &Expr) -> Fault {
        let wrong = if left.kind.is_number() { right } else { left };
        let what = self.described(wrong);
        if left.kind.is_text() || right.kind.is_text() {
            let fault = Fault::new(whole.span.clone(), format!("`+` adds numbers, and {what}"));
            let mixed = [(left, right), (right, left)].into_iter().find(|(text, number)| {
                text.kind.is_text() && !matches!(text.node, Node::Constant(_)) && number.kind.is_number()
            });
            if let Some((text, _)) = mixed {
                let meant = self.splice(&text.span, &format!("{} | number", self.operand(text)));
                return fault
                    .hint("texts are joined with `~`; a text that holds a number is read as one")
                    .instead(meant);
            }
            let between = &self.text[left.span.end..right.span.start];
            let joined = format!("{}{}{}", self.part(left), between.replacen('+', "~", 1), self.part(right));
            return fault.hint(format!("texts are joined with `~`: `{joined}`"));
        }
        let fault = Fault::new(wrong.span.clone(), format!("`+` adds numbers, and {what}"));
        match wrong.kind {
            Kind::Date | Kind::DateTime | Kind::Timestamp | Kind::Time => {
                fault.hint("there is no arithmetic on dates and times")
            }
            Kind::Bool if self.is_flag(wrong) => fault.hint(super::FLAG_OR_NUMBER),
            _ => fault,
        }
    }

    /// Two values of which one is taken, and that are of two types.
    pub(super) fn unlike_sides(&self, left: &Typed, right: &Typed, whole: &Expr, what: &str) -> Fault {
        let message = format!("{what} are {} and {}", left.kind.name(), right.kind.name());
        Fault::new(whole.span.clone(), message).hint(self.made_alike(left, right))
    }

    /// `state == 'a' or 'b'`.
    pub(super) fn one_of(&self, fault: Fault, left: &Typed, right: &Typed) -> Fault {
        let Node::Constant(_) = right.node else { return fault };
        let Node::Compare(BinaryOp::Equal, sides) = &left.node else { return fault };
        let Node::Constant(_) = sides[1] else { return fault };
        let Some((value, first)) = self.part(left).split_once("==") else { return fault };
        let meant = format!("{} in [{}, {}]", value.trim(), first.trim(), self.part(right));
        let whole = left.span.start..right.span.end;
        fault.hint("one of several").instead(self.splice(&whole, &meant))
    }

    /// How two values come to be of one type.
    pub(super) fn made_alike(&self, left: &Typed, right: &Typed) -> String {
        let text = left.kind.is_text() || right.kind.is_text();
        let other = if left.kind.is_text() { right } else { left };
        match (&other.kind, text) {
            (Kind::Bool, true) => {
                format!("both must be of one type; in words: `'yes' if {} else 'no'`", self.operand(other))
            }
            (Kind::Json | Kind::List(_) | Kind::Bytes, _) | (_, false) => "both must be of one type".to_owned(),
            (_, true) => format!("both must be of one type; as text: `{} ~ ''`", self.operand(other)),
        }
    }

    /// A text that cannot be what stands beside it.
    pub(super) fn unreadable(&self, text: &str, beside: &Kind, span: Range<usize>) -> Fault {
        let fault = Fault::new(span.clone(), format!("'{text}' is not {}", beside.name()));
        let form = match beside {
            Kind::Date => "dates are written '2024-01-31'",
            Kind::Time => "times of day are written '10:00:00'",
            Kind::DateTime => "dates and times are written '2024-01-31 10:00:00'",
            Kind::Uuid => "a UUID has 32 digits and letters from a to f, in groups of 8, 4, 4, 4 and 12",
            _ => "instants are written '2024-01-31T10:00:00Z'",
        };
        let fault = fault.hint(form);
        match turned(text).filter(|_| *beside == Kind::Date) {
            Some(date) => fault.instead(self.splice(&span, &format!("'{date}'"))),
            None => fault,
        }
    }

    /// The expression with a part of it replaced.
    fn splice(&self, span: &Range<usize>, with: &str) -> String {
        format!("{}{with}{}", &self.text[..span.start], &self.text[span.end..])
    }

    fn part(&self, typed: &Typed) -> &str {
        &self.text[typed.span.clone()]
    }

    /// A part as an operand: in parentheses where it is more than a word.
    pub(super) fn operand(&self, typed: &Typed) -> String {
        in_parentheses(self.part(typed))
    }

    /// `` `name` is text ``, or `this is text` where it is long.
    pub(super) fn described(&self, typed: &Typed) -> String {
        match self.quoted(typed) {
            Some(part) => format!("`{part}` is {}", typed.kind.name()),
            None => format!("this is {}", typed.kind.name()),
        }
    }

    fn quoted(&self, typed: &Typed) -> Option<&str> {
        let part = self.part(typed);
        (part.chars().count() <= LONGEST_QUOTED).then_some(part)
    }
}

/// A condition that is none; `span` is its part of the expression `text`.
pub(in crate::mapping) fn no_boolean(kind: &Kind, span: Range<usize>, text: &str) -> Fault {
    let part = text.get(span.clone()).unwrap_or("x").trim();
    let fault = Fault::new(span, format!("a condition is due, and this is {}", kind.name()));
    if part.chars().count() > LONGEST_QUOTED {
        return fault.hint("compare it: `… == 'x'`, `… != 0`, `… is not none`");
    }
    let part = in_parentheses(part);
    fault.hint(match kind {
        Kind::Int | Kind::Decimal | Kind::Float => format!("compare it: `{part} != 0`"),
        Kind::Enum(labels) => format!("compare it: `{part} == '{}'`", labels.first().map_or("…", String::as_str)),
        Kind::Text => format!("compare it: `{part} == '…'`; where it says yes or no, read it: `{part} | bool`"),
        _ => format!("ask whether it is there: `{part} is not none`"),
    })
}

/// A text that is no label of an enum.
pub(in crate::mapping) fn unknown_label(text: &str, labels: &[String], span: Range<usize>) -> Fault {
    let fault = Fault::new(span, format!("the enum has no label '{text}'"));
    match nearest(text, labels.iter().map(String::as_str)) {
        Some(near) => fault.hint(format!("did you mean '{near}'?")),
        None => fault.hint(format!("its labels: {}", listed(labels))),
    }
}

fn listed(labels: &[String]) -> String {
    let mut shown: Vec<String> = labels.iter().take(LABELS_SHOWN).map(|label| format!("'{label}'")).collect();
    if labels.len() > LABELS_SHOWN {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

/// A column of a related row as an expression names it.
fn behind_a_point(name: &str) -> String {
    as_written(name).trim_start_matches("row").to_owned()
}

/// A column as an expression names it.
fn as_written(name: &str) -> String {
    let starts = name.starts_with(|c: char| c == '_' || c.is_alphabetic());
    let bare = starts && name.chars().all(|c| c == '_' || c.is_alphanumeric());
    if bare { name.to_owned() } else { format!("row['{name}']") }
}

fn in_parentheses(part: &str) -> String {
    let plain = part.chars().all(|c| c == '_' || c == '.' || c.is_alphanumeric());
    let is_row = part.starts_with("row[") && part.find(']') == Some(part.len() - 1);
    let is_text = part.len() > 1 && part.starts_with('\'') && part.rfind('\'') == part[1..].find('\'').map(|at| at + 1);
    if plain || is_row || is_text { part.to_owned() } else { format!("({part})") }
}

/// What a constant beside a boolean means.
fn truth(node: &Node) -> Option<bool> {
    let text = match node {
        Node::Constant(Value::Int(n)) => n.to_string(),
        Node::Constant(Value::Text(text)) => text.to_lowercase(),
        _ => return None,
    };
    if YES.contains(&text.as_str()) {
        return Some(true);
    }
    NO.contains(&text.as_str()).then_some(false)
}

/// `31/01/2024` as `2024-01-31`, where it is clear which is the day.
fn turned(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(['/', '.', '-']).collect();
    let [a, b, year] = parts[..] else { return None };
    let (a, b, year): (u8, u8, u16) = (a.parse().ok()?, b.parse().ok()?, year.parse().ok()?);
    let (day, month) = match (a > 12, b > 12) {
        (true, false) => (a, b),
        (false, true) => (b, a),
        _ if a == b => (a, b),
        _ => return None,
    };
    (day <= 31 && month >= 1 && year >= 1000).then(|| format!("{year}-{month:02}-{day:02}"))
}
