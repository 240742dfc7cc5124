//! An expression's text as a tree: Jinja's grammar and precedence, without statements.
//!
//! From loosest to tightest: `x if c else y`, `or`, `and`, `not`, comparisons and `in`, `+ -`, `~`, `* / // %`, unary
//! `-`, then filters and `is`, then `a.b` and `row["any name"]`. Text and depth are bounded, so no expression
//! overflows the stack of whoever walks its tree.

mod listed;
mod stray;

use std::ops::Range;

use passerelle_change::Value;

use super::fault::Fault;
use super::lexer::{Token, TokenKind, tokens};
pub(super) use listed::{Call, figure, order};
use stray::Due;

/// The longest expression, in bytes.
pub const MAX_LENGTH: usize = 4096;
/// The deepest tree.
pub const MAX_DEPTH: u8 = 64;

/// A node and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expr {
    pub(super) kind: ExprKind,
    pub(super) span: Range<usize>,
    depth: u8,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ExprKind {
    Constant(Value<'static>),
    /// A column of the row.
    Column(String),
    /// `a.b`, `a["any name"]`: a column of a related row, or what a pivot or a rollup has by that name.
    Related(Vec<Segment>),
    List(Vec<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `is none`, `is not none`.
    IsNull {
        negated: bool,
        operand: Box<Expr>,
    },
    If {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Option<Box<Expr>>,
    },
    Filter {
        input: Box<Expr>,
        name: String,
        name_span: Range<usize>,
        arguments: Vec<Argument>,
    },
}

/// A part of a path, and where it stands.
pub(super) type Segment = (String, Range<usize>);

/// An argument of a filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Argument {
    /// Its name, when it was given by name.
    pub(super) name: Option<(String, Range<usize>)>,
    pub(super) value: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Add,
    Subtract,
    Concat,
    Multiply,
    Divide,
    DivideWhole,
    Remainder,
}

impl BinaryOp {
    /// How it is written.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::NotIn => "not in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Concat => "~",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::DivideWhole => "//",
            Self::Remainder => "%",
        }
    }

    /// How tightly it binds.
    fn power(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual
            | Self::In
            | Self::NotIn => COMPARISON,
            Self::Add | Self::Subtract => 5,
            Self::Concat => 6,
            Self::Multiply | Self::Divide | Self::DivideWhole | Self::Remainder => 7,
        }
    }
}

const NOT: u8 = 3;
const COMPARISON: u8 = 4;
/// The most faults of one expression that are mended to show how it was meant.
const MOST_MENDED: usize = 6;

/// How null is written.
const NULLS: &[&str] = &["none", "None", "null"];
const KEYWORDS: &[&str] = &["and", "or", "not", "in", "is", "if", "else"];

/// Parses a whole expression. The fault shows how it was probably meant, where that is an expression.
pub(super) fn parse(text: &str) -> Result<Expr, Fault> {
    read(text).map_err(|fault| fault.settled(mended))
}

/// A text as an expression: what is wrong in it is written as it was probably meant, too. `None` where that is not known.
pub(super) fn mended(mut text: String) -> Option<String> {
    for _ in 0..MOST_MENDED {
        match read(&text) {
            Ok(_) => return Some(text),
            Err(fault) => fault.meant()?.clone_into(&mut text),
        }
    }
    None
}

fn read(text: &str) -> Result<Expr, Fault> {
    if text.trim().is_empty() {
        let hint = "write a column's name, or `none` for null";
        return Err(Fault::new(0..text.len(), "the expression is empty").hint(hint));
    }
    let mut parser = Parser::new(text)?;
    let expr = parser.expression()?;
    parser.whole(expr)
}

/// Shows every use of a column of the row to `see`: its name, and where it stands.
pub(super) fn visit_columns(expr: &Expr, see: &mut dyn FnMut(&str, &Range<usize>)) {
    visit_names(expr, &mut |name| {
        if let ExprKind::Column(column) = &name.kind {
            see(column, &name.span);
        }
    });
}

/// Shows every [`ExprKind::Column`] and [`ExprKind::Related`] to `see`, in the order written.
pub(super) fn visit_names<'e>(expr: &'e Expr, see: &mut dyn FnMut(&'e Expr)) {
    match &expr.kind {
        ExprKind::Constant(_) => {}
        ExprKind::Column(_) | ExprKind::Related(_) => see(expr),
        ExprKind::List(items) => items.iter().for_each(|item| visit_names(item, see)),
        ExprKind::Not(operand) | ExprKind::Negate(operand) | ExprKind::IsNull { operand, .. } => {
            visit_names(operand, see);
        }
        ExprKind::Binary(_, left, right) => {
            visit_names(left, see);
            visit_names(right, see);
        }
        ExprKind::If { condition, then, otherwise } => {
            let parts = [Some(condition), Some(then), otherwise.as_ref()];
            parts.into_iter().flatten().for_each(|part| visit_names(part, see));
        }
        ExprKind::Filter { input, arguments, .. } => {
            visit_names(input, see);
            for argument in arguments {
                visit_names(&argument.value, see);
            }
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    /// Of the text that is being read; trees are bounded on their own, for chains grow to the left.
    depth: u8,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self, Fault> {
        if text.len() > MAX_LENGTH {
            let message = format!("the expression is longer than {MAX_LENGTH} bytes");
            return Err(Fault::new(0..text.len(), message));
        }
        Ok(Parser { text, tokens: tokens(text)?, at: 0, depth: 0 })
    }

    /// What was read, if it is all there is.
    fn whole<T>(&self, read: T) -> Result<T, Fault> {
        match self.peek().kind {
            TokenKind::End => Ok(read),
            _ => Err(self.stray(Due::Operator)),
        }
    }

    /// `x if c else y`, the loosest.
    fn expression(&mut self) -> Result<Expr, Fault> {
        self.enter()?;
        let then = self.binary(1)?;
        let expr = if self.take_word("if") {
            let condition = self.binary(1)?;
            let otherwise = if self.take_word("else") { Some(Box::new(self.expression()?)) } else { None };
            let end = otherwise.as_ref().map_or(condition.span.end, |other| other.span.end);
            let span = then.span.start..end;
            let depth = [&then, &condition].into_iter().chain(otherwise.as_deref()).map(|part| part.depth).max();
            let kind = ExprKind::If { condition: Box::new(condition), then: Box::new(then), otherwise };
            deeper(kind, span, depth.unwrap_or(0))?
        } else {
            then
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn binary(&mut self, power: u8) -> Result<Expr, Fault> {
        self.enter()?;
        let mut left = if power <= NOT && self.is_word("not") {
            let start = self.next().span.start;
            let operand = self.binary(NOT)?;
            let (span, depth) = (start..operand.span.end, operand.depth);
            deeper(ExprKind::Not(Box::new(operand)), span, depth)?
        } else {
            self.unary(true)?
        };
        while let Some((op, words)) = self.operator().filter(|(op, _)| op.power() >= power) {
            self.at += words;
            let right = self.binary(op.power() + 1)?;
            let span = left.span.start..right.span.end;
            if op.power() == COMPARISON && self.operator().is_some_and(|(next, _)| next.power() == COMPARISON) {
                let hint = "write `a < b and b < c`";
                return Err(Fault::new(self.peek().span.clone(), "comparisons do not chain").hint(hint));
            }
            let depth = left.depth.max(right.depth);
            left = deeper(ExprKind::Binary(op, Box::new(left), Box::new(right)), span, depth)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self, with_filters: bool) -> Result<Expr, Fault> {
        self.enter()?;
        let mut expr = if self.is_symbol("-") {
            let start = self.next().span.start;
            let operand = self.unary(false)?;
            let (span, depth) = (start..operand.span.end, operand.depth);
            match operand.kind {
                ExprKind::Constant(Value::Int(n)) => Expr { kind: ExprKind::Constant(Value::Int(-n)), span, depth },
                ExprKind::Constant(Value::Decimal(n)) => {
                    Expr { kind: ExprKind::Constant(Value::Decimal(-n)), span, depth }
                }
                _ => deeper(ExprKind::Negate(Box::new(operand)), span, depth)?,
            }
        } else {
            self.primary()?
        };
        if with_filters {
            expr = self.filters(expr)?;
        }
        self.depth -= 1;
        Ok(expr)
    }

    fn filters(&mut self, mut expr: Expr) -> Result<Expr, Fault> {
        loop {
            expr = if self.take_symbol("|") {
                self.filter(expr)?
            } else if self.take_word("is") {
                self.test(expr)?
            } else {
                return Ok(expr);
            };
        }
    }

    fn filter(&mut self, input: Expr) -> Result<Expr, Fault> {
        let (name, name_span) = self.name(Due::FilterName)?;
        let mut end = name_span.end;
        let mut depth = input.depth;
        let mut arguments = Vec::new();
        if self.is_symbol("(") {
            let opener = self.next().span;
            while !self.is_symbol(")") {
                let argument = self.argument(&opener)?;
                depth = depth.max(argument.value.depth);
                arguments.push(argument);
                self.separated(")", &opener)?;
            }
            end = self.close(")", &opener)?.end;
        }
        let span = input.span.start..end;
        deeper(ExprKind::Filter { input: Box::new(input), name, name_span, arguments }, span, depth)
    }

    fn argument(&mut self, opener: &Range<usize>) -> Result<Argument, Fault> {
        if self.peek().kind == TokenKind::End {
            return Err(self.unclosed(")", opener));
        }
        let named = matches!(&self.peek().kind, TokenKind::Name(_))
            && self.tokens.get(self.at + 1).is_some_and(|token| token.kind == TokenKind::Symbol("="));
        let name = if named {
            let name = self.name(Due::Value)?;
            self.take_symbol("=");
            Some(name)
        } else {
            None
        };
        Ok(Argument { name, value: self.expression()? })
    }

    fn test(&mut self, operand: Expr) -> Result<Expr, Fault> {
        let negated = self.take_word("not");
        let Token { kind, span } = self.peek().clone();
        if !matches!(&kind, TokenKind::Name(name) if NULLS.contains(&name.as_str())) {
            return Err(self.stray(Due::Null));
        }
        self.at += 1;
        let (span, depth) = (operand.span.start..span.end, operand.depth);
        deeper(ExprKind::IsNull { negated, operand: Box::new(operand) }, span, depth)
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let Token { kind, span } = self.peek().clone();
        match kind {
            TokenKind::Name(name) if !KEYWORDS.contains(&name.as_str()) => {
                self.at += 1;
                self.named(name, span)
            }
            TokenKind::Text(text) => self.constant(Value::Text(text.into()), span),
            TokenKind::Int(n) => self.constant(Value::Int(n), span),
            TokenKind::Decimal(n) => self.constant(Value::Decimal(n), span),
            TokenKind::Symbol("(") => {
                self.at += 1;
                let inner = self.expression()?;
                let end = self.close(")", &span)?.end;
                Ok(Expr { span: span.start..end, ..inner })
            }
            TokenKind::Symbol("[") => self.list(),
            TokenKind::Name(_) | TokenKind::Symbol(_) | TokenKind::End => Err(self.stray(Due::Value)),
        }
    }

    fn named(&mut self, name: String, span: Range<usize>) -> Result<Expr, Fault> {
        let leaf = |kind, span| Ok(Expr { kind, span, depth: 1 });
        match name.as_str() {
            "true" | "True" => return leaf(ExprKind::Constant(Value::Bool(true)), span),
            "false" | "False" => return leaf(ExprKind::Constant(Value::Bool(false)), span),
            name if NULLS.contains(&name) => return leaf(ExprKind::Constant(Value::Null), span),
            _ => {}
        }
        if self.is_symbol("[") && (name == "row" || !self.is_name_in_brackets()) {
            return self.any_name(&name, span);
        }
        let start = span.start;
        let mut end = span.end;
        let mut path = vec![(name, span)];
        while self.take_symbol(".") {
            let (name, span) = self.name(Due::ColumnName)?;
            end = span.end;
            path.push((name, span));
        }
        if self.is_symbol("[") && self.is_name_in_brackets() {
            self.at += 1;
            if let Token { kind: TokenKind::Text(name), span } = self.next() {
                path.push((name, span));
            }
            end = self.next().span.end;
        }
        let span = start..end;
        if self.is_symbol("(") {
            let path: Vec<String> = path.into_iter().map(|(name, _)| name).collect();
            return Err(self.call(&path, &span));
        }
        match <[Segment; 1]>::try_from(path) {
            Ok([(column, _)]) => leaf(ExprKind::Column(column), span),
            Err(path) => leaf(ExprKind::Related(path), span),
        }
    }

    /// Whether the bracket here holds a text and nothing else.
    fn is_name_in_brackets(&self) -> bool {
        let kind = |at: usize| self.tokens.get(self.at + at).map(|token| &token.kind);
        matches!(kind(1), Some(TokenKind::Text(_))) && matches!(kind(2), Some(TokenKind::Symbol("]")))
    }

    /// `row['Code postal']`: a column whose name is no name of the language.
    fn any_name(&mut self, name: &str, span: Range<usize>) -> Result<Expr, Fault> {
        let opener = self.next().span;
        if name != "row" {
            return Err(self.indexed(&(span.start..opener.end), name));
        }
        let Token { kind: TokenKind::Text(column), .. } = self.peek().clone() else {
            return Err(self.stray(Due::QuotedName));
        };
        self.at += 1;
        let end = self.close("]", &opener)?.end;
        Ok(Expr { kind: ExprKind::Column(column), span: span.start..end, depth: 1 })
    }

    fn list(&mut self) -> Result<Expr, Fault> {
        let opener = self.next().span;
        let mut items = Vec::new();
        while !self.is_symbol("]") {
            if self.peek().kind == TokenKind::End {
                return Err(self.unclosed("]", &opener));
            }
            items.push(self.expression()?);
            self.separated("]", &opener)?;
        }
        let end = self.close("]", &opener)?.end;
        let depth = items.iter().map(|item| item.depth).max().unwrap_or(0);
        deeper(ExprKind::List(items), opener.start..end, depth)
    }

    #[expect(clippy::unnecessary_wraps, reason = "an arm among arms that can fail")]
    fn constant(&mut self, value: Value<'static>, span: Range<usize>) -> Result<Expr, Fault> {
        self.at += 1;
        Ok(Expr { kind: ExprKind::Constant(value), span, depth: 1 })
    }

    /// The operator that stands here, and of how many tokens it is.
    fn operator(&self) -> Option<(BinaryOp, usize)> {
        let op = match &self.peek().kind {
            TokenKind::Symbol(symbol) => match *symbol {
                "==" => BinaryOp::Equal,
                "!=" => BinaryOp::NotEqual,
                "<" => BinaryOp::Less,
                "<=" => BinaryOp::LessOrEqual,
                ">" => BinaryOp::Greater,
                ">=" => BinaryOp::GreaterOrEqual,
                "+" => BinaryOp::Add,
                "-" => BinaryOp::Subtract,
                "~" => BinaryOp::Concat,
                "*" => BinaryOp::Multiply,
                "/" => BinaryOp::Divide,
                "//" => BinaryOp::DivideWhole,
                "%" => BinaryOp::Remainder,
                _ => return None,
            },
            TokenKind::Name(name) => match name.as_str() {
                "or" => BinaryOp::Or,
                "and" => BinaryOp::And,
                "in" => BinaryOp::In,
                "not" => {
                    let next = self.tokens.get(self.at + 1).map(|token| &token.kind);
                    let not_in = matches!(next, Some(TokenKind::Name(word)) if word == "in");
                    return not_in.then_some((BinaryOp::NotIn, 2));
                }
                _ => return None,
            },
            TokenKind::Text(_) | TokenKind::Int(_) | TokenKind::Decimal(_) | TokenKind::End => return None,
        };
        Some((op, 1))
    }

    fn enter(&mut self) -> Result<(), Fault> {
        // Each level of parentheses passes three functions that count.
        if self.depth >= MAX_DEPTH * 3 {
            return Err(too_deep(self.peek().span.clone()));
        }
        self.depth += 1;
        Ok(())
    }

    /// The token here; the last one stays.
    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek().kind, TokenKind::Symbol(here) if here == symbol)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let here = self.is_symbol(symbol);
        self.at += usize::from(here);
        here
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Name(here) if here == word)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let here = self.is_word(word);
        self.at += usize::from(here);
        here
    }

    /// What closes what was opened; gives its place.
    fn close(&mut self, closer: &'static str, opener: &Range<usize>) -> Result<Range<usize>, Fault> {
        if self.is_symbol(closer) { Ok(self.next().span) } else { Err(self.unclosed(closer, opener)) }
    }

    /// A comma, unless the end of what was opened is here.
    fn separated(&mut self, closer: &'static str, opener: &Range<usize>) -> Result<(), Fault> {
        if self.is_symbol(closer) || self.take_symbol(",") { Ok(()) } else { Err(self.unclosed(closer, opener)) }
    }

    fn name(&mut self, due: Due) -> Result<(String, Range<usize>), Fault> {
        match self.peek().clone() {
            Token { kind: TokenKind::Name(name), span } => {
                self.at += 1;
                Ok((name, span))
            }
            _ => Err(self.stray(due)),
        }
    }
}

/// A node above others of `depth`.
fn deeper(kind: ExprKind, span: Range<usize>, depth: u8) -> Result<Expr, Fault> {
    if depth >= MAX_DEPTH {
        return Err(too_deep(span));
    }
    Ok(Expr { kind, span, depth: depth + 1 })
}

fn too_deep(span: Range<usize>) -> Fault {
    Fault::new(span, format!("the expression is nested deeper than {MAX_DEPTH}"))
}
